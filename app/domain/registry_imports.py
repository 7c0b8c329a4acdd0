"""Registry imports: staged rows compared with the registry, and applied to it, as sets."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain import registry_statements as sql
from app.domain.base import new_id
from app.domain.households import RegistryVersion
from app.domain.identifiers import Keys, masked

APPLY_LOCK = 0x51_29


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
        # The first characters of a UUIDv7 made now.
        self.params: dict[str, Any] = {
            "op": operation_id, "source": file.source, "version": file.version,
            "as_of": file.as_of, "regency": file.regency_code, "whole": file.whole,
            "stamp": str(new_id())[:15],
        }  # fmt: skip

    async def prepare(self) -> bool:
        """Give this transaction the time and memory it needs. False while another one applies."""
        for setting in (
            "statement_timeout = 0", "idle_in_transaction_session_timeout = 0",
            "lock_timeout = '30s'", "work_mem = '96MB'", "temp_buffers = '32MB'",
        ):  # fmt: skip
            await self.session.execute(sa.text(f"set local {setting}"))
        lock = sa.func.pg_try_advisory_xact_lock(
            APPLY_LOCK, sa.func.hashtext(self.file.regency_code)
        )
        return bool(await self.session.scalar(sa.select(lock)))

    async def compare(self, covered: list[str], faults: int) -> dict[str, int]:
        """Find which rows are new, changed, the same, and what the version ends.

        `faults` is how many are listed already. Returns what the comparison itself found wrong.
        """
        self.params["covered"] = covered
        # Plans are made for as many rows as there are now.
        for table in ("registry_homes", "registry_rows", "registry_refusals"):
            await self._run(f"analyze {table}")
        found = await self._find_repetitions(faults)
        for statement in (sql.IMPORT_HOMES, sql.HOMES_BY_CARD, sql.HOME_STANDING):
            await self._run(statement)
        await self._run("analyze home_standing")
        await self._run(sql.IMPORT_PEOPLE)
        await self._run(sql.PEOPLE_IN_HOME)
        await self._run(sql.FAMILIES)
        await self._run(sql.PEOPLE_STANDING)
        await self._run("analyze people_standing")
        await self._seal_numbers()
        await self._run(sql.HOME_CHANGES)
        await self._run(sql.PEOPLE_CHANGES)
        # All against all: a plan that goes row by row, made on stale figures, takes hours.
        await self._run("set local enable_nestloop = off")
        await self._run(sql.HOMES_ENDING)
        await self._run(sql.PEOPLE_ENDING)
        await self._run("set local enable_nestloop = on")
        return found

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many households and people are new, changed, returned, unchanged, ended, held."""
        found = {}
        for name, table, ending in (
            ("households", "home", "homes"), ("people", "people", "people"),
        ):  # fmt: skip
            row = (await self._run(sql.COUNTS.format(table, ending))).mappings().one()
            found[name] = {key: int(value) for key, value in row.items()}
        return found

    async def examples(self) -> list[dict[str, Any]]:
        """Up to a hundred differences, as they are: whoever shows them masks the names."""
        rows = (await self._run(sql.EXAMPLES)).mappings()
        return [dict(row) for row in rows][:100]

    async def apply(self, by: UUID, at: datetime, programs: list[str]) -> UUID:
        """Bring the registry to what the file says. Returns the version's id."""
        version_id = await self._version(by, at)
        self.params |= {"version_id": version_id, "at": at, "programs": programs}
        cards = int((await self._run("select count(*) from import_families")).scalar_one())
        members = sql.NEW_MEMBERS_IN_FAMILIES if cards else sql.NEW_MEMBERS_ALONE
        for statement in (
            sql.NEW_HOUSEHOLDS, sql.CHANGED_HOUSEHOLDS, sql.KNOWN_HOUSEHOLDS, sql.REGISTRY_IDS,
            sql.WELFARE_RANKS, sql.PARTICIPATIONS, sql.ENDED_PARTICIPATIONS, sql.NEW_FAMILIES,
            members, sql.CHANGED_MEMBERS, sql.KNOWN_MEMBERS, sql.ENDED_HOUSEHOLDS,
            sql.ENDED_MEMBERS, *sql.ENTRIES,
        ):  # fmt: skip
            await self._run(statement)
        # Checked here and not at the commit, which is then short: others wait for its locks.
        await self._run("set constraints all immediate")
        # So that the first questions after a large import are answered as fast as later ones.
        for table in ("households", "members", "registry_ids", "families", "welfare_ranks"):
            await self._run(f"analyze {table}")
        return version_id

    async def newest(self) -> date | None:
        """The day of the newest version of this source that the city has."""
        statement = sa.select(sa.func.max(col(RegistryVersion.as_of))).where(
            col(RegistryVersion.source) == self.file.source,
            col(RegistryVersion.regency_code) == self.file.regency_code,
        )
        found = await self.session.scalar(statement)
        assert found is None or isinstance(found, date)
        return found

    async def _find_repetitions(self, faults: int) -> dict[str, int]:
        found = {}
        await self._run(sql.HOMES_TWICE)
        found["household_differs"] = await self._list_faults(
            "homes_twice where differs", faults, None, "household_differs", refused=False
        )
        await self._run(sql.DROP_HOMES_TWICE)
        await self._run(sql.NUMBERS_TWICE)
        await self._run(sql.ROWS_TWICE)
        faults += found["household_differs"]
        found["duplicate_row"] = await self._list_faults(
            "rows_twice", faults, "name", "duplicate_row", refused=True
        )
        await self._run(sql.DROP_ROWS_TWICE)
        await self._run(sql.DROP_NUMBERS_ALONE)
        faults += found["duplicate_row"]
        found["national_id_twice"] = await self._list_faults(
            "numbers_twice", faults, "national_id", "national_id_twice", refused=False
        )
        return found

    async def _list_faults(
        self, rows: str, number: int, column: str | None, code: str, *, refused: bool
    ) -> int:
        statement = sql.FAULTS_FROM.format(rows)
        more = {"number": number, "column": column, "code": code, "refused": refused}
        return int(getattr(await self._run(statement, **more), "rowcount", 0))

    async def _seal_numbers(self) -> None:
        """A number is sealed for its row: what goes to a row that was there is sealed anew."""
        await self._run(sql.SEALED_NUMBERS)
        keys, after = Keys.of(self.session), -1
        place = ("members", "national_id")
        while rows := (await self._run(sql.NUMBERS_TO_SEAL, after=after)).all():
            after = rows[-1].line
            numbers = [keys.open(row.national_id, *place, row.member_id) for row in rows]
            await self._run(
                sql.ADD_SEALED_NUMBERS,
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
        params = {name: value for name, value in (self.params | more).items() if name in wanted}
        return await self.session.execute(text, params)
