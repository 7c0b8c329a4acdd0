"""Answers to many items at once (207): what became of each, and the same again for a retry."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError

from app.domain.errors import DomainError, Fault
from app.problems import document, fault_of
from app.problems.catalogue import CATALOGUE

Problem = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 20})]


@dataclass(frozen=True, slots=True)
class Malformed:
    """An item that could not be read, and why: it is refused, the others are taken."""

    faults: tuple[Fault, ...]

    @property
    def code(self) -> str:
        unknown = any(
            (one.code, one.pointer) == ("not_an_option", "/action") for one in self.faults
        )
        return "unknown_action" if unknown else "validation_failed"


def or_malformed(value: Any, read: Any) -> Any:
    """A validator around an item's own: what is wrong with one item refuses that item alone."""
    if isinstance(value, Malformed):
        return value
    try:
        return read(value)
    except ValidationError as error:
        return Malformed(tuple(fault_of(one, skip=0) for one in error.errors()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: taken, or refused for a reason. Written as it is kept with a key."""

    id: UUID | None
    code: str | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def status(self) -> int:
        return CATALOGUE[self.code].status if self.code else 200

    @staticmethod
    def of(id: UUID | None, error: DomainError | Malformed | None) -> "Outcome":
        return Outcome(id, error.code, error.faults) if error else Outcome(id)


def kept(outcomes: Sequence[Outcome]) -> str:
    """Outcomes as text, for the idempotency key."""
    return json.dumps(
        [
            [
                str(one.id) if one.id else None, one.code,
                [[f.code, f.pointer, f.parameter, f.params] for f in one.faults],
            ]
            for one in outcomes
        ]
    )  # fmt: skip


def known(text: str) -> list[Outcome]:
    """What `kept` wrote."""
    return [
        Outcome(UUID(id) if id else None, code, tuple(Fault(*fault) for fault in faults))
        for id, code, faults in json.loads(text)
    ]


def rendered(request: Request, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The fields that every result has."""
    return [
        {
            "index": index,
            "id": one.id,
            "status": one.status,
            "problem": document(request, one.code, one.faults) if one.code else None,
        }
        for index, one in enumerate(outcomes)
    ]


class ResultRead(BaseModel):
    """What became of an item, in the order in which they were sent."""

    index: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 100_000})]
    id: UUID | None
    status: Annotated[int, Field(json_schema_extra={"minimum": 200, "maximum": 599})]
    problem: Problem | None
