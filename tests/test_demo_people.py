"""The demonstration's people are plausible, nobody's, and the same each time."""

import csv
import re
import time
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from stdnum.id import nik

from app.demo.people import (
    TODAY,
    Family,
    Person,
    Story,
    families,
    full_name,
    national_id,
    phone,
    staff_name,
    story,
)

pytestmark = pytest.mark.embedded

CATALOGUE = Path(__file__).parents[1] / "app" / "domain" / "data" / "programs.csv"
VILLAGES = ("35.76.01.1003", "35.76.02.1008", "35.76.02.1010", "35.76.03.1002")
CATEGORIES = {
    "inclusion_request",
    "exclusion_objection",
    "program_not_received",
    "card_problem",
    "data_correction",
    "death_report",
    "service_quality",
    "illegal_fee",
    "other",
}
SECTORS = {
    "health",
    "education",
    "social_economic",
    "food",
    "energy",
    "agriculture",
    "fisheries",
    "housing",
    "civil_registration",
}


@pytest.fixture(scope="module")
def town() -> list[Family]:
    return families(7, 1500, VILLAGES)


@pytest.fixture(scope="module")
def people(town: list[Family]) -> list[Person]:
    return [person for family in town for person in family.members]


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    rng = Random(7)
    return [story(rng) for _ in range(6000)]


def years(person: Person) -> float:
    return (TODAY - person.birth_date).days / 365.25


def test_the_same_seed_gives_the_same_people() -> None:
    assert families(3, 60, VILLAGES) == families(3, 60, VILLAGES)
    assert families(3, 60, VILLAGES) != families(4, 60, VILLAGES)


def test_the_same_seed_gives_the_same_stories_names_and_phones() -> None:
    one, other = Random(3), Random(3)
    for _ in range(50):
        assert story(one) == story(other)
        assert full_name(one, "female") == full_name(other, "female")
        assert staff_name(one) == staff_name(other)
        assert phone(one) == phone(other)


def test_a_larger_town_begins_with_the_smaller_one() -> None:
    assert families(3, 60, VILLAGES)[:20] == families(3, 20, VILLAGES)


def test_families_are_spread_evenly_over_the_villages(town: list[Family]) -> None:
    assert Counter(f.village_code for f in town) == dict.fromkeys(VILLAGES, len(town) // 4)


def test_no_village_no_family() -> None:
    assert families(1, 0, []) == []
    with pytest.raises(ValueError, match="village"):
        families(1, 1, [])


@pytest.mark.parametrize("code", ["35.76", "35.76.0x.1010", ""])
def test_a_code_above_the_district_makes_no_number(code: str) -> None:
    with pytest.raises(ValueError, match="district"):
        national_id(Random(1), code, date(1990, 1, 1), "male")


def test_another_day_moves_every_birth() -> None:
    then = date(2019, 3, 1)
    born = [p.birth_date for f in families(5, 300, VILLAGES, today=then) for p in f.members]
    assert max(born) <= then
    assert then - max(born) < timedelta(days=365)


@pytest.mark.parametrize("code", ["35.76.02.1010", "35.76.02", "357602"])
def test_a_national_id_holds_district_birth_and_sex(code: str) -> None:
    born = date(2004, 2, 29)
    assert national_id(Random(1), code, born, "male").startswith("357602290204")
    assert national_id(Random(1), code, born, "female").startswith("357602690204")


def test_every_national_id_fits_its_person(town: list[Family]) -> None:
    for family in town:
        for person in family.members:
            if person.national_id is None:
                continue
            day = int(person.national_id[6:8]) - (40 if person.sex == "female" else 0)
            assert nik.is_valid(person.national_id)
            assert person.national_id[:6] == family.village_code.replace(".", "")[:6]
            assert day == person.birth_date.day
            assert person.national_id[8:12] == f"{person.birth_date:%m%y}"
            assert int(person.national_id[12:]) >= 1


def test_about_two_in_a_hundred_have_no_national_id(people: list[Person]) -> None:
    assert 0.01 < sum(p.national_id is None for p in people) / len(people) < 0.03


def test_no_number_is_given_twice(town: list[Family], people: list[Person]) -> None:
    numbers = [p.national_id for p in people if p.national_id]
    numbers += [f.family_card_number for f in town]
    numbers += [f.registry_id for f in town]
    assert len(set(numbers)) == len(numbers)


def test_family_cards_and_registry_ids_have_their_shape(town: list[Family]) -> None:
    for family in town:
        assert re.fullmatch(r"3576\d{12}", family.family_card_number)
        assert re.fullmatch(r"3576\d{14}", family.registry_id)
        assert re.fullmatch(r"0\d\d", family.rt)
        assert re.fullmatch(r"0\d\d", family.rw)
        assert 1 <= family.decile <= 10
        assert family.address.startswith("Jl. ")


def test_a_registry_id_begins_with_its_village(town: list[Family]) -> None:
    prefixes = {(f.village_code, f.registry_id[:10]) for f in town}
    assert len(prefixes) == len({prefix for _, prefix in prefixes}) == len(VILLAGES)


def test_families_have_one_head_first_and_one_to_eight_members(town: list[Family]) -> None:
    assert {len(f.members) for f in town} == set(range(1, 9))
    for family in town:
        assert [p.relation == "head" for p in family.members] == [True] + [False] * (
            len(family.members) - 1
        )


def test_every_relation_and_decile_occurs(town: list[Family], people: list[Person]) -> None:
    assert {p.relation for p in people} == {
        "head",
        "spouse",
        "child",
        "grandchild",
        "parent",
        "other",
    }
    assert {f.decile for f in town} == set(range(1, 11))


def test_ages_fit_between_the_generations(town: list[Family]) -> None:
    for family in town:
        head = family.members[0]
        couple = [years(p) for p in family.members if p.relation in ("head", "spouse")]
        assert min(couple) >= 20
        for person in family.members:
            assert 0 <= years(person) <= 96
            if person.relation == "child":
                assert 17.5 <= min(couple) - years(person) < 44
            if person.relation == "grandchild":
                assert min(couple) - years(person) > 35
            if person.relation == "parent":
                assert years(person) - years(head) > 16.5
            if person.relation == "spouse":
                assert person.sex != head.sex


def test_brothers_and_sisters_are_born_a_year_apart(town: list[Family]) -> None:
    for family in town:
        born = sorted(p.birth_date for p in family.members if p.relation == "child")
        assert all(b - a > timedelta(days=400) for a, b in pairwise(born))


def test_some_old_people_live_alone(town: list[Family]) -> None:
    alone = [f for f in town if len(f.members) == 1 and years(f.members[0]) >= 60]
    assert 0.04 < len(alone) / len(town) < 0.2


def test_no_two_in_a_family_have_the_same_name(town: list[Family]) -> None:
    for family in town:
        assert len({p.name for p in family.members}) == len(family.members)


def test_names_are_words_and_many(people: list[Person]) -> None:
    assert all(re.fullmatch(r"[A-Z][a-z]+\.?( [A-Z][a-z]+){0,4}", p.name) for p in people)
    assert len({p.name for p in people}) > len(people) / 3
    assert len({staff_name(Random(n)) for n in range(69)}) > 60
    assert all(" " in staff_name(Random(n)) for n in range(200))


def test_a_phone_is_e164_of_nobody() -> None:
    rng = Random(1)
    assert all(re.fullmatch(r"\+6284[5-9]\d{8}", phone(rng)) for _ in range(200))


def test_every_category_has_narratives(stories: list[Story]) -> None:
    heard: dict[str | None, set[str]] = {}
    for told in stories:
        heard.setdefault(told.category, set()).add(told.narrative)
    assert heard.keys() == CATEGORIES | {None}
    assert all(len(narratives) >= 3 for narratives in heard.values())


def test_only_a_complaint_has_a_category(stories: list[Story]) -> None:
    assert {s.kind for s in stories} == {"complaint", "question", "suggestion"}
    assert all((s.category is None) == (s.kind != "complaint") for s in stories)


def test_emergencies_are_few_and_complaints(stories: list[Story]) -> None:
    urgent = [s for s in stories if s.priority == "emergency"]
    assert {s.priority for s in stories} == {"normal", "emergency"}
    assert {s.kind for s in urgent} == {"complaint"}
    assert 0.02 < len(urgent) / len(stories) < 0.07


def test_sectors_and_programmes_are_known(stories: list[Story]) -> None:
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        active = {row["code"] for row in csv.DictReader(file) if row["active"] == "true"}
    assert {s.sector for s in stories} == SECTORS | {None}
    assert {s.program_code for s in stories} <= active | {None}


def test_stories_are_filled_in_and_hold_no_numbers(stories: list[Story]) -> None:
    for told in stories:
        for text in (told.narrative, told.answer):
            assert text[0].isupper()
            assert text.endswith((".", "?"))
            assert 40 < len(text) < 400
            assert not re.search(r"[{}\d]", text)


def test_five_hundred_families_take_less_than_a_second() -> None:
    begun = time.perf_counter()
    families(1, 500, VILLAGES)
    assert time.perf_counter() - begun < 1
