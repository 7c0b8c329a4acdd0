"""Whom to send: the facilitators of a city, nearest first, least open load first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import regency_of
from app.domain.complaints import Complaint, Complaints
from app.domain.principals import Principals, nearest
from app.domain.visits import Visits


@dataclass(frozen=True, slots=True)
class Candidate:
    """A facilitator, how near (3 village, 2 district, 1 city) and how loaded.

    The load counts open complaints and open visits.
    """

    actor: Actor
    nearness: int
    load: int


@dataclass(frozen=True, slots=True)
class Roster:
    """The active facilitators of a city, with what each of them has to do."""

    people: Sequence[Actor]
    loads: dict[UUID, int]

    def candidates(self, village_code: str) -> list[Candidate]:
        """Nearest first, least load first."""
        found = [
            Candidate(one, nearest(one, village_code), self.loads.get(one.id, 0))
            for one in self.people
        ]
        return sorted(found, key=lambda one: (-one.nearness, one.load, one.actor.id))

    def take(self, village_code: str) -> UUID | None:
        """The best for one more visit, who is the more loaded for the next one."""
        found = self.candidates(village_code)
        if not found:
            return None
        id = found[0].actor.id
        self.loads[id] = found[0].load + 1
        return id


async def roster(session: AsyncSession, regency_code: str) -> Roster:
    people = await Principals(session).facilitators(regency_code)
    ids = [one.id for one in people]
    loads = await Complaints(session).loads(ids)
    for id, visits in (await Visits(session).loads(ids)).items():
        loads[id] = loads.get(id, 0) + visits
    return Roster(people, loads)


async def candidates(session: AsyncSession, village_code: str) -> list[Candidate]:
    """The active facilitators of the village's city, the best proposal first."""
    city = regency_of(village_code)
    return (await roster(session, city)).candidates(village_code)


async def propose(
    session: AsyncSession, complaint: Complaint, without: Collection[UUID | None] = ()
) -> UUID | None:
    """The facilitator the system would send, without those who handed the case back."""
    excluded = {*complaint.handed_back_by, *without}
    for one in await candidates(session, complaint.village_code):
        if one.actor.id not in excluded:
            return one.actor.id
    return None
