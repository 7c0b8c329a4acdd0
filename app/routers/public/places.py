"""Where citizens go and what there is to ask for: reference data, for anybody."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.domain.base import day_of
from app.domain.offices import OfficeKind, Offices
from app.domain.programs import Program, Programs, ProgramScope
from app.routers.deps import CurrentSettings, LongPaged, Now, Session
from app.routers.doors import OpenDoor
from app.routers.pages import Page
from app.routers.public.html import POLICY, STYLE
from app.routers.public.reads import Said
from app.routers.replies import kept, preferred, reference
from app.routers.resources import Code, Line, Name, Paragraph, Word, items
from app.workflow.citizens.brochure import brochure_of, html, pdf
from app.workflow.citizens.texts import FREE, Language
from app.workflow.complaints.filing import RegionCode

router = APIRouter(prefix="/v1/public", tags=["public"], route_class=OpenDoor)
HTML, PDF = "text/html", "application/pdf"


class Hours(BaseModel):
    """Days (`mon` to `sun`), from and until when, at the place's own time."""

    days: items(Word, 7)  # type: ignore[valid-type]
    opens: Word
    closes: Word


class PublicOffice(BaseModel):
    """A desk: where it is, when it is open."""

    code: Code
    kind: OfficeKind
    region_code: Code
    name: Name
    address: Line
    phone: Word | None
    hours: items(Hours, 14)  # type: ignore[valid-type]


class PublicOffices(BaseModel):
    """The desks, and that none of them takes money."""

    free_of_charge: bool
    notice: Said
    items: items(PublicOffice, 2000)  # type: ignore[valid-type]


class PublicProgram(BaseModel):
    """A programme that there is to ask for. Whether it is granted is its owner's word alone."""

    code: Code
    name_id: Line
    name_en: Line
    scope: ProgramScope
    agency: Line
    contact: Line
    benefit_type: Line
    benefit: Paragraph
    target_criteria: Paragraph
    required_docs: Paragraph
    period: Line


@router.get("/offices", response_model=PublicOffices)
async def list_offices(
    request: Request,
    session: Session,
    region: Annotated[
        RegionCode | None, Query(description="Those that serve it, or lie in it.")
    ] = None,
) -> Response:
    """Where to go and when. It costs nothing."""
    found = await Offices(session).near(region)
    body = PublicOffices(
        free_of_charge=True,
        notice=Said.model_validate(FREE),
        items=[PublicOffice.model_validate(one, from_attributes=True) for one in found],
    )
    return reference(request, body)


@router.get("/programs", response_model=Page[PublicProgram])
async def list_public_programs(
    request: Request, session: Session, now: Now, paging: LongPaged
) -> Response:
    """The programmes that are open now, by code."""
    rows = await Programs(session).list(True, paging.rows, paging.after(str))
    page, following = paging.cut(rows, lambda one: one.code)
    shown = [_read(one) for one in page if one.open_on(day_of(now))]
    body = Page[PublicProgram](items=shown, next_cursor=following)
    return reference(request, body, paging.link(following))


@router.get(
    "/brochure",
    response_class=Response,
    responses={
        200: {
            "content": {
                HTML: {"schema": {"type": "string", "maxLength": 10**6}},
                PDF: {"schema": {"type": "string", "maxLength": 10**7}},
            }
        },
    },
)
async def get_brochure(
    request: Request,
    session: Session,
    settings: CurrentSettings,
    lang: Language = Language.INDONESIAN,
) -> Response:
    """The way a report goes, what to bring, the promise and where to go: HTML, or PDF by Accept.

    Made from the routes, budgets and offices that are in force, so it never says otherwise.
    """
    content = await brochure_of(session, lang, settings.base_url)
    kind = preferred(request, HTML, PDF)
    if kind == PDF:
        file = await asyncio.to_thread(pdf, content)
    else:
        file = html(content, STYLE).encode()
    headers = {
        "Content-Disposition": f'inline; filename="slrt-{lang}.{kind.rpartition("/")[2]}"',
        "Content-Security-Policy": POLICY,
        "Content-Language": lang,
        "Vary": "Accept",
    }
    return kept(request, file, kind, headers)


def _read(program: Program) -> PublicProgram:
    return PublicProgram(**{name: getattr(program, name) for name in PublicProgram.model_fields})
