"""What is asked of visits."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from app.domain.base import Instant, line, text
from app.domain.unverified import Reason
from app.domain.visits import VisitKind
from app.routers.complaints.requests import parse_data
from app.workflow.complaints.commands import Command, NoData
from app.workflow.complaints.filing import RegionCode
from app.workflow.visits import verbs
from app.workflow.visits.table import VisitAction

AtMost200 = Annotated[int, Field(ge=1, le=200, strict=True)]


class VisitDraft(BaseModel):
    """Households to visit: those named, or those of a region that need it most."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal[VisitKind.REVERIFICATION, VisitKind.BENEFIT_CHECK, VisitKind.ANSWER]
    household_ids: Annotated[list[UUID], Field(min_length=1, max_length=200)] | None = None
    region_code: RegionCode | None = None
    reason: Reason | None = None
    limit: AtMost200 = 50

    @model_validator(mode="after")
    def _named_or_chosen(self) -> "VisitDraft":
        chosen = self.model_fields_set & {"region_code", "reason", "limit"}
        if (self.household_ids is None) == (self.region_code is None) or (
            self.household_ids is not None and chosen - {"region_code"}
        ):
            raise ValueError("households_ambiguous")
        return self


class VisitActionRequest(BaseModel):
    """An action on a visit; see `GET /v1/workflows/visit`."""

    model_config = ConfigDict(extra="forbid")

    action: VisitAction
    note: text(4000) | None = None  # type: ignore[valid-type]
    reason: line(200) | None = None  # type: ignore[valid-type]
    happened_at: Instant | None = None
    paper: StrictBool = False
    data: Annotated[dict[str, Any], Field(max_length=20)] | None = None

    def command(self) -> Command:
        data, faults = parse_data(verbs.DATA.get(self.action, NoData), self.data)
        return Command(
            self.action, self.note, self.reason, data, faults, self.happened_at, self.paper
        )
