"""Manifests: what a tablet says that it holds, against what has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import new_id
from app.domain.complaints import Complaints
from app.domain.devices import (
    GAP_AT_MOST,
    DeviceManifest,
    DevicePromise,
    DevicePromises,
    Devices,
    DeviceWrites,
    WriteKind,
)
from app.domain.errors import Fault, Invalid
from app.workflow.history import log

GAVE_UP = "device.gave_up"
PENDING_AT_MOST = 500
RECEIVED_SHOWN = 10_000
MISSING_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """Something that a tablet holds."""

    kind: WriteKind
    sequence: int
    client_ref: str | None
    complaint_id: UUID | None
    captured_at: datetime
    payload_sha256: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the server has of a tablet; the complaints are those whose receipts it lacks."""

    received: Sequence[int]
    received_count: int
    missing: Sequence[int]
    missing_count: int
    taken: Sequence[int]
    highest_sequence: int
    complaint_ids: Sequence[UUID]


def check(held: Sequence[Held], given_up: Sequence[int], highest: int) -> None:
    """Raises Invalid for numbers named twice, or above the highest one."""
    faults, seen = [], set()
    named = [(f"/pending/{n}/sequence", one.sequence) for n, one in enumerate(held)]
    named += [(f"/given_up/{n}", sequence) for n, sequence in enumerate(given_up)]
    for pointer, sequence in named:
        if sequence > highest:
            faults.append(Fault("too_large", pointer, params={"max": highest}))
        elif sequence in seen:
            faults.append(Fault("named_twice", pointer))
        seen.add(sequence)
    if faults:
        raise Invalid("validation_failed", tuple(faults))


async def take(
    session: AsyncSession,
    actor: Actor,
    device_id: UUID,
    held: Sequence[Held],
    given_up: Sequence[int],
    highest: int,
    at: datetime,
    replayed: bool,
) -> Known:
    """Take a manifest in, and say what is here. The tablet's uploads wait meanwhile."""
    promises, writes = DevicePromises(session), DeviceWrites(session)
    device = await Devices(session).lock(device_id)
    if highest > device.highest_sequence + GAP_AT_MOST:
        limit = device.highest_sequence + GAP_AT_MOST
        fault = Fault("too_large", "/highest_sequence", params={"max": limit})
        raise Invalid("validation_failed", (fault,))
    came = await writes.at(device_id, {one.sequence for one in held})
    if not replayed:
        not_here = [_promise(device_id, one, at) for one in held if one.sequence not in came]
        await promises.take(device, not_here, highest, at)
        if gone := await promises.give_up(device_id, given_up, at):
            log(
                session, GAVE_UP, device, actor, at,
                role=actor.role_for(device.regency_code, Role.FACILITATOR),
                numbers=len(gone), first=gone[0], last=gone[-1],
            )  # fmt: skip
        promises.keep(
            DeviceManifest(
                id=new_id(), device_id=device_id, sent_by=actor.id, at=at,
                highest_sequence=highest, pending_count=len(held),
            )
        )  # fmt: skip
        await session.flush()
    taken = {
        one.sequence
        for one in held
        if one.sequence in came and came[one.sequence].payload_sha256 != one.payload_sha256
    }
    missing, missing_count = await promises.missing(device_id, highest, MISSING_SHOWN)
    received = await writes.received(device_id, RECEIVED_SHOWN)
    complaints = {
        write.subject_id
        for write in came.values()
        if write.kind is WriteKind.COMPLAINT and write.subject_id and write.sequence not in taken
    }
    # What was sent before the tablet was registered is here under its reference alone.
    refs = [one.client_ref for one in held if one.client_ref and one.kind is WriteKind.COMPLAINT]
    complaints |= await Complaints(session).filed_under(actor.id, refs)
    return Known(
        [number for number in received if number not in taken],
        device.received_count, missing, missing_count, sorted(taken), device.highest_sequence,
        sorted(complaints),
    )  # fmt: skip


def _promise(device_id: UUID, held: Held, at: datetime) -> DevicePromise:
    return DevicePromise(
        device_id=device_id, sequence=held.sequence, kind=held.kind, client_ref=held.client_ref,
        complaint_id=held.complaint_id, captured_at=held.captured_at,
        payload_sha256=held.payload_sha256, problem=held.problem, promised_at=at,
    )  # fmt: skip
