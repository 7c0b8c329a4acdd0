"""`make bench-registry`: imported rows a second divided by a plain COPY of the same cells.

The COPY goes into one table of 101 text columns without an index, in the same run on the same
server. The import runs in a process of its own, so that its memory can be seen.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import asyncpg
from rich.console import Console

from app import embedded, importing, keys
from app.database import create_engine, create_sessions
from app.demo import registry_file
from app.deployment import prepare
from app.domain.registry_layouts import bdt2015_headers
from app.workflow.imports.requests import ImportRequest
from app.workflow.imports.run import nobody

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--again", action="store_true", help="the same file once more, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        asyncio.run(_import(*options.child.split("|")))
        return
    with tempfile.TemporaryDirectory(prefix="slrt-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "registry.csv"
        with path.open("wb") as file:
            registry_file.write(file, options.people)
        console.print(f"{options.people} people, {path.stat().st_size / 2**20:.0f} MiB")
        with embedded.start(folder) as server:
            keys.load(folder / "keys.json", make=True)
            asyncio.run(_prepare(server.url, folder / "keys.json"))
            plain = asyncio.run(_copy(str(server.socket_dir), path))
            console.print(f"COPY    {options.people / plain:9.0f} rows/s")
            for title in ("import", "again") if options.again else ("import",):
                seconds, growth, status = _in_a_process(server.url, folder / "keys.json", path)
                console.print(
                    f"{title:7} {options.people / seconds:9.0f} rows/s   {plain / seconds:.3f} of"
                    f" COPY   memory +{growth:.0f} MB   {status}"
                )


async def _prepare(url: str, keys_file: Path) -> None:
    engine = create_engine(url)
    key_ring = keys.load(keys_file)
    await prepare(engine, create_sessions(engine, key_ring.data), key_ring)
    await engine.dispose()


async def _copy(host: str, path: Path) -> float:
    """Seconds that PostgreSQL needs for the cells alone."""
    connection = await asyncpg.connect(host=host, user="slrt", database="slrt")
    columns = ", ".join(f"c{n} text" for n in range(1, len(bdt2015_headers()) + 1))
    await connection.execute(f"create table plain ({columns})")
    with path.open("rb") as file:
        for _ in range(2):
            file.readline()
        began = time.perf_counter()
        await connection.copy_to_table("plain", source=file, format="csv")
        seconds = time.perf_counter() - began
    await connection.execute("drop table plain")
    await connection.close()
    return seconds


def _in_a_process(url: str, keys_file: Path, path: Path) -> tuple[float, float, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.registry", "--child", f"{url}|{keys_file}|{path}"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    seconds, growth, status = json.loads(done.stdout)
    return seconds, growth, status


async def _import(url: str, keys_file: str, path: str) -> None:
    engine = create_engine(url)
    sessions = create_sessions(engine, keys.load(Path(keys_file)).data)
    request = ImportRequest(
        source="BDT", version="2015", as_of=date(2026, 11, 1), regency="35.76", layout="bdt2015"
    )
    async with engine.connect():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    operation = await importing.import_file(sessions, Path(path), request, nobody)
    seconds = time.perf_counter() - began
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    await engine.dispose()
    sys.stdout.write(json.dumps([seconds, growth, operation.status]))


if __name__ == "__main__":
    main()
