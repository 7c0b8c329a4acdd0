"""What comes from a tablet: the headers `Device-Id` and `Device-Sequence`, read and written down.

The door calls `named` with the other headers, `announced` once it has the body, and `keep` after
the write, all in its unit of work. The dependency that knows idempotency keys asks
`DeviceWrites.known` in between.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import rfc8785
from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import Instant
from app.domain.devices import (
    GAP_AT_MOST,
    SEQUENCE_AT_MOST,
    Arrival,
    DeviceWrite,
    DeviceWrites,
    Flag,
    WriteKind,
)
from app.domain.errors import BadRequest, Fault
from app.routers.bodies import Upload

DEVICE_ID, SEQUENCE = "Device-Id", "Device-Sequence"
CLOCK_TOLERANCE = timedelta(minutes=10)
# Where a body says when it was done.
CLAIMS = ("received_at", "happened_at", "visited_at", "captured_at")
CLIENT_REF = re.compile(r"[A-Za-z0-9._:-]{1,64}")
INSTANT = TypeAdapter[datetime](Instant)
KINDS = {
    "/v1/complaints": WriteKind.COMPLAINT,
    "/survey": WriteKind.SURVEY,
    "/documents": WriteKind.DOCUMENT,
    "/actions": WriteKind.ACTION,
}


@dataclass(frozen=True, slots=True)
class Named:
    """A tablet and a number, and why what comes under it should be looked at."""

    device_id: UUID
    sequence: int
    flags: Sequence[Flag]


async def named(request: Request, session: AsyncSession, actor: Actor) -> Named | None:
    """The tablet and number that a write comes under; None for one without these headers.

    Raises BadRequest for one header without the other, for what is no number, and for a tablet
    that is not known here.
    """
    id, number = (request.headers.get(name) for name in (DEVICE_ID, SEQUENCE))
    if id is None and number is None:
        return None
    faults = []
    try:
        device_id = UUID(id or "")
    except ValueError:
        faults.append(Fault("missing" if id is None else "invalid_format", parameter=DEVICE_ID))
    if number is None or not re.fullmatch(r"[1-9][0-9]{0,9}", number):
        faults.append(Fault("missing" if number is None else "invalid", parameter=SEQUENCE))
    if faults:
        raise BadRequest("parameter_invalid", tuple(faults))
    assert number is not None
    found = await DeviceWrites(session).claim(actor, device_id)
    if found is None:
        raise BadRequest("device_unknown", (Fault("device_unknown", parameter=DEVICE_ID),))
    flags, highest = found
    if int(number) > min(highest + GAP_AT_MOST, SEQUENCE_AT_MOST):
        fault = Fault("too_large", parameter=SEQUENCE, params={"max": highest + GAP_AT_MOST})
        raise BadRequest("parameter_invalid", (fault,))
    return Named(device_id, int(number), flags)


def announced(
    request: Request, session: AsyncSession, tablet: Named, now: datetime, sent: Any
) -> None:
    """From now on the session knows what it comes from: `Arrival.of`."""
    fields = sent.fields if isinstance(sent, Upload) else sent
    claimed, flags = _claimed(fields), list(tablet.flags)
    if claimed is not None and claimed > now + CLOCK_TOLERANCE:
        flags.append(Flag.CLOCK_AHEAD)
    content = _sha256(sent)
    session.info["arrival"] = Arrival(
        tablet.device_id, tablet.sequence, _fingerprint(request, sent, content), content,
        _client_ref(fields), claimed, flags,
    )  # fmt: skip


async def keep(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    now: datetime,
    route: str,
    subject: Any,
    status: int,
) -> None:
    """Write down what came, in the transaction of its effect. A repeat changes nothing."""
    arrival = Arrival.of(session)
    if arrival is None or arrival.written:
        return
    await session.flush()
    await DeviceWrites(session).record(
        DeviceWrite(
            device_id=arrival.device_id, sequence=arrival.sequence, principal_id=actor.id,
            kind=kind_of(request.method, route), method=request.method, route=route,
            subject_id=_subject_id(arrival, subject), client_ref=arrival.client_ref,
            claimed_at=arrival.claimed_at, received_at=now, fingerprint=arrival.fingerprint,
            payload_sha256=arrival.payload_sha256, flags=list(arrival.flags),
            status=arrival.status or status, ids=arrival.ids,
        )
    )  # fmt: skip


def kind_of(method: str, route: str) -> WriteKind:
    """What a call is to a tablet; what it names otherwise is some other write."""
    if method not in ("POST", "PUT"):
        return WriteKind.OTHER
    named = (kind for end, kind in KINDS.items() if route.endswith(end))
    return next(named, WriteKind.OTHER)


def _subject_id(arrival: Arrival, subject: Any) -> UUID | None:
    """Whom the path names, else the first thing that was made."""
    if subject is not None and isinstance(getattr(subject, "id", None), UUID):
        return UUID(str(subject.id))
    for value in arrival.ids.values():
        try:
            return UUID(str(value))
        except ValueError:
            continue
    return None


def _fingerprint(request: Request, sent: Any, content: str) -> bytes:
    parts = [request.method, request.url.path, content]
    if isinstance(sent, Upload):
        # The same file for something else is other content.
        parts.append(sent.fingerprint().hex())
    return hashlib.sha256("\n".join(parts).encode()).digest()


def _sha256(sent: Any) -> str:
    """SHA-256 of the body: of a file or table its bytes, of JSON as RFC 8785 writes it."""
    if isinstance(sent, Upload):
        return sent.digest
    plain = sent if isinstance(sent, bytes) else b"" if sent is None else rfc8785.dumps(sent)
    return hashlib.sha256(plain).hexdigest()


def _claimed(fields: Any) -> datetime | None:
    """When the body says that it was done."""
    for name in CLAIMS:
        if isinstance(fields, dict) and fields.get(name) is not None:
            try:
                return INSTANT.validate_python(fields[name])
            except ValidationError:
                return None
    return None


def _client_ref(fields: Any) -> str | None:
    ref = fields.get("client_ref") if isinstance(fields, dict) else None
    return ref if isinstance(ref, str) and CLIENT_REF.fullmatch(ref) else None
