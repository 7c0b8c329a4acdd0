"""Principals: people with roles and service clients with scopes."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.actors import Actor, Grant, PrincipalKind, Role, Scope
from app.domain.base import CODE, Record, contains, enum_type
from app.domain.errors import NotFound

CODES = ARRAY(CODE)


class Principal(Record, table=True):
    """Whoever may log in. Persons carry roles in `grants`; clients carry scopes here."""

    __tablename__ = "principals"

    kind: PrincipalKind = Field(sa_type=enum_type(PrincipalKind))
    username: str = Field(max_length=64, unique=True, sa_type=CODE)
    name: str = Field(max_length=120)
    secret_hash: str = Field(max_length=200)
    active: bool = True
    version: int = 1
    scopes: list[str] = Field(default_factory=list, sa_type=ARRAY(sa.Text))
    region_codes: list[str] = Field(default_factory=list, sa_type=CODES)
    program_codes: list[str] = Field(default_factory=list, sa_type=CODES)
    created_at: datetime
    updated_at: datetime


class RoleGrant(Record, table=True):
    """A role that a person holds for some regions and programmes."""

    __tablename__ = "grants"
    __table_args__ = (sa.UniqueConstraint("principal_id", "role"),)

    principal_id: UUID = Field(foreign_key="principals.id")
    role: Role = Field(sa_type=enum_type(Role), index=True)
    region_codes: list[str] = Field(sa_type=CODES)
    program_codes: list[str] = Field(default_factory=list, sa_type=CODES)


def actor_of(principal: Principal, grants: list[RoleGrant]) -> Actor:
    """A principal as one who acts. A client that may answer referrals acts as an agency."""
    scopes = frozenset(Scope(scope) for scope in principal.scopes)
    held = [Grant(g.role, tuple(g.region_codes), tuple(g.program_codes)) for g in grants]
    regions, programs = tuple(principal.region_codes), tuple(principal.program_codes)
    if Scope.REFERRALS_ANSWER in scopes:
        held.append(Grant(Role.AGENCY, regions, programs))
    return Actor(
        id=principal.id,
        kind=principal.kind,
        username=principal.username,
        name=principal.name,
        grants=tuple(held),
        scopes=scopes,
        region_codes=regions,
        program_codes=programs,
    )


# A scope that lies in a regency, or that the regency lies in.
NEAR = """exists (
    select from unnest(grants.region_codes) as code
    where code = :regency
        or starts_with(code, :regency || '.') or starts_with(:regency, code || '.')
)"""


class Principals:
    """The only place that writes SQL about people and clients."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, principal: Principal, grants: list[RoleGrant]) -> None:
        self.session.add_all([principal, *grants])

    async def actor(self, id: UUID) -> tuple[Actor, datetime] | None:
        """An active principal as actor, with the domain's time; None where there is none."""
        now = sa.func.slrt_now(type_=sa.DateTime(timezone=True))
        statement = (
            sa.select(Principal, RoleGrant, now)
            .outerjoin(RoleGrant, col(RoleGrant.principal_id) == col(Principal.id))
            .where(col(Principal.id) == id, col(Principal.active))
        )
        rows = (await self.session.execute(statement)).all()
        if not rows:
            return None
        return actor_of(rows[0][0], [row[1] for row in rows if row[1]]), rows[0][2]

    async def by_username(self, username: str, kind: PrincipalKind) -> Principal | None:
        statement = sa.select(Principal).where(
            col(Principal.username) == username, col(Principal.kind) == kind
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def get(self, id: UUID, kind: PrincipalKind, lock: bool = False) -> Principal:
        statement = sa.select(Principal).where(col(Principal.id) == id, col(Principal.kind) == kind)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        principal = (await self.session.scalars(statement)).one_or_none()
        if principal is None:
            raise NotFound
        return principal

    async def page(self, kind: PrincipalKind, after: str | None, limit: int) -> list[Principal]:
        statement = (
            sa.select(Principal)
            .where(col(Principal.kind) == kind)
            .order_by(col(Principal.username))
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(col(Principal.username) > after)
        return list(await self.session.scalars(statement))

    async def grants_of(self, ids: list[UUID]) -> dict[UUID, list[RoleGrant]]:
        statement = (
            sa.select(RoleGrant)
            .where(col(RoleGrant.principal_id).in_(ids))
            .order_by(col(RoleGrant.role))
        )
        found: dict[UUID, list[RoleGrant]] = {id: [] for id in ids}
        for grant in await self.session.scalars(statement):
            found[grant.principal_id].append(grant)
        return found

    async def any_admin(self) -> bool:
        """Whether an active person can still administer."""
        statement = (
            sa.select(col(RoleGrant.id))
            .join(Principal, col(Principal.id) == col(RoleGrant.principal_id))
            .where(col(RoleGrant.role) == Role.ADMIN, col(Principal.active))
        )
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def replace_grants(self, principal_id: UUID, grants: list[RoleGrant]) -> None:
        await self.session.execute(
            sa.delete(RoleGrant).where(col(RoleGrant.principal_id) == principal_id)
        )
        self.session.add_all(grants)

    async def names(self, ids: set[UUID | None]) -> dict[UUID, str]:
        wanted = [id for id in ids if id is not None]
        if not wanted:
            return {}
        rows = await self.session.execute(
            sa.select(col(Principal.id), col(Principal.name)).where(col(Principal.id).in_(wanted))
        )
        return dict(rows.all())

    async def staff(self, regency_code: str) -> list[Actor]:
        """The active people with a role in a regency, those who only visit left out."""
        return await self._people(regency_code, col(RoleGrant.role) != Role.FACILITATOR)

    async def facilitators(self, regency_code: str) -> list[Actor]:
        return await self._people(regency_code, col(RoleGrant.role) == Role.FACILITATOR)

    async def _people(self, regency_code: str, which: Any) -> list[Actor]:
        near = sa.text(NEAR).bindparams(regency=regency_code)
        here = (
            sa.select(col(RoleGrant.principal_id))
            .where(which, near)
            .correlate(None)
            .scalar_subquery()
        )
        statement = (
            sa.select(Principal, RoleGrant)
            .join(RoleGrant, col(RoleGrant.principal_id) == col(Principal.id))
            .where(col(Principal.active), col(Principal.id).in_(here))
            .order_by(col(Principal.username))
        )
        people: dict[UUID, tuple[Principal, list[RoleGrant]]] = {}
        for principal, grant in await self.session.execute(statement):
            people.setdefault(principal.id, (principal, []))[1].append(grant)
        return [actor_of(principal, grants) for principal, grants in people.values()]


def nearest(actor: Actor, village_code: str) -> int:
    """How near a facilitator is: 3 in the village, 2 the district, 1 the city, 0 elsewhere."""
    codes = actor.regions(Role.FACILITATOR)
    if any(contains(village_code, code) or contains(code, village_code) for code in codes):
        return 3
    district, regency = village_code.rsplit(".", 1)[0], village_code.rsplit(".", 2)[0]
    if any(contains(district, code) for code in codes):
        return 2
    return 1 if any(contains(regency, code) for code in codes) else 0
