"""The verbs of a complaint: file, change, act. Each locks, checks, changes and appends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Actor, Role
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.events import Events
from app.domain.referrals import ANSWERED, Referral, Referrals, ReferralState, WaitingReferrals
from app.domain.registry_changes import SETTLED as SETTLED_CHANGES
from app.domain.registry_changes import ChangeState, RegistryChange, RegistryChanges
from app.domain.surveys import Surveys
from app.domain.vocabulary import Category, Outcome
from app.workflow.complaints import clock, surveys
from app.workflow.complaints.case import case_of
from app.workflow.complaints.commands import Command, ComplaintAction
from app.workflow.complaints.effects import EFFECTS, Doing
from app.workflow.complaints.table import EVENT_TYPES, MACHINE
from app.workflow.history import log
from app.workflow.referrals.items import tell_waiting
from app.workflow.registry_changes import holding

A, S, R = ComplaintAction, ComplaintState, ReferralState
CLOCK_TOLERANCE = timedelta(minutes=10)
YES = (R.GRANTED, R.BENEFIT_CONFIRMED, ChangeState.CONFIRMED)
LEFT_OUT = (ChangeState.REJECTED, ChangeState.WITHDRAWN)
# These are about what the registry says, whatever programme was asked for along with it.
ABOUT_THE_REGISTRY = (
    Category.INCLUSION_REQUEST, Category.EXCLUSION_OBJECTION, Category.DATA_CORRECTION,
    Category.DEATH_REPORT,
)  # fmt: skip
# What the answers to referrals can come to.
SETTLED = (
    Outcome.GRANTED, Outcome.PARTLY_GRANTED, Outcome.WAITLISTED, Outcome.DECLINED,
    Outcome.CANCELLED,
)  # fmt: skip
OUTCOME_CHANGED = "complaint.outcome_changed"
# By these a registry change may be rejected or withdrawn.
ENDS_CHANGES = (
    A.SUBMIT_SURVEY, A.APPROVE, A.RESOLVE_NOW, A.ANSWER, A.REJECT, A.WITHDRAW,
)  # fmt: skip
# Begun anew for somebody else, though the state stays.
RESTARTS = (A.REASSIGN,)
# What decides on registry changes, and may write them.
DECISIONS = (A.APPROVE, A.FORWARD)


async def act(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    command: Command,
    at: datetime,
    version: int | None = None,
) -> Complaint:
    """Take one action. `version` is the one the caller has read: the survey's for submit_survey.

    Raises what `Machine.check` raises, PreconditionFailed for another version, and what the
    action's own data may be wrong about.
    """
    held: list[RegistryChange] = []
    if command.action in DECISIONS:
        held = await holding.hold_complaint(session, id)
    complaint, others = await _lock(session, id, command.action, held)
    MACHINE.check_role(complaint, command.action, actor)
    at = max(at, complaint.stage_entered_at)
    if command.action is A.SUBMIT_SURVEY:
        if await surveys.is_former(session, actor, complaint):
            await surveys.submit_additional(session, actor, complaint, version, at)
            return complaint
        survey = await Surveys(session).of(complaint.id, lock=True)
        present = survey.version if survey else 0
    else:
        present = complaint.version
    if version is not None and version != present:
        raise PreconditionFailed("stale_version")
    await apply(session, actor, complaint, command, at)
    if others:
        await session.flush()
    for one in others:
        if not await settle(session, one, at):
            await reckon_outcome(session, one, at)
    return complaint


async def _lock(
    session: AsyncSession, id: UUID, action: ComplaintAction, held: Sequence[RegistryChange]
) -> tuple[Complaint, list[Complaint]]:
    """The complaint, and others whose referrals wait for a registry change that came with it, or
    for one of those held, which may fall with it."""
    waiting = await holding.touched(session, held)
    if action in ENDS_CHANGES:
        waiting |= set(await WaitingReferrals(session).holders_waiting_on(id))
    if waiting <= {id}:
        return await Complaints(session).lock(id), []
    locked = await Complaints(session).lock_all(sorted({id, *waiting}))
    [complaint] = [one for one in locked if one.id == id]
    return complaint, [one for one in locked if one.id != id]


async def apply(
    session: AsyncSession, actor: Actor, complaint: Complaint, command: Command, at: datetime
) -> None:
    """Take an action on a locked complaint, by the table."""
    case = await case_of(session, complaint, at)
    if command.action is A.ARCHIVE:
        case.contacts = await Complaints(session).contacts(complaint)
    row = MACHINE.check(case, command.action, actor, command)
    role = MACHINE.role(actor, case, command.action)
    do = Doing(session, case, actor, command, at, at)
    await _set_happened_at(do)
    source = complaint.state
    target = await EFFECTS[command.action](do)
    assert target in row.leads_to(source), f"{command.action} may not lead to {target}"
    complaint.version += 1
    if target is not source or command.action in RESTARTS:
        clock.enter(complaint, target, at)
    else:
        clock.set_clocks(complaint)
    log(
        session, EVENT_TYPES[command.action], complaint, actor, at,
        happened_at=command.happened_at, reason=command.reason, note=command.note, role=role,
        **{"action": command.action, "from": source, "to": target} | do.data,
    )  # fmt: skip
    if target is S.FORWARDED:
        await session.flush()
        if not await settle(session, complaint, at):
            await tell_waiting(session, complaint, at)


async def settle(session: AsyncSession, complaint: Complaint, at: datetime) -> bool:
    """Answer a forwarded complaint once the last of its referrals is answered."""
    if complaint.state is not S.FORWARDED:
        return False
    outcome = await _outcome(session, complaint)
    if outcome is None:
        return False
    await apply(session, SYSTEM, complaint, Command(A.SETTLE, data=outcome), at)
    return True


async def reckon_outcome(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """A later answer changes what an answered complaint came to, as long as it is not told."""
    if complaint.state is not S.ANSWERED or complaint.outcome not in SETTLED:
        return
    outcome = await _outcome(session, complaint)
    if outcome is not None and outcome is not complaint.outcome:
        complaint.outcome = outcome
        complaint.version += 1
        log(session, OUTCOME_CHANGED, complaint, SYSTEM, at, outcome=outcome)


async def _outcome(session: AsyncSession, complaint: Complaint) -> Outcome | None:
    items = (await Referrals(session).items_of([complaint.id]))[complaint.id]
    changes = (await RegistryChanges(session).of_complaints([complaint.id]))[complaint.id]
    return outcome_of(items, changes, complaint.category in ABOUT_THE_REGISTRY)


def outcome_of(
    items: list[Referral], changes: Sequence[RegistryChange] = (), about_registry: bool = False
) -> Outcome | None:
    """What the answers to a complaint's items come to; None while one is still awaited.

    Registry changes count where the complaint is about the registry, or nothing else was asked.
    """
    waits = list(changes) if about_registry or not items else []
    if not all(item.state in ANSWERED for item in items):
        return None
    if not all(change.state in SETTLED_CHANGES for change in waits):
        return None
    counted: list[Any] = [item.state for item in items if item.state is not R.CANCELLED]
    counted += [change.state for change in waits if change.state not in LEFT_OUT]
    if not counted:
        return Outcome.CANCELLED
    if all(state in YES for state in counted):
        return Outcome.GRANTED
    if any(state in YES for state in counted):
        return Outcome.PARTLY_GRANTED
    return Outcome.WAITLISTED if R.WAITLISTED in counted else Outcome.DECLINED


async def _set_happened_at(do: Doing) -> None:
    """When it was done, as claimed where that can be: a tablet's clock may be wrong."""
    claimed = do.command.happened_at
    if do.command.paper:
        do.data["paper"] = True
    if claimed is None:
        return
    if claimed > do.at + CLOCK_TOLERANCE:
        do.data["clock"] = "ahead"
    elif claimed < await Events(do.session).last_step_at(do.complaint.id):
        if _from_a_desk(do):
            raise Invalid(
                "happened_before_previous_step",
                (Fault("happened_before_previous_step", "/happened_at"),),
            )
        do.data["clock"] = "behind"
        do.happened_at = claimed
    else:
        do.happened_at = min(claimed, do.at)


def _from_a_desk(do: Doing) -> bool:
    return do.actor.holds(do.complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)


# Facts of the intake may be corrected until the case is given to a facilitator.
INTAKE_IN = (S.RECEIVED, S.INCOMPLETE, S.AT_SECRETARIAT)
# Referrals and registry changes are drafted until the supervisor has them.
DRAFTED_IN = (*INTAKE_IN, S.ASSIGNED, S.RETURNED)
UNTIL_CLOSED = frozenset(
    {"documents_seen", "documents_waived", "reporter.phone", "reporter.address"}
)
CHANGED, FOUND = "complaint.changed", "complaint.found_by_search"


async def change(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    fields: frozenset[str],
    write: Any,
    version: int,
    at: datetime,
) -> Complaint:
    """Correct what was filed. `fields` are the names changed; `write(complaint)` checks and
    changes them."""
    complaint = await Complaints(session).lock(id)
    if version != complaint.version:
        raise PreconditionFailed("stale_version")
    check_changer(actor, complaint)
    if complaint.state is S.CLOSED or (complaint.state not in INTAKE_IN and fields - UNTIL_CLOSED):
        raise Conflict("no_longer_changeable")
    if not fields:
        return complaint
    await write(complaint)
    complaint.version += 1
    log(session, CHANGED, complaint, actor, at, fields=sorted(fields))
    return complaint


def check_changer(actor: Actor, complaint: Complaint) -> None:
    """Raises Forbidden where the role never changes a complaint: desk and assigned facilitator."""
    desk = actor.holds(complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
    if not desk and complaint.assigned_to != actor.id:
        raise Forbidden("role_not_allowed")
