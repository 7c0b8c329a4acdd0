"""Sweep runs: what each sweep did and when, and the rows it had to leave aside."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, Record


class SweepRun(Record, table=True):
    """One run. Times are the database's own, never moved by the demo clock.

    A run that finds nothing extends the idle run before it: `runs` says how many it stands for.
    """

    __tablename__ = "sweep_runs"
    __table_args__ = (sa.Index("ix_sweep_runs_sweep_id", "sweep", "id"),)

    sweep: str = Field(sa_type=CODE, max_length=40)
    started_at: datetime
    finished_at: datetime | None = None
    runs: int = 1
    found: int = 0
    acted: int = 0
    failed: int = 0
    oldest_overdue_at: datetime | None = None
    error: str | None = Field(default=None, max_length=200)


class ParkedRow(SQLModel, table=True):
    """A row that a sweep could not handle: left aside until `retry_at`, and counted."""

    __tablename__ = "parked_rows"
    __table_args__ = (sa.PrimaryKeyConstraint("sweep", "subject_id"),)

    sweep: str = Field(sa_type=CODE, max_length=40)
    subject_id: UUID
    error: str = Field(max_length=200)
    attempts: int = 1
    parked_at: datetime
    retry_at: datetime


class SweepRuns:
    """The only place that writes SQL about sweep runs."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def real_now(self) -> datetime:
        at = await self.session.scalar(sa.select(sa.func.clock_timestamp()))
        assert isinstance(at, datetime)
        return at

    def add(self, run: SweepRun) -> None:
        self.session.add(run)

    async def merge(self, run: SweepRun) -> SweepRun:
        """A run of another session, in this one."""
        return await self.session.merge(run)

    async def expire(self, before: datetime, limit: int) -> int:
        old = sa.select(col(SweepRun.id)).where(col(SweepRun.started_at) < before).limit(limit)
        result = await self.session.execute(sa.delete(SweepRun).where(col(SweepRun.id).in_(old)))
        return int(getattr(result, "rowcount", 0))

    async def get(self, id: UUID) -> SweepRun:
        return (await self.session.scalars(sa.select(SweepRun).where(col(SweepRun.id) == id))).one()

    async def lock_last(self, sweep: str) -> SweepRun | None:
        """The newest finished run, held until commit; None also while somebody else holds it."""
        statement = (
            sa.select(SweepRun)
            .where(col(SweepRun.sweep) == sweep, col(SweepRun.finished_at).is_not(None))
            .order_by(col(SweepRun.id).desc())
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def last_finished(self) -> dict[str, SweepRun]:
        """The newest finished run of every sweep."""
        statement = (
            sa.select(SweepRun)
            .where(col(SweepRun.finished_at).is_not(None))
            .ext(distinct_on(col(SweepRun.sweep)))
            .order_by(col(SweepRun.sweep), col(SweepRun.id).desc())
        )
        return {run.sweep: run for run in await self.session.scalars(statement)}

    async def page(self, sweep: str | None, before: UUID | None, limit: int) -> list[SweepRun]:
        """Newest first."""
        statement = sa.select(SweepRun).order_by(col(SweepRun.id).desc()).limit(limit)
        if sweep is not None:
            statement = statement.where(col(SweepRun.sweep) == sweep)
        if before is not None:
            statement = statement.where(col(SweepRun.id) < before)
        return list(await self.session.scalars(statement))

    async def park(self, sweep: str, subject_id: UUID, error: str, at: datetime) -> None:
        """Leave a row aside for longer each time it fails, an hour at the most."""
        statement = insert(ParkedRow).values(
            sweep=sweep, subject_id=subject_id, error=error[:200], parked_at=at,
            retry_at=at + timedelta(minutes=1),
        )  # fmt: skip
        wait = sa.func.least(col(ParkedRow.attempts) * timedelta(minutes=5), timedelta(hours=1))
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["sweep", "subject_id"],
                set_={
                    "error": statement.excluded.error,
                    "attempts": col(ParkedRow.attempts) + 1,
                    "parked_at": at,
                    "retry_at": sa.literal(at) + wait,
                },
            )
        )

    async def unpark(self, sweep: str, subject_ids: Sequence[UUID]) -> None:
        await self.session.execute(
            sa.delete(ParkedRow).where(
                col(ParkedRow.sweep) == sweep, col(ParkedRow.subject_id).in_(subject_ids)
            )
        )

    async def forget_parked(self, before: datetime) -> int:
        """Drop what was to be tried again before a moment, and was not found due any more."""
        result = await self.session.execute(
            sa.delete(ParkedRow).where(col(ParkedRow.retry_at) < before)
        )
        return int(getattr(result, "rowcount", 0))

    async def parked_counts(self) -> dict[str, int]:
        statement = sa.select(col(ParkedRow.sweep), sa.func.count()).group_by(col(ParkedRow.sweep))
        return dict((await self.session.execute(statement)).all())

    async def parked(self) -> list[ParkedRow]:
        statement = sa.select(ParkedRow).order_by(col(ParkedRow.parked_at)).limit(200)
        return list(await self.session.scalars(statement))


def not_parked(
    sweep: str, subject_id: sa.ColumnElement[UUID], at: datetime
) -> sa.ColumnElement[bool]:
    """A condition for claims: rows that are not set aside now."""
    return ~sa.exists(
        sa.select(1).where(
            col(ParkedRow.sweep) == sweep,
            col(ParkedRow.subject_id) == subject_id,
            col(ParkedRow.retry_at) > at,
        )
    )
