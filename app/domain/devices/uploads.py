"""What comes from tablets: each number once, for ever."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.devices.rows import (
    Arrival,
    Device,
    DevicePromise,
    DeviceState,
    DeviceWrite,
    Flag,
    H,
    P,
    V,
    W,
)
from app.domain.devices.sight import works_near
from app.domain.errors import Conflict


class DeviceWrites:
    """The only place that writes SQL about what came from tablets."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def claim(self, actor: Actor, device_id: UUID) -> tuple[list[Flag], int] | None:
        """Why a write of the actor's on a tablet should be looked at, and its highest number.

        None for a tablet that is not known in the actor's cities.
        """
        statement = sa.select(V.state, V.facilitator_id, V.highest_sequence, V.regency_code).where(
            V.id == device_id
        )
        row = (await self.session.execute(statement)).one_or_none()
        if row is None or not works_near(actor, row.regency_code):
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

    async def received(self, device_id: UUID, limit: int) -> list[int]:
        """The numbers that have come, the highest ones where they are more than `limit`."""
        statement = (
            sa.select(W.sequence)
            .where(W.device_id == device_id)
            .order_by(W.sequence.desc())
            .limit(limit)
        )
        return sorted(await self.session.scalars(statement))

    async def at(self, device_id: UUID, sequences: Collection[int]) -> dict[int, DeviceWrite]:
        """What came under some numbers."""
        statement = sa.select(DeviceWrite).where(
            W.device_id == device_id, W.sequence.in_(sequences)
        )
        return {one.sequence: one for one in await self.session.scalars(statement)}

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
