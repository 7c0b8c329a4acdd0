"""The visit table: what may happen to a visit, and by whom."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.domain.visits import Visit, VisitState
from app.workflow.machine import ANY_REASON, Ladder, Machine, Transition, by
from app.workflow.parties import ASSIGNED, SECRETARIAT, SUPERVISOR, SYSTEM


class VisitAction(StrEnum):
    REASSIGN = "reassign"
    RECORD_ATTEMPT = "record_attempt"
    SUBMIT_SURVEY = "submit_survey"
    CANCEL = "cancel"


@dataclass(slots=True)
class VisitCase:
    """A visit: what parties read."""

    visit: Visit

    stage_level = 0
    breached = False

    @property
    def state(self) -> VisitState:
        return self.visit.state

    @property
    def village_code(self) -> str:
        return self.visit.village_code

    @property
    def assigned_to(self) -> UUID | None:
        return self.visit.assignee_id


S, A = VisitState, VisitAction
SAME = None

# fmt: off
LADDER = {
    S.OPEN: Ladder("facilitator: visit; a day late, its supervisor is told", holder=ASSIGNED,
        advancing=(A.SUBMIT_SURVEY, A.RECORD_ATTEMPT, A.REASSIGN)),
    S.DONE: Ladder("nobody"),
    S.CANCELLED: Ladder("nobody"),
}

MACHINE = Machine[VisitState, VisitAction](
    name="visit",
    initial=S.OPEN,
    final=(S.DONE, S.CANCELLED),
    ladder=LADDER,
    system=SYSTEM,
    transitions=(
        # from, action, to, by, only if, needs
        Transition((S.OPEN,), A.REASSIGN, (SAME,), by(SECRETARIAT, SUPERVISOR)),
        Transition((S.OPEN,), A.RECORD_ATTEMPT, (SAME, S.DONE), by(ASSIGNED)),
        Transition((S.OPEN,), A.SUBMIT_SURVEY, (S.DONE,), by(ASSIGNED, SECRETARIAT)),
        Transition((S.OPEN,), A.CANCEL, (S.CANCELLED,), by(SECRETARIAT, SUPERVISOR, SYSTEM),
            reasons=ANY_REASON),
    ),
)
# fmt: on

EVENT_TYPES: dict[VisitAction, str] = {
    A.REASSIGN: "visit.reassigned",
    A.RECORD_ATTEMPT: "visit.attempted",
    A.SUBMIT_SURVEY: "visit.surveyed",
    A.CANCEL: "visit.cancelled",
}
OPENED, REMINDED, ESCALATED = "visit.opened", "visit.reminded", "visit.escalated"
MOVED, TRANSFERRED = "visit.household_merged", "visit.transferred"
CARRIED_OVER = "visit.carried_over"
