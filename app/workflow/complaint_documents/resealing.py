"""Sealing the files of documents anew, under the current key."""

import asyncio
import logging
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaint_documents import ComplaintDocuments, seal, unseal
from app.domain.identifiers import Keys
from app.files import Files, files_of

logger = logging.getLogger("slrt.files")


async def reseal_next(session: AsyncSession, after: UUID | None, limit: int) -> list[UUID]:
    """Seal the next files anew; the ids of their documents.

    A file is replaced before its row says so: what is cut off in between is sealed once more, and
    a reader finds the one or the other. A file that is not there is left as the row has it.
    """
    documents, keys = ComplaintDocuments(session), Keys.of(session)
    rows = await documents.under_other_keys(after, limit)
    if rows:
        files, owner = files_of(session.info), await documents.owner()
    for row in rows:
        try:
            await asyncio.to_thread(_reseal, files, keys, owner, row.id)
        except FileNotFoundError:
            logger.error("a file is missing", extra={"document_id": str(row.id)})
        else:
            row.key_id = keys.current
    return [row.id for row in rows]


def _reseal(files: Files, keys: Keys, owner: UUID, id: UUID) -> None:
    files.put(owner, id, seal(keys, id, unseal(keys, id, files.get(owner, id))))
