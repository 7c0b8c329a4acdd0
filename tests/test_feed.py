"""The feed: who sees what, in which order, and where a cursor leads."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.database import create_engine
from app.domain.feed import KINDS
from app.migrations import migrate
from app.settings import DEMO_CLIENT_SECRET
from app.workflow.event_types import EVENT_TYPES
from tests.conftest import TLS, Cluster, World, serve
from tests.flows import (
    KAUMAN,
    act_on_referral,
    bring,
    done,
    draft_referral,
    events,
    file,
    hire,
    key,
)
from tests.processes import Shell, on_the_database_of, until

CITY = "35.76"


def read(world: World, who: str, **params: Any) -> dict[str, Any]:
    answer = world.as_(who).get("/changes", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def follow(world: World, who: str, cursor: str | None = None, **params: Any) -> list[Any]:
    """Every event from a cursor on, page by page."""
    seen: list[Any] = []
    while True:
        sent = params | ({"cursor": cursor} if cursor else {})
        page = read(world, who, limit=7, **sent)
        if not page["items"]:
            assert page["next_cursor"] == cursor or cursor is None
            return seen
        seen += page["items"]
        cursor = page["next_cursor"]


def latest(world: World, who: str, **params: Any) -> str:
    page = read(world, who, cursor="latest", **params)
    assert page["items"] == []
    return str(page["next_cursor"])


def refused(world: World, who: str, status: int, code: str, **params: Any) -> dict[str, Any]:
    answer = world.as_(who).get("/changes", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    found: dict[str, Any] = answer.json()
    return found


def client(world: World, name: str, scopes: list[str], region: str, *programs: str) -> None:
    """A new client of the deployment, signed in."""
    body = {
        "username": name, "name": name, "secret": DEMO_CLIENT_SECRET, "scopes": scopes,
        "region_codes": [region], "program_codes": list(programs),
    }  # fmt: skip
    answer = world.as_("admin").post("/clients", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    form = {"grant_type": "client_credentials", "client_id": name}
    form["client_secret"] = answer.json().get("secret") or DEMO_CLIENT_SECRET
    token = world.anyone.post("/v1/auth/token", data=form)
    assert token.is_success, token.text
    world.tokens[name] = token.json()["access_token"]


def test_the_feed_tells_a_complaint_in_order_with_its_state_at_each_step(world: World) -> None:
    cursor = latest(world, "manager")
    complaint = bring(world, "closed")
    told = [one for one in follow(world, "manager", cursor) if one["data"]["id"] == complaint["id"]]
    history = events(world, complaint["id"])
    assert [one["id"] for one in told] == [one["id"] for one in history]
    stages = [one for one in told if one["type"].startswith("complaint.")]
    assert [stages[0]["data"]["state"], stages[-1]["data"]["state"]] == ["received", "closed"]
    by_id = {one["id"]: one for one in history}
    assert all(by_id[one["id"]]["to"] in (one["data"]["state"], None) for one in told)
    assert [one["data"]["outcome"] for one in told][:: len(told) - 1] == [None, "granted"]
    versions = [one["data"]["version"] for one in told]
    assert versions == sorted(versions)
    first = told[0]
    assert first.keys() == {
        "specversion", "id", "source", "type", "subject", "time", "sequence", "data",
    }  # fmt: skip
    assert (first["specversion"], first["type"]) == ("1.0", "complaint.submitted")
    assert first["subject"] == f"complaints/{complaint['id']}"
    assert first["time"] == by_id[first["id"]]["at"]
    assert (len(first["sequence"]), first["sequence"].isdigit()) == (20, True)
    assert first["data"] == {
        "id": complaint["id"], "version": 1, "state": "received", "outcome": None,
        "region_code": complaint["region_code"], "program_code": "PKH",
    }  # fmt: skip
    sequences = [one["sequence"] for one in follow(world, "manager")]
    assert sequences == sorted(set(sequences))


def test_an_owner_sees_its_referrals_from_sent_on_and_nothing_else(world: World) -> None:
    client(world, "pip-kauman", ["referrals:read"], KAUMAN, "PIP", "PKH")
    readers = ("agency-pkh", "integrator", "pip-kauman", "program.1", "head")
    cursors = {who: latest(world, who) for who in readers}
    complaint = bring(world, "assigned")
    pip = draft_referral(world, "front.1", complaint, "PIP")
    withdrawn = bring(world, "awaiting_manager")
    done(world, "front.1", withdrawn["id"], "withdraw", note="Tidak jadi.")
    assert follow(world, "agency-pkh", cursors["agency-pkh"]) == []
    forwarded = bring(world, "forwarded")
    pkh = forwarded["referral_ids"][0]
    for action, more in (("acknowledge", {}), ("waitlist", {}), ("grant", {})):
        assert act_on_referral(world, "agency-pkh", pkh, action, **more).is_success
    seen = follow(world, "agency-pkh", cursors["agency-pkh"])
    assert [(one["type"], one["data"]["state"]) for one in seen] == [
        ("referral.sent", "sent"), ("referral.received", "received"),
        ("referral.waitlisted", "waitlisted"), ("referral.granted", "granted"),
    ]  # fmt: skip
    assert {one["subject"] for one in seen} == {f"referrals/{pkh}"}
    assert follow(world, "integrator", cursors["integrator"]) == seen
    # Another region: not even a cursor that moves.
    assert read(world, "pip-kauman", cursor=cursors["pip-kauman"]) == {
        "items": [], "next_cursor": cursors["pip-kauman"],
    }  # fmt: skip
    managed = follow(world, "program.1", cursors["program.1"])
    assert {one["type"] for one in managed} >= {"referral.drafted", "referral.approved"}
    assert {one["data"]["program_code"] for one in managed} <= {"PKH", "PIP"}
    office = {one["subject"] for one in follow(world, "head", cursors["head"])}
    assert {f"complaints/{forwarded['id']}", f"referrals/{pip['id']}"} <= office


@pytest.mark.parametrize("who", ["facilitator.wates.1", "supervisor.magersari", "front.1", "admin",
    "puskesos.wates", "dpo", "script-batch"])  # fmt: skip
def test_nobody_else_reads_the_feed(world: World, who: str) -> None:
    refused(world, who, 403, "role_not_allowed")


def test_to_answer_referrals_is_not_to_read_them(world: World) -> None:
    client(world, "answers-only", ["referrals:answer"], CITY, "PKH")
    refused(world, "answers-only", 403, "role_not_allowed")


def test_an_empty_page_gives_back_the_cursor_that_was_sent(world: World) -> None:
    cursor = latest(world, "agency-pkh")
    file(world)
    for _ in range(2):
        page = read(world, "agency-pkh", cursor=cursor)
        assert page == {"items": [], "next_cursor": cursor}
    answer = world.as_("agency-pkh").get("/changes", params={"cursor": cursor})
    assert answer.headers["link"] == f'</v1/changes?cursor={cursor}>; rel="next"'


def test_types_choose_events_and_bind_the_cursor(world: World) -> None:
    cursor = latest(world, "manager", types="complaint.submitted,referral.*")
    bring(world, "awaiting_manager")
    seen = follow(world, "manager", cursor, types="referral.*,complaint.submitted")
    assert [one["type"] for one in seen] == [
        "complaint.submitted", "referral.drafted", "referral.approved",
    ]  # fmt: skip
    for types in ("referral.*", None):
        sent = {"types": types} if types else {}
        refused(world, "manager", 400, "cursor_invalid", cursor=cursor, **sent)


@pytest.mark.parametrize("types", ["referral", "*", "nobody.*", "referral.sent,", "referral.Sent",
    "referral.%", "referral.no_such", "account.created",
    ",".join(["referral.sent"] * 51)])  # fmt: skip
def test_types_that_cannot_be_are_refused(world: World, types: str) -> None:
    (fault,) = refused(world, "manager", 400, "parameter_invalid", types=types)["errors"]
    assert (fault["parameter"], fault["code"]) == ("types", "not_an_option")


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"wait": 26}, {"wait": -1},
    {"limit": "x"}])  # fmt: skip
def test_limits_that_cannot_be_are_refused(world: World, params: dict[str, Any]) -> None:
    refused(world, "manager", 400, "parameter_invalid", **params)
    refused(world, "manager", 400, "unknown_parameter", after=1)


def test_a_cursor_is_its_readers_own_and_cannot_be_made(world: World) -> None:
    cursor = latest(world, "manager")
    forged = cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:]
    listed = world.as_("manager").get("/complaints", params={"limit": 1}).json()["next_cursor"]
    for sent in (forged, "x", "latest2", "", listed, cursor + "AAAA"):
        refused(world, "manager", 400, "cursor_invalid", cursor=sent)
    refused(world, "head", 400, "cursor_invalid", cursor=cursor)


def test_lines_end_with_where_to_go_on(world: World) -> None:
    cursor = latest(world, "manager")
    file(world)
    page = read(world, "manager", cursor=cursor)
    answer = world.as_("manager").get(
        "/changes", params={"cursor": cursor}, headers={"Accept": "application/x-ndjson"}
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    *lines, end = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == page["items"]
    assert (end["_end"], end["count"]) == (True, len(lines))
    assert read(world, "manager", cursor=end["cursor"])["items"] == []


def test_who_waits_is_answered_when_something_happens(world: World) -> None:
    cursor = latest(world, "manager")
    began, pages = time.monotonic(), []
    waiting = threading.Thread(
        target=lambda: pages.append(read(world, "manager", cursor=cursor, wait=20))
    )
    waiting.start()
    time.sleep(0.3)
    complaint = file(world)
    waiting.join(20)
    assert time.monotonic() - began < 10
    assert [one["data"]["id"] for one in pages[0]["items"]] == [complaint["id"]]


@pytest.fixture
def narrow(cluster: Cluster) -> Iterator[World]:
    """A server with a single connection to its database."""
    with cluster.clone() as database, serve(cluster, database, pool_size=1) as world:
        yield world


def test_who_waits_holds_no_connection_and_goes_when_the_server_does(narrow: World) -> None:
    token = {"Authorization": f"Bearer {narrow.token('manager')}"}
    cursor = latest(narrow, "manager")

    async def storm() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=f"{narrow.base_url}/v1", headers=token, verify=TLS, timeout=40
        ) as api:
            params = {"cursor": cursor, "wait": 25}
            waiting = [asyncio.create_task(api.get("/changes", params=params)) for _ in range(8)]
            left = asyncio.create_task(api.get("/changes", params=params))
            await asyncio.sleep(0.5)
            left.cancel()
            for _ in range(5):
                began = time.monotonic()
                assert (await api.get("/me")).status_code == 200
                assert time.monotonic() - began < 2.5
            assert not any(one.done() for one in waiting)
            held = await narrow.afetch(
                "select state from pg_stat_activity where datname = current_database()"
                " and application_name = 'slrt-api' and xact_start is not null"
                " and state_change < now() - interval '0.3 s'"
            )
            assert held == []
            narrow.lifetime.draining = True
            return await asyncio.wait_for(asyncio.gather(*waiting), 5)

    for answer in asyncio.run(storm()):
        assert answer.json() == {"items": [], "next_cursor": cursor}


def test_a_cursor_lasts_90_days_and_is_renewed_while_it_is_used(fresh_world: World) -> None:
    world = fresh_world
    start = read(world, "manager")["next_cursor"]
    idle = latest(world, "agency-pkh")
    first = file(world)
    assert [one["data"]["id"] for one in follow(world, "manager", start)] == [first["id"]]
    world.sweep("housekeeping")
    world.advance(days=44)
    assert read(world, "agency-pkh", cursor=idle)["next_cursor"] == idle
    world.advance(days=2)
    renewed = read(world, "agency-pkh", cursor=idle)["next_cursor"]
    assert renewed != idle
    second = file(world)
    world.advance(days=45)
    for _ in range(2):
        world.sweep("housekeeping")
    # Ninety days after the first: what is older is kept, but no longer handed out.
    seen = [one["data"]["id"] for one in follow(world, "manager")]
    assert (first["id"] in seen, second["id"] in seen) == (False, True)
    refused(world, "agency-pkh", 410, "feed_reset", cursor=idle)
    refused(world, "manager", 410, "feed_reset", cursor=start)
    assert read(world, "agency-pkh", cursor=renewed)["items"] == []


def test_a_database_that_was_copied_begins_another_epoch(
    cluster: Cluster, fresh_world: World
) -> None:
    cursor = latest(fresh_world, "manager")
    file(fresh_world)
    assert len(read(fresh_world, "manager", cursor=cursor)["items"]) == 1
    copy = f"{fresh_world.database}_copy"
    cluster.execute(
        "postgres",
        "select pg_terminate_backend(pid) from pg_stat_activity"
        f" where datname = '{fresh_world.database}'",
    )
    cluster.execute("postgres", f"create database {copy} template {fresh_world.database}")
    try:
        with serve(cluster, copy) as restored:
            restored.tokens |= fresh_world.tokens
            refused(restored, "manager", 410, "feed_reset", cursor=cursor)
            anew = latest(restored, "manager")
            file(restored)
            assert len(read(restored, "manager", cursor=anew)["items"]) == 1
            epochs = restored.fetch("select feed_epoch from deployment")
            assert epochs[0]["feed_epoch"] == 2
    finally:
        cluster.execute("postgres", f"drop database {copy} with (force)")
    # The one that it was copied from goes on as before.
    assert until(lambda: fresh_world.as_("manager").get("/changes").status_code == 200)
    assert len(read(fresh_world, "manager", cursor=cursor)["items"]) == 1


def test_an_operator_can_say_that_the_disk_was_restored(world: World, slrt: Shell) -> None:
    cursor = latest(world, "manager")
    told = slrt("feed", "restored", **on_the_database_of(world))
    assert (told.returncode, told.stdout.split()[0]) == (0, "epoch")
    refused(world, "manager", 410, "feed_reset", cursor=cursor)
    # So does a cursor that is ahead of the log: it is of a log that is gone.
    cursor = latest(world, "manager")
    world.fetch("select setval('event_positions', last_value + 10) from event_positions")
    file(world)
    ahead = latest(world, "manager")
    assert read(world, "manager", cursor=cursor)["items"]
    world.fetch("alter table events disable trigger user")
    world.fetch("delete from events where pos = (select max(pos) from events)")
    world.fetch("alter table events enable trigger user")
    refused(world, "manager", 410, "feed_reset", cursor=ahead)


def test_events_of_before_come_to_say_how_their_subject_stood(fresh_world: World) -> None:
    world = fresh_world
    bring(world, "closed")
    hire(world, "someone.new", ("front_office", CITY))
    client(world, "somebody-new", ["referrals:read"], CITY, "PKH")
    stood = "select seq, collection, state, program_code, handed_over from events order by seq"
    before = [tuple(row) for row in world.fetch(stood)]
    assert {row[1] for row in before} >= {"complaints", "referrals", "users", "clients"}

    async def there_and_back() -> None:
        engine = create_engine(world.url)
        try:
            await migrate(engine, "0003")
            await migrate(engine)
        finally:
            await engine.dispose()

    asyncio.run(there_and_back())
    after = [tuple(row) for row in world.fetch(stood)]
    # What was never moved had not said where it stood.
    drafted = [(b, a) for b, a in zip(before, after, strict=True) if b != a]
    assert {(b[2], a[2]) for b, a in drafted} <= {("draft", None)}
    assert {b[:2] + b[3:] == a[:2] + a[3:] for b, a in drafted} <= {True}


def test_every_kind_of_event_is_known_to_the_feed() -> None:
    # Accounts, exports and endpoints are the deployment's own business.
    ours = {"account", "export", "webhook_endpoint"}
    assert {type.split(".")[0] for type in EVENT_TYPES} == {*KINDS} | ours
