"""Visits, and households that need one, as they are shown."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.households import Presence
from app.domain.principals import Principals
from app.domain.registry_changes import RegistryChanges
from app.domain.unverified import Reason, UnverifiedHousehold
from app.domain.visits import Visit, VisitKind, VisitState
from app.domain.vocabulary import VisitResult
from app.routers.resources import Code, Count, Ids, Line, Moment, Someone, Words, items
from app.routers.resources import text as read_text
from app.routers.surveys import SurveyFields
from app.workflow.visits.table import MACHINE, VisitAction, VisitCase


class UnverifiedRead(BaseModel):
    """A household that needs a visit, and why; `visit_open` says whether one is under way."""

    household_id: UUID
    region_code: Code
    address: Line | None
    rt: read_text(3) | None  # type: ignore[valid-type]
    rw: read_text(3) | None  # type: ignore[valid-type]
    presence: Presence | None
    verified_at: Moment | None
    reasons: items(Reason, 4)  # type: ignore[valid-type]
    visit_open: bool


class VisitRead(BaseModel):
    """A visit, with what the caller may do now."""

    id: UUID
    version: Count
    kind: VisitKind
    state: VisitState
    complaint_id: UUID | None
    household_id: UUID | None
    region_code: Code
    assignee: Someone | None
    due_at: Moment
    overdue: bool
    attempts: Count
    last_result: VisitResult | None
    reason: Line | None
    created_by: UUID
    created_at: Moment
    assigned_at: Moment
    done_at: Moment | None
    registry_change_ids: Ids
    actions: items(VisitAction, 10)  # type: ignore[valid-type]


class VisitsMade(BaseModel):
    """The visits made, and those of the kind that the households had open already."""

    items: items(VisitRead, 200)  # type: ignore[valid-type]
    existing: items(VisitRead, 200)  # type: ignore[valid-type]


class VisitSurveyRead(SurveyFields):
    """A survey of a visit. Programme needs are kept; without a complaint no referral comes of
    them, which `warnings` says."""

    visit_id: UUID
    warnings: Words


def unverified(one: UnverifiedHousehold) -> UnverifiedRead:
    household = one.household
    names = ("address", "rt", "rw", "presence", "verified_at")
    return UnverifiedRead(
        **{name: getattr(household, name) for name in names},
        household_id=household.id,
        region_code=household.village_code,
        reasons=one.reasons,
        visit_open=one.visit_open,
    )


async def read(
    session: AsyncSession, actor: Actor, visits: list[Visit], at: datetime
) -> list[VisitRead]:
    await session.flush()
    names = await Principals(session).names({one.assignee_id for one in visits})
    changes = await RegistryChanges(session).ids_of_visits([one.id for one in visits])
    return [
        VisitRead(
            **{
                name: getattr(one, name)
                for name in VisitRead.model_fields.keys() & Visit.model_fields.keys()
            },
            region_code=one.village_code,
            assignee=Someone(id=one.assignee_id, name=names.get(one.assignee_id))
            if one.assignee_id
            else None,
            overdue=one.state is VisitState.OPEN and one.due_at <= at,
            registry_change_ids=changes[one.id],
            actions=MACHINE.actions(VisitCase(one), actor),
        )
        for one in visits
    ]
