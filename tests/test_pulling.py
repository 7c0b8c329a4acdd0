"""The script that pulls: nothing missed and nothing twice, whatever is cut, killed or refused."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import pulling
from app.pulling import Folder, Place, Refused, Reset, Server
from app.settings import DEMO_CLIENT_SECRET
from tests.conftest import World
from tests.flows import act_on_referral, file
from tests.processes import environment, free_port, on_the_database_of, running, until
from tests.test_exports import many
from tests.test_feed import follow

SCRIPT = Path(__file__).parents[1] / "examples" / "pull_referrals.py"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def referrals(world: World) -> list[str]:
    """Some referrals that their owner has been sent."""
    file(world)
    many(world, 30)
    return [str(row["id"]) for row in world.fetch("select id from referrals where state = 'sent'")]


def pull(world: World, to: Path, url: str | None = None, **more: str) -> int:
    return subprocess.run(
        [sys.executable, SCRIPT, url or world.base_url, "--client", "agency-pkh", "--to", to,
            "--once"],
        env=environment() | {"SLRT_CLIENT_SECRET": DEMO_CLIENT_SECRET} | more,
        capture_output=True, timeout=60,
    ).returncode  # fmt: skip


def test_it_takes_an_export_and_then_each_change_once(
    world: World, referrals: list[str], tmp_path: Path
) -> None:
    assert pull(world, tmp_path) == 0
    taken = lines(tmp_path / "referrals-1.ndjson")
    assert {row["id"] for row in taken} == set(referrals)
    assert lines(tmp_path / "changes-1.ndjson") == []
    for id in referrals[:3]:
        assert act_on_referral(world, "agency-pkh", id, "acknowledge").is_success
    for _ in range(2):
        assert pull(world, tmp_path) == 0
        changes = lines(tmp_path / "changes-1.ndjson")
        assert [one["event"]["data"]["id"] for one in changes] == referrals[:3]
        assert {one["referral"]["state"] for one in changes} == {"received"}
    # A restore: the cursor leads nowhere, and all is taken anew.
    world.fetch("update deployment set feed_epoch = feed_epoch + 1")
    assert pull(world, tmp_path) == 0
    again = {row["id"]: row["state"] for row in lines(tmp_path / "referrals-2.ndjson")}
    assert again[referrals[0]] == "received"
    assert json.loads((tmp_path / "cursor.json").read_text())["export"] == 2
    assert pull(world, tmp_path, SLRT_CLIENT_SECRET="wrong") == 1


class Cutter:
    """A line to a server that is cut now and then, after some bytes of an answer."""

    def __init__(self, port: int) -> None:
        self.to, self.rng, self.cuts = port, random.Random(20261124), 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.listening = threading.Thread(target=self._listen)
        self.listening.start()

    def _listen(self) -> None:
        joined = []
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                joined.append(threading.Thread(target=self._join, args=(client,)))
                joined[-1].start()
        for one in joined:
            one.join()

    def _join(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as server:
            asked = threading.Thread(target=self._pass, args=(client, server, None))
            asked.start()
            self._pass(server, client, self.rng.choice([None, 300, 3_000, 20_000]))
            asked.join()

    def _pass(self, source: socket.socket, to: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while part := source.recv(1_000):
                passed += len(part)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                to.sendall(part)
        for one in (source, to):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.listening.join()


@contextmanager
def puller(url: str, to: Path) -> Iterator[subprocess.Popen[bytes]]:
    # Impatient, so that the test is short: a pause grows to a fifth of a second.
    hurry = "import sys, app.pulling as p; p.LONGEST_PAUSE = 0.2; p.WAIT = 2; sys.exit(p.main())"
    with subprocess.Popen(
        [sys.executable, "-c", hurry, url, "--client", "agency-pkh", "--to", to],
        env=environment() | {"SLRT_CLIENT_SECRET": DEMO_CLIENT_SECRET},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_cut_lines_and_killed_processes_lose_and_double_nothing(
    world: World, referrals: list[str], tmp_path: Path
) -> None:
    port = free_port()
    settings = on_the_database_of(world) | {"port": port, "log_level": "ERROR"}
    cutter = Cutter(port)
    url = f"http://127.0.0.1:{cutter.port}"
    changes = tmp_path / "changes-1.ndjson"
    acted = 0

    def act(count: int) -> None:
        nonlocal acted
        for _ in range(count):
            id = referrals[acted % len(referrals)]
            assert act_on_referral(world, "agency-pkh", id, "waitlist").is_success
            acted += 1

    def pulled(count: int) -> Callable[[], bool]:
        return lambda: changes.exists() and changes.read_bytes().count(b"\n") >= count

    with ExitStack() as stack:
        stack.callback(cutter.close)
        server = stack.enter_context(running("serve", **settings))
        with puller(url, tmp_path):
            until((tmp_path / "cursor.json").exists)
            place = json.loads((tmp_path / "cursor.json").read_text())
            act(8)
            until(pulled(4))
            server.send_signal(signal.SIGKILL)
            server.wait()
            act(4)
            stack.enter_context(running("serve", **settings))
            until(pulled(12))
            act(4)
        # Killed while it was at it; what it wrote last may be only half remembered.
        with changes.open("ab") as torn:
            torn.write(b'{"event": {"id"')
        act(4)
        with puller(url, tmp_path):
            until(pulled(20))
    assert pull(world, tmp_path) == 0
    expected = follow(world, "agency-pkh", place["cursor"], types="referral.*")
    assert len(expected) == acted
    assert [one["event"] for one in lines(changes)] == expected
    assert {one["referral"]["state"] for one in lines(changes)} == {"waitlisted"}
    assert cutter.cuts > 0
    assert not (tmp_path / "referrals-2.ndjson").exists()


Answers = Callable[[httpx.Request], httpx.Response]


def scripted(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> tuple[Server, list[float]]:
    """A server that answers as a test says, and how long we paused for it."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/auth/token":
            return httpx.Response(200, json={"access_token": "t"})
        return answers(request)

    server = Server("http://slrt", "me", "secret", lambda _: None)
    server.http = httpx.Client(base_url="http://slrt", transport=httpx.MockTransport(answer))
    return server, pauses


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "title": code}, headers=headers)


def test_it_waits_as_long_as_it_is_told_and_signs_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(
        [
            problem(429, "too_many_requests", **{"Retry-After": "7"}),
            problem(503, "busy", **{"Retry-After": "3"}),
            problem(401, "token_expired"),
            problem(500, "internal_error"),
            httpx.Response(200, json={"items": []}),
        ]
    )
    server, pauses = scripted(monkeypatch, lambda _: next(said))
    assert server.get("/v1/changes").json() == {"items": []}
    assert pauses == [7, 3, 0, 8]
    server, _ = scripted(monkeypatch, lambda _: problem(403, "role_not_allowed"))
    with pytest.raises(Refused, match="role_not_allowed"):
        server.get("/v1/changes")
    server, _ = scripted(monkeypatch, lambda _: problem(410, "feed_reset"))
    with pytest.raises(Reset):
        server.get("/v1/changes")


def test_an_export_without_its_last_line_is_taken_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    end = '{"_end":true,"count":2,"cursor":"c"}\n'
    said = iter(['{"id":1}\n{"id":2}\n', '{"id":1}\n' + end, '{"id":1}\n{"id":2}\n' + end])
    server, pauses = scripted(monkeypatch, lambda _: httpx.Response(200, text=next(said)))
    place = pulling.begin(server, Folder(tmp_path))
    assert place == Place(1, "c") == Folder(tmp_path).place()
    assert lines(tmp_path / "referrals-1.ndjson") == [{"id": 1}, {"id": 2}]
    assert pauses == [1, 2]


def test_what_is_out_of_sight_by_now_is_kept_as_its_event_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = {"items": [{"id": "e", "subject": "referrals/1"}], "next_cursor": "d"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/changes":
            return httpx.Response(200, json=page)
        return problem(404, "not_found")

    server, _ = scripted(monkeypatch, answer)
    folder = Folder(tmp_path)
    place = pulling.follow(server, folder, Place(1, "c"))
    assert lines(tmp_path / "changes-1.ndjson") == [{"event": page["items"][0], "referral": None}]
    assert folder.place() == place == Place(1, "d", os.path.getsize(tmp_path / "changes-1.ndjson"))
