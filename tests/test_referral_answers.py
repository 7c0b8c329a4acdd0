"""Answers to referrals: told as they come, written into the registry, many at once, by file."""

import asyncio
import csv
import io
from typing import Any
from uuid import UUID

import httpx

from tests.conftest import TLS, World
from tests.flows import (
    bring,
    done,
    draft_referral,
    family,
    get,
    key,
    told_steps,
)
from tests.referring import FIRST, OWNER, SUPERVISOR, Json, did, forwarded, named, need, referral
from tests.refusals import faults, refused

TOLD = {"how": "in_person", "to": "Siti Aminah"}


# ── told as they come ────────────────────────────────────────────────────────────────────────


def test_each_answer_is_told_as_it_comes_and_the_last_with_its_complaint(world: World) -> None:
    complaint = forwarded(world, *(named(f"Bu {n}", "PIP") for n in range(3)))
    first, second, third = complaint["referral_ids"]
    did(world, OWNER, first, "grant")
    did(world, OWNER, second, "waitlist")
    assert [told_steps(world, FIRST, id) for id in (first, second)] == [["answered"]] * 2
    # It may be told before the others have come.
    assert did(world, FIRST, first, "deliver_answer", data=TOLD)["informed_at"]
    did(world, OWNER, third, "decline", reason="other")
    assert told_steps(world, FIRST, third) == []
    assert told_steps(world, FIRST, complaint["id"])[-1] == "answered"
    # A new answer is told anew.
    did(world, OWNER, second, "grant")
    assert told_steps(world, FIRST, second) == ["answered"] * 2


def test_where_nobody_visits_the_desk_is_told(world: World) -> None:
    complaint = bring(world, "at_secretariat", category="program_not_received")
    ids = [draft_referral(world, "front.1", complaint, code)["id"] for code in ("PIP", "PKH")]
    for who, action in (
        ("front.1", "submit_without_visit"), (SUPERVISOR, "approve"), ("manager", "forward"),
    ):  # fmt: skip
        done(world, who, complaint["id"], action)
    did(world, OWNER, ids[0], "grant")
    for who in ("front.2", "puskesos.wates"):
        assert told_steps(world, who, ids[0]) == ["answered"]


def test_a_place_in_line_is_an_answer_that_is_told_when_others_are_awaited(
    fresh_world: World,
) -> None:
    world = fresh_world
    body = {
        "region_code": "35.76", "starts_on": "2026-01-01", "ends_on": "2027-12-31", "places": 1,
        "quota_managed_here": True,
    }  # fmt: skip
    assert world.as_(OWNER).post("/programs/PKH/quotas", json=body, headers=key()).is_success
    placed, waits = forwarded(world, named("Bu Tin"), named("Pak Tin"))["referral_ids"]
    assert told_steps(world, FIRST, placed) == []
    assert told_steps(world, FIRST, waits) == ["answered"]


# ── who takes part ───────────────────────────────────────────────────────────────────────────


def taking_part(world: World, home: str, program: str) -> list[Json]:
    rows = world.as_("front.1").get(f"/households/{home}").json()["participations"]
    return [one for one in rows if one["program_code"] == program]


def test_a_grant_is_written_into_the_registry_with_its_source(world: World) -> None:
    person = family(world)
    home, today = person["household_id"], world.fetch("select slrt_now()::date")[0][0]
    whole = {"program_code": "BPNT", "beneficiary": {"household_id": home}}
    of_person, of_home = forwarded(world, need(person), whole)["referral_ids"]
    did(world, OWNER, of_person, "grant")
    did(world, OWNER, of_home, "grant")
    [one] = taking_part(world, home, "PKH")
    assert (one["member_id"], one["source"]) == (person["member_id"], "agency answer")
    assert one["began_on"] == one["as_of"]
    assert abs((world.fetch("select slrt_now()::date")[0][0] - today).days) <= 1
    [other] = taking_part(world, home, "BPNT")
    assert (other["member_id"], other["ended_on"]) == (None, None)
    history = world.as_("front.1").get(f"/households/{home}/history").json()["items"]
    assert [line["source"] for line in history if line["what"] == "participation"] == [
        "agency answer"
    ] * 2
    # What arrives later is the same participation, known as of then.
    world.advance(days=40)
    did(world, FIRST, of_person, "confirm_benefit")
    [later] = taking_part(world, home, "PKH")
    assert later["began_on"] == one["began_on"] < later["as_of"]
    # One that has ended begins again with a new grant; a payment begins nothing.
    world.fetch("update participations set ended_on = as_of where household_id = $1", UUID(home))
    wanted = need(person, purpose="payment"), need(person, "BPNT", purpose="restore")
    payment, restored = forwarded(world, *wanted)["referral_ids"]
    did(world, OWNER, payment, "grant")
    [again] = taking_part(world, home, "PKH")
    assert (again["began_on"], again["ended_on"]) == (None, None)
    did(world, OWNER, restored, "grant")
    found = {row["member_id"]: row["began_on"] for row in taking_part(world, home, "BPNT")}
    assert found[person["member_id"]] > one["began_on"]


def test_already_served_is_the_owners_claim_and_a_name_is_nobody(world: World) -> None:
    person = family(world, "35.76.01.1004")
    complaint = forwarded(world, need(person, "PIP"), named("Bu Tin", "PIP"), need(person, "KKS"))
    served, nobody, other = complaint["referral_ids"]
    count = "select count(*) from participations"
    before = world.fetch(count)[0][0]
    did(world, OWNER, nobody, "grant")
    did(world, OWNER, other, "decline", reason="not_eligible")
    assert world.fetch(count)[0][0] == before
    did(world, OWNER, served, "decline", reason="already_served")
    [claim] = taking_part(world, person["household_id"], "PIP")
    assert (claim["source"], claim["began_on"]) == ("agency claim", None)


# ── many at once ─────────────────────────────────────────────────────────────────────────────


def batch(world: World, who: str, *wanted: Any, headers: Any = None) -> httpx.Response:
    body = {"items": list(wanted)}
    return world.as_(who).post("/referrals/actions/batch", json=body, headers=headers or key())


def item(world: World, id: str, action: str, **more: Any) -> Json:
    return {"id": id, "version": referral(world, id)["version"], "action": action} | more


def test_a_batch_takes_what_is_right_and_says_of_the_rest_why_not(world: World) -> None:
    complaint = forwarded(world, *(named(f"Bu {n}", "PIP") for n in range(5)))
    a, b, c, d, e = complaint["referral_ids"]
    did(world, "front.1", d, "cancel", reason="Pindah.")
    hidden = forwarded(world, named("Bu Tin", "KUBE"))["referral_ids"][0]
    answer = batch(
        world, OWNER,
        item(world, a, "grant"),
        item(world, b, "decline", reason="quota_full"),
        item(world, c, "grant") | {"version": 1},
        item(world, d, "grant"),
        item(world, e, "decline"),
        item(world, e, "decline", reason="cuaca"),
        item(world, e, "reply", note="x"),
        {"id": e, "action": "grant"},
        {"id": e, "version": "x", "action": "grant"},
        {"id": e, "version": 1, "action": "terima"},
        {"id": hidden, "version": 3, "action": "grant"},
        item(world, e, "deliver_answer", data={"how": 1}),
        item(world, e, "waitlist"),
        item(world, e, "waitlist"),
        item(world, c, "grant", note="Baik\x00"),
    )  # fmt: skip
    assert answer.status_code == 207, answer.text
    results = answer.json()["results"]
    assert [one["index"] for one in results] == list(range(15))
    said = [(one["status"], one["problem"] and one["problem"]["code"]) for one in results]
    assert said == [
        (200, None), (200, None), (412, "stale_version"), (409, "action_not_allowed"),
        (422, "reason_required"), (422, "reason_not_allowed"), (403, "role_not_allowed"),
        (428, "precondition_required"), (422, "validation_failed"), (422, "unknown_action"),
        (404, "not_found"), (422, "validation_failed"), (200, None), (412, "stale_version"),
        (422, "validation_failed"),
    ]  # fmt: skip
    assert [(one["id"], one["state"]) for one in results[:3]] == [
        (a, "granted"), (b, "declined"), (c, None),
    ]  # fmt: skip
    assert results[0]["version"] == referral(world, a)["version"]
    assert results[8]["problem"]["errors"][0]["pointer"] == "/version"
    assert results[3]["problem"]["title"]
    (fault,) = results[14]["problem"]["errors"]
    assert (fault["pointer"], fault["code"]) == ("/note", "character_not_allowed")
    whole = {"items": [item(world, c, "grant")], "x\x00": 1}
    assert faults(world.as_(OWNER).post("/referrals/actions/batch", json=whole, headers=key())) == {
        "": "character_not_allowed"
    }
    assert [referral(world, id)["state"] for id in (c, d, e)] == [
        "sent", "cancelled", "waitlisted",
    ]  # fmt: skip
    # The last of them settles its complaint, as a single answer does.
    assert batch(world, OWNER, item(world, c, "grant")).json()["results"][0]["status"] == 200
    assert get(world, "front.1", complaint["id"])["outcome"] == "partly_granted"


def test_a_batch_is_one_to_two_hundred_actions(world: World) -> None:
    refused(batch(world, OWNER), 422, "validation_failed")
    answer = batch(world, OWNER, *[{}] * 201)
    assert faults(answer) == {"/items": "too_many"}


def test_a_batch_sent_again_is_taken_once(world: World) -> None:
    ids = forwarded(world, named("Bu Tin", "PIP"), named("Pak Tin", "PIP"))["referral_ids"]
    wanted = [item(world, ids[0], "grant"), item(world, ids[1], "decline")]
    headers = key()
    first, again = (batch(world, OWNER, *wanted, headers=headers) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true"
    results = [[dict(one) for one in each.json()["results"]] for each in (first, again)]
    for each in results:
        assert each[1]["problem"].pop("instance")
    assert results[0] == results[1]
    refused(batch(world, OWNER, wanted[0], headers=headers), 422, "idempotency_key_reused")
    # A client that sends no version is refused what has been done.
    client = batch(world, "agency-pkh", {"id": ids[0], "action": "grant"})
    assert client.json()["results"][0]["status"] == 404


async def test_batches_over_the_same_referrals_answer_each_once(fresh_world: World) -> None:
    world = fresh_world
    complaints = [
        await asyncio.to_thread(forwarded, world, *(named(f"Bu {n}", "PIP") for n in range(3)))
        for _ in range(2)
    ]
    ids = [id for one in complaints for id in one["referral_ids"]]
    wanted = [await asyncio.to_thread(item, world, id, "grant") for id in ids]
    orders = [wanted, wanted[::-1], [*wanted[2:], *wanted[:2]], wanted]
    headers = {"Authorization": f"Bearer {world.token(OWNER)}"}
    async with httpx.AsyncClient(base_url=world.base_url, timeout=60, verify=TLS) as client:
        path = "/v1/referrals/actions/batch"
        answers = await asyncio.gather(
            *(client.post(path, json={"items": one}, headers=headers | key()) for one in orders)
        )
    assert [answer.status_code for answer in answers] == [207] * 4
    taken = [one for answer in answers for one in answer.json()["results"] if one["status"] == 200]
    assert sorted(one["id"] for one in taken) == sorted(ids)
    for id in ids:
        events = await asyncio.to_thread(world.as_(OWNER).get, f"/referrals/{id}/events")
        types = [event["type"] for event in events.json()["items"]]
        assert types.count("referral.granted") == 1


# ── the owner's file ─────────────────────────────────────────────────────────────────────────


def to_fill_in(world: World, who: str = OWNER, **filters: str) -> list[dict[str, str]]:
    answer = world.as_(who).get("/referrals/answers", params=filters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def upload(world: World, who: str, file: str, headers: Any = None) -> httpx.Response:
    sent = {"Content-Type": "text/csv"} | (headers or key())
    return world.as_(who).post("/referrals/answers", content=file.encode(), headers=sent)


def filled(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_an_owner_downloads_what_waits_fills_it_in_and_sends_it_back(fresh_world: World) -> None:
    world = fresh_world
    person = family(world)
    needs = [need(person), *(named(f"=Bu {n}", "PIP") for n in range(4)), named("x", "KUBE")]
    complaint = forwarded(world, *needs)
    rows = to_fill_in(world)
    assert [row["referral_id"] for row in rows] == complaint["referral_ids"][:5]
    first = rows[0]
    assert (first["name"], first["state"], first["status"]) == (person["name"], "sent", "")
    assert (
        first["national_id"] == f"{person['national_id'][:4]}********{person['national_id'][-4:]}"
    )
    assert rows[1]["name"] == "'=Bu 0"
    assert [row["referral_id"] for row in to_fill_in(world, "agency-pkh")] == [first["referral_id"]]
    assert len(to_fill_in(world, program_code="PIP")) == 4
    assert to_fill_in(world, region="35.76.01") == []
    rows[0] |= {"status": "granted"}
    rows[1] |= {"status": "Ditolak", "reason": "Kuota penuh", "note": "Tahun depan."}
    rows[2] |= {"status": "daftar tunggu"}
    rows[3] |= {"status": "berkas diterima"}
    file, headers = filled(rows), key()
    answer = upload(world, OWNER, file, headers)
    assert answer.status_code == 207, answer.text
    states = ["granted", "declined", "waitlisted", "received"]
    assert [one["state"] for one in answer.json()["results"]] == states
    declined = referral(world, rows[1]["referral_id"])
    assert declined["reason"] == "quota_full"
    [event] = world.as_(OWNER).get(f"/referrals/{declined['id']}/events").json()["items"][-1:]
    assert event["note"] == "Tahun depan."
    assert upload(world, OWNER, file, headers).headers["idempotency-replayed"] == "true"
    # The same file under a new key changes nothing; another answer is refused by itself.
    versions = [one["version"] for one in answer.json()["results"]]
    again = upload(world, OWNER, file)
    assert [one["version"] for one in again.json()["results"]] == versions
    did(world, "front.1", rows[4]["referral_id"], "cancel", reason="Pindah.")
    rows[1] |= {"reason": "lainnya"}
    rows[4] |= {"status": "granted"}
    mixed = upload(world, OWNER, filled(rows)).json()["results"]
    assert [one["status"] for one in mixed] == [200, 409, 200, 200, 409]
    assert mixed[4]["problem"]["code"] == "action_not_allowed"
    # What is answered for good waits no longer.
    assert len(to_fill_in(world)) == 2
    rows_json = [{"referral_id": rows[2]["referral_id"], "status": "granted"}]
    said = world.as_(OWNER).post("/referrals/answers", json={"rows": rows_json}, headers=key())
    assert [one["state"] for one in said.json()["results"]] == ["granted"]


def test_a_file_that_cannot_be_read_is_refused_as_a_whole(world: World) -> None:
    [id] = forwarded(world, named("Bu Tin", "PIP"))["referral_ids"]
    head, good = "referral_id,status,reason,note", f"{id},granted,,"
    for line, code in (
        (f"{id},mungkin,,", "answer_unknown"),
        (f"{id},declined,,", "reason_required"),
        (f"{id},declined,hujan,", "reason_not_allowed"),
        ("1,granted,,", "invalid"),
        (f"{id},granted,,a\x01b", "character_not_allowed"),
        (f"{id},granted,," + "x" * 4001, "too_long"),
    ):
        answer = upload(world, OWNER, "\n".join([head, good, line]))
        refused(answer, 422, "validation_failed")
        assert faults(answer) == {"/lines/3": code}
    answer = upload(world, OWNER, "\n".join([head, *[good] * 501]))
    assert faults(answer) == {"/lines/502": "too_many"}
    assert referral(world, id)["state"] == "sent"


def test_a_file_needs_its_columns_and_an_owner(world: World) -> None:
    answer = upload(world, OWNER, "nama,status\nBu Tin,granted")
    refused(answer, 422, "malformed_file")
    assert "referral_id" in answer.json()["errors"][0]["detail"]
    # Nor is it sent to look for the columns of another file.
    assert "change_id" not in answer.text
    file = "referral_id,status\n019a0000-0000-7000-8000-000000000000,granted"
    refused(upload(world, "front.1", file), 403, "role_not_allowed")
    refused(world.as_("front.1").get("/referrals/answers"), 403, "role_not_allowed")
    assert upload(world, OWNER, file).json()["results"][0]["status"] == 404


def test_a_number_in_a_note_is_masked_in_the_history(world: World) -> None:
    (id,) = forwarded(world, named("Bu Catatan", "PIP"))["referral_ids"]
    did(world, OWNER, id, "ask", note="NIK?")
    version = {"If-Match": f'"{referral(world, id)["version"]}"'}
    body = {"action": "reply", "note": "NIK 3576021203850001, KK 3576.0201.0101.0002."}
    answer = world.as_("front.1").post(f"/referrals/{id}/actions", json=body, headers=version)
    assert answer.status_code == 200, answer.text
    shown = world.as_(OWNER).get(f"/referrals/{id}/events").json()["items"][-1]
    assert shown["note"] == "NIK 3576********0001, KK 3576********0002."
