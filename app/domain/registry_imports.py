"""Registry imports: staged rows compared with the registry, and applied to it, as sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.base import new_id
from app.domain.households import Household, RegistryVersion
from app.domain.identifiers import Keys, masked
from app.domain.registry_statements import applying, comparing, finding, landing

APPLY_LOCK = 0x51_29
LAST_LINE = 2**31 - 1
LINES_LANDING = 50_000
H: Any = Household
# What plans are made by. Facts and sealed numbers are wide, and nothing is planned by them.
STAGED = (
    "registry_homes (operation_id, line, household_key, card_index)",
    "registry_rows (operation_id, line, household_key, member_key, national_id_index)",
    "registry_refusals",
)
APPLIED = (
    "households (id, registry_source, registry_id, regency_code, village_code, ended_at)",
    "members (id, household_id, registry_id, national_id_index, birth_year, regency_code,"
    " village_code, ended_at)",
    "registry_ids (household_id, source, kind, value)", "families", "welfare_ranks (household_id)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileOf:
    """Of what a file is: the source and its version, the day it was true, and the city."""

    source: str
    version: str
    as_of: date
    regency_code: str
    whole: bool = True


class RegistryImports:
    """The only place that writes SQL about applying an import."""

    def __init__(self, session: AsyncSession, operation_id: UUID, file: FileOf) -> None:
        self.session, self.operation_id, self.file = session, operation_id, file
        self.params: dict[str, Any] = {
            "op": operation_id, "after": -1, "source": file.source, "version": file.version,
            "as_of": file.as_of, "regency": file.regency_code, "whole": file.whole,
        }  # fmt: skip

    async def prepare(self) -> bool:
        """Give this transaction the time and memory it needs. False while another one applies."""
        # The server notices within a second that a process was killed, and lets go of its lock.
        for setting in (
            "statement_timeout = 0", "idle_in_transaction_session_timeout = 0",
            "lock_timeout = '30s'", "work_mem = '96MB'", "temp_buffers = '32MB'",
            "client_connection_check_interval = '1s'",
        ):  # fmt: skip
            await self.session.execute(sa.text(f"set local {setting}"))
        lock = sa.func.pg_try_advisory_xact_lock(
            APPLY_LOCK, sa.func.hashtext(self.file.regency_code)
        )
        return bool(await self.session.scalar(sa.select(lock)))

    async def is_first(self) -> bool:
        """Whether the city has nothing of the source: what is new can `land` at once then."""
        of_source = sa.select(H.id).where(
            H.regency_code == self.file.regency_code, H.registry_source == self.file.source
        )
        return not await self.session.scalar(sa.select(of_source.exists()))

    async def begin(self) -> None:
        """Nothing is found as yet."""
        self.params["first"] = await self.is_first()
        for statement in finding.STANDING:
            await self._run(statement)

    async def land(self, line: int) -> bool:
        """Put the households up to a line into the registry that can only be new.

        `open_version` comes before. The rest of them is found when all lines are compared. False
        where a call was not enough.
        """
        self.params["upto"] = upto = min(line, self.params["after"] + LINES_LANDING)
        await self._run(landing.HOMES_LANDING)
        # The staged rows have no statistics yet, by which a plan would not go row by row.
        await self._run("set local enable_nestloop = off")
        for statement in (
            landing.NOT_LANDING, landing.PEOPLE_LANDING, *landing.OF_HOUSEHOLDS, landing.MEMBERS,
            *landing.LANDED,
        ):  # fmt: skip
            await self._run(statement)
        await self._run("drop table new_homes, new_people")
        await self._run("set local enable_nestloop = on")
        self.params["after"] = upto
        return bool(upto == line)

    def end_nobody(self) -> None:
        """The file is not all of the version, whatever was said of it: `compare` comes after."""
        self.file = replace(self.file, whole=False)
        self.params["whole"] = False

    async def compare(self, covered: list[str], faults: int) -> dict[str, int]:
        """Find which rows are new, changed, the same, and what the version ends.

        `faults` is how many are listed already. Returns what the comparison itself found wrong.
        """
        self.params["covered"] = covered
        # Plans are made for as many rows as there are now.
        await self._analyze(STAGED)
        await self._analyze(("home_standing", "people_standing"))
        found = await self._find_repetitions(faults)
        for statement in (finding.IMPORT_HOMES, finding.HOMES_BY_CARD, finding.HOME_STANDING):
            await self._run(statement)
        await self._run("analyze home_standing")
        await self._run(comparing.HOME_CHANGES)
        await self._run(comparing.PLACES_KEPT)
        await self._run(finding.IMPORT_PEOPLE)
        await self._run(finding.PEOPLE_IN_HOME)
        await self._run(finding.FAMILIES)
        await self._run(finding.PEOPLE_STANDING)
        await self._run("analyze people_standing")
        await self._seal_numbers()
        await self._run(comparing.PEOPLE_CHANGES)
        # All against all: a plan that goes row by row, made on stale figures, takes hours.
        await self._run("set local enable_nestloop = off")
        await self._run(comparing.HOMES_ENDING)
        await self._run(comparing.PEOPLE_ENDING)
        await self._run("set local enable_nestloop = on")
        return found

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many households and people are new, changed, returned, unchanged, ended, held."""
        found = {}
        for name, table, ending in (
            ("households", "home", "homes"), ("people", "people", "people"),
        ):  # fmt: skip
            row = (await self._run(comparing.COUNTS.format(table, ending))).mappings().one()
            found[name] = {key: int(value) for key, value in row.items()}
        return found

    async def examples(self) -> list[dict[str, Any]]:
        """Up to a hundred differences, as they are: whoever shows them masks the names."""
        rows = (await self._run(comparing.EXAMPLES)).mappings()
        return [dict(row) for row in rows][:100]

    async def open_version(self, by: UUID, at: datetime) -> None:
        """The version that everything applied from now on is of."""
        self.params |= {"version_id": await self._version(by, at), "at": at}
        # Checked as it goes and not at the commit, which is then short: others wait for its locks.
        await self._run("set constraints all immediate")

    async def apply(self, programs: list[str]) -> None:
        """Bring the registry to what the file says; `open_version` comes before."""
        self.params |= {"programs": programs, "after": -1, "upto": LAST_LINE}
        cards = int((await self._run("select count(*) from import_families")).scalar_one())
        members = landing.MEMBERS_IN_FAMILIES if cards else landing.MEMBERS
        for statement in (
            landing.NEW_HOMES, landing.NEW_PEOPLE, *landing.OF_HOUSEHOLDS, landing.FAMILIES,
            members, *applying.KNOWN, *applying.ENTRIES,
        ):  # fmt: skip
            await self._run(statement)
        # So that the first questions after a large import are answered as fast as later ones.
        await self._analyze(APPLIED)

    async def newest(self) -> date | None:
        """The day of the newest version of this source that the city has."""
        statement = sa.select(sa.func.max(col(RegistryVersion.as_of))).where(
            col(RegistryVersion.source) == self.file.source,
            col(RegistryVersion.regency_code) == self.file.regency_code,
        )
        found = await self.session.scalar(statement)
        assert found is None or isinstance(found, date)
        return found

    async def _analyze(self, tables: Sequence[str]) -> None:
        for table in tables:
            await self._run(f"analyze {table}")

    async def _find_repetitions(self, faults: int) -> dict[str, int]:
        found = {}
        await self._run(finding.HOMES_TWICE)
        found["household_differs"] = await self._list_faults(
            "homes_twice where differs", faults, None, "household_differs", refused=False
        )
        await self._run(finding.DROP_HOMES_TWICE)
        await self._run(finding.NUMBERS_TWICE)
        await self._run(finding.ROWS_TWICE)
        faults += found["household_differs"]
        found["duplicate_row"] = await self._list_faults(
            "rows_twice", faults, "name", "duplicate_row", refused=True
        )
        await self._run(finding.DROP_ROWS_TWICE)
        await self._run(finding.DROP_NUMBERS_ALONE)
        faults += found["duplicate_row"]
        found["national_id_twice"] = await self._list_faults(
            "numbers_twice", faults, "national_id", "national_id_twice", refused=False
        )
        return found

    async def _list_faults(
        self, rows: str, number: int, column: str | None, code: str, *, refused: bool
    ) -> int:
        statement = finding.FAULTS_FROM.format(rows)
        more = {"number": number, "column": column, "code": code, "refused": refused}
        return int(getattr(await self._run(statement, **more), "rowcount", 0))

    async def _seal_numbers(self) -> None:
        """A number is sealed for its row: what goes to a row that was there is sealed anew."""
        await self._run(comparing.SEALED_NUMBERS)
        keys, after = Keys.of(self.session), -1
        place = ("members", "national_id")
        while rows := (await self._run(comparing.NUMBERS_TO_SEAL, after=after)).all():
            after = rows[-1].line
            numbers = [keys.open(row.national_id, *place, row.member_id) for row in rows]
            await self._run(
                comparing.ADD_SEALED_NUMBERS,
                lines=[row.line for row in rows],
                sealed=[
                    keys.seal(number, *place, row.id)
                    for row, number in zip(rows, numbers, strict=True)
                ],
                before=[
                    masked(keys.open(row.before, *place, row.id)) if row.before else None
                    for row in rows
                ],
                after=[masked(number) for number in numbers],
            )

    async def _version(self, by: UUID, at: datetime) -> UUID:
        """The row of this version; the same version again corrects it."""
        file = self.file
        statement = insert(RegistryVersion).values(
            id=new_id(), source=file.source, version=file.version, as_of=file.as_of,
            regency_code=file.regency_code, whole=file.whole, operation_id=self.operation_id,
            applied_at=at, applied_by=by,
        )  # fmt: skip
        names = ("as_of", "whole", "operation_id", "applied_at", "applied_by")
        statement = statement.on_conflict_do_update(
            index_elements=["source", "version", "regency_code"],
            set_={name: statement.excluded[name] for name in names},
        )
        found = await self.session.scalar(statement.returning(col(RegistryVersion.id)))
        assert isinstance(found, UUID)
        return found

    async def _run(self, statement: str, **more: Any) -> Any:
        text = sa.text(statement)
        wanted = text._bindparams
        more = self.params | more | {"stamp": str(new_id())[:24]}
        params = {name: value for name, value in more.items() if name in wanted}
        return await self.session.execute(text, params)
