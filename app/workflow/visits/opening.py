"""Opening visits: shared out among the facilitators of a city, or for an emergency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import new_id, regency_of, region_of
from app.domain.complaints import Complaint
from app.domain.errors import Conflict, Fault, Invalid
from app.domain.households import Household, Households
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.routes import Route, Routes
from app.domain.surveys import Surveys
from app.domain.unverified import Reason, Unverified, UnverifiedFilter
from app.domain.visits import Visit, VisitKind, Visits
from app.domain.vocabulary import Priority
from app.domain.vocabulary import Visit as Needed
from app.workflow import facilitators
from app.workflow.facilitators import Roster
from app.workflow.history import log
from app.workflow.visits.table import OPENED

OPENERS = (*SECRETARIAT, Role.SUPERVISOR, Role.MANAGER)
EMERGENCY = "emergency"
EMERGENCY_DUE_IN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Batch:
    """What to visit: the households named, or those of a region that need it most."""

    kind: VisitKind
    due_at: datetime
    household_ids: Sequence[UUID] = ()
    region_code: str | None = None
    reason: Reason | None = None
    limit: int = 50
    older_than: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    visits: Sequence[Visit]
    existing: Sequence[Visit]


async def open_batch(session: AsyncSession, actor: Actor, batch: Batch, at: datetime) -> Opened:
    """A visit for every household that has none of the kind open, each given to a facilitator.

    Raises Invalid for what is not in the actor's regions, Conflict where nobody can be sent.
    """
    households = await _households(session, actor, batch)
    known = await Visits(session).open_of(batch.kind, [one.id for one in households])
    has_one = {visit.household_id for visit in known}
    rosters: dict[str, Roster] = {}
    made = []
    for household in households:
        if household.id in has_one:
            continue
        city = household.regency_code
        if city not in rosters:
            rosters[city] = await facilitators.roster(session, city)
        assignee = rosters[city].take(household.village_code)
        if assignee is None:
            raise Conflict("no_facilitator")
        made.append(
            _open(
                session, actor, household, at, kind=batch.kind, household_id=household.id,
                assignee_id=assignee, due_at=batch.due_at, reason=batch.reason,
            )
        )  # fmt: skip
    await session.flush()
    return Opened(made, known)


async def _households(session: AsyncSession, actor: Actor, batch: Batch) -> list[Household]:
    """The households to visit, read once nobody else shares out visits in their city."""
    regions, visits = actor.regions(*OPENERS), Visits(session)
    if batch.region_code is None:
        ids = list(dict.fromkeys(batch.household_ids))
        found = await Households(session).present(ids, regions)
        # Once nobody else opens or moves visits here, some may have been merged away.
        await visits.share_alone({one.regency_code for one in found.values()})
        found = await Households(session).present(ids, regions)
        if strange := [n for n, id in enumerate(batch.household_ids) if id not in found]:
            faults = tuple(Fault("unknown_household", f"/household_ids/{n}") for n in strange)
            raise Invalid("unknown_household", faults)
        return [found[id] for id in ids]
    if batch.region_code.count(".") < 1 or not actor.holds(batch.region_code, *OPENERS):
        raise Invalid("unknown_region", (Fault("unknown_region", "/region_code"),))
    await visits.share_alone({regency_of(batch.region_code)})
    assert batch.older_than is not None
    wanted = UnverifiedFilter(
        regions, batch.older_than, batch.region_code, batch.reason, without=batch.kind
    )
    return [one.household for one in await Unverified(session).page(wanted, batch.limit)]


async def open_for_emergency(
    session: AsyncSession, complaint: Complaint, actor: Actor, at: datetime
) -> None:
    """An emergency goes on without the visit its route requires: one follows within three days.

    The complaint is locked; it has at most one such visit.
    """
    routes = await Routes(session).all()
    route = routes.get((complaint.kind, complaint.category), Route())
    if complaint.priority is not Priority.EMERGENCY or route.visit is not Needed.REQUIRED:
        return
    surveyed = await Surveys(session).submitted([complaint.id])
    if surveyed or await Visits(session).for_complaint(complaint.id):
        return
    assignee = complaint.assigned_to or await facilitators.propose(session, complaint)
    _open(
        session, actor, complaint, at, kind=VisitKind.COMPLAINT, complaint_id=complaint.id,
        household_id=complaint.household_id, assignee_id=assignee,
        due_at=at + EMERGENCY_DUE_IN, reason=EMERGENCY,
    )  # fmt: skip


def _open(session: AsyncSession, actor: Actor, place: Any, at: datetime, **columns: Any) -> Visit:
    visit = Visit(
        id=new_id(), assigned_at=at, next_step_at=columns["due_at"], created_by=actor.id,
        created_at=at, **columns, **region_of(place),
    )  # fmt: skip
    Visits(session).add(visit)
    told = [visit.assignee_id] if visit.assignee_id else []
    Notifications(session).tell(told, SubjectKind.VISIT, visit, Step.ASSIGNED, at)
    log(
        session, OPENED, visit, actor, at,
        kind=visit.kind, assigned_to=str(visit.assignee_id) if visit.assignee_id else None,
        complaint_id=str(visit.complaint_id) if visit.complaint_id else None,
    )  # fmt: skip
    return visit
