"""Webhook endpoints over HTTP: where events are sent, what was sent, and what did not arrive."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import line
from app.domain.errors import NotFound
from app.domain.feed import KINDS
from app.domain.principals import Principals
from app.domain.webhooks import (
    DeliveryState,
    Disabled,
    Failure,
    WebhookDeliveries,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpoints,
    is_admin,
)
from app.outgoing import URL_LIMIT
from app.routers.deps import (
    CurrentActor,
    CurrentKeys,
    CurrentSettings,
    CurrentVisit,
    Cursor,
    Limit,
    Now,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Cursors, Page, cut, next_link
from app.routers.replies import reply
from app.routers.resources import Codes, Count, Line, Moment, Someone, Word, Words, text
from app.workflow.accounts import ProgramCodes, RegionCodes
from app.workflow.webhooks import endpoints
from app.workflow.webhooks.endpoints import EndpointChanges

router = APIRouter(prefix="/v1", tags=["integrators"], route_class=Door)
Url = Annotated[str, Field(min_length=1, max_length=URL_LIMIT)]
Types = Annotated[
    list[Annotated[str, Field(pattern=rf"^({'|'.join(KINDS)})\.(\*|[a-z_]+)$", max_length=60)]],
    Field(max_length=50),
]
DeliveryId = Annotated[UUID, Path()]


class EndpointDraft(BaseModel):
    """Where to send which events. Empty lists narrow nothing: all that the caller may see."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "url": "https://agency.example.go.id/slrt",
                "types": ["referral.sent", "referral.cancelled"],
                "description": "PKH, Kementerian Sosial",
            }
        },
    )

    url: Url
    types: Types = []
    description: line(300, 0) = ""  # type: ignore[valid-type]
    region_codes: RegionCodes = []
    program_codes: ProgramCodes = []


class EndpointPatch(BaseModel):
    """What to change. `enabled: false` stops all sending; `true` begins anew from now on."""

    model_config = ConfigDict(extra="forbid")

    url: Url = None  # type: ignore[assignment]
    types: Types = None  # type: ignore[assignment]
    description: line(300, 0) = None  # type: ignore[valid-type]
    region_codes: RegionCodes = None  # type: ignore[assignment]
    program_codes: ProgramCodes = None  # type: ignore[assignment]
    enabled: bool = None  # type: ignore[assignment]


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


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> WebhookEndpoint:
    return await WebhookEndpoints(session).get(id, actor)


FINDERS["endpoint_id"] = _find


async def _read(session: AsyncSession, rows: list[WebhookEndpoint]) -> list[EndpointRead]:
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


async def _answer(session: AsyncSession, one: WebhookEndpoint, replayed: bool = False) -> Response:
    [body] = await _read(session, [one])
    return reply(body, version=one.version, replayed=replayed)


async def _secret_answer(
    session: AsyncSession,
    one: WebhookEndpoint,
    status: int,
    number: int,
    replayed: bool = False,
) -> Response:
    [read] = await _read(session, [one])
    known = number == one.secret_number
    secret = WebhookEndpoints(session).secret(one) if known else None
    body = EndpointSecret(**read.model_dump(), secret=secret)
    location = f"/v1/webhook-endpoints/{one.id}" if status == 201 else None
    return reply(body, status, version=one.version, location=location, replayed=replayed)


def _delivery(one: WebhookDelivery) -> DeliveryRead:
    return DeliveryRead(**{name: getattr(one, name) for name in DeliveryRead.model_fields})


@router.get("/webhook-endpoints", response_model=Page[EndpointRead])
async def list_endpoints(
    request: Request,
    session: Session,
    actor: CurrentActor,
    keys: CurrentKeys,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The caller's endpoints, newest first; for an admin everybody's."""
    endpoints.check_reader(actor)
    cursors = Cursors(keys.data.cursor, request)
    place = cursors.read(cursor, UUID)
    owner = None if is_admin(actor) else actor.id
    rows = await WebhookEndpoints(session).page(owner, place[0] if place else None, limit + 1)
    page, more = cut(rows, limit)
    following = cursors.make(page[-1].id) if more else None
    body = Page[EndpointRead](items=await _read(session, list(page)), next_cursor=following)
    return reply(body, headers=next_link(request, following))


@router.post(
    "/webhook-endpoints",
    status_code=201,
    response_model=EndpointSecret,
    openapi_extra={CREATES: True},
)
async def add_endpoint(
    draft: EndpointDraft,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
    settings: CurrentSettings,
) -> Response:
    """Be told of events from now on. For clients with `webhooks:manage`, and for people who read
    the feed. The answer holds the secret that messages are signed with (Standard Webhooks)."""
    endpoints.check_keeper(actor)
    if known := await retry.known():
        one = await WebhookEndpoints(session).lock(UUID(known.ids["endpoint_id"]))
        if one is None:
            raise NotFound
        return await _secret_answer(session, one, known.status, 1, replayed=True)
    wanted = EndpointChanges(**draft.model_dump())
    one = await endpoints.create(session, actor, wanted, settings.outside.allowed, now)
    retry.remember(201, endpoint_id=one.id)
    return await _secret_answer(session, one, 201, 1)


@router.get("/webhook-endpoints/{endpoint_id}", response_model=EndpointRead)
async def get_endpoint(
    endpoint_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One endpoint."""
    endpoints.check_reader(actor)
    return await _answer(session, subject)


@router.patch("/webhook-endpoints/{endpoint_id}", response_model=EndpointRead)
async def change_endpoint(
    endpoint_id: UUID,
    changes: EndpointPatch,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
    settings: CurrentSettings,
) -> Response:
    """Change an endpoint, or switch it on or off. An admin may switch those of others.

    What happened while it was off is not sent; the feed has it.
    """
    endpoints.check_reader(actor)
    if await retry.known():
        return await _answer(session, subject, replayed=True)
    version = read_version(visit)
    assert version is not None
    wanted = EndpointChanges(**changes.model_dump(exclude_unset=True))
    one = await endpoints.change(
        session, actor, subject.id, version, wanted, settings.outside.allowed, now
    )
    retry.remember(200)
    return await _answer(session, one)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, response_class=Response)
async def delete_endpoint(
    endpoint_id: UUID,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Forget an endpoint and its deliveries. Nothing more is sent. Asked again: 404."""
    endpoints.check_reader(actor)
    version = read_version(visit)
    assert version is not None
    await endpoints.delete(session, actor, subject.id, version, now)
    return Response(status_code=204)


@router.post("/webhook-endpoints/{endpoint_id}/rotate-secret", response_model=EndpointSecret)
async def rotate_secret(
    endpoint_id: UUID,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """A new secret. For 24 hours each message carries a signature by the former one as well."""
    endpoints.check_keeper(actor)
    if known := await retry.known():
        number = int(known.ids["secret_number"])
        return await _secret_answer(session, subject, 200, number, replayed=True)
    version = read_version(visit, required=actor.is_person)
    one = await endpoints.rotate(session, actor, subject.id, version, now)
    retry.remember(200, secret_number=str(one.secret_number))
    return await _secret_answer(session, one, 200, one.secret_number)


@router.post("/webhook-endpoints/{endpoint_id}/test", status_code=202, response_model=DeliveryRead)
async def test_endpoint(
    endpoint_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Have a message of type `ping` sent within seconds, once; read the delivery for the result."""
    endpoints.check_reader(actor)
    if known := await retry.known():
        id = UUID(known.ids["delivery_id"])
        one = await WebhookDeliveries(session).get(subject.id, id)
        return reply(_delivery(one), known.status, replayed=True)
    one = await endpoints.test(session, subject.id, now)
    retry.remember(202, delivery_id=one.id)
    return reply(_delivery(one), 202)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries", response_model=Page[DeliveryRead])
async def list_deliveries(
    endpoint_id: UUID,
    request: Request,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    keys: CurrentKeys,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[
        DeliveryState | None, Query(description="`failed`: what did not arrive.")
    ] = None,
) -> Response:
    """What was sent to an endpoint, newest first; kept for 30 days after its end."""
    endpoints.check_reader(actor)
    cursors = Cursors(keys.data.cursor, request)
    place = cursors.read(cursor, UUID)
    rows = await WebhookDeliveries(session).page(
        subject.id, state, place[0] if place else None, limit + 1
    )
    page, more = cut(rows, limit)
    following = cursors.make(page[-1].id) if more else None
    body = Page[DeliveryRead](items=[_delivery(one) for one in page], next_cursor=following)
    return reply(body, headers=next_link(request, following))


@router.get(
    "/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}", response_model=DeliveryRead
)
async def get_delivery(
    endpoint_id: UUID,
    delivery_id: DeliveryId,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
) -> Response:
    """One delivery."""
    endpoints.check_reader(actor)
    return reply(_delivery(await WebhookDeliveries(session).get(subject.id, delivery_id)))


@router.post(
    "/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=DeliveryRead,
)
async def resend_delivery(
    endpoint_id: UUID,
    delivery_id: DeliveryId,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Send it (again) under the same `webhook-id`, with ten new attempts from now on."""
    endpoints.check_reader(actor)
    if await retry.known():
        one = await WebhookDeliveries(session).get(subject.id, delivery_id)
        return reply(_delivery(one), 202, replayed=True)
    one = await endpoints.resend(session, subject.id, delivery_id, now)
    retry.remember(202)
    return reply(_delivery(one), 202)
