"""The verbs of a visit: given to another, tried, surveyed, called off."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.errors import Fault, Invalid, PreconditionFailed
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.principals import Principals
from app.domain.surveys import Surveys
from app.domain.visits import Visit, Visits, VisitState
from app.domain.vocabulary import VisitResult
from app.workflow.complaints.commands import ActionData, Command, Facilitator, OnBehalfOf
from app.workflow.history import log
from app.workflow.visits import findings, surveys
from app.workflow.visits.findings import Attempt
from app.workflow.visits.overdue import put_off
from app.workflow.visits.table import EVENT_TYPES, MACHINE, VisitAction, VisitCase

A, S = VisitAction, VisitState
DATA: dict[VisitAction, type[ActionData]] = {
    A.REASSIGN: Facilitator,
    A.RECORD_ATTEMPT: Attempt,
    A.SUBMIT_SURVEY: OnBehalfOf,
}
ATTEMPTS_AT_MOST = 3
COME_AGAIN = (VisitResult.NOT_HOME, VisitResult.ADDRESS_NOT_FOUND)
TOMORROW = timedelta(days=1)
CLOCK_TOLERANCE = timedelta(minutes=10)
# What somebody new has at least, however late the visit is.
TIME_FOR_ANOTHER = timedelta(days=3)


@dataclass(slots=True)
class Doing:
    session: AsyncSession
    visit: Visit
    actor: Actor
    command: Command
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


Effect = Callable[[Doing], Awaitable[VisitState]]


async def act(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    command: Command,
    at: datetime,
    version: int | None = None,
) -> Visit:
    """Take one action. `version` is the one the caller has read: the survey's for submit_survey.

    Raises what `Machine.check` raises, PreconditionFailed for another version, and what the
    action's own data may be wrong about.
    """
    visit = await Visits(session).lock(id)
    case = VisitCase(visit)
    MACHINE.check_role(case, command.action, actor)
    present = visit.version
    if command.action is A.SUBMIT_SURVEY:
        survey = await Surveys(session).of_visit(visit.id, lock=True)
        present = survey.version if survey else 0
    if version is not None and version != present:
        raise PreconditionFailed("stale_version")
    row = MACHINE.check(case, command.action, actor, command)
    role = MACHINE.role(actor, case, command.action)
    do = Doing(session, visit, actor, command, max(at, visit.assigned_at))
    if command.happened_at is not None and command.happened_at > do.at + CLOCK_TOLERANCE:
        do.data["clock"] = "ahead"
    source = visit.state
    target = await EFFECTS[command.action](do)
    assert target in row.leads_to(source)
    visit.version += 1
    if target is not source:
        visit.state, visit.done_at, visit.next_step_at = target, do.at, None
        await Visits(session).end_assignment(visit, do.at)
    log(
        session, EVENT_TYPES[command.action], visit, actor, do.at,
        happened_at=command.happened_at, reason=command.reason, note=command.note, role=role,
        **{"action": command.action, "from": source, "to": target} | do.data,
    )  # fmt: skip
    return visit


async def reassign(do: Doing) -> VisitState:
    visit, chosen = do.visit, do.command.data.facilitator_id
    await _check_facilitator(do, chosen, "/data/facilitator_id")
    if chosen == visit.assignee_id:
        raise Invalid("same_facilitator", (Fault("same_facilitator", "/data/facilitator_id"),))
    visit.assignee_id = chosen
    do.data["assigned_to"] = str(chosen)
    await Visits(do.session).begin_assignment(visit, do.at)
    put_off(visit, do.at + TIME_FOR_ANOTHER)
    Notifications(do.session).tell([chosen], SubjectKind.VISIT, visit, Step.ASSIGNED, do.at)
    return S.OPEN


async def record_attempt(do: Doing) -> VisitState:
    visit, attempt = do.visit, do.command.data
    visit.attempts += 1
    visit.last_result = attempt.result
    do.data["result"] = attempt.result
    if attempt.result in COME_AGAIN and visit.attempts < ATTEMPTS_AT_MOST:
        put_off(visit, do.at + TOMORROW)
        return S.OPEN
    await findings.follow(do.session, visit, attempt, do.actor, do.at)
    return S.DONE


async def submit_survey(do: Doing) -> VisitState:
    visit, surveyor = do.visit, do.actor.id
    named = do.command.data and do.command.data.on_behalf_of
    if named is None and surveyor != visit.assignee_id:
        raise Invalid("missing", (Fault("missing", "/data/on_behalf_of"),))
    if named is not None:
        await _check_facilitator(do, named, "/data/on_behalf_of")
        surveyor = named
        do.data["on_behalf_of"] = str(surveyor)
    await surveys.submit(do.session, visit, surveyor, do.actor, do.at)
    return S.DONE


async def cancel(do: Doing) -> VisitState:
    return S.CANCELLED


EFFECTS: dict[VisitAction, Effect] = {
    A.REASSIGN: reassign,
    A.RECORD_ATTEMPT: record_attempt,
    A.SUBMIT_SURVEY: submit_survey,
    A.CANCEL: cancel,
}


async def _check_facilitator(do: Doing, id: UUID, pointer: str) -> None:
    """Raises Invalid unless it is an active facilitator of the visit's city."""
    city = await Principals(do.session).facilitators(do.visit.regency_code)
    if not any(one.id == id and one.regions(Role.FACILITATOR) for one in city):
        raise Invalid("unknown_facilitator", (Fault("unknown_facilitator", pointer),))
