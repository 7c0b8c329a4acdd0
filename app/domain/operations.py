"""Operations: long work that was accepted, its input, and how far it has come."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.domain.base import CODE, JSON, Record, enum_type


class OperationKind(StrEnum):
    REGISTRY_IMPORT = "registry_import"


class OperationStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Operation(Record, table=True):
    """Accepted work. A runner holds it by a lease in real time; `fence` tells its steps apart.

    `done` and `total` count what the kind counts (bytes of the input for an import).
    """

    __tablename__ = "operations"
    __table_args__ = (
        sa.Index("ix_operations_waiting", "id", postgresql_where=sa.text("finished_at is null")),
    )

    kind: OperationKind = Field(sa_type=enum_type(OperationKind))
    status: OperationStatus = Field(
        default=OperationStatus.PENDING, sa_type=enum_type(OperationStatus)
    )
    regency_code: str | None = Field(default=None, sa_type=CODE, max_length=5)
    params: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    problem: str | None = Field(default=None, max_length=60)
    done: int = Field(default=0, sa_type=sa.BigInteger)
    total: int = Field(default=0, sa_type=sa.BigInteger)
    created_by: UUID
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_until: datetime | None = None
    fence: int = 0
    attempts: int = 0
    cancel_requested: bool = False


class OperationChunk(SQLModel, table=True):
    """A piece of an operation's stored input, in order."""

    __tablename__ = "operation_chunks"
    __table_args__ = (sa.PrimaryKeyConstraint("operation_id", "number"),)

    operation_id: UUID = Field(foreign_key="operations.id")
    number: int
    content: bytes


class OperationFault(SQLModel, table=True):
    """One thing wrong in an operation's input: where, which column, masked value, why."""

    __tablename__ = "operation_faults"
    __table_args__ = (sa.PrimaryKeyConstraint("operation_id", "number"),)

    operation_id: UUID = Field(foreign_key="operations.id")
    number: int
    line: int
    column: str | None = Field(default=None, max_length=80)
    value: str | None = Field(default=None, max_length=80)
    code: str = Field(max_length=60)
    # A warning is told; the row lands all the same.
    refused: bool = True
