"""What waits for the caller, over HTTP."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.domain.inbox import Inbox, Why
from app.domain.notifications import SubjectKind
from app.routers.deps import CurrentActor, Now, Paged, Session
from app.routers.doors import Door
from app.routers.pages import FAR, Page
from app.routers.replies import reply
from app.routers.resources import Code, Count, Line, Moment, Word, items

router = APIRouter(prefix="/v1", tags=["inbox"], route_class=Door)


class InboxItemRead(BaseModel):
    """Something that waits for the caller, and why: assigned, pool, escalated, breach."""

    kind: SubjectKind
    subject: Line
    id: UUID
    complaint_id: UUID | None
    ticket: Word | None
    state: Word
    why: Why
    since: Moment
    due_at: Moment | None
    overdue: bool
    priority: Word
    region_code: Code
    program_code: Code | None


class InboxCount(BaseModel):
    kind: SubjectKind
    state: Word
    why: Why
    count: Count
    overdue: Count


class InboxSummary(BaseModel):
    """How much waits; the counts are those of the list."""

    total: Count
    overdue: Count
    groups: items(InboxCount, 200)  # type: ignore[valid-type]


@router.get("/inbox", response_model=Page[InboxItemRead])
async def list_inbox(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """What waits for the caller, soonest due first."""
    rows = await Inbox(session).page(
        actor, paging.after(datetime.fromisoformat, UUID), paging.rows, now
    )
    page, following = paging.cut(rows, lambda one: (one.due_at or FAR, one.id))
    found = [
        InboxItemRead(
            kind=one.kind,
            subject=f"{one.kind.path}/{one.id}",
            id=one.id,
            complaint_id=one.complaint_id,
            ticket=one.ticket,
            state=one.state,
            why=one.why,
            since=one.since,
            due_at=one.due_at,
            overdue=one.due_at is not None and one.due_at <= now,
            priority=one.priority,
            region_code=one.village_code,
            program_code=one.program_code,
        )
        for one in page
    ]
    return paging.answer(Page[InboxItemRead], found, following)


@router.get("/inbox/summary", response_model=InboxSummary)
async def summarise_inbox(session: Session, actor: CurrentActor, now: Now) -> Response:
    """How much waits for the caller, by kind, state and reason."""
    groups = [
        InboxCount(kind=kind, state=state, why=why, count=count, overdue=overdue)
        for kind, state, why, count, overdue in await Inbox(session).counts(actor, now)
    ]
    body = InboxSummary(
        total=sum(group.count for group in groups),
        overdue=sum(group.overdue for group in groups),
        groups=groups,
    )
    return reply(body)
