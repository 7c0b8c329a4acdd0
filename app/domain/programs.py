"""Programmes: the 28 that a need can be referred to."""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from importlib.resources import files
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, JSON, enum_type


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
    benefit: str = Field(default="", max_length=1000)
    contact: str = Field(default="", max_length=300)
    valid_from: date | None = None
    valid_until: date | None = None
    version: int = 1
    # Who changed it last; nobody: it is as it ships, and a newer shipment may change it.
    changed_by: UUID | None = None
    updated_at: datetime

    @property
    def of_person(self) -> bool:
        """Whether it is for single people; all else is screened home by home."""
        return self.unit is ProgramUnit.INDIVIDUAL

    def open_on(self, day: date) -> bool:
        """Whether it can be had on a day."""
        begun = self.valid_from is None or self.valid_from <= day
        return self.active and begun and (self.valid_until is None or self.valid_until >= day)


class ProgramVersion(SQLModel, table=True):
    """What the catalogue said of a programme in each of its versions, and who changed it."""

    __tablename__ = "program_versions"

    program_code: str = Field(
        primary_key=True, sa_type=CODE, max_length=40, foreign_key="programs.code"
    )
    version: int = Field(primary_key=True)
    content: dict[str, Any] = Field(sa_type=JSON)
    changed_at: datetime
    changed_by: UUID | None = None


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

    async def lock(self, code: str) -> Program | None:
        """The row as it is now, held until commit."""
        statement = sa.select(Program).where(col(Program.code) == code).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def all(self) -> dict[str, Program]:
        """Every programme by its code."""
        found = await self.session.scalars(sa.select(Program).order_by(col(Program.code)))
        return {one.code: one for one in found}

    async def versions(self, code: str, before: int | None, limit: int) -> Sequence[ProgramVersion]:
        """What the catalogue said of a programme, newest first."""
        version = col(ProgramVersion.version)
        statement = (
            sa.select(ProgramVersion)
            .where(col(ProgramVersion.program_code) == code)
            .order_by(version.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(version < before)
        return (await self.session.scalars(statement)).all()

    async def keep_versions(self) -> None:
        """Keep what every programme says now, where its version is not kept yet."""
        await self.session.flush()
        await self.session.execute(KEEP_VERSIONS)

    async def seed(self) -> int:
        """Write the shipped programmes, but for those that somebody changed here.

        The same again changes nothing. Returns how many there are.
        """
        rows = program_rows()
        statement = insert(Program).values(
            [row | {"updated_at": sa.func.now(), "version": 1} for row in rows]
        )
        changed = {name: statement.excluded[name] for name in rows[0] if name != "code"}
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["code"],
                set_=changed | {"updated_at": sa.func.now(), "version": col(Program.version) + 1},
                where=sa.and_(
                    col(Program.changed_by).is_(None),
                    sa.or_(
                        *(col(getattr(Program, n)).is_distinct_from(v) for n, v in changed.items())
                    ),
                ),
            )
        )
        await self.keep_versions()
        return len(rows)


KEEP_VERSIONS = sa.text("""
    insert into program_versions (program_code, version, content, changed_at, changed_by)
    select code, version, to_jsonb(p) - array['code', 'version', 'updated_at', 'changed_by'],
        updated_at, changed_by
    from programs p on conflict do nothing
""")


def program_rows() -> list[dict[str, Any]]:
    data = (files("app.domain") / "data" / "programs.csv").read_text("utf-8")
    return [
        row | {"active": row["active"] == "true", "benefit": "", "contact": ""}
        for row in csv.DictReader(data.splitlines())
    ]
