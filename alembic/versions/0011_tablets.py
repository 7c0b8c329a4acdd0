"""Tablets: devices, what came from them, what they promise; ticket books"""

import re

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STEPS = ("self_assigned", "missing_uploads", "device_silent", "device_retired")
KINDS = ("device", "ticket_book")
WRITE_KINDS = ("complaint", "survey", "document", "action", "other")
ADDED = (
    ("escalations", "step", STEPS),
    ("notifications", "step", STEPS),
    ("notifications", "subject_kind", KINDS),
)


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_region(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("state", _enum("devicestate", "active", "blocked", "retired"), nullable=False),
        sa.Column("facilitator_id", sa.Uuid(), nullable=False),
        sa.Column("held_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("highest_sequence", sa.Integer(), nullable=False),
        sa.Column("received_count", sa.Integer(), nullable=False),
        sa.Column("flagged_count", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_manifest_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silence_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registered_by", sa.Uuid(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        _foreign("devices", "facilitator_id", "principals.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )
    op.create_index("ix_devices_regency_code_id", "devices", ["regency_code", "id"])
    op.create_index("ix_devices_facilitator_id", "devices", ["facilitator_id"])
    op.create_table(
        "device_holders",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("facilitator_id", sa.Uuid(), nullable=False),
        _foreign("device_holders", "device_id", "devices.id"),
        _foreign("device_holders", "facilitator_id", "principals.id"),
        sa.PrimaryKeyConstraint("device_id", "facilitator_id", name=op.f("pk_device_holders")),
    )
    op.create_table(
        "device_writes",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("kind", _enum("writekind", *WRITE_KINDS), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("client_ref", sa.String(collation="C"), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column("flags", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("ids", postgresql.JSONB(none_as_null=True), nullable=False),
        _foreign("device_writes", "device_id", "devices.id"),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=op.f("pk_device_writes")),
    )
    op.create_table(
        "device_promises",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", _enum("writekind", *WRITE_KINDS), nullable=True),
        sa.Column("client_ref", sa.String(collation="C"), nullable=True),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payload_sha256", sa.String(length=64), nullable=True),
        sa.Column("problem", sa.String(length=60), nullable=True),
        sa.Column("promised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        _foreign("device_promises", "device_id", "devices.id"),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=op.f("pk_device_promises")),
    )
    op.create_index(
        "ix_device_promises_untold",
        "device_promises",
        ["promised_at"],
        postgresql_where=sa.text("told_at is null"),
    )
    op.create_table(
        "device_manifests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("sent_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("highest_sequence", sa.Integer(), nullable=False),
        sa.Column("pending_count", sa.Integer(), nullable=False),
        _foreign("device_manifests", "device_id", "devices.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_manifests")),
    )
    for column in ("device_id", "at"):
        op.create_index(op.f(f"ix_device_manifests_{column}"), "device_manifests", [column])
    op.create_table(
        "ticket_books",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_region(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("pad", sa.String(length=60), nullable=True),
        sa.Column("reserved_by", sa.Uuid(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        _foreign("ticket_books", "device_id", "devices.id"),
        _foreign("ticket_books", "reserved_by", "principals.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_books")),
    )
    op.create_index(op.f("ix_ticket_books_device_id"), "ticket_books", ["device_id"])
    op.create_table(
        "reserved_tickets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("book_id", sa.Uuid(), nullable=False),
        sa.Column("ticket", sa.String(collation="C"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        _foreign("reserved_tickets", "book_id", "ticket_books.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reserved_tickets")),
        sa.UniqueConstraint("ticket", name=op.f("uq_reserved_tickets_ticket")),
    )
    op.create_index(op.f("ix_reserved_tickets_book_id"), "reserved_tickets", ["book_id"])
    op.create_index(
        "ix_reserved_tickets_asked",
        "reserved_tickets",
        ["asked_at"],
        postgresql_where=sa.text("used_at is null and told_at is null"),
    )
    for table, column, added in ADDED:
        _set(table, column, [*_present(table, column), *added])


def downgrade() -> None:
    for table, column, added in ADDED:
        names = ", ".join(f"'{one}'" for one in added)
        op.execute(f"delete from {table} where {column} in ({names})")
        _set(table, column, [one for one in _present(table, column) if one not in added])
    for table in (
        "reserved_tickets", "ticket_books", "device_manifests", "device_promises", "device_writes", "device_holders", "devices",
    ):  # fmt: skip
        op.drop_table(table)


def _region() -> list[sa.Column[str]]:
    names = ("province_code", "regency_code", "district_code", "village_code")
    return [sa.Column(name, sa.String(collation="C"), nullable=False) for name in names]


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint(
        [column], [target], name=name, initially="DEFERRED", deferrable=True
    )


def _check(table: str, column: str) -> str:
    return f"ck_{table}_{column.replace('_', '')}"


def _present(table: str, column: str) -> list[str]:
    """The values that a column takes at present."""
    text = op.get_bind().exec_driver_sql(
        "select pg_get_constraintdef(oid) from pg_constraint"
        f" where conname = '{_check(table, column)}'"
    )
    return re.findall(r"'([^']+)'", text.scalar_one())


def _set(table: str, column: str, values: list[str]) -> None:
    name = op.f(_check(table, column))
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, sa.column(column).in_(values))
