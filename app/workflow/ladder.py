"""Walking the ladder: reminders, levels and broken promises, each taken once and told to people."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Role
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.referrals import Referral, ReferralState
from app.workflow import facilitators
from app.workflow.complaints import clock
from app.workflow.complaints.case import Case, case_of, staff_of
from app.workflow.complaints.commands import Command, ComplaintAction, Facilitator
from app.workflow.complaints.table import LADDER, MACHINE
from app.workflow.complaints.verbs import apply
from app.workflow.parties import ASSIGNED, DESK, HANDLER, HEAD, MANAGER, PUSKESOS, told
from app.workflow.referrals import clock as referral_clock
from app.workflow.telling import tell_once

A, S, R = ComplaintAction, ComplaintState, ReferralState
REMINDED, ESCALATED, BREACHED = "complaint.reminded", "complaint.escalated", "complaint.breached"
OWNER_REMINDED, TELLER_REMINDED = "referral.owner_asked", "referral.teller_reminded"
STEPS = (Step.REMINDER, Step.LEVEL_1, Step.LEVEL_2)
INCOMPLETE_STEPS = (Step.DAY_7, Step.DAY_21, Step.DAY_30)


async def take_step(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """The next step of a locked complaint's stage: told once, then the one after it is set."""
    case = await case_of(session, complaint, at, staffed=True)
    if complaint.state is S.INCOMPLETE:
        await _incomplete(session, case, at)
        return
    number = complaint.steps_taken
    step, due_at = STEPS[number], complaint.next_step_at or at
    stage = str(complaint.stage)
    if number > 0 and await _system_acts(session, case, step, at):
        await Notifications(session).record(complaint, stage, step, at, due_at, 1)
        return
    people = _people(case, number)
    await tell_once(
        session, SubjectKind.COMPLAINT, complaint, stage, step, people,
        ESCALATED if number else REMINDED, at, due_at, level=number,
    )  # fmt: skip
    complaint.steps_taken = number + 1
    complaint.escalation_level = number
    complaint.next_step_at = clock.step_moment(complaint, number + 1)


async def breach(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """The promise of a locked complaint is broken: once per deadline, told to manager and head."""
    case = await case_of(session, complaint, at, staffed=True)
    people = [*told(MANAGER, case), *told(HEAD, case)]
    stage = f"deadline {complaint.deadline_at.isoformat()}"
    complaint.breached_at = at
    await tell_once(
        session, SubjectKind.COMPLAINT, complaint, stage, Step.BREACH, people, BREACHED, at,
        complaint.deadline_at,
    )  # fmt: skip


def holders(case: Case) -> list[UUID]:
    """Who holds a complaint now: the people its stage waits for."""
    if case.complaint.assigned_to is not None and LADDER[case.state].holder is ASSIGNED:
        return told(ASSIGNED, case)
    # Whoever may not decide on this one is not waited for: then it is with those who may.
    able = [one for one in case.staff.people if MACHINE.advancing(case, one)]
    party = PUSKESOS if case.state is S.RECEIVED else LADDER[case.state].holder
    first = [one.id for one in able if party and party.may(one, case)]
    return first or [one.id for one in able]


def _people(case: Case, number: int) -> list[UUID]:
    if case.confidential:
        return told(HANDLER, case)
    ladder = LADDER[case.state]
    rung = (None, ladder.level_1.party, ladder.level_2.party)[number]
    people = told(rung, case) if rung else holders(case)
    # A level without people is told to the next who can act, rather than to nobody.
    return people or told(MANAGER, case) or told(HEAD, case)


async def _system_acts(session: AsyncSession, case: Case, step: Step, at: datetime) -> bool:
    """What the system does itself at a level: assign its proposal, or send somebody else."""
    complaint = case.complaint
    without: UUID | None
    if step is Step.LEVEL_1 and case.state is S.AT_SECRETARIAT and case.visit_needed:
        action, without = A.ASSIGN, None
    elif (
        step is Step.LEVEL_2
        and LADDER[case.state].level_2.system
        and not complaint.visit_attempts
        and not complaint.system_reassigned
    ):
        action, without = A.REASSIGN, complaint.assigned_to
    else:
        return False
    proposed = await facilitators.propose(session, complaint, (without,))
    if proposed is None:
        return False
    command = Command(action, data=Facilitator(facilitator_id=proposed))
    await apply(session, SYSTEM, complaint, command, at)
    complaint.system_reassigned = action is A.REASSIGN
    return True


async def _incomplete(session: AsyncSession, case: Case, at: datetime) -> None:
    """Days 7 and 21 remind the desk; day 30 archives, once somebody tried to reach the citizen."""
    complaint, number = case.complaint, case.complaint.steps_taken
    if number == 2 and await Complaints(session).contacts(complaint):
        await apply(session, SYSTEM, complaint, Command(A.ARCHIVE), at)
        return
    people = told(DESK, case)
    due_at = complaint.next_step_at or at
    await tell_once(
        session, SubjectKind.COMPLAINT, complaint, str(complaint.stage), INCOMPLETE_STEPS[number],
        people, REMINDED, at, due_at, level=0,
    )  # fmt: skip
    if number < 2:
        complaint.steps_taken = number + 1
        complaint.next_step_at = clock.step_moment(complaint, number + 1)
    else:
        # A contact attempt is asked for first; look again tomorrow.
        complaint.next_step_at = at + timedelta(days=1)


async def tell_answer(session: AsyncSession, referral: Referral, at: datetime) -> None:
    """A locked referral whose late answer nobody has told: reminder, desk, supervisor."""
    complaint = await Complaints(session).peek(referral.complaint_id)
    staff = await staff_of(session, referral.regency_code)
    number, due_at = referral.steps_taken, referral.next_step_at or at
    # The office that has the complaint now, wherever its referral was sent from.
    here = complaint.village_code
    people = [one.id for one in staff.holding(here, Role.PUSKESOS_OFFICER, *SECRETARIAT)]
    if number == 0 and complaint.assigned_to is not None:
        people = [complaint.assigned_to]
    elif number == 2:
        supervisors = staff.holding(here, Role.SUPERVISOR)
        managers = staff.holding(here, Role.MANAGER)
        people = [one.id for one in supervisors or managers]
    stage = f"{referral.stage} tell"
    await tell_once(
        session, SubjectKind.REFERRAL, referral, stage, STEPS[number], people, TELLER_REMINDED,
        at, due_at, level=number,
    )  # fmt: skip
    referral.steps_taken = number + 1
    referral.next_step_at = referral_clock.tell_moment(referral.stage_entered_at, number + 1)


async def ask_owner(session: AsyncSession, referral: Referral, at: datetime) -> None:
    """A locked referral past its date: ask again, tell the facilitator, at 120 days the manager."""
    complaint = await Complaints(session).peek(referral.complaint_id)
    staff = await staff_of(session, referral.regency_code)
    due_at = referral.next_step_at or at
    step, following = Step.OWNER_ASKED, referral_clock.next_step(referral, due_at)
    people = staff.owning(referral.village_code, referral.program_code)
    if referral.state is R.INFO_REQUESTED:
        step, people = Step.INFO_REQUESTED, staff.holding(referral.village_code, *SECRETARIAT)
        following = at + timedelta(days=3)
    elif referral.state is R.WAITLISTED:
        # Asked, it has 90 days again.
        following = referral.due_at = at + timedelta(days=90)
    elif due_at != referral.due_at:
        step, people = Step.UNANSWERED, staff.holding(referral.village_code, Role.MANAGER)
    ids = [one.id for one in people]
    if complaint.assigned_to and step is not Step.UNANSWERED:
        ids.append(complaint.assigned_to)
    stage = f"{referral.stage} {due_at.isoformat()}"
    await tell_once(
        session, SubjectKind.REFERRAL, referral, stage, step, ids, OWNER_REMINDED, at, due_at,
        step=step,
    )  # fmt: skip
    referral.next_step_at = following
