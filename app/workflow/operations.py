"""Operations: running accepted work to its end, whoever began it; cancelling it."""

import logging
import tempfile
from typing import IO
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.domain.actors import Actor
from app.domain.errors import Conflict
from app.domain.operations import LostLease, Operation, Operations, OperationStatus
from app.domain.registry_rows import RegistryRows
from app.workflow.imports.requests import check_importer
from app.workflow.imports.run import DRAFTING, Import, Told, nobody

logger = logging.getLogger("slrt.operations")
Sessions = async_sessionmaker[AsyncSession]
# What fails so often will not succeed.
ATTEMPTS = 5


async def run_next(sessions: Sessions) -> bool:
    """Run the oldest operation that waits. False where none does."""
    async with sessions.begin() as session:
        operation = await Operations(session).claim()
    if operation is None:
        return False
    with tempfile.TemporaryFile() as file:
        async with sessions() as session:
            async for piece in Operations(session).pieces(operation.id):
                file.write(piece)
        await run(sessions, operation, file)
    return True


async def run(
    sessions: Sessions, operation: Operation, file: IO[bytes], told: Told = nobody
) -> None:
    """Run a leased operation on its input. What goes wrong is tried again, a few times."""
    if operation.cancel_requested:
        await _end_cancelled(sessions, operation.id)
        return
    try:
        await Import(sessions, operation, file, told).run()
    except LostLease:
        logger.info("an operation was let go", extra={"operation_id": str(operation.id)})
        await _end_cancelled(sessions, operation.id)
    except Exception:
        logger.exception("an operation failed", extra={"operation_id": str(operation.id)})
        await _give_back(sessions, operation)


async def _end_cancelled(sessions: Sessions, id: UUID) -> None:
    """Where it was let go because somebody cancelled it: that is its end."""
    async with sessions.begin() as session:
        operation = await Operations(session).lock(id)
        if operation.cancel_requested and operation.finished_at is None:
            await RegistryRows(session).clear(id)
            await Operations(session).finish(id, operation.fence, OperationStatus.CANCELLED)


async def _give_back(sessions: Sessions, operation: Operation) -> None:
    """To be tried again when the lease has run out; too often, and it has failed."""
    if operation.attempts < ATTEMPTS:
        return
    async with sessions.begin() as session:
        reached = (await Operations(session).find(operation.id)).state
        await RegistryRows(session).clear(operation.id)
        await Operations(session).finish(
            operation.id, operation.fence, OperationStatus.FAILED, problem="internal_error",
            result=reached.get("result", {}) | {"attempts": operation.attempts},
        )  # fmt: skip


async def cancel(session: AsyncSession, actor: Actor, operation: Operation) -> Operation:
    """Stop an operation: at once where nobody runs it, else at its next step.

    Raises Conflict `operation_finished` also once an import is applied: it stays so.
    """
    operations = Operations(session)
    operation = await operations.lock(operation.id)
    if operation.created_by != actor.id:
        check_importer(actor, operation.regency_code or "")
    if operation.finished_at is not None or operation.state.get("phase") == DRAFTING:
        raise Conflict("operation_finished")
    operation.cancel_requested = True
    await session.flush()
    if operation.status is OperationStatus.PENDING or operation.params.get("local"):
        await RegistryRows(session).clear(operation.id)
        await operations.finish(operation.id, operation.fence, OperationStatus.CANCELLED)
    return await operations.find(operation.id)
