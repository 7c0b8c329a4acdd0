"""Criteria of programmes in their versions: drafted, shown whom they affect, in force by day."""

import json
from collections.abc import Mapping, Set
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.base import CODE, JSON, Record, enum_type, new_id
from app.domain.criteria import Rule

# The first versions ship with slrt, and hold from the start.
SHIPPED_FROM = date(2026, 1, 1)


class CriteriaState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    DISCARDED = "discarded"


class CriteriaVersion(Record, table=True):
    """A version of a programme's criteria. Once published it never changes.

    `number` counts a programme's versions; `version` the changes of a draft. `previewed_version`
    is the draft's version whose effect was shown. `drafted_by` is nobody for what ships.
    """

    __tablename__ = "program_criteria"
    __table_args__ = (sa.UniqueConstraint("program_code", "number"),)

    program_code: str = Field(sa_type=CODE, max_length=40, foreign_key="programs.code")
    number: int
    version: int = 1
    state: CriteriaState = Field(default=CriteriaState.DRAFT, sa_type=enum_type(CriteriaState))
    criteria: list[dict[str, Any]] = Field(sa_type=JSON)
    valid_from: date
    valid_until: date | None = None
    note: str | None = Field(default=None, max_length=1000)
    drafted_by: UUID | None = None
    drafted_at: datetime
    changed_at: datetime
    previewed_version: int | None = None
    published_by: UUID | None = None
    published_at: datetime | None = None

    @property
    def rule(self) -> Rule:
        """The criteria, typed."""
        return Rule.model_validate({"criteria": self.criteria})


V: Any = CriteriaVersion


class CriteriaVersions:
    """The only place that writes SQL about criteria."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, version: CriteriaVersion) -> None:
        self.session.add(version)

    async def get(self, program_code: str, number: int) -> CriteriaVersion | None:
        statement = sa.select(CriteriaVersion).where(
            V.program_code == program_code, V.number == number
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def forget_previews(self, program_code: str) -> None:
        """Drafts were held against what was in force: their effect is to be shown anew."""
        await self.session.execute(
            sa.update(CriteriaVersion)
            .where(V.program_code == program_code, V.state == CriteriaState.DRAFT)
            .values(previewed_version=None)
        )

    async def lock(self, id: UUID) -> CriteriaVersion:
        """The row as it is now, held until commit."""
        statement = sa.select(CriteriaVersion).where(V.id == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def next_number(self, program_code: str) -> int:
        """The number of a programme's next version. The programme is locked."""
        statement = sa.select(sa.func.max(V.number)).where(V.program_code == program_code)
        return int(await self.session.scalar(statement) or 0) + 1

    async def page(
        self, program_code: str, before: int | None, limit: int
    ) -> list[CriteriaVersion]:
        """All versions of a programme, newest first."""
        statement = (
            sa.select(CriteriaVersion)
            .where(V.program_code == program_code)
            .order_by(V.number.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(V.number < before)
        return list(await self.session.scalars(statement))

    async def in_force(self, day: date, program_code: str | None = None) -> list[CriteriaVersion]:
        """What holds on a day, one version for each programme that has any, by code.

        Where the dates of several hold, the one published last does.
        """
        statement = (
            sa.select(CriteriaVersion)
            .where(
                V.state == CriteriaState.PUBLISHED,
                V.valid_from <= day,
                sa.or_(V.valid_until.is_(None), V.valid_until >= day),
            )
            .order_by(V.program_code, V.published_at, V.number)
        )
        if program_code is not None:
            statement = statement.where(V.program_code == program_code)
        last = {one.program_code: one for one in await self.session.scalars(statement)}
        return list(last.values())

    async def named(self, numbers: Mapping[str, int]) -> dict[str, CriteriaVersion]:
        """One version for each of some programmes, by its number."""
        found = await self.pairs(set(numbers.items()))
        return {code: one for (code, _), one in found.items()}

    async def pairs(self, pairs: Set[tuple[str, int]]) -> dict[tuple[str, int], CriteriaVersion]:
        """Versions by programme and number."""
        statement = sa.select(CriteriaVersion).where(
            sa.tuple_(V.program_code, V.number).in_(sorted(pairs))
        )
        found = await self.session.scalars(statement)
        return {(one.program_code, one.number): one for one in found}

    async def seed(self) -> int:
        """Write the shipped criteria of programmes that have none yet. Returns how many ship."""
        rows = [
            {
                "id": new_id(), "program_code": code, "number": 1, "version": 1,
                "state": CriteriaState.PUBLISHED, "criteria": criteria,
                "valid_from": SHIPPED_FROM, "drafted_at": sa.func.now(),
                "changed_at": sa.func.now(), "published_at": sa.func.now(),
            }
            for code, criteria in shipped().items()
        ]  # fmt: skip
        statement = insert(CriteriaVersion).values(rows)
        await self.session.execute(
            statement.on_conflict_do_nothing(index_elements=["program_code", "number"])
        )
        return len(rows)


@lru_cache
def shipped() -> dict[str, list[dict[str, Any]]]:
    """The criteria that ship with slrt, by programme."""
    data = files("app.domain") / "data" / "criteria.json"
    found: dict[str, list[dict[str, Any]]] = json.loads(data.read_text("utf-8"))
    return found
