"""What callers send about complaints."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.base import line, text
from app.domain.vocabulary import Category, Document, Kind, Sector
from app.routers.actions import Asked
from app.workflow.complaints.commands import (
    DATA,
    ComplaintAction,
    Waiver,
)
from app.workflow.complaints.filing import NationalId, Phone, ProgramCode, Subject


class ActionRequest(Asked):
    """An action with its note, reason and data; see `GET /v1/workflows/complaint`."""

    DATA = DATA

    action: ComplaintAction
    reason: line(60) | None = None  # type: ignore[valid-type]


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


class PinAsked(BaseModel):
    """What the desk saw of whoever asks for a new PIN."""

    model_config = ConfigDict(extra="forbid")

    documents_seen: Annotated[list[Document], Field(min_length=1, max_length=20)]
