"""What is said of an endpoint when it is made or changed."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.domain.base import line
from app.domain.feed import KINDS
from app.outgoing import URL_LIMIT
from app.workflow.accounts import ProgramCodes, RegionCodes
from app.workflow.event_types import ASKED, instead_of

Url = Annotated[str, Field(min_length=1, max_length=URL_LIMIT)]


def _told(type_: str) -> str:
    if type_ not in ASKED:
        raise PydanticCustomError(
            "literal_error", "an unknown type of event", {"expected": instead_of(type_)}
        )
    return type_


EventType = Annotated[
    str,
    Field(pattern=rf"^({'|'.join(KINDS)})\.(\*|[a-z_]+)$", max_length=60),
    AfterValidator(_told),
]
Types = Annotated[list[EventType], Field(max_length=50)]


class EndpointDraft(BaseModel):
    """Where to send which events. Empty lists narrow nothing: all that the caller may see."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "url": "https://agency.example.go.id/slrt",
                "types": ["referral.sent", "referral.cancelled"],
                "description": "PKH, Kementerian Sosial",
            }
        },
    )

    url: Url
    types: Types = []
    description: line(300, 0) = ""  # type: ignore[valid-type]
    region_codes: RegionCodes = []
    program_codes: ProgramCodes = []


class EndpointPatch(BaseModel):
    """What to change. `enabled: false` stops all sending; `true` begins anew from now on."""

    model_config = ConfigDict(extra="forbid")

    url: Url = None  # type: ignore[assignment]
    types: Types = None  # type: ignore[assignment]
    description: line(300, 0) = None  # type: ignore[valid-type]
    region_codes: RegionCodes = None  # type: ignore[assignment]
    program_codes: ProgramCodes = None  # type: ignore[assignment]
    enabled: bool = None  # type: ignore[assignment]
