"""Endpoints: made, changed, switched on and off, and deleted by who keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor, Role, Scope
from app.domain.base import new_id
from app.domain.errors import (
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
)
from app.domain.feed import may_read
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.principals import Principals
from app.domain.webhooks import (
    PING,
    DeliveryState,
    Disabled,
    WebhookDeliveries,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpoints,
    is_admin,
)
from app.outgoing import Allowed, UrlRefused, checked
from app.workflow.accounts import check_codes
from app.workflow.history import log
from app.workflow.webhooks.signing import new_secret

CREATED, CHANGED = "webhook_endpoint.created", "webhook_endpoint.changed"
DELETED, ROTATED = "webhook_endpoint.deleted", "webhook_endpoint.secret_rotated"
ENABLED, DISABLED = "webhook_endpoint.enabled", "webhook_endpoint.disabled"
# The former secret is good for so long beside the new one.
OVERLAP = timedelta(hours=24)
MOST = 20


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What to change; None leaves as it is."""

    url: str | None = None
    description: str | None = None
    types: Sequence[str] | None = None
    region_codes: Sequence[str] | None = None
    program_codes: Sequence[str] | None = None
    enabled: bool | None = None


def may_keep(actor: Actor) -> bool:
    """Whether an actor may be sent events: a client that was let, a person who reads the feed."""
    return may_read(actor) if actor.is_person else Scope.WEBHOOKS_MANAGE in actor.scopes


def check_keeper(actor: Actor) -> None:
    if not may_keep(actor):
        raise Forbidden("role_not_allowed")


def check_reader(actor: Actor) -> None:
    """Admins look after the endpoints of others, but have none: they see no cases."""
    if not is_admin(actor):
        check_keeper(actor)


async def create(
    session: AsyncSession, actor: Actor, draft: EndpointChanges, allowed: Allowed, at: datetime
) -> WebhookEndpoint:
    """An endpoint with a new secret; it is told of what happens from now on.

    Raises Invalid for a URL that is never called, Conflict `too_many_endpoints` past 20.
    """
    endpoints = WebhookEndpoints(session)
    endpoint = WebhookEndpoint(
        id=new_id(), owner_id=actor.id, url="", description="", secret=b"", types=[],
        region_codes=[], program_codes=[], position=await endpoints.newest(), created_at=at,
        updated_at=at,
    )  # fmt: skip
    await _describe(session, endpoint, draft, allowed)
    if await endpoints.count_of(actor.id) >= MOST:
        raise Conflict("too_many_endpoints")
    endpoints.seal(endpoint, new_secret())
    session.add(endpoint)
    log(session, CREATED, endpoint, actor, at)
    return endpoint


async def change(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    version: int,
    changes: EndpointChanges,
    allowed: Allowed,
    at: datetime,
) -> WebhookEndpoint:
    """Change an endpoint, or switch it on or off.

    What happened while it was off is not sent: the feed has it. An admin may only switch.
    """
    endpoint = await _lock(session, id, version)
    switch = changes.enabled
    if changes != EndpointChanges(enabled=switch):
        if endpoint.owner_id != actor.id:
            raise Forbidden("role_not_allowed")
        await _describe(session, endpoint, changes, allowed)
        _touch(endpoint, at)
        log(session, CHANGED, endpoint, actor, at)
    if switch is True and not endpoint.enabled:
        endpoint.enabled, endpoint.disabled_because, endpoint.disabled_at = True, None, None
        endpoint.failing_since = None
        endpoint.position = await WebhookEndpoints(session).newest()
        _touch(endpoint, at)
        log(session, ENABLED, endpoint, actor, at)
    if switch is False and endpoint.enabled:
        await _disable(session, endpoint, Disabled.BY_HAND, actor, at)
    return endpoint


async def _describe(
    session: AsyncSession, endpoint: WebhookEndpoint, said: EndpointChanges, allowed: Allowed
) -> None:
    if said.url is not None:
        try:
            # Another address has not failed yet.
            endpoint.url, endpoint.failing_since = str(checked(said.url, allowed)), None
        except UrlRefused as refused:
            raise Invalid("validation_failed", (Fault(refused.code, "/url"),)) from None
    if said.description is not None:
        endpoint.description = said.description
    if said.types is not None:
        endpoint.types = list(said.types)
    await check_codes(session, said.region_codes or [], said.program_codes or [], "")
    if said.region_codes is not None:
        endpoint.region_codes = list(said.region_codes)
    if said.program_codes is not None:
        endpoint.program_codes = list(said.program_codes)


async def rotate(
    session: AsyncSession, actor: Actor, id: UUID, version: int | None, at: datetime
) -> WebhookEndpoint:
    """A new secret. For 24 hours messages are signed with the former one, too."""
    endpoint = await _lock(session, id, version)
    if endpoint.owner_id != actor.id:
        raise Forbidden("role_not_allowed")
    WebhookEndpoints(session).seal(endpoint, new_secret())
    endpoint.secret_number += 1
    endpoint.previous_until = at + OVERLAP
    _touch(endpoint, at)
    log(session, ROTATED, endpoint, actor, at)
    return endpoint


async def delete(session: AsyncSession, actor: Actor, id: UUID, version: int, at: datetime) -> None:
    """Forget an endpoint and its deliveries; an attempt under way ends, and changes nothing."""
    endpoint = await _lock(session, id, version)
    _touch(endpoint, at)
    log(session, DELETED, endpoint, actor, at)
    await session.flush()
    await WebhookEndpoints(session).delete(endpoint)


async def test(session: AsyncSession, id: UUID, at: datetime) -> WebhookDelivery:
    """Have a test message sent, once, at the next sweep."""
    await _lock_enabled(session, id)
    delivery = WebhookDelivery(endpoint_id=id, type=PING, made_at=at, next_attempt_at=at)
    session.add(delivery)
    return delivery


async def resend(
    session: AsyncSession, id: UUID, delivery_id: UUID, at: datetime
) -> WebhookDelivery:
    """Begin a delivery's attempts anew; an attempt under way still ends as it ends."""
    await _lock_enabled(session, id)
    delivery = await WebhookDeliveries(session).get(id, delivery_id, lock=True)
    delivery.state, delivery.ended_at = DeliveryState.PENDING, None
    delivery.attempts, delivery.next_attempt_at = 0, at
    return delivery


async def disable_failing(session: AsyncSession, id: UUID, since: datetime, at: datetime) -> bool:
    """Disable an endpoint that nothing has reached since a moment. False where something did."""
    endpoint = await WebhookEndpoints(session).try_lock(id)
    if endpoint is None or endpoint.failing_since is None or endpoint.failing_since > since:
        return False
    await disable(session, endpoint, Disabled.FAILING, at)
    return True


async def disable(
    session: AsyncSession, endpoint: WebhookEndpoint, why: Disabled, at: datetime
) -> None:
    """Send nothing more to a locked endpoint, and tell who keeps it, managers and admins."""
    await _disable(session, endpoint, why, SYSTEM, at)
    everybody = await Principals(session).everybody()
    owner = next((one for one in everybody if one.id == endpoint.owner_id), None)
    told = [one.id for one in everybody if one is owner or _looks_after(one, owner)]
    Notifications(session).tell(
        told, SubjectKind.WEBHOOK_ENDPOINT, endpoint, Step.ENDPOINT_DISABLED, at
    )


def _looks_after(one: Actor, owner: Actor | None) -> bool:
    """Admins, and the managers of where the owner works."""
    regions = [*owner.region_codes] if owner else []
    regions += [code for grant in (owner.grants if owner else ()) for code in grant.region_codes]
    return is_admin(one) or any(one.holds_near(code, Role.MANAGER) for code in regions)


async def _disable(
    session: AsyncSession, endpoint: WebhookEndpoint, why: Disabled, by: Actor, at: datetime
) -> None:
    endpoint.enabled, endpoint.disabled_because, endpoint.disabled_at = False, why, at
    _touch(endpoint, at)
    await WebhookDeliveries(session).give_up(endpoint.id, at)
    log(session, DISABLED, endpoint, by, at, why=why)


def _touch(endpoint: WebhookEndpoint, at: datetime) -> None:
    endpoint.version += 1
    endpoint.updated_at = at


async def _lock(session: AsyncSession, id: UUID, version: int | None) -> WebhookEndpoint:
    endpoint = await WebhookEndpoints(session).lock(id)
    if endpoint is None:
        raise NotFound
    if version is not None and version != endpoint.version:
        raise PreconditionFailed("stale_version")
    return endpoint


async def _lock_enabled(session: AsyncSession, id: UUID) -> None:
    if not (await _lock(session, id, None)).enabled:
        raise Conflict("endpoint_disabled")
