"""Registry changes: proposed, decided by two others, applied here, taken back."""

import secrets
from typing import Any

import httpx

from tests.conftest import World
from tests.flows import WATES, etag, key

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
