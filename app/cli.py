"""`slrt …`: run, serve, schedule, demo, migrate, keys, users, clients, import-registry, feed …"""

import asyncio
import csv
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import sqlalchemy as sa
import typer
from alembic.util import CommandError
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app import (
    deployment,
    documents,
    importing,
    keys,
    logs,
    migrations,
    pulling,
    rotation,
    running,
    schedule,
)
from app.auth import hash_secret
from app.demo import registry_file, story
from app.demo.people import TODAY
from app.deployment import Database, engine_of, open_database
from app.domain.actors import SYSTEM, Role, Scope
from app.domain.base import slrt_now
from app.domain.errors import DomainError
from app.domain.feed import Feed
from app.domain.operations import OperationStatus
from app.domain.regions import Regions
from app.embedded import EmbeddedError
from app.keys import KeysError
from app.main import Lifetime, create_app
from app.server import create_server
from app.settings import Settings, get_settings
from app.workflow import accounts
from app.workflow.accounts import ClientDraft, RoleGiven, UserDraft
from app.workflow.imports.requests import ImportRequest

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
keys_app = typer.Typer(no_args_is_help=True, help="The server's secrets.")
users_app = typer.Typer(no_args_is_help=True, help="The people who may sign in.")
clients_app = typer.Typer(no_args_is_help=True, help="The service clients.")
app.add_typer(keys_app, name="keys")
app.add_typer(users_app, name="users")
app.add_typer(clients_app, name="clients")
regions_app = typer.Typer(no_args_is_help=True, help="The regions.")
app.add_typer(regions_app, name="regions")
feed_app = typer.Typer(no_args_is_help=True, help="The feed that others follow.")
app.add_typer(feed_app, name="feed")
out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)


@app.command()
def run() -> None:
    """Do all set-up and run everything: database, demo data, API and sweeps."""
    raise typer.Exit(running.run(_settings()))


@app.command()
def serve() -> None:
    """Run the API."""
    settings = _settings()
    logs.configure(settings.log_level)
    with open_database(settings) as database:
        lifetime = Lifetime()
        api = create_app(settings, database.url, database.keys, lifetime)
        create_server(api, settings.host, settings.port, lifetime, settings.drain_seconds).run()


@app.command("schedule")
def schedule_(
    health: Annotated[bool, typer.Option(help="Only say whether a sweep is late.")] = False,
) -> None:
    """Run the sweeps."""
    settings = _settings()
    logs.configure(settings.log_level)

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-schedule", schedule.CONNECTIONS) as (engine, sessions):
            if not health:
                await schedule.serve(engine, sessions)
                return 0
            late = await schedule.late(sessions)
            out.print(f"late: {', '.join(late)}" if late else "all sweeps are on time")
            return 1 if late else 0

    raise typer.Exit(_with_database(settings, go))


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="A running server; default: start one.")] = None,
) -> None:
    """Play one complaint's whole life over HTTP, and show a sweep catching a forgotten one."""
    raise typer.Exit(story.play(_settings(), url))


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="A revision; `base` is before all.")] = "head",
) -> None:
    """Bring the database's tables to this version (or to an earlier revision)."""

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-migrate") as (engine, sessions):
            if to == "head":
                await deployment.prepare(engine, sessions, database.keys)
            else:
                await migrations.migrate(engine, to)
            out.print(f"at revision {await migrations.current(engine)}")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@app.command()
def seed() -> None:
    """Write the reference data: regions, programmes, routes. Repeatable."""

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-seed") as (_, sessions):
            counts = await deployment.seed(sessions)
        out.print(", ".join(f"{count} {name}" for name, count in counts.items()))
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@app.command()
def openapi(
    to: Annotated[Path, typer.Argument(help="The file to write.")] = Path("openapi/slrt.v1.json"),
) -> None:
    """Write the contract as the app has it."""
    to.write_text(contract_text())
    out.print(f"wrote {to}")


@app.command()
def diagrams(
    to: Annotated[Path, typer.Argument(help="The folder to write to.")] = Path("docs"),
) -> None:
    """Write the generated pages of docs/: the workflows and the reference lists."""
    for path in documents.write(to):
        out.print(f"wrote {path}")


def contract_text() -> str:
    """The OpenAPI document as it is committed. It needs no database."""
    settings = Settings(_env_file=None, demo=True)
    document = create_app(settings, "postgresql+asyncpg://", keys.throwaway()).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@app.command("import-registry")
def import_registry(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or xlsx.")],
    source: Annotated[str, typer.Option(help="Whose registry it is, such as BDT or DTSEN.")],
    version: Annotated[str, typer.Option(help="The version of that registry.")],
    as_of: Annotated[str, typer.Option(help="The day that the file speaks of: YYYY-MM-DD.")],
    regency: Annotated[str, typer.Option(help="The city or regency: a Kemendagri code.")],
    layout: Annotated[str, typer.Option(help="auto, bdt2015 or slrt.")] = "auto",
    map: Annotated[Path | None, typer.Option(exists=True, help="A column map, as JSON.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Nobody is ended who is not in the file.")
    ] = False,
) -> None:
    """Import a file of the registry; the same again goes on where it was cut off."""
    columns = json.loads(map.read_text("utf-8")) if map else None
    request = ImportRequest.model_validate(
        {
            "source": source, "version": version, "as_of": as_of, "regency": regency,
            "layout": layout, "whole": not partial, "dry_run": dry_run, "map": columns,
        }
    )  # fmt: skip

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-import") as (_, sessions):
            with Progress(console=err) as bar:
                task = bar.add_task("reading")

                def told(phase: str, done: int, total: int) -> None:
                    bar.update(task, description=phase, completed=done, total=total)

                operation = await importing.import_file(sessions, file, request, told)
            faults = await importing.write_faults(sessions, operation, file)
        for line in importing.summary(operation):
            out.print(line, markup=False, highlight=False)
        if faults:
            out.print(f"what was wrong: {faults}", markup=False, highlight=False)
        return 0 if operation.status is OperationStatus.SUCCEEDED else 1

    raise typer.Exit(_with_database(_settings(), go))


@regions_app.command("load-bps")
def load_bps(
    file: Annotated[Path, typer.Argument(exists=True, help="CSV: bps_code,region_code")],
) -> None:
    """Load a table of BPS village codes; the same again changes nothing."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = [(row["bps_code"], row["region_code"]) for row in csv.DictReader(lines)]

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-regions") as (_, sessions), sessions.begin() as one:
            regions = Regions(one)
            if unknown := await regions.unknown({code for _, code in rows}):
                raise ValueError(f"no regions: {', '.join(sorted(unknown)[:10])}")
            count = await regions.load_bps(rows)
        out.print(f"{count} codes")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@app.command("pull-referrals")
def pull_referrals(
    url: Annotated[str, typer.Argument(help="The server's address.")],
    client: Annotated[str, typer.Option(help="The client's user name.")],
    to: Annotated[Path, typer.Option(help="The folder to pull into.")] = Path("pulled"),
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing is new.")] = False,
) -> None:
    """Pull the referrals of a programme, and then every change. The secret is read from
    SLRT_CLIENT_SECRET; docs/integrators.md says what lies in the folder."""
    raise typer.Exit(pulling.run(url, client, to, once))


@feed_app.command("restored")
def feed_restored() -> None:
    """Tell all readers of the feed to begin anew: after a restore of the server's disk, which the
    database cannot notice itself."""

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-feed") as (_, sessions), sessions.begin() as session:
            epoch = await Feed(session).restored()
        out.print(f"epoch {epoch}")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@app.command("demo-registry", hidden=True)
def demo_registry(
    file: Path,
    people: Annotated[int, typer.Option(min=1)] = registry_file.PEOPLE,
    seed: int = 2015,
    faults: Annotated[bool, typer.Option("--faults", help="With some bad rows.")] = False,
) -> None:
    """Write a made-up registry file in the BDT-2015 layout."""
    with file.open("wb") as made:
        count = registry_file.write(made, people, seed, faults)
    out.print(f"{count} people in {file}, as of {TODAY}", markup=False)


@keys_app.command("create")
def keys_create() -> None:
    """Make a key file where there is none; an existing one stays as it is."""
    path = deployment.keys_file(_settings())
    if path.exists():
        keys.load(path)
        out.print(f"{path} is there already")
        return
    keys.create(path)
    out.print(f"made {path}; keep a copy in a safe place")


@keys_app.command("add")
def keys_add() -> None:
    """Add a sealing key. Restart all processes with the file before `slrt keys rotate`."""
    id = keys.add(deployment.keys_file(_settings()))
    out.print(f"added {id}; restart every process with this file, then `slrt keys rotate`")


@keys_app.command("status")
def keys_status() -> None:
    """Say how many values are sealed under each key."""

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-keys") as (_, sessions):
            places = await rotation.status(sessions)
        table = Table("place", *database.keys.data.sealing)
        for place, counts in places.items():
            table.add_row(place, *(str(counts.get(id, 0)) for id in database.keys.data.sealing))
        out.print(table)
        out.print(f"new values are sealed under {database.keys.data.current}")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@keys_app.command("rotate")
def keys_rotate() -> None:
    """Make the newest sealing key the current one, and seal everything anew under it."""
    settings = _settings()
    current = keys.use_newest(deployment.keys_file(settings))

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-keys") as (_, sessions):
            with Progress(console=err) as bar:
                task = bar.add_task(f"sealing under {current}")

                def told(done: int, total: int) -> None:
                    bar.update(task, completed=done, total=max(total, 1))

                left = await rotation.reseal(sessions, current, told)
        if left:
            out.print(
                f"{left} values are not under {current} yet: rows in use, or processes that have"
                " not been restarted. Restart them, and run this again."
            )
            return 1
        out.print(f"everything is sealed under {current}; restart every process with this file")
        return 0

    raise typer.Exit(_with_database(settings, go))


@keys_app.command("retire")
def keys_retire(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Take a sealing key that nothing is sealed under out of the file, for good."""
    settings = _settings()

    async def go(database: Database) -> int:
        async with engine_of(database, "slrt-keys") as (_, sessions):
            path = deployment.keys_file(settings)
            used = await rotation.retire(sessions, key_id, lambda: keys.retire(path, key_id))
        if used:
            raise KeysError(f"{used} values are sealed under {key_id}. Rotate first.")
        out.print(f"retired {key_id}")
        return 0

    raise typer.Exit(_with_database(settings, go))


@users_app.command("add")
def users_add(
    username: str,
    name: Annotated[str, typer.Option(help="The person's name.")],
    role: Annotated[
        list[str],
        typer.Option(help="role[:region,region][:PROGRAM,PROGRAM]; may be given several times."),
    ],
) -> None:
    """Let a person in. The password is asked for, or read from SLRT_PASSWORD."""
    password = os.environ.get("SLRT_PASSWORD") or getpass.getpass("Password: ")

    async def go(database: Database) -> int:
        draft = UserDraft(
            username=username, name=name, password=password, roles=[_role(one) for one in role]
        )
        hashed = await hash_secret(password)
        async with engine_of(database, "slrt-users") as (_, sessions), sessions.begin() as session:
            at = await slrt_now(session)
            principal = await accounts.add_user(session, SYSTEM, draft, hashed, at)
        out.print(f"added {principal.username} ({principal.id})")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


@clients_app.command("add")
def clients_add(
    username: str,
    name: Annotated[str, typer.Option(help="Whose client it is.")],
    scope: Annotated[list[Scope], typer.Option(help="May be given several times.")],
    region: Annotated[list[str], typer.Option(help="May be given several times.")],
    program: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
) -> None:
    """Let a service client in. The secret is asked for, or read from SLRT_PASSWORD."""
    secret = os.environ.get("SLRT_PASSWORD") or getpass.getpass("Secret: ")

    async def go(database: Database) -> int:
        draft = ClientDraft(
            username=username, name=name, secret=secret, scopes=scope, region_codes=region,
            program_codes=program or [],
        )  # fmt: skip
        hashed = await hash_secret(secret)
        async with (
            engine_of(database, "slrt-clients") as (_, sessions),
            sessions.begin() as session,
        ):
            at = await slrt_now(session)
            principal = await accounts.add_client(session, SYSTEM, draft, hashed, at)
        out.print(f"added {principal.username} ({principal.id})")
        return 0

    raise typer.Exit(_with_database(_settings(), go))


def _role(text: str) -> RoleGiven:
    role, _, rest = text.partition(":")
    regions, _, programs = rest.partition(":")
    return RoleGiven(
        role=Role(role),
        region_codes=[code for code in regions.split(",") if code],
        program_codes=[code for code in programs.split(",") if code],
    )


def _settings() -> Settings:
    try:
        return get_settings()
    except ValidationError as error:
        for item in error.errors():
            place = f"SLRT_{str(item['loc'][0]).upper()}: " if item["loc"] else ""
            err.print(f"{place}{item['msg']}")
        raise typer.Exit(2) from None


def _with_database(settings: Settings, go: Callable[[Database], Awaitable[int]]) -> int:
    with open_database(settings) as database:
        return asyncio.run(_awaited(go, database))


async def _awaited(go: Callable[[Database], Awaitable[int]], database: Database) -> int:
    return await go(database)


def main(arguments: list[str] | None = None) -> Any:
    """The console command: what is wrong is one sentence, never a traceback."""
    try:
        return app(args=arguments)
    except (EmbeddedError, KeysError, DomainError, ValueError, CommandError) as error:
        said = _said(error)
    except (sa.exc.DBAPIError, OSError) as error:
        said = _said_of_outside(error)
    err.print(said, markup=False, highlight=False)
    sys.exit(1)


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    if isinstance(error, DomainError):
        faults = [f"  {fault.pointer or fault.parameter}: {fault.code}" for fault in error.faults]
        return "\n".join([error.code, *faults])
    return str(error)


def _said_of_outside(error: sa.exc.DBAPIError | OSError) -> str:
    """What a database or a file system has against it, in one line."""
    if isinstance(error, OSError):
        if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        return f"The database does not answer ({type(error).__name__})."
    cause = getattr(error.orig, "__cause__", None)
    if isinstance(cause, asyncpg.UndefinedTableError):
        return "The database has no tables of slrt yet. Make them with `slrt migrate`."
    return f"The database refuses: {str(cause or type(error).__name__).splitlines()[0]}"


if __name__ == "__main__":
    main()
