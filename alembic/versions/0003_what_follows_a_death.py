"""What a new head follows, and imports that wait unsealed"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
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
    # Pieces of files are sealed from now on; a migration has no keys to seal what waits.
    op.execute(
        "update operations set status = 'failed', problem = 'abandoned', finished_at = now(),"
        " lease_until = null, fence = fence + 1"
        " where id in (select operation_id from operation_chunks) and finished_at is null"
    )
    op.execute("delete from operation_chunks")


def downgrade() -> None:
    op.drop_index(op.f("ix_registry_changes_follows_id"), table_name="registry_changes")
    op.drop_constraint(
        op.f("fk_registry_changes_follows_id"), "registry_changes", type_="foreignkey"
    )
    op.drop_column("registry_changes", "follows_id")
