"""Imports of the registry over HTTP: a file is accepted, and read and applied afterwards."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from app.domain.errors import Fault, Forbidden, Invalid
from app.domain.operations import Operations
from app.problems import fault_of
from app.routers.bodies import Upload
from app.routers.deps import CurrentActor, CurrentVisit, Now, Retrying, Session
from app.routers.doors import CREATES, FileDoor
from app.routers.operations import OperationRead, answer
from app.workflow.imports.requests import IMPORTERS, ImportRequest, accept

router = APIRouter(prefix="/v1", tags=["registry"], route_class=FileDoor)
FORM = {
    "type": "object",
    "required": ["file", "source", "version", "as_of"],
    "properties": {
        "file": {"type": "string", "format": "binary", "maxLength": 64 * 1024 * 1024},
        "source": {"type": "string", "maxLength": 40},
        "version": {"type": "string", "maxLength": 40},
        "as_of": {"type": "string", "format": "date"},
        "regency": {"type": "string", "maxLength": 5},
        "layout": {"type": "string", "enum": ["auto", "bdt2015", "slrt"]},
        "whole": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
        "map": {"type": "string", "maxLength": 100_000},
    },
}


@router.post(
    "/registry/imports",
    status_code=202,
    response_model=OperationRead,
    openapi_extra={
        CREATES: "operation",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}},
    },
)
async def import_registry(
    request: Request,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """A file of the registry, CSV or xlsx: accepted as an operation. `map` is a column map."""
    upload: Upload = visit.sent
    regions = actor.regions(*IMPORTERS)
    if not regions:
        raise Forbidden("role_not_allowed")
    wanted = _request(upload.fields, next((one for one in regions if one.count(".") == 1), ""))
    known = await retry.known()
    operations = Operations(session)
    if known is not None:
        found = await operations.find(known.ids["operation_id"])
        return answer(request, found, 202, replayed=True)
    source = {"local": False, "size": upload.size, "digest": upload.digest}
    operation = await accept(session, actor, wanted, source, now)
    await operations.store(operation.id, upload.file)
    retry.remember(202, operation_id=operation.id)
    return answer(request, operation, 202)


def _request(fields: dict[str, str], regency: str) -> ImportRequest:
    sent: dict[str, Any] = {"regency": regency} | fields
    if "map" in sent:
        try:
            sent["map"] = json.loads(sent["map"])
        except (ValueError, RecursionError):
            raise Invalid("map_invalid", (Fault("invalid", "/map"),)) from None
    try:
        return ImportRequest.model_validate(sent)
    except ValidationError as error:
        faults = tuple(fault_of(item, skip=0) for item in error.errors()[:50])
        raise Invalid("validation_failed", faults) from None
