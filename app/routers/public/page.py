"""The page at /cek: the public calls about a ticket, for a browser without JavaScript.

It asks by forms that are posted, so neither ticket nor PIN stands in an address; every form takes
the PIN, so that no other site can send one for somebody. Nothing of it is kept in a cookie.
"""

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from app.domain.base import clean, has_forbidden_characters
from app.domain.errors import DomainError, NotFound, TooManyRequests
from app.problems.catalogue import CATALOGUE
from app.routers import bodies
from app.routers.deps import CurrentVisit, CurrentWiring, Now, Retrying
from app.routers.doors import IDEMPOTENCY_KEY, OpenDoor, Visit
from app.routers.public import tickets
from app.routers.public.html import POLICY, View
from app.routers.public.tickets import TicketAction, TicketAsked, TicketRating
from app.workflow.citizens.page_texts import Word
from app.workflow.citizens.status import Possible, status_of
from app.workflow.citizens.texts import Language

router = APIRouter(route_class=OpenDoor, include_in_schema=False)
FORM_LIMIT = 32 * 1024
MODELS: dict[str, type[BaseModel]] = {
    "look": TicketAsked,
    Possible.WITHDRAW: TicketAction,
    Possible.REOPEN: TicketAction,
    Possible.RATE: TicketRating,
}
FIELDS = ("pin", "note", "satisfaction")


def _html(page: str, status: int = 200, **headers: str) -> Response:
    return HTMLResponse(
        page,
        status,
        {
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
            **headers,
        },
    )


@router.get("/cek")
async def show_form(
    request: Request,
    lang: Annotated[str | None, Query(max_length=10)] = None,
) -> Response:
    """The form to ask by."""
    return _html(View(_language(request, lang)).asking())


@router.post("/cek")
async def show_status(
    request: Request, visit: CurrentVisit, wiring: CurrentWiring, now: Now, retrying: Retrying
) -> Response:
    """How a report stands, after what its citizen did."""
    form = await _form(request)
    view = View(_language(request, form.get("lang")))
    ticket, what = form.get("ticket", "")[:60], form.get("do", "look")
    try:
        asked: Any = _asked(what, form)
        complaint = await tickets.opened(request, visit, wiring, ticket, asked.pin, now)
    except (ValueError, KeyError, NotFound) as error:
        late = isinstance(error, NotFound) and error.code == "ticket_not_arrived"
        said = view.word(Word.NOT_ARRIVED if late else Word.WRONG)
        return _html(view.asking(said, ticket), 404)
    except TooManyRequests as error:
        wait = str(error.retry_after)
        said = view.word(Word.WAIT, seconds=wait)
        return _html(view.asking(said, ticket), 429, **{"Retry-After": wait})
    said, status, done = "", 200, False
    if what != "look":
        _key(visit, form)
        try:
            # What is refused leaves nothing behind, and how it stands is shown all the same.
            async with visit.session.begin_nested():
                if isinstance(asked, TicketAction):
                    await tickets.act(visit, complaint, asked, now, retrying)
                else:
                    await tickets.rate(visit, complaint, asked, now, retrying)
            said, done = view.word(Word.DONE), True
        except DomainError as error:
            said, status = view.word(Word.REFUSED), CATALOGUE[error.code].status
    await visit.session.refresh(complaint)
    shown = await status_of(visit.session, complaint, now)
    return _html(view.status(shown, said, done), status)


def _asked(what: str, form: dict[str, str]) -> BaseModel:
    """What the form asks for, by the model of the call that it stands for."""
    sent: dict[str, Any] = {name: form[name] for name in FIELDS if form.get(name)}
    model = MODELS[what]
    if "action" in model.model_fields:
        sent["action"] = what
    if "satisfaction" in sent:
        sent["satisfaction"] = int(sent["satisfaction"])
    return model.model_validate(sent)


def _key(visit: Visit, form: dict[str, str]) -> None:
    """A form that is sent twice acts once: its key goes with it."""
    key = form.get("key", "")
    visit.idempotency_key = key if IDEMPOTENCY_KEY.fullmatch(key) else None


async def _form(request: Request) -> dict[str, str]:
    body = await bodies.read(request, FORM_LIMIT)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: clean(value) for name, value in pairs if not has_forbidden_characters(value)}


def _language(request: Request, asked: str | None) -> Language:
    """The language asked for, else the browser's first, else Indonesian."""
    preferred = request.headers.get("accept-language", "")[:2].lower()
    for said in (asked, preferred):
        if said in list(Language):
            return Language(said)
    return Language.INDONESIAN
