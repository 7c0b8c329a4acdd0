"""The registry check: is this person, or this family, in the registry?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Actor, Role, Scope
from app.domain.complaints import BEFORE_FORWARDED, Complaint, cities
from app.domain.errors import Conflict, Forbidden
from app.domain.households import Family, Household, Households, Member, MemberRelation
from app.domain.identifiers import masked, masked_name
from app.domain.registry import Described, Likeness, Registry
from app.domain.vocabulary import CheckOutcome, Relation
from app.workflow.complaints.filing import opened
from app.workflow.history import log

CHECKED = "complaint.registry_checked"
CHECKERS = (Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.FACILITATOR, Role.SUPERVISOR)


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of whom to look for: numbers are compared exactly, names by likeness.

    A name says too little alone: it is compared where birth date and region are known too.
    """

    national_id: str | None = None
    family_card_number: str | None = None
    household_id: UUID | None = None
    name: str | None = None
    birth_date: date | None = None
    region_code: str | None = None

    @property
    def named(self) -> bool:
        known = (self.national_id, self.family_card_number, self.household_id)
        return any(value is not None for value in known)

    @property
    def described(self) -> Described | None:
        if self.name is None or self.birth_date is None or self.region_code is None:
            return None
        return Described(self.name, self.birth_date, self.region_code)


@dataclass(frozen=True, slots=True)
class Checked:
    outcome: CheckOutcome
    households: Sequence[Household] = ()
    alike: Sequence[Likeness] = ()
    warnings: Sequence[str] = field(default=())

    @property
    def candidates(self) -> list[tuple[Household, Likeness | None]]:
        """What was found, and what is like it, best first."""
        exact: list[tuple[Household, Likeness | None]] = [(one, None) for one in self.households]
        return exact + [(one.household, one) for one in self.alike]

    @property
    def household_id(self) -> UUID | None:
        """The one household found; several are for a person to choose from."""
        return self.households[0].id if self.outcome is CheckOutcome.REGISTERED else None


def check_checker(actor: Actor) -> tuple[str, ...]:
    """The cities an actor may ask about. Raises Forbidden where there is none."""
    regions = actor.regions(*CHECKERS)
    if Scope.REGISTRY_READ in actor.scopes:
        regions += actor.region_codes
    if not regions:
        raise Forbidden("role_not_allowed")
    return cities(regions)


def person_of(
    session: AsyncSession, complaint: Complaint, birth_date: date | None = None
) -> Person:
    """Whom a complaint is about: its subject, or the reporter who speaks for themself."""
    name, place = complaint.subject_name, complaint.regency_code
    person = Person(
        opened(session, complaint, "subject_national_id"),
        opened(session, complaint, "subject_family_card_number"),
        complaint.household_id,
        name,
        birth_date,
        place,
    )
    if not person.named and complaint.reporter_relation is Relation.SELF:
        number = opened(session, complaint, "reporter_national_id")
        return Person(number, None, None, name or complaint.reporter_name, birth_date, place)
    return person


async def check(session: AsyncSession, cities: tuple[str, ...], person: Person) -> Checked:
    """Look a person up in the cities' registry. Several families with one number are `similar`."""
    registry = Registry(session)
    if not await registry.any_in(cities):
        return Checked(CheckOutcome.NO_REGISTRY)
    found = await registry.matching(cities, person.national_id, person.family_card_number)
    if not found and person.household_id is not None:
        found = await registry.standing(cities, [person.household_id])
    if found:
        outcome = CheckOutcome.REGISTERED if len(found) == 1 else CheckOutcome.SIMILAR
        number = person.national_id
        people = await registry.people(found, number) if number else []
        return Checked(outcome, found, warnings=_warnings(people))
    alike = await registry.similar(cities, person.described) if person.described else []
    if alike or person.named or person.described:
        outcome = CheckOutcome.SIMILAR if alike else CheckOutcome.UNREGISTERED
        return Checked(outcome, alike=alike)
    # Nothing was compared: whoever asks must not take it for a no.
    return Checked(CheckOutcome.UNREGISTERED, warnings=["name_not_compared"])


def _warnings(people: Sequence[Member]) -> list[str]:
    """What whoever asks must know of the people found. Nobody is refused for it."""
    dead = ["dead" for one in people if not one.alive]
    reported = ["reported_dead" for one in people if one.alive and one.hold_change_id]
    return list(dict.fromkeys(dead + reported))


def keep(
    session: AsyncSession,
    complaint: Complaint,
    checked: Checked,
    candidates: list[dict[str, Any]],
    actor: Actor,
    at: datetime,
) -> None:
    """Keep a check on its complaint, which is locked. Moves neither clock nor version.

    Raises Conflict once the complaint is decided.
    """
    if complaint.state not in BEFORE_FORWARDED:
        raise Conflict("no_longer_changeable")
    household_id = checked.household_id
    complaint.registry_check = {
        "outcome": checked.outcome,
        "household_id": str(household_id) if household_id else None,
        "candidates": candidates,
        "warnings": list(checked.warnings),
        "checked_at": at.isoformat(),
        "checked_by": str(actor.id),
    }
    log(session, CHECKED, complaint, actor, at, outcome=checked.outcome)


async def check_by_system(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """The check of a locked complaint that nobody has made, kept on it."""
    checked = await check(session, (complaint.regency_code,), person_of(session, complaint))
    candidates = await recognisable(session, checked.candidates)
    keep(session, complaint, checked, candidates, SYSTEM, at)


async def recognisable(
    session: AsyncSession, found: Sequence[tuple[Household, Likeness | None]]
) -> list[dict[str, Any]]:
    """Households to recognise, not to copy: masked, each with the person whose name was like."""
    households = Households(session)
    ids = [one.id for one, _ in found]
    members = await households.members_of(ids)
    families = await households.families_of(ids)
    shown = []
    for one, like in found:
        head = next((m for m in members[one.id] if m.relation is MemberRelation.HEAD), None)
        shown.append(
            {
                "household_id": str(one.id),
                "head_name": masked_name(head.name) if head else None,
                "family_card_number": first_card(households, families[one.id]),
                "national_id": masked(households.national_id(head)) if head else None,
                "village_code": one.village_code,
                "rt": one.rt,
                "rw": one.rw,
                "score": like.score if like else None,
                "member_name": masked_name(like.member.name) if like else None,
                "birth_year": like.member.birth_year if like else None,
            }
        )
    return shown


def first_card(households: Households, families: list[Family]) -> str | None:
    """The number of the first family's card, masked."""
    return masked(households.family_card_number(families[0])) if families else None
