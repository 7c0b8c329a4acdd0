"""Homes as they are screened one by one: read from the registry, with who said what and when."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.criteria.compiled import GONE, decile, registered, takes_part
from app.domain.criteria.home import Home, Person, Taking
from app.domain.facts import Known, known
from app.domain.households import Household, Households, Member, Participation, WelfareRank

H: Any = Household
P: Any = Participation
W: Any = WelfareRank


class Homes:
    """The only place that reads homes for the first reader of a rule."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def of(self, ids: Sequence[UUID], day: date) -> dict[UUID, Home]:
        """The homes that are screened among some households; those that are gone are left out."""
        statement = sa.select(Household, decile(), registered()).where(H.id.in_(ids))
        rows = (await self.session.execute(statement)).all()
        members = await Households(self.session).members_of(ids)
        taking = await self._taking(ids, day)
        ranks = await self._ranks(ids)
        return {
            home.id: Home(
                id=home.id,
                village_code=home.village_code,
                version=home.version,
                registered=at_centre,
                decile=_rank(home, tenth, ranks.get(home.id)),
                facts=_facts(home),
                people=tuple(_person(one) for one in members[home.id] if is_there(one)),
                taking=tuple(taking.get(home.id, ())),
                source=home.registry_source,
                as_of=home.facts_as_of,
            )
            for home, tenth, at_centre in rows
            if is_there(home)
        }

    async def _taking(self, ids: Sequence[UUID], day: date) -> dict[UUID, list[Taking]]:
        statement = sa.select(Participation).where(P.household_id.in_(ids), takes_part(day))
        found: dict[UUID, list[Taking]] = {}
        for one in await self.session.scalars(statement.order_by(P.program_code, P.id)):
            taking = Taking(one.program_code, one.member_id, one.source, one.as_of)
            found.setdefault(one.household_id, []).append(taking)
        return found

    async def _ranks(self, ids: Sequence[UUID]) -> dict[UUID, WelfareRank]:
        """The newest rank of each household."""
        statement = sa.select(WelfareRank).where(W.household_id.in_(ids)).order_by(W.as_of, W.id)
        return {one.household_id: one for one in await self.session.scalars(statement)}


def is_there(row: Household | Member) -> bool:
    """Whether a home or person is screened: in the registry, not merged, not gone."""
    return row.ended_at is None and row.merged_into is None and row.presence not in GONE


def _rank(home: Household, tenth: int | None, rank: WelfareRank | None) -> Known | None:
    if tenth is None:
        return None
    if rank is None:
        return Known("decile", tenth, home.registry_source, home.facts_as_of)
    return Known("decile", tenth, rank.source, rank.as_of)


def _facts(row: Household | Member) -> dict[str, Known]:
    found: Iterable[Known] = known(row.facts, row.facts_changed, row.facts_source, row.facts_as_of)
    return {one.name: one for one in found}


def _person(one: Member) -> Person:
    return Person(
        id=one.id,
        name=one.name,
        version=one.version,
        birth_date=one.birth_date,
        birth_year=one.birth_year,
        has_national_id=one.national_id_index is not None,
        facts=_facts(one),
        source=one.facts_source,
        as_of=one.facts_as_of,
    )
