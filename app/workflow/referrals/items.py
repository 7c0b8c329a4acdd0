"""What a complaint does to its referrals: approve, take back, send and cancel them together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict
from app.domain.households import Households, Member
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.referrals import CLOSED_ANSWERS, OPEN, Origin, Referral, Referrals, ReferralState
from app.domain.registry_changes import UNDECIDED, RegistryChanges
from app.workflow.history import log
from app.workflow.referrals import clock
from app.workflow.referrals.table import EVENT_TYPES, LINKED, UNLINKED, ReferralAction

A, R = ReferralAction, ReferralState
# A complaint in these states has had its items approved.
APPROVED_IN = (ComplaintState.AWAITING_MANAGER, ComplaintState.FORWARDED)
# Why nothing is asked any more for somebody: the death is believed, or reported and not decided.
DECEASED, DEATH_REPORTED = "deceased", "death_reported"


def step(
    session: AsyncSession,
    referral: Referral,
    action: ReferralAction,
    to: ReferralState,
    actor: Actor,
    at: datetime,
    **event: Any,
) -> None:
    """Move a locked referral and log it."""
    source = referral.state
    clock.enter(referral, to, at)
    referral.version += 1
    log(
        session, EVENT_TYPES[action], referral, actor, at,
        **{"action": action, "from": source, "to": to, "complaint_id": str(referral.complaint_id)}
        | event,
    )  # fmt: skip


def note_step(
    session: AsyncSession,
    referral: Referral,
    action: ReferralAction,
    actor: Actor,
    at: datetime,
    **event: Any,
) -> None:
    """Log a step that leaves a referral where it stands."""
    referral.version += 1
    log(
        session, EVENT_TYPES[action], referral, actor, at,
        **{"action": action, "from": referral.state, "to": referral.state,
           "complaint_id": str(referral.complaint_id)} | event,
    )  # fmt: skip


async def approve(
    session: AsyncSession,
    complaint: Complaint,
    refused: dict[UUID, str],
    actor: Actor,
    at: datetime,
) -> None:
    """Item by item: the refused are cancelled (or unlinked), the others approved.

    A need that somebody else has opened meanwhile becomes a link to it. What is for somebody who
    is reported dead is cancelled. Raises Conflict `nothing_to_forward` where that was all.
    """
    items = await _items(session, complaint)
    for item in items:
        if item.id in refused:
            await cancel_one(session, complaint, item, refused[item.id], actor, at)
    dropped = await _drop_the_dead(session, complaint, items, at)
    if dropped and not await _is_anything_left(session, complaint):
        raise Conflict("nothing_to_forward")
    # The same order for everybody, so that two approvals cannot wait for each other.
    drafts = sorted(
        (one for one in items if one.state is R.DRAFT and one.id not in refused),
        key=lambda one: (one.beneficiary_key, one.program_code, one.purpose),
    )
    referrals = Referrals(session)
    for draft in drafts:
        await referrals.lock_need(draft.beneficiary_key, draft.program_code, draft.purpose)
        other = await referrals.open_for(draft.beneficiary_key, draft.program_code, draft.purpose)
        if other is None:
            step(session, draft, A.APPROVE, R.APPROVED, actor, at)
            await session.flush()
            continue
        origin = (await referrals.origins(complaint.id))[draft.id]
        await cancel_one(session, complaint, draft, "linked", SYSTEM, at)
        await referrals.unlink(complaint.id, draft.id)
        link(session, complaint, other, origin, actor, at)


def link(
    session: AsyncSession,
    complaint: Complaint,
    referral: Referral,
    origin: Origin,
    actor: Actor,
    at: datetime,
) -> None:
    """Let a complaint hold a referral that another one opened."""
    Referrals(session).link(complaint.id, referral, origin)
    log(session, LINKED, referral, actor, at, linked_complaint_id=str(complaint.id))


async def take_back(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """Approved items go back to draft, but for those that another approved complaint holds."""
    for item in await _items(session, complaint):
        if item.state is R.APPROVED and not await _approved_elsewhere(session, complaint, item):
            step(session, item, A.RETURN, R.DRAFT, SYSTEM, at)


async def send(session: AsyncSession, complaint: Complaint, actor: Actor, at: datetime) -> None:
    """Send what is approved: from now on it is with its owner.

    What is for somebody who was reported dead meanwhile is cancelled.
    """
    items = await _items(session, complaint)
    await _drop_the_dead(session, complaint, items, at)
    for item in items:
        if item.state is R.APPROVED:
            item.sent_at = at
            step(session, item, A.SEND, R.SENT, actor, at)


async def _drop_the_dead(
    session: AsyncSession, complaint: Complaint, items: Sequence[Referral], at: datetime
) -> bool:
    """Cancel what has not been sent and is for somebody on hold. Whether there was any."""
    unsent = [one for one in items if one.state in (R.DRAFT, R.APPROVED) and one.member_id]
    named = [one.member_id for one in unsent if one.member_id is not None]
    people: dict[Any, Member] = await Households(session).members_by_ids(named)
    held = [one for one in unsent if people[one.member_id].hold_change_id is not None]
    for item in held:
        reason = DEATH_REPORTED if people[item.member_id].alive else DECEASED
        await cancel_one(session, complaint, item, reason, SYSTEM, at)
    return bool(held)


async def _is_anything_left(session: AsyncSession, complaint: Complaint) -> bool:
    changes = (await RegistryChanges(session).of_complaints([complaint.id]))[complaint.id]
    left = [one for one in changes if one.state in UNDECIDED]
    items = await _items(session, complaint)
    return bool(left) or any(one.state in (R.DRAFT, *OPEN) for one in items)


async def cancel(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """A complaint that ends before it was forwarded takes its items along."""
    for item in await _items(session, complaint):
        if item.state in (R.DRAFT, *OPEN):
            await cancel_one(session, complaint, item, "complaint_ended", SYSTEM, at)


async def cancel_one(
    session: AsyncSession,
    complaint: Complaint,
    item: Referral,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    """Cancel an item for one complaint: it is only unlinked while another one holds it."""
    referrals = Referrals(session)
    others = [id for id in await referrals.holders(item.id) if id != complaint.id]
    if not others and item.state in (R.DRAFT, R.APPROVED):
        item.reason = reason
        step(session, item, A.CANCEL, R.CANCELLED, actor, at, reason=reason)
        return
    if not others:
        # Already with its owner, by a link whose first complaint is gone: it stays there.
        return
    await referrals.unlink(complaint.id, item.id)
    log(session, UNLINKED, item, actor, at, unlinked_complaint_id=str(complaint.id), reason=reason)
    if item.complaint_id == complaint.id:
        item.complaint_id = others[0]
        if item.state is R.APPROVED and not await _approved_elsewhere(session, complaint, item):
            step(session, item, A.RETURN, R.DRAFT, SYSTEM, at)


def answered(
    session: AsyncSession, complaints: Sequence[Complaint], referral: Referral, at: datetime
) -> None:
    """Tell the facilitators of complaints that were settled before: each answer is told.

    Where all of them are closed, nobody else would see that it still is to be told.
    """
    for complaint in complaints:
        late = complaint.state in (ComplaintState.ANSWERED, ComplaintState.CLOSED)
        if late and complaint.assigned_to is not None:
            Notifications(session).tell(
                [complaint.assigned_to], SubjectKind.REFERRAL, referral, Step.ANSWERED, at
            )
    closed = [one for one in complaints if one.state is ComplaintState.CLOSED]
    if closed and len(closed) == len(complaints) and referral.state in CLOSED_ANSWERS:
        clock.tell_late(referral, at)


async def _items(session: AsyncSession, complaint: Complaint) -> list[Referral]:
    return (await Referrals(session).items_of([complaint.id], lock=True))[complaint.id]


async def _approved_elsewhere(session: AsyncSession, complaint: Complaint, item: Referral) -> bool:
    """Whether another complaint that holds the item has had it approved."""
    for id in await Referrals(session).holders(item.id):
        if id != complaint.id:
            other = await Complaints(session).peek(id)
            if other.state in APPROVED_IN:
                return True
    return False
