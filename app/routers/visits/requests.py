"""What is asked of visits."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.unverified import Reason
from app.routers.actions import Asked
from app.workflow.complaints.filing import RegionCode
from app.workflow.visits import verbs
from app.workflow.visits.table import VisitAction

AtMost200 = Annotated[int, Field(ge=1, le=200, strict=True)]


class VisitDraft(BaseModel):
    """Households to visit: those named, or those of a region that need it most."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["reverification", "benefit_check", "answer"]
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


class VisitActionRequest(Asked):
    """An action on a visit; see `GET /v1/workflows/visit`."""

    DATA = verbs.DATA

    action: VisitAction
