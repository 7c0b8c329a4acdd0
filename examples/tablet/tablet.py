"""A tablet that loses nothing: what is typed lies in an outbox before anything is sent.

    python tablet.py --folder outbox --url http://127.0.0.1:8000 --device DEVICE_ID COMMAND

    file complaint.json   put a complaint into the outbox; needs no signal
    sync                  send what is held, and ask the server what is missing
    show                  what is held, confirmed and refused

Needs Python 3.11 and httpx alone. User name and password are read from SLRT_USER and
SLRT_PASSWORD. The outbox is one SQLite file. Four rules keep what it promises:

* A write gets its number, its key and its `client_ref` when it is typed, in the transaction that
  stores it, and keeps them however often it is sent. So a repeat is a replay, and never doubles.
* A write leaves the outbox by the server's answer alone. No answer means that nobody knows: send
  it again.
* A refusal is shown to a person, and the write is kept. What comes after it goes on.
* The manifest tells the server what is held, so that others see what has not come, too.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

TIMEOUT = httpx.Timeout(30, connect=10)
# Answers that say nothing about what was sent: try again later.
LATER = {401, 408, 425, 429, 500, 502, 503, 504}
PENDING_AT_MOST = 500
SCHEMA = """
create table if not exists outbox (
  place integer primary key autoincrement,
  sequence integer not null unique,
  kind text not null, method text not null, path text not null, body text not null,
  key text not null, client_ref text, after integer, if_match text,
  captured_at text not null,
  state text not null default 'held', problem text, answer text
);
create table if not exists counter (only integer primary key check (only = 1), last integer);
insert or ignore into counter values (1, 0);
create table if not exists tickets (ticket text primary key, pin text not null, used_by integer);
"""


class NoSignal(Exception):
    """The server was not reached, or has no time: what is held stays held."""


class Tablet:
    """An outbox in a folder, and the server that it is for.

    `token` gives a good access token whenever it is asked; `clock` is the tablet's own clock,
    which may be wrong.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        device_id: str,
        token: Callable[[], str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "outbox.db", isolation_level=None)
        self.db.row_factory = sqlite3.Row
        # What is said to be stored is on the disk, also when the battery goes.
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = full")
        self.db.executescript(SCHEMA)
        self.device_id, self.token, self.clock, self.pause = device_id, token, clock, pause
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT)

    def close(self) -> None:
        self.http.close()
        self.db.close()

    # Typing, with or without signal

    def file(self, draft: dict[str, Any]) -> int:
        """Put a complaint into the outbox. The number that it gets is its `client_ref`, too.

        Where tickets were reserved, it takes one: the citizen goes home with ticket and PIN.
        """
        with self._change():
            sequence = self._next()
            body = {"channel": "tablet", "received_at": self.clock().isoformat()} | draft
            body.setdefault("client_ref", f"{self.device_id[-12:]}-{sequence:06d}")
            free = self.db.execute("select * from tickets where used_by is null limit 1").fetchone()
            if free is not None:
                body["ticket"] = free["ticket"]
                self._set("tickets", "ticket", free["ticket"], used_by=sequence)
            self._hold(sequence, "complaint", "POST", "/v1/complaints", body)
        return sequence

    def survey(self, complaint: int | str, body: dict[str, Any], if_match: str = '"0"') -> int:
        """A survey of a complaint of the server (its id), or of one in the outbox (its number)."""
        with self._change():
            return self._about(complaint, "survey", "PUT", "survey", body, if_match)

    def act(self, complaint: int | str, action: str, **more: Any) -> int:
        """An action on a complaint; the version is read when it is sent."""
        body = {"action": action, "happened_at": self.clock().isoformat()} | more
        with self._change():
            return self._about(complaint, "action", "POST", "actions", body, None)

    def _about(
        self, complaint: int | str, kind: str, method: str, what: str, body: Any, match: str | None
    ) -> int:
        sequence = self._next()
        after = complaint if isinstance(complaint, int) else None
        id = "{id}" if after else complaint
        self._hold(sequence, kind, method, f"/v1/complaints/{id}/{what}", body, after, match)
        return sequence

    def _next(self) -> int:
        row = self.db.execute("update counter set last = last + 1 returning last").fetchone()
        return int(row["last"])

    def _hold(
        self,
        sequence: int,
        kind: str,
        method: str,
        path: str,
        body: dict[str, Any],
        after: int | None = None,
        if_match: str | None = None,
    ) -> None:
        place = None
        if after is not None:
            found = self.db.execute("select place from outbox where sequence = ?", (after,))
            place = found.fetchone()["place"]
        self.db.execute(
            "insert into outbox (sequence, kind, method, path, body, key, client_ref, after,"
            " if_match, captured_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sequence, kind, method, path, json.dumps(body), secrets.token_hex(16),
                body.get("client_ref"), place, if_match, self.clock().isoformat(),
            ),
        )  # fmt: skip

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """All of it, or nothing: also when the app is killed."""
        self.db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.db.execute("rollback")
            raise
        self.db.execute("commit")

    def _set(self, table: str, by: str, value: Any, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        statement = f"update {table} set {names} where {by} = ?"  # names of our own
        self.db.execute(statement, (*columns.values(), value))

    # Sending, when there is signal

    def sync(self, rounds: int = 10) -> dict[str, Any]:
        """Send what is held until nothing is, and give the server's last word on the manifest.

        Raises NoSignal where some is still held after so many rounds.
        """
        for attempt in range(rounds):
            try:
                self.manifest()
                self._send_all()
                return self.manifest()
            except NoSignal:
                # With jitter: fifty tablets come back to one line at once.
                self.pause(min(60.0, 2.0**attempt) * random.uniform(0.5, 1))
        raise NoSignal

    def _send_all(self) -> None:
        failed = False
        for row in self.rows("held"):
            try:
                self._send(row)
            except NoSignal:
                # One that was dropped says nothing about the next.
                failed = True
        if failed:
            raise NoSignal

    def _send(self, row: sqlite3.Row) -> None:
        path, headers = row["path"], {"Idempotency-Key": row["key"]}
        if row["after"] is not None:
            found = self.db.execute("select * from outbox where place = ?", (row["after"],))
            before = found.fetchone()
            if before["state"] != "confirmed":
                return
            path = path.format(id=json.loads(before["answer"])["complaint"]["id"])
        if row["kind"] == "action":
            # Of a survey it is the survey's version that is submitted.
            submits = json.loads(row["body"])["action"] == "submit_survey"
            base = path.removesuffix("/actions")
            read = self._call("GET", f"{base}/survey" if submits else base)
            if read.is_success:
                row_match = read.headers["ETag"]
                # Once chosen it is kept: with another version it would be another request.
                self._set("outbox", "place", row["place"], if_match=row["if_match"] or row_match)
                headers["If-Match"] = row["if_match"] or row_match
        elif row["if_match"] is not None:
            headers["If-Match"] = row["if_match"]
        headers |= {"Device-Id": self.device_id, "Device-Sequence": str(row["sequence"])}
        answer = self._call(row["method"], path, row["body"], headers)
        self._settle(row, answer)

    def _settle(self, row: sqlite3.Row, answer: httpx.Response) -> None:
        problem = None if answer.is_success else _problem(answer)
        if problem is None:
            self._confirm(row, answer.text)
        elif problem["code"] == "device_sequence_taken":
            # The app was set up anew and counted from one again: go on above what came before.
            with self._change():
                highest = int(problem.get("highest_sequence") or 0)
                self.db.execute("update counter set last = max(last, ?)", (highest,))
                self._set("outbox", "place", row["place"], sequence=self._next())
            raise NoSignal
        elif row["kind"] == "survey" and "versions" in problem and not problem["errors"]:
            # The server has just that, from somebody else: nobody needs to wait for ours.
            self.give_up(row["sequence"])
        else:
            self._set(
                "outbox", "place", row["place"], state="refused", problem=problem["code"],
                answer=answer.text,
            )  # fmt: skip

    def _confirm(self, row: sqlite3.Row, answer: str) -> None:
        self._set("outbox", "place", row["place"], state="confirmed", problem=None, answer=answer)

    def manifest(self) -> dict[str, Any]:
        """Tell the server what is held and refused; what it has of that is confirmed.

        Complaints are sent again all the same: only a replay brings the PIN.
        """
        held = [*self.rows("held"), *self.rows("refused")][:PENDING_AT_MOST]
        last = self.db.execute("select last from counter").fetchone()["last"]
        body = {
            "highest_sequence": last,
            "pending": [
                {
                    "kind": row["kind"], "sequence": row["sequence"],
                    "client_ref": row["client_ref"], "captured_at": row["captured_at"],
                    "payload_sha256": sha256(json.loads(row["body"])), "problem": row["problem"],
                }
                for row in held
            ],
            "given_up": [row["sequence"] for row in self.rows("given_up")][-PENDING_AT_MOST:],
        }  # fmt: skip
        path = f"/v1/devices/{self.device_id}/manifests"
        answer = self._call("POST", path, json.dumps(body))
        answer.raise_for_status()
        known: dict[str, Any] = answer.json()
        for row in held:
            if row["sequence"] in known["received"] and row["kind"] != "complaint":
                self._confirm(row, "{}")
        return known

    def reserve_tickets(self, count: int = 20) -> int:
        """Fetch tickets for where there is no signal. Keep the tablet locked: PINs are on it."""
        body = json.dumps({"count": count, "device_id": self.device_id})
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        answer = self._call("POST", "/v1/ticket-books", body, headers)
        answer.raise_for_status()
        found = [(one["ticket"], one["pin"]) for one in answer.json()["tickets"]]
        with self._change():
            self.db.executemany("insert or ignore into tickets (ticket, pin) values (?, ?)", found)
        return len(found)

    def _call(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token()}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            answer = self.http.request(method, path, content=body, headers=sent)
        except httpx.TransportError as error:
            raise NoSignal from error
        # 409 with Retry-After: our own first attempt is still under way there.
        under_way = answer.status_code == 409 and "Retry-After" in answer.headers
        if answer.status_code in LATER or under_way:
            raise NoSignal
        return answer

    # Looking

    def rows(self, state: str) -> list[sqlite3.Row]:
        """What is held, confirmed or refused, in the order in which it was typed."""
        statement = "select * from outbox where state = ? order by place"
        return list(self.db.execute(statement, (state,)))

    def retry(self, sequence: int, body: dict[str, Any]) -> None:
        """Send something refused once more, corrected: under its number, and a new key."""
        self._set(
            "outbox", "sequence", sequence, state="held", body=json.dumps(body), problem=None,
            key=secrets.token_hex(16),
        )  # fmt: skip

    def give_up(self, sequence: int) -> None:
        """A person has decided that something refused will not be sent; the next manifest says so.
        It stays in the outbox, to be read."""
        self._set("outbox", "sequence", sequence, state="given_up")

    def receipt(self, sequence: int) -> dict[str, Any] | None:
        """The receipt of a confirmed complaint."""
        found = self.db.execute("select * from outbox where sequence = ?", (sequence,)).fetchone()
        if found is None or found["state"] != "confirmed" or found["kind"] != "complaint":
            return None
        receipt: dict[str, Any] = json.loads(found["answer"])["receipt"]
        return receipt


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except ValueError:
        # Not the server, but something on the way to it.
        raise NoSignal from None
    if "code" not in found:
        raise NoSignal
    return found


def sha256(body: dict[str, Any]) -> str:
    """SHA-256 of the body as RFC 8785 writes it: for what a tablet sends, which has no numbers
    that JSON could write in two ways, sorted and without spaces."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signed_in(url: str, username: str, password: str) -> Callable[[], str]:
    """Access tokens of a person, a new one before the old one ends."""
    held: dict[str, Any] = {"token": "", "until": 0.0}

    def token() -> str:
        if time.monotonic() > held["until"]:
            try:
                answer = httpx.post(
                    f"{url}/v1/auth/sessions", timeout=TIMEOUT,
                    json={"username": username, "password": password},
                )  # fmt: skip
            except httpx.TransportError as error:
                raise NoSignal from error
            answer.raise_for_status()
            found = answer.json()
            held["token"] = found["access_token"]
            held["until"] = time.monotonic() + found["expires_in"] - 60
        return str(held["token"])

    return token


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path("outbox"))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--device", required=True)
    parser.add_argument("command", choices=["file", "sync", "show"])
    parser.add_argument("draft", type=Path, nargs="?")
    asked = parser.parse_args(arguments)
    user, password = os.environ.get("SLRT_USER", ""), os.environ.get("SLRT_PASSWORD", "")
    tablet = Tablet(asked.folder, asked.url, asked.device, signed_in(asked.url, user, password))
    try:
        if asked.command == "file":
            sequence = tablet.file(json.loads(asked.draft.read_text()))
            sys.stdout.write(f"held under number {sequence}\n")
        elif asked.command == "sync":
            known = tablet.sync()
            sys.stdout.write(f"the server has {known['received_count']}\n")
            sys.stdout.write(f"missing: {known['missing'] or 'none'}\n")
        for state in ("held", "refused", "given_up", "confirmed"):
            for row in tablet.rows(state):
                sys.stdout.write(
                    f"{row['sequence']} {row['kind']} {state} {row['problem'] or ''}\n"
                )
    except NoSignal:
        sys.stderr.write("no signal; what is held stays held\n")
        return 1
    finally:
        tablet.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
