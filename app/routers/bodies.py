"""Reading a body: counted as it arrives, in time, JSON and nothing but JSON."""

import asyncio
import hashlib
import json
import math
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import IO, Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from app.domain.base import clean, has_forbidden_characters
from app.domain.errors import Fault, Invalid, RequestTimeout, TooLarge, UnsupportedMediaType
from app.routers.results import Malformed

JSON_LIMIT = 1024 * 1024
TABLE_LIMIT = 10 * JSON_LIMIT
ARRIVES_WITHIN = 30.0
DEPTH = 32
INSIDE = re.compile(r"/items/(\d+)(.*)")
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


UPLOAD_LIMIT = 64 * 1024 * 1024
UPLOAD_WITHIN = 120.0
FORM_FIELDS = 20


@dataclass(slots=True)
class Upload:
    """A form with one file, as it arrived: the file lies on disk, its parts are counted."""

    fields: dict[str, str]
    file: IO[bytes]
    size: int
    digest: str

    def fingerprint(self) -> bytes:
        """What makes two uploads the same; how the parts are separated does not matter."""
        parts = [*sorted(self.fields.items()), self.digest]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


async def read_upload(request: Request) -> Upload:
    """A multipart form with a part `file`.

    Raises TooLarge past 64 MiB, RequestTimeout after 120 s, UnsupportedMediaType for no form.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("form_required")
    counted = _Counted(request)
    try:
        async with asyncio.timeout(UPLOAD_WITHIN):
            form = await MultiPartParser(
                request.headers, counted.stream(), max_files=1, max_fields=FORM_FIELDS
            ).parse()
    except (TimeoutError, ClientDisconnect):
        raise RequestTimeout("request_timeout") from None
    except (MultiPartException, KeyError, UnicodeDecodeError):
        if counted.too_large:
            raise TooLarge("file_too_large") from None
        raise Invalid("malformed_form") from None
    try:
        if counted.too_large:
            raise TooLarge("file_too_large")
        return await _uploaded(form)
    except Exception:
        await form.close()
        raise


async def _uploaded(form: FormData) -> Upload:
    fields: dict[str, str] = {}
    found: UploadFile | None = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            found = value if name == "file" else None
        elif name in fields or has_forbidden_characters(name + value):
            raise Invalid("malformed_form")
        else:
            fields[name] = clean(value)
    if found is None:
        raise Invalid("validation_failed", (Fault("missing", "/file"),))
    file: IO[bytes] = found.file
    size, digest = await asyncio.to_thread(digest_of, file)
    return Upload(fields, file, size, digest)


def digest_of(file: IO[bytes]) -> tuple[int, str]:
    """How large a file is, and its SHA-256."""
    file.seek(0)
    size, digest = 0, hashlib.sha256()
    while piece := file.read(JSON_LIMIT):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


class _Counted:
    """The body as it arrives; past the limit it is read and dropped."""

    def __init__(self, request: Request) -> None:
        self.request, self.size = request, 0

    @property
    def too_large(self) -> bool:
        return self.size > UPLOAD_LIMIT + JSON_LIMIT

    async def stream(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self.request.stream():
            self.size += len(chunk)
            if not self.too_large:
                yield chunk
            elif self.size > 4 * UPLOAD_LIMIT:
                break


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_table(request: Request) -> bool:
    return media_type(request) == "text/csv"


def check_media_type(request: Request) -> None:
    if media_type(request) != "application/json":
        raise UnsupportedMediaType("unsupported_media_type")


def parse(body: bytes, item_by_item: bool = False) -> tuple[Any, Any]:
    """The JSON as it was sent, and as it is used: in NFC, without bidi overrides.

    Raises Invalid `malformed_json` for what is no I-JSON (NaN, repeated names, lone surrogates)
    and `validation_failed` for characters that no text may hold. Where `items` are taken one by
    one, an item with such characters becomes Malformed, and the others stay as they are.
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
    if item_by_item:
        faults = _refused_alone(used, faults)
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


def _refused_alone(used: Any, faults: list[Fault]) -> list[Fault]:
    """Put Malformed in the place of each item with faults; what is left is about the whole."""
    found: dict[int, list[Fault]] = {}
    left = []
    for fault in faults:
        if inside := INSIDE.match(fault.pointer or ""):
            found.setdefault(int(inside[1]), []).append(replace(fault, pointer=inside[2]))
        else:
            left.append(fault)
    for n, mine in found.items():
        used["items"][n] = Malformed(tuple(mine))
    return left


def _safe(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 60 else "?"
