"""One delivery: taking events for an endpoint, claiming what is due, recording what came of it.

Each function is one short transaction; nothing is sent while one is open.
"""

import json
import random
from datetime import UTC, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import slrt_now
from app.domain.principals import Principals
from app.domain.webhooks import (
    PING,
    DeliveryState,
    Disabled,
    Failure,
    Message,
    WebhookDeliveries,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpoints,
)
from app.workflow.webhooks.endpoints import disable, may_keep

# From one attempt to the next: ten attempts over 75 hours.
WAITS = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2),
    timedelta(hours=5), timedelta(hours=10), timedelta(hours=14), timedelta(hours=20),
    timedelta(hours=24),
)  # fmt: skip
ATTEMPTS = len(WAITS) + 1
# Endpoints that failed together do not come back together.
JITTER = 0.05
GONE = 410


async def _owner(session: AsyncSession, endpoint: WebhookEndpoint) -> Actor | None:
    """Whom an endpoint belongs to, while they may be sent anything."""
    found = await Principals(session).actor(endpoint.owner_id)
    return found[0] if found is not None and may_keep(found[0]) else None


async def fan_out(session: AsyncSession, endpoint_id: UUID) -> bool:
    """Go on in the log for an endpoint. False where somebody else is at it."""
    endpoints = WebhookEndpoints(session)
    endpoint = await endpoints.try_lock(endpoint_id)
    if endpoint is None:
        return False
    owner, at = await _owner(session, endpoint), await slrt_now(session)
    await WebhookDeliveries(session).fan_out(endpoint, owner, await endpoints.newest(), at)
    return True


async def claim(session: AsyncSession, endpoint_id: UUID, source: str) -> tuple[int, list[Message]]:
    """How many deliveries were due, and those of them that are to be sent now, leased.

    What the owner may not see (any more) is withheld.
    """
    endpoints, deliveries = WebhookEndpoints(session), WebhookDeliveries(session)
    endpoint = await endpoints.try_lock(endpoint_id)
    if endpoint is None:
        return 0, []
    at = await slrt_now(session)
    due = await deliveries.claim(endpoint_id, at)
    if not due:
        return 0, []
    owner, secrets = await _owner(session, endpoint), endpoints.secrets(endpoint, at)
    messages = []
    for one in due:
        if owner is not None and (body := await _body(session, endpoint, one, owner, source)):
            messages.append(
                Message(endpoint_id, one.id, one.fence, one.message_id, endpoint.url, body, secrets)
            )
        else:
            one.end(DeliveryState.WITHHELD, at)
    return len(due), messages


async def _body(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    delivery: WebhookDelivery,
    owner: Actor,
    source: str,
) -> str | None:
    if delivery.type == PING:
        return _ping(endpoint, delivery, source)
    return await WebhookDeliveries(session).body(delivery, owner, source)


def _ping(endpoint: WebhookEndpoint, delivery: WebhookDelivery, source: str) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(delivery.id),
            "source": source,
            "type": PING,
            "subject": f"webhook-endpoints/{endpoint.id}",
            "time": delivery.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "data": {"id": str(endpoint.id), "version": endpoint.version},
        }
    )


async def record(session: AsyncSession, message: Message, outcome: int | Failure) -> bool:
    """Write down what an attempt came to: a status, or why there is none. True: it arrived.

    Where the endpoint was deleted meanwhile, or the lease ran out, there is nothing to write.
    """
    endpoint = await WebhookEndpoints(session).lock(message.endpoint_id)
    delivery = await WebhookDeliveries(session).claimed(message.delivery_id, message.fence)
    arrived = not isinstance(outcome, Failure) and 200 <= outcome < 300
    if endpoint is None or delivery is None:
        return arrived
    at = await slrt_now(session)
    delivery.lease_until = None
    delivery.failure = None if arrived else _failure(outcome)
    delivery.status_code = None if isinstance(outcome, Failure) else int(outcome)
    if arrived:
        delivery.end(DeliveryState.DELIVERED, at)
        endpoint.failing_since = None
        return True
    if delivery.type == PING or delivery.attempts >= ATTEMPTS:
        delivery.end(DeliveryState.FAILED, at)
    else:
        delivery.next_attempt_at = at + _wait(delivery.attempts)
    if delivery.type != PING:
        endpoint.failing_since = endpoint.failing_since or at
    if outcome == GONE:
        delivery.end(DeliveryState.FAILED, at)
        await session.flush()
        await disable(session, endpoint, Disabled.GONE, at)
    return False


def _failure(outcome: int | Failure) -> Failure:
    if isinstance(outcome, Failure):
        return outcome
    return Failure.REDIRECT_REFUSED if 300 <= outcome < 400 else Failure.STATUS


def _wait(attempts: int) -> timedelta:
    """From an attempt that failed to the next one."""
    return WAITS[max(attempts, 1) - 1] * random.uniform(1 - JITTER, 1 + JITTER)
