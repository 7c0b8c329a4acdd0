"""Exports are logged: who takes how much of what, and what for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import new_id
from app.domain.events import Event, Events

BEGUN, ENDED = "export.begun", "export.ended"


def begin(
    session: AsyncSession, actor: Actor, what: str, purpose: str, format: str, at: datetime
) -> UUID:
    """Say that an export begins; its id."""
    id = new_id()
    _log(session, BEGUN, id, actor, at, what=what, purpose=purpose, format=format)
    return id


def end(session: AsyncSession, id: UUID, actor: Actor, rows: int, at: datetime) -> None:
    """Say that an export was given out whole. One that broke off has no end."""
    _log(session, ENDED, id, actor, at, rows=rows)


def _log(
    session: AsyncSession, type: str, id: UUID, actor: Actor, at: datetime, **data: str | int
) -> None:
    """An export belongs to the deployment, not to a region: no feed shows it."""
    Events(session).append(
        Event(
            type=type, collection="exports", subject_id=id, subject_version=1, actor_id=actor.id,
            actor_role=actor.grants[0].role if actor.grants else None, at=at, data=data,
            province_code="", regency_code="", district_code="", village_code="",
        )
    )  # fmt: skip
