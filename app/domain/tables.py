"""All tables in one place: importing this module fills the metadata that migrations follow."""

from sqlmodel import SQLModel

from app.domain import (
    complaint_documents,
    complaints,
    deployment,
    devices,
    dispatches,
    events,
    feed,
    households,
    idempotency_keys,
    notifications,
    offices,
    operations,
    other_needs,
    principals,
    program_criteria,
    programs,
    quotas,
    ratings,
    referrals,
    regions,
    registry_changes,
    registry_rows,
    routes,
    screenings,
    surveys,
    sweep_runs,
    ticket_books,
    transfers,
    visits,
    webhooks,
)

TABLES = (
    complaint_documents, complaints, deployment, devices, dispatches, events, feed, households,
    idempotency_keys, notifications, offices, operations, other_needs, principals,
    program_criteria, programs, quotas, ratings, referrals, regions, registry_changes,
    registry_rows, routes, screenings, surveys, sweep_runs, ticket_books, transfers, visits,
    webhooks,
)  # fmt: skip
metadata = SQLModel.metadata

# Rows of one unit of work are written in any order; the commit sees them all.
for table in metadata.tables.values():
    for constraint in table.foreign_key_constraints:
        constraint.deferrable, constraint.initially = True, "DEFERRED"
