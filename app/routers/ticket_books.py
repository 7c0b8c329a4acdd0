"""Reserving tickets for where there is no signal."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import line, region_of
from app.domain.complaints import cities
from app.domain.devices import Devices, visible_to
from app.domain.errors import Fault, Invalid, NotFound
from app.domain.ticket_books import TicketBook, TicketBooks
from app.routers.deps import CurrentActor, Now, Retrying, Session, Subject
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.replies import reply
from app.routers.resources import Code, Moment, Name, Word, items, text
from app.workflow import ticket_books
from app.workflow.complaints.filing import FILERS, check_filer
from app.workflow.ticket_books import TICKETS_AT_MOST

router = APIRouter(prefix="/v1", tags=["tablets"], route_class=Door)


class TicketBookDraft(BaseModel):
    """How many tickets, and for what: a tablet, or a printed pad by its name.

    `regency_code` is needed for a pad by those who work for more than one city.
    """

    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, le=TICKETS_AT_MOST, strict=True)]
    device_id: UUID | None = None
    pad: line(60) | None = None  # type: ignore[valid-type]
    regency_code: (
        Annotated[str, Field(pattern=r"^[0-9]{2}\.[0-9]{2}$", min_length=5, max_length=5)] | None
    ) = None


class TicketWithPin(BaseModel):
    """A ticket, with the PIN that its complaint will have."""

    ticket: Word
    pin: text(6)  # type: ignore[valid-type]


class TicketRead(BaseModel):
    """A reserved ticket: when its complaint came, and since when it is asked for in vain."""

    ticket: Word
    used_at: Moment | None
    asked_at: Moment | None


class TicketBookFields(BaseModel):
    id: UUID
    device_id: UUID | None
    pad: Name | None
    regency_code: Code
    reserved_at: Moment


class TicketBookRead(TicketBookFields):
    """A ticket book, without PINs."""

    tickets: items(TicketRead, TICKETS_AT_MOST)  # type: ignore[valid-type]


class TicketBookMade(TicketBookFields):
    """A ticket book with its PINs: in this answer and its replays, nowhere else."""

    tickets: items(TicketWithPin, TICKETS_AT_MOST)  # type: ignore[valid-type]


async def _find(session: AsyncSession, id: UUID, actor: Actor, _: datetime) -> TicketBook:
    return await TicketBooks(session).get(id, actor)


FINDERS["ticket_book_id"] = _find


@router.post(
    "/ticket-books",
    status_code=201,
    response_model=TicketBookMade,
    openapi_extra={CREATES: "ticket book"},
)
async def reserve_tickets(
    draft: TicketBookDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Reserve up to 50 tickets with their PINs, to file with where there is no signal.

    Whoever files then names the `ticket`. Keep the PINs sealed until they are given out.
    """
    check_filer(actor)
    if known := await retry.known():
        book = await TicketBooks(session).peek(UUID(known.ids["ticket_book_id"]))
        return await _made(session, book, known.status, replayed=True)
    region = await _region(session, actor, draft)
    book = await ticket_books.reserve(
        session, actor, draft.count, region, draft.device_id, draft.pad, now
    )
    retry.remember(201, ticket_book_id=book.id)
    return await _made(session, book, 201)


async def _region(session: AsyncSession, actor: Actor, draft: TicketBookDraft) -> dict[str, str]:
    """Where the tickets are for: where the tablet is, or the pad's city."""
    if (draft.device_id is None) == (draft.pad is None):
        code = "missing" if draft.pad is None else "invalid"
        raise Invalid("validation_failed", (Fault(code, "/device_id"),))
    if draft.device_id is not None:
        try:
            return region_of(await Devices(session).get(draft.device_id, visible_to(actor)))
        except NotFound:
            fault = Fault("device_unknown", "/device_id")
            raise Invalid("unknown_reference", (fault,)) from None
    own = cities(actor.regions(*FILERS) + actor.region_codes)
    wanted = draft.regency_code or (own[0] if len(own) == 1 and own[0].count(".") == 1 else None)
    if wanted is None:
        raise Invalid("missing", (Fault("missing", "/regency_code"),))
    if not any(wanted == code or wanted.startswith(f"{code}.") for code in own):
        raise Invalid("unknown_region", (Fault("unknown_region", "/regency_code"),))
    return {
        "province_code": wanted.split(".")[0],
        "regency_code": wanted,
        "district_code": "",
        "village_code": "",
    }


@router.get("/ticket-books/{ticket_book_id}", response_model=TicketBookRead)
async def get_ticket_book(
    ticket_book_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """A ticket book: which of its tickets have come, and which are asked for."""
    tickets = [
        TicketRead(ticket=one.ticket, used_at=one.used_at, asked_at=one.asked_at)
        for one in await TicketBooks(session).tickets(subject.id)
    ]
    body = TicketBookRead.model_construct(**_fields(subject), tickets=tickets)
    return reply(body, version=subject.version)


async def _made(
    session: AsyncSession, book: TicketBook, status: int, replayed: bool = False
) -> Response:
    tickets = [
        TicketWithPin(ticket=one.ticket, pin=ticket_books.pin_of(session, one))
        for one in await TicketBooks(session).tickets(book.id)
    ]
    body = TicketBookMade.model_construct(**_fields(book), tickets=tickets)
    return reply(
        body, status, version=book.version, location=f"/v1/ticket-books/{book.id}",
        replayed=replayed,
    )  # fmt: skip


def _fields(book: TicketBook) -> dict[str, Any]:
    return {name: getattr(book, name) for name in TicketBookFields.model_fields}
