"""How a report looks to its citizen."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.actors import Role
from app.domain.complaints import ComplaintState
from app.domain.vocabulary import Document, Outcome
from app.routers.resources import Code, Line, Moment, Paragraph, Word, items
from app.workflow.citizens.status import Possible
from app.workflow.complaints.commands import ComplaintAction


class _Told(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Said(_Told):
    """The same in Indonesian, Javanese and English."""

    id: Line
    jv: Line
    en: Line


class OfficeRead(_Told):
    """An office, never a name."""

    role: Role
    region_code: Code
    office: Said
    address: Line | None


class MissingRead(_Told):
    document: Document
    text: Said


class LineRead(_Told):
    at: Moment
    action: ComplaintAction
    text: Said


class StatusRead(_Told):
    """How a report stands: what step, since when, what is promised, whom it waits for, the answer.

    `promised_at` is null while documents are missing, and once it is closed. `answer` is as the
    office wrote it; all else is in three languages. Nobody is named.
    """

    ticket: Word
    step: ComplaintState
    step_text: Said
    received_at: Moment
    since: Moment
    promised_at: Moment | None
    late: bool
    waits_for: OfficeRead | None
    missing_documents: items(MissingRead, 20)  # type: ignore[valid-type]
    outcome: Outcome | None
    outcome_text: Said | None
    answer: Paragraph | None
    satisfaction: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 5})] | None
    actions: items(Possible, 5)  # type: ignore[valid-type]
    history: items(LineRead, 200)  # type: ignore[valid-type]
