"""The other side of the bench: a plain FastAPI route, the same token check, the same SQL.

`TAPE` (a file) holds the statements that our API sent for one call of each kind, recorded by the
bench. The route replays them in one transaction and writes the answer that ours gave.
"""

import os
import pickle
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response

from app import keys
from app.auth import Tokens
from app.database import SERVER_SETTINGS
from app.domain.base import new_id

TAPES: dict[str, dict[str, Any]] = pickle.loads(Path(os.environ["TAPE"]).read_bytes())
KEYS = keys.load(Path(os.environ["SLRT_KEYS_FILE"]))
TOKENS = Tokens(KEYS.signing, "slrt")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    pool = await asyncpg.create_pool(
        host=os.environ["PGHOST"],
        user="slrt",
        database=os.environ["PGDATABASE"],
        min_size=20,
        max_size=20,
        server_settings=SERVER_SETTINGS,
        init=_plain_json,
    )
    yield {"pool": pool}
    await pool.close()


async def _plain_json(connection: asyncpg.Connection) -> None:
    # The recorded parameters are JSON text already, as the driver gets them from us too.
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=str, format="text"
        )


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


async def replay(request: Request, kind: str) -> Response:
    TOKENS.read(request.headers["authorization"].removeprefix("Bearer "))
    tape = TAPES[kind]
    fresh: dict[Any, Any] = {}
    async with request.state.pool.acquire() as connection, connection.transaction():
        for sql, parameters in tape["statements"]:
            given = [_given(value, tape["new"], fresh) for value in parameters]
            await connection.fetch(sql, *given)
    return Response(tape["body"], tape["status"], media_type="application/json")


def _given(value: Any, new: set[Any], fresh: dict[Any, Any]) -> Any:
    """A recorded parameter; what must be new in every call is made anew."""
    if not isinstance(value, (UUID, str)) or value not in new:
        return value
    if value not in fresh:
        fresh[value] = new_id() if isinstance(value, UUID) else secrets.token_hex(12)
    return fresh[value]


@app.get("/v1/complaints/{id}")
async def get_complaint(id: str, request: Request) -> Response:
    return await replay(request, "get")


@app.post("/v1/complaints")
async def file_complaint(body: dict[str, Any], request: Request) -> Response:
    return await replay(request, "post")


@app.post("/v1/complaints/{id}/actions")
async def act(id: str, body: dict[str, Any], request: Request) -> Response:
    return await replay(request, "action")
