"""Reports without an account: filed, confidential, handled by those above; and where to go."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.conftest import World
from tests.flows import WATES, act, done, events, get, key, told_steps
from tests.refusals import faults, refused
from tests.test_public_tickets import call

FEE = "Petugas meminta uang Rp50.000 untuk mendaftar."
UNSEEN = ("puskesos.wates", "front.1", "supervisor.magersari", "facilitator.wates.1")


def report(
    world: World, address: str, headers: dict[str, str] | None = None, **changes: Any
) -> httpx.Response:
    body = {"category": "illegal_fee", "region_code": WATES, "narrative": FEE} | changes
    sent = {"X-Forwarded-For": address} | (headers or key())
    return world.anyone.post("/v1/public/complaints", json=body, headers=sent)


def test_an_illegal_fee_is_reported_namelessly_and_handled_by_those_above(world: World) -> None:
    answer = report(world, "198.51.100.1")
    assert answer.status_code == 201, answer.text
    receipt, status = answer.json()["receipt"], answer.json()["status"]
    ticket, pin = receipt["ticket"], receipt["pin"]
    assert receipt["next_holder"] == {"role": "manager", "region_code": "35.76"}
    assert status["waits_for"]["office"]["id"] == "Pimpinan SLRT, Kota Mojokerto"
    assert answer.headers["location"] == f"/v1/public/tickets/{ticket}/status"
    assert call(world, ticket, "status", pin).json() == status
    found = world.as_("manager").get("/complaints", params={"ticket": ticket}).json()["items"]
    [complaint] = found
    assert (complaint["confidential"], complaint["channel"]) == (True, "public")
    assert complaint["reporter"]["name"] == "Anonim"
    assert complaint["submitted_by"]["name"] == "Warga"
    assert complaint["actions"] == ["forward_to_secretariat", "reject", "transfer", "set_priority"]
    id = complaint["id"]
    # No desk reads, finds or counts it.
    for who in UNSEEN:
        refused(world.as_(who).get(f"/complaints/{id}"), 404, "not_found")
        assert world.as_(who).get("/complaints", params={"ticket": ticket}).json()["items"] == []
        inbox = world.as_(who).get("/inbox", params={"limit": 200}).json()["items"]
        assert ticket not in [one["ticket"] for one in inbox]
    for who in ("manager", "head"):
        inbox = world.as_(who).get("/inbox", params={"limit": 200}).json()["items"]
        assert ticket in [one["ticket"] for one in inbox]
    assert get(world, "dpo", id)["actions"] == []
    refused(act(world, "manager", id, "resolve_now", note="x"), 409, "action_not_allowed")
    done(world, "manager", id, "forward_to_secretariat")
    done(world, "head", id, "answer", note="Petugas sudah ditegur; uang dikembalikan.")
    read = call(world, ticket, "status", pin).json()
    assert read["answer"].startswith("Petugas sudah ditegur")
    told = {"how": "public_status", "to": "-", "result": "told"}
    done(world, "manager", id, "deliver_answer", data=told)
    assert call(world, ticket, "satisfaction", pin, satisfaction=5).status_code == 200
    [first, *_] = events(world, id, "manager")
    assert (first["by"]["role"], first["by"]["name"]) == ("citizen", "Warga")


def test_a_report_that_nobody_handles_is_told_above_and_nowhere_else(fresh_world: World) -> None:
    world = fresh_world
    sent = {"name": "Budi Santoso", "phone": "+628123456789"}
    answer = report(world, "198.51.100.1", category="service_quality", reporter=sent)
    ticket = answer.json()["receipt"]["ticket"]
    [one] = world.as_("manager").get("/complaints", params={"ticket": ticket}).json()["items"]
    assert one["reporter"] == {
        "name": "Budi Santoso", "national_id": None, "phone": "+628123456789", "address": None,
        "relation": "self",
    }  # fmt: skip
    assert "Budi" not in json.dumps(answer.json())
    world.advance(hours=7)
    world.sweep("sla")
    world.advance(hours=42)
    world.sweep("sla")
    for who in ("manager", "head"):
        assert "level_1" in told_steps(world, who, one["id"])
        assert "breach" in told_steps(world, who, one["id"])
    for who in UNSEEN:
        assert told_steps(world, who, one["id"]) == []
    # What is written on a facilitator's or desk's list never names it either.
    body = {"name": "Budi Santoso"}
    found = world.as_("front.1").post("/complaints/search", json=body).json()["items"]
    assert found == []


def test_only_what_is_about_the_office_itself_is_filed_without_one(world: World) -> None:
    at = "198.51.100.2"
    for changes, place in (
        ({"category": "inclusion_request"}, "/category"),
        ({"category": None}, "/category"),
        ({"kind": "question"}, "/kind"),
        ({"priority": "emergency"}, "/priority"),
        ({"channel": "puskesos"}, "/channel"),
        ({"region_code": "35.76.02.9999"}, "/region_code"),
        ({"narrative": " "}, "/narrative"),
        ({"documents_seen": ["id_card"]}, "/documents_seen"),
        ({"subject": {"household_id": None}}, "/subject/household_id"),
        ({"program_code": "NONE"}, "/program_code"),
    ):
        answer = report(world, at, **changes)
        assert answer.status_code == 422, answer.text
        assert list(faults(answer)) == [place]
    body = {"category": "illegal_fee", "region_code": WATES, "narrative": FEE}
    answer = world.anyone.post("/v1/public/complaints", json=body)
    refused(answer, 400, "idempotency_key_missing")


def test_a_report_is_filed_once_however_often_and_under_whatever_key_it_comes(
    world: World,
) -> None:
    once = key()
    with ThreadPoolExecutor(6) as pool:
        copies = list(pool.map(lambda _: report(world, "198.51.100.3", dict(once)), range(6)))
    assert {one.status_code for one in copies} <= {201, 409}
    again = report(world, "198.51.100.3", dict(once))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    made = {one.json()["receipt"]["ticket"] for one in copies if one.status_code == 201}
    assert made == {again.json()["receipt"]["ticket"]}
    refused(
        report(world, "198.51.100.3", dict(once), narrative="Lain."), 422, "idempotency_key_reused"
    )
    named = {"client_ref": "form-1", "subject": {"name": "Pak Lurah"}}
    with ThreadPoolExecutor(4) as pool:
        refs = list(pool.map(lambda _: report(world, "198.51.100.4", **named), range(4)))
    assert sorted(one.status_code for one in refs) == [200, 200, 200, 201]
    assert len({one.json()["receipt"]["ticket"] for one in refs}) == 1
    assert len({one.json()["receipt"]["pin"] for one in refs}) == 1
    other = report(world, "198.51.100.4", client_ref="form-1", narrative="Lain.")
    refused(other, 409, "client_ref_taken")


def test_whoever_hammers_the_form_waits_and_others_do_not(world: World) -> None:
    before = world.fetch("select count(*) from complaints")[0][0]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: report(world, "203.0.113.9"), range(24)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(201) == 10
    assert codes.count(429) == 14
    [slow, *_] = [answer for answer in answers if answer.status_code == 429]
    refused(slow, 429, "too_many_requests")
    assert 0 < int(slow.headers["retry-after"]) <= 30
    assert report(world, "203.0.113.10").status_code == 201
    assert world.fetch("select count(*) from complaints")[0][0] == before + 11


def test_anybody_reads_where_to_go_and_what_there_is(world: World) -> None:
    answer = world.anyone.get("/v1/public/offices", params={"region": WATES})
    assert answer.headers["cache-control"] == "public, max-age=3600"
    body = answer.json()
    assert [one["code"] for one in body["items"]] == ["sekretariat-35.76", f"puskesos-{WATES}"]
    assert body["free_of_charge"] is True
    assert body["items"][1]["hours"] == [
        {"days": ["mon", "tue", "wed", "thu"], "opens": "08:00", "closes": "14:00"},
        {"days": ["fri"], "opens": "08:00", "closes": "11:00"},
    ]
    same = {"If-None-Match": answer.headers["etag"]}
    assert world.anyone.get("/v1/public/offices?region=" + WATES, headers=same).status_code == 304
    assert len(world.anyone.get("/v1/public/offices").json()["items"]) == 19
    kecamatan = world.anyone.get("/v1/public/offices", params={"region": "35.76.02"}).json()
    assert len(kecamatan["items"]) == 7
    refused(
        world.anyone.get("/v1/public/offices", params={"region": "x"}), 400, "parameter_invalid"
    )
    programs = world.anyone.get("/v1/public/programs").json()["items"]
    known = world.as_("front.1").get("/programs?limit=200&active=true").json()["items"]
    assert {one["code"] for one in programs} == {one["code"] for one in known}
    assert "rule_hint" not in programs[0]
