"""Whom to send: the facilitators of a city, nearest first, least open load first."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.complaints import Complaint, Complaints
from app.domain.principals import Principals, nearest


@dataclass(frozen=True, slots=True)
class Candidate:
    """A facilitator, how near (3 village, 2 district, 1 city) and how loaded (open complaints)."""

    actor: Actor
    nearness: int
    load: int


async def candidates(session: AsyncSession, village_code: str) -> list[Candidate]:
    """The active facilitators of the village's city, the best proposal first."""
    city = ".".join(village_code.split(".")[:2])
    people = await Principals(session).facilitators(city)
    loads = await Complaints(session).loads([one.id for one in people])
    found = [Candidate(one, nearest(one, village_code), loads.get(one.id, 0)) for one in people]
    return sorted(found, key=lambda one: (-one.nearness, one.load, one.actor.id))


async def propose(
    session: AsyncSession, complaint: Complaint, without: Collection[UUID | None] = ()
) -> UUID | None:
    """The facilitator the system would send, without those who handed the case back."""
    excluded = {*complaint.handed_back_by, *without}
    for one in await candidates(session, complaint.village_code):
        if one.actor.id not in excluded:
            return one.actor.id
    return None
