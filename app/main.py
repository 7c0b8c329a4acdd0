"""The composition root: everything is wired here and nowhere else."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID, uuid4

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problems
from app.auth import Tokens
from app.contract import customise
from app.database import create_engine, create_sessions
from app.deployment import files_in
from app.keys import KeyRing
from app.logs import REQUEST_ID
from app.routers import (
    accounts,
    auth,
    catalogue,
    complaint_documents,
    complaints,
    devices,
    dispatches,
    dossiers,
    exports,
    feed,
    health,
    households,
    imports,
    inbox,
    letters,
    notifications,
    operations,
    other_needs,
    programs,
    public,
    quotas,
    reference,
    referral_answers,
    referrals,
    registry,
    registry_changes,
    screenings,
    surveys,
    sweeps,
    ticket_books,
    visits,
    webhooks,
)
from app.routers.doors import Wiring
from app.routers.limits import RateLimit
from app.settings import Settings

logger = logging.getLogger("slrt.access")


@dataclass
class Lifetime:
    """Where the process is in its life; the server sets `draining` when it is told to stop."""

    draining: bool = False


class State(TypedDict):
    wiring: Wiring
    lifetime: Lifetime


def _lifespan(
    settings: Settings, url: str, keys: KeyRing, lifetime: Lifetime
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        engine = create_engine(url, settings.pool_size, "slrt-api")
        wiring = Wiring(
            settings=settings,
            sessions=create_sessions(engine, keys.data, settings.outside, files_in(settings)),
            keys=keys,
            tokens=Tokens(keys.signing, settings.public_url or "slrt"),
            limits=RateLimit(settings.rate_per_minute, settings.rate_burst),
        )
        yield {"wiring": wiring, "lifetime": lifetime}
        await engine.dispose()

    return lifespan


class Manners:
    """What every answer has: request id, caching, no sniffing, rate limit; one access line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        token = REQUEST_ID.set(str(request_id))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), scope, request_id)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            health.measure(scope, status, started)
            logger.info(
                "answered",
                extra={
                    "method": scope["method"],
                    # The template, never the path: a path may hold what somebody typed.
                    "route": getattr(scope.get("route"), "path", None),
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "principal_id": str(scope.get("principal_id") or ""),
                    "trace": _header(scope, b"traceparent")[:55],
                },
            )
            REQUEST_ID.reset(token)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _request_id(scope: Scope) -> UUID:
    """The caller's request id where it is a UUID, else one of ours."""
    try:
        return UUID(_header(scope, b"x-request-id"))
    except ValueError:
        return uuid4()


def _complete(headers: MutableHeaders, scope: Scope, request_id: UUID) -> None:
    headers["X-Request-Id"] = str(request_id)
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    if traceparent := _header(scope, b"traceparent"):
        headers["traceparent"] = traceparent[:55].encode("ascii", "ignore").decode()
    if limit := scope.get("rate_limit"):
        headers["RateLimit-Policy"], headers["RateLimit"] = limit


def create_app(
    settings: Settings, url: str, keys: KeyRing, lifetime: Lifetime | None = None
) -> FastAPI:
    """The API on a database, with the server's secrets."""
    app = FastAPI(
        title="slrt",
        version="1",
        lifespan=_lifespan(settings, url, keys, lifetime or Lifetime()),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    tokens = Tokens(keys.signing, settings.public_url or "slrt")

    @app.get("/.well-known/jwks.json", tags=["identity"], response_model=auth.KeySet)
    async def get_keys() -> Any:
        """The public keys that access tokens are signed with (RFC 7517)."""
        return tokens.jwks()

    doors = [
        auth.router, auth.me_router, complaints.router, complaint_documents.uploads_router,
        complaint_documents.router, surveys.router, referral_answers.router,
        referral_answers.answers_router, referral_answers.items_router, referrals.router,
        registry.router, registry_changes.router, inbox.router, notifications.router,
        catalogue.router, programs.router, screenings.router, quotas.router, accounts.router,
        sweeps.router, visits.router, households.router, dossiers.router, imports.router,
        operations.router, dispatches.router, dispatches.answers_router, letters.router,
        letters.complaint_router, letters.public_router, devices.router, ticket_books.router,
        other_needs.router, feed.router, exports.router, webhooks.router, *public.routers,
    ]  # fmt: skip
    if settings.demo:
        doors.append(sweeps.demo_router)
    for router in doors:
        app.include_router(router)
    app.include_router(health.router)
    app.include_router(health.problems_router)
    app.include_router(reference.router)
    problems.install(app)
    customise(app)
    app.add_middleware(Manners)
    return app
