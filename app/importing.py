"""Importing a file that lies here, as an operator does: the same operation, in this process."""

import os
import platform
from pathlib import Path
from typing import Any

from app.database import Sessions
from app.domain.actors import SYSTEM
from app.domain.base import slrt_now
from app.domain.errors import Conflict
from app.domain.operations import Operation, Operations, OperationStatus
from app.routers.bodies import digest_of
from app.routers.operations import faults_csv
from app.workflow import operations
from app.workflow.imports.requests import ImportRequest, accept
from app.workflow.imports.run import Told


async def import_file(
    sessions: Sessions, path: Path, request: ImportRequest, told: Told
) -> Operation:
    """Run the import of a file to its end; one that was killed goes on where it was."""
    with path.open("rb") as file:
        size, digest = digest_of(file)
        operation = await _begun(sessions, request, size, digest)
        await operations.run(sessions, operation, file, told)
    async with sessions() as session:
        return await Operations(session).find(operation.id)


async def _begun(sessions: Sessions, request: ImportRequest, size: int, digest: str) -> Operation:
    """The operation of this file, leased: a new one, or the one whose process has died."""
    asked = request.model_dump(mode="json")
    async with sessions.begin() as session:
        repository = Operations(session)
        found = await repository.unfinished(request.regency, digest)
        if found is not None and all(found.params[name] == asked[name] for name in asked):
            if _lives(found.params) and await repository.is_leased(found):
                raise Conflict("import_under_way")
            await repository.take(found)
            return found
        source = {
            "local": True, "size": size, "digest": digest, "host": platform.node(),
            "pid": os.getpid(),
        }  # fmt: skip
        operation = await accept(session, SYSTEM, request, source, await slrt_now(session))
        await repository.take(operation)
    return operation


def _lives(params: dict[str, Any]) -> bool:
    """Whether the process that began may still be there; of another machine nobody knows."""
    if params["host"] != platform.node():
        return True
    try:
        os.kill(params["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def write_faults(sessions: Sessions, operation: Operation, path: Path) -> Path | None:
    """The list of faults beside the file; None where nothing was wrong."""
    if not (operation.result or {}).get("faults"):
        return None
    to = path.with_name(f"{path.name}.faults.csv")
    async with sessions() as session:
        to.write_text(await faults_csv(session, operation.id, "en"), newline="")
    return to


def summary(operation: Operation) -> list[str]:
    """What an import came to, in lines for a person."""
    result = operation.result or {}
    if operation.status is not OperationStatus.SUCCEEDED:
        missing = [f"missing: {one}" for one in result.get("missing", ())]
        unknown = [f"unknown: {one}" for one in result.get("unknown", ())]
        return [f"{operation.status}: {operation.problem or ''}", *missing, *unknown]
    lines = [
        f"{result['rows_read']} rows read, {result['rows_landed']} landed,"
        f" {result['rows_refused']} refused, {result['warnings']} warnings"
    ]
    for name in ("households", "people"):
        counts = ", ".join(f"{count} {what}" for what, count in result[name].items() if count)
        lines.append(f"{name}: {counts or 'none'}")
    mapped = ", ".join(f"{n} by {how}" for how, n in result["regions_mapped"].items() if n)
    if mapped:
        lines.append(f"regions mapped: {mapped}")
    twice = result["duplicates"]
    if twice["pairs"]:
        lines.append(f"{twice['pairs']} pairs look like one person, {twice['drafted']} drafted")
    if operation.attempts > 1:
        lines.append(f"went on after being cut off: attempt {operation.attempts}")
    if not result.get("whole", True):
        lines.append("not the whole registry: nobody was ended")
    if result["dry_run"]:
        lines.append("a dry run: nothing was applied")
    return lines
