"""Many answers at once: each by the same table as a single one; good ones land, others do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.complaints import Complaints
from app.domain.errors import DomainError, NotFound
from app.domain.households import Households
from app.domain.referrals import Referrals
from app.workflow.complaints.commands import Command
from app.workflow.referrals import quotas, verbs
from app.workflow.referrals.answers import LEADS_TO


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action on one referral. `again`: what was answered so before is known, not refused."""

    id: UUID
    command: Command
    version: int | None = None
    again: bool = False


async def act_on_all(
    session: AsyncSession, actor: Actor, wanted: Sequence[Wanted], at: datetime
) -> list[DomainError | None]:
    """Take the actions in order; for each the reason why it was not taken, or None.

    Everything is locked first, in the one order, so that two batches wait for each other.
    """
    referrals = Referrals(session)
    seen = await referrals.in_sight({one.id for one in wanted}, actor, at)
    await _lock(session, sorted(seen))
    results: list[DomainError | None] = []
    for one in wanted:
        try:
            if one.id not in seen:
                raise NotFound
            if not (one.again and await _is_known(session, one)):
                async with session.begin_nested():
                    await verbs.act(session, actor, one.id, one.command, at, one.version)
            results.append(None)
        except DomainError as error:
            results.append(error)
    return results


async def _lock(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Complaints, households, quotas and referrals, all in id order."""
    referrals = Referrals(session)
    await Complaints(session).lock_all(sorted(await referrals.held_by(ids)))
    found = await referrals.by_ids(ids)
    for household_id in sorted({one.household_id for one in found if one.household_id}):
        await Households(session).keep(household_id)
    await quotas.lock(session, found)
    await referrals.lock_all(ids)


async def _is_known(session: AsyncSession, one: Wanted) -> bool:
    referral = await Referrals(session).lock(one.id)
    same_reason = one.command.reason in (None, referral.reason)
    return referral.state is LEADS_TO[one.command.action] and same_reason
