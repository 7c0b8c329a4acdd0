"""Dispatch to the centre: numbered batches, their files, the centre's answers, what waits."""

import base64
import csv
import hashlib
import io
import json
import logging
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.logs import Formatter
from app.workflow.dispatches.overdue import working_days_before
from tests.conftest import World
from tests.flows import (
    WATES,
    act_on_referral,
    bring,
    check_registry,
    etag,
    events,
    facilitator_id,
    file,
    get,
    hire,
    key,
    me,
    save_survey,
    told_steps,
)
from tests.flows import done as complaint_done
from tests.refusals import faults, refused
from tests.test_registry_changes import DESK, approved, done, proposed

Json = dict[str, Any]
FRONT, BACK, PROGRAM = "front.1", "back.1", "program.1"
DISTRICT = "35.76.02"


@pytest.fixture(autouse=True)
def _nothing_waits(request: pytest.FixtureRequest) -> None:
    """What another test left approved would be in this one's batch."""
    if "world" in request.fixturenames:
        world: World = request.getfixturevalue("world")
        world.fetch("update registry_changes set state = 'draft' where state = 'manager_approved'")


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that any logger writes, as the server writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


HOMES: dict[str, list[str]] = {}


def a_household(world: World) -> str:
    """A household of Wates with at least two people; after the last one they come round again."""
    if world.database not in HOMES:
        for table in ("households", "members", "families"):
            world.fetch(
                f"update {table} set district_code = $1, village_code = $2", DISTRICT, WATES
            )
        rows = world.fetch(
            "select household_id::text from members group by 1 having count(*) > 1 order by 1"
        )
        HOMES[world.database] = [row[0] for row in rows]
    HOMES[world.database].append(HOMES[world.database].pop(0))
    return HOMES[world.database][-1]


def home(world: World) -> Json:
    """Such a household as it is read."""
    found: Json = world.as_(FRONT).get(f"/households/{a_household(world)}").json()
    return found


def used_up(world: World, *ids: str) -> None:
    """Households that no other test should meet."""
    HOMES[world.database] = [one for one in HOMES[world.database] if one not in ids]


def change(world: World, **body: Any) -> Json:
    """An approved change; without more, a new address for some household."""
    if not body:
        fields = {"address": f"Jalan {secrets.token_hex(4)}"}
        body = {"kind": "update_household", "household_id": a_household(world), "fields": fields}
    one = proposed(world, **body)
    for who in ("supervisor.magersari", "manager"):
        path = f"/registry-changes/{one['id']}/actions"
        read = {"If-Match": f'"{one["version"]}"'} | key()
        answer = world.as_(who).post(path, json={"action": "approve"}, headers=read)
        assert answer.status_code == 200, answer.text
        one = answer.json()
    assert one["state"] == "manager_approved"
    return one


def dispatch(
    world: World, who: str = FRONT, headers: Json | None = None, **body: Any
) -> httpx.Response:
    sent = {"change_ids": None} | body
    return world.as_(who).post("/dispatches", json=sent, headers=headers or key())


def dispatched(world: World, *changes: Json, who: str = FRONT) -> Json:
    """A batch of some changes."""
    answer = dispatch(world, who, change_ids=[one["id"] for one in changes])
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


def batch(world: World, id: str, who: str = FRONT) -> Json:
    answer = world.as_(who).get(f"/dispatches/{id}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def upload(world: World, id: str, who: str = FRONT, headers: Json | None = None) -> httpx.Response:
    headers = headers or {"If-Match": etag(world, FRONT, f"/dispatches/{id}")} | key()
    return world.as_(who).post(
        f"/dispatches/{id}/actions", json={"action": "mark_uploaded"}, headers=headers
    )


def answered(world: World, id: str, *rows: Json, who: str = FRONT) -> httpx.Response:
    return world.as_(who).post(
        f"/dispatches/{id}/acknowledgements", json={"rows": list(rows)}, headers=key()
    )


def answer_file(world: World, id: str, text: str | bytes, who: str = FRONT) -> httpx.Response:
    sent = text if isinstance(text, bytes) else text.encode()
    headers = key() | {"Content-Type": "text/csv; charset=utf-8"}
    return world.as_(who).post(f"/dispatches/{id}/acknowledgements", content=sent, headers=headers)


def yes(one: Json) -> Json:
    return {"change_id": one["id"], "status": "confirmed"}


def no(one: Json, reason: str = "Alamat tidak cocok") -> Json:
    return {"change_id": one["id"], "status": "declined", "reason": reason}


def file_of(world: World, id: str, format: str = "json", who: str = FRONT) -> httpx.Response:
    return world.as_(who).get(f"/dispatches/{id}/file", params={"format": format})


def content(world: World, id: str) -> list[Json]:
    rows: list[Json] = file_of(world, id).json()["rows"]
    return rows


def state_of(world: World, id: str) -> str:
    found: str = world.as_(FRONT).get(f"/registry-changes/{id}").json()["state"]
    return found


def numbers_of(world: World, household_id: str) -> Json:
    """A household's numbers in clear: its card, and the national id of each of its people."""
    keys = world.cluster.keys.data
    card = world.fetch(
        "select id, family_card_number from families where household_id = $1", household_id
    )[0]
    people = world.fetch(
        "select id, national_id from members where household_id = $1 and national_id is not null",
        household_id,
    )
    return {
        "card": keys.open(card[1], "households", "family_card_number", card[0]),
        "people": {
            str(id): keys.open(sealed, "members", "national_id", id) for id, sealed in people
        },
    }


def log_of(world: World, id: str) -> list[str]:
    answer = world.as_(FRONT).get(f"/dispatches/{id}/events")
    return [one["type"] for one in answer.json()["items"]]


# --- making a batch ------------------------------------------------------------------------------


def test_a_batch_takes_all_that_is_approved(world: World) -> None:
    changes = [change(world), change(world)]
    waiting = proposed(
        world, kind="update_household", household_id=a_household(world),
        fields={"address": "Jalan Baru"},
    )  # fmt: skip
    answer = dispatch(world)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/v1/dispatches/{body['id']}"
    assert answer.headers["etag"] == '"1"'
    year = datetime.now(UTC).year
    assert re.fullmatch(rf"3576-D-{year}-[0-9]{{4}}", body["number"])
    assert (body["state"], body["row_count"], body["pending_count"]) == ("made", 2, 2)
    assert body["made_by"] == {"id": me(world, FRONT), "name": body["made_by"]["name"]}
    assert body["actions"] == ["mark_uploaded"]
    assert [row["change_id"] for row in body["rows"]] == sorted(one["id"] for one in changes)
    assert [row["number"] for row in body["rows"]] == [1, 2]
    assert {row["status"] for row in body["rows"]} == {"pending"}
    assert all(re.fullmatch(r"(\S\** ?)+", row["name"]) for row in body["rows"])
    for one in changes:
        after = world.as_(FRONT).get(f"/registry-changes/{one['id']}").json()
        assert (after["state"], after["dispatched_at"]) == ("dispatched", body["made_at"])
    assert state_of(world, waiting["id"]) == "proposed"
    assert log_of(world, body["id"]) == ["dispatch.made"]
    refused(dispatch(world), 409, "nothing_to_dispatch")


def test_numbers_follow_each_other(world: World) -> None:
    first = dispatched(world, change(world))["number"]
    second = dispatched(world, change(world))["number"]
    assert int(second[-4:]) == int(first[-4:]) + 1


def test_a_batch_of_some_leaves_the_others(world: World) -> None:
    one, other = change(world), change(world)
    made = dispatched(world, one, who=PROGRAM)
    assert [row["change_id"] for row in made["rows"]] == [one["id"]]
    assert state_of(world, other["id"]) == "manager_approved"


def test_only_approved_changes_of_the_city_are_sent(world: World) -> None:
    good, sent = change(world), change(world)
    dispatched(world, sent)
    elsewhere = change(world)
    world.fetch(
        "update registry_changes set regency_code = '35.77', state = 'manager_approved'"
        " where id = $1", elsewhere["id"],
    )  # fmt: skip
    ids = [good["id"], sent["id"], str(uuid4()), elsewhere["id"], good["id"]]
    answer = dispatch(world, change_ids=ids)
    refused(answer, 422, "not_dispatchable")
    assert faults(answer) == {
        "/change_ids/1": "not_dispatchable",
        "/change_ids/2": "unknown_reference",
        "/change_ids/3": "unknown_reference",
        "/change_ids/4": "named_twice",
    }
    assert state_of(world, good["id"]) == "manager_approved"
    refused(dispatch(world, change_ids=[good["id"]] * 2), 422, "validation_failed")
    refused(dispatch(world, change_ids=[sent["id"]]), 422, "not_dispatchable")
    refused(dispatch(world, change_ids=[str(uuid4())]), 422, "unknown_reference")
    refused(dispatch(world, change_ids=[]), 422, "validation_failed")
    refused(world.as_(FRONT).post("/dispatches", json={}, headers=key()), 422, "validation_failed")
    missing = world.as_(FRONT).post("/dispatches", json={"change_ids": None})
    refused(missing, 400, "idempotency_key_missing")


def test_a_retry_finds_the_batch_it_made(world: World) -> None:
    change(world)
    same = key()
    first, again = dispatch(world, headers=same), dispatch(world, headers=same)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    refused(dispatch(world, headers=same, regency_code="35.76"), 422, "idempotency_key_reused")


def test_two_offices_at_once_never_send_a_change_twice(world: World) -> None:
    changes = [change(world) for _ in range(4)]
    ids = [one["id"] for one in changes]
    for who in (FRONT, BACK, PROGRAM):
        world.token(who)

    def one(n: int) -> httpx.Response:
        body = {"change_ids": ids[n:] if n < 2 else None}
        return httpx.post(
            f"{world.base_url}/v1/dispatches",
            json=body,
            headers=key() | {"Authorization": f"Bearer {world.token((FRONT, BACK, PROGRAM)[n])}"},
            timeout=30,
        )

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(one, range(3)))
    assert {answer.status_code for answer in answers} <= {201, 409, 422, 503}, answers
    dispatch(world)
    rows = world.fetch(
        "select registry_change_id::text, count(*) from dispatch_rows"
        " where registry_change_id = any($1) group by 1", ids,
    )  # fmt: skip
    assert {row[0]: row[1] for row in rows} == dict.fromkeys(ids, 1)


def test_who_may_dispatch_and_who_may_look(world: World) -> None:
    made = dispatched(world, change(world))
    for who in ("manager", "head", "supervisor.magersari", DESK, "dpo", "admin"):
        refused(dispatch(world, who), 403, "role_not_allowed")
    for who in ("manager", "head", PROGRAM, BACK):
        assert batch(world, made["id"], who)["number"] == made["number"]
    for who in ("supervisor.magersari", DESK, "dpo", "admin", "integrator"):
        refused(world.as_(who).get(f"/dispatches/{made['id']}"), 404, "not_found")
        refused(world.as_(who).get("/dispatches"), 403, "role_not_allowed")
    assert batch(world, made["id"], "manager")["actions"] == []
    for path in ("actions", "acknowledgements"):
        body = (
            {"action": "mark_uploaded"}
            if path == "actions"
            else {"rows": [yes({"id": str(uuid4())})]}
        )
        answer = world.as_("manager").post(
            f"/dispatches/{made['id']}/{path}", json=body, headers=key()
        )
        refused(answer, 403, "role_not_allowed")
    refused(file_of(world, made["id"], who="head"), 403, "role_not_allowed")
    refused(world.as_(FRONT).get(f"/dispatches/{uuid4()}"), 404, "not_found")


def test_who_works_for_more_than_one_city_says_which(world: World) -> None:
    change(world)
    hire(world, "province", ("back_office", "35"))
    refused(dispatch(world, "province"), 422, "missing")
    refused(dispatch(world, "province", regency_code="33.01"), 422, "unknown_region")
    refused(dispatch(world, "province", regency_code="35.77"), 409, "nothing_to_dispatch")
    made = dispatch(world, "province", regency_code="35.76")
    assert made.status_code == 201, made.text
    assert batch(world, made.json()["id"], "province")["row_count"] == 1
    hire(world, "district", ("program_manager", DISTRICT, "PKH"))
    refused(dispatch(world, "district"), 403, "role_not_allowed")
    assert world.as_("district").get("/dispatches").json()["items"] == []


def test_batches_are_listed_newest_first_page_by_page(world: World) -> None:
    made = [dispatched(world, change(world))["id"] for _ in range(3)]
    upload(world, made[1])
    found, cursor = [], None
    for _ in range(50):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        answer = world.as_("manager").get("/dispatches", params=params).json()
        found += [one["id"] for one in answer["items"]]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert found[:3] == made[::-1]
    assert len(found) == len(set(found))
    uploaded = world.as_(FRONT).get("/dispatches", params={"state": "uploaded"}).json()["items"]
    assert uploaded[0]["id"] == made[1]
    assert "rows" not in uploaded[0]


# --- what is in it -------------------------------------------------------------------------------


def test_a_row_has_what_the_centre_needs(world: World) -> None:
    family = home(world)
    world.fetch("insert into bps_codes values ('3576020010', $1) on conflict do nothing", WATES)
    world.fetch(
        "insert into registry_ids (id, household_id, source, kind, value, source_version,"
        " province_code, regency_code, district_code, village_code) select gen_random_uuid(), id,"
        " 'dtsen', 'family', 'F-77', '2026-1', province_code, regency_code, district_code,"
        " village_code from households where id = $1", family["id"],
    )  # fmt: skip
    person = family["members"][1]
    numbers = numbers_of(world, family["id"])
    sent = proposed(
        world, kind="update_member", member_id=person["id"],
        fields={"name": "Nama Baru", "birth_date": "1990-01-02", "relation": "other"},
        evidence=[{"kind": "id_card", "reference": "KTP 1", "name": "Saksi"}], note="Ejaan",
    )  # fmt: skip
    refuse = {"refuse_fields": [{"field": "relation", "reason": "Tidak terbukti"}]}
    done(world, "supervisor.magersari", sent["id"], "approve", data=refuse)
    sent = done(world, "manager", sent["id"], "approve")
    row = content(world, dispatched(world, sent)["id"])[0]
    assert row["number"] == 1
    assert (row["change_id"], row["kind"]) == (sent["id"], "update_member")
    assert row["national_id"] == numbers["people"].get(person["id"])
    assert row["family_card_number"] == numbers["card"]
    # As the centre knows the person.
    assert (row["name"], row["birth_date"]) == (person["name"], person["birth_date"])
    assert row["fields"] == {
        "name": {"before": person["name"], "after": "Nama Baru"},
        "birth_date": {"before": person["birth_date"], "after": "1990-01-02"},
    }
    assert (row["village_code"], row["bps_code"]) == (WATES, "3576020010")
    assert row["evidence"] == [{"kind": "id_card", "reference": "KTP 1", "dated_on": None}]
    assert row["note"] == "Ejaan"
    assert row["into"] is row["died_on"] is row["household"] is row["revokes_change_id"] is None
    first = {"of": "household", "kind": "id"} | {
        "source": family["registry_source"], "value": family["registry_id"]
    }  # fmt: skip
    other = {"of": "household", "kind": "family", "source": "dtsen", "value": "F-77"}
    assert row["registry_ids"] == [first, other]


def test_every_kind_says_whom_it_is_about(world: World) -> None:
    family, twin, gone = home(world), home(world), home(world)
    people = [
        {"name": "Sri Baru", "relation": "spouse"},
        {"name": "Slamet Baru", "relation": "head", "national_id": "3576024507849002"},
    ]
    new = {"region_code": WATES, "family_card_number": "3576020101990001", "people": people}
    one = family["members"][1]
    world.fetch("update members set registry_id = 'P-9' where id = $1", one["id"])
    evidence = [{"kind": "death_certificate", "reference": "AK-1"}]
    wanted: list[Json] = [
        {"kind": "add_household", "household": new},
        {"kind": "add_member", "household_id": family["id"],
         "person": {"name": "Bayi", "relation": "child", "birth_date": "2026-01-05"}},
        {"kind": "report_death", "member_id": one["id"], "fields": {"died_on": "2026-10-01"},
         "evidence": evidence},
        {"kind": "report_move", "household_id": family["id"],
         "fields": {"region_code": "35.76.01.1004", "address": "Jalan Jauh"}},
        {"kind": "merge_duplicate", "household_id": gone["id"], "into_id": twin["id"]},
        {"kind": "remove", "household_id": gone["id"], "note": "Tidak ada lagi"},
    ]  # fmt: skip
    keys = [numbers_of(world, one["id"]) for one in (family, twin, gone)]
    merged = a_household(world)
    wanted[4]["household_id"] = merged
    used_up(world, family["id"], merged, twin["id"], gone["id"])
    changes = [change(world, **body) for body in wanted]
    rows = {row["kind"]: row for row in content(world, dispatched(world, *changes)["id"])}
    added = rows["add_household"]
    assert (added["name"], added["national_id"]) == ("Slamet Baru", "3576024507849002")
    assert added["family_card_number"] == "3576020101990001"
    assert [person["name"] for person in added["people"]] == ["Sri Baru", "Slamet Baru"]
    assert (added["household"]["region_code"], added["registry_ids"]) == (WATES, [])
    born = rows["add_member"]
    assert (born["name"], born["birth_date"], born["national_id"]) == ("Bayi", "2026-01-05", None)
    assert born["family_card_number"] == keys[0]["card"]
    died = rows["report_death"]
    assert (died["died_on"], died["fields"]) == ("2026-10-01", {})
    assert {"of": "person", "kind": "id", "source": family["registry_source"], "value": "P-9"} in (
        died["registry_ids"]
    )
    moved = rows["report_move"]
    assert moved["village_code"] == WATES
    assert moved["fields"]["region_code"] == {"before": WATES, "after": "35.76.01.1004"}
    head = next(m for m in family["members"] if m["relation"] == "head")
    assert moved["name"] == head["name"]
    into = rows["merge_duplicate"]["into"]
    assert into["family_card_number"] == keys[1]["card"]
    assert into["registry_ids"][0]["value"] == twin["registry_id"]
    head = next(m for m in gone["members"] if m["relation"] == "head")
    assert rows["remove"]["name"] == head["name"]
    assert rows["remove"]["registry_ids"][0]["value"] == gone["registry_id"]


# --- the files -----------------------------------------------------------------------------------


def test_files_are_the_same_bytes_each_time_and_have_their_checksums(world: World) -> None:
    made = dispatched(world, change(world), change(world))
    for format, name in (("csv", "text/csv"), ("json", "application/json")):
        first, again = file_of(world, made["id"], format), file_of(world, made["id"], format, BACK)
        assert first.status_code == 200, first.text
        assert first.content == again.content
        assert first.headers["content-type"].startswith(name)
        assert first.headers["cache-control"] == "no-store"
        shown = f'attachment; filename="{made["number"]}.{format}"'
        assert first.headers["content-disposition"] == shown
        digest = hashlib.sha256(first.content)
        assert digest.hexdigest() == made[f"{format}_sha256"]
        expected = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        assert first.headers["repr-digest"] == expected
    rows = file_of(world, made["id"]).json()
    assert (rows["number"], rows["made_at"]) == (made["number"], made["made_at"])
    refused(file_of(world, made["id"], "xlsx"), 400, "parameter_invalid")
    refused(world.as_(FRONT).get(f"/dispatches/{made['id']}/file"), 400, "parameter_invalid")
    assert log_of(world, made["id"]).count("dispatch.file_read") == 5


def test_what_happens_later_does_not_change_a_file(world: World) -> None:
    one = change(world)
    made = dispatched(world, one)
    before = file_of(world, made["id"], "csv").content
    upload(world, made["id"])
    answered(world, made["id"], no(one))
    world.fetch("update households set address = 'lain' where id = $1", one["household_id"])
    assert file_of(world, made["id"], "csv").content == before


def test_the_table_has_a_cell_for_everything_and_no_formula(world: World) -> None:
    family = home(world)
    person = family["members"][1]
    rows = []
    for name, note in (("=1+1", "+62"), ("-2", "@SUM(A1)"), ("Jalan; \"A\", 'B'", "\uff1dA1")):
        fields = {"name": name} if name[0] != "J" else {"relation": "other"}
        rows.append(change(world, kind="update_member", member_id=person["id"], fields=fields,
            note=note))  # fmt: skip
    text = file_of(world, dispatched(world, *rows)["id"], "csv").content.decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [one["number"] for one in lines] == ["1", "2", "3"]
    assert [one["change_id"] for one in lines] == [one["id"] for one in rows]
    assert [one["note"] for one in lines] == ["'+62", "'@SUM(A1)", "'\uff1dA1"]
    assert [one["name"] for one in lines] == [person["name"], "'=1+1", "'-2"]
    assert json.loads(lines[0]["fields"])["name"]["after"] == "=1+1"
    assert lines[0]["died_on"] == lines[0]["people"] == ""
    for line in lines:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line.values())


def test_numbers_stand_in_the_file_alone(world: World, logs: io.StringIO) -> None:
    family = home(world)
    numbers = numbers_of(world, family["id"])
    one = change(
        world, kind="update_household", household_id=family["id"], fields={"address": "Jl. Rahasia"}
    )
    made = dispatched(world, one)
    secret = f"NIK {numbers['card']} tidak cocok"
    file = file_of(world, made["id"]).text
    upload(world, made["id"])
    assert answered(world, made["id"], no(one, secret)).status_code == 200
    read = [json.dumps(made), json.dumps(world.as_(FRONT).get("/dispatches").json())]
    log = [str(dict(row)) for row in world.fetch("select * from events")]
    head = next(m for m in family["members"] if m["relation"] == "head")["name"]
    for number in (numbers["card"], *numbers["people"].values()):
        assert number not in "".join(read) + "".join(log) + logs.getvalue()
    assert numbers["card"] in file
    assert head in file
    assert head not in json.dumps(made) + "".join(log)
    sealed = world.fetch("select content from dispatch_rows where dispatch_id = $1", made["id"])
    assert numbers["card"].encode() not in sealed[0][0]


# --- at the centre -------------------------------------------------------------------------------


def with_complaint(world: World, forwarded: bool = True) -> tuple[Json, Json]:
    """A complaint that asks for a correction alone, and the change that came with it."""
    complaint = file(world, category="data_correction", program_code=None)
    id = complaint["id"]
    check_registry(world, id)
    complaint_done(world, DESK, id, "forward_to_secretariat")
    fields = {"address": f"Jalan {secrets.token_hex(4)}"}
    one = proposed(
        world, kind="update_household", household_id=a_household(world), fields=fields,
        complaint_id=id,
    )  # fmt: skip
    complaint_done(world, FRONT, id, "assign", data={"facilitator_id": facilitator_id(world)})
    saved = save_survey(world, id, program_needs=[], no_needs=True)
    assert saved.status_code == 200, saved.text
    who = "facilitator.wates.1"
    complaint_done(world, who, id, "submit_survey", if_match=saved.headers["etag"])
    complaint_done(world, "supervisor.magersari", id, "approve")
    complaint = complaint_done(world, "manager", id, "forward")
    return complaint, one


def test_an_upload_says_when_the_data_was_at_the_centre(world: World) -> None:
    complaint, one = with_complaint(world)
    assert complaint["at_centre_at"] is None
    made = dispatched(world, one, change(world))
    path = f"/dispatches/{made['id']}"
    body = {"action": "mark_uploaded"}
    refused(world.as_(FRONT).post(f"{path}/actions", json=body), 428, "precondition_required")
    refused(upload(world, made["id"], headers={"If-Match": '"7"'}), 412, "stale_version")
    same = {"If-Match": '"1"'} | key()
    answer = upload(world, made["id"], BACK, same)
    assert answer.status_code == 200, answer.text
    read = answer.json()
    assert (read["state"], read["actions"], answer.headers["etag"]) == ("uploaded", [], '"2"')
    assert read["uploaded_by"]["id"] == me(world, BACK)
    after = get(world, FRONT, complaint["id"])
    assert after["at_centre_at"] == read["uploaded_at"]
    # Nobody who is at work on it is disturbed.
    assert after["version"] == complaint["version"]
    assert events(world, complaint["id"])[-1]["type"] == "complaint.at_centre"
    again = upload(world, made["id"], BACK, same)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == read
    refused(upload(world, made["id"]), 409, "action_not_allowed")
    bad = world.as_(FRONT).post(f"{path}/actions", json={"action": "burn"}, headers=key())
    refused(bad, 422, "unknown_action")
    assert log_of(world, made["id"]) == ["dispatch.made", "dispatch.uploaded"]


def test_the_first_arrival_counts(world: World) -> None:
    complaint, one = with_complaint(world)
    world.fetch("update complaints set at_centre_at = '2026-01-01Z' where id = $1", complaint["id"])
    upload(world, dispatched(world, one)["id"])
    assert get(world, FRONT, complaint["id"])["at_centre_at"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("action", "body", "arrives"),
    [
        ("acknowledge", {}, True),
        ("decline", {"reason": "quota_full"}, True),
        ("ask", {"note": "Mana berkasnya?"}, True),
        ("cancel", {"reason": "keliru"}, False),
    ],
)
def test_a_referral_that_its_owner_has_is_at_the_centre(
    world: World, action: str, body: Json, arrives: bool
) -> None:
    complaint = bring(world, "forwarded")
    who = "manager" if action == "cancel" else PROGRAM
    answer = act_on_referral(world, who, complaint["referral_ids"][0], action, **body)
    assert answer.status_code == 200, answer.text
    after = get(world, FRONT, complaint["id"])
    assert (after["at_centre_at"] is not None) is arrives
    if arrives:
        kinds = [one["type"] for one in events(world, complaint["id"])]
        assert kinds.count("complaint.at_centre") == 1
        assert answer.json()["received_at"] in (after["at_centre_at"], None)


def test_a_complaint_that_only_links_is_not_there_before_it_is_forwarded(world: World) -> None:
    first = bring(world, "forwarded")
    id = first["referral_ids"][0]
    linked = bring(world, "awaiting_manager")
    row = world.fetch("select province_code from referrals where id = $1", id)[0]
    world.fetch(
        "insert into complaint_referrals (complaint_id, referral_id, origin, province_code,"
        " regency_code, district_code, village_code) select $1, id, 'desk', $2, regency_code,"
        " district_code, village_code from referrals where id = $3",
        linked["id"], row[0], id,
    )  # fmt: skip
    assert act_on_referral(world, PROGRAM, id, "acknowledge").status_code == 200
    assert get(world, FRONT, first["id"])["at_centre_at"] is not None
    assert get(world, FRONT, linked["id"])["at_centre_at"] is None
    # What it waits for is with its owner from then on that it is forwarded.
    sent = complaint_done(world, "manager", linked["id"], "forward")
    assert sent["at_centre_at"] is not None
    kinds = [one["type"] for one in events(world, linked["id"])]
    assert kinds.count("complaint.at_centre") == 1


# --- what the centre says ------------------------------------------------------------------------


def test_answers_are_taken_in_row_by_row_and_settle_complaints(world: World) -> None:
    complaint, one = with_complaint(world)
    other, third = change(world), change(world)
    made = dispatched(world, one, other, third)
    upload(world, made["id"])
    answer = answered(world, made["id"], yes(one), no(other), who=PROGRAM)
    assert answer.status_code == 200, answer.text
    read = answer.json()
    assert (read["state"], read["confirmed_count"], read["declined_count"]) == ("uploaded", 1, 1)
    assert (read["pending_count"], answer.headers["etag"]) == (1, '"3"')
    rows = {row["change_id"]: row for row in read["rows"]}
    assert rows[other["id"]]["reason"] == "Alamat tidak cocok"
    assert rows[third["id"]]["answered_at"] is None
    assert state_of(world, one["id"]) == "confirmed"
    after = world.as_(FRONT).get(f"/registry-changes/{other['id']}").json()
    assert (after["state"], after["reason"]) == ("declined", "Alamat tidak cocok")
    assert after["answered_at"] == rows[other["id"]]["answered_at"]
    settled = get(world, FRONT, complaint["id"])
    assert (settled["state"], settled["outcome"]) == ("answered", "granted")
    number = rows[third["id"]]["number"]
    last = answered(world, made["id"], {"number": number, "status": "confirmed"})
    assert last.status_code == 200, last.text
    assert last.json()["state"] == "acknowledged"
    assert last.json()["acknowledged_at"]
    assert log_of(world, made["id"]) == [
        "dispatch.made", "dispatch.uploaded", "dispatch.answered", "dispatch.answered",
        "dispatch.acknowledged",
    ]  # fmt: skip
    refused(upload(world, made["id"]), 409, "action_not_allowed")


def test_the_same_answer_again_changes_nothing_and_another_is_refused(world: World) -> None:
    one, other = change(world), change(world)
    made = dispatched(world, one, other)
    upload(world, made["id"])
    first = answered(world, made["id"], no(one))
    assert answered(world, made["id"], no(one)).json() == first.json()
    # For another reason it is another answer: it is not dropped without a word.
    answer = answered(world, made["id"], yes(other), no(one, "Lain kata"))
    refused(answer, 409, "acknowledged_already")
    assert faults(answer) == {"/rows/1": "acknowledged_already"}
    answer = answered(world, made["id"], yes(other), yes(one))
    refused(answer, 409, "acknowledged_already")
    assert faults(answer) == {"/rows/1": "acknowledged_already"}
    assert state_of(world, other["id"]) == "dispatched"
    path, same = f"/dispatches/{made['id']}/acknowledgements", key()
    sent = {"rows": [yes(other)]}
    first = world.as_(FRONT).post(path, json=sent, headers=same)
    again = world.as_(FRONT).post(path, json=sent, headers=same)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()


def test_an_answer_proves_the_upload(world: World) -> None:
    complaint, one = with_complaint(world)
    made = dispatched(world, one, change(world))
    read = answered(world, made["id"], yes(one)).json()
    assert (read["state"], read["uploaded_by"]["id"]) == ("uploaded", me(world, FRONT))
    assert get(world, FRONT, complaint["id"])["at_centre_at"] == read["uploaded_at"]


def test_answers_that_cannot_be_taken_in_change_nothing(world: World) -> None:
    one, stranger = change(world), change(world)
    made = dispatched(world, one)
    for rows, code, where in (
        ([yes(one), yes(stranger)], "unknown_reference", {"/rows/1": "unknown_reference"}),
        ([yes(one), {"number": 9, "status": "confirmed"}], "unknown_reference",
         {"/rows/1": "unknown_reference"}),
        ([yes(one), yes(one)], "validation_failed", {"/rows/1": "named_twice"}),
        ([yes(one) | {"status": "declined"}], "reason_required",
         {"/rows/0/reason": "reason_required"}),
        ([{"status": "confirmed"}, yes(one) | {"number": 1}], "validation_failed",
         {"/rows/0": "row_ambiguous", "/rows/1": "row_ambiguous"}),
        ([yes(one) | {"status": "pending"}], "validation_failed",
         {"/rows/0/status": "not_an_option"}),
        ([], "validation_failed", {"/rows": "too_few"}),
    ):  # fmt: skip
        answer = answered(world, made["id"], *rows)
        refused(answer, 422, code)
        assert faults(answer) == where
    assert state_of(world, one["id"]) == "dispatched"
    assert batch(world, made["id"]) == made


def test_two_answers_at_once_are_taken_in_once(world: World) -> None:
    complaint, one = with_complaint(world)
    made = dispatched(world, one)
    upload(world, made["id"])
    token = world.token(FRONT)

    def say(n: int) -> int:
        return httpx.post(
            f"{world.base_url}/v1/dispatches/{made['id']}/acknowledgements",
            json={"rows": [yes(one) if n % 2 else no(one)]},
            headers=key() | {"Authorization": f"Bearer {token}"},
            timeout=30,
        ).status_code

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(say, range(6)))
    assert sorted(codes) == [200, 200, 200, 409, 409, 409]
    log = world.fetch(
        "select type from events where subject_id = $1 and type like '%acknowledged'", one["id"]
    )
    assert len(log) == 1
    assert get(world, FRONT, complaint["id"])["state"] == "answered"


def test_one_upload_wins(world: World) -> None:
    made = dispatched(world, change(world))
    token = world.token(FRONT)

    def mark(_: int) -> int:
        return httpx.post(
            f"{world.base_url}/v1/dispatches/{made['id']}/actions",
            json={"action": "mark_uploaded"},
            headers=key() | {"Authorization": f"Bearer {token}", "If-Match": '"1"'},
            timeout=30,
        ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(mark, range(4))) == [200, 412, 412, 412]
    assert log_of(world, made["id"]).count("dispatch.uploaded") == 1


def test_what_was_declined_is_corrected_and_sent_again(world: World) -> None:
    one = change(world)
    first = dispatched(world, one)
    answered(world, first["id"], no(one))
    fields = {"fields": {"address": "Jalan yang Benar"}}
    done(world, DESK, one["id"], "resubmit", data=fields)
    approved(world, one["id"])
    second = dispatch(world).json()
    assert [row["change_id"] for row in second["rows"]] == [one["id"]]
    assert answered(world, second["id"], yes(one)).json()["state"] == "acknowledged"
    assert state_of(world, one["id"]) == "confirmed"
    # The first batch keeps what was said of it.
    assert batch(world, first["id"])["rows"][0]["status"] == "declined"
    row = content(world, second["id"])[0]
    assert row["fields"]["address"]["after"] == "Jalan yang Benar"


# --- the centre's answer file --------------------------------------------------------------------


def test_the_centres_file_is_read_with_bom_semicolons_and_its_own_words(world: World) -> None:
    one, other, third = change(world), change(world), change(world)
    made = dispatched(world, one, other, third)
    ids = [row["change_id"] for row in made["rows"]]
    text = (
        "\ufeffNo;Nama;STATUS;Keterangan\r\n"
        '1;Siti;Diterima;\r\n\r\n2;"Budi; anak Siti";DITOLAK;"Tidak ""cocok"""\r\n3;Ani;;\r\n'
    )
    answer = answer_file(world, made["id"], text)
    assert answer.status_code == 200, answer.text
    assert [row["status"] for row in answer.json()["rows"]] == ["confirmed", "declined", "pending"]
    assert answer.json()["rows"][1]["reason"] == 'Tidak "cocok"'
    last = f"change_id\tstatus\treason\n{ids[2]}\tdeclined\tganda"
    assert answer_file(world, made["id"], last).json()["state"] == "acknowledged"
    assert [state_of(world, id) for id in ids] == ["confirmed", "declined", "declined"]


def test_our_own_file_comes_back_with_two_more_columns(world: World) -> None:
    made = dispatched(world, change(world), change(world))
    lines = list(csv.reader(io.StringIO(file_of(world, made["id"], "csv").text, newline="")))
    out = io.StringIO()
    csv.writer(out).writerows(
        [
            [*lines[0], "status", "alasan"],
            [*lines[1], "diterima", ""],
            [*lines[2], "ditolak", "meninggal"],
        ]
    )
    answer = answer_file(world, made["id"], out.getvalue())
    assert answer.status_code == 200, answer.text
    assert (answer.json()["confirmed_count"], answer.json()["declined_count"]) == (1, 1)


def test_every_bad_line_is_named_and_no_other_is_taken_in(world: World) -> None:
    made = dispatched(world, change(world), change(world))
    text = "\n".join(
        [
            "number,change_id,status,reason",
            "1,,confirmed,",
            "x,,confirmed,",
            ",not-an-id,confirmed,",
            "2,,mungkin,",
            '2,,declined,"',
            '"',
            f"2,,declined,{'a' * 201}",
            "2,,declined,a\x07b",
            ",,confirmed",
        ]
    )
    answer = answer_file(world, made["id"], text)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {
        "/lines/3": "invalid",
        "/lines/4": "invalid",
        "/lines/5": "status_unknown",
        "/lines/6": "reason_required",
        "/lines/8": "reason_too_long",
        "/lines/9": "character_not_allowed",
        "/lines/10": "invalid",
    }
    answer = answer_file(world, made["id"], "number,status\n1,confirmed\n\n7,confirmed\n1,declined")
    refused(answer, 422, "validation_failed")
    answer = answer_file(
        world, made["id"], "number,status\n1,confirmed\n\n7,confirmed\n1,confirmed"
    )
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {"/lines/4": "unknown_reference", "/lines/5": "named_twice"}
    # Sorted by one column alone, or shifted by a divider too many: the wrong people would be told.
    first = made["rows"][0]["change_id"]
    text = f"number,change_id,status\n1,{first},confirmed\n2,{first},confirmed\n1,,confirmed,x"
    answer = answer_file(world, made["id"], text)
    assert faults(answer) == {"/lines/4": "invalid"}
    answer = answer_file(world, made["id"], text.rpartition("\n")[0])
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {"/lines/3": "row_ambiguous"}
    twice = answer_file(world, made["id"], "number,nomor,status\n1,2,confirmed")
    refused(twice, 422, "malformed_file")
    assert batch(world, made["id"])["rows"] == made["rows"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"\n", {"/lines/1": "columns_missing"}),
        (b"number,reason\n1,x", {"/lines/1": "columns_missing"}),
        (b"status,status,number\nconfirmed,declined,1", {"/lines/1": "columns_missing"}),
        (b"status\nconfirmed", {"/lines/1": "columns_missing"}),
        (b"number,status\n1,\n", {"": "too_few"}),
        (b"number,status\n1,dit\xe9rima", {}),
        ("number,status\n1,confirmed".encode("utf-16"), {}),
        (b'number,status\n1,"confirmed', {"/lines/2": "invalid"}),
        (b'number,status\n1,"conf"irmed', {"/lines/2": "invalid"}),
        (b"number,status\n1," + b"a" * 200_000, {"/lines/2": "invalid"}),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(world: World, text: bytes, where: Json) -> None:
    rows = world.fetch("select id from dispatches limit 1")
    id = str(rows[0][0]) if rows else dispatched(world, change(world))["id"]
    answer = answer_file(world, id, text)
    refused(answer, 422, "malformed_file")
    assert faults(answer) == where


def test_a_file_may_be_as_long_as_a_batch_and_no_longer(world: World) -> None:
    made = dispatched(world, change(world))
    text = "number,status\n" + "1,confirmed\n" * 5001
    answer = answer_file(world, made["id"], text)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {"/lines/5002": "too_many"}
    large = b"number,status\n" + b"1,confirmed," * 900_000
    refused(answer_file(world, made["id"], large), 413, "body_too_large")
    other = world.as_(FRONT).post(
        f"/dispatches/{made['id']}/acknowledgements", content=b"<a/>",
        headers=key() | {"Content-Type": "text/xml"},
    )  # fmt: skip
    refused(other, 415, "unsupported_media_type")
    # No other call takes a table.
    other = world.as_(FRONT).post(
        "/dispatches", content=b"a,b", headers=key() | {"Content-Type": "text/csv"}
    )
    refused(other, 415, "unsupported_media_type")


# --- what waits too long -------------------------------------------------------------------------

FRIDAY = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)  # 15:00 in Jakarta


@pytest.mark.parametrize(
    ("at", "days", "since"),
    [
        (FRIDAY, 1, FRIDAY - timedelta(days=1)),
        (FRIDAY + timedelta(days=3), 1, FRIDAY),
        (FRIDAY + timedelta(days=4), 2, FRIDAY),
        # On Saturday and Sunday no time passes: Friday ended at 17:00 UTC.
        (FRIDAY + timedelta(days=1), 1, datetime(2026, 11, 26, 17, tzinfo=UTC)),
        (FRIDAY + timedelta(days=2), 2, datetime(2026, 11, 25, 17, tzinfo=UTC)),
        # Early on Friday in UTC is Friday in Jakarta, late on Friday is Saturday there.
        (datetime(2026, 11, 27, 20, tzinfo=UTC), 1, datetime(2026, 11, 26, 17, tzinfo=UTC)),
    ],
)
def test_working_days_are_monday_to_friday_in_jakarta(
    at: datetime, days: int, since: datetime
) -> None:
    assert working_days_before(at, days) == since


OFFICE = ("front.1", "front.2", "back.1", "back.2", "program.1", "program.2", "program.3",
    "program.4")  # fmt: skip


def to_wednesday(world: World) -> None:
    """Let the domain's clock stand on a Wednesday morning, whenever the test runs."""
    now = world.fetch("select slrt_now()")[0][0].astimezone(UTC)
    noon = now.replace(hour=3, minute=0, second=0, microsecond=0)
    days = (2 - noon.weekday()) % 7 or 7
    world.advance(seconds=(noon + timedelta(days=days) - now).total_seconds())


def test_a_change_in_no_batch_is_told_of_once(fresh_world: World) -> None:
    world = fresh_world
    to_wednesday(world)
    one = change(world)
    world.advance(hours=23)
    assert world.sweep("undispatched")["found"] == 0
    world.advance(hours=2)
    assert world.sweep("undispatched")["acted"] == 1
    assert world.sweep("undispatched")["found"] == 0
    assert told_steps(world, FRONT, one["id"]) == ["undispatched"]
    assert told_steps(world, "manager", one["id"]) == []
    rows = world.fetch(
        "select username from notifications join principals p on p.id = principal_id"
        " where subject_id = $1 and step = 'undispatched'", one["id"],
    )  # fmt: skip
    assert sorted(row[0] for row in rows) == sorted(OFFICE)
    world.advance(hours=24)
    world.sweep("undispatched")
    assert told_steps(world, "manager", one["id"]) == ["undispatched"]
    assert told_steps(world, FRONT, one["id"]) == ["undispatched"]
    world.advance(days=20)
    assert world.sweep("undispatched")["found"] == 0
    # What is sent is no longer waited for.
    made = dispatched(world, one)
    upload(world, made["id"])
    assert world.sweep("undispatched")["found"] == 0


def test_a_batch_that_is_not_uploaded_or_not_answered_is_told_of_once(fresh_world: World) -> None:
    world = fresh_world
    to_wednesday(world)
    one = change(world)
    made = dispatched(world, one)
    world.advance(hours=25)
    assert world.sweep("undispatched")["acted"] == 1
    assert told_steps(world, PROGRAM, made["id"]) == ["undispatched"]
    assert told_steps(world, "manager", made["id"]) == []
    world.advance(days=6)
    assert world.sweep("undispatched")["acted"] == 1
    assert told_steps(world, "manager", made["id"]) == ["undispatched"]
    upload(world, made["id"])
    world.advance(days=29)
    assert world.sweep("undispatched")["found"] == 0
    world.advance(days=1, hours=1)
    assert world.sweep("undispatched")["acted"] == 1
    assert told_steps(world, FRONT, made["id"]) == ["undispatched", "unacknowledged"]
    # Programme managers make batches; the secretariat asks the centre.
    assert told_steps(world, PROGRAM, made["id"]) == ["undispatched"]
    world.advance(days=7)
    assert world.sweep("undispatched")["acted"] == 1
    assert told_steps(world, "manager", made["id"]) == ["undispatched", "unacknowledged"]
    assert world.sweep("undispatched")["found"] == 0
    answered(world, made["id"], yes(one))
    world.advance(days=50)
    assert world.sweep("undispatched")["found"] == 0
    assert log_of(world, made["id"]).count("dispatch.overdue") == 4


def test_a_clock_that_jumps_takes_both_steps_at_once_and_only_once(fresh_world: World) -> None:
    world = fresh_world
    to_wednesday(world)
    waiting = change(world)
    made = dispatched(world, change(world))
    world.advance(days=14)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: world.sweep("undispatched"), range(2)))
    for id in (waiting["id"], made["id"]):
        assert told_steps(world, FRONT, id) == told_steps(world, "manager", id) == ["undispatched"]
    steps = world.fetch(
        "select subject_id::text, stage from escalations where step = 'undispatched'"
    )
    assert len(steps) == 4
