"""The sweeps over HTTP: what ran, what is late, what is parked; in demo mode also by hand."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.actors import Actor, Role
from app.domain.base import slrt_now
from app.domain.deployment import advance_clock
from app.domain.errors import Forbidden, NotFound
from app.domain.sweep_runs import SweepRun, SweepRuns
from app.routers.deps import (
    CurrentActor,
    CurrentWiring,
    Paged,
    PathName,
    Session,
)
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Count, Line, Moment, Word, items
from app.workflow import accounts, sweeps
from app.workflow.sweeps import SWEEPS

router = APIRouter(prefix="/v1", tags=["running"], route_class=Door)
demo_router = APIRouter(prefix="/v1", tags=["demo"], route_class=Door)
READERS = (Role.MANAGER, Role.HEAD, Role.ADMIN, Role.DATA_PROTECTION_OFFICER, Role.SUPERVISOR)


class SweepRunRead(BaseModel):
    """A run. Idle runs of a fast sweep are one row: `runs` says how many."""

    id: UUID
    sweep: Word
    started_at: Moment
    finished_at: Moment | None
    runs: Count
    found: Count
    acted: Count
    failed: Count
    oldest_overdue_at: Moment | None
    error: Line | None


class SweepRead(BaseModel):
    """A sweep: how often it runs, when it last finished, and whether that is too long ago."""

    name: Word
    every_seconds: Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 86400})]
    finds: Line
    last_finished_at: Moment | None
    late: bool


class ParkedRead(BaseModel):
    """A row that a sweep could not handle; tried again at `retry_at`."""

    sweep: Word
    subject_id: UUID
    error: Line
    attempts: Count
    parked_at: Moment
    retry_at: Moment


class SweepReport(Page[SweepRunRead]):
    """The runs, newest first, with the state of every sweep and what is parked."""

    sweeps: items(SweepRead, 50)  # type: ignore[valid-type]
    parked: items(ParkedRead, 200)  # type: ignore[valid-type]


class Advance(BaseModel):
    """How far to move the demo clock on; it never goes back."""

    model_config = ConfigDict(extra="forbid")

    advance_seconds: Annotated[int, Field(ge=0, le=366 * 86400)]


class Clock(BaseModel):
    now: Moment


@router.get("/sweeps", response_model=SweepReport)
async def list_sweeps(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    name: Annotated[str | None, Query(max_length=40, description="One sweep only.")] = None,
) -> Response:
    """The runs of the sweeps, newest first."""
    if not actor.regions(*READERS) and not _is_admin(actor):
        raise Forbidden("role_not_allowed")
    runs = SweepRuns(session)
    rows = await runs.page(name, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    now, last = await runs.real_now(), await runs.last_finished()
    body = SweepReport(
        items=[_run(one) for one in page],
        next_cursor=following,
        sweeps=[
            SweepRead(
                name=sweep.name,
                every_seconds=sweep.every.total_seconds(),
                finds=sweep.finds,
                last_finished_at=last[sweep.name].finished_at if sweep.name in last else None,
                late=sweep.is_late(
                    last[sweep.name].finished_at if sweep.name in last else None, now
                ),
            )
            for sweep in SWEEPS.values()
        ],
        parked=[
            ParkedRead(**{name: getattr(one, name) for name in ParkedRead.model_fields})
            for one in await runs.parked()
        ],
    )
    return reply(body, headers=paging.link(following))


def _is_admin(actor: Actor) -> bool:
    return any(grant.role is Role.ADMIN for grant in actor.grants)


def _run(one: SweepRun) -> SweepRunRead:
    return SweepRunRead(**{name: getattr(one, name) for name in SweepRunRead.model_fields})


@demo_router.post("/demo/clock", response_model=Clock)
async def move_clock(body: Advance, session: Session, actor: CurrentActor) -> Response:
    """Move the domain's time on. Demo mode only."""
    accounts.check_admin(actor)
    await advance_clock(session, timedelta(seconds=body.advance_seconds))
    return reply(Clock(now=await slrt_now(session)))


@demo_router.post("/demo/sweeps/{name}", response_model=SweepRunRead)
async def run_sweep(
    name: PathName, session: Session, actor: CurrentActor, wiring: CurrentWiring
) -> Response:
    """Run a sweep now, to its end, alone. Demo mode only."""
    accounts.check_admin(actor)
    if name not in SWEEPS:
        raise NotFound
    engine = wiring.sessions.kw["bind"]
    assert isinstance(engine, AsyncEngine)
    # The sweep has its own transactions; this one only waits, and holds no lock.
    await session.execute(sa.text("set local idle_in_transaction_session_timeout = 0"))
    async with engine.connect() as connection:
        id = await sweeps.run(connection, wiring.sessions, SWEEPS[name], wait=True)
    assert id is not None
    return reply(_run(await SweepRuns(session).get(id)))
