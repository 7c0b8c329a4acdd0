"""When a complaint's data truly was at the centre, or with the owner of a programme."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.complaints import Complaint
from app.workflow.history import log

AT_CENTRE = "complaint.at_centre"


def arrived(
    session: AsyncSession, complaints: Iterable[Complaint], actor: Actor, at: datetime, **by: Any
) -> None:
    """Locked complaints whose data has arrived: the first time counts. `by` says with what.

    It is an observation, no step: the version that people decide on stays, and so do the clocks.
    """
    for one in complaints:
        if one.at_centre_at is None:
            one.at_centre_at = at
            log(session, AT_CENTRE, one, actor, at, **by)
