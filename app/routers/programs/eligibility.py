"""Who is eligible for a programme and not served, and how far it reaches, by region."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import day_of
from app.domain.criteria import Asked
from app.domain.eligibility import Coverage, Eligibles, Found
from app.domain.errors import BadRequest, Conflict, Fault, Forbidden
from app.domain.regions import Regions
from app.routers.deps import CurrentActor, Now, Paged, PathName, Session
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.programs.people import FoundRead, people
from app.routers.replies import reply
from app.routers.resources import Code, Count, Name
from app.workflow import programs
from app.workflow.complaints.filing import RegionCode
from app.workflow.eligibility import screening

router = APIRouter(prefix="/v1/programs/{code}", tags=["eligibility"], route_class=Door)
READERS = (
    Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.SUPERVISOR, Role.MANAGER, Role.HEAD,
)  # fmt: skip
Region = Annotated[RegionCode, Query(description="In this region, as far as the caller's go.")]


class CoverageRead(BaseModel):
    """How far a programme reaches in a region: homes, or people where it is for single people.

    `eligible` are `served` and `unserved`; `unknown` those of whom too little is known;
    `receiving` all who take part, whatever the criteria say of them.
    """

    region_code: Code
    region_name: Name
    day: date
    criteria_number: Count
    screened: Count
    eligible: Count
    served: Count
    unserved: Count
    unknown: Count
    receiving: Count


async def _regions(session: AsyncSession, actor: Actor, code: str, region: str) -> tuple[str, ...]:
    """Where the actor may ask for a programme. Raises Forbidden where nowhere.

    Raises BadRequest for a region that there is not: "nobody" would be a false comfort.
    """
    found = actor.regions(*READERS) + actor.regions_of_program(code, Role.PROGRAM_MANAGER)
    if not found:
        raise Forbidden("role_not_allowed")
    if await Regions(session).unknown({region}):
        fault = Fault("unknown_region", parameter="region")
        raise BadRequest("parameter_invalid", (fault,))
    return found


async def _asked(session: AsyncSession, code: str, day: date) -> tuple[Asked, int]:
    """The programme's rule today. Raises Conflict `no_criteria` where none is in force."""
    found = await screening.in_force(session, day, code)
    if not found:
        raise Conflict("no_criteria")
    one = found[0]
    return Asked(code, one.program.of_person, one.version.rule), one.version.number


def _uuid_or_none(value: str | None) -> UUID | None:
    return UUID(value) if value is not None else None


@router.get("/unserved", response_model=Page[FoundRead])
async def list_unserved(
    code: PathName,
    region: Region,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """Who in a region is eligible by the criteria in force and does not take part; masked.

    Homes, or people where the programme is for single people.
    """
    await programs.get(session, code)
    regions = await _regions(session, actor, code, region)
    after = paging.after(UUID, _uuid_or_none)
    day = day_of(now)
    asked, _ = await _asked(session, code, day)
    rows = await Eligibles(session).unserved(
        asked, day, regions, region, Found(*after) if after else None, paging.rows
    )
    page, following = paging.cut(rows, lambda one: (one.household_id, one.member_id))
    return paging.answer(Page[FoundRead], await people(session, page), following)


@router.get("/coverage", response_model=Page[CoverageRead])
async def get_coverage(
    code: PathName, region: Region, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """How far a programme reaches in each region directly under one; a village stands alone."""
    await programs.get(session, code)
    regions = await _regions(session, actor, code, region)
    day = day_of(now)
    asked, number = await _asked(session, code, day)
    found = (await Eligibles(session).coverage([asked], day, regions, region))[0]
    names = {one.code: one.name for one in await Regions(session).under(region)}
    body = Page[CoverageRead].model_construct(
        items=[_coverage(one, names, day, number) for one in found], next_cursor=None
    )
    return reply(body)


def _coverage(one: Coverage, names: dict[str, str], day: date, number: int) -> CoverageRead:
    return CoverageRead(
        region_name=names.get(one.region_code, one.region_code),
        day=day,
        criteria_number=number,
        **{name: getattr(one, name) for name in one.__slots__},
    )
