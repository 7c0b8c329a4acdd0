"""Exports: what is in them, who takes them, where they lead, and what breaks off."""

import csv
import io
import json
import time
from typing import Any

import httpx
import pytest

from app.domain.exports import EXPORTS
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    act_on_referral,
    bring,
    draft_referral,
    family,
    file,
    get,
)
from tests.homes import change
from tests.test_feed import client, follow

SPACED = "3576 0245-0784 9001"


def export(world: World, who: str, what: str, **params: Any) -> tuple[list[Any], dict[str, Any]]:
    """The rows of an export, and its last line."""
    answer = world.as_(who).get(f"/exports/{what}", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *rows, end = [json.loads(line) for line in answer.text.splitlines()]
    assert end["_end"]
    assert end["count"] == len(rows)
    assert end["cursor"] == answer.headers["feed-cursor"]
    return rows, end


def of(rows: list[Any], id: str) -> Any:
    (found,) = [row for row in rows if row["id"] == id]
    return found


def test_an_owner_takes_its_referrals_and_of_a_person_what_it_needs(world: World) -> None:
    complaint = bring(world, "assigned")
    draft_referral(world, "front.1", complaint, "PIP")
    sent = bring(world, "forwarded", facilitator="facilitator.wates.2")
    (id,) = sent["referral_ids"]
    act_on_referral(world, "agency-pkh", id, "acknowledge")
    client(world, "pkh-kauman", ["referrals:read"], KAUMAN, "PKH")
    rows, _ = export(world, "agency-pkh", "referrals")
    assert {row["program_code"] for row in rows} == {"PKH"}
    assert all(row["sent_at"] for row in rows)
    row = of(rows, id)
    api = world.as_("agency-pkh").get(f"/referrals/{id}").json()
    # The same as the single one says, and nothing that it does not.
    assert row == {name: api[name] for name in row}
    assert {*row} == {*api} - {
        "complaint_ids", "origin", "created_at", "actions", "screening", "screening_id",
        "wait_for", "waiting_position",
    }  # fmt: skip
    assert set(row["beneficiary"]) == {"member_id", "household_id", "name", "national_id"}
    assert export(world, "pkh-kauman", "referrals")[0] == []
    managed, _ = export(world, "program.1", "referrals")
    assert {"draft", "received"} <= {row["state"] for row in managed}
    office, _ = export(world, "head", "referrals")
    assert {row["program_code"] for row in office} >= {"PKH", "PIP"}


def test_numbers_are_masked_wherever_they_stand(world: World) -> None:
    complaint = file(world, narrative=f"NIK {NATIONAL_ID}, lagi {SPACED}; HP 081234567890.")
    rows, _ = export(world, "manager", "complaints")
    row = of(rows, complaint["id"])
    assert row["narrative"] == "NIK ****************, lagi ****************; HP 081234567890."
    assert row["reporter"] == {
        "name": "Siti Aminah", "relation": "self", "national_id": "3576********9001",
    }  # fmt: skip
    api = get(world, "manager", complaint["id"])
    same = set(row) - {"narrative", "reporter", "submitted_by", "assigned_to"}
    assert {name: row[name] for name in same} == {name: api[name] for name in same}
    referral = bring(world, "awaiting_supervisor")["referral_ids"][0]
    change(world, "referrals", referral, beneficiary_name=f"Siti {NATIONAL_ID}", reason=SPACED)
    found = of(export(world, "manager", "referrals")[0], referral)
    assert (found["beneficiary"]["name"], found["reason"]) == ("Siti " + "*" * 16, "*" * 16)
    person = family(world)
    home = of(export(world, "manager", "households")[0], person["household_id"])
    (member,) = [one for one in home["members"] if one["id"] == person["member_id"]]
    number = person["national_id"]
    assert member["national_id"] == f"{number[:4]}********{number[-4:]}"
    for what in ("referrals", "complaints", "households"):
        text = world.as_("manager").get(f"/exports/{what}").text
        assert NATIONAL_ID not in text
        assert number not in text
        assert person["family_card_number"] not in text


def test_households_come_with_their_people_and_no_word_of_their_health(world: World) -> None:
    client(world, "registry-wates", ["registry:read"], "35.76.02.1010")
    rows, _ = export(world, "registry-wates", "households")
    assert rows
    assert {row["region_code"] for row in rows} == {"35.76.02.1010"}
    api = world.as_("manager").get(f"/households/{rows[0]['id']}").json()
    same = ("version", "registry_id", "address", "rt", "decile", "presence")
    assert {name: rows[0][name] for name in same} == {name: api[name] for name in same}
    members = {one["id"]: one for one in api["members"]}
    assert {one["id"] for one in rows[0]["members"]} == set(members)
    for one in rows[0]["members"]:
        assert {"name", "national_id", "sex", "relation", "birth_date"} <= one.keys()
        assert one["national_id"] == members[one["id"]]["national_id"]
        assert not {"facts", "pregnant", "disability"} & one.keys()


NOBODY = {
    "referrals": ("front.1", "supervisor.magersari", "script-batch", "dpo", "admin"),
    "complaints": ("agency-pkh", "program.1", "front.1", "facilitator.wates.1"),
    "households": ("agency-pkh", "program.1", "puskesos.wates"),
}


@pytest.mark.parametrize("what", NOBODY)
def test_nobody_else_takes_an_export(world: World, what: str) -> None:
    before = world.fetch("select count(*) from events where type like 'export.%'")
    for who in NOBODY[what]:
        answer = world.as_(who).get(f"/exports/{what}")
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed"), who
    assert world.fetch("select count(*) from events where type like 'export.%'") == before
    assert world.as_("manager").get("/exports/people").status_code == 404


def test_an_export_is_logged_with_who_what_for_and_how_much(world: World) -> None:
    rows, _ = export(world, "agency-pkh", "referrals", purpose="reporting")
    found = world.fetch(
        "select e.type, p.username, e.data, e.subject_id from events e"
        " join principals p on p.id = e.actor_id where e.collection = 'exports'"
        " order by seq desc limit 2"
    )
    ended, begun = [(one["type"], one["username"], json.loads(one["data"])) for one in found]
    asked = {"what": "referrals", "purpose": "reporting", "format": "application/x-ndjson"}
    assert begun == ("export.begun", "agency-pkh", asked)
    assert ended == ("export.ended", "agency-pkh", {"rows": len(rows)})
    assert found[0]["subject_id"] == found[1]["subject_id"]
    refused = world.as_("agency-pkh").get("/exports/referrals", params={"purpose": "fun"})
    assert (refused.status_code, refused.json()["code"]) == (400, "parameter_invalid")


def test_what_an_export_does_not_hold_comes_after_its_cursor(world: World) -> None:
    sent = bring(world, "forwarded")
    rows, end = export(world, "agency-pkh", "referrals")
    (id,) = sent["referral_ids"]
    assert of(rows, id)["state"] == "sent"
    assert follow(world, "agency-pkh", end["cursor"]) == []
    act_on_referral(world, "agency-pkh", id, "grant")
    seen = follow(world, "agency-pkh", end["cursor"], types="referral.*")
    assert [(one["type"], one["data"]["version"]) for one in seen] == [
        ("referral.granted", of(rows, id)["version"] + 1)
    ]


@pytest.mark.parametrize("what", [one.name for one in EXPORTS])
def test_a_table_says_the_same_as_lines(world: World, what: str) -> None:
    bring(world, "awaiting_supervisor", narrative="=HYPERLINK(1)")
    rows, _ = export(world, "manager", what)
    answer = world.as_("manager").get(f"/exports/{what}", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["feed-cursor"]
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) == len(rows)
    assert {row["id"]: row["version"] for row in table} == {
        row["id"]: str(row["version"]) for row in rows
    }
    head = answer.text.splitlines()[0].split(",")
    (fields,) = [one.fields for one in EXPORTS if one.name == what]
    assert head == [name.replace(".", "_") for name in fields]
    nested = {"beneficiary", "reporter"}
    flat = [
        f"{name}.{part}" if name in nested else name
        for name, value in rows[0].items()
        for part in (value if name in nested else [""])
    ]
    assert sorted(flat) == sorted(fields)
    if what == "complaints":
        assert "'=HYPERLINK(1)" in answer.text


def many(world: World, count: int) -> None:
    """Referrals in the thousands, all of one complaint."""
    world.fetch(
        """
        insert into referrals (province_code, regency_code, district_code, village_code, id,
            version, complaint_id, program_code, purpose, beneficiary_key, beneficiary_name,
            origin, drafted_by, state, created_at, sent_at, stage, stage_entered_at, paused_for,
            steps_taken)
        select province_code, regency_code, district_code, village_code, gen_random_uuid(), 1, id,
            'PKH', 'enrol', 'many:' || n, repeat('Siti ', 20), 'desk', submitted_by, 'sent', now(),
            now(), 1, now(), '0', 0
        from (select * from complaints limit 1) c, generate_series(1, $1) n
        """,
        count,
    )


def test_an_export_that_breaks_off_does_not_say_that_it_is_whole(fresh_world: World) -> None:
    world = fresh_world
    file(world)
    many(world, 30_000)
    text = ""

    def read() -> None:
        nonlocal text
        with world.as_("manager").stream("GET", "/exports/referrals") as answer:
            for part in answer.iter_text():
                if not text:
                    # The reader is slow, and the server's connection is lost meanwhile.
                    assert world.fetch(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where application_name = 'slrt-api' and backend_xmin is not null"
                        " and datname = current_database()"
                    )
                text += part

    with pytest.raises(httpx.RemoteProtocolError):
        read()
    assert text
    assert '"_end"' not in text
    types = world.fetch("select type from events where collection = 'exports'")
    assert [one["type"] for one in types] == ["export.begun"]
    rows, _ = export(world, "manager", "referrals")
    assert len(rows) == 30_000


def test_four_exports_at_once_and_the_fifth_is_told_to_come_again(fresh_world: World) -> None:
    world = fresh_world
    file(world)
    many(world, 20_000)
    world.token("manager")
    streams = [world.as_("manager").stream("GET", "/exports/referrals") for _ in range(4)]
    answers = [one.__enter__() for one in streams]
    refused = world.as_("manager").get("/exports/referrals")
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert refused.headers["retry-after"] == "10"
    assert world.as_("manager").get("/me").status_code == 200
    # Readers that go away leave nothing behind.
    for one, answer in zip(streams, answers, strict=True):
        answer.close()
        one.__exit__(None, None, None)
    until = time.monotonic() + 10
    while world.as_("manager").get("/exports/referrals").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
