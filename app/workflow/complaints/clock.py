"""The promise and the stage clocks of a complaint. Pure: every moment is an argument."""

from datetime import datetime, timedelta

from app.domain.complaints import BEFORE_FORWARDED, Complaint, ComplaintState
from app.domain.vocabulary import Priority
from app.workflow import machine
from app.workflow.complaints.table import LADDER

PROMISE = {Priority.NORMAL: timedelta(hours=48), Priority.EMERGENCY: timedelta(hours=12)}
# A complaint without documents: reminders to the desk, then the archive.
INCOMPLETE_DAYS = (timedelta(days=7), timedelta(days=21), timedelta(days=30))
HANDLED = (ComplaintState.FORWARDED, ComplaintState.ANSWERED, ComplaintState.CLOSED)


def deadline(complaint: Complaint) -> datetime:
    """When the promise ends: from receipt (or reopening), without the time spent incomplete."""
    return complaint.clock_from + PROMISE[complaint.priority] + complaint.paused_for


def budget(complaint: Complaint) -> timedelta | None:
    """The time of the present stage, with the days that visit attempts added."""
    ladder = LADDER[complaint.state]
    emergency = complaint.priority is Priority.EMERGENCY
    time = ladder.emergency if emergency else ladder.budget
    return time + complaint.stage_extra if time else None


def step_moment(complaint: Complaint, step: int) -> datetime | None:
    """When a step of the stage's ladder is due (0 reminder, 1 and 2 levels); None: never."""
    if complaint.state is ComplaintState.INCOMPLETE:
        return complaint.stage_entered_at + INCOMPLETE_DAYS[min(step, 2)]
    return machine.step_moment(complaint.stage_entered_at, budget(complaint), step)


def set_clocks(complaint: Complaint) -> None:
    """Reckon deadline, due date and next step anew from what the row says."""
    complaint.deadline_at = deadline(complaint)
    due = step_moment(complaint, 1) if complaint.state is not ComplaintState.INCOMPLETE else None
    promised = complaint.state in BEFORE_FORWARDED and complaint.handled_at is None
    complaint.due_at = min(due, complaint.deadline_at) if due and promised else due
    complaint.next_step_at = step_moment(complaint, complaint.steps_taken)


def share_promise(complaint: Complaint, other: Complaint, at: datetime) -> None:
    """Another complaint about the same matter is joined into this one: the earlier deadline holds,
    and an emergency stays one. What is handled already has kept its promise, or broken it."""
    if complaint.handled_at is not None:
        return
    mine, theirs = _end(complaint, at), _end(other, at)
    if other.priority is Priority.EMERGENCY:
        complaint.priority = Priority.EMERGENCY
    complaint.clock_from += min(mine, theirs) - _end(complaint, at)
    if theirs < mine:
        complaint.breached_at = complaint.breached_at or other.breached_at
    set_clocks(complaint)


def _end(complaint: Complaint, at: datetime) -> datetime:
    """When the promise would end if a pause under way ended now."""
    paused = at - complaint.paused_since if complaint.paused_since else timedelta(0)
    return deadline(complaint) + paused


def enter(complaint: Complaint, state: ComplaintState, at: datetime) -> None:
    """Begin a stage: also for a reassignment, which keeps the state."""
    complaint.state = state
    complaint.stage += 1
    complaint.stage_entered_at = at
    complaint.stage_extra = timedelta(0)
    complaint.escalation_level = complaint.steps_taken = complaint.visit_attempts = 0
    if state in HANDLED and complaint.handled_at is None:
        complaint.handled_at = at
    set_clocks(complaint)


def pause(complaint: Complaint, at: datetime) -> None:
    complaint.paused_since = at


def resume(complaint: Complaint, at: datetime) -> None:
    """The time spent waiting for documents does not count."""
    if complaint.paused_since is not None:
        complaint.paused_for += at - complaint.paused_since
        complaint.paused_since = None
