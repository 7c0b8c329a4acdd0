"""A citizen's own report over HTTP: by its ticket and PIN, which never stand in an address."""

import asyncio
import hashlib
import time
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import rfc8785
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.domain.actors import CITIZEN
from app.domain.base import text
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import NotFound
from app.domain.tickets import Tickets, spelled
from app.routers.deps import (
    CurrentVisit,
    CurrentWiring,
    Now,
    PathName,
    Retry,
    Retrying,
    read_version,
)
from app.routers.doors import OpenDoor, Visit, Wiring
from app.routers.limits import address_of
from app.routers.public.reads import StatusRead
from app.routers.replies import reply
from app.workflow import ticket_books
from app.workflow.citizens import ratings
from app.workflow.citizens.status import status_of
from app.workflow.complaints import verbs
from app.workflow.complaints.commands import Command, ComplaintAction

router = APIRouter(prefix="/v1/public/tickets", tags=["public"], route_class=OpenDoor)
# A wrong ticket and a wrong PIN are answered after the same time, whatever was looked up.
WRONG_AFTER = 0.1

Pin = Annotated[str, Field(pattern=r"^[0-9]{6}$", min_length=6, max_length=6)]


class CitizenAction(StrEnum):
    WITHDRAW = "withdraw"
    REOPEN = "reopen"


class TicketAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pin: Pin


class TicketAction(TicketAsked):
    """`withdraw` needs a note: why."""

    action: CitizenAction
    note: text(4000) | None = None  # type: ignore[valid-type]


class TicketRating(TicketAsked):
    """1 (not at all content) to 5 (very content)."""

    satisfaction: Annotated[int, Field(ge=1, le=5, strict=True)]


async def opened(
    request: Request, visit: Visit, wiring: Wiring, ticket: str, pin: str, now: datetime
) -> Complaint:
    """The complaint of a ticket, for who has its PIN.

    Raises NotFound `ticket_or_pin_wrong`, the same and as late for whatever is wrong,
    `ticket_not_arrived` for a number of a ticket book whose report has not come, and
    TooManyRequests for who was wrong too often.
    """
    began, place = time.monotonic(), (spelled(ticket), address_of(request))
    wiring.guesses.check(*place)
    id = await Tickets(visit.session).open(ticket, pin)
    if id is None:
        waited_for = await ticket_books.asked_for(visit.session, spelled(ticket), pin, now)
        if waited_for is not None:
            # That it was asked for stays: a sweep tells who holds the book.
            await visit.let_go()
            raise NotFound("ticket_not_arrived")
        wiring.guesses.count(*place)
        await visit.let_go()
        await asyncio.sleep(max(0.0, began + WRONG_AFTER - time.monotonic()))
        raise NotFound("ticket_or_pin_wrong")
    return await Complaints(visit.session).peek(id)


async def act(
    visit: Visit, complaint: Complaint, asked: TicketAction, now: datetime, retrying: Retry
) -> bool:
    """Take a citizen's action, once for each key; whether it was taken before."""
    retry = retrying.of(complaint.id, asked_for(complaint, asked))
    if await retry.known():
        return True
    command = Command(ComplaintAction(asked.action), note=asked.note)
    version = read_version(visit, required=False)
    await verbs.act(visit.session, CITIZEN, complaint.id, command, now, version)
    retry.remember(200, complaint_id=complaint.id)
    return False


async def rate(
    visit: Visit, complaint: Complaint, asked: TicketRating, now: datetime, retrying: Retry
) -> bool:
    """Take a citizen's rating, once for each key; whether it was taken before."""
    retry = retrying.of(complaint.id, asked_for(complaint, asked))
    if await retry.known():
        return True
    await ratings.rate(visit.session, complaint.id, asked.satisfaction, now)
    retry.remember(200, complaint_id=complaint.id)
    return False


def asked_for(complaint: Complaint, asked: TicketAsked) -> bytes:
    """What makes two requests of a citizen the same. The PIN is not in it: it is stored nowhere."""
    sent = asked.model_dump(mode="json", exclude={"pin"})
    return hashlib.sha256(complaint.id.bytes + rfc8785.dumps(sent)).digest()


async def told(
    visit: Visit, complaint: Complaint, now: datetime, replayed: bool = False
) -> Response:
    status = await status_of(visit.session, complaint, now)
    body = StatusRead.model_validate(status)
    return reply(body, version=complaint.version, replayed=replayed)


@router.post("/{ticket}/status", response_model=StatusRead)
async def get_status(
    request: Request,
    ticket: PathName,
    body: TicketAsked,
    visit: CurrentVisit,
    wiring: CurrentWiring,
    now: Now,
) -> Response:
    """How a report stands, in Indonesian, Javanese and English, for whoever has its PIN.

    A wrong ticket and a wrong PIN are one answer: 404 `ticket_or_pin_wrong`. Only failures are
    counted, by ticket and address; whoever has too many waits (429). A number of a ticket book
    whose report has not come in is 404 `ticket_not_arrived`, and is looked for.
    """
    complaint = await opened(request, visit, wiring, ticket, body.pin, now)
    return await told(visit, complaint, now)


@router.post("/{ticket}/actions", response_model=StatusRead)
async def act_on_ticket(
    request: Request,
    ticket: PathName,
    body: TicketAction,
    visit: CurrentVisit,
    wiring: CurrentWiring,
    now: Now,
    retrying: Retrying,
) -> Response:
    """Withdraw a report, or open a closed one again within 14 days. If-Match may be left out."""
    complaint = await opened(request, visit, wiring, ticket, body.pin, now)
    replayed = await act(visit, complaint, body, now, retrying)
    return await told(visit, complaint, now, replayed)


@router.post("/{ticket}/satisfaction", response_model=StatusRead)
async def rate_ticket(
    request: Request,
    ticket: PathName,
    body: TicketRating,
    visit: CurrentVisit,
    wiring: CurrentWiring,
    now: Now,
    retrying: Retrying,
) -> Response:
    """Say how content one is with the answer; it may be changed until 14 days after closing."""
    complaint = await opened(request, visit, wiring, ticket, body.pin, now)
    replayed = await rate(visit, complaint, body, now, retrying)
    return await told(visit, complaint, now, replayed)
