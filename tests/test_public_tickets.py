"""The citizen's own view of a report, by ticket and PIN: what is told, and what never is."""

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from app.domain.complaints import ComplaintState
from app.domain.vocabulary import Category, Document, Kind, Outcome
from app.routers.limits import Failures, Guesses
from app.workflow.citizens import texts
from app.workflow.complaints import filing
from app.workflow.complaints.commands import ComplaintAction
from tests.conftest import World
from tests.flows import NATIONAL_ID, bring, done, draft, event_of, get, key
from tests.refusals import faults, refused


def filed(world: World, **changes: Any) -> tuple[dict[str, Any], str]:
    """A complaint just filed, and the PIN of its receipt."""
    answer = world.as_("puskesos.wates").post("/complaints", json=draft(**changes), headers=key())
    assert answer.status_code == 201, answer.text
    return answer.json()["complaint"], answer.json()["receipt"]["pin"]


def pin_of(world: World, complaint: dict[str, Any], who: str = "puskesos.wates") -> str:
    """A new PIN from the desk."""
    answer = world.as_(who).post(
        f"/complaints/{complaint['id']}/pin", json={"documents_seen": ["id_card"]}, headers=key()
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["pin"])


def call(
    world: World, ticket: str, what: str, pin: Any, address: str | None = None, **body: Any
) -> httpx.Response:
    """What somebody without an account asks, from an address that the proxy names."""
    headers = {"X-Forwarded-For": address} if address else {}
    headers |= body.pop("headers", {})
    path = f"/v1/public/tickets/{ticket}/{what}"
    return world.anyone.post(path, json={"pin": pin} | body, headers=headers)


def status(world: World, complaint: dict[str, Any], pin: str) -> dict[str, Any]:
    answer = call(world, complaint["ticket"], "status", pin)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def test_the_texts_are_whole_in_three_languages() -> None:
    assert set(texts.STEPS) == set(ComplaintState)
    assert set(texts.DONE) == set(ComplaintAction)
    assert set(texts.OUTCOMES) == set(Outcome)
    assert set(texts.DOCUMENTS) == set(Document)
    assert set(texts.MATTERS) == {*Category, Kind.QUESTION, Kind.SUGGESTION}
    told = {role for role, _ in filing.HOLDERS.values()}
    assert told <= set(texts.OFFICES)
    for table in (texts.STEPS, texts.DONE, texts.OUTCOMES, texts.DOCUMENTS, texts.MATTERS):
        for said in table.values():  # type: ignore[attr-defined]
            spoken = [said.in_(language) for language in texts.Language]
            assert all(text and text == text.strip() and len(text) <= 300 for text in spoken)
    # What is a sentence is another one in each language.
    for said in [*texts.STEPS.values(), *texts.OUTCOMES.values()]:
        assert len({said.id, said.jv, said.en}) == 3


def test_a_citizen_reads_step_promise_office_and_history_but_no_name(world: World) -> None:
    complaint, pin = filed(world, subject={"name": "Budi Santoso", "national_id": NATIONAL_ID})
    read = status(world, complaint, pin)
    assert read["step"] == "received"
    assert read["promised_at"] == complaint["deadline_at"]
    assert read["late"] is False
    assert read["waits_for"]["role"] == "puskesos_officer"
    assert read["waits_for"]["office"]["id"] == "Puskesos Kelurahan Wates"
    assert read["step_text"].keys() == {"id", "jv", "en"}
    assert [line["action"] for line in read["history"]] == ["submit"]
    assert read["actions"] == ["withdraw"]
    asked = {"missing": ["family_card"]}
    done(world, "puskesos.wates", complaint["id"], "request_documents", data=asked)
    read = status(world, complaint, pin)
    assert read["promised_at"] is None
    assert read["missing_documents"][0]["text"]["id"] == "Kartu Keluarga (KK)"
    said = json.dumps(read)
    for name in ("Siti", "Budi", NATIONAL_ID, complaint["id"], complaint["submitted_by"]["id"]):
        assert name not in said
    # However the ticket is spelled.
    spelled = complaint["ticket"].replace("-", "")
    assert call(world, spelled, "status", pin).json() == read


def test_every_step_to_the_answer_can_be_read(world: World) -> None:
    complaint = bring(world, "forwarded")
    pin = pin_of(world, complaint)
    read = status(world, complaint, pin)
    assert read["waits_for"]["office"]["en"].endswith("Kota Mojokerto")
    assert read["promised_at"] is not None
    names = [line["action"] for line in read["history"]]
    assert names == [
        "submit", "forward_to_secretariat", "assign", "submit_survey", "approve", "forward",
    ]  # fmt: skip
    surveyor = world.as_("facilitator.wates.1").get("/me").json()
    assert surveyor["name"] not in json.dumps(read)
    answered, pin = filed(world, category="other")
    done(world, "puskesos.wates", answered["id"], "resolve_now", note=f"Sudah, NIK {NATIONAL_ID}.")
    read = status(world, answered, pin)
    assert read["answer"] == "Sudah, NIK 3576********9001."
    assert (read["outcome"], read["outcome_text"]["id"]) == ("resolved", "Dijawab oleh kantor.")
    assert read["waits_for"] is None
    assert read["actions"] == ["reopen", "rate"]


def test_a_wrong_ticket_and_a_wrong_pin_are_one_answer_in_one_time(world: World) -> None:
    complaint, pin = filed(world)
    ticket = complaint["ticket"]
    wrong = f"{(int(pin) + 1) % 1_000_000:06d}"
    digit = (int(ticket[-1]) + 1) % 10
    other = ticket.replace("-2026-", "-2027-")
    asked = {"pin": wrong, "check": f"{ticket[:-1]}{digit}", "ticket": other, "none": "x"}
    took: dict[str, list[float]] = {name: [] for name in asked}
    seen = set()
    for n in range(3):
        for name, value in asked.items():
            began = time.perf_counter()
            answer = call(
                world, ticket if name == "pin" else value, "status",
                wrong if name == "pin" else pin, f"198.51.100.{n}",
            )  # fmt: skip
            took[name].append(time.perf_counter() - began)
            body = refused(answer, 404, "ticket_or_pin_wrong")
            seen.add(json.dumps(body | {"instance": ""}))
            assert ticket not in answer.text
    assert len(seen) == 1
    middles = [statistics.median(times) for times in took.values()]
    assert min(middles) >= 0.1
    assert max(middles) - min(middles) < 0.05
    for what, more in (
        ("actions", {"action": "withdraw", "note": "x"}),
        ("satisfaction", {"satisfaction": 3}),
    ):
        refused(
            call(world, ticket, what, wrong, "198.51.100.9", **more), 404, "ticket_or_pin_wrong"
        )
    assert get(world, "puskesos.wates", complaint["id"])["version"] == complaint["version"]


def test_who_guesses_waits_and_shuts_nobody_else_out(world: World) -> None:
    complaint, pin = filed(world)
    ticket = complaint["ticket"]
    wrong = [f"{(int(pin) + n) % 1_000_000:06d}" for n in range(1, 41)]
    with ThreadPoolExecutor(10) as pool:
        at_once = list(
            pool.map(lambda one: call(world, ticket, "status", one, "203.0.113.1"), wrong[:30])
        )
    assert {answer.status_code for answer in at_once} == {404, 429}
    last = call(world, ticket, "status", pin, "203.0.113.1")
    refused(last, 429, "too_many_requests")
    assert 0 < int(last.headers["retry-after"]) <= 600
    # The citizen asks from elsewhere, as often as they like.
    for _ in range(12):
        assert call(world, ticket, "status", pin, "203.0.113.2").status_code == 200
    # A household of IPv6 is one address.
    tries = [call(world, ticket, "status", wrong[n], f"2001:db8::{n}") for n in range(7)]
    assert tries[-1].status_code == 429
    assert call(world, ticket, "status", pin, "2001:db8:1::1").status_code == 200


def test_guessing_one_ticket_from_everywhere_ends_and_spares_the_citizen() -> None:
    clock = [0.0]
    guesses = Guesses(*(
        Failures(one.every, one.burst, lambda: clock[0])
        for one in (
            Guesses().of_pair, Guesses().of_address, Guesses().of_ticket, Guesses().tried
        )
    ))  # fmt: skip

    def guess(address: str, ticket: str = "t") -> bool:
        try:
            guesses.check(ticket, address)
        except Exception:
            return False
        guesses.count(ticket, address)
        return True

    # One guess for each of many addresses, and again a minute later: no second round.
    assert sum(guess(f"a{n}") for n in range(200)) == 200
    clock[0] += 120
    assert sum(guess(f"a{n}") for n in range(200)) == 0
    guesses.check("t", "the citizen")
    # One address on many tickets.
    assert sum(guess("b", f"t{n}") for n in range(200)) == 50
    clock[0] += 86_401
    assert guess("a1")
    many = Failures(1, 1, lambda: clock[0])
    for n in range(100_001):
        many.count(n)
    assert len(many.forgotten_at) <= 100_000
    assert many.wait(100_000) > 0


def test_a_citizen_withdraws_and_reopens_once_however_often_it_is_sent(world: World) -> None:
    complaint, pin = filed(world)
    ticket = complaint["ticket"]
    assert faults(call(world, ticket, "actions", pin, action="withdraw")) == {
        "/note": "note_required"
    }
    refused(call(world, ticket, "actions", pin, action="reopen"), 409, "action_not_allowed")
    refused(call(world, ticket, "actions", pin, action="approve"), 422, "unknown_action")
    once = key()
    sent = {"action": "withdraw", "note": "Sudah dibantu saudara.", "headers": once}
    with ThreadPoolExecutor(8) as pool:
        copies = [
            pool.submit(call, world, ticket, "actions", pin, **sent | {"headers": dict(once)})
            for _ in range(8)
        ]
    answers = [copy.result() for copy in copies]
    assert {answer.status_code for answer in answers} <= {200, 409}
    again = call(world, ticket, "actions", pin, **sent | {"headers": dict(once)})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["outcome"] == "withdrawn"
    # The PIN is no part of what is kept of a request: a retry under a new one is the same.
    pin = pin_of(world, complaint)
    again = call(world, ticket, "actions", pin, **sent | {"headers": dict(once)})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    other = {"action": "withdraw", "note": "Lain.", "headers": dict(once)}
    refused(call(world, ticket, "actions", pin, **other), 422, "idempotency_key_reused")
    kept = world.fetch("select principal_id from idempotency_keys")
    assert complaint["id"] in [str(row["principal_id"]) for row in kept]
    history = [line["action"] for line in again.json()["history"]]
    assert history == ["submit", "withdraw"]
    event = event_of(world, complaint["id"], "withdraw")
    assert (event["by"]["role"], event["note"]) == ("citizen", "Sudah dibantu saudara.")
    # Two at once, under two keys: one reopens it, the other one finds it open.
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(call, world, ticket, "actions", pin, action="reopen", headers=key())
            for _ in range(2)
        ]
    assert sorted(one.result().status_code for one in both) == [200, 409]
    read = status(world, complaint, pin)
    assert (read["step"], read["outcome"]) == ("at_secretariat", None)
    stale = {"If-Match": '"1"'}
    answer = call(world, ticket, "actions", pin, action="withdraw", note="x", headers=stale)
    refused(answer, 412, "stale_version")


def test_an_answer_is_rated_once_and_changed_until_it_is_too_late(fresh_world: World) -> None:
    world = fresh_world
    complaint, pin = filed(world, category="other")
    ticket = complaint["ticket"]
    refused(call(world, ticket, "satisfaction", pin, satisfaction=4), 409, "nothing_to_rate")
    for bad in (0, 6, "4", 4.5, None):
        answer = call(world, ticket, "satisfaction", pin, satisfaction=bad)
        assert answer.status_code == 422, answer.text
    done(world, "puskesos.wates", complaint["id"], "resolve_now", note="Sudah.")
    with ThreadPoolExecutor(6) as pool:
        copies = list(
            pool.map(lambda _: call(world, ticket, "satisfaction", pin, satisfaction=4), range(6))
        )
    assert [answer.status_code for answer in copies] == [200] * 6
    once = key()
    for replayed in (None, "true"):
        answer = call(world, ticket, "satisfaction", pin, satisfaction=2, headers=dict(once))
        assert (answer.json()["satisfaction"], answer.headers.get("idempotency-replayed")) == (
            2, replayed,
        )  # fmt: skip
    rows = world.fetch("select satisfaction from ratings")
    assert [row["satisfaction"] for row in rows] == [2]
    rated = world.fetch("select data from events where type = 'complaint.rated' order by seq")
    assert [json.loads(row["data"])["satisfaction"] for row in rated] == [4, 2]
    world.advance(days=15)
    refused(call(world, ticket, "satisfaction", pin, satisfaction=5), 409, "rated_too_late")
    refused(call(world, ticket, "actions", pin, action="reopen"), 409, "reopen_too_late")
    assert status(world, complaint, pin)["actions"] == []
    withdrawn, pin = filed(world)
    assert call(world, withdrawn["ticket"], "actions", pin, action="withdraw", note="x").is_success
    answer = call(world, withdrawn["ticket"], "satisfaction", pin, satisfaction=5)
    refused(answer, 409, "nothing_to_rate")


def test_the_desk_gives_a_new_pin_against_documents_once_for_each_time(world: World) -> None:
    complaint, pin = filed(world)
    path = f"/complaints/{complaint['id']}/pin"
    seen = {"documents_seen": ["id_card", "house_front"]}
    once = key()
    answers = [world.as_("puskesos.wates").post(path, json=seen, headers=once) for _ in range(2)]
    assert answers[0].json() == answers[1].json() == {
        "ticket": complaint["ticket"], "pin": answers[0].json()["pin"],
    }  # fmt: skip
    new = answers[0].json()["pin"]
    assert new != pin
    refused(call(world, complaint["ticket"], "status", pin), 404, "ticket_or_pin_wrong")
    assert status(world, complaint, new)["step"] == "received"
    event = event_of(world, complaint["id"], "pin_reissued")
    assert event["data"] == {"documents_seen": ["id_card", "house_front"]}
    assert new not in json.dumps(event)
    # A replay of the filing gives the PIN of the filing, which opens nothing any more.
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: pin_of(world, complaint, "front.1"), range(4)))
    assert len(set(made)) == 4
    opens = [call(world, complaint["ticket"], "status", one, "192.0.2.7") for one in made]
    assert sorted(one.status_code for one in opens) == [200, 404, 404, 404]
    refused(
        world.as_("front.1").post(path, json={"documents_seen": ["house_front"]}),
        422, "identity_not_shown",
    )  # fmt: skip
    assert world.as_("front.1").post(path, json={"documents_seen": []}).status_code == 422
    refused(world.as_("supervisor.magersari").post(path, json=seen), 403, "role_not_allowed")
    refused(world.as_("facilitator.wates.1").post(path, json=seen), 404, "not_found")


def test_a_filing_sent_again_gives_its_own_pin_and_no_later_one(world: World) -> None:
    body, once = draft(), key()
    first = world.as_("puskesos.wates").post("/complaints", json=body, headers=once).json()
    new = pin_of(world, first["complaint"])
    again = world.as_("puskesos.wates").post("/complaints", json=body, headers=once).json()
    assert again["receipt"]["pin"] == first["receipt"]["pin"] != new


def test_nobody_administers_what_stands_for_citizens(world: World) -> None:
    clients = world.as_("admin").get("/clients", params={"limit": 200}).json()["items"]
    assert "public" not in [client["username"] for client in clients]
    path = "/clients/00000000-0000-0000-0000-000000000001"
    refused(world.as_("admin").get(path), 404, "not_found")


def test_a_pin_has_six_digits(world: World) -> None:
    for pin in ("12345", "1234567", "12345a", "\uff11\uff12\uff13\uff14\uff15\uff16", "", None):
        assert call(world, "3576-2026-000001-1", "status", pin).status_code == 422


def test_a_joined_ticket_shows_how_the_other_stands_and_leaves_it_alone(world: World) -> None:
    reporter = {"name": "Siti Rukmini", "national_id": "3576024507849555", "relation": "self"}
    (earlier, _), (later, pin) = (filed(world, reporter=reporter) for _ in range(2))
    done(world, "puskesos.wates", later["id"], "join", data={"into": earlier["id"]})
    done(world, "puskesos.wates", earlier["id"], "resolve_now", note="Sudah ditangani.")
    shown, theirs = status(world, later, pin), status(world, earlier, pin_of(world, earlier))
    same = ("step", "outcome", "answer", "since", "promised_at")
    assert [shown[name] for name in same] == [theirs[name] for name in same]
    assert shown["answer"] == "Sudah ditangani."
    assert (shown["ticket"], shown["actions"]) == (later["ticket"], [])
    actions = [line["action"] for line in shown["history"]]
    assert {"submit", "join", "resolve_now"} <= set(actions)
    assert shown["history"] == sorted(shown["history"], key=lambda line: line["at"])
    assert theirs["actions"]
    refused(
        call(world, later["ticket"], "actions", pin, action="reopen"), 409, "action_not_allowed"
    )
