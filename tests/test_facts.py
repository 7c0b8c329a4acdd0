"""Facts of the registry: each has a type and bounds, a source and a day."""

from datetime import date

import pytest

from app.domain.facts import (
    FACTS,
    HOUSEHOLD_FACTS,
    MEMBER_FACTS,
    Known,
    Level,
    at,
    is_number,
    known,
)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("floor", "earth", None),
        ("floor", "gold", "not_an_option"),
        ("floor", 1, "not_an_option"),
        ("works", True, None),
        ("works", 1, "wrong_type"),
        ("occupation", "Petani", None),
        ("occupation", 5, "wrong_type"),
        ("occupation", "x" * 121, "too_long"),
        ("work_hours", 168, None),
        ("work_hours", 169, "too_large"),
        ("work_hours", -1, "too_small"),
        ("work_hours", True, "wrong_type"),
        ("work_hours", 1.5, "wrong_type"),
        ("land_ha", 1.5, None),
        ("land_ha", 2, None),
        ("land_ha", "2", "wrong_type"),
    ],
)
def test_a_value_fits_its_fact_or_is_told_why_not(
    name: str, value: object, problem: str | None
) -> None:
    assert FACTS[name].problem(value) == problem


def test_each_fact_is_of_a_household_or_of_a_person() -> None:
    assert at(Level.HOUSEHOLD) is HOUSEHOLD_FACTS
    assert at(Level.MEMBER) is MEMBER_FACTS
    assert len(HOUSEHOLD_FACTS) + len(MEMBER_FACTS) == len(FACTS)


def test_what_was_changed_alone_has_a_source_and_a_day_of_its_own() -> None:
    day, later = date(2026, 1, 1), date(2026, 11, 24)
    changed = {"works": {"source": "slrt", "as_of": "2026-11-24"}, "pregnant": {"source": "desk"}}
    facts = {"works": True, "pregnant": False, "age_years": 40}
    assert known(facts, changed, "bdt", day) == [
        Known("works", True, "slrt", later),
        Known("pregnant", False, "desk", None),
        Known("age_years", 40, "bdt", day),
    ]


def test_a_number_has_sixteen_digits() -> None:
    assert is_number("1" * 16)
    assert not is_number("1" * 15)
    assert not is_number(int("1" * 16))
