"""Tablets over HTTP: who has which, what has come of each, and what is missing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import Instant, line, narrowest
from app.domain.complaints import Complaints
from app.domain.devices import (
    NOTHING,
    SEQUENCE_AT_MOST,
    SHOWN,
    Device,
    DeviceFilter,
    DevicePromises,
    Devices,
    DeviceState,
    WriteKind,
    visible_to,
)
from app.domain.principals import Principals
from app.routers.actions import Asked
from app.routers.complaints import reads as complaint_reads
from app.routers.complaints.reads import EventRead, ReceiptFound
from app.routers.complaints.routes import history
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Code, Count, Moment, Name, Someone, Word, items
from app.workflow.complaints.filing import ClientRef
from app.workflow.devices import manifests, verbs
from app.workflow.devices.manifests import PENDING_AT_MOST, RECEIVED_SHOWN, Held
from app.workflow.devices.verbs import DATA, DeviceAction

router = APIRouter(prefix="/v1", tags=["tablets"], route_class=Door)

Sequence_ = Annotated[int, Field(ge=1, le=SEQUENCE_AT_MOST, strict=True)]
Number = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": SEQUENCE_AT_MOST})]


class DeviceDraft(BaseModel):
    """A tablet: what stands on it, and whose it is."""

    model_config = ConfigDict(extra="forbid")

    name: line(60)  # type: ignore[valid-type]
    facilitator_id: UUID


class DeviceActionRequest(Asked):
    """`hand_on` takes the facilitator who gets it; `block` needs a note."""

    DATA = DATA

    action: DeviceAction


class DeviceRead(BaseModel):
    """A tablet, and what has come of it against what was promised.

    Of the numbers up to `highest_sequence`, `received_count` came, `pending_count` were announced
    by a manifest and have not come, and `missing_count` neither came nor are announced; `missing`
    are the first of these. `flagged_count` came while it was another's, blocked or retired, or by
    a wrong clock. `silent`: it has open work, and was not heard of for two days.
    """

    id: UUID
    version: Count
    name: Name
    state: DeviceState
    facilitator: Someone
    region_code: Code
    held_since: Moment
    highest_sequence: Number
    received_count: Number
    pending_count: Number
    missing_count: Number
    missing: items(Number, SHOWN)  # type: ignore[valid-type]
    flagged_count: Number
    silent: bool
    last_seen_at: Moment | None
    last_manifest_at: Moment | None
    registered_at: Moment
    retired_at: Moment | None
    actions: items(DeviceAction, 5)  # type: ignore[valid-type]


class VisitToRepeat(BaseModel):
    """A complaint or visit whose survey, if there was one, was lost with the tablet."""

    kind: Word
    id: UUID
    ticket: Word | None
    region_code: Code
    due_at: Moment | None


class DeviceWithVisits(DeviceRead):
    """A tablet; of a retired one also what its facilitator has no survey of."""

    visits_to_repeat: items(VisitToRepeat, 2 * verbs.VISITS_SHOWN)  # type: ignore[valid-type]


class HeldSent(BaseModel):
    """Something that the tablet holds and has no answer to.

    `payload_sha256` is of the body as RFC 8785 writes it, or of the file. `problem` is the code of
    the refusal, where the server did not take it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: WriteKind
    sequence: Sequence_
    client_ref: ClientRef | None = None
    complaint_id: UUID | None = None
    captured_at: Instant
    payload_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
    problem: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$", max_length=60)] | None = None


class ManifestSent(BaseModel):
    """All that a tablet has numbered (`highest_sequence`), and what of it is still on it.

    `given_up`: numbers that will not come, since a person has decided so, or because the server
    has that content already. Nobody waits for them; the tablet's history keeps them.
    """

    model_config = ConfigDict(extra="forbid")

    highest_sequence: Annotated[int, Field(ge=0, le=SEQUENCE_AT_MOST, strict=True)]
    pending: Annotated[list[HeldSent], Field(max_length=PENDING_AT_MOST)] = []
    given_up: Annotated[list[Sequence_], Field(max_length=PENDING_AT_MOST)] = []


class ManifestRead(BaseModel):
    """What the server has of a tablet.

    `received`: numbers that came (the highest where they are very many). `missing`: the first of
    `missing_count` that neither came nor are pending. `taken`: pending numbers under which other
    content came: send these again under numbers above `highest_sequence`, which is the server's.
    `receipts`: of pending complaints that are here, without PIN.
    """

    received: items(Number, RECEIVED_SHOWN)  # type: ignore[valid-type]
    received_count: Number
    missing: items(Number, manifests.MISSING_SHOWN)  # type: ignore[valid-type]
    missing_count: Number
    taken: items(Number, PENDING_AT_MOST)  # type: ignore[valid-type]
    highest_sequence: Number
    receipts: items(ReceiptFound, 2 * PENDING_AT_MOST)  # type: ignore[valid-type]


async def _find(session: AsyncSession, id: UUID, actor: Actor, _: datetime) -> Device:
    return await Devices(session).get(id, visible_to(actor))


FINDERS["device_id"] = _find


@router.post(
    "/devices",
    status_code=201,
    response_model=DeviceWithVisits,
    openapi_extra={CREATES: "device"},
)
async def register_device(
    draft: DeviceDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Give a tablet to a facilitator: by the secretariat, a supervisor, the manager or an admin."""
    verbs.check_keeper(actor)
    if known := await retry.known():
        device = await Devices(session).lock(UUID(known.ids["device_id"]))
        return await _answer(session, actor, device, now, known.status, replayed=True)
    device = await verbs.register(session, actor, draft.name, draft.facilitator_id, now)
    retry.remember(201, device_id=device.id)
    return await _answer(session, actor, device, now, 201)


@router.get("/devices", response_model=Page[DeviceRead])
async def list_devices(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    state: DeviceState | None = None,
    facilitator_id: UUID | None = None,
    silent: bool | None = None,
) -> Response:
    """The tablets of the caller's cities, or the caller's own, newest first."""
    wanted = DeviceFilter(state, facilitator_id, silent)
    rows = await Devices(session).page(
        visible_to(actor), wanted, paging.after(UUID), paging.rows, now
    )
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[DeviceRead], await _read(session, actor, list(page), now), following)


@router.get("/devices/{device_id}", response_model=DeviceWithVisits)
async def get_device(
    device_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One tablet; of a retired one also the visits to repeat that the caller may see."""
    return await _answer(session, actor, subject, now)


@router.post("/devices/{device_id}/actions", response_model=DeviceWithVisits)
async def act_on_device(
    device_id: UUID,
    body: DeviceActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """`hand_on`, `block` or `retire`. What a tablet still holds is taken in whatever its state."""
    verbs.check_keeper(actor)
    command = body.command()
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, now, replayed=True)
    version = read_version(visit)
    device = await verbs.act(session, actor, subject.id, command, version, now)
    retry.remember(200, device_id=device.id)
    return await _answer(session, actor, device, now)


@router.get("/devices/{device_id}/events", response_model=Page[EventRead])
async def list_device_events(
    device_id: UUID, subject: Subject, session: Session, paging: Paged
) -> Response:
    """The history of a tablet, oldest first."""
    return await history(session, subject.id, paging)


@router.post("/devices/{device_id}/manifests", response_model=ManifestRead)
async def send_manifest(
    device_id: UUID,
    body: ManifestSent,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Say what a tablet holds; the answer says what the server has, and what neither has.

    Send it as often as you like: before a round of uploads, and after it.
    """
    held = [Held(**one.model_dump()) for one in body.pending]
    manifests.check(held, body.given_up, body.highest_sequence)
    known = await retry.known()
    answer = await manifests.take(
        session, actor, subject.id, held, body.given_up, body.highest_sequence, now,
        known is not None,
    )  # fmt: skip
    if known is None:
        retry.remember(200, device_id=subject.id)
    complaints = await Complaints(session).by_ids(answer.complaint_ids)
    receipts = [
        ReceiptFound(**await complaint_reads.receipt(session, one), complaint_id=one.id)
        for _, one in sorted(complaints.items())
    ]
    return reply(
        ManifestRead(
            received=answer.received,
            received_count=answer.received_count,
            missing=answer.missing,
            missing_count=answer.missing_count,
            taken=answer.taken,
            highest_sequence=answer.highest_sequence,
            receipts=receipts,
        ),
        replayed=known is not None,
    )


async def _answer(
    session: AsyncSession,
    actor: Actor,
    device: Device,
    at: datetime,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    [read] = await _read(session, actor, [device], at)
    found = await verbs.to_repeat(session, actor, device, at)
    visits = [
        VisitToRepeat(
            kind="complaint", id=one.id, ticket=one.ticket, region_code=one.village_code,
            due_at=one.due_at,
        )
        for one in found.complaints
    ] + [
        VisitToRepeat(
            kind="visit", id=one.id, ticket=None, region_code=one.village_code, due_at=one.due_at
        )
        for one in found.visits
    ]  # fmt: skip
    body = DeviceWithVisits.model_construct(**read.__dict__, visits_to_repeat=visits)
    location = f"/v1/devices/{device.id}" if status == 201 else None
    return reply(body, status, version=device.version, location=location, replayed=replayed)


async def _read(
    session: AsyncSession, actor: Actor, devices: Sequence[Device], at: datetime
) -> list[DeviceRead]:
    await session.flush()
    ids = [one.id for one in devices]
    silent = await Devices(session).silent(ids, at)
    outstanding = await DevicePromises(session).outstanding(ids)
    names = await Principals(session).names({one.facilitator_id for one in devices})
    plain = DeviceRead.model_fields.keys() & Device.model_fields.keys()
    return [
        DeviceRead.model_construct(
            **{name: getattr(one, name) for name in plain},
            facilitator=Someone(id=one.facilitator_id, name=names.get(one.facilitator_id)),
            region_code=narrowest(one),
            pending_count=outstanding.get(one.id, NOTHING).pending,
            missing_count=outstanding.get(one.id, NOTHING).missing,
            missing=list(outstanding.get(one.id, NOTHING).numbers),
            silent=one.id in silent,
            actions=verbs.may_act(actor, one),
        )
        for one in devices
    ]
