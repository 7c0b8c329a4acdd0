"""Reports without an account over HTTP."""

import hashlib
import math
from uuid import UUID

import rfc8785
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import TooManyRequests
from app.domain.identifiers import Keys
from app.domain.tickets import FIRST_PIN
from app.routers.complaints import reads
from app.routers.complaints.reads import ReceiptWithPin
from app.routers.deps import CurrentVisit, CurrentWiring, Now, Retrying, Session
from app.routers.doors import CREATES, OpenDoor
from app.routers.limits import address_of
from app.routers.public.reads import StatusRead
from app.routers.replies import reply
from app.workflow.citizens.reporting import PublicReport, report
from app.workflow.citizens.status import status_of

router = APIRouter(prefix="/v1/public", tags=["public"], route_class=OpenDoor)


class PublicFiling(BaseModel):
    """The receipt, with the ticket and the PIN to ask by, and how it stands."""

    receipt: ReceiptWithPin
    status: StatusRead


@router.post(
    "/complaints",
    status_code=201,
    response_model=PublicFiling,
    openapi_extra={CREATES: "complaint"},
)
async def report_publicly(
    request: Request,
    body: PublicReport,
    visit: CurrentVisit,
    session: Session,
    wiring: CurrentWiring,
    now: Now,
    retrying: Retrying,
) -> Response:
    """Report bad service or an illegal fee without an account, and anonymously if one likes.

    It is confidential: manager and head hold it, no desk and no facilitator sees it. From one
    address ten at once, then two a minute; who sends more waits (429).
    """
    retry = retrying.of(CITIZEN.id)
    replayed = True
    if known := await retry.known():
        complaint = await Complaints(session).peek(UUID(known.ids["complaint_id"]))
        status = known.status
    else:
        wait, state = wiring.filings.take(address_of(request))
        request.scope["rate_limit"] = (wiring.filings.policy, state)
        if wait > 0:
            raise TooManyRequests("too_many_requests", retry_after=math.ceil(wait))
        sha256 = hashlib.sha256(rfc8785.dumps(visit.sent)).hexdigest()
        filed = await report(session, body, sha256, now)
        complaint, replayed = filed.complaint, not filed.created
        status = 201 if filed.created else 200
        retry.remember(status, complaint_id=complaint.id)
    told = PublicFiling(
        receipt=await _receipt(session, complaint),
        status=StatusRead.model_validate(await status_of(session, complaint, now)),
    )
    return reply(
        told, status, version=complaint.version, replayed=replayed,
        location=f"/v1/public/tickets/{complaint.ticket}/status",
    )  # fmt: skip


async def _receipt(session: AsyncSession, complaint: Complaint) -> ReceiptWithPin:
    pin = Keys.of(session).pin_of(complaint.id, FIRST_PIN)
    return ReceiptWithPin(**await reads.receipt(session, complaint), pin=pin)
