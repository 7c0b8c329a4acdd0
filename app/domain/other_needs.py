"""Other needs: what a survey found that no programme was named for, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.base import CODE, InRegion, Record, enum_type, region_of, within
from app.domain.errors import NotFound
from app.domain.identifiers import Keys
from app.domain.vocabulary import Sector

# Sorts behind every sector.
LAST = "~"
PLACE = ("other_needs", "text")


class MappedTo(StrEnum):
    """What meets a need: a programme, a helper of the place (BAZNAS, CSR), or nothing there is."""

    PROGRAM = "program"
    LOCAL_HELPER = "local_helper"
    NONE_EXISTS = "none_exists"


class OtherNeed(InRegion, Record, table=True):
    """A need in the words of whoever visited: sealed, since it tells of health and hardship."""

    __tablename__ = "other_needs"
    __table_args__ = (
        sa.Index("ix_other_needs_regency_code_id", "regency_code", "id"),
        sa.Index(
            "ix_other_needs_unmapped", "regency_code", "id",
            postgresql_where=sa.text("mapped_to is null"),
        ),
    )  # fmt: skip

    version: int = 1
    complaint_id: UUID = Field(foreign_key="complaints.id", index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    text: bytes
    sector: Sector | None = Field(default=None, sa_type=enum_type(Sector))
    created_at: datetime
    mapped_to: MappedTo | None = Field(default=None, sa_type=enum_type(MappedTo))
    program_code: str | None = Field(default=None, sa_type=CODE, foreign_key="programs.code")
    helper: str | None = Field(default=None, max_length=120)
    # The draft that was made of it, where its complaint could still take one.
    referral_id: UUID | None = Field(default=None, foreign_key="referrals.id")
    mapped_by: UUID | None = None
    mapped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NeedFilter:
    # True: mapped to something, or to "none exists".
    mapped: bool | None = None
    mapped_to: MappedTo | None = None
    sector: Sector | None = None
    region: str | None = None
    complaint_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The needs of a sector in a village, by what came of them."""

    village_code: str
    sector: Sector | None
    unmapped: int
    program: int
    local_helper: int
    none_exists: int

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in the order of counts."""
        return self.village_code, self.sector or LAST


N: Any = OtherNeed


class OtherNeeds:
    """The only place that writes SQL about other needs."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, need: OtherNeed, text: str) -> None:
        need.text = Keys.of(self.session).seal(text, *PLACE, need.id)
        self.session.add(need)

    def text(self, need: OtherNeed) -> str:
        return Keys.of(self.session).open(need.text, *PLACE, need.id)

    async def get(self, id: UUID, regions: tuple[str, ...]) -> OtherNeed:
        """Raises NotFound for what does not exist or lies in none of the regions."""
        statement = sa.select(OtherNeed).where(N.id == id, within(OtherNeed, regions))
        need = (await self.session.scalars(statement)).one_or_none()
        if need is None:
            raise NotFound
        return need

    async def carry_over(self, complaint_id: UUID, into: Any) -> None:
        """The needs of a complaint go to another one (a row with id and region columns)."""
        await self.session.execute(
            sa.update(OtherNeed)
            .where(N.complaint_id == complaint_id)
            .values(complaint_id=into.id, version=N.version + 1, **region_of(into))
        )

    async def find(self, id: UUID) -> OtherNeed:
        """The row, whoever may see it, without holding it."""
        return (await self.session.scalars(sa.select(OtherNeed).where(N.id == id))).one()

    async def lock(self, id: UUID) -> OtherNeed:
        """The row as it is now, held until commit. Its complaint is locked before it."""
        statement = sa.select(OtherNeed).where(N.id == id).with_for_update()
        return (
            await self.session.scalars(statement.execution_options(populate_existing=True))
        ).one()

    async def of_complaint(self, complaint_id: UUID) -> list[OtherNeed]:
        """What the survey of a complaint named, oldest first; held until commit."""
        statement = sa.select(OtherNeed).where(N.complaint_id == complaint_id).order_by(N.id)
        return list(await self.session.scalars(statement.with_for_update()))

    async def remove(self, need: OtherNeed) -> None:
        await self.session.delete(need)

    async def page(
        self, regions: tuple[str, ...], wanted: NeedFilter, after: UUID | None, limit: int
    ) -> Sequence[OtherNeed]:
        """Newest first."""
        statement = sa.select(OtherNeed).where(within(OtherNeed, regions), *_conditions(wanted))
        if after is not None:
            statement = statement.where(N.id < after)
        return list(await self.session.scalars(statement.order_by(N.id.desc()).limit(limit)))

    async def counts(
        self,
        regions: tuple[str, ...],
        wanted: NeedFilter,
        after: tuple[str, str] | None,
        limit: int,
    ) -> list[Counted]:
        """By village and sector; those without a sector last in each village."""
        sector = sa.func.coalesce(N.sector, LAST)

        def having(*conditions: Any) -> Any:
            return sa.func.count().filter(*conditions)

        statement = (
            sa.select(
                N.village_code,
                N.sector,
                having(N.mapped_to.is_(None)),
                *(having(N.mapped_to == one) for one in MappedTo),
            )
            .where(within(OtherNeed, regions), *_conditions(wanted))
            .group_by(N.village_code, N.sector)
            .order_by(N.village_code, sector)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(
                sa.tuple_(N.village_code, sector) > sa.tuple_(*map(sa.literal, after))
            )
        return [Counted(*row) for row in await self.session.execute(statement)]


def _conditions(wanted: NeedFilter) -> list[Any]:
    found = [
        getattr(N, name) == value
        for name in ("mapped_to", "sector", "complaint_id")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.mapped is not None:
        found.append(N.mapped_to.is_not(None) if wanted.mapped else N.mapped_to.is_(None))
    if wanted.region is not None:
        found.append(within(OtherNeed, (wanted.region,)))
    return found
