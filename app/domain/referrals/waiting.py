"""Referrals that wait: in line for a place of a quota, or for a registry change."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.domain.base import within
from app.domain.referrals.rows import UNSENT, L, Referral, T
from app.domain.registry_changes import RegistryChange


class WaitingReferrals:
    """The only place that writes SQL about referrals as they wait."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def first_in_line(
        self, quota_id: UUID, limit: int, but: UUID | None = None
    ) -> list[Referral]:
        """Who waits for a place the longest, held until commit; the quota is locked before."""
        statement = (
            sa.select(Referral)
            .where(T.quota_id == quota_id, T.waiting_number.is_not(None), T.id != but)
            .order_by(T.waiting_number)
            .limit(limit)
            .with_for_update()
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def line_of(self, quota_id: UUID, region_code: str) -> list[Referral]:
        """Who waits in a quota's line and lives in a region, in their order; held until commit."""
        statement = (
            sa.select(Referral)
            .where(T.quota_id == quota_id, T.waiting_number.is_not(None))
            .where(within(Referral, (region_code,)))
            .order_by(T.waiting_number)
            .with_for_update()
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def positions(self, referrals: Sequence[Referral]) -> dict[UUID, int]:
        """Where those of some referrals stand that wait in a line: 1 is the next."""
        ids = [one.id for one in referrals if one.in_line]
        if not ids:
            return {}
        ahead: Any = aliased(Referral)
        count = (
            sa.select(sa.func.count())
            .where(ahead.quota_id == T.quota_id, ahead.waiting_number <= T.waiting_number)
            .scalar_subquery()
        )
        rows = await self.session.execute(sa.select(T.id, count).where(T.id.in_(ids)))
        return dict(rows.all())

    async def waiting_for(self, change_ids: Collection[UUID]) -> list[Referral]:
        """Referrals that wait for registry changes and are not sent, held by nobody."""
        statement = sa.select(Referral).where(T.wait_for.in_(change_ids), T.state.in_(UNSENT))
        return list(await self.session.scalars(statement.order_by(T.id)))

    async def lock_waiting_for(self, change_id: UUID) -> list[Referral]:
        """Those that wait for a change as they are now, held until commit; quotas come before."""
        statement = sa.select(Referral).where(T.wait_for == change_id, T.state.in_(UNSENT))
        statement = statement.order_by(T.id).with_for_update()
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def holders_waiting_for(self, change_ids: Any) -> list[UUID]:
        """The complaints that hold referrals waiting for some registry changes, by id."""
        statement = (
            sa.select(L.complaint_id)
            .join(Referral, T.id == L.referral_id)
            .where(T.wait_for.in_(change_ids), T.state.in_(UNSENT))
        )
        return sorted(set(await self.session.scalars(statement)))

    async def holders_waiting_on(self, complaint_id: UUID) -> list[UUID]:
        """The complaints that hold referrals waiting for a registry change of a complaint."""
        changes = sa.select(RegistryChange.id).where(  # type: ignore[call-overload]
            RegistryChange.complaint_id == complaint_id
        )
        return await self.holders_waiting_for(changes)
