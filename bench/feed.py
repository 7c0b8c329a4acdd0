"""`make bench-feed`: an export of referrals, and pages of the feed, divided by a plain COPY.

The COPY is `copy (select row_to_json(…)) to stdout` of the same rows, on the same server, in
alternating rounds of one run. The API runs in a process of its own, so that its memory can be seen.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.console import Console

from app import embedded, keys
from app.database import create_engine, create_sessions
from app.demo import load as demo
from app.deployment import prepare
from app.domain.base import new_id
from app.keys import KeyRing
from app.settings import DEMO_PASSWORD, Settings
from bench.load import request

console = Console(highlight=False)
BATCH = 50_000
MAKE_REFERRALS = """
    insert into referrals (province_code, regency_code, district_code, village_code, id, version,
        complaint_id, program_code, purpose, beneficiary_key, beneficiary_name,
        beneficiary_national_id, origin, drafted_by, state, created_at, sent_at, received_at,
        due_at, stage, stage_entered_at, paused_for, steps_taken)
    select province_code, regency_code, district_code, village_code, made.id, 4,
        c.id, 'PKH', 'enrol', 'bench:' || n, 'Siti Aminah Rahayu', sealed, 'survey', c.submitted_by,
        'received', now(), now(), now(), now() + interval '60 days', 4, now(), '0', 0
    from (select * from complaints limit 1) c, made
"""
MAKE_EVENTS = """
    insert into events (province_code, regency_code, district_code, village_code, pos, id, type,
        collection, subject_id, subject_version, state, program_code, handed_over, actor_id, at,
        data)
    select province_code, regency_code, district_code, village_code, nextval('event_positions'),
        gen_random_uuid(), 'referral.received', 'referrals', made.id, 4, 'received', 'PKH', true,
        c.submitted_by, now(), '{}'
    from (select * from complaints limit 1) c, made
"""
REFERRALS = """
    select row_to_json(r) from (select id, version, complaint_id, program_code, purpose,
        village_code, state, reason, sent_at, received_at, answered_at, informed_at, due_at,
        member_id, household_id, beneficiary_name from referrals) r
"""
EVENTS = """
    select row_to_json(e) from (select id, type, subject_id, at, pos, subject_version, state,
        outcome, village_code, program_code from events where pos > {} order by pos limit 1000) e
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--referrals", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slrt-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            keys_file = folder / "keys.json"
            key_ring = keys.load(keys_file, make=True)
            asyncio.run(_fill(server, key_ring, options.referrals))
            with _api(server.url, keys_file) as (base_url, pid):
                asyncio.run(_measure(server, base_url, pid, options))


async def _measure(server: embedded.Server, base_url: str, pid: int, options: Any) -> None:
    count, load = options.referrals, os.getloadavg()[0]
    async with httpx.AsyncClient(base_url=base_url, timeout=120) as api:
        credentials = {"username": "manager", "password": DEMO_PASSWORD}
        token = (await api.post("/v1/auth/sessions", json=credentials)).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        await _feed(api, 2_000)
        before = _memory(pid)
        times: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, take in (
                ("COPY of referrals", lambda: _copy(server, REFERRALS, count)),
                ("export", lambda: _export(api, count)),
                ("COPY of events", lambda: _copy_pages(server, count)),
                ("feed", lambda: _feed(api, count)),
            ):
                began = time.perf_counter()
                await take()
                times.setdefault(name, []).append(time.perf_counter() - began)
    rates = {name: count / statistics.median(found) for name, found in times.items()}
    for name, plain in (("export", "COPY of referrals"), ("feed", "COPY of events")):
        console.print(f"{plain:18} {rates[plain]:9.0f} rows/s")
        console.print(f"{name:18} {rates[name]:9.0f} rows/s   {rates[name] / rates[plain]:.2f}")
    console.print(f"memory +{_memory(pid) - before:.0f} MB; load {load:.1f} before the first round")


async def _export(api: httpx.AsyncClient, count: int) -> None:
    async with api.stream("GET", "/v1/exports/referrals") as answer:
        lines, last = 0, b""
        async for part in answer.aiter_raw(2**16):
            lines, last = lines + part.count(b"\n"), part[-300:]
    assert b'"_end"' in last
    assert lines > count


async def _feed(api: httpx.AsyncClient, count: int) -> None:
    """Page after page over one connection. Pages are not parsed: that is the reader's business."""
    reader, writer = await asyncio.open_connection(api.base_url.host, api.base_url.port)
    headers = {"Authorization": api.headers["Authorization"]}
    path = "/v1/changes?limit=1000"
    while count > 0:
        writer.write(request("GET", path, headers))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        page = await reader.readexactly(length)
        found = page.count(b'"specversion"')
        assert found, page[:300]
        count -= found
        cursor = page[-200:].rpartition(b':"')[2].removesuffix(b'"}').decode()
        path = f"/v1/changes?limit=1000&cursor={cursor}"
    writer.close()


async def _copy(server: embedded.Server, query: str, count: int) -> None:
    connection = await _connect(server)
    assert await _copied(connection, query) >= count
    await connection.close()


async def _copy_pages(server: embedded.Server, count: int) -> None:
    connection, after = await _connect(server), 0
    while after < count:
        after += await _copied(connection, EVENTS.format(after))
    await connection.close()


async def _copied(connection: asyncpg.Connection, query: str) -> int:
    found = 0

    async def sink(part: bytes) -> None:
        nonlocal found
        found += part.count(b"\n")

    await connection.copy_from_query(query, output=sink)
    return found


async def _connect(server: embedded.Server) -> asyncpg.Connection:
    settings = {"timezone": "UTC", "jit": "off"}
    host = str(server.socket_dir)
    return await asyncpg.connect(host=host, user="slrt", database="slrt", server_settings=settings)


async def _fill(server: embedded.Server, key_ring: KeyRing, count: int) -> None:
    engine = create_engine(server.url)
    sessions = create_sessions(engine, key_ring.data)
    await prepare(engine, sessions, key_ring)
    await demo.load(sessions, Settings(demo=True), households=36, complaints=20)
    await engine.dispose()
    connection = await _connect(server)
    began = time.perf_counter()
    await connection.execute("create temp table made (n int, id uuid, sealed bytea)")
    for start in range(0, count, BATCH):
        made = []
        for n in range(start, min(start + BATCH, count)):
            id, number = new_id(), f"35760245078{n % 100_000:05d}"
            sealed = key_ring.data.seal(number, "referrals", "beneficiary_national_id", id)
            made.append((n, id, sealed))
        await connection.copy_records_to_table("made", records=made)
    await connection.execute(MAKE_REFERRALS)
    await connection.execute(MAKE_EVENTS)
    for table in ("referrals", "events"):
        await connection.execute(f"vacuum analyze {table}")
    await connection.close()
    console.print(f"{count} referrals and events, made in {time.perf_counter() - began:.0f} s")


@contextlib.contextmanager
def _api(url: str, keys_file: Path) -> Iterator[tuple[str, int]]:
    """The API in a process of its own: its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "SLRT_DATABASE_URL": url, "SLRT_KEYS_FILE": str(keys_file), "SLRT_DEMO": "1",
        "SLRT_PORT": str(port), "SLRT_LOG_LEVEL": "WARNING", "SLRT_RATE_BURST": "1000000",
    }  # fmt: skip
    command = [sys.executable, "-m", "app.cli", "serve"]
    with subprocess.Popen(command, env=environment) as process:
        base_url = f"http://127.0.0.1:{port}"
        try:
            until = time.monotonic() + 30
            while not _is_ready(base_url):
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError("the API does not start")
                time.sleep(0.1)
            yield base_url, process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def _is_ready(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/livez", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _memory(pid: int) -> float:
    """The most memory that a process has held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
