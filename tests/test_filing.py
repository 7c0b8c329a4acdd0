"""Filing: by every door, on the clock, with a receipt, and no number in the clear."""

import hashlib
import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
import rfc8785
from cryptography.exceptions import InvalidTag
from stdnum import damm

from app.domain.vocabulary import Channel
from app.settings import DEMO_CLIENT_SECRET
from tests import refusals
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    WATES,
    act,
    check_registry,
    dismiss,
    done,
    draft,
    events,
    family,
    file,
    get,
    hire,
    key,
    me,
    save_survey,
)

Json = dict[str, Any]
NOBODY = "019a0000-0000-7000-8000-000000000000"
SUBJECT, CARD = "3576025204889005", "3576021503129006"
WITH = {"name": "Siti Aminah", "national_id": None, "relation": "self"}


# ── words of these tests ─────────────────────────────────────────────────────────────────────


def refused(answer: httpx.Response, status: int, code: str) -> list[tuple[str, str]]:
    errors = refusals.refused(answer, status, code)["errors"]
    return [(one["pointer"], one["code"]) for one in errors]


def send(world: World, who: str = "puskesos.wates", **changes: Any) -> httpx.Response:
    return world.as_(who).post("/complaints", json=draft(**changes), headers=key())


def is_ticket(value: str) -> bool:
    return bool(damm.is_valid(value.replace("-", "")))


def hours(first: str, second: str) -> float:
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return passed.total_seconds() / 3600


def ago(world: World, **time: float) -> str:
    now: datetime = world.fetch("select slrt_now()")[0][0]
    return (now - timedelta(**time)).isoformat()


def reporter(**changes: Any) -> Json:
    return WITH | changes


def client(world: World, name: str, region: str) -> str:
    """A service client that files for a region, signed in."""
    body = {
        "username": name, "name": name, "secret": DEMO_CLIENT_SECRET,
        "scopes": ["complaints:submit"], "region_codes": [region],
    }  # fmt: skip
    assert world.as_("admin").post("/clients", json=body, headers=key()).status_code == 201
    form = {
        "grant_type": "client_credentials", "client_id": name,
        "client_secret": DEMO_CLIENT_SECRET,
    }  # fmt: skip
    world.tokens[name] = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]
    return name


# ── who files, for whom, by which door ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "who",
    ["puskesos.wates", "front.1", "front.2", "back.1", "back.2", "facilitator.wates.1",
     "script-batch"],
)  # fmt: skip
def test_desks_facilitators_and_clients_file(world: World, who: str) -> None:
    answer = send(world, who)
    assert answer.status_code == 201, answer.text
    complaint = answer.json()["complaint"]
    assert answer.headers["location"] == f"/v1/complaints/{complaint['id']}"
    assert answer.headers["etag"] == '"1"'
    assert (complaint["version"], complaint["state"]) == (1, "received")
    assert (complaint["outcome"], complaint["delivery"]) == (None, "pending")
    assert complaint["submitted_by"]["id"] == me(world, who)
    assert complaint["assigned_to"] is complaint["registry_check"] is complaint["reason"] is None
    assert complaint["referral_ids"] == complaint["registry_change_ids"] == []
    # What one has filed, one sees.
    assert world.as_(who).get(f"/complaints/{complaint['id']}").status_code == 200
    [event] = events(world, complaint["id"])
    assert (event["action"], event["from"], event["to"]) == ("submit", None, "received")
    assert event["by"]["id"] == me(world, who)


@pytest.mark.parametrize(
    "who",
    ["supervisor.magersari", "manager", "head", "program.1", "dpo", "admin", "agency-pkh",
     "integrator"],
)  # fmt: skip
def test_others_file_nothing(world: World, who: str) -> None:
    refused(send(world, who), 403, "role_not_allowed")


@pytest.mark.parametrize("channel", list(Channel))
def test_a_complaint_comes_by_any_channel(world: World, channel: Channel) -> None:
    complaint = file(world, channel=channel)
    assert complaint["channel"] == channel
    [event] = events(world, complaint["id"])
    assert event["data"]["channel"] == channel


def test_what_is_not_said_has_a_meaning(world: World) -> None:
    body = draft()
    for name in ("category", "sector", "program_code", "priority", "channel", "subject",
                 "documents_seen"):  # fmt: skip
        del body[name]
    answer = world.as_("front.1").post("/complaints", json=body, headers=key())
    complaint = answer.json()["complaint"]
    assert (complaint["category"], complaint["priority"]) == ("other", "normal")
    assert (complaint["channel"], complaint["sector"]) == ("other", None)
    assert (complaint["subject"], complaint["documents_seen"]) == (None, [])
    assert complaint["received_at"] == complaint["recorded_at"]


def test_a_desk_takes_what_concerns_another_kelurahan_and_follows_it(world: World) -> None:
    complaint = file(world, "puskesos.kauman")
    assert complaint["region_code"] == WATES
    id = complaint["id"]
    # It reads step and answer; the work is that of the other list.
    refused(act(world, "puskesos.kauman", id, "resolve_now", note="x"), 403, "role_not_allowed")
    done(world, "puskesos.wates", id, "resolve_now", note="Sudah dijelaskan.")
    after = get(world, "puskesos.kauman", id)
    assert (after["state"], after["answer"], after["actions"]) == (
        "closed", "Sudah dijelaskan.", [],
    )  # fmt: skip


def test_what_lies_out_of_reach_is_no_region(world: World) -> None:
    name = client(world, "script-prajuritkulon", "35.76.01")
    hire(world, "front.far", ("front_office", "35.76.03.1001"))
    assert send(world, name, region_code=KAUMAN).status_code == 201
    for who, code in (
        (name, WATES), ("puskesos.wates", "35.76.02.9999"), ("puskesos.wates", "11.01.01.2001"),
    ):  # fmt: skip
        answer = send(world, who, region_code=code)
        assert refused(answer, 422, "unknown_region") == [("/region_code", "unknown_region")]
    answer = send(world, region_code="35.76.02")
    assert refused(answer, 422, "validation_failed") == [("/region_code", "invalid_format")]
    # A desk of one kelurahan files for the whole city.
    assert send(world, "front.far").status_code == 201


def test_a_former_code_is_read_as_the_present_one(world: World) -> None:
    complaint = file(world, region_code="35.76.02.1002")
    assert complaint["region_code"] == "35.76.03.1003"
    assert "region_code_replaced" in complaint["warnings"]
    assert world.as_("puskesos.meri").get(f"/complaints/{complaint['id']}").status_code == 200
    assert world.as_("puskesos.wates").get(f"/complaints/{complaint['id']}").status_code == 200


# ── kind, category, programme, household ─────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["question", "suggestion"])
def test_only_a_complaint_has_a_category(world: World, kind: str) -> None:
    assert file(world, kind=kind, category=None)["category"] is None
    answer = send(world, kind=kind)
    assert refused(answer, 422, "category_not_allowed") == [("/category", "category_not_allowed")]
    answer = send(world, kind=kind, program_code="NASI")
    assert refused(answer, 422, "unknown_reference") == [
        ("/category", "category_not_allowed"), ("/program_code", "unknown_program"),
    ]  # fmt: skip


def test_a_complaint_names_a_programme_or_none(world: World) -> None:
    assert file(world, program_code=None)["program_code"] is None
    assert file(world, program_code="KUR")["program_code"] == "KUR"
    answer = send(world, program_code="NASI")
    assert refused(answer, 422, "unknown_program") == [("/program_code", "unknown_program")]


def test_a_complaint_names_a_household_of_the_city_or_none(world: World) -> None:
    known = family(world, KAUMAN)
    complaint = file(world, subject={"household_id": known["household_id"]})
    assert complaint["household_id"] == known["household_id"]
    assert complaint["subject"] == {
        "household_id": known["household_id"], "name": None, "national_id": None,
        "family_card_number": None,
    }  # fmt: skip
    answer = send(world, subject={"household_id": NOBODY})
    assert refused(answer, 422, "unknown_household") == [
        ("/subject/household_id", "unknown_household")
    ]
    # One of another city is none of this one's.
    world.cluster.execute(
        world.database,
        "update households set province_code = '11', regency_code = '11.01',"
        " district_code = '11.01.01', village_code = '11.01.01.2001'"
        f" where id = '{known['household_id']}'",
    )
    refused(send(world, subject={"household_id": known["household_id"]}), 422, "unknown_household")


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"reporter": WITH | {"national_id": "12"}}, "/reporter/national_id", "too_short"),
        ({"reporter": WITH | {"national_id": "A" * 16}}, "/reporter/national_id", "invalid_format"),
        ({"reporter": WITH | {"phone": "0812"}}, "/reporter/phone", "invalid_format"),
        ({"reporter": WITH | {"name": " "}}, "/reporter/name", "too_short"),
        ({"reporter": WITH | {"relation": "boss"}}, "/reporter/relation", "not_an_option"),
        ({"narrative": ""}, "/narrative", "too_short"),
        ({"narrative": "x" * 4001}, "/narrative", "too_long"),
        ({"client_ref": "no spaces"}, "/client_ref", "invalid_format"),
        ({"documents_seen": ["passport"]}, "/documents_seen/0", "not_an_option"),
        ({"subject": {"family_card_number": "12"}}, "/subject/family_card_number", "too_short"),
        ({"category": "gossip"}, "/category", "not_an_option"),
        ({"hobby": "x"}, "/hobby", "unknown_field"),
    ],
)  # fmt: skip
def test_a_draft_that_cannot_be_says_where(
    world: World, changes: Json, pointer: str, code: str
) -> None:
    answer = send(world, **changes)
    assert (pointer, code) in refused(answer, 422, "validation_failed")


# ── the clock ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("priority", "promise", "stage"), [("normal", 48, 6), ("emergency", 12, 1)]
)
def test_the_promise_runs_from_receipt(
    world: World, priority: str, promise: int, stage: int
) -> None:
    complaint = file(world, priority=priority)
    assert hours(complaint["received_at"], complaint["deadline_at"]) == promise
    assert hours(complaint["recorded_at"], complaint["due_at"]) == stage
    assert (complaint["escalation_level"], complaint["breached_at"]) == (0, None)


def test_what_was_taken_on_paper_is_promised_from_the_day_the_citizen_came(world: World) -> None:
    came = ago(world, hours=45)
    complaint = file(world, channel="paper", received_at=came)
    assert datetime.fromisoformat(complaint["received_at"]) == datetime.fromisoformat(came)
    assert hours(complaint["received_at"], complaint["deadline_at"]) == 48
    # The stage runs from when it was typed, but never past the promise.
    assert complaint["due_at"] == complaint["deadline_at"]
    assert complaint["late_when_recorded"] is False
    [event] = events(world, complaint["id"])
    assert event["happened_at"] == complaint["received_at"]


def test_receipt_lies_at_most_90_days_back_and_never_ahead(world: World) -> None:
    assert file(world, received_at=ago(world, days=89, hours=23))["late_when_recorded"] is True
    answer = send(world, received_at=ago(world, days=90, minutes=1))
    assert refused(answer, 422, "received_too_long_ago") == [
        ("/received_at", "received_too_long_ago")
    ]
    answer = send(world, received_at=ago(world, minutes=-1))
    assert refused(answer, 422, "received_in_future") == [("/received_at", "received_in_future")]
    # Two clocks are never quite the same.
    complaint = file(world, received_at=ago(world, seconds=-10))
    assert complaint["received_at"] == complaint["recorded_at"]


# ── the receipt ──────────────────────────────────────────────────────────────────────────────


def test_the_receipt_is_what_the_citizen_takes_home(world: World) -> None:
    body = draft()
    answer = world.as_("puskesos.wates").post("/complaints", json=body, headers=key())
    complaint, receipt = answer.json()["complaint"], answer.json()["receipt"]
    assert receipt.keys() == {
        "ticket", "pin", "payload_sha256", "received_at", "recorded_at", "next_holder", "due_at",
        "deadline_at",
    }  # fmt: skip
    assert re.fullmatch(r"3576-20\d\d-\d{6}-\d", receipt["ticket"])
    assert re.fullmatch(r"\d{6}", receipt["pin"])
    assert receipt["payload_sha256"] == hashlib.sha256(rfc8785.dumps(body)).hexdigest()
    for name in ("ticket", "received_at", "recorded_at", "due_at", "deadline_at"):
        assert receipt[name] == complaint[name]
    assert receipt["next_holder"] == {"role": "puskesos_officer", "region_code": WATES}


def test_a_ticket_that_was_copied_with_a_slip_is_none(world: World) -> None:
    first, second = file(world)["ticket"], file(world)["ticket"]
    assert first != second
    assert is_ticket(first)
    assert is_ticket(second)
    places = [n for n, char in enumerate(first) if char.isdigit()]
    for n in places:
        for digit in set("0123456789") - {first[n]}:
            assert not is_ticket(first[:n] + digit + first[n + 1 :])
    for n, m in pairwise(places):
        if first[n] != first[m]:
            chars = list(first)
            chars[n], chars[m] = chars[m], chars[n]
            assert not is_ticket("".join(chars))


def test_the_pin_is_given_at_filing_and_its_replays_and_nowhere_else(world: World) -> None:
    body, first = draft(), key()
    desk = world.as_("puskesos.wates")
    filed = desk.post("/complaints", json=body, headers=first)
    again = desk.post("/complaints", json=body, headers=first)
    known = desk.post("/complaints", json=body, headers=key())
    assert [one.status_code for one in (filed, again, known)] == [201, 201, 200]
    replayed = [one.headers.get("idempotency-replayed") for one in (filed, again, known)]
    assert replayed == [None, "true", "true"]
    assert filed.json() == again.json() == known.json()
    id, pin = filed.json()["complaint"]["id"], filed.json()["receipt"]["pin"]
    assert desk.post("/complaints", json=draft(), headers=key()).json()["receipt"]["pin"] != pin
    found = desk.get("/receipts", params={"client_ref": body["client_ref"]})
    assert found.json() == {
        name: value for name, value in filed.json()["receipt"].items() if name != "pin"
    } | {"complaint_id": id}
    assert found.headers["etag"] == '"1"'
    for path in (f"/complaints/{id}", f"/complaints/{id}/events"):
        assert '"pin"' not in desk.get(path).text
    for table in ("complaints", "events", "idempotency_keys"):
        assert world.fetch(f'select 1 from "{table}" t where t::text ~ $1', rf"\m{pin}\M") == []


def test_a_receipt_is_found_by_whoever_filed_alone(world: World) -> None:
    ref = file(world)["client_ref"]
    for who, status in (("puskesos.wates", 200), ("front.1", 404)):
        answer = world.as_(who).get("/receipts", params={"client_ref": ref})
        assert answer.status_code == status


def test_a_client_ref_is_one_complaint_for_ever(world: World) -> None:
    body = draft()
    assert send(world, **body).status_code == 201
    refused(send(world, **body | {"narrative": "Lain."}), 409, "client_ref_taken")
    # Somebody else's references are their own.
    assert send(world, "front.1", **body).status_code == 201


def test_where_a_village_has_no_puskesos_the_secretariat_holds_it(fresh_world: World) -> None:
    def holder() -> Json:
        answer = send(fresh_world, "front.1", region_code=KAUMAN).json()
        found: Json = answer["receipt"]["next_holder"]
        return found

    assert holder() == {"role": "puskesos_officer", "region_code": KAUMAN}
    dismiss(fresh_world, "puskesos.kauman")
    assert holder() == {"role": "front_office", "region_code": "35.76"}


# ── numbers: they warn, are masked, and stand nowhere in the clear ───────────────────────────


@pytest.mark.parametrize(
    ("national_id", "fits"),
    [
        ("3576024507849001", True),  # a woman, 5 July 1984
        ("3576020507849001", True),  # a man
        ("3576027112999001", True),  # a woman, 31 December 1999
        ("3576022902009001", True),  # a leap day
        ("3576023002849001", False),  # no 30 February
        ("3576027213849001", False),  # no thirteenth month
        ("3576024507840000", False),  # serials begin with 0001
        ("3576029907849001", False),  # no day at all
    ],
)
def test_a_national_id_that_cannot_be_warns_and_never_refuses(
    world: World, national_id: str, fits: bool
) -> None:
    warnings = [] if fits else ["national_id_structure"]
    assert of_numbers(file(world, reporter=reporter(national_id=national_id))) == warnings
    # Said once, whoever it is about; the family card has no such structure.
    both = file(
        world, reporter=reporter(national_id=national_id),
        subject={"national_id": national_id, "family_card_number": "9999999999999999"},
    )  # fmt: skip
    assert of_numbers(both) == warnings


def of_numbers(complaint: dict[str, Any]) -> list[str]:
    return [one for one in complaint["warnings"] if one.startswith("national_id")]


def test_numbers_are_masked_in_every_answer(world: World) -> None:
    subject = {"national_id": SUBJECT, "family_card_number": CARD, "name": "Dewi Lestari"}
    answer = send(world, subject=subject)
    complaint = answer.json()["complaint"]
    assert complaint["reporter"]["national_id"] == "3576********9001"
    assert complaint["subject"]["national_id"] == "3576********9005"
    assert complaint["subject"]["family_card_number"] == "3576********9006"
    id = complaint["id"]
    check_registry(world, id)
    desk = world.as_("puskesos.wates")
    found = desk.post("/complaints/search", json={"national_id": SUBJECT})
    assert [one["id"] for one in found.json()["items"]] == [id]
    assert found.json()["items"][0]["reporter_name"] == "S*** A*****"
    texts = [
        answer.text, found.text, desk.get(f"/complaints/{id}").text,
        desk.get("/complaints", params={"ticket": complaint["ticket"]}).text,
        desk.get(f"/complaints/{id}/events").text,
    ]  # fmt: skip
    for number in (NATIONAL_ID, SUBJECT, CARD):
        assert not any(number in text for text in texts)


def test_no_number_stands_in_the_clear_in_any_table(world: World) -> None:
    known = family(world)
    stranger = "3576024507849007"
    subject = {"national_id": SUBJECT, "family_card_number": CARD}
    id = file(world, subject=subject)["id"]
    check_registry(world, id)
    world.as_("front.1").post(
        "/registry/checks", json={"national_id": known["national_id"]}, headers=key()
    )
    done(world, "puskesos.wates", id, "forward_to_secretariat")
    done(world, "front.1", id, "assign", data={"facilitator_id": me(world, "facilitator.wates.1")})
    beneficiaries = [
        {"national_id": stranger, "name": "Bu Tin"},
        {"national_id": known["national_id"], "name": known["name"]},
    ]
    needs = [{"program_code": "PKH", "beneficiary": one} for one in beneficiaries]
    saved = save_survey(world, id, program_needs=needs)
    assert saved.status_code == 200
    # Whoever writes the survey sees what was typed.
    in_survey = set(re.findall(r"\b\d{16}\b", saved.text))
    assert {stranger, known["national_id"]} < in_survey
    done(world, "facilitator.wates.1", id, "submit_survey")
    done(world, "supervisor.magersari", id, "approve")
    done(world, "manager", id, "forward")
    numbers = {NATIONAL_ID, SUBJECT, CARD, known["family_card_number"], *in_survey}
    # A row as text shows bytes in hexadecimal.
    written = "|".join([*numbers, *(number.encode().hex() for number in numbers)])
    tables = world.fetch(
        "select table_name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    assert len(tables) > 15
    for [table] in tables:
        found = world.fetch(f'select t::text from "{table}" t where t::text ~ $1', written)
        assert found == [], table


def test_a_sealed_number_opens_in_its_own_row_alone(world: World) -> None:
    keys = world.cluster.keys.data
    ids = [file(world, subject={"national_id": SUBJECT})["id"] for _ in range(2)]
    rows = world.fetch(
        "select id, reporter_national_id, subject_national_id, subject_national_id_index"
        " from complaints where id = any($1::uuid[]) order by id",
        ids,
    )
    first, second = rows
    place = ("complaints", "subject_national_id")
    for row in rows:
        assert keys.open(row["subject_national_id"], *place, row["id"]) == SUBJECT
    # The same number looks different in every row, and is found all the same.
    assert first["subject_national_id"] != second["subject_national_id"]
    assert first["subject_national_id_index"] == second["subject_national_id_index"]
    for sealed, where in (
        (first["subject_national_id"], (*place, second["id"])),
        (first["subject_national_id"], ("complaints", "reporter_national_id", first["id"])),
        (first["subject_national_id"], ("referrals", "subject_national_id", first["id"])),
        (first["reporter_national_id"], (*place, first["id"])),
    ):
        with pytest.raises(InvalidTag):
            keys.open(sealed, *where)
    # Whoever copies one row's number into another gets no number: an error, with nothing in it.
    world.fetch(
        "update complaints set subject_national_id = $1 where id = $2",
        first["subject_national_id"], second["id"],
    )  # fmt: skip
    answer = world.as_("front.1").get(f"/complaints/{second['id']}")
    refused(answer, 500, "internal_error")
