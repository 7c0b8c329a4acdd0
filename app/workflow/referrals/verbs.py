"""The verbs of a referral: what owners answer, and what the office replies, cancels and tells."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Conflict, PreconditionFailed
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.referrals import CLOSED_ANSWERS, Origin, Referral, Referrals, ReferralState
from app.domain.vocabulary import DeliveryResult
from app.workflow import needs
from app.workflow.complaints import centre
from app.workflow.complaints import verbs as complaints
from app.workflow.complaints.case import staff_of
from app.workflow.complaints.commands import ActionData, AnswerDelivered, Command
from app.workflow.complaints.verbs import DRAFTED_IN
from app.workflow.needs import ProgramNeed
from app.workflow.referrals import items, participation, quotas
from app.workflow.referrals.steps import note_step, step
from app.workflow.referrals.table import MACHINE, DeclineReason, ReferralAction, ReferralCase

A, R = ReferralAction, ReferralState
DATA: dict[ReferralAction, type[ActionData]] = {A.DELIVER_ANSWER: AnswerDelivered}


@dataclass(slots=True)
class Doing:
    session: AsyncSession
    referral: Referral
    complaint: Complaint
    actor: Actor
    command: Command
    at: datetime
    held: quotas.Held = ()
    data: dict[str, Any] = field(default_factory=dict)


Effect = Callable[[Doing], Awaitable[ReferralState]]


async def act(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    command: Command,
    at: datetime,
    version: int | None = None,
) -> Referral:
    """Take one action on a referral, and settle the complaints that waited for it.

    Complaints are locked before their referrals, everywhere, so that two writers queue up.
    """
    referrals = Referrals(session)
    holders = await Complaints(session).lock_all(await referrals.holders(id))
    held: quotas.Held = ()
    if command.action in (*ANSWERS, A.CONFIRM_BENEFIT):
        seen = await referrals.peek(id)
        await participation.hold(session, seen)
        held = await quotas.lock(session, [seen])
    referral = await referrals.lock(id)
    if late := set(await referrals.holders(id)) - {one.id for one in holders}:
        holders += await Complaints(session).lock_all(sorted(late))
    complaint = next((one for one in holders if one.id == referral.complaint_id), None)
    case = ReferralCase(
        referral, complaint or await Complaints(session).peek(referral.complaint_id)
    )
    MACHINE.check_role(case, command.action, actor)
    if version is not None and version != referral.version:
        raise PreconditionFailed("stale_version")
    row = MACHINE.check(case, command.action, actor, command)
    at = max(at, referral.stage_entered_at)
    role = MACHINE.role(actor, case, command.action)
    do = Doing(session, referral, case.complaint, actor, command, at, held)
    source = referral.state
    target = await EFFECTS[command.action](do)
    assert target in row.leads_to(source)
    if command.reason is not None:
        referral.reason = command.reason
    event = {
        "reason": command.reason, "note": command.note, "happened_at": command.happened_at,
        "role": role,
    }  # fmt: skip
    if target is source and command.action is not A.WAITLIST:
        # The stage goes on, and with it its dates; on a waiting list one waits anew.
        note_step(session, referral, command.action, actor, at, **event, **do.data)
    else:
        step(session, referral, command.action, target, actor, at, **event, **do.data)
    await _move_line(do, target)
    if command.action in RECEIPTS:
        # Who holds it by a link only may not be forwarded yet.
        with_owner = [one for one in holders if one.forwarded_at is not None]
        centre.arrived(session, with_owner, actor, at, referral_id=str(referral.id))
    await session.flush()
    settled_before = [one for one in holders if not await complaints.settle(session, one, at)]
    for one in settled_before:
        await complaints.reckon_outcome(session, one, at)
    if command.action in ANSWERS:
        await items.answered(session, settled_before, referral, at)
    return referral


async def _move_line(do: Doing, target: ReferralState) -> None:
    """What an answer means for the quota, once the referral stands where it leads."""
    if target is R.WAITLISTED and do.command.action is A.WAITLIST:
        await quotas.stand_in_line(do.session, do.held, do.referral, do.at)
    elif target in (R.DECLINED, R.CANCELLED):
        await quotas.give_back(do.session, do.held, do.referral, do.at)


async def acknowledge(do: Doing) -> ReferralState:
    do.referral.received_at = do.at
    return R.RECEIVED


async def grant(do: Doing) -> ReferralState:
    await quotas.use(do.held, do.referral, do.at)
    await participation.granted(do.session, do.referral, do.at)
    return _answered(do, R.GRANTED)


async def decline(do: Doing) -> ReferralState:
    if do.command.reason == DeclineReason.ALREADY_SERVED:
        await participation.claimed(do.session, do.referral, do.at)
    return _answered(do, R.DECLINED)


async def waitlist(do: Doing) -> ReferralState:
    return _answered(do, R.WAITLISTED)


async def ask(do: Doing) -> ReferralState:
    staff = await staff_of(do.session, do.referral.regency_code)
    people = [one.id for one in staff.holding(do.referral.village_code, *SECRETARIAT)]
    if do.complaint.assigned_to:
        people.append(do.complaint.assigned_to)
    Notifications(do.session).tell(
        people, SubjectKind.REFERRAL, do.referral, Step.INFO_REQUESTED, do.at
    )
    return R.INFO_REQUESTED


async def reply(do: Doing) -> ReferralState:
    # Who asks has received it, whether or not it said so before.
    do.referral.received_at = do.referral.received_at or do.referral.stage_entered_at
    return R.RECEIVED


async def cancel(do: Doing) -> ReferralState:
    do.referral.informed_at = None
    return R.CANCELLED


async def deliver_answer(do: Doing) -> ReferralState:
    data = do.command.data
    do.data |= {"how": data.how, "result": data.result}
    if data.result is DeliveryResult.TOLD:
        do.referral.informed_at = do.at
        if do.referral.state in CLOSED_ANSWERS:
            do.referral.due_at = do.referral.next_step_at = None
    return do.referral.state


async def confirm_benefit(do: Doing) -> ReferralState:
    await participation.confirmed(do.session, do.referral, do.at)
    return R.BENEFIT_CONFIRMED


EFFECTS: dict[ReferralAction, Effect] = {
    A.ACKNOWLEDGE: acknowledge,
    A.GRANT: grant,
    A.DECLINE: decline,
    A.WAITLIST: waitlist,
    A.ASK: ask,
    A.REPLY: reply,
    A.CANCEL: cancel,
    A.DELIVER_ANSWER: deliver_answer,
    A.CONFIRM_BENEFIT: confirm_benefit,
}
ANSWERS = (A.GRANT, A.DECLINE, A.WAITLIST, A.CANCEL)
# By these its owner says, or shows, that it has come.
RECEIPTS = (A.ACKNOWLEDGE, A.GRANT, A.DECLINE, A.WAITLIST, A.ASK)


def _answered(do: Doing, state: ReferralState) -> ReferralState:
    """An answer is receipt too; a new answer is to be told again."""
    do.referral.received_at = do.referral.received_at or do.at
    do.referral.answered_at = do.at
    do.referral.informed_at = None
    do.referral.reason = None
    return state


async def draft(
    session: AsyncSession, actor: Actor, complaint_id: UUID, need: ProgramNeed, at: datetime
) -> Referral:
    """A referral drafted by the desk or the assigned facilitator, before the supervisor decides.

    The caller has checked the role. Raises Conflict `too_late_to_draft` afterwards.
    """
    complaint = await Complaints(session).lock(complaint_id)
    if complaint.state not in DRAFTED_IN:
        raise Conflict("too_late_to_draft")
    await needs.check(session, complaint, [need], "")
    held = (await Referrals(session).items_of([complaint.id], lock=True))[complaint.id]
    referral = await needs.draft(session, complaint, need, Origin.DESK, actor, at, held)
    complaint.version += 1
    return referral
