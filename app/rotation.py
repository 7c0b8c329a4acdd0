"""Rotating the sealing keys: what is sealed under which, sealing anew, retiring a key.

Small transactions one after another: what a kill leaves undone, the next run finds again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from app.database import Sessions
from app.domain.sealed import SEALED, Place, Sealed, SealedValues

BATCH = 500
PASSES = 5
# For those who hold a row to be done with it.
PAUSE = 0.5


async def status(sessions: Sessions) -> dict[str, dict[str, int]]:
    """How many values stand under each key, by place."""
    found = {}
    for sealed in SEALED:
        async with sessions.begin() as session:
            found[sealed.name] = dict(await SealedValues(session).count(sealed))
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


def _others(counts: Counter[str], current: str) -> int:
    return sum(count for key_id, count in counts.items() if key_id != current)
