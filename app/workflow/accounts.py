"""Accounts: people with roles and clients with scopes, made and changed by an admin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import GRANTABLE, SYSTEM, Actor, PrincipalKind, Role, Scope
from app.domain.base import line, new_id
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.events import Event, Events
from app.domain.principals import Principal, Principals, RoleGrant
from app.domain.programs import Programs
from app.domain.regions import Regions

CREATED, CHANGED = "account.created", "account.changed"
Username = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,63}$", max_length=64)]
Secret = Annotated[str, Field(min_length=12, max_length=200)]
RegionCodes = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9]{2}(\.[0-9]{2}){0,2}(\.[0-9]{4})?$", max_length=13)]],
    Field(max_length=200),
]
ProgramCodes = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=40)]], Field(max_length=100)
]
# Roles that are about programmes hold some.
OF_PROGRAMS = (Role.PROGRAM_MANAGER, Role.AGENCY)
OF_DEPLOYMENT = (Role.ADMIN,)


class RoleGiven(BaseModel):
    """A role with its regions and, for programme managers and agencies, programmes."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    region_codes: RegionCodes = []
    program_codes: ProgramCodes = []


class UserDraft(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    name: line(120)  # type: ignore[valid-type]
    password: Secret
    roles: Annotated[list[RoleGiven], Field(max_length=20)] = []


class ClientDraft(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    name: line(120)  # type: ignore[valid-type]
    secret: Secret
    scopes: Annotated[list[Scope], Field(max_length=20)]
    region_codes: RegionCodes = []
    program_codes: ProgramCodes = []


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What to change; None leaves as it is."""

    name: str | None = None
    active: bool | None = None
    secret_hash: str | None = None
    roles: Sequence[RoleGiven] | None = None
    scopes: Sequence[Scope] | None = None
    region_codes: Sequence[str] | None = None
    program_codes: Sequence[str] | None = None


def check_admin(actor: Actor) -> None:
    if not any(grant.role is Role.ADMIN for grant in actor.grants):
        raise Forbidden("role_not_allowed")


async def add_user(
    session: AsyncSession, by: Actor, draft: UserDraft, password_hash: str, at: datetime
) -> Principal:
    """A person with roles. Raises Conflict `username_taken`, Invalid for unknown regions."""
    await _check_roles(session, draft.roles)
    principal = _principal(PrincipalKind.PERSON, draft.username, draft.name, password_hash, at)
    return await _add(session, by, principal, _grants(principal.id, draft.roles), at)


async def add_client(
    session: AsyncSession, by: Actor, draft: ClientDraft, secret_hash: str, at: datetime
) -> Principal:
    """A service client with scopes for some regions and programmes."""
    await check_codes(session, draft.region_codes, draft.program_codes, "")
    principal = _principal(PrincipalKind.CLIENT, draft.username, draft.name, secret_hash, at)
    principal.scopes = [str(scope) for scope in draft.scopes]
    principal.region_codes, principal.program_codes = draft.region_codes, draft.program_codes
    return await _add(session, by, principal, [], at)


async def change(
    session: AsyncSession,
    by: Actor,
    id: UUID,
    kind: PrincipalKind,
    version: int,
    changes: AccountChanges,
    at: datetime,
) -> Principal:
    """Change an account. Raises Conflict `last_admin` where nobody could administer any more."""
    principals = Principals(session)
    principal = await principals.get(id, kind, lock=True)
    if version != principal.version:
        raise PreconditionFailed("stale_version")
    for name in ("name", "active", "secret_hash"):
        if (value := getattr(changes, name)) is not None:
            setattr(principal, name, value)
    if changes.roles is not None:
        await _check_roles(session, changes.roles)
        await principals.replace_grants(id, _grants(id, changes.roles))
    regions, programs = changes.region_codes, changes.program_codes
    await check_codes(session, regions or [], programs or [], "")
    if changes.scopes is not None:
        principal.scopes = [str(scope) for scope in changes.scopes]
    if regions is not None:
        principal.region_codes = list(regions)
    if programs is not None:
        principal.program_codes = list(programs)
    principal.version += 1
    principal.updated_at = at
    await session.flush()
    if kind is PrincipalKind.PERSON and not await principals.any_admin():
        raise Conflict("last_admin")
    _log(session, CHANGED, principal, by, at)
    return principal


def _principal(
    kind: PrincipalKind, username: str, name: str, secret_hash: str, at: datetime
) -> Principal:
    return Principal(
        id=new_id(), kind=kind, username=username, name=name, secret_hash=secret_hash,
        created_at=at, updated_at=at,
    )  # fmt: skip


def _grants(principal_id: UUID, roles: Sequence[RoleGiven]) -> list[RoleGrant]:
    return [
        RoleGrant(
            principal_id=principal_id, role=given.role, region_codes=given.region_codes,
            program_codes=given.program_codes,
        )
        for given in roles
    ]  # fmt: skip


async def _add(
    session: AsyncSession, by: Actor, principal: Principal, grants: list[RoleGrant], at: datetime
) -> Principal:
    try:
        async with session.begin_nested():
            Principals(session).add(principal, grants)
            await session.flush()
    except sa.exc.IntegrityError:
        raise Conflict("username_taken") from None
    _log(session, CREATED, principal, by, at)
    return principal


async def _check_roles(session: AsyncSession, roles: Sequence[RoleGiven]) -> None:
    faults = []
    for n, given in enumerate(roles):
        if given.role not in GRANTABLE or [r.role for r in roles].count(given.role) > 1:
            faults.append(Fault("not_an_option", f"/roles/{n}/role"))
        if not given.region_codes and given.role not in OF_DEPLOYMENT:
            faults.append(Fault("missing", f"/roles/{n}/region_codes"))
        if not given.program_codes and given.role in OF_PROGRAMS:
            faults.append(Fault("missing", f"/roles/{n}/program_codes"))
        await check_codes(session, given.region_codes, given.program_codes, f"/roles/{n}")
    if faults:
        raise Invalid("validation_failed", tuple(faults))


async def check_codes(
    session: AsyncSession, regions: Sequence[str], programs: Sequence[str], pointer: str
) -> None:
    """Raise Invalid `unknown_reference` for regions and programmes that there are not."""
    unknown_regions = await Regions(session).unknown(set(regions))
    unknown_programs = await Programs(session).unknown(set(programs))
    faults = [
        Fault("unknown_region", f"{pointer}/region_codes/{n}")
        for n, code in enumerate(regions)
        if code in unknown_regions
    ] + [
        Fault("unknown_program", f"{pointer}/program_codes/{n}")
        for n, code in enumerate(programs)
        if code in unknown_programs
    ]
    if faults:
        raise Invalid("unknown_reference", tuple(faults))


def _log(session: AsyncSession, type: str, principal: Principal, by: Actor, at: datetime) -> None:
    """Accounts belong to the deployment, not to a region."""
    Events(session).append(
        Event(
            type=type, collection="clients" if principal.kind is PrincipalKind.CLIENT else "users",
            subject_id=principal.id, subject_version=principal.version,
            actor_id=by.id, actor_role=Role.SYSTEM if by is SYSTEM else Role.ADMIN, at=at,
            data={"kind": principal.kind, "active": principal.active},
            province_code="", regency_code="", district_code="", village_code="",
        )
    )  # fmt: skip
