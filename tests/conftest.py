"""Real parts: a real PostgreSQL, a real HTTP server, a database of its own for every module."""

import asyncio
import contextlib
import os
import pwd
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from filelock import FileLock

from app import embedded, keys
from app.database import create_engine, create_sessions
from app.demo import load
from app.deployment import prepare
from app.keys import KeyRing
from app.main import Lifetime, create_app
from app.server import Server, create_server
from app.settings import DEMO_CLIENT_SECRET, DEMO_PASSWORD, Settings, get_settings
from tests.processes import Shell
from tests.receivers import Receiver, receiving

TEMPLATE = "slrt_template"
# One for all clients: reading the world's certificates takes longer than most calls.
TLS = httpx.create_ssl_context()
# Where the suite runs against another PostgreSQL than the embedded one: its programs.
PROGRAMS = os.environ.get("SLRT_TEST_POSTGRESQL")


@dataclass
class Cluster:
    """One PostgreSQL server for the whole run, shared by the workers; databases are cloned."""

    socket_dir: Path
    keys: KeyRing
    keys_file: Path

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://slrt@/{database}?host={self.socket_dir}&port=5432"

    def files(self, database: str) -> Path:
        """Where the documents uploaded to a database lie."""
        return self.keys_file.parent / "evidence" / database

    def execute(self, database: str, sql: str) -> None:
        asyncio.run(_execute(self.socket_dir, database, sql))

    @contextlib.contextmanager
    def clone(self) -> Iterator[str]:
        """A database like the template: migrated, with reference data and demo accounts."""
        name = f"t_{uuid4().hex[:12]}"
        self.execute("postgres", f"create database {name} template {TEMPLATE}")
        try:
            yield name
        finally:
            self.execute("postgres", f"drop database {name} with (force)")


async def _execute(socket_dir: Path, database: str, sql: str) -> None:
    connection = await asyncpg.connect(host=str(socket_dir), user="slrt", database=database)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Cluster]:
    # Workers of one run share a folder beside theirs; it must be reachable for the server's user.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)[:12]
    folder = Path(tempfile.gettempdir()) / f"slrt-tests-{os.getuid()}-{run}"
    folder.mkdir(mode=0o755, exist_ok=True)
    server = embedded.start(folder, Path(PROGRAMS) if PROGRAMS else None)
    try:
        keys_file = folder / "keys.json"
        cluster = Cluster(server.socket_dir, keys.load(keys_file, make=True), keys_file)
        with FileLock(folder / "template.lock"):
            if not (folder / "template.done").exists():
                cluster.execute("postgres", f"create database {TEMPLATE}")
                asyncio.run(_fill_template(cluster))
                (folder / "template.done").touch()
        yield cluster
    finally:
        server.close()
        # The last worker finds the server stopped, and cleans up.
        if not (folder / "postgres-data" / "postmaster.pid").exists():
            shutil.rmtree(folder, ignore_errors=True)


async def _fill_template(cluster: Cluster) -> None:
    engine = create_engine(cluster.url(TEMPLATE))
    sessions = create_sessions(engine, cluster.keys.data)
    await prepare(engine, sessions, cluster.keys)
    await load.load(sessions, Settings(demo=True), households=36, complaints=0)
    await engine.dispose()


@dataclass
class World:
    """A server of its own on a database of its own."""

    cluster: Cluster
    database: str
    base_url: str
    server: Server
    lifetime: Lifetime
    tokens: dict[str, str] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The database's, for SQLAlchemy."""
        return self.cluster.url(self.database)

    @property
    def files(self) -> Path:
        """Where its uploaded documents lie."""
        return self.cluster.files(self.database)

    def token(self, who: str) -> str:
        """An access token of a demo account or client, by its name."""
        if who not in self.tokens:
            if who in ("agency-pkh", "integrator", "script-batch"):
                form = {"grant_type": "client_credentials", "client_id": who}
                form["client_secret"] = DEMO_CLIENT_SECRET
                answer = self.anyone.post("/v1/auth/token", data=form)
            else:
                credentials = {"username": who, "password": DEMO_PASSWORD}
                answer = self.anyone.post("/v1/auth/sessions", json=credentials)
            assert answer.is_success, answer.text
            self.tokens[who] = answer.json()["access_token"]
        return self.tokens[who]

    def as_(self, who: str) -> httpx.Client:
        """An HTTP client that acts as a demo account: `world.as_("front.1").get("/me")`."""
        if who not in self.clients:
            self.clients[who] = httpx.Client(
                base_url=f"{self.base_url}/v1",
                headers={"Authorization": f"Bearer {self.token(who)}"},
                timeout=30,
                verify=TLS,
            )
        return self.clients[who]

    @property
    def anyone(self) -> httpx.Client:
        """A client without a token, at the root."""
        if "" not in self.clients:
            self.clients[""] = httpx.Client(base_url=self.base_url, timeout=30, verify=TLS)
        return self.clients[""]

    def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows straight from the database."""
        return asyncio.run(self.afetch(sql, *arguments))

    async def afetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(
            host=str(self.cluster.socket_dir), user="slrt", database=self.database
        )
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    def advance(self, **time_: float) -> None:
        """Move the domain's time on: `world.advance(hours=7)`."""
        units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
        seconds = round(sum(units[name] * value for name, value in time_.items()))
        answer = self.as_("admin").post("/demo/clock", json={"advance_seconds": seconds})
        assert answer.status_code == 200, answer.text

    def sweep(self, name: str) -> dict[str, Any]:
        """Run a sweep to its end; its run row."""
        answer = self.as_("admin").post(f"/demo/sweeps/{name}", json={})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


@contextlib.contextmanager
def serve(cluster: Cluster, database: str, **settings: Any) -> Iterator[World]:
    """The API on a database, over real HTTP, in a thread of this process."""
    lifetime = Lifetime()
    usual = {"log_level": "WARNING", "drain_seconds": 0, "evidence_dir": cluster.files(database)}
    wanted = Settings(demo=True, **usual | settings)
    app = create_app(wanted, cluster.url(database), cluster.keys, lifetime)
    server = create_server(app, "127.0.0.1", 0, lifetime, wanted.drain_seconds)
    thread = threading.Thread(target=server.run, name=f"api-{database}", daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the API has ended"
        assert time.monotonic() < until, "the API does not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    world = World(cluster, database, f"http://127.0.0.1:{port}", server, lifetime)
    try:
        yield world
    finally:
        world.close()
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world for a module: its tests share a database and see each other's complaints."""
    with cluster.clone() as database, serve(cluster, database) as world:
        yield world


@pytest.fixture
def fresh_world(cluster: Cluster) -> Iterator[World]:
    """A world for one test: nothing has happened in it yet."""
    with cluster.clone() as database, serve(cluster, database) as world:
        yield world


@pytest.fixture(scope="session")
def ordinary_user() -> str | None:
    """Somebody who is not root; None where nobody else can be become."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("nobody", "postgres") if name in names), None)


@pytest.fixture
def slrt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    yield Shell(monkeypatch, capsys)
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def path(world: World, receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[str]:
    """A path of the receiver for one test. The endpoints that it made are gone behind it."""
    yield f"/{request.node.name}"
    receiver.headers.clear()
    world.fetch("delete from webhook_deliveries")
    world.fetch("delete from webhook_endpoints")
