"""The feed: committed events in one order, as who reads them may see them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from app.domain.actors import Actor, Grant, Role, Scope
from app.domain.base import within
from app.domain.events import Event

E: Any = Event
REFERRALS, CHANGES, DISPATCHES = "referrals", "registry-changes", "dispatches"


def may_read(actor: Actor) -> bool:
    """Whether the actor reads the feed at all."""
    return bool(_owners(actor) or actor.regions(Role.MANAGER, Role.HEAD, Role.PROGRAM_MANAGER))


def seen_by(actor: Actor) -> sa.ColumnElement[bool]:
    """The events that an actor may see, said of their own columns alone.

    Manager and head: all of their region. A program_manager: referrals of its programmes and
    regions, registry changes there once they are applied, and the batches they go in. An agency,
    and a client with `referrals:read`: referrals of its programmes and regions once they are sent.
    """
    managed = [grant for grant in actor.grants if grant.role is Role.PROGRAM_MANAGER]
    regions = actor.regions(Role.PROGRAM_MANAGER)
    return sa.or_(
        within(E, actor.regions(Role.MANAGER, Role.HEAD)),
        sa.and_(E.collection == REFERRALS, _of_programs(managed)),
        sa.and_(E.collection == CHANGES, E.handed_over, within(E, regions)),
        sa.and_(E.collection == DISPATCHES, within(E, regions)),
        sa.and_(E.collection == REFERRALS, E.handed_over, _of_programs(_owners(actor))),
    )


def _owners(actor: Actor) -> list[Grant]:
    """As whom an actor owns programmes. To answer referrals does not let a client read them."""
    if actor.is_person:
        return [grant for grant in actor.grants if grant.role is Role.AGENCY]
    if Scope.REFERRALS_READ in actor.scopes:
        return [Grant(Role.AGENCY, actor.region_codes, actor.program_codes)]
    return []


def _of_programs(grants: Sequence[Grant]) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.false(),
        *(
            sa.and_(E.program_code.in_(grant.program_codes), within(E, grant.region_codes))
            for grant in grants
        ),
    )


def cloud_event(source: str) -> sa.ColumnElement[str]:
    """An event as a CloudEvent (JSON text), written once, by the database.

    `source` is the deployment's address. Only numbered events have a `sequence`.
    """
    data = sa.func.json_build_object(
        "id", E.subject_id,
        "version", E.subject_version,
        "state", E.state,
        "outcome", E.outcome,
        "region_code", _region_code(),
        "program_code", E.program_code,
    )  # fmt: skip
    return sa.cast(
        sa.func.json_build_object(
            "specversion", "1.0",
            "id", E.id,
            "source", source,
            "type", E.type,
            "subject", E.collection + "/" + sa.cast(E.subject_id, sa.Text),
            "time", sa.func.to_char(
                sa.func.timezone("UTC", E.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            ),
            "sequence", sa.func.lpad(sa.cast(E.pos, sa.Text), 20, "0"),
            "data", data,
        ),
        sa.Text,
    )  # fmt: skip


def _region_code() -> Any:
    """As narrow as the event says it: a batch is a whole city's."""
    narrower = (E.village_code, E.district_code, E.regency_code)
    return sa.func.coalesce(*(sa.func.nullif(column, "") for column in narrower))
