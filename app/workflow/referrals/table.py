"""The referral table: what may happen to a referral, by whom, and on which clock."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.actors import Actor, Role
from app.domain.complaints import Complaint
from app.domain.errors import Conflict
from app.domain.referrals import Referral, ReferralState
from app.workflow.machine import ANY_REASON, Ladder, Machine, Party, Transition, by, guard
from app.workflow.parties import ASSIGNED, DESK, MANAGER, SECRETARIAT, SYSTEM


class ReferralAction(StrEnum):
    APPROVE = "approve"
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"
    GRANT = "grant"
    DECLINE = "decline"
    WAITLIST = "waitlist"
    MOVE_UP = "move_up"
    ASK = "ask"
    REPLY = "reply"
    RETURN = "return"
    CANCEL = "cancel"
    DELIVER_ANSWER = "deliver_answer"
    CONFIRM_BENEFIT = "confirm_benefit"


class DeclineReason(StrEnum):
    QUOTA_FULL = "quota_full"
    NOT_ELIGIBLE = "not_eligible"
    ALREADY_SERVED = "already_served"
    INCOMPLETE_FILE = "incomplete_file"
    BENEFICIARY_UNREACHABLE = "beneficiary_unreachable"
    DECEASED = "deceased"
    OTHER = "other"


@dataclass(slots=True)
class ReferralCase:
    """A referral with the complaint it belongs to: what parties read."""

    referral: Referral
    complaint: Complaint

    stage_level = 0
    breached = False

    @property
    def state(self) -> ReferralState:
        return self.referral.state

    @property
    def village_code(self) -> str:
        return self.referral.village_code

    @property
    def program_code(self) -> str:
        return self.referral.program_code

    @property
    def assigned_to(self) -> UUID | None:
        return self.complaint.assigned_to


def _owning(name: str, *roles: Role) -> Party:
    def could(actor: Actor, case: Any) -> bool:
        return actor.holds_program(case.village_code, case.program_code, *roles)

    return Party(name, roles, could, could)


def _at_its_desk(actor: Actor, case: Any) -> bool:
    # A complaint may have been transferred since its referral was sent.
    return actor.holds(case.complaint.village_code, *DESK.roles)


ITS_DESK = Party(DESK.name, DESK.roles, _at_its_desk, _at_its_desk)
OWNER = _owning("agency or program_manager", Role.AGENCY, Role.PROGRAM_MANAGER)
AGENCY = _owning("agency", Role.AGENCY)


@guard(Conflict, "quota_full")
def not_in_line(case: ReferralCase, _: Actor, __: Any) -> bool:
    """It does not stand in line for a place of a quota that is managed here."""
    return not case.referral.in_line


R, A = ReferralState, ReferralAction
SAME = None
WITH_OWNER = (R.SENT, R.RECEIVED, R.WAITLISTED)
TOLD = (R.GRANTED, R.BENEFIT_CONFIRMED, R.DECLINED, R.WAITLISTED, R.CANCELLED)
UNDECIDED = (R.DRAFT, R.APPROVED, R.SENT, R.RECEIVED, R.INFO_REQUESTED, R.WAITLISTED)
DECLINED_FOR = tuple(DeclineReason)

# fmt: off
LADDER = {
    R.DRAFT: Ladder("its complaint", advancing=(A.APPROVE,)),
    R.APPROVED: Ladder("its complaint", advancing=(A.SEND,)),
    R.SENT: Ladder("owner: receipt", timedelta(days=7), holder=OWNER,
        advancing=(A.GRANT, A.DECLINE)),
    R.RECEIVED: Ladder("owner: answer", timedelta(days=60), holder=OWNER,
        advancing=(A.GRANT, A.DECLINE)),
    R.INFO_REQUESTED: Ladder("secretariat: reply", timedelta(days=3), holder=SECRETARIAT,
        advancing=(A.REPLY,)),
    R.WAITLISTED: Ladder("owner: a place", timedelta(days=90), holder=OWNER,
        advancing=(A.GRANT, A.DECLINE)),
    R.GRANTED: Ladder("the benefit", advancing=(A.CONFIRM_BENEFIT,)),
    R.BENEFIT_CONFIRMED: Ladder("nobody"),
    R.DECLINED: Ladder("nobody"),
    R.CANCELLED: Ladder("nobody"),
}

MACHINE = Machine[ReferralState, ReferralAction](
    name="referral",
    initial=R.DRAFT,
    final=(R.BENEFIT_CONFIRMED, R.DECLINED, R.CANCELLED),
    ladder=LADDER,
    system=SYSTEM,
    transitions=(
        Transition((R.DRAFT,), A.APPROVE, (R.APPROVED,), by(SYSTEM)),
        Transition((R.APPROVED,), A.SEND, (R.SENT,), by(SYSTEM)),
        Transition((R.SENT,), A.ACKNOWLEDGE, (R.RECEIVED,), by(OWNER)),
        Transition(WITH_OWNER, A.GRANT, (R.GRANTED,), by(OWNER), (not_in_line,)),
        Transition(WITH_OWNER, A.DECLINE, (R.DECLINED,), by(OWNER), reasons=DECLINED_FOR),
        Transition((R.SENT,), A.WAITLIST, (R.WAITLISTED,), by(OWNER, SYSTEM)),
        Transition((R.RECEIVED, R.WAITLISTED), A.WAITLIST, (R.WAITLISTED,), by(OWNER)),
        Transition((R.WAITLISTED,), A.MOVE_UP, (R.SENT,), by(SYSTEM)),
        Transition((R.SENT, R.RECEIVED), A.ASK, (R.INFO_REQUESTED,), by(OWNER), note=True),
        Transition((R.INFO_REQUESTED,), A.REPLY, (R.RECEIVED,), by(SECRETARIAT, ASSIGNED),
            note=True),
        Transition((R.APPROVED,), A.RETURN, (R.DRAFT,), by(SYSTEM)),
        Transition(UNDECIDED, A.CANCEL, (R.CANCELLED,), by(SECRETARIAT, MANAGER, SYSTEM),
            reasons=ANY_REASON),
        Transition(TOLD, A.DELIVER_ANSWER, (SAME,), by(ASSIGNED, ITS_DESK)),
        Transition((R.GRANTED,), A.CONFIRM_BENEFIT, (R.BENEFIT_CONFIRMED,), by(ASSIGNED, AGENCY)),
    ),
)
# fmt: on

EVENT_TYPES: dict[ReferralAction, str] = {
    A.APPROVE: "referral.approved",
    A.SEND: "referral.sent",
    A.ACKNOWLEDGE: "referral.received",
    A.GRANT: "referral.granted",
    A.DECLINE: "referral.declined",
    A.WAITLIST: "referral.waitlisted",
    A.MOVE_UP: "referral.moved_up",
    A.ASK: "referral.info_requested",
    A.REPLY: "referral.replied",
    A.RETURN: "referral.returned",
    A.CANCEL: "referral.cancelled",
    A.DELIVER_ANSWER: "referral.answer_delivered",
    A.CONFIRM_BENEFIT: "referral.benefit_confirmed",
}
DRAFTED, LINKED, UNLINKED = "referral.drafted", "referral.linked", "referral.unlinked"
MOVED = "referral.transferred"
