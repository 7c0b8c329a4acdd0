"""Screenings as they were made: of whom, by which rules, over which versions of the facts.

What was seen is health, income and more: it is sealed as a whole.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.base import JSON, InRegion, Record
from app.domain.identifiers import Keys


class Screening(InRegion, Record, table=True):
    """One home screened once. `household_id` is nobody's where only a survey knows the home.

    `rules` are `{programme: number of its criteria}`; `versions` the versions of the household and
    its people, by id, that were looked at; `survey_version` that of a survey laid over them.
    """

    __tablename__ = "screenings"
    __table_args__ = (sa.Index("ix_screenings_household_id", "household_id", "id"),)

    household_id: UUID | None = Field(default=None, foreign_key="households.id")
    complaint_id: UUID | None = Field(default=None, foreign_key="complaints.id", index=True)
    screened_at: datetime
    screened_by: UUID
    day: date
    rules: dict[str, Any] = Field(sa_type=JSON)
    versions: dict[str, Any] = Field(sa_type=JSON)
    survey_version: int | None = None
    content: bytes


S: Any = Screening


class Screenings:
    """The only place that writes SQL about screenings."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, screening: Screening, content: list[dict[str, Any]]) -> None:
        plain = json.dumps(content, separators=(",", ":"))
        keys = Keys.of(self.session)
        screening.content = keys.seal(plain, "screenings", "content", screening.id)
        self.session.add(screening)

    def content(self, screening: Screening) -> list[dict[str, Any]]:
        """What the rules said, one entry for each programme and beneficiary."""
        plain = Keys.of(self.session).open(screening.content, "screenings", "content", screening.id)
        found: list[dict[str, Any]] = json.loads(plain)
        return found

    async def get(self, id: UUID) -> Screening | None:
        return await self.session.get(Screening, id)

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Screening]:
        statement = sa.select(Screening).where(S.id.in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def of_household(
        self, household_id: UUID, before: UUID | None, limit: int
    ) -> list[Screening]:
        """A household's screenings, newest first."""
        statement = (
            sa.select(Screening)
            .where(S.household_id == household_id)
            .order_by(S.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(S.id < before)
        return list(await self.session.scalars(statement))
