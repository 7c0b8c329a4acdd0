"""Documents of complaints over HTTP: uploaded, listed, read."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaint_documents import (
    MEDIA_TYPES,
    ComplaintDocument,
    ComplaintDocuments,
    unseal,
)
from app.domain.errors import Fault, Invalid, Unavailable, UnsupportedMediaType
from app.domain.identifiers import Keys
from app.domain.principals import Principals
from app.domain.vocabulary import Document
from app.files import files_of
from app.problems import fault_of
from app.routers.bodies import Upload
from app.routers.deps import (
    CurrentActor,
    CurrentKeys,
    CurrentVisit,
    Now,
    Paged,
    Retry,
    Retrying,
    Session,
    Subject,
)
from app.routers.doors import CREATES, Door, FileDoor, Visit, Wiring, Work
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Count, Moment, Someone, Word, text
from app.workflow.complaint_documents import verbs
from app.workflow.complaint_documents.copying import keep_copy, type_of
from app.workflow.complaint_documents.verbs import DocumentDraft

LIMIT = 10 * 1024 * 1024
# How long a client waits for its turn at the copies.
TURN_WITHIN = 30.0
ENDINGS = dict(zip(MEDIA_TYPES, ("pdf", "jpg", "png", "webp"), strict=True))
DocumentId = Annotated[UUID, Path()]
Side = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 2048})]


class DocumentDoor(FileDoor):
    """A form with a photo or PDF, whose clean copy is made before the call's unit of work."""

    works_first = True
    file_limit, too_large = LIMIT, "document_too_large"

    async def plan(self, visit: Visit, wiring: Wiring) -> Work | None:
        upload: Upload = visit.sent
        complaint, actor, session = visit.subject, visit.actor, visit.session
        assert actor is not None
        draft = _draft(upload)
        media_type = await asyncio.to_thread(_media_type, upload)
        await verbs.check_uploader(session, actor, complaint)
        if await Retry(visit).known():
            return None
        if await verbs.known(session, actor, complaint.id, draft, upload.digest):
            return None
        verbs.check_open(actor, complaint, visit.now)
        files, keys = files_of(session.info), Keys.of(session)
        owner = await ComplaintDocuments(session).owner()

        async def work() -> None:
            try:
                async with asyncio.timeout(TURN_WITHIN):
                    await wiring.copies.acquire()
            except TimeoutError:
                raise Unavailable("busy", retry_after=5) from None
            try:
                copy = await asyncio.to_thread(
                    keep_copy, upload.file, media_type, files, keys, owner
                )
            finally:
                wiring.copies.release()
            upload.made, upload.undo = copy, partial(files.remove, owner, copy.id)

        return work


uploads_router = APIRouter(prefix="/v1", tags=["complaints"], route_class=DocumentDoor)
router = APIRouter(prefix="/v1", tags=["complaints"], route_class=Door)
FORM = {
    "type": "object",
    "required": ["file", "kind"],
    "properties": {
        "file": {"type": "string", "format": "binary", "maxLength": LIMIT},
        "kind": {"type": "string", "enum": [str(kind) for kind in Document]},
        "note": {"type": "string", "minLength": 1, "maxLength": 500},
        "client_ref": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._:-]{1,64}$",
            "maxLength": 64,
        },
    },
}


class DocumentRead(BaseModel):
    """A photo or PDF of a complaint.

    `size` (bytes), `width`, `height` (pixels) and `pages` are those of the clean copy that is kept
    and given out; `sha256` and `received_size` those of the file as it was received.
    """

    id: UUID
    complaint_id: UUID
    kind: Document
    note: text(500) | None  # type: ignore[valid-type]
    client_ref: text(64) | None  # type: ignore[valid-type]
    media_type: Word
    size: Count
    width: Side | None
    height: Side | None
    pages: Count | None
    sha256: text(64)  # type: ignore[valid-type]
    received_size: Count
    uploaded_by: Someone
    uploaded_at: Moment


@uploads_router.post(
    "/complaints/{complaint_id}/documents",
    status_code=201,
    response_model=DocumentRead,
    openapi_extra={
        CREATES: "document",
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": FORM,
                    "encoding": {"file": {"contentType": ", ".join(MEDIA_TYPES)}},
                }
            },
        },
    },
)
async def upload_document(
    complaint_id: UUID,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """A photo or PDF about a complaint: JPEG, PNG, WebP, PDF, at most 10 MiB and 25 megapixels.

    What is kept is a clean copy: images upright, at most 2,048 pixels wide and high, without what
    the camera wrote into them; PDFs without traces of who made them. The same file of the same
    complaint is there once: it answers 200 with the first document.
    """
    upload: Upload = visit.sent
    await verbs.check_uploader(session, actor, subject)
    if known := await retry.known():
        id = UUID(known.ids["document_id"])
        document = await ComplaintDocuments(session).get(subject.id, id)
        status, replayed = known.status, True
    else:
        media_type = await asyncio.to_thread(_media_type, upload)
        document, created = await verbs.add(
            session, actor, subject.id, _draft(upload), upload.digest, upload.size, media_type,
            upload.made, now,
        )  # fmt: skip
        if created:
            # Whether the commit succeeds or not: a row must never lack its file.
            upload.undo = None
        status, replayed = (201, False) if created else (200, True)
        retry.remember(status, document_id=document.id)
    [body] = await _read(session, [document])
    place = f"/v1/complaints/{subject.id}/documents/{document.id}"
    return reply(body, status, version=1, location=place, replayed=replayed)


@router.get("/complaints/{complaint_id}/documents", response_model=Page[DocumentRead])
async def list_documents(
    complaint_id: UUID, subject: Subject, session: Session, paging: Paged
) -> Response:
    """The documents of a complaint, in the order in which they came."""
    after = paging.after(UUID)
    rows = await ComplaintDocuments(session).page(subject.id, after, paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[DocumentRead], await _read(session, page), following)


@router.get("/complaints/{complaint_id}/documents/{document_id}", response_model=DocumentRead)
async def get_document(
    complaint_id: UUID, document_id: DocumentId, subject: Subject, session: Session
) -> Response:
    """One document, without its content. It never changes."""
    document = await ComplaintDocuments(session).get(subject.id, document_id)
    [body] = await _read(session, [document])
    return reply(body, version=1)


@router.get(
    "/complaints/{complaint_id}/documents/{document_id}/content",
    response_class=Response,
    responses={
        200: {
            "content": {
                media_type: {"schema": {"type": "string", "maxLength": 24 * 1024 * 1024}}
                for media_type in MEDIA_TYPES
            }
        }
    },
)
async def get_document_content(
    complaint_id: UUID,
    document_id: DocumentId,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    keys: CurrentKeys,
) -> Response:
    """The clean copy, as an attachment that no browser runs; that it was read is recorded."""
    documents = ComplaintDocuments(session)
    document = await documents.get(subject.id, document_id)
    owner, files = await documents.owner(), files_of(session.info)
    # On record before it is read; and it is read while no connection is held.
    verbs.note_reading(session, actor, subject, document, now)
    await visit.let_go()
    sealed = await asyncio.to_thread(files.get, owner, document.id)
    content = await asyncio.to_thread(unseal, keys.data, document.id, sealed)
    name = f"{document.kind}-{document.id}.{ENDINGS[document.media_type]}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, 200, headers, media_type=document.media_type)


def _draft(upload: Upload) -> DocumentDraft:
    try:
        return DocumentDraft.model_validate(upload.fields)
    except ValidationError as error:
        faults = tuple(fault_of(item, skip=0) for item in error.errors()[:50])
        raise Invalid("validation_failed", faults) from None


def _media_type(upload: Upload) -> str:
    """The type of an uploaded file, where it is one that is taken and the one that was said."""
    if upload.media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType("file_type_not_taken")
    found = type_of(upload.file)
    if found != upload.media_type:
        raise Invalid("file_type_mismatch", (Fault("file_type_mismatch", "/file"),))
    return found


async def _read(
    session: AsyncSession, documents: Sequence[ComplaintDocument]
) -> list[DocumentRead]:
    names = await Principals(session).names({one.uploaded_by for one in documents})
    kept = DocumentRead.model_fields.keys() - {"uploaded_by"}
    return [
        DocumentRead.model_construct(
            **{name: getattr(one, name) for name in kept},
            uploaded_by=Someone(id=one.uploaded_by, name=names.get(one.uploaded_by)),
        )
        for one in documents
    ]
