"""The contract: the OpenAPI document of the app, with what every call has in common."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from app.problems.catalogue import CATALOGUE
from app.routers.actions import Asked
from app.routers.complaints.requests import ActionRequest
from app.routers.devices import DeviceActionRequest
from app.routers.doors import CREATES, Door, OpenDoor, takes_key
from app.routers.referral_answers import ReferralActionItem
from app.routers.referrals import ReferralActionRequest
from app.routers.registry_changes import ChangeActionRequest
from app.routers.visits.requests import VisitActionRequest
from app.routers.webhooks.reads import Ping

# Where `data` is another thing for every action.
ASKED: tuple[type[Asked], ...] = (
    ActionRequest,
    ReferralActionRequest,
    ReferralActionItem,
    VisitActionRequest,
    ChangeActionRequest,
    DeviceActionRequest,
)
DESCRIPTION = """\
The open backend for Indonesia's integrated referral service (SLRT): a complaint goes in, an answer
comes out, and nobody is forgotten in between.

Errors are RFC 9457 problem documents with a stable `code`; see `/problems/{code}`. Single resources
carry an `ETag`; changes and actions by people need it in `If-Match`. Writes take an
`Idempotency-Key`; filing, checks and referrals need one. Tablets number every write by `Device-Id`
and `Device-Sequence`. Lists are keyset pages with `next_cursor`.
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
        "highest_sequence": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1_000_000_000,
            "description": "Of `device_sequence_taken`: the highest number of the tablet.",
        },
        "versions": {
            "type": "object",
            "maxProperties": 10,
            "description": "Of a stale survey: the version it was `sent` over, the one `present`,"
            " `saved_at` and `saved_by`; `errors` point to where they differ.",
        },
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
# What every write may come with; the door reads them, `arrivals` says how.
FROM_TABLET: list[dict[str, Any]] = [
    {
        "name": "Device-Id",
        "in": "header",
        "description": "The tablet that the write comes from; with `Device-Sequence`.",
        "schema": {"type": "string", "format": "uuid"},
    },
    {
        "name": "Device-Sequence",
        "in": "header",
        "description": "The tablet's number for it, from 1 on, one by one. The same number with the"
        " same content is a replay, with other content 409 `device_sequence_taken`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000_000},
    },
]
HEADERS = {
    "ETag": "The version, for If-Match.",
    "Location": "Where the new thing is.",
    "Link": 'The next page, rel="next".',
    "Idempotency-Replayed": "true where an earlier request under the key had done it.",
    "Retry-After": "Seconds to wait before trying again.",
    "RateLimit": "What is left of the rate, and seconds until all of it is back.",
}
# What is sent to webhook endpoints; `webhook-signature` as Standard Webhooks has it.
SENT = {
    "event": (
        "CloudEvent",
        "An event, as the feed has it, to those whose endpoint asks for it and who may see it.",
    ),
    "ping": ("Ping", "A test, when its keeper asks for one."),
}
SENT_HEADERS = {
    "webhook-id": "The id of the message: the same in every attempt. Handle each id once.",
    "webhook-timestamp": "Seconds since 1970, when this attempt was made. Refuse what is old.",
    "webhook-signature": "By spaces, `v1,` and a signature for each secret that is good now.",
}
# Calls beside PUT, PATCH and DELETE that change what If-Match names.
CHANGING = ("/actions", "/rotate-secret")
# Calls that take a table (CSV) beside JSON.
TABLES = (
    ("/v1/dispatches/{dispatch_id}/acknowledgements", "POST"),
    ("/v1/referrals/answers", "POST"),
)
# Calls that find what an earlier one made, under any key.
KNOWN_BEFORE = {
    ("/v1/complaints", "POST"): "Filed before under the same client_ref, with the same content.",
    ("/v1/complaints/{complaint_id}/documents", "POST"): "The same file was uploaded before.",
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
    ping = Ping.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas |= ping.pop("$defs") | {"Ping": ping}
    document["webhooks"] = {name: {"post": _sent(name, *said)} for name, said in SENT.items()}
    for asked in ASKED:
        _describe_data(schemas, schemas[asked.__name__]["properties"], asked.DATA)
    for route in _routes(app):
        for method in route.methods or ():
            operation = document["paths"][route.path][method.lower()]
            _describe(operation, route, method)
    return document


def _sent(name: str, schema: str, what: str) -> dict[str, Any]:
    """A call that we make, in the contract."""
    return {
        "operationId": f"{name}_webhook",
        "summary": what,
        "tags": ["integrators"],
        "parameters": [
            {
                "name": header, "in": "header", "required": True, "description": text,
                "schema": {"type": "string", "maxLength": 200},
            }
            for header, text in SENT_HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}
            },
        },
        "responses": {
            "2XX": {"description": "Taken; answer within 15 s, and work afterwards."},
            "410": {"description": "Send nothing more: the endpoint is disabled."},
            "default": {"description": "Sent again later, ten times over 75 hours."},
        },
    }  # fmt: skip


def _describe_data(
    schemas: dict[str, Any], properties: dict[str, Any], table: Mapping[Any, type[BaseModel]]
) -> None:
    """Say what `data` holds for each action: the model that checks it."""
    lines = []
    for action, model in table.items():
        made = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= made.pop("$defs", {})
        schemas[model.__name__] = made
        lines.append(f"- `{action}`: `{model.__name__}`")
    refs = [
        {"$ref": f"#/components/schemas/{one.__name__}"} for one in dict.fromkeys(table.values())
    ]
    properties["data"] = {
        "anyOf": [*refs, {"type": "object", "maxProperties": 0}, {"type": "null"}],
        "description": "By action:\n" + "\n".join(lines) + "\n\nThe others take none.",
    }


def _routes(app: FastAPI) -> list[APIRoute]:
    found = [context.original_route for context in iter_route_contexts(app.routes)]
    return [one for one in found if isinstance(one, APIRoute) and one.include_in_schema]


def _describe(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    creates = operation.pop(CREATES, None) is not None
    changes = method in ("PUT", "PATCH", "DELETE") or route.path.endswith(CHANGING)
    responses = operation["responses"]
    responses.pop("422", None)
    for status in sorted(_statuses(route, method, changes)):
        responses[status] = {
            "description": f"A problem: {_codes(int(status))}.",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
    if isinstance(route, Door) and not isinstance(route, OpenDoor):
        operation["security"] = [{"bearer": []}]
        more: list[dict[str, Any]] = [KEY | {"required": creates}] if method != "GET" else []
        more += FROM_TABLET if method != "GET" and takes_key(route.dependant) else []
        more += [MATCH | {"required": False}] if changes else []
        if parameters := operation.get("parameters", []) + more:
            operation["parameters"] = parameters
    elif isinstance(route, OpenDoor) and takes_key(route.dependant):
        more = [KEY | {"required": creates}] + ([MATCH | {"required": False}] if changes else [])
        operation["parameters"] = operation.get("parameters", []) + more
    for status, answer in responses.items():
        if names := _headers(status, route, method):
            schema = {"type": "string", "maxLength": 1100}
            answer["headers"] = {
                name: {"description": HEADERS[name], "schema": schema} for name in names
            }
    _describe_oddities(operation, route.path, method)


def _statuses(route: APIRoute, method: str, changes: bool) -> set[str]:
    if not isinstance(route, Door):
        return {"500", "503"} if route.path == "/readyz" else {"500"}
    if changes:
        return CHANGE_STATUSES
    return READ_STATUSES if method == "GET" else WRITE_STATUSES


def _describe_oddities(operation: dict[str, Any], path: str, method: str) -> None:
    """What single calls have of their own."""
    responses = operation["responses"]
    if (path, method) in KNOWN_BEFORE:
        responses["200"] = responses["201"] | {"description": KNOWN_BEFORE[path, method]}
    if path.endswith("/documents/{document_id}/content"):
        responses["200"]["headers"]["Content-Disposition"] = {
            "description": "An attachment, and the name of its file.",
            "schema": {"type": "string", "maxLength": 100},
        }  # fmt: skip
    if path == "/metrics":
        text = {"type": "string", "maxLength": 10**6}
        responses["200"]["content"] = {"text/plain": {"schema": text}}
    if path == "/v1/dispatches/{dispatch_id}/file":
        file = {"type": "string", "maxLength": 10**8}
        responses["200"]["content"] = {
            "text/csv": {"schema": file},
            "application/json": {"schema": {"type": "object", "maxProperties": 10}},
        }
        digest = {"type": "string", "maxLength": 100}
        for name, what in (
            ("Content-Disposition", "The name of the file."),
            ("Repr-Digest", "Its SHA-256 (RFC 9530)."),
        ):
            responses["200"]["headers"][name] = {"description": what, "schema": digest}
    if (path, method) in TABLES:
        table = {"type": "string", "maxLength": 10 * 1024 * 1024}
        operation["requestBody"]["content"]["text/csv"] = {"schema": table}
    if path == "/v1/auth/token":
        operation["security"] = [{}, {"basic": []}]


def _headers(status: str, route: APIRoute, method: str) -> list[str]:
    """The headers of an answer that a client should know of."""
    if status in ("409", "429", "503"):
        return ["Retry-After"]
    if not isinstance(route, Door) or not status.startswith("2"):
        return []
    if status == "204":
        return ["RateLimit"]
    # A delivery has no version: nobody changes one.
    single = route.path.endswith(("_id}", "/survey", *CHANGING)) or status == "201"
    single = single and not route.path.endswith("/{delivery_id}")
    found = ["ETag"] if single else []
    if "Page" in str(route.response_model):
        found.append("Link")
    if status == "201":
        found.append("Location")
    if method != "GET" and not isinstance(route, OpenDoor):
        found.append("Idempotency-Replayed")
    return found if isinstance(route, OpenDoor) else [*found, "RateLimit"]


def _codes(status: int) -> str:
    return ", ".join(kind.code for kind in CATALOGUE.values() if kind.status == status)
