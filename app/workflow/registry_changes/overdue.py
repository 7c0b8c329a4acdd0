"""Walking the ladder of a change that no complaint carries: reminder, level 1, level 2."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.notifications import Step, SubjectKind
from app.domain.registry_changes import RegistryChange
from app.workflow.parties import HEAD, MANAGER, told
from app.workflow.registry_changes import clock
from app.workflow.registry_changes.table import LADDER
from app.workflow.registry_changes.verbs import case_of
from app.workflow.telling import tell_once

REMINDED, ESCALATED = "registry_change.reminded", "registry_change.escalated"
STEPS = (Step.REMINDER, Step.LEVEL_1, Step.LEVEL_2)


async def take_step(session: AsyncSession, change: RegistryChange, at: datetime) -> None:
    """The next step of a locked change's stage: told once, then the one after it is set."""
    case = await case_of(session, change)
    ladder, number = LADDER[change.state], change.steps_taken
    party = (ladder.holder, ladder.level_1.party, ladder.level_2.party)[number]
    people = told(party, case) if party else []
    # A level without people is told to the next who can act, rather than to nobody.
    people = people or told(MANAGER, case) or told(HEAD, case)
    step, due_at = STEPS[number], change.next_step_at or at
    await tell_once(
        session, SubjectKind.REGISTRY_CHANGE, change, str(change.stage), step, people,
        ESCALATED if number else REMINDED, at, due_at, level=number,
    )  # fmt: skip
    change.steps_taken = number + 1
    change.escalation_level = number
    change.next_step_at = clock.step_moment(change, number + 1)
