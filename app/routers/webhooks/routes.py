"""The calls about webhook endpoints and their deliveries."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.errors import NotFound
from app.domain.webhooks import (
    DeliveryState,
    WebhookDeliveries,
    WebhookEndpoint,
    WebhookEndpoints,
    is_admin,
)
from app.routers.deps import (
    CurrentActor,
    CurrentSettings,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.webhooks.reads import (
    DeliveryRead,
    EndpointRead,
    EndpointSecret,
    answer,
    delivery_of,
    read_all,
    secret_answer,
)
from app.routers.webhooks.requests import EndpointDraft, EndpointPatch
from app.workflow.webhooks import endpoints
from app.workflow.webhooks.endpoints import EndpointChanges

router = APIRouter(prefix="/v1", tags=["integrators"], route_class=Door)
DeliveryId = Annotated[UUID, Path()]


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> WebhookEndpoint:
    return await WebhookEndpoints(session).get(id, actor)


FINDERS["endpoint_id"] = _find


@router.get("/webhook-endpoints", response_model=Page[EndpointRead])
async def list_endpoints(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
) -> Response:
    """The caller's endpoints, newest first; for an admin everybody's."""
    endpoints.check_reader(actor)
    owner = None if is_admin(actor) else actor.id
    rows = await WebhookEndpoints(session).page(owner, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[EndpointRead], await read_all(session, list(page)), following)


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
        return await secret_answer(session, one, known.status, 1, replayed=True)
    wanted = EndpointChanges(**draft.model_dump())
    one = await endpoints.create(session, actor, wanted, settings.outside.allowed, now)
    retry.remember(201, endpoint_id=one.id)
    return await secret_answer(session, one, 201, 1)


@router.get("/webhook-endpoints/{endpoint_id}", response_model=EndpointRead)
async def get_endpoint(
    endpoint_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One endpoint."""
    endpoints.check_reader(actor)
    return await answer(session, subject)


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
        return await answer(session, subject, replayed=True)
    version = read_version(visit)
    wanted = EndpointChanges(**changes.model_dump(exclude_unset=True))
    one = await endpoints.change(
        session, actor, subject.id, version, wanted, settings.outside.allowed, now
    )
    retry.remember(200)
    return await answer(session, one)


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
        return await secret_answer(session, subject, 200, number, replayed=True)
    version = read_version(visit, required=actor.is_person)
    one = await endpoints.rotate(session, actor, subject.id, version, now)
    retry.remember(200, secret_number=str(one.secret_number))
    return await secret_answer(session, one, 200, one.secret_number)


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
        return reply(delivery_of(one), known.status, replayed=True)
    one = await endpoints.test(session, subject.id, now)
    retry.remember(202, delivery_id=one.id)
    return reply(delivery_of(one), 202)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries", response_model=Page[DeliveryRead])
async def list_deliveries(
    endpoint_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    state: Annotated[
        DeliveryState | None, Query(description="`failed`: what did not arrive.")
    ] = None,
) -> Response:
    """What was sent to an endpoint, newest first; kept for 30 days after its end."""
    endpoints.check_reader(actor)
    rows = await WebhookDeliveries(session).page(subject.id, state, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[DeliveryRead], [delivery_of(one) for one in page], following)


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
    return reply(delivery_of(await WebhookDeliveries(session).get(subject.id, delivery_id)))


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
        return reply(delivery_of(one), 202, replayed=True)
    one = await endpoints.resend(session, subject.id, delivery_id, now)
    retry.remember(202)
    return reply(delivery_of(one), 202)
