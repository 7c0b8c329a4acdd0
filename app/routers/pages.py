"""Keyset pages: no counting, no drifting, and a cursor that only this server can make."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field

from app.domain.errors import BadRequest

Item = TypeVar("Item")
MAC_BYTES = 12


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


def cut(rows: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """The page out of `limit + 1` rows, and whether there is another one."""
    return rows[:limit], len(rows) > limit


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The Link header to the next page (RFC 8288), relative to this one."""
    if cursor is None:
        return {}
    query = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
    return {"Link": f'<{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}
