"""The catalogue of programmes: read by all, kept by their managers."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from app.domain.base import line, text
from app.domain.programs import Program, Programs, ProgramScope, ProgramUnit, ProgramVersion
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    PathName,
    Retrying,
    Session,
    read_version,
)
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.replies import reference, reply
from app.routers.resources import Code, Count, Line, Moment, Paragraph, Word
from app.workflow import programs

router = APIRouter(prefix="/v1", tags=["programmes"], route_class=Door)


class ProgramRead(BaseModel):
    """A programme of the catalogue. `active` and its validity say whether it can be had now."""

    code: Code
    version: Count
    name_id: Line
    name_en: Line
    scope: ProgramScope
    unit: ProgramUnit
    active: bool
    agency: Line
    contact: Line
    benefit_type: Line
    benefit: Paragraph
    target_criteria: Paragraph
    rule_hint: Paragraph
    required_docs: Paragraph
    period: Line
    valid_from: date | None
    valid_until: date | None
    status_note: Line
    unit_note: Line
    one_of_28: Word
    criteria_evidence: Line
    updated_at: Moment


class ProgramVersionRead(BaseModel):
    """What the catalogue said of a programme; `changed_by` is null for what ships with slrt."""

    version: Count
    content: Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 50})]
    changed_at: Moment
    changed_by: UUID | None


def _or_empty(length: int) -> Any:
    return Annotated[str, StringConstraints(strip_whitespace=True, max_length=length)]


class ProgramChanges(BaseModel):
    """What a programme's manager may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name_id: line(200) = None  # type: ignore[valid-type]
    name_en: line(200) = None  # type: ignore[valid-type]
    active: StrictBool = None  # type: ignore[assignment]
    agency: line(200) = None  # type: ignore[valid-type]
    contact: _or_empty(300) = None  # type: ignore[valid-type]
    benefit_type: line(200) = None  # type: ignore[valid-type]
    benefit: _or_empty(1000) = None  # type: ignore[valid-type]
    target_criteria: text(2000) = None  # type: ignore[valid-type]
    required_docs: text(1000) = None  # type: ignore[valid-type]
    period: line(300) = None  # type: ignore[valid-type]
    valid_from: date | None = None
    valid_until: date | None = None
    status_note: _or_empty(300) = None  # type: ignore[valid-type]
    unit_note: _or_empty(300) = None  # type: ignore[valid-type]


@router.get("/programs", response_model=Page[ProgramRead], tags=["reference data"])
async def list_programs(
    request: Request,
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    active: bool | None = None,
) -> Response:
    """The programmes a need can be referred to, by code."""
    rows = await Programs(session).list(active, paging.rows, paging.after(str))
    page, following = paging.cut(rows, lambda one: one.code)
    body = Page[ProgramRead](items=[_read(one) for one in page], next_cursor=following)
    return reference(request, body, paging.link(following))


@router.get("/programs/{code}", response_model=ProgramRead, tags=["reference data"])
async def get_program(
    request: Request, code: PathName, session: Session, actor: CurrentActor
) -> Response:
    """One programme."""
    program = await programs.get(session, code)
    return reference(request, _read(program), version=program.version)


@router.patch("/programs/{code}", response_model=ProgramRead)
async def change_program(
    code: PathName,
    changes: ProgramChanges,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Keep a programme's entry, as one of its managers. Every version stays to be read."""
    program = await programs.get(session, code)
    programs.check_keeper(actor, code)
    if await retry.known():
        return reply(_read(program), version=program.version, replayed=True)
    version = read_version(visit)
    sent = changes.model_dump(include=changes.model_fields_set)
    program = await programs.change(session, actor, code, sent, version, now)
    retry.remember(200)
    return reply(_read(program), version=program.version)


@router.get("/programs/{code}/versions", response_model=Page[ProgramVersionRead])
async def list_program_versions(
    code: PathName,
    session: Session,
    actor: CurrentActor,
    paging: Paged,
) -> Response:
    """What the catalogue said of a programme over time, newest first."""
    await programs.get(session, code)
    rows = await Programs(session).versions(code, paging.after(int), paging.rows)
    page, following = paging.cut(rows, lambda one: one.version)
    items = [_version(one) for one in page]
    return paging.answer(Page[ProgramVersionRead], items, following)


def _read(one: Program) -> ProgramRead:
    return ProgramRead(**{name: getattr(one, name) for name in ProgramRead.model_fields})


def _version(one: ProgramVersion) -> ProgramVersionRead:
    return ProgramVersionRead(
        **{name: getattr(one, name) for name in ProgramVersionRead.model_fields}
    )
