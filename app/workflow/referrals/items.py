"""What a complaint does to its referrals: approve, take back, send and cancel them together."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Actor, Role
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict
from app.domain.households import Households, Member
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.referrals import CLOSED_ANSWERS, OPEN, Origin, Referral, Referrals, ReferralState
from app.domain.registry_changes import (
    SETTLED,
    UNDECIDED,
    ChangeState,
    RegistryChange,
    RegistryChanges,
)
from app.workflow.complaints.case import staff_of
from app.workflow.history import log
from app.workflow.referrals import clock, quotas
from app.workflow.referrals.steps import step
from app.workflow.referrals.table import LINKED, UNLINKED, ReferralAction

A, R = ReferralAction, ReferralState
LETTER_BYTES = 16
# What a family is called, before the name of its head.
FAMILY, NAME_AT_MOST = "Keluarga", 120
# Complaints in these states have referrals whose answers are to be told.
TELLS = (ComplaintState.FORWARDED, ComplaintState.ANSWERED, ComplaintState.CLOSED)
# A complaint in these states has had its items approved.
APPROVED_IN = (ComplaintState.AWAITING_MANAGER, ComplaintState.FORWARDED)
# Why nothing is asked any more for somebody: the death is believed, or reported and not decided.
DECEASED, DEATH_REPORTED = "deceased", "death_reported"


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
    """Send what is approved: from now on it is with its owner, or waits for a place there.

    What waits for a registry change stays approved until that is confirmed. What is for somebody
    who was reported dead meanwhile is cancelled.
    """
    seen = await _items(session, complaint, lock=False)
    awaited = await RegistryChanges(session).by_ids([one.wait_for for one in seen if one.wait_for])
    held = await quotas.lock(session, seen)
    items = await _items(session, complaint)
    await _drop_the_dead(session, complaint, items, at)
    for item in items:
        if item.state is not R.APPROVED:
            continue
        change = awaited.get(item.wait_for) if item.wait_for else None
        if change is None or change.state is ChangeState.CONFIRMED:
            await send_one(session, item, held, actor, actor.id, at)
        elif change.state in SETTLED:
            await cancel_one(session, complaint, item, never(change), SYSTEM, at)


def never(change: RegistryChange) -> str:
    """Why a referral that waited for a change ends."""
    return f"registry_change_{change.state}"


async def send_one(
    session: AsyncSession,
    item: Referral,
    held: quotas.Held,
    actor: Actor,
    signer: UUID,
    at: datetime,
) -> None:
    """Send an approved item. A full quota does not stop it: it stands in line for a place."""
    await name_family(session, item)
    item.sent_at, item.sent_by = at, signer
    item.letter_code = secrets.token_hex(LETTER_BYTES)
    has_place = await quotas.take(session, held, item, at)
    step(session, item, A.SEND, R.SENT, actor, at)
    if not has_place:
        item.answered_at = at
        step(session, item, A.WAITLIST, R.WAITLISTED, SYSTEM, at)


async def name_family(session: AsyncSession, referral: Referral) -> None:
    """A programme's owner knows a family by its head, as it is when the referral is sent."""
    if not referral.of_household:
        return
    assert referral.household_id is not None
    households = Households(session)
    head = (await households.heads_of([referral.household_id])).get(referral.household_id)
    referral.beneficiary_name = f"{FAMILY} {head.name}"[:NAME_AT_MOST] if head else None
    number = households.national_id(head) if head else None
    referral.beneficiary_national_id = Referrals(session).sealed(referral.id, number)


async def _drop_the_dead(
    session: AsyncSession, complaint: Complaint, items: Sequence[Referral], at: datetime
) -> bool:
    """Cancel what has not been sent and is for somebody on hold. Whether there was any."""
    held = await for_the_dead(session, items)
    for item, reason in held:
        await cancel_one(session, complaint, item, reason, SYSTEM, at)
    return bool(held)


async def for_the_dead(
    session: AsyncSession, items: Sequence[Referral]
) -> list[tuple[Referral, str]]:
    """What has not been sent and is for somebody on hold, each with the reason to cancel it."""
    unsent = [one for one in items if one.state in (R.DRAFT, R.APPROVED) and one.member_id]
    named = [one.member_id for one in unsent if one.member_id is not None]
    people: dict[Any, Member] = await Households(session).members_by_ids(named)
    return [
        (one, DEATH_REPORTED if people[one.member_id].alive else DECEASED)
        for one in unsent
        if people[one.member_id].hold_change_id is not None
    ]


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


async def answered(
    session: AsyncSession, complaints: Sequence[Complaint], referral: Referral, at: datetime
) -> None:
    """Each answer is told as it comes: to the facilitators of the complaints that it did not
    settle, or else to their desk.

    Where all of them are closed, nobody else would see that it still is to be told.
    """
    for complaint in complaints:
        if complaint.state in TELLS:
            people = await _tellers(session, complaint)
            Notifications(session).tell(people, SubjectKind.REFERRAL, referral, Step.ANSWERED, at)
    closed = [one for one in complaints if one.state is ComplaintState.CLOSED]
    if closed and len(closed) == len(complaints) and referral.state in CLOSED_ANSWERS:
        clock.tell_late(referral, at)


async def tell_waiting(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """A complaint was forwarded, and some of its referrals wait for a place: that is an answer."""
    for item in await _items(session, complaint, lock=False):
        if item.in_line and item.stage_entered_at == at:
            await answered(session, [complaint], item, at)


async def _tellers(session: AsyncSession, complaint: Complaint) -> list[UUID]:
    if complaint.assigned_to is not None:
        return [complaint.assigned_to]
    staff = await staff_of(session, complaint.regency_code)
    desk = staff.holding(complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
    return [one.id for one in desk]


async def _items(session: AsyncSession, complaint: Complaint, lock: bool = True) -> list[Referral]:
    return (await Referrals(session).items_of([complaint.id], lock=lock))[complaint.id]


async def _approved_elsewhere(session: AsyncSession, complaint: Complaint, item: Referral) -> bool:
    """Whether another complaint that holds the item has had it approved."""
    for id in await Referrals(session).holders(item.id):
        if id != complaint.id:
            other = await Complaints(session).peek(id)
            if other.state in APPROVED_IN:
                return True
    return False
