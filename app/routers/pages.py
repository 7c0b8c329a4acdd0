"""Keyset pages: no counting, no drifting, and a cursor that only this server can make."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field

from app.domain.errors import BadRequest
from app.routers.replies import reply

Item = TypeVar("Item")
MAC_BYTES = 12
# Stands for no date, and sorts behind every one: as `complaints.FAR` does in the database.
FAR = datetime(2200, 1, 1, tzinfo=UTC)


class Page(BaseModel, Generic[Item]):
    """One page. `next_cursor` is null at the end."""

    items: Annotated[list[Item], Field(json_schema_extra={"maxItems": 200})]
    next_cursor: Annotated[str, Field(json_schema_extra={"maxLength": 1000})] | None


class Signed:
    """Makes and reads cursors that are good for one use alone, the one they are bound to."""

    def __init__(self, key: bytes, bound_to: bytes) -> None:
        self.key = key
        self.bound_to = bound_to

    def make(self, *place: Any) -> str:
        plain = json.dumps([_plain(value) for value in place], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(plain) + plain).decode().rstrip("=")

    def read(self, cursor: str | None, *kinds: Callable[[str], Any]) -> list[Any] | None:
        """The place a cursor names; None without one. Raises BadRequest `cursor_invalid`."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            mac, plain = raw[:MAC_BYTES], raw[MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(plain)):
                raise ValueError("not ours")
            return [kind(value) for kind, value in zip(kinds, json.loads(plain), strict=True)]
        except ValueError:
            raise BadRequest("cursor_invalid") from None

    def _mac(self, plain: bytes) -> bytes:
        signed = self.bound_to + b"\n" + plain
        return hmac.new(self.key, signed, hashlib.sha256).digest()[:MAC_BYTES]


class Cursors(Signed):
    """The cursors of one listing: bound to its path and filters.

    A search has its filters in the body: `body` is a digest of it.
    """

    def __init__(self, key: bytes, request: Request, body: bytes = b"") -> None:
        filters = sorted(
            (name, value)
            for name, value in request.query_params.multi_items()
            if name not in ("cursor", "limit")
        )
        super().__init__(key, json.dumps([request.url.path, filters]).encode() + body)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The Link header to the next page (RFC 8288), relative to this one."""
    if cursor is None:
        return {}
    query = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
    return {"Link": f'<{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a listing is asked for, and how it is answered. `body` is a search's."""

    request: Request
    key: bytes
    limit: int
    cursor: str | None
    body: bytes = b""

    def bound_to(self, body: bytes) -> "Paging":
        """The pages of a search: its cursors are good for the same body only."""
        return replace(self, body=body)

    @property
    def rows(self) -> int:
        """How many rows to read: one more than is shown says whether there is another page."""
        return self.limit + 1

    def after(self, *kinds: Callable[[str], Any]) -> Any:
        """The place of the row to go on after: a value, or a tuple of several kinds.

        None at the beginning. Raises BadRequest `cursor_invalid`.
        """
        place = self._cursors.read(self.cursor, *kinds)
        if place is None:
            return None
        return place[0] if len(kinds) == 1 else tuple(place)

    def cut(
        self, rows: Sequence[Item], place: Callable[[Item], Any]
    ) -> tuple[Sequence[Item], str | None]:
        """The page, and the cursor behind it; `place` says of a row what `after` is to give."""
        page = rows[: self.limit]
        if len(rows) == len(page):
            return page, None
        last = place(page[-1])
        return page, self._cursors.make(*(last if isinstance(last, tuple) else (last,)))

    def link(self, following: str | None) -> dict[str, str]:
        return next_link(self.request, following)

    def answer(
        self, page: type[Page[Item]], items: Sequence[Item], following: str | None
    ) -> Response:
        body = page.model_construct(items=list(items), next_cursor=following)
        return reply(body, headers=self.link(following))

    @property
    def _cursors(self) -> Cursors:
        return Cursors(self.key, self.request, self.body)
