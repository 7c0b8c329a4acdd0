"""The registry check over HTTP: at a million people against at 10,000, and by a similar name.

Two databases filled by SQL are asked by turns, so that what else the machine does falls on both.
Names have a letter wrong, and are looked for in the whole city.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from app import embedded, keys
from app.database import create_engine, create_sessions
from app.demo import load as demo
from app.demo.people import full_name
from app.deployment import prepare
from app.domain.identifiers import Keys
from app.settings import DEMO_PASSWORD, Settings
from bench.run import _free_port, _process

console = Console(highlight=False)
SMALL = 10_000
NAMES = 100_000
WARM_UP, CALLS = 20, 200
TYPE = {"Content-Type": "application/json"}
# A home for every four people, spread over ten villages of one city.
HOMES = """
    insert into households (id, version, registry_source, registry_id, facts, facts_source,
        facts_changed, created_at, updated_at, province_code, regency_code, district_code,
        village_code)
    select {home}, 1, 'bench', i::text, '{{"floor": "ceramic", "wall": "brick", "rooms": 3}}',
        'bench', '{{}}', now(), now(), '35', '35.76', '35.76.02', {village}
    from generate_series(($1::int + 3) / 4, ($2::int - 1) / 4) i
"""
PEOPLE = """
    insert into members (id, version, household_id, number, name, national_id, national_id_index,
        birth_date, birth_year, sex, relation, facts, facts_source, facts_changed, warnings,
        created_at, updated_at, province_code, regency_code, district_code, village_code)
    select p.id, 1, {home}, 1 + p.n % 4, p.name, p.sealed, p.blind, p.born,
        extract(year from p.born), 'female', case p.n % 4 when 0 then 'head' else 'child' end,
        '{{"works": true, "age_years": 33, "has_id_card": true}}', 'bench', '{{}}', '[]', now(),
        now(), '35', '35.76', '35.76.02', {village}
    from unnest($1::int[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::date[])
        p(n, id, name, sealed, blind, born), lateral (select p.n / 4 as i) home
"""
PLACES = {
    "home": "('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid",
    "village": "'35.76.02.10' || lpad((1 + i % 10)::text, 2, '0')",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slrt-bench-", dir=tempfile.gettempdir()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            bench(server, folder / "keys.json", options.people)


def bench(server: embedded.Server, keys_file: Path, people: int) -> None:
    ring = keys.load(keys_file, make=True)
    asyncio.run(_prepare(server.url, ring))
    city = City(server, ring.data)
    asyncio.run(city.grow(SMALL))
    asyncio.run(city.keep("small"))
    asyncio.run(city.grow(people))
    with ExitStack() as stack:
        small, large = (
            stack.enter_context(_served(url, keys_file))
            for url in (server.url.replace("/slrt?", "/small?"), server.url)
        )
        # Those of the small city are in the large one too. By turns: noise falls on both alike.
        exact = times((small, large), [city.by_number(SMALL) for _ in range(WARM_UP + CALLS)])
        similar = times((small, large), [city.by_name(SMALL) for _ in range(WARM_UP + CALLS)])
    table = Table(title="Registry check over HTTP, ms: median (95 %)")
    for column in ("people", "by national id", "by a similar name"):
        table.add_column(column, justify="right")
    for n, count in enumerate((SMALL, people)):
        table.add_row(f"{count:,}", _said(exact[n]), _said(similar[n]))
    console.print(table)
    few, many = (statistics.median(found) for found in exact)
    console.print(f"by national id: {many / few:.2f} times (goal: within 1.3)")
    console.print(f"by a similar name: {statistics.median(similar[1]):.1f} ms (goal: within 50)")


@contextmanager
def _served(url: str, keys_file: Path) -> Iterator[httpx.Client]:
    """The API on a database, and somebody who is signed in to it."""
    environment = os.environ | {
        "SLRT_DATABASE_URL": url,
        "SLRT_KEYS_FILE": str(keys_file),
        "SLRT_DEMO": "1",
        "SLRT_LOG_LEVEL": "WARNING",
        "SLRT_RATE_PER_MINUTE": "100000000",
        "SLRT_RATE_BURST": "100000000",
    }
    port = _free_port()
    with (
        _process([sys.executable, "-m", "app.cli", "serve"], environment, port),
        closing(signed_in(port)) as client,
    ):
        yield client


class City:
    """A registry that grows; whom to ask for is drawn from those who are in it."""

    def __init__(self, server: embedded.Server, data: Keys) -> None:
        self.server, self.data, self.rng = server, data, random.Random(1)
        self.names = [
            full_name(self.rng, self.rng.choice(("female", "male"))) for _ in range(NAMES)
        ]
        self.count = 0

    def name(self, n: int) -> str:
        return self.names[n * 7919 % NAMES]

    def born(self, n: int) -> date:
        return date(1940, 1, 1) + timedelta(days=n * 104_729 % 30_000)

    def number(self, n: int) -> str:
        return f"357602{n:010}"

    async def grow(self, count: int) -> None:
        """Add people up to a count, and let the database take note, as it does by itself."""
        connection = await asyncpg.connect(
            host=str(self.server.socket_dir), user="slrt", database="slrt"
        )
        try:
            begun = time.monotonic()
            await connection.execute(HOMES.format(**PLACES), self.count, count)
            for start in range(self.count, count, 20_000):
                await self._add(connection, range(start, min(start + 20_000, count)))
            await connection.execute("vacuum analyze members")
            await connection.execute("vacuum analyze households")
            console.print(f"{count:,} people in {time.monotonic() - begun:.0f} s")
        finally:
            await connection.close()
        self.count = count

    async def _add(self, connection: asyncpg.Connection, ns: range) -> None:
        ids = [_id(n) for n in ns]
        numbers = [self.number(n) for n in ns]
        seal = self.data.seal
        sealed = [
            seal(number, "members", "national_id", id)
            for number, id in zip(numbers, ids, strict=True)
        ]
        await connection.execute(
            PEOPLE.format(**PLACES), list(ns), ids, [self.name(n) for n in ns], sealed,
            [self.data.blind(number) for number in numbers], [self.born(n) for n in ns],
        )  # fmt: skip

    async def keep(self, name: str) -> None:
        """Put a copy of the city as it is now into a database of its own."""
        connection = await asyncpg.connect(
            host=str(self.server.socket_dir), user="slrt", database="postgres"
        )
        await connection.execute(f"create database {name} template slrt")
        await connection.close()

    def by_number(self, among: int) -> dict[str, Any]:
        return {"national_id": self.number(self.rng.randrange(among))}

    def by_name(self, among: int) -> dict[str, Any]:
        """Somebody who is in it, a letter of the name wrong, in the whole city."""
        n = self.rng.randrange(among)
        letters = list(self.name(n))
        letters[self.rng.randrange(2, len(letters))] = self.rng.choice("aeiou")
        return {
            "name": "".join(letters),
            "birth_date": self.born(n).isoformat(),
            "region_code": "35.76",
        }


def _id(n: int) -> UUID:
    return UUID(f"00000000-0000-7000-9000-{n:012x}")


def signed_in(port: int) -> httpx.Client:
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", timeout=60)
    form = {"username": "front.1", "password": DEMO_PASSWORD}
    token = client.post("/auth/sessions", json=form).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def times(clients: Sequence[httpx.Client], asked: list[dict[str, Any]]) -> list[list[float]]:
    """How long each check took each client, in ms; those that warm up are left out."""
    found: list[list[float]] = [[] for _ in clients]
    for body in asked:
        for client, times_ in zip(clients, found, strict=True):
            headers = TYPE | {"Idempotency-Key": f"bench-{secrets.token_hex(12)}"}
            begun = time.perf_counter()
            answer = client.post("/registry/checks", content=json.dumps(body), headers=headers)
            times_.append((time.perf_counter() - begun) * 1000)
            assert answer.status_code == 201, answer.text
            outcome = answer.json()["outcome"]
            wanted = ("registered",) if "national_id" in body else ("similar", "unregistered")
            assert outcome in wanted, outcome
    return [times_[WARM_UP:] for times_ in found]


def _said(found: list[float]) -> str:
    return f"{statistics.median(found):.1f} ({statistics.quantiles(found, n=20)[-1]:.1f})"


async def _prepare(url: str, ring: keys.KeyRing) -> None:
    engine = create_engine(url)
    sessions = create_sessions(engine, ring.data)
    await prepare(engine, sessions, ring)
    await demo.load(sessions, Settings(demo=True), households=36, complaints=0)
    await engine.dispose()


if __name__ == "__main__":
    main()
