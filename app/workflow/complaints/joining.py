"""Join: the same matter filed twice. The earlier complaint goes on for both, with all there is."""

from collections.abc import Sequence
from uuid import UUID

from app.domain.base import move_to, region_of
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict, Fault, Invalid, NotFound
from app.domain.other_needs import OtherNeeds
from app.domain.referrals import UNSENT, Origin, Referral, Referrals, ReferralState
from app.domain.registry_changes import UNDECIDED, ChangeOrigin, RegistryChanges
from app.domain.surveys import Surveys
from app.domain.transfers import settle
from app.domain.visits import Visits
from app.domain.vocabulary import Outcome
from app.workflow import needs
from app.workflow.complaints import clock, surveys
from app.workflow.complaints.case import LIVE
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.effects import Doing, effect
from app.workflow.complaints.persons import whom
from app.workflow.history import log
from app.workflow.referrals import items
from app.workflow.referrals.table import LINKED, UNLINKED
from app.workflow.registry_changes import items as registry_items
from app.workflow.registry_changes.table import CARRIED_OVER
from app.workflow.visits.closing import call_off_for
from app.workflow.visits.table import CARRIED_OVER as VISIT_CARRIED_OVER

S = ComplaintState
JOINED_BY = "complaint.joined_by"
JOINED = "joined"
# Nobody would decide any more on drafts that come to these.
TOO_LATE_FOR_DRAFTS = (S.AWAITING_MANAGER, S.FORWARDED, S.ANSWERED)


@effect(ComplaintAction.JOIN)
async def join(do: Doing) -> ComplaintState:
    one = do.complaint
    into = await _earlier(do)
    if into.state in TOO_LATE_FOR_DRAFTS and _has_drafts(do):
        raise Conflict("drafts_stay_behind")
    # In the order of locks: changes, visits, then referrals.
    surveyed = await _surveys(do, into)
    await _changes(do, into, surveyed)
    await _visits(do, into)
    await _referrals(do, into, surveyed)
    _facts(one, into)
    clock.share_promise(into, one, do.at)
    clock.resume(one, do.at)
    one.joined_into, one.outcome, one.closed_at = into.id, Outcome.JOINED, do.at
    do.data["into"] = str(into.id)
    into.version += 1
    log(do.session, JOINED_BY, into, do.actor, do.at, complaint_id=str(one.id))
    return S.CLOSED


async def _earlier(do: Doing) -> Complaint:
    """The complaint to join into: held already, by `verbs.act`, with this one in id order.

    Raises Invalid for what is unknown or out of sight, Conflict for what is no earlier open one of
    the same person or household.
    """
    one, id, place = do.complaint, do.command.data.into, "/data/into"
    complaints = Complaints(do.session)
    if id == one.id:
        raise Invalid("joined_into_itself", (Fault("joined_into_itself", place),))
    try:
        into = await complaints.get(id, do.actor, do.at)
    except NotFound:
        raise Invalid("unknown_complaint", (Fault("unknown_complaint", place),)) from None
    if into.state is S.CLOSED:
        raise Conflict("no_longer_open")
    if (into.received_at, into.id) > (one.received_at, one.id):
        raise Conflict("not_earlier")
    if not whom(one).is_same(whom(into)):
        raise Conflict("not_the_same_person")
    return into


def _has_drafts(do: Doing) -> bool:
    return bool(do.case.live_changes) or any(one.state in UNSENT for one in do.case.items)


async def _surveys(do: Doing, into: Complaint) -> bool:
    """The survey becomes the earlier one's where that has none, and is kept beside it where it
    was submitted; a draft beside another stays where it is. Whether it became that."""
    kept = Surveys(do.session)
    mine = await kept.of(do.complaint.id, lock=True)
    surveys.add_surveyors(into, do.complaint.submitted_by, *do.complaint.surveyors)
    into.rejected_by = list(dict.fromkeys([*into.rejected_by, *do.complaint.rejected_by]))
    if mine is None:
        return False
    first = await kept.of(into.id) is None
    beside = await kept.of(into.id, additional_of=mine.author_id)
    if first or (mine.submitted_at is not None and beside is None):
        mine.complaint_id, mine.additional = into.id, not first
        move_to(mine, region_of(into))
    if first:
        await OtherNeeds(do.session).carry_over(do.complaint.id, into)
    return first


async def _changes(do: Doing, into: Complaint, surveyed: bool) -> None:
    """Undecided again, as the earlier complaint is, and decided with it."""
    one, at = do.complaint, do.at
    await registry_items.recall(do.session, one, at, approved=True)
    await registry_items.recall(do.session, one, at)
    changes = await RegistryChanges(do.session).of_complaints([one.id], lock=True)
    for change in changes[one.id]:
        if change.state not in UNDECIDED:
            continue
        change.complaint_id = into.id
        if not surveyed and change.origin is ChangeOrigin.SURVEY:
            # Another survey stands there now: it is not to be made equal to that one.
            change.origin = ChangeOrigin.DESK
        change.version += 1
        log(do.session, CARRIED_OVER, change, do.actor, at, complaint_id=str(into.id))
    await do.session.flush()
    if into.state is S.AWAITING_SUPERVISOR:
        await registry_items.propose(do.session, into, do.actor, at)


async def _visits(do: Doing, into: Complaint) -> None:
    """The visit that was to follow an emergency, unless the earlier one has one."""
    visits = Visits(do.session)
    if await visits.for_complaint(into.id):
        await call_off_for(do.session, do.complaint.id, do.at)
    for visit in await visits.lock_open_for(do.complaint.id):
        visit.complaint_id = into.id
        settle(visit, region_of(into))
        log(do.session, VISIT_CARRIED_OVER, visit, do.actor, do.at, complaint_id=str(into.id))


async def _referrals(do: Doing, into: Complaint, surveyed: bool) -> None:
    """A need that the earlier one has, too, is asked for once; the others go along."""
    one, referrals = do.complaint, Referrals(do.session)
    held = await referrals.items_of([one.id, into.id], lock=True)
    origins = await referrals.origins(one.id)
    theirs = {item.id for item in held[into.id]}
    for item in held[one.id]:
        if item.state is ReferralState.CANCELLED:
            continue
        key = needs.key_within(item.beneficiary_key, one.id, into.id)
        if item.state in UNSENT and _is_among(item, key, held[into.id]):
            await items.cancel_one(do.session, one, item, JOINED, do.actor, do.at)
            continue
        await referrals.unlink(one.id, item.id)
        if item.complaint_id == one.id:
            item.complaint_id, item.beneficiary_key = into.id, key
            settle(item, region_of(into if item.state in UNSENT else item))
        if item.id not in theirs:
            desks = not surveyed and origins[item.id] is Origin.SURVEY
            referrals.link(into.id, item, Origin.DESK if desks else origins[item.id])
            log(do.session, LINKED, item, do.actor, do.at, linked_complaint_id=str(into.id))
        log(
            do.session, UNLINKED, item, do.actor, do.at, unlinked_complaint_id=str(one.id),
            reason=JOINED,
        )  # fmt: skip
    await do.session.flush()
    if into.state not in TOO_LATE_FOR_DRAFTS:
        await items.take_back(do.session, into, do.at)


def _is_among(item: Referral, key: str, others: Sequence[Referral]) -> bool:
    need = (key, item.program_code, item.purpose)
    return any(
        one.id != item.id
        and one.state in LIVE
        and (one.beneficiary_key, one.program_code, one.purpose) == need
        for one in others
    )


def _facts(one: Complaint, into: Complaint) -> None:
    """What was shown and found at one desk need not be shown at the other."""
    into.documents_seen = list(dict.fromkeys([*into.documents_seen, *one.documents_seen]))
    known = {waiver["document"] for waiver in into.documents_waived}
    into.documents_waived = [
        *into.documents_waived,
        *(waiver for waiver in one.documents_waived if waiver["document"] not in known),
    ]
    into.household_id = into.household_id or one.household_id
    into.registry_check = into.registry_check or one.registry_check


async def survivors(complaints: Complaints, ids: Sequence[UUID]) -> dict[UUID, Complaint]:
    """By the ids that complaints were joined into: the one that goes on for each in the end.

    That one may have been joined into a still earlier one. Each step is one query for all.
    """
    found = await complaints.by_ids(set(ids))
    ends = {id: found[id] for id in ids}
    while onward := {end.joined_into for end in ends.values() if end.joined_into}:
        found = await complaints.by_ids(onward)
        ends = {id: found[end.joined_into] if end.joined_into else end for id, end in ends.items()}
    return ends
