"""The verbs of a complaint's documents: add one, read one, let go of files without a row."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import region_of, text
from app.domain.complaint_documents import ComplaintDocument, ComplaintDocuments
from app.domain.complaints import (
    DOCUMENT_READ,
    Complaint,
    Complaints,
    ComplaintState,
)
from app.domain.errors import Conflict, Fault, Forbidden
from app.domain.identifiers import no_number
from app.domain.vocabulary import Document
from app.files import Files
from app.workflow.complaint_documents.copying import Copy
from app.workflow.complaints.case import Case
from app.workflow.complaints.filing import ClientRef
from app.workflow.complaints.table import MACHINE
from app.workflow.history import log

ADDED, READ = "complaint.document_added", DOCUMENT_READ
# An upload takes minutes: what has no row after so long will never have one.
WITHOUT_ROW = timedelta(days=1)
# How far back files are looked through.
LOOKED_BACK = 30
AT_ONCE = 1000


class DocumentDraft(BaseModel):
    """What is said of a file that is uploaded."""

    model_config = ConfigDict(extra="forbid")

    kind: Document
    note: Annotated[text(500), AfterValidator(no_number)] | None = None  # type: ignore[valid-type]
    client_ref: ClientRef | None = None


async def check_uploader(session: AsyncSession, actor: Actor, complaint: Complaint) -> None:
    """Raises Forbidden for those who see the complaint and have no part in it.

    Part have its desk, supervisors, whoever filed it, and facilitators who are, or were, assigned:
    what was photographed on a visit comes when the tablet is back on the line.
    """
    mine = actor.id in (complaint.submitted_by, complaint.assigned_to)
    desk = actor.holds(complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
    if mine or desk or actor.holds_near(complaint.regency_code, Role.SUPERVISOR):
        return
    if not await Complaints(session).was_assigned(complaint.id, actor.id):
        raise Forbidden("role_not_allowed")


def check_open(actor: Actor, complaint: Complaint, at: datetime) -> None:
    """Raises Conflict for a complaint that is closed and that nothing can open again."""
    if complaint.state is not ComplaintState.CLOSED:
        return
    case = Case(complaint, at)
    ways = (row for (state, _), row in MACHINE.rows.items() if state is complaint.state)
    if not any(all(guard.holds(case, actor, None) for guard in way.guards) for way in ways):
        raise Conflict("complaint_closed")


async def known(
    session: AsyncSession, actor: Actor, complaint_id: UUID, draft: DocumentDraft, sha256: str
) -> ComplaintDocument | None:
    """The document that the same file, or the same reference, made before.

    Raises Conflict `client_ref_taken` where the reference came with other content, and
    `document_kept_already` where the file is there as another kind.
    """
    documents = ComplaintDocuments(session)
    if draft.client_ref is not None:
        found = await documents.by_client_ref(actor.id, draft.client_ref)
        if found is not None:
            was = (found.complaint_id, found.kind, found.note, found.sha256)
            if was != (complaint_id, draft.kind, draft.note, sha256):
                raise Conflict("client_ref_taken")
            return found
    found = await documents.of_file(complaint_id, sha256)
    if found is not None and found.kind is not draft.kind:
        fault = Fault("document_kept_already", "/kind")
        raise Conflict("document_kept_already", (fault,), document_id=str(found.id))
    return found


async def add(
    session: AsyncSession,
    actor: Actor,
    complaint_id: UUID,
    draft: DocumentDraft,
    sha256: str,
    received_size: int,
    media_type: str,
    copy: Copy | None,
    at: datetime,
) -> tuple[ComplaintDocument, bool]:
    """The document of a file whose clean copy is kept, and whether it is new.

    The complaint's version stays: a document disturbs nobody who is deciding. Raises what `known`
    and `check_open` raise.
    """
    if draft.client_ref is not None:
        await ComplaintDocuments(session).lock_client_ref(actor.id, draft.client_ref)
    complaint = await Complaints(session).lock(complaint_id)
    found = await known(session, actor, complaint_id, draft, sha256)
    if found is not None:
        return found, False
    check_open(actor, complaint, at)
    assert copy is not None
    document = ComplaintDocument(
        id=copy.id, complaint_id=complaint.id, kind=draft.kind, note=draft.note,
        client_ref=draft.client_ref, media_type=media_type, size=copy.size, width=copy.width,
        height=copy.height, pages=copy.pages, sha256=sha256, received_size=received_size,
        key_id=copy.key_id, uploaded_by=actor.id, uploaded_at=at, **region_of(complaint),
    )  # fmt: skip
    ComplaintDocuments(session).add(document)
    log(session, ADDED, complaint, actor, at, document_id=str(document.id), kind=document.kind)
    return document, True


def note_reading(
    session: AsyncSession,
    actor: Actor,
    complaint: Complaint,
    document: ComplaintDocument,
    at: datetime,
) -> None:
    """Leave on record that somebody read the content."""
    log(session, READ, complaint, actor, at, document_id=str(document.id))


async def let_go_of_strays(session: AsyncSession, files: Files, at: datetime) -> int:
    """Remove files that no row names: their upload was cut off before its commit. `at` is real
    time: files know no other."""
    documents = ComplaintDocuments(session)
    owner, last, count = await documents.owner(), (at - WITHOUT_ROW).date(), 0
    for back in range(1, LOOKED_BACK + 1):
        ids = await asyncio.to_thread(
            lambda day: list(files.on(owner, day)), last - timedelta(back)
        )
        for begin in range(0, len(ids), AT_ONCE):
            strays = await documents.unknown(ids[begin : begin + AT_ONCE])
            for id in strays:
                await asyncio.to_thread(files.remove, owner, id)
            count += len(strays)
    return count
