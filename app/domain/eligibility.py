"""The registry screened as a whole: who is eligible and not served, and how many, by region."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import within
from app.domain.criteria import Asked, screened, sub_region
from app.domain.households import Household, Member

H: Any = Household
M: Any = Member
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A home, or one person in it."""

    household_id: UUID
    member_id: UUID | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Homes or people of a region: screened, eligible, of those served or not, and unknown.

    `receiving` are all who take part, whatever the rule says of them.
    """

    region_code: str
    screened: int
    eligible: int
    served: int
    unserved: int
    unknown: int
    receiving: int


@dataclass(frozen=True, slots=True)
class Affected:
    """How many are eligible before and after a change, and some of those who gain or lose."""

    before: int
    after: int
    newly: int
    no_longer: int
    unknown: int
    gaining: tuple[Found, ...]
    losing: tuple[Found, ...]


class Eligibles:
    """The only place that reads the whole registry by rules."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def unserved(
        self,
        asked: Asked,
        day: date,
        regions: tuple[str, ...],
        region: str,
        after: Found | None,
        limit: int,
    ) -> list[Found]:
        """Who is eligible and does not take part, home by home.

        Homes are read in the order of an index, so that reading ends where the page is full.
        """
        statement = screened([asked], day, regions, _ids(asked))
        verdict, takes = statement.selected_columns.v0, statement.selected_columns.t0
        statement = statement.where(within(Household, (region,)), verdict, sa.not_(takes))
        order: list[Any] = [H.id, M.id] if asked.of_person else [H.id]
        if after is not None:
            place = [after.household_id, after.member_id][: len(order)]
            statement = statement.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, place)))
            # Said by itself, too: the index of homes begins where the page does.
            statement = statement.where(H.id >= after.household_id)
        await self._patiently()
        rows = await self.session.execute(statement.order_by(*order).limit(limit))
        return [Found(*row[:2]) for row in rows]

    async def coverage(
        self, asked: Sequence[Asked], day: date, regions: tuple[str, ...], region: str
    ) -> list[list[Coverage]]:
        """For each rule, the regions directly under one (a village: itself), by code.

        All rules are of homes, or all of people.
        """
        columns = [sub_region(region).label("region")]
        every = screened(asked, day, regions, columns).where(within(Household, (region,)))
        rows = _once(every)
        counts: list[Any] = []
        for n in range(len(asked)):
            verdict, takes = rows.c[f"v{n}"], rows.c[f"t{n}"]
            for condition in (
                verdict, sa.and_(verdict, takes), sa.and_(verdict, sa.not_(takes)),
                verdict.is_(None), takes,
            ):  # fmt: skip
                counts.append(sa.func.count().filter(condition))
        statement = sa.select(rows.c.region, sa.func.count(), *counts).group_by(rows.c.region)
        await self._patiently()
        found = (await self.session.execute(statement.order_by(rows.c.region))).all()
        return [
            [Coverage(code, whole, *many[5 * n : 5 * n + 5]) for code, whole, *many in found]
            for n in range(len(asked))
        ]

    async def affected(
        self, before: Asked | None, after: Asked, day: date, regions: tuple[str, ...]
    ) -> Affected:
        """What a change of criteria does in some regions."""
        both = [after, before] if before is not None else [after]
        rows = _once(screened(both, day, regions, _ids(after)))
        now = rows.c.v0
        was: Any = rows.c.v1 if before is not None else sa.false()
        is_now, was_so = now.is_(True), was.is_(True)
        gains, loses = sa.and_(is_now, sa.not_(was_so)), sa.and_(was_so, sa.not_(is_now))
        count = sa.func.count()
        await self._patiently()
        statement = sa.select(
            count.filter(was_so), count.filter(is_now), count.filter(gains), count.filter(loses),
            count.filter(now.is_(None)),
        ).select_from(rows)  # fmt: skip
        counts = (await self.session.execute(statement)).one()
        some = []
        for condition in (gains, loses):
            shown = sa.select(rows.c.household_id, rows.c.member_id).where(condition)
            found = await self.session.execute(shown.limit(MOST_SHOWN))
            some.append(tuple(Found(home, member) for home, member in found))
        return Affected(*counts, *some)

    async def _patiently(self) -> None:
        """A whole registry may be read; that takes longer than a call usually may."""
        await self.session.execute(sa.text("set local statement_timeout = '2min'"))


def _once(statement: sa.Select[Any]) -> Any:
    """Each verdict is counted several ways and computed once: OFFSET keeps the statement apart."""
    return statement.offset(0).subquery()


def _ids(asked: Asked) -> list[Any]:
    member = M.id if asked.of_person else sa.cast(sa.null(), sa.Uuid())
    return [H.id.label("household_id"), member.label("member_id")]
