"""Signing in over HTTP: people with a password, clients with a secret."""

import math
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import LIFETIME, basic_credentials, verify_secret
from app.domain.actors import PrincipalKind, Role, Scope
from app.domain.base import line
from app.domain.errors import TooManyRequests, Unauthenticated
from app.domain.principals import Principal, Principals
from app.domain.sweep_runs import SweepRuns
from app.problems import problem
from app.routers import bodies
from app.routers.deps import CurrentActor, CurrentWiring, Session
from app.routers.doors import Door, OpenDoor, Wiring
from app.routers.replies import reply
from app.routers.resources import Codes, Count, Line, Name, Word, items
from app.routers.resources import text as read_text

SECRET_MAX = 200
router = APIRouter(prefix="/v1", tags=["identity"], route_class=OpenDoor)
me_router = APIRouter(prefix="/v1", tags=["identity"], route_class=Door)


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: line(64)  # type: ignore[valid-type]
    password: Annotated[str, Field(min_length=1, max_length=SECRET_MAX)]


class TokenRead(BaseModel):
    """An access token, and how many seconds it lasts."""

    access_token: read_text(4096)  # type: ignore[valid-type]
    token_type: Word
    expires_in: Count


class GrantRead(BaseModel):
    role: Role
    region_codes: Codes
    program_codes: Codes


class Me(BaseModel):
    """Who the caller is: a person's roles, or a client's scopes with their regions."""

    id: UUID
    kind: PrincipalKind
    username: Word
    name: Name
    roles: items(GrantRead, 20)  # type: ignore[valid-type]
    scopes: items(Scope, 20)  # type: ignore[valid-type]
    region_codes: Codes
    program_codes: Codes


class KeySet(BaseModel):
    keys: items(dict[str, Line], 5)  # type: ignore[valid-type]


@router.post("/auth/sessions", status_code=201, response_model=TokenRead)
async def sign_in(
    request: Request, body: Credentials, session: Session, wiring: CurrentWiring
) -> Response:
    """A person's access token, for ten minutes."""
    principal = await Principals(session).by_username(body.username, PrincipalKind.PERSON)
    known = await _verified(request, wiring, body.username, principal, body.password)
    if principal is None or not known:
        raise Unauthenticated("credentials_invalid")
    return reply(await _token(session, wiring, principal.id), 201)


@router.post(
    "/auth/token",
    response_model=TokenRead,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["grant_type"],
                        "properties": {
                            "grant_type": {"type": "string", "enum": ["client_credentials"]},
                            "client_id": {"type": "string", "maxLength": 64},
                            "client_secret": {"type": "string", "maxLength": 200},
                            "scope": {"type": "string", "maxLength": 500},
                        },
                    }
                }
            },
        }
    },
)
async def issue_token(request: Request, session: Session, wiring: CurrentWiring) -> Response:
    """A client's access token: OAuth2 client credentials, in the form or by HTTP Basic."""
    form = await _form(request)
    if form is None or "grant_type" not in form:
        return problem(request, "invalid_request", error="invalid_request")
    if form["grant_type"] != "client_credentials":
        return problem(request, "unsupported_grant_type", error="unsupported_grant_type")
    basic = basic_credentials(request.headers.get("authorization", ""))
    name, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    principal = None
    if name and len(name) <= 64 and "\0" not in name:
        principal = await Principals(session).by_username(name, PrincipalKind.CLIENT)
    extra = {"error": "temporarily_unavailable"}
    known = await _verified(request, wiring, name[:64], principal, secret, **extra)
    if principal is None or not known:
        headers = {"WWW-Authenticate": 'Basic realm="slrt"'}
        return problem(request, "invalid_client", headers=headers, error="invalid_client")
    return reply(await _token(session, wiring, principal.id))


async def _verified(
    request: Request,
    wiring: Wiring,
    name: str,
    principal: Principal | None,
    secret: str,
    **extra: Any,
) -> bool:
    """Whether the secret is the principal's.

    Failures are counted by account and address: whoever guesses is slowed down, and nobody else
    is locked out. Raises TooManyRequests.
    """
    who = (name, request.client.host if request.client else "")
    _check_failures(request, wiring, who, **extra)
    usable = principal is not None and principal.active and len(secret) <= SECRET_MAX
    known = await verify_secret(
        principal.secret_hash if principal and usable else None, secret[:SECRET_MAX]
    )
    # Guesses that were sent at once have been counted by now.
    _check_failures(request, wiring, who, **extra)
    if not known:
        wiring.failures.take(who)
    return known


def _check_failures(request: Request, wiring: Wiring, who: tuple[str, str], **extra: Any) -> None:
    wait, state = wiring.failures.take(who, count=False)
    if wait > 0:
        request.scope["rate_limit"] = (wiring.failures.policy, state)
        raise TooManyRequests("too_many_requests", retry_after=math.ceil(wait), **extra)


async def _form(request: Request) -> dict[str, str] | None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        return None
    body = await bodies.read(request, 16 * 1024)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=20
        )
    except ValueError:
        return None
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


async def _token(session: AsyncSession, wiring: Wiring, principal_id: UUID) -> TokenRead:
    # Tokens live in real time, whatever the demo clock says.
    now = await SweepRuns(session).real_now()
    return TokenRead(
        access_token=wiring.tokens.issue(principal_id, now),
        token_type="bearer",
        expires_in=int(LIFETIME.total_seconds()),
    )


@me_router.get("/me", response_model=Me)
async def get_me(actor: CurrentActor) -> Response:
    """Who the caller is and what the caller may do."""
    grants = actor.grants if actor.is_person else ()
    body = Me(
        id=actor.id,
        kind=actor.kind,
        username=actor.username,
        name=actor.name,
        roles=[
            GrantRead(
                role=grant.role,
                region_codes=list(grant.region_codes),
                program_codes=list(grant.program_codes),
            )
            for grant in grants
        ],
        scopes=sorted(actor.scopes),
        region_codes=list(actor.region_codes),
        program_codes=list(actor.program_codes),
    )
    return reply(body)
