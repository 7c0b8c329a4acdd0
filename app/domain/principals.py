"""Principals: people with roles and service clients with scopes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.actors import CITIZEN, Actor, Grant, PrincipalKind, Role, Scope
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


# What an actor is made of. Columns, not rows of the ORM: every call reads some.
ACTOR_COLUMNS = (
    col(Principal.id), col(Principal.kind), col(Principal.username), col(Principal.name),
    col(Principal.scopes), col(Principal.region_codes), col(Principal.program_codes),
    col(RoleGrant.role), col(RoleGrant.region_codes), col(RoleGrant.program_codes),
)  # fmt: skip


def actors_of(rows: Iterable[Any]) -> list[Actor]:
    """Principals as those who act, from `ACTOR_COLUMNS`, one row for each grant.

    A client that may answer referrals acts as an agency.
    """
    people: dict[UUID, tuple[Any, list[Grant]]] = {}
    for row in rows:
        grants = people.setdefault(row[0], (row, []))[1]
        if row[7] is not None:
            grants.append(Grant(Role(row[7]), tuple(row[8]), tuple(row[9])))
    return [_actor(row, grants) for row, grants in people.values()]


def _actor(row: Any, grants: list[Grant]) -> Actor:
    id, kind, username, name = row[:4]
    scopes, regions, programs = frozenset(map(Scope, row[4])), tuple(row[5]), tuple(row[6])
    if Scope.REFERRALS_ANSWER in scopes:
        grants = [*grants, Grant(Role.AGENCY, regions, programs)]
    return Actor(id, kind, username, name, tuple(grants), scopes, regions, programs)


# A scope that lies in a regency, or that the regency lies in.
NEAR = """exists (
    select from unnest(grants.region_codes) as code
    where code = :regency
        or starts_with(code, :regency || '.') or starts_with(:regency, code || '.')
)"""

# What stands for citizens is no account: nobody reads or changes it.
ACCOUNT = col(Principal.id) != CITIZEN.id
ADMINS_LOCK = 0x51_27_00_03


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
            sa.select(*ACTOR_COLUMNS, now)
            .outerjoin(RoleGrant, col(RoleGrant.principal_id) == col(Principal.id))
            .where(col(Principal.id) == id, col(Principal.active))
        )
        rows = (await self.session.execute(statement)).all()
        if not rows:
            return None
        at = rows[0][-1]
        assert isinstance(at, datetime)
        return actors_of(rows)[0], at

    async def by_username(self, username: str, kind: PrincipalKind) -> Principal | None:
        statement = sa.select(Principal).where(
            col(Principal.username) == username, col(Principal.kind) == kind
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def get(self, id: UUID, kind: PrincipalKind, lock: bool = False) -> Principal:
        statement = sa.select(Principal).where(
            col(Principal.id) == id, col(Principal.kind) == kind, ACCOUNT
        )
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        principal = (await self.session.scalars(statement)).one_or_none()
        if principal is None:
            raise NotFound
        return principal

    async def page(self, kind: PrincipalKind, after: str | None, limit: int) -> list[Principal]:
        statement = (
            sa.select(Principal)
            .where(col(Principal.kind) == kind, ACCOUNT)
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
        """Whether an active person can still administer.

        Whoever asks waits for others who have asked to commit: of two admins who shut each other
        out at once, each would find the other one still active.
        """
        await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(ADMINS_LOCK)))
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
            sa.select(*ACTOR_COLUMNS)
            .join(RoleGrant, col(RoleGrant.principal_id) == col(Principal.id))
            .where(col(Principal.active), col(Principal.id).in_(here))
            .order_by(col(Principal.username))
        )
        return actors_of((await self.session.execute(statement)).all())

    async def everybody(self) -> list[Actor]:
        """Every active principal as actor, by user name."""
        statement = (
            sa.select(*ACTOR_COLUMNS)
            .outerjoin(RoleGrant, col(RoleGrant.principal_id) == col(Principal.id))
            .where(col(Principal.active))
            .order_by(col(Principal.username))
        )
        return actors_of((await self.session.execute(statement)).all())


def nearest(actor: Actor, village_code: str) -> int:
    """How near a facilitator of the city is: 3 of the village, 2 of its district, else 1."""
    codes = actor.regions(Role.FACILITATOR)
    if any(contains(village_code, code) for code in codes):
        return 3
    district = village_code.rsplit(".", 1)[0]
    return 2 if any(contains(district, code) for code in codes) else 1
