"""Asking for an import: what must be said of a file, who may, and accepting it as an operation."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Actor, Role
from app.domain.base import day_of, new_id
from app.domain.errors import Conflict, Fault, Forbidden, Invalid
from app.domain.operations import Operation, OperationKind, Operations
from app.domain.regions import RegionLevel, Regions
from app.domain.registry_imports import FileOf, RegistryImports
from app.domain.registry_layouts import by_map

IMPORTERS = (*SECRETARIAT, Role.MANAGER)
Mark = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


class ImportRequest(BaseModel):
    """Of what a file is. `whole`: who is no longer in it is no longer in the registry."""

    model_config = ConfigDict(extra="forbid")

    source: Mark
    version: Mark
    as_of: date
    regency: Annotated[str, Field(pattern=r"^\d{2}\.\d{2}$", max_length=5)]
    layout: Literal["auto", "bdt2015", "slrt"] = "auto"
    whole: bool = True
    dry_run: bool = False
    map: Annotated[dict[str, Any], Field(max_length=300)] | None = None

    def file(self) -> FileOf:
        return FileOf(self.source, self.version, self.as_of, self.regency, self.whole)


def check_importer(actor: Actor, regency: str) -> None:
    """The city's secretariat or manager. Raises Forbidden."""
    if actor is not SYSTEM and not actor.holds(regency, *IMPORTERS):
        raise Forbidden("role_not_allowed")


async def accept(
    session: AsyncSession,
    actor: Actor,
    request: ImportRequest,
    input: Mapping[str, Any],
    at: datetime,
) -> Operation:
    """A file is accepted, to be read and applied later; `input` says where it is and how large."""
    check_importer(actor, request.regency)
    regions = await Regions(session).under(request.regency)
    if not regions or regions[0].level is not RegionLevel.REGENCY:
        raise Invalid("unknown_region", (Fault("unknown_region", "/regency"),))
    if request.as_of.year < 1990 or request.as_of > day_of(at):
        raise Invalid("validation_failed", (Fault("invalid", "/as_of"),))
    if request.map is not None:
        by_map(request.map)
    operation = Operation(
        id=new_id(), kind=OperationKind.REGISTRY_IMPORT, regency_code=request.regency,
        params=request.model_dump(mode="json") | dict(input), total=input["size"],
        created_by=actor.id, created_at=at,
    )  # fmt: skip
    newest = await RegistryImports(session, operation.id, request.file()).newest()
    if newest is not None and newest > request.as_of:
        raise Conflict("newer_version_applied")
    await Operations(session).accept(operation)
    return operation
