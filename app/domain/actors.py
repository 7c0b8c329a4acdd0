"""Who acts: a person with roles, a service client with scopes, or the system."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.domain.base import contains


class Role(StrEnum):
    PUSKESOS_OFFICER = "puskesos_officer"
    FRONT_OFFICE = "front_office"
    BACK_OFFICE = "back_office"
    FACILITATOR = "facilitator"
    SUPERVISOR = "supervisor"
    MANAGER = "manager"
    HEAD = "head"
    PROGRAM_MANAGER = "program_manager"
    AGENCY = "agency"
    ADMIN = "admin"
    DATA_PROTECTION_OFFICER = "data_protection_officer"
    CITIZEN = "citizen"
    SYSTEM = "system"


SECRETARIAT = (Role.FRONT_OFFICE, Role.BACK_OFFICE)
# Roles that an account can be given: a citizen has a ticket and its PIN instead.
GRANTABLE = tuple(role for role in Role if role not in (Role.CITIZEN, Role.SYSTEM))


class Scope(StrEnum):
    COMPLAINTS_SUBMIT = "complaints:submit"
    REFERRALS_READ = "referrals:read"
    REFERRALS_ANSWER = "referrals:answer"
    REGISTRY_READ = "registry:read"
    WEBHOOKS_MANAGE = "webhooks:manage"


class PrincipalKind(StrEnum):
    PERSON = "person"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for regions (and, where the role is about programmes, for programmes)."""

    role: Role
    region_codes: tuple[str, ...]
    program_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks: compared by `id`, never by role."""

    id: UUID
    kind: PrincipalKind
    username: str
    name: str
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[Scope] = frozenset()
    region_codes: tuple[str, ...] = ()  # a client's
    program_codes: tuple[str, ...] = ()  # a client's

    def regions(self, *roles: Role) -> tuple[str, ...]:
        """The scopes in which the actor holds any of the roles."""
        return tuple(code for grant in self.granted(*roles) for code in grant.region_codes)

    def granted(self, *roles: Role) -> tuple[Grant, ...]:
        """The grants of any of the roles."""
        return tuple(grant for grant in self.grants if grant.role in roles)

    def regions_of_program(self, program_code: str, *roles: Role) -> tuple[str, ...]:
        """The scopes in which the actor holds any of the roles for a programme."""
        return tuple(
            code
            for grant in self.granted(*roles)
            if program_code in grant.program_codes
            for code in grant.region_codes
        )

    def holds(self, region_code: str, *roles: Role) -> bool:
        """Whether a role's scope contains the region."""
        return any(contains(scope, region_code) for scope in self.regions(*roles))

    def holds_near(self, region_code: str, *roles: Role) -> bool:
        """Whether a role's scope lies in, or contains, the region: a supervisor of the city."""
        return any(
            contains(scope, region_code) or contains(region_code, scope)
            for scope in self.regions(*roles)
        )

    def holds_program(self, region_code: str, program_code: str, *roles: Role) -> bool:
        """Whether a role is held for the programme in the region; clients act as an agency."""
        return any(
            contains(scope, region_code) for scope in self.regions_of_program(program_code, *roles)
        )

    @property
    def is_person(self) -> bool:
        return self.kind is PrincipalKind.PERSON

    def role_for(self, region_code: str, *preferred: Role) -> Role | None:
        """The role to write in the history: the first preferred one held here, else any."""
        held = [grant.role for grant in self.grants if self.holds_near(region_code, grant.role)]
        return next((role for role in preferred if role in held), held[0] if held else None)


SYSTEM = Actor(
    id=UUID(int=0),
    kind=PrincipalKind.CLIENT,
    username="system",
    name="slrt",
    grants=(Grant(Role.SYSTEM, ()),),
)
# Whoever comes without an account, by a ticket and its PIN or to the public form. A row of
# `principals` has this id, since a complaint names who submitted it; nobody signs in as it.
CITIZEN = Actor(
    id=UUID(int=1),
    kind=PrincipalKind.CLIENT,
    username="public",
    name="Warga",
    grants=(Grant(Role.CITIZEN, ()),),
)
