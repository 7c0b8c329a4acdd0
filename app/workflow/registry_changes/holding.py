"""The locks that a decision on changes needs, all taken before anything is written.

They are taken in one order everywhere: complaint, change, visit, household, member, quota,
referral, and of each kind by id. Whoever keeps to it never waits in a ring.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaints import Complaints
from app.domain.households import Households
from app.domain.referrals import Referrals
from app.domain.registry_changes import ChangeKind, RegistryChange, RegistryChanges
from app.domain.visits import Visits
from app.workflow.referrals import waiting

K = ChangeKind
# By these, or by taking them back, a household leaves the registry: what hangs on it goes along.
UPROOTING = (K.MERGE_DUPLICATE, K.REMOVE, K.ADD_HOUSEHOLD)
Which = Callable[[], Awaitable[Sequence[RegistryChange]]]


async def hold_complaint(session: AsyncSession, id: UUID) -> list[RegistryChange]:
    """Hold a complaint, its changes, and all that applying them touches: the changes held."""

    async def which() -> Sequence[RegistryChange]:
        own = (await RegistryChanges(session).of_complaints([id]))[id]
        return await _with_heads_to_be(session, own)

    return await _hold(session, {id}, which)


async def hold_change(session: AsyncSession, id: UUID) -> list[RegistryChange]:
    """Hold a change, what follows it, its complaint, and all that applying or undoing touches: the
    changes held."""

    async def which() -> Sequence[RegistryChange]:
        own = await RegistryChanges(session).with_followers(id)
        return await _with_heads_to_be(session, own)

    return await _hold(session, set(), which)


async def touched(session: AsyncSession, changes: Sequence[RegistryChange]) -> set[UUID]:
    """The complaints that some changes came with, and those that hold what waits for one: whatever
    becomes of the changes may be the last that they waited for."""
    waiting_for = await waiting.holders(session, [one.id for one in changes])
    return {one.complaint_id for one in changes if one.complaint_id is not None} | set(waiting_for)


async def _with_heads_to_be(
    session: AsyncSession, changes: Sequence[RegistryChange]
) -> Sequence[RegistryChange]:
    """With a reported death goes what would make the person a head; each change once."""
    dead = [one.member_id for one in changes if one.kind is K.REPORT_DEATH and one.member_id]
    more = await RegistryChanges(session).heads_to_be(dead)
    return list({one.id: one for one in (*changes, *more)}.values())


async def _hold(session: AsyncSession, own: set[UUID], which: Which) -> list[RegistryChange]:
    """Where more hangs on it by then than was seen at first, all is let go and begun anew."""
    while (held := await _held(session, own, which)) is None:
        pass
    return held


async def _held(session: AsyncSession, own: set[UUID], which: Which) -> list[RegistryChange] | None:
    async with session.begin_nested() as attempt:
        complaints = own | await _complaints(session, await which())
        await Complaints(session).lock_all(sorted(complaints))
        changes = await RegistryChanges(session).lock_all([one.id for one in await which()])
        await _hold_rows(session, changes)
        if len(await which()) == len(changes) and (
            await _complaints(session, changes) <= complaints
        ):
            return changes
        await attempt.rollback()
    return None


async def _complaints(session: AsyncSession, changes: Sequence[RegistryChange]) -> set[UUID]:
    """Those that changes came with, that wait for one, that a merge moves, or whose referrals it
    moves."""
    found = await touched(session, changes)
    referrals = Referrals(session)
    for one in changes:
        if one.kind is not K.MERGE_DUPLICATE:
            continue
        if one.applied_at is not None:
            kept = RegistryChanges(session).undo_of(one)
            found |= {UUID(id) for id in kept["complaints"]}
            found |= await referrals.held_by([UUID(each["id"]) for each in kept["referrals"]])
            continue
        if one.member_id is None and one.household_id is not None:
            found |= await Complaints(session).of_household(one.household_id)
        found |= await referrals.holders_for(one.household_id, one.member_id)
    return found


async def _hold_rows(session: AsyncSession, changes: Sequence[RegistryChange]) -> None:
    homes = {one.household_id for one in changes} - {None}
    people = {one.member_id for one in changes} - {None}
    uprooted = {
        one.household_id for one in changes if one.kind in UPROOTING and one.member_id is None
    } - {None}
    for one in changes:
        if one.into_id is not None:
            (homes if one.member_id is None else people).add(one.into_id)
    if uprooted:
        visits = Visits(session)
        await visits.share_alone({one.regency_code for one in changes})
        await visits.lock_open_at([id for id in uprooted if id])
    households = Households(session)
    await households.hold([id for id in homes if id])
    # With a household go all its people.
    await households.hold_people([id for id in people if id], [id for id in uprooted if id])
