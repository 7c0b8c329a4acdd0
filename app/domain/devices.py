"""Tablets: whose they are, what has come from each of them, and what they still hold."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from app.domain.actors import Actor, Role
from app.domain.base import CODE, JSON, InRegion, Record, enum_type
from app.domain.complaints import Complaint, ComplaintState, cities
from app.domain.errors import Conflict, NotFound
from app.domain.surveys import Survey
from app.domain.sweep_runs import not_parked
from app.domain.visits import Visit, VisitState

SEQUENCE_AT_MOST = 1_000_000_000
# A tablet counts one by one: what is further ahead than this is a mistake, not a gap.
GAP_AT_MOST = 10_000
SILENT_AFTER = timedelta(days=2)
TO_VISIT = (ComplaintState.ASSIGNED, ComplaintState.RETURNED)


class DeviceState(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    RETIRED = "retired"


class WriteKind(StrEnum):
    """What a tablet sends."""

    COMPLAINT = "complaint"
    SURVEY = "survey"
    DOCUMENT = "document"
    ACTION = "action"
    OTHER = "other"


class Flag(StrEnum):
    """Why something that came from a tablet should be looked at. It is taken in all the same."""

    HANDED_ON = "device_handed_on"
    OF_ANOTHER = "device_of_another"
    BLOCKED = "device_blocked"
    RETIRED = "device_retired"
    CLOCK_AHEAD = "clock_ahead"


class Device(InRegion, Record, table=True):
    """A tablet. Every number up to `highest_sequence` has been received, or is promised.

    The region is its facilitator's; levels that this does not name are empty.
    """

    __tablename__ = "devices"
    __table_args__ = (
        sa.Index("ix_devices_regency_code_id", "regency_code", "id"),
        sa.Index("ix_devices_facilitator_id", "facilitator_id"),
    )

    version: int = 1
    name: str = Field(max_length=60)
    state: DeviceState = Field(default=DeviceState.ACTIVE, sa_type=enum_type(DeviceState))
    facilitator_id: UUID = Field(foreign_key="principals.id")
    # Since when it is with this facilitator.
    held_since: datetime
    highest_sequence: int = 0
    received_count: int = 0
    flagged_count: int = 0
    last_seen_at: datetime | None = None
    last_manifest_at: datetime | None = None
    # That its silence was told; unset when it is heard of again.
    silence_told_at: datetime | None = None
    registered_by: UUID
    registered_at: datetime
    retired_at: datetime | None = None


class DeviceHolder(SQLModel, table=True):
    """Who has had a tablet."""

    __tablename__ = "device_holders"
    __table_args__ = (sa.PrimaryKeyConstraint("device_id", "facilitator_id"),)

    device_id: UUID = Field(foreign_key="devices.id")
    facilitator_id: UUID = Field(foreign_key="principals.id")


class DeviceWrite(SQLModel, table=True):
    """What came from a tablet under a number, and what was answered: as an idempotency key, for
    ever. `fingerprint` is of method, path and content."""

    __tablename__ = "device_writes"
    __table_args__ = (sa.PrimaryKeyConstraint("device_id", "sequence"),)

    device_id: UUID = Field(foreign_key="devices.id")
    sequence: int
    principal_id: UUID
    kind: WriteKind = Field(sa_type=enum_type(WriteKind))
    method: str = Field(max_length=10)
    route: str = Field(max_length=200)
    subject_id: UUID | None = None
    client_ref: str | None = Field(default=None, sa_type=CODE, max_length=64)
    claimed_at: datetime | None = None
    received_at: datetime
    fingerprint: bytes
    payload_sha256: str = Field(max_length=64)
    flags: list[str] = Field(default_factory=list, sa_type=JSON)
    status: int
    ids: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class DevicePromise(SQLModel, table=True):
    """A number that has not arrived: announced by a manifest, or missing (without a kind)."""

    __tablename__ = "device_promises"
    __table_args__ = (
        sa.PrimaryKeyConstraint("device_id", "sequence"),
        sa.Index(
            "ix_device_promises_untold", "promised_at", postgresql_where=sa.text("told_at is null")
        ),
    )

    device_id: UUID = Field(foreign_key="devices.id")
    sequence: int
    kind: WriteKind | None = Field(default=None, sa_type=enum_type(WriteKind))
    client_ref: str | None = Field(default=None, sa_type=CODE, max_length=64)
    complaint_id: UUID | None = None
    captured_at: datetime | None = None
    payload_sha256: str | None = Field(default=None, max_length=64)
    # What the server answered to it, where it was refused.
    problem: str | None = Field(default=None, max_length=60)
    promised_at: datetime
    told_at: datetime | None = None


class DeviceManifest(Record, table=True):
    """What a tablet said that it holds."""

    __tablename__ = "device_manifests"

    device_id: UUID = Field(foreign_key="devices.id", index=True)
    sent_by: UUID
    at: datetime = Field(index=True)
    highest_sequence: int
    pending_count: int


@dataclass(slots=True)
class Arrival:
    """The tablet and number that a unit of work comes from; found by `Arrival.of`."""

    device_id: UUID
    sequence: int
    fingerprint: bytes
    payload_sha256: str
    client_ref: str | None
    claimed_at: datetime | None
    flags: list[Flag] = field(default_factory=list)
    # What was answered, and whether that stands written already.
    status: int | None = None
    ids: dict[str, Any] = field(default_factory=dict)
    written: bool = False

    def answered(self, status: int, ids: dict[str, Any]) -> None:
        self.status, self.ids = status, ids

    @staticmethod
    def of(session: AsyncSession) -> "Arrival | None":
        """What the session's unit of work comes from; None for what no tablet has sent."""
        found = session.info.get("arrival")
        assert found is None or isinstance(found, Arrival)
        return found


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    state: DeviceState | None = None
    facilitator_id: UUID | None = None
    silent: bool | None = None


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What has not arrived of a tablet: how many numbers, and the first of the missing ones."""

    pending: int = 0
    missing: int = 0
    numbers: Sequence[int] = ()


NOTHING = Outstanding()
SHOWN = 200
V: Any = Device
W: Any = DeviceWrite
P: Any = DevicePromise
M: Any = DeviceManifest
H: Any = DeviceHolder
C: Any = Complaint
T: Any = Visit
U: Any = Survey


def silent_at(at: datetime) -> sa.ColumnElement[bool]:
    """Tablets in use whose facilitator has open work, and that were not heard of for two days."""
    heard = sa.func.greatest(V.held_since, V.last_seen_at)
    to_visit = sa.select(1).where(C.assigned_to == V.facilitator_id, C.state.in_(TO_VISIT))
    visits = sa.select(1).where(T.assignee_id == V.facilitator_id, T.state == VisitState.OPEN)
    held = sa.select(1).where(P.device_id == V.id)
    return sa.and_(
        V.state == DeviceState.ACTIVE,
        heard <= at - SILENT_AFTER,
        sa.or_(sa.exists(to_visit), sa.exists(visits), sa.exists(held)),
    )


class Devices:
    """The only place that writes SQL about tablets."""

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

    async def outstanding(self, ids: Sequence[UUID]) -> dict[UUID, Outstanding]:
        """What has not arrived of some tablets."""
        missing = P.kind.is_(None)
        ranked = sa.select(
            P.device_id, P.sequence, P.kind,
            sa.func.row_number()
            .over(partition_by=(P.device_id, missing), order_by=P.sequence)
            .label("place"),
        ).where(P.device_id.in_(ids)).subquery()  # fmt: skip
        r = ranked.c
        lost = r.kind.is_(None)
        numbers = sa.func.array_agg(r.sequence).filter(lost, r.place <= SHOWN)
        statement = sa.select(
            r.device_id, sa.func.count().filter(~lost), sa.func.count().filter(lost), numbers
        ).group_by(r.device_id)
        return {
            id: Outstanding(pending, gone, sorted(first or ()))
            for id, pending, gone, first in await self.session.execute(statement)
        }

    # What comes in

    async def claim(self, actor: Actor, device_id: UUID) -> tuple[list[Flag], int] | None:
        """Why a write of the actor's on a tablet should be looked at, and its highest number.

        None for a tablet that is not known in the actor's cities.
        """
        statement = sa.select(V.state, V.facilitator_id, V.highest_sequence, V.regency_code).where(
            V.id == device_id
        )
        row = (await self.session.execute(statement)).one_or_none()
        if row is None or not _works_near(actor, row.regency_code):
            return None
        flags = []
        if row.facilitator_id != actor.id:
            had = sa.select(1).where(H.device_id == device_id, H.facilitator_id == actor.id)
            held = await self.session.scalar(sa.select(had.exists()))
            flags.append(Flag.HANDED_ON if held else Flag.OF_ANOTHER)
        if row.state is not DeviceState.ACTIVE:
            flags.append(Flag.BLOCKED if row.state is DeviceState.BLOCKED else Flag.RETIRED)
        return flags, row.highest_sequence

    async def known(self, arrival: Arrival) -> DeviceWrite | None:
        """What came under the number before, with the same content; else it is ours until commit.

        Raises Conflict `idempotency_key_in_use` while another request brings the number, and
        `device_sequence_taken` where it came with other content.
        """
        place = f"device:{arrival.device_id}:{arrival.sequence}"
        lock = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(place, 0))
        if not await self.session.scalar(sa.select(lock)):
            raise Conflict("idempotency_key_in_use", retry_after=1)
        statement = sa.select(DeviceWrite).where(
            W.device_id == arrival.device_id, W.sequence == arrival.sequence
        )
        found = (await self.session.scalars(statement)).one_or_none()
        if found is not None and found.fingerprint != arrival.fingerprint:
            highest = await self.session.scalar(
                sa.select(V.highest_sequence).where(V.id == arrival.device_id)
            )
            raise Conflict("device_sequence_taken", highest_sequence=highest)
        return found

    async def record(self, write: DeviceWrite) -> None:
        """Write down what came. The tablet is held until commit, so that its numbers are exact:
        what was skipped is missing from now on, until it comes."""
        before = await self.session.scalar(
            sa.select(V.highest_sequence).where(V.id == write.device_id).with_for_update()
        )
        assert before is not None
        await self.session.execute(
            sa.update(Device)
            .where(V.id == write.device_id)
            .values(
                highest_sequence=max(before, write.sequence),
                received_count=V.received_count + 1,
                flagged_count=V.flagged_count + int(bool(write.flags)),
                last_seen_at=sa.func.greatest(V.last_seen_at, write.received_at),
                silence_told_at=None,
            )
            .execution_options(synchronize_session=False)
        )
        self.session.add(write)
        await self.session.flush()
        await self.session.execute(
            sa.delete(DevicePromise)
            .where(P.device_id == write.device_id, P.sequence == write.sequence)
            .execution_options(synchronize_session=False)
        )
        await self.miss(write.device_id, before + 1, write.sequence - 1, write.received_at)

    async def miss(self, device_id: UUID, first: int, last: int, at: datetime) -> None:
        """The numbers of a gap have not come, and nobody has said what they are."""
        if first <= last:
            numbers = sa.select(
                sa.literal(device_id), sa.func.generate_series(first, last), sa.literal(at)
            )
            statement = insert(DevicePromise).from_select(
                ["device_id", "sequence", "promised_at"], numbers, include_defaults=False
            )
            await self.session.execute(statement.on_conflict_do_nothing())

    # What is promised

    async def received(self, device_id: UUID, limit: int) -> list[int]:
        """The numbers that have come, the highest ones where they are more than `limit`."""
        statement = (
            sa.select(W.sequence)
            .where(W.device_id == device_id)
            .order_by(W.sequence.desc())
            .limit(limit)
        )
        return sorted(await self.session.scalars(statement))

    async def writes(self, device_id: UUID, sequences: Collection[int]) -> dict[int, DeviceWrite]:
        """What came under some numbers."""
        statement = sa.select(DeviceWrite).where(
            W.device_id == device_id, W.sequence.in_(sequences)
        )
        return {one.sequence: one for one in await self.session.scalars(statement)}

    async def missing(self, device_id: UUID, up_to: int, limit: int) -> tuple[list[int], int]:
        """The first numbers that neither came nor are announced, and how many there are."""
        conditions = (P.device_id == device_id, P.kind.is_(None), P.sequence <= up_to)
        statement = sa.select(P.sequence).where(*conditions).order_by(P.sequence).limit(limit)
        count = await self.session.scalar(sa.select(sa.func.count()).where(*conditions))
        return list(await self.session.scalars(statement)), count or 0

    async def promise(
        self, device: Device, pending: Sequence[DevicePromise], highest: int, at: datetime
    ) -> None:
        """Take a manifest in. The tablet is locked; `pending` are numbers that have not come.

        A number keeps the moment at which it was first promised.
        """
        await self.miss(device.id, device.highest_sequence + 1, highest, at)
        # Announced before and not any more: from now on it is missing.
        await self.session.execute(
            sa.update(DevicePromise)
            .where(
                P.device_id == device.id,
                P.sequence <= highest,
                P.sequence.not_in([one.sequence for one in pending]),
            )
            .values(kind=None)
            .execution_options(synchronize_session=False)
        )
        if pending:
            columns = (
                "kind", "client_ref", "complaint_id", "captured_at", "payload_sha256", "problem",
            )  # fmt: skip
            statement = insert(DevicePromise)
            statement = statement.on_conflict_do_update(
                index_elements=["device_id", "sequence"],
                set_={name: getattr(statement.excluded, name) for name in columns},
            )
            rows = [
                {name: getattr(one, name) for name in columns}
                | {"device_id": device.id, "sequence": one.sequence, "promised_at": at}
                for one in pending
            ]
            await self.session.execute(statement, rows)
        device.highest_sequence = max(device.highest_sequence, highest)
        device.last_manifest_at = at
        device.last_seen_at = max(device.last_seen_at or at, at)
        device.silence_told_at = None

    def keep(self, manifest: DeviceManifest) -> None:
        self.session.add(manifest)

    async def expire_manifests(self, before: datetime, limit: int) -> int:
        """Drop manifests of before. What they promised stays until it comes."""
        old = sa.select(M.id).where(M.at < before).limit(limit)
        result = await self.session.execute(sa.delete(DeviceManifest).where(M.id.in_(old)))
        return int(getattr(result, "rowcount", 0))

    # What waits

    async def claim_overdue(
        self, sweep: str, promised_before: datetime, at: datetime, limit: int
    ) -> list[Device]:
        """Tablets with numbers promised before a moment and not told, or that fell silent."""
        late = sa.select(1).where(
            P.device_id == V.id, P.told_at.is_(None), P.promised_at <= promised_before
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

    async def mark_told(
        self, device_id: UUID, promised_before: datetime, at: datetime
    ) -> list[int]:
        """The late numbers of a tablet that were not told yet; they are from now on."""
        statement = (
            sa.update(DevicePromise)
            .where(P.device_id == device_id, P.told_at.is_(None), P.promised_at <= promised_before)
            .values(told_at=at)
            .returning(P.sequence)
            .execution_options(synchronize_session=False)
        )
        return sorted(await self.session.scalars(statement))

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


KEEPERS = (Role.FRONT_OFFICE, Role.BACK_OFFICE, Role.SUPERVISOR, Role.MANAGER)


def keeps(actor: Actor, regency_code: str) -> bool:
    """Whether the actor registers, hands on and blocks tablets of a city."""
    return bool(actor.granted(Role.ADMIN)) or actor.holds_near(regency_code, *KEEPERS)


def visible_to(actor: Actor) -> Any:
    """Who sees a tablet: those who keep those of its city, and whoever has or had it."""
    if actor.granted(Role.ADMIN):
        return sa.true()
    held = sa.select(H.device_id).where(H.facilitator_id == actor.id)
    near = (
        sa.or_(V.regency_code == code, V.regency_code.startswith(f"{code}.", autoescape=True))
        for code in cities(actor.regions(*KEEPERS))
    )
    return sa.or_(V.facilitator_id == actor.id, V.id.in_(held), *near)


def _works_near(actor: Actor, regency_code: str) -> bool:
    roles = tuple(grant.role for grant in actor.grants)
    of_client = any(
        code == regency_code or regency_code.startswith(f"{code}.") for code in actor.region_codes
    )
    return of_client or bool(actor.granted(Role.ADMIN)) or actor.holds_near(regency_code, *roles)
