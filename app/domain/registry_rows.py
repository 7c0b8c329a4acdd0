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
from app.domain.households import MemberRelation, Sex


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


HOME_COLUMNS = tuple(RegistryHome.model_fields)
ROW_COLUMNS = tuple(RegistryRow.model_fields)
# What may stand in the columns that hold an enum's value as text.
SEXES, RELATIONS = {str(one) for one in Sex}, {str(one) for one in MemberRelation}


class RegistryRows:
    """The only place that writes SQL about staged rows, up to their being applied."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def copy(self, homes: Sequence[tuple[Any, ...]], rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows in the order of HOME_COLUMNS and ROW_COLUMNS, the fastest way there is."""
        connection = await (await self.session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        await driver.copy_records_to_table("registry_homes", records=homes, columns=HOME_COLUMNS)
        await driver.copy_records_to_table("registry_rows", records=rows, columns=ROW_COLUMNS)

    async def count(self, operation_id: UUID) -> tuple[int, int]:
        """How many households and people are staged."""
        counts = [
            await self.session.scalar(
                sa.select(sa.func.count()).where(col(table.operation_id) == operation_id)
            )
            for table in (RegistryHome, RegistryRow)
        ]
        return int(counts[0] or 0), int(counts[1] or 0)

    async def clear(self, operation_id: UUID) -> None:
        for table in (RegistryHome, RegistryRow):
            await self.session.execute(
                sa.delete(table).where(col(table.operation_id) == operation_id)
            )
