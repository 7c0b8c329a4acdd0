"""Is it alive, is it ready, what does it measure; and what do the problems mean."""

import asyncio
import html
import time
from typing import Any

from alembic.migration import MigrationContext
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.deployment import the_deployment
from app.domain.errors import NotFound
from app.domain.sweep_runs import SweepRuns
from app.migrations import head
from app.problems import language_of, problem
from app.problems.catalogue import CATALOGUE
from app.routers.deps import PathName
from app.routers.doors import OpenDoor, Wiring
from app.workflow.sweeps import SWEEPS

router = APIRouter(tags=["running"])
problems_router = APIRouter(tags=["running"], route_class=OpenDoor)

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "slrt_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "slrt_request_seconds", "Time to answer, in seconds.", ["method", "route"], registry=REGISTRY
)
SWEEP_AGE = Gauge(
    "slrt_sweep_age_seconds", "Since a sweep last finished, in seconds.", ["sweep"],
    registry=REGISTRY,
)  # fmt: skip
SWEEP_LATE = Gauge("slrt_sweep_late", "1 where a sweep is overdue.", ["sweep"], registry=REGISTRY)
PARKED = Gauge("slrt_parked_rows", "Rows that a sweep set aside.", ["sweep"], registry=REGISTRY)


@router.get("/livez")
async def alive() -> Response:
    """200 while the process runs; touches nothing else."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """200 when calls can be served; `degraded` names what is late. 503 otherwise."""
    if request.state.lifetime.draining:
        return problem(request, "not_ready", headers={"Retry-After": "5"})
    wiring: Wiring = request.state.wiring
    try:
        async with asyncio.timeout(4), wiring.sessions() as session:
            late = await _late(session)
            deployment = await the_deployment(session)
            connection = await session.connection()
            at = await connection.run_sync(
                lambda sync: MigrationContext.configure(sync).get_current_revision()
            )
    except Exception:
        return problem(request, "database_unavailable", headers={"Retry-After": "1"})
    strangers = deployment.keys_fingerprint not in (None, wiring.keys.data.fingerprint())
    unfinished = deployment.demo and deployment.demo_loaded_at is None
    if at != head() or strangers or unfinished:
        return problem(request, "not_ready", headers={"Retry-After": "2"})
    status = "degraded" if late else "ready"
    return JSONResponse({"status": status, "late_sweeps": late})


async def _late(session: AsyncSession) -> list[str]:
    runs = SweepRuns(session)
    now, last = await runs.real_now(), await runs.last_finished()
    return [
        name
        for name, sweep in SWEEPS.items()
        if sweep.is_late(last[name].finished_at if name in last else None, now)
    ]


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process, and of the sweeps."""
    wiring: Wiring = request.state.wiring
    async with wiring.sessions() as session:
        runs = SweepRuns(session)
        now, last = await runs.real_now(), await runs.last_finished()
        parked = await runs.parked_counts()
    for name, sweep in SWEEPS.items():
        finished_at = last[name].finished_at if name in last else None
        if finished_at is not None:
            SWEEP_AGE.labels(name).set((now - finished_at).total_seconds())
        SWEEP_LATE.labels(name).set(sweep.is_late(finished_at, now))
        PARKED.labels(name).set(parked.get(name, 0))
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def measure(request_scope: Any, status: int, started: float) -> None:
    """Count one answer, by the route's template: a path may hold an id."""
    route = request_scope.get("route")
    template = getattr(route, "path", "unmatched")
    method = request_scope["method"]
    if method not in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        method = "OTHER"
    REQUESTS.labels(method, template, status).inc()
    SECONDS.labels(method, template).observe(time.perf_counter() - started)


@problems_router.get("/problems", include_in_schema=False)
async def list_problems(request: Request) -> Response:
    """Every problem there is."""
    language = language_of(request.headers.get("accept-language"))
    return JSONResponse({"items": [_problem(code, language) for code in CATALOGUE]})


@problems_router.get("/problems/{code}")
async def get_problem(request: Request, code: PathName) -> Response:
    """What a problem means and what to do: JSON, or a page for a browser."""
    if code not in CATALOGUE:
        raise NotFound
    language = language_of(request.headers.get("accept-language"))
    found = _problem(code, language)
    headers = {"Content-Language": language, "Vary": "Accept, Accept-Language"}
    if "text/html" in request.headers.get("accept", ""):
        title, detail = html.escape(found["title"]), html.escape(found["detail"])
        page = (
            f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{title}</title>'
            f"<h1>{title}</h1><p>{detail}</p><p><code>{code}</code> · {found['status']}</p></html>"
        )
        return HTMLResponse(page, headers=headers)
    return JSONResponse(found, headers=headers)


def _problem(code: str, language: str) -> dict[str, Any]:
    kind = CATALOGUE[code]
    return {
        "type": f"/problems/{code}",
        "code": code,
        "status": kind.status,
        "title": kind.title(language),
        "detail": kind.advice(language),
    }
