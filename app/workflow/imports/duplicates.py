"""What an import finds twice: drafted as changes, for the desk to look at and put forward."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor, PrincipalKind
from app.domain.errors import DomainError
from app.domain.principals import Principals
from app.domain.registry_changes import ChangeKind, ChangeOrigin
from app.domain.registry_duplicates import Pair, RegistryDuplicates
from app.workflow.registry_changes import drafting
from app.workflow.registry_changes.drafts import ChangeDraft


async def draft(
    session: AsyncSession, pairs: Sequence[Pair], by: UUID, regency_code: str, at: datetime
) -> int:
    """A draft for each pair that nobody has made one of: the later row goes into the earlier.

    Returns how many were made. A pair of whom one has gone meanwhile is passed over.
    """
    actor = await _importer(session, by)
    judged = await RegistryDuplicates(session).judged(pairs)
    made = 0
    for pair in pairs:
        if pair in judged:
            continue
        stays, twice = pair
        wanted = ChangeDraft(kind=ChangeKind.MERGE_DUPLICATE, member_id=twice, into_id=stays)
        try:
            await drafting.draft(
                session, actor, wanted, ChangeOrigin.IMPORT, at, regency_code=regency_code
            )
        except DomainError:
            continue
        made += 1
    return made


async def _importer(session: AsyncSession, id: UUID) -> Actor:
    """Whoever imported, also where they have left since."""
    if id == SYSTEM.id:
        return SYSTEM
    found = await Principals(session).actor(id)
    return found[0] if found else Actor(id, PrincipalKind.PERSON, "", "")
