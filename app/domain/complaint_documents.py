"""Documents of a complaint: what was uploaded to it, and the sealed files behind the rows."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import CODE, InRegion, Record, enum_type
from app.domain.deployment import Deployment
from app.domain.errors import NotFound
from app.domain.identifiers import Keys
from app.domain.vocabulary import Document

FILE_PLACE = ("complaint_documents", "file")
MEDIA_TYPES = ("application/pdf", "image/jpeg", "image/png", "image/webp")


class ComplaintDocument(InRegion, Record, table=True):
    """A photo or PDF about a complaint. It never changes.

    `size`, `width`, `height` and `pages` are those of the clean copy that is kept; `sha256` and
    `received_size` those of the file as it was received. `key_id` says under which key the file is
    sealed, or that it is sealed under a newer one since.
    """

    __tablename__ = "complaint_documents"
    __table_args__ = (
        sa.UniqueConstraint("complaint_id", "sha256"),
        sa.UniqueConstraint("uploaded_by", "client_ref"),
    )

    complaint_id: UUID = Field(foreign_key="complaints.id")
    kind: Document = Field(sa_type=enum_type(Document))
    note: str | None = Field(default=None, max_length=500)
    client_ref: str | None = Field(default=None, sa_type=CODE, max_length=64)
    media_type: str = Field(max_length=40)
    size: int
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    sha256: str = Field(max_length=64)
    received_size: int
    key_id: str = Field(sa_type=CODE, max_length=40)
    uploaded_by: UUID = Field(foreign_key="principals.id")
    uploaded_at: datetime


D = ComplaintDocument


def seal(keys: Keys, id: UUID, content: bytes) -> bytes:
    """The file of a document as it is kept: bound to it, so that it opens for no other."""
    return keys.seal_bytes(content, *FILE_PLACE, id)


def unseal(keys: Keys, id: UUID, sealed: bytes) -> bytes:
    return keys.open_bytes(sealed, *FILE_PLACE, id)


class ComplaintDocuments:
    """The only place that writes SQL about documents of complaints."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, document: ComplaintDocument) -> None:
        self.session.add(document)

    async def owner(self) -> UUID:
        """As whose the files of this database are kept."""
        id = await self.session.scalar(sa.select(col(Deployment.files_id)))
        assert isinstance(id, UUID)
        return id

    async def get(self, complaint_id: UUID, id: UUID) -> ComplaintDocument:
        """A document of a complaint that the caller sees. Raises NotFound."""
        found = await self.session.get(ComplaintDocument, id)
        if found is None or found.complaint_id != complaint_id:
            raise NotFound
        return found

    async def page(
        self, complaint_id: UUID, after: UUID | None, limit: int
    ) -> list[ComplaintDocument]:
        """The documents of a complaint in the order in which they came."""
        statement = sa.select(D).where(col(D.complaint_id) == complaint_id).order_by(col(D.id))
        if after is not None:
            statement = statement.where(col(D.id) > after)
        return list(await self.session.scalars(statement.limit(limit)))

    async def unknown(self, ids: Collection[UUID], complaint_id: UUID | None = None) -> set[UUID]:
        """Those of some ids that are no document; with a complaint, no document of it."""
        known = sa.select(col(D.id)).where(col(D.id).in_(ids))
        if complaint_id is not None:
            known = known.where(col(D.complaint_id) == complaint_id)
        return set(ids) - set(await self.session.scalars(known))

    async def of_file(self, complaint_id: UUID, sha256: str) -> ComplaintDocument | None:
        """What was made of the same file before."""
        statement = sa.select(D).where(col(D.complaint_id) == complaint_id, col(D.sha256) == sha256)
        return (await self.session.scalars(statement)).one_or_none()

    async def by_client_ref(self, uploaded_by: UUID, client_ref: str) -> ComplaintDocument | None:
        statement = sa.select(D).where(
            col(D.uploaded_by) == uploaded_by, col(D.client_ref) == client_ref
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def lock_client_ref(self, uploaded_by: UUID, client_ref: str) -> None:
        """Two uploads under the same reference wait for each other."""
        lock = sa.func.hashtextextended(f"document_ref:{uploaded_by}:{client_ref}", 0)
        await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))

    async def count_by_key(self) -> Mapping[str, int]:
        """How many files are sealed under each key, by the key's id."""
        statement = sa.select(col(D.key_id), sa.func.count()).group_by(col(D.key_id))
        rows = (await self.session.execute(statement.order_by(col(D.key_id)))).all()
        return {str(id): int(count) for id, count in rows}

    async def under_other_keys(self, after: UUID | None, limit: int) -> list[ComplaintDocument]:
        """The next documents whose files are not under the current key, held until commit;
        those that somebody else holds are left for another time."""
        current = Keys.of(self.session).current
        statement = sa.select(D).where(col(D.key_id) != current).order_by(col(D.id)).limit(limit)
        if after is not None:
            statement = statement.where(col(D.id) > after)
        return list(await self.session.scalars(statement.with_for_update(skip_locked=True)))
