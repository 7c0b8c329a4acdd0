"""The feed over HTTP: committed events in order, resumable by cursor, with long polls."""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Sessions
from app.domain.actors import Actor
from app.domain.errors import BadRequest, Fault, Forbidden, Gone, Unauthenticated
from app.domain.events import Events
from app.domain.feed import RETENTION, Feed, Standing, Types, may_read
from app.domain.principals import Principals
from app.routers.deps import CurrentActor, CurrentVisit, CurrentWiring
from app.routers.doors import Door, Visit, Wiring
from app.routers.pages import Signed, next_link
from app.routers.replies import JSON, NDJSON, preferred
from app.routers.resources import Code, Count, Moment, Word, items, text
from app.workflow.event_types import ASKED, instead_of

router = APIRouter(prefix="/v1", tags=["integrators"], route_class=Door)
PAGE_AT_MOST, WAIT_AT_MOST = 1000, 25
LOOKS_EVERY = 0.5
LATEST = "latest"
NUMBERS_AT_MOST, NUMBERS_AGAIN = 5, 0.02
TYPES_AT_MOST = 50


class EventData(BaseModel):
    """The thing that an event is about, as it stood after it."""

    id: UUID
    version: Count
    state: Word | None
    outcome: Word | None
    region_code: Code | None
    program_code: Code | None


class CloudEvent(BaseModel):
    """A CloudEvent 1.0. `sequence` is its position in the feed; positions only grow."""

    specversion: Literal["1.0"]
    id: UUID
    source: text(300)  # type: ignore[valid-type]
    type: Word
    subject: text(100)  # type: ignore[valid-type]
    time: Moment
    sequence: text(20)  # type: ignore[valid-type]
    data: EventData


EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0193a1b2-8f6e-7c11-9d2a-5b1f0c7e4a10",
    "source": "https://slrt.example.go.id",
    "type": "referral.sent",
    "subject": "referrals/0193a1b2-7d10-7a52-8e0b-2f9b6d3c1e55",
    "time": "2026-11-24T02:00:00.123456Z",
    "sequence": "00000000000000001842",
    "data": {
        "id": "0193a1b2-7d10-7a52-8e0b-2f9b6d3c1e55",
        "version": 3,
        "state": "sent",
        "outcome": None,
        "region_code": "35.76.02.1010",
        "program_code": "PKH",
    },
}
CURSOR_EXAMPLE = "3pQm0c2XhUoJ6bqkWzEsMTgyLDE3NjQwMDAwMDBd"


class ChangePage(BaseModel):
    """Events in order. `next_cursor` is never null: an empty page gives back the one sent."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"items": [EXAMPLE], "next_cursor": CURSOR_EXAMPLE}}
    )

    items: items(CloudEvent, PAGE_AT_MOST)  # type: ignore[valid-type]
    next_cursor: text(1000)  # type: ignore[valid-type]


def last_line(count: int, cursor: str) -> str:
    """What lines end with: how many there were, and where to go on."""
    return json.dumps({"_end": True, "count": count, "cursor": cursor}, separators=(",", ":"))


LINES = {
    "type": "string",
    "maxLength": 10**6,
    "description": "One event a line; last a line that says `_end`, `count` and `cursor`.",
    "example": "\n".join(
        (json.dumps(EXAMPLE, separators=(",", ":")), last_line(1, CURSOR_EXAMPLE))
    ),
}


class FeedCursors:
    """The cursors of one reader: epoch, position, and when they were handed out.

    They are bound to the types asked for; without any (`types` is None) they begin every feed.
    """

    def __init__(self, key: bytes, principal_id: UUID, types: str | None = None) -> None:
        self.beginning = Signed(key, f"feed:{principal_id}".encode())
        self.own = Signed(key, f"feed:{principal_id}:{types}".encode())
        if types is None:
            self.own = self.beginning

    def make(self, epoch: int, position: int, at: datetime) -> str:
        return self.own.make(epoch, position, int(at.timestamp()))

    def read(self, cursor: str) -> list[int]:
        """Raises BadRequest `cursor_invalid`."""
        try:
            return self.own.read(cursor, int, int, int) or []
        except BadRequest:
            return self.beginning.read(cursor, int, int, int) or []


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader stands, and the events before it that it has not had."""

    epoch: int
    position: int
    cursor: str
    count: int = 0
    events: str = ""


async def number(sessions: Sessions) -> Standing:
    """Let what is committed have its position; where the feed stands then.

    Where somebody else is at it, it is done in a moment.
    """
    for _ in range(NUMBERS_AT_MOST):
        async with sessions.begin() as session:
            standing = await Feed(session).stand()
        if not standing.unnumbered:
            break
        async with sessions.begin() as session:
            count = await Events(session).number()
        if count is None:
            await asyncio.sleep(NUMBERS_AGAIN)
    return standing


async def begin(
    feed: Feed, standing: Standing, cursors: FeedCursors, cursor: str | None, at: datetime
) -> Place:
    """Where to read from. Raises BadRequest `cursor_invalid`, Gone `feed_reset`."""
    epoch, newest = standing.epoch, standing.newest
    if cursor is None or cursor == LATEST:
        position = newest if cursor else await feed.beginning(at)
        return Place(epoch, position, cursors.make(epoch, position, at))
    known, position, handed_out = cursors.read(cursor)
    age = at.timestamp() - handed_out
    # One that is ahead of the log is of a log that is gone.
    if known != epoch or position > newest or age > RETENTION.total_seconds():
        raise Gone("feed_reset")
    if age > RETENTION.total_seconds() / 2:
        # Else it would end while its reader waits, on a feed where nothing happens.
        cursor = cursors.make(epoch, position, at)
    return Place(epoch, position, cursor)


def types_of(types: str | None) -> Types:
    """`referral.sent,complaint.*` as types. Raises BadRequest."""
    if types is None:
        return Types()
    asked = types.split(",")
    unknown = [one for one in asked if one not in ASKED]
    if len(asked) > TYPES_AT_MOST or unknown:
        options = instead_of(unknown[0] if unknown else "")
        fault = Fault("not_an_option", parameter="types", params={"options": options})
        raise BadRequest("parameter_invalid", (fault,))
    return Types.of(asked)


@dataclass
class Reader:
    """One call: who reads what, look by look. Between two looks it holds no connection."""

    wiring: Wiring
    actor: Actor
    cursors: FeedCursors
    types: Types
    limit: int
    newest: int = 0

    async def begin(self, visit: Visit, cursor: str | None) -> Place:
        """The first look, from the cursor on. The call's own connection goes back with it."""
        session = visit.session
        standing = await Feed(session).stand()
        if not standing.unnumbered:
            place = await self._begin(session, standing, cursor, visit.now)
            await visit.let_go()
            return place
        await visit.let_go()
        standing = await number(self.wiring.sessions)
        async with self.wiring.sessions.begin() as session:
            return await self._begin(session, standing, cursor, visit.now)

    async def again(self, place: Place) -> Place:
        """Another look at the same place, as whoever the reader is by now."""
        standing = await number(self.wiring.sessions)
        if standing.newest == self.newest:
            return place
        self.newest = standing.newest
        async with self.wiring.sessions.begin() as session:
            known = await Principals(session).actor(self.actor.id)
            if known is None:
                raise Unauthenticated("token_invalid")
            self.actor, at = known
            return await self._read(session, place, at)

    async def _begin(
        self, session: AsyncSession, standing: Standing, cursor: str | None, at: datetime
    ) -> Place:
        self.newest = standing.newest
        place = await begin(Feed(session), standing, self.cursors, cursor, at)
        return await self._read(session, place, at)

    async def _read(self, session: AsyncSession, place: Place, at: datetime) -> Place:
        source = self.wiring.settings.source
        after = place.position
        page = await Feed(session).page(self.actor, self.types, after, self.limit, source)
        if not page.count:
            return place
        following = self.cursors.make(place.epoch, page.last, at)
        return Place(place.epoch, page.last, following, page.count, page.text)


@router.get(
    "/changes",
    response_model=ChangePage,
    responses={200: {"content": {NDJSON: {"schema": LINES}}}},
)
async def list_changes(
    request: Request,
    visit: CurrentVisit,
    actor: CurrentActor,
    wiring: CurrentWiring,
    types: Annotated[
        str | None,
        Query(
            max_length=2000,
            description="Which events, by commas: `referral.sent`, or a whole kind: `referral.*`.",
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        Query(
            max_length=1000,
            description="`next_cursor` of the page before; `latest`: from now; none: from the"
            " start of retention, 90 days ago. Good for the same types only.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_AT_MOST)] = 100,
    wait: Annotated[
        int, Query(ge=0, le=WAIT_AT_MOST, description="Seconds to wait where nothing is new.")
    ] = 0,
) -> Response:
    """Committed events in order, for agencies and clients (`referrals:read`) and for managers.

    An owner gets the referral events of its programmes and regions, from `sent` on. Follow it for
    ever: handle a page, keep its `next_cursor`, ask again with it. 410 `feed_reset`: the database
    was restored, or the cursor is older than 90 days; take an export and begin anew.
    """
    if not may_read(actor):
        raise Forbidden("role_not_allowed")
    wanted = types_of(types)
    bound_to = ",".join(sorted({*wanted.exact, *wanted.kinds}))
    cursors = FeedCursors(wiring.keys.data.cursor, actor.id, bound_to)
    reader = Reader(wiring, actor, cursors, wanted, limit)
    until, place = time.monotonic() + wait, await reader.begin(visit, cursor)
    while not place.count and (left := until - time.monotonic()) > 0:
        if request.state.lifetime.draining or await request.is_disconnected():
            break
        await asyncio.sleep(min(LOOKS_EVERY, left))
        place = await reader.again(place)
    headers = next_link(request, place.cursor)
    if preferred(request, JSON, NDJSON) == NDJSON:
        lines = f"{place.events}\n".replace(",\n", "\n") if place.count else ""
        lines += f"{last_line(place.count, place.cursor)}\n"
        return Response(lines, 200, headers, media_type=NDJSON)
    body = f'{{"items":[{place.events}],"next_cursor":"{place.cursor}"}}'
    return Response(body, 200, headers, media_type=JSON)
