"""Referrals: drafted from needs, sent with their complaint, answered by their owner alone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from app.settings import DEMO_CLIENT_SECRET
from tests import refusals
from tests.conftest import World
from tests.flows import (
    WATES,
    act,
    act_on_referral,
    bring,
    check_registry,
    dismiss,
    done,
    draft_referral,
    event_of,
    family,
    file,
    get,
    hire,
    key,
    me,
    patch,
    save_survey,
    told_steps,
)
from tests.referring import (
    FIRST,
    OWNER,
    SECOND,
    SUPERVISOR,
    Json,
    approved,
    did,
    forwarded,
    named,
    need,
    referral,
    surveyed,
)

TOLD = {"how": "in_person", "to": "Siti Aminah"}
NOBODY = "019a0000-0000-7000-8000-000000000000"
REASONS = [
    "quota_full", "not_eligible", "already_served", "incomplete_file",
    "beneficiary_unreachable", "deceased", "other",
]  # fmt: skip
OPEN = ("approved", "sent", "received", "info_requested", "waitlisted")


# ── words of these tests ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def members(world: World) -> Iterator[Json]:
    """Members of the registry that no other test has met."""
    keys = world.cluster.keys.data
    rows = world.fetch(
        "select id, household_id, name, national_id from members"
        " where national_id is not null order by id"
    )
    return iter(
        {
            "member_id": str(row["id"]),
            "household_id": str(row["household_id"]),
            "name": row["name"],
            "national_id": keys.open(row["national_id"], "members", "national_id", row["id"]),
        }
        for row in rows
    )


def refused(answer: httpx.Response, status: int, code: str) -> list[tuple[str, str]]:
    errors = refusals.refused(answer, status, code)["errors"]
    return [(one["pointer"], one["code"]) for one in errors]


def hours(first: str, second: str) -> float:
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return passed.total_seconds() / 3600


def resurvey(world: World, complaint: Json, *needs: Json) -> Json:
    """Return a complaint for correction, and survey it again with other needs."""
    id = complaint["id"]
    done(world, SUPERVISOR, id, "return_for_correction", note="Kebutuhannya lain.")
    assert save_survey(world, id, program_needs=list(needs)).status_code == 200
    return done(world, FIRST, id, "submit_survey")


def post(world: World, who: str, **body: Any) -> httpx.Response:
    return world.as_(who).post("/referrals", json=body, headers=key())


def states(world: World, complaint: Json) -> list[str]:
    """How a complaint's items stand, oldest first."""
    ids = get(world, "front.1", complaint["id"])["referral_ids"]
    return [referral(world, id)["state"] for id in ids]


# ── drafted from the needs of a survey ───────────────────────────────────────────────────────


def test_every_need_of_a_survey_becomes_a_draft(world: World, members: Iterator[Json]) -> None:
    first, second = next(members), next(members)
    complaint = surveyed(
        world, need(first), need(first, "PIP", purpose="payment"), need(second), named("Bu Tin")
    )
    drafts = [referral(world, id) for id in complaint["referral_ids"]]
    assert [(one["program_code"], one["purpose"]) for one in drafts] == [
        ("PKH", "enrol"), ("PIP", "payment"), ("PKH", "enrol"), ("PKH", "enrol"),
    ]  # fmt: skip
    assert {(one["state"], one["origin"]) for one in drafts} == {("draft", "survey")}
    assert {one["region_code"] for one in drafts} == {WATES}
    assert {tuple(one["complaint_ids"]) for one in drafts} == {(complaint["id"],)}
    assert all(one["due_at"] is one["sent_at"] is one["reason"] is None for one in drafts)
    [event] = world.as_(SUPERVISOR).get(f"/referrals/{drafts[0]['id']}/events").json()["items"]
    assert event["type"] == "referral.drafted"


def test_one_need_named_twice_is_one_draft(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    complaint = surveyed(world, need(person), need(person), need(person, purpose="card"))
    assert len(complaint["referral_ids"]) == 2


def test_a_new_survey_makes_the_drafts_of_the_old_one_equal_to_it(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    complaint = surveyed(world, need(person, "PKH"), need(person, "BPNT"))
    kept, dropped = complaint["referral_ids"]
    again = resurvey(world, complaint, need(person, "PKH"), need(person, "PIP"))
    assert states(world, again) == ["draft", "cancelled", "draft"]
    assert again["referral_ids"][:2] == [kept, dropped]
    assert referral(world, dropped)["reason"] == "not_in_survey"
    # Named again, it is drafted anew.
    third = resurvey(world, again, need(person, "BPNT"))
    assert states(world, third) == ["cancelled", "cancelled", "cancelled", "draft"]


def test_drafts_of_the_desk_and_of_waivers_stay_whatever_the_survey_says(
    world: World, members: Iterator[Json]
) -> None:
    waiver = {"document": "id_card", "why": "never_had", "seen_instead": "Surat RT"}
    id = file(world, documents_seen=["family_card", "kelurahan_letter"])["id"]
    assert patch(world, "puskesos.wates", id, documents_waived=[waiver]).status_code == 200
    check_registry(world, id)
    done(world, "puskesos.wates", id, "forward_to_secretariat")
    draft_referral(world, "front.1", {"id": id}, "KIP_KULIAH")
    done(world, "front.1", id, "assign", data={"facilitator_id": me(world, FIRST)})
    draft_referral(world, FIRST, {"id": id}, "KUBE")
    save_survey(world, id, program_needs=[need(next(members))])
    complaint = done(world, FIRST, id, "submit_survey")
    again = resurvey(world, complaint, named("Bu Tin", "BPNT"))
    found = [referral(world, id) for id in again["referral_ids"]]
    assert [(one["program_code"], one["origin"], one["state"]) for one in found] == [
        ("ADMINDUK", "waiver", "draft"), ("KIP_KULIAH", "desk", "draft"),
        ("KUBE", "desk", "draft"), ("PKH", "survey", "cancelled"), ("BPNT", "survey", "draft"),
    ]  # fmt: skip


def test_a_need_says_who_needs_it(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    stranger = {"national_id": "3576024507849002", "name": "Siti Aminah"}
    known = {"national_id": person["national_id"], "name": "Salah Tulis"}
    ways = [
        {"member_id": person["member_id"]},
        {"household_id": person["household_id"]},
        stranger,
        {"name": "Bu Tin"},
    ]
    complaint = surveyed(
        world, *({"program_code": "PIP", "beneficiary": way} for way in ways),
        {"program_code": "PKH", "beneficiary": known},
    )  # fmt: skip
    masked = f"{person['national_id'][:4]}********{person['national_id'][-4:]}"
    member = {
        "member_id": person["member_id"], "household_id": person["household_id"],
        "name": person["name"], "national_id": masked,
    }  # fmt: skip
    nothing = dict.fromkeys(member)
    found = [referral(world, id)["beneficiary"] for id in complaint["referral_ids"]]
    # A household goes by its head.
    household = found.pop(1)
    assert (household["member_id"], household["household_id"], household["name"][:9]) == (
        None, person["household_id"], "Keluarga ",
    )  # fmt: skip
    assert found == [
        member,
        nothing | {"name": "Siti Aminah", "national_id": "3576********9002"},
        nothing | {"name": "Bu Tin"},
        # The national id of a registered member is that member, however the name was typed.
        member,
    ]


def test_a_national_id_and_its_member_are_one_beneficiary(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    typed = {"national_id": person["national_id"], "name": "Salah Tulis"}
    complaint = surveyed(world, need(person), {"program_code": "PKH", "beneficiary": typed})
    assert len(complaint["referral_ids"]) == 1


@pytest.mark.parametrize(
    "beneficiary",
    [
        {},
        {"member_id": NOBODY, "name": "Siti"},
        {"member_id": NOBODY, "household_id": NOBODY},
        {"national_id": "3576024507849001"},
        {"member_id": NOBODY, "national_id": "3576024507849001"},
    ],
)
def test_a_beneficiary_is_named_in_one_way(world: World, beneficiary: Json) -> None:
    id = bring(world, "assigned")["id"]
    answer = save_survey(
        world, id, program_needs=[{"program_code": "PKH", "beneficiary": beneficiary}]
    )
    assert refused(answer, 422, "validation_failed") == [
        ("/program_needs/0/beneficiary", "beneficiary_ambiguous")
    ]


def test_a_need_names_what_there_is(world: World) -> None:
    id = bring(world, "assigned")["id"]
    answer = save_survey(
        world, id,
        program_needs=[
            named("Bu Tin", "NASI"), need({"member_id": NOBODY}),
            {"program_code": "PKH", "beneficiary": {"household_id": NOBODY}},
        ],
    )  # fmt: skip
    assert refused(answer, 422, "unknown_reference") == [
        ("/program_needs/0/program_code", "unknown_program"),
        ("/program_needs/1/beneficiary/member_id", "unknown_member"),
        ("/program_needs/2/beneficiary/household_id", "unknown_household"),
    ]


# ── drafted by hand ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "who"),
    [
        ("received", "puskesos.wates"),
        ("received", "front.1"),
        ("at_secretariat", "back.1"),
        ("assigned", FIRST),
        ("assigned", "puskesos.wates"),
    ],
)
def test_desk_and_assigned_facilitator_draft_before_the_supervisor_decides(
    world: World, members: Iterator[Json], state: str, who: str
) -> None:
    complaint = bring(world, state)
    person = next(members)
    answer = post(world, who, complaint_id=complaint["id"], **need(person, purpose="restore"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/referrals/{made['id']}"
    assert (made["state"], made["origin"], made["purpose"]) == ("draft", "desk", "restore")
    after = get(world, who, complaint["id"])
    assert after["referral_ids"] == [made["id"]]
    assert after["version"] == complaint["version"] + 1
    # The same need again is the same draft.
    again = post(world, who, complaint_id=complaint["id"], **need(person, purpose="restore"))
    assert again.json()["id"] == made["id"]


def test_while_documents_are_missing_and_after_a_return_it_may_be_drafted(world: World) -> None:
    id = file(world)["id"]
    done(world, "front.1", id, "request_documents", data={"missing": ["id_card"]})
    assert post(world, "front.1", complaint_id=id, **named("Bu Tin")).status_code == 201
    back = surveyed(world, named("Bu Tin"))["id"]
    done(world, SUPERVISOR, back, "return_for_correction", note="Kurang satu.")
    assert post(world, FIRST, complaint_id=back, **named("Bu Tin", "PIP")).status_code == 201


@pytest.mark.parametrize(
    "state", ["awaiting_supervisor", "awaiting_manager", "forwarded", "answered", "closed"]
)
def test_it_is_too_late_to_draft_once_the_supervisor_has_it(world: World, state: str) -> None:
    id = bring(world, state)["id"]
    answer = post(world, "front.1", complaint_id=id, **named("Bu Tin", "PIP"))
    refused(answer, 409, "too_late_to_draft")


def test_others_draft_nothing(world: World) -> None:
    id = bring(world, "assigned")["id"]
    for who in (SUPERVISOR, "manager", OWNER, "agency-pkh"):
        answer = post(world, who, complaint_id=id, **named("Bu Tin"))
        refused(answer, 403, "role_not_allowed")
    # What is out of sight is not there.
    for who in (SECOND, "puskesos.kauman"):
        answer = post(world, who, complaint_id=id, **named("Bu Tin"))
        assert refused(answer, 422, "unknown_complaint") == [("/complaint_id", "unknown_complaint")]
    filed = file(world, SECOND)["id"]
    answer = post(world, SECOND, complaint_id=filed, **named("Bu Tin"))
    refused(answer, 403, "role_not_allowed")


def test_a_draft_by_hand_names_what_there_is(world: World) -> None:
    id = file(world)["id"]
    for body, pointer, code in (
        (named("Bu Tin", "NASI"), "/program_code", "unknown_program"),
        (need({"member_id": NOBODY}), "/beneficiary/member_id", "unknown_member"),
        (
            {"program_code": "PKH", "beneficiary": {"household_id": NOBODY}},
            "/beneficiary/household_id", "unknown_household",
        ),
    ):  # fmt: skip
        answer = post(world, "front.1", complaint_id=id, **body)
        assert refused(answer, 422, "unknown_reference") == [(pointer, code)]


# ── approved and sent with the complaint; seen by the right people ───────────────────────────


def test_referrals_are_approved_and_sent_with_their_complaint(
    world: World, members: Iterator[Json]
) -> None:
    complaint = approved(world, need(next(members)), need(next(members)))
    assert states(world, complaint) == ["approved", "approved"]
    done(world, "manager", complaint["id"], "return_to_supervisor", note="Nama tidak sama.")
    assert states(world, complaint) == ["draft", "draft"]
    done(world, SUPERVISOR, complaint["id"], "approve")
    sent = done(world, "manager", complaint["id"], "forward")
    assert states(world, complaint) == ["sent", "sent"]
    one = referral(world, sent["referral_ids"][0])
    assert hours(one["sent_at"], one["due_at"]) == 7 * 24
    steps = world.as_("manager").get(f"/referrals/{one['id']}/events").json()["items"]
    assert [step["action"] for step in steps] == [
        "drafted", "approve", "return", "approve", "send",
    ]  # fmt: skip
    assert [step["by"]["role"] for step in steps[1:]] == [
        "supervisor", "system", "supervisor", "manager",
    ]  # fmt: skip


def client(world: World, name: str, region: str, *scopes: str) -> None:
    """A service client for PKH in a region, signed in."""
    body = {
        "username": name, "name": name, "secret": DEMO_CLIENT_SECRET, "scopes": scopes,
        "region_codes": [region], "program_codes": ["PKH"],
    }  # fmt: skip
    assert world.as_("admin").post("/clients", json=body, headers=key()).status_code == 201
    form = {
        "grant_type": "client_credentials", "client_id": name,
        "client_secret": DEMO_CLIENT_SECRET,
    }  # fmt: skip
    world.tokens[name] = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]


def test_an_agency_sees_its_programme_in_its_region_from_sent_on(
    world: World, members: Iterator[Json]
) -> None:
    client(world, "pkh-elsewhere", "35.76.01", "referrals:read", "referrals:answer")
    hire(world, "agency.pkh", ("agency", "35.76.02", "PKH"))
    hire(world, "agency.kur", ("agency", "35.76", "KUR"))
    complaint = approved(world, need(next(members)))
    [id] = complaint["referral_ids"]
    insiders = ("agency-pkh", "agency.pkh", "integrator")
    outsiders = ("pkh-elsewhere", "agency.kur", "program.2", "script-batch", SECOND, "admin")
    assert referral(world, id, OWNER)["state"] == "approved"
    for who in (*insiders, *outsiders):
        assert world.as_(who).get(f"/referrals/{id}").status_code == 404
    done(world, "manager", complaint["id"], "forward")
    for who in (*insiders, OWNER, FIRST, SUPERVISOR, "puskesos.wates", "head", "dpo"):
        assert referral(world, id, who)["state"] == "sent"
        listed = world.as_(who).get("/referrals", params={"complaint_id": complaint["id"]})
        assert [one["id"] for one in listed.json()["items"]] == [id]
    for who in outsiders:
        assert world.as_(who).get(f"/referrals/{id}").status_code == 404
        assert act_on_referral(world, who, id, "grant", if_match='"1"').status_code == 404
    # The complaint itself is none of the owner's business.
    for who in (*insiders, OWNER):
        assert world.as_(who).get(f"/complaints/{complaint['id']}").status_code == 404


def test_a_person_says_which_version_was_read_and_a_client_may(
    world: World, members: Iterator[Json]
) -> None:
    [id] = forwarded(world, need(next(members)))["referral_ids"]
    refused(act_on_referral(world, OWNER, id, "acknowledge", if_match='"1"'), 412,
        "stale_version")  # fmt: skip
    for who, status in ((OWNER, 428), ("agency-pkh", 200)):
        answer = world.as_(who).post(
            f"/referrals/{id}/actions", json={"action": "acknowledge"}, headers=key()
        )
        assert answer.status_code == status


def test_an_integrator_reads_but_does_not_act(world: World, members: Iterator[Json]) -> None:
    [id] = forwarded(world, need(next(members)))["referral_ids"]
    assert referral(world, id, "integrator")["actions"] == []
    for action in ("acknowledge", "grant", "decline", "waitlist", "ask", "confirm_benefit"):
        answer = act_on_referral(world, "integrator", id, action, reason="other", note="x")
        refused(answer, 403, "role_not_allowed")


def test_only_the_owner_decides(world: World, members: Iterator[Json]) -> None:
    [id] = forwarded(world, need(next(members)))["referral_ids"]
    for who in ("front.1", FIRST, SUPERVISOR, "manager", "head"):
        for action in ("acknowledge", "grant", "decline", "waitlist", "ask"):
            answer = act_on_referral(world, who, id, action, reason="other", note="x")
            refused(answer, 403, "role_not_allowed")


# ── what the owner answers ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["agency-pkh", OWNER])
def test_an_owner_acknowledges_and_has_60_days(
    world: World, members: Iterator[Json], who: str
) -> None:
    [id] = forwarded(world, need(next(members)))["referral_ids"]
    assert referral(world, id, who)["actions"] == [
        "acknowledge", "grant", "decline", "waitlist", "ask",
    ]  # fmt: skip
    got = did(world, who, id, "acknowledge")
    assert got["state"] == "received"
    assert hours(got["received_at"], got["due_at"]) == 60 * 24
    refused(act_on_referral(world, who, id, "acknowledge"), 409, "action_not_allowed")


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize(
    ("action", "state", "outcome"),
    [
        ("grant", "granted", "granted"),
        ("decline", "declined", "declined"),
        ("waitlist", "waitlisted", "waitlisted"),
    ],
)
def test_an_owner_answers_with_or_without_saying_it_was_received(
    world: World, members: Iterator[Json], seen: bool, action: str, state: str, outcome: str
) -> None:
    complaint = forwarded(world, need(next(members)))
    [id] = complaint["referral_ids"]
    if seen:
        received = did(world, "agency-pkh", id, "acknowledge")["received_at"]
    reason = {"reason": "quota_full"} if action == "decline" else {}
    after = did(world, "agency-pkh", id, action, **reason)
    assert (after["state"], after["reason"]) == (state, reason.get("reason"))
    assert after["received_at"] == (received if seen else after["answered_at"])
    assert after["informed_at"] is None
    if action == "waitlist":
        assert hours(after["answered_at"], after["due_at"]) == 90 * 24
    else:
        assert after["due_at"] is None
    settled = get(world, FIRST, complaint["id"])
    assert (settled["state"], settled["outcome"]) == ("answered", outcome)
    assert (settled["delivery"], settled["informed_at"]) == ("pending", None)
    assert settled["handled_at"] == complaint["handled_at"]
    event = event_of(world, complaint["id"], "settle")
    assert (event["by"]["role"], event["data"]["outcome"]) == ("system", outcome)
    assert hours(event["at"], settled["due_at"]) == 72
    assert told_steps(world, FIRST, complaint["id"])[-1] == "answered"


def test_an_owner_declines_for_one_of_its_reasons(world: World) -> None:
    complaint = forwarded(world, *(named(f"Bu Tin {n}") for n in range(len(REASONS))))
    for id, reason in zip(complaint["referral_ids"], REASONS, strict=True):
        answer = act_on_referral(world, OWNER, id, "decline")
        assert refused(answer, 422, "reason_required") == [("/reason", "reason_required")]
        answer = act_on_referral(world, OWNER, id, "decline", reason="x")
        refused(answer, 422, "reason_not_allowed")
        assert did(world, OWNER, id, "decline", reason=reason)["reason"] == reason


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("who", ["front.1", FIRST])
def test_a_question_stops_the_owners_clock_until_it_is_replied_to(
    world: World, seen: bool, who: str
) -> None:
    complaint = forwarded(world, named("Bu Tin"))
    [id] = complaint["referral_ids"]
    received = did(world, OWNER, id, "acknowledge")["received_at"] if seen else None
    world.advance(days=2)
    refused(act_on_referral(world, OWNER, id, "ask"), 422, "note_required")
    asked = did(world, OWNER, id, "ask", note="Berapa anak yang sekolah?")
    assert (asked["state"], asked["received_at"]) == ("info_requested", received)
    event = world.as_(OWNER).get(f"/referrals/{id}/events").json()["items"][-1]
    assert hours(event["at"], asked["due_at"]) == 3 * 24
    for told in ("front.1", "back.2", FIRST):
        assert told_steps(world, told, id) == ["info_requested"]
    # The owner waits; the complaint is still forwarded.
    refused(act_on_referral(world, OWNER, id, "grant"), 409, "action_not_allowed")
    assert get(world, "front.1", complaint["id"])["state"] == "forwarded"
    refused(act_on_referral(world, OWNER, id, "reply", note="Tiga."), 403, "role_not_allowed")
    world.advance(days=1)
    refused(act_on_referral(world, who, id, "reply"), 422, "note_required")
    replied = did(world, who, id, "reply", note="Tiga.")
    assert replied["state"] == "received"
    # Sixty days from receipt, and the day of waiting on top.
    assert hours(replied["received_at"], replied["due_at"]) == pytest.approx(61 * 24, abs=0.1)
    if seen:
        assert replied["received_at"] == received
    else:
        assert replied["received_at"] == event["at"]
    assert did(world, OWNER, id, "grant")["state"] == "granted"


def test_where_nobody_visited_the_secretariat_alone_is_asked(world: World) -> None:
    complaint = bring(world, "at_secretariat", category="program_not_received")
    draft = draft_referral(world, "front.1", complaint)
    for who, action in (
        ("front.1", "submit_without_visit"), (SUPERVISOR, "approve"), ("manager", "forward"),
    ):  # fmt: skip
        done(world, who, complaint["id"], action)
    did(world, OWNER, draft["id"], "ask", note="Kelas berapa?")
    assert told_steps(world, "back.1", draft["id"]) == ["info_requested"]
    did(world, "back.1", draft["id"], "reply", note="Kelas tiga.")
    did(world, OWNER, draft["id"], "grant")
    # Nobody was sent, so nobody is told; the desk finds it in its inbox.
    assert get(world, "front.1", complaint["id"])["state"] == "answered"


def test_another_facilitator_does_not_reply(world: World) -> None:
    complaint = forwarded(world, named("Bu Tin"))
    [id] = complaint["referral_ids"]
    did(world, OWNER, id, "ask", note="Berapa?")
    assert world.as_(SECOND).get(f"/referrals/{id}").status_code == 404
    for who in ("puskesos.wates", SUPERVISOR, "manager"):
        refused(act_on_referral(world, who, id, "reply", note="x"), 403, "role_not_allowed")


def test_a_waiting_list_ends_in_an_answer_which_is_told_again(world: World) -> None:
    complaint = forwarded(world, named("Bu Tin"))
    [id] = complaint["referral_ids"]
    did(world, OWNER, id, "waitlist")
    closed = done(world, FIRST, complaint["id"], "deliver_answer", data=TOLD)
    assert (closed["state"], closed["outcome"]) == ("closed", "waitlisted")
    assert referral(world, id)["informed_at"] == closed["informed_at"]
    world.advance(days=30)
    granted = did(world, OWNER, id, "grant")
    assert (granted["state"], granted["informed_at"]) == ("granted", None)
    # What was told stays told; the facilitator is asked to tell the new answer.
    assert get(world, "front.1", complaint["id"])["outcome"] == "waitlisted"
    assert told_steps(world, FIRST, id) == ["answered"]
    missed = act_on_referral(
        world, FIRST, id, "deliver_answer", data=TOLD | {"result": "not_reached"}
    )
    assert missed.json()["informed_at"] is None
    told = did(world, FIRST, id, "deliver_answer", data=TOLD)
    assert (told["state"], told["informed_at"] is not None) == ("granted", True)


def test_a_waiting_list_is_waited_on_again(world: World) -> None:
    [id] = forwarded(world, named("Bu Tin"))["referral_ids"]
    first = did(world, OWNER, id, "waitlist")
    world.advance(days=90)
    again = did(world, OWNER, id, "waitlist")
    assert again["state"] == "waitlisted"
    assert hours(first["due_at"], again["due_at"]) == pytest.approx(90 * 24, abs=0.1)
    assert did(world, OWNER, id, "decline", reason="quota_full")["reason"] == "quota_full"


def test_a_desk_tells_an_answer_too_and_others_do_not(world: World) -> None:
    [id] = forwarded(world, named("Bu Tin"))["referral_ids"]
    answer = act_on_referral(world, "puskesos.wates", id, "deliver_answer", data=TOLD)
    refused(answer, 409, "action_not_allowed")
    did(world, OWNER, id, "grant")
    assert refused(
        act_on_referral(world, "puskesos.wates", id, "deliver_answer"), 422, "action_data"
    ) == [("/data/how", "missing"), ("/data/to", "missing")]
    refused(act_on_referral(world, OWNER, id, "deliver_answer", data=TOLD), 403,
        "role_not_allowed")  # fmt: skip
    told = did(world, "puskesos.wates", id, "deliver_answer", data=TOLD)
    assert told["informed_at"] is not None


@pytest.mark.parametrize("who", [FIRST, "agency-pkh"])
def test_a_benefit_that_arrived_is_confirmed(world: World, who: str) -> None:
    [id] = forwarded(world, named("Bu Tin"))["referral_ids"]
    refused(act_on_referral(world, who, id, "confirm_benefit"), 409, "action_not_allowed")
    did(world, OWNER, id, "grant")
    # Who is paid to pay does not confirm that it was paid; who desks, does not know.
    for other in (OWNER, "front.1", "manager"):
        refused(act_on_referral(world, other, id, "confirm_benefit"), 403, "role_not_allowed")
    assert did(world, who, id, "confirm_benefit")["state"] == "benefit_confirmed"
    assert referral(world, id, who)["actions"] == (["deliver_answer"] if who == FIRST else [])


# ── cancelling ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "who"),
    [
        ("draft", "front.1"),
        ("draft", "manager"),
        ("approved", "back.2"),
        ("sent", "manager"),
        ("received", "front.1"),
        ("info_requested", "back.2"),
        ("waitlisted", "manager"),
    ],
)
def test_secretariat_and_manager_cancel_what_is_not_decided(
    world: World, state: str, who: str
) -> None:
    make = {"draft": surveyed, "approved": approved}.get(state, forwarded)
    [id] = make(world, named("Bu Tin"))["referral_ids"]
    if state == "waitlisted":
        did(world, OWNER, id, "waitlist")
    if state in ("received", "info_requested"):
        did(world, OWNER, id, "acknowledge")
    if state == "info_requested":
        did(world, OWNER, id, "ask", note="Berapa?")
    assert refused(act_on_referral(world, who, id, "cancel"), 422, "reason_required") == [
        ("/reason", "reason_required")
    ]
    gone = did(world, who, id, "cancel", reason="Sudah menerima dari desa.")
    assert (gone["state"], gone["due_at"]) == ("cancelled", None)
    assert gone["reason"] == "Sudah menerima dari desa."


def test_what_was_cancelled_before_its_complaint_ended_keeps_its_reason(world: World) -> None:
    complaint = surveyed(world, named("Bu Tin"), named("Pak Tin"))
    first, second = complaint["referral_ids"]
    did(world, "front.1", first, "cancel", reason="Dobel.")
    done(world, SUPERVISOR, complaint["id"], "answer", note="Dibantu BAZNAS.")
    assert [referral(world, id)["reason"] for id in (first, second)] == [
        "Dobel.", "complaint_ended",
    ]  # fmt: skip


def test_what_is_decided_is_not_cancelled_and_not_by_others(world: World) -> None:
    [id] = forwarded(world, named("Bu Tin"))["referral_ids"]
    for who in (FIRST, SUPERVISOR, OWNER, "puskesos.wates"):
        answer = act_on_referral(world, who, id, "cancel", reason="x")
        refused(answer, 403, "role_not_allowed")
    did(world, OWNER, id, "grant")
    refused(act_on_referral(world, "front.1", id, "cancel", reason="x"), 409,
        "action_not_allowed")  # fmt: skip


# ── what the answers to a complaint come to ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (("grant",), "granted"),
        (("grant", "grant"), "granted"),
        (("grant", "decline"), "partly_granted"),
        (("grant", "waitlist"), "partly_granted"),
        (("waitlist", "waitlist"), "waitlisted"),
        (("waitlist", "decline"), "waitlisted"),
        (("decline", "decline"), "declined"),
        (("decline",), "declined"),
        # What was cancelled is left out.
        (("grant", "cancel"), "granted"),
        (("waitlist", "cancel"), "waitlisted"),
        (("decline", "cancel"), "declined"),
        (("cancel", "cancel"), "cancelled"),
        (("confirm_benefit", "decline"), "partly_granted"),
        (("confirm_benefit", "grant"), "granted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_the_outcome_is_what_the_answers_come_to(
    world: World, answers: tuple[str, ...], outcome: str
) -> None:
    complaint = forwarded(world, *(named(f"Bu Tin {n}") for n in range(len(answers))))
    for id, answer in zip(complaint["referral_ids"], answers, strict=True):
        # As long as one is awaited, nothing is settled.
        waiting = get(world, "front.1", complaint["id"])
        assert (waiting["state"], waiting["outcome"]) == ("forwarded", None)
        if answer == "cancel":
            did(world, "front.1", id, "cancel", reason="Dobel.")
        elif answer == "confirm_benefit":
            did(world, OWNER, id, "grant")
            did(world, FIRST, id, "confirm_benefit")
        else:
            did(world, OWNER, id, answer, **({"reason": "other"} if answer == "decline" else {}))
    settled = get(world, "front.1", complaint["id"])
    assert (settled["state"], settled["outcome"]) == ("answered", outcome)


# ── the same need in two complaints ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", OPEN)
def test_a_need_that_is_open_already_becomes_a_link_to_it(
    world: World, members: Iterator[Json], state: str
) -> None:
    person = next(members)
    first = (approved if state == "approved" else forwarded)(world, need(person))
    [id] = first["referral_ids"]
    if state == "received":
        did(world, OWNER, id, "acknowledge")
    if state == "info_requested":
        did(world, OWNER, id, "ask", note="Berapa?")
    if state == "waitlisted":
        did(world, OWNER, id, "waitlist")
    # Another purpose, programme or person is another need.
    other = surveyed(world, need(person, purpose="card"), need(person, "BPNT"))
    assert id not in other["referral_ids"]
    second = surveyed(world, need(person))
    assert second["referral_ids"] == [id]
    linked = referral(world, id)
    assert linked["complaint_id"] == first["id"]
    assert set(linked["complaint_ids"]) == {first["id"], second["id"]}
    assert linked["state"] == state


def test_what_is_answered_for_good_is_no_open_need(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    [id] = forwarded(world, need(person))["referral_ids"]
    did(world, OWNER, id, "decline", reason="quota_full")
    again = surveyed(world, need(person))
    assert again["referral_ids"] != [id]


def test_a_name_alone_is_nobody_in_another_complaint(world: World) -> None:
    first, second = approved(world, named("Bu Tin")), surveyed(world, named("Bu Tin"))
    assert set(first["referral_ids"]).isdisjoint(second["referral_ids"])


@pytest.mark.parametrize("whom", ["household", "unregistered national id"])
def test_links_are_made_for_households_and_strangers_too(
    world: World, members: Iterator[Json], whom: str
) -> None:
    beneficiary = {"household_id": next(members)["household_id"]}
    if whom != "household":
        beneficiary = {"national_id": "3576024507849003", "name": "Bu Tin"}
    wanted = {"program_code": "RASTRA", "beneficiary": beneficiary}
    first = approved(world, wanted)
    again = wanted | {"beneficiary": beneficiary | {"name": "Tin"} if "name" in beneficiary
        else beneficiary}  # fmt: skip
    assert surveyed(world, again)["referral_ids"] == first["referral_ids"]


def test_a_draft_by_hand_becomes_a_link_too(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    [id] = forwarded(world, need(person))["referral_ids"]
    desk = file(world)
    answer = post(world, "puskesos.wates", complaint_id=desk["id"], **need(person))
    assert (answer.status_code, answer.json()["id"]) == (201, id)
    assert answer.json()["state"] == "sent"
    assert get(world, "front.1", desk["id"])["referral_ids"] == [id]


def test_two_drafts_of_one_need_meet_at_approval(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    first, second = surveyed(world, need(person)), surveyed(world, need(person))
    [one], [other] = first["referral_ids"], second["referral_ids"]
    assert one != other
    done(world, SUPERVISOR, first["id"], "approve")
    met = done(world, SUPERVISOR, second["id"], "approve")
    assert (met["state"], met["referral_ids"]) == ("awaiting_manager", [one])
    dropped = referral(world, other, OWNER)
    assert (dropped["state"], dropped["reason"]) == ("cancelled", "linked")
    assert referral(world, one)["state"] == "approved"
    assert set(referral(world, one)["complaint_ids"]) == {first["id"], second["id"]}


def test_a_link_is_an_item_all_the_way_and_both_complaints_settle_on_its_answer(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first = forwarded(world, need(person))
    [id] = first["referral_ids"]
    # In submit_without_visit …
    second = bring(world, "at_secretariat", category="program_not_received")
    post(world, "front.1", complaint_id=second["id"], **need(person))
    sent_up = done(world, "front.1", second["id"], "submit_without_visit")
    assert sent_up["referral_ids"] == [id]
    # … in approve, where it can also be the only one refused …
    refuse = [{"referral_id": id, "reason": "Sudah diusulkan."}]
    answer = act(world, SUPERVISOR, second["id"], "approve", data={"refuse": refuse})
    refused(answer, 409, "nothing_to_forward")
    done(world, SUPERVISOR, second["id"], "approve")
    # … in forward, and in settle.
    assert done(world, "manager", second["id"], "forward")["state"] == "forwarded"
    assert referral(world, id)["state"] == "sent"
    did(world, OWNER, id, "grant")
    for complaint in (first, second):
        settled = get(world, "front.1", complaint["id"])
        assert (settled["state"], settled["outcome"]) == ("answered", "granted")
    # Telling it in one of them tells it.
    done(world, FIRST, first["id"], "deliver_answer", data=TOLD)
    assert referral(world, id)["informed_at"] is not None


def test_a_complaint_forwarded_with_an_answered_link_settles_at_once(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first = forwarded(world, need(person))
    second = approved(world, need(person))
    [id] = first["referral_ids"]
    did(world, OWNER, id, "waitlist")
    assert get(world, "front.1", second["id"])["state"] == "awaiting_manager"
    settled = done(world, "manager", second["id"], "forward")
    assert (settled["state"], settled["outcome"]) == ("answered", "waitlisted")


def test_refusing_a_link_only_unlinks_it(world: World, members: Iterator[Json]) -> None:
    person = next(members)
    first = forwarded(world, need(person))
    [id] = first["referral_ids"]
    second = surveyed(world, need(person), named("Bu Tin"))
    refuse = [{"referral_id": id, "reason": "Sudah diusulkan."}]
    after = done(world, SUPERVISOR, second["id"], "approve", data={"refuse": refuse})
    assert id not in after["referral_ids"]
    assert referral(world, id)["state"] == "sent"
    assert referral(world, id)["complaint_ids"] == [first["id"]]
    event = world.as_(OWNER).get(f"/referrals/{id}/events").json()["items"][-1]
    assert (event["type"], event["reason"]) == ("referral.unlinked", "Sudah diusulkan.")


def test_a_link_that_a_new_survey_no_longer_names_is_unlinked(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first = forwarded(world, need(person))
    second = surveyed(world, need(person))
    after = resurvey(world, second, named("Bu Tin"))
    assert set(after["referral_ids"]).isdisjoint(first["referral_ids"])
    assert states(world, first) == ["sent"]


def test_a_link_made_by_the_desk_stays_whatever_the_survey_says(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    [id] = forwarded(world, need(person))["referral_ids"]
    second = bring(world, "assigned")
    post(world, "front.1", complaint_id=second["id"], **need(person))
    save_survey(world, second["id"], program_needs=[named("Bu Tin")])
    after = done(world, FIRST, second["id"], "submit_survey")
    assert id in after["referral_ids"]
    assert id in resurvey(world, after, named("Pak Tin"))["referral_ids"]


def test_when_the_first_complaint_is_withdrawn_the_referral_goes_on_with_the_second(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first = approved(world, need(person))
    [id] = first["referral_ids"]
    second = surveyed(world, need(person))
    done(world, "puskesos.wates", first["id"], "withdraw", note="Dicabut.")
    handed_over = referral(world, id)
    # The second supervisor's decision is still to come.
    assert (handed_over["state"], handed_over["complaint_id"]) == ("draft", second["id"])
    assert handed_over["complaint_ids"] == [second["id"]]
    done(world, SUPERVISOR, second["id"], "approve")
    assert done(world, "manager", second["id"], "forward")["state"] == "forwarded"
    did(world, OWNER, id, "grant")
    assert get(world, "front.1", second["id"])["outcome"] == "granted"
    assert get(world, "front.1", first["id"])["outcome"] == "withdrawn"


def test_what_the_second_complaint_had_approved_stays_approved(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first, second = approved(world, need(person)), approved(world, need(person))
    [id] = first["referral_ids"]
    assert second["referral_ids"] == [id]
    # Also when the first goes back to its supervisor …
    done(world, "manager", first["id"], "return_to_supervisor", note="Nama?")
    assert referral(world, id)["state"] == "approved"
    # … who refuses it there: only for that complaint.
    refuse = [{"referral_id": id, "reason": "Dobel."}]
    refused(act(world, SUPERVISOR, first["id"], "approve", data={"refuse": refuse}), 409,
        "nothing_to_forward")  # fmt: skip
    done(world, SUPERVISOR, first["id"], "reject", reason="other", note="Dobel.")
    assert referral(world, id)["state"] == "approved"
    assert referral(world, id)["complaint_id"] == second["id"]
    done(world, "manager", second["id"], "forward")
    assert referral(world, id)["state"] == "sent"


def test_a_shared_draft_that_meets_a_third_complaints_referral_is_lost_for_nobody(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    first, second = approved(world, need(person)), surveyed(world, need(person))
    [shared] = first["referral_ids"]
    done(world, "manager", first["id"], "return_to_supervisor", note="Nama?")
    assert referral(world, shared)["state"] == "draft"
    third = approved(world, need(person))
    [opened] = third["referral_ids"]
    assert opened != shared
    assert done(world, SUPERVISOR, first["id"], "approve")["referral_ids"] == [opened]
    # The second still holds the draft, and meets the open one at its own approval.
    assert done(world, SUPERVISOR, second["id"], "approve")["referral_ids"] == [opened]
    assert referral(world, shared, OWNER)["state"] == "cancelled"
    assert len(referral(world, opened)["complaint_ids"]) == 3


def test_with_nobody_left_to_hold_it_a_referral_with_its_owner_stays(
    world: World, members: Iterator[Json]
) -> None:
    """A reopened complaint that is withdrawn recalls nothing from an owner."""
    complaint = forwarded(world, need(next(members)))
    [id] = complaint["referral_ids"]
    did(world, OWNER, id, "waitlist")
    done(world, FIRST, complaint["id"], "deliver_answer", data=TOLD)
    done(world, "front.1", complaint["id"], "reopen")
    done(world, "front.1", complaint["id"], "withdraw", note="Dicabut.")
    assert referral(world, id)["state"] == "waitlisted"
    assert did(world, OWNER, id, "grant")["state"] == "granted"


def test_at_most_one_is_open_for_a_need_whatever_happens(
    world: World, members: Iterator[Json]
) -> None:
    person = next(members)
    complaints = [surveyed(world, need(person)) for _ in range(3)]
    for complaint in complaints:
        done(world, SUPERVISOR, complaint["id"], "approve")
    found = world.fetch(
        "select state from referrals where member_id = $1 and state = any($2)",
        person["member_id"], list(OPEN),
    )  # fmt: skip
    assert [row["state"] for row in found] == ["approved"]


# ── lists ────────────────────────────────────────────────────────────────────────────────────


def test_referrals_are_listed_by_what_they_are(fresh_world: World) -> None:
    world = fresh_world
    person = family(world)
    complaint = forwarded(world, need(person), need(person, "PIP"))
    first, second = complaint["referral_ids"]
    draft_referral(world, "puskesos.wates", file(world), "KUR")

    def listed(who: str = "front.1", **filters: Any) -> set[str]:
        answer = world.as_(who).get("/referrals", params=filters)
        assert answer.status_code == 200, answer.text
        return {one["id"] for one in answer.json()["items"]}

    assert len(listed()) == 3
    assert listed(complaint_id=complaint["id"]) == {first, second}
    assert listed(program_code="PIP") == {second}
    assert listed(state="sent") == {first, second}
    assert listed(household_id=person["household_id"]) == {first, second}
    assert listed(region="35.76.02") == listed()
    assert listed(region="35.76.01") == set()
    assert listed("agency-pkh") == {first}
    assert listed("script-batch") == set()
    # A facilitator who was dismissed from the case's complaint has no sight of it at all.
    assert listed(SECOND) == set()
    dismiss(world, SECOND)
