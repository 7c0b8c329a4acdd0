"""The complaint table: what may happen to a complaint, by whom, and on which clock."""

from datetime import timedelta

from app.domain.complaints import BEFORE_FORWARDED, OPEN, ComplaintState
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.guards import (
    approved_by_another,
    check_recorded,
    contact_tried,
    documents_complete,
    household_named,
    not_elsewhere,
    not_rejected_before,
    owner_had_its_time,
    reopened_at_most_twice,
    reopened_in_time,
    something_drafted,
    something_left,
    still_completable,
    survey_there,
    surveyed_by_another,
    visit_not_needed,
)
from app.workflow.machine import Ladder, Machine, Rung, Transition, by
from app.workflow.parties import (
    APPROVER,
    ASSIGNED,
    CITIZEN,
    DESK,
    FILER,
    FORWARDER,
    HANDLER,
    HEAD,
    MANAGER,
    SECRETARIAT,
    SUPERVISOR,
    SUPERVISOR_OF_CITY,
    SYSTEM,
    WITHOUT_PART,
)

S, A = ComplaintState, ComplaintAction
SAME = None
NOT_OURS = ("out_of_area", "not_a_slrt_matter")
NOT_TRUE = (*NOT_OURS, "false_statement", "no_contact", "other")
HANDED_BACK = ("conflict_of_interest", "ill", "unreachable", "workload")
MOVED, WRONG_REGION = "moved", "wrong_region"
# What the facilitator had goes to the new office's secretariat.
VISITING = (S.ASSIGNED, S.RETURNED)
URGENT = ("hospital", "no_food_or_shelter", "violence", "disaster", "not_an_emergency")
FOUR_EYES = (surveyed_by_another, not_rejected_before)
OTHER_EYES = (approved_by_another, not_rejected_before)


def hours(count: int) -> timedelta:
    return timedelta(hours=count)


# fmt: off
LADDER = {
    S.RECEIVED: Ladder("desk: documents, registry check", hours(6), hours(1), DESK,
        Rung(SECRETARIAT), Rung(MANAGER),
        (A.FORWARD_TO_SECRETARIAT, A.RESOLVE_NOW)),
    S.INCOMPLETE: Ladder("the citizen: missing documents", holder=DESK,
        advancing=(A.COMPLETE_DOCUMENTS,)),
    S.AT_SECRETARIAT: Ladder("secretariat: assignment", hours(6), hours(1), SECRETARIAT,
        Rung(MANAGER, system=A.ASSIGN), Rung(MANAGER),
        (A.ASSIGN, A.SUBMIT_WITHOUT_VISIT, A.ANSWER)),
    S.ASSIGNED: Ladder("facilitator: visit and survey", hours(18), hours(4), ASSIGNED,
        Rung(SUPERVISOR), Rung(MANAGER, system=A.REASSIGN),
        (A.SUBMIT_SURVEY, A.RECORD_VISIT_ATTEMPT, A.REASSIGN)),
    S.RETURNED: Ladder("facilitator: correction", hours(6), hours(2), ASSIGNED,
        Rung(SUPERVISOR), Rung(MANAGER, system=A.REASSIGN),
        (A.SUBMIT_SURVEY, A.RECORD_VISIT_ATTEMPT, A.REASSIGN)),
    S.AWAITING_SUPERVISOR: Ladder("supervisor", hours(8), hours(2), SUPERVISOR,
        Rung(SUPERVISOR_OF_CITY), Rung(MANAGER),
        (A.APPROVE, A.ANSWER)),
    S.AWAITING_MANAGER: Ladder("manager", hours(6), hours(2), MANAGER,
        Rung(HEAD), Rung(WITHOUT_PART),
        (A.FORWARD, A.ANSWER)),
    S.FORWARDED: Ladder("programme owners: each referral has its own dates",
        advancing=(A.SETTLE, A.CLOSE_UNANSWERED)),
    S.ANSWERED: Ladder("whoever tells the citizen", timedelta(days=3), timedelta(days=1), ASSIGNED,
        Rung(DESK), Rung(SUPERVISOR),
        (A.DELIVER_ANSWER,)),
    S.CLOSED: Ladder("nobody"),
}

MACHINE = Machine[ComplaintState, ComplaintAction](
    name="complaint",
    initial=S.RECEIVED,
    final=(S.CLOSED,),
    ladder=LADDER,
    system=SYSTEM,
    on_breach=(MANAGER, HEAD),
    promised=BEFORE_FORWARDED,
    transitions=(
        # from, action, to, by, only if, needs
        Transition((S.RECEIVED, S.AT_SECRETARIAT), A.RESOLVE_NOW, (S.CLOSED,), by(DESK),
            (not_rejected_before,), note=True),
        Transition((S.RECEIVED, S.AT_SECRETARIAT), A.REQUEST_DOCUMENTS, (S.INCOMPLETE,), by(DESK)),
        Transition((S.INCOMPLETE, S.CLOSED), A.COMPLETE_DOCUMENTS, (S.RECEIVED,), by(DESK),
            (still_completable,)),
        Transition((S.INCOMPLETE,), A.RECORD_CONTACT, (SAME,), by(DESK)),
        Transition((S.INCOMPLETE,), A.ARCHIVE, (S.CLOSED,), by(SYSTEM), (contact_tried,)),
        Transition((S.RECEIVED,), A.FORWARD_TO_SECRETARIAT, (S.AT_SECRETARIAT,), by(DESK, HANDLER),
            (household_named, documents_complete, check_recorded)),
        Transition((S.AT_SECRETARIAT,), A.ASSIGN, (S.ASSIGNED,),
            by(SECRETARIAT, SUPERVISOR, SYSTEM)),
        Transition((S.RECEIVED,), A.SELF_ASSIGN, (S.ASSIGNED,), by(FILER), own=True),
        Transition((S.AT_SECRETARIAT,), A.SUBMIT_WITHOUT_VISIT, (S.AWAITING_SUPERVISOR,),
            by(SECRETARIAT), (visit_not_needed, something_drafted)),
        Transition((S.ASSIGNED, S.RETURNED, S.ANSWERED), A.REASSIGN, (SAME,),
            by(SECRETARIAT, SUPERVISOR, SYSTEM)),
        Transition((S.ASSIGNED, S.RETURNED), A.HAND_BACK, (S.AT_SECRETARIAT,), by(ASSIGNED),
            reasons=HANDED_BACK),
        Transition((S.ASSIGNED, S.RETURNED), A.RECORD_VISIT_ATTEMPT, (SAME, S.AWAITING_SUPERVISOR),
            by(ASSIGNED, SECRETARIAT)),
        Transition((S.ASSIGNED, S.RETURNED), A.SUBMIT_SURVEY, (S.AWAITING_SUPERVISOR,),
            by(ASSIGNED, SECRETARIAT)),
        Transition((S.AWAITING_SUPERVISOR,), A.RETURN_FOR_CORRECTION,
            (S.RETURNED, S.AT_SECRETARIAT), by(APPROVER), FOUR_EYES, note=True),
        Transition((S.AWAITING_SUPERVISOR,), A.APPROVE, (S.AWAITING_MANAGER,), by(APPROVER),
            (*FOUR_EYES, something_left, survey_there, documents_complete)),
        Transition((S.AWAITING_MANAGER,), A.RETURN_TO_SUPERVISOR, (S.AWAITING_SUPERVISOR,),
            by(FORWARDER), OTHER_EYES, note=True),
        Transition((S.AWAITING_MANAGER,), A.FORWARD, (S.FORWARDED,), by(FORWARDER), OTHER_EYES),
        Transition((S.AT_SECRETARIAT, S.ASSIGNED, S.RETURNED), A.ANSWER, (S.ANSWERED,),
            by(SECRETARIAT, SUPERVISOR, HANDLER), (not_rejected_before,), note=True),
        Transition((S.AWAITING_SUPERVISOR,), A.ANSWER, (S.ANSWERED,), by(APPROVER), FOUR_EYES,
            note=True),
        Transition((S.AWAITING_MANAGER,), A.ANSWER, (S.ANSWERED,), by(FORWARDER), OTHER_EYES,
            note=True),
        Transition((S.RECEIVED, S.AT_SECRETARIAT), A.REJECT, (S.ANSWERED,), by(DESK, HANDLER),
            (not_rejected_before,), note=True, reasons=NOT_OURS),
        Transition((S.ASSIGNED, S.RETURNED, S.AWAITING_SUPERVISOR), A.REJECT, (S.ANSWERED,),
            by(APPROVER), FOUR_EYES, note=True, reasons=NOT_TRUE),
        Transition((S.AWAITING_MANAGER,), A.REJECT, (S.ANSWERED,), by(FORWARDER), OTHER_EYES,
            note=True, reasons=NOT_TRUE),
        Transition((S.FORWARDED,), A.SETTLE, (S.ANSWERED,), by(SYSTEM)),
        Transition((S.FORWARDED,), A.CLOSE_UNANSWERED, (S.ANSWERED,), by(MANAGER, HEAD),
            (owner_had_its_time,), note=True),
        Transition((S.ANSWERED,), A.DELIVER_ANSWER, (SAME, S.CLOSED),
            by(ASSIGNED, DESK, HANDLER)),
        Transition(BEFORE_FORWARDED, A.WITHDRAW, (S.CLOSED,), by(DESK, CITIZEN), note=True),
        Transition((S.CLOSED,), A.REOPEN, (S.AT_SECRETARIAT,), by(SECRETARIAT, CITIZEN),
            (not_elsewhere, reopened_in_time, reopened_at_most_twice)),
        Transition(tuple(s for s in OPEN if s not in VISITING), A.TRANSFER, (SAME, S.CLOSED),
            by(SECRETARIAT, SUPERVISOR, MANAGER), reasons=(MOVED, WRONG_REGION)),
        Transition(VISITING, A.TRANSFER, (S.AT_SECRETARIAT, S.CLOSED),
            by(SECRETARIAT, SUPERVISOR, MANAGER), reasons=(MOVED, WRONG_REGION)),
        Transition(BEFORE_FORWARDED, A.JOIN, (S.CLOSED,), by(DESK, SUPERVISOR)),
        Transition(BEFORE_FORWARDED, A.SET_PRIORITY, (SAME,), by(DESK, SUPERVISOR, MANAGER),
            reasons=URGENT),
    ),
)
# fmt: on

# The word for what has happened: the type of the event each action leaves.
EVENT_TYPES: dict[ComplaintAction, str] = {
    A.SUBMIT: "complaint.submitted",
    A.RESOLVE_NOW: "complaint.resolved",
    A.REQUEST_DOCUMENTS: "complaint.documents_requested",
    A.COMPLETE_DOCUMENTS: "complaint.documents_completed",
    A.RECORD_CONTACT: "complaint.contact_recorded",
    A.ARCHIVE: "complaint.archived",
    A.FORWARD_TO_SECRETARIAT: "complaint.forwarded_to_secretariat",
    A.ASSIGN: "complaint.assigned",
    A.SELF_ASSIGN: "complaint.self_assigned",
    A.SUBMIT_WITHOUT_VISIT: "complaint.submitted_without_visit",
    A.REASSIGN: "complaint.reassigned",
    A.HAND_BACK: "complaint.handed_back",
    A.RECORD_VISIT_ATTEMPT: "complaint.visit_attempted",
    A.SUBMIT_SURVEY: "complaint.surveyed",
    A.RETURN_FOR_CORRECTION: "complaint.returned",
    A.APPROVE: "complaint.approved",
    A.RETURN_TO_SUPERVISOR: "complaint.returned_to_supervisor",
    A.FORWARD: "complaint.forwarded",
    A.ANSWER: "complaint.answered",
    A.REJECT: "complaint.rejected",
    A.SETTLE: "complaint.settled",
    A.CLOSE_UNANSWERED: "complaint.closed_unanswered",
    A.DELIVER_ANSWER: "complaint.answer_delivered",
    A.WITHDRAW: "complaint.withdrawn",
    A.REOPEN: "complaint.reopened",
    A.TRANSFER: "complaint.transferred",
    A.JOIN: "complaint.joined",
    A.SET_PRIORITY: "complaint.priority_set",
}
