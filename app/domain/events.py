"""The event log: history, audit, the change feed and the outbox are readers of one log.

Events are thin: ids and what changed. What people wrote stands beside them, in `event_notes`,
so that it can be erased without touching the log.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.actors import Role
from app.domain.base import CODE, JSON, InRegion, enum_type, new_id, region_of

NUMBERING_LOCK = 0x51_27_00_01


class Event(InRegion, table=True):
    __tablename__ = "events"
    __table_args__ = (
        sa.Index("ix_events_subject", "subject_id", "seq"),
        sa.Index("ix_events_actor_id_at", "actor_id", "at"),
        sa.Index("ix_events_unnumbered", "seq", postgresql_where=sa.text("pos is null")),
        # What the owner of a programme reads of the feed.
        sa.Index(
            "ix_events_handed_over", "program_code", "regency_code", "pos",
            postgresql_where=sa.text("handed_over"),
        ),
    )  # fmt: skip

    seq: int | None = Field(
        default=None, sa_type=sa.BigInteger, primary_key=True, sa_column_args=[sa.Identity()]
    )
    pos: int | None = Field(default=None, sa_type=sa.BigInteger, unique=True)
    id: UUID = Field(default_factory=new_id, unique=True)
    type: str = Field(max_length=60)
    # Where the subject stands in the API: `complaints`, `registry-changes` …
    collection: str = Field(max_length=40)
    subject_id: UUID
    subject_version: int
    # How the subject stood after this event: readers of the log never look at today's rows.
    state: str | None = Field(default=None, max_length=40)
    outcome: str | None = Field(default=None, max_length=40)
    program_code: str | None = Field(default=None, sa_type=CODE, max_length=40)
    # That a referral had been sent, a registry change applied: whom it was handed to sees it.
    handed_over: bool = False
    actor_id: UUID
    actor_role: Role | None = Field(default=None, sa_type=enum_type(Role))
    at: datetime
    happened_at: datetime | None = None
    reason: str | None = Field(default=None, max_length=200)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


def standing_of(subject: Any) -> dict[str, Any]:
    """What an event keeps of its subject as it stands now: state, outcome, programme."""
    return {
        "collection": subject.__tablename__.replace("_", "-"),
        "subject_id": subject.id,
        "subject_version": subject.version,
        "handed_over": bool(
            getattr(subject, "sent_at", None) or getattr(subject, "applied_at", None)
        ),
    } | {name: getattr(subject, name, None) for name in ("state", "outcome", "program_code")}


class EventNote(InRegion, table=True):
    """What a person wrote with a step: kept apart from the log, since it may name people."""

    __tablename__ = "event_notes"

    event_id: UUID = Field(primary_key=True, foreign_key="events.id")
    note: str = Field(max_length=4000)


class Events:
    """The only place that writes SQL about events."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def append(self, event: Event, note: str | None = None) -> Event:
        """Add to the log, after locking the subject: its events are then in order."""
        self.session.add(event)
        if note is not None:
            self.session.add(EventNote(event_id=event.id, note=note, **region_of(event)))
        return event

    async def of(self, subject_id: UUID, after: int, limit: int) -> Sequence[Any]:
        """A subject's history, oldest first: (event, note) pairs."""
        statement = (
            sa.select(Event, col(EventNote.note))
            .outerjoin(EventNote, col(EventNote.event_id) == col(Event.id))
            .where(col(Event.subject_id) == subject_id, col(Event.seq) > after)
            .order_by(col(Event.seq))
            .limit(limit)
        )
        return (await self.session.execute(statement)).all()

    async def newest(
        self, subject_id: UUID, type: str, before: int | None, limit: int
    ) -> list[Event]:
        """A subject's events of one type, newest first."""
        statement = (
            sa.select(Event)
            .where(col(Event.subject_id) == subject_id, col(Event.type) == type)
            .order_by(col(Event.seq).desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(col(Event.seq) < before)
        return list(await self.session.scalars(statement))

    async def of_types(
        self, subject_ids: Sequence[UUID], types: Sequence[str]
    ) -> dict[UUID, list[Event]]:
        """The events of some types of each of some subjects, oldest first."""
        statement = (
            sa.select(Event)
            .where(col(Event.subject_id).in_(subject_ids), col(Event.type).in_(types))
            .order_by(col(Event.seq))
        )
        found: dict[UUID, list[Event]] = {id: [] for id in subject_ids}
        for event in await self.session.scalars(statement):
            found[event.subject_id].append(event)
        return found

    async def last_step_at(self, subject_id: UUID) -> datetime:
        """When the last step of a subject happened: as it was claimed, but never ahead."""
        claimed = sa.func.coalesce(col(Event.happened_at), col(Event.at))
        statement = (
            sa.select(sa.func.least(claimed, col(Event.at)))
            .where(col(Event.subject_id) == subject_id, col(Event.data).op("?")("action"))
            .order_by(col(Event.seq).desc())
            .limit(1)
        )
        at = await self.session.scalar(statement)
        assert isinstance(at, datetime)
        return at

    async def number(self, limit: int = 2_000) -> int | None:
        """Give committed events their position: how many, or None while someone else is at it.

        Ids are drawn before the commit, so their order skips what commits late. The lock and
        the update are two statements: in one, the snapshot would predate the lock and rows
        would be numbered twice.
        """
        if not await self.session.scalar(
            sa.select(sa.func.pg_try_advisory_xact_lock(NUMBERING_LOCK))
        ):
            return None
        result = await self.session.execute(NUMBER, {"limit": limit})
        return int(getattr(result, "rowcount", 0))


NUMBER = sa.text("""
    with ready as materialized (
        select seq from events where pos is null order by seq limit :limit
    ), numbered as materialized (
        select seq, nextval('event_positions') as pos from (select seq from ready order by seq) s
    )
    update events set pos = numbered.pos from numbered where events.seq = numbered.seq
""")
