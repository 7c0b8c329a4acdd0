"""Rotating the sealing keys: what is sealed under which, sealing anew, retiring a key.

Small transactions one after another: what a kill leaves undone, the next run finds again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from app.database import Sessions
from app.domain.complaint_documents import FILE_PLACE, ComplaintDocuments
from app.domain.sealed import SEALED, Place, Sealed, SealedValues
from app.workflow.complaint_documents.resealing import reseal_next

BATCH = 500
FILES_AT_ONCE = 8
PASSES = 5
# For those who hold a row to be done with it.
PAUSE = 0.5


async def status(sessions: Sessions) -> dict[str, dict[str, int]]:
    """How many values stand under each key, by place."""
    found = {}
    for sealed in SEALED:
        async with sessions.begin() as session:
            found[sealed.name] = dict(await SealedValues(session).count(sealed))
    async with sessions.begin() as session:
        found[".".join(FILE_PLACE)] = dict(await ComplaintDocuments(session).count_by_key())
    return found


async def under(sessions: Sessions) -> Counter[str]:
    """How many values stand under each key, everywhere."""
    total: Counter[str] = Counter()
    for counts in (await status(sessions)).values():
        total.update(counts)
    return total


async def retire(sessions: Sessions, key_id: str, take_out: Callable[[], None]) -> int:
    """Take a key out that nothing is sealed under. Returns how many values need it; then it stays.

    What an import or a call is writing just now counts too: it is waited for.
    """
    async with sessions.begin() as session:
        values = SealedValues(session)
        await values.hold()
        used = sum([(await values.count(sealed)).get(key_id, 0) for sealed in SEALED])
        used += (await ComplaintDocuments(session).count_by_key()).get(key_id, 0)
        if not used:
            take_out()
    return used


async def reseal(sessions: Sessions, current: str, told: Callable[[int, int], None]) -> int:
    """Bring everything under the current key; `told` hears how many are done, of how many.

    Returns how many are left: rows that others held all the while, or that processes wrote which
    still run with the former key.
    """
    left = _others(await under(sessions), current)
    total, done = left, 0
    told(done, total)
    for turn in range(PASSES):
        if not left:
            break
        if turn:
            await asyncio.sleep(PAUSE)
        for sealed in SEALED:
            async for count in _batches(sessions, sealed):
                done += count
                told(min(done, total), total)
        async for count in _files(sessions):
            done += count
            told(min(done, total), total)
        left = _others(await under(sessions), current)
    return left


async def _batches(sessions: Sessions, sealed: Sealed) -> AsyncIterator[int]:
    """Go once through a column, a transaction for each batch."""
    after: Place | None = None
    while True:
        async with sessions.begin() as session:
            places = await SealedValues(session).reseal(sealed, after, BATCH)
        if not places:
            return
        after = places[-1]
        yield len(places)


async def _files(sessions: Sessions) -> AsyncIterator[int]:
    """Go once through the files, a transaction for a few of them."""
    after: UUID | None = None
    while True:
        async with sessions.begin() as session:
            ids = await reseal_next(session, after, FILES_AT_ONCE)
        if not ids:
            return
        after = ids[-1]
        yield len(ids)


def _others(counts: Counter[str], current: str) -> int:
    return sum(count for key_id, count in counts.items() if key_id != current)
