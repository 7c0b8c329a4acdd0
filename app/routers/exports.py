"""Exports over HTTP: a snapshot as lines or as a table, with the cursor to follow it from."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.domain import exports
from app.domain.actors import Actor
from app.domain.base import slrt_now
from app.domain.errors import Forbidden, Unavailable
from app.domain.exports import EXPORTS, Export, ExportPurpose
from app.domain.feed import Feed
from app.routers.deps import CurrentActor, CurrentVisit, CurrentWiring, Now
from app.routers.doors import Door, Wiring
from app.routers.feed import CURSOR_EXAMPLE, FeedCursors, last_line, number
from app.routers.replies import CSV, NDJSON, preferred
from app.workflow import exports as verbs
from app.workflow.dispatches.files import plain

router = APIRouter(prefix="/v1", tags=["integrators"], route_class=Door)
CURSOR_HEADER = "Feed-Cursor"
BUSY_FOR = 10
BOUND = 10**9


class Download(StreamingResponse):
    """A stream that gives back what it holds, however it ends."""

    def __init__(self, stack: AsyncExitStack, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stack:
            await super().__call__(scope, receive, send)


async def give(
    export: Export, request: Request, wiring: Wiring, actor: Actor, id: UUID
) -> Response:
    """The snapshot, as lines or as a table. It holds one connection until its end."""
    if wiring.exports.locked():
        raise Unavailable("busy", retry_after=BUSY_FOR)
    async with AsyncExitStack() as stack:
        await wiring.exports.acquire()
        stack.callback(wiring.exports.release)
        # What has happened until now is then before the cursor, and need not be followed.
        epoch = (await number(wiring.sessions)).epoch
        session = await stack.enter_async_context(wiring.sessions())
        await exports.freeze(session)
        at = await slrt_now(session)
        position = (await Feed(session).stand()).newest
        cursor = FeedCursors(wiring.keys.data.cursor, actor.id).make(epoch, position, at)
        parts = exports.rows(session, export, actor)
        media_type = preferred(request, NDJSON, CSV)
        write = {NDJSON: _lines, CSV: _table}[media_type]

        async def body() -> AsyncIterator[str]:
            count = 0
            if media_type == CSV:
                yield _table(export, [])
            async for part in parts:
                count += len(part)
                yield write(export, part)
            # Logged as whole before it says so.
            async with wiring.sessions.begin() as session:
                verbs.end(session, id, actor, count, await slrt_now(session))
            if media_type == NDJSON:
                yield last_line(count, cursor) + "\n"

        headers = {CURSOR_HEADER: cursor, "Content-Disposition": "attachment"}
        return Download(stack.pop_all(), body(), headers=headers, media_type=media_type)


def _lines(_: Export, rows: Sequence[str]) -> str:
    return "\n".join((*rows, ""))


def _table(export: Export, rows: Sequence[str]) -> str:
    """Rows of a table; without any, the names of its columns."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if not rows:
        writer.writerow(name.replace(".", "_") for name in export.fields)
    for row in rows:
        found = json.loads(row)
        writer.writerow(_cell(found, name) for name in export.fields)
    return text.getvalue()


def _cell(row: Any, name: str) -> str:
    for part in name.split("."):
        row = row[part]
    if row is None:
        return ""
    return plain(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False))


def _add(export: Export) -> None:
    async def get_export(
        request: Request,
        visit: CurrentVisit,
        actor: CurrentActor,
        wiring: CurrentWiring,
        now: Now,
        purpose: Annotated[
            ExportPurpose, Query(description="What it is for: stands in the log with who took it.")
        ] = ExportPurpose.SERVICE,
    ) -> Response:
        if not export.may(actor):
            raise Forbidden("role_not_allowed")
        format = preferred(request, NDJSON, CSV)
        id = verbs.begin(visit.session, actor, export.name, purpose, format, now)
        # Logged whatever comes; and the call's own connection goes back.
        await visit.let_go()
        return await give(export, request, wiring, actor, id)

    get_export.__doc__ = (
        f"{export.about}\n\nOf one moment; `{CURSOR_HEADER}` and the last line say from where"
        " the feed goes on. A stream without its last line (`_end`) is not whole: ask again."
    )
    end = last_line(0, CURSOR_EXAMPLE)
    router.add_api_route(
        f"/exports/{export.name}",
        get_export,
        name=f"export_{export.name}",
        response_class=Response,
        responses={
            200: {
                "description": "The export.",
                "content": {
                    NDJSON: {"schema": {"type": "string", "maxLength": BOUND, "example": end}},
                    CSV: {"schema": {"type": "string", "maxLength": BOUND}},
                },
            }
        },
    )


for one in EXPORTS:
    _add(one)
