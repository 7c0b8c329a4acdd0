"""Registry rows: a file of the registry as it was read, before it is applied."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.base import CODE, JSON


class RegistryHome(SQLModel, table=True):
    """One household of a file, read and checked, with the line of its first person.

    Unlogged: after a crash of the server the rows are gone, and the file is read anew.
    """

    __tablename__ = "registry_homes"
    __table_args__ = (
        sa.PrimaryKeyConstraint("operation_id", "line"),
        {"prefixes": ["UNLOGGED"]},
    )

    operation_id: UUID
    line: int
    household_key: str = Field(sa_type=CODE, max_length=40)
    household_id: UUID
    village_code: str = Field(sa_type=CODE, max_length=13)
    address: str | None = None
    rt: str | None = None
    rw: str | None = None
    decile: int | None = None
    percentile: int | None = None
    ruta6: str | None = Field(default=None, sa_type=CODE)
    card_index: bytes | None = None
    programs: list[str] = Field(sa_type=ARRAY(sa.Text))
    presence: str | None = None
    facts: dict[str, Any] = Field(sa_type=JSON)
    content_sha256: bytes


class RegistryRow(SQLModel, table=True):
    """One person of a file, read and checked. Numbers are sealed for the ids given here."""

    __tablename__ = "registry_rows"
    __table_args__ = (
        sa.PrimaryKeyConstraint("operation_id", "line"),
        {"prefixes": ["UNLOGGED"]},
    )

    operation_id: UUID
    line: int
    household_key: str = Field(sa_type=CODE, max_length=40)
    member_key: str = Field(sa_type=CODE, max_length=40)
    member_id: UUID
    number: int | None = None
    name: str
    national_id: bytes | None = None
    national_id_index: bytes | None = None
    birth_date: date | None = None
    birth_year: int | None = None
    sex: str | None = None
    relation: str
    presence: str | None = None
    family_id: UUID | None = None
    family_number: int | None = None
    family_card_number: bytes | None = None
    family_card_index: bytes | None = None
    warnings: list[str] | None = Field(default=None, sa_type=JSON)
    facts: dict[str, Any] = Field(sa_type=JSON)
    content_sha256: bytes


class RegistryRefusal(SQLModel, table=True):
    """A row that does not land, of a household that can be told: nobody of it is ended for that."""

    __tablename__ = "registry_refusals"
    __table_args__ = (
        sa.PrimaryKeyConstraint("operation_id", "line"),
        {"prefixes": ["UNLOGGED"]},
    )

    operation_id: UUID
    line: int
    household_key: str = Field(sa_type=CODE, max_length=40)


HOME_COLUMNS = tuple(RegistryHome.model_fields)
ROW_COLUMNS = tuple(RegistryRow.model_fields)
REFUSAL_COLUMNS = tuple(RegistryRefusal.model_fields)
STAGED = (
    ("registry_homes", HOME_COLUMNS),
    ("registry_rows", ROW_COLUMNS),
    ("registry_refusals", REFUSAL_COLUMNS),
)


class RegistryRows:
    """The only place that writes SQL about staged rows, up to their being applied."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def copy(self, *tables: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to the tables of STAGED, in their order, the fastest way there is."""
        connection = await (await self.session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        for (table, columns), records in zip(STAGED, tables, strict=True):
            if records:
                await driver.copy_records_to_table(table, records=records, columns=columns)

    async def count(self, operation_id: UUID) -> int:
        """How many people are staged."""
        statement = sa.select(sa.func.count()).where(col(RegistryRow.operation_id) == operation_id)
        return int(await self.session.scalar(statement) or 0)

    async def clear(self, operation_id: UUID) -> None:
        for table in (RegistryHome, RegistryRow, RegistryRefusal):
            await self.session.execute(
                sa.delete(table).where(col(table.operation_id) == operation_id)
            )
