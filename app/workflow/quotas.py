"""Keeping quotas: whoever manages a programme in a region says how many places it has there."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import day_of, new_id
from app.domain.errors import Conflict, Fault, Invalid, PreconditionFailed
from app.domain.quotas import Quota, Quotas
from app.domain.regions import Regions
from app.workflow.history import log
from app.workflow.referrals import quotas as line

ADDED, CHANGED = "quota.added", "quota.changed"
DAYS_AT_MOST = 366 * 5


async def add(
    session: AsyncSession,
    actor: Actor,
    program_code: str,
    region_code: str,
    period: tuple[date, date],
    places: int,
    managed_here: bool,
    at: datetime,
) -> Quota:
    """A quota for a region and period. Who waited in the one before it waits in this one.

    Raises Invalid for unknown regions and odd periods, Conflict `quota_overlaps`.
    """
    if await Regions(session).unknown({region_code}):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    if not 0 <= (period[1] - period[0]).days < DAYS_AT_MOST:
        raise Invalid("period_invalid", (Fault("period_invalid", "/ends_on"),))
    quotas = Quotas(session)
    await quotas.hold_program(program_code)
    quota = Quota(
        id=new_id(), program_code=program_code, region_code=region_code, starts_on=period[0],
        ends_on=period[1], places=places, managed_here=managed_here, created_at=at, updated_at=at,
    )  # fmt: skip
    if await quotas.overlapping(quota):
        raise Conflict("quota_overlaps")
    quotas.add(quota)
    _log(session, ADDED, quota, actor, at)
    await session.flush()
    if managed_here and period[0] <= day_of(at):
        await line.open_line(session, quota, at)
    return quota


async def change(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    places: int,
    managed_here: bool,
    version: int,
    at: datetime,
) -> Quota:
    """Say how many places there are from now on; a raised quota moves up who waits.

    Raises Invalid `quota_below_taken`, and Conflict `quota_in_use` for one that is to be managed
    elsewhere while somebody has a place in it or waits for one.
    """
    quota = await Quotas(session).lock(id)
    if version != quota.version:
        raise PreconditionFailed("stale_version")
    if places < quota.taken:
        fault = Fault("too_small", "/places", params={"min": quota.taken})
        raise Invalid("quota_below_taken", (fault,))
    if quota.managed_here and not managed_here and (quota.reserved or quota.waiting):
        raise Conflict("quota_in_use")
    quota.places, quota.managed_here = places, managed_here
    quota.version += 1
    quota.updated_at = at
    _log(session, CHANGED, quota, actor, at)
    await session.flush()
    await line.serve(session, quota, at)
    return quota


def _log(session: AsyncSession, type: str, quota: Quota, actor: Actor, at: datetime) -> None:
    log(
        session, type, quota, actor, at, role=Role.PROGRAM_MANAGER,
        program_code=quota.program_code, region_code=quota.region_code, places=quota.places,
        managed_here=quota.managed_here, starts_on=quota.starts_on.isoformat(),
        ends_on=quota.ends_on.isoformat(),
    )  # fmt: skip
