"""The study's story: 27 dead whom the centre did not know, ten families who could not get in."""

from typing import Any

from tests.conftest import World
from tests.flows import WATES, check_registry, etag, facilitator_id, file, key, save_survey
from tests.flows import done as complaint_done
from tests.test_registry_changes import MANAGER, SUPERVISOR, approved, done, proposed

FRONT = "front.1"
LETTER = [{"kind": "kelurahan_letter", "reference": "474.3/27/2026"}]
DEAD, NEW = 27, 10


def people_of_magersari(world: World) -> list[dict[str, Any]]:
    """Everybody whom the registry has in the district."""
    params = {"region": "35.76.02", "limit": 200}
    homes = world.as_(FRONT).get("/households", params=params).json()["items"]
    return [member for home in homes for member in home["members"]]


def sent_to_the_centre(world: World) -> list[dict[str, Any]]:
    """A batch of all that is approved, uploaded and confirmed; its rows."""
    made = world.as_(FRONT).post("/dispatches", json={"change_ids": None}, headers=key())
    assert made.status_code == 201, made.text
    path = f"/dispatches/{made.json()['id']}"
    headers = {"If-Match": etag(world, FRONT, path)} | key()
    uploaded = world.as_(FRONT).post(
        f"{path}/actions", json={"action": "mark_uploaded"}, headers=headers
    )
    assert uploaded.status_code == 200, uploaded.text
    rows = [{"change_id": row["change_id"], "status": "confirmed"} for row in made.json()["rows"]]
    said = world.as_(FRONT).post(f"{path}/acknowledgements", json={"rows": rows}, headers=key())
    assert said.status_code == 200, said.text
    assert said.json()["state"] == "acknowledged"
    found: list[dict[str, Any]] = said.json()["rows"]
    return found


def unknown_to_the_centre(world: World) -> list[dict[str, Any]]:
    params = {"kind": "report_death", "unconfirmed": True, "limit": 200}
    found: list[dict[str, Any]] = (
        world.as_(MANAGER).get("/registry-changes", params=params).json()["items"]
    )
    return found


def test_27_dead_are_found_decided_and_told_to_the_centre(fresh_world: World) -> None:
    world = fresh_world
    dead = people_of_magersari(world)[:DEAD]
    assert len(dead) == DEAD
    reports = [
        proposed(
            world, FRONT, kind="report_death", member_id=one["id"],
            fields={"died_on": "2025-03-14"}, evidence=LETTER,
        )
        for one in dead
    ]  # fmt: skip
    for report in reports:
        approved(world, report["id"])
    assert len(unknown_to_the_centre(world)) == DEAD
    rows = sent_to_the_centre(world)
    assert [row["kind"] for row in rows] == ["report_death"] * DEAD
    assert unknown_to_the_centre(world) == []
    states = {
        world.as_(FRONT).get(f"/registry-changes/{one['id']}").json()["state"] for one in reports
    }
    assert states == {"confirmed"}
    ids = [one["id"] for one in dead]
    (row,) = world.fetch(
        "select count(*) from members where presence = 'dead' and id = any($1::uuid[])", ids
    )
    assert row["count"] == DEAD


def a_family(number: int) -> dict[str, Any]:
    """A family that no registry has: one of them without a national id."""
    card = f"35760201012690{number:02d}"
    return {
        "kind": "add_household",
        "household": {
            "region_code": WATES,
            "address": f"Gang Melati {number}",
            "rt": "002",
            "rw": "004",
            "family_card_number": card,
            "facts": {"floor": "earth", "has_motorcycle": False},
            "people": [
                {"name": f"Sutinah {number}", "relation": "head", "sex": "female",
                 "national_id": f"35760241018590{number:02d}", "birth_date": "1985-01-01"},
                {"name": f"Bayu {number}", "relation": "child", "sex": "male"},
            ],
        },
    }  # fmt: skip


def test_ten_families_who_could_not_get_in_are_surveyed_added_and_sent(fresh_world: World) -> None:
    world = fresh_world
    who = "facilitator.wates.1"
    complaints = []
    for number in range(1, NEW + 1):
        complaint = file(world, reporter={"name": f"Sutinah {number}", "relation": "self"})
        id = complaint["id"]
        check_registry(world, id)
        complaint_done(world, "puskesos.wates", id, "forward_to_secretariat")
        chosen = {"facilitator_id": facilitator_id(world, who)}
        complaint_done(world, FRONT, id, "assign", data=chosen)
        saved = save_survey(
            world, id, who, '"0"', program_needs=[], no_needs=True,
            registry_changes=[a_family(number)],
        )  # fmt: skip
        assert saved.status_code == 200, saved.text
        complaint_done(world, who, id, "submit_survey")
        complaint_done(world, SUPERVISOR, id, "approve")
        forwarded = complaint_done(world, MANAGER, id, "forward")
        assert forwarded["state"] == "forwarded"
        assert forwarded["household_id"]
        complaints.append(id)
    rows = sent_to_the_centre(world)
    assert [row["kind"] for row in rows] == ["add_household"] * NEW
    for id in complaints:
        found = world.as_(FRONT).get(f"/complaints/{id}").json()
        assert (found["state"], found["outcome"]) == ("answered", "granted")
        assert found["at_centre_at"]
    body = {"national_id": "3576024101859003"}
    checked = world.as_(FRONT).post("/registry/checks", json=body, headers=key()).json()
    assert checked["outcome"] == "registered"


def test_a_change_that_the_centre_declines_is_corrected_and_sent_again(fresh_world: World) -> None:
    world = fresh_world
    home = people_of_magersari(world)[0]
    change = proposed(
        world, FRONT, kind="update_member", member_id=home["id"], fields={"name": "Sri Wahyu"}
    )
    approved(world, change["id"])
    made = world.as_(FRONT).post("/dispatches", json={"change_ids": None}, headers=key()).json()
    rows = [{"change_id": change["id"], "status": "declined", "reason": "nama tidak padan"}]
    path = f"/dispatches/{made['id']}"
    said = world.as_(FRONT).post(f"{path}/acknowledgements", json={"rows": rows}, headers=key())
    assert said.status_code == 200, said.text
    done(world, FRONT, change["id"], "resubmit", data={"fields": {"name": "Sri Wahyuni"}})
    approved(world, change["id"])
    assert [row["change_id"] for row in sent_to_the_centre(world)] == [change["id"]]
