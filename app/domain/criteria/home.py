"""A home as it is screened, and what a rule says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.criteria.questions import Question
from app.domain.facts import Known


class Eligibility(StrEnum):
    """What a rule says of a home or person. Whether they are served is their owner's word."""

    ELIGIBLE = "eligible"
    NOT_ELIGIBLE = "not_eligible"
    UNKNOWN = "unknown"


class Met(StrEnum):
    """What became of one criterion, or one test in it."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Person:
    """A living person who lives in the home, as far as is known.

    `birth_year` may be a year off where no birth date is known: it may come from an age.
    """

    id: UUID | None
    name: str
    version: int = 0
    birth_date: date | None = None
    birth_year: int | None = None
    has_national_id: bool = False
    facts: Mapping[str, Known] = field(default_factory=dict)
    source: str = ""
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class Taking:
    """That the home, or one person in it, takes part in a programme now."""

    program_code: str
    member_id: UUID | None
    source: str
    as_of: date | None


@dataclass(frozen=True, slots=True)
class Home:
    """A home as it is screened: those who live in it, and what is known on the day.

    `registered` is unknown for a home that only a survey describes: its centre has yet to say.
    """

    id: UUID | None
    village_code: str
    version: int = 0
    registered: bool | None = None
    decile: Known | None = None
    facts: Mapping[str, Known] = field(default_factory=dict)
    people: tuple[Person, ...] = ()
    taking: tuple[Taking, ...] = ()
    source: str = ""
    as_of: date | None = None

    def takes(self, program_code: str, member_id: UUID | None = None) -> bool:
        """Whether the home takes part, or, where a member is named, this person (or all)."""
        return any(
            one.program_code == program_code
            and (member_id is None or one.member_id in (None, member_id))
            for one in self.taking
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """One test as it came out: what was looked at, what stood there, who said so and when.

    `of` is a fact's name, or `age`, `decile`, `region`, `registered`, `recipient_of` or
    `national_id`. For what is not known, `question` is the one of the survey that settles it.
    """

    of: str
    verdict: Met
    value: Any = None
    source: str | None = None
    as_of: date | None = None
    member_id: UUID | None = None
    name: str | None = None
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class CriterionReading:
    """A criterion's verdict, and the tests that decided it."""

    verdict: Met
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule says of a home or person, criterion by criterion."""

    verdict: Eligibility
    criteria: tuple[CriterionReading, ...]
