"""What a new head follows"""

import sqlalchemy as sa
from alembic import op

revision = "0003_registry_fixes"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("registry_changes", sa.Column("follows_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_registry_changes_follows_id"),
        "registry_changes",
        "registry_changes",
        ["follows_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_index(
        op.f("ix_registry_changes_follows_id"), "registry_changes", ["follows_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_registry_changes_follows_id"), table_name="registry_changes")
    op.drop_constraint(
        op.f("fk_registry_changes_follows_id"), "registry_changes", type_="foreignkey"
    )
    op.drop_column("registry_changes", "follows_id")
