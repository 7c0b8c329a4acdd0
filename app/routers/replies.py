"""Answers: a model written once, with its version, place and caching."""

import hashlib
import re
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"


def preferred(request: Request, *offered: str) -> str:
    """The media type that the caller accepts most; the first one where it names none of them."""
    best, found = 0.0, offered[0]
    for part in request.headers.get("accept", "").split(","):
        name, _, rest = part.strip().partition(";")
        quality = rest.strip().removeprefix("q=")
        weight = float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 1.0
        if (kind := name.strip().lower()) in offered and weight > best:
            best, found = weight, kind
    return found


def reply(
    model: BaseModel,
    status: int = 200,
    *,
    version: int | None = None,
    location: str | None = None,
    replayed: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """A JSON answer; `version` becomes its ETag."""
    found = dict(headers or {})
    if version is not None:
        found["ETag"] = f'"{version}"'
    if location is not None:
        found["Location"] = location
    if replayed:
        found["Idempotency-Replayed"] = "true"
    return Response(model.model_dump_json(by_alias=True), status, found, media_type=JSON)


def reference(
    request: Request,
    model: BaseModel,
    headers: dict[str, str] | None = None,
    version: int | None = None,
) -> Response:
    """Reference data: cached for an hour, and 304 for who has it.

    What somebody may change has its `version` as ETag, all else a digest of its content.
    """
    return kept(request, model.model_dump_json(by_alias=True).encode(), JSON, headers, version)


def kept(
    request: Request,
    body: bytes,
    media_type: str,
    headers: dict[str, str] | None = None,
    version: int | None = None,
) -> Response:
    """As `reference`, whatever it is written in."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:20] if version is None else version}"'
    found: dict[str, Any] = {
        "ETag": etag,
        "Cache-Control": "public, max-age=3600",
        **(headers or {}),
    }
    # Compared weakly (RFC 9110, 13.1.2): a proxy that compresses makes an ETag weak.
    sent = request.headers.get("if-none-match", "").split(",")
    known = [tag.strip().removeprefix("W/") for tag in sent]
    if etag in known or "*" in known:
        return Response(None, 304, found)
    return Response(body, 200, found, media_type=media_type)
