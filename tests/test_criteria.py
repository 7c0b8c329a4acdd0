"""Criteria as data: what may be written, what is refused and where, and how one home is read."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from app.domain.criteria import (
    Eligibility,
    Home,
    Met,
    Person,
    Rule,
    Taking,
    faults,
    question_of,
    read,
)
from app.domain.criteria.compiled import born_by
from app.domain.criteria.expression import FactTest, walk
from app.domain.criteria.reading import ages_on
from app.domain.facts import FACTS, Known
from app.domain.program_criteria import shipped
from app.domain.programs import program_rows

pytestmark = pytest.mark.embedded

DAY = date(2026, 11, 24)
OLD = {"age": {"at_least": 60}}
POOR = {"decile": {"at_most": 4}}


def rule(*whens: Any) -> Rule:
    texts = {"text_id": "Uji", "text_en": "Test", "status": "assumed"}
    return Rule.model_validate({"criteria": [texts | {"when": when} for when in whens]})


def told(*whens: Any, of_person: bool = True) -> list[tuple[str, str]]:
    return [(one.pointer or "", one.code) for one in faults(rule(*whens), of_person)]


W = "/criteria/0/when"


@pytest.mark.parametrize(
    ("when", "pointer", "code"),
    [
        ({"fact": "shoe_size", "at_least": 40}, f"{W}/fact", "unknown_fact"),
        ({"all": [OLD, {"fact": "floor", "is": True}]}, f"{W}/all/1/is", "wrong_type"),
        ({"fact": "floor", "in": ["earth", "moss"]}, f"{W}/in/1", "not_an_option"),
        ({"fact": "bedrooms", "at_most": 1.5}, f"{W}/at_most", "wrong_type"),
        ({"fact": "pregnant", "at_least": 1}, f"{W}/at_least", "wrong_type"),
        ({"fact": "occupation", "in": ["becak"]}, f"{W}/in", "wrong_type"),
        ({"age": {"at_least": 60, "at_most": 5}}, W, "contradictory"),
        ({"all": [OLD, {"age": {"at_most": 5}}]}, W, "contradictory"),
        ({"any": [POOR, {"all": [OLD, {"none": [OLD]}]}]}, f"{W}/any/1", "contradictory"),
        ({"all": [POOR, {"fact": "floor", "in": []}]}, f"{W}/all/1", "contradictory"),
        (
            {"all": [{"fact": "land_ha", "at_least": 1}, {"fact": "land_ha", "at_most": 0.5}]},
            W,
            "contradictory",
        ),
        (
            {"all": [{"region": ["35.76.02"]}, {"none": [{"region": ["35.76"]}]}]},
            W,
            "contradictory",
        ),
        ({"all": [{"region": ["35.76"]}, {"region": ["35.78"]}]}, W, "contradictory"),
        (
            {"all": [{"recipient_of": ["PKH"]}, {"none": [{"recipient_of": ["PKH", "KKS"]}]}]},
            W,
            "contradictory",
        ),
        ({"someone": {"all": [OLD, {"age": {"at_most": 5}}]}}, f"{W}/someone", "contradictory"),
        ({"decile": {"at_least": 1, "at_most": 10}}, W, "takes_everyone"),
        ({"any": [OLD, {"none": [OLD]}]}, W, "takes_everyone"),
        ({"any": [OLD, {"age": {"at_most": 59}}]}, W, "takes_everyone"),
        ({"any": [{"national_id": True}, {"national_id": False}]}, W, "takes_everyone"),
        ({"fact": "monthly_income_idr", "at_least": 0}, W, "takes_everyone"),
        ({"someone": {"any": [POOR, OLD]}}, f"{W}/someone/any/0", "not_about_a_person"),
        ({"someone": {"any": [{"someone": OLD}, OLD]}}, f"{W}/someone/any/0", "someone_in_someone"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_where_it_stands(when: Any, pointer: str, code: str) -> None:
    assert told(when) == [(pointer, code)]


def test_facts_of_people_need_a_person() -> None:
    assert told({"all": [POOR, OLD]}, of_person=False) == [(f"{W}/all/1", "needs_someone")]
    assert told({"all": [POOR, {"someone": OLD}]}, of_person=False) == []


def test_criteria_that_contradict_each_other_are_refused_together() -> None:
    assert told(OLD, {"age": {"at_most": 59}}) == [("/criteria", "contradictory")]


def test_what_could_be_so_is_let_through() -> None:
    odd = [
        {"none": [{"fact": "land_ha", "at_least": 1}]},
        {"all": [
            {"none": [{"fact": "land_ha", "at_least": 1}]}, {"fact": "land_ha", "at_least": 0.5},
        ]},
        {"none": [{"age": {"at_least": 18, "at_most": 59}}]},
        {"all": [{"region": ["35"]}, {"none": [{"region": ["35.76.02", "35.78"]}]}]},
        {"none": [{"someone": {"fact": "occupation", "contains": ["guru", "tani"]}}]},
        {"none": [{"all": [OLD, POOR]}]},
    ]  # fmt: skip
    for when in odd:
        assert told(when) == [], when


def test_what_has_too_many_ways_to_be_so_is_not_looked_at_for_long() -> None:
    flags = iter([name for name, fact in FACTS.items() if fact.kind is bool])
    pairs = [
        {"any": [{"fact": a, "is": True}, {"fact": b, "is": False}]}
        for a, b in zip(flags, flags, strict=False)
    ]
    home_flags = [one for one in pairs if "has_" in str(one)]
    assert told({"all": [*home_flags[:10], {"decile": {"at_most": 3}}]}) == []
    wide = {"all": [{"decile": {"at_most": n % 9 + 1}} for n in range(50)]}
    assert told(wide, wide) == [("/criteria", "too_many")]


@pytest.mark.parametrize(
    ("when", "place", "said"),
    [
        ({"age": {}}, "age", "missing"),
        ({"fact": "floor"}, ":fact", "test_ambiguous"),
        ({"fact": "floor", "in": ["earth"], "is": True}, ":fact", "test_ambiguous"),
    ],
)
def test_a_test_says_one_thing(when: Any, place: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        rule(when)
    (error,) = refused.value.errors()
    assert (error["loc"][-1], str(error["ctx"]["error"])) == (place, said)


def test_an_expression_is_not_deeper_than_people_can_read() -> None:
    deep: Any = OLD
    for _ in range(5):
        deep = {"all": [deep]}
    assert rule(deep)
    with pytest.raises(ValidationError, match="too_deep"):
        rule({"all": [deep]})
    with pytest.raises(ValidationError, match="Unable to extract tag"):
        rule({"all": [OLD], "any": [OLD]})


def test_what_was_written_is_what_is_kept() -> None:
    when = {
        "all": [
            {"fact": "land_ha", "at_most": 2},
            {"fact": "land_ha", "at_least": 0.5},
            {"none": [{"recipient_of": ["PKH"]}]},
            {"someone": {"fact": "pregnant", "is": True}},
        ]
    }
    assert rule(when).plain()[0]["when"] == when


# ── the rules that ship ──────────────────────────────────────────────────────────────────────


def test_every_programme_ships_with_criteria_that_make_sense() -> None:
    of_person = {row["code"]: row["unit"] == "individual" for row in program_rows()}
    assert set(shipped()) == set(of_person)
    for code, criteria in shipped().items():
        found = Rule.model_validate({"criteria": criteria})
        assert faults(found, of_person[code]) == [], code
        assert found.plain() == criteria, code


def test_the_survey_asks_for_every_fact_that_the_shipped_rules_ask_for() -> None:
    for code, criteria in shipped().items():
        for one in Rule.model_validate({"criteria": criteria}).criteria:
            for _, node in walk(one.when):
                if isinstance(node, FactTest):
                    assert question_of(node.fact) is not None, (code, node.fact)


def test_criteria_are_official_where_a_source_says_them() -> None:
    evidence = {row["code"]: row["criteria_evidence"] for row in program_rows()}
    for code, criteria in shipped().items():
        if evidence[code].startswith("general knowledge") and code != "PKH":
            assert {one["status"] for one in criteria} == {"assumed"}, code
    # That poor means deciles 1 to 4 is our reading, wherever it stands.
    said = [one["status"] for one in shipped()["BANSOS_LANSIA_KOTA"]]
    assert said == ["official", "official", "assumed", "official"]


# ── reading one home ─────────────────────────────────────────────────────────────────────────

MOTHER = UUID(int=1)


def known(**facts: Any) -> Mapping[str, Known]:
    return {name: Known(name, value, "BDT", date(2015, 6, 1)) for name, value in facts.items()}


def home(*people: Person, **columns: Any) -> Home:
    found = {"id": UUID(int=9), "village_code": "35.76.02.1010", "registered": True} | columns
    return Home(people=people, **found)


def test_a_verdict_says_what_was_seen_who_said_it_and_when() -> None:
    mother = Person(MOTHER, "Siti", facts=known(pregnant=True))
    ranked = home(mother, decile=Known("decile", 3, "DTSEN", date(2026, 7, 1)))
    found = read(rule(POOR, {"someone": {"fact": "pregnant", "is": True}}), ranked, None, DAY)
    assert found.verdict is Eligibility.ELIGIBLE
    decile, pregnant = (one.seen[0] for one in found.criteria)
    assert (decile.of, decile.value, decile.source) == ("decile", 3, "DTSEN")
    assert (pregnant.value, pregnant.as_of, pregnant.member_id) == (True, date(2015, 6, 1), MOTHER)
    assert pregnant.question is None


def test_what_is_not_known_names_the_question_that_settles_it() -> None:
    found = read(rule({"fact": "floor", "in": ["earth"]}), home(), None, DAY)
    assert found.verdict is Eligibility.UNKNOWN
    (seen,) = found.criteria[0].seen
    assert seen.question is not None
    assert (seen.question.id, seen.question.text_id) == ("floor", "Jenis lantai terluas")
    person = Person(MOTHER, "Siti")
    (seen,) = read(rule(OLD), home(person), person, DAY).criteria[0].seen
    assert seen.question is not None
    assert seen.question.id == "members.birth_date"
    # Nobody but its centre can say the decile, and no survey asks for bedrooms.
    assert read(rule(POOR), home(), None, DAY).criteria[0].seen[0].question is None
    assert question_of("bedrooms") is None


def test_only_what_decided_is_shown() -> None:
    people = [Person(UUID(int=n), f"P{n}", birth_date=date(1990 - n * 30, 1, 1)) for n in range(3)]
    someone_old = rule({"someone": OLD})
    (met,) = read(someone_old, home(*people), None, DAY).criteria
    assert [seen.name for seen in met.seen] == ["P1", "P2"]
    (not_met,) = read(someone_old, home(people[0]), None, DAY).criteria
    assert (not_met.verdict, not_met.seen[0].value) == (Met.NOT_MET, 36)
    # A home where nobody lives has nobody who is old.
    assert read(someone_old, home(), None, DAY).verdict is Eligibility.NOT_ELIGIBLE


def test_a_no_outweighs_what_is_not_known_and_a_yes_does_where_one_is_enough() -> None:
    floor = {"fact": "floor", "in": ["earth"]}
    unranked = home(facts=known(has_car=True))
    car = {"fact": "has_car", "is": True}
    for when, verdict in (
        ({"all": [floor, {"none": [car]}]}, Eligibility.NOT_ELIGIBLE),
        ({"any": [floor, car]}, Eligibility.ELIGIBLE),
        ({"none": [floor, {"none": [car]}]}, Eligibility.UNKNOWN),
        ({"none": [floor, car]}, Eligibility.NOT_ELIGIBLE),
    ):
        assert read(rule(when), unranked, None, DAY).verdict is verdict, when


@pytest.mark.parametrize(
    ("born", "year", "limits", "met"),
    [
        (date(1966, 11, 24), None, {"at_least": 60}, Met.MET),
        (date(1966, 11, 25), None, {"at_least": 60}, Met.NOT_MET),
        (date(1966, 11, 25), None, {"at_least": 20, "at_most": 59}, Met.MET),
        # A year that came from an age may be one off.
        (None, 1966, {"at_least": 60}, Met.UNKNOWN),
        (None, 1965, {"at_least": 60}, Met.MET),
        (None, 1968, {"at_least": 60}, Met.NOT_MET),
        (None, 1966, {"at_least": 70, "at_most": 80}, Met.NOT_MET),
    ],
)
def test_an_age_is_as_sure_as_the_birth_date(
    born: date | None, year: int | None, limits: dict[str, int], met: Met
) -> None:
    person = Person(MOTHER, "Siti", birth_date=born, birth_year=year)
    (found,) = read(rule({"age": limits}), home(person), person, DAY).criteria
    assert found.verdict is met
    assert (found.seen[0].question is not None) is (met is Met.UNKNOWN)


def test_who_was_born_on_a_leap_day_is_older_on_the_first_of_march() -> None:
    leap = date(2004, 2, 29)
    assert ages_on(date(2026, 2, 28), leap, None) == (21, 21)
    assert ages_on(date(2026, 3, 1), leap, None) == (22, 22)
    assert born_by(22, date(2026, 3, 1)) == date(2004, 3, 1)
    assert born_by(2, date(2028, 2, 29)) == date(2026, 2, 28)


def test_texts_are_searched_for_words_in_any_case() -> None:
    person = Person(MOTHER, "Slamet", facts=known(occupation="Tukang BECAK"))
    contains = rule({"fact": "occupation", "contains": ["tani", "becak"]})
    assert read(contains, home(person), person, DAY).verdict is Eligibility.ELIGIBLE


def test_taking_part_is_the_whole_homes_or_one_persons() -> None:
    taking = (Taking("PKH", None, "BDT", None), Taking("PIP", MOTHER, "BDT", date(2026, 1, 1)))
    one = home(taking=taking)
    assert one.takes("PKH")
    assert one.takes("PKH", UUID(int=5))
    assert one.takes("PIP", MOTHER)
    assert not one.takes("PIP", UUID(int=5))
    gets = read(rule({"recipient_of": ["PIP", "KKS"]}), one, None, DAY).criteria[0].seen[0]
    assert (gets.value, gets.as_of) == (["PIP"], date(2026, 1, 1))
    nothing = read(rule({"none": [{"recipient_of": ["KKS"]}]}), one, None, DAY)
    assert nothing.verdict is Eligibility.ELIGIBLE


def test_regions_are_compared_by_whole_segments() -> None:
    for code, verdict in (
        ("35.76", Eligibility.ELIGIBLE),
        ("35.76.02.1010", Eligibility.ELIGIBLE),
        ("35.76.01", Eligibility.NOT_ELIGIBLE),
    ):
        assert read(rule({"region": [code]}), home(), None, DAY).verdict is verdict
    only_here = read(rule({"registered": False}), home(), None, DAY)
    assert only_here.verdict is Eligibility.NOT_ELIGIBLE
