"""Offices: where citizens go, when, and that it costs nothing."""

import csv
import re
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, JSON, enum_type

HOURS = re.compile(r"((?:\w{3} )+)(\d\d:\d\d)-(\d\d:\d\d)")


class OfficeKind(StrEnum):
    SECRETARIAT = "secretariat"
    PUSKESOS = "puskesos"


class Office(SQLModel, table=True):
    """A desk. `hours` is a list of `{"days": ["mon", …], "opens": "08:00", "closes": "14:00"}`."""

    __tablename__ = "offices"

    code: str = Field(primary_key=True, sa_type=CODE, max_length=40)
    kind: OfficeKind = Field(sa_type=enum_type(OfficeKind))
    region_code: str = Field(sa_type=CODE, max_length=13, foreign_key="regions.code", index=True)
    name: str = Field(max_length=120)
    address: str = Field(max_length=300)
    phone: str | None = Field(default=None, max_length=40)
    hours: list[dict[str, Any]] = Field(sa_type=JSON)


class Offices:
    """The only place that writes SQL about offices."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def near(self, region: str | None) -> Sequence[Office]:
        """Those that serve a region or lie in it, or all: the widest first."""
        statement = sa.select(Office).order_by(sa.func.length(Office.region_code), Office.code)
        if region is not None:
            code = col(Office.region_code)
            statement = statement.where(
                sa.or_(
                    code == region,
                    sa.func.starts_with(sa.literal(region), code + "."),
                    code.startswith(f"{region}."),
                )
            )
        return (await self.session.scalars(statement)).all()

    async def seed(self) -> int:
        """Add the shipped offices that are missing; what an operator has changed stays."""
        rows = office_rows()
        await self.session.execute(insert(Office).values(rows).on_conflict_do_nothing())
        return len(rows)


def office_rows() -> list[dict[str, Any]]:
    data = (files("app.domain") / "data" / "offices.csv").read_text("utf-8")
    return [
        row | {"phone": row["phone"] or None, "hours": _hours(row["hours"])}
        for row in csv.DictReader(data.splitlines())
    ]


def _hours(text: str) -> list[dict[str, Any]]:
    """`mon tue 08:00-14:00; fri 08:00-11:00`."""
    return [
        {"days": days.split(), "opens": opens, "closes": closes}
        for days, opens, closes in HOURS.findall(text)
    ]
