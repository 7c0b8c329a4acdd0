"""The registry check over HTTP, and how a household looks when it is only to be recognised."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import line
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Fault, Invalid
from app.domain.households import Household
from app.domain.regions import Regions
from app.domain.registry import Likeness, may_look_in
from app.domain.vocabulary import CheckOutcome
from app.routers.complaints.routes import named
from app.routers.deps import CurrentActor, Now, Retrying, Session
from app.routers.doors import CREATES, Door
from app.routers.replies import reply
from app.routers.resources import Masked, Words, items
from app.workflow import registry
from app.workflow.complaints.filing import NationalId, RegionCode
from app.workflow.registry import Person

router = APIRouter(prefix="/v1", tags=["registry"], route_class=Door)


class CheckRequest(BaseModel):
    """Whom to look for; with a complaint alone, whom that complaint is about.

    A name is compared where birth date and region (a city or smaller) are given too; a complaint
    names both but the birth date.
    """

    model_config = ConfigDict(extra="forbid")

    complaint_id: UUID | None = None
    national_id: NationalId | None = None
    family_card_number: NationalId | None = None
    name: line(120) | None = None  # type: ignore[valid-type]
    birth_date: date | None = None
    region_code: RegionCode | None = None


class CheckRead(BaseModel):
    """What the registry knows, masked. `similar` has candidates to choose from, best first.

    `warnings`: the person is `dead` in the registry, or `reported_dead`; `name_not_compared` where
    too little was given to look for anybody: `unregistered` then says nothing.
    """

    outcome: CheckOutcome
    household_id: UUID | None
    candidates: items(Masked, 20)  # type: ignore[valid-type]
    warnings: Words


@router.post(
    "/registry/checks",
    status_code=201,
    response_model=CheckRead,
    openapi_extra={CREATES: "registry check"},
)
async def check_registry(
    query: CheckRequest, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Is this person in the registry? City-wide, masked, and kept on the complaint."""
    regions = registry.check_checker(actor)
    complaint = None
    if query.region_code is not None and await Regions(session).unknown({query.region_code}):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    if query.complaint_id is not None:
        complaints = Complaints(session)
        await named(session, query.complaint_id, actor, now)
    known = await retry.known()
    if query.complaint_id is not None:
        complaint = await complaints.lock(query.complaint_id)
    checked = await registry.check(session, regions, _person(session, query, complaint, regions))
    body = CheckRead(
        outcome=checked.outcome,
        household_id=checked.household_id,
        candidates=await recognisable(session, checked.candidates),
        warnings=list(checked.warnings),
    )
    if known is None:
        if complaint is not None:
            kept = [one.model_dump(mode="json") for one in body.candidates]
            registry.keep(session, complaint, checked, kept, actor, now)
        retry.remember(201)
    return reply(body, 201, replayed=known is not None)


def _person(
    session: AsyncSession,
    query: CheckRequest,
    complaint: Complaint | None,
    regions: tuple[str, ...],
) -> Person:
    """Whom to look for. Raises Invalid where nobody, or a region elsewhere, is named."""
    if query.region_code is not None and not may_look_in(regions, query.region_code):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    person = Person(
        query.national_id,
        query.family_card_number,
        name=query.name,
        birth_date=query.birth_date,
        region_code=query.region_code,
    )
    if person.named or person.name is not None:
        return person
    if complaint is None:
        raise Invalid("criterion_required", (Fault("criterion_required", ""),))
    return registry.person_of(session, complaint, query.birth_date)


async def recognisable(
    session: AsyncSession, found: Sequence[tuple[Household, Likeness | None]]
) -> list[Masked]:
    """Households to recognise, not to copy, each with the person whose name was like."""
    return [Masked(**one) for one in await registry.recognisable(session, found)]
