"""Pull the referrals of a programme: an export once, and then every change, without end.

    python pull_referrals.py http://127.0.0.1:8000 --client agency-pkh --to pulled

Needs Python 3.11 and httpx alone. The client's secret is read from SLRT_CLIENT_SECRET. In the
folder lie, of the latest export (1, 2, …):

* `referrals-1.ndjson`: the referrals as the export gave them, one on a line;
* `changes-1.ndjson`: what has happened since, in order, one on a line:
  `{"event": …, "referral": …}`, the referral as it was when the line was written;
* `cursor.json`: where to go on. It is written last, and names how long the other files were then:
  what a crash left behind it is cut off, and read again. So no change is missed or kept twice.

Run one at a time for each folder. Stop it whenever you like; it goes on where it was.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx

LINES = "application/x-ndjson"
END = '{"_end":'
TYPES = "referral.*"
PAGE = 200
# How long the server may let us wait for news, and how long we wait for the server.
WAIT = 25
TIMEOUT = httpx.Timeout(60, connect=10)
LONGEST_PAUSE = 60.0


class Refused(Exception):
    """The server says no, and will say so again; the message says why."""


class Missing(Refused):
    """There is no such thing, or none that we may see."""


class Reset(Exception):
    """The cursor leads nowhere any more: begin again with an export."""


class Again(Exception):
    """Not now; in so many seconds, or when we think best (None)."""

    def __init__(self, after: float | None = None) -> None:
        super().__init__(after)
        self.after = after


@dataclass
class Place:
    """Where we are: which export, the cursor after it, and how many bytes of changes are ours."""

    export: int
    cursor: str
    changes: int = 0


class Server:
    """The API, as one client. What fails for a moment is tried again; a token lasts ten minutes."""

    def __init__(self, url: str, client_id: str, secret: str, say: Callable[[str], None]) -> None:
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT)
        self.client_id, self.secret, self.say = client_id, secret, say
        self.token: str | None = None

    def get(self, path: str, **params: Any) -> httpx.Response:
        """The answer to a GET, a success. Raises Refused, Missing or Reset."""
        found: httpx.Response = self._insist(lambda: self._get(path, params))
        return found

    def download(self, path: str, to: BinaryIO) -> str:
        """Write an export to a file, whole; the cursor to follow it from."""
        found: str = self._insist(lambda: self._download(path, to))
        return found

    def _insist(self, attempt: Callable[[], Any]) -> Any:
        pause = 1.0
        while True:
            try:
                return attempt()
            except Again as again:
                wait = pause if again.after is None else again.after
            except httpx.TransportError as error:
                # The line was cut, or nobody is there: a restart takes a while.
                self.say(f"{type(error).__name__}; trying again in {pause:.0f} s")
                wait = pause
            time.sleep(min(wait, LONGEST_PAUSE))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _get(self, path: str, params: dict[str, Any]) -> httpx.Response:
        answer = self.http.get(path, params=params, headers=self._headers())
        self._check(answer)
        return answer

    def _download(self, path: str, to: BinaryIO) -> str:
        to.seek(0)
        to.truncate()
        count, end = 0, None
        with self.http.stream("GET", path, headers=self._headers() | {"Accept": LINES}) as answer:
            if not answer.is_success:
                answer.read()
            self._check(answer)
            for line in answer.iter_lines():
                if line.startswith(END):
                    end = json.loads(line)
                    break
                to.write(line.encode() + b"\n")
                count += 1
        # Without its last line an export is not whole.
        if end is None or end["count"] != count:
            raise Again
        return str(end["cursor"])

    def _headers(self) -> dict[str, str]:
        if self.token is None:
            form = {"grant_type": "client_credentials"}
            form |= {"client_id": self.client_id, "client_secret": self.secret}
            answer = self.http.post("/v1/auth/token", data=form)
            if answer.status_code == 401:
                raise Refused(_said(answer))
            self._check(answer)
            self.token = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self.token}"}

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        if answer.status_code == 404:
            raise Missing(_said(answer))
        if answer.status_code == 401:
            # It has expired: another one, at once.
            self.token = None
            raise Again(0)
        if answer.status_code == 410:
            raise Reset
        if answer.status_code == 429 or answer.status_code >= 500:
            after = answer.headers.get("Retry-After", "")
            self.say(f"{_said(answer)}; trying again")
            raise Again(float(after) if after.isdigit() else None)
        raise Refused(_said(answer))


def _said(answer: httpx.Response) -> str:
    """What a problem document says."""
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']}: {problem['title']}"
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.reason_phrase}"


class Folder:
    """What has been pulled. `cursor.json` is the truth; the other files never say more."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    def referrals(self, export: int) -> Path:
        return self.path / f"referrals-{export}.ndjson"

    def changes(self, export: int) -> Path:
        return self.path / f"changes-{export}.ndjson"

    def place(self) -> Place | None:
        try:
            return Place(**json.loads((self.path / "cursor.json").read_text()))
        except FileNotFoundError:
            return None

    def keep(self, place: Place) -> None:
        """Remember a place, after what comes before it has been written."""
        draft = self.path / "cursor.json.draft"
        with whole(draft) as file:
            file.write(json.dumps(asdict(place)).encode())
        draft.replace(self.path / "cursor.json")

    def append(self, place: Place, lines: list[str]) -> int:
        """Add changes after those that are ours; what a crash left there is cut off."""
        path = self.changes(place.export)
        with whole(path, "r+b" if path.exists() else "w+b") as file:
            file.truncate(place.changes)
            file.seek(place.changes)
            file.write("".join(f"{line}\n" for line in lines).encode())
            length: int = file.tell()
            return length


@contextmanager
def whole(path: Path, mode: str = "w+b") -> Iterator[Any]:
    """A file that is on the disk when this is left."""
    with path.open(mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def begin(server: Server, folder: Folder) -> Place:
    """An export, and from where to follow it."""
    last = folder.place()
    export = last.export + 1 if last else 1
    with whole(folder.referrals(export)) as file:
        cursor = server.download("/v1/exports/referrals", file)
    folder.append(Place(export, cursor), [])
    place = Place(export, cursor)
    folder.keep(place)
    server.say(f"export {export} is whole")
    return place


def look(server: Server, subject: str) -> Any:
    """A referral as it is now; None where it is out of our sight by now."""
    try:
        return server.get(f"/v1/{subject}").json()
    except Missing:
        return None


def follow(server: Server, folder: Folder, place: Place, wait: int = WAIT) -> Place:
    """The next page of changes, if there is one: written first, and then remembered."""
    params = {"types": TYPES, "cursor": place.cursor, "limit": PAGE, "wait": wait}
    page = server.get("/v1/changes", **params).json()
    # Events are thin; what a referral says now is asked once for each.
    referrals = {one["subject"]: look(server, one["subject"]) for one in page["items"]}
    lines = [
        json.dumps({"event": one, "referral": referrals[one["subject"]]}, ensure_ascii=False)
        for one in page["items"]
    ]
    if lines:
        place = Place(place.export, page["next_cursor"], folder.append(place, lines))
        folder.keep(place)
    elif page["next_cursor"] != place.cursor:
        place = Place(place.export, page["next_cursor"], place.changes)
        folder.keep(place)
    return place


def pull(server: Server, folder: Folder, once: bool = False) -> None:
    """Pull without end, or (`once`) until nothing is new. Raises Refused."""
    place = folder.place()
    while True:
        try:
            if place is None:
                place = begin(server, folder)
            before, place = place, follow(server, folder, place, 0 if once else WAIT)
            if once and place == before:
                return
        except Reset:
            server.say("the feed has begun anew: taking another export")
            place = None


def run(url: str, client_id: str, to: Path, once: bool) -> int:
    """Pull into a folder; the exit code."""

    def say(what: str) -> None:
        sys.stderr.write(f"{what}\n")

    secret = os.environ.get("SLRT_CLIENT_SECRET")
    if not secret:
        say("Set SLRT_CLIENT_SECRET to the client's secret.")
        return 2
    try:
        pull(Server(url, client_id, secret, say), Folder(to), once)
    except Refused as refused:
        say(f"The server refuses: {refused}")
        return 1
    except KeyboardInterrupt:
        say("Stopped; it goes on from here next time.")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="the server's address")
    parser.add_argument("--client", required=True, help="the client's user name")
    parser.add_argument("--to", type=Path, default=Path("pulled"), help="the folder to pull into")
    parser.add_argument("--once", action="store_true", help="stop when nothing is new")
    options = parser.parse_args()
    return run(options.url, options.client, options.to, options.once)


if __name__ == "__main__":
    sys.exit(main())
