"""The first reader of a rule: one home, in Python, with the reason for every verdict.

Three values: what is not known is unknown, never assumed. `app.domain.criteria.compiled` reads the
same rules for a whole registry in SQL and must come to the same verdicts.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

from app.domain.base import contains
from app.domain.criteria.expression import (
    AgeTest,
    AllOf,
    DecileTest,
    Expression,
    FactTest,
    NationalIdTest,
    NoneOf,
    Range,
    RecipientTest,
    RegionTest,
    RegisteredTest,
    Rule,
    Someone,
    children,
)
from app.domain.criteria.home import (
    CriterionReading,
    Eligibility,
    Home,
    Met,
    Person,
    Reading,
    Seen,
)
from app.domain.criteria.questions import question_of
from app.domain.facts import FACTS, Fact, Level

# True, False, or None for what is not known, with the tests that decided it.
Outcome = tuple[bool | None, list[Seen]]
VERDICTS: Final = {True: Eligibility.ELIGIBLE, False: Eligibility.NOT_ELIGIBLE,
    None: Eligibility.UNKNOWN}  # fmt: skip
MET: Final = {True: Met.MET, False: Met.NOT_MET, None: Met.UNKNOWN}
LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
TRUTH: Final = {met: value for value, met in MET.items()}


def read(rule: Rule, home: Home, person: Person | None, day: date) -> Reading:
    """A rule over a home, or over one person of it, on a day."""
    outcomes = [_read(one.when, home, person, day) for one in rule.criteria]
    return Reading(
        VERDICTS[every(one for one, _ in outcomes)],
        tuple(CriterionReading(MET[one], tuple(seen)) for one, seen in outcomes),
    )


def every(values: Iterable[bool | None]) -> bool | None:
    """No if one says no, else unknown if one is unknown, else yes."""
    found = set(values)
    return False if False in found else None if None in found else True


def some(values: Iterable[bool | None]) -> bool | None:
    """Yes if one says yes, else unknown if one is unknown, else no."""
    found = set(values)
    return True if True in found else None if None in found else False


def turned(value: bool | None) -> bool | None:
    return None if value is None else not value


def _read(node: Expression, home: Home, person: Person | None, day: date) -> Outcome:
    if isinstance(node, Someone):
        outcomes = [_read(node.someone, home, one, day) for one in home.people]
        return _decided(some(one for one, _ in outcomes), outcomes)
    parts = [_read(child, home, person, day) for _, child in children(node)]
    if not parts:
        seen = _test(node, home, person, day)
        return TRUTH[seen.verdict], [seen]
    values = [one for one, _ in parts]
    if isinstance(node, AllOf):
        return _decided(every(values), parts)
    value, seen_in = _decided(some(values), parts)
    return (turned(value) if isinstance(node, NoneOf) else value), seen_in


def _decided(value: bool | None, parts: Sequence[Outcome]) -> Outcome:
    """The tests that decided: those parts that came out as the whole did."""
    return value, [seen for one, all_seen in parts if one is value for seen in all_seen]


def _test(node: Expression, home: Home, person: Person | None, day: date) -> Seen:
    if isinstance(node, RegionTest):
        met = any(contains(code, home.village_code) for code in node.region)
        return Seen("region", MET[met], home.village_code)
    if isinstance(node, RegisteredTest):
        if home.registered is None:
            return Seen("registered", Met.UNKNOWN)
        met = home.registered is node.registered
        return Seen("registered", MET[met], home.registered, home.source or None, home.as_of)
    if isinstance(node, RecipientTest):
        return _recipient(node, home)
    if isinstance(node, DecileTest):
        if home.decile is None:
            return Seen("decile", Met.UNKNOWN)
        met = _within(node.decile, int(home.decile.value))
        return Seen("decile", MET[met], home.decile.value, home.decile.source, home.decile.as_of)
    if isinstance(node, FactTest):
        return _fact(node, home, person)
    assert person is not None
    if isinstance(node, AgeTest):
        return _age(node.age, person, day)
    assert isinstance(node, NationalIdTest)
    met = person.has_national_id is node.national_id
    return Seen("national_id", MET[met], person.has_national_id, person.source or None,
        person.as_of, person.id, person.name)  # fmt: skip


def _recipient(node: RecipientTest, home: Home) -> Seen:
    """A programme that nobody is known to take part in is not taken part in."""
    taken = [one for one in home.taking if one.program_code in node.recipient_of]
    if not taken:
        return Seen("recipient_of", Met.NOT_MET, [])
    codes = sorted({one.program_code for one in taken})
    return Seen("recipient_of", Met.MET, codes, taken[0].source, taken[0].as_of)


def _fact(node: FactTest, home: Home, person: Person | None) -> Seen:
    fact = FACTS[node.fact]
    whose = home.facts
    about: dict[str, Any] = {}
    if fact.level is Level.MEMBER:
        assert person is not None
        whose, about = person.facts, {"member_id": person.id, "name": person.name}
    known = whose.get(node.fact)
    if known is None or not _is_readable(fact, known.value):
        return Seen(node.fact, Met.UNKNOWN, question=question_of(node.fact), **about)
    met = _holds(node, known.value)
    return Seen(node.fact, MET[met], known.value, known.source, known.as_of, **about)


def _is_readable(fact: Fact, value: Any) -> bool:
    """Whether there is a value; for a number, one that can be compared."""
    if fact.kind in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return value is not None


def _holds(node: FactTest, value: Any) -> bool:
    if node.is_ is not None:
        return bool(value) is node.is_
    if node.in_ is not None:
        return str(value) in node.in_
    if node.contains is not None:
        text = str(value).translate(LOWER)
        return any(word in text for word in node.contains)
    low = node.at_least is None or value >= node.at_least
    return bool(low and (node.at_most is None or value <= node.at_most))


def _within(limits: Range, value: int) -> bool:
    low = limits.at_least is None or value >= limits.at_least
    return low and (limits.at_most is None or value <= limits.at_most)


def _age(limits: Range, person: Person, day: date) -> Seen:
    about: dict[str, Any] = {"member_id": person.id, "name": person.name}
    ages = ages_on(day, person.birth_date, person.birth_year)
    if ages is None:
        return Seen("age", Met.UNKNOWN, question=question_of("birth_date"), **about)
    least, most = ages
    ends = []
    if limits.at_least is not None:
        ends.append(_reaches(limits.at_least, least, most))
    if limits.at_most is not None:
        ends.append(turned(_reaches(limits.at_most + 1, least, most)))
    verdict = every(ends)
    value = least if least == most else f"{least}-{most}"
    question = question_of("birth_date") if verdict is None else None
    return Seen("age", MET[verdict], value, person.source or None, person.as_of,
        question=question, **about)  # fmt: skip


def ages_on(day: date, birth_date: date | None, birth_year: int | None) -> tuple[int, int] | None:
    """The least and the greatest age on a day; None where nothing is known of it."""
    if birth_date is not None:
        early = (day.month, day.day) < (birth_date.month, birth_date.day)
        age = day.year - birth_date.year - early
        return age, age
    if birth_year is None:
        return None
    return day.year - birth_year - 1, day.year - birth_year + 1


def _reaches(bound: int, least: int, most: int) -> bool | None:
    """Whether an age between two reaches a bound."""
    return True if least >= bound else None if most >= bound else False
