"""Routes of households: what the registry knows, who looked for it, and numbers in full."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import line
from app.domain.errors import Fault, Forbidden, Invalid, NotFound
from app.domain.events import Events
from app.domain.households import Household, Households, Member, Presence
from app.domain.identifiers import no_number
from app.domain.principals import Principals
from app.domain.registry import (
    Described,
    HouseholdFilter,
    Likeness,
    Registry,
    may_look_in,
)
from app.routers.deps import (
    CurrentActor,
    Now,
    Paged,
    Session,
    Subject,
)
from app.routers.doors import FINDERS, Door
from app.routers.households import reads
from app.routers.households.reads import EntryRead, HouseholdPage, HouseholdRead
from app.routers.pages import Page
from app.routers.registry import recognisable
from app.routers.replies import reply
from app.routers.resources import Line, Masked, Moment, Someone, text
from app.workflow import households as looking
from app.workflow.complaints.filing import NationalId, RegionCode

router = APIRouter(prefix="/v1", tags=["registry"], route_class=Door)


class HouseholdQuery(BaseModel):
    """Whom to look for: a number, or name and birth date (and a region), or a registry's id."""

    model_config = ConfigDict(extra="forbid")

    national_id: NationalId | None = None
    family_card_number: NationalId | None = None
    name: line(120) | None = None  # type: ignore[valid-type]
    birth_date: date | None = None
    region_code: RegionCode | None = None
    registry_id: line(40) | None = None  # type: ignore[valid-type]


class RevealRequest(BaseModel):
    """Why the numbers are needed. It is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[line(200), AfterValidator(no_number)]  # type: ignore[valid-type]


class Revealed(BaseModel):
    """A person's numbers in full."""

    member_id: UUID
    national_id: text(16) | None  # type: ignore[valid-type]
    family_card_number: text(16) | None  # type: ignore[valid-type]


class RevealRead(BaseModel):
    """That somebody was shown a person's numbers, and why."""

    id: UUID
    at: Moment
    by: Someone
    reason: Line | None


def _reader(actor: Actor) -> tuple[str, ...]:
    regions = looking.regions_of(actor)
    if not regions:
        raise Forbidden("role_not_allowed")
    return regions


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Household:
    household = await Households(session).find(id)
    if household is None:
        raise NotFound
    await looking.check_reader(session, actor, household, at)
    return household


async def _find_member(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Member:
    """A member of a household in sight."""
    member = await Households(session).member(id)
    if member is None:
        raise NotFound
    await _find(session, member.household_id, actor, at)
    return member


FINDERS["household_id"] = _find
FINDERS["member_id"] = _find_member


@router.get("/households", response_model=Page[HouseholdRead])
async def list_households(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    region: RegionCode | None = None,
    decile_min: Annotated[int | None, Query(ge=1, le=10)] = None,
    decile_max: Annotated[int | None, Query(ge=1, le=10)] = None,
    presence: Presence | None = None,
    source: Annotated[
        str | None, Query(max_length=40, description="The registry that has them now.")
    ] = None,
    unconfirmed: Annotated[
        bool | None, Query(description="Whether something changed here waits for the centre.")
    ] = None,
) -> Response:
    """Households of the caller's regions that the registry has now."""
    regions = _reader(actor)
    wanted = HouseholdFilter(region, decile_min, decile_max, presence, source, unconfirmed)
    rows = await Registry(session).page(regions, wanted, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[HouseholdRead], await reads.summaries(session, page), following)


@router.post("/households/search", response_model=Page[Masked])
async def search_households(
    query: HouseholdQuery, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """Find a household without its id: masked, in the caller's regions, and on record.

    There is one page of at most 20; similar names come best first.
    """
    regions = _reader(actor)
    by, found = await _look_for(session, regions, query)
    looking.found(session, [one for one, _ in found], by, actor, now)
    body = Page[Masked](items=await recognisable(session, found), next_cursor=None)
    return reply(body)


async def _look_for(
    session: AsyncSession, regions: tuple[str, ...], query: HouseholdQuery
) -> tuple[str, list[tuple[Household, Likeness | None]]]:
    registry = Registry(session)
    if query.region_code is not None and not may_look_in(regions, query.region_code):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    if query.national_id or query.family_card_number:
        by = "national_id" if query.national_id else "family_card_number"
        exact = await registry.matching(regions, query.national_id, query.family_card_number)
        return by, [(one, None) for one in exact]
    if query.registry_id is not None:
        exact = await registry.by_registry_id(regions, query.registry_id)
        return "registry_id", [(one, None) for one in exact]
    if query.name is None:
        raise Invalid("criterion_required", (Fault("criterion_required", ""),))
    if query.birth_date is None:
        raise Invalid("criterion_required", (Fault("missing", "/birth_date"),))
    wanted = Described(query.name, query.birth_date, query.region_code)
    return "name", [(one.household, one) for one in await registry.similar(regions, wanted)]


@router.get("/households/{household_id}", response_model=HouseholdPage)
async def get_household(
    household_id: UUID, subject: Subject, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """One household with all that is known of it and its members, numbers masked."""
    all_facts = await looking.works_cases_of(session, actor, subject, now)
    body = await reads.page(session, subject, all_facts)
    return reply(body, version=subject.version)


@router.get("/households/{household_id}/history", response_model=Page[EntryRead])
async def get_history(
    household_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """What changed in the household and its members, by which source; newest first."""
    all_facts = await looking.works_cases_of(session, actor, subject, now)
    rows = await Registry(session).history(subject.id, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[EntryRead], [reads.entry(row, all_facts) for row in page], following)


@router.post("/members/{member_id}/reveal", response_model=Revealed)
async def reveal_numbers(
    member_id: UUID,
    body: RevealRequest,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """A person's numbers in full, for who decides or visits; on record, with the reason."""
    national_id, card = await looking.reveal(session, actor, subject, body.reason, now)
    shown = Revealed(member_id=subject.id, national_id=national_id, family_card_number=card)
    return reply(shown)


@router.get("/members/{member_id}/reveals", response_model=Page[RevealRead])
async def list_reveals(
    member_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    paging: Paged,
) -> Response:
    """Who was shown a person's numbers, and why, newest first; for who protects the data."""
    if not actor.holds(subject.village_code, Role.DATA_PROTECTION_OFFICER):
        raise Forbidden("role_not_allowed")
    rows = await Events(session).newest(
        subject.id, looking.REVEALED, paging.after(int), paging.rows
    )
    page, following = paging.cut(rows, lambda one: one.seq)
    names: dict[Any, str] = await Principals(session).names({one.actor_id for one in page})
    items = [
        RevealRead(
            id=one.id,
            at=one.at,
            by=Someone(id=one.actor_id, name=names.get(one.actor_id)),
            reason=one.reason,
        )
        for one in page
    ]
    return paging.answer(Page[RevealRead], items, following)
