"""Ticket books: reserved for where there is no signal, used once, asked for before they come."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import JAKARTA, InRegion, new_id
from app.domain.complaints import Complaints
from app.domain.devices import Devices
from app.domain.errors import Conflict, Fault, Invalid
from app.domain.identifiers import Keys
from app.domain.notifications import Step, SubjectKind
from app.domain.ticket_books import ReservedTicket, TicketBook, TicketBooks
from app.domain.tickets import FIRST_PIN, ticket
from app.workflow.devices.people import supervisors_of
from app.workflow.history import log
from app.workflow.telling import tell_once

RESERVED, ASKED_FOR = "ticket_book.reserved", "ticket_book.ticket_asked_for"
TICKETS_AT_MOST = 50


async def reserve(
    session: AsyncSession,
    actor: Actor,
    count: int,
    region: Mapping[str, str],
    device_id: UUID | None,
    pad: str | None,
    at: datetime,
) -> TicketBook:
    """Reserve tickets of a city for a tablet or a pad; `region` has the four region columns."""
    book = TicketBook(
        id=new_id(), device_id=device_id, pad=pad, reserved_by=actor.id, reserved_at=at,
        province_code=region["province_code"], regency_code=region["regency_code"],
        district_code=region["district_code"], village_code=region["village_code"],
    )  # fmt: skip
    year, complaints = at.astimezone(JAKARTA).year, Complaints(session)
    numbers = [await complaints.next_ticket_number() for _ in range(count)]
    TicketBooks(session).add(
        book,
        [
            ReservedTicket(
                id=new_id(), book_id=book.id, ticket=ticket(book.regency_code, year, number)
            )
            for number in numbers
        ],
    )
    role = actor.role_for(book.regency_code)
    log(session, RESERVED, book, actor, at, role=role, count=count)
    await session.flush()
    return book


def pin_of(session: AsyncSession, reserved: ReservedTicket) -> str:
    """The PIN that the complaint of a reserved ticket will have."""
    return Keys.of(session).pin_of(reserved.id, FIRST_PIN)


async def use(
    session: AsyncSession, wanted: str, regency_code: str, at: datetime
) -> ReservedTicket:
    """Take a reserved ticket for a complaint of the city; each once.

    Raises Invalid `unknown_ticket`, Conflict `ticket_used`.
    """
    books = TicketBooks(session)
    reserved = await books.lock_ticket(wanted)
    if reserved is None or (await books.peek(reserved.book_id)).regency_code != regency_code:
        raise Invalid("unknown_ticket", (Fault("unknown_ticket", "/ticket"),))
    if reserved.used_at is not None:
        raise Conflict("ticket_used")
    reserved.used_at = at
    return reserved


async def asked_for(
    session: AsyncSession, wanted: str, pin: str, at: datetime
) -> ReservedTicket | None:
    """Somebody asks with ticket and PIN for a complaint that has not arrived: noted, so that the
    sweep tells who holds it. None where the ticket is not reserved, has come, or the PIN is wrong.
    """
    reserved = await TicketBooks(session).lock_ticket(wanted)
    known = reserved is not None and hmac.compare_digest(pin_of(session, reserved), pin)
    if reserved is None or not known or reserved.used_at is not None:
        return None
    reserved.asked_at = reserved.asked_at or at
    return reserved


async def tell(session: AsyncSession, reserved: ReservedTicket, at: datetime) -> None:
    """Of a locked ticket that was asked for: whoever has the book is told, and the supervisor."""
    book = await TicketBooks(session).peek(reserved.book_id)
    place: InRegion = book
    holder = book.reserved_by
    if book.device_id is not None:
        place = device = await Devices(session).peek(book.device_id)
        holder = device.facilitator_id
    people = [holder, *await supervisors_of(session, place)]
    reserved.told_at = at
    await tell_once(
        session, SubjectKind.TICKET_BOOK, book, f"ticket {reserved.ticket}",
        Step.MISSING_UPLOADS, people, ASKED_FOR, at, reserved.asked_at or at,
        ticket=reserved.ticket,
    )  # fmt: skip
