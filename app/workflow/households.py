"""Looking into the registry on record: who was found by a search, and whose numbers were shown."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role, Scope
from app.domain.base import contains
from app.domain.complaints import Complaints
from app.domain.errors import Forbidden, NotFound
from app.domain.facts import FACTS
from app.domain.households import Household, Households, Member
from app.domain.visits import Visits
from app.workflow.history import log

FOUND = "household.found_by_search"
REVEALED = "member.revealed"
# Who works cases, and so may know what is specific personal data.
CASE_ROLES = (
    Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.SUPERVISOR, Role.MANAGER, Role.HEAD,
)  # fmt: skip
REVEALERS = (*SECRETARIAT, Role.SUPERVISOR, Role.MANAGER)
READERS = (*CASE_ROLES, Role.DATA_PROTECTION_OFFICER)


def found(
    session: AsyncSession, households: Sequence[Household], by: str, actor: Actor, at: datetime
) -> None:
    """Put a search on record: each household that it showed, and what was asked by."""
    for one in {one.id: one for one in households}.values():
        log(session, FOUND, one, actor, at, by=by)


def regions_of(actor: Actor) -> tuple[str, ...]:
    """Where the actor reads every household."""
    regions = actor.regions(*READERS)
    if Scope.REGISTRY_READ in actor.scopes:
        regions += actor.region_codes
    return regions


async def check_reader(
    session: AsyncSession, actor: Actor, household: Household, at: datetime
) -> None:
    """Raises NotFound unless it is in the reader's regions, or linked to a complaint or visit in
    the facilitator's sight."""
    if not any(contains(region, household.village_code) for region in regions_of(actor)) and (
        not await _visits(session, actor, household, at)
    ):
        raise NotFound


async def _visits(session: AsyncSession, actor: Actor, household: Household, at: datetime) -> bool:
    return bool(actor.regions(Role.FACILITATOR)) and (
        await Complaints(session).links(household.id, actor, at)
        or await Visits(session).links(household.id, actor, at)
    )


async def works_cases_of(
    session: AsyncSession, actor: Actor, household: Household, at: datetime
) -> bool:
    """Whether the actor works cases here, or has to visit this home."""
    if actor.holds(household.village_code, *CASE_ROLES):
        return True
    return await _visits(session, actor, household, at)


def sensitive(name: str) -> bool:
    """Whether a fact is specific personal data: health, disability, income."""
    return name in FACTS and FACTS[name].sensitive


async def reveal(
    session: AsyncSession, actor: Actor, member: Member, reason: str, at: datetime
) -> tuple[str | None, str | None]:
    """A person's national id and family card number in full, on record with the reason.

    Raises Forbidden unless the actor decides here, or visits this home for an open complaint.
    """
    if not actor.holds(member.village_code, *REVEALERS) and not (
        actor.regions(Role.FACILITATOR)
        and await Complaints(session).assigned_at(member.household_id, actor.id)
    ):
        raise Forbidden("role_not_allowed")
    households = Households(session)
    families = (await households.families_of([member.household_id]))[member.household_id]
    own = next((one for one in families if one.id == member.family_id), None)
    family = own or next(iter(families), None)
    log(session, REVEALED, member, actor, at, reason=reason)
    card = households.family_card_number(family) if family else None
    return households.national_id(member), card
