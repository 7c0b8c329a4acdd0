"""`make demo`: one complaint's whole life over HTTP, told so that one likes to read it."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from app.demo.accounts import WATES
from app.settings import DEMO_CLIENT_SECRET, DEMO_PASSWORD, Settings

READY_WITHIN = 300
SHOWN = ("ticket", "state", "outcome", "delivery", "escalation_level", "due_at", "informed_at")


class NotAsPromised(Exception):
    """The server did something else than the story says."""


@dataclass
class Teller:
    """Tells the story: who does what, what was asked, what was answered."""

    http: httpx.Client
    password: str
    secret: str
    console: Console = field(default_factory=lambda: Console(width=110))
    tokens: dict[str, str] = field(default_factory=dict)

    def chapter(self, title: str) -> None:
        self.console.print()
        self.console.print(Rule(f"[bold]{title}"))

    def says(self, text: str) -> None:
        self.console.print(f"  [italic]{text}")

    def token(self, who: str) -> str:
        if who not in self.tokens:
            if who.startswith(("agency", "integrator", "script")):
                form = {"grant_type": "client_credentials", "client_id": who}
                form["client_secret"] = self.secret
                answer = self.http.post("/v1/auth/token", data=form)
            else:
                credentials = {"username": who, "password": self.password}
                answer = self.http.post("/v1/auth/sessions", json=credentials)
            if not answer.is_success:
                raise NotAsPromised(f"{who} cannot sign in: {answer.status_code}")
            self.tokens[who] = answer.json()["access_token"]
        return self.tokens[who]

    def call(
        self,
        who: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        expect: int = 200,
        etag: str | None = None,
        quiet: bool = False,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(who)}", "Accept-Language": "en"}
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_urlsafe(18)
        if etag:
            headers["If-Match"] = etag
        answer = self.http.request(method, path, json=body, headers=headers)
        if not quiet:
            self._show(who, method, path, body, answer)
        if answer.status_code != expect:
            raise NotAsPromised(f"{method} {path}: {answer.status_code} instead of {expect}")
        return answer

    def act(
        self, who: str, complaint: str, action: str, expect: int = 200, etag: str | None = None,
        **body: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """An action on a complaint, with the version just read."""
        url = f"/v1/complaints/{complaint}"
        if etag is None:
            etag = self.call(who, "GET", url, quiet=True).headers["etag"]
        body = {"action": action} | body
        answer = self.call(who, "POST", f"{url}/actions", body, expect, etag)
        found: dict[str, Any] = answer.json()
        return found

    def _show(
        self, who: str, method: str, path: str, body: dict[str, Any] | None, answer: httpx.Response
    ) -> None:
        line = Text.assemble(
            ("  " + who, "bold cyan"), f"  {method} ", (_short(path), "bold"),
            "  → ", (str(answer.status_code), "bold green" if answer.is_success else "bold red"),
        )  # fmt: skip
        self.console.print(line)
        if body:
            self.console.print(Text("      " + _brief(body), style="dim"))
        self.console.print(Text("      " + _gist(answer), style="green"))


def _short(path: str) -> str:
    return "/".join(part if len(part) != 36 else part[:8] + "…" for part in path.split("/"))


def _brief(body: dict[str, Any]) -> str:
    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "…"


def _gist(answer: httpx.Response) -> str:
    """What of an answer matters here."""
    body = answer.json()
    if "code" in body:
        return f"{body['code']}: {body['title']}"
    body = body.get("complaint", body)
    facts = [f"{name} {body[name]}" for name in SHOWN if body.get(name) not in (None, 0)]
    if facts:
        return " · ".join(facts)
    return _brief({name: value for name, value in body.items() if not isinstance(value, dict)})


def expect(condition: object, what: str) -> None:
    if not condition:
        raise NotAsPromised(what)


def play(settings: Settings, url: str | None) -> int:
    """Play the story against a running server, or one started for it. Returns the exit code."""
    console = Console(width=110)
    try:
        with _server(settings, url) as base, httpx.Client(base_url=base, timeout=60) as http:
            password = os.environ.get("SLRT_DEMO_PASSWORD", DEMO_PASSWORD)
            secret = os.environ.get("SLRT_DEMO_CLIENT_SECRET", DEMO_CLIENT_SECRET)
            teller = Teller(http, password, secret, console)
            whole_life(teller)
            forgotten_one(teller)
    except NotAsPromised as error:
        console.print(Panel(f"[bold red]Not as promised: {error}"))
        return 1
    except httpx.HTTPError as error:
        console.print(Panel(f"[bold red]The server does not answer: {type(error).__name__}"))
        return 1
    console.print()
    console.print(Panel("[bold green]Everything went as promised. Nothing lost, nobody forgotten."))
    return 0


@contextmanager
def _server(settings: Settings, url: str | None) -> Iterator[str]:
    base = url or f"http://127.0.0.1:{settings.port}"
    if url or _answers(base):
        yield base
        return
    environment = os.environ | {"SLRT_DEMO": "1"}
    command = [sys.executable, "-m", "app.cli", "run"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + READY_WITHIN
            while not _answers(base):
                if process.poll() is not None or time.monotonic() > until:
                    raise NotAsPromised("the server does not start; try `make run`")
                time.sleep(0.3)
            yield base
        finally:
            process.terminate()
            process.wait()


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def whole_life(tell: Teller) -> None:
    """From the desk in Wates to the answer told at the door."""
    tell.chapter("1 · The desk: Bu Siti comes to the Puskesos in Wates")
    complaint = file(
        tell, "Siti Aminah", "Kami belum pernah menerima PKH, anak tiga masih sekolah."
    )
    id = complaint["id"]
    to_secretariat(tell, id)
    tell.chapter("2 · The secretariat sends the nearest facilitator")
    facilitator = assign(tell, id)
    tell.chapter("3 · The facilitator visits the home")
    survey(tell, facilitator, id)
    why(tell, id)
    tell.chapter("4 · Four eyes: the supervisor approves, the manager forwards")
    tell.act("supervisor.magersari", id, "approve")
    forwarded = tell.act("manager", id, "forward")
    expect(forwarded["state"] == "forwarded", "the complaint is forwarded")
    tell.chapter("5 · The programme's owner answers")
    answer_referrals(tell, forwarded["referral_ids"])
    settled = tell.call("front.1", "GET", f"/v1/complaints/{id}").json()
    expect(settled["state"] == "answered", "the last answer settles the complaint")
    expect(settled["outcome"] == "granted", "what was granted is granted")
    tell.chapter("6 · The citizen is told")
    closed = tell.act(
        facilitator, id, "deliver_answer", data={"how": "in_person", "to": "Siti Aminah"}
    )
    expect(closed["state"] == "closed" and closed["informed_at"], "the citizen was told")
    history(tell, id)


def forgotten_one(tell: Teller) -> None:
    """The one that nobody confirmed: the sweep sees it, the manager acts, the head forwards."""
    tell.chapter("7 · Another complaint, and a supervisor who does not come")
    complaint = file(tell, "Sumarmi", "Rumah kami bocor, mohon bantuan; suami sakit.")
    id = complaint["id"]
    to_secretariat(tell, id)
    survey(tell, assign(tell, id), id)
    tell.says("Thirteen hours pass. Nobody looks.")
    tell.call("admin", "POST", "/v1/demo/clock", {"advance_seconds": 13 * 3600})
    run = tell.call("admin", "POST", "/v1/demo/sweeps/unconfirmed", {}).json()
    expect(run["acted"] >= 1 and run["failed"] == 0, "the sweep found it")
    late = tell.call("manager", "GET", f"/v1/complaints/{id}").json()
    expect(late["escalation_level"] == 2, "it stands at level 2")
    expect("approve" in late["actions"], "the manager may approve now")
    told = tell.call("manager", "GET", "/v1/notifications?limit=200", quiet=True).json()["items"]
    mine = [one for one in told if one["subject"] == f"complaints/{id}"]
    expect([one["step"] for one in mine] == ["level_2"], "the manager was told once")
    tell.says("The manager was told, and approves in the supervisor's place.")
    tell.act("manager", id, "approve")
    tell.says("Four eyes: whoever approved may not forward.")
    refused = tell.act("manager", id, "forward", expect=403)
    expect(refused["code"] == "four_eyes", "four eyes hold for the manager too")
    forwarded = tell.act("head", id, "forward")
    expect(forwarded["state"] == "forwarded", "the head forwards")
    history(tell, id)


def file(tell: Teller, name: str, narrative: str) -> dict[str, Any]:
    body = {
        "client_ref": f"demo-{secrets.token_hex(6)}",
        "kind": "complaint",
        "category": "inclusion_request",
        "sector": "social_economic",
        "program_code": "PKH",
        "priority": "normal",
        "channel": "puskesos",
        "region_code": WATES,
        "narrative": narrative,
        "reporter": {"name": name, "national_id": "3576024507849001", "relation": "self"},
        "documents_seen": ["id_card", "family_card", "kelurahan_letter"],
    }
    answer = tell.call("puskesos.wates", "POST", "/v1/complaints", body, 201).json()
    receipt = answer["receipt"]
    expect(receipt["next_holder"]["role"] == "puskesos_officer", "the receipt names the holder")
    tell.says(
        f"Receipt: ticket {receipt['ticket']}, PIN {receipt['pin']}, promised by"
        f" {receipt['deadline_at']}."
    )
    found: dict[str, Any] = answer["complaint"]
    return found


def to_secretariat(tell: Teller, id: str) -> None:
    tell.call("puskesos.wates", "POST", "/v1/registry/checks", {"complaint_id": id}, 201)
    tell.act("puskesos.wates", id, "forward_to_secretariat")


def assign(tell: Teller, id: str) -> str:
    path = f"/v1/facilitators?region={WATES}"
    nearest = tell.call("front.1", "GET", path, quiet=True).json()["items"][0]
    assigned = tell.act("front.1", id, "assign", data={"facilitator_id": nearest["id"]})
    expect(assigned["assigned_to"]["id"] == nearest["id"], "the facilitator is assigned")
    tell.says(f"{nearest['name']} has {nearest['open_assignments']} open and is nearest.")
    for n in range(1, 8):
        who = f"facilitator.wates.{n}"
        if tell.call(who, "GET", "/v1/me", quiet=True).json()["id"] == nearest["id"]:
            return who
    raise NotAsPromised("the nearest facilitator is one of Wates")


def survey(tell: Teller, facilitator: str, id: str) -> None:
    current = tell.call(facilitator, "GET", "/v1/survey-forms", quiet=True).json()["current"]
    form = tell.call(facilitator, "GET", f"/v1/survey-forms/{current}", quiet=True).json()
    path = f"/v1/complaints/{id}/survey"
    etag = tell.call(facilitator, "GET", path, quiet=True).headers["etag"]
    body = form["example"] | {"other_needs": []}
    saved = tell.call(facilitator, "PUT", path, body, etag=etag)
    proposed_needs(tell, facilitator, id)
    submitted = tell.act(facilitator, id, "submit_survey", etag=saved.headers["etag"])
    expect(submitted["state"] == "awaiting_supervisor", "the survey is with the supervisor")


def proposed_needs(tell: Teller, facilitator: str, id: str) -> None:
    """What the criteria make of the survey; the facilitator says what the family agrees to."""
    path = f"/v1/complaints/{id}/survey/proposed-needs"
    proposed = tell.call(facilitator, "GET", path, quiet=True).json()["items"]
    expect(proposed, "the survey shows needs")
    table = Table(title="What the survey shows", title_justify="left", show_edge=False)
    for name in ("programme", "for", "verdict", "because"):
        table.add_column(name)
    for one in proposed:
        undecided = [c for c in one["criteria"] if c["verdict"] == "unknown"]
        because = "; ".join(c["text_en"].rstrip(".") for c in undecided or one["criteria"])
        table.add_row(one["program_code"], one["name"] or "the home", one["verdict"], because)
    tell.console.print(table)


def why(tell: Teller, id: str) -> None:
    """The supervisor sees what the criteria say of each need before deciding on it."""
    who = "supervisor.magersari"
    ids = tell.call(who, "GET", f"/v1/complaints/{id}", quiet=True).json()["referral_ids"]
    for referral_id in ids:
        referral = tell.call(who, "GET", f"/v1/referrals/{referral_id}", quiet=True).json()
        screening = referral["screening"]
        expect(screening, "the referral says why")
        said = "; ".join(f"{c['text_en']} {c['verdict']}" for c in screening["criteria"])
        tell.says(f"{referral['program_code']}: {screening['verdict']} today. {said}")
    tell.says("No registry knows the home yet. That stops nobody: only the owner decides.")


def answer_referrals(tell: Teller, ids: list[str]) -> None:
    for id in ids:
        path = f"/v1/referrals/{id}"
        referral = tell.call("agency-pkh", "GET", path)
        expect(referral.json()["state"] == "sent", "the agency sees what was sent")
        body = {"action": "grant"}
        tell.call("agency-pkh", "POST", f"{path}/actions", body, etag=referral.headers["etag"])


def history(tell: Teller, id: str) -> None:
    table = Table(title="Its history", title_justify="left", show_edge=False, pad_edge=False)
    for name in ("at", "what", "from", "to", "by"):
        table.add_column(name)
    events = tell.call("front.1", "GET", f"/v1/complaints/{id}/events?limit=200", quiet=True)
    for event in events.json()["items"]:
        who = f"{event['by']['name']} ({event['by']['role']})"
        table.add_row(
            event["at"][:19].replace("T", " "), event["action"], event["from"] or "",
            event["to"] or "", who,
        )  # fmt: skip
    tell.console.print()
    tell.console.print(table)
