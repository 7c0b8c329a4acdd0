"""Filing a complaint: checked, numbered, on the clock, with a receipt that names who has it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN, SECRETARIAT, Actor, Role, Scope
from app.domain.base import (
    JAKARTA,
    Instant,
    contains,
    line,
    new_id,
    regency_of,
    region_columns,
    text,
)
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.devices import Arrival, Flag
from app.domain.errors import Conflict, Fault, Forbidden, Invalid
from app.domain.households import Households
from app.domain.identifiers import Keys, national_id_warnings
from app.domain.programs import Programs
from app.domain.regions import Regions
from app.domain.tickets import ticket
from app.domain.vocabulary import (
    Category,
    Channel,
    Document,
    Kind,
    Priority,
    Relation,
    Sector,
)
from app.workflow import ticket_books
from app.workflow.complaints import clock, duplicates
from app.workflow.complaints.case import staff_of
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.table import EVENT_TYPES, MACHINE
from app.workflow.history import log

AT_MOST_BACK = timedelta(days=90)
CLOCK_SLACK = timedelta(seconds=30)
FILERS = (Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.FACILITATOR)

NationalId = Annotated[str, Field(pattern=r"^[0-9]{16}$", min_length=16, max_length=16)]
FamilyCardNumber = NationalId
Phone = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$", max_length=16)]
RegionCode = Annotated[
    str, Field(pattern=r"^[0-9]{2}(\.[0-9]{2}){0,2}(\.[0-9]{4})?$", max_length=13)
]
VillageCode = Annotated[
    str, Field(pattern=r"^[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}$", max_length=13)
]
ClientRef = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$", max_length=64)]
ProgramCode = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=40)]


class Reporter(BaseModel):
    """Who came to the desk."""

    model_config = ConfigDict(extra="forbid")

    name: line(120)  # type: ignore[valid-type]
    national_id: NationalId | None = None
    phone: Phone | None = None
    address: line(300) | None = None  # type: ignore[valid-type]
    relation: Relation


class Subject(BaseModel):
    """Whom it is about, as far as that is known."""

    model_config = ConfigDict(extra="forbid")

    national_id: NationalId | None = None
    family_card_number: FamilyCardNumber | None = None
    name: line(120) | None = None  # type: ignore[valid-type]
    household_id: UUID | None = None


class ComplaintDraft(BaseModel):
    """A complaint as it is filed. `received_at` is when the citizen came; absent: now."""

    model_config = ConfigDict(extra="forbid")

    client_ref: ClientRef
    kind: Kind
    category: Category | None = None
    sector: Sector | None = None
    program_code: ProgramCode | None = None
    priority: Priority = Priority.NORMAL
    channel: Channel = Channel.OTHER
    region_code: VillageCode
    narrative: text(4000)  # type: ignore[valid-type]
    reporter: Reporter
    subject: Subject | None = None
    documents_seen: Annotated[list[Document], Field(max_length=20)] = []
    # One that was reserved in a ticket book, and given out before.
    ticket: (
        Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{4}-[0-9]{6,10}-[0-9]$", max_length=24)]
        | None
    ) = None
    received_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    complaint: Complaint
    created: bool


def check_filer(actor: Actor) -> None:
    """Raises Forbidden for those who never file: supervisors, managers, agencies, …"""
    if not actor.regions(*FILERS) and Scope.COMPLAINTS_SUBMIT not in actor.scopes:
        raise Forbidden("role_not_allowed")


async def file(
    session: AsyncSession, actor: Actor, draft: ComplaintDraft, payload_sha256: str, at: datetime
) -> Filed:
    """File a complaint, or find the one filed under the same `client_ref` before.

    Raises Conflict `client_ref_taken` where that had other content, or `ticket_used`; Invalid for
    what is unknown or out of time.
    """
    complaints = Complaints(session)
    known = await complaints.lock_client_ref(actor.id, draft.client_ref)
    if known is not None:
        if known.payload_sha256 != payload_sha256:
            raise Conflict("client_ref_taken")
        return Filed(known, created=False)
    village, warnings = await _village(session, actor, draft)
    arrival = Arrival.of(session)
    received_at = _received_at(draft, at, arrival)
    await _check_references(session, draft, village)
    complaint = await _row(session, actor, draft, village, received_at, at)
    complaint.payload_sha256 = payload_sha256
    complaint.warnings = warnings + _odd(draft, at, arrival)
    warn_of_numbers(session, complaint)
    await duplicates.mark(session, [complaint])
    complaints.add(complaint)
    log(
        session, EVENT_TYPES[ComplaintAction.SUBMIT], complaint, actor, at,
        happened_at=draft.received_at, action=ComplaintAction.SUBMIT, to=complaint.state,
        channel=draft.channel, late_when_recorded=complaint.late_when_recorded,
    )  # fmt: skip
    return Filed(complaint, created=True)


# Whom a complaint waits for where its state alone tells, and how wide that role's region is.
HOLDERS: dict[ComplaintState, tuple[Role, str]] = {
    ComplaintState.AT_SECRETARIAT: (Role.FRONT_OFFICE, "regency_code"),
    ComplaintState.ASSIGNED: (Role.FACILITATOR, "village_code"),
    ComplaintState.RETURNED: (Role.FACILITATOR, "village_code"),
    ComplaintState.AWAITING_SUPERVISOR: (Role.SUPERVISOR, "district_code"),
    ComplaintState.AWAITING_MANAGER: (Role.MANAGER, "regency_code"),
    ComplaintState.FORWARDED: (Role.AGENCY, "regency_code"),
}


async def office_of(session: AsyncSession, complaint: Complaint) -> tuple[Role, str]:
    """The desk that a complaint belongs to, wherever it stands: where one may ask about it."""
    staff = await staff_of(session, complaint.regency_code)
    if staff.holding(complaint.village_code, Role.PUSKESOS_OFFICER):
        return Role.PUSKESOS_OFFICER, complaint.village_code
    return Role.FRONT_OFFICE, complaint.regency_code


async def next_holder(session: AsyncSession, complaint: Complaint) -> tuple[Role, str] | None:
    """The office a complaint waits for now; None once it is closed.

    A new one waits for the village's Puskesos, else for the secretariat; a confidential one for
    those above them.
    """
    if complaint.state is ComplaintState.CLOSED:
        return None
    if complaint.confidential:
        return Role.MANAGER, complaint.regency_code
    if complaint.state in HOLDERS:
        role, level = HOLDERS[complaint.state]
        return role, getattr(complaint, level)
    if complaint.state is ComplaintState.ANSWERED and complaint.assigned_to is not None:
        return Role.FACILITATOR, complaint.village_code
    return await office_of(session, complaint)


async def _village(
    session: AsyncSession, actor: Actor, draft: ComplaintDraft
) -> tuple[str, list[str]]:
    """The village filed for, in the actor's reach; a former code is read as its present one."""
    village = await Regions(session).village(draft.region_code)
    if village is None or not _may_file_for(actor, village.code):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    replaced = village.code != draft.region_code
    return village.code, ["region_code_replaced"] if replaced else []


def _may_file_for(actor: Actor, village_code: str) -> bool:
    if actor is CITIZEN:
        return True
    city = regency_of(village_code)
    granted = any(contains(code, village_code) for code in actor.region_codes)
    return actor.holds_near(city, *FILERS) or (Scope.COMPLAINTS_SUBMIT in actor.scopes and granted)


def _ahead(draft: ComplaintDraft, at: datetime) -> bool:
    return draft.received_at is not None and draft.received_at > at + CLOCK_SLACK


def _odd(draft: ComplaintDraft, at: datetime, arrival: Arrival | None) -> list[str]:
    """What is odd about a complaint that came from a tablet: nothing of it keeps it out."""
    if arrival is None:
        return []
    flags = [str(one) for one in arrival.flags if one is not Flag.CLOCK_AHEAD]
    return [*flags, *(["received_in_future"] if _ahead(draft, at) else [])]


def _received_at(draft: ComplaintDraft, at: datetime, arrival: Arrival | None) -> datetime:
    """When the citizen came. A tablet's clock may be wrong: the event keeps what it claimed."""
    if draft.received_at is None:
        return at
    if _ahead(draft, at):
        if arrival is not None:
            return at
        raise Invalid("received_in_future", (Fault("received_in_future", "/received_at"),))
    if draft.received_at < at - AT_MOST_BACK:
        raise Invalid("received_too_long_ago", (Fault("received_too_long_ago", "/received_at"),))
    return min(draft.received_at, at)


async def _check_references(session: AsyncSession, draft: ComplaintDraft, village: str) -> None:
    faults = []
    if draft.kind is not Kind.COMPLAINT and draft.category is not None:
        faults.append(Fault("category_not_allowed", "/category"))
    if draft.program_code and await Programs(session).get(draft.program_code) is None:
        faults.append(Fault("unknown_program", "/program_code"))
    if draft.subject:
        await check_household(session, draft.subject.household_id, village)
    if faults:
        raise Invalid(faults[0].code if len(faults) == 1 else "unknown_reference", tuple(faults))


async def check_household(session: AsyncSession, id: UUID | None, village: str) -> None:
    """Raises Invalid where a household is not one of the village's city."""
    household = await Households(session).find(id) if id else None
    city = village.rsplit(".", 2)[0]
    if id and (household is None or not contains(city, household.village_code)):
        raise Invalid("unknown_household", (Fault("unknown_household", "/subject/household_id"),))


async def _row(
    session: AsyncSession,
    actor: Actor,
    draft: ComplaintDraft,
    village: str,
    received_at: datetime,
    at: datetime,
) -> Complaint:
    columns: dict[str, Any] = region_columns(village)
    year = at.astimezone(JAKARTA).year
    if draft.ticket is not None:
        reserved = await ticket_books.use(session, draft.ticket, columns["regency_code"], at)
        id, given = reserved.id, reserved.ticket
    else:
        number = await Complaints(session).next_ticket_number()
        id, given = new_id(), ticket(columns["regency_code"], year, number)
    complaint = Complaint(
        id=id, ticket=given,
        client_ref=draft.client_ref, payload_sha256="", kind=draft.kind,
        category=category_of(draft.kind, draft.category),
        sector=draft.sector, program_code=draft.program_code, priority=draft.priority,
        channel=draft.channel, narrative=draft.narrative, reporter_name="",
        reporter_relation=draft.reporter.relation,
        documents_seen=list(dict.fromkeys(map(str, draft.documents_seen))),
        submitted_by=actor.id, received_at=received_at, recorded_at=at, clock_from=received_at,
        deadline_at=at, state=MACHINE.initial, stage_entered_at=at, **columns,
    )  # fmt: skip
    write_reporter(session, complaint, draft.reporter)
    write_subject(session, complaint, draft.subject)
    clock.set_clocks(complaint)
    complaint.late_when_recorded = complaint.deadline_at <= at
    return complaint


def category_of(kind: Kind, category: Category | None) -> Category | None:
    """Every complaint has a category; what is named none is some other."""
    return category or (Category.OTHER if kind is Kind.COMPLAINT else None)


def write_reporter(session: AsyncSession, complaint: Complaint, reporter: Reporter) -> None:
    complaint.reporter_name = reporter.name
    complaint.reporter_phone = reporter.phone
    complaint.reporter_address = reporter.address
    complaint.reporter_relation = reporter.relation
    write_reporter_number(session, complaint, reporter.national_id)


def write_reporter_number(
    session: AsyncSession, complaint: Complaint, national_id: str | None
) -> None:
    _seal(session, complaint, "reporter_national_id", national_id)


def write_subject(session: AsyncSession, complaint: Complaint, subject: Subject | None) -> None:
    """Write what is said of the subject; what is not said stays. None clears all of it."""
    sent = Subject.model_fields.keys() if subject is None else subject.model_fields_set
    subject = subject or Subject()
    if "name" in sent:
        complaint.subject_name = subject.name
    if "household_id" in sent:
        complaint.household_id = subject.household_id
    for name in sent & {"national_id", "family_card_number"}:
        _seal(session, complaint, f"subject_{name}", getattr(subject, name))


def _seal(session: AsyncSession, complaint: Complaint, column: str, number: str | None) -> None:
    keys = Keys.of(session)
    sealed = keys.seal(number, "complaints", column, complaint.id) if number else None
    setattr(complaint, column, sealed)
    setattr(complaint, f"{column}_index", keys.blind(number) if number else None)


def opened(session: AsyncSession, complaint: Complaint, column: str) -> str | None:
    """A sealed number of a complaint, in clear."""
    sealed = getattr(complaint, column)
    return Keys.of(session).open(sealed, "complaints", column, complaint.id) if sealed else None


def warn_of_numbers(session: AsyncSession, complaint: Complaint) -> None:
    """Say of the national ids as they stand now what does not fit; other warnings stay."""
    others = [one for one in complaint.warnings if not one.startswith("national_id")]
    columns = ("reporter_national_id", "subject_national_id")
    numbers = [opened(session, complaint, column) for column in columns]
    found = [one for number in numbers if number for one in national_id_warnings(number)]
    complaint.warnings = list(dict.fromkeys([*others, *found]))
