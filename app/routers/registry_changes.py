"""Registry changes over HTTP: proposed, decided field by field, corrected, taken back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import line, text
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Fault, Invalid
from app.domain.households import Household, Households, Member
from app.domain.identifiers import NUMBERS, masked, no_number
from app.domain.registry_changes import (
    ChangeContent,
    ChangeFilter,
    ChangeKind,
    ChangeOrigin,
    ChangeState,
    RegistryChange,
    RegistryChanges,
)
from app.routers.actions import Asked
from app.routers.complaints.reads import EventRead
from app.routers.complaints.routes import drafted_for, history
from app.routers.deps import (
    CurrentActor,
    CurrentVisit,
    Now,
    Paged,
    Retrying,
    Session,
    Subject,
    read_version,
)
from app.routers.doors import CREATES, FINDERS, Door
from app.routers.pages import Page
from app.routers.replies import reply
from app.routers.resources import Code, Count, Line, Moment, Paragraph, Word, Words, items
from app.workflow.complaints.commands import Command
from app.workflow.complaints.filing import RegionCode
from app.workflow.registry_changes import verbs
from app.workflow.registry_changes.drafts import ChangeDraft, ChangeSent
from app.workflow.registry_changes.table import MACHINE, ChangeAction
from app.workflow.registry_changes.values import values_of
from app.workflow.registry_changes.verbs import ELSEWHERE

router = APIRouter(prefix="/v1", tags=["registry changes"], route_class=Door)
Free = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 200})]


class FieldRead(BaseModel):
    """One field: what stood there when it was proposed, what should, and what stands there now.

    Numbers are masked. `refused` is the supervisor's reason where the field is not let through.
    """

    name: Word
    before: Any
    after: Any
    now: Any
    refused: Line | None


class ChangeRead(BaseModel):
    """A registry change, with what the caller may do now.

    `unconfirmed`: in force here, and not yet confirmed by the centre; a death is from the
    supervisor's approval on, an other change from the manager's. `follows_id`: the reported death
    that a new head stands or falls with. `warnings`: `national_id_twice` where another
    change that is under way adds somebody of the same national id.
    """

    id: UUID
    version: Count
    kind: ChangeKind
    state: ChangeState
    origin: ChangeOrigin
    complaint_id: UUID | None
    visit_id: UUID | None
    household_id: UUID | None
    member_id: UUID | None
    into_id: UUID | None
    revokes_id: UUID | None
    revoked_by_id: UUID | None
    follows_id: UUID | None
    region_code: Code
    base_version: Count | None
    present_version: Count | None
    fields: items(FieldRead, 100)  # type: ignore[valid-type]
    household: Free | None
    people: items(Free, 40)  # type: ignore[valid-type]
    evidence: items(Free, 20)  # type: ignore[valid-type]
    note: Paragraph | None
    reason: Line | None
    proposed_by: UUID
    approved_by: UUID | None
    confirmed_by: UUID | None
    unconfirmed: bool
    created_at: Moment
    proposed_at: Moment | None
    applied_at: Moment | None
    dispatched_at: Moment | None
    answered_at: Moment | None
    due_at: Moment | None
    escalation_level: Count
    warnings: Words
    actions: items(ChangeAction, 20)  # type: ignore[valid-type]


class ChangeProposed(ChangeSent):
    """A proposal; with a complaint it is decided together with it."""

    complaint_id: UUID | None = None


class ChangeActionRequest(Asked):
    """An action on a registry change; see `GET /v1/workflows/registry_change`."""

    DATA = verbs.DATA

    action: ChangeAction
    note: Annotated[text(4000), AfterValidator(no_number)] | None = None  # type: ignore[valid-type]
    reason: Annotated[line(200), AfterValidator(no_number)] | None = None  # type: ignore[valid-type]

    def command(self) -> Command:
        if self.action in ELSEWHERE:
            raise Invalid("unknown_action", (Fault("not_an_option", "/action"),))
        return super().command()


async def _find(session: AsyncSession, id: UUID, actor: Actor, at: datetime) -> RegistryChange:
    return await RegistryChanges(session).get(id, actor, at)


FINDERS["change_id"] = _find


@router.post(
    "/registry-changes",
    status_code=201,
    response_model=ChangeRead,
    openapi_extra={CREATES: "registry change"},
)
async def propose_change(
    draft: ChangeProposed, session: Session, actor: CurrentActor, now: Now, retry: Retrying
) -> Response:
    """Propose a change: alone it goes to the supervisor at once, with a complaint along with it."""
    verbs.check_writer(actor)
    complaint = None
    if draft.complaint_id is not None:
        complaint = await drafted_for(session, draft.complaint_id, actor, now)
    if known := await retry.known():
        change = await RegistryChanges(session).lock(UUID(known.ids["change_id"]))
        return await _answer(session, actor, change, known.status, replayed=True)
    wanted = ChangeDraft(**draft.model_dump(exclude={"complaint_id"}, exclude_unset=True))
    change = await verbs.propose(session, actor, wanted, complaint, now)
    retry.remember(201, change_id=change.id)
    return await _answer(session, actor, change, 201)


@router.get("/registry-changes", response_model=Page[ChangeRead])
async def list_changes(
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
    kind: ChangeKind | None = None,
    state: ChangeState | None = None,
    region: RegionCode | None = None,
    complaint_id: UUID | None = None,
    household_id: UUID | None = None,
    member_id: UUID | None = None,
    unconfirmed: bool | None = None,
) -> Response:
    """Changes in the caller's sight, newest first.

    `kind=report_death&unconfirmed=true` are the dead that the centre does not know of yet.
    """
    wanted = ChangeFilter(kind, state, region, complaint_id, household_id, member_id, unconfirmed)
    rows = await RegistryChanges(session).page(actor, wanted, paging.after(UUID), paging.rows, now)
    page, following = paging.cut(rows, lambda one: one.id)
    return paging.answer(Page[ChangeRead], await _read(session, actor, page), following)


@router.get("/registry-changes/{change_id}", response_model=ChangeRead)
async def get_change(
    change_id: UUID, subject: Subject, session: Session, actor: CurrentActor
) -> Response:
    """One change: before, after and now of every field, and what the caller may do."""
    return await _answer(session, actor, subject)


@router.post("/registry-changes/{change_id}/actions", response_model=ChangeRead)
async def act_on_change(
    change_id: UUID,
    body: ChangeActionRequest,
    visit: CurrentVisit,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Take one action; dispatching and acknowledging is done by batches (`/v1/dispatches`)."""
    command = body.command()
    MACHINE.check_role(await verbs.case_of(session, subject), command.action, actor)
    if await retry.known():
        await session.refresh(subject)
        return await _answer(session, actor, subject, replayed=True)
    version = read_version(visit, required=actor.is_person)
    change = await verbs.act(session, actor, subject.id, command, now, version)
    retry.remember(200, change_id=change.id)
    return await _answer(session, actor, change)


@router.get("/registry-changes/{change_id}/events", response_model=Page[EventRead])
async def list_change_events(
    change_id: UUID,
    subject: Subject,
    session: Session,
    paging: Paged,
) -> Response:
    """The history of a change, oldest first."""
    return await history(session, subject.id, paging)


async def _answer(
    session: AsyncSession,
    actor: Actor,
    change: RegistryChange,
    status: int = 200,
    replayed: bool = False,
) -> Response:
    await session.flush()
    body = (await _read(session, actor, [change]))[0]
    location = f"/v1/registry-changes/{change.id}" if status == 201 else None
    return reply(body, status, version=change.version, location=location, replayed=replayed)


async def _read(
    session: AsyncSession, actor: Actor, changes: Sequence[RegistryChange]
) -> list[ChangeRead]:
    """Changes as this caller sees them; what they are about is read for all of them at once."""
    homes = [one.household_id for one in changes if one.household_id]
    people = [one.member_id for one in changes if one.member_id]
    cases = [one.complaint_id for one in changes if one.complaint_id]
    households: dict[Any, Household] = await Households(session).by_ids(homes)
    members: dict[Any, Member] = await Households(session).members_by_ids(people)
    complaints: dict[Any, Complaint] = await Complaints(session).by_ids(cases)
    twice = await RegistryChanges(session).added_twice(changes)
    found = []
    for one in changes:
        content = RegistryChanges(session).content(one)
        household, member = households.get(one.household_id), members.get(one.member_id)
        now = await values_of(session, household, member, content.fields)
        case = await verbs.case_of(session, one, complaints.get(one.complaint_id))
        actions = [name for name in MACHINE.actions(case, actor) if name not in ELSEWHERE]
        warnings = ["national_id_twice"] if one.id in twice else []
        found.append(_shown_whole(one, content, now, member or household, warnings, actions))
    return found


def _shown_whole(
    change: RegistryChange,
    content: ChangeContent,
    now: dict[str, Any],
    row: Household | Member | None,
    warnings: list[str],
    actions: list[ChangeAction],
) -> ChangeRead:
    return ChangeRead(
        **{
            name: getattr(change, name)
            for name in ChangeRead.model_fields.keys() & RegistryChange.model_fields.keys()
        },
        region_code=change.village_code,
        present_version=row.version if row else None,
        fields=_fields(change, content, now),
        household=_masked(content.household) if content.household else None,
        people=[_masked(one) for one in content.people],
        evidence=content.evidence,
        note=content.note,
        unconfirmed=change.unconfirmed,
        warnings=warnings,
        actions=actions,
    )


def _fields(change: RegistryChange, content: ChangeContent, now: dict[str, Any]) -> list[FieldRead]:
    refused = {one["field"]: one["reason"] for one in change.refused_fields}
    return [
        FieldRead(
            name=name,
            before=_shown(name, content.before.get(name)),
            after=_shown(name, after),
            now=_shown(name, now.get(name)),
            refused=refused.get(name),
        )
        for name, after in content.fields.items()
    ]


def _shown(name: str, value: Any) -> Any:
    return masked(value) if name in NUMBERS else value


def _masked(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: _shown(name, value) for name, value in sent.items()}
