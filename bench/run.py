"""`make bench`: our throughput divided by a hand-written route's, in alternating rounds of one run.

For GET of one complaint, POST of one, and one action. The other side checks the same token and
sends the same SQL through asyncpg; the difference is what our layers cost.
"""

import argparse
import asyncio
import itertools
import json
import os
import pickle
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from app import embedded, keys
from app.database import create_engine, create_sessions
from app.demo import load as demo
from app.demo.accounts import WATES
from app.deployment import prepare
from app.main import create_app
from app.settings import DEMO_PASSWORD, Settings
from bench.load import request, throughput

console = Console(highlight=False)
KINDS = ("get", "post", "action")
TYPE = {"Content-Type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slrt-bench-", dir=tempfile.gettempdir()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            bench(server, folder / "keys.json", folder / "tape", options)


def bench(server: embedded.Server, keys_file: Path, tape: Path, options: Any) -> None:
    key_ring = keys.load(keys_file, make=True)
    asyncio.run(_fill(server.url, key_ring))
    environment = os.environ | {
        "SLRT_DATABASE_URL": server.url,
        "SLRT_KEYS_FILE": str(keys_file),
        "SLRT_DEMO": "1",
        "SLRT_LOG_LEVEL": "WARNING",
        # The bench is one principal, and would be held back otherwise.
        "SLRT_RATE_PER_MINUTE": "100000000",
        "SLRT_RATE_BURST": "100000000",
        "TAPE": str(tape),
        "PGHOST": str(server.socket_dir),
        "PGDATABASE": "slrt",
    }
    ours, theirs = _free_port(), _free_port()
    token, complaints = asyncio.run(_record(server.url, key_ring, tape, options.clients))
    plain = [sys.executable, "-m", "uvicorn", "bench.handwritten:app", "--port", str(theirs)]
    plain += ["--log-level", "warning", "--no-access-log"]
    with (
        _process([sys.executable, "-m", "app.cli", "serve"], environment, ours),
        _process(plain, environment, theirs),
    ):
        table = Table(title="Ours against hand-written, requests a second (median of rounds)")
        for column in ("call", "ours", "hand-written", "ratio", "rounds"):
            table.add_column(column, justify="left" if column == "call" else "right")
        for kind in KINDS:
            sides = [(port, _makers(kind, token, complaints)) for port in (ours, theirs)]
            rounds = [
                [asyncio.run(throughput(port, makers, options.seconds)) for port, makers in sides]
                for _ in range(options.rounds)
            ]
            a, b = (statistics.median(values) for values in zip(*rounds, strict=True))
            ratios = " ".join(f"{x / y:.2f}" for x, y in rounds)
            ratio = statistics.median(x / y for x, y in rounds)
            table.add_row(kind, f"{a:.0f}", f"{b:.0f}", f"{ratio:.2f}", ratios)
        console.print(table)


async def _fill(url: str, key_ring: keys.KeyRing) -> None:
    engine = create_engine(url)
    sessions = create_sessions(engine, key_ring.data)
    await prepare(engine, sessions, key_ring)
    await demo.load(sessions, Settings(demo=True), demo.HOUSEHOLDS, demo.COMPLAINTS)
    await engine.dispose()


async def _record(
    url: str, key_ring: keys.KeyRing, tape: Path, clients: int
) -> tuple[str, list[str]]:
    """Make one call of each kind in this process, and keep the SQL that it sent.

    Returns a token, and a complaint for every client.
    """
    settings = Settings(demo=True)
    app = create_app(settings, url, key_ring)
    tapes: dict[str, Any] = {}
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(_with_state(app, state))
        engine = state["wiring"].sessions.kw["bind"].sync_engine
        async with httpx.AsyncClient(transport=transport, base_url="http://bench") as http:
            signed_in = await http.post(
                "/v1/auth/sessions", json={"username": "front.1", "password": DEMO_PASSWORD}
            )
            token = signed_in.json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            made = []
            for _ in range(clients + 1):
                _, path, headers, body = _call("post", "", 0)
                filed = await http.post(path, headers=headers | TYPE, content=body)
                made.append(filed.json()["complaint"]["id"])
            id = made.pop()
            for kind in KINDS:
                sent: list[tuple[str, list[Any]]] = []

                def keep(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
                    rows = values if isinstance(values, list) else [values]
                    sent.extend((sql, list(row)) for row in rows)  # noqa: B023

                sa.event.listen(engine, "before_cursor_execute", keep)
                method, path, headers, body = _call(kind, id, 1)
                before = time.time_ns()
                answer = await http.request(method, path, headers=headers | TYPE, content=body)
                sa.event.remove(engine, "before_cursor_execute", keep)
                assert answer.is_success, answer.text
                tapes[kind] = {
                    "statements": sent,
                    "new": _new(sent, before),
                    "body": answer.content,
                    "status": answer.status_code,
                }
    tape.write_bytes(pickle.dumps(tapes))
    return token, made


def _with_state(app: Any, state: Any) -> Any:
    async def run(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"state": dict(state)}, receive, send)

    return run


def _new(sent: list[tuple[str, list[Any]]], since: int) -> set[Any]:
    """What must differ in every call: ids made during it, its keys, its ticket."""
    made = set()
    for sql, values in sent:
        if not sql.lstrip().upper().startswith("INSERT"):
            continue
        for value in values:
            young = getattr(value, "version", 0) == 7 and value.int >> 80 >= since // 1_000_000
            named = isinstance(value, str) and value.startswith(("bench-", "3576-"))
            if young or named:
                made.add(value)
    return made


def _draft() -> dict[str, Any]:
    return {
        "client_ref": f"bench-{secrets.token_hex(8)}",
        "kind": "complaint",
        "category": "program_not_received",
        "program_code": "PKH",
        "channel": "secretariat",
        "region_code": WATES,
        "narrative": "Bantuan belum kami terima sejak bulan lalu.",
        "reporter": {
            "name": "Siti Aminah", "national_id": "3576024507849001", "relation": "self"
        },
        "documents_seen": ["id_card"],
    }  # fmt: skip


def _call(kind: str, id: str, version: int) -> tuple[str, str, dict[str, str], bytes]:
    key = {"Idempotency-Key": f"bench-{secrets.token_hex(12)}"}
    if kind == "get":
        return "GET", f"/v1/complaints/{id}", {}, b""
    if kind == "post":
        return "POST", "/v1/complaints", key, json.dumps(_draft()).encode()
    body = {"action": "set_priority", "reason": "hospital", "data": {"priority": "emergency"}}
    headers = key | {"If-Match": f'"{version}"'}
    return "POST", f"/v1/complaints/{id}/actions", headers, json.dumps(body).encode()


def _makers(kind: str, token: str, complaints: list[str]) -> list[Callable[[], bytes]]:
    """For each client what makes its next request; an action goes on from its own version."""

    def maker(complaint: str) -> Callable[[], bytes]:
        versions = itertools.count(1)
        bearer = {"Authorization": f"Bearer {token}"}

        def make() -> bytes:
            method, path, headers, body = _call(kind, complaint, next(versions))
            return request(method, path, bearer | headers, body)

        return make

    return [maker(complaint) for complaint in complaints]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _process(command: list[str], environment: dict[str, str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment | {"SLRT_PORT": str(port)})
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
