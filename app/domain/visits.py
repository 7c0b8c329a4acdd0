"""Visits: a noun of their own, with or without a complaint."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import InRegion, Record, enum_type, region_of, within
from app.domain.errors import NotFound
from app.domain.sweep_runs import not_parked
from app.domain.vocabulary import VisitResult

SIGHT_AFTER_ASSIGNMENT = timedelta(days=90)
# Visits of a city are shared out by one at a time, so that each batch sees the loads before it.
SHARING = 0x51_28
READERS = (
    Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.SUPERVISOR, Role.MANAGER, Role.HEAD,
)  # fmt: skip


class VisitKind(StrEnum):
    COMPLAINT = "complaint"
    REVERIFICATION = "reverification"
    BENEFIT_CHECK = "benefit_check"
    ANSWER = "answer"


class VisitState(StrEnum):
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Visit(InRegion, Record, table=True):
    """A home to be visited, by whom and until when. Its survey, if any, names the visit."""

    __tablename__ = "visits"
    __table_args__ = (
        sa.Index("ix_visits_assignee_id", "assignee_id", "state"),
        sa.Index("ix_visits_regency_code_id", "regency_code", "id"),
        sa.Index(
            "ix_visits_next_step_at", "next_step_at", "id",
            postgresql_where=sa.text("state = 'open'"),
        ),
        # One open visit of a kind to a household at a time, and one for a complaint.
        sa.Index(
            "uq_visits_open", "household_id", "kind", unique=True,
            postgresql_where=sa.text("state = 'open' and complaint_id is null"),
        ),
        sa.Index(
            "uq_visits_open_complaint", "complaint_id", unique=True,
            postgresql_where=sa.text("state = 'open' and complaint_id is not null"),
        ),
    )  # fmt: skip

    version: int = 1
    kind: VisitKind = Field(sa_type=enum_type(VisitKind))
    state: VisitState = Field(default=VisitState.OPEN, sa_type=enum_type(VisitState))
    complaint_id: UUID | None = Field(default=None, foreign_key="complaints.id", index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    assignee_id: UUID | None = Field(default=None, foreign_key="principals.id")
    assigned_at: datetime
    due_at: datetime
    next_step_at: datetime | None = None
    steps_taken: int = 0
    attempts: int = 0
    last_result: VisitResult | None = Field(default=None, sa_type=enum_type(VisitResult))
    reason: str | None = Field(default=None, max_length=200)
    # Everybody who wrote its survey, for four eyes on what comes of it.
    surveyors: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    created_by: UUID
    created_at: datetime
    done_at: datetime | None = None


class VisitAssignment(InRegion, Record, table=True):
    """Who was to make a visit, from when until when: decides who may still read."""

    __tablename__ = "visit_assignments"
    __table_args__ = (
        sa.Index("ix_visit_assignments_facilitator_id", "facilitator_id", "ended_at"),
    )

    visit_id: UUID = Field(foreign_key="visits.id", index=True)
    facilitator_id: UUID = Field(foreign_key="principals.id")
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VisitFilter:
    state: VisitState | None = None
    kind: VisitKind | None = None
    assignee_id: UUID | None = None
    region: str | None = None
    household_id: UUID | None = None
    overdue: bool | None = None


V: Any = Visit
A: Any = VisitAssignment


class Visits:
    """The only place that writes SQL about visits."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, visit: Visit) -> None:
        """A new visit, with who is to make it."""
        self.session.add(visit)
        self._begin(visit, visit.assigned_at)

    def _begin(self, visit: Visit, at: datetime) -> None:
        if visit.assignee_id is not None:
            self.session.add(
                VisitAssignment(
                    visit_id=visit.id, facilitator_id=visit.assignee_id, began_at=at,
                    **region_of(visit),
                )
            )  # fmt: skip

    async def begin_assignment(self, visit: Visit, at: datetime) -> None:
        """The visit is with another facilitator from now on."""
        await self.end_assignment(visit, at)
        visit.assigned_at = at
        self._begin(visit, at)

    async def end_assignment(self, visit: Visit, at: datetime) -> None:
        await self.session.execute(
            sa.update(VisitAssignment)
            .where(A.visit_id == visit.id, A.ended_at.is_(None))
            .values(ended_at=at)
        )

    async def share_alone(self, regency_codes: Collection[str]) -> None:
        """Until commit, nobody else shares out visits in these cities."""
        for code in sorted(set(regency_codes)):
            key = sa.func.hashtext(code)
            await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(SHARING, key)))

    async def get(self, id: UUID, actor: Actor, at: datetime) -> Visit:
        statement = sa.select(Visit).where(V.id == id, visible_to(actor, at))
        visit = (await self.session.scalars(statement)).one_or_none()
        if visit is None:
            raise NotFound
        return visit

    async def lock(self, id: UUID) -> Visit:
        """The row as it is now, held until commit. A visit is locked before its household."""
        statement = sa.select(Visit).where(V.id == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def lock_open_at(self, household_ids: Sequence[UUID]) -> list[Visit]:
        """The open visits to some households, held until commit, in id order."""
        statement = (
            sa.select(Visit)
            .where(V.household_id.in_(household_ids), V.state == VisitState.OPEN)
            .order_by(V.id)
            .with_for_update()
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def lock_open_for(self, complaint_id: UUID) -> list[Visit]:
        """The open visit for a complaint, if there is one; held until commit."""
        statement = (
            sa.select(Visit)
            .where(V.complaint_id == complaint_id, V.state == VisitState.OPEN)
            .with_for_update()
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def open_at(self, household_id: UUID) -> list[Visit]:
        """The open visits to a household, those for complaints left out."""
        return [one for kind in VisitKind for one in await self.open_of(kind, [household_id])]

    async def by_ids(self, ids: Sequence[UUID]) -> list[Visit]:
        """Some visits, in the order of their ids."""
        statement = sa.select(Visit).where(V.id.in_(ids)).order_by(V.id)
        return list(await self.session.scalars(statement))

    async def page(
        self, actor: Actor, wanted: VisitFilter, before: UUID | None, limit: int, at: datetime
    ) -> list[Visit]:
        """Visits in the actor's sight, newest first."""
        statement = sa.select(Visit).where(visible_to(actor, at))
        for column, value in (
            (V.state, wanted.state),
            (V.kind, wanted.kind),
            (V.assignee_id, wanted.assignee_id),
            (V.household_id, wanted.household_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if wanted.region is not None:
            statement = statement.where(within(V, (wanted.region,)))
        if wanted.overdue is not None:
            late = sa.and_(V.state == VisitState.OPEN, V.due_at <= at)
            statement = statement.where(late if wanted.overdue else sa.not_(late))
        if before is not None:
            statement = statement.where(V.id < before)
        return list(await self.session.scalars(statement.order_by(V.id.desc()).limit(limit)))

    async def open_of(self, kind: VisitKind, household_ids: Sequence[UUID]) -> list[Visit]:
        """The open visits of a kind to some households, those for complaints left out."""
        statement = (
            sa.select(Visit)
            .where(
                V.household_id.in_(household_ids),
                V.kind == kind,
                V.state == VisitState.OPEN,
                V.complaint_id.is_(None),
            )
            .order_by(V.id)
        )
        return list(await self.session.scalars(statement))

    async def for_complaint(self, complaint_id: UUID) -> bool:
        """Whether a visit for a complaint is open, or has been made."""
        statement = sa.select(V.id).where(
            V.complaint_id == complaint_id, V.state != VisitState.CANCELLED
        )
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def links(self, household_id: UUID, actor: Actor, at: datetime) -> bool:
        """Whether a visit in the actor's sight goes to a household."""
        statement = sa.select(V.id).where(V.household_id == household_id, visible_to(actor, at))
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def loads(self, facilitators: Sequence[UUID]) -> dict[UUID, int]:
        """How many open visits each of them has to make."""
        statement = (
            sa.select(V.assignee_id, sa.func.count())
            .where(V.assignee_id.in_(facilitators), V.state == VisitState.OPEN)
            .group_by(V.assignee_id)
        )
        return dict((await self.session.execute(statement)).all())

    async def claim(self, sweep: str, at: datetime, limit: int) -> list[Visit]:
        """Open visits whose next step is due and that no other sweeper holds, oldest first."""
        statement = (
            sa.select(Visit)
            .where(V.next_step_at <= at, V.state == VisitState.OPEN, not_parked(sweep, V.id, at))
            .order_by(V.next_step_at, V.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))


def visible_to(actor: Actor, at: datetime) -> Any:
    """Who may see a visit: the offices of its region, and who is or lately was to make it."""
    seen = [within(V, actor.regions(*READERS))]
    if actor.regions(Role.FACILITATOR):
        since = at - SIGHT_AFTER_ASSIGNMENT
        mine = sa.select(A.visit_id).where(
            A.facilitator_id == actor.id, sa.or_(A.ended_at.is_(None), A.ended_at > since)
        )
        seen.append(V.id.in_(mine))
    return sa.or_(*seen)
