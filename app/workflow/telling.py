"""Telling people of a step that is due: once, with a row for each of them and one event."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM
from app.domain.notifications import Notifications, Step, SubjectKind
from app.workflow.history import log


async def tell_once(
    session: AsyncSession,
    kind: SubjectKind,
    subject: Any,
    stage: str,
    step: Step,
    people: Sequence[UUID],
    event: str,
    at: datetime,
    due_at: datetime,
    /,
    **data: Any,
) -> None:
    """Take a step of a subject's stage, unless it was taken before; `data` stands in the event."""
    notifications = Notifications(session)
    if await notifications.record(subject, stage, step, at, due_at, len(people)):
        notifications.tell(people, kind, subject, step, at)
        log(session, event, subject, SYSTEM, at, **data, told=len(people))
