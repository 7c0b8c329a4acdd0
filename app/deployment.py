"""Bringing a deployment up: database, keys, migrations, reference data."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from app import embedded, keys
from app.database import Sessions, create_engine, create_sessions
from app.domain.deployment import the_deployment
from app.domain.offices import Offices
from app.domain.program_criteria import CriteriaVersions
from app.domain.programs import Programs
from app.domain.regions import Regions
from app.domain.routes import Routes
from app.files import Files, Folder
from app.keys import KeyRing, KeysError
from app.migrations import migrate
from app.outgoing import Outside
from app.settings import Settings


@dataclass(frozen=True)
class Database:
    """Where the database and its files are, the secrets that belong to it, and what is outside."""

    url: str
    keys: KeyRing
    files: Files
    outside: Outside = field(default_factory=Outside)


def data_dir(settings: Settings) -> Path:
    return (settings.data_dir or embedded.default_data_dir()).absolute()


def keys_file(settings: Settings) -> Path:
    return settings.keys_file or data_dir(settings) / "keys.json"


def files_in(settings: Settings) -> Files:
    return Folder(settings.evidence_dir or data_dir(settings) / "evidence")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database of the URL, or an embedded server for as long as this is open.

    Raises EmbeddedError or KeysError with a sentence for the operator.
    """
    if settings.database_url is not None:
        # A lost key file must be noticed, not replaced: the ids in the database need it.
        ring = keys.load(keys_file(settings))
        yield Database(str(settings.database_url), ring, files_in(settings), settings.outside)
        return
    with embedded.start(data_dir(settings)) as server:
        ring = keys.load(keys_file(settings), make=True)
        yield Database(server.url, ring, files_in(settings), settings.outside)


@asynccontextmanager
async def engine_of(
    database: Database, name: str, pool_size: int = 10
) -> AsyncIterator[tuple[AsyncEngine, Sessions]]:
    engine = create_engine(database.url, pool_size, name)
    try:
        yield engine, create_sessions(engine, database.keys.data, database.outside, database.files)
    finally:
        await engine.dispose()


async def prepare(engine: AsyncEngine, sessions: Sessions, key_ring: KeyRing) -> None:
    """Migrate, tie the keys to the database, and write the reference data. Repeatable."""
    await migrate(engine)
    async with sessions.begin() as session:
        deployment = await the_deployment(session)
        fingerprint = key_ring.data.fingerprint()
        if deployment.keys_fingerprint is None:
            deployment.keys_fingerprint = fingerprint
        elif deployment.keys_fingerprint != fingerprint:
            raise KeysError(
                "These keys do not open this database: it was filled under other ones."
                " Give the key file that belongs to it (SLRT_KEYS_FILE)."
            )
    await seed(sessions)


async def seed(sessions: Sessions) -> dict[str, int]:
    """Write regions, programmes, criteria, routes and offices; the same again changes nothing."""
    async with sessions.begin() as session:
        return {
            "regions": await Regions(session).seed(),
            "programs": await Programs(session).seed(),
            "criteria": await CriteriaVersions(session).seed(),
            "routes": await Routes(session).seed(),
            "offices": await Offices(session).seed(),
        }


def child_environment(settings: Settings, database: Database) -> dict[str, str]:
    """The environment of a process that shares this database."""
    return os.environ | {
        "SLRT_DATABASE_URL": database.url,
        "SLRT_DEMO": "1" if settings.demo else "0",
        "SLRT_KEYS_FILE": str(keys_file(settings)),
    }
