"""A reported death: the soft hold, what follows once it is believed, and taking it back."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, SYSTEM, Actor, Role
from app.domain.base import JAKARTA, day_of
from app.domain.complaints import Complaint, Complaints
from app.domain.households import (
    Household,
    Households,
    Member,
    MemberRelation,
    Presence,
    touch,
)
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.referrals import OPEN, Origin, Referrals
from app.domain.registry_changes import ChangeKind, ChangeOrigin, RegistryChange
from app.workflow import needs
from app.workflow.complaints.case import staff_of
from app.workflow.history import log
from app.workflow.referrals.items import DEATH_REPORTED, DECEASED
from app.workflow.registry_changes import drafting, heads
from app.workflow.registry_changes.drafts import ChangeDraft
from app.workflow.registry_changes.heads import HEAD

FOR_DEATH = (DECEASED, DEATH_REPORTED)
HELD, RELEASED = "member.held", "member.released"
DEAD, LIVES = "member.reported_dead", "member.restored"
SIGNALLED = "referral.death_signalled"
ADULT = 17
# Who is asked first to be the new head, of those who are grown up.
HEIRS = (
    MemberRelation.SPOUSE, MemberRelation.CHILD, MemberRelation.PARENT,
    MemberRelation.CHILD_IN_LAW, MemberRelation.GRANDCHILD, MemberRelation.OTHER,
)  # fmt: skip


async def hold(session: AsyncSession, change: RegistryChange, at: datetime) -> None:
    """No new referral for the person from now on; the owners of pending ones are told. Once."""
    member = await _member(session, change)
    if member.hold_change_id is not None:
        return
    member.hold_change_id = change.id
    log(session, HELD, member, SYSTEM, at, change_id=str(change.id))
    await _tell_owners(session, member, Step.DEATH_REPORTED, at)


async def release(session: AsyncSession, change: RegistryChange, at: datetime) -> None:
    """The report was rejected, withdrawn or revoked: the hold ends, and the person lives."""
    member = await _member(session, change)
    if member.hold_change_id != change.id:
        return
    member.hold_change_id = None
    log(session, RELEASED, member, SYSTEM, at, change_id=str(change.id))
    if not member.alive:
        member.presence, member.presence_on, member.died_on = Presence.FOUND, None, None
        await heads.give_way(session, member)
        touch(member, at)
        log(session, LIVES, member, SYSTEM, at, change_id=str(change.id))
    await _tell_owners(session, member, Step.DEATH_REVOKED, at)
    await _tell_drafters(session, member, change, at)


async def believe(
    session: AsyncSession,
    change: RegistryChange,
    actor: Actor,
    at: datetime,
    complaint: Complaint | None,
) -> RegistryChange | None:
    """Approved by the supervisor: out of eligibility and worklists; the heirs are seen to.

    What it returns is to be proposed: who should be the new head, where the head has died.
    """
    member = await _member(session, change)
    if not member.alive:
        # Believed before: the manager sent it back, or it is proposed anew to the centre.
        return None
    member.presence, member.presence_on = Presence.DEAD, day_of(at)
    touch(member, at)
    log(session, DEAD, member, actor, at, change_id=str(change.id))
    household = await Households(session).lock(member.household_id)
    people = (await Households(session).members_of([household.id]))[household.id]
    rest = [one for one in people if one.alive and one.id != member.id]
    if not rest:
        return None
    if complaint is None:
        staff = await staff_of(session, change.regency_code)
        desk = staff.holding(change.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
        Notifications(session).tell(
            [one.id for one in desk], SubjectKind.REGISTRY_CHANGE, change, Step.HEIRS, at
        )
    else:
        await _draft_civil_documents(session, complaint, household, actor, at)
    if member.relation is not HEAD or any(one.relation is HEAD for one in rest):
        return None
    head = await _draft_head(session, rest, complaint, at)
    head.follows_id = change.id
    return head


async def next_head(
    session: AsyncSession, former: RegistryChange, complaint: Complaint | None, at: datetime
) -> RegistryChange | None:
    """Instead of somebody who was to be the head and has died, too; None: nobody may be."""
    assert former.household_id is not None
    people = (await Households(session).members_of([former.household_id]))[former.household_id]
    rest = [one for one in people if one.alive]
    if not rest or any(one.relation is HEAD for one in rest):
        return None
    head = await _draft_head(session, rest, complaint, at)
    head.follows_id = former.follows_id
    return head


async def _draft_head(
    session: AsyncSession, people: list[Member], complaint: Complaint | None, at: datetime
) -> RegistryChange:
    """A new head: the spouse, else the eldest grown-up child, and so on; people decide."""

    def order(one: Member) -> Any:
        rank = HEIRS.index(one.relation) if one.relation in HEIRS else len(HEIRS)
        return (not _is_adult(one, at), rank, one.birth_year or 9999, one.id)

    new = min(people, key=order)
    proposal = ChangeDraft(
        kind=ChangeKind.UPDATE_MEMBER, member_id=new.id, fields={"relation": "head"}
    )
    return await drafting.draft(
        session, SYSTEM, proposal, ChangeOrigin.SYSTEM, at, complaint=complaint,
        regency_code=new.regency_code,
    )  # fmt: skip


def _is_adult(one: Member, at: datetime) -> bool:
    return one.birth_year is None or at.astimezone(JAKARTA).year - one.birth_year >= ADULT


async def _draft_civil_documents(
    session: AsyncSession, complaint: Complaint, household: Household, actor: Actor, at: datetime
) -> None:
    """The heirs need a new family card: referred to the civil registry."""
    held = (await Referrals(session).items_of([complaint.id], lock=True))[complaint.id]
    need = needs.ProgramNeed(
        program_code=needs.CIVIL_DOCUMENTS,
        beneficiary=needs.Beneficiary(household_id=household.id),
    )
    await needs.draft(session, complaint, need, Origin.WAIVER, actor, at, held)


async def _tell_owners(session: AsyncSession, member: Member, step: Step, at: datetime) -> None:
    """The programmes with an open referral for the person."""
    pending = await Referrals(session).for_member(member.id)
    staff = await staff_of(session, member.regency_code)
    for referral in [one for one in pending if one.state in OPEN]:
        owners = staff.owning(referral.village_code, referral.program_code)
        told = [one.id for one in owners]
        Notifications(session).tell(told, SubjectKind.REFERRAL, referral, step, at)
        log(session, SIGNALLED, referral, SYSTEM, at, step=step, told=len(owners))


async def _tell_drafters(
    session: AsyncSession, member: Member, change: RegistryChange, at: datetime
) -> None:
    """What was cancelled for the death is wanted again: told to whoever has the complaint."""
    for referral in await Referrals(session).for_member(member.id):
        if referral.reason in FOR_DEATH and referral.stage_entered_at >= change.created_at:
            complaint = await Complaints(session).peek(referral.complaint_id)
            people = [complaint.assigned_to or referral.drafted_by]
            Notifications(session).tell(
                people, SubjectKind.REFERRAL, referral, Step.DEATH_REVOKED, at
            )


async def _member(session: AsyncSession, change: RegistryChange) -> Member:
    assert change.member_id is not None
    return await Households(session).lock_member(change.member_id)
