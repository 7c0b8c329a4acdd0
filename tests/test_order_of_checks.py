"""What is wrong is said in one order, in one form, and without repeating what was typed."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app import keys
from app.auth import AUDIENCE, TOKEN_MAX, Tokens
from app.settings import DEMO_PASSWORD
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    WATES,
    act,
    act_on_referral,
    bring,
    check_registry,
    done,
    draft,
    etag,
    file,
    get,
    key,
    save_survey,
    survey_body,
)
from tests.refusals import MARKER, faults, refused
from tests.tokens import encoded, signed, verified

MAGERSARI = "35.76.02"
JSON = {"Content-Type": "application/json"}
LIMIT = 1024 * 1024


def add_person(world: World, username: str, *roles: dict[str, Any]) -> dict[str, Any]:
    person = {"username": username, "name": "Orang Uji", "password": DEMO_PASSWORD, "roles": roles}
    answer = world.as_("admin").post("/users", json=person)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@dataclass
class Scene:
    """Cases that stand where the requests of this module need them."""

    world: World
    received: str
    elsewhere: str
    assigned: str
    surveyed_by_both: str
    approved_by_another: str
    forwarded: str
    closed: str
    sent: str
    drafted: str

    def ask(
        self, who: str | None, method: str, path: str, version: str | None = None, **sent: Any
    ) -> httpx.Response:
        headers = {} if version is None else {"If-Match": version}
        headers |= sent.pop("headers", {})
        client = self.world.anyone if who is None else self.world.as_(who)
        prefix = "/v1" if who is None else ""
        return client.request(method, prefix + path, headers=headers, **sent)

    def act(
        self, who: str | None, id: str, action: str, version: str | None = None, **sent: Any
    ) -> httpx.Response:
        at_once = {name: sent.pop(name) for name in ("params", "headers") if name in sent}
        body = {"action": action} | sent
        return self.ask(who, "POST", f"/complaints/{id}/actions", version, json=body, **at_once)

    def change(
        self, who: str | None, id: str, body: Any, version: str | None = None, **sent: Any
    ) -> httpx.Response:
        return self.ask(who, "PATCH", f"/complaints/{id}", version, json=body, **sent)

    def survey(
        self, who: str | None, id: str, body: Any, version: str | None = None, **sent: Any
    ) -> httpx.Response:
        return self.ask(who, "PUT", f"/complaints/{id}/survey", version, json=body, **sent)

    def file(self, who: str | None, body: Any, **sent: Any) -> httpx.Response:
        return self.ask(who, "POST", "/complaints", json=body, **sent)

    def refer(
        self, who: str | None, id: str, action: str, version: str | None = None, **sent: Any
    ) -> httpx.Response:
        at_once = {name: sent.pop(name) for name in ("params", "headers") if name in sent}
        body = {"action": action} | sent
        return self.ask(who, "POST", f"/referrals/{id}/actions", version, json=body, **at_once)

    def version(self, id: str) -> str:
        return etag(self.world, "front.1", f"/complaints/{id}")

    def referral_version(self, id: str) -> str:
        return etag(self.world, "program.1", f"/referrals/{id}")


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    add_person(
        world,
        "both",
        {"role": "facilitator", "region_codes": [WATES]},
        {"role": "supervisor", "region_codes": [MAGERSARI]},
    )
    forwarded = bring(world, "forwarded")
    assigned = bring(world, "assigned")["id"]
    closed = file(world)["id"]
    done(world, "puskesos.wates", closed, "withdraw", note="Dicabut.")
    need = {"complaint_id": assigned, "program_code": "PKH", "beneficiary": {"name": "Siti"}}
    drafted = world.as_("front.1").post("/referrals", json=need, headers=key())
    return Scene(
        world,
        received=file(world)["id"],
        elsewhere=file(world, "puskesos.kauman", region_code=KAUMAN)["id"],
        assigned=assigned,
        surveyed_by_both=bring(world, "awaiting_supervisor", "both")["id"],
        approved_by_another=bring(world, "awaiting_manager", "both")["id"],
        forwarded=forwarded["id"],
        closed=closed,
        sent=forwarded["referral_ids"][0],
        drafted=drafted.json()["id"],
    )


UNKNOWN_QUERY = {"params": {"page": "1"}}
BAD_KEY = {"headers": {"Idempotency-Key": "short"}}
STALE = '"4711"'


@dataclass(frozen=True)
class Both:
    """One request with two faults: the first is the one that is answered."""

    first: str
    second: str
    status: int
    code: str
    ask: Callable[[Scene], httpx.Response]


def both(call: str, *rows: tuple[str, str, int, str, Callable[[Scene], httpx.Response]]) -> Any:
    return [pytest.param(Both(*row), id=f"{call}: {row[0]} before {row[1]}") for row in rows]


# fmt: off
PAIRS = [
    *both("filing",
        ("no token", "no key", 401, "token_missing", lambda s: s.file(None, draft())),
        ("no key", "broken JSON", 400, "idempotency_key_missing",
            lambda s: s.ask("front.1", "POST", "/complaints", content=b"{", headers=JSON)),
        ("an unknown query", "a malformed body", 400, "unknown_parameter",
            lambda s: s.file("front.1", {}, headers=key(), **UNKNOWN_QUERY)),
        ("an unknown query", "a bad key", 400, "unknown_parameter",
            lambda s: s.file("front.1", draft(), **BAD_KEY, **UNKNOWN_QUERY)),
        ("a malformed body", "the wrong role", 422, "validation_failed",
            lambda s: s.file("supervisor.magersari", {}, headers=key())),
        ("the wrong role", "an unknown region", 403, "role_not_allowed",
            lambda s: s.file("manager", draft(region_code="11.01.01.2001"), headers=key())),
    ),
    *both("changing",
        ("no token", "out of scope", 401, "token_missing",
            lambda s: s.change(None, s.elsewhere, {})),
        ("out of scope", "an unknown query", 404, "not_found",
            lambda s: s.change("puskesos.wates", s.elsewhere, {}, **UNKNOWN_QUERY)),
        ("out of scope", "a bad key", 404, "not_found",
            lambda s: s.change("puskesos.wates", s.elsewhere, {}, **BAD_KEY)),
        ("a bad key", "a malformed body", 400, "idempotency_key_invalid",
            lambda s: s.change("front.1", s.received, {"kind": 5}, **BAD_KEY)),
        ("a malformed body", "the wrong role", 422, "validation_failed",
            lambda s: s.change("supervisor.magersari", s.received, {"kind": None})),
        ("the wrong role", "no version", 403, "role_not_allowed",
            lambda s: s.change("supervisor.magersari", s.received, {"narrative": "x"})),
        ("no version", "too late", 428, "precondition_required",
            lambda s: s.change("front.1", s.assigned, {"narrative": "x"})),
        ("a stale version", "too late", 412, "stale_version",
            lambda s: s.change("front.1", s.assigned, {"narrative": "x"}, STALE)),
        ("a stale version", "an unknown programme", 412, "stale_version",
            lambda s: s.change("front.1", s.received, {"program_code": "NONE"}, STALE)),
        ("too late", "an unknown programme", 409, "no_longer_changeable",
            lambda s: s.change(
                "front.1", s.assigned, {"program_code": "NONE"}, s.version(s.assigned))),
    ),
    *both("acting",
        ("no token", "out of scope", 401, "token_missing",
            lambda s: s.act(None, s.elsewhere, "withdraw")),
        ("out of scope", "an unknown query", 404, "not_found",
            lambda s: s.act("puskesos.wates", s.elsewhere, "withdraw", **UNKNOWN_QUERY)),
        ("an unknown query", "an unknown action", 400, "unknown_parameter",
            lambda s: s.act("front.1", s.received, "dance", **UNKNOWN_QUERY)),
        ("a bad key", "an unknown action", 400, "idempotency_key_invalid",
            lambda s: s.act("front.1", s.received, "dance", **BAD_KEY)),
        ("an unknown action", "no version", 422, "unknown_action",
            lambda s: s.act("front.1", s.received, "dance")),
        ("malformed data", "the wrong role", 422, "validation_failed",
            lambda s: s.act("puskesos.wates", s.received, "approve", data={"refuse": 5})),
        ("the wrong role", "no version", 403, "role_not_allowed",
            lambda s: s.act("puskesos.wates", s.received, "approve")),
        ("the wrong role", "the wrong state", 403, "role_not_allowed",
            lambda s: s.act("puskesos.wates", s.closed, "approve", s.version(s.closed))),
        ("no version", "the wrong state", 428, "precondition_required",
            lambda s: s.act("front.1", s.received, "assign")),
        ("a stale version", "the wrong state", 412, "stale_version",
            lambda s: s.act("front.1", s.received, "assign", STALE)),
        ("the wrong state", "four eyes", 409, "action_not_allowed",
            lambda s: s.act(
                "both", s.approved_by_another, "approve", s.version(s.approved_by_another))),
        ("the wrong state", "missing data", 409, "action_not_allowed",
            lambda s: s.act("front.1", s.received, "assign", s.version(s.received))),
        ("a state that only looks right", "missing data", 409, "action_not_allowed",
            lambda s: s.act("front.1", s.closed, "complete_documents", s.version(s.closed))),
        ("four eyes", "a missing note", 403, "four_eyes",
            lambda s: s.act("both", s.surveyed_by_both, "return_for_correction",
                s.version(s.surveyed_by_both))),
        ("four eyes", "the wrong reason", 403, "four_eyes",
            lambda s: s.act("both", s.surveyed_by_both, "reject",
                s.version(s.surveyed_by_both), reason="because", note="x")),
        ("a missing note", "too early", 422, "note_required",
            lambda s: s.act("manager", s.forwarded, "close_unanswered", s.version(s.forwarded))),
    ),
    *both("surveying",
        ("no token", "out of scope", 401, "token_missing",
            lambda s: s.survey(None, s.elsewhere, {})),
        ("out of scope", "an unknown query", 404, "not_found",
            lambda s: s.survey("puskesos.wates", s.elsewhere, {}, **UNKNOWN_QUERY)),
        ("a bad key", "a malformed body", 400, "idempotency_key_invalid",
            lambda s: s.survey("front.1", s.assigned, {}, **BAD_KEY)),
        ("a malformed body", "the wrong role", 422, "validation_failed",
            lambda s: s.survey("puskesos.wates", s.assigned, {"form_version": 1})),
        ("the wrong role", "no version", 403, "role_not_allowed",
            lambda s: s.survey("puskesos.wates", s.assigned, survey_body(s.world))),
        ("no version", "the wrong state", 428, "precondition_required",
            lambda s: s.survey("front.1", s.received, survey_body(s.world))),
        ("a stale version", "the wrong state", 412, "stale_version",
            lambda s: s.survey("front.1", s.received, survey_body(s.world), STALE)),
        ("the wrong state", "wrong answers", 409, "action_not_allowed",
            lambda s: s.survey(
                "front.1", s.received, survey_body(s.world, answers={"floor": 5}), '"0"')),
    ),
    *both("referring",
        ("no token", "out of scope", 401, "token_missing",
            lambda s: s.refer(None, s.drafted, "grant")),
        ("out of scope", "an unknown query", 404, "not_found",
            lambda s: s.refer("agency-pkh", s.drafted, "grant", **UNKNOWN_QUERY)),
        ("an unknown query", "an unknown action", 400, "unknown_parameter",
            lambda s: s.refer("program.1", s.sent, "dance", **UNKNOWN_QUERY)),
        ("an unknown action", "no version", 422, "unknown_action",
            lambda s: s.refer("program.1", s.sent, "dance")),
        ("a malformed body", "the wrong role", 422, "validation_failed",
            lambda s: s.refer("puskesos.wates", s.sent, "grant", note=5)),
        ("the wrong role", "no version", 403, "role_not_allowed",
            lambda s: s.refer("puskesos.wates", s.sent, "grant")),
        ("no version", "the wrong state", 428, "precondition_required",
            lambda s: s.refer("program.1", s.drafted, "grant")),
        ("a stale version", "the wrong state", 412, "stale_version",
            lambda s: s.refer("program.1", s.drafted, "grant", STALE)),
        ("the wrong state", "a missing reason", 409, "action_not_allowed",
            lambda s: s.refer("program.1", s.drafted, "decline", s.referral_version(s.drafted))),
    ),
]
# fmt: on


@pytest.mark.parametrize("pair", PAIRS)
def test_of_two_faults_the_earlier_one_is_answered(scene: Scene, pair: Both) -> None:
    refused(pair.ask(scene), pair.status, pair.code)


def test_a_guard_of_another_kind_comes_last(scene: Scene) -> None:
    version = scene.version(scene.forwarded)
    answer = scene.act("manager", scene.forwarded, "close_unanswered", version, note="Lama.")
    refused(answer, 409, "too_early")


REPEATS: dict[str, Callable[[Scene, dict[str, str]], tuple[str, str, Any, str | None]]] = {
    "filing": lambda _, __: ("POST", "/complaints", draft(), None),
    "changing": lambda _, one: ("PATCH", f"/complaints/{one['id']}", {"narrative": "x"}, '"1"'),
    "acting": lambda _, one: (
        "POST", f"/complaints/{one['id']}/actions",
        {"action": "request_documents", "data": {"missing": ["id_card"]}}, '"1"',
    ),
    "surveying": lambda s, one: (
        "PUT", f"/complaints/{one['assigned']}/survey", survey_body(s.world), '"0"',
    ),
    "referring": lambda _, one: (
        "POST", f"/referrals/{one['referral']}/actions",
        {"action": "cancel", "reason": "x"}, '"1"',
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def mover(scene: Scene) -> dict[str, Any]:
    """Someone of the secretariat who becomes a supervisor later."""
    return add_person(scene.world, "mover", {"role": "front_office", "region_codes": ["35.76"]})


@pytest.mark.parametrize("call", REPEATS)
def test_a_known_key_is_answered_after_the_role_and_before_the_rest(
    scene: Scene, mover: dict[str, Any], call: str
) -> None:
    world = scene.world
    roles = {"front_office": "35.76", "supervisor": MAGERSARI}

    def become(role: str) -> None:
        given = [{"role": role, "region_codes": [roles[role]]}]
        path = f"/users/{mover['id']}"
        version = {"If-Match": etag(world, "admin", path)}
        answer = world.as_("admin").patch(path, json={"roles": given}, headers=version)
        assert answer.status_code == 200, answer.text

    become("front_office")
    one = {"id": file(world)["id"]}
    if call in ("surveying", "referring"):
        one["assigned"] = bring(world, "assigned")["id"]
        whom = {"name": f"Siti {uuid4().hex}"}
        need = {"complaint_id": one["assigned"], "program_code": "PKH", "beneficiary": whom}
        answer = world.as_("mover").post("/referrals", json=need, headers=key())
        one["referral"] = answer.json()["id"]
    method, path, body, version = REPEATS[call](scene, one)
    once = key()
    first = scene.ask("mover", method, path, version, json=body, headers=once)
    assert first.is_success, first.text
    # Without a version, with a stale one, and in a state that no longer allows it.
    for sent in (None, version, STALE):
        again = scene.ask("mover", method, path, sent, json=body, headers=once)
        assert again.status_code == first.status_code, again.text
        assert again.headers["idempotency-replayed"] == "true"
    broken = scene.ask("mover", method, path, version, json=5, headers=once)
    refused(broken, 422, "validation_failed")
    become("supervisor")
    late = scene.ask("mover", method, path, version, json=body, headers=once)
    refused(late, 403, "role_not_allowed")


# Versions


@pytest.mark.parametrize("sent", ["*", '"1", "2"', 'W/"1"', "1", '""', '"01"', "", '"99999999999"'])
def test_an_if_match_that_is_not_the_one_version_never_matches(scene: Scene, sent: str) -> None:
    id = file(scene.world)["id"]
    refused(scene.act("front.1", id, "withdraw", sent, note="x"), 412, "stale_version")
    refused(scene.change("front.1", id, {"narrative": "x"}, sent), 412, "stale_version")
    refused(scene.survey("front.1", id, survey_body(scene.world), sent), 412, "stale_version")


def test_two_headers_are_a_list_and_never_match(scene: Scene) -> None:
    client, id = scene.world.as_("front.1"), file(scene.world)["id"]
    twice = [("If-Match", '"1"'), ("If-Match", '"1"')]
    body = {"action": "withdraw", "note": "x"}
    answer = client.post(f"/complaints/{id}/actions", json=body, headers=twice)
    refused(answer, 412, "stale_version")
    keys_ = [("Idempotency-Key", "a" * 16), ("Idempotency-Key", "b" * 16)]
    refused(client.post("/complaints", json=draft(), headers=keys_), 400, "idempotency_key_invalid")


def test_a_change_is_refused_once_somebody_else_has_changed_it(scene: Scene) -> None:
    id = file(scene.world)["id"]
    assert scene.change("front.1", id, {"narrative": "pertama"}, '"1"').headers["etag"] == '"2"'
    refused(scene.change("back.1", id, {"narrative": "kedua"}, '"1"'), 412, "stale_version")
    assert get(scene.world, "front.1", id)["narrative"] == "pertama"


def test_a_client_may_act_without_naming_a_version(scene: Scene) -> None:
    id = bring(scene.world, "forwarded")["referral_ids"][0]
    assert scene.refer("agency-pkh", id, "acknowledge").status_code == 200
    refused(scene.refer("agency-pkh", id, "grant", STALE), 412, "stale_version")


# Scope


@pytest.mark.parametrize(
    "id",
    [
        "x", "1", "00000000-0000-0000-0000-000000000000", "%00", "%ed%a0%80", "{%s}", "urn:uuid:%s",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/complaints/{}"), ("GET", "/complaints/{}/events"), ("PATCH", "/complaints/{}"),
        ("POST", "/complaints/{}/actions"), ("GET", "/complaints/{}/survey"),
        ("PUT", "/complaints/{}/survey"), ("GET", "/referrals/{}"), ("GET", "/referrals/{}/events"),
        ("POST", "/referrals/{}/actions"), ("GET", "/households/{}"), ("GET", "/programs/{}"),
        ("GET", "/survey-forms/{}"), ("GET", "/workflows/{}"),
    ],
)  # fmt: skip
def test_an_id_that_is_none_is_not_found(scene: Scene, method: str, path: str, id: str) -> None:
    named = id % scene.received if "%s" in id else id
    body = {} if method == "GET" else {"json": {}}
    refused(scene.ask("front.1", method, path.format(named), **body), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/users/x", "/clients/x", "/users/399a4c16-b99b-47fe-9fe3-78dc44e9c48b"]
)
def test_an_account_that_is_none_is_not_found(scene: Scene, method: str, path: str) -> None:
    body = {} if method == "GET" else {"json": {}}
    refused(scene.ask("admin", method, path, **body), 404, "not_found")


def test_what_is_out_of_scope_looks_like_what_does_not_exist(scene: Scene) -> None:
    there, nowhere = (
        refused(scene.ask("puskesos.wates", "GET", f"/complaints/{id}"), 404, "not_found")
        for id in (scene.elsewhere, uuid4())
    )
    assert there | {"instance": ""} == nowhere | {"instance": ""}


# Actions


def test_what_the_system_does_is_nobody_elses_to_do(scene: Scene) -> None:
    version = scene.version(scene.received)
    for action in ("archive", "settle"):
        refused(scene.act("manager", scene.received, action, version), 403, "role_not_allowed")
    refused(scene.act("front.1", scene.received, "submit", version), 422, "unknown_action")
    for action in ("approve", "send", "return"):
        version = scene.referral_version(scene.drafted)
        refused(scene.refer("front.1", scene.drafted, action, version), 403, "role_not_allowed")


def test_a_note_that_is_blank_is_no_note(scene: Scene) -> None:
    version = scene.version(scene.received)
    refused(scene.act("front.1", scene.received, "withdraw", version), 422, "note_required")
    blank = scene.act("front.1", scene.received, "withdraw", version, note=" \n ")
    refused(blank, 422, "validation_failed")
    assert faults(blank) == {"/note": "too_short"}


def test_a_reason_must_be_one_of_the_rows(scene: Scene) -> None:
    version = scene.version(scene.received)
    none = scene.act("front.1", scene.received, "reject", version, note="x")
    refused(none, 422, "reason_required")
    other = scene.act("front.1", scene.received, "reject", version, note="x", reason=MARKER)
    refused(other, 422, "reason_not_allowed")
    assert "out_of_area" in other.json()["errors"][0]["detail"]
    neither = scene.act("front.1", scene.received, "reject", version)
    refused(neither, 422, "action_data")
    assert faults(neither) == {"/note": "note_required", "/reason": "reason_required"}


def test_missing_data_are_named_by_their_place(scene: Scene) -> None:
    answer = scene.act(
        "front.1", scene.received, "request_documents", scene.version(scene.received)
    )
    refused(answer, 422, "missing")
    assert faults(answer) == {"/data/missing": "missing"}
    extra = scene.act("front.1", scene.received, "withdraw", STALE, data={"why": MARKER})
    refused(extra, 422, "validation_failed")
    assert faults(extra) == {"/data/why": "unknown_field"}


def test_nobody_decides_on_what_they_surveyed_typed_or_filed(scene: Scene) -> None:
    world, id = scene.world, scene.surveyed_by_both
    for action, more in (("approve", {}), ("answer", {"note": "x"})):
        refused(scene.act("both", id, action, scene.version(id), **more), 403, "four_eyes")
    add_person(
        world,
        "filer",
        {"role": "front_office", "region_codes": ["35.76"]},
        {"role": "supervisor", "region_codes": [MAGERSARI]},
    )
    typed = bring(world, "assigned")["id"]
    assert save_survey(world, typed, "filer").status_code == 200
    named = {"on_behalf_of": get(world, "front.1", typed)["assigned_to"]["id"]}
    done(world, "filer", typed, "submit_survey", data=named)
    refused(act(world, "filer", typed, "approve"), 403, "four_eyes")
    assert "approve" not in get(world, "filer", typed)["actions"]
    filed = file(world, "filer")["id"]
    check_registry(world, filed)
    done(world, "puskesos.wates", filed, "forward_to_secretariat")
    facilitator = {"facilitator_id": world.as_("facilitator.wates.2").get("/me").json()["id"]}
    done(world, "front.1", filed, "assign", data=facilitator)
    assert save_survey(world, filed, "facilitator.wates.2").status_code == 200
    done(world, "facilitator.wates.2", filed, "submit_survey")
    refused(act(world, "filer", filed, "approve"), 403, "four_eyes")


# Filing


def sent(scene: Scene, who: str = "puskesos.wates", **changes: Any) -> httpx.Response:
    return scene.file(who, draft(**changes), headers=key())


def at(**from_now: float) -> str:
    return (datetime.now(UTC) + timedelta(**from_now)).isoformat()


def test_a_receipt_may_lie_ninety_days_back_and_never_ahead(scene: Scene) -> None:
    refused(sent(scene, received_at=at(minutes=5)), 422, "received_in_future")
    refused(sent(scene, received_at=at(days=-91)), 422, "received_too_long_ago")
    assert sent(scene, received_at=at(days=-89)).status_code == 201


def test_a_clock_some_seconds_ahead_is_taken_for_now(scene: Scene) -> None:
    answer = sent(scene, received_at=at(seconds=10))
    assert answer.status_code == 201, answer.text
    complaint = answer.json()["complaint"]
    assert complaint["received_at"] <= complaint["recorded_at"]


@pytest.mark.parametrize(
    ("received_at", "code"),
    [
        ("2026-11-24T09:00:00", "offset_required"),
        ("yesterday", "invalid_datetime"),
        ("2026-02-30T09:00:00Z", "invalid_datetime"),
        ("0001-01-01T00:00:00+14:00", "instant_out_of_range"),
        ("9999-12-31T23:59:59-14:00", "instant_out_of_range"),
        (True, None),
        ([], None),
        (MARKER, "invalid_datetime"),
    ],
)
def test_a_time_that_is_none_is_refused(scene: Scene, received_at: Any, code: str | None) -> None:
    answer = sent(scene, received_at=received_at)
    refused(answer, 422, "validation_failed")
    assert code in (None, faults(answer)["/received_at"])


def test_a_time_of_any_offset_is_answered_in_utc(scene: Scene) -> None:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    local = (now + timedelta(hours=7)).replace(tzinfo=None)
    answer = sent(scene, received_at=f"{local.isoformat()}+07:00")
    assert answer.json()["complaint"]["received_at"] == now.isoformat().replace("+00:00", "Z")


def test_a_complaint_is_filed_for_a_village_that_exists(scene: Scene) -> None:
    refused(sent(scene, region_code="35.76.02.9999"), 422, "unknown_region")
    for wider in ("35.76.02", "35.76", "35", "", "35.76.2.1010", "3576021010"):
        answer = sent(scene, region_code=wider)
        refused(answer, 422, "validation_failed")
        assert faults(answer) == {"/region_code": "invalid_format"}


def test_a_former_code_is_read_as_the_present_one_with_a_warning(scene: Scene) -> None:
    complaint = sent(scene, region_code="35.76.02.1007").json()["complaint"]
    assert complaint["region_code"] == "35.76.03.1004"
    assert "region_code_replaced" in complaint["warnings"]
    assert "region_code_replaced" not in sent(scene).json()["complaint"]["warnings"]


@pytest.mark.parametrize(
    ("field", "value", "place", "code"),
    [
        ("client_ref", "with space", "/client_ref", "invalid_format"),
        ("client_ref", "x" * 65, "/client_ref", "too_long"),
        ("client_ref", "", "/client_ref", "invalid_format"),
        ("kind", MARKER, "/kind", "not_an_option"),
        ("category", MARKER, "/category", "not_an_option"),
        ("program_code", f"{MARKER} x", "/program_code", "invalid_format"),
        ("narrative", "", "/narrative", "too_short"),
        ("narrative", " \n\t ", "/narrative", "too_short"),
        ("narrative", "x" * 4001, "/narrative", "too_long"),
        ("narrative", None, "/narrative", "wrong_type"),
        ("narrative", 10**400, "/narrative", "wrong_type"),
        ("documents_seen", [MARKER], "/documents_seen/0", "not_an_option"),
        ("documents_seen", ["id_card"] * 21, "/documents_seen", "too_many"),
        ("documents_seen", "id_card", "/documents_seen", "wrong_type"),
        ("reporter", {"relation": "self"}, "/reporter/name", "missing"),
        ("reporter", {"name": "x\ny", "relation": "self"}, "/reporter/name", "line_break"),
        ("reporter", {"name": "x", "relation": MARKER}, "/reporter/relation", "not_an_option"),
        ("subject", {"household_id": MARKER}, "/subject/household_id", "invalid_format"),
        ("a_field", MARKER, "/a_field", "unknown_field"),
        (f"not a name {MARKER}", 1, "", "unknown_field"),
    ],
)
def test_a_field_that_is_wrong_is_named_and_not_repeated(
    scene: Scene, field: str, value: Any, place: str, code: str
) -> None:
    answer = sent(scene, **{field: value})
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {place: code}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("national_id", f"{NATIONAL_ID}9"), ("national_id", NATIONAL_ID[:-1]),
        ("national_id", "357602450784900x"), ("national_id", int(NATIONAL_ID)),
        ("national_id", "٣" * 16), ("phone", "08123456789"), ("phone", "+62 812 345"),
    ],
)  # fmt: skip
def test_a_number_of_the_wrong_form_is_refused_and_not_repeated(
    scene: Scene, field: str, value: Any
) -> None:
    answer = sent(scene, reporter={"name": "Siti", "relation": "self", field: value})
    refused(answer, 422, "validation_failed")
    assert set(faults(answer)) == {f"/reporter/{field}"}
    assert str(value) not in answer.text


def test_what_is_referred_to_must_exist(scene: Scene) -> None:
    refused(sent(scene, program_code="NONE"), 422, "unknown_program")
    refused(sent(scene, subject={"household_id": str(uuid4())}), 422, "unknown_household")
    refused(sent(scene, kind="question"), 422, "category_not_allowed")
    two = sent(scene, kind="question", program_code="NONE")
    refused(two, 422, "unknown_reference")
    assert set(faults(two)) == {"/category", "/program_code"}


# JSON and text


def raw(scene: Scene, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    client = scene.world.as_("puskesos.wates")
    return client.post("/complaints", content=body, headers=JSON | key() | headers)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"{} {}", b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":NaN}',
        b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b"\xff\xfe{}",
        b'{"a":"\xff"}', b"\xef\xbb\xbf{}", b'{"a":01}', b"{'a':1}", b'{"a":"\n"}',
        b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000, b"[" * 40 + b"]" * 40,
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_is_refused(scene: Scene, body: bytes) -> None:
    refused(raw(scene, body), 422, "malformed_json")


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"text"', b"true", b"{}"])
def test_json_that_is_no_complaint_is_refused(scene: Scene, body: bytes) -> None:
    refused(raw(scene, body), 422, "validation_failed")


@pytest.mark.parametrize(
    "bad", ["\\u0000", "\\ud800", "\\udfff\\ud800", "\\u0007", "\\u001b[2J", "\\u007f", "\\u0085"]
)
@pytest.mark.parametrize("place", ["/narrative", "/reporter/name", "/client_ref"])
def test_a_character_that_no_text_may_hold_is_refused(scene: Scene, bad: str, place: str) -> None:
    body = draft()
    holder = body["reporter"] if "reporter" in place else body
    holder[place.split("/")[-1]] = f"{MARKER}@"
    answer = raw(scene, json.dumps(body).replace("@", bad).encode())
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {place: "character_not_allowed"}


def test_a_forbidden_character_in_a_name_is_refused(scene: Scene) -> None:
    answer = raw(scene, b'{"\\u0000' + MARKER.encode() + b'":{"a":"\\ud800"}}')
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {"": "character_not_allowed", "/?/a": "character_not_allowed"}


def test_text_is_kept_in_one_form_without_turning_the_reading_direction(scene: Scene) -> None:
    told = "Cafe\u0301 \u202eterbalik\u202c \u2066satu\u2069\nbaris dua\t\U0001f3e0"
    complaint = sent(scene, narrative=told).json()["complaint"]
    assert complaint["narrative"] == "Caf\u00e9 terbalik satu\nbaris dua\t\U0001f3e0"


def padded(size: int) -> bytes:
    body = json.dumps(draft()).encode()
    return body + b" " * (size - len(body))


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_not(scene: Scene) -> None:
    assert raw(scene, padded(LIMIT)).status_code == 201
    assert raw(scene, chunks(padded(LIMIT))).status_code == 201
    refused(raw(scene, padded(LIMIT + 1)), 413, "body_too_large")
    refused(raw(scene, chunks(padded(LIMIT + 1))), 413, "body_too_large")


@pytest.mark.parametrize("call", ["PATCH", "PUT", "POST"])
def test_two_mebibytes_are_too_much_with_and_without_a_length(scene: Scene, call: str) -> None:
    path = (
        f"/complaints/{scene.received}" + {"PATCH": "", "PUT": "/survey", "POST": "/actions"}[call]
    )
    for body in (padded(2 * LIMIT), chunks(padded(2 * LIMIT))):
        client = scene.world.as_("front.1")
        answer = client.request(call, path, content=body, headers=JSON | {"If-Match": '"1"'})
        refused(answer, 413, "body_too_large")


@pytest.mark.parametrize("sent_as", ["text/plain", "text/json", "multipart/form-data", "", MARKER])
def test_a_content_type_other_than_json_is_refused(scene: Scene, sent_as: str) -> None:
    body = json.dumps(draft()).encode()
    refused(raw(scene, body, **{"Content-Type": sent_as}), 415, "unsupported_media_type")


def test_a_missing_content_type_is_refused_and_a_charset_is_not(scene: Scene) -> None:
    client, body = scene.world.as_("puskesos.wates"), json.dumps(draft()).encode()
    answer = client.post("/complaints", content=body, headers=key())
    refused(answer, 415, "unsupported_media_type")
    assert raw(scene, body, **{"Content-Type": "Application/JSON; charset=utf-8"}).is_success


# Who asks


def me(world: World, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return world.anyone.get("/v1/me", headers=headers)


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Basic YTpi", "Token abc", MARKER])
def test_without_a_token_nobody_comes_in(world: World, sent: str | None) -> None:
    refused(me(world, sent), 401, "token_missing")


@pytest.fixture
def claims(world: World) -> dict[str, Any]:
    key_ = world.anyone.get("/.well-known/jwks.json").json()["keys"][0]
    return verified(world.token("front.1"), key_)[1]


def test_a_token_by_hand_with_all_claims_is_good(world: World, claims: dict[str, Any]) -> None:
    ours = world.cluster.keys.signing
    token = signed(ours.private_pem, {"alg": "ES256", "kid": ours.kid, "typ": "JWT"}, claims)
    assert me(world, f"Bearer {token}").json()["username"] == "front.1"
    assert me(world, f"bearer  {token}").json()["username"] == "front.1"


def test_an_expired_token_is_refused_as_expired(world: World, claims: dict[str, Any]) -> None:
    tokens = Tokens(world.cluster.keys.signing, "slrt")
    old = tokens.issue(claims["sub"], datetime.now(UTC) - timedelta(minutes=11))
    refused(me(world, f"Bearer {old}"), 401, "token_expired")


def test_a_token_of_another_server_is_refused(world: World, claims: dict[str, Any]) -> None:
    ours, foreign = world.cluster.keys.signing, keys.throwaway().signing
    header = {"alg": "ES256", "kid": foreign.kid}
    refused(
        me(world, f"Bearer {signed(foreign.private_pem, header, claims)}"), 401, "token_invalid"
    )
    # Not even when it claims our key.
    header["kid"] = ours.kid
    refused(
        me(world, f"Bearer {signed(foreign.private_pem, header, claims)}"), 401, "token_invalid"
    )


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"alg": None}, {"crit": ["exp"]},
        {"crit": []}, {"jwk": {}}, {"x5u": "http://127.0.0.1/"}, {"zip": "DEF"}, {"kid": None},
        {"kid": "other"}, {"kid": [1]},
    ],
)  # fmt: skip
def test_a_header_that_says_more_or_other_than_ours_is_refused(
    world: World, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    ours = world.cluster.keys.signing
    token = signed(ours.private_pem, {"alg": "ES256", "kid": ours.kid} | header, claims)
    refused(me(world, f"Bearer {token}"), 401, "token_invalid")
    content = token.rpartition(".")[0]
    refused(me(world, f"Bearer {content}."), 401, "token_invalid")


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "iss", "aud", "jti"])
def test_a_token_without_one_of_its_claims_is_refused(
    world: World, claims: dict[str, Any], name: str
) -> None:
    ours = world.cluster.keys.signing
    header = {"alg": "ES256", "kid": ours.kid}
    for changed in (
        {k: v for k, v in claims.items() if k != name},
        claims | {name: None},
        claims | {name: []},
        claims | {name: "somebody else"},
        claims | {name: 1e300},
    ):
        if changed.get(name) == "somebody else" and name == "jti":
            continue
        answer = me(world, f"Bearer {signed(ours.private_pem, header, changed)}")
        assert answer.json()["code"] in ("token_invalid", "token_expired")
        assert answer.status_code == 401


@pytest.mark.parametrize("extra", [{"nbf": 0}, {"role": "admin"}])
def test_a_token_with_a_claim_that_is_not_ours_is_refused(
    world: World, claims: dict[str, Any], extra: dict[str, Any]
) -> None:
    ours = world.cluster.keys.signing
    token = signed(ours.private_pem, {"alg": "ES256", "kid": ours.kid}, claims | extra)
    refused(me(world, f"Bearer {token}"), 401, "token_invalid")


@pytest.mark.parametrize(
    "token",
    [
        "x", "a.b.c", "....", f"{encoded(b'[]')}.a.b", f"{encoded(b'5')}.a.b",
        f"{encoded(b'[' * 3000)}.a.b", f"{encoded(b'NaN')}..", "x" * TOKEN_MAX,
        "x" * (TOKEN_MAX + 1), "x" * 30_000, MARKER,
    ],
)  # fmt: skip
def test_a_token_that_is_none_is_refused_and_never_a_crash(world: World, token: str) -> None:
    refused(me(world, f"Bearer {token}"), 401, "token_invalid")


def test_a_token_of_bytes_outside_ascii_is_refused(world: World) -> None:
    headers = {"Authorization": b"Bearer \xe9\xff.\xe9.\xe9"}
    refused(world.anyone.get("/v1/me", headers=headers), 401, "token_invalid")


def test_a_token_too_long_is_refused_before_it_is_read(
    world: World, claims: dict[str, Any]
) -> None:
    ours = world.cluster.keys.signing
    token = signed(
        ours.private_pem, {"alg": "ES256", "kid": ours.kid}, claims | {"jti": "x" * 4000}
    )
    assert len(token) > TOKEN_MAX
    refused(me(world, f"Bearer {token}"), 401, "token_invalid")


def test_a_token_of_nobody_or_of_somebody_shut_out_is_refused(world: World) -> None:
    tokens = Tokens(world.cluster.keys.signing, "slrt")
    stranger = tokens.issue(uuid4(), datetime.now(UTC))
    refused(me(world, f"Bearer {stranger}"), 401, "token_invalid")
    person = add_person(world, f"leaver-{uuid4().hex[:8]}")
    token = world.token(person["username"])
    assert me(world, f"Bearer {token}").is_success
    path = f"/users/{person['id']}"
    world.as_("admin").patch(path, json={"active": False}, headers={"If-Match": '"1"'})
    refused(me(world, f"Bearer {token}"), 401, "token_invalid")


def test_whoever_is_unknown_learns_nothing_else(world: World) -> None:
    for method, path in (
        ("POST", "/v1/complaints"),
        ("GET", "/v1/complaints/x"),
        ("GET", "/v1/me"),
    ):
        answer = world.anyone.request(method, f"{path}?nonsense=1", content=b"{")
        refused(answer, 401, "token_missing")


# Routes and queries


@pytest.mark.parametrize(
    "path", ["/x", "/v1", "/v1/x", "/v1/complaints/", "/v2/complaints", "/%00"]
)
def test_an_unknown_route_is_a_problem_too(world: World, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        refused(world.anyone.request(method, f"{path}?{MARKER}={MARKER}"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/complaints", "GET, POST"),
        ("POST", "/v1/complaints/x", "GET, PATCH"),
        ("DELETE", "/v1/complaints/x/survey", "GET, PUT"),
        ("PUT", "/v1/users", "GET, POST"),
        ("DELETE", "/v1/users/x", "GET, PATCH"),
        ("GET", "/v1/complaints/x/actions", "POST"),
        ("GET", "/v1/auth/token", "POST"),
        ("POST", "/v1/me", "GET"),
        ("POST", "/livez", "GET"),
        ("PUT", "/.well-known/jwks.json", "GET"),
        ("TRACE", "/problems/x", "GET"),
    ],
)
def test_a_method_that_is_not_allowed_is_told_which_are(
    world: World, method: str, path: str, allowed: str
) -> None:
    answer = world.anyone.request(method, path)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/v1/complaints", "/v1/me", "/x", "/docs"]
)
def test_head_and_options_are_answered(world: World, path: str) -> None:
    for method in ("HEAD", "OPTIONS"):
        answer = world.as_("front.1").request(method, world.base_url + path)
        assert answer.status_code in (200, 404, 405)
        assert answer.headers["x-request-id"]
    assert world.anyone.head(path).content == b""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/complaints"), ("POST", "/complaints"), ("GET", "/referrals"), ("GET", "/inbox"),
        ("GET", "/households"), ("GET", "/regions"), ("GET", "/programs"), ("GET", "/me"),
        ("GET", "/notifications"), ("GET", "/facilitators"), ("GET", "/workflows/complaint"),
        ("POST", "/complaints/search"), ("POST", "/registry/checks"), ("GET", "/survey-forms"),
    ],
)  # fmt: skip
def test_a_query_parameter_that_is_unknown_is_refused(scene: Scene, method: str, path: str) -> None:
    params = {"a_filter": MARKER, f"{MARKER} <x>": "1"}
    body = {} if method == "GET" else {"json": {}}
    answer = scene.ask("front.1", method, path, params=params, headers=key(), **body)
    refused(answer, 400, "unknown_parameter")
    assert faults(answer) == {"a_filter": "unknown_parameter", "?": "unknown_parameter"}


def test_sign_in_refuses_an_unknown_query_too(world: World) -> None:
    answer = world.anyone.post("/v1/auth/sessions?next=/", json={})
    refused(answer, 400, "unknown_parameter")


@pytest.mark.parametrize(
    "query",
    [
        "state=received&state=assigned", "limit=1&limit=1", "limit=0", "limit=201", "limit=-1",
        "limit=x", "limit=1.5", f"limit={'9' * 4000}", f"state={MARKER}", f"sort={MARKER}",
        f"region={MARKER}", "region=35.7", "region=35.76.02.1010.1", f"assigned_to={MARKER}",
        f"overdue={MARKER}", "escalation_level_min=4", "escalation_level_min=-1",
        f"received_from={MARKER}", "received_from=2026-11-24", "ticket=%00", "ticket=%1b",
        f"ticket={'9' * 25}", "program_code=%00", "received_from=0001-01-01T00:00:00%2B14:00",
    ],
)  # fmt: skip
def test_a_query_parameter_that_is_wrong_is_refused(scene: Scene, query: str) -> None:
    answer = scene.ask("front.1", "GET", f"/complaints?{query}")
    refused(answer, 400, "parameter_invalid")
    assert set(faults(answer)) == {query.partition("=")[0]}


@pytest.mark.parametrize("cursor", ["", "x", MARKER, "é", "AAAA", "a" * 900, "%00", "..", "~-_"])
def test_a_cursor_that_we_did_not_make_is_refused(scene: Scene, cursor: str) -> None:
    answer = scene.ask("front.1", "GET", "/complaints", params={"cursor": cursor})
    refused(answer, 400, "cursor_invalid")


def test_a_cursor_is_good_for_its_own_list_and_filters_only(scene: Scene) -> None:
    query = {"limit": "1", "region": "35.76", "sort": "received_at"}
    first = scene.ask("front.1", "GET", "/complaints", params=query).json()
    cursor = {"cursor": first["next_cursor"]}
    again = scene.ask("front.1", "GET", "/complaints", params=query | cursor)
    assert again.json()["items"][0]["id"] != first["items"][0]["id"]
    # The size of the page may change; what is asked for may not.
    assert scene.ask(
        "front.1", "GET", "/complaints", params=query | cursor | {"limit": "2"}
    ).is_success
    for other in ({"region": "35.76.02"}, {"sort": "-received_at"}, {"state": "received"}):
        answer = scene.ask("front.1", "GET", "/complaints", params=query | cursor | other)
        refused(answer, 400, "cursor_invalid")
    refused(scene.ask("front.1", "GET", "/complaints", params=cursor), 400, "cursor_invalid")
    refused(scene.ask("front.1", "GET", "/referrals", params=cursor), 400, "cursor_invalid")
    flipped = {"cursor": cursor["cursor"][:-2] + ("AA" if cursor["cursor"][-2:] != "AA" else "BB")}
    answer = scene.ask("front.1", "GET", "/complaints", params=query | flipped)
    refused(answer, 400, "cursor_invalid")


# The form of a refusal


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "id"), ("", "id"), ("id", "id"), ("en", "en"), ("en-US", "en"), ("EN-gb", "en"),
        ("fr", "id"), ("fr, en;q=0.5", "en"), ("id;q=0.5, en", "en"), ("en;q=0.4, id;q=0.5", "id"),
        ("en;q=0", "id"), ("en;q=x", "id"), ("*", "id"), (MARKER, "id"), ("jv, id;q=0.9", "id"),
    ],
)  # fmt: skip
def test_a_refusal_speaks_the_callers_language_under_one_code(
    world: World, accept: str | None, language: str
) -> None:
    titles = {"id": "Anda belum masuk", "en": "You are not signed in"}
    # httpx sends no Accept-Language of its own.
    headers = {} if accept is None else {"Accept-Language": accept}
    answer = world.anyone.get("/v1/me", headers=headers)
    assert refused(answer, 401, "token_missing")["title"] == titles[language]
    assert answer.headers["content-language"] == language


def test_the_faults_are_translated_too(scene: Scene) -> None:
    def detail(language: str) -> str:
        headers = key() | {"Accept-Language": language}
        answer = scene.file("front.1", draft(narrative=""), headers=headers)
        assert faults(answer) == {"/narrative": "too_short"}
        said: str = answer.json()["errors"][0]["detail"]
        return said

    assert detail("id") == "Terlalu pendek; paling sedikit 1."
    assert detail("en") == "Is too short; at least 1."


def test_the_request_id_is_the_callers_where_it_is_one(world: World) -> None:
    mine = str(uuid4())
    answer = world.anyone.get("/v1/me", headers={"X-Request-Id": mine})
    assert answer.headers["x-request-id"] == mine
    refused(answer, 401, "token_missing")
    for odd in (MARKER, "", "x" * 500, "{}"):
        answer = world.anyone.get("/v1/me", headers={"X-Request-Id": odd})
        refused(answer, 401, "token_missing")


def test_a_trace_is_passed_on(world: World) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = world.anyone.get("/livez", headers={"traceparent": trace})
    assert answer.headers["traceparent"] == trace


def test_at_most_fifty_faults_are_told(scene: Scene) -> None:
    answer = scene.file("front.1", {f"field_{n}": 1 for n in range(200)}, headers=key())
    assert len(refused(answer, 422, "validation_failed")["errors"]) == 50


def test_nothing_that_was_typed_comes_back(world: World) -> None:
    anyone, client = world.anyone, world.as_("front.1")
    wrong = {"username": MARKER, "password": MARKER}
    refused(anyone.post("/v1/auth/sessions", json=wrong), 401, "credentials_invalid")
    form = {"grant_type": "client_credentials", "client_id": MARKER, "client_secret": MARKER}
    refused(anyone.post("/v1/auth/token", data=form), 401, "invalid_client")
    form["grant_type"] = MARKER
    refused(anyone.post("/v1/auth/token", data=form), 400, "unsupported_grant_type")
    refused(anyone.get(f"/problems/{MARKER}"), 404, "not_found")
    refused(client.get(f"/complaints/{MARKER}"), 404, "not_found")
    refused(client.get(f"/programs/{MARKER}"), 404, "not_found")
    bad_key = {"Idempotency-Key": f"{MARKER} x", "If-Match": MARKER}
    refused(client.post("/complaints", json={}, headers=bad_key), 400, "idempotency_key_invalid")
    search = {"name": MARKER, "birth_date": MARKER}
    refused(client.post("/complaints/search", json=search), 422, "validation_failed")
    check = {"national_id": MARKER, "birth_date": MARKER, "complaint_id": MARKER}
    answer = client.post("/registry/checks", json=check, headers=key())
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {
        "/national_id": "too_short",
        "/birth_date": "invalid_format",
        "/complaint_id": "invalid_format",
    }


def test_wrong_answers_of_a_survey_are_named_and_not_repeated(scene: Scene) -> None:
    wrong = {"floor": MARKER, f"Ibu {MARKER}": 1, "members": [{"name": 5}]}
    body = survey_body(scene.world, answers=wrong)
    answer = scene.survey("facilitator.wates.1", scene.assigned, body, '"0"')
    refused(answer, 422, "invalid_answers")
    assert all(place.startswith("/answers") for place in faults(answer))


def test_a_slow_answer_is_not_needed_to_refuse(world: World) -> None:
    """Refusing costs no password check and no database: no way to keep the server busy."""
    started = time.perf_counter()
    for _ in range(50):
        me(world, "Bearer x")
    assert time.perf_counter() - started < 5


def test_referral_actions_need_their_note_and_reason(scene: Scene) -> None:
    id = bring(scene.world, "forwarded")["referral_ids"][0]
    refused(act_on_referral(scene.world, "program.1", id, "ask"), 422, "note_required")
    refused(act_on_referral(scene.world, "program.1", id, "decline"), 422, "reason_required")
    answer = act_on_referral(scene.world, "program.1", id, "decline", reason=MARKER)
    refused(answer, 422, "reason_not_allowed")
    refused(act_on_referral(scene.world, "front.1", id, "grant"), 403, "role_not_allowed")
    refused(act_on_referral(scene.world, "program.2", id, "grant", '"1"'), 404, "not_found")


def test_tokens_are_issued_for_our_audience_alone(claims: dict[str, Any]) -> None:
    assert claims["aud"] == AUDIENCE
    assert claims["exp"] - claims["iat"] == 600
