"""The rows of tablets: the device, who had it, what came from it, what it promised."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from app.domain.base import CODE, JSON, InRegion, Record, enum_type

SEQUENCE_AT_MOST = 1_000_000_000
# A tablet counts one by one: what is further ahead than this is a mistake, not a gap.
GAP_AT_MOST = 10_000


class DeviceState(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    RETIRED = "retired"


class WriteKind(StrEnum):
    """What a tablet sends."""

    COMPLAINT = "complaint"
    SURVEY = "survey"
    DOCUMENT = "document"
    ACTION = "action"
    OTHER = "other"


class Flag(StrEnum):
    """Why something that came from a tablet should be looked at. It is taken in all the same."""

    HANDED_ON = "device_handed_on"
    OF_ANOTHER = "device_of_another"
    BLOCKED = "device_blocked"
    RETIRED = "device_retired"
    CLOCK_AHEAD = "clock_ahead"


class Device(InRegion, Record, table=True):
    """A tablet. Every number up to `highest_sequence` has been received, or is promised.

    The region is its facilitator's; levels that this does not name are empty.
    """

    __tablename__ = "devices"
    __table_args__ = (
        sa.Index("ix_devices_regency_code_id", "regency_code", "id"),
        sa.Index("ix_devices_facilitator_id", "facilitator_id"),
    )

    version: int = 1
    name: str = Field(max_length=60)
    state: DeviceState = Field(default=DeviceState.ACTIVE, sa_type=enum_type(DeviceState))
    facilitator_id: UUID = Field(foreign_key="principals.id")
    # Since when it is with this facilitator.
    held_since: datetime
    highest_sequence: int = 0
    received_count: int = 0
    flagged_count: int = 0
    last_seen_at: datetime | None = None
    last_manifest_at: datetime | None = None
    # That its silence was told; unset when it is heard of again.
    silence_told_at: datetime | None = None
    registered_by: UUID
    registered_at: datetime
    retired_at: datetime | None = None


class DeviceHolder(SQLModel, table=True):
    """Who has had a tablet."""

    __tablename__ = "device_holders"
    __table_args__ = (sa.PrimaryKeyConstraint("device_id", "facilitator_id"),)

    device_id: UUID = Field(foreign_key="devices.id")
    facilitator_id: UUID = Field(foreign_key="principals.id")


class DeviceWrite(SQLModel, table=True):
    """What came from a tablet under a number, and what was answered: as an idempotency key, for
    ever. `fingerprint` is of method, path and content."""

    __tablename__ = "device_writes"
    __table_args__ = (sa.PrimaryKeyConstraint("device_id", "sequence"),)

    device_id: UUID = Field(foreign_key="devices.id")
    sequence: int
    principal_id: UUID
    kind: WriteKind = Field(sa_type=enum_type(WriteKind))
    method: str = Field(max_length=10)
    route: str = Field(max_length=200)
    subject_id: UUID | None = None
    client_ref: str | None = Field(default=None, sa_type=CODE, max_length=64)
    claimed_at: datetime | None = None
    received_at: datetime
    fingerprint: bytes
    payload_sha256: str = Field(max_length=64)
    flags: list[str] = Field(default_factory=list, sa_type=JSON)
    status: int
    ids: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class DevicePromise(SQLModel, table=True):
    """A number that has not arrived: announced by a manifest, or missing (without a kind)."""

    __tablename__ = "device_promises"
    __table_args__ = (
        sa.PrimaryKeyConstraint("device_id", "sequence"),
        sa.Index(
            "ix_device_promises_untold", "promised_at", postgresql_where=sa.text("told_at is null")
        ),
    )

    device_id: UUID = Field(foreign_key="devices.id")
    sequence: int
    kind: WriteKind | None = Field(default=None, sa_type=enum_type(WriteKind))
    client_ref: str | None = Field(default=None, sa_type=CODE, max_length=64)
    complaint_id: UUID | None = None
    captured_at: datetime | None = None
    payload_sha256: str | None = Field(default=None, max_length=64)
    # What the server answered to it, where it was refused.
    problem: str | None = Field(default=None, max_length=60)
    promised_at: datetime
    # Since when nobody waits for it: the tablet's holder has given it up.
    given_up_at: datetime | None = None
    told_at: datetime | None = None


class DeviceManifest(Record, table=True):
    """What a tablet said that it holds."""

    __tablename__ = "device_manifests"

    device_id: UUID = Field(foreign_key="devices.id", index=True)
    sent_by: UUID
    at: datetime = Field(index=True)
    highest_sequence: int
    pending_count: int


@dataclass(slots=True)
class Arrival:
    """The tablet and number that a unit of work comes from; found by `Arrival.of`."""

    device_id: UUID
    sequence: int
    fingerprint: bytes
    payload_sha256: str
    client_ref: str | None
    claimed_at: datetime | None
    flags: list[Flag] = field(default_factory=list)
    # What was answered, and whether that stands written already.
    status: int | None = None
    ids: dict[str, Any] = field(default_factory=dict)
    written: bool = False

    def answered(self, status: int, ids: dict[str, Any]) -> None:
        self.status, self.ids = status, ids

    @staticmethod
    def of(session: AsyncSession) -> "Arrival | None":
        """What the session's unit of work comes from; None for what no tablet has sent."""
        found = session.info.get("arrival")
        assert found is None or isinstance(found, Arrival)
        return found


V: Any = Device
W: Any = DeviceWrite
P: Any = DevicePromise
M: Any = DeviceManifest
H: Any = DeviceHolder
