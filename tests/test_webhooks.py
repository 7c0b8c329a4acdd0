"""Webhooks: each event that somebody may see arrives, signed, at least once and not for ever."""

import asyncio
import contextlib
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app import outgoing
from app.domain.webhooks import Failure
from app.logs import NOISY, Formatter
from app.workflow.webhooks import attempts, delivering
from app.workflow.webhooks.attempts import ATTEMPTS, WAITS
from tests import processes
from tests.conftest import Cluster, World, serve
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    act_on_referral,
    bring,
    dismiss,
    etag,
    file,
    hire,
    key,
    me,
)
from tests.hooks import (
    ALLOW,
    deliveries,
    endpoint,
    listed,
    patch,
    place_of,
    read,
    sessions_of,
    verified,
)
from tests.processes import on_the_database_of
from tests.receivers import Receiver


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world that may call this machine."""
    with cluster.clone() as database, serve(cluster, database, webhook_allow=ALLOW) as world:
        yield world


def test_an_event_arrives_signed_and_as_the_feed_has_it(
    world: World, receiver: Receiver, path: str
) -> None:
    one = endpoint(world, receiver, path)
    filed = file(world)
    run = world.sweep("deliveries")
    assert (run["found"], run["acted"], run["failed"]) == (1, 1, 0)
    [call] = receiver.of(path)
    said = verified(one["secret"], call)
    assert said["data"]["id"] == filed["id"]
    assert (said["type"], said["subject"]) == ("complaint.submitted", f"complaints/{filed['id']}")
    assert call.headers["webhook-id"] == said["id"]
    assert call.headers["content-type"] == "application/json"
    for changed in (call.body + " ", call.body.replace("submitted", "Submitted")):
        with pytest.raises(WebhookVerificationError):
            Webhook(one["secret"]).verify(changed, call.headers)
    [delivery] = deliveries(world, one)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert (delivery["event_id"], delivery["status_code"]) == (said["id"], 200)
    # Nothing is sent twice, however often the sweep runs.
    assert world.sweep("deliveries")["found"] == 0
    assert len(receiver.of(path)) == 1


def test_what_fails_is_sent_again_later_under_the_same_id(
    world: World, receiver: Receiver, path: str
) -> None:
    one = endpoint(world, receiver, path)
    receiver.answers[path] = [500, 200]
    file(world)
    assert world.sweep("deliveries")["failed"] == 1
    [delivery] = deliveries(world, one)
    assert (delivery["state"], delivery["status_code"]) == ("pending", 500)
    assert delivery["failure"] == "status"
    assert read(world, one)["failing_since"]
    waits = _moment(delivery["next_attempt_at"]) - _moment(delivery["last_attempt_at"])
    assert timedelta(seconds=4) < waits < timedelta(seconds=6)
    # Not before its time.
    assert world.sweep("deliveries")["found"] == 0
    world.advance(seconds=6)
    assert world.sweep("deliveries")["acted"] == 1
    first, second = receiver.of(path)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert verified(one["secret"], second)
    [delivery] = deliveries(world, one)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)
    assert (delivery["failure"], read(world, one)["failing_since"]) == (None, None)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_who_hangs_holds_up_nobody(world: World, receiver: Receiver, path: str) -> None:
    """The one answers nothing before the other has had everything, in the same run."""
    had_all, alive = threading.Event(), iter(range(1, 7))
    receiver.answers[f"{path}/slow"] = lambda: had_all.wait(20) and 200
    receiver.answers[f"{path}/alive"] = lambda: (next(alive) == 6 and had_all.set()) or 200
    slow = endpoint(world, receiver, f"{path}/slow")
    endpoint(world, receiver, f"{path}/alive")
    for _ in range(6):
        file(world)
    assert world.sweep("deliveries")["acted"] == 12
    assert {one["attempts"] for one in deliveries(world, slow)} == {1}


def test_who_hangs_too_long_is_left_alone_until_the_next_run(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TOTAL", 0.5)
    release = threading.Event()
    receiver.answers[path] = lambda: release.wait(20) and 200
    one = endpoint(world, receiver, path)
    for _ in range(4):
        file(world)
    assert world.sweep("deliveries")["failed"] == 2
    release.set()
    assert len(receiver.of(path)) == 2
    states = [(one["state"], one["failure"]) for one in deliveries(world, one)]
    assert sorted(states, key=str) == [("pending", "timeout")] * 2 + [("pending", None)] * 2


def test_a_redirect_is_a_failure_with_a_name(world: World, receiver: Receiver, path: str) -> None:
    one = endpoint(world, receiver, path)
    receiver.answers[path] = 302
    receiver.headers["location"] = receiver.url(f"{path}/elsewhere")
    file(world)
    world.sweep("deliveries")
    [delivery] = deliveries(world, one)
    assert (delivery["failure"], delivery["status_code"]) == ("redirect_refused", 302)
    assert receiver.of(f"{path}/elsewhere") == []
    # The final address named instead has failed in nothing, and is sent what still waits.
    assert read(world, one)["failing_since"]
    named = patch(world, one, url=receiver.url(f"{path}/elsewhere"))
    assert named.json()["failing_since"] is None
    world.advance(seconds=6)
    assert world.sweep("deliveries")["acted"] == 1
    assert len(receiver.of(f"{path}/elsewhere")) == 1


def test_a_name_that_leads_home_is_not_called(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "_ask", lambda _: ["127.0.0.1"])
    with serve(world.cluster, world.database) as strict:
        url = f"https://hook.example.test:{receiver.port}{path}"
        one = endpoint(strict, receiver, path, url=url)
        file(strict)
        strict.sweep("deliveries")
        [delivery] = deliveries(strict, one)
    assert (delivery["state"], delivery["failure"]) == ("pending", "address_not_public")
    assert receiver.of(path) == []


def test_an_endpoint_deleted_while_it_is_called(
    world: World, receiver: Receiver, path: str
) -> None:
    one = endpoint(world, receiver, path)
    called, release = threading.Event(), threading.Event()

    def wait() -> int:
        called.set()
        release.wait(10)
        return 200

    receiver.answers[path] = wait
    for _ in range(3):
        file(world)
    sweeping = threading.Thread(target=world.sweep, args=("deliveries",))
    sweeping.start()
    assert called.wait(10)
    place = f"/webhook-endpoints/{one['id']}"
    headers = {"If-Match": etag(world, "manager", place)}
    assert world.as_("manager").delete(place, headers=headers).status_code == 204
    release.set()
    sweeping.join(10)
    assert not sweeping.is_alive()
    sent = len(receiver.of(path))
    assert sent <= 2
    file(world)
    world.sweep("deliveries")
    assert len(receiver.of(path)) == sent
    assert world.as_("manager").get(place).status_code == 404
    assert world.as_("manager").delete(place, headers=headers).status_code == 404
    [run] = (
        world.as_("admin").get("/sweeps", params={"name": "deliveries", "limit": 1}).json()["items"]
    )
    assert run["error"] is None
    left = world.fetch("select id from webhook_deliveries where endpoint_id = $1", UUID(one["id"]))
    assert left == []


async def test_two_schedulers_at_once_send_each_event_once_and_two_at_a_time(
    world: World, receiver: Receiver, path: str
) -> None:
    paths = [f"{path}/{n}" for n in range(3)]
    for one in paths:
        receiver.answers[one] = lambda: time.sleep(0.02) or 200
        endpoint(world, receiver, one)
    filed = {file(world)["id"] for _ in range(15)}
    async with sessions_of(world) as one, sessions_of(world) as other:
        runs = await asyncio.gather(*(delivering.run(s) for s in (one, other, one, other)))
    assert sum(run.arrived for run in runs) == 45
    assert sum(run.arrived > 0 for run in runs) > 1
    for one in paths:
        sent = [json.loads(call.body)["data"]["id"] for call in receiver.of(one)]
        assert len(sent) == 15
        assert set(sent) == filed
        assert receiver.most_at_once[one] == 2


def test_killed_between_sending_and_writing_it_down_it_is_sent_again(
    world: World, receiver: Receiver, path: str
) -> None:
    """At least once: the receiver knows a repetition by its `webhook-id`."""
    one = endpoint(world, receiver, path)
    called, release = threading.Event(), threading.Event()
    receiver.answers[path] = lambda: called.set() or (release.wait(20) and 200)
    file(world)
    settings = on_the_database_of(world) | {"webhook_allow": ALLOW}
    with processes.running("schedule", **settings) as process:
        assert called.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    release.set()
    # Whoever was at it may still be: its lease is waited for.
    assert world.sweep("deliveries")["found"] == 0
    assert deliveries(world, one)[0]["state"] == "pending"
    world.fetch("update webhook_deliveries set lease_until = now() where lease_until is not null")
    assert world.sweep("deliveries")["acted"] == 1
    first, second = receiver.of(path)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    [delivery] = deliveries(world, one)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


async def test_who_lost_its_lease_writes_nothing(
    world: World, receiver: Receiver, path: str
) -> None:
    one = endpoint(world, receiver, path)
    file(world)
    world.sweep("numbering")
    id = UUID(one["id"])
    async with sessions_of(world) as sessions:
        async with sessions.begin() as session:
            assert await attempts.fan_out(session, id)
        async with sessions.begin() as session:
            assert (await attempts.claim(session, id, "urn:slrt"))[0] == 1
        async with sessions.begin() as session:
            assert await attempts.claim(session, id, "urn:slrt") == (0, [])
        await asyncio.to_thread(
            world.fetch,
            "update webhook_deliveries set lease_until = now() where endpoint_id = $1",
            id,
        )
        async with sessions.begin() as session:
            _, [second] = await attempts.claim(session, id, "urn:slrt")
        late = type(second)(
            id, second.delivery_id, second.fence - 1, second.id, second.url, second.body, ()
        )
        async with sessions.begin() as session:
            assert not await attempts.record(session, late, Failure.TIMEOUT)
        [delivery] = await asyncio.to_thread(deliveries, world, one)
        assert (delivery["state"], delivery["failure"]) == ("pending", None)
        async with sessions.begin() as session:
            assert await attempts.record(session, second, 204)
        # A person who holds the endpoint is not waited for: another time.
        async with sessions.begin() as session, sessions.begin() as other:
            await attempts.WebhookEndpoints(other).lock(id)
            assert not await attempts.fan_out(session, id)
            assert await attempts.claim(session, id, "urn:slrt") == (0, [])
            assert not await delivering.disable_failing(session, id, second_ago(), second_ago())
    [delivery] = deliveries(world, one)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


def second_ago() -> datetime:
    return datetime.now().astimezone() - timedelta(seconds=1)


def test_after_ten_attempts_it_is_on_the_list_and_after_five_days_disabled(
    fresh_cluster_world: World, receiver: Receiver
) -> None:
    world, path = fresh_cluster_world, "/five-days"
    assert len(WAITS) + 1 == ATTEMPTS == 10
    assert timedelta(hours=75) < sum(WAITS, timedelta()) < timedelta(hours=76)
    receiver.answers[path] = 500
    one = endpoint(world, receiver, path)
    file(world)
    world.sweep("deliveries")
    for wait in WAITS:
        assert deliveries(world, one)[0]["state"] == "pending"
        world.advance(seconds=wait.total_seconds() * 1.06 + 1)
        world.sweep("deliveries")
    assert len(receiver.of(path)) == ATTEMPTS
    [delivery] = deliveries(world, one, state="failed")
    assert (delivery["attempts"], delivery["next_attempt_at"]) == (10, None)
    assert read(world, one)["failed"] == 1
    world.advance(hours=30)
    world.sweep("deliveries")
    assert read(world, one)["enabled"]
    assert len(receiver.of(path)) == ATTEMPTS
    filed = file(world)
    world.advance(hours=15)
    world.sweep("deliveries")
    found = read(world, one)
    assert (found["enabled"], found["disabled_because"]) == (False, "failing")
    # What still waited is on the list too, and nothing more is sent.
    assert [one["failure"] for one in deliveries(world, one, state="failed")] == [
        "endpoint_disabled", "status",
    ]  # fmt: skip
    sent = len(receiver.of(path))
    for _ in range(2):
        file(world)
        world.sweep("deliveries")
    assert len(receiver.of(path)) == sent
    for who in ("manager", "admin"):
        told = world.as_(who).get("/notifications").json()["items"]
        [notice] = [n for n in told if n["step"] == "endpoint_disabled"]
        assert notice["subject"] == f"webhook-endpoints/{one['id']}"
    others = world.as_("head").get("/notifications").json()["items"]
    assert "endpoint_disabled" not in [n["step"] for n in others]
    # Back on: from now on, and what stands on the list by hand.
    receiver.answers[path] = 200
    delivery = deliveries(world, one, state="failed")[0]
    resend = f"/webhook-endpoints/{one['id']}/deliveries/{delivery['id']}/resend"
    assert world.as_("manager").post(resend, json={}).json()["code"] == "endpoint_disabled"
    assert patch(world, one, "admin", enabled=True).json()["failing_since"] is None
    assert world.sweep("deliveries")["found"] == 0
    again = world.as_("manager").post(resend, json={}, headers=key())
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    world.sweep("deliveries")
    last = receiver.of(path)[-1]
    assert json.loads(last.body)["data"]["id"] == filed["id"]
    assert last.headers["webhook-id"] == delivery["event_id"]
    assert deliveries(world, one)[0]["state"] == "delivered"
    assert len(deliveries(world, one)) == 2
    world.advance(days=31)
    world.sweep("housekeeping")
    assert deliveries(world, one) == []


@pytest.fixture
def fresh_cluster_world(cluster: Cluster) -> Iterator[World]:
    """A world of its own, since the clock only goes on, that may call this machine."""
    with cluster.clone() as database, serve(cluster, database, webhook_allow=ALLOW) as world:
        yield world


def test_who_is_gone_is_asked_no_more(world: World, receiver: Receiver, path: str) -> None:
    """410, also to a test: its keeper, the manager of where that works, and the admin are told."""
    one = endpoint(world, receiver, path, "integrator")
    receiver.answers[path] = 410
    place = f"/webhook-endpoints/{one['id']}"
    assert world.as_("integrator").post(f"{place}/test").status_code == 202
    world.sweep("deliveries")
    found = read(world, one, "integrator")
    assert (found["enabled"], found["disabled_because"]) == (False, "gone")
    for who, times in (("integrator", 1), ("manager", 1), ("admin", 1), ("head", 0)):
        told = world.as_(who).get("/notifications", params={"limit": 200}).json()["items"]
        assert [n["step"] for n in told if n["subject"] == place[1:]] == (
            ["endpoint_disabled"] * times
        ), who
    again = world.as_("integrator").post(f"{place}/test")
    assert (again.status_code, again.json()["code"]) == (409, "endpoint_disabled")


def test_nobody_is_sent_what_they_may_not_see(world: World, receiver: Receiver, path: str) -> None:
    hire(world, "manager.kranggan", ("manager", "35.76.03"))
    hire(world, "manager.gone", ("manager", "35.76"))
    names = ("manager", "manager.kranggan", "manager.gone", "integrator")
    of = {who: endpoint(world, receiver, f"{path}/{who}", who) for who in names}
    sees = endpoint(world, receiver, f"{path}/narrow", region_codes=["35.76.01"])
    pkh = endpoint(world, receiver, f"{path}/pkh", program_codes=["PIP"], types=[])
    everything = endpoint(world, receiver, f"{path}/all", "integrator", types=[])
    filed = [file(world, "front.1", region_code=code) for code in ("35.76.02.1010", KAUMAN)]
    sent = bring(world, "forwarded")
    dismiss(world, "manager.gone")
    world.sweep("deliveries")

    def got(name: str) -> list[str]:
        return [json.loads(call.body)["data"]["id"] for call in receiver.of(f"{path}/{name}")]

    assert set(got("manager")) == {one["id"] for one in (*filed, sent)}
    assert got("narrow") == [filed[1]["id"]]
    # Another district, an account that is shut out, a client that reads referrals alone.
    assert got("manager.kranggan") == got("manager.gone") == got("integrator") == got("pkh") == []
    assert set(got("all")) == set(sent["referral_ids"])
    [call, *_] = receiver.of(f"{path}/all")
    assert json.loads(call.body)["type"] == "referral.sent"
    assert verified(everything["secret"], call)
    assert world.fetch("select position from webhook_endpoints where id = $1", UUID(pkh["id"]))
    assert {one["enabled"] for one in (read(world, sees), *of.values())} == {True}


def test_what_may_no_longer_be_seen_is_withheld(
    world: World, receiver: Receiver, path: str
) -> None:
    """Between two attempts the owner lost the region, and another one the right to any."""
    hire(world, "manager.moves", ("manager", "35.76"))
    body = {
        "username": "client.moves", "name": "Klien", "secret": "rahasia-yang-panjang",
        "scopes": ["referrals:read", "webhooks:manage"], "region_codes": ["35.76"],
        "program_codes": ["PKH"],
    }  # fmt: skip
    client = world.as_("admin").post("/clients", json=body, headers=key()).json()["id"]
    form = {"grant_type": "client_credentials", "client_id": "client.moves"}
    form["client_secret"] = body["secret"]
    answer = world.anyone.post("/v1/auth/token", data=form)
    world.tokens["client.moves"] = answer.json()["access_token"]
    receiver.answers[f"{path}/1"] = receiver.answers[f"{path}/2"] = 503
    one = endpoint(world, receiver, f"{path}/1", "manager.moves")
    other = endpoint(world, receiver, f"{path}/2", "client.moves", types=["referral.sent"])
    bring(world, "forwarded")
    world.sweep("deliveries")
    for kind, id, change in (
        ("users", me(world, "manager.moves"), {"roles": [
            {"role": "manager", "region_codes": ["35.76.03"], "program_codes": []}]}),
        ("clients", client, {"scopes": ["referrals:read"]}),
    ):  # fmt: skip
        headers = {"If-Match": etag(world, "admin", f"/{kind}/{id}")}
        changed = world.as_("admin").patch(f"/{kind}/{id}", json=change, headers=headers)
        assert changed.status_code == 200, changed.text
    world.advance(seconds=10)
    world.sweep("deliveries")
    for at in (one, other):
        [delivery] = deliveries(world, at, "admin")
        assert (delivery["state"], delivery["status_code"]) == ("withheld", 503)
    assert len(receiver.of(f"{path}/1")) == len(receiver.of(f"{path}/2")) == 1
    refused = world.as_("client.moves").get("/webhook-endpoints")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_not_allowed")


@pytest.mark.parametrize("step", ["fan_out", "claim", "record"])
def test_an_endpoint_that_breaks_the_sweep_holds_up_nobody(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    bad = endpoint(world, receiver, f"{path}/bad")
    endpoint(world, receiver, f"{path}/good")
    file(world)
    ordinary = getattr(attempts, step)

    async def broken(session: Any, what: Any, *more: Any) -> Any:
        if str(getattr(what, "endpoint_id", what)) == bad["id"]:
            raise RuntimeError("broken")
        return await ordinary(session, what, *more)

    with monkeypatch.context() as patched:
        patched.setattr(attempts, step, broken)
        assert world.sweep("deliveries")["acted"] == 1
    assert len(receiver.of(f"{path}/good")) == 1
    world.fetch("update webhook_deliveries set lease_until = now() where lease_until is not null")
    assert world.sweep("deliveries")["acted"] == 1
    assert len({call.headers["webhook-id"] for call in receiver.of(f"{path}/bad")}) == 1


def test_a_call_that_breaks_is_an_attempt_that_failed(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = endpoint(world, receiver, path)
    file(world)

    async def broken(*_: Any) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(outgoing.Caller, "post", broken)
    world.sweep("deliveries")
    [delivery] = deliveries(world, one)
    assert (delivery["attempts"], delivery["failure"]) == (1, "connection_failed")


def test_a_run_ends_though_there_is_more(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is for the next run: a backlog is no reason to seem late."""
    endpoint(world, receiver, path)
    receiver.answers[path] = lambda: time.sleep(0.1) or 200
    for _ in range(12):
        file(world)
    monkeypatch.setattr(delivering, "BEGINS_FOR", 0.3)
    assert 0 < world.sweep("deliveries")["acted"] < 12
    monkeypatch.undo()
    world.sweep("deliveries")
    assert len(receiver.of(path)) == 12


async def test_a_run_that_is_cut_leaves_no_call_behind(
    world: World, receiver: Receiver, path: str
) -> None:
    endpoint(world, receiver, path)
    called, release = threading.Event(), threading.Event()
    receiver.answers[path] = lambda: called.set() or (release.wait(10) and 200)
    await asyncio.to_thread(file, world)
    async with sessions_of(world) as sessions:
        running = asyncio.create_task(delivering.run(sessions))
        assert await asyncio.to_thread(called.wait, 10)
        cut = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert time.monotonic() < cut + 5
        release.set()
        left = [one for one in asyncio.all_tasks() if "_serve" in repr(one)]
        assert left == []


def test_neither_bodies_nor_logs_hold_what_they_must_not(
    world: World, receiver: Receiver, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = io.StringIO()
    for name in NOISY:
        caplog.set_level(logging.WARNING, name)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with serve(world.cluster, world.database, webhook_allow=ALLOW, log_level="DEBUG") as loud:
            one = endpoint(loud, receiver, f"{path}?token=hidden", types=[])
            receiver.answers[f"{path}?token=hidden"] = [500, 200]
            file(loud)
            for _ in range(2):
                loud.sweep("deliveries")
                loud.advance(seconds=6)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    said = stream.getvalue()
    bodies = "".join(call.body for call in receiver.calls)
    assert "complaint" in bodies
    for hidden in (one["secret"], one["secret"].removeprefix("whsec_"), "token=hidden"):
        assert hidden not in said
        assert hidden not in bodies
    for name in ("Siti", NATIONAL_ID, "Kami belum pernah"):
        assert name not in said
        assert name not in bodies
    stored = world.fetch("select * from webhook_endpoints where id = $1", UUID(one["id"]))
    assert one["secret"].removeprefix("whsec_").encode() not in stored[0]["secret"]


def test_answers_reach_who_asked_for_them(world: World, receiver: Receiver, path: str) -> None:
    """A client that only follows answers: a whole kind of events by one name."""
    endpoint(world, receiver, path, "agency-pkh", types=["referral.*"])
    complaint = bring(world, "forwarded")
    [referral] = complaint["referral_ids"]
    assert act_on_referral(world, "program.1", referral, "grant").status_code == 200
    world.sweep("deliveries")
    types = [json.loads(call.body)["type"] for call in receiver.of(path)]
    assert set(types) == {"referral.sent", "referral.granted"}


@pytest.mark.deep
def test_schedulers_killed_again_and_again_lose_nothing(
    world: World, receiver: Receiver, path: str
) -> None:
    """Three at once, one of them killed every 0.7 s, while 200 events happen."""
    receiver.answers[path] = lambda: time.sleep(0.05) or 200
    one = endpoint(world, receiver, path)
    settings = on_the_database_of(world) | {"webhook_allow": ALLOW}
    filed: list[str] = []
    ended = threading.Event()

    def write() -> None:
        for _ in range(200):
            filed.append(file(world)["id"])
        ended.set()

    def delivered() -> bool:
        # Real leases last a minute; here they are given up as soon as their holder may be dead.
        world.fetch(
            "update webhook_deliveries set lease_until = null"
            " where lease_until < now() + interval '55 s'"
        )
        return not deliveries(world, one, state="pending") and ended.is_set()

    writing = threading.Thread(target=write)
    writing.start()
    until, kills = time.monotonic() + 120, 0
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(processes.running("schedule", **settings)) for _ in range(3)]
        while not (delivered() and len(listed(world, "manager", place_of(one))) == 200):
            assert time.monotonic() < until, "it does not come to an end"
            time.sleep(0.7)
            # The oldest, so that some live long enough to begin.
            if kills < 12:
                os.kill(running.pop(0).pid, signal.SIGKILL)
                running.append(stack.enter_context(processes.running("schedule", **settings)))
                kills += 1
    writing.join()
    assert set(filed) == {json.loads(call.body)["data"]["id"] for call in receiver.of(path)}
    found = listed(world, "manager", place_of(one), state="delivered")
    assert len({delivery["event_id"] for delivery in found}) == 200
