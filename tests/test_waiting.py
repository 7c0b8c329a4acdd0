"""Referrals that wait for a registry change: sent once it is confirmed, else cancelled."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import World
from tests.flows import act, bring, done, etag, get, key, save_survey
from tests.referring import FIRST, OWNER, SUPERVISOR, Json, did, named, referral
from tests.refusals import faults, refused
from tests.test_complaint_changes import a_home, update
from tests.test_registry_changes import DESK, MANAGER, proposed
from tests.test_registry_changes import SUPERVISOR as CHANGES_SUPERVISOR
from tests.test_registry_changes import approved as approve_change
from tests.test_registry_changes import done as change_done
from tests.test_registry_deaths import (
    OTHER_SUPERVISOR,
    a_family,
    changes_of,
    death_report,
    reported,
    revoke,
)


def waiting_need(person: str, wait_for: Any, program: str = "PKH") -> Json:
    return {"program_code": program, "beneficiary": {"member_id": person}, "wait_for": wait_for}


def surveyed(world: World, id: str, changes: list[Json], *needs: Json) -> Json:
    saved = save_survey(world, id, FIRST, registry_changes=changes, program_needs=list(needs))
    assert saved.status_code == 200, saved.text
    return done(world, FIRST, id, "submit_survey")


def awaited(world: World, *more: Json) -> tuple[Json, str, str]:
    """A complaint forwarded with a referral that waits for its change: (complaint, both ids)."""
    home, people = a_home(world)
    id = bring(world, "assigned", category="program_not_received")["id"]
    complaint = surveyed(world, id, [update(home)], waiting_need(people[1], 0), *more)
    done(world, SUPERVISOR, id, "approve")
    complaint = done(world, "manager", id, "forward")
    [change] = complaint["registry_change_ids"]
    return complaint, complaint["referral_ids"][0], change


def centre_says(
    world: World, change: str, status: str, headers: Json | None = None
) -> httpx.Response:
    """The change is dispatched and answered by the centre."""
    made = world.as_("front.1").post("/dispatches", json={"change_ids": [change]}, headers=key())
    assert made.status_code == 201, made.text
    return answered(world, made.json()["id"], change, status, headers)


def answered(
    world: World, dispatch: str, change: str, status: str, headers: Json | None = None
) -> httpx.Response:
    reason = {"reason": "Tidak padan."} if status == "declined" else {}
    body = {"rows": [{"change_id": change, "status": status} | reason]}
    path = f"/dispatches/{dispatch}/acknowledgements"
    return world.as_("front.1").post(path, json=body, headers=headers or key())


def test_forward_leaves_it_and_the_centres_yes_sends_it(world: World) -> None:
    complaint, id, change = awaited(world, named("Bu Tin", "BPNT"))
    one, other = (referral(world, each) for each in complaint["referral_ids"])
    assert (one["state"], one["wait_for"], one["sent_at"]) == ("approved", change, None)
    assert (other["state"], other["wait_for"]) == ("sent", None)
    # It is undecided: the others' answers settle nothing.
    did(world, OWNER, other["id"], "grant")
    assert get(world, "front.1", complaint["id"])["state"] == "forwarded"
    assert centre_says(world, change, "confirmed").status_code == 200
    sent = referral(world, id, "agency-pkh")
    assert (sent["state"], sent["due_at"] is not None) == ("sent", True)
    event = world.as_(OWNER).get(f"/referrals/{id}/events").json()["items"][-1]
    assert (event["type"], event["by"]["role"]) == ("referral.sent", "system")
    did(world, "agency-pkh", id, "grant")
    assert get(world, "front.1", complaint["id"])["outcome"] == "granted"


def test_the_centres_no_cancels_it_and_settles_the_complaint_in_the_same_step(
    world: World,
) -> None:
    complaint, id, change = awaited(world)
    headers = key()
    made = world.as_("front.1").post("/dispatches", json={"change_ids": [change]}, headers=key())
    path = made.json()["id"]
    first, again = (answered(world, path, change, "declined", headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    gone = referral(world, id)
    assert (gone["state"], gone["reason"]) == ("cancelled", "registry_change_declined")
    settled = get(world, "front.1", complaint["id"])
    assert (settled["state"], settled["outcome"]) == ("answered", "cancelled")
    events = world.as_(OWNER).get(f"/referrals/{id}/events").json()["items"]
    assert [event["type"] for event in events].count("referral.cancelled") == 1


def test_nothing_is_sent_for_somebody_reported_dead_meanwhile(world: World) -> None:
    complaint, id, change = awaited(world)
    paper = [{"kind": "death_certificate", "reference": "474.3/12"}]
    person = referral(world, id)["beneficiary"]["member_id"]
    died = {"died_on": "2026-10-02"}
    proposed(world, kind="report_death", member_id=person, evidence=paper, fields=died)
    assert centre_says(world, change, "confirmed").status_code == 200
    gone = referral(world, id)
    assert (gone["state"], gone["reason"]) == ("cancelled", "death_reported")
    assert get(world, "front.1", complaint["id"])["outcome"] == "cancelled"


def test_a_full_quota_lets_it_wait_once_more(fresh_world: World) -> None:
    world = fresh_world
    body = {
        "region_code": "35.76", "starts_on": "2026-01-01", "ends_on": "2027-12-31", "places": 0,
        "quota_managed_here": True,
    }  # fmt: skip
    assert world.as_(OWNER).post("/programs/PKH/quotas", json=body, headers=key()).is_success
    complaint, id, change = awaited(world)
    assert centre_says(world, change, "confirmed").status_code == 200
    assert referral(world, id)["waiting_position"] == 1
    assert get(world, "front.1", complaint["id"])["outcome"] == "waitlisted"


@pytest.mark.parametrize("how", ["refused", "withdrawn", "answered"])
def test_with_a_change_that_ends_before_it_is_forwarded_it_ends(world: World, how: str) -> None:
    home, people = a_home(world)
    id = bring(world, "assigned", category="program_not_received")["id"]
    needs = (waiting_need(people[1], 0), named("Bu Tin", "BPNT"))
    complaint = surveyed(world, id, [update(home)], *needs)
    [change] = complaint["registry_change_ids"]
    waits, other = complaint["referral_ids"]
    if how == "refused":
        refuse = [{"registry_change_id": change, "reason": "Salah alamat."}]
        done(world, SUPERVISOR, id, "approve", data={"refuse": refuse})
        done(world, "manager", id, "forward")
        assert referral(world, other)["state"] == "sent"
    elif how == "withdrawn":
        # Surveyed anew, without the change: the need waits for nothing any more.
        done(world, SUPERVISOR, id, "return_for_correction", note="Tidak perlu diubah.")
        again = surveyed(world, id, [], named("Bu Tin", "BPNT"))
        assert len(again["referral_ids"]) == 2
    else:
        done(world, SUPERVISOR, id, "answer", note="Dibantu BAZNAS.")
    gone = referral(world, waits)
    state = "rejected" if how == "refused" else "withdrawn"
    assert (gone["state"], gone["reason"]) == ("cancelled", f"registry_change_{state}")


def test_a_survey_that_is_corrected_says_anew_what_a_need_waits_for(world: World) -> None:
    home, people = a_home(world)
    id = bring(world, "assigned", category="program_not_received")["id"]
    complaint = surveyed(world, id, [update(home)], waiting_need(people[1], 0))
    [waits], [change] = complaint["referral_ids"], complaint["registry_change_ids"]
    done(world, SUPERVISOR, id, "return_for_correction", note="Lagi.")
    fields = [update(home), update(home, address="Jalan Benteng 9")]
    again = surveyed(world, id, fields, waiting_need(people[1], 1))
    assert again["referral_ids"] == [waits]
    assert referral(world, waits)["wait_for"] == again["registry_change_ids"][1] != change
    done(world, SUPERVISOR, id, "return_for_correction", note="Lagi.")
    surveyed(world, id, fields, waiting_need(people[1], None))
    assert referral(world, waits)["wait_for"] is None


def post(world: World, complaint: str, person: str, change: str | None) -> httpx.Response:
    body = {"complaint_id": complaint, **waiting_need(person, change)}
    return world.as_("front.1").post("/referrals", json=body, headers=key())


def test_a_desk_names_an_open_change_of_the_complaint_or_the_beneficiary(world: World) -> None:
    home, people = a_home(world)
    _, strangers = a_home(world)
    # A change that goes its own way.
    alone = proposed(world, **update(home))["id"]
    id = bring(world, "received", category="program_not_received")["id"]
    for unknown in (str(uuid4()), alone):
        answer = post(world, id, strangers[0], unknown)
        refused(answer, 422, "unknown_reference")
        assert faults(answer) == {"/wait_for": "unknown_reference"}
    made = post(world, id, people[0], alone)
    assert (made.status_code, made.json()["wait_for"]) == (201, alone)
    # One that another complaint still carries is that complaint's business.
    other = bring(world, "at_secretariat", category="program_not_received")["id"]
    carried = proposed(world, **update(home, address="Jalan Benteng 9"), complaint_id=other)["id"]
    refused(post(world, id, people[1], carried), 422, "unknown_reference")
    # What has been decided is waited for by nobody.
    change_done(world, CHANGES_SUPERVISOR, alone, "reject", note="Tidak benar.")
    assert referral(world, made.json()["id"])["reason"] == "registry_change_rejected"
    refused(post(world, id, people[1], alone), 422, "unknown_reference")


def test_the_survey_names_a_change_that_it_has(world: World) -> None:
    home, people = a_home(world)
    id = bring(world, "assigned")["id"]
    needs = [waiting_need(people[0], 1)]
    answer = save_survey(world, id, registry_changes=[update(home)], program_needs=needs)
    assert faults(answer) == {"/program_needs/0/wait_for": "unknown_reference"}


def without_visit(world: World, person: str, change: str, program: str = "PKH") -> Json:
    """A complaint forwarded with a referral that waits for somebody else's change."""
    complaint = bring(world, "at_secretariat", category="program_not_received")
    body = {"complaint_id": complaint["id"], **waiting_need(person, change, program)}
    made = world.as_("front.1").post("/referrals", json=body, headers=key())
    assert made.status_code == 201, made.text
    for who, action in (
        ("front.1", "submit_without_visit"), (SUPERVISOR, "approve"), ("manager", "forward"),
    ):  # fmt: skip
        complaint = done(world, who, complaint["id"], action)
    return complaint


def test_what_is_confirmed_is_screened_again_whoever_the_need_is_of(world: World) -> None:
    home, people = a_home(world)
    needs = [
        waiting_need(people[1], 0, "PIP") | {"beneficiary": one, "purpose": purpose}
        for one, purpose in (
            ({"member_id": people[1]}, "enrol"), ({"household_id": home}, "enrol"),
            ({"name": "Bu Tin"}, "enrol"), ({"member_id": people[1]}, "card"),
        )
    ]  # fmt: skip
    id = bring(world, "assigned", category="program_not_received")["id"]
    surveyed(world, id, [update(home)], *needs)
    done(world, SUPERVISOR, id, "approve")
    complaint = done(world, "manager", id, "forward")
    before = [referral(world, one)["screening_id"] for one in complaint["referral_ids"]]
    assert centre_says(world, complaint["registry_change_ids"][0], "confirmed").status_code == 200
    for one, screened in zip(complaint["referral_ids"], before, strict=True):
        found = referral(world, one)
        assert found["state"] == "sent"
        assert (found["screening_id"] != screened) is (screened is not None)
    assert sum(one is not None for one in before) >= 2


@pytest.mark.parametrize("how", ["rejected", "revoked", "dead as well"])
def test_what_waits_for_a_new_head_is_settled_where_that_falls(world: World, how: str) -> None:
    head, spouse, child = a_family(world, ("head", 1960), ("spouse", 1962), ("child", 1985))
    death = reported(world, head)["id"]
    change_done(world, CHANGES_SUPERVISOR, death, "approve")
    [new] = changes_of(world, member_id=spouse)
    complaint = without_visit(world, child, new["id"])
    if how == "rejected":
        change_done(world, MANAGER, death, "reject", note="Masih hidup.")
    elif how == "revoked":
        world.fetch("update registry_changes set state = 'dispatched' where id = $1", death)
        assert revoke(world, OTHER_SUPERVISOR, head).status_code == 201
    else:
        other = death_report(world, spouse)["id"]
        done(world, "front.1", other, "submit_without_visit")
        done(world, SUPERVISOR, other, "approve")
    gone = referral(world, complaint["referral_ids"][0])
    assert (gone["state"], gone["reason"]) == ("cancelled", "registry_change_withdrawn")
    settled = get(world, "front.1", complaint["id"])
    assert (settled["state"], settled["outcome"]) == ("answered", "cancelled")


def test_a_change_that_goes_its_own_way_decides_for_every_complaint_that_waits(
    world: World,
) -> None:
    home, people = a_home(world)
    change = proposed(world, **update(home))["id"]
    first, second = (without_visit(world, person, change) for person in people[:2])
    # A third one holds the same need by a link.
    third = without_visit(world, people[0], change)
    assert third["referral_ids"] == first["referral_ids"]
    change_done(world, DESK, change, "withdraw")
    for complaint in (first, second, third):
        settled = get(world, "front.1", complaint["id"])
        assert (settled["state"], settled["outcome"]) == ("answered", "cancelled")
    # Confirmed ones are sent for all of them, and need no waiting afterwards.
    again = proposed(world, **update(home))["id"]
    late = without_visit(world, people[0], again)
    approve_change(world, again)
    assert centre_says(world, again, "confirmed").status_code == 200
    assert referral(world, late["referral_ids"][0])["state"] == "sent"


@pytest.mark.parametrize("state", ["draft", "approved"])
def test_what_was_confirmed_before_the_complaint_is_forwarded_is_sent_with_it(
    world: World, state: str
) -> None:
    home, people = a_home(world)
    change = proposed(world, **update(home))["id"]
    complaint = bring(world, "at_secretariat", category="program_not_received")
    made = post(world, complaint["id"], people[0], change)
    assert made.status_code == 201
    steps = [("front.1", "submit_without_visit"), (SUPERVISOR, "approve")]
    for who, action in steps if state == "approved" else ():
        done(world, who, complaint["id"], action)
    approve_change(world, change)
    assert centre_says(world, change, "confirmed").status_code == 200
    assert referral(world, made.json()["id"])["state"] == state
    for who, action in steps if state == "draft" else ():
        done(world, who, complaint["id"], action)
    done(world, "manager", complaint["id"], "forward")
    assert referral(world, made.json()["id"])["state"] == "sent"


def test_forward_sends_nothing_that_waits_for_a_change_which_has_ended(world: World) -> None:
    home, people = a_home(world)
    change = proposed(world, **update(home))["id"]
    complaint = bring(world, "at_secretariat", category="program_not_received")
    id = post(world, complaint["id"], people[0], change).json()["id"]
    done(world, "front.1", complaint["id"], "submit_without_visit")
    done(world, SUPERVISOR, complaint["id"], "approve")
    # Decided in the moment before the need was drafted.
    world.fetch("update registry_changes set state = 'declined' where id = $1", change)
    settled = done(world, "manager", complaint["id"], "forward")
    assert (settled["state"], settled["outcome"]) == ("answered", "cancelled")
    assert referral(world, id)["reason"] == "registry_change_declined"


@pytest.mark.parametrize("state", ["answered", "forwarded"])
def test_a_complaint_that_refuses_its_change_settles_another_that_waited_for_it(
    world: World, state: str
) -> None:
    home, people = a_home(world)
    first = bring(world, "assigned", category="program_not_received")["id"]
    complaint = surveyed(world, first, [update(home)], waiting_need(people[1], 0))
    [waits], [change] = complaint["referral_ids"], complaint["registry_change_ids"]
    done(world, SUPERVISOR, first, "approve")
    # The same need in another complaint, which goes on meanwhile.
    second = bring(world, "at_secretariat", category="program_not_received")["id"]
    body = {"complaint_id": second, **waiting_need(people[1], None)}
    for _ in range(2):
        linked = world.as_("front.1").post("/referrals", json=body, headers=key())
        assert linked.json()["id"] == waits
    if state == "forwarded":
        # It has a need of its own that nobody has answered.
        own = {"complaint_id": second, **waiting_need(people[0], None, "PIP")}
        assert world.as_("front.1").post("/referrals", json=own, headers=key()).is_success
    for who, action in (
        ("front.1", "submit_without_visit"), (SUPERVISOR, "approve"), ("manager", "forward"),
    ):  # fmt: skip
        done(world, who, second, action)
    assert referral(world, waits)["state"] == "approved"
    done(world, "manager", first, "return_to_supervisor", note="Salah.")
    refuse = [{"registry_change_id": change, "reason": "Salah alamat."}]
    answer = act(world, SUPERVISOR, first, "approve", data={"refuse": refuse})
    assert answer.status_code == 200, answer.text
    assert referral(world, waits)["reason"] == "registry_change_rejected"
    settled = get(world, "front.1", second)
    outcome = "cancelled" if state == "answered" else None
    assert (settled["state"], settled["outcome"]) == (state, outcome)


async def test_a_yes_and_a_cancel_at_once_leave_one_of_them(fresh_world: World) -> None:
    """The centre confirms while the secretariat cancels: sent and cancelled, or cancelled only."""
    world = fresh_world
    for _ in range(2):
        _, id, change = await asyncio.to_thread(awaited, world)
        version = await asyncio.to_thread(etag, world, "front.1", f"/referrals/{id}")
        body = {"action": "cancel", "reason": "Pindah."}
        headers = {"If-Match": version, **key()}
        path = f"/referrals/{id}/actions"
        client = world.as_("back.1")
        said, cancelled = await asyncio.gather(
            asyncio.to_thread(centre_says, world, change, "confirmed"),
            asyncio.to_thread(client.post, path, json=body, headers=headers),
        )
        assert said.status_code == 200
        state = (await asyncio.to_thread(referral, world, id))["state"]
        assert (cancelled.status_code, state) in ((200, "cancelled"), (412, "sent"))
