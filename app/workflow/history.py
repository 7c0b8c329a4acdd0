"""Writing the log: one event for each step, in the transaction of the step."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN, SYSTEM, Actor, Role
from app.domain.base import region_of
from app.domain.devices import Arrival
from app.domain.events import Event, Events, standing_of

# Which of a person's roles is written when several fit: the one nearest to deciding goes last.
IN_ORDER = (
    Role.FACILITATOR, Role.PUSKESOS_OFFICER, Role.FRONT_OFFICE, Role.BACK_OFFICE, Role.SUPERVISOR,
    Role.MANAGER, Role.HEAD, Role.PROGRAM_MANAGER, Role.AGENCY,
)  # fmt: skip


def log(
    session: AsyncSession,
    type: str,
    subject: Any,
    actor: Actor,
    at: datetime,
    *,
    happened_at: datetime | None = None,
    reason: str | None = None,
    note: str | None = None,
    role: Role | None = None,
    **data: Any,
) -> Event:
    """Append what happened to `subject` (a row with id, version and region columns).

    `role` is the one that allowed it, where a table says so; else the nearest the actor holds.
    What comes from a tablet says from which, under which number, and what is odd about that.
    """
    if (arrival := Arrival.of(session)) is not None:
        data["device"] = {
            "id": str(arrival.device_id), "sequence": arrival.sequence, "flags": arrival.flags,
        }  # fmt: skip
    return Events(session).append(
        Event(
            type=type,
            actor_id=actor.id,
            actor_role=actor.grants[0].role
            if actor in (SYSTEM, CITIZEN)
            else role or actor.role_for(subject.village_code, *IN_ORDER),
            at=at,
            happened_at=happened_at,
            reason=reason,
            data=data,
            **standing_of(subject),
            **region_of(subject),
        ),
        note,
    )
