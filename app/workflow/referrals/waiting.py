"""Referrals that wait for a registry change: sent once it is confirmed, else cancelled."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM
from app.domain.complaints import Complaint, Complaints
from app.domain.households import Household, Households, Member
from app.domain.referrals import Referral, Referrals, ReferralState, WaitingReferrals
from app.domain.registry_changes import OPEN, UNCONFIRMED, ChangeState, RegistryChange
from app.domain.vocabulary import Purpose
from app.workflow.eligibility import surveyed
from app.workflow.referrals import items, quotas
from app.workflow.referrals.steps import step
from app.workflow.referrals.table import ReferralAction

A, R, S = ReferralAction, ReferralState, ChangeState
AWAITED = tuple(state for state in OPEN if state is not S.DECLINED)


def may_wait_for(
    change: RegistryChange,
    complaint_id: UUID | None,
    household_id: UUID | None,
    member_id: UUID | None,
) -> bool:
    """Whether a referral may wait for a change: an open one of its own complaint, or one about its
    beneficiary that no undecided complaint carries any more."""
    if change.state not in AWAITED:
        return False
    if change.complaint_id is not None and change.complaint_id == complaint_id:
        return True
    if change.complaint_id is not None and change.state not in UNCONFIRMED:
        return False
    about = (change.household_id, change.member_id)
    return any(id is not None and id in about for id in (household_id, member_id))


async def holders(session: AsyncSession, change_ids: Sequence[UUID]) -> list[UUID]:
    """The complaints that hold referrals waiting for some changes: they are locked before these."""
    return await WaitingReferrals(session).holders_waiting_for(change_ids)


async def hold(session: AsyncSession, change_ids: Sequence[UUID]) -> None:
    """Hold the quotas of all that waits for some changes: before any referral, in one order."""
    await quotas.lock(session, await WaitingReferrals(session).waiting_for(change_ids))


async def answered(session: AsyncSession, change: RegistryChange, at: datetime) -> None:
    """A locked change is confirmed, declined, rejected or withdrawn: what waited for it goes on,
    or ends. The complaints that hold it are locked; the caller settles them."""
    waiting = WaitingReferrals(session)
    seen = await waiting.waiting_for([change.id])
    if not seen:
        return
    held = await quotas.lock(session, seen) if change.state is S.CONFIRMED else ()
    found = await waiting.lock_waiting_for(change.id)
    dead = {one.id: reason for one, reason in await items.for_the_dead(session, found)}
    for referral in found:
        why = items.never(change) if change.state is not S.CONFIRMED else dead.get(referral.id)
        if why is not None:
            referral.reason = why
            since = max(at, referral.stage_entered_at)
            step(session, referral, A.CANCEL, R.CANCELLED, SYSTEM, since, reason=why)
        elif referral.state is R.APPROVED:
            await _send(session, referral, held, at)
    await session.flush()


async def _send(session: AsyncSession, referral: Referral, held: quotas.Held, at: datetime) -> None:
    """Send what its complaint was forwarded with; one that is not forwarded yet sends it then."""
    complaint = await _forwarded(session, referral)
    if complaint is not None:
        assert complaint.forwarded_by is not None
        at = max(at, referral.stage_entered_at)
        await _screen_again(session, complaint, referral, at)
        await items.send_one(session, referral, held, SYSTEM, complaint.forwarded_by, at)


async def _screen_again(
    session: AsyncSession, complaint: Complaint, referral: Referral, at: datetime
) -> None:
    """What is confirmed may change what the rules say. They stop no referral: its owner decides."""
    if referral.purpose is not Purpose.ENROL:
        return
    people = Households(session)
    whose: Member | Household | str | None = referral.beneficiary_name
    if referral.member_id is not None:
        whose = await people.member(referral.member_id)
    elif referral.of_household:
        assert referral.household_id is not None
        whose = (await people.by_ids([referral.household_id]))[referral.household_id]
    assert whose is not None
    found = await surveyed.keep_for(session, complaint, referral.program_code, whose, SYSTEM, at)
    referral.screening_id = found.id if found else None


async def _forwarded(session: AsyncSession, referral: Referral) -> Complaint | None:
    ids = await Referrals(session).holders(referral.id)
    found = await Complaints(session).by_ids(ids)
    return next((found[id] for id in ids if found[id].forwarded_at is not None), None)
