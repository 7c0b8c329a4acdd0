"""A retry never doubles: keys, client references, and the answers they bring back."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import rfc8785

from app.routers.bodies import parse
from tests.conftest import World
from tests.flows import (
    WATES,
    act,
    bring,
    check_registry,
    done,
    draft,
    etag,
    events,
    file,
    get,
    key,
    save_survey,
    survey_body,
)
from tests.refusals import refused

JSON = {"Content-Type": "application/json"}


def post(world: World, path: str, body: Any, who: str = "puskesos.wates", **headers: str) -> Any:
    return world.as_(who).post(path, json=body, headers=headers)


def replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


def count(world: World) -> int:
    found: int = world.fetch("select count(*) from complaints")[0][0]
    return found


# Keys


@pytest.mark.parametrize("path", ["/complaints", "/registry/checks", "/referrals"])
def test_what_creates_needs_a_key(world: World, path: str) -> None:
    refused(post(world, path, {}), 400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "bad", ["", "short", "x" * 15, "x" * 129, "x" * 15 + "=", "a.b" * 8, "ключ" * 8, "a,b" * 8]
)
@pytest.mark.parametrize("path", ["/complaints", "/registry/checks", "/referrals"])
def test_a_key_of_another_form_is_refused(world: World, path: str, bad: str) -> None:
    answer = world.as_("puskesos.wates").post(
        path, json={}, headers={"Idempotency-Key": bad.encode()}
    )
    refused(answer, 400, "idempotency_key_invalid")


@pytest.mark.parametrize("good", ["x" * 16, "x" * 128, "Az09_-Az09_-Az09"])
def test_a_key_has_sixteen_to_a_hundred_and_twenty_eight_characters(
    world: World, good: str
) -> None:
    assert post(world, "/complaints", draft(), **{"Idempotency-Key": good}).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/complaints/search", {"name": "Siti"}), ("GET", "/complaints", None),
        ("GET", "/me", None),
    ],
)  # fmt: skip
def test_a_key_is_ignored_where_nothing_is_written(
    world: World, method: str, path: str, body: Any
) -> None:
    more = {} if body is None else {"json": body}
    for sent in ("short", "x" * 20):
        headers = {"Idempotency-Key": sent}
        answer = world.as_("front.1").request(method, path, headers=headers, **more)
        assert answer.status_code == 200, answer.text
        assert not replayed(answer)


def test_a_key_is_ignored_when_signing_in(world: World) -> None:
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "x"}
    for headers in ({"Idempotency-Key": "short"}, key()):
        answer = world.anyone.post("/v1/auth/token", data=form, headers=headers)
        refused(answer, 401, "invalid_client")
    moved = world.as_("admin").post(
        "/demo/clock", json={"advance_seconds": 0}, headers={"Idempotency-Key": "short"}
    )
    assert moved.status_code == 200


def test_the_same_request_again_brings_the_same_answer(world: World) -> None:
    body, once, before = draft(), key(), count(world)
    first = post(world, "/complaints", body, **once)
    assert first.status_code == 201
    assert not replayed(first)
    for _ in range(3):
        again = post(world, "/complaints", body, **once)
        assert again.status_code == 201
        assert replayed(again)
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["etag"] == first.headers["etag"]
    assert first.json()["receipt"]["pin"].isdigit()
    assert len(first.json()["receipt"]["pin"]) == 6
    assert first.headers["location"] == f"/v1/complaints/{first.json()['complaint']['id']}"
    assert count(world) == before + 1


def test_the_same_key_with_other_content_is_refused(world: World) -> None:
    body, once = draft(), key()
    assert post(world, "/complaints", body, **once).status_code == 201
    other = post(world, "/complaints", draft(), **once)
    refused(other, 422, "idempotency_key_reused")
    # The same JSON in other bytes, or under another type, is another request, too.
    client, text = world.as_("puskesos.wates"), json.dumps(body)
    for content, media_type in ((f" {text}", "application/json"), (text, "application/json; a=b")):
        headers = once | {"Content-Type": media_type}
        answer = client.post("/complaints", content=content.encode(), headers=headers)
        refused(answer, 422, "idempotency_key_reused")


def test_the_same_key_on_another_path_is_refused(world: World) -> None:
    once, first, second = key(), file(world)["id"], file(world)["id"]
    body = {"action": "withdraw", "note": "Dicabut."}
    version = {"If-Match": '"1"'}
    assert post(world, f"/complaints/{first}/actions", body, **once, **version).is_success
    other = post(world, f"/complaints/{second}/actions", body, **once, **version)
    refused(other, 422, "idempotency_key_reused")
    assert get(world, "front.1", second)["state"] == "received"
    changed = world.as_("puskesos.wates").patch(
        f"/complaints/{second}", json={}, headers=once | version
    )
    refused(changed, 422, "idempotency_key_reused")


def test_a_key_belongs_to_who_sent_it(world: World) -> None:
    body, once = draft(), key()
    mine = post(world, "/complaints", body, **once)
    theirs = post(world, "/complaints", body, "front.1", **once)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert not replayed(theirs)
    assert mine.json()["complaint"]["id"] != theirs.json()["complaint"]["id"]
    assert replayed(post(world, "/complaints", body, "front.1", **once))


def test_what_failed_is_not_stored(world: World) -> None:
    once, before = key(), count(world)
    refused(post(world, "/complaints", draft(program_code="NONE"), **once), 422, "unknown_program")
    wrong = draft(region_code="35.76.02.9999")
    refused(post(world, "/complaints", wrong, **once), 422, "unknown_region")
    answer = post(world, "/complaints", draft(), **once)
    assert answer.status_code == 201
    assert not replayed(answer)
    assert count(world) == before + 1
    id, once = answer.json()["complaint"]["id"], key()
    refused(act(world, "front.1", id, "withdraw", headers=once), 422, "note_required")
    refused(
        act(world, "front.1", id, "withdraw", '"9"', headers=once, note="x"), 412, "stale_version"
    )
    assert not replayed(act(world, "front.1", id, "withdraw", headers=once, note="x"))


@contextmanager
def under_way(world: World, who: str, key: str) -> Iterator[None]:
    """As if another request of theirs held the key."""

    async def hold() -> asyncpg.Connection:
        connection = await asyncpg.connect(
            host=str(world.cluster.socket_dir), user="slrt", database=world.database
        )
        id = world.as_(who).get("/me").json()["id"]
        name = f"{id}:{key}"
        await connection.execute("select pg_advisory_lock(hashtextextended($1, 0))", name)
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(hold())
        try:
            yield
        finally:
            runner.run(connection.close())


def test_while_the_first_is_under_way_the_second_is_told_to_wait(world: World) -> None:
    body, once = draft(), key()
    with under_way(world, "puskesos.wates", once["Idempotency-Key"]):
        waiting = post(world, "/complaints", body, **once)
        refused(waiting, 409, "idempotency_key_in_use")
        assert int(waiting.headers["retry-after"]) >= 1
        # Nobody else is held up.
        assert post(world, "/complaints", body, "front.1", **once).status_code == 201
    assert post(world, "/complaints", body, **once).status_code == 201


# Every kind of write


def test_an_action_is_taken_once_though_the_complaint_has_moved_on(world: World) -> None:
    complaint, once = file(world), key()
    id = complaint["id"]
    check_registry(world, id)
    first = act(world, "puskesos.wates", id, "forward_to_secretariat", '"1"', once)
    assert first.json()["state"] == "at_secretariat"
    done(world, "front.1", id, "answer", note="Sudah dibantu BAZNAS.")
    again = act(world, "puskesos.wates", id, "forward_to_secretariat", '"1"', once)
    assert again.status_code == 200
    assert replayed(again)
    # The body is how it stands now.
    assert again.json()["state"] == "answered"
    assert again.headers["etag"] == f'"{again.json()["version"]}"'
    steps = [event["action"] for event in events(world, id)]
    assert steps.count("forward_to_secretariat") == 1


def test_a_change_is_made_once(world: World) -> None:
    id, once = file(world)["id"], key()
    client, body = world.as_("front.1"), {"narrative": "Yang benar."}
    headers = once | {"If-Match": '"1"'}
    first = client.patch(f"/complaints/{id}", json=body, headers=headers)
    again = client.patch(f"/complaints/{id}", json=body, headers=headers)
    assert (first.json()["version"], again.json()["version"]) == (2, 2)
    assert not replayed(first)
    assert replayed(again)
    other = client.patch(f"/complaints/{id}", json={"narrative": "x"}, headers=headers)
    refused(other, 422, "idempotency_key_reused")


def test_a_survey_is_saved_once(world: World) -> None:
    id, once, body = bring(world, "assigned")["id"], key(), survey_body(world)
    client, path = world.as_("facilitator.wates.1"), f"/complaints/{id}/survey"
    first = client.put(path, json=body, headers=once | {"If-Match": '"0"'})
    assert first.status_code == 200, first.text
    again = client.put(path, json=body, headers=once | {"If-Match": '"0"'})
    assert replayed(again)
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"] == '"1"'
    # A later save stays: the retry does not bring the older one back.
    assert save_survey(world, id, no_needs=True, program_needs=[]).headers["etag"] == '"2"'
    late = client.put(path, json=body, headers=once | {"If-Match": '"0"'})
    assert replayed(late)
    assert late.json()["no_needs"] is True


def test_a_registry_check_is_kept_once(world: World) -> None:
    id, once = file(world)["id"], key()
    first = post(world, "/registry/checks", {"complaint_id": id}, **once)
    again = post(world, "/registry/checks", {"complaint_id": id}, **once)
    assert (first.status_code, again.status_code) == (201, 201)
    assert replayed(again)
    assert again.json() == first.json()
    steps = [event["action"] for event in events(world, id)]
    assert steps.count("registry_checked") == 1
    other = post(world, "/registry/checks", {"name": "Siti"}, **once)
    refused(other, 422, "idempotency_key_reused")


def test_a_referral_is_drafted_once(world: World) -> None:
    id, once = bring(world, "assigned")["id"], key()
    need = {"complaint_id": id, "program_code": "PKH", "beneficiary": {"name": "Siti"}}
    first = post(world, "/referrals", need, "front.1", **once)
    again = post(world, "/referrals", need, "front.1", **once)
    assert first.status_code == again.status_code == 201
    assert replayed(again)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert get(world, "front.1", id)["referral_ids"] == [first.json()["id"]]


def test_a_referral_is_answered_once(world: World) -> None:
    id, once = bring(world, "forwarded")["referral_ids"][0], key()
    client, version = (
        world.as_("program.1"),
        {"If-Match": etag(world, "program.1", f"/referrals/{id}")},
    )
    body = {"action": "waitlist"}
    first = client.post(f"/referrals/{id}/actions", json=body, headers=once | version)
    assert first.json()["state"] == "waitlisted"
    assert client.post(
        f"/referrals/{id}/actions", json={"action": "grant"}, headers=key() | first_etag(first)
    ).is_success
    again = client.post(f"/referrals/{id}/actions", json=body, headers=once | version)
    assert replayed(again)
    assert again.json()["state"] == "granted"


def first_etag(answer: httpx.Response) -> dict[str, str]:
    return {"If-Match": answer.headers["etag"]}


@pytest.mark.parametrize(
    ("path", "more", "change"),
    [
        ("/users", {"password": "sandi-yang-panjang"}, {"name": "Nama Baru"}),
        ("/clients", {"secret": "rahasia-panjang", "scopes": []}, {"name": "Nama Baru"}),
    ],
)
def test_an_account_is_made_and_changed_once(
    world: World, path: str, more: dict[str, Any], change: dict[str, Any]
) -> None:
    body = {"username": f"baru-{uuid4().hex[:8]}", "name": "Orang Baru"} | more
    once = key()
    first, again = (post(world, path, body, "admin", **once) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert replayed(again)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    # Without a key the second one is another request.
    refused(post(world, path, body, "admin"), 409, "username_taken")
    one, once = f"{path}/{first.json()['id']}", key()
    admin, headers = world.as_("admin"), {"If-Match": '"1"'}
    assert admin.patch(one, json=change, headers=once | headers).json()["version"] == 2
    retried = admin.patch(one, json=change, headers=once | headers)
    assert replayed(retried)
    assert retried.json()["version"] == 2
    refused(admin.patch(one, json=change, headers=key() | headers), 412, "stale_version")


# References of the caller


def test_the_same_content_under_a_new_key_finds_the_first_complaint(world: World) -> None:
    body, before = draft(), count(world)
    first = post(world, "/complaints", body, **key())
    once = key()
    found = post(world, "/complaints", body, **once)
    assert found.status_code == 200
    assert replayed(found)
    assert found.json() == first.json()
    assert found.headers["location"] == first.headers["location"]
    # And that answer is what the new key stands for.
    again = post(world, "/complaints", body, **once)
    assert (again.status_code, replayed(again)) == (200, True)
    assert again.json() == first.json()
    assert count(world) == before + 1


def test_other_content_under_a_known_reference_is_refused(world: World) -> None:
    body = draft()
    assert post(world, "/complaints", body, **key()).status_code == 201
    for changed in (
        body | {"narrative": "Lain."},
        body | {"documents_seen": []},
        body | {"sector": None},
        {name: value for name, value in body.items() if name != "sector"},
    ):
        refused(post(world, "/complaints", changed, **key()), 409, "client_ref_taken")


def test_a_reference_belongs_to_who_used_it(world: World) -> None:
    body = draft()
    mine = post(world, "/complaints", body, **key())
    theirs = post(world, "/complaints", body | {"narrative": "Lain."}, "front.1", **key())
    assert (mine.status_code, theirs.status_code) == (201, 201)


def test_a_reference_finds_its_complaint_whatever_has_become_of_it(world: World) -> None:
    body = draft()
    id = post(world, "/complaints", body, **key()).json()["complaint"]["id"]
    done(world, "puskesos.wates", id, "withdraw", note="Dicabut.")
    found = post(world, "/complaints", body, **key())
    assert found.status_code == 200
    assert found.json()["complaint"]["state"] == "closed"


def spelled_differently(body: dict[str, Any]) -> list[str]:
    """The same JSON in other bytes."""
    turned = dict(reversed(list(body.items())))
    turned["reporter"] = dict(reversed(list(body["reporter"].items())))
    plain = json.dumps(body)
    return [
        json.dumps(turned),
        json.dumps(body, indent=3),
        json.dumps(body, separators=(",", ":")),
        plain.replace("Kami", "\\u004bami").replace("/", "\\/"),
        f"\n\t {plain} \r\n",
    ]


def test_spelling_does_not_make_other_content(world: World) -> None:
    client, body = world.as_("puskesos.wates"), draft()
    assert post(world, "/complaints", body, **key()).status_code == 201
    for text in spelled_differently(body):
        assert text != json.dumps(body)
        answer = client.post("/complaints", content=text.encode(), headers=JSON | key())
        assert answer.status_code == 200, answer.text
        assert replayed(answer)


def test_content_is_compared_as_it_was_sent(world: World) -> None:
    """Two spellings of one text that look alike are two contents (RFC 8785 keeps them apart)."""
    composed, decomposed = draft(narrative="Caf\u00e9"), draft(narrative="Cafe\u0301")
    decomposed["client_ref"] = composed["client_ref"]
    assert post(world, "/complaints", composed, **key()).status_code == 201
    refused(post(world, "/complaints", decomposed, **key()), 409, "client_ref_taken")


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("100", "1e2"), ("0", "-0.0"), ("0.5", "5E-1"), ("[1, 2]", "[1.00,2]")],
)
def test_numbers_are_compared_by_value(one: str, other: str) -> None:
    first, second = (parse(f'{{"n": {text}}}'.encode())[0] for text in (one, other))
    assert rfc8785.dumps(first) == rfc8785.dumps(second)


# Receipts


def test_a_receipt_is_found_again_by_reference_without_the_pin(world: World) -> None:
    body = draft()
    filed = post(world, "/complaints", body, **key()).json()
    answer = world.as_("puskesos.wates").get("/receipts", params={"client_ref": body["client_ref"]})
    assert answer.status_code == 200
    receipt = answer.json()
    assert "pin" not in receipt
    assert filed["receipt"]["pin"] not in answer.text.replace(receipt["ticket"], "")
    assert receipt.pop("complaint_id") == filed["complaint"]["id"]
    assert receipt == {k: v for k, v in filed["receipt"].items() if k != "pin"}
    assert receipt["next_holder"] == {"role": "puskesos_officer", "region_code": WATES}


def test_a_receipt_is_for_who_filed_it(world: World) -> None:
    ref = file(world)["client_ref"]
    for who in ("front.1", "manager", "admin"):
        refused(world.as_(who).get("/receipts", params={"client_ref": ref}), 404, "not_found")
    mine = world.as_("puskesos.wates")
    refused(mine.get("/receipts", params={"client_ref": f"{ref}x"}), 404, "not_found")
    refused(mine.get("/receipts", params={"client_ref": "a b"}), 400, "parameter_invalid")
    refused(mine.get("/receipts"), 400, "parameter_invalid")


def test_the_pin_is_told_at_filing_and_nowhere_else(world: World) -> None:
    filed = post(world, "/complaints", draft(), **key()).json()
    id, pin = filed["complaint"]["id"], filed["receipt"]["pin"]
    assert "pin" not in filed["complaint"]
    for path in (f"/complaints/{id}", f"/complaints/{id}/events", "/complaints"):
        assert '"pin"' not in world.as_("front.1").get(path).text
    stored = world.fetch("select to_jsonb(c) as row from complaints c where id = $1", id)[0]["row"]
    assert f'"{pin}"' not in stored
    assert world.fetch("select 1 from events where data::text like $1", f'%"{pin}"%') == []


def test_pins_differ(world: World) -> None:
    pins = {post(world, "/complaints", draft(), **key()).json()["receipt"]["pin"] for _ in range(8)}
    assert len(pins) > 4


# Upkeep


def test_keys_are_forgotten_after_thirty_days(world: World) -> None:
    body, once = draft(), key()
    assert post(world, "/complaints", body, **once).status_code == 201
    old, young = "created_at - interval '31 days'", "created_at - interval '29 days'"
    sql = "update idempotency_keys set created_at = {} where key = $1"
    world.fetch(sql.format(young), once["Idempotency-Key"])
    world.sweep("housekeeping")
    assert post(world, "/complaints", body, **once).status_code == 201
    world.fetch(sql.format(old), once["Idempotency-Key"])
    world.sweep("housekeeping")
    # The reference still stands: nothing is made twice.
    assert post(world, "/complaints", body, **once).status_code == 200
