"""Ratings: how content a citizen was with an answer."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import InRegion, Record


class Rating(InRegion, Record, table=True):
    """One for each answer: a complaint that was opened again is rated anew."""

    __tablename__ = "ratings"
    __table_args__ = (
        sa.UniqueConstraint("complaint_id", "reopened_count"),
        sa.CheckConstraint("satisfaction between 1 and 5", name="satisfaction"),
    )

    complaint_id: UUID = Field(foreign_key="complaints.id")
    reopened_count: int
    satisfaction: int
    at: datetime


class Ratings:
    """The only place that writes SQL about ratings."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, rating: Rating) -> None:
        self.session.add(rating)

    async def of(self, complaint_id: UUID, reopened_count: int) -> Rating | None:
        """The rating of a complaint's answer: the present one by the present count."""
        statement = sa.select(Rating).where(
            col(Rating.complaint_id) == complaint_id,
            col(Rating.reopened_count) == reopened_count,
        )
        return (await self.session.scalars(statement)).one_or_none()
