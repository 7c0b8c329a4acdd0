"""When something breaks: what was acknowledged is there, the rest was said, and it comes back."""

import asyncio
import contextlib
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app import embedded, keys
from app.database import create_engine, create_sessions
from app.demo import load
from app.deployment import prepare
from app.domain.actors import SYSTEM
from app.migrations import head
from app.routers import bodies
from app.settings import DEMO_PASSWORD, Settings
from app.workflow.sweeps import SWEEPS
from tests.conftest import PROGRAMS, TLS, Cluster, World, serve
from tests.flows import bring, draft, etag, file, get, key
from tests.processes import (
    SOMEWHERE,
    Shell,
    data_folder,
    environment,
    finished,
    free_port,
    on,
    on_the_database_of,
    postmaster,
    running,
    until,
)


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code
    return found


# A 2xx is sent after the commit


@pytest.mark.parametrize(
    ("sqlstate", "status", "code"),
    [
        ("P0001", 500, "internal_error"),
        ("57P01", 503, "database_unavailable"),
        ("40P01", 503, "busy"),
    ],
)
def test_a_commit_that_fails_is_never_a_success(
    fresh_world: World, sqlstate: str, status: int, code: str
) -> None:
    world = fresh_world
    world.cluster.execute(
        world.database,
        "create function refuse() returns trigger language plpgsql as"
        f" $$ begin raise exception 'refused' using errcode = '{sqlstate}'; end $$;"
        "create constraint trigger refuse after insert on complaints"
        " deferrable initially deferred for each row"
        " when (new.client_ref like 'refused-%') execute function refuse()",
    )
    body = draft(client_ref=f"refused-{secrets.token_hex(6)}")
    call = {"url": "/complaints", "json": body, "headers": key()}
    refused = world.as_("puskesos.wates").post(**call)
    assert (refused.status_code, problem(refused)["code"]) == (status, code)
    assert ("retry-after" in refused.headers) == (status == 503)
    for table in ("complaints", "events", "idempotency_keys"):
        assert world.fetch(f"select count(*) from {table}")[0][0] == 0
    # Another one is not touched, and the same key is good once the fault is gone.
    file(world)
    world.cluster.execute(world.database, "drop trigger refuse on complaints")
    assert world.as_("puskesos.wates").post(**call).status_code == 201


def test_a_step_whose_commit_fails_leaves_the_complaint_where_it_stood(fresh_world: World) -> None:
    world = fresh_world
    id = bring(world, "awaiting_supervisor")["id"]
    before = get(world, "supervisor.magersari", id)
    events = world.fetch("select count(*) from events")
    world.cluster.execute(
        world.database,
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'refused'; end $$;"
        "create constraint trigger refuse after insert on events"
        " deferrable initially deferred for each row"
        " when (new.type = 'complaint.approved') execute function refuse()",
    )
    refused = world.as_("supervisor.magersari").post(
        f"/complaints/{id}/actions",
        json={"action": "approve"},
        headers={"If-Match": f'"{before["version"]}"'} | key(),
    )
    assert refused.status_code == 500
    assert get(world, "supervisor.magersari", id) == before
    assert world.fetch("select count(*) from events") == events


# The database goes away


@dataclass
class Private:
    """An API on a PostgreSQL server of its own, which a test may stop and kill."""

    folder: Path
    world: World
    handles: list[embedded.Server] = field(default_factory=list)

    def stop(self) -> None:
        os.kill(postmaster(self.folder), signal.SIGINT)
        until(lambda: not postmaster(self.folder))

    def kill(self) -> None:
        os.kill(postmaster(self.folder), signal.SIGKILL)

    def start(self) -> None:
        self.handles.append(start(self.folder))


def start(folder: Path) -> embedded.Server:
    return embedded.start(folder, Path(PROGRAMS) if PROGRAMS else None)


@pytest.fixture(scope="module")
def private() -> Iterator[Private]:
    with data_folder() as folder, contextlib.ExitStack() as stack:
        server = start(folder)
        stack.callback(server.close)
        keys_file = folder / "keys.json"
        cluster = Cluster(server.socket_dir, keys.load(keys_file, make=True), keys_file)
        asyncio.run(_fill(cluster))
        world = stack.enter_context(serve(cluster, "slrt", rate_per_minute=10**6, rate_burst=10**6))
        found = Private(folder, world)
        yield found
        for handle in found.handles:
            handle.close()


async def _fill(cluster: Cluster) -> None:
    engine = create_engine(cluster.url("slrt"))
    sessions = create_sessions(engine, cluster.keys.data)
    await prepare(engine, sessions, cluster.keys)
    await load.load(sessions, Settings(demo=True), households=2, complaints=0)
    await engine.dispose()


def test_without_its_database_it_says_so_and_comes_back_by_itself(private: Private) -> None:
    world = private.world
    desk, headers, body = world.as_("puskesos.wates"), key(), draft()
    assert world.anyone.get("/readyz").status_code == 200
    private.stop()
    try:
        for answer in (
            desk.get("/complaints"),
            desk.post("/complaints", json=body, headers=headers),
            world.anyone.post(
                "/v1/auth/sessions", json={"username": "front.1", "password": DEMO_PASSWORD}
            ),
            world.anyone.get("/readyz"),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert problem(answer)["code"] == "database_unavailable"
        assert world.anyone.get("/livez").status_code == 200
        # What needs no database is answered as ever.
        assert desk.get("/complaints", headers={"Authorization": "x"}).status_code == 401
    finally:
        private.start()
    assert world.anyone.get("/readyz").status_code == 200
    assert desk.post("/complaints", json=body, headers=headers).status_code == 201
    assert desk.post("/complaints", json=body, headers=headers).headers["idempotency-replayed"]


@dataclass
class Writers:
    """Clients that file one complaint after another, and try again until each is there."""

    world: World
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    stopping: bool = False

    async def write(self, client: httpx.AsyncClient, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        while not self.stopping:
            body, same_key = draft(client_ref=f"{self.mark}-{secrets.token_hex(8)}"), key()
            while True:
                try:
                    answer = await client.post("/complaints", json=body, headers=headers | same_key)
                except httpx.HTTPError as error:
                    self.refused[type(error).__name__] += 1
                else:
                    if answer.is_success:
                        self.acknowledged[body["client_ref"]] = answer.json()["complaint"]["id"]
                        break
                    self.refused[f"{answer.status_code} {answer.json()['code']}"] += 1
                await asyncio.sleep(0.05)

    async def run(self, writers: int, disturb: Callable[[], Any]) -> None:
        token = self.world.token("puskesos.wates")
        async with (
            httpx.AsyncClient(
                base_url=f"{self.world.base_url}/v1", timeout=60, verify=TLS
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(writers):
                group.create_task(self.write(client, token))
            try:
                await asyncio.to_thread(disturb)
            finally:
                self.stopping = True


async def kill_it_again_and_again(private: Private, kills: int) -> Writers:
    writers = Writers(private.world)

    def disturb() -> None:
        rng = random.Random(20261124)
        for _ in range(kills):
            before = len(writers.acknowledged)
            until(lambda before=before: len(writers.acknowledged) > before + 20)
            time.sleep(rng.uniform(0, 0.3))
            private.kill()
            private.start()
        before = len(writers.acknowledged)
        until(lambda: len(writers.acknowledged) > before + 20)

    await writers.run(16, disturb)
    return writers


async def nothing_was_lost(private: Private, writers: Writers) -> None:
    rows = await private.world.afetch(
        "select client_ref, c.id,"
        " (select count(*) from events e where e.subject_id = c.id and e.subject_version = 1"
        "  and e.type = 'complaint.submitted') as events"
        " from complaints c where starts_with(client_ref, $1)",
        writers.mark,
    )
    # None lost, none twice, none that nobody heard of, and none without its event.
    assert len(rows) == len(writers.acknowledged)
    assert {row["client_ref"]: str(row["id"]) for row in rows} == writers.acknowledged
    assert {row["events"] for row in rows} == {1}
    # Trouble was said to be trouble: no 500, and no other refusal.
    assert set(writers.refused) <= {"503 database_unavailable", "503 busy"}, writers.refused
    assert writers.refused


async def test_postgresql_killed_twice_under_16_writers_loses_nothing(private: Private) -> None:
    await nothing_was_lost(private, await kill_it_again_and_again(private, 2))


@pytest.mark.deep
async def test_postgresql_killed_8_times_under_16_writers_loses_nothing(private: Private) -> None:
    writers = await kill_it_again_and_again(private, 8)
    print(len(writers.acknowledged), dict(writers.refused))  # noqa: T201
    await nothing_was_lost(private, writers)


# Busy, and slow


@contextlib.asynccontextmanager
async def held(world: World, id: str) -> AsyncIterator[None]:
    """A complaint's row, locked by somebody who does not let go."""
    connection = await asyncpg.connect(
        host=str(world.cluster.socket_dir), user="slrt", database=world.database
    )
    try:
        async with connection.transaction():
            await connection.execute("select from complaints where id = $1 for update", UUID(id))
            yield
    finally:
        await connection.close()


@pytest.fixture
def narrow_world(cluster: Cluster) -> Iterator[World]:
    """A world whose API has one database connection."""
    with cluster.clone() as database, serve(cluster, database, pool_size=1) as world:
        yield world


async def test_waits_for_a_lock_and_for_a_connection_end_as_busy(narrow_world: World) -> None:
    world = narrow_world
    id = file(world)["id"]
    version = {"If-Match": etag(world, "puskesos.wates", f"/complaints/{id}")}
    headers = {"Authorization": f"Bearer {world.token('puskesos.wates')}"} | version
    async with (
        held(world, id),
        httpx.AsyncClient(base_url=f"{world.base_url}/v1", timeout=60, verify=TLS) as client,
    ):
        began = time.monotonic()
        # With one connection: two wait for the row, one after the other, the third for them.
        answers = await asyncio.gather(
            *(
                client.patch(f"/complaints/{id}", json={"narrative": "Lain."}, headers=headers)
                for _ in range(3)
            )
        )
        assert time.monotonic() - began < 8
    for answer in answers:
        assert (answer.status_code, problem(answer)["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
    after = world.as_("puskesos.wates").patch(
        f"/complaints/{id}", json={"narrative": "Lain."}, headers=version
    )
    assert after.status_code == 200


def raw(world: World, who: str, size: int) -> socket.socket:
    """A connection that has announced a body."""
    host, port = world.base_url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    head = (
        "POST /v1/complaints HTTP/1.1\r\nHost: slrt\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {world.token(who)}\r\nContent-Length: {size}\r\n"
        f"Idempotency-Key: {key()['Idempotency-Key']}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def test_a_body_that_does_not_arrive_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "ARRIVES_WITHIN", 0.3)
    body = json.dumps(draft()).encode()
    with raw(world, "puskesos.wates", len(body)) as connection:
        connection.sendall(body[: len(body) // 2])
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "request_timeout" in answer
    # One that arrives in time is taken, however many pieces it comes in.
    with raw(world, "puskesos.wates", len(body)) as connection:
        for byte in range(0, len(body), 50):
            connection.sendall(body[byte : byte + 50])
            time.sleep(0.005)
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_a_client_that_hangs_up_half_way_is_no_fault_of_the_server(
    fresh_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(draft()).encode()
    with raw(fresh_world, "puskesos.wates", len(body)) as connection:
        connection.sendall(body[: len(body) // 2])
    time.sleep(0.3)
    assert "unexpected error" not in caplog.text
    assert fresh_world.fetch("select count(*) from complaints")[0][0] == 0


# Processes end in order


async def test_a_server_told_to_stop_ends_what_it_began(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    port = free_port()
    settings = on_the_database_of(world) | {"port": port, "drain_seconds": 0.8}
    version = etag(world, "puskesos.wates", f"/complaints/{id}")
    headers = {"Authorization": f"Bearer {world.token('puskesos.wates')}", "If-Match": version}
    with running("serve", **settings) as process:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, verify=TLS
        ) as client:
            await asyncio.to_thread(until, lambda: is_ready(port))
            async with held(world, id):
                under_way = asyncio.create_task(
                    client.patch(
                        f"/v1/complaints/{id}", json={"narrative": "Lain."}, headers=headers
                    )
                )
                await asyncio.sleep(0.3)
                told_at = time.monotonic()
                process.send_signal(signal.SIGTERM)
                # First it asks for no more work, though it still takes some.
                await asyncio.sleep(0.15)
                not_ready = await client.get("/readyz")
                assert (not_ready.status_code, problem(not_ready)["code"]) == (503, "not_ready")
                assert not_ready.headers["retry-after"]
                assert (await client.get("/livez")).status_code == 200
                await asyncio.sleep(1.0)
                assert not under_way.done()
                # Then it takes none, and still ends what it began.
                with pytest.raises(httpx.ConnectError):
                    await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/livez")
            answer = await under_way
        assert answer.status_code == 200
        assert await asyncio.to_thread(process.wait, 25) == 0
        assert time.monotonic() - told_at < 25
        assert not await asyncio.to_thread(answers, port)
    assert get(world, "puskesos.wates", id)["narrative"] == "Lain."


def client_of(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=TLS)


def is_ready(port: int) -> bool:
    try:
        return (
            httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, verify=TLS).status_code == 200
        )
    except httpx.HTTPError:
        return False


@pytest.mark.embedded
def test_a_server_on_its_own_database_stops_it_too() -> None:
    with data_folder() as folder:
        port = free_port()
        settings = {"data_dir": folder, "port": port}
        with running("serve", **settings) as process:
            until(lambda: answers(port))
            # Without tables it is not ready, but it lives.
            assert not is_ready(port)
            assert postmaster(folder)
            process.send_signal(signal.SIGTERM)
            assert process.wait(25) == 0
        assert not postmaster(folder)


def answers(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=2, verify=TLS).status_code == 200
    return False


def test_a_scheduler_told_to_stop_ends_with_success(fresh_world: World) -> None:
    with running("schedule", **on_the_database_of(fresh_world)) as process:
        until(lambda: all_on_time(fresh_world))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()


def all_on_time(world: World) -> bool:
    return not world.anyone.get("/readyz").json()["late_sweeps"]


# Sweeps in several processes


def file_many(world: World, count: int) -> list[str]:
    async def file_all() -> list[str]:
        headers = {"Authorization": f"Bearer {world.token('puskesos.wates')}"}
        turns = asyncio.Semaphore(20)
        async with httpx.AsyncClient(
            base_url=f"{world.base_url}/v1", timeout=60, verify=TLS
        ) as client:

            async def one(n: int) -> str:
                # Somebody else each time: who files for one person waits for others who do.
                sent = draft(reporter={"name": f"Warga {n}", "relation": "self"})
                async with turns:
                    answer = await client.post("/complaints", json=sent, headers=headers | key())
                assert answer.status_code == 201, answer.text
                return str(answer.json()["complaint"]["id"])

            return await asyncio.gather(*(one(n) for n in range(count)))

    return asyncio.run(file_all())


STEPS = ("reminder", "level_1", "level_2", "breach")
DUE = (
    "select count(*) from complaints where next_step_at <= slrt_now()"
    " or (breached_at is null and deadline_at <= slrt_now() and not late_when_recorded)"
)


def nothing_is_due(world: World) -> bool:
    return bool(world.fetch(DUE)[0][0] == 0)


def each_step_was_taken_once(world: World, ids: list[str]) -> None:
    """For complaints that nobody touched: every step of the ladder, once, told once to each."""
    wanted = [UUID(id) for id in ids]
    taken = world.fetch(
        "select step, count(*), count(distinct subject_id) from escalations"
        " where subject_id = any($1) group by step",
        wanted,
    )
    assert {row[0]: (row[1], row[2]) for row in taken} == {
        step: (len(ids), len(ids)) for step in STEPS
    }
    told = world.fetch(
        "select subject_id, step, count(*) as rows, count(distinct principal_id) as people"
        " from notifications where subject_id = any($1) group by subject_id, step",
        wanted,
    )
    assert len(told) == len(ids) * len(STEPS)
    assert all(row["rows"] == row["people"] >= 1 for row in told)
    events = world.fetch(
        "select type, count(*) from events where subject_id = any($1)"
        " and actor_id = $2 group by type",
        wanted,
        SYSTEM.id,
    )
    assert dict(events) == {
        "complaint.reminded": len(ids),
        "complaint.escalated": 2 * len(ids),
        "complaint.breached": len(ids),
    }
    assert nothing_is_due(world)
    assert world.fetch("select count(*) from parked_rows")[0][0] == 0


def test_two_schedulers_and_the_death_of_one_take_each_step_once(fresh_world: World) -> None:
    world = fresh_world
    ids = file_many(world, 80)
    waiting = [bring(world, "awaiting_supervisor")["id"] for _ in range(3)]
    world.advance(hours=80)
    settings = on_the_database_of(world)
    with running("schedule", **settings) as first, running("schedule", **settings) as second:
        # One dies in the middle of its work. What it held is free again for the next that runs:
        # the other at its next tick, or the one that takes its place.
        until(lambda: world.fetch("select count(*) from escalations")[0][0])
        first.kill()
        with running("schedule", **settings):
            until(lambda: nothing_is_due(world))
        assert second.poll() is None
    each_step_was_taken_once(world, ids)
    for id in waiting:
        found = get(world, "manager", id)
        assert (found["state"], found["escalation_level"]) == ("awaiting_supervisor", 3)


# Starts schedulers in no time, by forking: one for each line.
SPAWNER = """
import os, signal, sys
from app import cli
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:
    if not (pid := os.fork()):
        os.close(0)
        cli.main(["schedule"])
    print(pid, flush=True)
"""


@contextlib.contextmanager
def spawner(**settings: Any) -> Iterator[Callable[[], int]]:
    """Something that starts a scheduler and says its process id."""
    started: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", SPAWNER],
        cwd=SOMEWHERE,
        env=environment(**settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout

        def another() -> int:
            to.write("\n")
            to.flush()
            started.append(int(back.readline()))
            return started[-1]

        try:
            yield another
        finally:
            for pid in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.deep
def test_four_schedulers_killed_every_700_ms_take_each_step_once(fresh_world: World) -> None:
    world = fresh_world
    ids = file_many(world, 1000)
    rng = random.Random(20261124)
    kills, progress = 0, []
    with spawner(**on_the_database_of(world)) as another:
        alive = [another() for _ in range(4)]
        began = time.monotonic()
        while time.monotonic() - began < 20:
            # Time goes on, so that something becomes due all the while.
            world.advance(hours=3)
            time.sleep(0.7)
            os.kill(alive.pop(rng.randrange(4)), signal.SIGKILL)
            alive.append(another())
            kills += 1
            progress.append(world.fetch("select count(*) from escalations")[0][0])
        seconds = time.monotonic() - began
        cut = world.fetch("select count(*) from sweep_runs where finished_at is null")[0][0]
        world.advance(hours=48)
        until(lambda: nothing_is_due(world), 200)
    print(f"{kills} kills in {seconds:.0f} s cut {cut} runs; steps by then: {progress}")  # noqa: T201
    assert cut
    each_step_was_taken_once(world, ids)


def test_late_sweeps_are_said_everywhere(fresh_world: World, slrt: Shell) -> None:
    world = fresh_world
    settings = on_the_database_of(world)

    def metric(name: str, sweep: str) -> float:
        text = world.anyone.get("/metrics").text
        found = re.search(rf'^{name}{{sweep="{sweep}"}} (\S+)$', text, re.MULTILINE)
        assert found, text
        return float(found[1])

    # Nothing has ever run.
    ready = world.anyone.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "degraded", "late_sweeps": list(SWEEPS)}
    assert metric("slrt_sweep_late", "sla") == 1
    health = slrt("schedule", "--health", **settings)
    assert health.returncode == 1
    assert health.stdout.startswith("late: ")

    with running("schedule", **settings):
        until(lambda: all_on_time(world))
        assert world.anyone.get("/readyz").json() == {"status": "ready", "late_sweeps": []}
        assert metric("slrt_sweep_late", "sla") == 0
        assert metric("slrt_sweep_age_seconds", "sla") < 60
        health = finished("schedule", "--health", **settings)
        assert (health.returncode, health.stdout) == (0, "all sweeps are on time\n")

    # One that stands still.
    world.fetch(
        "update sweep_runs set finished_at = finished_at - interval '4 minutes'"
        " where sweep = 'sla' returning id"
    )
    assert world.anyone.get("/readyz").json() == {"status": "degraded", "late_sweeps": ["sla"]}
    assert metric("slrt_sweep_late", "sla") == 1
    assert metric("slrt_sweep_late", "unconfirmed") == 0
    health = slrt("schedule", "--health", **settings)
    assert (health.returncode, health.stdout) == (1, "late: sla\n")
    report = world.as_("admin").get("/sweeps").json()["sweeps"]
    assert [sweep["name"] for sweep in report if sweep["late"]] == ["sla"]


# The commands


@pytest.mark.embedded
def test_run_without_demo_begins_empty_and_is_kept(slrt: Shell) -> None:
    port = free_port()
    with data_folder() as folder, client_of(port) as http:
        settings = {"data_dir": folder, "port": port, "demo": 0}
        credentials = {"username": "admin", "password": "a-long-password"}
        sign_in = {"url": "/v1/auth/sessions", "json": credentials}
        with running("run", **settings) as process:
            # Told to stop while it prepares, it leaves nothing running.
            assert process.stdout is not None
            assert process.stdout.readline() == "Preparing the database …\n"
            ends_with_all_it_started(process, folder, port, 128 + signal.SIGTERM)
        with running("run", **settings) as process:
            until(lambda: is_ready(port))
            logs = [Path(folder, f"{command}.log") for command in ("serve", "schedule")]
            assert {path.stat().st_mode & 0o777 for path in logs} == {0o600}
            assert http.post(**sign_in).status_code == 401
            command = ["users", "add", "admin", "--name", "Ibu Admin", "--role", "admin"]
            added = slrt(*command, password=credentials["password"], **settings)
            assert (added.returncode, added.stdout[:12]) == (0, "added admin ")
            headers = {"Authorization": f"Bearer {http.post(**sign_in).json()['access_token']}"}
            users = http.get("/v1/users", headers=headers).json()["items"]
            assert [user["username"] for user in users] == ["admin"]
            assert len(http.get("/v1/programs", headers=headers).json()["items"]) == 28
            assert http.post("/v1/demo/clock", json={}, headers=headers).status_code == 404
            until(lambda: not http.get("/readyz").json()["late_sweeps"])
            ends_with_all_it_started(process, folder, port)
            said = the_rest_of(process)
            assert ".venv/bin/slrt users add admin --name 'Your Name' --role admin" in said
        with running("run", **settings) as process:
            until(lambda: is_ready(port))
            assert http.post(**sign_in).status_code == 201
            second = slrt("run", **settings)
            assert second.returncode == 1
            assert second.stderr.startswith(f"Port {port} is taken, perhaps by another slrt.")
            ends_with_all_it_started(process, folder, port)


def the_rest_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = process.stdout.read()
    assert "Traceback" not in said
    return said


def ends_with_all_it_started(
    process: subprocess.Popen[str], folder: Path, port: int, code: int = 0
) -> None:
    children = children_of(process.pid)
    assert postmaster(folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait(25) == code
    assert not postmaster(folder)
    assert not [pid for pid in children if is_alive(pid)]
    assert not answers(port)


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.embedded
def test_run_with_demo_loads_it_and_ends_whole() -> None:
    port = free_port()
    with data_folder() as folder, client_of(port) as http:
        settings = {"data_dir": folder, "port": port, "demo": 1}
        with running("run", **settings) as process:
            until(lambda: is_ready(port), 150)
            credentials = {"username": "head", "password": DEMO_PASSWORD}
            token = http.post("/v1/auth/sessions", json=credentials).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            late = http.get("/v1/complaints?overdue=true", headers=headers)
            assert late.json()["items"]
            assert len(children_of(process.pid)) == 2
            ends_with_all_it_started(process, folder, port)
            said = the_rest_of(process)
            assert f"slrt is ready at http://127.0.0.1:{port}" in said
            assert "puskesos.wates" in said


def test_run_ends_when_one_of_its_processes_dies(
    cluster: Cluster, tmp_path: Path, slrt: Shell
) -> None:
    with cluster.clone() as database:
        port = free_port()
        data_dir = tmp_path / "not" / "there" / "yet"
        settings = on(cluster, database) | {"data_dir": data_dir, "port": port}
        with running("run", **settings, demo=1) as process:
            until(lambda: is_ready(port))
            children = children_of(process.pid)
            os.kill(children[0], signal.SIGKILL)
            assert process.wait(25) == 1
            said = the_rest_of(process)
            assert f"A process has ended with code -9; see {data_dir}" in said
            assert not [pid for pid in children if is_alive(pid)]
        # Accounts with a password that everybody knows are for demo mode only.
        refused = slrt("run", **settings, demo=0)
        assert refused.returncode == 1
        assert refused.stderr.startswith("This database holds demo data and demo accounts.")


@pytest.fixture
def scratch(cluster: Cluster) -> Iterator[str]:
    """An empty database."""
    name = f"t_{secrets.token_hex(6)}"
    cluster.execute("postgres", f"create database {name}")
    yield name
    cluster.execute("postgres", f"drop database {name} with (force)")


def test_migrations_go_up_down_and_up_again(cluster: Cluster, scratch: str, slrt: Shell) -> None:
    settings = on(cluster, scratch)

    def tables() -> set[str]:
        sql = "select tablename from pg_tables where schemaname = 'public'"
        return {row[0] for row in asyncio.run(_fetch(cluster, scratch, sql))}

    # Before all, nothing works, and it says what to do.
    for command in (["seed"], ["schedule", "--health"]):
        early = slrt(*command, **settings)
        assert (early.returncode, early.stderr.count("\n")) == (1, 1)
        assert "slrt migrate" in early.stderr
    newest = f"at revision {head()}\n"
    assert finished("migrate", **settings).stdout == newest
    full = tables()
    assert {"complaints", "events", "referrals"} < full
    assert slrt("migrate", "--to", "base", **settings).stdout == "at revision None\n"
    assert tables() == {"alembic_version"}
    assert slrt("migrate", **settings).stdout == newest
    assert tables() == full
    # Reference data: the same again changes nothing.
    first, second = (slrt("seed", **settings) for _ in range(2))
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout
    assert "28 programs" in first.stdout
    unknown = slrt("migrate", "--to", "9999", **settings)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "9999" in unknown.stderr


async def _fetch(cluster: Cluster, database: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(host=str(cluster.socket_dir), user="slrt", database=database)
    try:
        found: list[Any] = await connection.fetch(sql)
        return found
    finally:
        await connection.close()


def test_a_client_that_is_added_by_hand_can_ask(world: World, slrt: Shell) -> None:
    secret = secrets.token_urlsafe(16)
    name = f"agency-{secrets.token_hex(4)}"
    command = ["clients", "add", name, "--name", "Dinas Sosial"]
    command += ["--scope", "referrals:read", "--region", "35.76", "--program", "PKH"]
    settings = on_the_database_of(world) | {"password": secret}
    added = slrt(*command, **settings)
    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout.startswith(f"added {name} (")
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    token = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    me = world.anyone.get("/v1/me", headers=headers).json()
    assert (me["scopes"], me["program_codes"]) == (["referrals:read"], ["PKH"])
    assert world.anyone.get("/v1/referrals", headers=headers).status_code == 200
    # What it may not do, it may not.
    denied = world.anyone.post("/v1/complaints", json=draft(), headers=headers | key())
    assert denied.status_code == 403
    again = slrt(*command, **settings)
    assert (again.returncode, again.stderr) == (1, "username_taken\n")


@pytest.mark.embedded
def test_keys_are_made_once(tmp_path: Path, slrt: Shell) -> None:
    path = tmp_path / "new" / "keys.json"
    made = slrt("keys", "create", keys_file=path)
    assert (made.returncode, made.stdout) == (0, f"made {path}; keep a copy in a safe place\n")
    content = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    again = slrt("keys", "create", keys_file=path)
    assert (again.returncode, again.stdout) == (0, f"{path} is there already\n")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("command", "settings", "code", "said"),
    [
        ("serve", {"port": "many"}, 2, "SLRT_PORT: "),
        ("schedule", {"port": 0}, 2, "SLRT_PORT: "),
        ("run", {"pool_size": 0}, 2, "SLRT_POOL_SIZE: "),
        ("run", {"demo_password": "secret-enough"}, 2, "SLRT_DEMO_PASSWORD is for demo mode only"),
        ("migrate", {"database_url": "mysql://x"}, 2, "must begin with postgresql://"),
        ("migrate", {"database_url": "postgresql://x@127.0.0.1:1/x"}, 1, "does not answer"),
        ("migrate", {"data_dir": "/proc/none"}, 1, "/proc/none"),
        ("seed", {"database_url": "{nowhere}"}, 1, 'database "nowhere" does not exist'),
        ("seed", {"database_url": "{url}", "keys_file": "/none.json"}, 1, "slrt keys create"),
        ("keys create", {"keys_file": "/proc/none/keys.json"}, 1, "/proc/none"),
        ("users add a --name A --role cook", {"database_url": "{url}"}, 1, "cook"),
        ("users add ad --name A --role head", {"database_url": "{url}"}, 1, "region_codes"),
        ("users add ad --name A --role admin", {"database_url": "{url}", "password": "x"}, 1,
            "password: "),
        ("clients add ab --name A --scope x --region 35.76", {}, 2, "--scope"),
        ("demo --url http://127.0.0.1:1", {}, 1, "does not answer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    world: World, slrt: Shell, command: str, settings: dict[str, Any], code: int, said: str
) -> None:
    places = {"{url}": world.url, "{nowhere}": world.cluster.url("nowhere")}
    known = {"keys_file": world.cluster.keys_file, "password": "a-long-password"}
    given = known | {name: places.get(value, value) for name, value in settings.items()}
    done = slrt(*command.split(), **given)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.embedded
def test_as_a_process_too_it_says_so_without_a_traceback(tmp_path: Path) -> None:
    done = finished("seed", database_url="postgresql://x@127.0.0.1:1/x", keys_file=tmp_path / "no")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"There is no key file at {tmp_path / 'no'}.")


def test_keys_of_another_database_are_refused(world: World, tmp_path: Path, slrt: Shell) -> None:
    path = tmp_path / "keys.json"
    keys.create(path)
    done = slrt("migrate", **on_the_database_of(world) | {"keys_file": path})
    assert done.returncode == 1
    assert done.stderr.startswith("These keys do not open this database")


# The story


def test_the_demo_goes_as_promised_on_a_running_server(fresh_world: World) -> None:
    told = finished("demo", "--url", fresh_world.base_url)
    assert told.returncode == 0, told.stdout
    assert "Everything went as promised." in told.stdout
    states = fresh_world.fetch("select state from complaints order by received_at")
    assert [row["state"] for row in states] == ["closed", "forwarded"]


def test_the_demo_fails_where_a_promise_is_not_kept(world: World, slrt: Shell) -> None:
    told = slrt("demo", "--url", world.base_url, demo=1, demo_password="not-the-password")
    assert told.returncode == 1
    assert "Not as promised" in told.stdout
