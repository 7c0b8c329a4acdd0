"""Dispatches: numbered batches of approved registry changes for the centre."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.domain.base import CODE, InRegion, Record, enum_type


class DispatchState(StrEnum):
    MADE = "made"
    UPLOADED = "uploaded"
    ACKNOWLEDGED = "acknowledged"


class RowStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


class Dispatch(Record, table=True):
    """A batch of a city, with the checksums of its files. Its rows never change."""

    __tablename__ = "dispatches"
    __table_args__ = (sa.Index("ix_dispatches_regency_code_id", "regency_code", "id"),)

    version: int = 1
    number: str = Field(unique=True, sa_type=CODE, max_length=24)
    regency_code: str = Field(sa_type=CODE, max_length=5)
    state: DispatchState = Field(default=DispatchState.MADE, sa_type=enum_type(DispatchState))
    row_count: int
    csv_sha256: str = Field(max_length=64)
    json_sha256: str = Field(max_length=64)
    made_by: UUID
    made_at: datetime
    uploaded_by: UUID | None = None
    uploaded_at: datetime | None = None
    acknowledged_at: datetime | None = None


class DispatchRow(InRegion, table=True):
    """One change in a batch, sealed as it was sent, and what the centre said of it."""

    __tablename__ = "dispatch_rows"
    __table_args__ = (
        sa.PrimaryKeyConstraint("dispatch_id", "number"),
        sa.Index("ix_dispatch_rows_registry_change_id", "registry_change_id"),
    )

    dispatch_id: UUID = Field(foreign_key="dispatches.id")
    number: int
    registry_change_id: UUID = Field(foreign_key="registry_changes.id")
    content: bytes
    status: RowStatus = Field(default=RowStatus.PENDING, sa_type=enum_type(RowStatus))
    reason: str | None = Field(default=None, max_length=200)
    answered_at: datetime | None = None
    answered_by: UUID | None = None
