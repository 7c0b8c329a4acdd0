"""A home as a survey describes it, laid over what the registry knows; and the needs it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import day_of, region_of
from app.domain.complaints import Complaint
from app.domain.criteria import Eligibility, Home, Homes, Person
from app.domain.facts import HOUSEHOLD_FACTS, MEMBER_FACTS, Fact, Known
from app.domain.households import Household, Households, Member
from app.domain.identifiers import Keys
from app.domain.screenings import Screening
from app.domain.survey_forms.v1 import LIVING_HERE
from app.domain.surveys import Survey, SurveyContent, Surveys
from app.workflow.eligibility import screening
from app.workflow.eligibility.screening import Screened

SURVEY = "survey"


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A home, and the survey that was laid over it, if there is one."""

    home: Home
    survey: Survey | None


async def home_of(
    session: AsyncSession, complaint: Complaint, household_id: UUID | None, day: date
) -> Surveyed | None:
    """The home of a complaint: the registry's, under what its survey found.

    A home that no registry knows is what the survey says of it. None where neither knows any.
    """
    survey = await Surveys(session).of(complaint.id)
    content = Surveys(session).content(survey) if survey is not None else None
    # What was seen at the home of the complaint says nothing of another one.
    if household_id != complaint.household_id:
        survey = content = None
    known = None
    if household_id is not None:
        known = (await Homes(session).of([household_id], day)).get(household_id)
        if known is None:
            return None
    if content is None or not content.answers.get("members"):
        return Surveyed(known, None) if known is not None else None
    people = (await _people(session, household_id)) if household_id else []
    base = known or Home(id=None, village_code=complaint.village_code, source=SURVEY)
    return Surveyed(laid_over(base, people, content, Keys.of(session)), survey)


async def _people(session: AsyncSession, household_id: UUID) -> list[Member]:
    return (await Households(session).members_of([household_id]))[household_id]


def laid_over(home: Home, members: Sequence[Member], content: SurveyContent, keys: Keys) -> Home:
    """What a survey found goes before what the registry had; what it did not ask for stays."""
    answers = content.answers
    visited = datetime.fromisoformat(content.visited_at) if content.visited_at else None
    day = day_of(visited) if visited else None
    people = {one.id: one for one in home.people}
    numbers = {one.id: one.national_id_index for one in members}
    found: list[Person] = []
    for answer in answers["members"]:
        known = _same(answer, list(people.values()), numbers, keys)
        if known is not None:
            del people[known.id]
        if answer.get("presence") in LIVING_HERE:
            found.append(_person(answer, known, day))
    # Whom nobody was asked about is still there.
    return replace(
        home,
        facts={**home.facts, **_facts(answers, HOUSEHOLD_FACTS, day)},
        people=(*found, *people.values()),
    )


def _same(
    answer: Mapping[str, Any],
    people: Sequence[Person],
    numbers: Mapping[UUID, bytes | None],
    keys: Keys,
) -> Person | None:
    """Whom of the registry an answer is about: by the national id, else by name and birth date."""
    number = answer.get("national_id")
    if number is not None:
        blind = keys.blind(number)
        for one in people:
            if one.id is not None and numbers.get(one.id) == blind:
                return one
    named = [one for one in people if one.name.casefold() == str(answer.get("name")).casefold()]
    born = answer.get("birth_date")
    if born is not None:
        named = [one for one in named if one.birth_date in (None, date.fromisoformat(born))]
    return named[0] if len(named) == 1 else None


def _person(answer: Mapping[str, Any], known: Person | None, day: date | None) -> Person:
    base = known or Person(id=None, name=str(answer.get("name", "")))
    born, years = answer.get("birth_date"), answer.get("age_years")
    birth_date = date.fromisoformat(born) if born else base.birth_date
    birth_year = base.birth_year
    if birth_date is not None:
        birth_year = birth_date.year
    elif years is not None and day is not None:
        birth_year = day.year - int(years)
    return replace(
        base,
        birth_date=birth_date,
        birth_year=birth_year,
        has_national_id=base.has_national_id or answer.get("national_id") is not None,
        facts={**base.facts, **_facts(answer, MEMBER_FACTS, day)},
        source=SURVEY,
        as_of=day,
    )


def _facts(
    answers: Mapping[str, Any], asked: Mapping[str, Fact], day: date | None
) -> dict[str, Known]:
    """The answers that are facts, as of the day of the visit; drafts may hold anything."""
    return {
        name: Known(name, answers[name], SURVEY, day)
        for name, fact in asked.items()
        if answers.get(name) is not None and fact.problem(answers[name]) is None
    }


async def proposals(session: AsyncSession, complaint: Complaint, at: datetime) -> list[Screened]:
    """The needs that a complaint's survey shows: eligible, or unknown, and not served yet.

    Programmes that cannot be had now are left out. Best first; whom to refer is for people to say.
    """
    day = day_of(at)
    found = await home_of(session, complaint, complaint.household_id, day)
    if found is None:
        return []
    rules = [one for one in await screening.in_force(session, day) if one.program.open_on(day)]
    wanted = [
        one
        for one in screening.over(found.home, rules, day)
        if one.verdict is not Eligibility.NOT_ELIGIBLE and not one.takes_part
    ]
    return sorted(wanted, key=lambda one: screening.BEST.index(one.verdict))


async def keep_for(
    session: AsyncSession,
    complaint: Complaint,
    program_code: str,
    whose: Member | Household | str,
    actor: Actor,
    at: datetime,
) -> Screening | None:
    """Screen the beneficiary of a need and keep why: for the supervisor, not against the referral.

    None where nothing is known of the beneficiary, or the programme has no criteria.
    """
    day = day_of(at)
    household_id = complaint.household_id
    if not isinstance(whose, str):
        household_id = whose.household_id if isinstance(whose, Member) else whose.id
    found = await home_of(session, complaint, household_id, day)
    if found is None:
        return None
    home = found.home
    if isinstance(whose, str):
        people = tuple(one for one in home.people if one.name.casefold() == whose.casefold())
        # Who is not of this home is nobody that anything is known of.
        if not people:
            return None
        one_of_them = people[0]
    rules = await screening.in_force(session, day, program_code)
    screened = screening.over(home, rules, day)
    if isinstance(whose, str):
        screened = [one for one in screened if one.person in (None, one_of_them)]
    one = screening.best(screened, whose.id if isinstance(whose, Member) else None)
    if one is None:
        return None
    survey = found.survey
    return screening.keep(
        session,
        actor,
        [one],
        at,
        household_id=home.id,
        complaint_id=complaint.id,
        survey_version=survey.version if survey else None,
        place=region_of(complaint),
    )
