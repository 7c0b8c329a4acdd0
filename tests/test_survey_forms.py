"""The form of the home visit: what it asks, what it refuses, and what it never repeats."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.survey_forms import CURRENT, FORMS, PROBLEM_CODES, AnswerProblem, v1

pytestmark = pytest.mark.embedded

Answers = dict[str, Any]

FORM = FORMS[CURRENT]
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=timezone(timedelta(hours=7)))
SCHEMA = FORM.json_schema()
VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
REMOVED = object()

# Nothing is written to disk, and a slow machine is no failure.
calm = settings(database=None, deadline=None, max_examples=150)


def complete() -> Answers:
    answers: Answers = FORM.example(NOON)["answers"]
    return answers


def put(answers: Any, pointer: str, value: Any) -> Any:
    """A copy of the answers with one of them changed, or taken out."""
    changed = copy.deepcopy(answers)
    *path, last = [int(part) if part.isdigit() else part for part in pointer.split("/")[1:]]
    place = changed
    for part in path:
        place = place[part]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return changed


def with_answer(pointer: str, value: Any) -> Answers:
    changed: Answers = put(complete(), pointer, value)
    return changed


def told(problems: list[AnswerProblem]) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in problems]


def member(**changes: Any) -> Answers:
    return {**complete()["members"][2], **changes}


# ── the versions, and the example ────────────────────────────────────────────────────────────


def test_the_current_form_is_valid_from_the_start_of_2026() -> None:
    assert CURRENT == "2026-1"
    assert set(FORMS) == {"2026-1"}
    assert FORM.version == "2026-1"
    assert FORM.valid_from == date(2026, 1, 1)


def test_the_forms_cannot_be_changed_while_running() -> None:
    with pytest.raises(TypeError):
        FORMS["2026-2"] = FORM  # type: ignore[index]
    with pytest.raises(AttributeError):
        FORM.version = "2026-2"  # type: ignore[misc]


def test_the_example_has_no_problem_and_fits_the_schema() -> None:
    assert FORM.problems(complete()) == []
    assert FORM.draft_problems(complete()) == []
    VALIDATOR.validate(complete())


def test_the_example_answers_every_question() -> None:
    assert set(complete()) == set(SCHEMA["properties"])
    for person in complete()["members"]:
        assert set(person) == set(SCHEMA["properties"]["members"]["items"]["properties"])


def test_the_example_is_a_whole_body_with_the_moment_of_the_visit_in_utc() -> None:
    body = FORM.example(NOON)

    assert json.loads(json.dumps(body)) == body
    assert body["form_version"] == CURRENT
    assert body["visited_at"] == "2026-11-24T05:00:00Z"
    assert body["location"] == {"latitude": -7.4846, "longitude": 112.4459}
    assert body["program_needs"] == [
        {"program_code": "PKH", "purpose": "enrol", "beneficiary": {"name": "Siti Aminah"}}
    ]
    assert [need["sector"] for need in body["other_needs"]] == ["education"]
    assert body["no_needs"] is False
    assert body["registry_changes"] == []
    assert set(body) == {
        "form_version",
        "visited_at",
        "location",
        "answers",
        "program_needs",
        "other_needs",
        "no_needs",
        "registry_changes",
    }


def test_the_visit_of_the_example_is_never_later_than_it_was() -> None:
    almost = datetime(2026, 11, 24, 5, 0, 0, 999_999, tzinfo=UTC)
    assert FORM.example(almost)["visited_at"] == "2026-11-24T05:00:00Z"


def test_a_visit_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FORM.example(datetime(2026, 11, 24))  # noqa: DTZ001


def test_a_changed_example_leaves_the_next_one_as_it_was() -> None:
    first = FORM.example(NOON)
    first["answers"]["members"].clear()
    first["program_needs"].clear()
    assert FORM.example(NOON)["answers"] == complete() != first["answers"]
    assert FORM.example(NOON)["program_needs"]


# ── the schema ───────────────────────────────────────────────────────────────────────────────


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    for key in ("if", "then", "items", "contains"):
        if key in schema:
            yield from subschemas(schema[key])
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from subschemas(inner)


def test_the_schema_is_draft_2020_12_and_stands_alone() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Home visit survey 2026-1"
    assert "$ref" not in json.dumps(SCHEMA)
    assert "$defs" not in json.dumps(SCHEMA)


def test_the_schema_is_the_same_each_time_and_belongs_to_the_caller() -> None:
    mine = FORM.json_schema()
    mine["properties"].clear()
    assert json.dumps(FORM.json_schema()) == json.dumps(SCHEMA)


def test_every_question_has_a_title_and_words_in_both_languages() -> None:
    for schema in subschemas(SCHEMA):
        for name, question in schema.get("properties", {}).items():
            assert set(question["x-labels"]) == {"id", "en"}, name
            assert all(question["x-labels"].values()), name
            assert question["title"] == question["x-labels"]["en"], name


def test_every_option_has_words_in_both_languages() -> None:
    lists = [schema for schema in subschemas(SCHEMA) if "enum" in schema]
    assert len(lists) >= 22
    for schema in lists:
        assert set(schema["x-enum-labels"]) == set(schema["enum"])
        for labels in schema["x-enum-labels"].values():
            assert set(labels) == {"id", "en"}
            assert all(labels.values())


def test_every_text_list_and_number_is_bounded() -> None:
    for schema in subschemas(SCHEMA):
        match schema.get("type"):
            case "string":
                assert "enum" in schema or schema["maxLength"] <= 2000
            case "array":
                assert schema["maxItems"] <= 40
            case "integer" | "number":
                assert schema["minimum"] < schema["maximum"]
            case "object" if schema.keys().isdisjoint({"minContains", "contains"}):
                assert schema.get("additionalProperties") is False or "required" in schema
            case kind:
                assert kind in (None, "boolean", "null", "object")


def test_names_and_options_are_snake_case_words() -> None:
    for schema in subschemas(SCHEMA):
        for word in (*schema.get("properties", ()), *schema.get("enum", ())):
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", word)


def test_the_questions_stand_in_the_order_of_the_visit() -> None:
    assert list(SCHEMA["properties"]) == [
        "family_card_number",
        "address",
        "rt",
        "rw",
        "head_name",
        "members",
        "building_status",
        "land_status",
        "floor_area_m2",
        "floor",
        "wall",
        "wall_condition",
        "roof",
        "roof_condition",
        "drinking_water",
        "water_access",
        "lighting",
        "electricity_power",
        "cooking_fuel",
        "toilet_use",
        "toilet_type",
        "sewage",
        "has_fixed_shelter",
        "lives_with_another_family",
        "head_still_working",
        "worried_about_food_last_year",
        "food_over_70_percent_of_spending",
        "bought_clothing_last_year",
        "floor_mostly_earth_or_plaster",
        "walls_mostly_bamboo_wire_or_wood",
        "has_own_toilet",
        "power_450_or_none",
        "has_motorcycle",
        "has_refrigerator",
        "has_other_house",
        "land_ha",
        "respondent_name",
        "notes",
    ]


@pytest.mark.parametrize(
    ("options", "first", "how_many"),
    [
        (v1.BuildingStatus, 1, 5),
        (v1.LandStatus, 1, 4),
        (v1.Floor, 1, 10),
        (v1.Wall, 1, 7),
        (v1.Condition, 1, 2),
        (v1.Roof, 1, 10),
        (v1.DrinkingWater, 1, 12),
        (v1.WaterAccess, 1, 3),
        (v1.Lighting, 1, 3),
        (v1.ElectricityPower, 1, 6),
        (v1.CookingFuel, 1, 9),
        (v1.ToiletUse, 1, 4),
        (v1.ToiletType, 1, 4),
        (v1.Sewage, 1, 6),
        (v1.Disability, 0, 13),
        (v1.ChronicIllness, 0, 10),
        (v1.Presence, 1, 6),
        (v1.MaritalStatus, 1, 4),
        (v1.Relation, 1, 8),
        (v1.SchoolParticipation, 1, 3),
    ],
)
def test_options_follow_the_codes_of_the_instrument(
    options: type[v1.Option], first: int, how_many: int
) -> None:
    codes = [option.instrument_code for option in options]
    assert codes == [str(code) for code in range(first, first + how_many)]


def test_severity_runs_against_the_codes_of_the_instrument() -> None:
    assert {o.value: o.instrument_code for o in v1.DisabilitySeverity} == {
        "none": "4",
        "mild": "3",
        "moderate": "2",
        "severe": "1",
    }


def test_the_schema_tells_the_codes_only_where_the_instrument_has_them() -> None:
    person = SCHEMA["properties"]["members"]["items"]["properties"]
    assert SCHEMA["properties"]["floor"]["x-enum-codes"]["marble_granite"] == "1"
    assert person["disability"]["x-enum-codes"]["none"] == "0"
    assert "x-enum-codes" not in person["sex"]


def test_the_law_on_health_data_is_told_where_such_data_is_asked() -> None:
    sensitive = (v1.Answers, v1.Member, v1.Disability, v1.DisabilitySeverity, v1.ChronicIllness)
    for model in sensitive:
        assert "specific personal data by law" in " ".join((model.__doc__ or "").lower().split())


# ── what is refused, field by field ──────────────────────────────────────────────────────────

REFUSALS: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("/floor", REMOVED, "missing", {}),
    ("/floor", None, "missing", {}),
    ("/floor", "marble", "not_an_option", {"options": "'marble_granite', 'ceramic',"}),
    ("/floor", 1, "wrong_type", {}),
    ("/floor", ["earth"], "wrong_type", {}),
    ("/electricity_power", "w500", "not_an_option", {"options": "'w450', 'w900', 'w1300'"}),
    ("/address", "", "missing", {}),
    ("/address", "x" * 301, "too_long", {"max": 300}),
    ("/address", " \u3000 ", "invalid_format", {"pattern": "^["}),
    ("/address", "a\x00b", "invalid_format", {"pattern": "^["}),
    ("/address", "\x00", "invalid_format", {"pattern": "^["}),
    ("/address", "a\x9f", "invalid_format", {"pattern": "^["}),
    ("/address", "a\nb", "invalid_format", {"pattern": "^["}),
    ("/address", 7, "wrong_type", {}),
    ("/address", "\ud800", "invalid", {}),
    ("/head_name", "x" * 121, "too_long", {"max": 120}),
    ("/respondent_name", "x" * 121, "too_long", {"max": 120}),
    ("/respondent_name", {}, "wrong_type", {}),
    ("/notes", "x" * 2001, "too_long", {"max": 2000}),
    ("/notes", "bell \x07", "invalid_format", {"pattern": "^["}),
    ("/family_card_number", "357602150312900", "invalid_format", {"pattern": "^[0-9]{16}$"}),
    ("/family_card_number", "35760215031290041", "too_long", {"max": 16}),
    ("/family_card_number", "357602150312900x", "invalid_format", {"pattern": "^[0-9]{16}$"}),
    ("/family_card_number", "٣" * 16, "invalid_format", {"pattern": "^[0-9]{16}$"}),
    ("/family_card_number", 3576021503129004, "wrong_type", {}),
    ("/rt", "3a", "invalid_format", {"pattern": "^[0-9]{1,3}$"}),
    ("/rt", "", "invalid_format", {"pattern": "^[0-9]{1,3}$"}),
    ("/rw", "0005", "too_long", {"max": 3}),
    ("/floor_area_m2", 0, "too_small", {"min": 0.1}),
    ("/floor_area_m2", 10_000.1, "too_large", {"max": 10_000}),
    ("/floor_area_m2", float("inf"), "too_large", {}),
    ("/floor_area_m2", "36", "wrong_type", {}),
    ("/floor_area_m2", True, "wrong_type", {}),
    ("/floor_area_m2", 10**400, "wrong_type", {}),
    ("/land_ha", -0.1, "too_small", {"min": 0}),
    ("/land_ha", 1001, "too_large", {"max": 1000}),
    ("/has_own_toilet", REMOVED, "missing", {}),
    ("/has_own_toilet", "yes", "wrong_type", {}),
    ("/has_own_toilet", 1, "wrong_type", {}),
    ("/has_toilet", True, "unknown_field", {}),
    ("/members", REMOVED, "missing", {}),
    ("/members", [], "missing", {}),
    ("/members", {}, "wrong_type", {}),
    ("/members/2", None, "wrong_type", {}),
    ("/members/2", "Dewi", "wrong_type", {}),
    ("/members/2/name", "", "missing", {}),
    ("/members/2/name", "x" * 121, "too_long", {"max": 120}),
    ("/members/2/national_id", "1", "invalid_format", {"pattern": "^[0-9]{16}$"}),
    ("/members/2/birth_date", "1899-12-31", "too_small", {"min": "1900-01-01"}),
    ("/members/2/birth_date", "2100-01-01", "too_large", {"max": "2099-12-31"}),
    ("/members/2/birth_date", "2016-02-30", "invalid_format", {"format": "date"}),
    ("/members/2/birth_date", "03-02-2016", "invalid_format", {"format": "date"}),
    ("/members/2/birth_date", "20160203", "invalid_format", {"format": "date"}),
    ("/members/2/birth_date", "2016-02-03T00:00:00", "invalid_format", {"format": "date"}),
    ("/members/2/birth_date", 1454457600, "wrong_type", {}),
    ("/members/2/age_years", -1, "too_small", {"min": 0}),
    ("/members/2/age_years", 131, "too_large", {"max": 130}),
    ("/members/2/age_years", 10**4000, "too_large", {"max": 130}),
    ("/members/2/age_years", 10.5, "wrong_type", {}),
    ("/members/2/age_years", "10", "wrong_type", {}),
    ("/members/2/sex", "girl", "not_an_option", {"options": "'female' or 'male'"}),
    ("/members/2/relation", REMOVED, "missing", {}),
    ("/members/2/occupation", "x" * 121, "too_long", {"max": 120}),
    ("/members/2/occupation", "a\tb", "invalid_format", {"pattern": "^["}),
    ("/members/2/monthly_income_idr", -1, "too_small", {"min": 0}),
    ("/members/2/monthly_income_idr", 1_000_000_001, "too_large", {"max": 1_000_000_000}),
    ("/members/2/disability", "yes", "not_an_option", {"options": "'none', 'physical'"}),
    ("/members/2/works", None, "missing", {}),
    ("/members/2/nickname", "Wiwi", "unknown_field", {}),
]


@pytest.mark.parametrize(("pointer", "value", "code", "params"), REFUSALS)
def test_a_wrong_answer_is_one_problem_with_its_place_and_its_limit(
    pointer: str, value: Any, code: str, params: dict[str, Any]
) -> None:
    [problem] = FORM.problems(with_answer(pointer, value))

    assert (problem.pointer, problem.code) == (pointer, code)
    assert set(problem.params) == set(params)
    assert json.loads(json.dumps(problem.params)) == problem.params
    for name, limit in params.items():
        found = problem.params[name]
        assert found == limit or str(found).startswith(str(limit))


@pytest.mark.parametrize(("pointer", "value", "code", "params"), REFUSALS)
def test_a_draft_has_the_same_problems_but_for_what_is_missing(
    pointer: str, value: Any, code: str, params: dict[str, Any]
) -> None:
    answers = with_answer(pointer, value)
    expected = [] if code == "missing" else FORM.problems(answers)
    assert FORM.draft_problems(answers) == expected


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/notes", "Baris satu.\r\n\tBaris dua: ñ 漢字 🙂"),
        ("/notes", ""),
        ("/notes", "x" * 2000),
        ("/notes", REMOVED),
        ("/address", "x" * 300),
        ("/head_name", "🙂" * 120),
        ("/family_card_number", None),
        ("/family_card_number", REMOVED),
        ("/rt", "1"),
        ("/rw", None),
        ("/floor_area_m2", 0.1),
        ("/floor_area_m2", 10_000),
        ("/land_ha", 0),
        ("/land_ha", 1000.0),
        ("/members/2/birth_date", "1900-01-01"),
        ("/members/2/birth_date", "2099-12-31"),
        ("/members/2/birth_date", "2016-02-29"),
        ("/members/2/age_years", 0),
        ("/members/2/age_years", 130.0),
        ("/members/2/national_id", "9999999999999999"),
        ("/members/2/national_id", REMOVED),
        ("/members/2/occupation", ""),
        ("/members/2/monthly_income_idr", 1_000_000_000),
        ("/members/2/presence", "not_found"),
    ],
)
def test_an_answer_at_its_limit_is_taken(pointer: str, value: Any) -> None:
    assert FORM.problems(with_answer(pointer, value)) == []
    VALIDATOR.validate(with_answer(pointer, value))


def test_a_household_has_at_most_forty_members() -> None:
    forty = complete()["members"] + [member()] * 37
    assert FORM.problems(with_answer("/members", forty)) == []

    problems = FORM.problems(with_answer("/members", [*forty, member(birth_date=None)]))
    assert problems == [AnswerProblem("/members", "too_many", {"max": 40})]


def test_all_problems_are_told_at_once() -> None:
    answers = complete() | {"floor": "lava", "lighting": "pln_electricity", "wings": 2}
    answers["members"][1]["sex"] = "f"
    answers["members"][2] |= {"birth_date": None, "name": REMOVED}
    del answers["members"][2]["name"], answers["electricity_power"], answers["head_name"]

    assert sorted(told(FORM.problems(answers))) == [
        ("/electricity_power", "missing"),
        ("/floor", "not_an_option"),
        ("/head_name", "missing"),
        ("/members/1/sex", "not_an_option"),
        ("/members/2/birth_date", "missing"),
        ("/members/2/name", "missing"),
        ("/wings", "unknown_field"),
    ]
    assert sorted(told(FORM.draft_problems(answers))) == [
        ("/floor", "not_an_option"),
        ("/members/1/sex", "not_an_option"),
        ("/wings", "unknown_field"),
    ]


def test_an_empty_draft_is_a_draft_but_no_survey() -> None:
    assert FORM.draft_problems({}) == []
    assert {pointer[1:] for pointer, code in told(FORM.problems({}))} == set(SCHEMA["required"])


@pytest.mark.parametrize("garbage", [None, True, 7, 1.5, "text", [], [complete()]])
def test_answers_that_are_no_object_are_one_problem_at_the_root(garbage: Any) -> None:
    assert FORM.problems(garbage) == [AnswerProblem("", "wrong_type")]
    assert FORM.draft_problems(garbage) == [AnswerProblem("", "wrong_type")]


def test_very_deep_answers_are_refused_like_others() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    problems = FORM.problems(complete() | {"floor": deep, "members": deep, "notes": deep})
    assert told(problems) == [
        ("/members/0", "wrong_type"),
        ("/floor", "wrong_type"),
        ("/notes", "wrong_type"),
    ]
    while deep:  # taken apart by hand: the interpreter's own way is recursive
        [deep] = deep


# ── what is refused across fields ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("unanswered", [None, REMOVED])
def test_the_installed_power_is_needed_with_electricity_from_pln(unanswered: Any) -> None:
    answers = with_answer("/electricity_power", unanswered)

    assert told(FORM.problems(answers)) == [("/electricity_power", "missing")]
    assert FORM.draft_problems(answers) == []
    assert not VALIDATOR.is_valid(answers)


@pytest.mark.parametrize("lighting", ["other_electricity", "no_electricity"])
def test_the_installed_power_is_not_needed_without_electricity_from_pln(lighting: str) -> None:
    answers = put(with_answer("/electricity_power", None), "/lighting", lighting)
    assert FORM.problems(answers) == []
    VALIDATOR.validate(answers)


@pytest.mark.parametrize(
    ("birth_date", "age_years", "problems"),
    [
        ("2016-02-03", None, []),
        ("2016-02-03", 10, []),
        (None, 10, []),
        (None, None, [("/members/2/birth_date", "missing")]),
        (REMOVED, REMOVED, [("/members/2/birth_date", "missing")]),
        ("soon", None, [("/members/2/birth_date", "invalid_format")]),
        (None, "ten", [("/members/2/age_years", "wrong_type")]),
    ],
)
def test_a_member_has_a_day_of_birth_or_an_age(
    birth_date: Any, age_years: Any, problems: list[tuple[str, str]]
) -> None:
    answers = put(
        with_answer("/members/2/birth_date", birth_date), "/members/2/age_years", age_years
    )
    assert told(FORM.problems(answers)) == problems
    assert VALIDATOR.is_valid(answers) is not bool(problems)


NO_HEAD = [("/members", "no_head")]
TWO_HEADS = [("/members", "more_than_one_head")]


@pytest.mark.parametrize(
    ("people", "problems"),
    [
        ([("head", "lives_here")], []),
        ([("head", "new_member")], []),
        ([("head", "lives_here"), ("head", "dead")], []),
        ([("head", "moved_abroad"), ("head", "new_member")], []),
        ([("head", "not_found")], NO_HEAD),
        ([("head", "dead"), ("spouse", "lives_here")], NO_HEAD),
        ([("spouse", "lives_here"), ("child", "lives_here")], NO_HEAD),
        ([("head", "lives_here"), ("head", "lives_here")], TWO_HEADS),
        ([("head", "lives_here"), ("head", "new_member"), ("head", "lives_here")], TWO_HEADS),
    ],
)
def test_of_those_who_live_here_exactly_one_is_the_head(
    people: list[tuple[str, str]], problems: list[tuple[str, str]]
) -> None:
    members = [member(relation=relation, presence=presence) for relation, presence in people]
    answers = with_answer("/members", members)

    assert told(FORM.problems(answers)) == problems
    assert VALIDATOR.is_valid(answers) is not bool(problems)


def test_a_draft_may_wait_for_its_head_but_not_have_two() -> None:
    waiting = with_answer("/members", [member()])
    doubled = with_answer("/members", [member(relation="head")] * 2)
    assert FORM.draft_problems(waiting) == []
    assert told(FORM.draft_problems(doubled)) == TWO_HEADS


@pytest.mark.parametrize(
    ("pointer", "value", "code"),
    [
        ("/members/0/relation", "boss", "not_an_option"),
        ("/members/0/relation", ["head"], "wrong_type"),
        ("/members/0/presence", {"lives": "here"}, "wrong_type"),
        ("/members/0/presence", None, "missing"),
        ("/members/0", 0, "wrong_type"),
    ],
)
def test_while_a_member_is_in_doubt_a_lack_of_heads_is_not_claimed(
    pointer: str, value: Any, code: str
) -> None:
    assert told(FORM.problems(with_answer(pointer, value))) == [(pointer, code)]


def test_two_heads_are_told_also_beside_other_problems() -> None:
    members = [member(relation="head"), member(relation="head", name=7), None, member(sex=[])]
    assert told(FORM.problems(with_answer("/members", members))) == [
        ("/members/1/name", "wrong_type"),
        ("/members/2", "wrong_type"),
        ("/members/3/sex", "wrong_type"),
        ("/members", "more_than_one_head"),
    ]


# ── nothing typed is repeated ────────────────────────────────────────────────────────────────

SECRET = "3576025204889002"


@pytest.mark.parametrize(
    "make",
    [
        lambda: dict.fromkeys(complete(), SECRET),
        lambda: dict.fromkeys(complete(), SECRET * 1000),
        lambda: {key: int(SECRET) for key in complete()},
        lambda: {key: [SECRET, {SECRET: SECRET}] for key in complete()},
        lambda: {"members": [dict.fromkeys(member(), f"{SECRET}x")]},
        lambda: {"members": [{SECRET: SECRET}]},
        lambda: {SECRET: 1, f"Siti {SECRET}": 2, f"/{SECRET}~": 3, "": 4},
        lambda: {"\ud800" + SECRET: 1},
    ],
)
def test_no_problem_repeats_what_was_typed(make: Callable[[], Answers]) -> None:
    problems = FORM.problems(make())
    assert problems
    assert SECRET not in repr(problems)


def test_an_unknown_name_that_may_be_a_persons_is_one_problem_of_the_whole() -> None:
    answers = complete() | {"Siti Aminah": 1, "siti/~": 2, "x" * 65: 3, "floors": 4}
    answers["members"][1]["Ibu Siti"] = 5
    assert sorted(told(FORM.problems(answers))) == [
        ("", "unknown_field"),
        ("/floors", "unknown_field"),
        ("/members/1", "unknown_field"),
    ]


# ── whatever is sent ─────────────────────────────────────────────────────────────────────────

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 10**4000, 0, 1, 40, 130])
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["head", "lives_here", "pln_electricity", "none", "2016-02-30", "", "\ud800"])
)
names = st.sampled_from(sorted({*complete(), *member()})) | st.text(max_size=8)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=20,
)
places = st.sampled_from(
    [f"/{name}" for name in complete()]
    + [f"/members/{index}" for index in range(3)]
    + [f"/members/{index}/{name}" for index in range(3) for name in member()]
)


def is_sound(problem: AnswerProblem) -> bool:
    return (
        re.fullmatch(r"(/[a-z0-9_]+)*", problem.pointer) is not None
        and problem.code in PROBLEM_CODES
        and all(isinstance(limit, get_args(str | int | float)) for limit in problem.params.values())
    )


@calm
@given(json_values)
def test_no_json_value_makes_it_raise(value: Any) -> None:
    problems = FORM.problems(value)
    assert problems
    assert all(is_sound(problem) for problem in problems)
    assert [p for p in problems if p.code not in {"missing", "no_head"}] == FORM.draft_problems(
        value
    )


@calm
@given(st.lists(st.tuples(places, json_values | st.just(REMOVED)), min_size=1, max_size=3))
def test_no_change_of_a_good_survey_makes_it_raise(changes: list[tuple[str, Any]]) -> None:
    answers = complete()
    for pointer, value in changes:
        try:
            answers = put(answers, pointer, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    assert all(is_sound(problem) for problem in FORM.problems(answers))
    assert json.dumps(told(FORM.draft_problems(answers)))


options = st.sampled_from(
    sorted({value for schema in subschemas(SCHEMA) for value in schema.get("enum", ())})
)
near = options | st.none() | st.booleans() | st.integers(-1, 131) | st.text(max_size=5)


@settings(calm, max_examples=500)
@given(places.filter(lambda place: place.count("/") != 2), near | st.just(REMOVED))
def test_the_schema_refuses_what_the_form_refuses_and_nothing_else(place: str, value: Any) -> None:
    answers = with_answer(place, value)
    assert VALIDATOR.is_valid(answers) is (FORM.problems(answers) == [])
