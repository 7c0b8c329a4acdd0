"""Notifications: what a person was told, and the record that each step was taken once."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import InRegion, Record, enum_type, new_id, region_of


class SubjectKind(StrEnum):
    COMPLAINT = "complaint"
    REFERRAL = "referral"
    REGISTRY_CHANGE = "registry_change"
    VISIT = "visit"
    DISPATCH = "dispatch"
    WEBHOOK_ENDPOINT = "webhook_endpoint"
    DEVICE = "device"
    TICKET_BOOK = "ticket_book"

    @property
    def path(self) -> str:
        """The plural under which a subject is found: `registry-changes`."""
        return "dispatches" if self is SubjectKind.DISPATCH else f"{self}s".replace("_", "-")


class Step(StrEnum):
    """Why somebody is told."""

    REMINDER = "reminder"
    LEVEL_1 = "level_1"
    LEVEL_2 = "level_2"
    BREACH = "breach"
    ASSIGNED = "assigned"
    RETURNED = "returned"
    RETURNED_TWICE = "returned_twice"
    DAY_7 = "day_7"
    DAY_21 = "day_21"
    DAY_30 = "day_30"
    OWNER_ASKED = "owner_asked"
    UNANSWERED = "unanswered"
    INFO_REQUESTED = "info_requested"
    ANSWERED = "answered"
    DEATH_REPORTED = "death_reported"
    DEATH_REVOKED = "death_revoked"
    HEIRS = "heirs"
    UNDISPATCHED = "undispatched"
    UNACKNOWLEDGED = "unacknowledged"
    ENDPOINT_DISABLED = "endpoint_disabled"
    NEED_MAPPED = "need_mapped"
    SELF_ASSIGNED = "self_assigned"
    MISSING_UPLOADS = "missing_uploads"
    DEVICE_SILENT = "device_silent"
    DEVICE_RETIRED = "device_retired"


class Escalation(InRegion, table=True):
    """One record per (subject, stage entry, step): the proof that a step was taken once."""

    __tablename__ = "escalations"
    __table_args__ = (sa.PrimaryKeyConstraint("subject_id", "stage", "step"),)

    subject_id: UUID
    stage: str = Field(max_length=60)
    step: Step = Field(sa_type=enum_type(Step))
    at: datetime
    due_at: datetime
    told: int


class Notification(InRegion, Record, table=True):
    """A row for each person told. Only the person told sees it."""

    __tablename__ = "notifications"
    __table_args__ = (sa.Index("ix_notifications_principal_id_id", "principal_id", "id"),)

    principal_id: UUID = Field(foreign_key="principals.id")
    subject_kind: SubjectKind = Field(sa_type=enum_type(SubjectKind))
    subject_id: UUID
    step: Step = Field(sa_type=enum_type(Step))
    at: datetime
    read_at: datetime | None = None


class Notifications:
    """The only place that writes SQL about notifications and escalations."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def record(
        self, subject: Any, stage: str, step: Step, at: datetime, due_at: datetime, told: int
    ) -> bool:
        """Claim a step of a complaint or referral; False where it was taken before."""
        statement = (
            insert(Escalation)
            .values(
                subject_id=subject.id,
                stage=stage,
                step=step,
                at=at,
                due_at=due_at,
                told=told,
                **region_of(subject),
            )
            .on_conflict_do_nothing()
            .returning(col(Escalation.subject_id))
        )
        return (await self.session.scalar(statement)) is not None

    def tell(
        self,
        people: Sequence[UUID],
        kind: SubjectKind,
        subject: Any,
        step: Step,
        at: datetime,
    ) -> None:
        """A row for each of the people; `subject` is any row with an id and region columns."""
        self.session.add_all(
            Notification(
                id=new_id(),
                principal_id=id,
                subject_kind=kind,
                subject_id=subject.id,
                step=step,
                at=at,
                **region_of(subject),
            )
            for id in dict.fromkeys(people)
        )

    async def page(
        self, principal_id: UUID, unread: bool, before: UUID | None, limit: int
    ) -> list[Notification]:
        """Newest first."""
        statement = (
            sa.select(Notification)
            .where(col(Notification.principal_id) == principal_id)
            .order_by(col(Notification.id).desc())
            .limit(limit)
        )
        if unread:
            statement = statement.where(col(Notification.read_at).is_(None))
        if before is not None:
            statement = statement.where(col(Notification.id) < before)
        return list(await self.session.scalars(statement))

    async def mark_read(self, principal_id: UUID, up_to: UUID, at: datetime) -> int:
        """Mark what was there up to a notification as read. Returns how many were new."""
        result = await self.session.execute(
            sa.update(Notification)
            .where(
                col(Notification.principal_id) == principal_id,
                col(Notification.id) <= up_to,
                col(Notification.read_at).is_(None),
            )
            .values(read_at=at)
        )
        return int(getattr(result, "rowcount", 0))


def not_taken(subject_id: Any, stage: Any, step: Step) -> sa.ColumnElement[bool]:
    """A condition for claims: rows for which a step has not been taken in a stage."""
    return ~sa.exists(
        sa.select(1).where(
            col(Escalation.subject_id) == subject_id,
            col(Escalation.stage) == stage,
            col(Escalation.step) == step,
        )
    )
