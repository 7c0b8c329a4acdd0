"""What a complaint does to the registry changes that came with it, and each single step."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SYSTEM, Actor
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Fault, Invalid
from app.domain.households import Households
from app.domain.registry_changes import (
    OPEN,
    ChangeKind,
    ChangeOrigin,
    ChangeState,
    RegistryChange,
    RegistryChanges,
)
from app.workflow.history import log
from app.workflow.referrals import waiting
from app.workflow.referrals.items import DECEASED
from app.workflow.registry_changes import applying, clock, deaths, drafting, heads
from app.workflow.registry_changes.drafts import ChangeDraft
from app.workflow.registry_changes.table import EVENT_TYPES, TAKEN_BACK, ChangeAction, carried

A, S = ChangeAction, ChangeState
STALE, SECOND_HEAD, NO_HEAD = "stale_base", "second_head", "no_head"
DEATH_TAKEN_BACK = "death_taken_back"


@dataclass(frozen=True, slots=True)
class Refused:
    """What a decision does not let through: a whole change, or some of its fields."""

    changes: dict[UUID, str] = field(default_factory=dict)
    fields: dict[UUID, dict[str, str]] = field(default_factory=dict)


def step(
    session: AsyncSession,
    change: RegistryChange,
    action: ChangeAction,
    to: ChangeState,
    actor: Actor,
    at: datetime,
    complaint: Complaint | None = None,
    **event: Any,
) -> None:
    """Move a locked change and log it."""
    source = change.state
    clock.enter(change, to, at, carried(complaint))
    change.version += 1
    log(
        session, EVENT_TYPES[action], change, actor, at,
        **{"action": action, "from": source, "to": to, "kind": change.kind} | event,
    )  # fmt: skip


async def replace_survey_drafts(
    session: AsyncSession,
    complaint: Complaint,
    wanted: Sequence[ChangeDraft],
    actor: Actor,
    at: datetime,
) -> list[RegistryChange]:
    """Make the drafts that came from the survey equal to it; those of the desk stay.

    The changes that say what is wanted, in its order.
    """
    new = dict(enumerate(wanted))
    found: dict[int, RegistryChange] = {}
    for change in await _of(session, complaint):
        if change.origin is not ChangeOrigin.SURVEY or change.state not in TAKEN_BACK:
            continue
        same = next((n for n, one in new.items() if drafting.is_same(session, change, one)), None)
        if same is not None and change.state is S.DRAFT:
            found[same] = change
            del new[same]
        else:
            await withdraw(session, change, SYSTEM, at, complaint, reason="not_in_survey")
    # A person is reported dead once at a time: what was withdrawn must be so before the new one.
    await session.flush()
    for n, draft in new.items():
        found[n] = await drafting.draft(
            session, actor, draft, ChangeOrigin.SURVEY, at, complaint=complaint
        )
    return [found[n] for n in range(len(wanted))]


async def propose(session: AsyncSession, complaint: Complaint, actor: Actor, at: datetime) -> None:
    """With the survey, or without a visit, its drafts go to the supervisor."""
    for change in await _of(session, complaint):
        if change.state is S.DRAFT:
            await propose_one(session, change, actor, at, complaint)


async def propose_one(
    session: AsyncSession,
    change: RegistryChange,
    actor: Actor,
    at: datetime,
    complaint: Complaint | None = None,
    action: ChangeAction = A.PROPOSE,
    **event: Any,
) -> None:
    change.proposed_at = at
    step(session, change, action, S.PROPOSED, actor, at, complaint, **event)
    if change.kind is ChangeKind.REPORT_DEATH:
        await deaths.hold(session, change, at)


async def recall(
    session: AsyncSession, complaint: Complaint, at: datetime, approved: bool = False
) -> None:
    """Back with the complaint: proposed ones to draft, or the approved ones to proposed."""
    for change in await _of(session, complaint):
        if change.state is S.PROPOSED and not approved:
            step(session, change, A.RECALL, S.DRAFT, SYSTEM, at, complaint)
        elif change.state is S.SUPERVISOR_APPROVED and approved:
            change.approved_by = None
            step(session, change, A.RECALL, S.PROPOSED, SYSTEM, at, complaint)


async def approve(
    session: AsyncSession, complaint: Complaint, refused: Refused, actor: Actor, at: datetime
) -> None:
    """As supervisor, one by one: refused ones are rejected, stale ones returned, the rest go on."""
    for change in await _of(session, complaint):
        if change.state is not S.PROPOSED:
            continue
        if change.id in refused.changes:
            reason = refused.changes[change.id]
            await reject(session, change, actor, at, complaint, reason=reason)
        else:
            fields = refused.fields.get(change.id, {})
            await approve_one(session, change, fields, actor, at, complaint)


async def approve_one(
    session: AsyncSession,
    change: RegistryChange,
    refused: dict[str, str],
    actor: Actor,
    at: datetime,
    complaint: Complaint | None = None,
    **event: Any,
) -> None:
    """As supervisor. It is returned on an older row, or where it makes the dead a head, or takes
    the only head away and names no other."""
    if refused:
        change.refused_fields = [{"field": name, "reason": why} for name, why in refused.items()]
    why = STALE if await applying.is_stale(session, change) else None
    if why is None and await heads.is_of_the_dead(session, change):
        why = DECEASED
    if why is None and await heads.leaves_none(session, change):
        why = NO_HEAD
    if why is not None:
        change.reason = why
        step(session, change, A.APPROVE, S.RETURNED, actor, at, complaint, **event, why=why)
        return
    change.approved_by = actor.id
    step(
        session, change, A.APPROVE, S.SUPERVISOR_APPROVED, actor, at, complaint, **event,
        refused_fields=sorted(refused),
    )  # fmt: skip
    if change.kind is ChangeKind.REPORT_DEATH:
        head = await deaths.believe(session, change, actor, at, complaint)
        if head is not None:
            await propose_one(session, head, SYSTEM, at, complaint)
        await _replace_heads_to_be(session, change, at)


async def _replace_heads_to_be(session: AsyncSession, death: RegistryChange, at: datetime) -> None:
    """Who was to be the new head has died, too: the next one is proposed instead.

    Where nobody may be it any more, the proposal stays for people to decide on.
    """
    assert death.member_id is not None
    for former in await RegistryChanges(session).heads_to_be([death.member_id]):
        id = former.complaint_id
        complaint = await Complaints(session).lock(id) if id else None
        head = await deaths.next_head(session, former, complaint, at)
        if head is not None:
            await withdraw(session, former, SYSTEM, at, complaint, reason=DECEASED)
            await propose_one(session, head, SYSTEM, at, complaint)


def check_fields(
    session: AsyncSession, change: RegistryChange, refused: Collection[str], pointer: str
) -> None:
    """Raises Invalid for refused fields that the change does not have, or for all of them."""
    known = RegistryChanges(session).content(change).fields
    if strange := [n for n, name in enumerate(refused) if name not in known]:
        faults = [Fault("unknown_item", f"{pointer}/{n}") for n in strange]
        raise Invalid("unknown_item", tuple(faults))
    if refused and len(set(refused)) == len(known):
        raise Invalid("nothing_left", (Fault("nothing_left", pointer),))


async def forward(session: AsyncSession, complaint: Complaint, actor: Actor, at: datetime) -> None:
    """As manager: applied here, and queued for the centre."""
    changes = await _of(session, complaint)
    # Who gives up being the head comes before who becomes it.
    for change in sorted(changes, key=lambda one: heads.makes_head(session, one)):
        if change.state is S.SUPERVISOR_APPROVED:
            await apply_one(session, change, actor, at)
        elif change.state in TAKEN_BACK:
            # From now on it goes its own way.
            clock.start(change)


async def apply_one(
    session: AsyncSession,
    change: RegistryChange,
    actor: Actor,
    at: datetime,
    **event: Any,
) -> None:
    """As manager: applied here and marked as not confirmed.

    It is returned on an older row, or where a household would have a second head, or none.
    """
    why = STALE if await applying.is_stale(session, change) else None
    if why is None and await heads.is_second(session, change):
        why = SECOND_HEAD
    if why is None and await heads.leaves_none(session, change):
        why = NO_HEAD
    if why is not None:
        change.reason = why
        step(session, change, A.APPROVE, S.RETURNED, actor, at, **event, why=why)
        return
    change.confirmed_by, change.applied_at = actor.id, at
    step(session, change, A.APPROVE, S.MANAGER_APPROVED, actor, at, **event)
    await applying.apply(session, change, actor, at)


async def reject(
    session: AsyncSession,
    change: RegistryChange,
    actor: Actor,
    at: datetime,
    complaint: Complaint | None = None,
    **event: Any,
) -> None:
    change.reason = event.get("reason") or change.reason
    step(session, change, A.REJECT, S.REJECTED, actor, at, complaint, **event)
    await waiting.answered(session, change, at)
    if change.kind is ChangeKind.REPORT_DEATH:
        await end_death(session, change, at)


async def withdraw(
    session: AsyncSession,
    change: RegistryChange,
    actor: Actor,
    at: datetime,
    complaint: Complaint | None = None,
    action: ChangeAction = A.WITHDRAW,
    **event: Any,
) -> None:
    change.reason = event.get("reason") or change.reason
    step(session, change, action, S.WITHDRAWN, actor, at, complaint, **event)
    await waiting.answered(session, change, at)
    if change.kind is ChangeKind.REPORT_DEATH:
        await end_death(session, change, at)


async def end_death(session: AsyncSession, death: RegistryChange, at: datetime) -> None:
    """A death that stands no longer: what followed it goes first, then the hold ends."""
    for change in await RegistryChanges(session).with_followers(death.id):
        if change.id != death.id:
            await _take_back(session, change, at)
    await session.flush()
    await deaths.release(session, death, at)


async def _take_back(session: AsyncSession, head: RegistryChange, at: datetime) -> None:
    """The new head that followed a death is none: also here, where it was applied."""
    if head.state in (S.DISPATCHED, S.CONFIRMED):
        await _correct(session, head, at)
    elif head.state in (S.MANAGER_APPROVED, S.DECLINED):
        await applying.undo(session, head, SYSTEM, at)
        action = A.UNDO if head.state is S.DECLINED else A.WITHDRAW
        await withdraw(session, head, SYSTEM, at, action=action, reason=DEATH_TAKEN_BACK)
    elif head.state in OPEN:
        await withdraw(session, head, SYSTEM, at, reason=DEATH_TAKEN_BACK)


async def _correct(session: AsyncSession, head: RegistryChange, at: datetime) -> None:
    """The centre has it already: taken back here at once, and proposed to be taken back there."""
    assert head.member_id is not None
    member = await Households(session).lock_member(head.member_id)
    if member.relation is not heads.HEAD or member.ended_at is not None:
        return
    before = RegistryChanges(session).undo_of(head)["fields"]
    wanted = ChangeDraft(kind=ChangeKind.UPDATE_MEMBER, member_id=member.id, fields=before)
    change = await drafting.draft(session, SYSTEM, wanted, ChangeOrigin.SYSTEM, at)
    await applying.undo(session, head, SYSTEM, at)
    change.base_version = member.version
    await propose_one(session, change, SYSTEM, at)


async def cancel(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    """A complaint that ends before it was forwarded takes its changes along.

    Deaths are excepted, with the new heads that follow them.
    """
    for change in await _of(session, complaint):
        if change.state not in (*TAKEN_BACK, S.SUPERVISOR_APPROVED):
            continue
        if change.kind is not ChangeKind.REPORT_DEATH and change.follows_id is None:
            await withdraw(session, change, SYSTEM, at, complaint, reason="complaint_ended")
        elif change.state is S.DRAFT:
            # Whoever reported it has come; it goes its own way to the supervisor.
            await propose_one(session, change, SYSTEM, at)
        else:
            clock.start(change)


async def _of(session: AsyncSession, complaint: Complaint) -> list[RegistryChange]:
    changes = await RegistryChanges(session).of_complaints([complaint.id], lock=True)
    return changes[complaint.id]
