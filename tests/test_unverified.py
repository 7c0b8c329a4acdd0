"""Who needs a visit: never verified, too long ago, with a signal, or not found."""

from typing import Any

import pytest

from tests.conftest import World
from tests.flows import KAUMAN, WATES
from tests.refusals import refused

PATH = "/registry/unverified"
ALL_VERIFIED = "update households set verified_at = slrt_now(), presence = null, ended_at = null"
NOBODY_MARKED = "update members set presence = null, hold_change_id = null"


@pytest.fixture(autouse=True)
def _everybody_is_verified(world: World) -> None:
    """Every household was verified just now; a test takes that from some of them."""
    world.fetch(ALL_VERIFIED)
    world.fetch(NOBODY_MARKED)
    world.fetch("delete from registry_changes")


def household(world: World, village: str = WATES, number: int = 0) -> str:
    rows = world.fetch(
        "select id from households where starts_with(village_code, $1) order by id", village
    )
    return str(rows[number]["id"])


def person(world: World) -> dict[str, str]:
    """Somebody of Wates, with their household."""
    row = world.fetch(
        "select id, household_id from members where village_code = $1 order by id limit 1", WATES
    )[0]
    return {"member_id": str(row["id"]), "household_id": str(row["household_id"])}


def listed(world: World, who: str = "front.1", **query: Any) -> dict[str, list[str]]:
    """The reasons by household, in the order of the list."""
    answer = world.as_(who).get(PATH, params={"limit": 200} | query)
    assert answer.status_code == 200, answer.text
    return {one["household_id"]: one["reasons"] for one in answer.json()["items"]}


def change(world: World, kind: str, state: str, **columns: str) -> None:
    """A registry change as a row: what somebody proposed about a household or a person."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", '{value}'" for value in columns.values())
    world.fetch(
        f"""
        insert into registry_changes (id, version, kind, state, origin, content, refused_fields,
            proposed_by, authors, created_at, stage, stage_entered_at, escalation_level,
            steps_taken, province_code, regency_code, district_code, village_code{names})
        select gen_random_uuid(), 1, $1, $2, 'desk', '', '[]', gen_random_uuid(), '{{}}',
            slrt_now(), 1, slrt_now(), 0, 0, '35', '35.76', '35.76.02', $3{values}
        """,
        kind, state, WATES,
    )  # fmt: skip


def test_a_household_that_was_never_verified_needs_a_visit(world: World) -> None:
    id = household(world)
    world.fetch("update households set verified_at = null where id = $1", id)
    assert listed(world) == {id: ["never_verified"]}
    assert listed(world, reason="never_verified") == {id: ["never_verified"]}
    assert listed(world, reason="stale") == listed(world, reason="signal") == {}


def test_a_household_verified_too_long_ago_needs_a_visit_and_the_caller_says_how_long(
    world: World,
) -> None:
    id = household(world)
    back = "update households set verified_at = slrt_now() - interval '100 days' where id = $1"
    world.fetch(back, id)
    assert listed(world) == {}
    assert listed(world, age_days=99) == {id: ["stale"]}
    assert listed(world, age_days=99, reason="stale") == {id: ["stale"]}
    assert listed(world, age_days=101) == {}
    for days in (0, 40_000):
        answer = world.as_("front.1").get(PATH, params={"age_days": days})
        refused(answer, 400, "parameter_invalid")


def test_a_household_or_a_member_that_was_not_found_needs_a_visit(world: World) -> None:
    first, second = household(world), household(world, number=1)
    world.fetch("update households set presence = 'not_found' where id = $1", first)
    world.fetch("update members set presence = 'not_found' where household_id = $1", second)
    assert listed(world) == {first: ["not_found"], second: ["not_found"]}
    assert set(listed(world, reason="not_found")) == {first, second}
    assert listed(world, reason="signal") == {}


def test_somebody_on_hold_is_a_signal_until_they_are_known_to_be_dead(world: World) -> None:
    one = person(world)
    held = "update members set hold_change_id = gen_random_uuid(), presence = {} where id = $1"
    world.fetch(held.format("null"), one["member_id"])
    assert listed(world) == {one["household_id"]: ["signal"]}
    world.fetch(held.format("'dead'"), one["member_id"])
    assert listed(world) == {}


@pytest.mark.parametrize("kind", ["report_death", "merge_duplicate", "report_move"])
def test_an_undecided_change_about_a_household_or_a_person_is_a_signal(
    world: World, kind: str
) -> None:
    one = person(world)
    change(world, kind, "proposed", member_id=one["member_id"])
    assert listed(world, reason="signal") == {one["household_id"]: ["signal"]}
    other = household(world, KAUMAN)
    change(world, kind, "draft", household_id=other)
    assert set(listed(world)) == {one["household_id"], other}


def test_what_is_decided_or_says_something_else_is_no_signal(world: World) -> None:
    id = household(world)
    change(world, "report_move", "confirmed", household_id=id)
    change(world, "report_move", "rejected", household_id=id)
    change(world, "update_household", "proposed", household_id=id)
    one = person(world)
    world.fetch("update members set presence = 'dead' where id = $1", one["member_id"])
    change(world, "report_death", "proposed", member_id=one["member_id"])
    assert listed(world) == {}


def test_a_row_has_every_reason_that_holds(world: World) -> None:
    id = household(world)
    world.fetch(
        "update households set verified_at = null, presence = 'not_found' where id = $1", id
    )
    change(world, "report_move", "proposed", household_id=id)
    assert listed(world) == {id: ["never_verified", "signal", "not_found"]}
    row = world.as_("front.1").get(PATH).json()["items"][0]
    assert row["region_code"] == WATES
    assert row["presence"] == "not_found"
    assert row["verified_at"] is None
    assert row["visit_open"] is False


def test_a_household_that_has_left_the_registry_needs_no_visit(world: World) -> None:
    id = household(world)
    world.fetch(
        "update households set verified_at = null, presence = 'not_found', ended_at = slrt_now()"
        " where id = $1",
        id,
    )
    assert listed(world) == {}


def test_pages_go_from_the_never_verified_over_the_longest_unseen_to_the_marked(
    world: World,
) -> None:
    ids = [household(world, "35.76", n) for n in range(6)]
    world.fetch("update households set verified_at = null where id = any($1)", ids[:2])
    for n, id in enumerate(ids[2:4]):
        world.fetch(
            "update households set verified_at = slrt_now() - make_interval(days => $2)"
            " where id = $1",
            id, 400 - n,
        )  # fmt: skip
    world.fetch("update households set presence = 'not_found' where id = any($1)", ids[4:])
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = world.as_("front.1").get(PATH, params=query).json()
        seen += [one["household_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids
    for cursor in ("nonsense", seen[0]):
        refused(world.as_("front.1").get(PATH, params={"cursor": cursor}), 400, "cursor_invalid")
    world.fetch("update households set verified_at = null where id = any($1)", ids[4:])
    query = {"limit": 1, "reason": "not_found"}
    first = world.as_("front.1").get(PATH, params=query).json()
    second = world.as_("front.1").get(PATH, params=query | {"cursor": first["next_cursor"]}).json()
    assert [one["items"][0]["household_id"] for one in (first, second)] == ids[4:]


def test_everybody_sees_their_own_region_and_no_other(world: World) -> None:
    here, there = household(world), household(world, KAUMAN)
    world.fetch("update households set verified_at = null where id = any($1)", [here, there])
    change(world, "report_move", "proposed", household_id=here)
    assert set(listed(world, "manager")) == {here, there}
    assert set(listed(world, "supervisor.magersari")) == {here}
    assert set(listed(world, "puskesos.wates")) == {here}
    assert set(listed(world, "manager", region="35.76.01")) == {there}
    assert listed(world, "puskesos.wates", region=KAUMAN) == {}
    for who in ("facilitator.wates.1", "program.1", "dpo", "admin"):
        refused(world.as_(who).get(PATH), 403, "role_not_allowed")
