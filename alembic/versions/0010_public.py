"""The citizen's own view: ratings, offices, citizens as actors"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CITIZEN = "00000000-0000-0000-0000-000000000001"
ROLES = (
    "puskesos_officer", "front_office", "back_office", "facilitator", "supervisor", "manager",
    "head", "program_manager", "agency", "admin", "data_protection_officer", "system",
)  # fmt: skip
ROLE_CHECKS = (("grants", "role", "ck_grants_role"), ("events", "actor_role", "ck_events_role"))


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("reopened_count", sa.Integer(), nullable=False),
        sa.Column("satisfaction", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("satisfaction between 1 and 5", name=op.f("ck_ratings_satisfaction")),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_ratings_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ratings")),
        sa.UniqueConstraint(
            "complaint_id", "reopened_count", name=op.f("uq_ratings_complaint_id_reopened_count")
        ),
    )
    op.create_table(
        "offices",
        sa.Column("code", sa.String(collation="C"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "secretariat",
                "puskesos",
                name="officekind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("region_code", sa.String(collation="C"), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=True),
        sa.Column("hours", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"],
            ["regions.code"],
            name=op.f("fk_offices_region_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_offices")),
    )
    op.create_index(op.f("ix_offices_region_code"), "offices", ["region_code"], unique=False)
    _set_roles((*ROLES, "citizen"))
    # Who files without an account. The secret is no hash of anything: nobody signs in.
    op.execute(f"""
        insert into principals (id, kind, username, name, secret_hash, active, version, scopes,
          region_codes, program_codes, created_at, updated_at)
        values ('{CITIZEN}', 'client', 'public', 'Warga', '!', false, 1, '{{}}', '{{}}', '{{}}',
          now(), now())
    """)


def downgrade() -> None:
    op.execute("update events set actor_role = null where actor_role = 'citizen'")
    op.execute("set constraints all immediate")
    op.execute(f"delete from principals where id = '{CITIZEN}'")
    _set_roles(ROLES)
    op.drop_table("offices")
    op.drop_table("ratings")


def _set_roles(roles: tuple[str, ...]) -> None:
    for table, column, check in ROLE_CHECKS:
        op.drop_constraint(op.f(check), table)
        op.create_check_constraint(op.f(check), table, sa.column(column).in_(roles))
