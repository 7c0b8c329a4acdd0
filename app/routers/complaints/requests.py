"""What callers send about complaints."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from app.domain.base import Instant, line, text
from app.domain.errors import Fault, Invalid
from app.domain.vocabulary import Category, Document, Kind, Sector
from app.problems import fault_of
from app.workflow.complaints.commands import (
    DATA,
    ActionData,
    Command,
    ComplaintAction,
    NoData,
    Waiver,
)
from app.workflow.complaints.filing import NationalId, Phone, ProgramCode, Subject


class ActionRequest(BaseModel):
    """An action with its note, reason and data; see `GET /v1/workflows/complaint`."""

    model_config = ConfigDict(extra="forbid")

    action: ComplaintAction
    note: text(4000) | None = None  # type: ignore[valid-type]
    reason: line(60) | None = None  # type: ignore[valid-type]
    happened_at: Instant | None = None
    paper: StrictBool = False
    data: Annotated[dict[str, Any], Field(max_length=20)] | None = None

    def command(self) -> Command:
        data, faults = parse_data(DATA.get(self.action, NoData), self.data)
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


class ReporterChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: line(120) = None  # type: ignore[valid-type]
    national_id: NationalId | None = None
    phone: Phone | None = None
    address: line(300) | None = None  # type: ignore[valid-type]


class ComplaintChanges(BaseModel):
    """What was filed, corrected (RFC 7396): absent stays, null clears what may be empty."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = None  # type: ignore[assignment]
    category: Category | None = None
    sector: Sector | None = None
    program_code: ProgramCode | None = None
    narrative: text(4000) = None  # type: ignore[valid-type]
    reporter: ReporterChanges = None  # type: ignore[assignment]
    subject: Subject | None = None
    documents_seen: Annotated[list[Document], Field(max_length=20)] = None  # type: ignore[assignment]
    documents_waived: Annotated[list[Waiver], Field(max_length=20)] = None  # type: ignore[assignment]

    def changed(self) -> frozenset[str]:
        """The names of what is changed; of the reporter one by one."""
        names = set(self.model_fields_set)
        if "reporter" in names:
            names.remove("reporter")
            names |= {f"reporter.{name}" for name in self.reporter.model_fields_set}
        return frozenset(names)


class PersonQuery(BaseModel):
    """Whom to look for: a number, or a name with, if known, the birth date."""

    model_config = ConfigDict(extra="forbid")

    national_id: NationalId | None = None
    family_card_number: NationalId | None = None
    name: line(120) | None = None  # type: ignore[valid-type]
    birth_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10)] | None = None
