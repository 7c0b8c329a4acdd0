"""What waits too long for the centre: first those who make batches are told, then the manager.

A working day is Monday to Friday in Asia/Jakarta; public holidays are not known yet.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Role
from app.domain.base import JAKARTA
from app.domain.dispatches import STAGES, Dispatch
from app.domain.notifications import Step, SubjectKind
from app.domain.registry_changes import RegistryChange
from app.workflow.complaints.case import staff_of
from app.workflow.telling import tell_once

CHANGE_OVERDUE, DISPATCH_OVERDUE = "registry_change.undispatched", "dispatch.overdue"
DAY = timedelta(days=1)
# The centre has thirty days for its answer; a week later the manager is told, too.
ANSWER_WITHIN = (timedelta(days=30), timedelta(days=37))

Moments = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Overdue:
    """Something that waits, since when, and which waits are long enough for the two steps."""

    subject: Any
    kind: SubjectKind
    step: Step
    event: str
    since: datetime
    moments: Moments
    stage: str = ""


def undispatched_since(at: datetime) -> Moments:
    """What has waited since before these has waited for one, and for two, working days."""
    return working_days_before(at, 1), working_days_before(at, 2)


def unanswered_since(at: datetime) -> Moments:
    return at - ANSWER_WITHIN[0], at - ANSWER_WITHIN[1]


def working_days_before(at: datetime, days: int) -> datetime:
    """The moment from which as many working days of 24 hours lead to `at`."""
    local = at.astimezone(JAKARTA)
    if local.weekday() >= 5:
        local = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(days):
        local -= DAY
        while local.weekday() >= 5:
            local -= DAY
    return local.astimezone(at.tzinfo)


async def remind_of_change(session: AsyncSession, change: RegistryChange, at: datetime) -> None:
    """A locked change that was approved and is in no batch."""
    overdue = Overdue(
        change, SubjectKind.REGISTRY_CHANGE, Step.UNDISPATCHED, CHANGE_OVERDUE,
        change.stage_entered_at, undispatched_since(at), f"{change.stage} ",
    )  # fmt: skip
    await _remind(session, overdue, at)


async def remind_of_dispatch(session: AsyncSession, dispatch: Dispatch, at: datetime) -> None:
    """A locked batch that is not at the centre, or that the centre has not answered."""
    step, since, moments = Step.UNDISPATCHED, dispatch.made_at, undispatched_since(at)
    if dispatch.uploaded_at is not None:
        step, since, moments = Step.UNACKNOWLEDGED, dispatch.uploaded_at, unanswered_since(at)
    overdue = Overdue(dispatch, SubjectKind.DISPATCH, step, DISPATCH_OVERDUE, since, moments)
    await _remind(session, overdue, at)


async def _remind(session: AsyncSession, one: Overdue, at: datetime) -> None:
    """Take each step that is due, once."""
    city = one.subject.regency_code
    staff = await staff_of(session, city)
    people = (*SECRETARIAT, Role.PROGRAM_MANAGER) if one.step is Step.UNDISPATCHED else SECRETARIAT
    told = (
        staff.holding(city, *people),
        # A level without people is told to the next who can act, rather than to nobody.
        staff.holding(city, Role.MANAGER) or staff.holding(city, Role.HEAD),
    )
    for level, (stage, moment) in enumerate(zip(STAGES, one.moments, strict=True)):
        if one.since <= moment:
            ids = [actor.id for actor in told[level]]
            await tell_once(
                session, one.kind, one.subject, one.stage + stage, one.step, ids, one.event, at,
                one.since, level=level,
            )  # fmt: skip
