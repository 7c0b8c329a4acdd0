"""What a citizen is told of a report: step, promise, office and answer; no names, no numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN, Role
from app.domain.complaints import ON_THE_CLOCK, Complaint, Complaints, ComplaintState
from app.domain.events import Events
from app.domain.identifiers import without_numbers
from app.domain.offices import OfficeKind, Offices
from app.domain.ratings import Ratings
from app.domain.referrals import OPEN
from app.domain.regions import Regions
from app.domain.vocabulary import Document, Outcome
from app.workflow.citizens import ratings
from app.workflow.citizens.texts import DOCUMENTS, DONE, OFFICES, OUTCOMES, STEPS, Text
from app.workflow.complaints.case import Case, case_of
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.filing import next_holder
from app.workflow.complaints.joining import survivors
from app.workflow.complaints.table import EVENT_TYPES, MACHINE

S = ComplaintState
LINES_AT_MOST = 200
ACTIONS = {type_: action for action, type_ in EVENT_TYPES.items()}
# Offices that citizens can go to.
DESKS = {
    Role.PUSKESOS_OFFICER: OfficeKind.PUSKESOS,
    Role.FRONT_OFFICE: OfficeKind.SECRETARIAT,
    Role.MANAGER: OfficeKind.SECRETARIAT,
}
LEVELS = ("Provinsi", "", "Kecamatan")


class Possible(StrEnum):
    """What a citizen may do now."""

    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Office:
    """Whom it waits for: an office, and where; never a name."""

    role: Role
    region_code: str
    office: Text
    address: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    document: Document
    text: Text


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that has happened."""

    at: datetime
    action: ComplaintAction
    text: Text


@dataclass(frozen=True, slots=True)
class Status:
    """How a report stands, for whoever has its ticket and PIN."""

    ticket: str
    step: ComplaintState
    step_text: Text
    received_at: datetime
    since: datetime
    promised_at: datetime | None
    late: bool
    waits_for: Office | None
    missing_documents: Sequence[Missing]
    outcome: Outcome | None
    outcome_text: Text | None
    answer: str | None
    satisfaction: int | None
    actions: Sequence[Possible]
    history: Sequence[Line]


async def status_of(session: AsyncSession, complaint: Complaint, at: datetime) -> Status:
    """What is told of a complaint. One that was joined into another shows how that one stands."""
    await session.flush()
    if complaint.joined_into is not None:
        return await _of_joined(session, complaint, complaint.joined_into, at)
    case = await case_of(session, complaint, at)
    promised_at = _promised_at(case)
    outcome = complaint.outcome
    rating = await Ratings(session).of(complaint.id, complaint.reopened_count)
    return Status(
        ticket=complaint.ticket,
        step=complaint.state,
        step_text=STEPS[complaint.state],
        received_at=complaint.received_at,
        since=complaint.stage_entered_at,
        promised_at=promised_at,
        late=promised_at is not None and promised_at < at,
        waits_for=await _waits_for(session, complaint),
        missing_documents=[
            Missing(document, DOCUMENTS[document])
            for document in map(Document, complaint.documents_missing)
        ],
        outcome=outcome,
        outcome_text=OUTCOMES[outcome] if outcome else None,
        # Somebody may have typed a number into it.
        answer=without_numbers(complaint.answer) if complaint.answer else None,
        satisfaction=rating.satisfaction if rating else None,
        actions=_possible(case),
        history=await _history(session, complaint),
    )


async def _of_joined(
    session: AsyncSession, complaint: Complaint, into: UUID, at: datetime
) -> Status:
    """What can be done with it, and how content one is, is a matter of the other's own ticket."""
    goes_on = (await survivors(Complaints(session), [into]))[into]
    shown = await status_of(session, goes_on, at)
    lines = sorted((*await _history(session, complaint), *shown.history), key=lambda line: line.at)
    return replace(
        shown, ticket=complaint.ticket, received_at=complaint.received_at, satisfaction=None,
        actions=(), history=lines[-LINES_AT_MOST:],
    )  # fmt: skip


def _promised_at(case: Case) -> datetime | None:
    """The promise until it is handled, then the owners' date, then the day to be told by."""
    complaint = case.complaint
    if complaint.state in ON_THE_CLOCK:
        return complaint.deadline_at
    if complaint.state is S.FORWARDED:
        return max(
            (one.due_at for one in case.items if one.state in OPEN and one.due_at), default=None
        )
    return complaint.due_at if complaint.state is S.ANSWERED else None


async def _waits_for(session: AsyncSession, complaint: Complaint) -> Office | None:
    holder = await next_holder(session, complaint)
    if holder is None:
        return None
    role, code = holder
    text = OFFICES[role].put(place=await place_of(session, code))
    desks = [one for one in await Offices(session).near(code) if one.region_code == code]
    goes_there = [one.address for one in desks if DESKS.get(role) is one.kind]
    return Office(role, code, text, goes_there[0] if goes_there else None)


async def place_of(session: AsyncSession, code: str) -> str:
    """A region as people call it: `Kelurahan Wates`. A regency's own name says what it is."""
    name = (await Regions(session).names({code}))[code]
    depth = code.count(".")
    # The first digit of a village's last part tells a town's from a rural one.
    kind = LEVELS[depth] if depth < 3 else "Kelurahan" if code[9] == "1" else "Desa"
    return f"{kind} {name}".strip()


def _possible(case: Case) -> list[Possible]:
    may = [Possible(action) for action in MACHINE.actions(case, CITIZEN)]
    return may + ([Possible.RATE] if ratings.refusal(case.complaint, case.at) is None else [])


async def _history(session: AsyncSession, complaint: Complaint) -> list[Line]:
    found = await Events(session).of_types([complaint.id], list(ACTIONS))
    lines = [
        Line(event.at, ACTIONS[event.type], DONE[ACTIONS[event.type]])
        for event in found[complaint.id]
    ]
    return lines[-LINES_AT_MOST:]
