"""The clocks of a registry change: it has its own where no complaint carries it."""

from datetime import datetime

from app.domain.registry_changes import ChangeState, RegistryChange
from app.workflow import machine
from app.workflow.registry_changes.table import LADDER


def enter(change: RegistryChange, state: ChangeState, at: datetime, carried: bool) -> None:
    """Begin a stage. `carried`: its complaint is undecided, and reminds for both."""
    change.state = state
    change.stage += 1
    change.stage_entered_at = at
    change.escalation_level = change.steps_taken = 0
    start(change, carried)


def start(change: RegistryChange, carried: bool = False) -> None:
    """Set the clock of the present stage, as it is when the complaint lets go of the change."""
    change.due_at = None if carried else step_moment(change, 1)
    change.next_step_at = None if carried else step_moment(change, change.steps_taken)


def step_moment(change: RegistryChange, step: int) -> datetime | None:
    """When a step of the present stage is due: 0 the reminder, 1 and 2 the levels; None: never."""
    return machine.step_moment(change.stage_entered_at, LADDER[change.state].budget, step)
