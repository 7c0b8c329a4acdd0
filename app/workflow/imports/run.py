"""Running an import: the file is staged in small transactions, and applied in one.

Killed at any moment it goes on from its last chunk, or applies again: what was not committed is
as if it had never been. Once it is applied, duplicates are drafted, again in small transactions.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any, Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.domain.base import slrt_now
from app.domain.facts import FACTS
from app.domain.identifiers import Keys
from app.domain.operations import FAULTS_LISTED, LEASE, Operation, Operations, OperationStatus
from app.domain.places import Places
from app.domain.programs import Programs
from app.domain.regions import Regions
from app.domain.registry_duplicates import RegistryDuplicates
from app.domain.registry_imports import RegistryImports
from app.domain.registry_rows import RegistryRows
from app.workflow.imports import columns, duplicates
from app.workflow.imports.faults import Tally, Unreadable
from app.workflow.imports.people import Checker, Staged
from app.workflow.imports.reader import Read, open_file
from app.workflow.imports.requests import ImportRequest
from app.workflow.imports.result import masked_example, result_of

logger = logging.getLogger("slrt.imports")
ROWS_AT_ONCE: Final = 4_000
PAIRS_AT_ONCE = 50
# What comes after an import is applied.
DRAFTING: Final = "drafting"
Sessions = async_sessionmaker[AsyncSession]
Told = Callable[[str, int, int], None]


class StillApplying(Exception):
    """Another import of the city is just being applied: this one is tried again later."""


def nobody(_: str, __: int, ___: int) -> None:
    """Nobody wants to hear of the progress."""


class Import:
    """One run of an import that the caller has leased, on its own sessions."""

    def __init__(
        self, sessions: Sessions, operation: Operation, file: IO[bytes], told: Told = nobody
    ) -> None:
        self.sessions, self.file, self.told = sessions, file, told
        self.id, self.fence, self.total = operation.id, operation.fence, operation.total
        self.by, self.attempts = operation.created_by, operation.attempts
        fields = ImportRequest.model_fields
        self.request = ImportRequest(
            **{name: value for name, value in operation.params.items() if name in fields}
        )
        self.state: dict[str, Any] = dict(operation.state)

    async def run(self) -> None:
        """Read the rest of the file, apply it, draft its duplicates. Raises LostLease."""
        if self.state.get("phase") != DRAFTING:
            try:
                checker, rows = await self._begin()
                async with self.sessions.begin() as session:
                    registry = RegistryImports(session, self.id, self.request.file())
                    lands = not self.request.dry_run and await self._lands(registry)
                    await self._read(checker, rows, registry if lands else None)
                    if not self.state["read"]:
                        raise Unreadable("no_rows")
                    await self._kept_alive(self._apply(registry, lands))
            except Unreadable as unreadable:
                await self._fail(unreadable)
                return
        await self._draft()

    # Reading

    async def _begin(self) -> tuple[Checker, Iterator[Read]]:
        """The file opened, its header understood, and where to go on."""
        source = await asyncio.to_thread(open_file, self.file, self.total)
        async with self.sessions.begin() as session:
            await self._go_on(session)
            regions = Regions(session)
            places = Places.of(
                self.request.regency,
                await regions.under(self.request.regency),
                await regions.bps_codes(self.request.regency),
            )
            programs = frozenset(await Programs(session).codes())
            keys = Keys.of(session)
        header = await asyncio.to_thread(columns.read, source, self.request)
        self.layout, self.columns = header.layout, [column for _, column in header.columns]
        self.programs = sorted(programs)
        checker = Checker(
            self.id, header.columns, header.width, source.pads, places, keys, self.request.as_of,
            programs,
        )  # fmt: skip
        offset, line = self.state["offset"], self.state["line"]
        if not line:
            offset, line = header.rows_begin
        return checker, source.rows(offset, line)

    async def _go_on(self, session: AsyncSession) -> None:
        """From the last chunk; anew where the staged rows are not all there."""
        staged = RegistryRows(session)
        if self.state and await staged.count(self.id) == self.state["rows"]:
            return
        await staged.clear(self.id)
        await Operations(session).forget_faults(self.id)
        self.state = {
            "offset": 0, "line": 0, "rows": 0, "read": 0, "refused": 0, "warnings": 0,
            "faults": 0, "mapped": {}, "torn": False, "phase": "reading",
        }  # fmt: skip

    async def _lands(self, registry: RegistryImports) -> bool:
        """Whether what is new can land while the file is still being read."""
        if not (await registry.prepare() and await registry.is_first()):
            return False
        await registry.begin()
        await registry.open_version(self.by, await slrt_now(registry.session))
        return True

    async def _read(
        self, checker: Checker, rows: Iterator[Read], registry: RegistryImports | None
    ) -> None:
        """Stage chunk after chunk: the next is read, and those before land, while one is staged."""
        # A million rows make no cycles: what was there before need not be looked through for them.
        gc.freeze()
        chunk = asyncio.create_task(asyncio.to_thread(_chunk, checker, rows))
        landing: asyncio.Task[bool] | None = None
        try:
            while (found := await chunk) is not None:
                chunk = asyncio.create_task(asyncio.to_thread(_chunk, checker, rows))
                await self._stage(*found)
                if registry is not None and (landing is None or landing.done()):
                    if landing is not None:
                        await landing
                    landing = asyncio.create_task(registry.land(self.state["line"]))
            if landing is not None:
                await landing
        finally:
            # A thread cannot be stopped; nothing else may use the file meanwhile.
            await asyncio.gather(chunk, *filter(None, (landing,)), return_exceptions=True)
            gc.unfreeze()

    async def _stage(self, staged: Staged, tally: Tally, last: Read) -> None:
        state = self.state
        torn = state.get("torn", False)
        if tally.torn and not torn and self.request.whole:
            tally.warn(tally.torn, "not_whole", None)
        faults = self._listed(tally)
        mapped = state["mapped"] | {
            how: state["mapped"].get(how, 0) + count for how, count in tally.mapped.items()
        }
        warned = sum(not fault.refused for fault in tally.faults)
        self.state = state | {
            "offset": last.end, "line": last.last, "rows": state["rows"] + len(staged[1]),
            "read": state["read"] + tally.read, "refused": state["refused"] + tally.refused,
            "warnings": state["warnings"] + warned, "faults": state["faults"] + len(faults),
            "mapped": mapped, "torn": torn or tally.torn is not None,
        }  # fmt: skip
        async with self.sessions.begin() as session:
            operations = Operations(session)
            await operations.step(self.id, self.fence, done=last.end, state=self.state)
            await RegistryRows(session).copy(*staged)
            if faults:
                await operations.add_faults(faults)
        self.told("reading", last.end, self.total)

    def _listed(self, tally: Tally) -> list[tuple[Any, ...]]:
        """The faults as rows, as long as the list is not full."""
        number = int(self.state["faults"])
        return [
            (self.id, number + n, one.line, (one.column or "")[:80] or None,
                (one.value or "")[:80] or None, one.code, one.refused)
            for n, one in enumerate(tally.faults[: max(FAULTS_LISTED - number, 0)], 1)
        ]  # fmt: skip

    async def _fail(self, unreadable: Unreadable) -> None:
        async with self.sessions.begin() as session:
            await RegistryRows(session).clear(self.id)
            await Operations(session).finish(
                self.id, self.fence, OperationStatus.FAILED, problem=unreadable.code,
                result=dict(unreadable.details) | {"attempts": self.attempts},
            )  # fmt: skip

    # Applying

    async def _kept_alive(self, work: Any) -> None:
        """Do the work while the lease is renewed beside it."""
        doing, keeping = asyncio.ensure_future(work), asyncio.create_task(self._keep())
        try:
            await asyncio.wait((doing, keeping), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                # Keeping ends only where the lease is lost.
                doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            await (keeping if doing.cancelled() else doing)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 6)
            try:
                async with self.sessions.begin() as session:
                    await Operations(session).step(self.id, self.fence)
            except DBAPIError:
                # The row is held, or the database is away for a moment: the next time will do.
                logger.info("a lease was not renewed", extra={"operation_id": str(self.id)})

    async def _apply(self, registry: RegistryImports, lands: bool) -> None:
        """Compare and apply, in the transaction of what has landed; a dry run only compares."""
        async with self.sessions.begin() as session:
            self.state["phase"] = "applying"
            await Operations(session).step(self.id, self.fence, state=self.state)
        self.told("applying", self.total, self.total)
        if lands:
            while not await registry.land(self.state["line"]):
                continue
        elif not await registry.prepare():
            raise StillApplying
        else:
            await registry.begin()
        if self.state.get("torn") or not self.state["rows"]:
            registry.end_nobody()
        covered = [one.target for one in self.columns if one.target in FACTS]
        found = await registry.compare(covered, int(self.state["faults"]))
        counts, examples = await registry.counts(), await registry.examples()
        duplicates = RegistryDuplicates(registry.session)
        pairs = await duplicates.pairs(self.id, self.request.regency)
        if not self.request.dry_run:
            if not lands:
                await registry.open_version(self.by, await slrt_now(registry.session))
            await registry.apply(self._ending_programs())
        operations = Operations(registry.session)
        result = result_of(self.request, self.state, found) | counts | {
            "layout": self.layout, "whole": registry.file.whole,
            "faults": await operations.fault_counts(self.id),
            "examples": [masked_example(one) for one in examples],
        }  # fmt: skip
        self.state |= {
            "phase": DRAFTING, "pairs": [[str(one), str(other)] for one, other in pairs],
            "seen": 0, "drafted": 0, "result": result,
        }  # fmt: skip
        await operations.step(self.id, self.fence, done=self.total, state=self.state)

    # Drafting

    async def _draft(self) -> None:
        """Draft what was found twice, and end; a dry run only says how many there are."""
        pairs = [(UUID(one), UUID(other)) for one, other in self.state["pairs"]]
        while not self.request.dry_run and self.state["seen"] < len(pairs):
            seen = self.state["seen"]
            some = pairs[seen : seen + PAIRS_AT_ONCE]
            async with self.sessions.begin() as session:
                at = await slrt_now(session)
                made = await duplicates.draft(session, some, self.by, self.request.regency, at)
                state = self.state | {
                    "seen": seen + len(some), "drafted": self.state["drafted"] + made,
                }  # fmt: skip
                await Operations(session).step(self.id, self.fence, state=state)
            self.state = state
        result = self.state["result"] | {
            "duplicates": {"pairs": len(pairs), "drafted": self.state["drafted"]},
            "attempts": self.attempts,
        }  # fmt: skip
        async with self.sessions.begin() as session:
            await RegistryRows(session).clear(self.id)
            await Operations(session).finish(
                self.id, self.fence, OperationStatus.SUCCEEDED, result=result
            )

    def _ending_programs(self) -> list[str]:
        """The programmes that the file can say no to."""
        targets = [one.target for one in self.columns]
        if "programs" in targets:
            return self.programs
        return [one.removeprefix("program:") for one in targets if one.startswith("program:")]


def _chunk(checker: Checker, rows: Iterator[Read]) -> tuple[Staged, Tally, Read] | None:
    """The next rows, checked; None at the end of the file. Runs in a thread."""
    last = None
    take = checker.take
    for last in islice(rows, ROWS_AT_ONCE):
        take(last)
    if last is None:
        return None
    staged, tally = checker.hand_over()
    return staged, tally, last
