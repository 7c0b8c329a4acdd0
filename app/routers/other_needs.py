"""Needs that no programme was named for, over HTTP: listed, counted, and mapped."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import line
from app.domain.errors import Forbidden
from app.domain.identifiers import without_numbers
from app.domain.other_needs import Counted, MappedTo, NeedFilter, OtherNeed, OtherNeeds
from app.domain.principals import Principals
from app.domain.vocabulary import Sector
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    LongPaged,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Code, Count, Moment, Name, Someone, text
from app.workflow import other_needs
from app.workflow.complaints.filing import ProgramCode, RegionCode

router = APIRouter(prefix="/v1", tags=["referrals"], route_class=Door)
READERS = (
    Role.PROGRAM_MANAGER, Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.SUPERVISOR, Role.MANAGER,
    Role.HEAD,
)  # fmt: skip


class OtherNeedRead(BaseModel):
    """A need in the words of whoever visited (numbers masked), and what meets it.

    `referral_id`: the draft that was made of it, where its complaint could still take one.
    """

    id: UUID
    version: Count
    complaint_id: UUID
    household_id: UUID | None
    region_code: Code
    text: text(500)  # type: ignore[valid-type]
    sector: Sector | None
    created_at: Moment
    mapped_to: MappedTo | None
    program_code: Code | None
    helper: Name | None
    referral_id: UUID | None
    mapped_by: Someone | None
    mapped_at: Moment | None


class NeedMapping(BaseModel):
    """What meets the need: a programme by its code, a helper of the place by name, or nothing."""

    model_config = ConfigDict(extra="forbid")

    mapped_to: MappedTo
    program_code: ProgramCode | None = None
    helper: line(120) | None = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _as_said(self) -> "NeedMapping":
        named = (self.program_code is not None, self.helper is not None)
        wanted = (self.mapped_to is MappedTo.PROGRAM, self.mapped_to is MappedTo.LOCAL_HELPER)
        if named != wanted:
            raise ValueError("mapping_ambiguous")
        return self


class NeedCount(BaseModel):
    """The needs of a sector in a village, by what came of them."""

    region_code: Code
    sector: Sector | None
    unmapped: Count
    program: Count
    local_helper: Count
    none_exists: Count


def _reader(actor: Actor) -> tuple[str, ...]:
    regions = actor.regions(*READERS)
    if not regions:
        raise Forbidden("role_not_allowed")
    return regions


async def _find(session: AsyncSession, id: UUID, actor: Actor, _: datetime) -> OtherNeed:
    return await OtherNeeds(session).get(id, actor.regions(*READERS))


FINDERS["other_need_id"] = _find


async def _read(session: AsyncSession, needs: list[OtherNeed]) -> list[OtherNeedRead]:
    kept = OtherNeeds(session)
    names = await Principals(session).names({one.mapped_by for one in needs})
    fields = OtherNeedRead.model_fields.keys() - {"region_code", "text", "mapped_by"}
    return [
        OtherNeedRead.model_construct(
            **{name: getattr(one, name) for name in fields},
            region_code=one.village_code,
            text=without_numbers(kept.text(one)),
            mapped_by=Someone(id=one.mapped_by, name=names.get(one.mapped_by))
            if one.mapped_by
            else None,
        )
        for one in needs
    ]


async def _answer(session: AsyncSession, need: OtherNeed, replayed: bool = False) -> Response:
    body = (await _read(session, [need]))[0]
    return reply(body, version=need.version, replayed=replayed)


@router.get("/other-needs", response_model=Page[OtherNeedRead])
async def list_other_needs(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    mapped: Annotated[
        bool | None, Query(description="Whether somebody has said what meets it.")
    ] = None,
    mapped_to: MappedTo | None = None,
    sector: Sector | None = None,
    region: RegionCode | None = None,
    complaint_id: UUID | None = None,
) -> Response:
    """Needs of the caller's regions that no programme was named for, newest first."""
    regions = _reader(actor)
    wanted = NeedFilter(mapped, mapped_to, sector, region, complaint_id)
    rows = await OtherNeeds(session).page(regions, wanted, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[OtherNeedRead], await _read(session, list(page)), following)


@router.get("/other-needs/counts", response_model=Page[NeedCount])
async def count_other_needs(
    session: Session,
    actor: CurrentActor,
    paging: LongPaged,
    sector: Sector | None = None,
    region: RegionCode | None = None,
) -> Response:
    """How many needs there are in each village and sector, and what meets them."""
    regions = _reader(actor)
    after = paging.after(str, str)
    wanted = NeedFilter(sector=sector, region=region)
    rows = await OtherNeeds(session).counts(regions, wanted, after, paging.rows)
    page, following = paging.cut(rows, lambda one: one.place)
    return paging.answer(Page[NeedCount], [_count(one) for one in page], following)


def _count(one: Counted) -> NeedCount:
    names = NeedCount.model_fields.keys() - {"region_code"}
    fields = {name: getattr(one, name) for name in names}
    return NeedCount.model_construct(**fields, region_code=one.village_code)


@router.get("/other-needs/{other_need_id}", response_model=OtherNeedRead)
async def get_other_need(
    other_need_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One need."""
    return await _answer(session, subject)


@router.put("/other-needs/{other_need_id}", response_model=OtherNeedRead)
async def map_other_need(
    other_need_id: UUID,
    mapping: NeedMapping,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Say what meets a need; for program managers of the region.

    A programme makes a draft referral while the complaint still takes one, which its supervisor
    decides on; else, and for a local helper, the secretariat is told. It may be mapped anew until
    a referral was drafted.
    """
    other_needs.check_mapper(actor, subject)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, subject, replayed=True)
    version = read_version(visit)
    said = other_needs.Mapping(mapping.mapped_to, mapping.program_code, mapping.helper)
    need = await other_needs.map_need(session, actor, subject.id, said, version, now)
    retry.remember(200, other_need_id=need.id)
    return await _answer(session, need)
