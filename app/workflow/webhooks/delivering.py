"""One run of the sweep `deliveries`: what is due is sent, several endpoints side by side."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.domain.base import slrt_now
from app.domain.events import Events
from app.domain.webhooks import Failure, Message, WebhookEndpoints
from app.outgoing import Caller, CallFailed, Outside, caller
from app.workflow.webhooks import attempts
from app.workflow.webhooks.endpoints import disable_failing
from app.workflow.webhooks.signing import signed

logger = logging.getLogger("slrt.webhooks")
Sessions = async_sessionmaker[AsyncSession]
# Endpoints served at once, each with at most two messages.
ENDPOINTS_AT_ONCE = 50
# A run begins nothing new after so long: it ends, and the next one goes on.
BEGINS_FOR = 20.0
LOOKS_EVERY = 0.5
FAILING_FOR = timedelta(days=5)


@dataclass(slots=True)
class Sent:
    """What a run found due, what arrived, and what did not."""

    found: int = 0
    arrived: int = 0
    failed: int = 0


async def run(sessions: Sessions) -> Sent:
    """Send what is due, until nothing is or the run has been long enough; then it ends.

    An endpoint that fails is left alone until the next run: it costs one slot for 15 s at most,
    while the others are served.
    """
    outside = Outside.of(sessions.kw["info"])
    async with caller(outside.allowed) as call:
        sent = await _Run(sessions, call, outside.source).go()
    await _disable_failing(sessions)
    return sent


@dataclass(slots=True)
class _Run:
    sessions: Sessions
    call: Caller
    source: str
    sent: Sent = field(default_factory=Sent)
    busy: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    resting: set[UUID] = field(default_factory=set)
    until: float = field(default_factory=lambda: time.monotonic() + BEGINS_FOR)

    async def go(self) -> Sent:
        try:
            while True:
                moved, ready = await self._look()
                self.busy |= {id: asyncio.create_task(self._serve(id)) for id in ready}
                if self.busy:
                    tasks = self.busy.values()
                    await asyncio.wait(
                        tasks, timeout=LOOKS_EVERY, return_when=asyncio.FIRST_COMPLETED
                    )
                    self.busy = {id: one for id, one in self.busy.items() if not one.done()}
                elif not moved:
                    return self.sent
        finally:
            for one in self.busy.values():
                one.cancel()
            await asyncio.gather(*self.busy.values(), return_exceptions=True)

    async def _look(self) -> tuple[bool, Sequence[UUID]]:
        """Take what is new in the log; which endpoints something is due for."""
        if time.monotonic() >= self.until:
            return False, ()
        async with self.sessions.begin() as session:
            await Events(session).number()
        async with self.sessions() as session:
            behind = await WebhookEndpoints(session).behind(ENDPOINTS_AT_ONCE)
        moved = False
        for id in behind:
            moved |= await self._take(id)
        async with self.sessions() as session:
            without = [*self.busy, *self.resting]
            free = max(0, ENDPOINTS_AT_ONCE - len(self.busy))
            at = await slrt_now(session)
            return moved, await WebhookEndpoints(session).ready(at, without, free)

    async def _take(self, endpoint_id: UUID) -> bool:
        """Go on in the log for an endpoint. False where that is not possible now."""
        try:
            async with self.sessions.begin() as session:
                return await attempts.fan_out(session, endpoint_id)
        except Exception:
            _log("an endpoint is left behind", endpoint_id)
            return False

    async def _serve(self, endpoint_id: UUID) -> None:
        """Send an endpoint what is due, two at once, until nothing is or something fails."""
        while time.monotonic() < self.until:
            try:
                async with self.sessions.begin() as session:
                    due, messages = await attempts.claim(session, endpoint_id, self.source)
            except Exception:
                _log("an endpoint cannot be served", endpoint_id)
                break
            self.sent.found += due
            if not due:
                return
            arrived = await asyncio.gather(*(self._send(one) for one in messages))
            self.sent.arrived += sum(arrived)
            self.sent.failed += len(arrived) - sum(arrived)
            if not all(arrived):
                break
        self.resting.add(endpoint_id)

    async def _send(self, message: Message) -> bool:
        outcome = await attempt(self.call, message)
        try:
            async with self.sessions.begin() as session:
                return await attempts.record(session, message, outcome)
        except Exception:
            # Its lease runs out, and it is sent again.
            _log("an attempt is not written down", message.endpoint_id)
            return False


def _log(what: str, endpoint_id: UUID) -> None:
    logger.exception(what, extra={"endpoint_id": str(endpoint_id)})


async def attempt(call: Caller, message: Message) -> int | Failure:
    """Send a message once: the status of the answer, or why there was none."""
    # Real time, not the domain's: a receiver refuses what is old.
    headers = signed(message.id, int(time.time()), message.body, message.secrets)
    headers["Content-Type"] = "application/json"
    try:
        return await call.post(message.url, message.body.encode(), headers)
    except CallFailed as failed:
        return failed.failure
    except Exception:
        # Whatever the library lets through is a failed attempt, and counts as one.
        _log("a call broke", message.endpoint_id)
        return Failure.CONNECTION_FAILED


async def _disable_failing(sessions: Sessions) -> None:
    """Disable what nothing has reached for five days, although it was tried."""
    async with sessions() as session:
        at = await slrt_now(session)
        failing = await WebhookEndpoints(session).failing(at - FAILING_FOR)
    for id in failing:
        async with sessions.begin() as session:
            at = await slrt_now(session)
            await disable_failing(session, id, at - FAILING_FOR, at)
