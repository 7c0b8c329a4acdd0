"""Transfer, join, possible duplicates"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OUTCOMES = (
    "granted", "partly_granted", "waitlisted", "declined", "cancelled", "resolved", "rejected",
    "unanswered", "withdrawn", "archived",
)  # fmt: skip
NEW = ("transferred", "joined")


def upgrade() -> None:
    # Foreign keys that wait for the commit would keep the table from being altered.
    op.execute("set constraints all immediate")
    op.add_column(
        "complaints",
        sa.Column("possible_duplicates", sa.ARRAY(sa.Uuid()), nullable=False, server_default="{}"),
    )
    op.alter_column("complaints", "possible_duplicates", server_default=None)
    op.add_column(
        "complaints", sa.Column("filed_village_code", sa.String(collation="C"), nullable=True)
    )
    op.add_column("complaints", sa.Column("joined_into", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_complaints_joined_into"),
        "complaints",
        "complaints",
        ["joined_into"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_index(
        "ix_complaints_filed_village_code",
        "complaints",
        ["filed_village_code"],
        unique=False,
        postgresql_where=sa.text("filed_village_code is not null"),
    )
    op.create_index(
        "ix_complaints_reporter_name",
        "complaints",
        ["regency_code", sa.text("lower(reporter_name::text)")],
        unique=False,
    )
    op.create_index(
        "ix_complaints_subject_name",
        "complaints",
        ["regency_code", sa.text("lower(subject_name::text)")],
        unique=False,
        postgresql_where=sa.text("subject_name is not null"),
    )
    _set_outcomes((*OUTCOMES, *NEW))
    op.create_table(
        "transfer_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("to_region_code", sa.String(collation="C"), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("code", sa.String(collation="C"), nullable=False),
        sa.Column("signed_by", sa.Uuid(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_transfer_letters_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_letters")),
        sa.UniqueConstraint("code", name=op.f("uq_transfer_letters_code")),
        sa.UniqueConstraint("complaint_id", name=op.f("uq_transfer_letters_complaint_id")),
    )


def downgrade() -> None:
    op.execute("set constraints all immediate")
    op.drop_table("transfer_letters")
    # They were closed for good, and are so under the nearest word there was.
    op.execute(
        "update complaints set outcome = 'withdrawn' where outcome in ('transferred','joined')"
    )
    _set_outcomes(OUTCOMES)
    for name in ("subject_name", "reporter_name", "filed_village_code"):
        op.drop_index(f"ix_complaints_{name}", table_name="complaints")
    for name in ("joined_into", "filed_village_code", "possible_duplicates"):
        op.drop_column("complaints", name)


def _set_outcomes(words: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_complaints_outcome"), "complaints", type_="check")
    said = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(op.f("ck_complaints_outcome"), "complaints", f"outcome in ({said})")
