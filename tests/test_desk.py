"""What a desk meets from day to day: searches, corrections, checks and receipts."""

import pytest

from tests.conftest import World
from tests.flows import act, bring, check_registry, done, draft, file, get, key

DESK = "puskesos.wates"


def test_a_search_goes_on_page_by_page_and_finds_each_once(fresh_world: World) -> None:
    for _ in range(5):
        file(fresh_world, reporter={"name": "Siti  Aminah", "relation": "self"})
    query, seen = {"name": " Siti   Aminah "}, []
    params: dict[str, str] = {"limit": "2"}
    while params:
        page = fresh_world.as_(DESK).post("/complaints/search", json=query, params=params).json()
        seen += [item["id"] for item in page["items"]]
        following = page["next_cursor"]
        params = {"limit": "2", "cursor": following} if following else {}
    assert len(seen) == len(set(seen)) == 5
    other = fresh_world.as_(DESK).post(
        "/complaints/search", json={"name": "Siti Aminah"}, params={"limit": 2}
    ).json()["next_cursor"]  # fmt: skip
    answer = fresh_world.as_(DESK).post(
        "/complaints/search", json={"name": "Sumarmi"}, params={"cursor": other}
    )
    assert answer.json()["code"] == "cursor_invalid"


def test_a_correction_of_nothing_changes_nothing(world: World) -> None:
    complaint = file(world)
    answer = world.as_(DESK).patch(
        f"/complaints/{complaint['id']}", json={}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 200
    assert answer.json()["version"] == 1


def test_a_check_of_a_complaint_with_a_known_household_finds_it(world: World) -> None:
    household = world.as_("front.1").get("/households", params={"limit": 1}).json()["items"][0]
    complaint = file(world, reporter={"name": "Siti Aminah", "relation": "self"},
                     subject={"household_id": household["id"]})  # fmt: skip
    found = check_registry(world, complaint["id"])
    assert (found["outcome"], found["household_id"]) == ("registered", household["id"])


def test_a_decided_complaint_is_not_checked_again(world: World) -> None:
    id = file(world)["id"]
    done(world, DESK, id, "resolve_now", note="Sudah dijelaskan di loket.")
    answer = world.as_(DESK).post("/registry/checks", json={"complaint_id": id}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "no_longer_changeable")


@pytest.mark.parametrize(
    ("state", "role", "region"),
    [
        ("received", "puskesos_officer", "35.76.02.1010"),
        ("at_secretariat", "front_office", "35.76"),
        ("assigned", "facilitator", "35.76.02.1010"),
        ("awaiting_supervisor", "supervisor", "35.76.02"),
        ("awaiting_manager", "manager", "35.76"),
        ("forwarded", "agency", "35.76"),
        ("answered", "facilitator", "35.76.02.1010"),
        ("closed", None, None),
    ],
)
def test_a_receipt_names_who_has_it_now(
    world: World, state: str, role: str | None, region: str | None
) -> None:
    complaint = bring(world, state)
    receipt = world.as_(DESK).get(
        "/receipts", params={"client_ref": complaint["client_ref"]}
    ).json()  # fmt: skip
    expected = {"role": role, "region_code": region} if role else None
    assert receipt["next_holder"] == expected
    assert "pin" not in receipt


@pytest.mark.parametrize(
    ("priority", "reason"), [("emergency", "not_an_emergency"), ("normal", "hospital")]
)
def test_a_priority_and_its_reason_must_fit(world: World, priority: str, reason: str) -> None:
    id = file(world)["id"]
    answer = act(world, DESK, id, "set_priority", reason=reason, data={"priority": priority})
    assert (answer.status_code, answer.json()["code"]) == (422, "reason_not_allowed")
    assert get(world, DESK, id)["priority"] == "normal"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("received_at", 1764000000, "invalid_datetime"),
        ("received_at", "1764000000", "invalid_datetime"),
        ("narrative", "\u200b", "nothing_visible"),
        ("narrative", " \u200b ", "nothing_visible"),
    ],
)
def test_text_is_to_be_read_and_a_time_is_a_time(
    world: World, field: str, value: object, code: str
) -> None:
    answer = world.as_(DESK).post("/complaints", json=draft(**{field: value}), headers=key())
    assert answer.status_code == 422
    assert [one["code"] for one in answer.json()["errors"]] == [code]


def test_an_option_that_is_none_names_those_there_are(world: World) -> None:
    answer = world.as_(DESK).post(
        "/complaints", json=draft(kind="demand"), headers=key() | {"Accept-Language": "en"}
    )
    detail = answer.json()["errors"][0]["detail"]
    assert "complaint" in detail
    assert "demand" not in detail


def test_the_workflow_says_which_roles_a_party_has(world: World) -> None:
    parties = world.as_(DESK).get("/workflows/complaint").json()["parties"]
    roles = {one["name"]: one["roles"] for one in parties}
    assert roles["desk"] == ["puskesos_officer", "front_office", "back_office"]
