"""The registry over HTTP: checks and households."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role, Scope
from app.domain.base import line
from app.domain.complaints import Complaints
from app.domain.errors import Fault, Forbidden, Invalid, NotFound
from app.domain.households import Family, Household, Households, MemberRelation, Sex
from app.domain.identifiers import masked, masked_name
from app.domain.visits import Visits
from app.domain.vocabulary import CheckOutcome
from app.routers.deps import (
    CurrentActor,
    CurrentKeys,
    Cursor,
    Limit,
    Now,
    Retrying,
    Session,
    Subject,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Cursors, Page, cut, next_link
from app.routers.replies import reply
from app.routers.resources import Code, Count, Line, Masked, Name, items
from app.routers.resources import text as read_text
from app.workflow import registry
from app.workflow.complaints.filing import NationalId, RegionCode
from app.workflow.registry import Checked, Person

router = APIRouter(prefix="/v1", tags=["registry"], route_class=Door)
READERS = (
    Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.SUPERVISOR, Role.MANAGER, Role.HEAD,
    Role.DATA_PROTECTION_OFFICER,
)  # fmt: skip
Number = read_text(16)


class CheckRequest(BaseModel):
    """Whom to look for; with a complaint alone, whom that complaint is about."""

    model_config = ConfigDict(extra="forbid")

    complaint_id: UUID | None = None
    national_id: NationalId | None = None
    family_card_number: NationalId | None = None
    name: line(120) | None = None  # type: ignore[valid-type]
    birth_date: date | None = None
    region_code: RegionCode | None = None


class CheckRead(BaseModel):
    """What the registry knows: exact numbers only; candidates are masked."""

    outcome: CheckOutcome
    household_id: UUID | None
    candidates: items(Masked, 20)  # type: ignore[valid-type]


class MemberRead(BaseModel):
    id: UUID
    name: Name
    national_id: Number | None  # type: ignore[valid-type]
    birth_date: date | None
    sex: Sex | None
    relation: MemberRelation


class HouseholdRead(BaseModel):
    """A household of the registry, numbers masked."""

    id: UUID
    version: Count
    registry_source: Code
    registry_id: Code
    family_card_number: Number | None  # type: ignore[valid-type]
    region_code: Code
    address: Line | None
    rt: read_text(3) | None  # type: ignore[valid-type]
    rw: read_text(3) | None  # type: ignore[valid-type]
    decile: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 10})] | None
    members: items(MemberRead, 100)  # type: ignore[valid-type]


def _regions(actor: Actor) -> tuple[str, ...]:
    regions = actor.regions(*READERS)
    if Scope.REGISTRY_READ in actor.scopes:
        regions += actor.region_codes
    return regions


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Household:
    """In the reader's regions, or linked to a complaint or visit in the facilitator's sight."""
    households = Households(session)
    try:
        return await households.get(id, _regions(actor))
    except NotFound:
        if actor.regions(Role.FACILITATOR) and (
            await Complaints(session).links(id, actor, at)
            or await Visits(session).links(id, actor, at)
        ):
            household = await households.find(id)
            if household is not None:
                return household
        raise


FINDERS["household_id"] = _find


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
    if query.complaint_id is not None:
        complaints = Complaints(session)
        try:
            await complaints.get(query.complaint_id, actor, now)
        except NotFound:
            raise Invalid(
                "unknown_complaint", (Fault("unknown_complaint", "/complaint_id"),)
            ) from None
    known = await retry.known()
    if query.complaint_id is not None:
        complaint = await complaints.lock(query.complaint_id)
    person = Person(query.national_id, query.family_card_number)
    if complaint is not None and not person.named and query.name is None:
        person = registry.person_of(session, complaint)
    elif not person.named and query.name is None:
        raise Invalid("criterion_required", (Fault("criterion_required", ""),))
    checked = await registry.check(session, regions, person)
    body = CheckRead(
        outcome=checked.outcome,
        household_id=checked.household_id,
        candidates=await _candidates(session, checked),
    )
    if known is None:
        if complaint is not None:
            kept = [one.model_dump(mode="json") for one in body.candidates]
            registry.keep(session, complaint, checked, kept, actor, now)
        retry.remember(201)
    return reply(body, 201, replayed=known is not None)


async def _candidates(session: AsyncSession, checked: Checked) -> list[Masked]:
    households = Households(session)
    ids = [one.id for one in checked.households]
    members = await households.members_of(ids)
    families = await households.families_of(ids)
    found = []
    for one in checked.households:
        head = next((m for m in members[one.id] if m.relation is MemberRelation.HEAD), None)
        found.append(
            Masked(
                household_id=one.id,
                head_name=masked_name(head.name) if head else None,
                family_card_number=_card(households, families[one.id]),
                national_id=masked(households.national_id(head)) if head else None,
                village_code=one.village_code,
                rt=one.rt,
                rw=one.rw,
            )
        )
    return found


def _card(households: Households, families: list[Family]) -> str | None:
    """The number of the first family's card, masked."""
    return masked(households.family_card_number(families[0])) if families else None


@router.get("/households", response_model=Page[HouseholdRead])
async def list_households(
    request: Request,
    session: Session,
    actor: CurrentActor,
    keys: CurrentKeys,
    limit: Limit = 50,
    cursor: Cursor = None,
    region: RegionCode | None = None,
) -> Response:
    """Households of the caller's regions."""
    regions = _regions(actor)
    if not regions:
        raise Forbidden("role_not_allowed")
    cursors = Cursors(keys.data.cursor, request)
    place = cursors.read(cursor, UUID)
    rows = await Households(session).page(regions, region, place[0] if place else None, limit + 1)
    page, more = cut(rows, limit)
    following = cursors.make(page[-1].id) if more else None
    body = Page[HouseholdRead].model_construct(
        items=await _read(session, list(page)), next_cursor=following
    )
    return reply(body, headers=next_link(request, following))


@router.get("/households/{household_id}", response_model=HouseholdRead)
async def get_household(household_id: UUID, subject: Subject, session: Session) -> Response:
    """One household with its members, numbers masked."""
    body = (await _read(session, [subject]))[0]
    return reply(body, version=subject.version)


async def _read(session: AsyncSession, rows: list[Household]) -> list[HouseholdRead]:
    households = Households(session)
    ids = [one.id for one in rows]
    members = await households.members_of(ids)
    families = await households.families_of(ids)
    return [
        HouseholdRead(
            **_plain(one),
            family_card_number=_card(households, families[one.id]),
            region_code=one.village_code,
            members=[
                MemberRead(
                    id=m.id,
                    name=m.name,
                    national_id=masked(households.national_id(m)),
                    birth_date=m.birth_date,
                    sex=m.sex,
                    relation=m.relation,
                )
                for m in members[one.id]
            ],
        )
        for one in rows
    ]


def _plain(one: Household) -> dict[str, Any]:
    names = ("id", "version", "registry_source", "registry_id", "address", "rt", "rw", "decile")
    return {name: getattr(one, name) for name in names}
