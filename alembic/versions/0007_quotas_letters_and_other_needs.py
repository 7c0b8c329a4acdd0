"""Quotas, letters, other needs; referrals that wait"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NEW_STEP = "need_mapped"
STEP_CHECKS = (("escalations", "ck_escalations_step"), ("notifications", "ck_notifications_step"))


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("program_code", sa.String(collation="C"), nullable=False),
        sa.Column("region_code", sa.String(collation="C"), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("managed_here", sa.Boolean(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reserved >= 0 and used >= 0 and waiting >= 0 and reserved + used <= places",
            name=op.f("ck_quotas_places"),
        ),
        sa.ForeignKeyConstraint(
            ["program_code"],
            ["programs.code"],
            name=op.f("fk_quotas_program_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotas")),
    )
    op.create_index("ix_quotas_program_code", "quotas", ["program_code", "id"], unique=False)
    op.create_index(
        "ix_quotas_waiting",
        "quotas",
        ["program_code"],
        unique=False,
        postgresql_where=sa.text("waiting > 0"),
    )
    op.add_column("referrals", sa.Column("wait_for", sa.Uuid(), nullable=True))
    op.add_column("referrals", sa.Column("sent_by", sa.Uuid(), nullable=True))
    op.add_column("referrals", sa.Column("letter_code", sa.String(collation="C"), nullable=True))
    op.add_column("referrals", sa.Column("quota_id", sa.Uuid(), nullable=True))
    op.add_column("referrals", sa.Column("waiting_number", sa.Integer(), nullable=True))
    # What was sent before has a letter, too; it is signed by whoever forwarded it.
    op.execute("""
        update referrals r set sent_by = c.forwarded_by,
          letter_code = replace(gen_random_uuid()::text, '-', '')
        from complaints c where c.id = r.complaint_id and r.sent_at is not null
    """)
    # The event log knows better, where a complaint was reopened since.
    op.execute("""
        update referrals r set sent_by = e.actor_id
        from events e where e.subject_id = r.id and e.type = 'referral.sent'
          and r.sent_at is not null
    """)
    # Foreign keys that wait for the commit would keep the table from being altered.
    op.execute("set constraints all immediate")
    for column, table in (("quota_id", "quotas"), ("wait_for", "registry_changes")):
        op.create_foreign_key(
            op.f(f"fk_referrals_{column}"),
            "referrals",
            table,
            [column],
            ["id"],
            initially="DEFERRED",
            deferrable=True,
        )
    op.create_unique_constraint(op.f("uq_referrals_letter_code"), "referrals", ["letter_code"])
    op.create_index(
        "uq_referrals_waiting_number",
        "referrals",
        ["quota_id", "waiting_number"],
        unique=True,
        postgresql_where=sa.text("waiting_number is not null"),
    )
    op.create_index(
        "ix_referrals_wait_for",
        "referrals",
        ["wait_for"],
        unique=False,
        postgresql_where=sa.text("wait_for is not null"),
    )
    op.create_table(
        "other_needs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column(
            "sector",
            sa.Enum(
                "health",
                "education",
                "social_economic",
                "food",
                "energy",
                "agriculture",
                "fisheries",
                "housing",
                "civil_registration",
                name="sector",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "mapped_to",
            sa.Enum(
                "program",
                "local_helper",
                "none_exists",
                name="mappedto",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("program_code", sa.String(collation="C"), nullable=True),
        sa.Column("helper", sa.String(length=120), nullable=True),
        sa.Column("referral_id", sa.Uuid(), nullable=True),
        sa.Column("mapped_by", sa.Uuid(), nullable=True),
        sa.Column("mapped_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [target],
                name=op.f(f"fk_other_needs_{column}"),
                initially="DEFERRED",
                deferrable=True,
            )
            for column, target in (
                ("complaint_id", "complaints.id"),
                ("household_id", "households.id"),
                ("program_code", "programs.code"),
                ("referral_id", "referrals.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_other_needs")),
    )
    for column in ("complaint_id", "household_id"):
        op.create_index(op.f(f"ix_other_needs_{column}"), "other_needs", [column], unique=False)
    op.create_index(
        "ix_other_needs_regency_code_id", "other_needs", ["regency_code", "id"], unique=False
    )
    op.create_index(
        "ix_other_needs_unmapped",
        "other_needs",
        ["regency_code", "id"],
        unique=False,
        postgresql_where=sa.text("mapped_to is null"),
    )
    for table, check in STEP_CHECKS:
        _set_steps(table, check, [*_steps(check), NEW_STEP])


def downgrade() -> None:
    for table, check in STEP_CHECKS:
        op.execute(f"delete from {table} where step = '{NEW_STEP}'")
        _set_steps(table, check, [one for one in _steps(check) if one != NEW_STEP])
    op.drop_table("other_needs")
    op.drop_index("ix_referrals_wait_for", table_name="referrals")
    op.drop_index("uq_referrals_waiting_number", table_name="referrals")
    for name in ("waiting_number", "quota_id", "letter_code", "sent_by", "wait_for"):
        op.drop_column("referrals", name)
    op.drop_table("quotas")


def _steps(check: str) -> list[str]:
    """The steps that a column takes at present."""
    text = op.get_bind().exec_driver_sql(
        f"select pg_get_constraintdef(oid) from pg_constraint where conname = '{check}'"
    )
    return re.findall(r"'([^']+)'", text.scalar_one())


def _set_steps(table: str, check: str, steps: list[str]) -> None:
    op.drop_constraint(op.f(check), table)
    op.create_check_constraint(op.f(check), table, sa.column("step").in_(steps))
