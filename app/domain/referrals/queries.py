"""Finding referrals and holding them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.actors import Actor, Role
from app.domain.base import region_of, within
from app.domain.complaints import Complaint, visible_to
from app.domain.errors import NotFound
from app.domain.households import Member
from app.domain.identifiers import Keys
from app.domain.referrals.rows import (
    ANSWERABLE,
    OPEN,
    ComplaintReferral,
    L,
    Origin,
    Referral,
    ReferralFilter,
    ReferralState,
    T,
)
from app.domain.referrals.sight import owned_by, seen_by
from app.domain.sweep_runs import not_parked
from app.domain.vocabulary import Purpose


class Referrals:
    """The only place that writes SQL about referrals and their links."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, referral: Referral) -> None:
        """A new referral, held by the complaint it came from."""
        self.session.add(referral)
        self.link(referral.complaint_id, referral, referral.origin)

    def link(self, complaint_id: UUID, referral: Referral, origin: Origin) -> None:
        """Let a complaint hold it."""
        self.session.add(
            ComplaintReferral(
                complaint_id=complaint_id,
                referral_id=referral.id,
                origin=origin,
                **region_of(referral),
            )
        )

    async def origins(self, complaint_id: UUID) -> dict[UUID, Origin]:
        """Where each need that a complaint holds a referral for came from."""
        statement = sa.select(L.referral_id, L.origin).where(L.complaint_id == complaint_id)
        return dict((await self.session.execute(statement)).all())

    async def unlink(self, complaint_id: UUID, referral_id: UUID) -> None:
        await self.session.execute(
            sa.delete(ComplaintReferral).where(
                L.complaint_id == complaint_id, L.referral_id == referral_id
            )
        )

    def national_id(self, referral: Referral) -> str | None:
        sealed = referral.beneficiary_national_id
        if sealed is None:
            return None
        return Keys.of(self.session).open(
            sealed, "referrals", "beneficiary_national_id", referral.id
        )

    def sealed(self, id: UUID, national_id: str | None) -> bytes | None:
        """A beneficiary's number as the referral of this id keeps it."""
        if national_id is None:
            return None
        return Keys.of(self.session).seal(national_id, "referrals", "beneficiary_national_id", id)

    async def get(self, id: UUID, actor: Actor, at: datetime) -> Referral:
        """Raises NotFound for what does not exist or is out of the actor's sight."""
        statement = sa.select(Referral).where(T.id == id, seen_by(actor, at))
        referral = (await self.session.scalars(statement)).one_or_none()
        if referral is None:
            raise NotFound
        return referral

    async def lock(self, id: UUID) -> Referral:
        """The row as it is now, held until commit. Its complaints are locked before it."""
        statement = (
            sa.select(Referral)
            .where(T.id == id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self.session.scalars(statement)).one()

    async def peek(self, id: UUID) -> Referral:
        """The row, whoever may see it, without holding it."""
        return (await self.session.scalars(sa.select(Referral).where(T.id == id))).one()

    async def by_ids(self, ids: Collection[UUID]) -> list[Referral]:
        """Rows by id, whoever may see them, held by nobody."""
        return list(await self.session.scalars(sa.select(Referral).where(T.id.in_(ids))))

    async def fresh(self, ids: Collection[UUID]) -> list[Referral]:
        """Rows by id as they are now, whatever of them was read before."""
        statement = sa.select(Referral).where(T.id.in_(ids))
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def in_sight(self, ids: Collection[UUID], actor: Actor, at: datetime) -> set[UUID]:
        """Which of some referrals the actor sees."""
        statement = sa.select(T.id).where(T.id.in_(ids), seen_by(actor, at))
        return set(await self.session.scalars(statement))

    async def awaiting(
        self, actor: Actor, program_code: str | None, region: str | None, limit: int
    ) -> list[Referral]:
        """What waits for the actor's answer as owner, the longest waiting first."""
        owners = [g for g in actor.grants if g.role in (Role.AGENCY, Role.PROGRAM_MANAGER)]
        statement = sa.select(Referral).where(owned_by(owners), T.state.in_(ANSWERABLE))
        if program_code is not None:
            statement = statement.where(T.program_code == program_code)
        if region is not None:
            statement = statement.where(within(T, (region,)))
        statement = statement.order_by(T.sent_at, T.id).limit(limit)
        return list(await self.session.scalars(statement))

    async def lock_all(self, ids: Sequence[UUID]) -> list[Referral]:
        """Several rows, held until commit, in id order so that two lockers cannot meet head-on."""
        statement = sa.select(Referral).where(T.id.in_(ids)).order_by(T.id).with_for_update()
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def holders(self, id: UUID) -> list[UUID]:
        """The complaints that hold a referral as an item."""
        return list(
            await self.session.scalars(
                sa.select(L.complaint_id).where(L.referral_id == id).order_by(L.complaint_id)
            )
        )

    async def holders_of(
        self, ids: Sequence[UUID], actor: Actor, at: datetime
    ) -> dict[UUID, list[UUID]]:
        """The complaints that hold each of some referrals, as far as the actor sees them."""
        found: dict[UUID, list[UUID]] = {id: [] for id in ids}
        statement = (
            sa.select(L.referral_id, L.complaint_id)
            .join(Complaint, col(Complaint.id) == L.complaint_id)
            .where(L.referral_id.in_(ids), visible_to(actor, at))
        )
        for referral_id, complaint_id in await self.session.execute(
            statement.order_by(L.complaint_id)
        ):
            found[referral_id].append(complaint_id)
        return found

    async def items_of(
        self, complaint_ids: Sequence[UUID], lock: bool = False
    ) -> dict[UUID, list[Referral]]:
        """What each complaint holds, own and linked, oldest first."""
        statement = (
            sa.select(L.complaint_id, Referral)
            .join(Referral, T.id == L.referral_id)
            .where(L.complaint_id.in_(complaint_ids))
            .order_by(T.id)
        )
        if lock:
            statement = statement.with_for_update(of=Referral).execution_options(
                populate_existing=True
            )
        found: dict[UUID, list[Referral]] = {id: [] for id in complaint_ids}
        for complaint_id, referral in await self.session.execute(statement):
            found[complaint_id].append(referral)
        return found

    async def for_member(self, member_id: UUID) -> list[Referral]:
        """Referrals for a member, held by nobody."""
        statement = sa.select(Referral).where(T.member_id == member_id).order_by(T.id)
        return list(await self.session.scalars(statement))

    async def lock_for(self, household_id: UUID | None, member_id: UUID | None) -> list[Referral]:
        """Referrals for a member, or else for a household and all in it; held until commit."""
        statement = sa.select(Referral).where(_for(household_id, member_id)).order_by(T.id)
        statement = statement.with_for_update().execution_options(populate_existing=True)
        return list(await self.session.scalars(statement))

    async def for_household(self, household_id: UUID) -> list[Referral]:
        """Referrals for a household and all in it, held by nobody."""
        statement = sa.select(Referral).where(_for(household_id, None)).order_by(T.id)
        return list(await self.session.scalars(statement))

    async def of_household(
        self,
        household_id: UUID,
        only: Actor | None,
        at: datetime,
        after: UUID | None,
        limit: int,
    ) -> list[Referral]:
        """Referrals for a household and for all who live in it, newest first; `only` those that an
        actor sees, where one is given."""
        statement = sa.select(Referral).where(_for(household_id, None)).order_by(T.id.desc())
        statement = statement.limit(limit)
        if only is not None:
            statement = statement.where(seen_by(only, at))
        if after is not None:
            statement = statement.where(T.id < after)
        return list(await self.session.scalars(statement))

    async def by_letter_code(self, code: str) -> Referral | None:
        statement = sa.select(Referral).where(T.letter_code == code)
        return (await self.session.scalars(statement)).one_or_none()

    async def held_by(self, ids: Sequence[UUID]) -> set[UUID]:
        """The complaints that hold any of some referrals."""
        statement = sa.select(L.complaint_id).where(L.referral_id.in_(ids))
        return set(await self.session.scalars(statement))

    async def holders_for(self, household_id: UUID | None, member_id: UUID | None) -> set[UUID]:
        """The complaints that hold what `lock_for` would find."""
        statement = sa.select(L.complaint_id).join(Referral, T.id == L.referral_id)
        return set(await self.session.scalars(statement.where(_for(household_id, member_id))))

    async def lock_need(self, beneficiary_key: str, program_code: str, purpose: str) -> None:
        """Hold a need until commit: two complaints cannot open the same one at once."""
        need = f"need:{beneficiary_key}:{program_code}:{purpose}"
        await self.session.execute(
            sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(need, 0)))
        )

    async def open_for(
        self, beneficiary_key: str, program_code: str, purpose: Purpose
    ) -> Referral | None:
        """The open referral for a need, if there is one."""
        statement = sa.select(Referral).where(
            T.beneficiary_key == beneficiary_key,
            T.program_code == program_code,
            T.purpose == purpose,
            T.state.in_(OPEN),
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def page(
        self,
        actor: Actor,
        wanted: ReferralFilter,
        after: UUID | None,
        limit: int,
        at: datetime,
    ) -> list[Referral]:
        """Newest first."""
        statement = sa.select(Referral).where(seen_by(actor, at)).order_by(T.id.desc()).limit(limit)
        for name in ("state", "program_code", "household_id"):
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(getattr(T, name) == value)
        if wanted.region is not None:
            statement = statement.where(within(T, (wanted.region,)))
        if wanted.complaint_id is not None:
            held = sa.select(L.referral_id).where(L.complaint_id == wanted.complaint_id)
            statement = statement.where(T.id.in_(held))
        if after is not None:
            statement = statement.where(T.id < after)
        return list(await self.session.scalars(statement))

    async def claim(
        self, sweep: str, states: Sequence[ReferralState], at: datetime, limit: int
    ) -> list[Referral]:
        """Referrals whose next step is due and that no other sweeper holds, oldest first."""
        statement = (
            sa.select(Referral)
            .where(T.next_step_at <= at, T.state.in_(states), not_parked(sweep, T.id, at))
            .order_by(T.next_step_at, T.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))


def _for(household_id: UUID | None, member_id: UUID | None) -> Any:
    """For one person; or for a household, and for those who are in it whoever was named."""
    if member_id is not None:
        return T.member_id == member_id
    people = sa.select(col(Member.id)).where(col(Member.household_id) == household_id)
    return sa.or_(T.household_id == household_id, T.member_id.in_(people))
