"""Who decides on a registry change, in what order, once, and what everybody sees of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import World
from tests.flows import WATES, etag, file, key, me
from tests.refusals import faults, refused
from tests.test_registry_changes import (
    DESK,
    MANAGER,
    NOBODY,
    SUPERVISOR,
    a_household,
    act,
    approved,
    done,
    propose,
    proposed,
)

OTHER = "supervisor.kranggan"
LETTER = [{"kind": "kelurahan_letter", "reference": "1"}]
DIED = {"died_on": "2026-01-02"}


def an_update(world: World, who: str = DESK, **fields: Any) -> dict[str, Any]:
    home = a_household(world)
    fields = fields or {"rt": "007", "rw": "003"}
    return proposed(world, who, kind="update_household", household_id=home["id"], fields=fields) | {
        "home": home
    }


def an_update_of_the_facilitator(world: World) -> dict[str, Any]:
    """About a home that a complaint of theirs is linked to."""
    who, home = "facilitator.wates.1", a_household(world)
    linked = file(world, who)["id"]
    world.fetch("update complaints set household_id = $1 where id = $2", home["id"], linked)
    body = {"kind": "update_household", "household_id": home["id"], "fields": {"rt": "7"}}
    return proposed(world, who, **body)


def test_it_is_returned_corrected_and_rejected_by_others(fresh_world: World) -> None:
    world = fresh_world
    id = an_update(world)["id"]
    refused(act(world, DESK, id, "approve"), 403, "role_not_allowed")
    refused(act(world, SUPERVISOR, id, "return"), 422, "note_required")
    assert done(world, SUPERVISOR, id, "return", note="RT?")["state"] == "returned"
    again = done(
        world, "front.1", id, "resubmit", data={"fields": {"rt": "008"}, "evidence": LETTER}
    )
    assert again["state"] == "proposed"
    # What is left out stays.
    assert {one["name"]: one["after"] for one in again["fields"]} == {"rt": "008", "rw": "003"}
    assert again["evidence"][0]["kind"] == "kelurahan_letter"
    assert done(world, SUPERVISOR, id, "return", note="lagi")["state"] == "returned"
    assert done(world, DESK, id, "resubmit")["state"] == "proposed"
    assert done(world, SUPERVISOR, id, "reject", note="no")["state"] == "rejected"
    steps = world.as_("front.1").get(f"/registry-changes/{id}/events").json()["items"]
    assert [one["action"] for one in steps][:3] == ["drafted", "propose", "return"]
    told = world.as_(DESK).get("/notifications").json()["items"]
    assert f"registry-changes/{id}" in [one["subject"] for one in told]


@pytest.mark.parametrize("kind", ["add_household", "add_member", "report_move"])
def test_every_kind_can_be_corrected_and_proposed_again(fresh_world: World, kind: str) -> None:
    world = fresh_world
    home = a_household(world)
    person = {"name": "Budi", "relation": "head"}
    body: dict[str, Any] = {
        "add_household": {"household": {"region_code": WATES, "people": [person]}},
        "add_member": {"household_id": home["id"], "person": person | {"relation": "child"}},
        "report_move": {"household_id": home["id"], "fields": {"region_code": WATES}},
    }[kind]
    id = proposed(world, kind=kind, **body)["id"]
    where = {"add_household": SUPERVISOR}.get(kind, SUPERVISOR)
    done(world, where, id, "return", note="periksa")
    assert done(world, DESK, id, "resubmit")["state"] == "proposed"


def test_no_number_is_written_where_it_is_shown_to_all(fresh_world: World) -> None:
    world, number = fresh_world, "NIK 3576 0245 0784 9002"
    change = an_update(world)
    body = {"kind": "remove", "household_id": change["household_id"], "note": number}
    answers = [propose(world, **body)]
    no = {"refuse_fields": [{"field": "rt", "reason": number}]}
    for action, said in (
        ("return", {"note": number}),
        ("return", {"note": "RT?", "reason": number}),
        ("approve", {"data": no}),
    ):
        answers.append(act(world, SUPERVISOR, change["id"], action, **said))
    assert [faults(one) for one in answers] == [
        {place: "number_in_text"}
        for place in ("/note", "/note", "/reason", "/data/refuse_fields/0/reason")
    ]


def test_a_field_may_be_refused_but_not_all(fresh_world: World) -> None:
    world = fresh_world
    change = an_update(world)
    id, no = change["id"], [{"field": name, "reason": "no"} for name in ("rt", "rw", "floor")]
    answer = act(world, SUPERVISOR, id, "approve", data={"refuse_fields": no[2:]})
    refused(answer, 422, "unknown_item")
    answer = act(world, SUPERVISOR, id, "approve", data={"refuse_fields": no[:2]})
    refused(answer, 422, "nothing_left")
    half = done(world, SUPERVISOR, id, "approve", data={"refuse_fields": no[:1]})
    assert {one["name"]: one["refused"] for one in half["fields"]} == {"rt": "no", "rw": None}
    answer = act(world, MANAGER, id, "approve", data={"refuse_fields": no[1:2]})
    refused(answer, 422, "unknown_item")
    done(world, MANAGER, id, "approve")
    after = world.as_("front.1").get(f"/households/{change['home']['id']}").json()
    assert (after["rt"], after["rw"]) == (change["home"]["rt"], "003")


def test_four_eyes_hold_at_every_step(fresh_world: World) -> None:
    world = fresh_world
    world.fetch(
        "insert into grants (id, principal_id, role, region_codes, program_codes)"
        " select gen_random_uuid(), id, 'puskesos_officer', '{35.76}', '{}' from principals"
        " where username = any($1)",
        [SUPERVISOR, MANAGER],
    )
    own = an_update(world, SUPERVISOR)["id"]
    refused(act(world, SUPERVISOR, own, "approve"), 403, "four_eyes")
    managers = an_update(world, MANAGER)["id"]
    done(world, SUPERVISOR, managers, "approve")
    refused(act(world, MANAGER, managers, "approve"), 403, "four_eyes")
    head = act(world, "head", managers, "approve")
    assert head.status_code in (200, 409)


def test_its_proposer_withdraws_it_and_nobody_after_approval(fresh_world: World) -> None:
    world = fresh_world
    change = an_update(world)
    assert done(world, DESK, change["id"], "withdraw")["state"] == "withdrawn"
    approved_one = an_update(world)["id"]
    done(world, SUPERVISOR, approved_one, "approve")
    refused(act(world, DESK, approved_one, "withdraw"), 409, "action_not_allowed")
    done(world, MANAGER, approved_one, "return", note="periksa")
    params = {"state": "withdrawn", "household_id": change["home"]["id"], "region": "35.76"}
    found = world.as_("front.1").get("/registry-changes", params=params).json()["items"]
    assert [one["id"] for one in found] == [change["id"]]
    first = world.as_("front.1").get("/registry-changes", params={"limit": 1})
    assert first.json()["next_cursor"]
    rest = world.as_("front.1").get(first.headers["link"].split(">")[0][4:])
    assert rest.json()["items"][0]["id"] == change["id"]


def test_who_sees_what(fresh_world: World) -> None:
    world = fresh_world
    change = an_update(world)
    path = f"/registry-changes/{change['id']}"
    for who in (DESK, "front.1", SUPERVISOR, OTHER, MANAGER, "head", "dpo"):
        assert world.as_(who).get(path).status_code == 200, who
    for who in ("puskesos.meri", "program.1", "facilitator.meri.1", "agency-pkh", "admin"):
        refused(world.as_(who).get(path), 404, "not_found")
    approved(world, change["id"])
    assert world.as_("program.1").get(path).status_code == 200
    params = {"unconfirmed": True}
    assert world.as_("program.1").get("/registry-changes", params=params).json()["items"]
    left = world.as_("front.1").get("/registry-changes", params={"unconfirmed": False})
    assert left.json()["items"] == []
    own = an_update_of_the_facilitator(world)
    mine = world.as_("facilitator.wates.1").get("/registry-changes").json()["items"]
    assert [one["id"] for one in mine] == [own["id"]]


def test_what_the_proposer_may_not_read_does_not_exist_for_them(fresh_world: World) -> None:
    world = fresh_world
    home = a_household(world, WATES)
    member, into = (one["id"] for one in home["members"][:2])
    bodies: list[dict[str, Any]] = [
        {"kind": "update_household", "household_id": home["id"], "fields": {"rt": "1"}},
        {"kind": "update_member", "member_id": member, "fields": {"pregnant": False}},
        {"kind": "merge_duplicate", "member_id": member, "into_id": into},
        # Not even what is missing, or that somebody has died, is told.
        {"kind": "report_death", "member_id": member, "fields": {"died_on": "2026-01-02"}},
    ]
    for who in ("puskesos.kranggan", "facilitator.wates.1"):
        for body in bodies:
            refused(propose(world, who, **body), 404, "not_found")
    assert world.fetch("select id from registry_changes") == []
    # Nor whether there is such a one at all: also for those who read the rest of it.
    of_nobody = [
        (DESK, {"kind": "update_household", "household_id": NOBODY, "fields": {"rt": "1"}}),
        (DESK, bodies[1] | {"member_id": NOBODY}),
        (DESK, bodies[1] | {"member_id": home["id"]}),
        (DESK, bodies[2] | {"into_id": NOBODY}),
        (SUPERVISOR, {"kind": "revoke_death", "member_id": NOBODY}),
    ]
    world.fetch("update grants set region_codes = '{99.99}' where role = 'supervisor'")
    of_nobody.append((SUPERVISOR, {"kind": "revoke_death", "member_id": member}))
    for who, body in of_nobody:
        refused(propose(world, who, **body), 404, "not_found")
    # Who reads here and revokes elsewhere is told so.
    world.fetch(
        "insert into grants (id, principal_id, role, region_codes, program_codes)"
        " select gen_random_uuid(), id, 'supervisor', '{99.99}', '{}'"
        " from principals where username = $1",
        DESK,
    )
    refused(propose(world, DESK, kind="revoke_death", member_id=member), 403, "role_not_allowed")
    # Through a complaint that they hold it is part of the complaint.
    theirs = file(world, "puskesos.kranggan", region_code="35.76.03.1001")
    drafted = proposed(world, "puskesos.kranggan", **bodies[0], complaint_id=theirs["id"])
    assert drafted["state"] == "draft"


def test_who_may_not_propose(fresh_world: World) -> None:
    world = fresh_world
    home = a_household(world)
    body = {"kind": "update_household", "household_id": home["id"], "fields": {"rt": "1"}}
    refused(propose(world, "agency-pkh", **body), 403, "role_not_allowed")
    refused(propose(world, SUPERVISOR, **body), 403, "role_not_allowed")
    world.fetch("update grants set region_codes = '{99.99}' where role = 'puskesos_officer'")
    person = {"name": "Sri", "relation": "head"}
    new = {"kind": "add_household", "household": {"region_code": WATES, "people": [person]}}
    refused(propose(world, DESK, **new), 422, "unknown_reference")
    refused(propose(world, "front.1", complaint_id=NOBODY, **body), 422, "unknown_complaint")


def test_with_a_complaint_it_is_a_draft_of_desk_or_facilitator(fresh_world: World) -> None:
    world = fresh_world
    home = a_household(world)
    complaint = file(world)
    body = {
        "kind": "update_household", "household_id": home["id"], "fields": {"rt": "1"},
        "complaint_id": complaint["id"],
    }  # fmt: skip
    change = proposed(world, DESK, **body)
    assert change["state"] == "draft"
    assert change["actions"] == ["withdraw"]
    refused(act(world, DESK, change["id"], "propose"), 409, "decided_with_complaint")
    world.fetch("update complaints set state = 'awaiting_supervisor'")
    refused(propose(world, DESK, **body), 409, "too_late_to_draft")
    world.fetch("update complaints set state = 'forwarded', forwarded_at = now()")
    assert done(world, DESK, change["id"], "propose")["state"] == "proposed"
    filed = file(world, "facilitator.wates.1")
    other = body | {"complaint_id": filed["id"]}
    refused(propose(world, "facilitator.wates.1", **other), 403, "role_not_allowed")


def test_the_same_again_is_answered_again(fresh_world: World) -> None:
    world = fresh_world
    home = a_household(world)
    body = {"kind": "update_household", "household_id": home["id"], "fields": {"rt": "5"}}
    same = key()
    first = world.as_(DESK).post("/registry-changes", json=body, headers=same)
    second = world.as_(DESK).post("/registry-changes", json=body, headers=same)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    path = f"/registry-changes/{first.json()['id']}"
    headers = {"If-Match": etag(world, SUPERVISOR, path)} | key()
    answers = [
        world.as_(SUPERVISOR).post(f"{path}/actions", json={"action": "approve"}, headers=headers)
        for _ in range(2)
    ]
    assert [one.json()["state"] for one in answers] == ["supervisor_approved"] * 2
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_versions_and_unknown_actions(fresh_world: World) -> None:
    world = fresh_world
    id = an_update(world)["id"]
    refused(act(world, SUPERVISOR, id, "approve", if_match='"9"'), 412, "stale_version")
    for action in ("dispatch", "acknowledge", "recall"):
        refused(act(world, "front.1", id, action), 422, "unknown_action")
    refused(act(world, DESK, id, "resubmit"), 409, "action_not_allowed")


def test_of_two_decisions_at_once_one_is_made(fresh_world: World) -> None:
    world = fresh_world
    id = an_update(world)["id"]
    path = f"/registry-changes/{id}"
    version = etag(world, SUPERVISOR, path)
    client = world.as_(SUPERVISOR)

    def decide(action: str) -> int:
        body = {"action": action, "note": "x"}
        headers = {"If-Match": version} | key()
        return client.post(f"{path}/actions", json=body, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(decide, ["approve", "reject", "return"] * 2))
    assert codes[0] == 200
    assert set(codes[1:]) <= {409, 412}


def test_a_death_is_reported_once(fresh_world: World) -> None:
    world = fresh_world
    member = a_household(world)["members"][0]["id"]
    body = {"kind": "report_death", "member_id": member, "fields": DIED, "evidence": LETTER}

    world.as_(DESK)

    def report(_: int) -> int:
        return propose(world, DESK, **body).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(report, range(4)))
    assert codes.count(201) == 1
    refused(propose(world, DESK, **body), 409, "reported_already")


def test_nobody_dead_is_nothing_to_revoke(fresh_world: World) -> None:
    world = fresh_world
    member = a_household(world)["members"][0]["id"]
    body = {"kind": "revoke_death", "member_id": member}
    refused(propose(world, OTHER, **body), 409, "not_reported_dead")
    world.fetch("update members set presence = 'dead' where id = $1", member)
    refused(propose(world, OTHER, **body), 409, "not_reported_dead")
    refused(propose(world, DESK, **body), 403, "role_not_allowed")


def test_ended_and_merged_rows_take_no_changes(fresh_world: World) -> None:
    world = fresh_world
    one, other = a_household(world), a_household(world)
    body = {"kind": "update_household", "fields": {"rt": "1"}}
    world.fetch("update households set ended_at = now() where id = $1", one["id"])
    refused(propose(world, DESK, household_id=one["id"], **body), 409, "no_longer_registered")
    world.fetch("update households set merged_into = $1 where id = $2", one["id"], other["id"])
    refused(propose(world, DESK, household_id=other["id"], **body), 409, "merged_already")


def test_what_nobody_decides_climbs_the_ladder(fresh_world: World) -> None:
    world = fresh_world
    id = an_update(world)["id"]
    subject = f"registry-changes/{id}"

    def steps(who: str) -> list[str]:
        items = world.as_(who).get("/notifications").json()["items"]
        return [one["step"] for one in items if one["subject"] == subject]

    def waits(who: str) -> list[str]:
        items = world.as_(who).get("/inbox", params={"limit": 200}).json()["items"]
        return [one["why"] for one in items if one["id"] == id]

    assert waits(SUPERVISOR) == ["pool"]
    assert waits(MANAGER) == []
    for hours in (6.5, 2, 4.5):
        world.advance(hours=hours)
        world.sweep("unconfirmed")
    assert sorted(steps(SUPERVISOR)) == ["level_1", "reminder"]
    assert steps(OTHER) == ["level_1"]
    assert steps(MANAGER) == ["level_2"]
    assert waits(OTHER) == waits(MANAGER) == ["escalated"]
    assert world.sweep("unconfirmed")["acted"] == 0
    assert done(world, OTHER, id, "approve")["state"] == "supervisor_approved"
    assert waits(MANAGER) == ["pool"]
    assert done(world, MANAGER, id, "return", note="periksa")["state"] == "returned"
    assert waits(DESK) == ["assigned"]
    world.fetch("update principals set active = false where username like 'puskesos.%'")
    world.fetch("update principals set active = false where username ~ '^(front|back)'")
    world.advance(hours=5)
    world.sweep("unconfirmed")
    assert "reminder" in steps(MANAGER)


def test_the_facilitator_who_proposed_corrects(fresh_world: World) -> None:
    world = fresh_world
    id = an_update_of_the_facilitator(world)["id"]
    assert me(world, "facilitator.wates.1")
    done(world, SUPERVISOR, id, "return", note="RT?")
    items = world.as_("facilitator.wates.1").get("/inbox").json()["items"]
    assert [one["why"] for one in items if one["id"] == id] == ["assigned"]
    assert done(world, "facilitator.wates.1", id, "resubmit")["state"] == "proposed"
