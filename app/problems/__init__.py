"""Errors as RFC 9457 problem documents, for every answer that is not a success."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.domain.errors import DomainError, Fault
from app.problems.catalogue import CATALOGUE, fault_text

logger = logging.getLogger("slrt.problems")
MEDIA_TYPE = "application/problem+json"
ERRORS_AT_MOST = 50
RETRY_SOON = 1
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def language_of(accept: str | None) -> str:
    """`id` unless English is wanted more (RFC 9110, 12.5.4)."""
    best, found = -1.0, "id"
    for part in (accept or "").split(","):
        tag, _, quality = part.strip().partition(";")
        name = tag.strip().lower().split("-")[0]
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if name in ("id", "en") and weight > best and weight > 0:
            best, found = weight, name
    return found


def problem(
    request: Request,
    code: str,
    faults: Sequence[Fault] = (),
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """A problem document in the caller's language; `code` is the same in all."""
    kind = CATALOGUE[code]
    language = language_of(request.headers.get("accept-language"))
    body = document(request, code, faults, status) | extra
    all_headers = {"Content-Language": language, "Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body, status or kind.status, all_headers, media_type=MEDIA_TYPE)


def document(
    request: Request, code: str, faults: Sequence[Fault] = (), status: int | None = None
) -> dict[str, Any]:
    """What a problem document says, also of one item of many."""
    kind = CATALOGUE[code]
    language = language_of(request.headers.get("accept-language"))
    return {
        "type": f"/problems/{code}",
        "title": kind.title(language),
        "status": status or kind.status,
        "detail": kind.advice(language),
        "instance": f"urn:uuid:{request.scope.get('request_id')}",
        "code": code,
        "errors": [_error(fault, language) for fault in faults[:ERRORS_AT_MOST]],
    }


def _error(fault: Fault, language: str) -> dict[str, str]:
    place = (
        {"parameter": fault.parameter}
        if fault.parameter is not None
        else {"pointer": fault.pointer or ""}
    )
    return {
        **place,
        "code": fault.code,
        "detail": fault_text(fault.code, fault.params, language),
    }


async def on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if CATALOGUE[error.code].status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="slrt"'
    return problem(request, error.code, error.faults, headers=headers, **error.extra)


# What pydantic calls an error, and what we call it. Types that are not named are `invalid`.
FAULT_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_few",
    "too_long": "too_many",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "less_than": "too_large",
    "less_than_equal": "too_large",
    "string_pattern_mismatch": "invalid_format",
    "uuid_parsing": "invalid_format",
    "enum": "not_an_option",
    "literal_error": "not_an_option",
    "union_tag_not_found": "unknown_test",
    "timezone_aware": "offset_required",
    "datetime_parsing": "invalid_datetime",
    "datetime_from_date_parsing": "invalid_datetime",
    "datetime_object_invalid": "invalid_datetime",
    "date_from_datetime_parsing": "invalid_format",
    "string_type": "wrong_type",
    "int_type": "wrong_type",
    "int_parsing": "wrong_type",
    "int_from_float": "wrong_type",
    "float_type": "wrong_type",
    "bool_type": "wrong_type",
    "bool_parsing": "wrong_type",
    "list_type": "wrong_type",
    "dict_type": "wrong_type",
    "model_type": "wrong_type",
    "model_attributes_type": "wrong_type",
    "uuid_type": "wrong_type",
    "datetime_type": "wrong_type",
}
LIMITS = {
    "expected": "options", "min_length": "min", "max_length": "max",
    "ge": "min", "gt": "min", "le": "max", "lt": "max",
}  # fmt: skip


def fault_of(error: Mapping[str, Any], skip: int = 1) -> Fault:
    """One pydantic error as a fault. What was typed is left out: it may be personal data."""
    context = error.get("ctx") or {}
    code = FAULT_CODES.get(error["type"], "invalid")
    if error["type"] == "value_error":
        said = str(context.get("error", ""))
        code = said if said.replace("_", "").isalpha() and said.islower() else "invalid"
    limits = {LIMITS[name]: value for name, value in context.items() if name in LIMITS}
    place = error["loc"]
    if place and place[0] in ("query", "header", "path", "cookie"):
        return Fault(code, parameter=str(place[-1]), params=limits)
    # What only tells the branches of a union apart is no part of the JSON.
    path = [
        str(part).replace("~", "~0").replace("/", "~1")[:100]
        for part in place[skip:]
        if not str(part).startswith(":")
    ]
    # The name of an unknown field is somebody's typing, too.
    if code == "unknown_field" and path and not path[-1].isidentifier():
        path.pop()
    return Fault(code, "".join(f"/{part}" for part in path), params=limits)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """A malformed id is not found; a bad query or header is 400; a bad body is 422."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    sources = {item["loc"][0] for item in errors if item["loc"]}
    if "path" in sources:
        return problem(request, "not_found")
    if sources & {"query", "header", "cookie"}:
        faults = [fault_of(item) for item in errors if item["loc"][0] != "body"]
        return problem(request, "parameter_invalid", faults)
    faults = [fault_of(item) for item in errors]
    if any(fault.pointer == "/action" and fault.code == "not_an_option" for fault in faults):
        return problem(request, "unknown_action", faults)
    return problem(request, "validation_failed", faults)


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "http_error")
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return problem(request, code, status=error.status_code, headers=headers)


def _allowed(request: Request) -> str:
    """The methods of a path, of all its routes: the framework names those of the first alone."""
    where = {"type": "http", "path": request.scope["path"], "headers": []}
    return ", ".join(
        method
        for method in METHODS
        if any(
            route.matches(where | {"method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    )


BUSY = (
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.QueryCanceledError,
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
)


def unavailable(error: BaseException) -> str | None:
    """The problem's code where the database is away or busy; None for any other error."""
    if isinstance(error, sa.exc.TimeoutError):
        return "busy"
    if isinstance(error, sa.exc.DBAPIError):
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, BUSY):
            return "busy"
        lost = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)
        if error.connection_invalidated or isinstance(cause, lost):
            return "database_unavailable"
        return _by_state(cause)
    gone = (OSError, asyncio.TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
    if isinstance(error, gone):
        return "database_unavailable"
    return _by_state(error)


def _by_state(error: BaseException | None) -> str | None:
    """By the SQLSTATE class: the server is away or full, or its tables are not made yet."""
    state = getattr(error, "sqlstate", None) or ""
    if state in ("42P01", "42883"):
        return "not_ready"
    return "database_unavailable" if state[:2] in ("57", "53", "08") else None


async def on_crash(request: Request, error: Exception) -> Response:
    if code := unavailable(error):
        logger.warning("the database does not answer", extra={"error": type(error).__name__})
        return problem(request, code, headers={"Retry-After": str(RETRY_SOON)})
    logger.error("unexpected error", exc_info=error)
    return problem(request, "internal_error")


def install(app: FastAPI) -> None:
    app.add_exception_handler(DomainError, on_domain_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    for kind in (sa.exc.SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        app.add_exception_handler(kind, on_crash)
    app.add_exception_handler(Exception, on_crash)
