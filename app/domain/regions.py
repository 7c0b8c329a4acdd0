"""Regions: the Kemendagri codes, their other names and their former codes."""

import csv
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, enum_type


class RegionLevel(StrEnum):
    PROVINCE = "province"
    REGENCY = "regency"
    DISTRICT = "district"
    VILLAGE = "village"


LEVELS = tuple(RegionLevel)
# Spellings that forms and old files use.
ALIASES = {
    "35.76.01": ["Prajurit Kulon"],
    "35.76.01.1006": ["Prajurit Kulon"],
    "35.76.02.1001": ["Gunung Gedangan"],
}


class Region(SQLModel, table=True):
    """A region of Kepmendagri 300.2.2-2430/2025."""

    __tablename__ = "regions"

    code: str = Field(primary_key=True, sa_type=CODE, max_length=13)
    name: str = Field(max_length=100)
    level: RegionLevel = Field(sa_type=enum_type(RegionLevel))
    parent_code: str | None = Field(
        default=None, sa_type=CODE, foreign_key="regions.code", index=True
    )
    aliases: list[str] = Field(default_factory=list, sa_type=ARRAY(sa.Text))
    former_codes: list[str] = Field(default_factory=list, sa_type=ARRAY(sa.Text))


class BpsCode(SQLModel, table=True):
    """A village's code in the system of BPS (2+2+3+3 digits), from an operator's own table."""

    __tablename__ = "bps_codes"

    bps_code: str = Field(primary_key=True, sa_type=CODE, max_length=10)
    region_code: str = Field(sa_type=CODE, foreign_key="regions.code", max_length=13)


class Regions:
    """The only place that writes SQL about regions."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def village(self, code: str) -> Region | None:
        """The village of a code, present or former; None where there is no such village."""
        statement = sa.select(Region).where(
            col(Region.level) == RegionLevel.VILLAGE,
            sa.or_(col(Region.code) == code, sa.literal(code) == sa.any_(col(Region.former_codes))),
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def list(self, parent: str | None, limit: int, after: str | None) -> list[Region]:
        """Those directly under `parent`, or all; by code."""
        statement = sa.select(Region).order_by(col(Region.code)).limit(limit)
        if parent is not None:
            statement = statement.where(col(Region.parent_code) == parent)
        if after is not None:
            statement = statement.where(col(Region.code) > after)
        return list(await self.session.scalars(statement))

    async def unknown(self, codes: set[str]) -> set[str]:
        """Which of the codes are no regions."""
        known = await self.session.scalars(
            sa.select(col(Region.code)).where(col(Region.code).in_(codes))
        )
        return codes - set(known)

    async def names(self, codes: set[str]) -> dict[str, str]:
        """What regions are called; one that is not known goes by its code."""
        statement = sa.select(col(Region.code), col(Region.name)).where(col(Region.code).in_(codes))
        return {code: code for code in codes} | dict((await self.session.execute(statement)).all())

    async def under(self, code: str) -> Sequence[Region]:
        """A region and all that lies in it, by code."""
        statement = sa.select(Region).where(
            sa.or_(col(Region.code) == code, col(Region.code).startswith(f"{code}."))
        )
        return (await self.session.scalars(statement.order_by(col(Region.code)))).all()

    async def bps_codes(self, code: str) -> dict[str, str]:
        """The BPS codes of the villages in a region, as far as they are loaded."""
        statement = sa.select(BpsCode).where(col(BpsCode.region_code).startswith(f"{code}."))
        return {one.bps_code: one.region_code for one in await self.session.scalars(statement)}

    async def load_bps(self, rows: Sequence[tuple[str, str]]) -> int:
        """Write an operator's table of (BPS code, region code); the same again changes nothing."""
        values = [{"bps_code": bps, "region_code": code} for bps, code in rows]
        statement = insert(BpsCode)
        statement = statement.on_conflict_do_update(
            index_elements=["bps_code"], set_={"region_code": statement.excluded.region_code}
        )
        for n in range(0, len(values), 5_000):
            await self.session.execute(statement.values(values[n : n + 5_000]))
        return len(values)

    async def bps_code_of(self, codes: set[str]) -> dict[str, str]:
        """The BPS code of each village that has one; the first where there are several."""
        statement = (
            sa.select(col(BpsCode.region_code), sa.func.min(col(BpsCode.bps_code)))
            .where(col(BpsCode.region_code).in_(codes))
            .group_by(col(BpsCode.region_code))
        )
        return dict((await self.session.execute(statement)).all())

    async def seed(self) -> int:
        """Write the shipped regions; the same again changes nothing. Returns how many there are."""
        rows = region_rows()
        statement = insert(Region).values(rows)
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["code"],
                set_={
                    name: statement.excluded[name]
                    for name in ("name", "level", "parent_code", "aliases", "former_codes")
                },
            )
        )
        return len(rows)


def region_rows() -> list[dict[str, Any]]:
    """The regions that ship with slrt, parents first."""
    data = files("app.domain") / "data"
    former: dict[str, list[str]] = {}
    for row in csv.DictReader((data / "region_history.csv").read_text("utf-8").splitlines()):
        former.setdefault(row["new_code_kepmendagri_2025"], []).append(
            row["old_code_permendagri_56_2015"]
        )
    return [
        {
            "code": row["code"],
            "name": row["name"],
            "level": LEVELS[row["code"].count(".")],
            "parent_code": row["parent_code"] or None,
            "aliases": ALIASES.get(row["code"], []),
            "former_codes": former.get(row["code"], []),
        }
        for row in csv.DictReader((data / "regions.csv").read_text("utf-8").splitlines())
    ]
