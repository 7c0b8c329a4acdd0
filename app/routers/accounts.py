"""Accounts over HTTP: people and clients, kept by an admin."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import hash_secret
from app.domain.actors import Actor, PrincipalKind, Scope
from app.domain.base import line
from app.domain.principals import Principal, Principals
from app.routers.auth import GrantRead
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Codes, Count, Name, Word, items
from app.workflow import accounts
from app.workflow.accounts import (
    AccountChanges,
    ClientDraft,
    ProgramCodes,
    RegionCodes,
    RoleGiven,
    Secret,
    UserDraft,
)

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=Door)


class UserRead(BaseModel):
    """A person with roles."""

    id: UUID
    version: Count
    username: Word
    name: Name
    active: bool
    roles: items(GrantRead, 20)  # type: ignore[valid-type]


class ClientRead(BaseModel):
    """A service client with scopes for some regions and programmes."""

    id: UUID
    version: Count
    username: Word
    name: Name
    active: bool
    scopes: items(Scope, 20)  # type: ignore[valid-type]
    region_codes: Codes
    program_codes: Codes


class UserChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: line(120) = None  # type: ignore[valid-type]
    active: bool = None  # type: ignore[assignment]
    password: Secret = None  # type: ignore[assignment]
    roles: Annotated[list[RoleGiven], Field(max_length=20)] = None  # type: ignore[assignment]


class ClientChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: line(120) = None  # type: ignore[valid-type]
    active: bool = None  # type: ignore[assignment]
    secret: Secret = None  # type: ignore[assignment]
    scopes: Annotated[list[Scope], Field(max_length=20)] = None  # type: ignore[assignment]
    region_codes: RegionCodes = None  # type: ignore[assignment]
    program_codes: ProgramCodes = None  # type: ignore[assignment]


def _finder(kind: PrincipalKind):  # type: ignore[no-untyped-def]
    async def find(session: AsyncSession, id: UUID, actor: Actor, _: datetime) -> Principal:
        accounts.check_admin(actor)
        return await Principals(session).get(id, kind)

    return find


FINDERS["user_id"] = _finder(PrincipalKind.PERSON)
FINDERS["client_id"] = _finder(PrincipalKind.CLIENT)


async def _users(session: AsyncSession, rows: list[Principal]) -> list[UserRead]:
    await session.flush()
    grants = await Principals(session).grants_of([one.id for one in rows])
    return [
        UserRead(
            id=one.id,
            version=one.version,
            username=one.username,
            name=one.name,
            active=one.active,
            roles=[
                GrantRead(role=g.role, region_codes=g.region_codes, program_codes=g.program_codes)
                for g in grants[one.id]
            ],
        )
        for one in rows
    ]


def _client(one: Principal) -> ClientRead:
    return ClientRead(**{name: getattr(one, name) for name in ClientRead.model_fields})


async def _user_answer(
    session: AsyncSession, one: Principal, status: int = 200, replayed: bool = False
) -> Response:
    body = (await _users(session, [one]))[0]
    location = f"/v1/users/{one.id}" if status == 201 else None
    return reply(body, status, version=one.version, location=location, replayed=replayed)


def _client_answer(one: Principal, status: int = 200, replayed: bool = False) -> Response:
    location = f"/v1/clients/{one.id}" if status == 201 else None
    return reply(_client(one), status, version=one.version, location=location, replayed=replayed)


@router.get("/users", response_model=Page[UserRead])
async def list_users(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
) -> Response:
    """The people who may sign in, by user name."""
    accounts.check_admin(actor)
    rows = await Principals(session).page(PrincipalKind.PERSON, paging.after(str), paging.rows)
    page, following = paging.cut(rows, lambda one: one.username)
    return paging.answer(Page[UserRead], await _users(session, list(page)), following)


@router.post("/users", status_code=201, response_model=UserRead)
async def add_user(
    draft: UserDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Let a person in, with roles."""
    accounts.check_admin(actor)
    if known := await retry.known():
        one = await Principals(session).get(UUID(known.ids["user_id"]), PrincipalKind.PERSON)
        return await _user_answer(session, one, known.status, replayed=True)
    one = await accounts.add_user(session, actor, draft, await hash_secret(draft.password), now)
    retry.remember(201, user_id=one.id)
    return await _user_answer(session, one, 201)


@router.get("/users/{user_id}", response_model=UserRead)
async def get_user(user_id: UUID, subject: Subject, session: Session) -> Response:
    """One person."""
    return await _user_answer(session, subject)


@router.patch("/users/{user_id}", response_model=UserRead)
async def change_user(
    user_id: UUID,
    changes: UserChanges,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Change name, roles or password, or shut a person out (`active: false`)."""
    if await retry.known():
        await session.refresh(subject)
        return await _user_answer(session, subject, replayed=True)
    version = read_version(visit)
    wanted = AccountChanges(
        name=changes.name,
        active=changes.active,
        secret_hash=await hash_secret(changes.password) if changes.password else None,
        roles=changes.roles,
    )
    one = await accounts.change(
        session, actor, subject.id, PrincipalKind.PERSON, version, wanted, now
    )
    retry.remember(200, user_id=one.id)
    return await _user_answer(session, one)


@router.get("/clients", response_model=Page[ClientRead])
async def list_clients(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
) -> Response:
    """The service clients, by name."""
    accounts.check_admin(actor)
    rows = await Principals(session).page(PrincipalKind.CLIENT, paging.after(str), paging.rows)
    page, following = paging.cut(rows, lambda one: one.username)
    return paging.answer(Page[ClientRead], [_client(one) for one in page], following)


@router.post("/clients", status_code=201, response_model=ClientRead)
async def add_client(
    draft: ClientDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Let a service client in, with scopes."""
    accounts.check_admin(actor)
    if known := await retry.known():
        one = await Principals(session).get(UUID(known.ids["client_id"]), PrincipalKind.CLIENT)
        return _client_answer(one, known.status, replayed=True)
    one = await accounts.add_client(session, actor, draft, await hash_secret(draft.secret), now)
    retry.remember(201, client_id=one.id)
    return _client_answer(one, 201)


@router.get("/clients/{client_id}", response_model=ClientRead)
async def get_client(client_id: UUID, subject: Subject) -> Response:
    """One service client."""
    return _client_answer(subject)


@router.patch("/clients/{client_id}", response_model=ClientRead)
async def change_client(
    client_id: UUID,
    changes: ClientChanges,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Change scopes, regions, programmes or secret, or shut a client out (`active: false`)."""
    if await retry.known():
        await session.refresh(subject)
        return _client_answer(subject, replayed=True)
    version = read_version(visit)
    wanted = AccountChanges(
        name=changes.name,
        active=changes.active,
        secret_hash=await hash_secret(changes.secret) if changes.secret else None,
        scopes=changes.scopes,
        region_codes=changes.region_codes,
        program_codes=changes.program_codes,
    )
    one = await accounts.change(
        session, actor, subject.id, PrincipalKind.CLIENT, version, wanted, now
    )
    retry.remember(200, client_id=one.id)
    return _client_answer(one)
