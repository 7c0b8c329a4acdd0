"""Types of answers: bounded in the contract, never checked on the way out.

Rules of input would turn rows of yesterday into errors of today.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, PlainSerializer


def text(max_length: int) -> Any:
    return Annotated[str, Field(json_schema_extra={"maxLength": max_length})]


def items(kind: Any, at_most: int) -> Any:
    return Annotated[list[kind], Field(json_schema_extra={"maxItems": at_most})]


def _utc(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


Word = Annotated[str, Field(json_schema_extra={"maxLength": 60})]
Name = Annotated[str, Field(json_schema_extra={"maxLength": 120})]
Code = Annotated[str, Field(json_schema_extra={"maxLength": 40})]
Line = Annotated[str, Field(json_schema_extra={"maxLength": 300})]
Paragraph = Annotated[str, Field(json_schema_extra={"maxLength": 4000})]
Words = Annotated[list[Word], Field(json_schema_extra={"maxItems": 60})]
Codes = Annotated[list[Code], Field(json_schema_extra={"maxItems": 200})]
Ids = Annotated[list[UUID], Field(json_schema_extra={"maxItems": 1000})]
Count = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 2_000_000_000})]
Moment = Annotated[
    datetime,
    PlainSerializer(_utc, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time", "maxLength": 40}),
]


class Someone(BaseModel):
    """A person or client by id and name."""

    id: UUID
    name: Name | None


Score = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1})]
Year = Annotated[int, Field(json_schema_extra={"minimum": 1800, "maximum": 2200})]


class Masked(BaseModel):
    """A household as the registry check shows it: enough to recognise, not to copy.

    Where a name was compared: how like it is (`score`), whose it is, and when they were born.
    """

    household_id: UUID
    head_name: Name | None
    family_card_number: text(16) | None  # type: ignore[valid-type]
    national_id: text(16) | None  # type: ignore[valid-type]
    village_code: Code
    rt: text(3) | None  # type: ignore[valid-type]
    rw: text(3) | None  # type: ignore[valid-type]
    score: Score | None = None
    member_name: Name | None = None
    birth_year: Year | None = None
