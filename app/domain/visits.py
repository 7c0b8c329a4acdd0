"""Visits: a noun of their own, with or without a complaint."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.domain.base import InRegion, Record, enum_type
from app.domain.vocabulary import VisitResult


class VisitKind(StrEnum):
    COMPLAINT = "complaint"
    REVERIFICATION = "reverification"
    BENEFIT_CHECK = "benefit_check"
    ANSWER = "answer"


class VisitState(StrEnum):
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Visit(InRegion, Record, table=True):
    """A home to be visited, by whom and until when. Its survey, if any, names the visit."""

    __tablename__ = "visits"
    __table_args__ = (
        sa.Index("ix_visits_assignee_id", "assignee_id", "state"),
        # One open re-verification of a household at a time.
        sa.Index(
            "uq_visits_open", "household_id", "kind", unique=True,
            postgresql_where=sa.text("state = 'open' and complaint_id is null"),
        ),
    )  # fmt: skip

    version: int = 1
    kind: VisitKind = Field(sa_type=enum_type(VisitKind))
    state: VisitState = Field(default=VisitState.OPEN, sa_type=enum_type(VisitState))
    complaint_id: UUID | None = Field(default=None, foreign_key="complaints.id", index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    assignee_id: UUID | None = Field(default=None, foreign_key="principals.id")
    due_at: datetime
    attempts: int = 0
    last_result: VisitResult | None = Field(default=None, sa_type=enum_type(VisitResult))
    reason: str | None = Field(default=None, max_length=200)
    created_by: UUID
    created_at: datetime
    done_at: datetime | None = None
