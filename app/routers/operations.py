"""Operations over HTTP: how far long work has come, what it found, cancelling it."""

import csv
import io
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.operations import (
    UNFINISHED,
    Operation,
    OperationKind,
    Operations,
    OperationStatus,
)
from app.problems import language_of
from app.problems.catalogue import CATALOGUE, fault_text
from app.routers.deps import CurrentActor, Now, Retrying, Session, Subject
from app.routers.doors import FINDERS, Door
from app.routers.replies import reply
from app.routers.resources import Line, Moment, Word
from app.workflow import operations

router = APIRouter(prefix="/v1", tags=["running"], route_class=Door)
Large = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 10**12})]
# A cell that begins so is run as a formula by whoever opens the list in a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
POLL_AFTER = 2


class Progress(BaseModel):
    """How much is done, of how much: bytes of the file, for an import."""

    done: Large
    total: Large


class OperationProblem(BaseModel):
    """Why it failed."""

    code: Word
    title: Line
    detail: Line


class OperationRead(BaseModel):
    """Accepted work. `result` is what it came to, `result_url` where its faults are listed."""

    id: UUID
    kind: OperationKind
    status: OperationStatus
    progress: Progress
    attempts: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 1000})]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    result_url: Line | None
    result: dict[str, Any] | None
    problem: OperationProblem | None


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> Operation:
    return await Operations(session).get(id, actor)


FINDERS["operation_id"] = _find


def answer(
    request: Request, one: Operation, status: int = 200, *, replayed: bool = False
) -> Response:
    """An operation as it stands; whoever waits for it is told when to ask again."""
    headers = {}
    if one.status in UNFINISHED:
        headers["Retry-After"] = str(POLL_AFTER)
    location = f"/v1/operations/{one.id}" if status == 202 else None
    body = read(one, language_of(request.headers.get("accept-language")))
    return reply(body, status, location=location, replayed=replayed, headers=headers)


def read(one: Operation, language: str) -> OperationRead:
    problem = None
    if one.problem is not None:
        kind = CATALOGUE[one.problem]
        problem = OperationProblem(
            code=kind.code, title=kind.title(language), detail=kind.advice(language)
        )
    return OperationRead(
        id=one.id,
        kind=one.kind,
        status=one.status,
        progress=Progress(done=one.done, total=one.total),
        attempts=one.attempts,
        created_at=one.created_at,
        started_at=one.started_at,
        finished_at=one.finished_at,
        result_url=f"/v1/operations/{one.id}/faults" if one.finished_at else None,
        result=one.result,
        problem=problem,
    )


@router.get("/operations/{operation_id}", response_model=OperationRead)
async def get_operation(operation_id: UUID, request: Request, subject: Subject) -> Response:
    """How far it has come."""
    return answer(request, subject)


@router.post("/operations/{operation_id}/cancel", response_model=OperationRead)
async def cancel_operation(
    operation_id: UUID,
    request: Request,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Stop it: at once, or at its next step. What was applied stays applied."""
    if await retry.known() is not None:
        return answer(request, subject, replayed=True)
    cancelled = await operations.cancel(session, actor, subject)
    retry.remember(200)
    return answer(request, cancelled)


@router.get("/operations/{operation_id}/faults", response_class=Response)
async def get_faults(
    operation_id: UUID, request: Request, subject: Subject, session: Session
) -> Response:
    """What was wrong in the file, as CSV: line, column, masked value, code, reason."""
    language = language_of(request.headers.get("accept-language"))
    text = await faults_csv(session, subject.id, language)
    return Response(
        text.encode(),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="faults-{subject.id}.csv"',
        },
    )


async def faults_csv(session: AsyncSession, id: UUID, language: str) -> str:
    """The list of faults as a file that a spreadsheet may open."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("line", "column", "value", "code", "refused", "reason"))
    for one in await Operations(session).faults(id):
        reason = fault_text(one.code, {}, language)
        refused = "yes" if one.refused else "no"
        cells = (_harmless(one.column), _harmless(one.value))
        writer.writerow((one.line, *cells, one.code, refused, reason))
    return out.getvalue()


def _harmless(text: str | None) -> str:
    return f"'{text}" if text and text.startswith(FORMULA) else text or ""
