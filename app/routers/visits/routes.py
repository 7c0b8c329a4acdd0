"""The calls about visits."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.errors import Forbidden
from app.domain.surveys import Surveys
from app.domain.unverified import Reason, Unverified, UnverifiedFilter
from app.domain.visits import Visit, VisitFilter, VisitKind, Visits, VisitState
from app.routers.complaints.reads import EventRead
from app.routers.complaints.routes import history
from app.routers.deps import (
    CurrentActor,
    CurrentSettings,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.surveys import survey_fields
from app.routers.visits.reads import (
    UnverifiedRead,
    VisitRead,
    VisitsMade,
    VisitSurveyRead,
    read,
    unverified,
)
from app.routers.visits.requests import VisitActionRequest, VisitDraft
from app.workflow.complaints import surveys as complaint_surveys
from app.workflow.complaints.filing import RegionCode
from app.workflow.complaints.surveys import SurveyDraft
from app.workflow.visits import opening, surveys, verbs
from app.workflow.visits.table import MACHINE, VisitCase

router = APIRouter(prefix="/v1", tags=["visits"], route_class=Door)
UNVERIFIED_READERS = (*opening.OPENERS, Role.PUSKESOS_OFFICER)
NO_REFERRALS = "needs_make_no_referral"


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Visit:
    return await Visits(session).get(id, actor, at)


FINDERS["visit_id"] = _find


@router.get("/registry/unverified", response_model=Page[UnverifiedRead])
async def list_unverified(
    session: Session,
    actor: CurrentActor,
    now: Now,
    settings: CurrentSettings,
    paging: Paged,
    region: RegionCode | None = None,
    reason: Reason | None = None,
    age_days: Annotated[int | None, Query(ge=1, le=36_500)] = None,
) -> Response:
    """Households of the caller's regions that need a visit: never verified, verified too long ago,
    with a signal of death, move or duplicate, or not found. The longest unseen stand first."""
    regions = actor.regions(*UNVERIFIED_READERS)
    if not regions:
        raise Forbidden("role_not_allowed")
    older_than = now - timedelta(days=age_days or settings.verify_after_days)
    after = paging.after(_moment, UUID)
    wanted = UnverifiedFilter(regions, older_than, region, reason, after=after)
    rows = await Unverified(session).page(wanted, paging.rows)
    page, following = paging.cut(
        rows, lambda one: (one.household.verified_at or "", one.household.id)
    )
    return paging.answer(Page[UnverifiedRead], [unverified(one) for one in page], following)


def _moment(value: str) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


@router.post(
    "/visits", status_code=201, response_model=VisitsMade, openapi_extra={CREATES: "visits"}
)
async def open_visits(
    draft: VisitDraft,
    session: Session,
    actor: CurrentActor,
    now: Now,
    settings: CurrentSettings,
    retry: Retrying,
) -> Response:
    """Share out visits among the facilitators: the nearest first, the least loaded first."""
    if not actor.regions(*opening.OPENERS):
        raise Forbidden("role_not_allowed")
    if known := await retry.known():
        made = await _named(session, known.ids["visit_ids"])
        existing = await _named(session, known.ids["existing"])
        return await _made(session, actor, made, existing, now, replayed=True)
    batch = opening.Batch(
        kind=VisitKind(draft.kind),
        due_at=now + timedelta(days=settings.visit_due_days),
        household_ids=draft.household_ids or (),
        region_code=draft.region_code,
        reason=draft.reason,
        limit=draft.limit,
        older_than=now - timedelta(days=settings.verify_after_days),
    )
    opened = await opening.open_batch(session, actor, batch, now)
    retry.remember(201, visit_ids=_names(opened.visits), existing=_names(opened.existing))
    return await _made(session, actor, opened.visits, opened.existing, now)


def _names(visits: Any) -> str:
    return ",".join(str(one.id) for one in visits)


async def _named(session: AsyncSession, names: str) -> list[Visit]:
    return await Visits(session).by_ids([UUID(name) for name in names.split(",") if name])


async def _made(
    session: AsyncSession,
    actor: Actor,
    made: Any,
    existing: Any,
    at: datetime,
    replayed: bool = False,
) -> Response:
    body = VisitsMade(
        items=await read(session, actor, made, at),
        existing=await read(session, actor, existing, at),
    )
    return reply(body, 201, replayed=replayed)


@router.get("/visits", response_model=Page[VisitRead])
async def list_visits(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    state: VisitState | None = None,
    kind: VisitKind | None = None,
    assignee_id: UUID | None = None,
    region: RegionCode | None = None,
    household_id: UUID | None = None,
    overdue: bool | None = None,
) -> Response:
    """Visits in the caller's sight, newest first."""
    wanted = VisitFilter(state, kind, assignee_id, region, household_id, overdue)
    rows = await Visits(session).page(actor, wanted, paging.after(UUID), paging.rows, now)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[VisitRead], await read(session, actor, list(page), now), following)


@router.get("/visits/{visit_id}", response_model=VisitRead)
async def get_visit(
    visit_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One visit, with what the caller may do now."""
    return await _answer(session, actor, subject, now)


@router.post("/visits/{visit_id}/actions", response_model=VisitRead)
async def act_on_visit(
    visit_id: UUID,
    body: VisitActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Take one action. `submit_survey` takes the survey's ETag in If-Match, the others the
    visit's."""
    command = body.command()
    MACHINE.check_role(VisitCase(subject), command.action, actor)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, now, replayed=True)
    version = read_version(visit, required=actor.is_person)
    acted = await verbs.act(session, actor, subject.id, command, now, version)
    retry.remember(200, visit_id=acted.id)
    return await _answer(session, actor, acted, now)


@router.get("/visits/{visit_id}/events", response_model=Page[EventRead])
async def list_visit_events(
    visit_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """The history of a visit, oldest first."""
    return await history(session, subject.id, paging)


@router.get("/visits/{visit_id}/survey", response_model=VisitSurveyRead)
async def get_visit_survey(
    visit_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """The survey of a visit, with an ETag of its own; `"0"` before the first save."""
    return await _survey(session, actor, subject)


@router.put("/visits/{visit_id}/survey", response_model=VisitSurveyRead)
async def save_visit_survey(
    visit_id: UUID,
    draft: SurveyDraft,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Save the draft over the version in If-Match (the survey's). It need not be complete.

    Programme needs are kept, but no referral comes of them: that takes a complaint.
    """
    complaint_surveys.check_writer(actor, subject)
    if await retry.known():
        return await _survey(session, actor, subject, replayed=True)
    version = read_version(visit)
    locked = await Visits(session).lock(subject.id)
    survey = await surveys.save(session, actor, locked, draft, version, now)
    retry.remember(200, survey_id=survey.id)
    await session.flush()
    return await _survey(session, actor, locked)


async def _survey(
    session: AsyncSession, actor: Actor, visit: Visit, replayed: bool = False
) -> Response:
    survey = await Surveys(session).of_visit(visit.id)
    fields = survey_fields(session, survey, surveys.may_write(actor, visit))
    body = VisitSurveyRead.model_construct(
        **fields, visit_id=visit.id, warnings=[NO_REFERRALS] if fields["program_needs"] else []
    )
    return reply(body, version=fields["version"], replayed=replayed)


async def _answer(
    session: AsyncSession, actor: Actor, visit: Visit, at: datetime, replayed: bool = False
) -> Response:
    body = (await read(session, actor, [visit], at))[0]
    return reply(body, version=visit.version, replayed=replayed)
