"""The rows: endpoints, what is sent to them, and one message as it goes out."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.domain.base import CODE, Record, enum_type
from app.domain.principals import CODES

# A claim is good for so long, in real time; longer than any call takes.
LEASE = timedelta(seconds=60)
# How long a delivery that has ended is kept.
KEPT_FOR = timedelta(days=30)
# What a test is called; it stands in no log.
PING = "ping"


class Disabled(StrEnum):
    """Why nothing is sent to an endpoint any more."""

    BY_HAND = "by_hand"
    GONE = "gone"
    FAILING = "failing"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHHELD = "withheld"


class Failure(StrEnum):
    """Why an attempt came to nothing."""

    STATUS = "status"
    REDIRECT_REFUSED = "redirect_refused"
    TIMEOUT = "timeout"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    NAME_NOT_RESOLVED = "name_not_resolved"
    ADDRESS_NOT_PUBLIC = "address_not_public"
    ENDPOINT_DISABLED = "endpoint_disabled"


class WebhookEndpoint(Record, table=True):
    """Where somebody wants to be told of events: those that they may see, by type and place.

    `position` is the last place of the log that was looked at for it. Secrets are sealed.
    """

    __tablename__ = "webhook_endpoints"

    # An endpoint belongs to whoever made it, not to a region.
    province_code: ClassVar[str] = ""
    regency_code: ClassVar[str] = ""
    district_code: ClassVar[str] = ""
    village_code: ClassVar[str] = ""

    version: int = 1
    owner_id: UUID = Field(foreign_key="principals.id", index=True)
    url: str = Field(max_length=1000)
    description: str = Field(max_length=300)
    types: list[str] = Field(sa_type=CODES)
    region_codes: list[str] = Field(sa_type=CODES)
    program_codes: list[str] = Field(sa_type=CODES)
    secret: bytes
    secret_number: int = 1
    previous_secret: bytes | None = None
    previous_until: datetime | None = None
    enabled: bool = True
    disabled_because: Disabled | None = Field(default=None, sa_type=enum_type(Disabled))
    disabled_at: datetime | None = None
    # The first failure since anything last arrived.
    failing_since: datetime | None = None
    position: int = Field(sa_type=sa.BigInteger)
    created_at: datetime
    updated_at: datetime


class WebhookDelivery(Record, table=True):
    """One event for one endpoint. A test has no event, and its own id as the message's.

    Whoever sends it holds it by a lease in real time; `fence` tells the attempts apart.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        sa.UniqueConstraint("endpoint_id", "event_id"),
        sa.Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
        sa.Index(
            "ix_webhook_deliveries_due", "endpoint_id", "next_attempt_at",
            postgresql_where=sa.text("state = 'pending'"),
        ),
        sa.Index(
            "ix_webhook_deliveries_leased", "endpoint_id",
            postgresql_where=sa.text("lease_until is not null"),
        ),
        sa.Index(
            "ix_webhook_deliveries_failed", "endpoint_id", "id",
            postgresql_where=sa.text("state = 'failed'"),
        ),
        sa.Index("ix_webhook_deliveries_ended_at", "ended_at"),
    )  # fmt: skip

    endpoint_id: UUID = Field(foreign_key="webhook_endpoints.id")
    event_id: UUID | None = Field(default=None, foreign_key="events.id")
    type: str = Field(sa_type=CODE, max_length=60)
    state: DeliveryState = Field(default=DeliveryState.PENDING, sa_type=enum_type(DeliveryState))
    made_at: datetime
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    ended_at: datetime | None = None
    status_code: int | None = None
    failure: Failure | None = Field(default=None, sa_type=enum_type(Failure))
    lease_until: datetime | None = None
    fence: int = 0

    @property
    def message_id(self) -> UUID:
        """What the receiver knows it by: the same in every attempt."""
        return self.event_id or self.id

    def end(self, state: DeliveryState, at: datetime) -> None:
        self.state, self.ended_at, self.next_attempt_at = state, at, None
        self.lease_until = None


@dataclass(frozen=True, slots=True)
class Message:
    """What one attempt sends, taken out of the database whole."""

    endpoint_id: UUID
    delivery_id: UUID
    fence: int
    id: UUID
    url: str = field(repr=False)
    body: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


ENDPOINT: Any = WebhookEndpoint
DELIVERY: Any = WebhookDelivery
REAL_NOW = sa.func.clock_timestamp()
FREE = sa.or_(DELIVERY.lease_until.is_(None), DELIVERY.lease_until < REAL_NOW)
PENDING = DELIVERY.state == DeliveryState.PENDING
