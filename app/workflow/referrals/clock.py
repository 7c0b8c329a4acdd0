"""The dates of a referral: receipt, answer, reply, and when a waiting list is asked about."""

from datetime import datetime, timedelta

from app.domain.referrals import Referral, ReferralState
from app.workflow import machine
from app.workflow.referrals.table import LADDER

UNANSWERED_AFTER = timedelta(days=120)
TELL_WITHIN = timedelta(days=3)
R = ReferralState


def enter(referral: Referral, state: ReferralState, at: datetime) -> None:
    """Begin a stage. A question to us pauses the owner's clocks until it is replied to."""
    asked_since = referral.stage_entered_at if referral.state is R.INFO_REQUESTED else None
    if asked_since is not None:
        referral.paused_for += at - asked_since
    referral.state = state
    referral.stage += 1
    referral.stage_entered_at = at
    referral.due_at = due(referral)
    referral.next_step_at = next_step(referral, at)


def due(referral: Referral) -> datetime | None:
    """When the present stage should end; None where nobody is waited for."""
    budget = LADDER[referral.state].budget
    if budget is None:
        return None
    if referral.state is R.RECEIVED and referral.received_at is not None:
        return referral.received_at + budget + referral.paused_for
    if referral.state is R.SENT and referral.sent_at is not None:
        return referral.sent_at + budget + referral.paused_for
    return referral.stage_entered_at + budget


def next_step(referral: Referral, after: datetime) -> datetime | None:
    """When somebody is asked next: the owner on its date, the manager once it never answered."""
    moments = [referral.due_at]
    if referral.state in (R.SENT, R.RECEIVED):
        moments.append(unanswered_at(referral))
    return min((moment for moment in moments if moment and moment > after), default=None)


def tell_late(referral: Referral, at: datetime) -> None:
    """An answer that came after its complaint was closed is told like a complaint's: in 3 days."""
    referral.steps_taken = 0
    referral.due_at = tell_moment(at, 1)
    referral.next_step_at = tell_moment(at, 0)


def tell_moment(answered_at: datetime, step: int) -> datetime | None:
    """When a step of telling is due (0 reminder, 1 and 2 levels); None: never."""
    return machine.step_moment(answered_at, TELL_WITHIN, step)


def unanswered_at(referral: Referral) -> datetime:
    """When the manager is told that the owner never answered."""
    assert referral.sent_at is not None
    return referral.sent_at + UNANSWERED_AFTER + referral.paused_for
