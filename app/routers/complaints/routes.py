"""The calls about complaints."""

import hashlib
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import rfc8785
from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import Instant
from app.domain.complaints import (
    Complaint,
    ComplaintFilter,
    Complaints,
    ComplaintSort,
    ComplaintState,
)
from app.domain.errors import Fault, Forbidden, Invalid, NotFound
from app.domain.events import Events
from app.domain.identifiers import Keys, birth_date_in, without_numbers
from app.domain.principals import Principals
from app.domain.programs import Programs
from app.domain.vocabulary import Category, Channel, Kind, Outcome, Priority, Sector
from app.routers.complaints import reads
from app.routers.complaints.reads import (
    ComplaintRead,
    EventRead,
    Filing,
    FoundComplaint,
    NewPin,
    ReceiptFound,
)
from app.routers.complaints.requests import ActionRequest, ComplaintChanges, PersonQuery, PinAsked
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
from app.routers.pages import FAR, Page, Paging
from app.routers.replies import reply
from app.workflow.citizens import pins
from app.workflow.complaints import duplicates, filing, verbs
from app.workflow.complaints.case import Case
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.filing import ComplaintDraft, RegionCode
from app.workflow.complaints.table import MACHINE
from app.workflow.history import log
from app.workflow.registry import check_checker

router = APIRouter(prefix="/v1", tags=["complaints"], route_class=Door)


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Complaint:
    return await Complaints(session).get(id, actor, at)


FINDERS["complaint_id"] = _find


async def named(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Complaint:
    """The complaint that a body names. Raises Invalid for what is unknown or out of sight."""
    try:
        return await _find(session, id, actor, at)
    except NotFound:
        raise Invalid("unknown_complaint", (Fault("unknown_complaint", "/complaint_id"),)) from None


async def drafted_for(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Complaint:
    """As `named`, for those who draft: raises Forbidden for all but desk and facilitator."""
    complaint = await named(session, id, actor, at)
    desk = actor.holds(complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
    if not desk and complaint.assigned_to != actor.id:
        raise Forbidden("role_not_allowed")
    return complaint


@router.post(
    "/complaints", status_code=201, response_model=Filing, openapi_extra={CREATES: "complaint"}
)
async def file_complaint(
    draft: ComplaintDraft,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """File a complaint, question or suggestion; the answer is the receipt.

    The same content under the same `client_ref` finds the first one, under any key.
    """
    filing.check_filer(actor)
    if known := await retry.known():
        complaint = await Complaints(session).peek(UUID(known.ids["complaint_id"]))
        status, replayed = known.status, True
    else:
        sha256 = hashlib.sha256(rfc8785.dumps(visit.sent)).hexdigest()
        filed = await filing.file(session, actor, draft, sha256, now)
        complaint, replayed = filed.complaint, not filed.created
        status = 201 if filed.created else 200
        retry.remember(status, complaint_id=complaint.id)
    return reply(
        await reads.filing(session, actor, complaint, now),
        status,
        version=complaint.version,
        location=f"/v1/complaints/{complaint.id}",
        replayed=replayed,
    )


@router.get("/complaints", response_model=Page[ComplaintRead])
async def list_complaints(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    sort: ComplaintSort = ComplaintSort.NEWEST,
    state: ComplaintState | None = None,
    outcome: Outcome | None = None,
    kind: Kind | None = None,
    category: Category | None = None,
    sector: Sector | None = None,
    priority: Priority | None = None,
    channel: Channel | None = None,
    program_code: Annotated[str | None, Query(max_length=40)] = None,
    region: RegionCode | None = None,
    assigned_to: UUID | None = None,
    submitted_by: UUID | None = None,
    household_id: UUID | None = None,
    overdue: bool | None = None,
    escalation_level_min: Annotated[int | None, Query(ge=0, le=3)] = None,
    received_from: Instant | None = None,
    received_to: Instant | None = None,
    ticket: Annotated[str | None, Query(max_length=24)] = None,
) -> Response:
    """Complaints in the caller's sight."""
    wanted = ComplaintFilter(
        state, outcome, kind, category, sector, priority, channel, program_code, region,
        assigned_to, submitted_by, household_id, overdue, escalation_level_min,
        received_from, received_to, ticket,
    )  # fmt: skip
    after = paging.after(datetime.fromisoformat, UUID)
    rows = await Complaints(session).page(actor, wanted, sort, after, paging.rows, now)
    by_due = sort is ComplaintSort.DUE_AT
    page, following = paging.cut(
        rows, lambda one: ((one.due_at or FAR) if by_due else one.received_at, one.id)
    )
    return paging.answer(
        Page[ComplaintRead], await reads.read(session, actor, page, now), following
    )


@router.post("/complaints/search", response_model=Page[FoundComplaint])
async def search_complaints(
    query: PersonQuery,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """Find a citizen's complaints without the ticket; masked, city-wide, and on record.

    Of those that the caller does not see: ticket, date and office.
    """
    regions = check_checker(actor)
    if not (query.national_id or query.family_card_number or query.name):
        raise Invalid("criterion_required", (Fault("criterion_required", ""),))
    paging = paging.bound_to(visit.fingerprint)
    rows = await Complaints(session).search(
        regions, query.national_id, query.family_card_number, query.name,
        paging.after(datetime.fromisoformat, UUID), paging.rows,
    )  # fmt: skip
    page, following = paging.cut(rows, lambda one: (one.received_at, one.id))
    born = query.birth_date
    found = [one for one in page if born is None or _born_on(session, one, born)]
    for one in found:
        log(session, verbs.FOUND, one, actor, now)
    seen = await Complaints(session).in_sight([one.id for one in found], actor, now)
    shown = [await reads.found(session, one, one.id in seen) for one in found]
    return reply(
        Page[FoundComplaint].model_construct(items=shown, next_cursor=following),
        headers=paging.link(following),
    )


def _born_on(session: AsyncSession, complaint: Complaint, birth_date: str) -> bool:
    """Whether a number of the complaint says this birth date, or there is none to say another."""
    columns = ("subject_national_id", "reporter_national_id")
    numbers = [filing.opened(session, complaint, column) for column in columns]
    said = [birth_date_in(number) for number in numbers if number]
    year, month, day = (int(part) for part in birth_date.split("-"))
    return not said or any(one == (day, month, year % 100) for one in said)


@router.get("/complaints/{complaint_id}", response_model=ComplaintRead)
async def get_complaint(
    complaint_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One complaint, with what the caller may do now."""
    body = await reads.read_one(session, actor, subject, now)
    return reply(body, version=subject.version)


@router.patch("/complaints/{complaint_id}", response_model=ComplaintRead)
async def change_complaint(
    complaint_id: UUID,
    changes: ComplaintChanges,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Correct what was filed: all until it is assigned; documents and contact until closed."""
    verbs.check_changer(actor, subject)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, now, replayed=True)
    version = read_version(visit)
    complaint = await verbs.change(
        session,
        actor,
        subject.id,
        changes.changed(),
        partial(_correct, session, changes),
        version,
        now,
    )
    retry.remember(200, complaint_id=complaint.id)
    return await _answer(session, actor, complaint, now)


async def _correct(session: AsyncSession, changes: ComplaintChanges, complaint: Complaint) -> None:
    await _write(session, changes, complaint)
    if changes.model_fields_set & ABOUT_THE_MATTER:
        await duplicates.mark(session, [complaint], corrected=True)


async def _write(session: AsyncSession, changes: ComplaintChanges, complaint: Complaint) -> None:
    await _check_changes(session, complaint, changes)
    for name in ("kind", "category", "sector", "program_code", "narrative"):
        if name in changes.model_fields_set:
            setattr(complaint, name, getattr(changes, name))
    complaint.category = filing.category_of(complaint.kind, complaint.category)
    if "documents_seen" in changes.model_fields_set:
        complaint.documents_seen = list(dict.fromkeys(map(str, changes.documents_seen)))
    if "documents_waived" in changes.model_fields_set:
        complaint.documents_waived = [
            waiver.model_dump(mode="json") for waiver in changes.documents_waived
        ]
    if "subject" in changes.model_fields_set:
        filing.write_subject(session, complaint, changes.subject)
    if "reporter" in changes.model_fields_set:
        sent = changes.reporter.model_fields_set
        for name in ("name", "phone", "address"):
            if name in sent:
                setattr(complaint, f"reporter_{name}", getattr(changes.reporter, name))
        if "national_id" in sent:
            filing.write_reporter_number(session, complaint, changes.reporter.national_id)
    filing.warn_of_numbers(session, complaint)


# By a correction of these a complaint may come to be like another, or not be so any more.
ABOUT_THE_MATTER = {"kind", "category", "subject", "reporter"}


async def _check_changes(
    session: AsyncSession, complaint: Complaint, changes: ComplaintChanges
) -> None:
    sent = changes.model_fields_set
    kind = changes.kind if "kind" in sent else complaint.kind
    category = changes.category if "category" in sent else complaint.category
    if kind is not Kind.COMPLAINT and category is not None:
        raise Invalid("category_not_allowed", (Fault("category_not_allowed", "/category"),))
    if changes.program_code and await Programs(session).get(changes.program_code) is None:
        raise Invalid("unknown_program", (Fault("unknown_program", "/program_code"),))
    await filing.check_household(
        session, changes.subject.household_id if changes.subject else None, complaint.village_code
    )


@router.post("/complaints/{complaint_id}/actions", response_model=ComplaintRead)
async def act_on_complaint(
    complaint_id: UUID,
    body: ActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Take one action. If-Match takes the complaint's ETag; for submit_survey the survey's."""
    command = body.command()
    if command.action is ComplaintAction.SUBMIT:
        raise Invalid("unknown_action", (Fault("not_an_option", "/action"),))
    MACHINE.check_role(Case(subject, now), command.action, actor)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, now, replayed=True)
    version = read_version(visit, required=actor.is_person)
    complaint = await verbs.act(session, actor, subject.id, command, now, version)
    retry.remember(200, complaint_id=complaint.id)
    return await _answer(session, actor, complaint, now)


@router.post("/complaints/{complaint_id}/pin", response_model=NewPin)
async def reissue_pin(
    complaint_id: UUID,
    body: PinAsked,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """A new PIN for who lost it, at the desk, against documents; the one before opens nothing."""
    pins.check_desk(actor, subject)
    if known := await retry.known():
        generation = int(known.ids["generation"])
    else:
        complaint = await pins.reissue(session, actor, subject.id, body.documents_seen, now)
        generation = complaint.pin_generation
        retry.remember(200, complaint_id=subject.id, generation=str(generation))
    pin = Keys.of(session).pin_of(subject.id, generation)
    return reply(NewPin(ticket=subject.ticket, pin=pin), replayed=known is not None)


async def _answer(
    session: AsyncSession, actor: Actor, complaint: Complaint, at: datetime, replayed: bool = False
) -> Response:
    body = await reads.read_one(session, actor, complaint, at)
    return reply(body, version=complaint.version, replayed=replayed)


@router.get("/complaints/{complaint_id}/events", response_model=Page[EventRead])
async def list_events(
    complaint_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """The history of a complaint, oldest first."""
    return await history(session, subject.id, paging)


async def history(session: AsyncSession, subject_id: UUID, paging: Paging) -> Response:
    rows = await Events(session).of(subject_id, paging.after(int) or 0, paging.rows)
    page, following = paging.cut(rows, lambda one: one[0].seq)
    names = await Principals(session).names({event.actor_id for event, _ in page})
    items = [_event(event, note, names) for event, note in page]
    return paging.answer(Page[EventRead], items, following)


def _event(event: Any, note: str | None, names: dict[UUID, str]) -> EventRead:
    data = dict(event.data)
    return EventRead(
        **{"from": data.pop("from", None)},
        id=event.id,
        at=event.at,
        type=event.type,
        action=data.pop("action", None) or event.type.split(".")[-1],
        to=data.pop("to", None),
        by=reads.By(
            id=event.actor_id,
            role=event.actor_role,
            name=names.get(event.actor_id, "slrt" if not event.actor_id.int else None),
        ),
        # An owner reads what an office wrote, and somebody may have typed a number into it.
        note=without_numbers(note) if note else note,
        reason=without_numbers(event.reason) if event.reason else event.reason,
        happened_at=event.happened_at,
        data=data,
    )


@router.get("/receipts", response_model=ReceiptFound)
async def get_receipt(
    session: Session,
    actor: CurrentActor,
    client_ref: Annotated[str, Query(pattern=r"^[A-Za-z0-9._:-]{1,64}$", max_length=64)],
) -> Response:
    """The receipt of what the caller filed under a `client_ref`, again, without the PIN."""
    complaint = await Complaints(session).by_client_ref(actor.id, client_ref)
    if complaint is None:
        raise NotFound
    facts = await reads.receipt(session, complaint)
    return reply(ReceiptFound(**facts, complaint_id=complaint.id), version=complaint.version)
