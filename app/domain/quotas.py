"""Quotas: how many a programme takes in a region and a period, and how many it has taken."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import Field

from app.domain.base import CODE, Record
from app.domain.errors import NotFound
from app.domain.programs import Program
from app.domain.referrals import Referral

# A programme's need in a village: what a quota is looked up by.
Need = tuple[str, str]


class Quota(Record, table=True):
    """The places of a programme in a region, from a day to a day, both included.

    Where it is `managed_here`, a referral that is sent takes a place, or stands in the line of
    those who wait for one; elsewhere `places` is information. At most one quota is in force for a
    programme in a village on a day. `version` is that of what was decided about it.
    """

    __tablename__ = "quotas"
    __table_args__ = (
        sa.Index("ix_quotas_program_code", "program_code", "id"),
        sa.Index("ix_quotas_waiting", "program_code", postgresql_where=sa.text("waiting > 0")),
        sa.CheckConstraint(
            "reserved >= 0 and used >= 0 and waiting >= 0 and reserved + used <= places",
            name="places",
        ),
    )

    version: int = 1
    program_code: str = Field(sa_type=CODE, foreign_key="programs.code")
    region_code: str = Field(sa_type=CODE, max_length=13)
    starts_on: date
    ends_on: date
    places: int
    managed_here: bool = False
    reserved: int = 0
    used: int = 0
    # How many stand in the line, and the number that the last of them drew.
    waiting: int = 0
    last_number: int = 0
    created_at: datetime
    updated_at: datetime

    @property
    def taken(self) -> int:
        return self.reserved + self.used

    @property
    def free(self) -> int:
        return self.places - self.taken

    # A quota may be a whole city's: its events name no district and no village then.
    @property
    def province_code(self) -> str:
        return self._level(1)

    @property
    def regency_code(self) -> str:
        return self._level(2)

    @property
    def district_code(self) -> str:
        return self._level(3)

    @property
    def village_code(self) -> str:
        return self._level(4)

    def _level(self, depth: int) -> str:
        parts = self.region_code.split(".")
        return ".".join(parts[:depth]) if len(parts) >= depth else ""


Q: Any = Quota


def upward(code: str) -> list[str]:
    """A region and all that it lies in."""
    parts = code.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


class Quotas:
    """The only place that writes SQL about quotas."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, quota: Quota) -> None:
        self.session.add(quota)

    async def get(self, id: UUID) -> Quota:
        quota = await self.session.get(Quota, id)
        if quota is None:
            raise NotFound
        return quota

    async def page(
        self, program_code: str, region: str | None, on: date | None, after: UUID | None, limit: int
    ) -> list[Quota]:
        """A programme's quotas, newest first; those that are about a region, or in force on a
        day."""
        statement = sa.select(Quota).where(Q.program_code == program_code).order_by(Q.id.desc())
        if region is not None:
            statement = statement.where(_about(region))
        if on is not None:
            statement = statement.where(Q.starts_on <= on, Q.ends_on >= on)
        if after is not None:
            statement = statement.where(Q.id < after)
        return list(await self.session.scalars(statement.limit(limit)))

    async def hold_program(self, code: str) -> None:
        """Two who add quotas of a programme wait for each other."""
        statement = sa.select(Program).where(Program.code == code)  # type: ignore[arg-type]
        await self.session.execute(statement.with_for_update(key_share=True))

    async def overlapping(self, quota: Quota) -> bool:
        """Whether another quota is in force for a part of its region on one of its days."""
        statement = sa.select(Q.id).where(
            Q.program_code == quota.program_code,
            Q.id != quota.id,
            Q.starts_on <= quota.ends_on,
            Q.ends_on >= quota.starts_on,
            _about(quota.region_code),
        )
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def lock_for(self, needs: Collection[Need]) -> list[Quota]:
        """The quotas managed here, past ones too, that some needs fall under; held until commit.

        They are locked before referrals: a place that comes free goes to the next in line.
        """
        if not needs:
            return []
        fitting = [
            sa.and_(Q.program_code == program, Q.region_code.in_(upward(village)))
            for program, village in sorted(needs)
        ]
        return await self._locked(sa.or_(*fitting), Q.managed_here)

    async def lock(self, id: UUID) -> Quota:
        """The row as it is now, held until commit. It is locked before referrals."""
        return (await self._locked(Q.id == id))[0]

    async def lock_with_past(self, quota: Quota) -> list[Quota]:
        """A quota, and the ended ones of its programme and region where somebody waits still."""
        past = sa.and_(
            Q.program_code == quota.program_code,
            Q.ends_on < quota.starts_on,
            Q.waiting > 0,
            _about(quota.region_code),
        )
        return await self._locked(sa.or_(Q.id == quota.id, past))

    async def _locked(self, *conditions: Any) -> list[Quota]:
        """In id order, so that two lockers cannot meet head-on."""
        statement = sa.select(Quota).where(*conditions).order_by(Q.id).with_for_update()
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def neglected(self, day: date, limit: int) -> list[Quota]:
        """Quotas in force for people who still wait in the line of one that has ended."""
        past: Any = aliased(Quota)
        waits: Any = Referral
        home = (waits.province_code, waits.regency_code, waits.district_code, waits.village_code)
        statement = (
            sa.select(waits.id)
            .join(past, past.id == waits.quota_id)
            .where(
                waits.waiting_number.is_not(None),
                past.program_code == Q.program_code,
                past.ends_on < Q.starts_on,
                Q.region_code.in_(home),
            )
        )
        found = (
            sa.select(Quota)
            .where(Q.managed_here, Q.starts_on <= day, Q.ends_on >= day, statement.exists())
            .order_by(Q.id)
            .limit(limit)
        )
        return list(await self.session.scalars(found))


def _about(region: str) -> Any:
    """Quotas whose region contains a region, or lies in it."""
    return sa.or_(
        Q.region_code.in_(upward(region)), sa.func.starts_with(Q.region_code, f"{region}.")
    )
