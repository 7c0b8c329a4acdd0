"""Migrations: bring a database to the tables this version of slrt knows."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.tables import metadata

FOLDER = Path(__file__).parents[1] / "alembic"
# Two processes that migrate at once queue up here; the second finds nothing to do.
MIGRATION_LOCK = 0x51_27_00_02


def head() -> str:
    """The newest migration of this version."""
    revision = ScriptDirectory(str(FOLDER)).get_current_head()
    assert revision is not None
    return revision


async def migrate(engine: AsyncEngine, to: str = "head") -> None:
    """Go up (or, for an earlier revision, down) to a revision."""
    async with engine.connect() as connection:
        for timeout in ("statement_timeout", "lock_timeout"):
            await connection.execute(sa.text(f"set {timeout} = 0"))
        await connection.execute(sa.select(sa.func.pg_advisory_lock(MIGRATION_LOCK)))
        await connection.commit()
        try:
            await connection.run_sync(_run, to)
            await connection.commit()
        finally:
            await connection.rollback()
            await connection.execute(sa.select(sa.func.pg_advisory_unlock(MIGRATION_LOCK)))
            await connection.commit()


async def current(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None where it has never been migrated."""
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


async def drift(engine: AsyncEngine) -> list[object]:
    """What the tables of the code have and the migrated database has not, or the other way."""
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: list(
                compare_metadata(
                    MigrationContext.configure(sync, opts={"compare_type": True}), metadata
                )
            )
        )


def _run(connection: sa.Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    now = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory(str(FOLDER))
    earlier = {r.revision for r in script.iterate_revisions(now, "base")} if now else set()
    if to == "base" or (to != "head" and to in earlier):
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
