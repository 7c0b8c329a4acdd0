"""The catalogue in versions, criteria, screenings"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    for name in ("benefit", "contact"):
        length = 1000 if name == "benefit" else 300
        op.add_column(
            "programs",
            sa.Column(name, sa.String(length=length), nullable=False, server_default=""),
        )
        op.alter_column("programs", name, server_default=None)
    op.add_column("programs", sa.Column("valid_from", sa.Date(), nullable=True))
    op.add_column("programs", sa.Column("valid_until", sa.Date(), nullable=True))
    op.add_column(
        "programs", sa.Column("version", sa.Integer(), nullable=False, server_default="1")
    )
    op.alter_column("programs", "version", server_default=None)
    op.add_column("programs", sa.Column("changed_by", sa.Uuid(), nullable=True))
    op.create_table(
        "program_versions",
        sa.Column("program_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["program_code"],
            ["programs.code"],
            name=op.f("fk_program_versions_program_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("program_code", "version", name=op.f("pk_program_versions")),
    )
    op.create_table(
        "program_criteria",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("program_code", sa.String(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "published",
                "discarded",
                name="criteriastate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("criteria", JSON, nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=1000), nullable=True),
        sa.Column("drafted_by", sa.Uuid(), nullable=True),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previewed_version", sa.Integer(), nullable=True),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["program_code"],
            ["programs.code"],
            name=op.f("fk_program_criteria_program_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_program_criteria")),
        sa.UniqueConstraint(
            "program_code", "number", name=op.f("uq_program_criteria_program_code_number")
        ),
    )
    op.create_table(
        "screenings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("screened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("screened_by", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("rules", JSON, nullable=False),
        sa.Column("versions", JSON, nullable=False),
        sa.Column("survey_version", sa.Integer(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_screenings_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_screenings_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screenings")),
    )
    op.create_index("ix_screenings_household_id", "screenings", ["household_id", "id"])
    op.create_index(op.f("ix_screenings_complaint_id"), "screenings", ["complaint_id"])
    op.add_column("referrals", sa.Column("screening_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_referrals_screening_id"),
        "referrals",
        "screenings",
        ["screening_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_referrals_screening_id"), "referrals", type_="foreignkey")
    op.drop_column("referrals", "screening_id")
    op.drop_table("screenings")
    op.drop_table("program_criteria")
    op.drop_table("program_versions")
    for name in ("changed_by", "version", "valid_until", "valid_from", "contact", "benefit"):
        op.drop_column("programs", name)
