"""A household has one living head at the most, whatever is applied or taken back; and no change
of a field takes the only one away while nobody is named instead."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.households import Households, Member, MemberRelation
from app.domain.registry_changes import ChangeKind, RegistryChange, RegistryChanges

K = ChangeKind
HEAD = MemberRelation.HEAD


def makes_head(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether a change says that somebody is the head."""
    if change.kind not in (K.UPDATE_MEMBER, K.ADD_MEMBER):
        return False
    said, refused = _relation(session, change)
    return said == HEAD and not refused


def _relation(session: AsyncSession, change: RegistryChange) -> tuple[str | None, bool]:
    """What a change says that somebody is to the head, and whether that is refused."""
    content = RegistryChanges(session).content(change)
    said = content.people[0] if change.kind is K.ADD_MEMBER else content.fields
    refused = any(one["field"] == "relation" for one in change.refused_fields)
    return said.get("relation"), refused


async def has_head(
    session: AsyncSession, household_id: UUID | None, besides: UUID | None = None
) -> bool:
    """Whether somebody present and alive, besides one, is the head."""
    assert household_id is not None
    people = (await Households(session).members_of([household_id]))[household_id]
    return any(one.relation is HEAD and one.alive and one.id != besides for one in people)


async def is_second(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether applying a change would give its household a second head."""
    return makes_head(session, change) and await has_head(
        session, change.household_id, change.member_id
    )


async def leaves_none(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether applying a change would take a household's only head away, and no other change that
    is under way says who is the head instead."""
    if change.kind is not K.UPDATE_MEMBER:
        return False
    said, refused = _relation(session, change)
    if said is None or said == HEAD or refused:
        return False
    assert change.member_id is not None
    member = (await Households(session).members_by_ids([change.member_id]))[change.member_id]
    if member.relation is not HEAD or not member.alive:
        return False
    if await has_head(session, member.household_id, member.id):
        return False
    others = await RegistryChanges(session).undecided_at(member.household_id)
    return not any(one.member_id != member.id and makes_head(session, one) for one in others)


async def is_of_the_dead(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether a change would make somebody the head who has died."""
    ids = [change.member_id] if change.member_id else []
    people = await Households(session).members_by_ids(ids)
    return makes_head(session, change) and any(not one.alive for one in people.values())


async def give_way(session: AsyncSession, member: Member) -> None:
    """Who comes back, or comes in, as head where another is the head by now, is that no more."""
    if member.relation is HEAD and await has_head(session, member.household_id, member.id):
        member.relation = MemberRelation.OTHER
