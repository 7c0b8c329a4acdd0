"""A household has one living head at the most, whatever is applied or taken back."""

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
    content = RegistryChanges(session).content(change)
    refused = {one["field"] for one in change.refused_fields}
    said = content.people[0] if change.kind is K.ADD_MEMBER else content.fields
    return said.get("relation") == HEAD and "relation" not in refused


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


async def is_of_the_dead(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether a change would make somebody the head who has died."""
    ids = [change.member_id] if change.member_id else []
    people = await Households(session).members_by_ids(ids)
    return makes_head(session, change) and any(not one.alive for one in people.values())


async def give_way(session: AsyncSession, member: Member) -> None:
    """Who comes back, or comes in, as head where another is the head by now, is that no more."""
    if member.relation is HEAD and await has_head(session, member.household_id, member.id):
        member.relation = MemberRelation.OTHER
