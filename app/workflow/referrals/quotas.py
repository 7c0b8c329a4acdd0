"""Places in a quota: taken when a referral is sent, given back, used; and the line that waits.

Quotas are locked before referrals, everywhere: a place that comes free goes to the next in line.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM
from app.domain.base import contains, day_of
from app.domain.errors import Conflict
from app.domain.quotas import Quota, Quotas
from app.domain.referrals import Referral, ReferralState, WaitingReferrals
from app.workflow.referrals.steps import step
from app.workflow.referrals.table import ReferralAction

A, R = ReferralAction, ReferralState
Held = Sequence[Quota]


async def lock(session: AsyncSession, referrals: Iterable[Referral]) -> Held:
    """Hold the quotas that some referrals fall under, or have a place in, until commit."""
    needs = {(one.program_code, one.village_code) for one in referrals}
    return await Quotas(session).lock_for(needs)


async def take(session: AsyncSession, held: Held, referral: Referral, at: datetime) -> bool:
    """A place for a referral that is sent; False where it stands in line for one.

    Where no quota is managed here for its programme, region and day, nothing is counted.
    """
    quota = in_force(held, referral, at)
    if quota is None:
        return True
    await _inherit(session, quota, held)
    await serve(session, quota, at)
    referral.quota_id = quota.id
    if quota.free:
        quota.reserved += 1
        return True
    _join(quota, referral)
    return False


async def use(held: Held, referral: Referral, at: datetime) -> None:
    """A granted referral uses its place, or a free one. Raises Conflict `quota_full`."""
    quota = _own(held, referral)
    if quota is not None:
        quota.reserved -= 1
    else:
        quota = in_force(held, referral, at)
        if quota is None:
            return
        if not quota.free:
            raise Conflict("quota_full")
        referral.quota_id = quota.id
    quota.used += 1


async def give_back(session: AsyncSession, held: Held, referral: Referral, at: datetime) -> None:
    """A referral that was declined or cancelled leaves its place, or the line."""
    quota = _own(held, referral)
    if quota is not None:
        _leave(quota, referral)
        await serve(session, quota, at)


async def stand_in_line(
    session: AsyncSession, held: Held, referral: Referral, at: datetime
) -> None:
    """Its owner lets it wait: it goes to the end of the line. Who waits already keeps its turn."""
    if referral.in_line:
        return
    if (own := _own(held, referral)) is not None:
        _leave(own, referral)
    quota = in_force(held, referral, at) or own
    if quota is not None:
        referral.quota_id = quota.id
        _join(quota, referral)
        # Its place goes to somebody else: the owner has just said that this one waits.
        await serve(session, quota, at, but=referral.id)
    if own is not None and own is not quota:
        await serve(session, own, at)


async def serve(session: AsyncSession, quota: Quota, at: datetime, but: UUID | None = None) -> None:
    """Move up whoever has waited the longest, as long as there are places."""
    if not quota.free or not quota.waiting:
        return
    for referral in await WaitingReferrals(session).first_in_line(quota.id, quota.free, but):
        referral.waiting_number = None
        quota.waiting -= 1
        quota.reserved += 1
        # It is sent anew, and its owner has its time from now on.
        since = max(at, referral.stage_entered_at)
        referral.sent_at = since
        referral.received_at = referral.answered_at = referral.informed_at = None
        referral.paused_for = timedelta(0)
        step(session, referral, A.MOVE_UP, R.SENT, SYSTEM, since)


async def open_line(session: AsyncSession, quota: Quota, at: datetime) -> None:
    """Who waited in a quota that has ended waits in the one now in force, and is served there."""
    held = await Quotas(session).lock_with_past(quota)
    await _inherit(session, quota, held)
    await serve(session, quota, at)


def in_force(held: Held, referral: Referral, at: datetime) -> Quota | None:
    """The quota managed here that a referral falls under now."""
    day = day_of(at)
    return next(
        (
            one
            for one in held
            if one.program_code == referral.program_code
            and contains(one.region_code, referral.village_code)
            and one.starts_on <= day <= one.ends_on
        ),
        None,
    )


def _own(held: Held, referral: Referral) -> Quota | None:
    if referral.quota_id is None:
        return None
    return next(one for one in held if one.id == referral.quota_id)


def _join(quota: Quota, referral: Referral) -> None:
    quota.last_number += 1
    quota.waiting += 1
    referral.waiting_number = quota.last_number


def _leave(quota: Quota, referral: Referral) -> None:
    if referral.in_line:
        quota.waiting -= 1
    else:
        quota.reserved -= 1
    referral.quota_id = referral.waiting_number = None


async def _inherit(session: AsyncSession, quota: Quota, held: Held) -> None:
    """Whoever waited in an ended quota waits in this one, before all who come from now on."""
    past = [
        one
        for one in held
        if one.program_code == quota.program_code and one.waiting and one.ends_on < quota.starts_on
    ]
    for one in sorted(past, key=lambda one: (one.ends_on, one.id)):
        moving = await WaitingReferrals(session).line_of(one.id, quota.region_code)
        for referral in moving:
            one.waiting -= 1
            referral.quota_id = quota.id
            _join(quota, referral)
