"""What tablets promise: the numbers that they announced, or skipped, and that have not come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.devices.rows import Device, DeviceManifest, DevicePromise, M, P
from app.domain.devices.uploads import DeviceWrites


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What has not arrived of a tablet: how many numbers, and the first of the missing ones."""

    pending: int = 0
    missing: int = 0
    numbers: Sequence[int] = ()


NOTHING = Outstanding()
SHOWN = 200


class DevicePromises:
    """The only place that writes SQL about promises and manifests."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def outstanding(self, ids: Sequence[UUID]) -> dict[UUID, Outstanding]:
        """What has not arrived of some tablets."""
        missing = P.kind.is_(None)
        ranked = sa.select(
            P.device_id, P.sequence, P.kind,
            sa.func.row_number()
            .over(partition_by=(P.device_id, missing), order_by=P.sequence)
            .label("place"),
        ).where(P.device_id.in_(ids), P.given_up_at.is_(None)).subquery()  # fmt: skip
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

    async def missing(self, device_id: UUID, up_to: int, limit: int) -> tuple[list[int], int]:
        """The first numbers that neither came nor are announced, and how many there are."""
        conditions = (
            P.device_id == device_id, P.kind.is_(None), P.given_up_at.is_(None),
            P.sequence <= up_to,
        )  # fmt: skip
        statement = sa.select(P.sequence).where(*conditions).order_by(P.sequence).limit(limit)
        count = await self.session.scalar(sa.select(sa.func.count()).where(*conditions))
        return list(await self.session.scalars(statement)), count or 0

    async def take(
        self, device: Device, pending: Sequence[DevicePromise], highest: int, at: datetime
    ) -> None:
        """Take a manifest in. The tablet is locked; `pending` are numbers that have not come.

        A number keeps the moment at which it was first promised.
        """
        await DeviceWrites(self.session).miss(device.id, device.highest_sequence + 1, highest, at)
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
                set_={name: getattr(statement.excluded, name) for name in columns}
                | {"given_up_at": None},
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

    async def give_up(
        self, device_id: UUID, sequences: Sequence[int], at: datetime
    ) -> Sequence[int]:
        """Wait no more for some numbers; those for which this is new. One that comes all the same
        is taken in."""
        statement = (
            sa.update(DevicePromise)
            .where(P.device_id == device_id, P.sequence.in_(sequences), P.given_up_at.is_(None))
            .values(given_up_at=at)
            .returning(P.sequence)
            .execution_options(synchronize_session=False)
        )
        return sorted(await self.session.scalars(statement))

    def keep(self, manifest: DeviceManifest) -> None:
        self.session.add(manifest)

    async def expire_manifests(self, before: datetime, limit: int) -> int:
        """Drop manifests of before. What they promised stays until it comes."""
        old = sa.select(M.id).where(M.at < before).limit(limit)
        result = await self.session.execute(sa.delete(DeviceManifest).where(M.id.in_(old)))
        return int(getattr(result, "rowcount", 0))

    async def mark_told(
        self, device_id: UUID, promised_before: datetime, at: datetime
    ) -> list[int]:
        """The late numbers of a tablet that were not told yet; they are from now on."""
        statement = (
            sa.update(DevicePromise)
            .where(
                P.device_id == device_id,
                P.told_at.is_(None),
                P.given_up_at.is_(None),
                P.promised_at <= promised_before,
            )
            .values(told_at=at)
            .returning(P.sequence)
            .execution_options(synchronize_session=False)
        )
        return sorted(await self.session.scalars(statement))
