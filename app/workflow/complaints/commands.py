"""What a person asks for: an action with its note, reason and data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.base import line
from app.domain.errors import Fault
from app.domain.vocabulary import (
    ContactResult,
    DeliveryMethod,
    DeliveryResult,
    Document,
    Priority,
    VisitResult,
    WaiverReason,
)


class ComplaintAction(StrEnum):
    SUBMIT = "submit"
    RESOLVE_NOW = "resolve_now"
    REQUEST_DOCUMENTS = "request_documents"
    COMPLETE_DOCUMENTS = "complete_documents"
    RECORD_CONTACT = "record_contact"
    ARCHIVE = "archive"
    FORWARD_TO_SECRETARIAT = "forward_to_secretariat"
    ASSIGN = "assign"
    SELF_ASSIGN = "self_assign"
    SUBMIT_WITHOUT_VISIT = "submit_without_visit"
    REASSIGN = "reassign"
    HAND_BACK = "hand_back"
    RECORD_VISIT_ATTEMPT = "record_visit_attempt"
    SUBMIT_SURVEY = "submit_survey"
    RETURN_FOR_CORRECTION = "return_for_correction"
    APPROVE = "approve"
    RETURN_TO_SUPERVISOR = "return_to_supervisor"
    FORWARD = "forward"
    ANSWER = "answer"
    REJECT = "reject"
    SETTLE = "settle"
    CLOSE_UNANSWERED = "close_unanswered"
    DELIVER_ANSWER = "deliver_answer"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    TRANSFER = "transfer"
    JOIN = "join"
    SET_PRIORITY = "set_priority"


A = ComplaintAction


class ActionData(BaseModel):
    """Base of what an action takes; what is not named is refused."""

    model_config = ConfigDict(extra="forbid")


class Waiver(ActionData):
    """A document that could not be shown, and what was seen instead."""

    document: Document
    why: WaiverReason
    seen_instead: line(200)  # type: ignore[valid-type]


Documents = Annotated[list[Document], Field(max_length=20)]


class MissingDocuments(ActionData):
    missing: Annotated[list[Document], Field(min_length=1, max_length=20)]


class CompletedDocuments(ActionData):
    documents_seen: Documents
    documents_waived: Annotated[list[Waiver], Field(max_length=20)] = []


class ContactMade(ActionData):
    how: DeliveryMethod
    to: line(120)  # type: ignore[valid-type]
    result: ContactResult


class HouseholdChoice(ActionData):
    """Which of the similar households it is; null says none of them."""

    household_id: UUID | None = None


class Facilitator(ActionData):
    facilitator_id: UUID


class OnBehalfOf(ActionData):
    """The facilitator whose paper is typed; left out by the assigned facilitator alone."""

    on_behalf_of: UUID | None = None


class VisitAttempt(OnBehalfOf):
    result: VisitResult


class FieldsToCorrect(ActionData):
    fields: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=100)]],
        Field(max_length=50),
    ] = []


class Refusal(ActionData):
    """An item that the supervisor does not let through, and why."""

    referral_id: UUID | None = None
    registry_change_id: UUID | None = None
    # Of a change: only these fields; without them the whole change.
    fields: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=60)]], Field(max_length=100)
    ] = []
    reason: line(200)  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _one_item(self) -> "Refusal":
        if (self.referral_id is None) == (self.registry_change_id is None):
            raise ValueError("item_ambiguous")
        return self


class Refusals(ActionData):
    refuse: Annotated[list[Refusal], Field(max_length=100)] = []


class AnswerDelivered(OnBehalfOf):
    """Of whom a desk types that they told it, `on_behalf_of` names the facilitator."""

    how: DeliveryMethod
    to: line(120)  # type: ignore[valid-type]
    result: DeliveryResult = DeliveryResult.TOLD
    satisfaction: Annotated[int, Field(ge=1, le=5, strict=True)] | None = None
    # A document of the complaint that shows it, such as a signed receipt.
    proof_document_id: UUID | None = None


class Destination(ActionData):
    """Where a complaint goes: a village of the city, or a place outside it, as far as known."""

    region_code: Annotated[
        str, Field(pattern=r"^[0-9]{2}\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?$", max_length=13)
    ]


class Earlier(ActionData):
    """The complaint about the same matter that was filed before and goes on for both."""

    into: UUID


class NewPriority(ActionData):
    priority: Priority


class NoData(ActionData):
    pass


DATA: dict[ComplaintAction, type[ActionData]] = {
    A.REQUEST_DOCUMENTS: MissingDocuments,
    A.COMPLETE_DOCUMENTS: CompletedDocuments,
    A.RECORD_CONTACT: ContactMade,
    A.FORWARD_TO_SECRETARIAT: HouseholdChoice,
    A.ASSIGN: Facilitator,
    A.SELF_ASSIGN: HouseholdChoice,
    A.REASSIGN: Facilitator,
    A.RECORD_VISIT_ATTEMPT: VisitAttempt,
    A.SUBMIT_SURVEY: OnBehalfOf,
    A.RETURN_FOR_CORRECTION: FieldsToCorrect,
    A.APPROVE: Refusals,
    A.DELIVER_ANSWER: AnswerDelivered,
    A.TRANSFER: Destination,
    A.JOIN: Earlier,
    A.SET_PRIORITY: NewPriority,
}


@dataclass(frozen=True, slots=True)
class Command:
    """One action asked for. `faults` are required data that were left out."""

    action: Any
    note: str | None = None
    reason: str | None = None
    data: Any = None
    faults: tuple[Fault, ...] = ()
    happened_at: datetime | None = None
    paper: bool = False
