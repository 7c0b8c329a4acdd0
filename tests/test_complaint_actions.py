"""Every row of the complaint table: what it asks for, what it changes, what it leaves behind."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests import refusals
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    WATES,
    act,
    act_on_referral,
    bring,
    check_registry,
    dismiss,
    done,
    draft_referral,
    event_of,
    events,
    facilitator_id,
    family,
    file,
    get,
    hire,
    me,
    patch,
    save_survey,
    survey_body,
    told_steps,
    version,
)

Json = dict[str, Any]
FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
TOLD = {"how": "in_person", "to": "Siti Aminah"}
WAIVER = {"document": "family_card", "why": "lost", "seen_instead": "Surat RT 003"}
NOTE = "Sudah dijelaskan kepada warga."


# ── words of these tests ─────────────────────────────────────────────────────────────────────


def refused(answer: httpx.Response, status: int, code: str) -> list[tuple[str, str]]:
    """That a call was refused so; where something is wrong, and what."""
    errors = refusals.refused(answer, status, code)["errors"]
    return [(one["pointer"], one["code"]) for one in errors]


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


def hours(first: str, second: str) -> float:
    """From the first moment to the second."""
    return (moment(second) - moment(first)).total_seconds() / 3600


def now(world: World) -> datetime:
    found: datetime = world.fetch("select slrt_now()")[0][0]
    return found


def step(world: World, who: str, before: Json, action: str, **body: Any) -> Json:
    """Take an action that must succeed, and find it written: who, when, from, to, why."""
    # A survey has a version of its own.
    read = None if action == "submit_survey" else version(before)
    after = done(world, who, before["id"], action, if_match=read, **body)
    event = event_of(world, before["id"], action)
    assert (event["from"], event["to"]) == (before["state"], after["state"])
    assert event["by"]["id"] == me(world, who)
    assert event["note"] == body.get("note")
    assert event["reason"] == body.get("reason")
    assert after["version"] == before["version"] + 1
    return after


def referral(world: World, id: str) -> Json:
    found: Json = world.as_("front.1").get(f"/referrals/{id}").json()
    return found


def returned(world: World, **changes: Any) -> Json:
    complaint = bring(world, "awaiting_supervisor", **changes)
    return done(
        world, "supervisor.magersari", complaint["id"], "return_for_correction", note="Lantai?"
    )


def unvisited(world: World, state: str, who: str = "front.1", **changes: Any) -> Json:
    """A complaint whose route needs no visit, with one drafted referral, at a desk or sent up."""
    complaint = bring(world, "at_secretariat", category="program_not_received", **changes)
    draft_referral(world, "front.1", complaint)
    if state == "awaiting_supervisor":
        complaint = done(world, who, complaint["id"], "submit_without_visit")
    return get(world, "front.1", complaint["id"])


# ── resolve_now ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "who"),
    [
        ("received", "puskesos.wates"),
        ("received", "front.2"),
        ("at_secretariat", "back.1"),
        ("at_secretariat", "puskesos.wates"),
    ],
)
def test_what_can_be_answered_at_once_is_closed_and_told_at_once(
    world: World, state: str, who: str
) -> None:
    complaint = bring(world, state)
    drafted = draft_referral(world, who, complaint)
    complaint = get(world, who, complaint["id"])
    closed = step(world, who, complaint, "resolve_now", note=NOTE)
    assert (closed["state"], closed["outcome"], closed["delivery"]) == (
        "closed",
        "resolved",
        "told",
    )
    assert closed["answer"] == NOTE
    assert closed["handled_at"] == closed["informed_at"] == closed["closed_at"]
    assert closed["due_at"] is None
    assert referral(world, drafted["id"])["state"] == "cancelled"
    assert referral(world, drafted["id"])["reason"] == "complaint_ended"


def test_an_answer_at_once_needs_words(world: World) -> None:
    complaint = file(world)
    assert refused(
        act(world, "puskesos.wates", complaint["id"], "resolve_now"), 422, "note_required"
    ) == [("/note", "note_required")]


def test_only_a_desk_answers_at_once(world: World) -> None:
    id = file(world)["id"]
    answer = act(world, "supervisor.magersari", id, "resolve_now", note=NOTE)
    refused(answer, 403, "role_not_allowed")
    refused(act(world, "manager", id, "resolve_now", note=NOTE), 409, "action_not_allowed")
    assert world.as_("puskesos.kauman").get(f"/complaints/{id}").status_code == 404


# ── documents that are missing ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["received", "at_secretariat"])
def test_a_complaint_waits_for_documents_off_the_clock(world: World, state: str) -> None:
    complaint = bring(world, state)
    waiting = step(
        world, "puskesos.wates", complaint, "request_documents",
        data={"missing": ["family_card", "school_letter"]},
    )  # fmt: skip
    assert waiting["state"] == "incomplete"
    assert waiting["documents_missing"] == ["family_card", "school_letter"]
    assert waiting["due_at"] is None
    event = event_of(world, complaint["id"], "request_documents")
    assert waiting["paused_since"] == event["at"]
    assert event["data"]["missing"] == ["family_card", "school_letter"]
    world.advance(hours=5)
    complete = step(
        world, "puskesos.wates", waiting, "complete_documents",
        data={"documents_seen": ["school_letter", "id_card"], "documents_waived": [WAIVER]},
    )  # fmt: skip
    assert complete["state"] == "received"
    assert complete["paused_since"] is None
    assert complete["documents_missing"] == []
    assert complete["documents_seen"] == [
        "id_card", "family_card", "kelurahan_letter", "school_letter",
    ]  # fmt: skip
    assert complete["documents_waived"] == [WAIVER]
    paused = hours(event["at"], event_of(world, complaint["id"], "complete_documents")["at"])
    assert paused == pytest.approx(5, abs=0.1)
    assert hours(complaint["deadline_at"], complete["deadline_at"]) == pytest.approx(paused)
    assert complete["paused_seconds"] == int(paused * 3600)
    assert complete["due_at"] is not None


def test_what_is_missing_must_be_named(world: World) -> None:
    id = file(world)["id"]
    answer = act(world, "puskesos.wates", id, "request_documents")
    assert refused(answer, 422, "missing") == [("/data/missing", "missing")]
    answer = act(world, "puskesos.wates", id, "request_documents", data={"missing": []})
    assert refused(answer, 422, "validation_failed") == [("/data/missing", "too_few")]
    answer = act(world, "puskesos.wates", id, "request_documents", data={"missing": ["passport"]})
    assert refused(answer, 422, "validation_failed") == [("/data/missing/0", "not_an_option")]


def test_the_newest_word_on_a_waived_document_counts(world: World) -> None:
    id = file(world, documents_seen=["id_card", "kelurahan_letter"])["id"]
    assert patch(world, "puskesos.wates", id, documents_waived=[WAIVER]).status_code == 200
    done(world, "puskesos.wates", id, "request_documents", data={"missing": ["family_card"]})
    newer = WAIVER | {"why": "disaster"}
    data = {"documents_seen": [], "documents_waived": [newer]}
    complete = done(world, "puskesos.wates", id, "complete_documents", data=data)
    assert complete["documents_waived"] == [newer]


def test_tries_to_reach_the_citizen_are_recorded(world: World) -> None:
    id = file(world)["id"]
    contact = {"how": "phone", "to": "+628450000001", "result": "not_reached"}
    answer = act(world, "puskesos.wates", id, "record_contact", data=contact)
    refused(answer, 409, "action_not_allowed")
    missing = {"missing": ["family_card"]}
    waiting = done(world, "puskesos.wates", id, "request_documents", data=missing)
    assert refused(
        act(world, "puskesos.wates", id, "record_contact", data={"how": "phone"}),
        422, "action_data",
    ) == [("/data/to", "missing"), ("/data/result", "missing")]  # fmt: skip
    same = step(world, "puskesos.wates", waiting, "record_contact", data=contact)
    assert (same["state"], same["paused_since"]) == ("incomplete", waiting["paused_since"])
    event = event_of(world, id, "record_contact")
    assert event["data"] == {"how": "phone", "result": "not_reached"}


def test_the_archive_asks_for_a_contact_first_and_opens_again_for_a_year(
    fresh_world: World,
) -> None:
    world = fresh_world
    ids = [file(world)["id"] for _ in range(2)]
    for id in ids:
        done(world, "puskesos.wates", id, "request_documents", data={"missing": ["id_card"]})
        drafted = draft_referral(world, "puskesos.wates", {"id": id})
    for _ in range(3):
        world.advance(days=10, minutes=1)
        world.sweep("incomplete")
    assert {get(world, "front.1", id)["state"] for id in ids} == {"incomplete"}
    contact = {"how": "in_person", "to": "Jalan Raya Wates 12", "result": "not_reached"}
    for id in ids:
        done(world, "puskesos.wates", id, "record_contact", data=contact)
    world.sweep("incomplete")
    for id in ids:
        archived = get(world, "front.1", id)
        assert (archived["state"], archived["outcome"]) == ("closed", "archived")
        assert (archived["delivery"], archived["informed_at"]) == ("pending", None)
        assert archived["closed_at"] is not None
        assert event_of(world, id, "archive")["by"]["role"] == "system"
        refused(act(world, "front.1", id, "reopen"), 409, "action_not_allowed")
    assert referral(world, drafted["id"])["state"] == "cancelled"
    world.advance(days=364)
    data = {"documents_seen": ["id_card"]}
    again = done(world, "puskesos.wates", ids[0], "complete_documents", data=data)
    assert again["state"] == "received"
    assert again["outcome"] is again["closed_at"] is again["handled_at"] is None
    # What the citizen took to bring the papers is not counted against the office.
    assert moment(again["deadline_at"]) > now(world)
    world.advance(days=2)
    answer = act(world, "puskesos.wates", ids[1], "complete_documents", data=data)
    refused(answer, 409, "action_not_allowed")


# ── forward_to_secretariat: documents, the check, the household ──────────────────────────────


def test_each_document_of_the_route_is_recorded_or_waived_before_it_goes_on(world: World) -> None:
    id = file(world, documents_seen=["id_card", "kelurahan_letter"])["id"]
    check_registry(world, id)
    refused(act(world, "puskesos.wates", id, "forward_to_secretariat"), 409, "documents_missing")
    assert patch(world, "puskesos.wates", id, documents_waived=[WAIVER]).status_code == 200
    complaint = get(world, "puskesos.wates", id)
    assert "forward_to_secretariat" in complaint["actions"]
    sent = step(world, "puskesos.wates", complaint, "forward_to_secretariat")
    assert sent["state"] == "at_secretariat"
    assert hours(event_of(world, id, "forward_to_secretariat")["at"], sent["due_at"]) == 6


def test_the_registry_check_of_the_route_is_recorded_before_it_goes_on(world: World) -> None:
    complaint = file(world)
    answer = act(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")
    refused(answer, 409, "check_missing")
    assert "forward_to_secretariat" not in complaint["actions"]


@pytest.mark.parametrize(
    ("filed", "enough"),
    [
        ({"kind": "question", "category": None}, []),
        ({"kind": "suggestion", "category": None}, []),
        ({"category": "service_quality"}, []),
        ({"category": "illegal_fee"}, []),
        ({"category": "other"}, []),
        ({"category": "card_problem"}, ["id_card"]),
        ({"category": "program_not_received"}, ["id_card"]),
        ({"category": "death_report"}, ["death_certificate"]),
        ({"category": "death_report"}, ["kelurahan_letter"]),
        ({"category": "death_report"}, ["other"]),
        ({"category": "inclusion_request"}, ["id_card", "family_card", "kelurahan_letter"]),
        ({"category": "exclusion_objection"}, ["id_card", "family_card", "kelurahan_letter"]),
        ({"category": "data_correction"}, ["id_card", "family_card", "kelurahan_letter"]),
    ],
    ids=lambda value: "-".join(map(str, value.values() if isinstance(value, dict) else value)),
)
def test_a_route_asks_for_these_documents_and_no_more(
    world: World, filed: Json, enough: list[str]
) -> None:
    id = file(world, documents_seen=enough[:-1], **filed)["id"]
    if enough:
        check_registry(world, id)
        refused(
            act(world, "puskesos.wates", id, "forward_to_secretariat"), 409, "documents_missing"
        )
        assert patch(world, "puskesos.wates", id, documents_seen=enough).status_code == 200
    sent = done(world, "puskesos.wates", id, "forward_to_secretariat")
    assert sent["state"] == "at_secretariat"


def test_an_emergency_goes_on_without_documents_and_check(world: World) -> None:
    complaint = file(world, documents_seen=[], priority="emergency")
    sent = step(world, "puskesos.wates", complaint, "forward_to_secretariat")
    assert hours(event_of(world, sent["id"], "forward_to_secretariat")["at"], sent["due_at"]) == 1


@pytest.mark.parametrize(
    ("by", "village"), [("national_id", KAUMAN), ("family_card_number", WATES)]
)
def test_a_registered_person_links_the_household(world: World, by: str, village: str) -> None:
    known = family(world, village)
    subject = {by: known[by], "name": known["name"]}
    id = file(world, subject=subject, reporter={"name": "Ketua RT", "relation": "official"})["id"]
    checked = check_registry(world, id)
    assert (checked["outcome"], checked["household_id"]) == ("registered", known["household_id"])
    # A check is kept, and moves neither version nor clock.
    assert get(world, "puskesos.wates", id)["version"] == 1
    sent = done(world, "puskesos.wates", id, "forward_to_secretariat")
    assert sent["household_id"] == known["household_id"]
    assert sent["registry_check"]["outcome"] == "registered"


def test_the_check_speaks_of_the_reporter_who_speaks_for_themself(world: World) -> None:
    known = family(world)
    reporter = {"name": known["name"], "national_id": known["national_id"]}
    of_self = file(world, reporter=reporter | {"relation": "self"})["id"]
    of_another = file(world, reporter=reporter | {"relation": "neighbour"})["id"]
    assert check_registry(world, of_self)["outcome"] == "registered"
    assert check_registry(world, of_another)["outcome"] == "unregistered"


def test_an_unregistered_person_goes_on_without_a_household(world: World) -> None:
    id = file(world)["id"]
    assert check_registry(world, id)["outcome"] == "unregistered"
    assert done(world, "puskesos.wates", id, "forward_to_secretariat")["household_id"] is None


def test_where_no_registry_is_loaded_a_complaint_goes_on(fresh_world: World) -> None:
    fresh_world.fetch("truncate households cascade")
    id = file(fresh_world)["id"]
    assert check_registry(fresh_world, id)["outcome"] == "no_registry"
    sent = done(fresh_world, "puskesos.wates", id, "forward_to_secretariat")
    assert (sent["state"], sent["household_id"]) == ("at_secretariat", None)


def test_of_similar_households_the_desk_names_one_or_none(fresh_world: World) -> None:
    world = fresh_world
    known = family(world)
    others = world.fetch(
        "select id, household_id from members where household_id <> $1 order by id limit 1",
        known["household_id"],
    )
    world.fetch(
        "update members set national_id_index = (select national_id_index from members where id ="
        " $1) where id = $2",
        known["member_id"], others[0]["id"],
    )  # fmt: skip
    other = str(others[0]["household_id"])
    ids = [file(world, subject={"national_id": known["national_id"]})["id"] for _ in range(3)]
    for id in ids:
        checked = check_registry(world, id)
        assert (checked["outcome"], checked["household_id"]) == ("similar", None)
        offered = {one["household_id"] for one in checked["candidates"]}
        assert offered == {known["household_id"], other}
    first = ids[0]
    refused(
        act(world, "puskesos.wates", first, "forward_to_secretariat"),
        422, "household_choice_required",
    )  # fmt: skip
    strange = {"household_id": "019a0000-0000-7000-8000-000000000000"}
    refused(
        act(world, "puskesos.wates", first, "forward_to_secretariat", data=strange),
        422, "unknown_household",
    )  # fmt: skip
    one = done(
        world, "puskesos.wates", first, "forward_to_secretariat", data={"household_id": other}
    )
    assert one["household_id"] == other
    none = done(
        world, "puskesos.wates", ids[1], "forward_to_secretariat", data={"household_id": None}
    )
    assert none["household_id"] is None


@pytest.mark.parametrize(
    ("document", "drafted"), [("id_card", 1), ("family_card", 1), ("kelurahan_letter", 0)]
)
def test_who_lacks_an_id_or_family_card_is_referred_to_the_civil_registry(
    world: World, document: str, drafted: int
) -> None:
    papers = {"id_card", "family_card", "kelurahan_letter"} - {document}
    id = file(world, documents_seen=sorted(papers), subject={"name": "Mbah Karto"})["id"]
    waiver = WAIVER | {"document": document}
    assert patch(world, "puskesos.wates", id, documents_waived=[waiver]).status_code == 200
    check_registry(world, id)
    sent = done(world, "puskesos.wates", id, "forward_to_secretariat")
    assert len(sent["referral_ids"]) == drafted
    for one in (referral(world, id) for id in sent["referral_ids"]):
        assert (one["program_code"], one["origin"], one["state"]) == ("ADMINDUK", "waiver", "draft")
        assert one["beneficiary"]["name"] == "Mbah Karto"
    # Sent back for documents and on again, it is drafted no second time.
    done(world, "front.1", id, "request_documents", data={"missing": ["school_letter"]})
    done(world, "puskesos.wates", id, "complete_documents", data={"documents_seen": []})
    again = done(world, "puskesos.wates", id, "forward_to_secretariat")
    assert again["referral_ids"] == sent["referral_ids"]


# ── assign, reassign, hand back ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["front.1", "back.2", "supervisor.magersari"])
def test_any_active_facilitator_of_the_city_may_be_assigned(world: World, who: str) -> None:
    complaint = get(world, who, bring(world, "at_secretariat")["id"])
    chosen = me(world, "facilitator.kauman.1")
    given = step(world, who, complaint, "assign", data={"facilitator_id": chosen})
    assert (given["state"], given["assigned_to"]["id"]) == ("assigned", chosen)
    event = event_of(world, complaint["id"], "assign")
    assert event["data"] == {"assigned_to": chosen}
    assert hours(event["at"], given["due_at"]) == 18
    assert told_steps(world, "facilitator.kauman.1", complaint["id"]) == ["assigned"]
    assert get(world, "facilitator.kauman.1", complaint["id"])["actions"] == [
        "hand_back", "record_visit_attempt", "submit_survey",
    ]  # fmt: skip


def test_only_an_active_facilitator_can_be_assigned(world: World) -> None:
    id = bring(world, "at_secretariat")["id"]
    gone = hire(world, "facilitator.gone", ("facilitator", WATES))
    dismiss(world, "facilitator.gone")
    nobody = "019a0000-0000-7000-8000-000000000000"
    for chosen in (gone, me(world, "front.1"), nobody):
        answer = act(world, "front.1", id, "assign", data={"facilitator_id": chosen})
        place = [("/data/facilitator_id", "unknown_facilitator")]
        assert refused(answer, 422, "unknown_facilitator") == place
    answer = act(world, "front.1", id, "assign")
    assert refused(answer, 422, "missing") == [("/data/facilitator_id", "missing")]


def test_a_desk_in_the_village_or_a_supervisor_elsewhere_assigns_nobody(world: World) -> None:
    id = bring(world, "at_secretariat")["id"]
    data = {"facilitator_id": facilitator_id(world)}
    refused(act(world, "puskesos.wates", id, "assign", data=data), 403, "role_not_allowed")
    assert world.as_("supervisor.kranggan").get(f"/complaints/{id}").status_code == 404


@pytest.mark.parametrize("who", ["back.1", "supervisor.magersari"])
def test_a_reassignment_begins_the_stage_anew_and_keeps_promise_and_drafts(
    world: World, who: str
) -> None:
    complaint = bring(world, "assigned")
    drafted = draft_referral(world, FIRST, complaint)
    assert save_survey(world, complaint["id"]).status_code == 200
    complaint = get(world, who, complaint["id"])
    world.advance(hours=2)
    data = {"facilitator_id": me(world, SECOND)}
    given = step(world, who, complaint, "reassign", data=data)
    assert (given["state"], given["assigned_to"]["id"]) == ("assigned", me(world, SECOND))
    assert given["deadline_at"] == complaint["deadline_at"]
    assert hours(event_of(world, given["id"], "reassign")["at"], given["due_at"]) == 18
    assert referral(world, drafted["id"])["state"] == "draft"
    kept = world.as_(SECOND).get(f"/complaints/{given['id']}/survey").json()
    assert kept["answers"]["head_name"] == "Slamet Widodo"
    assert told_steps(world, SECOND, given["id"]) == ["assigned"]
    refused(act(world, FIRST, given["id"], "hand_back", reason="ill"), 409, "action_not_allowed")


def test_a_reassignment_is_to_somebody_else(world: World) -> None:
    complaint = bring(world, "assigned")
    data = {"facilitator_id": facilitator_id(world)}
    answer = act(world, "front.1", complaint["id"], "reassign", data=data)
    refused(answer, 422, "same_facilitator")


def test_a_returned_or_answered_complaint_can_be_reassigned(world: World) -> None:
    for complaint in (returned(world), bring(world, "answered")):
        data = {"facilitator_id": me(world, SECOND)}
        given = done(world, "front.1", complaint["id"], "reassign", data=data)
        assert (given["state"], given["assigned_to"]["id"]) == (
            complaint["state"], me(world, SECOND),
        )  # fmt: skip
    # Whoever is named now tells the citizen.
    assert done(world, SECOND, given["id"], "deliver_answer", data=TOLD)["state"] == "closed"


@pytest.mark.parametrize("reason", ["conflict_of_interest", "ill", "unreachable", "workload"])
def test_a_facilitator_hands_back_with_a_reason(world: World, reason: str) -> None:
    complaint = get(world, FIRST, bring(world, "assigned")["id"])
    back = step(world, FIRST, complaint, "hand_back", reason=reason)
    assert (back["state"], back["assigned_to"]) == ("at_secretariat", None)
    # It may still read what it held, but no longer acts on it.
    assert get(world, FIRST, back["id"])["actions"] == []


def test_a_returned_complaint_can_be_handed_back_too(world: World) -> None:
    back = done(world, FIRST, returned(world)["id"], "hand_back", reason="workload")
    assert (back["state"], back["assigned_to"]) == ("at_secretariat", None)


def test_handing_back_needs_one_of_its_reasons_and_the_assignment(world: World) -> None:
    id = bring(world, "assigned")["id"]
    assert refused(act(world, FIRST, id, "hand_back"), 422, "reason_required") == [
        ("/reason", "reason_required")
    ]
    refused(act(world, FIRST, id, "hand_back", reason="lazy"), 422, "reason_not_allowed")
    refused(act(world, "front.1", id, "hand_back", reason="ill"), 403, "role_not_allowed")
    assert world.as_(SECOND).get(f"/complaints/{id}").status_code == 404


def test_the_proposal_passes_over_whoever_handed_it_back(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "at_secretariat")["id"]
    seen = []
    for _ in range(3):
        world.advance(hours=6, minutes=1)
        assert world.sweep("sla")["failed"] == 0
        complaint = get(world, "front.1", id)
        assert complaint["state"] == "assigned"
        seen.append(complaint["assigned_to"]["id"])
        names = {me(world, f"facilitator.wates.{n}"): f"facilitator.wates.{n}" for n in range(1, 8)}
        done(world, names[seen[-1]], id, "hand_back", reason="workload")
    assert len(set(seen)) == 3
    by = [event["by"] for event in events(world, id) if event["action"] == "assign"]
    assert {(one["role"], one["name"]) for one in by} == {("system", "slrt")}


# ── visits that gave no survey ───────────────────────────────────────────────────────────────


def test_the_third_visit_in_vain_goes_to_the_supervisor_without_a_survey(world: World) -> None:
    complaint = get(world, FIRST, bring(world, "assigned")["id"])
    entered = event_of(world, complaint["id"], "assign")["at"]
    again = step(world, FIRST, complaint, "record_visit_attempt", data={"result": "not_home"})
    assert again["state"] == "assigned"
    assert hours(entered, again["due_at"]) == 18 + 24
    assert again["deadline_at"] == complaint["deadline_at"]
    again = step(world, FIRST, again, "record_visit_attempt", data={"result": "address_not_found"})
    # Never past the promise.
    assert again["due_at"] == complaint["deadline_at"]
    gone = step(world, FIRST, again, "record_visit_attempt", data={"result": "not_home"})
    assert (gone["state"], gone["no_survey"]) == ("awaiting_supervisor", True)
    assert hours(event_of(world, gone["id"], "record_visit_attempt")["at"], gone["due_at"]) == 8
    assert event_of(world, gone["id"], "record_visit_attempt")["data"] == {"result": "not_home"}


@pytest.mark.parametrize("result", ["refused", "moved", "deceased"])
def test_some_visits_end_at_once(world: World, result: str) -> None:
    complaint = get(world, FIRST, bring(world, "assigned")["id"])
    draft_referral(world, FIRST, complaint)
    complaint = get(world, FIRST, complaint["id"])
    gone = step(world, FIRST, complaint, "record_visit_attempt", data={"result": result})
    assert (gone["state"], gone["no_survey"]) == ("awaiting_supervisor", True)
    answer = act(world, "supervisor.magersari", gone["id"], "approve")
    refused(answer, 409, "survey_missing")
    assert "approve" not in get(world, "supervisor.magersari", gone["id"])["actions"]
    # It is returned, answered or rejected instead.
    back = done(
        world, "supervisor.magersari", gone["id"], "return_for_correction", note="Coba lagi."
    )
    assert back["state"] == "returned"
    assert save_survey(world, gone["id"]).status_code == 200
    surveyed = done(world, FIRST, gone["id"], "submit_survey")
    assert surveyed["no_survey"] is False
    assert done(world, "supervisor.magersari", gone["id"], "approve")["state"] == "awaiting_manager"


def test_three_visits_count_anew_after_a_return(world: World) -> None:
    complaint = returned(world)
    for _ in range(2):
        complaint = done(
            world, FIRST, complaint["id"], "record_visit_attempt", data={"result": "not_home"}
        )
    assert complaint["state"] == "returned"


def test_only_the_assigned_facilitator_records_visits(world: World) -> None:
    id = bring(world, "assigned")["id"]
    data = {"result": "not_home"}
    answer = act(world, "puskesos.wates", id, "record_visit_attempt", data=data)
    refused(answer, 403, "role_not_allowed")
    # Of paper it is said whose it is.
    answer = act(world, "front.1", id, "record_visit_attempt", data=data)
    assert refused(answer, 422, "missing") == [("/data/on_behalf_of", "missing")]
    answer = act(world, FIRST, id, "record_visit_attempt", data={"result": "asleep"})
    assert refused(answer, 422, "validation_failed") == [("/data/result", "not_an_option")]


# ── the survey: a draft with a version of its own ────────────────────────────────────────────


def test_a_survey_is_drafted_with_a_version_of_its_own(world: World) -> None:
    complaint = bring(world, "assigned")
    path = f"/complaints/{complaint['id']}/survey"
    empty = world.as_(FIRST).get(path)
    assert empty.headers["etag"] == '"0"'
    assert (empty.json()["version"], empty.json()["answers"]) == (0, {})
    first = save_survey(world, complaint["id"], FIRST)
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert first.json()["author_id"] == me(world, FIRST)
    assert first.json()["submitted_at"] is None
    refused(save_survey(world, complaint["id"], FIRST, if_match='"0"'), 412, "stale_version")
    second = save_survey(world, complaint["id"], FIRST, no_needs=True, program_needs=[])
    assert second.headers["etag"] == '"2"'
    # The complaint itself has not moved.
    assert get(world, FIRST, complaint["id"])["version"] == complaint["version"]
    unsaid = world.as_(FIRST).put(path, json=survey_body(world))
    refused(unsaid, 428, "precondition_required")


def test_submitting_takes_the_version_of_the_survey(world: World) -> None:
    complaint = bring(world, "assigned")
    saved = save_survey(world, complaint["id"])
    answer = act(world, FIRST, complaint["id"], "submit_survey", if_match='"7"')
    refused(answer, 412, "stale_version")
    answer = act(world, FIRST, complaint["id"], "submit_survey", if_match=saved.headers["etag"])
    assert answer.json()["state"] == "awaiting_supervisor"
    assert (
        hours(event_of(world, complaint["id"], "submit_survey")["at"], answer.json()["due_at"]) == 8
    )
    kept = world.as_("supervisor.magersari").get(f"/complaints/{complaint['id']}/survey").json()
    assert kept["submitted_at"] is not None
    # Others read it masked; nobody writes it any more.
    assert kept["answers"]["family_card_number"] == "3576********9004"
    refused(save_survey(world, complaint["id"], FIRST), 409, "action_not_allowed")


def test_an_incomplete_survey_says_what_is_missing(world: World) -> None:
    complaint = bring(world, "assigned")
    answer = act(world, FIRST, complaint["id"], "submit_survey")
    assert refused(answer, 409, "survey_incomplete") == [("", "survey_empty")]
    answers = survey_body(world)["answers"] | {"floor": None}
    del answers["roof"]
    saved = save_survey(
        world, complaint["id"], FIRST, answers=answers, visited_at=None, program_needs=[]
    )
    assert saved.status_code == 200
    answer = act(world, FIRST, complaint["id"], "submit_survey")
    assert set(refused(answer, 409, "survey_incomplete")) == {
        ("/answers/floor", "missing"), ("/answers/roof", "missing"), ("/visited_at", "missing"),
        ("/program_needs", "needs_not_said"),
    }  # fmt: skip
    assert get(world, FIRST, complaint["id"])["state"] == "assigned"


def test_a_draft_must_make_sense_though_it_is_unfinished(world: World) -> None:
    id = bring(world, "assigned")["id"]
    answer = save_survey(world, id, FIRST, answers={"floor": "marshmallow"})
    assert refused(answer, 422, "invalid_answers") == [("/answers/floor", "not_an_option")]
    refused(save_survey(world, id, FIRST, no_needs=True), 422, "needs_contradict")
    refused(save_survey(world, id, FIRST, form_version="2019-1"), 422, "unknown_form_version")
    refused(save_survey(world, id, FIRST, registry_changes=[{}]), 422, "validation_failed")


def test_a_survey_that_names_no_needs_says_so(world: World) -> None:
    id = bring(world, "assigned")["id"]
    assert save_survey(world, id, FIRST, program_needs=[], no_needs=True).status_code == 200
    sent = done(world, FIRST, id, "submit_survey")
    assert (sent["state"], sent["referral_ids"]) == ("awaiting_supervisor", [])
    other = bring(world, "assigned")["id"]
    needs = [{"text": "Seragam sekolah", "sector": "education"}]
    assert save_survey(world, other, FIRST, program_needs=[], other_needs=needs).status_code == 200
    assert done(world, FIRST, other, "submit_survey")["referral_ids"] == []


def test_the_secretariat_types_a_paper_survey_for_its_surveyor(world: World) -> None:
    hire(world, "types.and.decides", ("front_office", "35.76"), ("supervisor", "35.76.02"))
    complaint = bring(world, "assigned")
    id = complaint["id"]
    assert save_survey(world, id, "types.and.decides").status_code == 200
    paper = {"on_behalf_of": me(world, FIRST)}
    sent = step(world, "types.and.decides", complaint, "submit_survey", data=paper, paper=True)
    assert event_of(world, id, "submit_survey")["data"] == paper | {"paper": True}
    survey = world.as_("front.1").get(f"/complaints/{id}/survey").json()
    assert survey["author_id"] == me(world, FIRST)
    # Whoever typed it does not decide on it.
    assert "approve" not in get(world, "types.and.decides", id)["actions"]
    refused(act(world, "types.and.decides", id, "approve"), 403, "four_eyes")
    refused(
        act(world, "types.and.decides", id, "reject", reason="other", note=NOTE), 403, "four_eyes"
    )
    assert done(world, "supervisor.magersari", id, "approve")["state"] == "awaiting_manager"
    assert sent["state"] == "awaiting_supervisor"


def test_a_paper_survey_names_who_made_the_visit(world: World) -> None:
    id = bring(world, "assigned")["id"]
    assert save_survey(world, id, "front.1").status_code == 200
    answer = act(world, "front.1", id, "submit_survey")
    assert refused(answer, 422, "missing") == [("/data/on_behalf_of", "missing")]
    answer = act(world, "front.1", id, "submit_survey", data={"on_behalf_of": me(world, "front.2")})
    assert refused(answer, 422, "unknown_facilitator") == [
        ("/data/on_behalf_of", "unknown_facilitator")
    ]


def test_whoever_surveyed_does_not_decide_on_it(world: World) -> None:
    hire(world, "visits.and.decides", ("facilitator", WATES), ("supervisor", "35.76.02"))
    id = bring(world, "awaiting_supervisor", facilitator="visits.and.decides")["id"]
    for action, body in {
        "approve": {},
        "answer": {"note": NOTE},
        "reject": {"note": NOTE, "reason": "false_statement"},
        "return_for_correction": {"note": NOTE},
    }.items():
        refused(act(world, "visits.and.decides", id, action, **body), 403, "four_eyes")
    assert get(world, "visits.and.decides", id)["actions"] == ["transfer", "join", "set_priority"]


def test_whoever_filed_it_does_not_decide_on_it(world: World) -> None:
    hire(world, "files.and.decides", ("front_office", "35.76"), ("supervisor", "35.76.02"))
    complaint = file(world, "files.and.decides")
    id = complaint["id"]
    check_registry(world, id, "files.and.decides")
    done(world, "files.and.decides", id, "forward_to_secretariat")
    done(world, "files.and.decides", id, "assign", data={"facilitator_id": facilitator_id(world)})
    save_survey(world, id)
    done(world, FIRST, id, "submit_survey")
    refused(act(world, "files.and.decides", id, "approve"), 403, "four_eyes")
    assert done(world, "supervisor.magersari", id, "approve")["state"] == "awaiting_manager"


def test_a_survey_from_a_former_facilitator_is_kept_as_additional(world: World) -> None:
    complaint = bring(world, "assigned")
    id = complaint["id"]
    data = {"facilitator_id": me(world, SECOND)}
    given = done(world, "front.1", id, "reassign", data=data)
    path = f"/complaints/{id}/survey"
    assert world.as_(FIRST).get(path).headers["etag"] == '"0"'
    answer = act(world, FIRST, id, "submit_survey")
    assert refused(answer, 409, "survey_incomplete") == [("", "survey_empty")]
    late = save_survey(world, id, FIRST)
    assert (late.status_code, late.json()["additional"]) == (200, True)
    refused(act(world, FIRST, id, "submit_survey", if_match='"5"'), 412, "stale_version")
    after = done(world, FIRST, id, "submit_survey")
    # The case does not move; the present facilitator's survey is untouched.
    assert (after["state"], after["version"]) == ("assigned", given["version"])
    assert after["referral_ids"] == []
    present = world.as_(SECOND).get(path)
    assert (present.headers["etag"], len(present.json()["additional_surveys"])) == ('"0"', 1)
    assert event_of(world, id, "kept_as_additional")["by"]["id"] == me(world, FIRST)
    # The same again is a new version of the same.
    assert save_survey(world, id, FIRST).headers["etag"] == '"2"'


def test_others_write_no_survey(world: World) -> None:
    id = bring(world, "assigned")["id"]
    refused(save_survey(world, id, "supervisor.magersari"), 403, "role_not_allowed")
    refused(save_survey(world, id, "puskesos.wates"), 403, "role_not_allowed")
    filed_by_facilitator = file(world, FIRST)["id"]
    refused(save_survey(world, filed_by_facilitator, FIRST), 409, "action_not_allowed")


# ── submit_without_visit ─────────────────────────────────────────────────────────────────────


def test_what_needs_no_visit_goes_up_without_one(world: World) -> None:
    complaint = bring(world, "at_secretariat", category="program_not_received")
    answer = act(world, "front.1", complaint["id"], "submit_without_visit")
    refused(answer, 409, "nothing_to_submit")
    draft_referral(world, "front.1", complaint)
    complaint = get(world, "front.1", complaint["id"])
    sent = step(world, "front.1", complaint, "submit_without_visit")
    assert (sent["state"], sent["assigned_to"]) == ("awaiting_supervisor", None)
    # No survey is missing here.
    assert done(world, "supervisor.magersari", sent["id"], "approve")["state"] == "awaiting_manager"


def test_what_needs_a_visit_does_not_go_up_without_one(world: World) -> None:
    complaint = bring(world, "at_secretariat")
    draft_referral(world, "front.1", complaint)
    answer = act(world, "front.1", complaint["id"], "submit_without_visit")
    refused(answer, 409, "visit_required")


def test_an_emergency_goes_up_before_its_visit_and_not_once_it_is_none(world: World) -> None:
    complaint = file(world, priority="emergency")
    done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")
    draft_referral(world, "front.1", complaint)
    done(world, "front.1", complaint["id"], "submit_without_visit")
    assert "approve" in get(world, "supervisor.magersari", complaint["id"])["actions"]
    calm = {"reason": "not_an_emergency", "data": {"priority": "normal"}}
    done(world, "supervisor.magersari", complaint["id"], "set_priority", **calm)
    answer = act(world, "supervisor.magersari", complaint["id"], "approve")
    refused(answer, 409, "survey_missing")


def test_whoever_sent_it_up_without_a_visit_does_not_decide_on_it(world: World) -> None:
    hire(world, "sends.and.decides", ("back_office", "35.76"), ("supervisor", "35.76.02"))
    complaint = unvisited(world, "awaiting_supervisor", who="sends.and.decides")
    refused(act(world, "sends.and.decides", complaint["id"], "approve"), 403, "four_eyes")


# ── what the supervisor decides ──────────────────────────────────────────────────────────────


def test_a_supervisor_returns_for_correction_and_the_second_time_the_manager_is_told(
    world: World,
) -> None:
    complaint = get(world, "supervisor.magersari", bring(world, "awaiting_supervisor")["id"])
    id = complaint["id"]
    answer = act(world, "supervisor.magersari", id, "return_for_correction")
    refused(answer, 422, "note_required")
    back = step(
        world, "supervisor.magersari", complaint, "return_for_correction",
        note="Lantai belum jelas.", data={"fields": ["answers.floor"]},
    )  # fmt: skip
    assert back["state"] == "returned"
    event = event_of(world, id, "return_for_correction")
    assert event["data"] == {"fields": ["answers.floor"]}
    assert hours(event["at"], back["due_at"]) == 6
    assert told_steps(world, FIRST, id) == ["assigned", "returned"]
    assert told_steps(world, "manager", id) == []
    assert save_survey(world, id).headers["etag"] == '"2"'
    done(world, FIRST, id, "submit_survey")
    done(world, "supervisor.magersari", id, "return_for_correction", note="Masih salah.")
    assert told_steps(world, "manager", id) == ["returned_twice"]


def test_without_a_visit_it_is_returned_to_the_secretariat(world: World) -> None:
    complaint = unvisited(world, "awaiting_supervisor")
    back = done(
        world, "supervisor.magersari", complaint["id"], "return_for_correction", note="Ke mana?"
    )
    assert back["state"] == "at_secretariat"
    # From there it can also get a visit after all.
    data = {"facilitator_id": facilitator_id(world)}
    assert done(world, "front.1", back["id"], "assign", data=data)["state"] == "assigned"
    save_survey(world, back["id"])
    done(world, FIRST, back["id"], "submit_survey")
    again = done(world, "supervisor.magersari", back["id"], "return_for_correction", note="Foto?")
    assert again["state"] == "returned"


def test_a_supervisor_approves_item_by_item(world: World) -> None:
    needs = [
        {"program_code": code, "beneficiary": {"name": "Siti Aminah"}}
        for code in ("PKH", "BPNT", "PIP")
    ]
    complaint = bring(world, "assigned")
    save_survey(world, complaint["id"], program_needs=needs)
    complaint = done(world, FIRST, complaint["id"], "submit_survey")
    first, second, third = complaint["referral_ids"]
    refuse = [{"referral_id": second, "reason": "Sudah menerima."}]
    complaint = get(world, "supervisor.magersari", complaint["id"])
    approved = step(world, "supervisor.magersari", complaint, "approve", data={"refuse": refuse})
    assert approved["state"] == "awaiting_manager"
    assert hours(event_of(world, complaint["id"], "approve")["at"], approved["due_at"]) == 6
    assert [referral(world, id)["state"] for id in (first, second, third)] == [
        "approved", "cancelled", "approved",
    ]  # fmt: skip
    assert referral(world, second)["reason"] == "Sudah menerima."


def test_where_nothing_is_left_to_forward_it_is_answered(world: World) -> None:
    complaint = bring(world, "awaiting_supervisor")
    refuse = [{"referral_id": id, "reason": "Sudah menerima."} for id in complaint["referral_ids"]]
    answer = act(world, "supervisor.magersari", complaint["id"], "approve", data={"refuse": refuse})
    refused(answer, 409, "nothing_to_forward")
    needless = bring(world, "assigned")["id"]
    save_survey(world, needless, program_needs=[], no_needs=True)
    done(world, FIRST, needless, "submit_survey")
    refused(act(world, "supervisor.magersari", needless, "approve"), 409, "nothing_to_forward")
    helped = done(world, "supervisor.magersari", needless, "answer", note="Dibantu BAZNAS.")
    assert (helped["state"], helped["outcome"]) == ("answered", "resolved")


def test_only_items_of_the_complaint_can_be_refused(world: World) -> None:
    complaint = bring(world, "awaiting_supervisor")
    stranger = bring(world, "awaiting_supervisor")["referral_ids"][0]
    data = {"refuse": [{"referral_id": stranger, "reason": "Keliru."}]}
    answer = act(world, "supervisor.magersari", complaint["id"], "approve", data=data)
    assert refused(answer, 422, "unknown_item") == [("/data/refuse/0/referral_id", "unknown_item")]


def test_documents_taken_back_are_asked_for_again_before_approval(world: World) -> None:
    complaint = bring(world, "awaiting_supervisor")
    id = complaint["id"]
    assert patch(world, "puskesos.wates", id, documents_seen=["id_card"]).status_code == 200
    refused(act(world, "supervisor.magersari", id, "approve"), 409, "documents_missing")


def test_at_level_1_any_supervisor_of_the_city_decides_and_at_level_2_the_manager(
    fresh_world: World,
) -> None:
    world = fresh_world
    ids = [bring(world, "awaiting_supervisor")["id"] for _ in range(3)]
    assert world.as_("supervisor.kranggan").get(f"/complaints/{ids[0]}").status_code == 404
    refused(act(world, "manager", ids[0], "approve"), 409, "action_not_allowed")
    refused(act(world, "head", ids[0], "approve"), 409, "action_not_allowed")
    world.advance(hours=8, minutes=1)
    for _ in range(2):
        world.sweep("unconfirmed")
    assert get(world, "supervisor.kranggan", ids[0])["escalation_level"] == 1
    approved = done(world, "supervisor.kranggan", ids[0], "approve")
    assert approved["state"] == "awaiting_manager"
    # Who approved keeps it in sight.
    assert get(world, "supervisor.kranggan", ids[0])["state"] == "awaiting_manager"
    refused(act(world, "manager", ids[1], "approve"), 409, "action_not_allowed")
    world.advance(hours=4)
    world.sweep("unconfirmed")
    assert done(world, "manager", ids[1], "approve")["state"] == "awaiting_manager"
    # A level takes the right from nobody.
    assert done(world, "supervisor.magersari", ids[2], "approve")["state"] == "awaiting_manager"


def test_once_the_promise_is_broken_manager_and_head_may_decide(fresh_world: World) -> None:
    world = fresh_world
    ids = [bring(world, "awaiting_supervisor")["id"] for _ in range(2)]
    world.advance(hours=48, minutes=1)
    world.sweep("sla")
    for who, id in zip(("manager", "head"), ids, strict=True):
        assert get(world, who, id)["escalation_level"] == 3
        assert done(world, who, id, "approve")["state"] == "awaiting_manager"


def test_where_no_supervisor_may_the_next_decides_at_once(fresh_world: World) -> None:
    world = fresh_world
    ids = [bring(world, "awaiting_supervisor")["id"] for _ in range(2)]
    dismiss(world, "supervisor.magersari")
    assert done(world, "supervisor.kranggan", ids[0], "approve")["state"] == "awaiting_manager"
    refused(act(world, "manager", ids[1], "approve"), 409, "action_not_allowed")
    dismiss(world, "supervisor.kranggan")
    dismiss(world, "supervisor.prajuritkulon")
    assert done(world, "manager", ids[1], "approve")["state"] == "awaiting_manager"


# ── what the manager decides ─────────────────────────────────────────────────────────────────


def test_a_manager_forwards_what_was_approved(world: World) -> None:
    complaint = get(world, "manager", bring(world, "awaiting_manager")["id"])
    sent = step(world, "manager", complaint, "forward")
    assert (sent["state"], sent["outcome"], sent["due_at"]) == ("forwarded", None, None)
    assert sent["handled_at"] == event_of(world, sent["id"], "forward")["at"]
    [id] = sent["referral_ids"]
    assert referral(world, id)["state"] == "sent"
    assert referral(world, id)["sent_at"] == sent["handled_at"]


def test_a_manager_returns_to_the_supervisor(world: World) -> None:
    complaint = get(world, "manager", bring(world, "awaiting_manager")["id"])
    refused(act(world, "manager", complaint["id"], "return_to_supervisor"), 422, "note_required")
    back = step(world, "manager", complaint, "return_to_supervisor", note="Nama tidak sama.")
    assert back["state"] == "awaiting_supervisor"
    assert [referral(world, id)["state"] for id in back["referral_ids"]] == ["draft"]
    again = done(world, "supervisor.magersari", back["id"], "approve")
    assert [referral(world, id)["state"] for id in again["referral_ids"]] == ["approved"]


def test_whoever_approved_does_not_forward(fresh_world: World) -> None:
    world = fresh_world
    hire(world, "approves.and.forwards", ("supervisor", "35.76.02"), ("manager", "35.76"))
    ids = [bring(world, "awaiting_supervisor")["id"] for _ in range(4)]
    for id in ids:
        done(world, "approves.and.forwards", id, "approve")
        for action, body in {
            "forward": {}, "answer": {"note": NOTE}, "return_to_supervisor": {"note": NOTE},
            "reject": {"note": NOTE, "reason": "other"},
        }.items():  # fmt: skip
            refused(act(world, "approves.and.forwards", id, action, **body), 403, "four_eyes")
    # While a manager without part in it is there, nobody else forwards.
    refused(act(world, "head", ids[0], "forward"), 409, "action_not_allowed")
    assert done(world, "manager", ids[0], "forward")["state"] == "forwarded"
    dismiss(world, "manager")
    assert done(world, "head", ids[1], "forward")["state"] == "forwarded"
    assert done(world, "supervisor.kranggan", ids[2], "forward")["state"] == "forwarded"
    assert get(world, "supervisor.kranggan", ids[2])["state"] == "forwarded"
    assert done(world, "supervisor.magersari", ids[3], "forward")["state"] == "forwarded"


def test_a_supervisor_with_part_in_it_does_not_forward(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "awaiting_manager")["id"]
    dismiss(world, "manager")
    refused(act(world, "supervisor.magersari", id, "forward"), 409, "action_not_allowed")
    assert "forward" in get(world, "supervisor.prajuritkulon", id)["actions"]
    assert done(world, "head", id, "forward")["state"] == "forwarded"


def test_forwarding_what_the_secretariat_cancelled_settles_it_at_once(world: World) -> None:
    complaint = bring(world, "awaiting_manager")
    for id in complaint["referral_ids"]:
        answer = act_on_referral(world, "front.1", id, "cancel", reason="Sudah dibantu.")
        assert answer.status_code == 200
    settled = done(world, "manager", complaint["id"], "forward")
    assert (settled["state"], settled["outcome"]) == ("answered", "cancelled")
    assert event_of(world, complaint["id"], "settle")["by"]["role"] == "system"


# ── answer and reject ────────────────────────────────────────────────────────────────────────

ANSWERERS = {
    "at_secretariat": ["front.1", "back.2", "supervisor.magersari"],
    "assigned": ["front.2", "supervisor.magersari"],
    "returned": ["back.1", "supervisor.magersari"],
    "awaiting_supervisor": ["supervisor.magersari"],
    "awaiting_manager": ["manager"],
}
REJECTERS = {
    "received": ["puskesos.wates", "front.1"],
    "at_secretariat": ["puskesos.wates", "front.1", "back.2"],
    "assigned": ["supervisor.magersari"],
    "returned": ["supervisor.magersari"],
    "awaiting_supervisor": ["supervisor.magersari"],
    "awaiting_manager": ["manager"],
}


def at(world: World, state: str) -> Json:
    return returned(world) if state == "returned" else bring(world, state)


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(state, who) for state, people in table.items() for who in people]


@pytest.mark.parametrize(("state", "who"), pairs(ANSWERERS))
def test_it_is_answered_in_plain_words_from_each_state(world: World, state: str, who: str) -> None:
    complaint = at(world, state)
    # Nothing is drafted once it is with the supervisor; the survey has drafted then.
    if state in ("at_secretariat", "assigned"):
        draft_referral(world, "front.1", complaint)
    complaint = get(world, who, complaint["id"])
    refused(act(world, who, complaint["id"], "answer"), 422, "note_required")
    answered = step(world, who, complaint, "answer", note="Dibantu BAZNAS.")
    assert (answered["state"], answered["outcome"]) == ("answered", "resolved")
    assert (answered["delivery"], answered["informed_at"]) == ("pending", None)
    assert (answered["answer"], answered["reason"]) == ("Dibantu BAZNAS.", None)
    event = event_of(world, complaint["id"], "answer")
    assert answered["handled_at"] == event["at"]
    assert hours(event["at"], answered["due_at"]) == 72
    assert [referral(world, id)["state"] for id in answered["referral_ids"]] == ["cancelled"]


@pytest.mark.parametrize(("state", "who"), pairs(REJECTERS))
def test_it_is_rejected_with_reason_and_words_from_each_state(
    world: World, state: str, who: str
) -> None:
    complaint = at(world, state)
    if state in ("received", "at_secretariat", "assigned"):
        draft_referral(world, "front.1", complaint)
    complaint = get(world, who, complaint["id"])
    id = complaint["id"]
    assert refused(act(world, who, id, "reject"), 422, "action_data") == [
        ("/note", "note_required"), ("/reason", "reason_required"),
    ]  # fmt: skip
    early = state in ("received", "at_secretariat")
    if early:
        # Whether it is true, a desk does not judge.
        answer = act(world, who, id, "reject", note=NOTE, reason="false_statement")
        refused(answer, 422, "reason_not_allowed")
    reason = "out_of_area" if early else "false_statement"
    closed = step(world, who, complaint, "reject", note=NOTE, reason=reason)
    assert (closed["state"], closed["outcome"]) == ("answered", "rejected")
    assert (closed["reason"], closed["answer"]) == (reason, NOTE)
    assert closed["delivery"] == "pending"
    assert [referral(world, id)["state"] for id in closed["referral_ids"]] == ["cancelled"]


@pytest.mark.parametrize(
    ("action", "state", "who", "status", "code"),
    [
        ("answer", "received", "front.1", 409, "action_not_allowed"),
        ("answer", "at_secretariat", "puskesos.wates", 403, "role_not_allowed"),
        ("answer", "assigned", FIRST, 403, "role_not_allowed"),
        ("answer", "awaiting_supervisor", "front.1", 409, "action_not_allowed"),
        ("answer", "awaiting_supervisor", "manager", 409, "action_not_allowed"),
        ("answer", "awaiting_manager", "supervisor.magersari", 409, "action_not_allowed"),
        ("reject", "assigned", "front.1", 409, "action_not_allowed"),
        ("reject", "assigned", FIRST, 403, "role_not_allowed"),
        ("reject", "at_secretariat", "supervisor.magersari", 409, "action_not_allowed"),
        ("reject", "awaiting_manager", "head", 409, "action_not_allowed"),
        ("reject", "forwarded", "manager", 409, "action_not_allowed"),
        ("forward", "awaiting_manager", "front.1", 403, "role_not_allowed"),
        ("approve", "awaiting_supervisor", FIRST, 403, "role_not_allowed"),
        ("close_unanswered", "forwarded", "front.1", 403, "role_not_allowed"),
    ],
)
def test_nobody_else_decides(
    world: World, action: str, state: str, who: str, status: int, code: str
) -> None:
    id = at(world, state)["id"]
    answer = act(world, who, id, action, note=NOTE, reason="out_of_area")
    refused(answer, status, code)


def test_what_the_system_does_is_nobodys_to_take(world: World) -> None:
    complaint = bring(world, "forwarded")
    refused(act(world, "manager", complaint["id"], "settle"), 403, "role_not_allowed")
    waiting = file(world)["id"]
    done(world, "front.1", waiting, "request_documents", data={"missing": ["id_card"]})
    refused(act(world, "front.1", waiting, "archive"), 403, "role_not_allowed")
    refused(act(world, "front.1", waiting, "submit"), 422, "unknown_action")


def test_what_no_owner_answers_is_closed_after_120_days_and_a_later_answer_still_told(
    fresh_world: World,
) -> None:
    world = fresh_world
    complaint = bring(world, "forwarded")
    [item] = complaint["referral_ids"]
    world.advance(days=119)
    answer = act(world, "manager", complaint["id"], "close_unanswered", note=NOTE)
    refused(answer, 409, "too_early")
    world.advance(days=1, minutes=1)
    refused(act(world, "manager", complaint["id"], "close_unanswered"), 422, "note_required")
    complaint = get(world, "head", complaint["id"])
    closed = step(world, "head", complaint, "close_unanswered", note=NOTE)
    assert (closed["state"], closed["outcome"]) == ("answered", "unanswered")
    assert closed["answer"] == NOTE
    assert done(world, FIRST, closed["id"], "deliver_answer", data=TOLD)["state"] == "closed"
    assert referral(world, item)["informed_at"] is None
    # The owner answers at last: taken, and the facilitator is told to tell.
    assert act_on_referral(world, "program.1", item, "grant").status_code == 200
    after = get(world, "front.1", closed["id"])
    assert (after["state"], after["outcome"]) == ("closed", "unanswered")
    assert told_steps(world, FIRST, item) == ["answered"]
    told = act_on_referral(world, FIRST, item, "deliver_answer", data=TOLD)
    assert told.json()["informed_at"] is not None


# ── deliver_answer ───────────────────────────────────────────────────────────────────────────


def test_the_answer_told_closes_the_case(world: World) -> None:
    complaint = get(world, FIRST, bring(world, "answered")["id"])
    closed = step(world, FIRST, complaint, "deliver_answer", data=TOLD | {"satisfaction": 4})
    assert (closed["state"], closed["outcome"], closed["delivery"]) == ("closed", "granted", "told")
    event = event_of(world, closed["id"], "deliver_answer")
    assert closed["informed_at"] == closed["closed_at"] == event["at"]
    assert event["data"] == {"how": "in_person", "result": "told"}
    for id in closed["referral_ids"]:
        assert referral(world, id)["informed_at"] == closed["informed_at"]
    [row] = world.fetch(
        "select satisfaction, satisfaction_self_typed, told_to from delivery_attempts"
        " where complaint_id = $1",
        closed["id"],
    )
    # Typed by the person rated: kept, but not averaged.
    assert tuple(row) == (4, True, "Siti Aminah")


def test_the_desk_tells_too_and_its_ratings_count(world: World) -> None:
    complaint = get(world, "puskesos.wates", bring(world, "answered")["id"])
    data = {"how": "phone", "to": "+628450000001", "result": "told", "satisfaction": 2}
    step(world, "puskesos.wates", complaint, "deliver_answer", data=data)
    [row] = world.fetch(
        "select satisfaction_self_typed from delivery_attempts where complaint_id = $1",
        complaint["id"],
    )
    assert row[0] is False


def test_where_nobody_visited_the_office_that_took_it_tells(world: World) -> None:
    complaint = file(world)
    data = {"note": NOTE, "reason": "out_of_area"}
    rejected = done(world, "puskesos.wates", complaint["id"], "reject", **data)
    assert rejected["assigned_to"] is None
    closed = done(world, "puskesos.wates", complaint["id"], "deliver_answer", data=TOLD)
    assert (closed["outcome"], closed["delivery"]) == ("rejected", "told")


def test_how_and_to_whom_must_be_said(world: World) -> None:
    id = bring(world, "answered")["id"]
    answer = act(world, FIRST, id, "deliver_answer", data={})
    assert refused(answer, 422, "action_data") == [
        ("/data/how", "missing"), ("/data/to", "missing"),
    ]  # fmt: skip
    answer = act(world, FIRST, id, "deliver_answer", data=TOLD | {"satisfaction": 6})
    assert refused(answer, 422, "validation_failed") == [("/data/satisfaction", "too_large")]
    refused(act(world, "manager", id, "deliver_answer", data=TOLD), 403, "role_not_allowed")


def not_reached(world: World, id: str, how: str, who: str = FIRST) -> Json:
    data = {"how": how, "to": "Siti Aminah", "result": "not_reached"}
    return done(world, who, id, "deliver_answer", data=data)


def test_who_was_not_reached_on_three_days_once_at_home_is_undeliverable(
    fresh_world: World,
) -> None:
    world = fresh_world
    complaint = bring(world, "answered")
    id = complaint["id"]
    for how in ("in_person", "phone", "phone"):
        # Three times on one day are one try.
        assert not_reached(world, id, how)["state"] == "answered"
    world.advance(days=1)
    again = not_reached(world, id, "message")
    assert (again["state"], again["delivery"]) == ("answered", "pending")
    world.advance(days=1)
    gone = not_reached(world, id, "phone")
    assert (gone["state"], gone["delivery"]) == ("closed", "undeliverable")
    # What was decided stays decided.
    assert (gone["outcome"], gone["informed_at"]) == ("granted", None)
    assert gone["closed_at"] is not None


def test_without_a_try_at_home_nobody_is_undeliverable(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "answered")["id"]
    for _ in range(4):
        assert not_reached(world, id, "phone")["state"] == "answered"
        world.advance(days=1)
    assert not_reached(world, id, "in_person")["delivery"] == "undeliverable"


def test_tries_of_a_former_facilitator_count(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "answered")["id"]
    not_reached(world, id, "in_person")
    world.advance(days=1)
    not_reached(world, id, "phone")
    done(world, "front.1", id, "reassign", data={"facilitator_id": me(world, SECOND)})
    world.advance(days=1)
    assert not_reached(world, id, "phone", SECOND)["delivery"] == "undeliverable"


# ── withdraw, reopen ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "state",
    [
        "received", "incomplete", "at_secretariat", "assigned", "returned",
        "awaiting_supervisor", "awaiting_manager",
    ],
)  # fmt: skip
def test_a_citizen_may_take_it_back_before_it_is_forwarded(world: World, state: str) -> None:
    if state == "incomplete":
        complaint = file(world)
        draft_referral(world, "puskesos.wates", complaint)
        data = {"missing": ["school_letter"]}
        complaint = done(world, "puskesos.wates", complaint["id"], "request_documents", data=data)
    else:
        complaint = at(world, state)
    refused(act(world, "puskesos.wates", complaint["id"], "withdraw"), 422, "note_required")
    closed = step(world, "puskesos.wates", complaint, "withdraw", note="Dicabut warga.")
    assert (closed["state"], closed["outcome"]) == ("closed", "withdrawn")
    assert (closed["due_at"], closed["paused_since"]) == (None, None)
    assert closed["closed_at"] is not None
    assert {referral(world, id)["state"] for id in closed["referral_ids"]} <= {"cancelled"}


@pytest.mark.parametrize("state", ["forwarded", "answered", "closed"])
def test_it_is_too_late_to_take_back_what_was_forwarded(world: World, state: str) -> None:
    id = bring(world, state)["id"]
    answer = act(world, "puskesos.wates", id, "withdraw", note="Dicabut.")
    refused(answer, 409, "action_not_allowed")


def test_a_closed_complaint_is_reopened_with_a_new_promise_and_a_clean_sheet(
    world: World,
) -> None:
    complaint = bring(world, "closed")
    world.advance(days=13)
    refused(act(world, "puskesos.wates", complaint["id"], "reopen"), 403, "role_not_allowed")
    again = step(world, "back.1", complaint, "reopen")
    assert (again["state"], again["reopened_count"]) == ("at_secretariat", 1)
    for name in (
        "outcome", "reason", "answer", "handled_at", "informed_at", "closed_at", "assigned_to",
        "breached_at", "paused_since",
    ):  # fmt: skip
        assert again[name] is None, name
    assert again["delivery"] == "pending"
    event = event_of(world, complaint["id"], "reopen")
    assert hours(event["at"], again["deadline_at"]) == 48
    assert hours(event["at"], again["due_at"]) == 6
    assert again["received_at"] == complaint["received_at"]
    # The whole way once more; what was decided before stays in the history.
    data = {"facilitator_id": me(world, SECOND)}
    done(world, "front.1", again["id"], "assign", data=data)
    save_survey(world, again["id"], SECOND)
    done(world, SECOND, again["id"], "submit_survey")
    done(world, "supervisor.magersari", again["id"], "approve")
    assert done(world, "manager", again["id"], "forward")["state"] == "forwarded"
    actions = [event["action"] for event in events(world, again["id"])]
    assert actions.count("forward") == 2


def test_a_complaint_is_reopened_within_14_days(world: World) -> None:
    complaint = bring(world, "closed")
    world.advance(days=14, minutes=1)
    refused(act(world, "front.1", complaint["id"], "reopen"), 409, "reopen_too_late")


def test_a_complaint_is_reopened_at_most_twice(world: World) -> None:
    id = file(world)["id"]
    for _ in range(2):
        done(world, "front.1", id, "resolve_now", note=NOTE)
        done(world, "front.1", id, "reopen")
    done(world, "front.1", id, "resolve_now", note=NOTE)
    refused(act(world, "front.1", id, "reopen"), 409, "reopened_twice")


def test_a_withdrawn_complaint_can_be_reopened(world: World) -> None:
    id = bring(world, "assigned")["id"]
    done(world, "front.1", id, "withdraw", note="Dicabut.")
    assert done(world, "front.1", id, "reopen")["state"] == "at_secretariat"


def test_whoever_rejected_it_does_not_decide_again_once_it_is_reopened(world: World) -> None:
    id = file(world)["id"]
    done(world, "front.1", id, "reject", reason="out_of_area", note=NOTE)
    done(world, "front.1", id, "deliver_answer", data=TOLD)
    done(world, "front.2", id, "reopen")
    for action, body in {
        "reject": {"reason": "out_of_area", "note": NOTE},
        "answer": {"note": NOTE},
        "resolve_now": {"note": NOTE},
    }.items():
        refused(act(world, "front.1", id, action, **body), 403, "four_eyes")
        assert action not in get(world, "front.1", id)["actions"]
    # To send somebody is no decision.
    assert "assign" in get(world, "front.1", id)["actions"]
    answered = done(world, "front.2", id, "answer", note=NOTE)
    assert answered["outcome"] == "resolved"


def test_a_supervisor_who_rejected_it_does_not_decide_again(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "awaiting_supervisor")["id"]
    done(world, "supervisor.magersari", id, "reject", reason="false_statement", note=NOTE)
    done(world, FIRST, id, "deliver_answer", data=TOLD)
    done(world, "front.1", id, "reopen")
    data = {"facilitator_id": facilitator_id(world)}
    done(world, "front.1", id, "assign", data=data)
    save_survey(world, id)
    done(world, FIRST, id, "submit_survey")
    refused(act(world, "supervisor.magersari", id, "approve"), 403, "four_eyes")
    # No other supervisor is left in the district: one of the city decides at once.
    assert done(world, "supervisor.kranggan", id, "approve")["state"] == "awaiting_manager"


# ── set_priority ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["puskesos.wates", "front.1", "supervisor.magersari", "manager"])
def test_an_emergency_is_promised_in_12_hours(world: World, who: str) -> None:
    complaint = file(world)
    entered, received = complaint["recorded_at"], complaint["received_at"]
    assert hours(received, complaint["deadline_at"]) == 48
    urgent = step(
        world, who, complaint, "set_priority", reason="hospital", data={"priority": "emergency"}
    )
    assert (urgent["state"], urgent["priority"]) == ("received", "emergency")
    assert hours(received, urgent["deadline_at"]) == 12
    assert hours(entered, urgent["due_at"]) == 1
    assert event_of(world, complaint["id"], "set_priority")["data"] == {"priority": "emergency"}
    calm = step(
        world, who, urgent, "set_priority",
        reason="not_an_emergency", data={"priority": "normal"},
    )  # fmt: skip
    assert (calm["deadline_at"], calm["due_at"]) == (complaint["deadline_at"], complaint["due_at"])


def test_a_priority_is_set_with_a_reason_before_it_is_forwarded(world: World) -> None:
    id = file(world)["id"]
    answer = act(world, "front.1", id, "set_priority")
    assert refused(answer, 422, "action_data") == [
        ("/data/priority", "missing"), ("/reason", "reason_required"),
    ]  # fmt: skip
    urgent = {"priority": "emergency"}
    answer = act(world, "front.1", id, "set_priority", reason="rich", data=urgent)
    refused(answer, 422, "reason_not_allowed")
    sent = bring(world, "forwarded")["id"]
    answer = act(world, "front.1", sent, "set_priority", reason="hospital", data=urgent)
    refused(answer, 409, "action_not_allowed")
    refused(
        act(world, FIRST, sent, "set_priority", reason="hospital", data=urgent),
        403, "role_not_allowed",
    )  # fmt: skip


def test_a_promise_that_can_be_kept_again_is_no_longer_broken(fresh_world: World) -> None:
    world = fresh_world
    complaint = file(world, priority="emergency")
    world.advance(hours=12, minutes=1)
    world.sweep("sla")
    broken = get(world, "manager", complaint["id"])
    assert (broken["breached_at"] is not None, broken["escalation_level"]) == (True, 3)
    calm = {"reason": "not_an_emergency", "data": {"priority": "normal"}}
    kept = done(world, "manager", complaint["id"], "set_priority", **calm)
    assert kept["breached_at"] is None
    assert kept["escalation_level"] < 3
    world.advance(hours=36)
    world.sweep("sla")
    assert get(world, "manager", complaint["id"])["escalation_level"] == 3
    breaches = [e for e in events(world, complaint["id"]) if e["type"] == "complaint.breached"]
    assert len(breaches) == 2


def test_an_emergency_that_is_late_already_breaks_its_promise(fresh_world: World) -> None:
    world = fresh_world
    complaint = file(world)
    world.advance(hours=13)
    urgent = {"reason": "disaster", "data": {"priority": "emergency"}}
    late = done(world, "front.1", complaint["id"], "set_priority", **urgent)
    assert moment(late["deadline_at"]) < now(world)
    world.sweep("sla")
    assert get(world, "front.1", complaint["id"])["escalation_level"] == 3


# ── when it happened, and what was done on paper ─────────────────────────────────────────────


def test_what_happened_is_dated_as_it_is_claimed(world: World) -> None:
    complaint = bring(world, "answered")
    world.advance(hours=5)
    earlier = (now(world) - timedelta(hours=2)).isoformat()
    closed = done(
        world, FIRST, complaint["id"], "deliver_answer",
        happened_at=earlier, paper=True, data=TOLD,
    )  # fmt: skip
    event = event_of(world, complaint["id"], "deliver_answer")
    assert moment(event["happened_at"]) == moment(earlier)
    assert event["data"]["paper"] is True
    assert moment(closed["informed_at"]) == moment(earlier)
    # The stage ended when it was recorded.
    assert closed["closed_at"] == event["at"]


@pytest.mark.parametrize(("minutes", "flag"), [(9, None), (11, "ahead")])
def test_a_clock_that_runs_ahead_is_flagged_and_not_believed(
    world: World, minutes: int, flag: str | None
) -> None:
    complaint = bring(world, "answered")
    claimed = (now(world) + timedelta(minutes=minutes)).isoformat()
    closed = done(world, FIRST, complaint["id"], "deliver_answer", happened_at=claimed, data=TOLD)
    event = event_of(world, complaint["id"], "deliver_answer")
    assert moment(event["happened_at"]) == moment(claimed)
    assert event["data"].get("clock") == flag
    assert closed["informed_at"] == event["at"]


@pytest.mark.parametrize("paper", [False, True])
def test_a_desk_cannot_have_acted_before_the_previous_step(world: World, paper: bool) -> None:
    complaint = bring(world, "at_secretariat")
    done(world, "front.1", complaint["id"], "set_priority", reason="hospital",
        data={"priority": "emergency"}, happened_at=(now(world)).isoformat())  # fmt: skip
    world.advance(hours=1)
    before = (now(world) - timedelta(hours=1, minutes=5)).isoformat()
    answer = act(
        world, "front.1", complaint["id"], "resolve_now",
        note=NOTE, happened_at=before, paper=paper,
    )  # fmt: skip
    assert refused(answer, 422, "happened_before_previous_step") == [
        ("/happened_at", "happened_before_previous_step")
    ]
    after = (now(world) - timedelta(minutes=55)).isoformat()
    done(
        world, "front.1", complaint["id"], "resolve_now",
        note=NOTE, happened_at=after, paper=paper,
    )  # fmt: skip


def test_steps_done_on_paper_are_typed_one_after_the_other(world: World) -> None:
    """What was done on paper this morning is typed at noon, each step with its own hour."""
    came = now(world) - timedelta(hours=6)
    complaint = file(world, channel="paper", received_at=came.isoformat(), kind="question",
        category=None)  # fmt: skip

    def hour(count: float) -> str:
        return (came + timedelta(hours=count)).isoformat()

    answer = act(world, "puskesos.wates", complaint["id"], "forward_to_secretariat",
        happened_at=hour(-0.5), paper=True)  # fmt: skip
    refused(answer, 422, "happened_before_previous_step")
    done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat",
        happened_at=hour(1), paper=True)  # fmt: skip
    answer = act(world, "front.1", complaint["id"], "resolve_now", note=NOTE,
        happened_at=hour(0.5), paper=True)  # fmt: skip
    refused(answer, 422, "happened_before_previous_step")
    closed = done(world, "front.1", complaint["id"], "resolve_now", note=NOTE,
        happened_at=hour(2), paper=True)  # fmt: skip
    assert moment(closed["informed_at"]) == came + timedelta(hours=2)


def test_a_tablet_whose_clock_runs_behind_is_flagged_and_believed(world: World) -> None:
    complaint = bring(world, "assigned")
    claimed = (now(world) - timedelta(days=400)).isoformat()
    done(
        world, FIRST, complaint["id"], "record_visit_attempt",
        happened_at=claimed, data={"result": "not_home"},
    )  # fmt: skip
    event = event_of(world, complaint["id"], "record_visit_attempt")
    assert event["data"]["clock"] == "behind"
    assert moment(event["happened_at"]) == moment(claimed)


def test_what_is_late_already_when_it_is_typed_raises_no_alarm(fresh_world: World) -> None:
    world = fresh_world
    came = (now(world) - timedelta(hours=49)).isoformat()
    late = file(world, channel="paper", received_at=came)
    assert (late["late_when_recorded"], late["breached_at"]) == (True, None)
    in_time = file(world)
    assert in_time["late_when_recorded"] is False
    # Its stage is on the clock from when it was typed.
    world.advance(hours=4)
    world.sweep("sla")
    assert get(world, "front.1", late["id"])["escalation_level"] == 0
    world.advance(hours=49)
    world.sweep("sla")
    broken = [e["type"] for e in events(world, late["id"])].count("complaint.breached")
    assert (broken, get(world, "front.1", late["id"])["breached_at"]) == (0, None)
    assert get(world, "front.1", in_time["id"])["breached_at"] is not None


# ── correcting what was filed ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["received", "at_secretariat"])
def test_intake_facts_are_corrected_until_it_is_assigned(world: World, state: str) -> None:
    complaint = bring(world, state)
    id = complaint["id"]
    answer = patch(
        world, "puskesos.wates", id,
        narrative="Anak putus sekolah.", sector="education", program_code="PIP",
        category="program_not_received", subject={"name": "Dewi Lestari"},
        reporter={"name": "Siti Aminah binti Karto", "phone": "+628450000002"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["narrative"], after["sector"]) == ("Anak putus sekolah.", "education")
    assert (after["program_code"], after["category"]) == ("PIP", "program_not_received")
    assert after["subject"]["name"] == "Dewi Lestari"
    assert after["reporter"]["name"] == "Siti Aminah binti Karto"
    assert after["reporter"]["phone"] == "+628450000002"
    # What was not sent stays.
    assert after["reporter"]["national_id"] == "3576********9001"
    assert after["version"] == complaint["version"] + 1
    changed = event_of(world, id, "changed")["data"]["fields"]
    assert changed == [
        "category", "narrative", "program_code", "reporter.name", "reporter.phone", "sector",
        "subject",
    ]  # fmt: skip
    assert (after["due_at"], after["deadline_at"]) == (
        complaint["due_at"], complaint["deadline_at"],
    )  # fmt: skip


def test_a_correction_of_the_subject_leaves_the_rest_of_it(world: World) -> None:
    known = family(world)
    id = file(world, subject={"national_id": known["national_id"], "name": "Bu Tin"})["id"]
    check_registry(world, id)
    done(world, "puskesos.wates", id, "forward_to_secretariat")
    after = patch(world, "front.1", id, subject={"name": known["name"]}).json()
    assert after["subject"]["name"] == known["name"]
    assert after["subject"]["national_id"] is not None
    assert after["household_id"] == known["household_id"]
    after = patch(world, "front.1", id, subject={"national_id": None}).json()
    assert (after["subject"]["name"], after["subject"]["national_id"]) == (known["name"], None)
    after = patch(world, "front.1", id, subject=None).json()
    assert (after["subject"], after["household_id"]) == (None, None)


@pytest.mark.parametrize("state", ["assigned", "awaiting_manager", "forwarded", "answered"])
def test_documents_and_contact_are_corrected_until_it_is_closed(world: World, state: str) -> None:
    id = bring(world, state)["id"]
    answer = patch(
        world, "puskesos.wates", id,
        documents_seen=["id_card", "id_card"], documents_waived=[WAIVER],
        reporter={"phone": None, "address": "Jalan Raya Wates 12"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["documents_seen"] == ["id_card"]
    assert answer.json()["documents_waived"] == [WAIVER]
    assert answer.json()["reporter"]["address"] == "Jalan Raya Wates 12"
    refused(patch(world, "puskesos.wates", id, narrative="X"), 409, "no_longer_changeable")
    name = {"phone": None, "name": "X"}
    refused(patch(world, "puskesos.wates", id, reporter=name), 409, "no_longer_changeable")


def test_nothing_is_corrected_once_it_is_closed(world: World) -> None:
    id = bring(world, "closed")["id"]
    answer = patch(world, "puskesos.wates", id, documents_seen=["id_card"])
    refused(answer, 409, "no_longer_changeable")


def test_the_assigned_facilitator_corrects_too_and_others_do_not(world: World) -> None:
    id = bring(world, "assigned")["id"]
    phone = {"phone": "+628450000003"}
    assert patch(world, FIRST, id, reporter=phone).status_code == 200
    refused(patch(world, "supervisor.magersari", id, reporter=phone), 403, "role_not_allowed")
    stale = world.as_(FIRST).patch(
        f"/complaints/{id}", json={"reporter": phone}, headers={"If-Match": '"1"'}
    )
    refused(stale, 412, "stale_version")


def test_only_a_complaint_has_a_category(world: World) -> None:
    complaint = file(world)
    id = complaint["id"]
    refused(patch(world, "puskesos.wates", id, kind="question"), 422, "category_not_allowed")
    asked = patch(world, "puskesos.wates", id, kind="question", category=None).json()
    assert (asked["kind"], asked["category"]) == ("question", None)
    refused(patch(world, "puskesos.wates", id, category="other"), 422, "category_not_allowed")
    # A complaint without one is of some other kind.
    assert patch(world, "puskesos.wates", id, kind="complaint").json()["category"] == "other"
    refused(patch(world, "puskesos.wates", id, program_code="NASI"), 422, "unknown_program")


def test_a_correction_names_a_household_of_the_city(world: World) -> None:
    id = file(world)["id"]
    strange = {"household_id": "019a0000-0000-7000-8000-000000000000"}
    answer = patch(world, "puskesos.wates", id, subject=strange)
    assert refused(answer, 422, "unknown_household") == [
        ("/subject/household_id", "unknown_household")
    ]
    elsewhere = family(world, KAUMAN)["household_id"]
    assert patch(world, "puskesos.wates", id, subject={"household_id": elsewhere}).is_success


def test_a_correction_warns_of_a_number_that_cannot_be(world: World) -> None:
    complaint = file(world, reporter={"name": "Bu Baru", "relation": "self"})
    assert complaint["warnings"] == []
    bad = {"national_id": "3576024599849001"}
    warned = patch(world, "puskesos.wates", complaint["id"], reporter=bad).json()
    assert warned["warnings"] == ["national_id_structure"]
    mended = patch(
        world, "puskesos.wates", complaint["id"], reporter={"national_id": "3576024507849017"}
    ).json()
    assert mended["warnings"] == []


# ── questions and suggestions ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["question", "suggestion"])
def test_questions_and_suggestions_need_no_route(world: World, kind: str) -> None:
    asked = file(world, kind=kind, category=None, documents_seen=[], reporter={
        "name": "Bu Tin", "relation": "self"})  # fmt: skip
    assert "resolve_now" in asked["actions"]
    sent = done(world, "puskesos.wates", asked["id"], "forward_to_secretariat")
    # It can be answered, or sent up once something is drafted; a visit is not asked for.
    assert {"answer", "resolve_now"} <= set(get(world, "front.1", sent["id"])["actions"])
    draft_referral(world, "front.1", sent)
    assert "submit_without_visit" in get(world, "front.1", sent["id"])["actions"]
    done(world, "front.1", sent["id"], "submit_without_visit")
    assert done(world, "supervisor.magersari", sent["id"], "approve")["state"] == "awaiting_manager"
