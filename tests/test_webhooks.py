"""Webhooks: each event that somebody may see arrives, signed, at least once and not for ever."""

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app import outgoing
from app.database import create_engine, create_sessions
from app.domain.base import new_id
from app.domain.errors import NotFound
from app.domain.webhooks import Failure
from app.logs import NOISY, Formatter
from app.outgoing import Allowed, Outside
from app.workflow.webhooks import attempts, delivering, endpoints
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
from tests.processes import on_the_database_of
from tests.receivers import Receiver, receiving

ALLOW = "127.0.0.0/8"
CONTRACT = json.loads((processes.ROOT / "openapi" / "slrt.v1.json").read_text())
FILED = ["complaint.submitted"]


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world that may call this machine."""
    with cluster.clone() as database, serve(cluster, database, webhook_allow=ALLOW) as world:
        yield world


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def path(world: World, receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[str]:
    """A path of the receiver for one test. The endpoints that it made are gone behind it."""
    yield f"/{request.node.name}"
    receiver.headers.clear()
    world.fetch("delete from webhook_deliveries")
    world.fetch("delete from webhook_endpoints")


def endpoint(
    world: World, receiver: Receiver, path: str, who: str = "manager", **changes: Any
) -> dict[str, Any]:
    """An endpoint, with its secret; it is told of complaints that are filed."""
    body = {"url": receiver.url(path), "types": FILED} | changes
    answer = world.as_(who).post("/webhook-endpoints", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/webhook-endpoints/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def read(world: World, one: dict[str, Any], who: str = "manager") -> dict[str, Any]:
    answer = world.as_(who).get(f"/webhook-endpoints/{one['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def deliveries(
    world: World, one: dict[str, Any], who: str = "manager", **params: Any
) -> list[dict[str, Any]]:
    """What was sent to an endpoint, newest first."""
    path = f"/webhook-endpoints/{one['id']}/deliveries"
    answer = world.as_(who).get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def patch(world: World, one: dict[str, Any], who: str = "manager", **changes: Any) -> Any:
    path = f"/webhook-endpoints/{one['id']}"
    headers = {"If-Match": etag(world, who, path)}
    return world.as_(who).patch(path, json=changes, headers=headers)


def verified(secret: str, call: Any) -> Any:
    """What a receiver reads after it has verified the signature; it is what the contract says."""
    said = Webhook(secret).verify(call.body, call.headers)
    schema = "Ping" if said["type"] == "ping" else "CloudEvent"
    whole = {"$ref": f"#/components/schemas/{schema}"} | CONTRACT
    jsonschema.validate(said, whole, cls=jsonschema.Draft202012Validator)
    assert set(said) == set(CONTRACT["components"]["schemas"][schema]["properties"])
    return said


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


def test_who_hangs_holds_up_nobody(
    world: World, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TOTAL", 2.0)
    release = threading.Event()
    receiver.answers[f"{path}/dead"] = lambda: release.wait(10) and 200
    dead = endpoint(world, receiver, f"{path}/dead")
    endpoint(world, receiver, f"{path}/alive")
    for _ in range(6):
        file(world)
    begun = time.time()
    world.sweep("deliveries")
    release.set()
    # All of the one while the other was waited for, and that one was let go after its time.
    alive = receiver.of(f"{path}/alive")
    assert len(alive) == 6
    assert max(call.at for call in alive) < begun + 1.5
    assert time.time() < begun + 6
    assert len(receiver.of(f"{path}/dead")) == 2
    states = [(one["state"], one["failure"]) for one in deliveries(world, dead)]
    assert states.count(("pending", "timeout")) == 2
    assert states.count(("pending", None)) == 4


def test_a_redirect_is_a_failure_with_a_name(world: World, receiver: Receiver, path: str) -> None:
    one = endpoint(world, receiver, path)
    receiver.answers[path] = 302
    receiver.headers["location"] = receiver.url(f"{path}/elsewhere")
    file(world)
    world.sweep("deliveries")
    [delivery] = deliveries(world, one)
    assert (delivery["failure"], delivery["status_code"]) == ("redirect_refused", 302)
    assert receiver.of(f"{path}/elsewhere") == []


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


@contextlib.asynccontextmanager
async def sessions_of(world: World) -> Any:
    engine = create_engine(world.url, 10)
    outside = Outside("urn:slrt", Allowed.read(ALLOW))
    try:
        yield create_sessions(engine, world.cluster.keys.data, outside)
    finally:
        await engine.dispose()


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
        assert called.wait(30)
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


def test_a_secret_is_rotated_and_both_are_good_for_a_day(
    world: World, receiver: Receiver, path: str
) -> None:
    one = endpoint(world, receiver, path)
    place = f"/webhook-endpoints/{one['id']}/rotate-secret"
    match = {"If-Match": etag(world, "manager", f"/webhook-endpoints/{one['id']}")} | key()
    assert world.as_("manager").post(place, json={}).status_code == 428
    stale = {"If-Match": '"7"'}
    assert world.as_("manager").post(place, json={}, headers=stale).status_code == 412
    rotated = world.as_("manager").post(place, json={}, headers=match)
    assert rotated.status_code == 200, rotated.text
    new = rotated.json()["secret"]
    assert new != one["secret"]
    again = world.as_("manager").post(place, json={}, headers=match)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["secret"] == new
    file(world)
    world.sweep("deliveries")
    [call] = receiver.of(path)
    for secret in (one["secret"], new):
        assert verified(secret, call)
    world.advance(hours=25)
    file(world)
    world.sweep("deliveries")
    call = receiver.of(path)[-1]
    assert verified(new, call)
    with pytest.raises(WebhookVerificationError):
        verified(one["secret"], call)
    world.sweep("housekeeping")
    assert read(world, one)["previous_secret_until"] is None
    # A replay shows no other secret than its own.
    fresh = {"If-Match": etag(world, "manager", f"/webhook-endpoints/{one['id']}")}
    assert world.as_("manager").post(place, json={}, headers=fresh).status_code == 200
    assert world.as_("manager").post(place, json={}, headers=match).json()["secret"] is None


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
    one = endpoint(world, receiver, path)
    receiver.answers[path] = 410
    file(world)
    world.sweep("deliveries")
    found = read(world, one)
    assert (found["enabled"], found["disabled_because"]) == (False, "gone")
    told = world.as_("manager").get("/notifications").json()["items"]
    assert told[0]["subject"] == f"webhook-endpoints/{one['id']}"


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


def test_a_test_message_is_sent_once(world: World, receiver: Receiver, path: str) -> None:
    one = endpoint(world, receiver, path, "integrator")
    place = f"/webhook-endpoints/{one['id']}/test"
    headers = key()
    asked = world.as_("integrator").post(place, json={}, headers=headers)
    assert (asked.status_code, asked.json()["type"]) == (202, "ping")
    again = world.as_("integrator").post(place, json={}, headers=headers)
    assert again.json()["id"] == asked.json()["id"]
    receiver.answers[path] = [500, 200]
    world.sweep("deliveries")
    world.advance(minutes=1)
    world.sweep("deliveries")
    [call] = receiver.of(path)
    said = verified(one["secret"], call)
    assert (said["type"], said["data"]["id"]) == ("ping", one["id"])
    assert said["id"] == call.headers["webhook-id"] == asked.json()["id"]
    delivery = f"/webhook-endpoints/{one['id']}/deliveries/{asked.json()['id']}"
    found = world.as_("integrator").get(delivery).json()
    assert (found["state"], found["failure"]) == ("failed", "status")
    # A test that fails is no failure of the endpoint; sent again it may succeed.
    assert read(world, one, "integrator")["failing_since"] is None
    headers = key()
    for replayed in (None, "true"):
        resent = world.as_("integrator").post(f"{delivery}/resend", json={}, headers=headers)
        assert resent.headers.get("idempotency-replayed") == replayed
    world.sweep("deliveries")
    assert world.as_("integrator").get(delivery).json()["state"] == "delivered"


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


def test_endpoints_belong_to_who_made_them(world: World, receiver: Receiver, path: str) -> None:
    one = endpoint(world, receiver, path, "integrator", description="Aplikasi kota")
    place = f"/webhook-endpoints/{one['id']}"
    assert "secret" not in read(world, one, "integrator")
    assert world.as_("agency-pkh").get(place).status_code == 404
    assert world.as_("manager").get(place).status_code == 404
    assert one["id"] not in [e["id"] for e in listed(world, "agency-pkh")]
    assert one["id"] in [e["id"] for e in listed(world, "admin")]
    # An admin sees to those of others, and has none.
    refused = {"json": {"url": receiver.url(path)}, "headers": key()}
    for who in ("admin", "front.1", "script-batch", "dpo"):
        answer = world.as_(who).post("/webhook-endpoints", **refused)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed"), who
    for who in ("front.1", "script-batch"):
        assert world.as_(who).get("/webhook-endpoints").status_code == 403
    assert patch(world, one, "admin", url=receiver.url(path)).status_code == 403
    rotate = {"If-Match": etag(world, "admin", place)}
    assert (
        world.as_("admin").post(f"{place}/rotate-secret", json={}, headers=rotate).status_code
        == 403
    )
    hire(world, "boss", ("manager", "35.76"), ("admin", "35.76"))
    foreign = world.as_("boss").post(f"{place}/rotate-secret", json={}, headers=rotate)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "role_not_allowed")
    assert patch(world, one, "admin", enabled=False).json()["disabled_because"] == "by_hand"
    assert patch(world, one, "admin", enabled=False).json()["version"] == 2
    assert patch(world, one, "integrator", enabled=True, description="Lain").json()["enabled"]
    assert world.as_("integrator").delete(place).status_code == 428
    gone = world.as_("integrator").delete(place, headers={"If-Match": '"99"'})
    assert gone.status_code == 412
    headers = {"If-Match": etag(world, "integrator", place)}
    assert world.as_("integrator").delete(place, headers=headers).status_code == 204
    told = world.fetch(
        "select type, subject_version from events where subject_id = $1 order by seq",
        UUID(one["id"]),
    )
    assert [tuple(row) for row in told] == [
        ("webhook_endpoint.created", 1),
        ("webhook_endpoint.disabled", 2),
        ("webhook_endpoint.changed", 3),
        ("webhook_endpoint.enabled", 4),
        ("webhook_endpoint.deleted", 5),
    ]


def listed(
    world: World, who: str, path: str = "/webhook-endpoints", **params: Any
) -> list[dict[str, Any]]:
    """All that a list has for somebody, page by page."""
    found: list[dict[str, Any]] = []
    params |= {"limit": 2}
    while True:
        page = world.as_(who).get(path, params=params).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def test_lists_are_whole(world: World, receiver: Receiver, path: str) -> None:
    made = [endpoint(world, receiver, f"{path}/{n}")["id"] for n in range(3)]
    assert [one["id"] for one in listed(world, "manager")] == made[::-1]
    assert [one["id"] for one in listed(world, "admin")] == made[::-1]
    receiver.answers[f"{path}/0"] = 500
    filed = [file(world)["id"] for _ in range(3)]
    world.sweep("deliveries")
    place = f"/webhook-endpoints/{made[1]}/deliveries"
    assert len(filed) == len(listed(world, "manager", place, state="delivered"))
    ids = [one["id"] for one in listed(world, "manager", place)]
    assert ids == sorted(ids, reverse=True)
    assert listed(world, "manager", place, state="failed") == []
    # A delivery of another endpoint is none of this one.
    for id in (ids[0], "0193a1b2-8f6e-7c11-9d2a-5b1f0c7e4a10", "x"):
        assert (
            world.as_("manager").get(f"/webhook-endpoints/{made[0]}/deliveries/{id}").status_code
            == 404
        )


def test_changed_and_deleted_at_once(world: World, receiver: Receiver, path: str) -> None:
    one = endpoint(world, receiver, path)
    place, client = f"/webhook-endpoints/{one['id']}", world.as_("manager")

    async def at_once() -> list[int]:
        match = {"If-Match": '"1"'}
        changes = [
            asyncio.to_thread(client.patch, place, json={"description": str(n)}, headers=match)
            for n in range(6)
        ]
        gone = [asyncio.to_thread(client.delete, place, headers=match) for _ in range(6)]
        return [answer.status_code for answer in await asyncio.gather(*changes, *gone)]

    statuses = asyncio.run(at_once())
    assert sum(status < 300 for status in statuses) == 1
    assert set(statuses) <= {200, 204, 404, 412}


async def test_what_is_gone_by_now_is_not_found(world: World) -> None:
    async with sessions_of(world) as sessions, sessions.begin() as session:
        with pytest.raises(NotFound):
            await endpoints.test(session, new_id(), second_ago())


def test_making_one_twice_makes_one(world: World, receiver: Receiver, path: str) -> None:
    headers, body = key(), {"url": receiver.url(path), "types": FILED}
    first, again = (
        world.as_("manager").post("/webhook-endpoints", json=body, headers=headers)
        for _ in range(2)
    )
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["secret"].startswith("whsec_")
    place = f"/webhook-endpoints/{first.json()['id']}"
    changed = key() | {"If-Match": first.headers["etag"]}
    for replayed in (None, "true"):
        answer = world.as_("manager").patch(place, json={"types": ["referral.*"]}, headers=changed)
        assert answer.headers.get("idempotency-replayed") == replayed
        assert answer.json()["version"] == 2
    match = {"If-Match": '"2"'}
    assert world.as_("manager").delete(place, headers=match).status_code == 204
    gone = world.as_("manager").post("/webhook-endpoints", json=body, headers=headers)
    assert gone.status_code == 404


def test_nobody_has_more_than_twenty(world: World, receiver: Receiver, path: str) -> None:
    """Also when they are asked for at once."""
    hire(world, "manager.many", ("manager", "35.76"))
    client = world.as_("manager.many")
    body = {"url": receiver.url(path), "types": FILED}

    async def ask() -> list[int]:
        calls = [
            asyncio.to_thread(client.post, "/webhook-endpoints", json=body, headers=key())
            for _ in range(24)
        ]
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = asyncio.run(ask())
    assert sorted(statuses) == [201] * 20 + [409] * 4


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/url", "missing"),
        ({"url": ""}, "/url", "too_short"),
        ({"url": "https://127.0.0.1/"}, None, None),
        ({"url": "https://10.0.0.1/"}, "/url", "address_not_public"),
        ({"url": "http://example.test/"}, "/url", "https_required"),
        ({"url": "https://user:pass@example.test/"}, "/url", "invalid_url"),
        ({"url": "https://example.test/" + "a" * 1000}, "/url", "too_long"),
        ({"url": "https://example.test/", "types": ["Complaint"]}, "/types/0", "invalid_format"),
        ({"url": "https://example.test/", "region_codes": ["99"]}, "/region_codes/0",
            "unknown_region"),
        ({"url": "https://example.test/", "program_codes": ["NONE"]}, "/program_codes/0",
            "unknown_program"),
        ({"url": "https://example.test/", "secret": "mine"}, "/secret", "unknown_field"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    world: World, path: str, body: dict[str, Any], pointer: str | None, code: str | None
) -> None:
    answer = world.as_("manager").post("/webhook-endpoints", json=body, headers=key())
    if pointer is None:
        assert answer.status_code == 201
        return
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_receiver_of_the_documentation_works(
    world: World, receiver: Receiver, path: str
) -> None:
    page = (processes.ROOT / "docs" / "webhooks.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    port = processes.free_port()
    one = endpoint(world, receiver, path, url=f"http://127.0.0.1:{port}/")
    code = code.replace("whsec_…", one["secret"]).replace("8080", str(port))
    filed = file(world)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            processes.until(lambda: listens(port))
            world.sweep("deliveries")
            assert process.stdout is not None
            assert f"complaint.submitted complaints/{filed['id']}" in process.stdout.readline()
        finally:
            process.terminate()
    assert deliveries(world, one)[0]["status_code"] == 204


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


def place_of(one: dict[str, Any]) -> str:
    return f"/webhook-endpoints/{one['id']}/deliveries"
