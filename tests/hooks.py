"""Plain factories: webhook endpoints, and what was sent to them."""

import contextlib
import json
from typing import Any

import jsonschema
from standardwebhooks.webhooks import Webhook

from app.database import create_engine, create_sessions
from app.outgoing import Allowed, Outside
from tests import processes
from tests.conftest import World
from tests.flows import etag, key
from tests.receivers import Receiver

ALLOW = "127.0.0.0/8"
CONTRACT = json.loads((processes.ROOT / "openapi" / "slrt.v1.json").read_text())
FILED = ["complaint.submitted"]


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


def place_of(one: dict[str, Any]) -> str:
    return f"/webhook-endpoints/{one['id']}/deliveries"


def verified(secret: str, call: Any) -> Any:
    """What a receiver reads after it has verified the signature; it is what the contract says."""
    said = Webhook(secret).verify(call.body, call.headers)
    schema = "Ping" if said["type"] == "ping" else "CloudEvent"
    whole = {"$ref": f"#/components/schemas/{schema}"} | CONTRACT
    jsonschema.validate(said, whole, cls=jsonschema.Draft202012Validator)
    assert set(said) == set(CONTRACT["components"]["schemas"][schema]["properties"])
    return said


@contextlib.asynccontextmanager
async def sessions_of(world: World) -> Any:
    engine = create_engine(world.url, 10)
    outside = Outside("urn:slrt", Allowed.read(ALLOW))
    try:
        yield create_sessions(engine, world.cluster.keys.data, outside)
    finally:
        await engine.dispose()
