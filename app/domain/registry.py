"""The registry as it is asked: by number, by likeness, by filter, and what is known of a home."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.domain.base import contains, level_column, within
from app.domain.complaints import cities
from app.domain.households import (
    Family,
    Household,
    Member,
    Participation,
    Presence,
    RegistryEntry,
    RegistryId,
    RegistryVersion,
    WelfareRank,
)
from app.domain.identifiers import Keys
from app.domain.registry_changes import RegistryChange, is_unconfirmed

F: Any = Family
H: Any = Household
M: Any = Member
N: Any = RegistryId
V: Any = RegistryVersion
C: Any = RegistryChange
# As the civil registry matches names: 60 % of the trigrams.
LIKE_ENOUGH = 0.6
MOST_CANDIDATES = 20
# People without any birth year are read up to so many, whatever their number.
MOST_WITHOUT_YEAR = 20_000


@dataclass(frozen=True, slots=True)
class Described:
    """Somebody by name, birth date and the region to look in."""

    name: str
    birth_date: date
    region_code: str | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """A person of the registry who may be the one described; `score` is 0 to 1."""

    member: Member
    household: Household
    score: float


@dataclass(frozen=True, slots=True)
class HouseholdFilter:
    """What a list is narrowed to; None everywhere means all."""

    region: str | None = None
    decile_min: int | None = None
    decile_max: int | None = None
    presence: Presence | None = None
    source: str | None = None
    # True: something was changed here that the centre has not confirmed.
    unconfirmed: bool | None = None


class Registry:
    """The only place that writes SQL that searches the registry."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def any_in(self, regions: tuple[str, ...]) -> bool:
        """Whether a registry is loaded for the regions at all."""
        found = sa.select(H.id).where(within(Household, regions))
        return bool(await self.session.scalar(sa.select(found.exists())))

    async def matching(
        self, regions: tuple[str, ...], national_id: str | None, family_card_number: str | None
    ) -> list[Household]:
        """Households of the regions that a number belongs to, exactly; a national id goes first.

        A number that only a merged household or person had leads to where they were merged into.
        """
        for table, column, number in (
            (M, M.national_id_index, national_id),
            (F, F.family_card_number_index, family_card_number),
        ):
            if number is None:
                continue
            named = column == Keys.of(self.session).blind(number)
            present = sa.select(table.household_id).where(named, table.ended_at.is_(None))
            merged: Any = sa.select(H.id).where(
                H.merged_into.is_not(None), H.id.in_(sa.select(table.household_id).where(named))
            )
            if table is M:
                into: Any = aliased(Member)
                twin = sa.select(M.merged_into).where(named)
                merged = merged.union(sa.select(into.household_id).where(into.id.in_(twin)))
            for ids in (present, merged):
                if found := await self.standing(regions, ids):
                    return found
        return []

    async def by_registry_id(self, regions: tuple[str, ...], value: str) -> list[Household]:
        """Households of the regions to which any source gives this id."""
        ids = sa.select(N.household_id).where(N.value == value)
        return await self.standing(
            regions, ids.union(sa.select(H.id).where(H.registry_id == value))
        )

    async def standing(self, regions: tuple[str, ...], ids: Any) -> list[Household]:
        """The households named, each as the one it was merged into; those that ended are none."""
        chain = sa.select(H.id, H.merged_into).where(H.id.in_(ids)).cte("chain", recursive=True)
        following = sa.select(H.id, H.merged_into).where(H.id == chain.c.merged_into)
        # Not UNION ALL: two that were merged into each other must not go round for ever.
        chain = chain.union(following)
        statement = (
            sa.select(Household)
            .where(H.id.in_(sa.select(chain.c.id)), within(Household, regions))
            .where(H.ended_at.is_(None))
            .order_by(H.id)
            .limit(10)
        )
        return list(await self.session.scalars(statement))

    async def people(self, households: Sequence[Household], national_id: str) -> list[Member]:
        """The present members of some households who have a national id."""
        statement = sa.select(Member).where(
            M.household_id.in_([one.id for one in households]),
            M.national_id_index == Keys.of(self.session).blind(national_id),
            M.ended_at.is_(None),
        )
        return list(await self.session.scalars(statement))

    async def similar(self, regions: tuple[str, ...], wanted: Described) -> list[Likeness]:
        """Present people who may be the one described, best first.

        Only those born within a year of the date, or without a known birth year, whose names
        share 60 % of their trigrams. The score is seven parts the likeness of the names and three
        parts the birth date: the same day 1, day and month swapped 0.8, the same year 0.5, a year
        off 0.3, unknown 0.2.
        """
        beginnings = _beginnings(wanted.name)
        if beginnings is None:
            return []
        area = _in_area(regions, wanted.region_code)
        year = wanted.birth_date.year
        dated = sa.select(M.id, M.name).where(
            area, M.ended_at.is_(None), M.birth_year.between(year - 1, year + 1)
        )
        undated = (
            sa.select(M.id, M.name)
            .where(area, M.ended_at.is_(None), M.birth_year.is_(None))
            .limit(MOST_WITHOUT_YEAR)
        )
        # Names and ids stand in the index: no row is read before its name is like enough.
        near = sa.union_all(*(_named(part, wanted.name, beginnings) for part in (dated, undated)))
        alike = near.cte("alike")
        score = sa.func.round(
            sa.cast(0.7 * alike.c.alike + 0.3 * _born_like(wanted.birth_date), sa.Numeric), 2
        ).label("score")
        statement = (
            sa.select(Member, Household, score)
            .join_from(alike, Member, M.id == alike.c.id)
            .join(Household, H.id == M.household_id)
            .where(within(Member, regions), H.ended_at.is_(None))
            .order_by(score.desc(), M.id)
            .limit(MOST_CANDIDATES)
        )
        rows = (await self.session.execute(statement)).all()
        return [Likeness(member, household, float(score)) for member, household, score in rows]

    async def page(
        self,
        regions: tuple[str, ...],
        wanted: HouseholdFilter,
        after: UUID | None,
        limit: int,
    ) -> list[Household]:
        """Households that the registry has now, by id."""
        statement = (
            sa.select(Household)
            .where(within(Household, regions), H.ended_at.is_(None), *_narrowed(wanted))
            .order_by(H.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(H.id > after)
        return list(await self.session.scalars(statement))

    async def registry_ids(self, household_id: UUID) -> list[RegistryId]:
        statement = sa.select(RegistryId).where(N.household_id == household_id)
        return list(await self.session.scalars(statement.order_by(N.source, N.kind, N.value)))

    async def welfare(self, household_id: UUID) -> list[WelfareRank]:
        """How a household was ranked, newest first."""
        rank: Any = WelfareRank
        statement = sa.select(WelfareRank).where(rank.household_id == household_id)
        return list(await self.session.scalars(statement.order_by(rank.as_of.desc(), rank.id)))

    async def participations(self, household_id: UUID) -> list[Participation]:
        row: Any = Participation
        statement = sa.select(Participation).where(row.household_id == household_id)
        return list(await self.session.scalars(statement.order_by(row.program_code, row.id)))

    async def unconfirmed(self, household_id: UUID) -> list[UUID]:
        """The changes in force here that the centre has not answered."""
        statement = sa.select(C.id).where(C.household_id == household_id, is_unconfirmed())
        return list(await self.session.scalars(statement.order_by(C.id)))

    async def everybody(self, household: Household) -> list[Member]:
        """The present members; of a household that ended, all it ever had."""
        statement = sa.select(Member).where(M.household_id == household.id)
        if household.ended_at is None:
            statement = statement.where(M.ended_at.is_(None))
        statement = statement.order_by(M.number.asc().nulls_last(), M.id)
        return list(await self.session.scalars(statement))

    async def history(
        self, household_id: UUID, before: UUID | None, limit: int
    ) -> list[RegistryEntry]:
        """What changed in a household and its members, newest first."""
        row: Any = RegistryEntry
        statement = (
            sa.select(RegistryEntry)
            .where(row.household_id == household_id)
            .order_by(row.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(row.id < before)
        return list(await self.session.scalars(statement))


def _beginnings(name: str) -> str | None:
    """A pattern of how the words of a name begin; None for a name without letters or digits.

    It costs a tenth of comparing trigrams. A name none of whose words begins like that has lost
    three trigrams of every word, and is less than 60 % alike unless it is longer than 20 letters.
    """
    words = {word[:2] for word in re.findall(r"[^\W_]+", name)}
    return rf"\m({'|'.join(sorted(words))})" if words else None


def _named(part: Any, name: str, beginnings: str) -> Any:
    rows = part.subquery()
    alike = sa.func.similarity(rows.c.name, name)
    return sa.select(rows.c.id, alike.label("alike")).where(
        rows.c.name.regexp_match(beginnings, flags="i"), alike >= LIKE_ENOUGH
    )


def _in_area(regions: tuple[str, ...], region_code: str | None) -> Any:
    """Members in the cities of the scopes, or in a region: columns that the index holds."""
    if region_code is None:
        return within(Member, cities(regions))
    area = within(Member, cities((region_code,)))
    if region_code.count(".") == 2:
        return sa.and_(area, M.village_code.startswith(f"{region_code}."))
    return sa.and_(area, level_column(M, region_code) == region_code)


def _born_like(wanted: date) -> Any:
    """How near a birth date comes to the one described."""
    try:
        swapped = wanted.replace(month=wanted.day, day=wanted.month)
    except ValueError:
        swapped = wanted
    return sa.case(
        (M.birth_date == wanted, 1.0),
        (M.birth_date == swapped, 0.8),
        (M.birth_year == wanted.year, 0.5),
        (M.birth_year.is_(None), 0.2),
        else_=0.3,
    )


def _narrowed(wanted: HouseholdFilter) -> list[Any]:
    source = sa.select(V.source).where(V.id == H.registry_version_id).scalar_subquery()
    open_ = sa.exists().where(C.household_id == H.id, is_unconfirmed())
    conditions = (
        (wanted.region, lambda: within(Household, (str(wanted.region),))),
        (wanted.decile_min, lambda: H.decile >= wanted.decile_min),
        (wanted.decile_max, lambda: H.decile <= wanted.decile_max),
        (wanted.presence, lambda: H.presence == wanted.presence),
        # The source that has it now, or the one it first came from.
        (wanted.source, lambda: sa.func.coalesce(source, H.registry_source) == wanted.source),
        (wanted.unconfirmed, lambda: open_ if wanted.unconfirmed else sa.not_(open_)),
    )
    return [made() for value, made in conditions if value is not None]


def may_look_in(regions: tuple[str, ...], region_code: str) -> bool:
    """Whether a region, a city or smaller, lies in one of the scopes."""
    return "." in region_code and any(contains(scope, region_code) for scope in regions)
