"""Dispatches over HTTP: batches for the centre, their files, and its answers."""

import base64
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import line
from app.domain.complaints import cities
from app.domain.dispatches import Dispatch, Dispatches, DispatchRow, DispatchState, RowStatus
from app.domain.errors import Fault, Forbidden, Invalid
from app.domain.identifiers import masked_name
from app.domain.principals import Principals
from app.domain.registry_changes import ChangeKind
from app.routers.complaints.reads import EventRead
from app.routers.complaints.routes import history
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door, TableDoor
from app.routers.filled_tables import RowsOrTable
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Code, Count, Line, Moment, Name, Someone, items
from app.workflow.dispatches import verbs
from app.workflow.dispatches.acknowledging import acknowledge
from app.workflow.dispatches.answers import ANSWERS, ROWS_AT_MOST, Answer
from app.workflow.dispatches.files import FileFormat, sha256
from app.workflow.dispatches.verbs import CHANGES_AT_MOST, DISPATCHERS, check_dispatcher

router = APIRouter(prefix="/v1", tags=["registry"], route_class=Door)
# Answers may also come as the file that the centre sent back.
answers_router = APIRouter(prefix="/v1", tags=["registry"], route_class=TableDoor)
READERS = (*DISPATCHERS, Role.MANAGER, Role.HEAD)
Sha256 = Annotated[str, Field(json_schema_extra={"maxLength": 64})]
MEDIA_TYPES = {
    FileFormat.CSV: "text/csv; charset=utf-8; header=present",
    FileFormat.JSON: "application/json",
}


class DispatchAction(StrEnum):
    MARK_UPLOADED = "mark_uploaded"


class DispatchRead(BaseModel):
    """A batch, how far the centre has answered it, and the SHA-256 of its files."""

    id: UUID
    version: Count
    number: Code
    regency_code: Code
    state: DispatchState
    row_count: Count
    pending_count: Count
    confirmed_count: Count
    declined_count: Count
    csv_sha256: Sha256
    json_sha256: Sha256
    made_by: Someone
    made_at: Moment
    uploaded_by: Someone | None
    uploaded_at: Moment | None
    acknowledged_at: Moment | None
    actions: items(DispatchAction, 5)  # type: ignore[valid-type]


class DispatchRowRead(BaseModel):
    """A row: which change it is about, whom (masked), and what the centre said."""

    number: Count
    change_id: UUID
    kind: ChangeKind
    name: Name | None
    status: RowStatus
    reason: Line | None
    answered_at: Moment | None


class DispatchWithRows(DispatchRead):
    rows: items(DispatchRowRead, CHANGES_AT_MOST)  # type: ignore[valid-type]


class DispatchDraft(BaseModel):
    """Which approved changes to send: those named, or (null) all that no batch holds yet.

    `regency_code` is needed by those who work for more than one city.
    """

    model_config = ConfigDict(extra="forbid")

    change_ids: Annotated[list[UUID], Field(min_length=1, max_length=CHANGES_AT_MOST)] | None
    regency_code: (
        Annotated[str, Field(pattern=r"^[0-9]{2}\.[0-9]{2}$", min_length=5, max_length=5)] | None
    ) = None


class DispatchActionRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: DispatchAction


class AnswerStatus(StrEnum):
    CONFIRMED = "confirmed"
    DECLINED = "declined"


class AnswerSent(BaseModel):
    """What the centre says of a row, named by `change_id` or by its `number` in the batch."""

    model_config = ConfigDict(extra="forbid")

    change_id: UUID | None = None
    number: Annotated[int, Field(ge=1, le=CHANGES_AT_MOST, strict=True)] | None = None
    status: AnswerStatus
    reason: line(200) | None = None  # type: ignore[valid-type]


class AnswersSent(RowsOrTable):
    """The centre's answers; as `text/csv` the file it sent back, described in docs/dispatch.md."""

    table = ANSWERS

    rows: Annotated[list[AnswerSent], Field(min_length=1, max_length=ROWS_AT_MOST)]

    def answers(self) -> list[Answer]:
        """Raises Invalid for rows that name none, or decline without a reason."""
        faults = []
        for n, one in enumerate(self.rows):
            if (one.change_id is None) == (one.number is None):
                faults.append(Fault("row_ambiguous", f"/rows/{n}"))
            elif one.status is AnswerStatus.DECLINED and one.reason is None:
                faults.append(Fault("reason_required", f"/rows/{n}/reason"))
        if faults:
            one_reason = len(faults) == 1 and faults[0].code == "reason_required"
            code = "reason_required" if one_reason else "validation_failed"
            raise Invalid(code, tuple(faults[:50]))
        return self._lines or [
            Answer(RowStatus(one.status), one.reason, one.change_id, one.number, f"/rows/{n}")
            for n, one in enumerate(self.rows)
        ]


async def _find(session: AsyncSession, id: UUID, actor: Actor, _: datetime) -> Dispatch:
    return await Dispatches(session).get(id, actor.regions(*READERS))


FINDERS["dispatch_id"] = _find


@router.post(
    "/dispatches",
    status_code=201,
    response_model=DispatchWithRows,
    openapi_extra={CREATES: "dispatch"},
)
async def make_dispatch(
    draft: DispatchDraft, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Put approved changes into a numbered batch for the centre, 5,000 at the most."""
    city = _city(actor, draft.regency_code)
    if known := await retry.known():
        dispatch = await Dispatches(session).lock(UUID(known.ids["dispatch_id"]))
        return await _answer(session, actor, dispatch, known.status, replayed=True)
    dispatch = await verbs.make(session, actor, city, draft.change_ids, now)
    retry.remember(201, dispatch_id=dispatch.id)
    return await _answer(session, actor, dispatch, 201)


def _city(actor: Actor, wanted: str | None) -> str:
    """The city to dispatch for: the one asked for, or the only one."""
    if not actor.regions(*DISPATCHERS):
        raise Forbidden("role_not_allowed")
    if wanted is None:
        own = cities(actor.regions(*DISPATCHERS))
        if len(own) > 1 or "." not in own[0]:
            raise Invalid("missing", (Fault("missing", "/regency_code"),))
        wanted = own[0]
    elif not actor.holds_near(wanted, *DISPATCHERS):
        raise Invalid("unknown_region", (Fault("unknown_region", "/regency_code"),))
    check_dispatcher(actor, wanted)
    return wanted


@router.get("/dispatches", response_model=Page[DispatchRead])
async def list_dispatches(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    state: DispatchState | None = None,
) -> Response:
    """The batches of the caller's cities, newest first."""
    regions = actor.regions(*READERS)
    if not regions:
        raise Forbidden("role_not_allowed")
    rows = await Dispatches(session).page(regions, state, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    read = await _read(session, actor, list(page))
    return paging.answer(
        Page[DispatchRead], [DispatchRead.model_construct(**one) for one in read], following
    )


@router.get("/dispatches/{dispatch_id}", response_model=DispatchWithRows)
async def get_dispatch(
    dispatch_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One batch with its rows; names are masked, numbers are not shown."""
    return await _answer(session, actor, subject)


@router.get("/dispatches/{dispatch_id}/file", response_class=Response)
async def get_dispatch_file(
    dispatch_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    format: Annotated[FileFormat, Query(description="The same rows as a table, or as JSON.")],
) -> Response:
    """The file for the centre, with the full numbers; that it was read is recorded.

    The same bytes each time, whose SHA-256 is in `Repr-Digest` and in the batch.
    """
    file = await verbs.file_of(session, actor, subject, format, now)
    digest = base64.b64encode(bytes.fromhex(sha256(file))).decode()
    headers = {
        "Content-Disposition": f'attachment; filename="{subject.number}.{format}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    return Response(file, 200, headers, media_type=MEDIA_TYPES[format])


@router.post("/dispatches/{dispatch_id}/actions", response_model=DispatchWithRows)
async def act_on_dispatch(
    dispatch_id: UUID,
    body: DispatchActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """`mark_uploaded`: the centre has the file, and with it the data of the complaints."""
    check_dispatcher(actor, subject.regency_code)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, replayed=True)
    version = read_version(visit, required=actor.is_person)
    dispatch = await verbs.mark_uploaded(session, actor, subject.id, now, version)
    retry.remember(200, dispatch_id=dispatch.id)
    return await _answer(session, actor, dispatch)


@answers_router.post("/dispatches/{dispatch_id}/acknowledgements", response_model=DispatchWithRows)
async def acknowledge_dispatch(
    dispatch_id: UUID,
    body: AnswersSent,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """What the centre says, row by row: all that is sent is taken in, or nothing.

    The same answer again changes nothing; needs no If-Match.
    """
    check_dispatcher(actor, subject.regency_code)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, replayed=True)
    dispatch = await acknowledge(session, actor, subject.id, body.answers(), now)
    retry.remember(200, dispatch_id=dispatch.id)
    return await _answer(session, actor, dispatch)


@router.get("/dispatches/{dispatch_id}/events", response_model=Page[EventRead])
async def list_dispatch_events(
    dispatch_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """The history of a batch, oldest first: also who read its files."""
    return await history(session, subject.id, paging)


async def _answer(
    session: AsyncSession,
    actor: Actor,
    dispatch: Dispatch,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    await session.flush()
    dispatches = Dispatches(session)
    fields = (await _read(session, actor, [dispatch]))[0]
    rows = [_row(one, dispatches.content(one)) for one in await dispatches.rows(dispatch.id)]
    body = DispatchWithRows.model_construct(**fields, rows=rows)
    location = f"/v1/dispatches/{dispatch.id}" if status == 201 else None
    return reply(body, status, version=dispatch.version, location=location, replayed=replayed)


def _row(row: DispatchRow, content: dict[str, Any]) -> DispatchRowRead:
    return DispatchRowRead.model_construct(
        number=row.number,
        change_id=row.registry_change_id,
        kind=ChangeKind(content["kind"]),
        name=masked_name(content["name"]) if content["name"] else None,
        status=row.status,
        reason=row.reason,
        answered_at=row.answered_at,
    )


async def _read(
    session: AsyncSession, actor: Actor, dispatches: list[Dispatch]
) -> list[dict[str, Any]]:
    people = {one.made_by for one in dispatches} | {one.uploaded_by for one in dispatches}
    names = await Principals(session).names(people)
    counts = await Dispatches(session).counts([one.id for one in dispatches])

    def someone(id: UUID | None) -> Someone | None:
        return Someone(id=id, name=names.get(id)) if id else None

    def actions(one: Dispatch) -> list[DispatchAction]:
        able = one.state is DispatchState.MADE and actor.holds(one.regency_code, *DISPATCHERS)
        return [DispatchAction.MARK_UPLOADED] if able else []

    return [
        {
            name: getattr(one, name)
            for name in DispatchRead.model_fields.keys() & Dispatch.model_fields.keys()
        }
        | {f"{status}_count": counts[one.id].get(status, 0) for status in RowStatus}
        | {
            "made_by": someone(one.made_by),
            "uploaded_by": someone(one.uploaded_by),
            "actions": actions(one),
        }
        for one in dispatches
    ]
