"""Idempotency keys: a retry finds what the first request made."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, JSON
from app.domain.errors import Conflict, Invalid

KEPT_FOR = timedelta(days=30)


class IdempotencyKey(SQLModel, table=True):
    """The answer to a key, stored in the transaction of its effect: status and ids, no body."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.PrimaryKeyConstraint("principal_id", "key"),)

    principal_id: UUID
    key: str = Field(sa_type=CODE, max_length=128)
    fingerprint: bytes
    status: int
    ids: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(index=True)


class IdempotencyKeys:
    """The only place that writes SQL about idempotency keys."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def claim(
        self, principal_id: UUID, key: str, fingerprint: bytes
    ) -> IdempotencyKey | None:
        """The stored answer, or None where the key is new; it is then ours until commit.

        Raises Conflict `idempotency_key_in_use` while another request holds the key, and Invalid
        `idempotency_key_reused` where the key came with other content before.
        """
        lock = sa.func.pg_try_advisory_xact_lock(
            sa.func.hashtextextended(f"{principal_id}:{key}", 0)
        )
        if not await self.session.scalar(sa.select(lock)):
            raise Conflict("idempotency_key_in_use", retry_after=1)
        known = (
            await self.session.scalars(
                sa.select(IdempotencyKey).where(
                    col(IdempotencyKey.principal_id) == principal_id,
                    col(IdempotencyKey.key) == key,
                )
            )
        ).one_or_none()
        if known is not None and known.fingerprint != fingerprint:
            raise Invalid("idempotency_key_reused")
        return known

    async def expire(self, before: datetime, limit: int) -> int:
        old = (
            sa.select(col(IdempotencyKey.principal_id), col(IdempotencyKey.key))
            .where(col(IdempotencyKey.created_at) < before)
            .limit(limit)
        )
        result = await self.session.execute(
            sa.delete(IdempotencyKey).where(
                sa.tuple_(col(IdempotencyKey.principal_id), col(IdempotencyKey.key)).in_(old)
            )
        )
        return int(getattr(result, "rowcount", 0))
