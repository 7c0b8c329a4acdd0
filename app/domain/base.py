"""What every table shares: ids, enums, time, region columns."""

import secrets
import time
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): time-ordered, so a primary key is also a page cursor."""
    ms = time.time_ns() // 1_000_000
    rand = secrets.randbits(74)
    return UUID(int=ms << 80 | 0x7 << 76 | (rand >> 62) << 64 | 0b10 << 62 | rand & (1 << 62) - 1)


# The clock on the walls of the offices: days of a case are days there.
JAKARTA = ZoneInfo("Asia/Jakarta")


def day_of(at: datetime) -> date:
    """The day that a moment falls on in the offices."""
    return at.astimezone(JAKARTA).date()


async def slrt_now(session: AsyncSession) -> datetime:
    """The time of the domain: the database's clock, in demo mode moved forward."""
    at = await session.scalar(sa.select(sa.func.slrt_now(type_=sa.DateTime(timezone=True))))
    assert isinstance(at, datetime)
    return at


def enum_type(enum: type[StrEnum]) -> sa.Enum:
    """Text with a CHECK: readable in psql, and a new value is a one-line migration."""
    return sa.Enum(
        enum,
        name=enum.__name__.lower(),
        native_enum=False,
        create_constraint=True,
        validate_strings=True,
        values_callable=lambda e: [m.value for m in e],
        length=40,
    )


# A column that sorts by bytes pages the same on every server, whatever its locale.
CODE = sa.String(collation="C")
JSON = JSONB(none_as_null=True)


def _within_reach(value: datetime) -> datetime:
    # Year 1 and year 9999 overflow when moved to UTC; nothing here happens there.
    if not 1900 < value.year < 2200:
        raise ValueError("instant_out_of_range")
    return value.astimezone(UTC)


def _as_text(value: object) -> object:
    # A number would be taken for seconds since 1970, which nobody means here.
    if not isinstance(value, str | datetime) or (isinstance(value, str) and value.isdigit()):
        raise ValueError("invalid_datetime")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_within_reach)]


def _one_line(value: str) -> str:
    if len(value.splitlines()) > 1:
        raise ValueError("line_break")
    # Names are compared: two spaces are one.
    return " ".join(value.split())


def _visible(value: str) -> str:
    if not any(char.isprintable() and not char.isspace() for char in value):
        raise ValueError("nothing_visible")
    return value


def line(max_length: int, min_length: int = 1) -> Any:
    """A trimmed text of one line."""
    return Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=min_length, max_length=max_length),
        AfterValidator(_one_line),
        AfterValidator(_visible),
    ]


def text(max_length: int, min_length: int = 1) -> Any:
    """A trimmed text that may hold line breaks."""
    return Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=min_length, max_length=max_length),
        AfterValidator(_visible),
    ]


BIDI_OVERRIDES = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))


def has_forbidden_characters(value: str) -> bool:
    """True for U+0000, lone surrogates and control characters other than tab and line breaks."""
    return any(
        (char < " " and char not in "\t\n\r")
        or "\x7f" <= char <= "\x9f"
        or "\ud800" <= char < "\ue000"
        for char in value
    )


def clean(value: str) -> str:
    """NFC, without the characters that turn the reading direction around."""
    return unicodedata.normalize("NFC", value.translate(BIDI_OVERRIDES))


class Record(SQLModel):
    """Base of every table: never a table itself, never an API schema."""

    id: UUID = Field(default_factory=new_id, primary_key=True)


class InRegion(SQLModel):
    """The region of a row, level by level: scopes and sharding read these columns."""

    province_code: str = Field(sa_type=CODE, max_length=2)
    regency_code: str = Field(sa_type=CODE, max_length=5)
    district_code: str = Field(sa_type=CODE, max_length=8)
    village_code: str = Field(sa_type=CODE, max_length=13)


def region_columns(village_code: str) -> dict[str, str]:
    """`35.76.02.1010` as the four region columns of a row."""
    parts = village_code.split(".")
    names = ("province_code", "regency_code", "district_code", "village_code")
    return {name: ".".join(parts[: n + 1]) for n, name in enumerate(names)}


def region_of(row: Any) -> dict[str, Any]:
    """The region columns of a row, for another row about the same case."""
    return {name: getattr(row, name) for name in InRegion.model_fields}


def move_to(row: Any, region: Mapping[str, str]) -> None:
    """Give a row other region columns."""
    for name, code in region.items():
        setattr(row, name, code)


def regency_of(code: str) -> str:
    """The regency or city that a region lies in; a wider one stays as it is."""
    return ".".join(code.split(".")[:2])


def narrowest(row: "InRegion") -> str:
    """The region of a row whose lower levels may be empty: `35.76.02`, or `35.76` alone."""
    return row.village_code or row.district_code or row.regency_code


def contains(scope: str, code: str) -> bool:
    """Whether a region lies in a scope, by whole segments: 35.7 does not contain 35.76."""
    return code == scope or code.startswith(f"{scope}.")


def level_column(table: Any, code: str) -> Any:
    """The region column of `table` that a code of this level is compared with."""
    return (table.province_code, table.regency_code, table.district_code, table.village_code)[
        code.count(".")
    ]


def within(table: Any, codes: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """Rows of `table` in any of the scopes: an equality per level, which an index serves."""
    by_level: dict[int, list[str]] = {}
    for code in codes:
        by_level.setdefault(code.count("."), []).append(code)
    return sa.or_(
        sa.false(), *(level_column(table, found[0]).in_(found) for found in by_level.values())
    )
