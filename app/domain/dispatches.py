"""Dispatches: numbered batches of approved registry changes for the centre."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.base import CODE, InRegion, Record, enum_type
from app.domain.errors import NotFound
from app.domain.identifiers import Keys
from app.domain.notifications import Step, not_taken
from app.domain.sweep_runs import not_parked


class DispatchState(StrEnum):
    MADE = "made"
    UPLOADED = "uploaded"
    ACKNOWLEDGED = "acknowledged"


class RowStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


class Dispatch(Record, table=True):
    """A batch of a city, with the checksums of its files. What its rows say never changes."""

    __tablename__ = "dispatches"
    __table_args__ = (
        sa.Index("ix_dispatches_regency_code_id", "regency_code", "id"),
        sa.Index(
            "ix_dispatches_waiting", "made_at", "id",
            postgresql_where=sa.text("state <> 'acknowledged'"),
        ),
    )  # fmt: skip

    version: int = 1
    number: str = Field(unique=True, sa_type=CODE, max_length=24)
    regency_code: str = Field(sa_type=CODE, max_length=5)
    state: DispatchState = Field(default=DispatchState.MADE, sa_type=enum_type(DispatchState))
    row_count: int
    csv_sha256: str = Field(max_length=64)
    json_sha256: str = Field(max_length=64)
    made_by: UUID
    made_at: datetime
    uploaded_by: UUID | None = None
    uploaded_at: datetime | None = None
    acknowledged_at: datetime | None = None

    # A batch is a whole city's: its events and notifications name no district and no village.
    @property
    def province_code(self) -> str:
        return self.regency_code.split(".")[0]

    @property
    def district_code(self) -> str:
        return ""

    @property
    def village_code(self) -> str:
        return ""


class DispatchRow(InRegion, table=True):
    """One change in a batch, sealed as it was sent, and what the centre said of it."""

    __tablename__ = "dispatch_rows"
    __table_args__ = (
        sa.PrimaryKeyConstraint("dispatch_id", "number"),
        sa.Index("ix_dispatch_rows_registry_change_id", "registry_change_id"),
    )

    dispatch_id: UUID = Field(foreign_key="dispatches.id")
    number: int
    registry_change_id: UUID = Field(foreign_key="registry_changes.id")
    content: bytes
    status: RowStatus = Field(default=RowStatus.PENDING, sa_type=enum_type(RowStatus))
    reason: str | None = Field(default=None, max_length=200)
    answered_at: datetime | None = None
    answered_by: UUID | None = None


D: Any = Dispatch
W: Any = DispatchRow
# Who was told that a batch waits: those who make batches, then whoever is above them.
STAGES = ("office", "manager")


class Dispatches:
    """The only place that writes SQL about dispatches and their rows."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, dispatch: Dispatch, rows: Sequence[DispatchRow]) -> None:
        self.session.add_all([dispatch, *rows])

    async def next_number(self) -> int:
        number = await self.session.scalar(sa.select(sa.func.nextval("dispatch_numbers")))
        assert isinstance(number, int)
        return number

    def seal(self, row: DispatchRow, content: dict[str, Any]) -> None:
        plain = json.dumps(content, separators=(",", ":"))
        keys = Keys.of(self.session)
        row.content = keys.seal(plain, "dispatch_rows", "content", row.registry_change_id)

    def content(self, row: DispatchRow) -> dict[str, Any]:
        """What was sent to the centre, numbers in clear."""
        keys = Keys.of(self.session)
        found: dict[str, Any] = json.loads(
            keys.open(row.content, "dispatch_rows", "content", row.registry_change_id)
        )
        return found

    async def get(self, id: UUID, regions: tuple[str, ...]) -> Dispatch:
        """Raises NotFound for what does not exist or is of no city in the scopes."""
        statement = sa.select(Dispatch).where(D.id == id, _of_cities_in(regions))
        dispatch = (await self.session.scalars(statement)).one_or_none()
        if dispatch is None:
            raise NotFound
        return dispatch

    async def lock(self, id: UUID) -> Dispatch:
        """The row as it is now, held until commit: before its complaints and changes."""
        statement = sa.select(Dispatch).where(D.id == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def page(
        self,
        regions: tuple[str, ...],
        state: DispatchState | None,
        before: UUID | None,
        limit: int,
    ) -> list[Dispatch]:
        """Newest first."""
        statement = (
            sa.select(Dispatch).where(_of_cities_in(regions)).order_by(D.id.desc()).limit(limit)
        )
        if state is not None:
            statement = statement.where(D.state == state)
        if before is not None:
            statement = statement.where(D.id < before)
        return list(await self.session.scalars(statement))

    async def rows(self, id: UUID) -> list[DispatchRow]:
        """The rows of a batch, by number."""
        statement = sa.select(DispatchRow).where(W.dispatch_id == id).order_by(W.number)
        statement = statement.execution_options(populate_existing=True)
        return list(await self.session.scalars(statement))

    async def counts(self, ids: Sequence[UUID]) -> dict[UUID, dict[RowStatus, int]]:
        """How many rows of each batch have which status."""
        statement = (
            sa.select(W.dispatch_id, W.status, sa.func.count())
            .where(W.dispatch_id.in_(ids))
            .group_by(W.dispatch_id, W.status)
        )
        found: dict[UUID, dict[RowStatus, int]] = {id: {} for id in ids}
        for id, status, count in (await self.session.execute(statement)).all():
            found[id][status] = count
        return found

    async def claim(
        self,
        sweep: str,
        made_before: tuple[datetime, datetime],
        uploaded_before: tuple[datetime, datetime],
        at: datetime,
        limit: int,
    ) -> list[Dispatch]:
        """Batches whose first or second reminder is due and that no other sweeper holds."""
        late = [
            sa.and_(D.state == state, since <= moment, not_taken(D.id, sa.literal(stage), step))
            for state, since, moments, step in (
                (DispatchState.MADE, D.made_at, made_before, Step.UNDISPATCHED),
                (DispatchState.UPLOADED, D.uploaded_at, uploaded_before, Step.UNACKNOWLEDGED),
            )
            for moment, stage in zip(moments, STAGES, strict=True)
        ]
        statement = (
            sa.select(Dispatch)
            .where(D.state != DispatchState.ACKNOWLEDGED, sa.or_(*late))
            .where(not_parked(sweep, D.id, at))
            .order_by(D.made_at, D.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))


def _of_cities_in(regions: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """Batches whose whole city lies in one of the scopes."""
    within = (
        sa.or_(D.regency_code == code, D.regency_code.startswith(f"{code}.", autoescape=True))
        for code in regions
    )
    return sa.or_(sa.false(), *within)
