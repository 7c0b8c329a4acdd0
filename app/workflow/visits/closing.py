"""Visits whose reason is gone: called off by the system, or sent to where the household is now."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM
from app.domain.base import move_to, region_of
from app.domain.households import Household
from app.domain.visits import Visit, Visits, VisitState
from app.workflow.history import log
from app.workflow.visits.table import EVENT_TYPES, MOVED, VisitAction

COMPLAINT_ENDED, MERGED, REMOVED = "complaint_ended", "household_merged", "household_removed"


async def call_off_for(session: AsyncSession, complaint_id: UUID, at: datetime) -> None:
    """A complaint has ended without the visit that was to follow it."""
    for visit in await Visits(session).lock_open_for(complaint_id):
        await _call_off(session, visit, COMPLAINT_ENDED, at)


async def call_off_at(session: AsyncSession, household_id: UUID, at: datetime) -> None:
    """The registry no longer has a household. What a complaint waits for is still visited."""
    for visit in await Visits(session).lock_open_at([household_id]):
        if visit.complaint_id is None:
            await _call_off(session, visit, REMOVED, at)


async def move(
    session: AsyncSession, household_id: UUID, into: Household, at: datetime
) -> list[UUID]:
    """The open visits to a household go to another one; those that it has already are called off.

    Returns which have gone there.
    """
    visits = Visits(session)
    has = {one.kind for one in await visits.open_at(into.id)}
    moved = []
    for visit in await visits.lock_open_at([household_id]):
        if visit.complaint_id is None and visit.kind in has:
            await _call_off(session, visit, MERGED, at)
        else:
            _send(session, visit, into, at)
            moved.append(visit.id)
    await session.flush()
    return moved


async def move_back(
    session: AsyncSession, ids: list[UUID], from_id: UUID, household: Household, at: datetime
) -> None:
    """Undo `move`, as far as they are still open there."""
    for visit in await Visits(session).lock_open_at([from_id]):
        if visit.id in ids:
            _send(session, visit, household, at)


def _send(session: AsyncSession, visit: Visit, household: Household, at: datetime) -> None:
    visit.household_id = household.id
    move_to(visit, region_of(household))
    visit.version += 1
    log(session, MOVED, visit, SYSTEM, at, household_id=str(household.id))


async def _call_off(session: AsyncSession, visit: Visit, reason: str, at: datetime) -> None:
    source, visit.state = visit.state, VisitState.CANCELLED
    visit.done_at, visit.next_step_at = at, None
    visit.version += 1
    await Visits(session).end_assignment(visit, at)
    said: dict[str, Any] = {"action": VisitAction.CANCEL, "from": source, "to": visit.state}
    log(session, EVENT_TYPES[VisitAction.CANCEL], visit, SYSTEM, at, reason=reason, **said)
