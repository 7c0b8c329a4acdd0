"""The sweeps: what each finds, and running one to its end. Harmless twice, at once, or late."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from app.domain.base import day_of, slrt_now
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.devices import DevicePromises, Devices
from app.domain.dispatches import Dispatches
from app.domain.events import Events
from app.domain.feed import Feed
from app.domain.idempotency_keys import KEPT_FOR, IdempotencyKeys
from app.domain.operations import KEPT_FOR as OPERATIONS_KEPT_FOR
from app.domain.operations import Operations
from app.domain.quotas import Quotas
from app.domain.referrals import CLOSED_ANSWERS, WITH_OWNER, Referrals
from app.domain.registry_changes import ChangeState, RegistryChanges
from app.domain.sweep_runs import SweepRun, SweepRuns
from app.domain.ticket_books import TicketBooks
from app.domain.visits import Visits
from app.domain.webhooks import KEPT_FOR as DELIVERIES_KEPT_FOR
from app.domain.webhooks import WebhookDeliveries, WebhookEndpoints
from app.files import files_of
from app.workflow import ladder, operations, ticket_books
from app.workflow.complaint_documents.verbs import let_go_of_strays
from app.workflow.devices import overdue as missing
from app.workflow.dispatches import overdue as undispatched
from app.workflow.referrals import quotas as line
from app.workflow.registry_changes import overdue as changes_overdue
from app.workflow.visits import overdue
from app.workflow.webhooks import delivering

logger = logging.getLogger("slrt.sweeps")
S = ComplaintState
# Rows are held until their batch ends: well below the two seconds that others wait for a lock.
BATCH = 20
RUNS_KEPT_FOR = timedelta(days=30)
# A parked row that no sweep has met again for so long is no longer due: somebody has acted.
PARKED_FOR = timedelta(days=1)

Step = Callable[[AsyncSession, Any, datetime], Awaitable[None]]


@dataclass(slots=True)
class Batch:
    """What one transaction of a sweep found and did."""

    found: int = 0
    acted: int = 0
    failed: int = 0
    oldest: datetime | None = None

    def and_(self, other: "Batch") -> "Batch":
        """Both together."""
        oldest = min((one for one in (self.oldest, other.oldest) if one), default=None)
        return Batch(
            self.found + other.found, self.acted + other.acted, self.failed + other.failed, oldest
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep: `batch` handles some due rows in one transaction, again and again until none is.

    A sweep that has `work` does long work in transactions of its own instead.
    """

    name: str
    every: timedelta
    finds: str
    batch: Callable[[AsyncSession, datetime, int], Awaitable[Batch]] | None = None
    # A run that finds nothing extends the idle run before it instead of leaving a row.
    quiet: bool = False
    work: Callable[[async_sessionmaker[AsyncSession]], Awaitable[Batch]] | None = None
    # How long a run may take before it is late.
    takes: timedelta = timedelta(seconds=60)
    # Its work is a whole run: what is left is for the next one.
    once: bool = False

    def is_late(self, finished_at: datetime | None, now: datetime) -> bool:
        """Whether the last finished run is too long ago (real time)."""
        patience = max(self.every * 3, self.takes)
        return finished_at is None or now - finished_at > patience


async def _each(
    session: AsyncSession,
    sweep: str,
    rows: Sequence[Any],
    due: Sequence[datetime | None],
    lock: Callable[[UUID], Awaitable[Any]],
    step: Step,
    at: datetime,
) -> Batch:
    """Take a step for every row together; where one fails, row by row, parking the bad ones."""
    if not rows:
        return Batch()
    ids = [row.id for row in rows]
    batch = Batch(len(ids), oldest=min((moment for moment in due if moment), default=None))
    try:
        async with session.begin_nested():
            for row in rows:
                await step(session, row, at)
            await session.flush()
        batch.acted = len(ids)
    except Exception as error:
        if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
            # A lost connection is no row's fault: the next run finds them all again.
            raise
        logger.exception("a batch failed; taking it row by row", extra={"sweep": sweep})
        ids = [id for id in ids if await _one(session, sweep, id, lock, step, at)]
        batch.acted, batch.failed = len(ids), batch.found - len(ids)
    await SweepRuns(session).unpark(sweep, ids)
    return batch


async def _one(
    session: AsyncSession,
    sweep: str,
    id: UUID,
    lock: Callable[[UUID], Awaitable[Any]],
    step: Step,
    at: datetime,
) -> bool:
    try:
        async with session.begin_nested():
            await step(session, await lock(id), at)
            await session.flush()
    except Exception as error:
        logger.exception("a row is parked", extra={"sweep": sweep, "subject_id": str(id)})
        # The class alone: a message may hold what somebody typed.
        await SweepRuns(session).park(sweep, id, type(error).__name__, at)
        return False
    return True


def _ladder(name: str, states: Sequence[ComplaintState]) -> Callable[..., Awaitable[Batch]]:
    async def batch(session: AsyncSession, at: datetime, limit: int) -> Batch:
        complaints = Complaints(session)
        rows = await complaints.claim(name, states, at, limit)
        due = [row.next_step_at for row in rows]
        return await _each(session, name, rows, due, complaints.lock, ladder.take_step, at)

    return batch


LADDER_STATES = (S.RECEIVED, S.AT_SECRETARIAT, S.ASSIGNED, S.RETURNED, S.AWAITING_MANAGER)
_stages = _ladder("sla", LADDER_STATES)


async def _sla(session: AsyncSession, at: datetime, limit: int) -> Batch:
    """Broken promises first, since they let more people act; then the stages."""
    complaints = Complaints(session)
    rows: list[Complaint] = await complaints.claim_breached("sla", at, limit)
    due: list[datetime | None] = [row.deadline_at for row in rows]
    broken = await _each(session, "sla", rows, due, complaints.lock, ladder.breach, at)
    late = await _stages(session, at, limit)
    visits = Visits(session)
    open_ = await visits.claim("sla", at, limit)
    waiting = [visit.next_step_at for visit in open_]
    overdue_ = await _each(session, "sla", open_, waiting, visits.lock, overdue.take_step, at)
    return broken.and_(late).and_(overdue_)


_confirmations = _ladder("unconfirmed", (S.AWAITING_SUPERVISOR,))
CHANGE_STATES = (ChangeState.PROPOSED, ChangeState.SUPERVISOR_APPROVED, ChangeState.RETURNED)


async def _unconfirmed(session: AsyncSession, at: datetime, limit: int) -> Batch:
    """Complaints with the supervisor, and registry changes that no complaint carries."""
    waiting = await _confirmations(session, at, limit)
    changes = RegistryChanges(session)
    rows = await changes.claim("unconfirmed", CHANGE_STATES, at, limit)
    due = [row.next_step_at for row in rows]
    late = await _each(
        session, "unconfirmed", rows, due, changes.lock, changes_overdue.take_step, at
    )
    return waiting.and_(late)


async def _unanswered(session: AsyncSession, at: datetime, limit: int) -> Batch:
    referrals = Referrals(session)
    rows = await referrals.claim("unanswered", WITH_OWNER, at, limit)
    due = [row.next_step_at for row in rows]
    return await _each(session, "unanswered", rows, due, referrals.lock, ladder.ask_owner, at)


_answers = _ladder("undelivered", (S.ANSWERED,))


async def _undelivered(session: AsyncSession, at: datetime, limit: int) -> Batch:
    """Answers of complaints, and of referrals that were answered after their complaint closed."""
    told = await _answers(session, at, limit)
    referrals = Referrals(session)
    rows = await referrals.claim("undelivered", CLOSED_ANSWERS, at, limit)
    due = [row.next_step_at for row in rows]
    late = await _each(session, "undelivered", rows, due, referrals.lock, ladder.tell_answer, at)
    return told.and_(late)


async def _undispatched(session: AsyncSession, at: datetime, limit: int) -> Batch:
    """Approved changes in no batch; batches that are not at the centre, or not answered."""
    name, since = "undispatched", undispatched.undispatched_since(at)
    changes, dispatches = RegistryChanges(session), Dispatches(session)
    waiting = await changes.claim_undispatched(name, since, at, limit)
    due: list[datetime | None] = [one.stage_entered_at for one in waiting]
    remind: Step = undispatched.remind_of_change
    of_changes = await _each(session, name, waiting, due, changes.lock, remind, at)
    batches = await dispatches.claim(name, since, undispatched.unanswered_since(at), at, limit)
    due = [one.uploaded_at or one.made_at for one in batches]
    remind = undispatched.remind_of_dispatch
    of_batches = await _each(session, name, batches, due, dispatches.lock, remind, at)
    return of_changes.and_(of_batches)


async def _waiting_lists(session: AsyncSession, at: datetime, limit: int) -> Batch:
    quotas = Quotas(session)
    rows = await quotas.neglected(day_of(at), limit)
    due: list[datetime | None] = [None for _ in rows]
    return await _each(session, "waiting_lists", rows, due, quotas.lock, line.open_line, at)


async def _missing_uploads(session: AsyncSession, at: datetime, limit: int) -> Batch:
    """What tablets promised and have not sent, or are asked for; tablets that fell silent."""
    name, devices = "missing_uploads", Devices(session)
    rows = await devices.claim_overdue(name, missing.daytime_before(at), at, limit)
    due = [row.last_seen_at for row in rows]
    late = await _each(session, name, rows, due, devices.lock, missing.tell, at)
    books = TicketBooks(session)
    tickets = await books.claim_asked(name, at, limit)
    due = [one.asked_at for one in tickets]
    asked = await _each(session, name, tickets, due, books.lock, ticket_books.tell, at)
    return late.and_(asked)


async def _numbering(session: AsyncSession, _: datetime, __: int) -> Batch:
    count = await Events(session).number() or 0
    return Batch(count, count)


async def _housekeeping(session: AsyncSession, at: datetime, limit: int) -> Batch:
    runs = SweepRuns(session)
    now = await runs.real_now()
    count = await IdempotencyKeys(session).expire(now - KEPT_FOR, limit * 10)
    count += await runs.expire(now - RUNS_KEPT_FOR, limit * 10)
    count += await runs.forget_parked(at - PARKED_FOR)
    count += await Operations(session).expire(now - OPERATIONS_KEPT_FOR, limit)
    count += await Feed(session).mark(at)
    count += await WebhookDeliveries(session).expire(at - DELIVERIES_KEPT_FOR, limit * 10)
    count += await WebhookEndpoints(session).forget_secrets(at)
    count += await let_go_of_strays(session, files_of(session.info), now)
    count += await DevicePromises(session).expire_manifests(
        at - missing.MANIFESTS_KEPT_FOR, limit * 10
    )
    return Batch(count, count)


async def _operations(sessions: async_sessionmaker[AsyncSession]) -> Batch:
    ran = await operations.run_next(sessions)
    return Batch(int(ran), int(ran))


async def _deliveries(sessions: async_sessionmaker[AsyncSession]) -> Batch:
    sent = await delivering.run(sessions)
    return Batch(sent.found, sent.arrived, sent.failed)


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# fmt: off
SWEEPS: dict[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        Sweep("sla", MINUTE,
            "stages at 75, 100, 150 % of their time; broken promises; overdue visits", _sla),
        Sweep("unconfirmed", MINUTE,
            "what a supervisor has not confirmed; registry changes not decided", _unconfirmed),
        Sweep("undelivered", HOUR, "answers that the citizen has not been told",
            _undelivered),
        Sweep("incomplete", HOUR, "complaints without documents on days 7, 21 and 30",
            _ladder("incomplete", (S.INCOMPLETE,))),
        Sweep("unanswered", HOUR, "referrals past their dates", _unanswered),
        Sweep("undispatched", HOUR,
            "approved changes in no uploaded batch; batches without an answer", _undispatched),
        Sweep("waiting_lists", HOUR,
            "people who wait for a place in a quota that has ended, where a new one is in force",
            _waiting_lists),
        Sweep("missing_uploads", 10 * MINUTE,
            "what tablets promised and have not sent; tablets that fell silent", _missing_uploads),
        Sweep("numbering", timedelta(milliseconds=250), "committed events without a position",
            _numbering, quiet=True),
        Sweep("operations", timedelta(seconds=1), "accepted long work, such as imports",
            quiet=True, work=_operations, takes=HOUR),
        Sweep("deliveries", timedelta(seconds=2), "events to be sent to webhook endpoints",
            quiet=True, work=_deliveries, takes=2 * MINUTE, once=True),
        Sweep("housekeeping", HOUR, "expired keys, old manifests and run rows, files without a row",
            _housekeeping),
    )
}
# fmt: on


async def run(
    connection: AsyncConnection,
    sessions: async_sessionmaker[AsyncSession],
    sweep: Sweep,
    wait: bool = False,
) -> UUID | None:
    """Run a sweep until nothing is left, and leave a row. None where it could not begin.

    Runs of several processes go side by side under a shared lock, held by `connection`; with
    `wait` this one waits for them and runs alone.
    """
    key = sa.func.hashtext(f"slrt sweep {sweep.name}")
    space = 0x51_27
    if wait:
        for timeout in ("statement_timeout", "lock_timeout"):
            await connection.execute(sa.text(f"set local {timeout} = '120s'"))
        await connection.execute(sa.select(sa.func.pg_advisory_lock(space, key)))
    elif not await connection.scalar(sa.select(sa.func.pg_try_advisory_lock_shared(space, key))):
        return None
    await connection.commit()
    try:
        return await _run(sessions, sweep)
    finally:
        unlock = sa.func.pg_advisory_unlock if wait else sa.func.pg_advisory_unlock_shared
        await connection.execute(sa.select(unlock(space, key)))
        await connection.commit()


async def _run(sessions: async_sessionmaker[AsyncSession], sweep: Sweep) -> UUID:
    async with sessions.begin() as session:
        started_at = await SweepRuns(session).real_now()
        row = SweepRun(sweep=sweep.name, started_at=started_at)
        if not sweep.quiet:
            SweepRuns(session).add(row)
    total, error = Batch(), None
    try:
        while True:
            batch = await _batch(sessions, sweep)
            total.found += batch.found
            total.acted += batch.acted
            total.failed += batch.failed
            total.oldest = total.oldest or batch.oldest
            if sweep.once or not batch.found:
                break
    except Exception as caught:
        error = type(caught).__name__
        raise
    finally:
        async with sessions.begin() as session:
            id = await _finish(SweepRuns(session), sweep, row, total, error)
    return id


async def _batch(sessions: async_sessionmaker[AsyncSession], sweep: Sweep) -> Batch:
    if sweep.work is not None:
        return await sweep.work(sessions)
    assert sweep.batch is not None
    async with sessions.begin() as session:
        return await sweep.batch(session, await slrt_now(session), BATCH)


async def _finish(
    runs: SweepRuns, sweep: Sweep, row: SweepRun, total: Batch, error: str | None
) -> UUID:
    now = await runs.real_now()
    if sweep.quiet and not total.found and error is None:
        idle = await runs.lock_last(sweep.name)
        if idle is not None and not idle.found and idle.error is None:
            idle.finished_at, idle.runs = now, idle.runs + 1
            return idle.id
    row = await runs.merge(row)
    row.finished_at, row.error = now, error
    row.found, row.acted, row.failed = total.found, total.acted, total.failed
    row.oldest_overdue_at = total.oldest
    return row.id
