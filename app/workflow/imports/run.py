"""Running an import: the file is staged in small transactions, and applied in one.

Killed at any moment it goes on from its last chunk, or applies again: what was not committed is
as if it had never been. Once it is applied, duplicates are drafted, again in small transactions.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any, Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.domain.base import slrt_now
from app.domain.facts import FACTS
from app.domain.identifiers import Keys, masked_name
from app.domain.operations import FAULTS_LISTED, LEASE, Operation, Operations, OperationStatus
from app.domain.places import Places
from app.domain.programs import Programs
from app.domain.regions import Regions
from app.domain.registry_duplicates import RegistryDuplicates
from app.domain.registry_imports import RegistryImports
from app.domain.registry_layouts import Column, by_map
from app.domain.registry_rows import RegistryRows
from app.workflow.imports import columns, duplicates
from app.workflow.imports.faults import Tally, Unreadable
from app.workflow.imports.people import Checker, Staged
from app.workflow.imports.reader import Read, SourceFile, open_file
from app.workflow.imports.requests import ImportRequest

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
                await self._read(checker, rows)
            except Unreadable as unreadable:
                await self._fail(unreadable)
                return
            await self._kept_alive(self._apply())
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
        placed, width, start = await asyncio.to_thread(self._header, source)
        self.columns = [column for _, column in placed]
        self.programs = sorted(programs)
        checker = Checker(
            self.id, placed, width, source.pads, places, keys, self.request.as_of, programs
        )
        offset, line = self.state["offset"], self.state["line"]
        if not line:
            offset, line = start
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
            "faults": 0, "mapped": {}, "phase": "reading",
        }  # fmt: skip

    def _header(self, source: SourceFile) -> tuple[list[tuple[int, Column]], int, tuple[int, int]]:
        """The columns with their places, how many cells a row has, and where the rows begin."""
        rows = source.rows()
        first = next(rows, None)
        if first is None or first.problem is not None:
            raise Unreadable("wrong_columns" if first else "empty_file", missing=[], unknown=[])
        header = [cell.strip() for cell in first.cells]
        while header and not header[-1]:
            header.pop()
        sent = self.request.map
        layout = by_map(sent) if sent is not None else columns.choose(header, self.request.layout)
        self.layout = layout.name
        placed = columns.placed(layout, header)
        second = next(rows, None)
        start = first
        if second is not None and second.problem is None and columns.is_numbering(second.cells):
            start = second
        return placed, len(header), (start.end, start.last)

    async def _read(self, checker: Checker, rows: Iterator[Read]) -> None:
        """Stage chunk after chunk: the next is read while the one before is written."""
        chunk = asyncio.create_task(asyncio.to_thread(_chunk, checker, rows))
        try:
            while (found := await chunk) is not None:
                chunk = asyncio.create_task(asyncio.to_thread(_chunk, checker, rows))
                await self._stage(*found)
        finally:
            # A thread cannot be stopped; nothing else may use the file meanwhile.
            await asyncio.gather(chunk, return_exceptions=True)

    async def _stage(self, staged: Staged, tally: Tally, last: Read) -> None:
        state = self.state
        faults = self._listed(tally)
        mapped = state["mapped"] | {
            how: state["mapped"].get(how, 0) + count for how, count in tally.mapped.items()
        }
        warned = sum(not fault.refused for fault in tally.faults)
        self.state = state | {
            "offset": last.end, "line": last.last, "rows": state["rows"] + len(staged[1]),
            "read": state["read"] + tally.read, "refused": state["refused"] + tally.refused,
            "warnings": state["warnings"] + warned, "faults": state["faults"] + len(faults),
            "mapped": mapped,
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

    async def _apply(self) -> None:
        """Compare and apply in one transaction; a dry run only compares."""
        async with self.sessions.begin() as session:
            self.state["phase"] = "applying"
            await Operations(session).step(self.id, self.fence, state=self.state)
        self.told("applying", self.total, self.total)
        if not await self._applied():
            raise StillApplying

    async def _applied(self) -> bool:
        """False where another import of the city is just being applied."""
        covered = [one.target for one in self.columns if one.target in FACTS]
        async with self.sessions.begin() as session:
            file = RegistryImports(session, self.id, self.request.file())
            if not await file.prepare():
                return False
            found = await file.compare(covered, int(self.state["faults"]))
            counts, examples = await file.counts(), await file.examples()
            pairs = await RegistryDuplicates(session).pairs(self.id, self.request.regency)
            if not self.request.dry_run:
                await file.apply(self.by, await slrt_now(session), self._ending_programs())
            operations = Operations(session)
            result = self._result(found, counts) | {
                "faults": await operations.fault_counts(self.id),
                "examples": [_masked(one) for one in examples],
            }
            state = self.state | {
                "phase": DRAFTING, "pairs": [[str(one), str(other)] for one, other in pairs],
                "seen": 0, "drafted": 0, "result": result,
            }  # fmt: skip
            await operations.step(self.id, self.fence, done=self.total, state=state)
        self.state = state
        return True

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

    def _result(self, found: dict[str, int], counts: dict[str, dict[str, int]]) -> dict[str, Any]:
        state = self.state
        twice = found["duplicate_row"]
        return {
            "source": self.request.source, "version": self.request.version,
            "layout": self.layout, "dry_run": self.request.dry_run,
            "rows_read": state["read"], "rows_landed": state["rows"] - twice,
            "rows_refused": state["refused"] + twice,
            "warnings": state["warnings"] + found["household_differs"]
            + found["national_id_twice"],
            "regions_mapped": {
                how: state["mapped"].get(how, 0) for how in ("former_code", "bps", "name")
            },
            "households": counts["households"], "people": counts["people"],
            "attempts": self.attempts,
        }  # fmt: skip


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


def _masked(example: dict[str, Any]) -> dict[str, Any]:
    """A difference as it is shown: names masked, as numbers are already."""
    shown = {name: value for name, value in example.items() if value is not None}
    if "name" in shown:
        shown["name"] = masked_name(shown["name"])
    if (changes := shown.get("changes")) and "name" in changes:
        masked = [None if one is None else masked_name(one) for one in changes["name"]]
        shown["changes"] = changes | {"name": masked}
    return shown
