"""Registry rows: a file of the registry as it was read, before it is applied."""

from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.domain.base import CODE, JSON


class RegistryRow(SQLModel, table=True):
    """One person of a file, read and checked; the household's facts stand with its first person.

    Unlogged: after a crash of the server the rows are gone, and the file is read anew.
    """

    __tablename__ = "registry_rows"
    __table_args__ = (
        sa.PrimaryKeyConstraint("operation_id", "line"),
        {"prefixes": ["UNLOGGED"]},
    )

    operation_id: UUID
    line: int
    household_key: str = Field(sa_type=CODE, max_length=40)
    member_key: str = Field(sa_type=CODE, max_length=40)
    village_code: str = Field(sa_type=CODE, max_length=13)
    household: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    member: dict[str, Any] = Field(sa_type=JSON)
    household_id: UUID
    member_id: UUID
    name: str
    national_id: bytes | None = None
    national_id_index: bytes | None = None
    birth_date: date | None = None
    birth_year: int | None = None
    content_sha256: bytes
