"""Surveys of a visit: the form and the rules of a complaint's, but no referral comes of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor
from app.domain.base import region_of
from app.domain.errors import Conflict
from app.domain.surveys import Survey, Surveys
from app.domain.visits import Visit, VisitState
from app.workflow.complaints.surveys import (
    SAVED,
    SurveyDraft,
    check,
    content_of,
    incomplete,
    stale,
)
from app.workflow.history import log
from app.workflow.registry_changes.drafts import ChangeDraft
from app.workflow.visits import findings


def may_write(actor: Actor, visit: Visit) -> bool:
    """Whether PUT is theirs now: the facilitator who visits, or the secretariat for paper."""
    here = actor.holds(visit.village_code, *SECRETARIAT)
    return visit.state is VisitState.OPEN and (visit.assignee_id == actor.id or here)


async def save(
    session: AsyncSession,
    actor: Actor,
    visit: Visit,
    draft: SurveyDraft,
    version: int,
    at: datetime,
) -> Survey:
    """Save a draft over the version that the writer has read. The visit is locked."""
    surveys = Surveys(session)
    survey = await surveys.of_visit(visit.id, lock=True)
    if version != (survey.version if survey else 0):
        raise stale(session, survey, content_of(draft), version)
    if not may_write(actor, visit):
        raise Conflict("action_not_allowed")
    await check(session, visit, draft, at)
    if survey is None:
        survey = Survey(
            visit_id=visit.id, author_id=visit.assignee_id or actor.id, version=0, content=b"",
            saved_at=at, typed_by=actor.id, **region_of(visit),
        )  # fmt: skip
        surveys.add(survey)
    surveys.seal(survey, content_of(draft))
    _add_surveyors(visit, actor.id)
    survey.version += 1
    survey.saved_at, survey.typed_by = at, actor.id
    log(session, SAVED, visit, actor, at, survey_version=survey.version, additional=False)
    return survey


async def submit(
    session: AsyncSession, visit: Visit, surveyor: UUID, typist: Actor, at: datetime
) -> None:
    """Submit the saved survey: the household is verified, its registry changes are proposed.

    Programme needs are kept and make no referral: a referral belongs to a complaint.
    Raises Conflict `survey_incomplete` with a fault for everything that is missing.
    """
    surveys = Surveys(session)
    survey = await surveys.of_visit(visit.id, lock=True)
    content = surveys.content(survey) if survey else None
    if faults := incomplete(content):
        raise Conflict("survey_incomplete", tuple(faults))
    assert survey is not None
    assert content is not None
    survey.author_id, survey.submitted_at, survey.typed_by = surveyor, at, typist.id
    _add_surveyors(visit, surveyor, typist.id)
    await findings.verify(session, visit, at)
    for n, change in enumerate(content.registry_changes):
        wanted = ChangeDraft.model_validate(change)
        await findings.propose(session, visit, wanted, typist, at, f"/registry_changes/{n}")


def _add_surveyors(visit: Visit, *ids: UUID) -> None:
    visit.surveyors = list(dict.fromkeys([*visit.surveyors, *ids]))
