"""The engine and the unit of work: one session, one transaction, one commit."""

from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.domain.identifiers import Keys
from app.files import Files
from app.outgoing import Outside

Sessions = async_sessionmaker[AsyncSession]

SERVER_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",
}


def create_engine(url: str, pool_size: int = 20, name: str = "slrt") -> AsyncEngine:
    """An engine whose waits all end: pool 3 s, lock 2 s, statement 5 s, idle transaction 10 s."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=3,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "timeout": 3,
            "server_settings": SERVER_SETTINGS | {"application_name": name},
        },
    )


def create_sessions(
    engine: AsyncEngine, keys: Keys, outside: Outside | None = None, files: Files | None = None
) -> Sessions:
    """`outside` says whom deliveries may call, by default public addresses alone; `files` is where
    uploaded documents lie, for those who have to do with them."""
    # Objects stay readable after commit: async attribute access cannot reload.
    info = {"keys": keys, "outside": outside or Outside(), "files": files}
    return async_sessionmaker(engine, expire_on_commit=False, info=info)
