"""Webhooks"""

import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DISABLED = ("by_hand", "gone", "failing")
STATES = ("pending", "delivered", "failed", "withheld")
FAILURES = (
    "status", "redirect_refused", "timeout", "connection_failed", "tls_failed",
    "name_not_resolved", "address_not_public", "endpoint_disabled",
)  # fmt: skip
CHECKS = (
    ("escalations", "step", "ck_escalations_step", "endpoint_disabled"),
    ("notifications", "step", "ck_notifications_step", "endpoint_disabled"),
    ("notifications", "subject_kind", "ck_notifications_subjectkind", "webhook_endpoint"),
)


def _enum(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _moment(name: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _codes(name: str) -> sa.Column:
    return sa.Column(name, sa.ARRAY(sa.String(collation="C")), nullable=False)


def _reference(column: str, to: str, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [to], name=op.f(name), initially="DEFERRED", deferrable=True
    )


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        _codes("types"),
        _codes("region_codes"),
        _codes("program_codes"),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_number", sa.Integer(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        _moment("previous_until", nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", _enum("disabled", DISABLED), nullable=True),
        _moment("disabled_at", nullable=True),
        _moment("failing_since", nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        _reference("owner_id", "principals.id", "fk_webhook_endpoints_owner_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_owner_id"), "webhook_endpoints", ["owner_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(collation="C"), nullable=False),
        sa.Column("state", _enum("deliverystate", STATES), nullable=False),
        _moment("made_at"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _moment("next_attempt_at", nullable=True),
        _moment("last_attempt_at", nullable=True),
        _moment("ended_at", nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("failure", _enum("failure", FAILURES), nullable=True),
        _moment("lease_until", nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        _reference("endpoint_id", "webhook_endpoints.id", "fk_webhook_deliveries_endpoint_id"),
        _reference("event_id", "events.id", "fk_webhook_deliveries_event_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "endpoint_id", "event_id", name=op.f("uq_webhook_deliveries_endpoint_id_event_id")
        ),
    )
    for name, columns, where in (
        ("endpoint_id_id", ["endpoint_id", "id"], None),
        ("due", ["endpoint_id", "next_attempt_at"], "state = 'pending'"),
        ("leased", ["endpoint_id"], "lease_until is not null"),
        ("failed", ["endpoint_id", "id"], "state = 'failed'"),
        ("ended_at", ["ended_at"], None),
    ):
        op.create_index(
            f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns,
            postgresql_where=sa.text(where) if where else None,
        )  # fmt: skip
    for table, column, name, value in CHECKS:
        _allow(table, column, name, lambda known, value=value: [*known, value])


def downgrade() -> None:
    for table, column, name, value in CHECKS:
        op.execute(f"delete from {table} where {column} = '{value}'")
        _allow(table, column, name, lambda known, value=value: [v for v in known if v != value])
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_endpoints")


def _allow(table: str, column: str, name: str, change: Callable[[list[str]], list[str]]) -> None:
    """Change which values a column takes; whatever it takes besides, it still does."""
    said = op.get_bind().scalar(
        sa.text(
            "select pg_get_constraintdef(oid) from pg_constraint"
            " where conname = :name and conrelid = cast(:table as regclass)"
        ),
        {"name": name, "table": table},
    )
    values = change(re.findall(r"'([^']+)'", said))
    op.drop_constraint(op.f(name), table)
    op.create_check_constraint(op.f(name), table, sa.column(column).in_(values))
