"""`slrt run`: everything in one go: database, migrations, data, API and sweeps."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from rich.console import Console

from app import deployment
from app.demo import load
from app.deployment import Database, engine_of, open_database
from app.domain.deployment import the_deployment
from app.settings import Settings

console = Console(soft_wrap=True, highlight=False)
READY_WITHIN = 60
STOPS_WITHIN = 25
TOLD_TO_STOP = 128 + signal.SIGTERM


class RunError(ValueError):
    """It cannot run; the message says why."""


def run(settings: Settings) -> int:
    """Set up and run until told to stop. Returns the exit code."""
    _check_port(settings)
    # Told to stop while it prepares, it must still stop the embedded server.
    signal.signal(signal.SIGTERM, _leave)
    with open_database(settings) as database:
        if not asyncio.run(_prepared(settings, database)):
            return TOLD_TO_STOP
        told = Told()
        children = [_start(settings, database, name) for name in ("serve", "schedule")]
        try:
            return _watch(settings, children, told)
        finally:
            _stop(children)


class Told:
    """Whether it has been told to stop, by SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        self.to_stop = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._hear)

    def _hear(self, _: int, __: FrameType | None) -> None:
        self.to_stop = True


def _leave(_: int, __: FrameType | None) -> None:
    sys.exit(TOLD_TO_STOP)


async def _prepared(settings: Settings, database: Database) -> bool:
    """Set up. False where it was told to stop before the end; what was begun is rolled back."""
    work = asyncio.create_task(_prepare(settings, database))
    # Not by an exception out of a signal handler: that may strike anywhere, in C code too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        if not work.cancelled():
            raise
        return False
    return True


def say(text: str) -> None:
    console.print(text, markup=False)


def _check_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            raise RunError(
                f"Port {settings.port} is taken, perhaps by another slrt."
                " Stop it, or choose another one with SLRT_PORT."
            ) from None


async def _prepare(settings: Settings, database: Database) -> None:
    async with engine_of(database, "slrt-run") as (engine, sessions):
        say("Preparing the database …")
        await deployment.prepare(engine, sessions, database.keys)
        async with sessions() as session:
            is_demo = (await the_deployment(session)).demo
        if settings.demo:
            say("Loading demo data (the first time this takes half a minute) …")
            await load.load(sessions, settings, load.HOUSEHOLDS, load.COMPLAINTS)
        elif is_demo:
            raise RunError(
                "This database holds demo data and demo accounts."
                " Give another data folder (SLRT_DATA_DIR) or database (SLRT_DATABASE_URL)."
            )


def _start(settings: Settings, database: Database, command: str) -> subprocess.Popen[bytes]:
    environment = deployment.child_environment(settings, database)
    # A session of its own: Ctrl-C reaches this process, which stops the others in order.
    path = log_file(settings, command)
    path.parent.mkdir(parents=True, exist_ok=True)
    # For whoever runs it alone, also where it was made by an older version.
    with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as log:
        os.fchmod(log.fileno(), 0o600)
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", command],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def log_file(settings: Settings, command: str) -> Path:
    return deployment.data_dir(settings) / f"{command}.log"


def _watch(settings: Settings, children: Sequence[subprocess.Popen[bytes]], told: Told) -> int:
    """Say when it is ready; return when told to stop or when one of the processes ends."""
    until, ready = time.monotonic() + READY_WITHIN, False
    while not told.to_stop:
        if ended := [child for child in children if child.poll() is not None]:
            say(f"A process has ended with code {ended[0].returncode}; see {_logs(settings)}.")
            return 1
        if not ready and _is_ready(settings):
            ready = True
            _welcome(settings)
        if not ready and time.monotonic() > until:
            say(f"The API did not become ready in time; see {_logs(settings)}.")
            return 1
        time.sleep(0.2)
    say("Stopping …")
    return 0


def _logs(settings: Settings) -> str:
    return f"{log_file(settings, 'serve')} and {log_file(settings, 'schedule')}"


def _is_ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"{_local(settings)}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _local(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port}"


def _stop(children: Sequence[subprocess.Popen[Any]]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    until = time.monotonic() + STOPS_WITHIN
    for child in children:
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _welcome(settings: Settings) -> None:
    url = _local(settings)
    say("")
    say(f"slrt is ready at {url}")
    say(f"  Try the calls    {url}/docs")
    say(f"  Read about them  {url}/reference")
    say(f"  The contract     {url}/openapi.json")
    say(f"  For citizens     {url}/cek")
    say(f"  The logs         {_logs(settings)}")
    say("")
    if not settings.demo:
        say("There are no accounts yet. In a second shell, make the first admin with:")
        say("")
        say("  .venv/bin/slrt users add admin --name 'Your Name' --role admin")
        say("")
        say("Stop with Ctrl-C.")
        return
    password = settings.demo_password.get_secret_value()
    secret = settings.demo_client_secret.get_secret_value()
    say("Sign in as one of these; the password of all is")
    say(f"  {password}")
    for who, names in (
        ("Puskesos desk", "puskesos.wates (one for each kelurahan)"),
        ("Secretariat", "front.1 front.2 back.1 back.2"),
        ("Facilitators", "facilitator.wates.1 … .7 (likewise for each kelurahan)"),
        ("Supervisors", "supervisor.magersari supervisor.prajuritkulon supervisor.kranggan"),
        ("Office", "manager head dpo admin"),
        ("Programmes", "program.1 … program.4"),
    ):
        say(f"  {who:14} {names}")
    say("Service clients: agency-pkh integrator script-batch; the secret of all is")
    say(f"  {secret}")
    say("")
    say("Three lines to paste into a shell: sign in, see what waits, file a complaint.")
    say("")
    for line in curl_lines(url, password):
        say(line)
        say("")
    say("Watch a complaint's whole life with `make demo` in a second shell. Stop with Ctrl-C.")


def curl_lines(url: str, password: str) -> list[str]:
    """Sign in, read the inbox, file a complaint."""
    json = "-H 'Content-Type: application/json'"
    bearer = '-H "Authorization: Bearer $TOKEN"'
    credentials = f'{{"username":"puskesos.wates","password":"{password}"}}'
    get = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])'"
    complaint = (
        '{"client_ref":"shell-\'$(date +%s)\'","kind":"question","region_code":"35.76.02.1010",'
        '"narrative":"Bagaimana cara mendaftar KIP?",'
        '"reporter":{"name":"Siti Aminah","relation":"self"}}'
    )
    return [
        f"TOKEN=$(curl -s {url}/v1/auth/sessions {json} -d '{credentials}' | {get})",
        f'curl -s "{url}/v1/inbox?limit=3" {bearer}',
        f"curl -s {url}/v1/complaints {json} {bearer}"
        f" -H \"Idempotency-Key: shell-$(date +%s%N)\" -d '{complaint}'",
    ]
