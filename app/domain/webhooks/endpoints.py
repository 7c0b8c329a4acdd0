"""Endpoints: their secrets, who sees them, and which of them have something to be sent."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.errors import NotFound
from app.domain.events import Event
from app.domain.identifiers import Keys
from app.domain.webhooks.rows import (
    DELIVERY,
    ENDPOINT,
    FREE,
    PENDING,
    WebhookDelivery,
    WebhookEndpoint,
)

E: Any = Event


class WebhookEndpoints:
    """The only place that writes SQL about endpoints."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def seal(self, endpoint: WebhookEndpoint, secret: str) -> None:
        """Give it a secret; the one it had is kept as the previous one."""
        keys, table = Keys.of(self.session), WebhookEndpoint.__tablename__
        if endpoint.secret:
            before = self.secret(endpoint)
            endpoint.previous_secret = keys.seal(before, table, "previous_secret", endpoint.id)
        endpoint.secret = keys.seal(secret, table, "secret", endpoint.id)

    def secret(self, endpoint: WebhookEndpoint) -> str:
        table = WebhookEndpoint.__tablename__
        return Keys.of(self.session).open(endpoint.secret, table, "secret", endpoint.id)

    def secrets(self, endpoint: WebhookEndpoint, at: datetime) -> tuple[str, ...]:
        """Those that messages are signed with, the newest first."""
        found = [self.secret(endpoint)]
        if endpoint.previous_secret is not None and at < (endpoint.previous_until or at):
            keys, table = Keys.of(self.session), WebhookEndpoint.__tablename__
            previous = endpoint.previous_secret
            found.append(keys.open(previous, table, "previous_secret", endpoint.id))
        return tuple(found)

    async def get(self, id: UUID, actor: Actor) -> WebhookEndpoint:
        """Seen by whoever made it, and by admins."""
        found = await self.session.get(WebhookEndpoint, id)
        if found is None or not (found.owner_id == actor.id or is_admin(actor)):
            raise NotFound
        return found

    async def lock(self, id: UUID) -> WebhookEndpoint | None:
        """The row as it is now, held until commit; None where it was deleted."""
        statement = sa.select(WebhookEndpoint).where(ENDPOINT.id == id).with_for_update()
        return (
            await self.session.scalars(statement.execution_options(populate_existing=True))
        ).one_or_none()

    async def try_lock(self, id: UUID) -> WebhookEndpoint | None:
        """Likewise; None also while somebody else holds it, or where it is disabled."""
        statement = (
            sa.select(WebhookEndpoint)
            .where(ENDPOINT.id == id, ENDPOINT.enabled)
            .with_for_update(skip_locked=True, key_share=True)
            .execution_options(populate_existing=True)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def count_of(self, owner_id: UUID) -> int:
        """How many somebody has. Others who ask for the same one wait until commit."""
        key = sa.func.hashtextextended(f"webhook endpoints of {owner_id}", 0)
        await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
        count = sa.select(sa.func.count()).where(ENDPOINT.owner_id == owner_id)
        return int(await self.session.scalar(count) or 0)

    async def page(
        self, owner_id: UUID | None, before: UUID | None, limit: int
    ) -> list[WebhookEndpoint]:
        """Newest first; of one owner, or of everybody."""
        statement = sa.select(WebhookEndpoint).order_by(ENDPOINT.id.desc()).limit(limit)
        if owner_id is not None:
            statement = statement.where(ENDPOINT.owner_id == owner_id)
        if before is not None:
            statement = statement.where(ENDPOINT.id < before)
        return list(await self.session.scalars(statement))

    async def newest(self) -> int:
        """The last position of the log; 0 where there is none yet."""
        return int(await self.session.scalar(sa.select(sa.func.max(E.pos))) or 0)

    async def behind(self, limit: int) -> list[UUID]:
        """Enabled endpoints that the log has gone on for."""
        head = sa.select(sa.func.max(E.pos)).scalar_subquery()
        statement = (
            sa.select(ENDPOINT.id)
            .where(ENDPOINT.enabled, ENDPOINT.position < head)
            .order_by(ENDPOINT.position)
            .limit(limit)
        )
        return list(await self.session.scalars(statement))

    async def ready(self, at: datetime, without: Collection[UUID], limit: int) -> list[UUID]:
        """Enabled endpoints that something is due for; those that answered last come first."""
        due = sa.exists().where(
            DELIVERY.endpoint_id == ENDPOINT.id, PENDING, DELIVERY.next_attempt_at <= at, FREE
        )
        statement = (
            sa.select(ENDPOINT.id)
            .where(ENDPOINT.enabled, ENDPOINT.id.not_in(without), due)
            .order_by(ENDPOINT.failing_since.desc().nulls_first(), ENDPOINT.id)
            .limit(limit)
        )
        return list(await self.session.scalars(statement))

    async def failing(self, since: datetime) -> list[UUID]:
        """Enabled endpoints that nothing has reached from a moment on."""
        statement = sa.select(ENDPOINT.id).where(ENDPOINT.enabled, ENDPOINT.failing_since <= since)
        return list(await self.session.scalars(statement))

    async def delete(self, endpoint: WebhookEndpoint) -> None:
        """Forget it, and all that was or should have been sent."""
        await self.session.execute(
            sa.delete(WebhookDelivery).where(DELIVERY.endpoint_id == endpoint.id)
        )
        await self.session.delete(endpoint)

    async def forget_secrets(self, at: datetime) -> int:
        """Drop previous secrets that are no longer used."""
        result = await self.session.execute(
            sa.update(WebhookEndpoint)
            .where(ENDPOINT.previous_until <= at)
            .values(previous_secret=None, previous_until=None)
        )
        return int(getattr(result, "rowcount", 0))


def is_admin(actor: Actor) -> bool:
    return any(grant.role is Role.ADMIN for grant in actor.grants)
