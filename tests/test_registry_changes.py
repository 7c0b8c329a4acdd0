"""Registry changes: proposed, decided by two others, applied here, taken back."""

import secrets
from typing import Any

import httpx

from tests.conftest import World
from tests.flows import WATES, etag, key
from tests.homes import home

SUPERVISOR, MANAGER, DESK = "supervisor.magersari", "manager", "puskesos.wates"


def a_household(world: World, region: str = WATES) -> dict[str, Any]:
    """A household with at least two members, that no other test has used."""
    items = world.as_("front.1").get("/households", params={"region": region, "limit": 200}).json()
    used = world.tokens.setdefault("used", "")
    for one in items["items"]:
        if len(one["members"]) > 1 and one["id"] not in used:
            world.tokens["used"] += one["id"]
            found: dict[str, Any] = one
            return found
    raise AssertionError("no household is left")


def propose(world: World, who: str = DESK, **body: Any) -> httpx.Response:
    return world.as_(who).post("/registry-changes", json=body, headers=key())


def proposed(world: World, who: str = DESK, **body: Any) -> dict[str, Any]:
    answer = propose(world, who, **body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def act(
    world: World, who: str, id: str, action: str, if_match: str | None = None, **body: Any
) -> httpx.Response:
    path = f"/registry-changes/{id}"
    if_match = if_match or etag(world, who, path)
    headers = {"If-Match": if_match} | key()
    return world.as_(who).post(f"{path}/actions", json={"action": action} | body, headers=headers)


def done(world: World, who: str, id: str, action: str, **body: Any) -> dict[str, Any]:
    answer = act(world, who, id, action, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def approved(world: World, id: str) -> dict[str, Any]:
    """Through both pairs of eyes."""
    done(world, SUPERVISOR, id, "approve")
    return done(world, MANAGER, id, "approve")


def test_an_update_goes_through_two_pairs_of_eyes_and_is_applied(world: World) -> None:
    home = a_household(world)
    fields = {"floor": "earth", "address": f"Jalan {secrets.token_hex(3)}"}
    change = proposed(world, kind="update_household", household_id=home["id"], fields=fields)
    assert change["state"] == "proposed"
    assert {one["name"]: one["before"] for one in change["fields"]}["address"] == home["address"]
    result = approved(world, change["id"])
    assert result["state"] == "manager_approved"
    assert result["unconfirmed"]
    after = world.as_("front.1").get(f"/households/{home['id']}").json()
    assert after["address"] == fields["address"]
    assert after["version"] == home["version"] + 1


NOBODY = "00000000-0000-7000-8000-000000000000"
PERSON = {"name": "Budi", "relation": "child"}
HEAD_PERSON = {"name": "Sri", "relation": "head"}
HOME = {"region_code": WATES, "people": [HEAD_PERSON]}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_somebody_who_is_added_twice_is_warned_of(world: World) -> None:
    id = str(home(world))
    same = PERSON | {"national_id": "3576021107120017"}
    first = proposed(world, kind="add_member", household_id=id, person=same)
    assert first["warnings"] == []
    new = HOME | {"people": [HEAD_PERSON, same, PERSON]}
    second = proposed(world, kind="add_household", household=new)
    none = proposed(world, kind="add_member", household_id=id, person=PERSON)
    assert (second["warnings"], none["warnings"]) == (["national_id_twice"], [])

    def warned(id: str) -> bool:
        return bool(world.as_("front.1").get(f"/registry-changes/{id}").json()["warnings"])

    assert warned(first["id"])
    done(world, SUPERVISOR, second["id"], "reject", note="Sudah diusulkan.")
    assert not warned(first["id"])
    assert not warned(second["id"])


def test_a_proposal_that_does_not_fit_is_told_why(world: World) -> None:
    home = a_household(world)
    one, other = (member["id"] for member in home["members"][:2])
    of_home: dict[str, Any] = {"household_id": home["id"]}
    for body, wanted in (
        ({"kind": "update_household"}, "target_mismatch"),
        ({"kind": "update_household", "member_id": one}, "target_mismatch"),
        ({"kind": "remove", "member_id": one} | of_home, "target_mismatch"),
        ({"kind": "update_household"} | of_home, "missing"),
        ({"kind": "update_household", "fields": {"rt": "1"}, "base_version": 999} | of_home,
            "too_large"),
        ({"kind": "remove", "fields": {"rt": "1"}, "note": "x"} | of_home, "unknown_field"),
        ({"kind": "remove"} | of_home, "note_required"),
        ({"kind": "add_member"} | of_home, "missing"),
        ({"kind": "add_household"}, "missing"),
        ({"kind": "add_household", "household": HOME | {"region_code": "35.76.02.9999"}},
            "unknown_region"),
        ({"kind": "add_household", "household": HOME | {"people": [PERSON]}}, "no_head"),
        ({"kind": "add_household", "household": HOME | {"people": [HEAD_PERSON] * 2}},
            "more_than_one_head"),
        ({"kind": "add_household", "household": HOME | {"facts": {"magic": 1}}}, "unknown_field"),
        ({"kind": "add_member", "person": PERSON | {"facts": {"works": 1}}} | of_home,
            "wrong_type"),
        ({"kind": "add_member", "person": PERSON | {"birth_date": "2999-01-01"}} | of_home,
            "implausible_date"),
        ({"kind": "merge_duplicate", "member_id": one}, "unknown_duplicate"),
        ({"kind": "merge_duplicate", "member_id": one, "into_id": one}, "unknown_duplicate"),
        ({"kind": "merge_duplicate", "into_id": one} | of_home, "unknown_duplicate"),
        ({"kind": "report_move", "fields": {"rt": "1"}, "member_id": one}, "missing"),
        ({"kind": "report_move", "fields": {"region_code": "35.76.02.9999"}, "member_id": one},
            "unknown_region"),
        ({"kind": "report_death", "fields": {"died_on": "2020-01-01"}, "member_id": other},
            "evidence_missing"),
        ({"kind": "report_death", "fields": {"died_on": "1800-01-01"}, "member_id": other},
            "implausible_date"),
        ({"kind": "update_member", "fields": {"name": None}, "member_id": one}, "missing"),
        ({"kind": "update_member", "fields": {"magic": 1}, "member_id": one}, "unknown_field"),
        ({"kind": "update_member", "fields": {"sex": "x"}, "member_id": one}, "invalid"),
        ({"kind": "update_member", "fields": {"presence": "moved"}, "member_id": one},
            "not_an_option"),
        ({"kind": "update_member", "fields": {"work_hours": 169, "magic": 1}, "member_id": one},
            "validation_failed"),
    ):  # fmt: skip
        assert code(propose(world, **body)) == (422, wanted), body
