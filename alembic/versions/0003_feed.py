"""The feed"""

import sqlalchemy as sa
from alembic import op

revision = "0003_feed"
down_revision = "0003"
branch_labels = None
depends_on = None

# What events before this one did not say themselves. The state is that of the last step until
# then; the outcome is left open, since no event said it.
FILL = """
update events set
    collection = said.collection, state = said.state,
    program_code = said.program_code, handed_over = said.handed_over
from (
    select e.seq,
        case
            when v.id is not null then 'visits'
            when e.kind = 'survey' then 'complaints'
            when e.kind = 'dispatch' then 'dispatches'
            when e.kind = 'account' and e.data ->> 'kind' = 'client' then 'clients'
            when e.kind = 'account' then 'users'
            else replace(e.kind, '_', '-') || 's'
        end as collection,
        max(e.data ->> 'to') over (partition by e.subject_id, e.stage) as state,
        coalesce(r.program_code, c.program_code) as program_code,
        bool_or(e.data ->> 'to' in ('sent', 'manager_approved'))
            over (partition by e.subject_id order by e.seq) is true as handed_over
    from (
        select *, split_part(type, '.', 1) as kind,
            count(data ->> 'to') over (partition by subject_id order by seq) as stage
        from events
    ) e
    left join visits v on v.id = e.subject_id
    left join referrals r on r.id = e.subject_id
    left join complaints c on c.id = e.subject_id
) said
where events.seq = said.seq
"""


def upgrade() -> None:
    op.add_column("deployment", sa.Column("feed_epoch", sa.Integer(), nullable=True))
    op.execute("update deployment set feed_epoch = 1")
    op.alter_column("deployment", "feed_epoch", nullable=False)
    op.add_column("deployment", sa.Column("system_identifier", sa.BigInteger(), nullable=True))
    op.add_column("deployment", sa.Column("database_oid", sa.BigInteger(), nullable=True))

    op.create_table(
        "feed_marks",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_feed_marks")),
    )

    code = sa.String(collation="C")
    op.add_column("events", sa.Column("collection", sa.String(length=40), nullable=True))
    op.add_column("events", sa.Column("state", sa.String(length=40), nullable=True))
    op.add_column("events", sa.Column("outcome", sa.String(length=40), nullable=True))
    op.add_column("events", sa.Column("program_code", code, nullable=True))
    op.add_column("events", sa.Column("handed_over", sa.Boolean(), nullable=True))
    op.execute("alter table events disable trigger events_append_only")
    op.execute(FILL)
    op.execute("alter table events enable trigger events_append_only")
    op.alter_column("events", "collection", nullable=False)
    op.alter_column("events", "handed_over", nullable=False)
    op.create_index(
        "ix_events_handed_over",
        "events",
        ["program_code", "regency_code", "pos"],
        postgresql_where=sa.text("handed_over"),
    )


def downgrade() -> None:
    op.drop_index("ix_events_handed_over", table_name="events")
    for name in ("handed_over", "program_code", "outcome", "state", "collection"):
        op.drop_column("events", name)
    op.drop_table("feed_marks")
    for name in ("database_oid", "system_identifier", "feed_epoch"):
        op.drop_column("deployment", name)
