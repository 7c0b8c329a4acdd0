"""Who is meant: the parties that the tables of complaints and referrals speak of. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.domain.actors import CITIZEN as CITIZEN_ACTOR
from app.domain.actors import SECRETARIAT as SECRETARIAT_ROLES
from app.domain.actors import SYSTEM as SYSTEM_ACTOR
from app.domain.actors import Actor, Role
from app.domain.base import regency_of
from app.workflow.machine import Party


@dataclass(frozen=True, slots=True)
class Staff:
    """The active people of a city, by whom a level can be filled; facilitators left out."""

    people: tuple[Actor, ...] = ()

    def holding(self, region_code: str, *roles: Role) -> list[Actor]:
        """Those whose scope contains the region."""
        return [actor for actor in self.people if actor.holds(region_code, *roles)]

    def owning(self, region_code: str, program_code: str) -> list[Actor]:
        """Those who answer for a programme in the region."""
        owners = (Role.AGENCY, Role.PROGRAM_MANAGER)
        return [
            actor
            for actor in self.people
            if actor.holds_program(region_code, program_code, *owners)
        ]

    def near(self, region_code: str, *roles: Role) -> list[Actor]:
        """Those whose scope lies in the same city."""
        city = regency_of(region_code)
        return [actor for actor in self.people if actor.holds_near(city, *roles)]


@dataclass(slots=True)
class Parts:
    """Who has part in a case: four eyes compare people, never roles."""

    surveyors: frozenset[UUID] = field(default_factory=frozenset)
    approver: frozenset[UUID] = field(default_factory=frozenset)
    rejecters: frozenset[UUID] = field(default_factory=frozenset)


def _holding(name: str, *roles: Role) -> Party:
    def could(actor: Actor, case: Any) -> bool:
        return actor.holds(case.village_code, *roles)

    return Party(name, roles, could, could)


def _in_the_city(name: str, *roles: Role, may: Any = None) -> Party:
    def could(actor: Actor, case: Any) -> bool:
        city = regency_of(case.village_code)
        return actor.holds_near(city, *roles)

    return Party(name, roles, could, may or could)


def _is_system(actor: Actor, _: Any) -> bool:
    return actor is SYSTEM_ACTOR


def _is_citizen(actor: Actor, _: Any) -> bool:
    # The door has seen the ticket and its PIN.
    return actor is CITIZEN_ACTOR


def _handles(actor: Actor, case: Any) -> bool:
    """A confidential report is in the hands of those above whoever it may be about."""
    confidential = getattr(case, "confidential", False)
    return confidential and actor.holds(case.village_code, Role.MANAGER, Role.HEAD)


def _is_assigned(actor: Actor, case: Any) -> bool:
    return bool(case.assigned_to == actor.id and actor.regions(Role.FACILITATOR))


def _has_filed(actor: Actor, case: Any) -> bool:
    return bool(case.submitted_by == actor.id and actor.regions(Role.FACILITATOR))


def _free(people: Iterable[Actor], *parts: frozenset[UUID]) -> list[Actor]:
    return [actor for actor in people if not any(actor.id in part for part in parts)]


def may_approve(actor: Actor, case: Any) -> bool:
    """Who decides as supervisor: region, city, manager, as each runs out of people or time."""
    code, parts = case.village_code, case.parts
    if actor.holds(code, Role.SUPERVISOR):
        return True
    of_city = _free(case.staff.near(code, Role.SUPERVISOR), parts.surveyors, parts.rejecters)
    of_region = [one for one in of_city if one.holds(code, Role.SUPERVISOR)]
    if SUPERVISOR_OF_CITY.could(actor, case) and (case.stage_level >= 1 or not of_region):
        return True
    return actor.holds(code, Role.MANAGER) and (
        case.stage_level >= 2 or case.breached or not of_city
    )


def may_forward(actor: Actor, case: Any) -> bool:
    """The manager; others at once where no active manager is left who had no part before."""
    code, parts = case.village_code, case.parts
    if actor.holds(code, Role.MANAGER):
        return True
    managers = _free(case.staff.holding(code, Role.MANAGER), parts.approver, parts.rejecters)
    if managers:
        return False
    return HEAD.may(actor, case) or WITHOUT_PART.may(actor, case)


def _without_part(actor: Actor, case: Any) -> bool:
    return SUPERVISOR_OF_CITY.could(actor, case) and bool(
        _free([actor], case.parts.surveyors, case.parts.approver, case.parts.rejecters)
    )


SYSTEM = Party("system", (Role.SYSTEM,), _is_system, _is_system)
CITIZEN = Party("citizen with ticket and PIN", (Role.CITIZEN,), _is_citizen, _is_citizen)
HANDLER = Party(
    "manager or head, of a confidential report", (Role.MANAGER, Role.HEAD), _handles, _handles
)
DESK = _holding("desk", Role.PUSKESOS_OFFICER, *SECRETARIAT_ROLES)
PUSKESOS = _holding("puskesos_officer", Role.PUSKESOS_OFFICER)
SECRETARIAT = _holding("secretariat", *SECRETARIAT_ROLES)
SUPERVISOR = _holding("supervisor", Role.SUPERVISOR)
MANAGER = _holding("manager", Role.MANAGER)
HEAD = _holding("head", Role.HEAD)
SUPERVISOR_OF_CITY = _in_the_city("supervisor of the city", Role.SUPERVISOR)
ASSIGNED = _in_the_city("assigned facilitator", Role.FACILITATOR, may=_is_assigned)
FILER = _in_the_city("facilitator who filed it", Role.FACILITATOR, may=_has_filed)
APPROVER = _in_the_city(
    "supervisor; of the city at level 1; manager at level 2",
    Role.SUPERVISOR,
    Role.MANAGER,
    may=may_approve,
)
FORWARDER = _in_the_city(
    "manager; head or a supervisor without part where none is left",
    Role.MANAGER,
    Role.HEAD,
    Role.SUPERVISOR,
    may=may_forward,
)
WITHOUT_PART = _in_the_city("supervisor without part in it", Role.SUPERVISOR, may=_without_part)


def told(party: Party, case: Any) -> list[UUID]:
    """The active people whom a level names; facilitators are told by assignment."""
    if party is ASSIGNED:
        return [case.assigned_to] if case.assigned_to else []
    return [actor.id for actor in case.staff.people if party.may(actor, case)]
