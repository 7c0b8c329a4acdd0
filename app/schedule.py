"""When the sweeps run; its own process. Running two is wasteful, never wrong."""

import asyncio
import logging
import signal
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database import Sessions
from app.domain.sweep_runs import SweepRuns
from app.workflow import sweeps
from app.workflow.sweeps import SWEEPS, Sweep

logger = logging.getLogger("slrt.schedule")
# Each run holds one for its lock and works with others: all may begin at the same moment.
CONNECTIONS = 2 * len(SWEEPS) + 8


async def run(engine: AsyncEngine, sessions: Sessions, sweep: Sweep) -> None:
    """One run. What fails is logged and tried again at the next tick."""
    try:
        async with engine.connect() as connection:
            await sweeps.run(connection, sessions, sweep)
    except Exception as error:
        logger.warning("a sweep failed", extra={"sweep": sweep.name, "error": type(error).__name__})


def create_scheduler(engine: AsyncEngine, sessions: Sessions) -> AsyncIOScheduler:
    # By default a run more than one second late is dropped without a word.
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for sweep in SWEEPS.values():
        scheduler.add_job(
            run,
            "interval",
            seconds=sweep.every.total_seconds(),
            args=(engine, sessions, sweep),
            next_run_time=datetime.now(UTC),
            name=sweep.name,
        )
    return scheduler


async def serve(engine: AsyncEngine, sessions: Sessions) -> None:
    """Run the sweeps until SIGTERM or SIGINT; a run under way ends first."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    scheduler = create_scheduler(engine, sessions)
    scheduler.start()
    await stop.wait()
    scheduler.pause()
    # What is cut here is rolled back and found again by the next run.
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0.2)


async def late(sessions: Sessions) -> list[str]:
    """The sweeps that have not finished for too long."""
    async with sessions() as session:
        runs = SweepRuns(session)
        now, last = await runs.real_now(), await runs.last_finished()
    return [
        name
        for name, sweep in SWEEPS.items()
        if sweep.is_late(last[name].finished_at if name in last else None, now)
    ]
