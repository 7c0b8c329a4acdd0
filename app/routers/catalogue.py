"""Reference data over HTTP: regions, and how the workflows go."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.domain.actors import Role
from app.domain.base import regency_of
from app.domain.complaints import Complaints
from app.domain.errors import NotFound
from app.domain.regions import Region, RegionLevel, Regions
from app.domain.routes import Routes
from app.routers.deps import CurrentActor, LongPaged, PathName, Session
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.replies import reference, reply
from app.routers.resources import Code, Codes, Count, Line, Moment, Name, Word, Words, items
from app.routers.resources import text as read_text
from app.workflow import facilitators
from app.workflow.complaints.filing import RegionCode
from app.workflow.complaints.table import EVENT_TYPES as COMPLAINT_EVENTS
from app.workflow.complaints.table import MACHINE as COMPLAINT
from app.workflow.machine import Ladder, Machine, names
from app.workflow.referrals.table import EVENT_TYPES as REFERRAL_EVENTS
from app.workflow.referrals.table import MACHINE as REFERRAL
from app.workflow.registry_changes.table import EVENT_TYPES as REGISTRY_CHANGE_EVENTS
from app.workflow.registry_changes.table import MACHINE as REGISTRY_CHANGE
from app.workflow.visits.table import EVENT_TYPES as VISIT_EVENTS
from app.workflow.visits.table import MACHINE as VISIT

router = APIRouter(prefix="/v1", tags=["reference data"], route_class=Door)
WORKFLOWS: dict[str, tuple[Machine[Any, Any], dict[Any, str]]] = {
    "complaint": (COMPLAINT, COMPLAINT_EVENTS),
    "referral": (REFERRAL, REFERRAL_EVENTS),
    "registry_change": (REGISTRY_CHANGE, REGISTRY_CHANGE_EVENTS),
    "visit": (VISIT, VISIT_EVENTS),
}


class RegionRead(BaseModel):
    """A region by its Kemendagri code, with other spellings and former codes."""

    code: Code
    name: Name
    level: RegionLevel
    parent_code: Code | None
    aliases: items(Name, 20)  # type: ignore[valid-type]
    former_codes: Codes


class StateRead(BaseModel):
    """A state: what it waits for, how long (seconds), and whom its ladder names."""

    state: Word
    waits_for: Line
    budget_seconds: Count | None
    emergency_budget_seconds: Count | None
    holder: Line | None
    level_1: Line | None
    level_2: Line | None
    advancing: Words
    final: bool


class PartyRead(BaseModel):
    """Who is meant by a name in `by`, `holder`, `level_1` and `level_2`: the roles."""

    name: Line
    roles: Words


class TransitionRead(BaseModel):
    """A row. Whoever a level of its state names may take every action of that state, too."""

    from_: Annotated[Words, Field(alias="from", serialization_alias="from")]
    action: Word
    to: Words
    by: items(Line, 10)  # type: ignore[valid-type]
    only_if: items(Line, 10)  # type: ignore[valid-type]
    note_required: bool
    reasons: Words
    event_type: Word


class RouteRead(BaseModel):
    """What a kind of complaint needs. One document of each inner list is enough."""

    kind: Word
    category: Word | None
    documents: items(Words, 20)  # type: ignore[valid-type]
    registry_check: bool
    visit: Word


class WorkflowRead(BaseModel):
    """A workflow as its table has it: the same table that decides every call."""

    name: Word
    initial: Word
    states: items(StateRead, 50)  # type: ignore[valid-type]
    transitions: items(TransitionRead, 100)  # type: ignore[valid-type]
    parties: items(PartyRead, 50)  # type: ignore[valid-type]
    routes: items(RouteRead, 100)  # type: ignore[valid-type]
    mermaid: read_text(20000)  # type: ignore[valid-type]


class FacilitatorRead(BaseModel):
    """A facilitator who may be sent; the best proposal stands first."""

    id: UUID
    name: Name
    region_codes: Codes
    open_assignments: Count
    last_activity_at: Moment | None


@router.get("/regions", response_model=Page[RegionRead])
async def list_regions(
    request: Request,
    session: Session,
    actor: CurrentActor,
    paging: LongPaged,
    parent: RegionCode | None = None,
) -> Response:
    """Regions, or those directly under `parent`, by code."""
    rows = await Regions(session).list(parent, paging.rows, paging.after(str))
    page, following = paging.cut(rows, lambda one: one.code)
    body = Page[RegionRead](items=[_region(one) for one in page], next_cursor=following)
    return reference(request, body, paging.link(following))


def _region(one: Region) -> RegionRead:
    return RegionRead(**{name: getattr(one, name) for name in RegionRead.model_fields})


@router.get("/workflows/{name}", response_model=WorkflowRead)
async def get_workflow(
    request: Request, name: PathName, session: Session, actor: CurrentActor
) -> Response:
    """A workflow: states, transitions, roles, budgets and a Mermaid diagram, from the table."""
    if name not in WORKFLOWS:
        raise NotFound
    machine, events = WORKFLOWS[name]
    routes = await Routes(session).all() if name == "complaint" else {}
    body = WorkflowRead(
        name=name,
        initial=machine.initial,
        states=[_state(state, ladder, machine) for state, ladder in machine.ladder.items()],
        transitions=[
            TransitionRead(
                **{"from": list(row.sources)},
                action=row.action,
                to=["(same)" if target is None else target for target in row.targets],
                by=names(row.by),
                only_if=[guard.text for guard in row.guards],
                note_required=row.note,
                reasons=list(row.reasons),
                event_type=events[row.action],
            )
            for row in machine.transitions
        ],
        parties=[PartyRead(name=one.name, roles=list(one.roles)) for one in machine.everybody()],
        routes=[
            RouteRead(
                kind=kind,
                category=category,
                documents=[list(options) for options in route.documents],
                registry_check=route.check,
                visit=route.visit,
            )
            for (kind, category), route in routes.items()
        ],
        mermaid=machine.mermaid(),
    )
    return reference(request, body)


def _state(state: str, ladder: Ladder, machine: Machine[Any, Any]) -> StateRead:
    budget, emergency = ladder.budget, ladder.emergency
    rungs = [
        " or ".join(
            part
            for part in (
                f"the system: {rung.system}" if rung.system else None,
                rung.party.name if rung.party else None,
            )
            if part
        )
        for rung in (ladder.level_1, ladder.level_2)
    ]
    return StateRead(
        state=state,
        waits_for=ladder.waits_for,
        budget_seconds=int(budget.total_seconds()) if budget else None,
        emergency_budget_seconds=int(emergency.total_seconds()) if emergency else None,
        holder=ladder.holder.name if ladder.holder else None,
        level_1=rungs[0] or None,
        level_2=rungs[1] or None,
        advancing=list(ladder.advancing),
        final=state in machine.final,
    )


@router.get("/facilitators", response_model=Page[FacilitatorRead], tags=["people"])
async def list_facilitators(
    session: Session,
    actor: CurrentActor,
    region: Annotated[RegionCode | None, Query(description="Nearest to this region first.")] = None,
) -> Response:
    """The active facilitators of the caller's city with their open load, best proposal first."""
    scopes = [code for grant in actor.grants for code in grant.region_codes]
    near = region or (scopes[0] if scopes else None)
    sees = actor.holds_near(regency_of(near or ""), *SEES_FACILITATORS)
    found = await facilitators.candidates(session, near) if near and sees else []
    last = await Complaints(session).last_activity([one.actor.id for one in found])
    body = Page[FacilitatorRead](
        items=[
            FacilitatorRead(
                id=one.actor.id,
                name=one.actor.name,
                region_codes=list(one.actor.regions(Role.FACILITATOR)),
                open_assignments=one.load,
                last_activity_at=last.get(one.actor.id),
            )
            for one in found
        ],
        next_cursor=None,
    )
    return reply(body)


SEES_FACILITATORS = (
    Role.FRONT_OFFICE, Role.BACK_OFFICE, Role.SUPERVISOR, Role.MANAGER, Role.HEAD,
    Role.PUSKESOS_OFFICER, Role.FACILITATOR,
)  # fmt: skip
