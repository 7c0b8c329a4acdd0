"""Surveys: what a home visit found, as a draft with a version of its own, then submitted.

Answers hold health, disability and income: they are sealed as a whole, not only the numbers.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import InRegion, Record
from app.domain.identifiers import Keys


class Survey(InRegion, Record, table=True):
    """A survey of a complaint, or of a visit without one.

    `additional`: it came from a facilitator who was replaced.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        sa.Index(
            "uq_surveys_main", "complaint_id", unique=True,
            postgresql_where=sa.text("not additional"),
        ),
        sa.Index(
            "uq_surveys_additional", "complaint_id", "author_id", unique=True,
            postgresql_where=sa.text("additional"),
        ),
        sa.CheckConstraint("num_nonnulls(complaint_id, visit_id) = 1", name="of_one"),
    )  # fmt: skip

    complaint_id: UUID | None = Field(default=None, foreign_key="complaints.id")
    visit_id: UUID | None = Field(default=None, foreign_key="visits.id", unique=True)
    author_id: UUID
    additional: bool = False
    version: int = 1
    content: bytes
    saved_at: datetime
    submitted_at: datetime | None = None
    typed_by: UUID


@dataclass(frozen=True, slots=True)
class SurveyContent:
    """What stands in a survey. `answers` fits the form of `form_version`."""

    form_version: str
    visited_at: str | None = None
    location: dict[str, float] | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    program_needs: list[dict[str, Any]] = field(default_factory=list)
    other_needs: list[dict[str, Any]] = field(default_factory=list)
    no_needs: bool = False
    registry_changes: list[dict[str, Any]] = field(default_factory=list)

    def differences(self, other: "SurveyContent", questions: Collection[str]) -> list[str]:
        """Where two surveys differ: pointers to fields, and to each of the questions."""
        return [
            f"/{name}"
            for name in self.__slots__
            if name != "answers" and getattr(self, name) != getattr(other, name)
        ] + [
            f"/answers/{name}"
            for name in questions
            if self.answers.get(name) != other.answers.get(name)
        ]

    @property
    def says_needs(self) -> bool:
        """Needs are named, or it is said that there are none."""
        return bool(self.program_needs or self.other_needs or self.no_needs)


class Surveys:
    """The only place that writes SQL about surveys."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, survey: Survey) -> None:
        self.session.add(survey)

    def seal(self, survey: Survey, content: SurveyContent) -> None:
        plain = json.dumps(
            {name: getattr(content, name) for name in content.__slots__}, separators=(",", ":")
        )
        survey.content = Keys.of(self.session).seal(plain, "surveys", "content", survey.id)

    def content(self, survey: Survey) -> SurveyContent:
        plain = Keys.of(self.session).open(survey.content, "surveys", "content", survey.id)
        return SurveyContent(**json.loads(plain))

    async def of(
        self, complaint_id: UUID, additional_of: UUID | None = None, lock: bool = False
    ) -> Survey | None:
        """The survey of a complaint, or the additional one of a former facilitator."""
        statement = sa.select(Survey).where(
            col(Survey.complaint_id) == complaint_id,
            col(Survey.additional)
            if additional_of is not None
            else sa.not_(col(Survey.additional)),
        )
        if additional_of is not None:
            statement = statement.where(col(Survey.author_id) == additional_of)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def of_visit(self, visit_id: UUID, lock: bool = False) -> Survey | None:
        """The survey of a visit, once it has been saved."""
        statement = sa.select(Survey).where(col(Survey.visit_id) == visit_id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one_or_none()

    async def additional(self, complaint_id: UUID) -> list[Survey]:
        statement = (
            sa.select(Survey)
            .where(
                col(Survey.complaint_id) == complaint_id,
                col(Survey.additional),
                col(Survey.submitted_at).is_not(None),
            )
            .order_by(col(Survey.submitted_at))
            .limit(20)
        )
        return list(await self.session.scalars(statement))

    async def begin_anew(self, complaint_id: UUID) -> None:
        """What was submitted becomes a draft again: a reopened complaint is surveyed anew."""
        await self.session.execute(
            sa.update(Survey)
            .where(col(Survey.complaint_id) == complaint_id, sa.not_(col(Survey.additional)))
            .values(submitted_at=None)
        )

    async def submitted(self, complaint_ids: list[UUID]) -> set[UUID]:
        """Which of the complaints have a submitted survey."""
        statement = sa.select(col(Survey.complaint_id)).where(
            col(Survey.complaint_id).in_(complaint_ids),
            sa.not_(col(Survey.additional)),
            col(Survey.submitted_at).is_not(None),
        )
        return set(await self.session.scalars(statement))
