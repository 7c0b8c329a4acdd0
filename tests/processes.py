"""Real processes of slrt, as an operator starts them; none of them outlives its test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from app import cli, logs
from app.settings import get_settings

if TYPE_CHECKING:
    from tests.conftest import Cluster, World

ROOT = Path(__file__).parents[1]
# Where no .env lies that could say something else.
SOMEWHERE = Path("/")
ENDS_WITHIN = 180
ROOMS = ("domain", "workflow", "routers", "demo")


def environment(**settings: Any) -> dict[str, str]:
    """The environment of the tests, with these settings of slrt and no others."""
    ours = ("SLRT_", "SLIPCOVER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {f"SLRT_{name.upper()}": str(value) for name, value in settings.items()}
    return kept | given | {"PYTHONPATH": str(ROOT)}


def on(cluster: "Cluster", database: str) -> dict[str, Any]:
    """The settings of a process that works on a database of the cluster."""
    return {
        "database_url": cluster.url(database),
        "keys_file": cluster.keys_file,
        "evidence_dir": cluster.files(database),
    }


def on_the_database_of(world: "World") -> dict[str, Any]:
    return on(world.cluster, world.database) | {"demo": 1}


def slrt(*command: str) -> list[str]:
    """`slrt …` as a process; where the tests' coverage is taken, its own is too."""
    program = [sys.executable, "-m", "app.cli"]
    if folder := os.environ.get("COVERAGE_DIR"):
        report = Path(folder).resolve() / f"{uuid4()}.json"
        program = [sys.executable, "-m", "slipcover", "--branch", "--source", str(ROOT / "app")]
        # The tests themselves see to the rooms; here it is what only a process comes to.
        program += ["--omit", ",".join(f"*/app/{room}/*" for room in ROOMS)]
        program += ["--dont-wrap-pytest", "--json", "--out", str(report)]
        program += [str(Path(sys.executable).with_name("slrt"))]
    return [*program, *command]


def finished(*command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """`slrt …` run to its end. Whatever was wrong, nobody is shown a traceback."""
    done = subprocess.run(
        slrt(*command),
        cwd=SOMEWHERE,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def running(*command: str, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """`slrt …` while it runs, in a session of its own; its output is one stream."""
    with subprocess.Popen(
        slrt(*command),
        cwd=SOMEWHERE,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, so that what it started ends too; SIGKILL for one that does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait for something, and return what it was."""
    end_at = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end_at, "it did not happen in time"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder; what still runs in it is ended, and then it is gone."""
    # Not tmp_path: that is closed to the user whom root's server runs as.
    path = Path(tempfile.mkdtemp(prefix="slrt-test-", dir="/var/tmp")).resolve()
    path.chmod(0o755)
    try:
        yield path
    finally:
        if pid := postmaster(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
            with contextlib.suppress(AssertionError):
                until(lambda: not postmaster(path), 10)
        shutil.rmtree(path, ignore_errors=True)


def postmaster(folder: Path) -> int:
    """The process id of the embedded server of a data folder; 0 where none runs."""
    try:
        pid = int((folder / "postgres-data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 0)
    except (FileNotFoundError, IndexError, ProcessLookupError):
        return 0
    return pid


@dataclass
class Shell:
    """`slrt …` within this process, which starts it in no time."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        with self.monkeypatch.context() as patch:
            patch.chdir(SOMEWHERE)
            for name in list(os.environ):
                if name.startswith("SLRT_"):
                    patch.delenv(name)
            for name, value in settings.items():
                patch.setenv(f"SLRT_{name.upper()}", str(value))
            # The log of the tests is theirs.
            patch.setattr(logs, "configure", lambda _: None)
            get_settings.cache_clear()
            self.capsys.readouterr()
            with pytest.raises(SystemExit) as exit:
                cli.main(list(command))
            get_settings.cache_clear()
        said = self.capsys.readouterr()
        code = exit.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(command, code, said.out, said.err)
