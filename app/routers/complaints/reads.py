"""How complaints, receipts and histories look in answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.identifiers import Keys, masked, masked_name
from app.domain.principals import Principals
from app.domain.tickets import FIRST_PIN
from app.domain.vocabulary import (
    Category,
    Channel,
    Delivery,
    Document,
    Kind,
    Outcome,
    Priority,
    Relation,
    Sector,
    WaiverReason,
)
from app.routers.resources import (
    Code,
    Count,
    Ids,
    Line,
    Masked,
    Moment,
    Name,
    Paragraph,
    Someone,
    Word,
    Words,
    items,
    text,
)
from app.workflow.complaints.case import Case, cases
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.filing import next_holder, office_of, opened
from app.workflow.complaints.joining import survivors
from app.workflow.complaints.table import MACHINE

NumberMasked = text(16)


class ReporterRead(BaseModel):
    name: Name
    national_id: NumberMasked | None  # type: ignore[valid-type]
    phone: Word | None
    address: Line | None
    relation: Relation


class SubjectRead(BaseModel):
    national_id: NumberMasked | None  # type: ignore[valid-type]
    family_card_number: NumberMasked | None  # type: ignore[valid-type]
    name: Name | None
    household_id: UUID | None


class WaiverRead(BaseModel):
    document: Document
    why: WaiverReason
    seen_instead: Line


class RegistryCheckRead(BaseModel):
    """The registry check that was kept on the complaint."""

    outcome: Word
    household_id: UUID | None
    candidates: items(Masked, 20)  # type: ignore[valid-type]
    warnings: Words = []
    checked_at: Moment
    checked_by: UUID


class NextHolder(BaseModel):
    """The office that a complaint waits for now."""

    role: Role
    region_code: Code


class PossibleDuplicate(BaseModel):
    """A complaint that may be about the same matter: where to ask about it.

    `id` only for those who see it.
    """

    id: UUID | None
    ticket: Word
    received_at: Moment
    office: NextHolder


class JoinedInto(BaseModel):
    """The earlier complaint that goes on for this one, too, and where it stands."""

    id: UUID
    ticket: Word
    state: ComplaintState
    outcome: Outcome | None
    delivery: Delivery
    answer: Paragraph | None
    informed_at: Moment | None


class ComplaintRead(BaseModel):
    """A complaint. State, outcome and delivery are three facts, never one.

    Of one that was joined into an earlier one (`joined_into`), answer, delivery and `informed_at`
    are that one's: what is told there counts for both.
    """

    id: UUID
    version: Count
    ticket: Word
    client_ref: text(64)  # type: ignore[valid-type]
    kind: Kind
    category: Category | None
    sector: Sector | None
    program_code: Code | None
    priority: Priority
    channel: Channel
    region_code: Code
    narrative: Paragraph
    reporter: ReporterRead
    subject: SubjectRead | None
    documents_seen: items(Document, 20)  # type: ignore[valid-type]
    documents_waived: items(WaiverRead, 20)  # type: ignore[valid-type]
    documents_missing: items(Document, 20)  # type: ignore[valid-type]
    received_at: Moment
    recorded_at: Moment
    state: ComplaintState
    outcome: Outcome | None
    joined_into: JoinedInto | None
    delivery: Delivery
    reason: Word | None
    answer: Paragraph | None
    escalation_level: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 3})]
    breached_at: Moment | None
    late_when_recorded: bool
    submitted_by: Someone
    assigned_to: Someone | None
    household_id: UUID | None
    registry_check: RegistryCheckRead | None
    due_at: Moment | None
    deadline_at: Moment
    handled_at: Moment | None
    at_centre_at: Moment | None
    informed_at: Moment | None
    closed_at: Moment | None
    paused_since: Moment | None
    paused_seconds: Count
    no_survey: bool
    reopened_count: Count
    confidential: bool
    referral_ids: Ids
    registry_change_ids: Ids
    actions: items(ComplaintAction, 40)  # type: ignore[valid-type]
    warnings: Words
    possible_duplicates: items(PossibleDuplicate, 10)  # type: ignore[valid-type]


class Receipt(BaseModel):
    """What the citizen takes home. The PIN is given at filing and its replays, nowhere else."""

    ticket: Word
    payload_sha256: text(64)  # type: ignore[valid-type]
    received_at: Moment
    recorded_at: Moment
    next_holder: NextHolder | None
    due_at: Moment | None
    deadline_at: Moment


class ReceiptWithPin(Receipt):
    pin: text(6)  # type: ignore[valid-type]


class NewPin(BaseModel):
    """A ticket's new PIN, for its citizen: given now and in replays, nowhere else."""

    ticket: Word
    pin: text(6)  # type: ignore[valid-type]


class ReceiptFound(Receipt):
    """A receipt again, with the complaint it is for."""

    complaint_id: UUID


class Filing(BaseModel):
    complaint: ComplaintRead
    receipt: ReceiptWithPin


class By(BaseModel):
    id: UUID
    role: Role | None
    name: Name | None


class EventRead(BaseModel):
    """One step of a history."""

    id: UUID
    at: Moment
    type: Word
    action: Word
    from_: Annotated[Word | None, Field(alias="from", serialization_alias="from")]
    to: Word | None
    by: By
    note: Paragraph | None
    reason: Line | None
    happened_at: Moment | None
    data: Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 20})]


class FoundComplaint(BaseModel):
    """A complaint as a search shows it to a desk: which it is and where it stands.

    Of one that the caller does not see only ticket, date and office are told; the rest is null.
    """

    id: UUID | None
    ticket: Word
    received_at: Moment
    office: NextHolder
    kind: Kind | None
    category: Category | None
    region_code: Code | None
    state: ComplaintState | None
    outcome: Outcome | None
    reporter_name: Name | None
    subject_name: Name | None


async def read(
    session: AsyncSession, actor: Actor, complaints: Sequence[Complaint], at: datetime
) -> list[ComplaintRead]:
    """Complaints as this caller sees them, with what this caller may do now."""
    await session.flush()
    found = await cases(session, complaints, at)
    people = {one.submitted_by for one in complaints} | {one.assigned_to for one in complaints}
    names = await Principals(session).names(people)
    duplicates = await _duplicates(session, actor, complaints, at)
    joined = [one.joined_into for one in complaints if one.joined_into is not None]
    going_on = await survivors(Complaints(session), joined) if joined else {}
    return [
        _read(session, case, actor, names, duplicates)
        if case.complaint.joined_into is None
        else _joined(
            _read(session, case, actor, names, duplicates), going_on[case.complaint.joined_into]
        )
        for case in found
    ]


def _joined(shown: ComplaintRead, into: Complaint) -> ComplaintRead:
    """A complaint as it is shown once another goes on for it: both have one status."""
    for name in ("answer", "delivery", "informed_at"):
        setattr(shown, name, getattr(into, name))
    facts = {name: getattr(into, name) for name in JoinedInto.model_fields}
    shown.joined_into = JoinedInto.model_construct(**facts)
    return shown


async def _duplicates(
    session: AsyncSession, actor: Actor, complaints: Sequence[Complaint], at: datetime
) -> dict[UUID, PossibleDuplicate]:
    """What the complaints are marked with, by id, as this caller may see it."""
    ids = {id for one in complaints for id in one.possible_duplicates}
    if not ids:
        return {}
    seen = await Complaints(session).in_sight(ids, actor, at)
    return {
        id: PossibleDuplicate.model_construct(
            id=id if id in seen else None,
            ticket=one.ticket,
            received_at=one.received_at,
            office=await office(session, one),
        )
        for id, one in (await Complaints(session).by_ids(ids)).items()
    }


async def office(session: AsyncSession, complaint: Complaint) -> NextHolder:
    """The desk that a complaint belongs to."""
    role, region_code = await office_of(session, complaint)
    return NextHolder(role=role, region_code=region_code)


async def read_one(
    session: AsyncSession, actor: Actor, complaint: Complaint, at: datetime
) -> ComplaintRead:
    return (await read(session, actor, [complaint], at))[0]


def _read(
    session: AsyncSession,
    case: Case,
    actor: Actor,
    names: dict[UUID, str],
    duplicates: dict[UUID, PossibleDuplicate],
) -> ComplaintRead:
    one = case.complaint
    family_card_number = masked(opened(session, one, "subject_family_card_number"))
    subject = SubjectRead.model_construct(
        national_id=masked(opened(session, one, "subject_national_id")),
        family_card_number=family_card_number,
        name=one.subject_name,
        household_id=one.household_id,
    )
    known = subject.national_id or family_card_number or one.subject_name or one.household_id
    assigned = one.assigned_to
    return ComplaintRead.model_construct(
        **{name: getattr(one, name) for name in PLAIN},
        region_code=one.village_code,
        reporter=ReporterRead.model_construct(
            name=one.reporter_name,
            national_id=masked(opened(session, one, "reporter_national_id")),
            phone=one.reporter_phone,
            address=one.reporter_address,
            relation=one.reporter_relation,
        ),
        subject=subject if known else None,
        documents_seen=[Document(name) for name in one.documents_seen],
        documents_missing=[Document(name) for name in one.documents_missing],
        documents_waived=[WaiverRead(**waiver) for waiver in one.documents_waived],
        escalation_level=one.level,
        submitted_by=Someone(id=one.submitted_by, name=names.get(one.submitted_by)),
        assigned_to=Someone(id=assigned, name=names.get(assigned)) if assigned else None,
        registry_check=RegistryCheckRead(**one.registry_check) if one.registry_check else None,
        paused_seconds=int(one.paused_for.total_seconds()),
        referral_ids=[item.id for item in case.items],
        registry_change_ids=[change.id for change in case.changes],
        actions=MACHINE.actions(case, actor),
        joined_into=None,
        possible_duplicates=[duplicates[id] for id in one.possible_duplicates if id in duplicates],
    )


# Fields that are answered as they are stored.
MADE = {
    "documents_seen", "documents_missing", "documents_waived", "escalation_level", "submitted_by",
    "assigned_to", "registry_check", "joined_into", "possible_duplicates",
}  # fmt: skip
PLAIN = (ComplaintRead.model_fields.keys() & Complaint.model_fields.keys()) - MADE


async def receipt(session: AsyncSession, complaint: Complaint) -> dict[str, Any]:
    """The facts of a receipt, without the PIN."""
    now = complaint
    if complaint.joined_into is not None:
        into = complaint.joined_into
        now = (await survivors(Complaints(session), [into]))[into]
    holder = await next_holder(session, now)
    return {
        "ticket": complaint.ticket,
        "payload_sha256": complaint.payload_sha256,
        "received_at": complaint.received_at,
        "recorded_at": complaint.recorded_at,
        "next_holder": NextHolder(role=holder[0], region_code=holder[1]) if holder else None,
        "due_at": now.due_at,
        "deadline_at": now.deadline_at,
    }


async def filing(session: AsyncSession, actor: Actor, complaint: Complaint, at: datetime) -> Filing:
    return Filing.model_construct(
        complaint=await read_one(session, actor, complaint, at),
        receipt=ReceiptWithPin(
            **await receipt(session, complaint),
            # The one of the filing: a later one is given to who stands at the desk, nowhere else.
            pin=Keys.of(session).pin_of(complaint.id, FIRST_PIN),
        ),
    )


async def found(session: AsyncSession, complaint: Complaint, in_sight: bool) -> FoundComplaint:
    """A complaint that a search has found."""
    where = await office(session, complaint)
    facts: dict[str, Any] = dict.fromkeys(FoundComplaint.model_fields)
    facts |= {"ticket": complaint.ticket, "received_at": complaint.received_at, "office": where}
    if in_sight:
        facts |= {
            name: getattr(complaint, name)
            for name in ("id", "kind", "category", "state", "outcome")
        }
        facts |= {
            "region_code": complaint.village_code,
            "reporter_name": masked_name(complaint.reporter_name),
            "subject_name": masked_name(complaint.subject_name or "") or None,
        }
    return FoundComplaint.model_construct(**facts)
