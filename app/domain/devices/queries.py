"""Finding tablets, and what waits because of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaints import Complaint, ComplaintState
from app.domain.devices.rows import Device, DeviceHolder, DeviceState, P, V
from app.domain.errors import NotFound
from app.domain.surveys import Survey
from app.domain.sweep_runs import not_parked
from app.domain.visits import Visit, VisitState

SILENT_AFTER = timedelta(days=2)
TO_VISIT = (ComplaintState.ASSIGNED, ComplaintState.RETURNED)
C: Any = Complaint
T: Any = Visit
U: Any = Survey


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    state: DeviceState | None = None
    facilitator_id: UUID | None = None
    silent: bool | None = None


def silent_at(at: datetime) -> sa.ColumnElement[bool]:
    """Tablets in use whose facilitator has open work, and that were not heard of for two days."""
    heard = sa.func.greatest(V.held_since, V.last_seen_at)
    to_visit = sa.select(1).where(C.assigned_to == V.facilitator_id, C.state.in_(TO_VISIT))
    visits = sa.select(1).where(T.assignee_id == V.facilitator_id, T.state == VisitState.OPEN)
    held = sa.select(1).where(P.device_id == V.id, P.given_up_at.is_(None))
    return sa.and_(
        V.state == DeviceState.ACTIVE,
        heard <= at - SILENT_AFTER,
        sa.or_(sa.exists(to_visit), sa.exists(visits), sa.exists(held)),
    )


class Devices:
    """The only place that writes SQL about tablets as such."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, device: Device) -> None:
        self.session.add(device)

    async def add_holder(self, device: Device) -> None:
        statement = insert(DeviceHolder).values(
            device_id=device.id, facilitator_id=device.facilitator_id
        )
        await self.session.flush()
        await self.session.execute(statement.on_conflict_do_nothing())

    async def get(self, id: UUID, sight: sa.ColumnElement[bool]) -> Device:
        """Raises NotFound for what does not exist or is out of sight."""
        device = (
            await self.session.scalars(sa.select(Device).where(V.id == id, sight))
        ).one_or_none()
        if device is None:
            raise NotFound
        return device

    async def lock(self, id: UUID) -> Device:
        """The row as it is now, held until commit."""
        statement = sa.select(Device).where(V.id == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def peek(self, id: UUID) -> Device:
        """The row, whoever may see it."""
        return (await self.session.scalars(sa.select(Device).where(V.id == id))).one()

    async def page(
        self,
        sight: sa.ColumnElement[bool],
        wanted: DeviceFilter,
        before: UUID | None,
        limit: int,
        at: datetime,
    ) -> list[Device]:
        """Newest first."""
        statement = sa.select(Device).where(sight).order_by(V.id.desc()).limit(limit)
        if wanted.state is not None:
            statement = statement.where(V.state == wanted.state)
        if wanted.facilitator_id is not None:
            statement = statement.where(V.facilitator_id == wanted.facilitator_id)
        if wanted.silent is not None:
            silent = silent_at(at)
            statement = statement.where(silent if wanted.silent else sa.not_(silent))
        if before is not None:
            statement = statement.where(V.id < before)
        return list(await self.session.scalars(statement))

    async def silent(self, ids: Sequence[UUID], at: datetime) -> set[UUID]:
        """Which of some tablets are silent."""
        statement = sa.select(V.id).where(V.id.in_(ids), silent_at(at))
        return set(await self.session.scalars(statement))

    async def claim_overdue(
        self, sweep: str, promised_before: datetime, at: datetime, limit: int
    ) -> list[Device]:
        """Tablets with numbers promised before a moment and not told, or that fell silent."""
        late = sa.select(1).where(
            P.device_id == V.id,
            P.told_at.is_(None),
            P.given_up_at.is_(None),
            P.promised_at <= promised_before,
        )
        statement = (
            sa.select(Device)
            .where(
                V.state != DeviceState.RETIRED,
                sa.or_(sa.exists(late), sa.and_(V.silence_told_at.is_(None), silent_at(at))),
                not_parked(sweep, V.id, at),
            )
            .order_by(V.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def to_repeat(
        self, facilitator_id: UUID, before: datetime, complaints: Any, visits: Any, limit: int
    ) -> tuple[list[Complaint], list[Visit]]:
        """What a facilitator was to visit before a moment and has no survey of: complaints and
        visits, of those that the conditions let be seen."""
        surveyed = sa.select(1).where(U.submitted_at.is_not(None))
        of_complaints = (
            sa.select(Complaint)
            .where(
                C.assigned_to == facilitator_id, C.state.in_(TO_VISIT),
                C.stage_entered_at <= before, complaints,
                ~sa.exists(surveyed.where(U.complaint_id == C.id, ~U.additional)),
            )
            .order_by(C.due_at, C.id)
            .limit(limit)
        )  # fmt: skip
        of_visits = (
            sa.select(Visit)
            .where(
                T.assignee_id == facilitator_id, T.state == VisitState.OPEN,
                T.assigned_at <= before, visits,
                ~sa.exists(surveyed.where(U.visit_id == T.id)),
            )
            .order_by(T.due_at, T.id)
            .limit(limit)
        )  # fmt: skip
        return (
            list(await self.session.scalars(of_complaints)),
            list(await self.session.scalars(of_visits)),
        )
