"""Referrals over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.complaints import Complaints
from app.domain.errors import Forbidden
from app.domain.identifiers import masked
from app.domain.referrals import (
    Origin,
    Referral,
    ReferralFilter,
    Referrals,
    ReferralState,
    WaitingReferrals,
)
from app.domain.vocabulary import Purpose
from app.routers.actions import Asked
from app.routers.complaints.reads import EventRead
from app.routers.complaints.routes import drafted_for, history
from app.routers.deps import (
    CurrentActor,
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
from app.routers.resources import Code, Count, Ids, Line, Moment, Name, items
from app.routers.resources import text as read_text
from app.routers.screenings.reads import ScreeningSummary, summaries
from app.workflow.complaints.filing import RegionCode
from app.workflow.needs import Beneficiary
from app.workflow.needs import ProgramNeed as Need
from app.workflow.referrals import verbs
from app.workflow.referrals.table import MACHINE, ReferralAction, ReferralCase

router = APIRouter(prefix="/v1", tags=["referrals"], route_class=Door)
DRAFTERS = (Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.FACILITATOR)


class BeneficiaryRead(BaseModel):
    """Whom a referral is for. A household goes by its head's name and national id."""

    member_id: UUID | None
    household_id: UUID | None
    name: Name | None
    national_id: read_text(16) | None  # type: ignore[valid-type]


class ReferralRead(BaseModel):
    """A referral, with what the caller may do now.

    `screening` is what the rules said when it was drafted, for those who see its complaint.
    """

    id: UUID
    version: Count
    complaint_id: UUID
    complaint_ids: Ids
    program_code: Code
    purpose: Purpose
    beneficiary: BeneficiaryRead
    region_code: Code
    origin: Origin
    state: ReferralState
    # Where it stands in the line for a place; 1 is the next.
    waiting_position: Count | None
    # The registry change that is to be confirmed before it is sent.
    wait_for: UUID | None
    reason: Line | None
    created_at: Moment
    sent_at: Moment | None
    received_at: Moment | None
    answered_at: Moment | None
    informed_at: Moment | None
    due_at: Moment | None
    screening_id: UUID | None
    screening: ScreeningSummary | None
    actions: items(ReferralAction, 20)  # type: ignore[valid-type]


class ReferralDraft(BaseModel):
    """A need put to a programme, by the desk or the assigned facilitator.

    `wait_for`: an open registry change of the complaint or the beneficiary; until it is confirmed
    the referral is not sent, and it is cancelled where the change is declined, rejected or
    withdrawn.
    """

    model_config = ConfigDict(extra="forbid")

    complaint_id: UUID
    program_code: Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=40)]
    purpose: Purpose = Purpose.ENROL
    beneficiary: Beneficiary
    wait_for: UUID | None = None


class ReferralActionRequest(Asked):
    """An action on a referral; see `GET /v1/workflows/referral`."""

    DATA = verbs.DATA

    action: ReferralAction


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Referral:
    return await Referrals(session).get(id, actor, at)


FINDERS["referral_id"] = _find


async def read(
    session: AsyncSession, actor: Actor, referrals: list[Referral], at: datetime
) -> list[ReferralRead]:
    await session.flush()
    repository = Referrals(session)
    holders = await repository.holders_of([one.id for one in referrals], actor, at)
    complaints = await Complaints(session).by_ids({one.complaint_id for one in referrals})
    # Why, is for those who decide on the case; an owner gets the need alone.
    seen = [one.screening_id for one in referrals if one.screening_id and holders[one.id]]
    screenings = await summaries(session, seen)
    positions = await WaitingReferrals(session).positions(referrals)
    return [
        ReferralRead(
            **{
                name: getattr(one, name)
                for name in ReferralRead.model_fields.keys() & Referral.model_fields.keys()
            }
            | {"screening_id": one.screening_id if holders[one.id] else None},
            screening=screenings.get(one.screening_id) if one.screening_id else None,
            complaint_ids=holders[one.id],
            beneficiary=BeneficiaryRead(
                member_id=one.member_id,
                household_id=one.household_id,
                name=one.beneficiary_name,
                national_id=masked(repository.national_id(one)),
            ),
            region_code=one.village_code,
            waiting_position=positions.get(one.id),
            actions=MACHINE.actions(ReferralCase(one, complaints[one.complaint_id]), actor),
        )
        for one in referrals
    ]


async def _answer(
    session: AsyncSession,
    actor: Actor,
    referral: Referral,
    at: datetime,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    body = (await read(session, actor, [referral], at))[0]
    location = f"/v1/referrals/{referral.id}" if status == 201 else None
    return reply(body, status, version=referral.version, location=location, replayed=replayed)


@router.get("/referrals", response_model=Page[ReferralRead])
async def list_referrals(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    state: ReferralState | None = None,
    program_code: Annotated[str | None, Query(max_length=40)] = None,
    region: RegionCode | None = None,
    complaint_id: UUID | None = None,
    household_id: UUID | None = None,
) -> Response:
    """Referrals in the caller's sight, newest first."""
    wanted = ReferralFilter(state, program_code, region, complaint_id, household_id)
    rows = await Referrals(session).page(actor, wanted, paging.after(UUID), paging.rows, now)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[ReferralRead], await read(session, actor, list(page), now), following)


@router.post(
    "/referrals",
    status_code=201,
    response_model=ReferralRead,
    openapi_extra={CREATES: "referral"},
)
async def draft_referral(
    draft: ReferralDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Draft a referral before the supervisor decides; an open one for the same need is linked."""
    if not actor.regions(*DRAFTERS):
        raise Forbidden("role_not_allowed")
    complaint = await drafted_for(session, draft.complaint_id, actor, now)
    if known := await retry.known():
        referral = await Referrals(session).lock(UUID(known.ids["referral_id"]))
        return await _answer(session, actor, referral, now, known.status, replayed=True)
    need = Need(
        program_code=draft.program_code,
        purpose=draft.purpose,
        beneficiary=draft.beneficiary,
        wait_for=draft.wait_for,
    )
    referral = await verbs.draft(session, actor, complaint.id, need, now)
    retry.remember(201, referral_id=referral.id)
    return await _answer(session, actor, referral, now, 201)


@router.get("/referrals/{referral_id}", response_model=ReferralRead)
async def get_referral(
    referral_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One referral, with what the caller may do now."""
    return await _answer(session, actor, subject, now)


@router.post("/referrals/{referral_id}/actions", response_model=ReferralRead)
async def act_on_referral(
    referral_id: UUID,
    body: ReferralActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Take one action: the owner answers, the office replies, cancels and tells."""
    command = body.command()
    complaint = await Complaints(session).peek(subject.complaint_id)
    MACHINE.check_role(ReferralCase(subject, complaint), command.action, actor)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, now, replayed=True)
    version = read_version(visit, required=actor.is_person)
    referral = await verbs.act(session, actor, subject.id, command, now, version)
    retry.remember(200, referral_id=referral.id)
    return await _answer(session, actor, referral, now)


@router.get("/referrals/{referral_id}/events", response_model=Page[EventRead])
async def list_referral_events(
    referral_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """The history of a referral, oldest first."""
    return await history(session, subject.id, paging)
