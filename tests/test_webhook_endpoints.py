"""Webhook endpoints: who makes them, sees them and changes them, and what is refused."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from app.domain.base import new_id
from app.domain.errors import NotFound
from app.workflow.webhooks import endpoints
from tests import processes
from tests.conftest import Cluster, World, serve
from tests.flows import (
    etag,
    file,
    hire,
    key,
)
from tests.hooks import (
    ALLOW,
    FILED,
    deliveries,
    endpoint,
    listed,
    patch,
    read,
    sessions_of,
    verified,
)
from tests.receivers import Receiver


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world that may call this machine."""
    with cluster.clone() as database, serve(cluster, database, webhook_allow=ALLOW) as world:
        yield world


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
        turned = [
            asyncio.to_thread(client.post, f"{place}/rotate-secret", headers=match)
            for _ in range(6)
        ]
        answers = await asyncio.gather(*changes, *turned, *gone)
        return [answer.status_code for answer in answers]

    statuses = asyncio.run(at_once())
    assert sum(status < 300 for status in statuses) == 1
    assert set(statuses) <= {200, 204, 404, 412}


async def test_what_is_gone_by_now_is_not_found(world: World) -> None:
    async with sessions_of(world) as sessions, sessions.begin() as session:
        with pytest.raises(NotFound):
            await endpoints.test(session, new_id(), datetime.now().astimezone())


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
        ({"url": "https://example.test/", "types": ["visit.x"]}, "/types/0", "not_an_option"),
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
