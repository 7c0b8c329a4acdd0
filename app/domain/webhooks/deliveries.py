"""Deliveries: taking events out of the log, claiming what is due, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import new_id, within
from app.domain.errors import NotFound
from app.domain.events import Event
from app.domain.feed import Types, cloud_event, seen_by
from app.domain.webhooks.rows import (
    DELIVERY,
    FREE,
    LEASE,
    PENDING,
    REAL_NOW,
    DeliveryState,
    Failure,
    WebhookDelivery,
    WebhookEndpoint,
)

E: Any = Event
AT_ONCE = 2
# How many positions of the log one fan-out looks at.
WINDOW = 2_000


class WebhookDeliveries:
    """The only place that writes SQL about deliveries."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def fan_out(
        self, endpoint: WebhookEndpoint, owner: Actor | None, head: int, at: datetime
    ) -> int:
        """Take the next events of the log for a locked endpoint; how many are for it.

        The position moves in the same transaction. Without an owner nothing is for it.
        """
        until = min(head, endpoint.position + WINDOW)
        found: Sequence[Any] = ()
        if owner is not None:
            statement = sa.select(E.id, E.type).where(
                E.pos > endpoint.position, E.pos <= until, seen_by(owner), *_wanted(endpoint)
            )
            found = (await self.session.execute(statement.order_by(E.pos))).all()
        if found:
            rows = [
                {
                    "id": new_id(), "endpoint_id": endpoint.id, "event_id": id, "type": type,
                    "state": DeliveryState.PENDING, "made_at": at, "next_attempt_at": at,
                    "attempts": 0, "fence": 0,
                }
                for id, type in found
            ]  # fmt: skip
            await self.session.execute(insert(WebhookDelivery).on_conflict_do_nothing(), rows)
        endpoint.position = until
        return len(found)

    async def claim(self, endpoint_id: UUID, at: datetime) -> list[WebhookDelivery]:
        """What is due for an endpoint that is locked, leased to the caller, in all at most two."""
        running = sa.select(sa.func.count()).where(
            DELIVERY.endpoint_id == endpoint_id, DELIVERY.lease_until > REAL_NOW
        )
        free = AT_ONCE - int(await self.session.scalar(running) or 0)
        statement = (
            sa.select(WebhookDelivery, REAL_NOW)
            .where(
                DELIVERY.endpoint_id == endpoint_id, PENDING, DELIVERY.next_attempt_at <= at, FREE
            )
            .order_by(DELIVERY.next_attempt_at, DELIVERY.id)
            .limit(max(0, free))
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        found = []
        for delivery, now in await self.session.execute(statement):
            delivery.lease_until = now + LEASE
            delivery.fence += 1
            delivery.attempts += 1
            delivery.last_attempt_at = at
            found.append(delivery)
        return found

    async def body(self, delivery: WebhookDelivery, owner: Actor, source: str) -> str | None:
        """The event as its owner may see it now, as the feed has it; None where they may not."""
        found = await self.session.scalar(
            sa.select(cloud_event(source)).where(E.id == delivery.event_id, seen_by(owner))
        )
        return None if found is None else str(found)

    async def claimed(self, id: UUID, fence: int) -> WebhookDelivery | None:
        """A delivery that the caller still holds, locked; None where it holds it no longer."""
        statement = (
            sa.select(WebhookDelivery)
            .where(DELIVERY.id == id, DELIVERY.fence == fence, PENDING)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def get(self, endpoint_id: UUID, id: UUID, lock: bool = False) -> WebhookDelivery:
        statement = sa.select(WebhookDelivery).where(
            DELIVERY.endpoint_id == endpoint_id, DELIVERY.id == id
        )
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        found = (await self.session.scalars(statement)).one_or_none()
        if found is None:
            raise NotFound
        return found

    async def page(
        self, endpoint_id: UUID, state: DeliveryState | None, before: UUID | None, limit: int
    ) -> list[WebhookDelivery]:
        """Newest first."""
        statement = (
            sa.select(WebhookDelivery)
            .where(DELIVERY.endpoint_id == endpoint_id)
            .order_by(DELIVERY.id.desc())
            .limit(limit)
        )
        if state is not None:
            statement = statement.where(DELIVERY.state == state)
        if before is not None:
            statement = statement.where(DELIVERY.id < before)
        return list(await self.session.scalars(statement))

    async def failed(self, endpoint_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many deliveries of each endpoint are on its list of failures."""
        statement = (
            sa.select(DELIVERY.endpoint_id, sa.func.count())
            .where(DELIVERY.endpoint_id.in_(endpoint_ids), DELIVERY.state == DeliveryState.FAILED)
            .group_by(DELIVERY.endpoint_id)
        )
        return dict((await self.session.execute(statement)).all())

    async def give_up(self, endpoint_id: UUID, at: datetime) -> None:
        """Put everything that waits onto the list of failures: its endpoint is disabled."""
        await self.session.execute(
            sa.update(WebhookDelivery)
            .where(DELIVERY.endpoint_id == endpoint_id, PENDING)
            .values(
                state=DeliveryState.FAILED, failure=Failure.ENDPOINT_DISABLED, ended_at=at,
                next_attempt_at=None, lease_until=None,
            )
        )  # fmt: skip

    async def expire(self, before: datetime, limit: int) -> int:
        """Forget what ended long ago."""
        old = sa.select(DELIVERY.id).where(DELIVERY.ended_at < before).limit(limit)
        result = await self.session.execute(sa.delete(WebhookDelivery).where(DELIVERY.id.in_(old)))
        return int(getattr(result, "rowcount", 0))


def _wanted(endpoint: WebhookEndpoint) -> list[sa.ColumnElement[bool]]:
    """Which events an endpoint asks for; an empty list narrows nothing."""
    found = [Types.of(endpoint.types).among()]
    if endpoint.region_codes:
        found.append(within(E, tuple(endpoint.region_codes)))
    if endpoint.program_codes:
        found.append(E.program_code.in_(endpoint.program_codes))
    return found
