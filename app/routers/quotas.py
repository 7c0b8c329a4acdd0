"""Quotas over HTTP: how many places a programme has in a region and a period."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.errors import NotFound
from app.domain.quotas import Quota, Quotas
from app.routers.complaints.reads import EventRead
from app.routers.complaints.routes import history
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    PathName,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Code, Count
from app.workflow import programs, quotas
from app.workflow.complaints.filing import RegionCode

router = APIRouter(prefix="/v1", tags=["programmes"], route_class=Door)
Places = Annotated[int, Field(ge=0, le=100_000_000, strict=True)]


class QuotaRead(BaseModel):
    """A quota, the places taken (`reserved` for referrals under way, `used` by grants), and how
    many wait in line. `version` is that of what was decided; the counts move on without it."""

    id: UUID
    version: Count
    program_code: Code
    region_code: Code
    starts_on: date
    ends_on: date
    places: Count
    quota_managed_here: bool
    reserved: Count
    used: Count
    free: Count
    waiting: Count


class QuotaDraft(BaseModel):
    """Places of the programme in a region, from `starts_on` to `ends_on`, both included.

    `quota_managed_here`: referrals take places and wait in line for them; else the number is
    information.
    """

    model_config = ConfigDict(extra="forbid")

    region_code: RegionCode
    starts_on: date
    ends_on: date
    places: Places
    quota_managed_here: StrictBool = False


class QuotaChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    places: Places
    quota_managed_here: StrictBool


async def _find(session: AsyncSession, id: UUID, _: Actor, __: datetime) -> Quota:
    return await Quotas(session).get(id)


FINDERS["quota_id"] = _find


def _read(quota: Quota) -> QuotaRead:
    named = QuotaRead.model_fields.keys() - {"quota_managed_here"}
    fields = {name: getattr(quota, name) for name in named}
    return QuotaRead(**fields, quota_managed_here=quota.managed_here)


def _answer(quota: Quota, status: int = 200, replayed: bool = False) -> Response:
    location = f"/v1/programs/{quota.program_code}/quotas/{quota.id}" if status == 201 else None
    return reply(_read(quota), status, version=quota.version, location=location, replayed=replayed)


def _of(quota: Quota, code: str) -> None:
    if quota.program_code != code:
        raise NotFound


@router.get("/programs/{code}/quotas", response_model=Page[QuotaRead])
async def list_quotas(
    code: PathName,
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    region: Annotated[
        RegionCode | None, Query(description="Those that are about this region.")
    ] = None,
    on: Annotated[date | None, Query(description="Those in force on this day.")] = None,
) -> Response:
    """The quotas of a programme, newest first."""
    await programs.get(session, code)
    rows = await Quotas(session).page(code, region, on, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[QuotaRead], [_read(one) for one in page], following)


@router.post(
    "/programs/{code}/quotas",
    status_code=201,
    response_model=QuotaRead,
    openapi_extra={CREATES: "quota"},
)
async def add_quota(
    code: PathName,
    draft: QuotaDraft,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Say how many places there are; for managers of the programme in the region.

    One quota is in force at a time: another one for a part of the region on one of the days is 409
    `quota_overlaps`. Who waits in a quota that has ended goes on waiting in this one.
    """
    await programs.get(session, code)
    programs.check_keeper(actor, code, draft.region_code)
    if known := await retry.known():
        return _answer(
            await Quotas(session).get(UUID(known.ids["quota_id"])), known.status, replayed=True
        )
    quota = await quotas.add(
        session, actor, code, draft.region_code, (draft.starts_on, draft.ends_on), draft.places,
        draft.quota_managed_here, now,
    )  # fmt: skip
    retry.remember(201, quota_id=quota.id)
    return _answer(quota, 201)


@router.get("/programs/{code}/quotas/{quota_id}", response_model=QuotaRead)
async def get_quota(
    code: PathName, quota_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One quota."""
    _of(subject, code)
    return _answer(subject)


@router.put("/programs/{code}/quotas/{quota_id}", response_model=QuotaRead)
async def change_quota(
    code: PathName,
    quota_id: UUID,
    change: QuotaChange,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Raise or lower a quota. Raised, the longest waiting move up; it is never lowered below what
    is taken (422 `quota_below_taken`)."""
    _of(subject, code)
    programs.check_keeper(actor, code, subject.region_code)
    if await retry.known():
        await session.refresh(subject)
        return _answer(subject, replayed=True)
    version = read_version(visit)
    quota = await quotas.change(
        session, actor, subject.id, change.places, change.quota_managed_here, version, now
    )
    retry.remember(200, quota_id=quota.id)
    return _answer(quota)


@router.get("/programs/{code}/quotas/{quota_id}/events", response_model=Page[EventRead])
async def list_quota_events(
    code: PathName,
    quota_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """Who said how many places there are, and when; oldest first."""
    _of(subject, code)
    return await history(session, subject.id, paging)
