"""Visits that are late: the facilitator is reminded, a day later the supervisor is told."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Role
from app.domain.notifications import Step, SubjectKind
from app.domain.visits import Visit
from app.workflow.complaints.case import staff_of
from app.workflow.telling import tell_once
from app.workflow.visits.table import ESCALATED, REMINDED

TOLD_AFTER = timedelta(days=1)


async def take_step(session: AsyncSession, visit: Visit, at: datetime) -> None:
    """The next step of a locked visit that is due, taken once for each date it was due on."""
    level = visit.steps_taken
    step = Step.LEVEL_1 if level else Step.REMINDER
    people = [visit.assignee_id] if visit.assignee_id else []
    if level:
        staff = await staff_of(session, visit.regency_code)
        # A level without people is told to the next who can act, rather than to nobody.
        above = staff.holding(visit.village_code, Role.SUPERVISOR) or staff.holding(
            visit.village_code, Role.MANAGER
        )
        people = [one.id for one in above]
    stage = f"due {visit.due_at.isoformat()}"
    due_at = visit.next_step_at or at
    event = ESCALATED if level else REMINDED
    await tell_once(
        session, SubjectKind.VISIT, visit, stage, step, people, event, at, due_at, level=level
    )
    visit.steps_taken = level + 1
    visit.next_step_at = None if level else visit.due_at + TOLD_AFTER


def put_off(visit: Visit, due_at: datetime) -> None:
    """A visit is due no earlier than this; if that is later than before, its steps begin anew."""
    if due_at > visit.due_at:
        visit.due_at = visit.next_step_at = due_at
        visit.steps_taken = 0
