"""The contract: the OpenAPI document of the app, with what every call has in common."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.problems.catalogue import CATALOGUE
from app.routers.doors import CREATES, Door, OpenDoor

DESCRIPTION = """\
The open backend for Indonesia's integrated referral service (SLRT): a complaint goes in, an answer
comes out, and nobody is forgotten in between.

Errors are RFC 9457 problem documents with a stable `code`; see `/problems/{code}`. Single resources
carry an `ETag`; changes and actions by people need it in `If-Match`. Writes take an
`Idempotency-Key`, and those that create things need one. Lists are keyset pages with `next_cursor`.
Clients must accept fields and enum values they do not know."""

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "errors"],
    "properties": {
        "type": {"type": "string", "maxLength": 100},
        "title": {"type": "string", "maxLength": 200},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "maxLength": 1000},
        "instance": {"type": "string", "maxLength": 60},
        "code": {"type": "string", "maxLength": 60},
        "errors": {
            "type": "array",
            "maxItems": 50,
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "maxLength": 500},
                    "parameter": {"type": "string", "maxLength": 100},
                    "code": {"type": "string", "maxLength": 60},
                    "detail": {"type": "string", "maxLength": 1000},
                },
            },
        },
    },
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes a retry safe: the same key with the same content gives the same answer.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,128}$", "maxLength": 128},
}
MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag last read. Required of people; clients may omit it on actions.",
    "schema": {"type": "string", "maxLength": 32},
}
READ_STATUSES = {"400", "401", "403", "404", "429", "500", "503"}
WRITE_STATUSES = READ_STATUSES | {"408", "409", "413", "415", "422"}
CHANGE_STATUSES = WRITE_STATUSES | {"412", "428"}


def customise(app: FastAPI) -> None:
    """Let the app answer this contract at /openapi.json."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(made(), app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    document["info"]["description"] = DESCRIPTION
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    for route in _routes(app):
        for method in route.methods or ():
            operation = document["paths"][route.path][method.lower()]
            _describe(operation, route, method)
    return document


def _routes(app: FastAPI) -> list[APIRoute]:
    found = [context.original_route for context in iter_route_contexts(app.routes)]
    return [one for one in found if isinstance(one, APIRoute) and one.include_in_schema]


def _describe(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    creates = operation.pop(CREATES, None)
    responses = operation["responses"]
    responses.pop("422", None)
    changes = method in ("PUT", "PATCH") or route.path.endswith("/actions")
    if not isinstance(route, Door):
        statuses = {"500"} if route.path != "/readyz" else {"500", "503"}
    elif changes:
        statuses = CHANGE_STATUSES
    else:
        statuses = READ_STATUSES if method == "GET" else WRITE_STATUSES
    for status in sorted(statuses):
        responses[status] = {
            "description": f"A problem: {_codes(int(status))}.",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
    if isinstance(route, Door) and not isinstance(route, OpenDoor):
        operation["security"] = [{"bearer": []}]
        parameters = operation.setdefault("parameters", [])
        if method != "GET":
            parameters.append(KEY | {"required": creates is not None})
        if changes:
            parameters.append(MATCH | {"required": False})
        if not parameters:
            operation.pop("parameters")
    if route.path == "/v1/auth/token":
        operation["security"] = [{}, {"basic": []}]


def _codes(status: int) -> str:
    return ", ".join(kind.code for kind in CATALOGUE.values() if kind.status == status)
