"""Programmes: the 28 that a need can be referred to."""

import csv
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, enum_type


class ProgramScope(StrEnum):
    NATIONAL = "national"
    CITY = "city"


class ProgramUnit(StrEnum):
    """What one grant is for."""

    INDIVIDUAL = "individual"
    FAMILY = "family"
    HOUSEHOLD = "household"
    GROUP = "group"
    SCHOOL = "school"
    COMMUNITY = "community"


class Program(SQLModel, table=True):
    """A social-protection programme, as the catalogue of `data/programs.csv` describes it."""

    __tablename__ = "programs"

    code: str = Field(primary_key=True, sa_type=CODE, max_length=40)
    name_id: str
    name_en: str
    scope: ProgramScope = Field(sa_type=enum_type(ProgramScope))
    unit: ProgramUnit = Field(sa_type=enum_type(ProgramUnit))
    active: bool
    agency: str
    benefit_type: str
    target_criteria: str
    rule_hint: str
    required_docs: str
    period: str
    status_note: str
    unit_note: str
    one_of_28: str
    criteria_evidence: str
    updated_at: datetime


class Programs:
    """The only place that writes SQL about programmes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, code: str) -> Program | None:
        return await self.session.get(Program, code)

    async def list(self, active: bool | None, limit: int, after: str | None) -> list[Program]:
        statement = sa.select(Program).order_by(col(Program.code)).limit(limit)
        if active is not None:
            statement = statement.where(col(Program.active) == active)
        if after is not None:
            statement = statement.where(col(Program.code) > after)
        return list(await self.session.scalars(statement))

    async def codes(self) -> set[str]:
        """All codes there are."""
        return set(await self.session.scalars(sa.select(col(Program.code))))

    async def unknown(self, codes: set[str]) -> set[str]:
        """Which of the codes are no programmes."""
        known = await self.session.scalars(
            sa.select(col(Program.code)).where(col(Program.code).in_(codes))
        )
        return codes - set(known)

    async def seed(self) -> int:
        """Write the shipped programmes; the same again changes nothing. Returns how many."""
        rows = program_rows()
        statement = insert(Program).values([row | {"updated_at": sa.func.now()} for row in rows])
        changed = {name: statement.excluded[name] for name in rows[0] if name != "code"}
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["code"],
                set_=changed | {"updated_at": sa.func.now()},
                where=sa.or_(
                    *(col(getattr(Program, n)).is_distinct_from(v) for n, v in changed.items())
                ),
            )
        )
        return len(rows)


def program_rows() -> list[dict[str, Any]]:
    data = (files("app.domain") / "data" / "programs.csv").read_text("utf-8")
    return [row | {"active": row["active"] == "true"} for row in csv.DictReader(data.splitlines())]
