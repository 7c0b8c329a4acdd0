"""What each action does to a complaint, once the table has let it through."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import day_of, region_of
from app.domain.complaints import Complaint, Complaints, ComplaintState, ContactAttempt
from app.domain.complaints import DeliveryAttempt as Attempt
from app.domain.errors import Fault, Invalid
from app.domain.households import Households
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.principals import Principals
from app.domain.referrals import ANSWERED, Referrals
from app.domain.surveys import Surveys
from app.domain.vocabulary import (
    CheckOutcome,
    Delivery,
    DeliveryMethod,
    DeliveryResult,
    Outcome,
    Priority,
    VisitResult,
)
from app.workflow import needs, registry
from app.workflow.complaint_documents.naming import check_named
from app.workflow.complaints import centre, clock, duplicates, surveys
from app.workflow.complaints.case import Case, staff_of
from app.workflow.complaints.commands import Command, ComplaintAction, Refusal
from app.workflow.parties import MANAGER, told
from app.workflow.referrals import items
from app.workflow.registry_changes import items as registry_items
from app.workflow.registry_changes.items import Refused
from app.workflow.visits.closing import call_off_for
from app.workflow.visits.opening import open_for_emergency

A, S = ComplaintAction, ComplaintState
VISITS_AT_MOST = 3
NOT_AN_EMERGENCY = "not_an_emergency"
TRIES_AT_MOST = 3
STANDS_FOR_HOME = DeliveryMethod.IN_PERSON


@dataclass(slots=True)
class Doing:
    """One action under way: what an effect reads, and what it adds to the event."""

    session: AsyncSession
    case: Case
    actor: Actor
    command: Command
    at: datetime
    happened_at: datetime
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def complaint(self) -> Complaint:
        return self.case.complaint

    def tell(self, people: list[UUID], step: Step) -> None:
        Notifications(self.session).tell(
            people, SubjectKind.COMPLAINT, self.complaint, step, self.at
        )


Effect = Callable[[Doing], Awaitable[ComplaintState]]
EFFECTS: dict[ComplaintAction, Effect] = {}


def effect(action: ComplaintAction) -> Callable[[Effect], Effect]:
    def made(function: Effect) -> Effect:
        EFFECTS[action] = function
        return function

    return made


@effect(A.RESOLVE_NOW)
async def resolve_now(do: Doing) -> ComplaintState:
    do.complaint.answer = do.command.note
    await conclude(do, Outcome.RESOLVED)
    _told(do)
    return S.CLOSED


@effect(A.REQUEST_DOCUMENTS)
async def request_documents(do: Doing) -> ComplaintState:
    do.complaint.documents_missing = [str(document) for document in do.command.data.missing]
    do.data["missing"] = do.complaint.documents_missing
    clock.pause(do.complaint, do.at)
    return S.INCOMPLETE


@effect(A.COMPLETE_DOCUMENTS)
async def complete_documents(do: Doing) -> ComplaintState:
    one, data = do.complaint, do.command.data
    one.documents_seen = list(dict.fromkeys([*one.documents_seen, *map(str, data.documents_seen)]))
    one.documents_waived = _merged(one.documents_waived, data.documents_waived)
    one.documents_missing = []
    if one.closed_at is not None:
        # The time in the archive does not count either.
        clock.pause(one, one.closed_at)
    one.outcome = one.closed_at = one.handled_at = None
    clock.resume(one, do.at)
    return S.RECEIVED


@effect(A.RECORD_CONTACT)
async def record_contact(do: Doing) -> ComplaintState:
    data = do.command.data
    do.session.add(
        ContactAttempt(
            complaint_id=do.complaint.id, stage=do.complaint.stage, how=data.how,
            contacted=data.to, result=data.result, at=do.happened_at, tried_by=do.actor.id,
            **region_of(do.complaint),
        )
    )  # fmt: skip
    do.data |= {"how": data.how, "result": data.result}
    return S.INCOMPLETE


@effect(A.ARCHIVE)
async def archive(do: Doing) -> ComplaintState:
    await conclude(do, Outcome.ARCHIVED)
    clock.resume(do.complaint, do.at)
    do.complaint.closed_at = do.at
    return S.CLOSED


@effect(A.FORWARD_TO_SECRETARIAT)
async def forward_to_secretariat(do: Doing) -> ComplaintState:
    one = do.complaint
    check = one.registry_check or {}
    if check.get("outcome") == CheckOutcome.REGISTERED:
        one.household_id = await _standing(do, UUID(check["household_id"]))
    elif check.get("outcome") == CheckOutcome.SIMILAR and do.command.data is not None:
        chosen = _candidate(check, do.command.data.household_id)
        one.household_id = await _standing(do, chosen) if chosen else None
    if one.household_id is not None:
        # Another of the household may have come with the same.
        await duplicates.mark(do.session, [one], corrected=True)
    if needs.waives_identity(one.documents_waived):
        await needs.draft_civil_documents(do.session, one, do.actor, do.at)
    return S.AT_SECRETARIAT


@effect(A.ASSIGN)
async def assign(do: Doing) -> ComplaintState:
    await _give_to(do, await _facilitator(do, do.command.data.facilitator_id))
    do.complaint.system_reassigned = False
    return S.ASSIGNED


@effect(A.SELF_ASSIGN)
async def self_assign(do: Doing) -> ComplaintState:
    one = do.complaint
    if one.registry_check is None:
        await registry.check_by_system(do.session, one, do.at)
    check = one.registry_check or {}
    if check.get("outcome") == CheckOutcome.REGISTERED:
        one.household_id = await _standing(do, UUID(check["household_id"]))
    elif do.command.data is not None and do.command.data.household_id is not None:
        chosen = _candidate(check, do.command.data.household_id)
        assert chosen is not None
        one.household_id = await _standing(do, chosen)
    if needs.waives_identity(one.documents_waived):
        await needs.draft_civil_documents(do.session, one, do.actor, do.at)
    one.assigned_to = do.actor.id
    do.data["assigned_to"] = str(do.actor.id)
    await Complaints(do.session).begin_assignment(one, do.at)
    staff = await staff_of(do.session, one.regency_code)
    desk = staff.holding(one.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT)
    do.tell([person.id for person in desk], Step.SELF_ASSIGNED)
    one.system_reassigned = False
    return S.ASSIGNED


@effect(A.REASSIGN)
async def reassign(do: Doing) -> ComplaintState:
    facilitator = await _facilitator(do, do.command.data.facilitator_id)
    if facilitator == do.complaint.assigned_to:
        raise Invalid("same_facilitator", (Fault("same_facilitator", "/data/facilitator_id"),))
    await _give_to(do, facilitator)
    return do.complaint.state


@effect(A.SUBMIT_WITHOUT_VISIT)
async def submit_without_visit(do: Doing) -> ComplaintState:
    # Whoever sends it up without a visit stands where the surveyor stands for four eyes.
    surveys.add_surveyors(do.complaint, do.actor.id)
    do.complaint.without_visit = True
    do.complaint.no_survey = False
    await registry_items.propose(do.session, do.complaint, do.actor, do.at)
    await open_for_emergency(do.session, do.complaint, do.actor, do.at)
    return S.AWAITING_SUPERVISOR


@effect(A.HAND_BACK)
async def hand_back(do: Doing) -> ComplaintState:
    one = do.complaint
    one.handed_back_by = [*one.handed_back_by, do.actor.id]
    one.assigned_to = None
    await Complaints(do.session).begin_assignment(one, do.at)
    return S.AT_SECRETARIAT


@effect(A.RECORD_VISIT_ATTEMPT)
async def record_visit_attempt(do: Doing) -> ComplaintState:
    one, result = do.complaint, do.command.data.result
    visitor = await _surveyor(do)
    do.data["result"] = result
    one.visit_attempts += 1
    come_again = result in (VisitResult.NOT_HOME, VisitResult.ADDRESS_NOT_FOUND)
    if come_again and one.visit_attempts < VISITS_AT_MOST:
        one.stage_extra += timedelta(days=1)
        return one.state
    one.no_survey = True
    one.without_visit = False
    surveys.add_surveyors(one, visitor, do.actor.id)
    await registry_items.propose(do.session, one, do.actor, do.at)
    return S.AWAITING_SUPERVISOR


@effect(A.SUBMIT_SURVEY)
async def submit_survey(do: Doing) -> ComplaintState:
    one, surveyor = do.complaint, await _surveyor(do)
    await surveys.submit(do.session, one, surveyor, do.actor, do.at)
    surveys.add_surveyors(one, surveyor, do.actor.id)
    await do.session.flush()
    await registry_items.propose(do.session, one, do.actor, do.at)
    one.no_survey = one.without_visit = False
    return S.AWAITING_SUPERVISOR


@effect(A.RETURN_FOR_CORRECTION)
async def return_for_correction(do: Doing) -> ComplaintState:
    one = do.complaint
    if do.command.data and do.command.data.fields:
        do.data["fields"] = do.command.data.fields
    await registry_items.recall(do.session, one, do.at)
    one.returned_count += 1
    if one.returned_count == 2:
        do.tell(told(MANAGER, do.case), Step.RETURNED_TWICE)
    if one.without_visit or one.assigned_to is None:
        return S.AT_SECRETARIAT
    one.system_reassigned = False
    do.tell([one.assigned_to], Step.RETURNED)
    return S.RETURNED


@effect(A.APPROVE)
async def approve(do: Doing) -> ComplaintState:
    refusals = do.command.data.refuse if do.command.data else []
    refused = {one.referral_id: one.reason for one in refusals if one.referral_id}
    await registry_items.approve(do.session, do.complaint, _refused(do, refusals), do.actor, do.at)
    # A death that is believed drafts civil documents for the heirs: they are approved along.
    await do.session.flush()
    await items.approve(do.session, do.complaint, refused, do.actor, do.at)
    do.complaint.approved_by = do.actor.id
    return S.AWAITING_MANAGER


@effect(A.RETURN_TO_SUPERVISOR)
async def return_to_supervisor(do: Doing) -> ComplaintState:
    await items.take_back(do.session, do.complaint, do.at)
    await registry_items.recall(do.session, do.complaint, do.at, approved=True)
    do.complaint.approved_by = None
    return S.AWAITING_SUPERVISOR


@effect(A.FORWARD)
async def forward(do: Doing) -> ComplaintState:
    # The registry first: its rows are locked before quotas and referrals, everywhere.
    await registry_items.forward(do.session, do.complaint, do.actor, do.at)
    await do.session.flush()
    await items.send(do.session, do.complaint, do.actor, do.at)
    do.complaint.forwarded_by = do.actor.id
    do.complaint.forwarded_at = do.at
    # What it holds by a link may be with its owner already.
    received = [one for one in await _items(do) if one.received_at is not None]
    for referral in received:
        centre.arrived(do.session, [do.complaint], do.actor, do.at, referral_id=str(referral.id))
    return S.FORWARDED


@effect(A.ANSWER)
async def answer(do: Doing) -> ComplaintState:
    do.complaint.answer = do.command.note
    await conclude(do, Outcome.RESOLVED)
    return S.ANSWERED


@effect(A.REJECT)
async def reject(do: Doing) -> ComplaintState:
    one = do.complaint
    one.answer = do.command.note
    one.reason = do.command.reason
    one.rejected_by = [*one.rejected_by, do.actor.id]
    await conclude(do, Outcome.REJECTED)
    return S.ANSWERED


@effect(A.SETTLE)
async def settle(do: Doing) -> ComplaintState:
    do.complaint.outcome = do.command.data
    do.data["outcome"] = do.command.data
    if do.complaint.assigned_to:
        do.tell([do.complaint.assigned_to], Step.ANSWERED)
    return S.ANSWERED


@effect(A.CLOSE_UNANSWERED)
async def close_unanswered(do: Doing) -> ComplaintState:
    do.complaint.answer = do.command.note
    do.complaint.outcome = Outcome.UNANSWERED
    return S.ANSWERED


@effect(A.DELIVER_ANSWER)
async def deliver_answer(do: Doing) -> ComplaintState:
    one, data = do.complaint, do.command.data
    proof = data.proof_document_id
    if proof is not None:
        await check_named(do.session, one.id, {"/data/proof_document_id": proof})
        do.data["proof_document_id"] = str(proof)
    teller = await _named(do) or do.actor.id
    rated = data.satisfaction is not None and teller == one.assigned_to
    attempt = Attempt(
        complaint_id=one.id, reopened_count=one.reopened_count, how=data.how, told_to=data.to,
        result=data.result, satisfaction=data.satisfaction, satisfaction_self_typed=rated,
        proof_document_id=proof, at=do.happened_at, tried_by=teller, **region_of(one),
    )  # fmt: skip
    do.session.add(attempt)
    do.data |= {"how": data.how, "result": data.result}
    if data.result is DeliveryResult.TOLD:
        _told(do)
        for referral in await _items(do):
            if referral.state in ANSWERED:
                referral.informed_at = do.happened_at
        return S.CLOSED
    tries = [*await Complaints(do.session).attempts(one), attempt]
    days = {day_of(attempt.at) for attempt in tries}
    at_home = any(attempt.how is STANDS_FOR_HOME for attempt in tries)
    if len(days) < TRIES_AT_MOST or not at_home:
        return S.ANSWERED
    one.delivery = Delivery.UNDELIVERABLE
    one.closed_at = do.at
    return S.CLOSED


@effect(A.WITHDRAW)
async def withdraw(do: Doing) -> ComplaintState:
    await conclude(do, Outcome.WITHDRAWN)
    clock.resume(do.complaint, do.at)
    _told(do)
    return S.CLOSED


@effect(A.REOPEN)
async def reopen(do: Doing) -> ComplaintState:
    one = do.complaint
    one.reopened_count += 1
    one.outcome = one.reason = one.answer = None
    one.delivery = Delivery.PENDING
    one.handled_at = one.informed_at = one.closed_at = one.forwarded_at = one.at_centre_at = None
    one.breached_at = one.paused_since = None
    one.assigned_to = None
    one.surveyors = []
    one.approved_by = one.forwarded_by = None
    one.without_visit = one.no_survey = one.late_when_recorded = one.system_reassigned = False
    one.clock_from, one.paused_for = do.at, timedelta(0)
    await Surveys(do.session).begin_anew(one.id)
    await Complaints(do.session).begin_assignment(one, do.at)
    return S.AT_SECRETARIAT


@effect(A.SET_PRIORITY)
async def set_priority(do: Doing) -> ComplaintState:
    one, priority = do.complaint, do.command.data.priority
    if (do.command.reason == NOT_AN_EMERGENCY) != (priority is Priority.NORMAL):
        raise Invalid("reason_not_allowed", (Fault("reason_not_allowed", "/reason"),))
    one.priority = priority
    do.data["priority"] = one.priority
    one.deadline_at = clock.deadline(one)
    if one.deadline_at > do.at:
        # The broken promise was another one; this deadline may still be kept.
        one.breached_at = None
        one.late_when_recorded = False
    if one.state in (S.AWAITING_SUPERVISOR, S.AWAITING_MANAGER):
        await open_for_emergency(do.session, one, do.actor, do.at)
    return one.state


def _refused(do: Doing, refusals: list[Refusal]) -> Refused:
    """The changes, and fields of changes, that are not let through. Raises Invalid for others."""
    referrals = {item.id for item in do.case.items}
    changes = {change.id: change for change in do.case.changes}
    refused, faults = Refused(), []
    for n, one in enumerate(refusals):
        if one.referral_id is not None and one.referral_id not in referrals:
            faults.append(Fault("unknown_item", f"/data/refuse/{n}/referral_id"))
        if one.registry_change_id is None:
            continue
        change = changes.get(one.registry_change_id)
        if change is None:
            faults.append(Fault("unknown_item", f"/data/refuse/{n}/registry_change_id"))
        elif one.fields:
            place = f"/data/refuse/{n}/fields"
            registry_items.check_fields(do.session, change, one.fields, place)
            said = refused.fields.setdefault(change.id, {})
            said |= dict.fromkeys(one.fields, one.reason)
            # Named one by one, they may not be all of them either.
            registry_items.check_fields(do.session, change, said, place)
        else:
            refused.changes[change.id] = one.reason
    if faults:
        raise Invalid("unknown_item", tuple(faults))
    return refused


async def _items(do: Doing) -> list[Any]:
    return (await Referrals(do.session).items_of([do.complaint.id], lock=True))[do.complaint.id]


async def conclude(do: Doing, outcome: Outcome) -> None:
    """What is decided without a programme: what was prepared for one is cancelled."""
    do.complaint.outcome = outcome
    await registry_items.cancel(do.session, do.complaint, do.at)
    await call_off_for(do.session, do.complaint.id, do.at)
    await items.cancel(do.session, do.complaint, do.at)


def _told(do: Doing) -> None:
    do.complaint.delivery = Delivery.TOLD
    do.complaint.informed_at = do.happened_at
    do.complaint.closed_at = do.at


async def _facilitator(do: Doing, id: UUID, pointer: str = "/data/facilitator_id") -> UUID:
    """An active facilitator of the complaint's city."""
    city = await Principals(do.session).facilitators(do.complaint.regency_code)
    if not any(one.id == id and one.regions(Role.FACILITATOR) for one in city):
        raise Invalid("unknown_facilitator", (Fault("unknown_facilitator", pointer),))
    return id


async def _named(do: Doing) -> UUID | None:
    """The facilitator whose paper is typed, if it is somebody's."""
    named = do.command.data and do.command.data.on_behalf_of
    if named is None:
        return None
    do.data["on_behalf_of"] = str(named)
    return await _facilitator(do, named, "/data/on_behalf_of")


async def _surveyor(do: Doing) -> UUID:
    """Who was at the home: the assigned facilitator, or whoever the typist names."""
    if (named := await _named(do)) is not None:
        return named
    if do.actor.id != do.complaint.assigned_to:
        raise Invalid("missing", (Fault("missing", "/data/on_behalf_of"),))
    return do.actor.id


async def _give_to(do: Doing, facilitator: UUID) -> None:
    do.complaint.assigned_to = facilitator
    do.data["assigned_to"] = str(facilitator)
    await Complaints(do.session).begin_assignment(do.complaint, do.at)
    do.tell([facilitator], Step.ASSIGNED)


def _merged(known: list[dict[str, Any]], new: list[Any]) -> list[dict[str, Any]]:
    """Waivers by document, the newest word on each."""
    by_document = {waiver["document"]: waiver for waiver in known}
    by_document |= {waiver.document: waiver.model_dump(mode="json") for waiver in new}
    return list(by_document.values())


async def _standing(do: Doing, id: UUID) -> UUID:
    """A household to link to: the one it was merged into since the check, where it was.

    It is held, so that a merge that comes next finds the link.
    """
    households = Households(do.session)
    seen = await households.find(id)
    while seen is not None and seen.merged_into is not None:
        seen = await households.find(seen.merged_into)
    assert seen is not None
    household = await households.lock(seen.id)
    return household.merged_into or household.id


def _candidate(check: dict[str, Any], chosen: UUID | None) -> UUID | None:
    offered = {candidate["household_id"] for candidate in check.get("candidates", [])}
    if chosen is not None and str(chosen) not in offered:
        raise Invalid("unknown_household", (Fault("unknown_household", "/data/household_id"),))
    return chosen
