"""Tablets: whose they are, what comes from them and how often, and what is missing."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import rfc8785

from app.workflow.devices.overdue import daytime_before
from tests.conftest import TLS, World
from tests.flows import (
    act,
    bring,
    done,
    draft,
    etag,
    events,
    get,
    hire,
    key,
    me,
    save_survey,
    survey_body,
    told_steps,
)
from tests.refusals import faults, refused

Json = dict[str, Any]
FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
SUPERVISOR = "supervisor.magersari"


def unmarked(complaint: Json) -> list[str]:
    """Its warnings, but for that other tests have filed for the same person."""
    return [one for one in complaint["warnings"] if one != "possible_duplicate"]


def register(world: World, facilitator: str = FIRST, who: str = "front.1") -> Json:
    body = {"name": "Tablet 07", "facilitator_id": me(world, facilitator)}
    answer = world.as_(who).post("/devices", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


def number(device: Json, sequence: int) -> dict[str, str]:
    return {"Device-Id": device["id"], "Device-Sequence": str(sequence)}


def send(
    world: World, device: Json, sequence: int, who: str = FIRST, headers: Any = None, **changes: Any
) -> httpx.Response:
    """A complaint filed from a tablet."""
    body = draft(channel="tablet", **changes)
    return world.as_(who).post(
        "/complaints", json=body, headers=key() | number(device, sequence) | (headers or {})
    )


def sha256(body: Json) -> str:
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def read(world: World, device: Json, who: str = "front.1") -> Json:
    answer = world.as_(who).get(f"/devices/{device['id']}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def order(world: World, device: Json, action: str, who: str = "front.1", **body: Any) -> Any:
    path = f"/devices/{device['id']}"
    headers = key() | {"If-Match": etag(world, who, path)}
    return world.as_(who).post(f"{path}/actions", json={"action": action} | body, headers=headers)


def replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


# ── whose a tablet is ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["front.1", "back.1", SUPERVISOR, "manager", "admin"])
def test_a_tablet_is_given_to_a_facilitator(world: World, who: str) -> None:
    body = {"name": "Tablet 07", "facilitator_id": me(world, FIRST)}
    headers = key()
    answer = world.as_(who).post("/devices", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    device = answer.json()
    assert answer.headers["location"] == f"/v1/devices/{device['id']}"
    assert (device["state"], device["region_code"]) == ("active", "35.76.02.1010")
    assert device["facilitator"]["id"] == me(world, FIRST)
    again = world.as_(who).post("/devices", json=body, headers=headers)
    assert again.json()["id"] == device["id"]
    assert replayed(again)
    mine = {one["id"] for one in world.as_(FIRST).get("/devices").json()["items"]}
    assert device["id"] in mine
    assert device["id"] not in {
        one["id"] for one in world.as_(SECOND).get("/devices").json()["items"]
    }


def test_others_keep_no_tablets_and_only_facilitators_get_one(world: World) -> None:
    body = {"name": "Tablet 07", "facilitator_id": me(world, FIRST)}
    refused(world.as_(FIRST).post("/devices", json=body, headers=key()), 403, "role_not_allowed")
    refused(world.as_("front.1").post("/devices", json=body), 400, "idempotency_key_missing")
    wrong = body | {"facilitator_id": me(world, "manager")}
    answer = world.as_("front.1").post("/devices", json=wrong, headers=key())
    refused(answer, 422, "unknown_facilitator")
    device = register(world)
    assert world.as_(SECOND).get(f"/devices/{device['id']}").status_code == 404
    refused(order(world, device, "block", FIRST, note="-"), 403, "role_not_allowed")


def test_a_facilitator_of_several_villages_works_where_they_have_in_common(world: World) -> None:
    hire(world, "two.villages", ("facilitator", "35.76.02.1010"))
    hire(world, "far.away", ("facilitator", "35.76.02.1010"))
    for who, codes in (
        ("two.villages", ["35.76.02.1010", "35.76.02.1009"]),
        ("far.away", ["35.73.01", "35.73.01.1001"]),
    ):
        world.fetch(
            "update grants set region_codes = $2 where principal_id = $1", me(world, who), codes
        )
    assert register(world, "two.villages")["region_code"] == "35.76.02"
    body = {"name": "Tablet 08", "facilitator_id": me(world, "far.away")}
    refused(
        world.as_("front.1").post("/devices", json=body, headers=key()), 422, "unknown_facilitator"
    )
    far = world.as_("admin").post("/devices", json=body, headers=key()).json()
    assert world.as_("front.1").get(f"/devices/{far['id']}").status_code == 404
    # Of another city: nobody here knows of it.
    answer = send(world, far, 1)
    assert faults(answer) == {"Device-Id": "device_unknown"}


def test_a_tablet_is_handed_on_blocked_found_again_and_retired(world: World) -> None:
    device = register(world)
    answer = order(world, device, "hand_on", data={"facilitator_id": me(world, FIRST)})
    refused(answer, 422, "same_facilitator")
    refused(order(world, device, "hand_on"), 422, "missing")
    to_second = {"facilitator_id": me(world, SECOND)}
    stale = world.as_("front.1").post(
        f"/devices/{device['id']}/actions",
        json={"action": "hand_on", "data": to_second}, headers=key() | {"If-Match": '"9"'},
    )  # fmt: skip
    refused(stale, 412, "stale_version")
    handed = order(world, device, "hand_on", data=to_second).json()
    assert handed["facilitator"]["id"] == me(world, SECOND)
    assert "assigned" in told_steps(world, SECOND, device["id"])
    refused(order(world, device, "block"), 422, "note_required")
    assert order(world, device, "block", note="Hilang di angkot.").json()["state"] == "blocked"
    refused(order(world, device, "block", note="Lagi."), 409, "action_not_allowed")
    # Found again, it goes back to whom it was blocked for.
    assert order(world, device, "hand_on", data=to_second).json()["state"] == "active"
    headers = key() | {"If-Match": etag(world, SUPERVISOR, f"/devices/{device['id']}")}
    path, body = f"/devices/{device['id']}/actions", {"action": "retire"}
    retired = world.as_(SUPERVISOR).post(path, json=body, headers=headers)
    assert (retired.json()["state"], retired.json()["actions"]) == ("retired", [])
    assert replayed(world.as_(SUPERVISOR).post(path, json=body, headers=headers))
    history = world.as_("front.1").get(f"/devices/{device['id']}/events").json()["items"]
    assert [one["type"] for one in history] == [
        "device.registered", "device.handed_on", "device.blocked", "device.handed_on",
        "device.retired",
    ]  # fmt: skip
    assert history[2]["note"] == "Hilang di angkot."


def test_two_who_hand_one_tablet_on_at_once_do_it_once(world: World) -> None:
    device = register(world)
    path = f"/devices/{device['id']}"

    async def both() -> list[int]:
        async with httpx.AsyncClient(base_url=f"{world.base_url}/v1", verify=TLS) as client:
            return [
                answer.status_code
                for answer in await asyncio.gather(
                    *(
                        client.post(
                            f"{path}/actions",
                            json={"action": "hand_on", "data": {"facilitator_id": id}},
                            headers=key()
                            | {
                                "Authorization": f"Bearer {world.token('front.1')}",
                                "If-Match": '"1"',
                            },
                        )
                        for id in (me(world, SECOND), me(world, "facilitator.wates.3"))
                    )
                )
            ]

    assert sorted(asyncio.run(both())) == [200, 412]


def test_the_visits_of_a_retired_tablet_are_to_be_repeated(world: World) -> None:
    hire(world, "breaks.tablets", ("facilitator", "35.76.02.1010"))
    device = register(world, "breaks.tablets")
    lost = bring(world, "assigned", "breaks.tablets")
    surveyed = bring(world, "assigned", "breaks.tablets")
    saved = save_survey(world, surveyed["id"], "breaks.tablets")
    done(world, "breaks.tablets", surveyed["id"], "submit_survey", if_match=saved.headers["etag"])
    household = world.fetch("select id from households where village_code = '35.76.02.1010'")[0]
    body = {"kind": "reverification", "household_ids": [str(household["id"])]}
    made = world.as_("front.1").post("/visits", json=body, headers=key())
    visit = made.json()["items"][0]
    world.fetch(
        "update visits set assignee_id = $1 where id = $2", me(world, "breaks.tablets"), visit["id"]
    )
    retired = order(world, device, "retire", note="Layar pecah.").json()
    repeat = {(one["kind"], one["id"]) for one in retired["visits_to_repeat"]}
    assert repeat == {("complaint", lost["id"]), ("visit", visit["id"])}
    assert "device_retired" in told_steps(world, SUPERVISOR, device["id"])
    # An admin keeps tablets, and sees no cases.
    assert read(world, device, "admin")["visits_to_repeat"] == []
    assert read(world, device)["visits_to_repeat"] == retired["visits_to_repeat"]
    done(world, "breaks.tablets", lost["id"], "hand_back", reason="ill")
    assert [one["kind"] for one in read(world, device)["visits_to_repeat"]] == ["visit"]


# ── every write under a number ───────────────────────────────────────────────────────────────


def test_what_comes_from_a_tablet_is_written_down_with_it(world: World) -> None:
    device = register(world)
    answer = send(world, device, 1)
    assert answer.status_code == 201, answer.text
    complaint = answer.json()["complaint"]
    [row] = world.fetch("select * from device_writes where device_id = $1", device["id"])
    assert (row["kind"], row["method"], row["status"]) == ("complaint", "POST", 201)
    assert (str(row["subject_id"]), row["client_ref"]) == (complaint["id"], complaint["client_ref"])
    assert row["payload_sha256"] == answer.json()["receipt"]["payload_sha256"]
    [event] = events(world, complaint["id"])
    assert event["data"]["device"] == {"id": device["id"], "sequence": 1, "flags": []}
    assert unmarked(complaint) == []
    found = read(world, device)
    assert (found["highest_sequence"], found["received_count"]) == (1, 1)
    assert (found["missing"], found["flagged_count"]) == ([], 0)
    assert found["last_seen_at"]


def test_every_kind_of_write_carries_a_number(world: World) -> None:
    device, case = register(world), bring(world, "assigned")
    path, mine = f"/complaints/{case['id']}", world.as_(FIRST)
    body = survey_body(world)
    saved = mine.put(f"{path}/survey", json=body, headers={"If-Match": '"0"'} | number(device, 1))
    assert saved.status_code == 200, saved.text
    again = mine.put(f"{path}/survey", json=body, headers={"If-Match": '"0"'} | number(device, 1))
    assert again.status_code == 200
    assert replayed(again)
    asked = {"action": "record_visit_attempt", "data": {"result": "not_home"}}
    headers = {"If-Match": etag(world, FIRST, path)} | number(device, 2)
    assert mine.post(f"{path}/actions", json=asked, headers=headers).status_code == 200
    assert replayed(mine.post(f"{path}/actions", json=asked, headers=headers))
    assert get(world, FIRST, case["id"])["version"] == case["version"] + 1
    check = mine.post(
        "/registry/checks", json={"complaint_id": case["id"]}, headers=key() | number(device, 3)
    )
    assert check.status_code == 201
    changed = mine.patch(
        path, json={"documents_seen": ["id_card"]},
        headers={"If-Match": etag(world, FIRST, path)} | number(device, 4),
    )  # fmt: skip
    assert changed.status_code == 200
    rows = world.fetch(
        "select sequence, kind, subject_id, claimed_at from device_writes where device_id = $1"
        " order by sequence", device["id"],
    )  # fmt: skip
    assert [row["kind"] for row in rows] == ["survey", "action", "other", "other"]
    assert [str(row["subject_id"]) for row in rows if row["subject_id"]] == [case["id"]] * 3
    assert rows[0]["claimed_at"].isoformat().startswith(body["visited_at"][:10])


def test_a_search_takes_no_number(world: World) -> None:
    device = register(world)
    answer = world.as_("front.1").post(
        "/complaints/search", json={"name": "Nobody"}, headers=number(device, 1)
    )
    assert answer.status_code == 200
    assert read(world, device)["received_count"] == 0


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ({"Device-Id": str(uuid4())}, {"Device-Sequence": "missing"}),
        ({"Device-Sequence": "1"}, {"Device-Id": "missing"}),
        ({"Device-Id": "x", "Device-Sequence": "0"},
            {"Device-Id": "invalid_format", "Device-Sequence": "invalid"}),
        ({"Device-Id": str(uuid4()), "Device-Sequence": "1"}, {"Device-Id": "device_unknown"}),
    ],
)  # fmt: skip
def test_headers_that_name_no_tablet_are_refused(
    world: World, headers: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = world.as_(FIRST).post("/complaints", json=draft(), headers=key() | headers)
    assert answer.status_code == 400
    assert faults(answer) == wrong


def test_a_number_far_ahead_is_a_mistake(world: World) -> None:
    device = register(world)
    assert faults(send(world, device, 10_001)) == {"Device-Sequence": "too_large"}
    assert send(world, device, 10_000).status_code == 201


def test_a_number_is_used_once_and_a_repeat_is_a_replay(world: World) -> None:
    device, body = register(world), draft(channel="tablet")
    headers = key() | number(device, 1)
    mine = world.as_(FIRST)
    first = mine.post("/complaints", json=body, headers=headers)
    assert first.status_code == 201
    for again in (headers, key() | number(device, 1)):
        answer = mine.post("/complaints", json=body, headers=again)
        assert replayed(answer)
        assert answer.json()["receipt"] == first.json()["receipt"]
    # Under another number it is the same complaint, and that number has come, too.
    other = mine.post("/complaints", json=body, headers=key() | number(device, 2))
    assert (other.status_code, replayed(other)) == (200, True)
    keyed = mine.post("/complaints", json=body, headers=headers | number(device, 3))
    assert (keyed.status_code, replayed(keyed)) == (201, True)
    assert read(world, device)["received_count"] == 3
    taken = mine.post("/complaints", json=draft(), headers=key() | number(device, 1))
    assert refused(taken, 409, "device_sequence_taken")["highest_sequence"] == 3
    assert mine.get("/complaints", params={"ticket": first.json()["receipt"]["ticket"]}).json()


def test_copies_that_come_together_are_one(world: World) -> None:
    device, body = register(world), draft(channel="tablet")

    async def storm() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=f"{world.base_url}/v1", verify=TLS, timeout=30,
            headers={"Authorization": f"Bearer {world.token(FIRST)}"} | number(device, 1),
        ) as client:  # fmt: skip
            return await asyncio.gather(
                *(client.post("/complaints", json=body, headers=key()) for _ in range(8))
            )

    answers = asyncio.run(storm())
    assert {answer.status_code for answer in answers} <= {201, 409}
    refusals = [answer for answer in answers if answer.status_code == 409]
    assert {answer.json()["code"] for answer in refusals} <= {"idempotency_key_in_use"}
    assert len({answer.json()["complaint"]["id"] for answer in answers if answer.is_success}) == 1
    assert read(world, device)["received_count"] == 1


def test_what_is_refused_uses_no_number(world: World) -> None:
    device = register(world)
    answer = send(world, device, 1, region_code="35.73.01.1001")
    assert answer.status_code == 422
    assert read(world, device)["highest_sequence"] == 0
    assert send(world, device, 1).status_code == 201


@pytest.mark.parametrize(
    ("state", "who", "flags"),
    [
        ("handed on", FIRST, ["device_handed_on"]),
        ("active", SECOND, ["device_of_another"]),
        ("block", FIRST, ["device_blocked"]),
        ("retire", FIRST, ["device_retired"]),
    ],
)
def test_what_a_tablet_still_holds_is_taken_in_and_flagged(
    world: World, state: str, who: str, flags: list[str]
) -> None:
    device = register(world)
    if state == "handed on":
        order(world, device, "hand_on", data={"facilitator_id": me(world, SECOND)})
    elif state != "active":
        order(world, device, state, note="Hilang.")
    answer = send(world, device, 1, who)
    assert answer.status_code == 201
    assert unmarked(answer.json()["complaint"]) == flags
    [event] = events(world, answer.json()["complaint"]["id"])
    assert event["data"]["device"]["flags"] == flags
    assert read(world, device)["flagged_count"] == 1


def test_a_clock_a_day_ahead_is_flagged_and_not_refused(world: World) -> None:
    device = register(world)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    refused(
        world.as_(FIRST).post("/complaints", json=draft(received_at=tomorrow), headers=key()),
        422, "received_in_future",
    )  # fmt: skip
    answer = send(world, device, 1, received_at=tomorrow)
    assert answer.status_code == 201, answer.text
    complaint = answer.json()["complaint"]
    assert unmarked(complaint) == ["received_in_future"]
    assert complaint["received_at"] == complaint["recorded_at"]
    [event] = events(world, complaint["id"])
    claimed = datetime.fromisoformat(event["happened_at"])
    assert claimed == datetime.fromisoformat(tomorrow)
    assert event["data"]["device"]["flags"] == ["clock_ahead"]
    case = bring(world, "assigned")
    answer = act(
        world, FIRST, case["id"], "record_visit_attempt", headers=number(device, 2),
        data={"result": "not_home"}, happened_at=tomorrow,
    )  # fmt: skip
    assert answer.status_code == 200
    last = events(world, case["id"])[-1]
    assert last["data"]["clock"] == "ahead"
    assert datetime.fromisoformat(last["happened_at"]) == datetime.fromisoformat(tomorrow)


def test_a_visit_by_a_wrong_clock_is_flagged_too(world: World) -> None:
    device = register(world)
    [home] = world.fetch(
        "select id from households where village_code = '35.76.02.1010' order by id desc limit 1"
    )
    body = {"kind": "reverification", "household_ids": [str(home["id"])]}
    made = world.as_("front.1").post("/visits", json=body, headers=key()).json()
    path = f"/visits/{made['items'][0]['id']}"
    if made["items"][0]["assignee"]["id"] != me(world, FIRST):
        given = world.as_("front.1").post(
            f"{path}/actions",
            json={"action": "reassign", "data": {"facilitator_id": me(world, FIRST)}},
            headers=key() | {"If-Match": etag(world, "front.1", path)},
        )
        assert given.status_code == 200, given.text
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    tried = world.as_(FIRST).post(
        f"{path}/actions",
        json={
            "action": "record_attempt", "data": {"result": "not_home"}, "happened_at": tomorrow,
        },
        headers=key() | {"If-Match": etag(world, FIRST, path)} | number(device, 1),
    )  # fmt: skip
    assert tried.status_code == 200, tried.text
    last = world.as_("front.1").get(f"{path}/events").json()["items"][-1]
    assert (last["data"]["clock"], last["data"]["device"]["flags"]) == ("ahead", ["clock_ahead"])


# ── what is missing ──────────────────────────────────────────────────────────────────────────


def held(sequence: int, body: Json | None = None, kind: str = "complaint") -> Json:
    body = body or {}
    return {
        "kind": kind, "sequence": sequence, "client_ref": body.get("client_ref", f"r-{sequence}"),
        "captured_at": datetime.now(UTC).isoformat(), "payload_sha256": sha256(body),
    }  # fmt: skip


def manifest(world: World, device: Json, highest: int, *pending: Json, who: str = FIRST) -> Any:
    body = {"highest_sequence": highest, "pending": list(pending)}
    return world.as_(who).post(f"/devices/{device['id']}/manifests", json=body)


def test_a_manifest_is_answered_with_what_is_here_and_what_is_missing(world: World) -> None:
    device = register(world)
    assert manifest(world, device, 0).json()["received"] == []
    here, elsewhere = draft(channel="tablet"), draft(channel="tablet")
    filed = world.as_(FIRST).post("/complaints", json=here, headers=key() | number(device, 2))
    before = world.as_(FIRST).post("/complaints", json=elsewhere, headers=key())
    found = manifest(
        world, device, 6, held(2, here), held(4), held(6, elsewhere), held(5, {"a": 1}, "survey")
    ).json()
    assert (found["received"], found["missing"], found["taken"]) == ([2], [1, 3], [])
    tickets = {one["ticket"] for one in found["receipts"]}
    assert tickets == {one.json()["receipt"]["ticket"] for one in (filed, before)}
    assert "pin" not in found["receipts"][0]
    shown = read(world, device)
    assert (shown["highest_sequence"], shown["received_count"]) == (6, 1)
    assert (shown["pending_count"], shown["missing"], shown["missing_count"]) == (3, [1, 3], 2)
    # Sent again, or late: nothing else comes of it.
    assert manifest(world, device, 6, held(2, here), held(4), held(5), held(6)).json()["missing"]
    late = manifest(world, device, 3, held(3)).json()
    assert (late["missing"], late["highest_sequence"]) == ([1], 6)
    # What had been announced and is not any more is missing; a number with other content is taken.
    last = manifest(world, device, 6, held(2, {"b": 2}), held(6), held(1)).json()
    assert (last["received"], last["taken"], last["missing"]) == ([], [2], [3, 4, 5])
    assert send(world, device, 4).status_code == 201
    assert read(world, device)["missing"] == [3, 5]


def test_the_same_manifest_under_its_key_again_says_what_is_here_by_now(world: World) -> None:
    device, headers = register(world), key()
    body = {"highest_sequence": 2, "pending": [held(1), held(2)]}
    path = f"/devices/{device['id']}/manifests"
    first = world.as_(FIRST).post(path, json=body, headers=headers)
    send(world, device, 1)
    again = world.as_(FIRST).post(path, json=body, headers=headers)
    assert replayed(again)
    assert (first.json()["received"], again.json()["taken"]) == ([], [1])


@pytest.mark.parametrize(
    ("highest", "pending", "wrong"),
    [
        (1, [held(2)], {"/pending/0/sequence": "too_large"}),
        (2, [held(2), held(2)], {"/pending/1/sequence": "named_twice"}),
        (10_001, [], {"/highest_sequence": "too_large"}),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    world: World, highest: int, pending: list[Json], wrong: dict[str, str]
) -> None:
    answer = manifest(world, register(world), highest, *pending)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == wrong


def test_manifests_and_uploads_together_leave_nothing_missing(world: World) -> None:
    device, bodies = register(world), {n: draft(channel="tablet") for n in range(1, 11)}
    pending = [held(n, body) for n, body in bodies.items()]

    async def storm() -> list[int]:
        async with httpx.AsyncClient(
            base_url=f"{world.base_url}/v1", verify=TLS, timeout=30,
            headers={"Authorization": f"Bearer {world.token(FIRST)}"},
        ) as client:  # fmt: skip
            sends = [
                client.post("/complaints", json=body, headers=key() | number(device, n))
                for n, body in bodies.items()
            ]
            says = [
                client.post(
                    f"/devices/{device['id']}/manifests",
                    json={"highest_sequence": 10, "pending": pending},
                )
                for _ in range(5)
            ]
            return [one.status_code for one in await asyncio.gather(*sends, *says)]

    assert set(asyncio.run(storm())) == {200, 201}
    found = read(world, device)
    assert (found["received_count"], found["pending_count"], found["missing"]) == (10, 0, [])


# ── what does not come, and who is told ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "since"),
    [
        ("2026-11-24T15:00", "2026-11-24T11:00"),
        ("2026-11-24T11:00", "2026-11-24T07:00"),
        ("2026-11-24T08:00", "2026-11-23T17:00"),
        ("2026-11-24T03:00", "2026-11-23T16:00"),
        ("2026-11-24T23:00", "2026-11-24T16:00"),
    ],
)
def test_four_hours_are_counted_between_seven_and_twenty(at: str, since: str) -> None:
    moment, before = (datetime.fromisoformat(f"{one}+07:00") for one in (at, since))
    assert daytime_before(moment) == before


def test_what_does_not_come_is_told_once(fresh_world: World) -> None:
    world = fresh_world
    device, quiet, idle = register(world), register(world, SECOND), register(world)
    retired = register(world)
    case = bring(world, "assigned", SECOND)
    manifest(world, device, 3, held(2), held(3))
    manifest(world, retired, 1, held(1))
    order(world, retired, "retire", note="Rusak.")
    assert world.sweep("missing_uploads")["found"] == 0
    # Four hours by day are over after at most a night and four hours.
    world.advance(hours=17)
    send(world, device, 3)
    assert world.sweep("missing_uploads")["acted"] == 1
    assert world.sweep("missing_uploads")["found"] == 0
    for who in (FIRST, SUPERVISOR):
        assert told_steps(world, who, device["id"]) == ["missing_uploads"]
    told = world.as_(FIRST).get(f"/devices/{device['id']}/events").json()["items"][-1]
    assert (told["type"], told["data"]["numbers"]) == ("device.uploads_missing", 2)
    silent = {"silent": True}
    assert world.as_(SUPERVISOR).get("/devices", params=silent).json()["items"] == []
    world.advance(days=2)
    found = world.as_(SUPERVISOR).get("/devices", params=silent).json()["items"]
    # The idle tablet's facilitator has nothing to do; who has another one with promises has.
    assert {one["id"] for one in found} == {quiet["id"], device["id"]}
    mine = silent | {"facilitator_id": me(world, SECOND), "state": "active"}
    assert len(world.as_(SUPERVISOR).get("/devices", params=mine).json()["items"]) == 1
    others = world.as_(SUPERVISOR).get("/devices", params={"silent": False, "limit": 1}).json()
    assert others["next_cursor"]
    more = {"silent": False, "limit": 1, "cursor": others["next_cursor"]}
    rest = world.as_(SUPERVISOR).get("/devices", params=more).json()
    assert {one["id"] for one in others["items"] + rest["items"]} == {idle["id"], retired["id"]}
    world.sweep("missing_uploads")
    assert told_steps(world, SECOND, quiet["id"]) == ["device_silent"]
    assert world.sweep("missing_uploads")["found"] == 0
    # Heard of again, and silent again: told again.
    act(
        world, SECOND, case["id"], "record_visit_attempt", headers=number(quiet, 1),
        data={"result": "not_home"},
    )  # fmt: skip
    world.advance(days=3)
    world.sweep("missing_uploads")
    assert told_steps(world, SECOND, quiet["id"]) == ["device_silent"] * 2
    assert told_steps(world, SUPERVISOR, retired["id"]) == ["device_retired"]
    # Manifests are kept for a month; what they promised stays until it comes.
    world.advance(days=31)
    world.sweep("housekeeping")
    assert world.fetch("select count(*) from device_manifests")[0][0] == 0
    assert read(world, device)["pending_count"] == 1
    world.fetch("update principals set active = false where username like 'supervisor%'")
    order(world, idle, "retire", note="Rusak.")
    assert told_steps(world, "manager", idle["id"]) == ["device_retired"]


def test_where_nobody_supervises_the_village_the_city_does(world: World) -> None:
    hire(world, "of.the.city", ("facilitator", "35.76"))
    device = register(world, "of.the.city")
    assert device["region_code"] == "35.76"
    order(world, device, "retire", note="Rusak.")
    assert told_steps(world, SUPERVISOR, device["id"]) == ["device_retired"]
    assert told_steps(world, "supervisor.kranggan", device["id"]) == ["device_retired"]
