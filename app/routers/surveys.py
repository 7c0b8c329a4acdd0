"""Surveys and their forms over HTTP."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import NotFound
from app.domain.identifiers import NUMBERS, masked
from app.domain.survey_forms import CURRENT, FORMS
from app.domain.surveys import Survey, SurveyContent, Surveys
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    PathName,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import Door
from app.routers.replies import reference, reply
from app.routers.resources import Count, Moment, Word, items
from app.workflow.complaints import surveys
from app.workflow.complaints.surveys import SurveyDraft

router = APIRouter(prefix="/v1", tags=["surveys"], route_class=Door)

Free = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 200})]


class SurveyFields(BaseModel):
    """What every survey has, whatever it is of."""

    version: Count
    form_version: Word
    visited_at: Word | None
    location: Free | None
    answers: Free
    program_needs: items(Free, 50)  # type: ignore[valid-type]
    other_needs: items(Free, 20)  # type: ignore[valid-type]
    no_needs: bool
    registry_changes: items(Free, 50)  # type: ignore[valid-type]
    author_id: UUID | None
    saved_at: Moment | None
    submitted_at: Moment | None


class SurveyRead(SurveyFields):
    """A survey. Before the first save an empty draft of version 0.

    Numbers are masked, but for whoever is writing the draft.
    """

    complaint_id: UUID
    additional: bool
    additional_surveys: items(UUID, 20)  # type: ignore[valid-type]


class FormListed(BaseModel):
    version: Word
    valid_from: date


class FormList(BaseModel):
    current: Word
    items: items(FormListed, 50)  # type: ignore[valid-type]


class FormRead(BaseModel):
    """A form: the JSON Schema of `answers` with labels, and one complete body to save."""

    version: Word
    valid_from: date
    json_schema: Annotated[
        dict[str, Any], Field(alias="schema", json_schema_extra={"maxProperties": 50})
    ]
    example: Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 20})]


@router.get("/complaints/{complaint_id}/survey", response_model=SurveyRead)
async def get_survey(
    complaint_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """The survey of a complaint, with an ETag of its own; `"0"` before the first save."""
    survey = await surveys.of(session, actor, subject)
    return await _answer(session, actor, subject, survey)


@router.put("/complaints/{complaint_id}/survey", response_model=SurveyRead)
async def save_survey(
    complaint_id: UUID,
    draft: SurveyDraft,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Save the draft over the version in If-Match (the survey's). It need not be complete."""
    surveys.check_writer(actor, subject)
    if await retry.known():
        survey = await surveys.of(session, actor, subject)
        return await _answer(session, actor, subject, survey, replayed=True)
    version = read_version(visit)
    complaint = await Complaints(session).lock(subject.id)
    survey = await surveys.save(session, actor, complaint, draft, version, now)
    retry.remember(200, survey_id=survey.id)
    await session.flush()
    return await _answer(session, actor, complaint, survey)


async def _answer(
    session: AsyncSession,
    actor: Actor,
    complaint: Complaint,
    survey: Survey | None,
    replayed: bool = False,
) -> Response:
    fields = survey_fields(session, survey, await surveys.may_write(session, actor, complaint))
    beside = await Surveys(session).additional(complaint.id)
    body = SurveyRead.model_construct(
        **fields,
        complaint_id=complaint.id,
        additional=bool(survey and survey.additional),
        additional_surveys=[one.id for one in beside],
    )
    return reply(body, version=fields["version"], replayed=replayed)


def survey_fields(session: AsyncSession, survey: Survey | None, writing: bool) -> dict[str, Any]:
    """What an answer says of a survey; numbers are in clear for whoever is writing it."""
    content = SurveyContent(form_version=CURRENT)
    if survey is not None:
        content = Surveys(session).content(survey)
    if not writing:
        content = _masked(content)
    return {
        "version": survey.version if survey else 0,
        "form_version": content.form_version,
        "visited_at": content.visited_at,
        "location": content.location,
        "answers": content.answers,
        "program_needs": content.program_needs,
        "other_needs": content.other_needs,
        "no_needs": content.no_needs,
        "registry_changes": content.registry_changes,
        "author_id": survey.author_id if survey else None,
        "saved_at": survey.saved_at if survey else None,
        "submitted_at": survey.submitted_at if survey else None,
    }


def _masked(content: SurveyContent) -> SurveyContent:
    def mask(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: masked(one) if name in NUMBERS and isinstance(one, str) else mask(one)
                for name, one in value.items()
            }
        return [mask(one) for one in value] if isinstance(value, list) else value

    return SurveyContent(
        form_version=content.form_version,
        visited_at=content.visited_at,
        location=content.location,
        answers=mask(content.answers),
        program_needs=mask(content.program_needs),
        other_needs=content.other_needs,
        no_needs=content.no_needs,
        registry_changes=mask(content.registry_changes),
    )


@router.get("/survey-forms", response_model=FormList)
async def list_forms(request: Request, actor: CurrentActor) -> Response:
    """The versions of the survey form, newest first."""
    newest = sorted(FORMS.values(), key=lambda form: form.valid_from, reverse=True)
    found = [FormListed(version=form.version, valid_from=form.valid_from) for form in newest]
    return reference(request, FormList(current=CURRENT, items=found))


@router.get("/survey-forms/{version}", response_model=FormRead)
async def get_form(version: PathName, actor: CurrentActor, now: Now) -> Response:
    """A form version: schema, labels (id, en) and an example that is valid now."""
    form = FORMS.get(version)
    if form is None:
        raise NotFound
    body = FormRead.model_construct(
        version=form.version,
        valid_from=form.valid_from,
        json_schema=form.json_schema(),
        example=form.example(now),
    )
    # The example is of this moment, so that it is valid whenever it is asked for.
    return Response(body.model_dump_json(by_alias=True), media_type="application/json")
