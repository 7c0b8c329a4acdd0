"""Merging a duplicate into the one that stays, with all that hangs on it; parting them again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor
from app.domain.complaints import Complaints
from app.domain.households import Household, Households, Member, Presence
from app.domain.referrals import OPEN, Referral, Referrals, ReferralState
from app.domain.registry_changes import RegistryChange
from app.workflow.history import log
from app.workflow.referrals import items
from app.workflow.referrals.table import LINKED, ReferralAction

HOUSEHOLD_MERGED = "complaint.household_merged"
R = ReferralState


async def is_gone(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether the one to merge into was merged itself, or has left the registry."""
    into = await _into(session, change)
    return into is None or into.ended_at is not None


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
    assert into is not None
    moved: dict[str, Any] = {"complaints": [], "referrals": [], "members": [], "people": []}
    if member is not None:
        assert isinstance(into, Member)
        await _merge_member(session, member, into, moved, at)
    else:
        assert household is not None
        assert isinstance(into, Household)
        await _merge_household(session, household, into, moved, actor, at)
    into.version += 1
    into.updated_at = at
    return moved


async def _into(session: AsyncSession, change: RegistryChange) -> Household | Member | None:
    assert change.into_id is not None
    households = Households(session)
    if change.member_id is not None:
        return await households.lock_member(change.into_id)
    return await households.lock(change.into_id)


async def _merge_member(
    session: AsyncSession, member: Member, into: Member, moved: dict[str, Any], at: datetime
) -> None:
    for referral in await Referrals(session).of_beneficiary(member_id=member.id):
        await _move(session, referral, into.household_id, into.id, f"member:{into.id}", moved, at)
    await Households(session).move_participations(member.household_id, member.id, into)
    member.merged_into, member.ended_at = into.id, at
    member.presence, member.presence_on = Presence.DUPLICATE, at.date()
    member.version += 1
    member.updated_at = at


async def _merge_household(
    session: AsyncSession,
    household: Household,
    into: Household,
    moved: dict[str, Any],
    actor: Actor,
    at: datetime,
) -> None:
    households = Households(session)
    for complaint in await Complaints(session).lock_of_household(household.id):
        complaint.household_id = into.id
        moved["complaints"].append(str(complaint.id))
        log(session, HOUSEHOLD_MERGED, complaint, actor, at, household_id=str(into.id))
    people = await households.members_of([household.id, into.id])
    known = {one.national_id_index: one for one in people[into.id] if one.national_id_index}
    for member in people[household.id]:
        same = known.get(member.national_id_index or b"")
        if same is not None:
            await _merge_member(session, member, same, moved, at)
            moved["people"].append(str(member.id))
        else:
            member.household_id, member.registry_id = into.id, None
            moved["members"].append(str(member.id))
    for referral in await Referrals(session).of_beneficiary(household_id=household.id):
        key = referral.beneficiary_key
        if key == f"household:{household.id}":
            key = f"household:{into.id}"
        await _move(session, referral, into.id, referral.member_id, key, moved, at)
    moved |= await households.move_belongings(household.id, into.id)
    household.merged_into, household.ended_at = into.id, at
    household.presence, household.presence_on = Presence.DUPLICATE, at.date()


async def _move(
    session: AsyncSession,
    referral: Referral,
    household_id: UUID,
    member_id: UUID | None,
    key: str,
    moved: dict[str, Any],
    at: datetime,
) -> None:
    """Give a referral to the one that stays; where the same need is open there, it links to it."""
    moved["referrals"].append(
        {
            "id": str(referral.id),
            "household_id": str(referral.household_id) if referral.household_id else None,
            "member_id": str(referral.member_id) if referral.member_id else None,
            "key": referral.beneficiary_key,
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
            items.step(session, referral, ReferralAction.CANCEL, R.CANCELLED, SYSTEM, at)
            await session.flush()
    referral.household_id, referral.member_id = household_id, member_id
    referral.beneficiary_key = key
    await session.flush()


async def part(
    session: AsyncSession,
    household: Household | None,
    member: Member | None,
    moved: dict[str, Any],
    at: datetime,
) -> None:
    """Take a merge back: what was moved returns, as far as nobody has moved it on."""
    households, row = Households(session), member or household
    assert row is not None
    for one in await Complaints(session).lock_all([UUID(id) for id in moved["complaints"]]):
        one.household_id = household.id if household else None
    for kept in moved["referrals"]:
        referral = await Referrals(session).lock(UUID(kept["id"]))
        referral.household_id = UUID(kept["household_id"]) if kept["household_id"] else None
        referral.member_id = UUID(kept["member_id"]) if kept["member_id"] else None
        referral.beneficiary_key = kept["key"]
    if household is not None and member is None:
        for id in moved["members"]:
            (await households.lock_member(UUID(id))).household_id = household.id
        await households.move_back(household.id, moved)
    for id in moved["people"]:
        _alone(await households.lock_member(UUID(id)))
    _alone(row)
    row.updated_at = at


def _alone(row: Household | Member) -> None:
    row.merged_into = row.ended_at = None
    row.presence = row.presence_on = None
