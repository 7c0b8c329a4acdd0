"""Endpoints and deliveries as they are answered."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.principals import Principals
from app.domain.webhooks import (
    DeliveryState,
    Disabled,
    Failure,
    WebhookDeliveries,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpoints,
)
from app.outgoing import URL_LIMIT
from app.routers.replies import reply
from app.routers.resources import Codes, Count, Line, Moment, Someone, Word, Words, text


class EndpointRead(BaseModel):
    """An endpoint. `failed` counts its list of failures; `failing_since` is null while it answers.

    Until `previous_secret_until` messages are signed with the former secret, too.
    """

    id: UUID
    version: Count
    owner: Someone
    url: text(URL_LIMIT)  # type: ignore[valid-type]
    types: Words
    description: Line
    region_codes: Codes
    program_codes: Codes
    enabled: bool
    disabled_because: Disabled | None
    disabled_at: Moment | None
    failing_since: Moment | None
    failed: Count
    previous_secret_until: Moment | None
    created_at: Moment
    updated_at: Moment


class EndpointSecret(EndpointRead):
    """An endpoint with its new secret, which is shown in this answer and its replays alone.

    Null in a replay where another secret has taken its place since.
    """

    secret: text(100) | None  # type: ignore[valid-type]


class DeliveryRead(BaseModel):
    """An event on its way to an endpoint. `event_id` is its `webhook-id`; null for a test.

    `failed`: no attempt is left, until it is resent. `withheld`: the owner may not see it (any
    more). `status_code` and `failure` are those of the last attempt.
    """

    id: UUID
    event_id: UUID | None
    type: Word
    state: DeliveryState
    attempts: Count
    made_at: Moment
    last_attempt_at: Moment | None
    next_attempt_at: Moment | None
    ended_at: Moment | None
    status_code: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 999})] | None
    failure: Failure | None


class PingData(BaseModel):
    """The endpoint that is tested."""

    id: UUID
    version: Count


class Ping(BaseModel):
    """What a test sends: a CloudEvent that stands in no feed."""

    specversion: Literal["1.0"]
    id: UUID
    source: text(300)  # type: ignore[valid-type]
    type: Literal["ping"]
    subject: text(100)  # type: ignore[valid-type]
    time: Moment
    data: PingData


async def read_all(session: AsyncSession, rows: list[WebhookEndpoint]) -> list[EndpointRead]:
    await session.flush()
    names = await Principals(session).names({one.owner_id for one in rows})
    failed = await WebhookDeliveries(session).failed([one.id for one in rows])
    return [
        EndpointRead(
            owner=Someone(id=one.owner_id, name=names.get(one.owner_id)),
            failed=failed.get(one.id, 0),
            previous_secret_until=one.previous_until,
            **{
                name: getattr(one, name)
                for name in EndpointRead.model_fields
                if name not in ("owner", "failed", "previous_secret_until")
            },
        )
        for one in rows
    ]


async def answer(session: AsyncSession, one: WebhookEndpoint, replayed: bool = False) -> Response:
    [body] = await read_all(session, [one])
    return reply(body, version=one.version, replayed=replayed)


async def secret_answer(
    session: AsyncSession,
    one: WebhookEndpoint,
    status: int,
    number: int,
    replayed: bool = False,
) -> Response:
    [read] = await read_all(session, [one])
    known = number == one.secret_number
    secret = WebhookEndpoints(session).secret(one) if known else None
    body = EndpointSecret(**read.model_dump(), secret=secret)
    location = f"/v1/webhook-endpoints/{one.id}" if status == 201 else None
    return reply(body, status, version=one.version, location=location, replayed=replayed)


def delivery_of(one: WebhookDelivery) -> DeliveryRead:
    return DeliveryRead(**{name: getattr(one, name) for name in DeliveryRead.model_fields})
