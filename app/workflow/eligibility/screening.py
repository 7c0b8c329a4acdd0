"""Screening one home by the rules in force: each verdict with its reasons, kept as it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import day_of, region_columns, region_of
from app.domain.criteria import Eligibility, Home, Homes, Person, Reading, Seen, read
from app.domain.errors import Conflict
from app.domain.households import Household
from app.domain.program_criteria import CriteriaVersion, CriteriaVersions
from app.domain.programs import Program, Programs
from app.domain.screenings import Screening, Screenings
from app.workflow.history import log

SCREENED = "household.screened"
# The best that may be said of a home for a programme of single people goes first.
BEST = (Eligibility.ELIGIBLE, Eligibility.UNKNOWN, Eligibility.NOT_ELIGIBLE)


@dataclass(frozen=True, slots=True)
class InForce:
    """A programme and its criteria that hold on a day."""

    program: Program
    version: CriteriaVersion


@dataclass(frozen=True, slots=True)
class Screened:
    """What a programme's rule says of a home, or of one person in it.

    `person` is nobody for programmes that are not for single people.
    """

    program_code: str
    number: int
    home: Home
    person: Person | None
    takes_part: bool
    reading: Reading

    @property
    def verdict(self) -> Eligibility:
        return self.reading.verdict


async def in_force(
    session: AsyncSession, day: date, program_code: str | None = None
) -> list[InForce]:
    """The programmes that have criteria on a day, by code."""
    versions = await CriteriaVersions(session).in_force(day, program_code)
    programs = await Programs(session).all()
    return [InForce(programs[one.program_code], one) for one in versions]


def over(home: Home, rules: Sequence[InForce], day: date) -> list[Screened]:
    """Every rule over a home: person by person where the programme is for single people."""
    found = []
    for one in rules:
        code, rule = one.program.code, one.version.rule
        people: Sequence[Person | None] = home.people if one.program.of_person else (None,)
        for person in people:
            member_id = person.id if person is not None else None
            takes = home.takes(code, member_id)
            reading = read(rule, home, person, day)
            found.append(Screened(code, one.version.number, home, person, takes, reading))
    return found


def best(screened: Sequence[Screened], member_id: UUID | None) -> Screened | None:
    """What is said of a member, or of the home: then the best that is said of anybody in it."""
    mine = [
        one
        for one in screened
        if one.person is None or member_id is None or one.person.id == member_id
    ]
    return min(mine, key=lambda one: BEST.index(one.verdict), default=None)


async def screen_household(
    session: AsyncSession, actor: Actor, household: Household, at: datetime
) -> Screening:
    """Screen a home for every programme, and keep what was seen.

    Raises Conflict `not_screened` for a home that is gone.
    """
    day = day_of(at)
    home = (await Homes(session).of([household.id], day)).get(household.id)
    if home is None:
        raise Conflict("not_screened")
    screened = over(home, await in_force(session, day), day)
    screening = keep(session, actor, screened, at, household_id=household.id,
        place=region_of(household))  # fmt: skip
    log(session, SCREENED, household, actor, at, screening_id=str(screening.id))
    return screening


def keep(
    session: AsyncSession,
    actor: Actor,
    screened: Sequence[Screened],
    at: datetime,
    *,
    household_id: UUID | None = None,
    complaint_id: UUID | None = None,
    survey_version: int | None = None,
    place: Mapping[str, Any] | None = None,
) -> Screening:
    """Keep a screening with the versions of its rules and of what was looked at."""
    home = screened[0].home if screened else None
    columns: Mapping[str, Any] = place or region_columns(home.village_code if home else "")
    versions = {str(home.id): home.version} if home and home.id else {}
    for one in home.people if home else ():
        if one.id is not None:
            versions[str(one.id)] = one.version
    screening = Screening(
        household_id=household_id,
        complaint_id=complaint_id,
        screened_at=at,
        screened_by=actor.id,
        day=day_of(at),
        rules={one.program_code: one.number for one in screened},
        versions=versions,
        survey_version=survey_version,
        content=b"",
        **columns,
    )
    Screenings(session).add(screening, [plain(one) for one in screened])
    return screening


def plain(one: Screened) -> dict[str, Any]:
    """A screened programme as it is kept; the criteria's texts stand with their version."""
    person = one.person
    return {
        "program_code": one.program_code,
        "number": one.number,
        "member_id": str(person.id) if person and person.id else None,
        "name": person.name if person and person.id is None else None,
        "takes_part": one.takes_part,
        "verdict": one.verdict,
        "criteria": [
            {"verdict": criterion.verdict, "seen": [_seen(seen) for seen in criterion.seen]}
            for criterion in one.reading.criteria
        ],
    }


def _seen(seen: Seen) -> dict[str, Any]:
    question = seen.question
    return {
        "of": seen.of,
        "verdict": seen.verdict,
        "value": seen.value,
        "source": seen.source,
        "as_of": seen.as_of.isoformat() if seen.as_of else None,
        "member_id": str(seen.member_id) if seen.member_id else None,
        "name": seen.name if seen.member_id is None else None,
        "question": {name: getattr(question, name) for name in question.__slots__}
        if question
        else None,
    }
