"""Surveys of a complaint: saved as a draft, submitted whole, kept when they come too late."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import Instant, regency_of, region_of, text
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.survey_forms import FORMS, AnswerProblem
from app.domain.surveys import Survey, SurveyContent, Surveys
from app.domain.visits import Visit
from app.domain.vocabulary import Sector
from app.workflow import needs, other_needs
from app.workflow.history import log
from app.workflow.needs import ProgramNeed
from app.workflow.registry_changes import drafts
from app.workflow.registry_changes import items as registry_items
from app.workflow.registry_changes.drafts import ChangeSent

SAVED, ADDITIONAL = "survey.saved", "survey.kept_as_additional"
WRITABLE_IN = (ComplaintState.ASSIGNED, ComplaintState.RETURNED)


class Location(BaseModel):
    """Where the visit was made, WGS 84 in degrees."""

    model_config = ConfigDict(extra="forbid")

    latitude: Annotated[float, Field(ge=-90, le=90, strict=True)]
    longitude: Annotated[float, Field(ge=-180, le=180, strict=True)]


class OtherNeed(BaseModel):
    """A need that no programme is named for."""

    model_config = ConfigDict(extra="forbid")

    text: text(500)  # type: ignore[valid-type]
    sector: Sector | None = None


class SurveyDraft(BaseModel):
    """A survey as it is saved; the answers are checked against the form of `form_version`."""

    model_config = ConfigDict(extra="forbid")

    form_version: Annotated[str, Field(max_length=20, pattern=r"^[0-9a-z.-]+$")]
    visited_at: Instant | None = None
    location: Location | None = None
    answers: dict[str, Any] = Field(default_factory=dict, max_length=200)
    program_needs: Annotated[list[ProgramNeed], Field(max_length=50)] = []
    other_needs: Annotated[list[OtherNeed], Field(max_length=20)] = []
    no_needs: StrictBool = False
    registry_changes: Annotated[list[ChangeSent], Field(max_length=50)] = []


async def of(session: AsyncSession, actor: Actor, complaint: Complaint) -> Survey | None:
    """The survey an actor works on: the complaint's, or a former facilitator's own."""
    if await is_former(session, actor, complaint):
        return await Surveys(session).of(complaint.id, additional_of=actor.id)
    return await Surveys(session).of(complaint.id)


async def is_former(session: AsyncSession, actor: Actor, complaint: Complaint) -> bool:
    """Whether the actor was to visit, and somebody else is now."""
    if complaint.assigned_to == actor.id or not actor.regions(Role.FACILITATOR):
        return False
    return await Complaints(session).was_assigned(complaint.id, actor.id)


async def may_write(session: AsyncSession, actor: Actor, complaint: Complaint) -> bool:
    """Whether PUT is theirs now: the assigned facilitator, the secretariat (for paper), a former
    facilitator into a survey of their own."""
    if await is_former(session, actor, complaint):
        return True
    here = actor.holds(complaint.village_code, *SECRETARIAT)
    return complaint.state in WRITABLE_IN and (complaint.assigned_to == actor.id or here)


def check_writer(actor: Actor, complaint: Complaint) -> None:
    """Raises Forbidden for those whose roles never write a survey."""
    city = regency_of(complaint.village_code)
    if not actor.holds_near(city, Role.FACILITATOR, *SECRETARIAT):
        raise Forbidden("role_not_allowed")


async def save(
    session: AsyncSession,
    actor: Actor,
    complaint: Complaint,
    draft: SurveyDraft,
    version: int,
    at: datetime,
) -> Survey:
    """Save a draft over the version that the writer has read. The complaint is locked."""
    former = await is_former(session, actor, complaint)
    surveys = Surveys(session)
    survey = await surveys.of(complaint.id, actor.id if former else None, lock=True)
    if version != (survey.version if survey else 0):
        raise stale(session, survey, content_of(draft), version)
    if not await may_write(session, actor, complaint):
        raise Conflict("action_not_allowed")
    await check(session, complaint, draft, at)
    if survey is None:
        author = complaint.assigned_to if not former and complaint.assigned_to else actor.id
        survey = Survey(
            complaint_id=complaint.id, author_id=author, additional=former, version=0,
            content=b"", saved_at=at, typed_by=actor.id,
            **region_of(complaint),
        )  # fmt: skip
        surveys.add(survey)
    surveys.seal(survey, content_of(draft))
    add_surveyors(complaint, actor.id)
    survey.version += 1
    survey.saved_at, survey.typed_by, survey.submitted_at = at, actor.id, None
    log(
        session, SAVED, complaint, actor, at,
        survey_version=survey.version, additional=former,
    )  # fmt: skip
    return survey


def add_surveyors(complaint: Complaint, *ids: UUID) -> None:
    """Who wrote a survey, or sent the case up, may not decide on it, whoever submits it."""
    complaint.surveyors = list(dict.fromkeys([*complaint.surveyors, *ids]))


async def submit(
    session: AsyncSession, complaint: Complaint, surveyor: Any, typist: Actor, at: datetime
) -> None:
    """Submit the saved survey: complete, its needs said, its drafts made equal to it.

    Raises Conflict `survey_incomplete` with a fault for everything that is missing.
    """
    surveys = Surveys(session)
    survey = await surveys.of(complaint.id, lock=True)
    content = surveys.content(survey) if survey else None
    if faults := incomplete(content):
        raise Conflict("survey_incomplete", tuple(faults))
    assert survey is not None
    assert content is not None
    survey.author_id, survey.submitted_at, survey.typed_by = surveyor, at, typist.id
    proposed = [drafts.ChangeDraft.model_validate(one) for one in content.registry_changes]
    changes = await registry_items.replace_survey_drafts(session, complaint, proposed, typist, at)
    wanted = [
        _waiting(ProgramNeed.model_validate(need), [one.id for one in changes])
        for need in content.program_needs
    ]
    await needs.check(session, complaint, wanted, "/program_needs/{}")
    await needs.replace_survey_drafts(session, complaint, wanted, typist, at)
    others = [OtherNeed.model_validate(one) for one in content.other_needs]
    said = [(one.text, one.sector) for one in others]
    await other_needs.replace(session, complaint, said, typist, at)


def _waiting(need: ProgramNeed, change_ids: list[UUID]) -> ProgramNeed:
    """The need with the id of the change that it names by its number in the survey."""
    if not isinstance(need.wait_for, int):
        return need
    return need.model_copy(update={"wait_for": change_ids[need.wait_for]})


async def submit_additional(
    session: AsyncSession, actor: Actor, complaint: Complaint, version: int | None, at: datetime
) -> None:
    """Keep the survey of a facilitator who was replaced meanwhile; the case does not move."""
    surveys = Surveys(session)
    survey = await surveys.of(complaint.id, additional_of=actor.id, lock=True)
    if version is not None and version != (survey.version if survey else 0):
        raise PreconditionFailed("stale_version")
    content = surveys.content(survey) if survey else None
    if faults := incomplete(content):
        raise Conflict("survey_incomplete", tuple(faults))
    assert survey is not None
    survey.submitted_at = at
    log(session, ADDITIONAL, complaint, actor, at, survey_version=survey.version)


def stale(
    session: AsyncSession, survey: Survey | None, sent: SurveyContent, version: int
) -> PreconditionFailed:
    """The refusal of a draft that was written over another version than the one that is here.

    It says which versions meet, who saved the present one and when, and where the two differ; what
    stands there is read at the survey, since problems hold no personal data.
    """
    here = Surveys(session).content(survey) if survey else SurveyContent(sent.form_version)
    # Questions of the form alone: what else was sent may be anything.
    questions = FORMS[here.form_version].answers.model_fields if here.form_version in FORMS else ()
    found = [Fault("differs", pointer) for pointer in here.differences(sent, questions)]
    return PreconditionFailed(
        "stale_version",
        tuple(found),
        versions={
            "sent": version,
            "present": survey.version if survey else 0,
            "saved_at": survey.saved_at.isoformat() if survey else None,
            "saved_by": str(survey.typed_by) if survey else None,
        },
    )


def content_of(draft: SurveyDraft) -> SurveyContent:
    return SurveyContent(**draft.model_dump(mode="json"))


async def check(
    session: AsyncSession, place: Complaint | Visit, draft: SurveyDraft, at: datetime
) -> None:
    """Raises Invalid for what does not fit the form, or the city of a complaint or visit."""
    form = FORMS.get(draft.form_version)
    if form is None:
        raise Invalid("unknown_form_version", (Fault("unknown_form_version", "/form_version"),))
    if found := form.draft_problems(draft.answers):
        raise Invalid("invalid_answers", tuple(_fault(problem) for problem in found))
    if draft.no_needs and (draft.program_needs or draft.other_needs):
        raise Invalid("needs_contradict", (Fault("needs_contradict", "/no_needs"),))
    count = len(draft.registry_changes)
    await needs.check(session, place, draft.program_needs, "/program_needs/{}", count)
    for n, change in enumerate(draft.registry_changes):
        pointer = f"/registry_changes/{n}"
        target = await drafts.target_of(session, change, place.regency_code, pointer)
        # What this survey itself proposed before is no reason to refuse it.
        await drafts.check(session, change, target, at, pointer, anew=True)
        case = place.id if isinstance(place, Complaint) else place.complaint_id
        await drafts.check_documents(session, change.evidence, case, pointer)


def incomplete(content: SurveyContent | None) -> list[Fault]:
    if content is None:
        return [Fault("survey_empty")]
    faults = [_fault(problem) for problem in FORMS[content.form_version].problems(content.answers)]
    if content.visited_at is None:
        faults.append(Fault("missing", "/visited_at"))
    if not content.says_needs:
        faults.append(Fault("needs_not_said", "/program_needs"))
    return faults


def _fault(problem: AnswerProblem) -> Fault:
    return Fault(problem.code, f"/answers{problem.pointer}", params=dict(problem.params))
