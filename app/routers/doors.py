"""The door that every call comes through: who, what, how, in the order of the contract.

401 · 429 · 404 out of sight · 400 query and headers · 415, 422 body · then the call itself, in one
unit of work that is committed before the answer is sent.
"""

import asyncio
import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import Tokens, bearer_token
from app.database import Sessions
from app.domain.actors import Actor
from app.domain.base import has_forbidden_characters, slrt_now
from app.domain.errors import (
    BadRequest,
    DomainError,
    Fault,
    NotFound,
    TooManyRequests,
    Unauthenticated,
)
from app.domain.principals import Principals
from app.keys import KeyRing
from app.problems import on_crash, on_domain_error, on_invalid_request
from app.routers import arrivals, bodies
from app.routers.limits import Guesses, RateLimit
from app.settings import Settings

IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
ETAG = re.compile(r'"(0|[1-9][0-9]{0,8})"')
CREATES = "x-creates"


@dataclass(frozen=True)
class Wiring:
    """What the composition root gives to every request."""

    settings: Settings
    sessions: Sessions
    keys: KeyRing
    tokens: Tokens
    limits: RateLimit
    # Failed sign-ins of one account from one address: ten at once, then one in ten seconds.
    failures: RateLimit = field(default_factory=lambda: RateLimit(6, 10))
    # Wrong PINs, by ticket and address.
    guesses: Guesses = field(default_factory=Guesses)
    # What is filed without an account, by address: ten at once, then two in a minute.
    filings: RateLimit = field(default_factory=lambda: RateLimit(2, 10))
    # Each holds a connection for long; the others are for everybody else.
    exports: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    # Each is a process that takes much memory.
    copies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))


@dataclass
class Visit:
    """One call, once it is let in: what routes and their dependencies read."""

    session: AsyncSession
    actor: Actor | None
    now: datetime
    subject: Any
    idempotency_key: str | None
    if_match: int | None
    fingerprint: bytes
    sent: Any

    async def let_go(self) -> None:
        """End the unit of work before the answer is made: a call that waits, or sends for long,
        holds no connection meanwhile."""
        await self.session.commit()


Finder = Callable[[AsyncSession, UUID, Actor, datetime], Awaitable[Any]]
# Which record a path parameter names, and how it is found in the caller's sight.
FINDERS: dict[str, Finder] = {}
# The dependencies that use the idempotency key; calls without one of them ignore it.
KEYED: set[Callable[..., Any]] = set()
Work = Callable[[], Awaitable[None]]


class BodyRequest(Request):
    """A request whose JSON has been read, checked and cleaned."""

    body_bytes: bytes = b""
    body_json: Any = None

    async def body(self) -> bytes:
        return self.body_bytes

    async def json(self) -> Any:
        return self.body_json


class Door(APIRoute):
    """A route of the API. `open_` ones ask for no token; some take a file in a form, some a table
    (CSV) beside JSON; some take `items` that are refused one by one."""

    open_ = False
    item_by_item = False
    takes_file = False
    works_first = False
    file_limit: int | None = None
    too_large = "file_too_large"
    takes_table = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = _query_names(self.dependant)
        takes_json = self.body_field is not None and not self.takes_file
        keyed = takes_key(self.dependant)
        creates = bool((self.openapi_extra or {}).get(CREATES))

        async def enter(request: Request) -> Response:
            try:
                return await self._enter(request, handle, known, takes_json, keyed, creates)
            except DomainError as error:
                return await on_domain_error(request, error)
            except RequestValidationError as error:
                return await on_invalid_request(request, error)
            except Exception as error:
                return await on_crash(request, error)
            finally:
                if (upload := getattr(request.state, "upload", None)) is not None:
                    await upload.close()

        return enter

    async def _enter(
        self,
        request: Request,
        handle: Callable[[Request], Awaitable[Response]],
        known: frozenset[str],
        takes_json: bool,
        keyed: bool,
        creates: bool,
    ) -> Response:
        wiring: Wiring = request.state.wiring
        principal_id = None if self.open_ else _principal(request, wiring)
        arrived = BodyRequest(request.scope, request.receive)
        table = self.takes_table and bodies.is_table(request)
        limit = bodies.TABLE_LIMIT if table else bodies.JSON_LIMIT
        body = await bodies.read(request, limit) if takes_json else b""
        sent: Any = None
        if self.takes_file:
            sent = await bodies.read_upload(request, self.file_limit, self.too_large)
            request.state.upload = sent
            body = sent.fingerprint()

        async def let_in(session: AsyncSession) -> Visit:
            actor, now = await _actor(session, principal_id)
            subject = await _subject(request, session, actor, now)
            _check_query(request, known)
            key = _idempotency_key(request, creates) if keyed else None
            if_match = _if_match(request)
            print_ = self._fingerprint(request, body)
            return Visit(session, actor, now, subject, key, if_match, print_, sent)

        if self.works_first:
            # Only looked at, nothing is written: the work is done while no connection is held.
            async with wiring.sessions() as session:
                work = await self.plan(await let_in(session), wiring)
            if work is not None:
                await work()
        # One unit of work: what the call changes is committed here, before the answer is sent.
        async with wiring.sessions.begin() as session:
            visit = await let_in(session)
            # Every write may come from a tablet; what takes no key changes nothing for good.
            sender = visit.actor if keyed and request.method != "GET" else None
            tablet = await arrivals.named(request, session, sender) if sender else None
            if takes_json:
                arrived.body_bytes = body
            if takes_json and not table:
                bodies.check_media_type(request)
                visit.sent, arrived.body_json = bodies.parse(body, self.item_by_item)
            arrived.state.visit = visit
            if tablet is not None:
                said = body if table else visit.sent
                arrivals.announced(request, session, tablet, visit.now, said)
            response = await handle(arrived)
            if sender is not None and tablet is not None and response.status_code < 300:
                status = response.status_code
                await arrivals.keep(
                    request, session, sender, visit.now, self.path, visit.subject, status
                )
        return response

    async def plan(self, visit: Visit, wiring: Wiring) -> Work | None:
        """Long work to do before the call's own unit of work, for a door that `works_first`.

        Raises what the call would refuse anyway. None where there is nothing to do, as for a
        retry.
        """
        raise NotImplementedError

    def _fingerprint(self, request: Request, body: bytes) -> bytes:
        """What makes two requests the same: method, route, path, content type and body."""
        parts = [
            request.method,
            self.path,
            repr(sorted(request.path_params.items())),
            # The boundary of a form is another one in each request.
            "" if self.takes_file else request.headers.get("content-type", ""),
        ]
        return hashlib.sha256("\n".join(parts).encode() + b"\n" + body).digest()


class FileDoor(Door):
    """A route that takes a form with a file; the visit's `sent` is the upload."""

    takes_file = True


class TableDoor(Door):
    """A route that takes a table (CSV) as well; its body is then the bytes."""

    takes_table = True


class ItemsDoor(Door):
    """A route that takes many items at once: a bad one is refused alone."""

    item_by_item = True


class OpenDoor(Door):
    """A route that asks for no token."""

    open_ = True


def _principal(request: Request, wiring: Wiring) -> UUID:
    principal_id = wiring.tokens.read(bearer_token(request.headers.get("authorization")))
    wait, state = wiring.limits.take(principal_id)
    request.scope["rate_limit"] = (wiring.limits.policy, state)
    request.scope["principal_id"] = principal_id
    if wait > 0:
        raise TooManyRequests("too_many_requests", retry_after=math.ceil(wait))
    return principal_id


async def _actor(session: AsyncSession, principal_id: UUID | None) -> tuple[Actor | None, datetime]:
    if principal_id is None:
        return None, await slrt_now(session)
    found = await Principals(session).actor(principal_id)
    if found is None:
        raise Unauthenticated("token_invalid")
    return found


async def _subject(
    request: Request, session: AsyncSession, actor: Actor | None, now: datetime
) -> Any:
    """The record that the path names. What is malformed or out of sight is not found."""
    if any(has_forbidden_characters(value) for value in request.path_params.values()):
        raise NotFound
    for name, value in request.path_params.items():
        if name in FINDERS and actor is not None:
            try:
                id = UUID(value)
            except ValueError:
                raise NotFound from None
            # One spelling per id: others would be other URLs for the same thing.
            if str(id) != value.lower():
                raise NotFound
            return await FINDERS[name](session, id, actor, now)
    return None


def _check_query(request: Request, known: frozenset[str]) -> None:
    faults = []
    for name, value in request.query_params.multi_items():
        if name not in known:
            label = name if name.isidentifier() and len(name) <= 60 else "?"
            faults.append(Fault("unknown_parameter", parameter=label))
        elif has_forbidden_characters(value):
            faults.append(Fault("character_not_allowed", parameter=name))
        elif len(request.query_params.getlist(name)) > 1:
            faults.append(Fault("invalid", parameter=name))
    if faults:
        unknown = faults[0].code == "unknown_parameter"
        raise BadRequest("unknown_parameter" if unknown else "parameter_invalid", tuple(faults))


def _header(request: Request, name: str) -> str | None:
    """A header; sent more than once, its values are one list (RFC 9110, 5.3)."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None


def _idempotency_key(request: Request, required: bool) -> str | None:
    key = _header(request, "idempotency-key")
    if key is None and required:
        raise BadRequest("idempotency_key_missing")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest("idempotency_key_invalid")
    return key


def _if_match(request: Request) -> int | None:
    """The version of If-Match; -1 stands for one that never matches."""
    sent = _header(request, "if-match")
    if sent is None:
        return None
    match = ETAG.fullmatch(sent.strip())
    return int(match[1]) if match else -1


def takes_key(dependant: Dependant) -> bool:
    """Whether a call uses the idempotency key: those that change something do."""
    return dependant.call in KEYED or any(takes_key(one) for one in dependant.dependencies)


def _query_names(dependant: Dependant) -> frozenset[str]:
    names = {field.alias for field in dependant.query_params}
    for child in dependant.dependencies:
        names |= _query_names(child)
    return frozenset(names)
