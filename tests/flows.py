"""Plain factories: complaints brought to where a test needs them, through the API."""

import secrets
from typing import Any

import httpx

from app.settings import DEMO_PASSWORD
from tests.conftest import World

WATES = "35.76.02.1010"
KAUMAN = "35.76.01.1004"
# A valid structure, and nobody's: serials from 9001 on are never issued so.
NATIONAL_ID = "3576024507849001"
PATH = (
    "received", "at_secretariat", "assigned", "awaiting_supervisor", "awaiting_manager",
    "forwarded", "answered", "closed",
)  # fmt: skip
# The form's example, asked for once in each world.
EXAMPLES: dict[str, dict[str, Any]] = {}
PEOPLE: dict[tuple[str, str], str] = {}


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


def version(complaint: dict[str, Any]) -> str:
    """The ETag of a complaint as it was read."""
    return f'"{complaint["version"]}"'


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
    return me(world, who)


def survey_body(world: World, **changes: Any) -> dict[str, Any]:
    """A complete survey whose one need is PKH, for a person named in it."""
    if world.database not in EXAMPLES:
        forms = world.as_("front.1").get("/survey-forms").json()
        form = world.as_("front.1").get(f"/survey-forms/{forms['current']}").json()
        EXAMPLES[world.database] = form["example"]
    return EXAMPLES[world.database] | {"other_needs": []} | changes


def save_survey(
    world: World,
    id: str,
    who: str = "facilitator.wates.1",
    if_match: str | None = None,
    **changes: Any,
) -> httpx.Response:
    path = f"/complaints/{id}/survey"
    return world.as_(who).put(
        path,
        json=survey_body(world, **changes),
        headers={"If-Match": if_match or etag(world, who, path)},
    )


def bring(
    world: World, state: str, facilitator: str = "facilitator.wates.1", **changes: Any
) -> dict[str, Any]:
    """A complaint from Wates that stands in a state of the straight path, all by the book."""
    complaint = file(world, **changes)
    id = complaint["id"]
    steps = PATH[1 : PATH.index(state) + 1]
    for step in steps:
        read = version(complaint)
        if step == "at_secretariat":
            check_registry(world, id)
            complaint = done(world, "puskesos.wates", id, "forward_to_secretariat", if_match=read)
        elif step == "assigned":
            chosen = {"facilitator_id": facilitator_id(world, facilitator)}
            complaint = done(world, "front.1", id, "assign", if_match=read, data=chosen)
        elif step == "awaiting_supervisor":
            saved = save_survey(world, id, facilitator, if_match='"0"')
            assert saved.status_code == 200, saved.text
            read = saved.headers["etag"]
            complaint = done(world, facilitator, id, "submit_survey", if_match=read)
        elif step == "awaiting_manager":
            complaint = done(world, "supervisor.magersari", id, "approve", if_match=read)
        elif step == "forwarded":
            complaint = done(world, "manager", id, "forward", if_match=read)
        elif step == "answered":
            for referral_id in complaint["referral_ids"]:
                granted = act_on_referral(world, "program.1", referral_id, "grant")
                assert granted.status_code == 200, granted.text
            complaint = get(world, "front.1", id)
        elif step == "closed":
            told = {"how": "in_person", "to": "Siti Aminah"}
            complaint = done(world, facilitator, id, "deliver_answer", if_match=read, data=told)
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


def me(world: World, who: str) -> str:
    """The id of an account."""
    place = (world.database, who)
    if place not in PEOPLE:
        PEOPLE[place] = world.as_(who).get("/me").json()["id"]
    return PEOPLE[place]


def event_of(world: World, id: str, action: str) -> dict[str, Any]:
    """The newest event of an action."""
    return [event for event in events(world, id) if event["action"] == action][-1]


def patch(world: World, who: str, id: str, **changes: Any) -> httpx.Response:
    path = f"/complaints/{id}"
    return world.as_(who).patch(path, json=changes, headers={"If-Match": etag(world, who, path)})


def draft_referral(
    world: World, who: str, complaint: dict[str, Any], program: str = "PIP"
) -> dict[str, Any]:
    """A referral drafted by hand."""
    body = {
        "complaint_id": complaint["id"],
        "program_code": program,
        "beneficiary": {"name": "Dewi Lestari"},
    }
    answer = world.as_(who).post("/referrals", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def hire(world: World, username: str, *roles: tuple[str, ...]) -> str:
    """Somebody new with some roles, each for a region and, where it has any, programmes."""
    body = {
        "username": username,
        "name": username.title(),
        "password": DEMO_PASSWORD,
        "roles": [
            {"role": role, "region_codes": [code], "program_codes": programs}
            for role, code, *programs in roles
        ],
    }
    answer = world.as_("admin").post("/users", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def dismiss(world: World, who: str) -> None:
    """Shut somebody out."""
    path = f"/users/{me(world, who)}"
    headers = {"If-Match": etag(world, "admin", path)}
    answer = world.as_("admin").patch(path, json={"active": False}, headers=headers)
    assert answer.status_code == 200, answer.text


def told_steps(world: World, who: str, id: str) -> list[str]:
    """What a person was told about a complaint or referral, oldest first."""
    found = world.as_(who).get("/notifications", params={"limit": 200}).json()["items"]
    return [one["step"] for one in found if one["subject"].endswith(id)][::-1]


def family(world: World, village: str = WATES) -> dict[str, Any]:
    """A family of the registry: its household, a member with a number, and the numbers in clear."""
    rows = world.fetch(
        """
        select m.id as member_id, m.household_id, m.name, m.national_id,
        f.id as family_id, f.family_card_number
        from members m join families f on f.household_id = m.household_id
        where m.village_code = $1 and m.national_id is not null
        order by m.household_id, m.id limit 1
        """,
        village,
    )
    row, keys = rows[0], world.cluster.keys.data
    return {
        "member_id": str(row["member_id"]),
        "household_id": str(row["household_id"]),
        "name": row["name"],
        "national_id": keys.open(
            row["national_id"], "members", "national_id", row["member_id"]
        ),
        "family_card_number": keys.open(
            row["family_card_number"], "households", "family_card_number", row["family_id"]
        ),
    }  # fmt: skip
