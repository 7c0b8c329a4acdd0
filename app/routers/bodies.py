"""Reading a body: counted as it arrives, in time, JSON and nothing but JSON."""

import asyncio
import json
import math
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.domain.base import clean, has_forbidden_characters
from app.domain.errors import Fault, Invalid, RequestTimeout, TooLarge, UnsupportedMediaType

JSON_LIMIT = 1024 * 1024
TABLE_LIMIT = 10 * JSON_LIMIT
ARRIVES_WITHIN = 30.0
DEPTH = 32
# A client that is still writing cannot read an answer: what is too much is read and dropped.
DRAINED_AT_MOST = 64 * JSON_LIMIT


async def read(request: Request, limit: int = JSON_LIMIT) -> bytes:
    """The body. Raises TooLarge past `limit` bytes, RequestTimeout after 30 s."""
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) > limit
    chunks, size = [], 0
    try:
        async with asyncio.timeout(ARRIVES_WITHIN):
            async for chunk in request.stream():
                size += len(chunk)
                too_large = too_large or size > limit
                if not too_large:
                    chunks.append(chunk)
                elif size > DRAINED_AT_MOST:
                    break
    except (TimeoutError, ClientDisconnect):
        # Of one that hung up nobody hears; it is no fault of ours that would be logged as such.
        raise RequestTimeout("request_timeout") from None
    if too_large:
        raise TooLarge("body_too_large")
    return b"".join(chunks)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_table(request: Request) -> bool:
    return media_type(request) == "text/csv"


def check_media_type(request: Request) -> None:
    if media_type(request) != "application/json":
        raise UnsupportedMediaType("unsupported_media_type")


def parse(body: bytes) -> tuple[Any, Any]:
    """The JSON as it was sent, and as it is used: in NFC, without bidi overrides.

    Raises Invalid `malformed_json` for what is no I-JSON (NaN, repeated names, lone surrogates)
    and `validation_failed` for characters that no text may hold.
    """
    try:
        sent = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=_no_repetition,
        )
        faults: list[Fault] = []
        used = _cleaned(sent, "", 0, faults)
    except (ValueError, RecursionError):
        raise Invalid("malformed_json") from None
    if faults:
        raise Invalid("validation_failed", tuple(faults[:50]))
    return sent, used


def _refuse(_: str) -> None:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("larger than any number")
    return value


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a repeated name")
    return found


def _cleaned(value: Any, pointer: str, depth: int, faults: list[Fault]) -> Any:
    if depth > DEPTH:
        raise ValueError("too deep")
    if isinstance(value, str):
        if has_forbidden_characters(value):
            faults.append(Fault("character_not_allowed", pointer))
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one, f"{pointer}/{n}", depth + 1, faults) for n, one in enumerate(value)]
    if isinstance(value, dict):
        if any(has_forbidden_characters(name) for name in value):
            faults.append(Fault("character_not_allowed", pointer))
        return {
            name: _cleaned(one, f"{pointer}/{_safe(name)}", depth + 1, faults)
            for name, one in value.items()
        }
    return value


def _safe(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 60 else "?"
