"""The verbs of a registry change: propose it, decide on it, correct it, take it back."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor, Role
from app.domain.base import line
from app.domain.complaints import Complaint, Complaints, cities
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, NotFound, PreconditionFailed
from app.domain.households import Households
from app.domain.identifiers import no_number
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.registry_changes import (
    ChangeKind,
    ChangeOrigin,
    ChangeState,
    RegistryChange,
    RegistryChanges,
)
from app.workflow import households as looking
from app.workflow.complaints import verbs as complaints
from app.workflow.complaints.case import staff_of
from app.workflow.complaints.commands import ActionData, Command
from app.workflow.registry_changes import applying, drafting, holding, items
from app.workflow.registry_changes.drafts import ChangeDraft, Evidence, Facts
from app.workflow.registry_changes.table import (
    MACHINE,
    WRITERS,
    ChangeAction,
    ChangeCase,
)

A, S, K = ChangeAction, ChangeState, ChangeKind
# Steps that are taken by other calls, or by the system alone.
ELSEWHERE = (A.DISPATCH, A.ACKNOWLEDGE, A.RECALL)
REVOKERS = (Role.SUPERVISOR, Role.MANAGER)
# What may write the registry, or take back what was written.
DECISIONS = (A.APPROVE, A.RESUBMIT, A.REJECT, A.WITHDRAW, A.UNDO)


class FieldRefused(ActionData):
    """A field that the supervisor does not let through, and why."""

    field: Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=60)]
    reason: Annotated[line(200), AfterValidator(no_number)]  # type: ignore[valid-type]


class FieldsRefused(ActionData):
    refuse_fields: Annotated[list[FieldRefused], Field(max_length=100)] = []


class Correction(ActionData):
    """What is corrected before it is proposed again; what is left out stays."""

    fields: Facts | None = None
    evidence: Annotated[list[Evidence], Field(max_length=20)] | None = None


DATA: dict[ChangeAction, type[ActionData]] = {A.APPROVE: FieldsRefused, A.RESUBMIT: Correction}


@dataclass(slots=True)
class Doing:
    session: AsyncSession
    case: ChangeCase
    actor: Actor
    command: Command
    at: datetime

    @property
    def change(self) -> RegistryChange:
        return self.case.change

    @property
    def said(self) -> dict[str, Any]:
        """What the event says of the person's words and role."""
        role = MACHINE.role(self.actor, self.case, self.command.action)
        return {
            "reason": self.command.reason, "note": self.command.note, "role": role,
            "happened_at": self.command.happened_at,
        }  # fmt: skip


def check_writer(actor: Actor) -> None:
    """Raises Forbidden for those who never propose a change."""
    if not actor.regions(*WRITERS, *REVOKERS):
        raise Forbidden("role_not_allowed")


async def propose(
    session: AsyncSession,
    actor: Actor,
    wanted: ChangeDraft,
    complaint: Complaint | None,
    at: datetime,
) -> RegistryChange:
    """A new change: with a complaint a draft that goes its way; alone it is proposed at once.

    Raises Conflict `too_late_to_draft` once the complaint is with the supervisor, Forbidden for
    roles that never write, NotFound for a household or person that the proposer of a change alone
    may not read, and what `drafting.draft` raises.
    """
    if wanted.kind is K.REVOKE_DEATH:
        return await _revoke_death(session, actor, wanted, at)
    if not actor.regions(*WRITERS):
        raise Forbidden("role_not_allowed")
    if complaint is not None:
        locked = await Complaints(session).lock(complaint.id)
        if locked.state not in complaints.DRAFTED_IN:
            raise Conflict("too_late_to_draft")
        change = await drafting.draft(
            session, actor, wanted, ChangeOrigin.DESK, at, complaint=locked
        )
        locked.version += 1
        return change
    await _check_sight(session, actor, wanted, at)
    change = await drafting.draft(session, actor, wanted, ChangeOrigin.DESK, at)
    _check_city(change, cities(actor.regions(*WRITERS)))
    await session.flush()
    await items.propose_one(session, change, actor, at)
    return change


async def _check_sight(
    session: AsyncSession, actor: Actor, wanted: ChangeDraft, at: datetime
) -> None:
    """The answer shows what stands there, and a refusal what is known of the person.

    What is out of sight and what does not exist are told in the same words.
    """
    households = Households(session)
    named = [id for id in (wanted.household_id, wanted.member_id, wanted.into_id) if id]
    people = await households.members_by_ids(named)
    homes = await households.by_ids([*named, *(one.household_id for one in people.values())])
    strange = {wanted.household_id} - homes.keys() | {wanted.member_id} - people.keys()
    strange |= {wanted.into_id} - homes.keys() - people.keys()
    if strange - {None}:
        raise NotFound
    for home in homes.values():
        await looking.check_reader(session, actor, home, at)


def _check_city(change: RegistryChange, allowed: tuple[str, ...]) -> None:
    """Raises Invalid for a place where the proposer does not work."""
    if not any(change.village_code.startswith(f"{city}.") for city in allowed):
        raise Invalid("unknown_reference", (Fault("unknown_reference", "/kind"),))


async def _revoke_death(
    session: AsyncSession, actor: Actor, wanted: ChangeDraft, at: datetime
) -> RegistryChange:
    """The person lives: restored at once; the centre is told where it knew of the death."""
    if not actor.regions(*REVOKERS):
        raise Forbidden("role_not_allowed")
    if wanted.member_id is not None:
        member = await Households(session).member(wanted.member_id)
        if member is None or not actor.holds_near(member.regency_code, *REVOKERS):
            await _check_sight(session, actor, wanted, at)
            raise Forbidden("role_not_allowed")
    deaths, held = RegistryChanges(session), list[RegistryChange]()
    if wanted.member_id and (known := await deaths.death_of(wanted.member_id)):
        # Whoever revokes the same death at this moment waits here, with nothing written yet.
        held = await holding.hold_change(session, known.id)
    change = await drafting.draft(session, actor, wanted, ChangeOrigin.DESK, at)
    await session.flush()
    assert change.member_id is not None
    found = await deaths.death_of(change.member_id)
    if found is None:
        raise Conflict("not_reported_dead")
    _, locked = await lock_complaints(session, found, held)
    death = await deaths.lock(found.id)
    if actor.id in (death.approved_by, death.confirmed_by, death.proposed_by):
        raise Forbidden("four_eyes")
    told = death.state in (S.DISPATCHED, S.CONFIRMED)
    change.revokes_id, death.revoked_by_id = death.id, change.id
    if told:
        await items.end_death(session, death, at)
    else:
        # What the centre has declined it does not hold for true: there is nothing to take back.
        action = A.UNDO if death.state is S.DECLINED else A.WITHDRAW
        await items.withdraw(session, death, SYSTEM, at, action=action, reason="revoked")
    await session.flush()
    for one in locked:
        await settle(session, one, at)
    items.step(session, change, A.PROPOSE, S.PROPOSED, actor, at)
    change.approved_by = actor.id
    items.step(session, change, A.APPROVE, S.SUPERVISOR_APPROVED, actor, at)
    if not told:
        # The centre has nothing to take back.
        items.step(session, change, A.WITHDRAW, S.WITHDRAWN, SYSTEM, at, reason="never_sent")
    return change


async def case_of(
    session: AsyncSession, change: RegistryChange, complaint: Complaint | None = None
) -> ChangeCase:
    """A change with its complaint and the people of its city."""
    if complaint is None and change.complaint_id is not None:
        complaint = await Complaints(session).peek(change.complaint_id)
    return ChangeCase(change, complaint, await staff_of(session, change.regency_code))


async def act(
    session: AsyncSession,
    actor: Actor,
    id: UUID,
    command: Command,
    at: datetime,
    version: int | None = None,
) -> RegistryChange:
    """Take one action on a change. Its complaint is locked before it, everywhere."""
    changes = RegistryChanges(session)
    seen = await changes.find(id)
    assert seen is not None
    held = [seen]
    if command.action in DECISIONS:
        held = await holding.hold_change(session, id)
    complaint, locked = await lock_complaints(session, seen, held)
    change = await changes.lock(id)
    case = await case_of(session, change, complaint)
    MACHINE.check_role(case, command.action, actor)
    if version is not None and version != change.version:
        raise PreconditionFailed("stale_version")
    row = MACHINE.check(case, command.action, actor, command)
    at = max(at, change.stage_entered_at)
    source = change.state
    await EFFECTS[command.action](Doing(session, case, actor, command, at))
    assert change.state in row.leads_to(source)
    await session.flush()
    for one in locked:
        await settle(session, one, at)
    return change


async def lock_complaints(
    session: AsyncSession, change: RegistryChange, held: Sequence[RegistryChange]
) -> tuple[Complaint | None, list[Complaint]]:
    """The complaint that a change came with, and all whose answer may hang on it or on what falls
    with it; they are locked before the change, everywhere."""
    locked = await Complaints(session).lock_all(sorted(await holding.touched(session, held)))
    return next((one for one in locked if one.id == change.complaint_id), None), locked


async def settle(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """Answer the locked complaint of a change, where this was the last that it waited for."""
    if not await complaints.settle(session, complaint, at):
        await complaints.reckon_outcome(session, complaint, at)


async def _propose(do: Doing) -> None:
    change = do.change
    if change.origin is ChangeOrigin.IMPORT:
        # Nobody has judged it yet: whoever puts it forward is its author, on the row as it is now.
        change.proposed_by, change.authors = do.actor.id, []
        await drafting.rewrite(do.session, change, None, do.actor, do.at)
    await items.propose_one(do.session, do.change, do.actor, do.at)


async def _approve(do: Doing) -> None:
    data = do.command.data or FieldsRefused()
    refused = {one.field: one.reason for one in data.refuse_fields}
    if do.change.state is S.SUPERVISOR_APPROVED:
        if refused:
            raise Invalid("unknown_item", (Fault("unknown_item", "/data/refuse_fields"),))
        await items.apply_one(do.session, do.change, do.actor, do.at, **do.said)
        return
    items.check_fields(do.session, do.change, refused, "/data/refuse_fields")
    await items.approve_one(do.session, do.change, refused, do.actor, do.at, **do.said)


async def _return(do: Doing) -> None:
    items.step(do.session, do.change, A.RETURN, S.RETURNED, do.actor, do.at, **do.said)
    people = [do.change.proposed_by] if do.change.proposed_by.int else []
    Notifications(do.session).tell(
        people, SubjectKind.REGISTRY_CHANGE, do.change, Step.RETURNED, do.at
    )


async def _resubmit(do: Doing) -> None:
    """Corrected, and about the row as it is now; what the centre declined is taken back first."""
    change, session = do.change, do.session
    if change.state is S.DECLINED and change.kind is not K.REPORT_DEATH:
        await applying.undo(session, change, do.actor, do.at)
        await session.flush()
    await drafting.rewrite(session, change, do.command.data, do.actor, do.at)
    change.approved_by = change.confirmed_by = change.applied_at = change.reason = None
    await items.propose_one(session, change, do.actor, do.at, action=A.RESUBMIT, **do.said)


async def _reject(do: Doing) -> None:
    await items.reject(do.session, do.change, do.actor, do.at, **do.said)


async def _withdraw(do: Doing) -> None:
    await items.withdraw(do.session, do.change, do.actor, do.at, **do.said)


async def _undo(do: Doing) -> None:
    change = do.change
    if change.kind is K.REPORT_DEATH:
        await items.withdraw(do.session, change, do.actor, do.at, action=A.UNDO, **do.said)
        return
    await applying.undo(do.session, change, do.actor, do.at)
    items.step(do.session, change, A.UNDO, S.WITHDRAWN, do.actor, do.at, **do.said)


EFFECTS: dict[ChangeAction, Callable[[Doing], Awaitable[None]]] = {
    A.PROPOSE: _propose,
    A.APPROVE: _approve,
    A.RETURN: _return,
    A.RESUBMIT: _resubmit,
    A.REJECT: _reject,
    A.WITHDRAW: _withdraw,
    A.UNDO: _undo,
}
