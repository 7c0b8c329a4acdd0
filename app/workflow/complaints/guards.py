"""The conditions of the complaint table. Each docstring is the sentence that must be true."""

from datetime import datetime, timedelta
from typing import Any

from app.domain.actors import SYSTEM, Actor
from app.domain.complaints import ComplaintState
from app.domain.errors import Conflict, Forbidden, Invalid
from app.domain.vocabulary import CheckOutcome, Outcome
from app.workflow.complaints.case import Case
from app.workflow.machine import guard

ARCHIVED_FOR = timedelta(days=365)
REOPEN_WITHIN = timedelta(days=14)
REOPENED_AT_MOST = 2
UNANSWERED_AFTER = timedelta(days=120)
ARCHIVE_AFTER = timedelta(days=30)


@guard(Forbidden, "four_eyes")
def surveyed_by_another(case: Case, actor: Actor, _: Any) -> bool:
    """Whoever surveyed, typed or submitted a complaint may not decide on it."""
    return actor is SYSTEM or actor.id not in case.parts.surveyors


@guard(Forbidden, "four_eyes")
def approved_by_another(case: Case, actor: Actor, _: Any) -> bool:
    """Whoever approved a complaint may not forward it."""
    return actor is SYSTEM or actor.id not in case.parts.approver


@guard(Forbidden, "four_eyes")
def not_rejected_before(case: Case, actor: Actor, _: Any) -> bool:
    """Whoever rejected a complaint may not decide on it again after it was reopened."""
    return actor is SYSTEM or actor.id not in case.parts.rejecters


@guard(Invalid, "household_choice_required")
def household_named(case: Case, _: Actor, command: Any) -> bool:
    """After a check that found similar households, the desk names one of them, or none."""
    found = (case.complaint.registry_check or {}).get("outcome")
    if command is None or found != CheckOutcome.SIMILAR or case.emergency:
        return True
    return command.data is not None and "household_id" in command.data.model_fields_set


@guard(Conflict, "documents_missing")
def documents_complete(case: Case, _: Actor, __: Any) -> bool:
    """Each document of the route is recorded or waived; an emergency may bring them later."""
    one = case.complaint
    shown = {*one.documents_seen, *(waiver["document"] for waiver in one.documents_waived)}
    return case.emergency or not case.route.missing(shown)


@guard(Conflict, "check_missing")
def check_recorded(case: Case, _: Actor, __: Any) -> bool:
    """The registry check of the route is recorded; an emergency may have it later."""
    return case.emergency or not case.route.check or case.complaint.registry_check is not None


@guard(Conflict, "visit_required")
def visit_not_needed(case: Case, _: Actor, __: Any) -> bool:
    """The route needs no home visit."""
    return not case.visit_needed


@guard(Conflict, "nothing_to_submit")
def something_drafted(case: Case, _: Actor, __: Any) -> bool:
    """There is at least one referral or change to decide on."""
    return bool(case.live_items or case.live_changes)


@guard(Conflict, "survey_missing")
def survey_there(case: Case, _: Actor, __: Any) -> bool:
    """A route that requires a visit has its survey."""
    return case.surveyed or not case.visit_needed


@guard(Conflict, "nothing_to_forward")
def something_left(case: Case, _: Actor, command: Any) -> bool:
    """At least one item is not refused; what needs no programme is answered instead."""
    refused = {
        refusal.referral_id or refusal.registry_change_id
        for refusal in (command.data.refuse if _data(command) else ())
        if not refusal.fields
    }
    left = [one.id for one in case.live_items] + [one.id for one in case.live_changes]
    return any(id not in refused for id in left)


@guard(Conflict, "action_not_allowed")
def still_completable(case: Case, _: Actor, __: Any) -> bool:
    """The complaint waits for documents, or was archived for want of them within 365 days."""
    one = case.complaint
    if one.state is ComplaintState.INCOMPLETE:
        return True
    return one.outcome is Outcome.ARCHIVED and _since(one.closed_at, case.at) <= ARCHIVED_FOR


@guard(Conflict, "action_not_allowed")
def not_elsewhere(case: Case, _: Actor, __: Any) -> bool:
    """What was archived, joined or transferred goes on elsewhere, not by reopening it."""
    return case.complaint.outcome not in (Outcome.ARCHIVED, Outcome.JOINED, Outcome.TRANSFERRED)


@guard(Conflict, "reopen_too_late")
def reopened_in_time(case: Case, _: Actor, __: Any) -> bool:
    """A complaint is reopened within 14 days of its closing."""
    return _since(case.complaint.closed_at, case.at) <= REOPEN_WITHIN


@guard(Conflict, "reopened_twice")
def reopened_at_most_twice(case: Case, _: Actor, __: Any) -> bool:
    """A complaint is reopened at most twice."""
    return case.complaint.reopened_count < REOPENED_AT_MOST


@guard(Conflict, "too_early")
def owner_had_its_time(case: Case, _: Actor, __: Any) -> bool:
    """The programme owners had 120 days to answer."""
    return _since(case.complaint.forwarded_at, case.at) >= UNANSWERED_AFTER


@guard(Conflict, "contact_missing")
def contact_tried(case: Case, _: Actor, __: Any) -> bool:
    """The citizen was given 30 days, and someone tried to reach them."""
    return case.contacts > 0 and _since(case.complaint.stage_entered_at, case.at) >= ARCHIVE_AFTER


def _since(moment: datetime | None, at: datetime) -> timedelta:
    return at - moment if moment else timedelta(0)


def _data(command: Any) -> bool:
    return command is not None and command.data is not None
