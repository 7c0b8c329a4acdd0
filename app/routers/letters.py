"""Referral letters over HTTP: the PDF for those who see the referral, its check for anybody."""

import asyncio
import math
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from app.domain.errors import TooManyRequests
from app.domain.referrals import Referrals
from app.routers.deps import (
    CurrentActor,
    CurrentSettings,
    CurrentWiring,
    Session,
    Subject,
)
from app.routers.doors import Door, OpenDoor
from app.routers.replies import reply
from app.workflow.referrals.letter import GOOD, letter_of, render

router = APIRouter(prefix="/v1", tags=["referrals"], route_class=Door)
public_router = APIRouter(prefix="/v1", tags=["public"], route_class=OpenDoor)
PDF = "application/pdf"
# Looked for whatever its length: that a code cannot be one of ours is no answer of another kind.
LetterCode = Annotated[str, Path(json_schema_extra={"maxLength": 60})]


class LetterCheck(BaseModel):
    """Whether a letter is one of ours and its referral still stands. No more is said."""

    valid: bool


@router.get(
    "/referrals/{referral_id}/letter",
    response_class=Response,
    responses={
        200: {"content": {PDF: {"schema": {"type": "string", "maxLength": 10**6}}}},
    },
)
async def get_letter(
    referral_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    settings: CurrentSettings,
) -> Response:
    """The referral letter in Indonesian, ids masked, with a QR code by which anybody can check it.

    From `sent` on; the same bytes for the same version. One that was declined or cancelled has no
    letter: 409 `no_letter`.
    """
    letter = await letter_of(session, subject, settings.base_url)
    file = await asyncio.to_thread(render, letter)
    headers = {
        "Content-Disposition": f'inline; filename="surat-rujukan-{subject.id}.pdf"',
        "ETag": f'"{subject.version}"',
    }
    return Response(file, 200, headers, media_type=PDF)


@public_router.get("/public/letters/{code}", response_model=LetterCheck)
async def check_letter(
    request: Request, code: LetterCode, session: Session, wiring: CurrentWiring
) -> Response:
    """Whether a letter is valid: ours, and neither declined nor cancelled since.

    Codes that do not exist are counted by address: whoever guesses is slowed down.
    """
    who = ("letters", request.client.host if request.client else "")
    wait, state = wiring.failures.take(who, count=False)
    if wait > 0:
        request.scope["rate_limit"] = (wiring.failures.policy, state)
        raise TooManyRequests("too_many_requests", retry_after=math.ceil(wait))
    referral = await Referrals(session).by_letter_code(code)
    if referral is None:
        wiring.failures.take(who)
    return reply(LetterCheck(valid=referral is not None and referral.state in GOOD))
