"""Notifications over HTTP: what the caller was told."""

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from app.domain.notifications import Notifications, Step, SubjectKind
from app.routers.deps import CurrentActor, Now, Paged, Session
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Count, Line, Moment

router = APIRouter(prefix="/v1", tags=["notifications"], route_class=Door)


class NotificationRead(BaseModel):
    """Why the caller was told, about what, and whether it has been read."""

    id: UUID
    at: Moment
    subject: Line
    kind: SubjectKind
    step: Step
    read_at: Moment | None


class UpTo(BaseModel):
    """The newest notification that was on the screen."""

    model_config = ConfigDict(extra="forbid")

    up_to: UUID


class MarkedRead(BaseModel):
    count: Count


@router.get("/notifications", response_model=Page[NotificationRead])
async def list_notifications(
    session: Session,
    actor: CurrentActor,
    paging: Paged,
    unread: bool = False,
) -> Response:
    """The caller's notifications, newest first."""
    rows = await Notifications(session).page(actor.id, unread, paging.after(UUID), paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    found = [
        NotificationRead(
            id=one.id,
            at=one.at,
            subject=f"{one.subject_kind.path}/{one.subject_id}",
            kind=one.subject_kind,
            step=one.step,
            read_at=one.read_at,
        )
        for one in page
    ]
    return paging.answer(Page[NotificationRead], found, following)


@router.post("/notifications/read", response_model=MarkedRead)
async def mark_notifications_read(
    body: UpTo, session: Session, actor: CurrentActor, now: Now
) -> Response:
    """Mark the caller's notifications up to one as read; the same again changes nothing."""
    count = await Notifications(session).mark_read(actor.id, body.up_to, now)
    return reply(MarkedRead(count=count))
