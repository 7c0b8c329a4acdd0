"""Naming a document of a complaint elsewhere: as proof of a delivery, or as evidence."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaint_documents import ComplaintDocuments
from app.domain.errors import Fault, Invalid


async def check_named(
    session: AsyncSession, complaint_id: UUID | None, ids: Mapping[str, UUID]
) -> None:
    """Raises Invalid `unknown_document` for ids, by pointer, that are no documents of a complaint.

    Where there is no complaint, none can be named.
    """
    if not ids:
        return
    unknown = set(ids.values())
    if complaint_id is not None:
        unknown = await ComplaintDocuments(session).unknown(unknown, complaint_id)
    faults = [Fault("unknown_document", pointer) for pointer, id in ids.items() if id in unknown]
    if faults:
        raise Invalid("unknown_document", tuple(faults))
