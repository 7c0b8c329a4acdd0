"""Asking for an action: the body that every workflow takes, and the data of each action."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from app.domain.base import Instant, line, text
from app.domain.errors import Fault, Invalid
from app.problems import fault_of
from app.workflow.complaints.commands import ActionData, Command, NoData


class Asked(BaseModel):
    """An action with its note, reason and data. `DATA` says what `data` holds for each action."""

    model_config = ConfigDict(extra="forbid")

    DATA: ClassVar[Mapping[Any, type[ActionData]]]

    action: Any
    note: text(4000) | None = None  # type: ignore[valid-type]
    reason: line(200) | None = None  # type: ignore[valid-type]
    happened_at: Instant | None = None
    paper: StrictBool = False
    data: Annotated[dict[str, Any], Field(max_length=20)] | None = None

    def command(self) -> Command:
        data, faults = parse_data(self.DATA.get(self.action, NoData), self.data)
        return Command(
            self.action, self.note, self.reason, data, faults, self.happened_at, self.paper
        )


def parse_data(
    kind: type[ActionData], sent: dict[str, Any] | None
) -> tuple[ActionData | None, tuple[Fault, ...]]:
    """The data of an action, and what it leaves out.

    Raises Invalid for malformed data. What is only missing is said later, after the checks of
    role, state and four eyes.
    """
    try:
        # Absent data of an action that needs none stays absent.
        if sent is None and not any(f.is_required() for f in kind.model_fields.values()):
            return None, ()
        return kind.model_validate(sent or {}), ()
    except ValidationError as error:
        faults = [_in_data(item) for item in error.errors()]
    malformed = [fault for fault in faults if fault.code != "missing"]
    if malformed:
        raise Invalid("validation_failed", tuple(malformed))
    return None, tuple(faults)


def _in_data(error: Any) -> Fault:
    fault = fault_of(error, skip=0)
    return Fault(fault.code, f"/data{fault.pointer}", params=fault.params)
