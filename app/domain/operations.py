"""Operations: long work that was accepted, its input, and how far it has come."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import CODE, JSON, Record, enum_type
from app.domain.errors import Conflict, NotFound
from app.domain.identifiers import Keys

READERS = (Role.MANAGER, Role.HEAD)
LEASE = timedelta(seconds=60)
# Whoever reads a local file and has died may come back; after so long nobody waits for them.
ABANDONED = timedelta(minutes=10)
KEPT_FOR = timedelta(days=7)
CHUNK = 1024 * 1024
CHUNK_PLACE = ("operation_chunks", "content")
FAULTS_LISTED = 100_000
ACCEPT_LOCK = 0x51_2A


class OperationKind(StrEnum):
    REGISTRY_IMPORT = "registry_import"


class OperationStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (OperationStatus.PENDING, OperationStatus.RUNNING)


class LostLease(Exception):
    """Somebody else runs the operation now, or it was cancelled: what was begun is rolled back."""


class Operation(Record, table=True):
    """Accepted work. A runner holds it by a lease in real time; `fence` tells its steps apart.

    `done` and `total` count what the kind counts (bytes of the input for an import).
    """

    __tablename__ = "operations"
    __table_args__ = (
        sa.Index("ix_operations_waiting", "id", postgresql_where=sa.text("finished_at is null")),
    )

    kind: OperationKind = Field(sa_type=enum_type(OperationKind))
    status: OperationStatus = Field(
        default=OperationStatus.PENDING, sa_type=enum_type(OperationStatus)
    )
    regency_code: str | None = Field(default=None, sa_type=CODE, max_length=5)
    params: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    problem: str | None = Field(default=None, max_length=60)
    done: int = Field(default=0, sa_type=sa.BigInteger)
    total: int = Field(default=0, sa_type=sa.BigInteger)
    created_by: UUID
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_until: datetime | None = None
    fence: int = 0
    attempts: int = 0
    cancel_requested: bool = False


class OperationChunk(SQLModel, table=True):
    """A sealed piece of an operation's stored input, in order; let go when it ends."""

    __tablename__ = "operation_chunks"
    __table_args__ = (sa.PrimaryKeyConstraint("operation_id", "number"),)

    operation_id: UUID = Field(foreign_key="operations.id")
    number: int
    content: bytes


class OperationFault(SQLModel, table=True):
    """One thing wrong in an operation's input: where, which column, masked value, why."""

    __tablename__ = "operation_faults"
    __table_args__ = (sa.PrimaryKeyConstraint("operation_id", "number"),)

    operation_id: UUID = Field(foreign_key="operations.id")
    number: int
    line: int
    column: str | None = Field(default=None, max_length=80)
    value: str | None = Field(default=None, max_length=80)
    code: str = Field(max_length=60)
    # A warning is told; the row lands all the same.
    refused: bool = True


ROW: Any = Operation
_NOW = sa.func.clock_timestamp()


class Operations:
    """The only place that writes SQL about operations. Leases are in real time."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def accept(self, operation: Operation) -> None:
        """Add an import, unless one of the city is under way: Conflict `import_under_way`."""
        key = sa.func.hashtext(operation.regency_code)
        await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(ACCEPT_LOCK, key)))
        await self._give_up_abandoned(operation.regency_code)
        under_way = sa.select(ROW.id).where(
            ROW.kind == operation.kind, ROW.regency_code == operation.regency_code,
            ROW.finished_at.is_(None),
        )  # fmt: skip
        if (id := await self.session.scalar(under_way.limit(1))) is not None:
            raise Conflict("import_under_way", retry_after=30, operation_id=str(id))
        self.session.add(operation)
        await self.session.flush()

    async def _give_up_abandoned(self, regency_code: str | None) -> None:
        """End what was read from a file of a process that is gone."""
        await self.session.execute(
            sa.update(Operation)
            .where(
                ROW.regency_code == regency_code, ROW.finished_at.is_(None),
                ROW.lease_until < _NOW - ABANDONED, ROW.params["local"].as_boolean(),
            )
            .values(status=OperationStatus.FAILED, problem="abandoned", finished_at=_NOW,
                fence=ROW.fence + 1)
        )  # fmt: skip

    async def store(self, id: UUID, file: IO[bytes]) -> None:
        """Keep the input in sealed pieces."""
        file.seek(0)
        number, keys = 0, Keys.of(self.session)
        while piece := file.read(CHUNK):
            content = keys.seal_bytes(piece, *CHUNK_PLACE, (id, number))
            self.session.add(OperationChunk(operation_id=id, number=number, content=content))
            await self.session.flush()
            number += 1

    async def pieces(self, id: UUID) -> AsyncIterator[bytes]:
        """The stored input, piece by piece."""
        number, keys = 0, Keys.of(self.session)
        while True:
            statement = sa.select(col(OperationChunk.content)).where(
                col(OperationChunk.operation_id) == id, col(OperationChunk.number) == number
            )
            piece = await self.session.scalar(statement)
            if piece is None:
                return
            yield keys.open_bytes(piece, *CHUNK_PLACE, (id, number))
            number += 1

    async def get(self, id: UUID, actor: Actor) -> Operation:
        """Seen by whoever began it or may begin one in the city (only one is under way at a time),
        by the city's manager and head, and by an admin."""
        found = await self.session.get(Operation, id, populate_existing=True)
        if found is None:
            raise NotFound
        mine = found.created_by == actor.id or any(
            grant.role is Role.ADMIN for grant in actor.grants
        )
        city = found.regency_code or ""
        mine = mine or actor.holds(city, *SECRETARIAT)
        if not mine and not actor.holds_near(city, *READERS):
            raise NotFound
        return found

    async def find(self, id: UUID) -> Operation:
        statement = sa.select(Operation).where(ROW.id == id)
        found: Operation = (
            await self.session.scalars(statement.execution_options(populate_existing=True))
        ).one()
        return found

    async def lock(self, id: UUID) -> Operation:
        """The row as it is now, held until commit; rows that only refer to it do not wait."""
        statement = sa.select(Operation).where(ROW.id == id).with_for_update(key_share=True)
        found: Operation = (
            await self.session.scalars(statement.execution_options(populate_existing=True))
        ).one()
        return found

    async def claim(self) -> Operation | None:
        """The oldest stored operation that nobody runs, leased to the caller."""
        waiting = (
            sa.select(Operation)
            .where(
                ROW.finished_at.is_(None),
                ~ROW.params["local"].as_boolean(),
                sa.or_(ROW.lease_until.is_(None), ROW.lease_until < _NOW),
            )
            .order_by(ROW.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        operation: Operation | None = (await self.session.scalars(waiting)).one_or_none()
        if operation is not None:
            await self.take(operation)
        return operation

    async def unfinished(self, regency_code: str, digest: str) -> Operation | None:
        """What was begun from the same local file and has not ended, held until commit."""
        statement = (
            sa.select(Operation)
            .where(
                ROW.regency_code == regency_code, ROW.finished_at.is_(None),
                ROW.params["local"].as_boolean(), ROW.params["digest"].astext == digest,
            )
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )  # fmt: skip
        found: Operation | None = (await self.session.scalars(statement.limit(1))).one_or_none()
        return found

    async def is_leased(self, operation: Operation) -> bool:
        """Whether somebody still renews the lease."""
        return bool(
            await self.session.scalar(
                sa.select(ROW.lease_until > _NOW).where(ROW.id == operation.id)
            )
        )

    async def take(self, operation: Operation) -> None:
        """Lease an operation that is locked: one more attempt."""
        now = await self.session.scalar(sa.select(_NOW))
        assert isinstance(now, datetime)
        operation.status = OperationStatus.RUNNING
        operation.started_at = operation.started_at or now
        operation.lease_until = now + LEASE
        operation.fence += 1
        operation.attempts += 1
        await self.session.flush()

    async def step(self, id: UUID, fence: int, **values: Any) -> None:
        """Write how far it has come and renew the lease. Raises LostLease."""
        statement = (
            sa.update(Operation)
            .where(ROW.id == id, ROW.fence == fence, ROW.finished_at.is_(None),
                ROW.cancel_requested.is_(False))
            .values(lease_until=_NOW + LEASE, **values)
        )  # fmt: skip
        if not getattr(await self.session.execute(statement), "rowcount", 0):
            raise LostLease

    async def finish(self, id: UUID, fence: int, status: OperationStatus, **values: Any) -> None:
        """The end of it; what was stored is let go. Raises LostLease."""
        statement = (
            sa.update(Operation)
            .where(ROW.id == id, ROW.fence == fence, ROW.finished_at.is_(None))
            .values(status=status, finished_at=_NOW, lease_until=None, **values)
        )
        if not getattr(await self.session.execute(statement), "rowcount", 0):
            raise LostLease
        await self.forget_input(id)

    async def forget_input(self, id: UUID) -> None:
        await self.session.execute(
            sa.delete(OperationChunk).where(col(OperationChunk.operation_id) == id)
        )

    async def add_faults(self, faults: Sequence[tuple[Any, ...]]) -> None:
        """List what is wrong, in the order of the table's columns."""
        connection = await (await self.session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        columns = tuple(OperationFault.model_fields)
        await driver.copy_records_to_table("operation_faults", records=faults, columns=columns)

    async def forget_faults(self, id: UUID) -> None:
        await self.session.execute(
            sa.delete(OperationFault).where(col(OperationFault.operation_id) == id)
        )

    async def faults(self, id: UUID) -> list[OperationFault]:
        """What is wrong in the input, by line."""
        statement = (
            sa.select(OperationFault)
            .where(col(OperationFault.operation_id) == id)
            .order_by(col(OperationFault.line), col(OperationFault.number))
            .limit(FAULTS_LISTED)
        )
        return list(await self.session.scalars(statement))

    async def fault_counts(self, id: UUID) -> dict[str, int]:
        """How often each code is listed."""
        statement = (
            sa.select(col(OperationFault.code), sa.func.count())
            .where(col(OperationFault.operation_id) == id)
            .group_by(col(OperationFault.code))
            .order_by(col(OperationFault.code))
        )
        return dict((await self.session.execute(statement)).all())

    async def expire(self, before: datetime, limit: int) -> int:
        """Forget what ended long ago, with its faults."""
        ended = (await self.session.scalars(
            sa.select(ROW.id).where(ROW.finished_at < before).limit(limit)
        )).all()  # fmt: skip
        for table in (OperationFault, OperationChunk):
            await self.session.execute(sa.delete(table).where(col(table.operation_id).in_(ended)))
        # Staged rows that a process did not live to let go.
        over = sa.select(ROW.id).where(ROW.finished_at.is_not(None))
        for name in ("registry_homes", "registry_rows", "registry_refusals"):
            staged = sa.table(name, sa.column("operation_id"))
            await self.session.execute(sa.delete(staged).where(staged.c.operation_id.in_(over)))
        versions = sa.table("registry_versions", sa.column("operation_id"))
        await self.session.execute(
            sa.update(versions).where(versions.c.operation_id.in_(ended)).values(operation_id=None)
        )
        await self.session.execute(sa.delete(Operation).where(ROW.id.in_(ended)))
        return len(ended)
