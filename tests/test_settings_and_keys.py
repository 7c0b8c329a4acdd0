"""What an operator gives: settings, the key file, and logs that say nothing personal."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import ValidationError

from app import cli, keys, logs
from app.database import create_engine, create_sessions
from app.deployment import child_environment, data_dir, keys_file, open_database, prepare
from app.keys import KeyRing, KeysError
from app.settings import DEMO_CLIENT_SECRET, DEMO_PASSWORD, Settings, get_settings
from tests.conftest import Cluster

ROOT = Path(__file__).parents[1]
SECRET = "sangat-rahasia"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Neither by the environment nor by a file beside us."""
    for name in list(os.environ):
        if name.startswith("SLRT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


# Settings


def test_nothing_has_to_be_set() -> None:
    settings = Settings()
    assert settings.database_url is None
    assert settings.demo is False
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.base_url == "http://127.0.0.1:8000"
    assert (settings.rate_per_minute, settings.rate_burst) == (3000, 500)


def test_settings_come_from_the_environment_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SLRT_PORT=9000\nSLRT_HOST=0.0.0.0\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("SLRT_PORT", "9001")
    monkeypatch.setenv("SLRT_PUBLIC_URL", "https://slrt.example")
    settings = get_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 9001)
    assert settings.base_url == "https://slrt.example"
    # Read once: what changes later is for the next start.
    monkeypatch.setenv("SLRT_PORT", "9002")
    assert get_settings() is settings


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_database_url_says_postgresql_in_any_of_its_ways(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://slrt:pw@db/slrt?x=1")
    assert settings.database_url == "postgresql+asyncpg://slrt:pw@db/slrt?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "slrt",
        "db/slrt",
        "mysql://",
        "sqlite:///",
        "postgresql+psycopg://",
        "postgresql:/",
        "://",
    ],
)
def test_another_database_is_refused_without_repeating_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("SLRT_DATABASE_URL", f"{url}slrt:{SECRET}@db")
    with pytest.raises(typer.Exit) as ended:
        cli._settings()
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith("SLRT_DATABASE_URL: ")
    assert "postgresql://" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "0"), ("port", "65536"), ("port", "http"), ("pool_size", "0"),
        ("pool_size", "201"), ("rate_per_minute", "0"), ("rate_burst", "0"),
        ("drain_seconds", "-1"), ("drain_seconds", "21"), ("demo", "perhaps"),
    ],
)  # fmt: skip
def test_a_setting_out_of_its_bounds_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(f"SLRT_{name.upper()}", value)
    with pytest.raises(typer.Exit) as ended:
        cli._settings()
    assert ended.value.exit_code == 2
    assert f"SLRT_{name.upper()}: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["demo_password", "demo_client_secret"])
def test_secrets_of_the_demo_are_refused_outside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(f"SLRT_{name.upper()}", SECRET)
    with pytest.raises(typer.Exit):
        cli._settings()
    said = capsys.readouterr().err
    assert f"SLRT_{name.upper()} is for demo mode only" in said
    assert SECRET not in said
    monkeypatch.setenv("SLRT_DEMO", "1")
    settings = cli._settings()
    assert getattr(settings, name).get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_even_the_shipped_secret_is_refused_outside_the_demo() -> None:
    for name, value in (
        ("demo_password", DEMO_PASSWORD), ("demo_client_secret", DEMO_CLIENT_SECRET)
    ):  # fmt: skip
        with pytest.raises(ValidationError, match="demo mode only"):
            Settings(demo=False, **{name: value})


def test_settings_do_not_change_while_we_run() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1


def test_the_keys_lie_where_they_are_said_to_or_with_the_data(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    assert keys_file(Settings(keys_file=elsewhere)) == elsewhere
    assert keys_file(Settings(data_dir=tmp_path)) == tmp_path / "keys.json"
    assert data_dir(Settings(data_dir=Path("here"))).is_absolute()


def test_every_setting_has_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


# The key file


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "keys.json"
    ring = keys.load(path, make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]
    assert keys.load(path) == ring
    secrets = {*ring.data.sealing.values(), ring.data.index, ring.data.pin, ring.data.cursor}
    assert len(secrets) == 4
    assert {len(one) for one in secrets} == {32}
    # Not even a traceback with local variables gives them away.
    assert "PRIVATE" not in repr(ring)
    assert not any(repr(one) in repr(ring) for one in secrets)


def test_a_key_file_is_made_once_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = keys.load(path, make=True)
    assert keys.load(path, make=True) == first
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        keys.create(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_two_that_start_at_once_get_the_same_keys(tmp_path: Path) -> None:
    for n in range(10):
        path, found = tmp_path / str(n) / "keys.json", []
        ready = threading.Barrier(8)

        def start(path: Path = path, found: list[KeyRing] = found, ready: Any = ready) -> None:
            ready.wait()
            found.append(keys.load(path, make=True))

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert all(ring == found[0] for ring in found)
        assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_throwaway_keys_differ_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = keys.throwaway(), keys.throwaway()
    assert first.data.index != second.data.index
    assert first.signing.kid != second.signing.kid
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_file_is_missed_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(KeysError, match="slrt keys create"):
        keys.load(path)
    with (
        pytest.raises(KeysError, match="no key file"),
        open_database(Settings(database_url="postgresql://db/slrt", keys_file=path)),
    ):
        pass
    assert not path.exists()


def test_a_database_of_ones_own_is_opened_with_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = keys.load(path, make=True)
    settings = Settings(database_url="postgres://db/slrt", keys_file=path, demo=True)
    with open_database(settings) as database:
        assert database.url == "postgresql+asyncpg://db/slrt"
        assert database.keys == ring
        handed_on = child_environment(settings, database)
    assert handed_on["SLRT_DATABASE_URL"] == database.url
    assert (handed_on["SLRT_DEMO"], handed_on["SLRT_KEYS_FILE"]) == ("1", str(path))


def pem(key: Any) -> str:
    text: str = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return text


WRONG_KEYS = {
    "of RSA": pem(rsa.generate_private_key(65537, 2048)),
    "of Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "of another curve": pem(ec.generate_private_key(ec.SECP384R1())),
    "that is public": "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
    "that is none": "nonsense",
    "that is a number": 5,
}


@pytest.mark.parametrize("kind", WRONG_KEYS)
def test_a_signing_key_of_another_kind_is_damage(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys.json"
    keys.create(path)
    content = json.loads(path.read_text())
    content["signing"]["pem"] = WRONG_KEYS[kind]
    path.write_text(json.dumps(content))
    with pytest.raises(KeysError, match="is damaged"):
        keys.load(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("index", None), ("index", "c2hvcnQ="), ("pin", "!"), ("cursor", 5), ("cursor", "deleted"),
        ("sealing", None), ("sealing", "deleted"), ("sealing", {"current": "k1", "keys": []}),
        ("sealing", {"current": "k2", "keys": {"k1": "A" * 43 + "="}}), ("signing", "deleted"),
        ("signing", {}), ("signing", []),
    ],
)  # fmt: skip
def test_a_damaged_key_file_is_said_to_be_and_not_replaced(
    tmp_path: Path, place: str, value: Any
) -> None:
    path = tmp_path / "keys.json"
    keys.create(path)
    content = json.loads(path.read_text())
    if value == "deleted":
        del content[place]
    else:
        content[place] = value
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    for make in (False, True):
        with pytest.raises(KeysError, match="is damaged"):
            keys.load(path, make=make)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe", b'"text"'])
def test_a_file_that_holds_no_keys_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(KeysError, match="is damaged"):
        keys.load(path, make=True)
    assert path.read_bytes() == content


def test_a_place_where_no_file_can_be_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "keys.json", Path("/proc/nowhere/keys.json")):
        for make in (False, True):
            with pytest.raises(KeysError, match=str(path)):
                keys.load(path, make=make)


def test_a_key_file_of_somebody_else_is_not_readable(ordinary_user: str | None) -> None:
    ask = (
        "import os, pwd, sys; from pathlib import Path; from app import keys\n"
        "if sys.argv[1]:\n"
        "    user = pwd.getpwnam(sys.argv[1])\n"
        "    os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)\n"
        "for path in map(Path, sys.argv[2:]):\n"
        "    for make in (False, True):\n"
        "        try:\n            keys.load(path, make=make)\n"
        "        except keys.KeysError as error:\n            print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path, locked = Path(folder) / "keys.json", Path(folder) / "locked"
        keys.create(path)
        locked.mkdir()
        if ordinary_user is None:
            path.chmod(0)
        locked.chmod(0)
        Path(folder).chmod(0o755)
        inside = locked / "keys.json"
        done = subprocess.run(
            [sys.executable, "-c", ask, ordinary_user or "", path, inside],
            cwd=ROOT,
            # Whoever they become may write nothing here.
            env={k: v for k, v in os.environ.items() if not k.startswith("COV")}
            | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        locked.chmod(0o700)
    assert done.stderr == ""
    unreadable = "The key file {} cannot be read by this user."
    assert (
        done.stdout.splitlines() == [unreadable.format(path)] * 2 + [unreadable.format(inside)] * 2
    )


# Keys and their database


def test_a_database_is_opened_by_the_keys_it_was_filled_under(cluster: Cluster) -> None:
    async def go(ring: KeyRing, database: str) -> None:
        engine = create_engine(cluster.url(database))
        try:
            await prepare(engine, create_sessions(engine, ring.data), ring)
        finally:
            await engine.dispose()

    with cluster.clone() as database:
        asyncio.run(go(cluster.keys, database))
        with pytest.raises(KeysError, match="do not open this database"):
            asyncio.run(go(keys.throwaway(), database))
        # Refusing has changed nothing.
        asyncio.run(go(cluster.keys, database))


def test_an_empty_database_takes_the_first_keys(cluster: Cluster) -> None:
    async def go(ring: KeyRing) -> None:
        engine = create_engine(cluster.url(database))
        try:
            await prepare(engine, create_sessions(engine, ring.data), ring)
        finally:
            await engine.dispose()

    database = "t_empty_for_keys"
    cluster.execute("postgres", f"create database {database}")
    try:
        first = keys.throwaway()
        asyncio.run(go(first))
        asyncio.run(go(first))
        with pytest.raises(KeysError):
            asyncio.run(go(cluster.keys))
    finally:
        cluster.execute("postgres", f"drop database {database} with (force)")


# Logs


def written(**fields: Any) -> dict[str, Any]:
    """A record as the line that is logged."""
    record = logging.LogRecord("slrt.test", logging.ERROR, "x.py", 1, "it failed", (), None)
    for name, value in fields.items():
        setattr(record, name, value)
    line = logs.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s").format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def fails() -> None:
    try:
        raise LookupError(f"{SECRET} was the cause")
    except LookupError as error:
        error.add_note(f"{SECRET} noted")
        raise ValueError(f"{SECRET} was typed") from error


def test_an_exception_is_logged_without_what_it_says() -> None:
    try:
        fails()
    except ValueError:
        line = written(exc_info=sys.exc_info())
    assert SECRET not in json.dumps(line)
    assert line["message"] == "it failed"
    assert line["exc_info"].startswith("ValueError: fails (")
    assert f"{Path(__file__).name}:" in line["exc_info"]


def test_an_exception_from_nowhere_is_logged_by_its_class() -> None:
    error = ValueError(SECRET)
    assert written(exc_info=(type(error), error, None))["exc_info"] == "ValueError: "
    assert written(exc_info=(None, None, None))["exc_info"] == ": "


def test_a_deep_fall_is_logged_from_its_end() -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise RuntimeError(SECRET)
        fall(depth - 1)

    try:
        fall(50)
    except RuntimeError:
        line = written(exc_info=sys.exc_info())
    assert line["exc_info"].count(" < ") == 11


def test_a_line_names_the_request_it_belongs_to() -> None:
    assert "request_id" not in written()
    token = logs.REQUEST_ID.set("7")
    try:
        line = written(color_message="coloured", route="/v1/me")
        assert line.pop("asctime")
        assert line == {
            "levelname": "ERROR",
            "name": "slrt.test",
            "message": "it failed",
            "route": "/v1/me",
            "request_id": "7",
        }
    finally:
        logs.REQUEST_ID.reset(token)


@pytest.fixture
def _logging_is_put_back() -> Iterator[None]:
    names = ("", "uvicorn.access", "alembic", "httpx", "httpcore", "asyncio", "apscheduler")
    loggers = [logging.getLogger(name) for name in names]
    before = [(one, one.level, one.disabled) for one in loggers]
    handlers = logging.root.handlers[:]
    # Taken off first: those that are on when logging is set up anew are closed.
    logging.root.handlers[:] = []
    yield
    logging.root.handlers[:] = handlers
    for one, level, disabled in before:
        one.setLevel(level)
        one.disabled = disabled


@pytest.mark.usefixtures("_logging_is_put_back")
def test_logs_go_to_stderr_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logging.getLogger("slrt.test").info("not severe enough")
    logging.getLogger("slrt.test").warning("said", extra={"status": 5})
    logging.getLogger("uvicorn.access").error("a path with a name in it")
    logging.getLogger("apscheduler").warning("a tick too many")
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    found = json.loads(line)
    assert found.pop("at")
    assert found == {"level": "WARNING", "logger": "slrt.test", "message": "said", "status": 5}
