"""Merging a duplicate into the one that stays, with all that hangs on it; parting them again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor
from app.domain.base import day_of
from app.domain.complaints import Complaints
from app.domain.households import (
    Household,
    Households,
    Member,
    MemberRelation,
    Presence,
    touch,
)
from app.domain.referrals import OPEN, Referral, Referrals, ReferralState
from app.domain.registry_changes import RegistryChange
from app.workflow.history import log
from app.workflow.referrals import quotas
from app.workflow.referrals.steps import step
from app.workflow.referrals.table import LINKED, ReferralAction
from app.workflow.registry_changes import heads
from app.workflow.registry_changes.values import presence_in, presence_of
from app.workflow.visits import closing

HOUSEHOLD_MERGED = "complaint.household_merged"
R = ReferralState


async def is_gone(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether the one to merge into was merged itself, or has left the registry."""
    into = await _into(session, change)
    return into.ended_at is not None


async def merge(
    session: AsyncSession,
    change: RegistryChange,
    household: Household | None,
    member: Member | None,
    actor: Actor,
    at: datetime,
) -> dict[str, Any]:
    """Move what hangs on the duplicate to the one that stays; what was moved, for `part`."""
    into = await _into(session, change)
    moved: dict[str, Any] = {
        name: []
        for name in ("complaints", "visits", "referrals", "members", "participations", "ended")
    }
    if member is not None:
        assert isinstance(into, Member)
        held = await quotas.lock(session, await Referrals(session).for_member(member.id))
        await _merge_member(session, member, into, moved, held, at)
    else:
        assert household is not None
        assert isinstance(into, Household)
        await _merge_household(session, household, into, moved, actor, at)
    touch(into, at)
    return moved


async def _into(session: AsyncSession, change: RegistryChange) -> Household | Member:
    assert change.into_id is not None
    households = Households(session)
    if change.member_id is not None:
        return await households.lock_member(change.into_id)
    return await households.lock(change.into_id)


async def _merge_member(
    session: AsyncSession,
    member: Member,
    into: Member,
    moved: dict[str, Any],
    held: quotas.Held,
    at: datetime,
) -> None:
    for referral in await Referrals(session).lock_for(None, member.id):
        to = (into.household_id, into.id, f"member:{into.id}")
        await _move(session, referral, to, moved, held, at)
    place = (into.household_id, into.id)
    moved["participations"] += await Households(session).move_participations(
        (member.household_id, member.id), place
    )
    _end(member, into.id, moved, at)


def _end(row: Household | Member, into_id: UUID, moved: dict[str, Any], at: datetime) -> None:
    moved["ended"].append({"id": str(row.id), **presence_of(row)})
    row.merged_into, row.ended_at = into_id, at
    row.presence, row.presence_on = Presence.DUPLICATE, day_of(at)
    touch(row, at)


async def _merge_household(
    session: AsyncSession,
    household: Household,
    into: Household,
    moved: dict[str, Any],
    actor: Actor,
    at: datetime,
) -> None:
    households = Households(session)
    # A duplicate that is cancelled gives its place to the next in line: quotas before referrals.
    held = await quotas.lock(session, await Referrals(session).for_household(household.id))
    # All at once: each of its people's referrals are moved one after another.
    await Referrals(session).lock_for(household.id, None)
    for complaint in await Complaints(session).lock_of_household(household.id):
        complaint.household_id = into.id
        moved["complaints"].append(str(complaint.id))
        log(session, HOUSEHOLD_MERGED, complaint, actor, at, household_id=str(into.id))
    moved["visits"] = [str(id) for id in await closing.move(session, household.id, into, at)]
    people = await households.members_of([household.id, into.id])
    known = {one.national_id_index: one for one in people[into.id] if one.national_id_index}
    for member in people[household.id]:
        same = known.get(member.national_id_index or b"")
        if same is not None:
            await _merge_member(session, member, same, moved, held, at)
            continue
        moved["members"].append(
            {"id": str(member.id), "registry_id": member.registry_id, "relation": member.relation}
        )
        moved["participations"] += await households.move_participations(
            (household.id, member.id), (into.id, member.id)
        )
        member.household_id, member.registry_id = into.id, None
        await heads.give_way(session, member)
    for referral in await Referrals(session).lock_for(household.id, None):
        key = referral.beneficiary_key
        if key == f"household:{household.id}":
            key = f"household:{into.id}"
        await _move(session, referral, (into.id, referral.member_id, key), moved, held, at)
    moved["participations"] += await households.move_participations(
        (household.id, None), (into.id, None)
    )
    moved |= await households.move_belongings(household.id, into.id)
    _end(household, into.id, moved, at)


async def _move(
    session: AsyncSession,
    referral: Referral,
    to: tuple[UUID, UUID | None, str],
    moved: dict[str, Any],
    held: quotas.Held,
    at: datetime,
) -> None:
    """Give a referral to the one that stays (household, member, key); where the same need is open
    there, it links to it."""
    household_id, member_id, key = to
    moved["referrals"].append(
        {
            "id": str(referral.id),
            "household_id": str(referral.household_id) if referral.household_id else None,
            "member_id": str(referral.member_id) if referral.member_id else None,
            "key": referral.beneficiary_key,
            "new_key": key,
        }
    )
    referrals = Referrals(session)
    if referral.state in OPEN and key != referral.beneficiary_key:
        same = await referrals.open_for(key, referral.program_code, referral.purpose)
        if same is not None:
            for id in await referrals.holders(referral.id):
                if id not in await referrals.holders(same.id):
                    referrals.link(id, same, referral.origin)
                    log(session, LINKED, same, SYSTEM, at, linked_complaint_id=str(id))
            referral.reason = "linked"
            step(session, referral, ReferralAction.CANCEL, R.CANCELLED, SYSTEM, at)
            await quotas.give_back(session, held, referral, at)
            await session.flush()
    referral.household_id, referral.member_id = household_id, member_id
    referral.beneficiary_key = key
    await session.flush()


async def part(
    session: AsyncSession, change: RegistryChange, moved: dict[str, Any], at: datetime
) -> None:
    """Take a merge back: what was moved returns, as far as nobody has moved it on."""
    households, into = Households(session), await _into(session, change)
    home = into.household_id if isinstance(into, Member) else into.id
    for complaint in await Complaints(session).lock_all([UUID(id) for id in moved["complaints"]]):
        if complaint.household_id == home:
            complaint.household_id = change.household_id
    ids = [UUID(kept["id"]) for kept in moved["referrals"]]
    referrals = {one.id: one for one in await Referrals(session).lock_all(ids)}
    for kept in moved["referrals"]:
        referral = referrals[UUID(kept["id"])]
        if (referral.household_id, referral.beneficiary_key) == (home, kept["new_key"]):
            referral.household_id = UUID(kept["household_id"]) if kept["household_id"] else None
            referral.member_id = UUID(kept["member_id"]) if kept["member_id"] else None
            referral.beneficiary_key = kept["key"]
    for kept in moved["members"]:
        member = await households.lock_member(UUID(kept["id"]))
        if member.household_id == home and change.household_id is not None:
            member.household_id, member.registry_id = change.household_id, kept["registry_id"]
            if member.relation is MemberRelation.OTHER:
                member.relation = MemberRelation(kept.get("relation", member.relation))
    await households.return_participations(moved["participations"], home)
    if isinstance(into, Household):
        assert change.household_id is not None
        await households.return_belongings(change.household_id, into.id, moved)
        visits = [UUID(id) for id in moved.get("visits", ())]
        home_again = await households.lock(change.household_id)
        await closing.move_back(session, visits, into.id, home_again, at)
    for kept in moved["ended"]:
        row = await households.lock_row(UUID(kept["id"]))
        row.merged_into = row.ended_at = None
        row.presence, row.presence_on = presence_in(kept)
        touch(row, at)
    touch(into, at)
