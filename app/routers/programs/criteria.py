"""Criteria of programmes over HTTP: versions, drafts, whom a draft affects, publishing."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import day_of
from app.domain.criteria import Status
from app.domain.errors import NotFound
from app.domain.program_criteria import CriteriaState, CriteriaVersion, CriteriaVersions
from app.domain.programs import Program
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
from app.routers.doors import CREATES, Door
from app.routers.pages import Page
from app.routers.programs.people import FoundRead, people
from app.routers.replies import reply
from app.routers.resources import Code, Codes, Count, Line, Moment, Paragraph, items
from app.workflow import programs
from app.workflow.eligibility import rules
from app.workflow.eligibility.rules import CriteriaDraft

router = APIRouter(prefix="/v1/programs/{code}/criteria", tags=["programmes"], route_class=Door)
# One that is no number of a version is not found.
Number = Annotated[int, Path(ge=1, le=1_000_000)]


class CriterionSaid(BaseModel):
    """A criterion as it was written; docs/eligibility.md says how `when` is read."""

    text_id: Line
    text_en: Line
    status: Status
    when: Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 10})]


class CriteriaRead(BaseModel):
    """A version of a programme's criteria: all of them must be met.

    `in_force`: it holds on the day asked for. `previewed`: whom the draft affects was shown.
    """

    program_code: Code
    number: Count
    version: Count
    state: CriteriaState
    in_force: bool
    criteria: items(CriterionSaid, 20)  # type: ignore[valid-type]
    valid_from: date
    valid_until: date | None
    note: Paragraph | None
    drafted_by: UUID | None
    drafted_at: Moment
    changed_at: Moment
    previewed: bool
    published_by: UUID | None
    published_at: Moment | None


class PreviewRead(BaseModel):
    """Whom a draft affects in the caller's regions, counted over the registry on its first day.

    `against` is the number of the version that would hold then without it. `newly` eligible and
    `no_longer` eligible are shown by some examples, masked.
    """

    region_codes: Codes
    day: date
    against: Count | None
    eligible_before: Count
    eligible_after: Count
    newly: Count
    no_longer: Count
    unknown: Count
    newly_examples: items(FoundRead, 10)  # type: ignore[valid-type]
    no_longer_examples: items(FoundRead, 10)  # type: ignore[valid-type]


class CriteriaAction(StrEnum):
    PUBLISH = "publish"
    DISCARD = "discard"


class CriteriaActionRequest(BaseModel):
    """`publish` a draft whose effect was shown, or `discard` it."""

    model_config = ConfigDict(extra="forbid")

    action: CriteriaAction


async def _find(session: AsyncSession, code: str, number: int) -> CriteriaVersion:
    await programs.get(session, code)
    found = await CriteriaVersions(session).get(code, number)
    if found is None:
        raise NotFound
    return found


async def _kept(
    session: AsyncSession, actor: Actor, code: str, number: int
) -> tuple[Program, CriteriaVersion]:
    """The version, for a manager of its programme."""
    found = await _find(session, code, number)
    programs.check_keeper(actor, code)
    return await programs.get(session, code), found


@router.get("", response_model=Page[CriteriaRead])
async def list_criteria(
    code: PathName,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    at: Annotated[date | None, Query(description="In force on this day; absent: today.")] = None,
) -> Response:
    """All versions of a programme's criteria, newest first; `in_force` marks the one that holds."""
    await programs.get(session, code)
    versions = CriteriaVersions(session)
    rows = await versions.page(code, paging.after(int), paging.rows)
    page, following = paging.cut(rows, lambda one: one.number)
    holding = await versions.in_force(at or day_of(now), code)
    return paging.answer(Page[CriteriaRead], [_read(one, holding) for one in page], following)


@router.post("", status_code=201, response_model=CriteriaRead, openapi_extra={CREATES: "criteria"})
async def draft_criteria(
    code: PathName,
    draft: CriteriaDraft,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Draft a new version; it holds for nobody before it is published."""
    await programs.get(session, code)
    programs.check_keeper(actor, code)
    if known := await retry.known():
        found = await _find(session, code, int(known.ids["number"]))
        return await _answer(session, found, now, known.status, replayed=True)
    made = await rules.draft(session, actor, code, draft, now)
    retry.remember(201, number=str(made.number))
    await session.flush()
    return await _answer(session, made, now, 201)


@router.get("/{number}", response_model=CriteriaRead)
async def get_criteria(
    code: PathName, number: Number, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One version."""
    return await _answer(session, await _find(session, code, number), now)


@router.put("/{number}", response_model=CriteriaRead)
async def change_criteria(
    code: PathName,
    number: Number,
    draft: CriteriaDraft,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Write a draft anew; whom it affects is then to be shown anew."""
    _, found = await _kept(session, actor, code, number)
    if await retry.known():
        return await _answer(session, found, now, replayed=True)
    version = read_version(visit)
    changed = await rules.change(session, found, draft, version, now)
    retry.remember(200)
    return await _answer(session, changed, now)


@router.post("/{number}/preview", response_model=PreviewRead)
async def preview_criteria(
    code: PathName, number: Number, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """Show whom a draft affects, before it is published."""
    program, found = await _kept(session, actor, code, number)
    shown = await rules.preview(session, actor, found, program)
    body = PreviewRead(
        region_codes=list(shown.regions),
        day=found.valid_from,
        against=shown.against,
        eligible_before=shown.affected.before,
        eligible_after=shown.affected.after,
        newly=shown.affected.newly,
        no_longer=shown.affected.no_longer,
        unknown=shown.affected.unknown,
        newly_examples=await people(session, shown.affected.gaining),
        no_longer_examples=await people(session, shown.affected.losing),
    )
    return reply(body)


@router.post("/{number}/actions", response_model=CriteriaRead)
async def act_on_criteria(
    code: PathName,
    number: Number,
    body: CriteriaActionRequest,
    visit: CurrentVisit,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Publish a draft, or discard it."""
    _, found = await _kept(session, actor, code, number)
    if await retry.known():
        return await _answer(session, found, now, replayed=True)
    version = read_version(visit)
    if body.action is CriteriaAction.PUBLISH:
        done = await rules.publish(session, actor, found, version, now)
    else:
        done = await rules.discard(session, found, version, now)
    retry.remember(200)
    await session.flush()
    return await _answer(session, done, now)


async def _answer(
    session: AsyncSession,
    one: CriteriaVersion,
    at: datetime,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    holding = await CriteriaVersions(session).in_force(day_of(at), one.program_code)
    place = f"/v1/programs/{one.program_code}/criteria/{one.number}" if status == 201 else None
    body = _read(one, holding)
    return reply(body, status, version=one.version, location=place, replayed=replayed)


def _read(one: CriteriaVersion, holding: list[CriteriaVersion]) -> CriteriaRead:
    same = CriteriaRead.model_fields.keys() - {"in_force", "previewed", "criteria"}
    return CriteriaRead.model_construct(
        **{name: getattr(one, name) for name in same},
        criteria=[CriterionSaid(**said) for said in one.criteria],
        in_force=any(held.number == one.number for held in holding),
        # Publishing counts the version on.
        previewed=one.previewed_version == one.version or one.published_at is not None,
    )
