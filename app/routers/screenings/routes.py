"""Routes of screenings: a home screened for every programme, and the needs a survey shows."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Forbidden, NotFound
from app.domain.households import Household, Households
from app.domain.screenings import Screening, Screenings
from app.routers.deps import (
    CurrentActor,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.screenings.reads import (
    ScreenedRead,
    ScreeningListed,
    ScreeningRead,
    full,
    listed,
    screened,
)
from app.workflow import households as looking
from app.workflow.eligibility import screening as screenings
from app.workflow.eligibility import surveyed

router = APIRouter(prefix="/v1", tags=["eligibility"], route_class=Door)


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Screening:
    """A screening of a home whose cases the actor works, or of a complaint in sight."""
    found = await Screenings(session).get(id)
    if found is None:
        raise NotFound
    if found.household_id is not None:
        household = await Households(session).find(found.household_id)
        if household and await looking.works_cases_of(session, actor, household, at):
            return found
    if found.complaint_id is None:
        raise NotFound
    # Raises NotFound for who does not see the complaint.
    complaint = await Complaints(session).get(found.complaint_id, actor, at)
    if not _works(actor, complaint):
        raise NotFound
    return found


FINDERS["screening_id"] = _find


def _works(actor: Actor, complaint: Complaint) -> bool:
    """Whether the actor, who sees the complaint, works cases of its city or has to visit it.

    What is seen is health, income and more: not for everybody who may see a complaint.
    """
    case_worker = actor.holds_near(complaint.regency_code, *looking.CASE_ROLES)
    return case_worker or complaint.assigned_to == actor.id


async def _check_works(
    session: AsyncSession, actor: Actor, household: Household, at: datetime
) -> None:
    if not await looking.works_cases_of(session, actor, household, at):
        raise Forbidden("role_not_allowed")


@router.post(
    "/households/{household_id}/screenings",
    status_code=201,
    response_model=ScreeningRead,
    openapi_extra={CREATES: "screening"},
)
async def screen_household(
    household_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Screen a home for every programme with criteria in force, and keep what was seen.

    Programmes for single people are screened for each who lives there; all others for the home.
    """
    await _check_works(session, actor, subject, now)
    if known := await retry.known():
        kept = await Screenings(session).get(UUID(known.ids["screening_id"]))
        assert kept is not None
        return await _answer(session, kept, known.status, replayed=True)
    made = await screenings.screen_household(session, actor, subject, now)
    retry.remember(201, screening_id=made.id)
    return await _answer(session, made, 201)


async def _answer(
    session: AsyncSession, one: Screening, status: int = 200, replayed: bool = False
) -> Response:
    location = f"/v1/screenings/{one.id}" if status == 201 else None
    return reply(await full(session, one), status, location=location, replayed=replayed)


@router.get("/households/{household_id}/screenings", response_model=Page[ScreeningListed])
async def list_screenings(
    household_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """A home's screenings, newest first."""
    await _check_works(session, actor, subject, now)
    rows = await Screenings(session).of_household(subject.id, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[ScreeningListed], [listed(one) for one in page], following)


@router.get("/screenings/{screening_id}", response_model=ScreeningRead)
async def get_screening(
    screening_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One screening, with every verdict and its reasons."""
    return await _answer(session, subject)


@router.get("/complaints/{complaint_id}/survey/proposed-needs", response_model=Page[ScreenedRead])
async def propose_needs(
    complaint_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """The needs that a complaint's survey shows, eligible ones first, then what is unknown.

    Nothing is drafted: who agrees writes them into `program_needs` of the survey. One page.
    """
    if not _works(actor, subject):
        raise Forbidden("role_not_allowed")
    found = await surveyed.proposals(session, subject, now)
    body = Page[ScreenedRead].model_construct(
        items=await screened(session, found[:200]), next_cursor=None
    )
    return reply(body)
