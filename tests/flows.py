"""Plain factories: complaints brought to where a test needs them, through the API."""

import secrets
from typing import Any

import httpx

from tests.conftest import World

WATES = "35.76.02.1010"
KAUMAN = "35.76.01.1004"
# A valid structure, and nobody's: serials from 9001 on are never issued so.
NATIONAL_ID = "3576024507849001"
PATH = (
    "received", "at_secretariat", "assigned", "awaiting_supervisor", "awaiting_manager",
    "forwarded", "answered", "closed",
)  # fmt: skip


def key() -> dict[str, str]:
    """A header with a new idempotency key."""
    return {"Idempotency-Key": f"test-{secrets.token_hex(12)}"}


def draft(**changes: Any) -> dict[str, Any]:
    """The body of an inclusion request from Wates."""
    return {
        "client_ref": f"test-{secrets.token_hex(8)}",
        "kind": "complaint",
        "category": "inclusion_request",
        "sector": "social_economic",
        "program_code": "PKH",
        "priority": "normal",
        "channel": "puskesos",
        "region_code": WATES,
        "narrative": "Kami belum pernah menerima bantuan.",
        "reporter": {"name": "Siti Aminah", "national_id": NATIONAL_ID, "relation": "self"},
        "subject": None,
        "documents_seen": ["id_card", "family_card", "kelurahan_letter"],
    } | changes


def file(world: World, who: str = "puskesos.wates", **changes: Any) -> dict[str, Any]:
    """A complaint just filed."""
    answer = world.as_(who).post("/complaints", json=draft(**changes), headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["complaint"]
    return found


def get(world: World, who: str, id: str) -> dict[str, Any]:
    answer = world.as_(who).get(f"/complaints/{id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def etag(world: World, who: str, path: str) -> str:
    """The version that `who` reads at a path."""
    answer = world.as_(who).get(path)
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


def act(
    world: World,
    who: str,
    id: str,
    action: str,
    if_match: str | None = None,
    headers: dict[str, str] | None = None,
    **body: Any,
) -> httpx.Response:
    """Ask for an action with the version just read (for submit_survey the survey's)."""
    path = f"/complaints/{id}/survey" if action == "submit_survey" else f"/complaints/{id}"
    if if_match is None:
        if_match = etag(world, who, path)
    return world.as_(who).post(
        f"/complaints/{id}/actions",
        json={"action": action} | body,
        headers={"If-Match": if_match} | key() | (headers or {}),
    )


def done(world: World, who: str, id: str, action: str, **body: Any) -> dict[str, Any]:
    """Take an action that must succeed."""
    answer = act(world, who, id, action, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def check_registry(world: World, id: str, who: str = "puskesos.wates") -> dict[str, Any]:
    answer = world.as_(who).post("/registry/checks", json={"complaint_id": id}, headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def facilitator_id(world: World, who: str = "facilitator.wates.1") -> str:
    found: str = world.as_(who).get("/me").json()["id"]
    return found


def survey_body(world: World, **changes: Any) -> dict[str, Any]:
    """A complete survey whose one need is PKH, for a person named in it."""
    forms = world.as_("front.1").get("/survey-forms").json()
    form = world.as_("front.1").get(f"/survey-forms/{forms['current']}").json()
    found: dict[str, Any] = form["example"] | {"other_needs": []} | changes
    return found


def save_survey(
    world: World, id: str, who: str = "facilitator.wates.1", **changes: Any
) -> httpx.Response:
    path = f"/complaints/{id}/survey"
    return world.as_(who).put(
        path,
        json=survey_body(world, **changes),
        headers={"If-Match": etag(world, who, path)},
    )


def bring(
    world: World, state: str, facilitator: str = "facilitator.wates.1", **changes: Any
) -> dict[str, Any]:
    """A complaint from Wates that stands in a state of the straight path, all by the book."""
    complaint = file(world, **changes)
    id = complaint["id"]
    steps = PATH[1 : PATH.index(state) + 1]
    for step in steps:
        if step == "at_secretariat":
            check_registry(world, id)
            complaint = done(world, "puskesos.wates", id, "forward_to_secretariat")
        elif step == "assigned":
            chosen = {"facilitator_id": facilitator_id(world, facilitator)}
            complaint = done(world, "front.1", id, "assign", data=chosen)
        elif step == "awaiting_supervisor":
            assert save_survey(world, id, facilitator).status_code == 200
            complaint = done(world, facilitator, id, "submit_survey")
        elif step == "awaiting_manager":
            complaint = done(world, "supervisor.magersari", id, "approve")
        elif step == "forwarded":
            complaint = done(world, "manager", id, "forward")
        elif step == "answered":
            for referral_id in complaint["referral_ids"]:
                granted = act_on_referral(world, "program.1", referral_id, "grant")
                assert granted.status_code == 200, granted.text
            complaint = get(world, "front.1", id)
        elif step == "closed":
            told = {"how": "in_person", "to": "Siti Aminah"}
            complaint = done(world, facilitator, id, "deliver_answer", data=told)
    assert complaint["state"] == state
    return complaint


def act_on_referral(
    world: World, who: str, id: str, action: str, if_match: str | None = None, **body: Any
) -> httpx.Response:
    if if_match is None:
        if_match = etag(world, who, f"/referrals/{id}")
    return world.as_(who).post(
        f"/referrals/{id}/actions",
        json={"action": action} | body,
        headers={"If-Match": if_match} | key(),
    )


def events(world: World, id: str, who: str = "front.1") -> list[dict[str, Any]]:
    """A complaint's whole history, oldest first."""
    found: list[dict[str, Any]] = (
        world.as_(who).get(f"/complaints/{id}/events", params={"limit": 200}).json()["items"]
    )
    return found
