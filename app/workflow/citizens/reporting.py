"""A report without an account: about the service, or that somebody asked for money."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN
from app.domain.base import line, new_id, text
from app.domain.vocabulary import Category, Channel, Kind, Priority, Relation, Sector
from app.workflow.complaints import filing
from app.workflow.complaints.filing import (
    ClientRef,
    ComplaintDraft,
    FamilyCardNumber,
    Filed,
    NationalId,
    Phone,
    ProgramCode,
    Reporter,
    Subject,
    VillageCode,
)

# What stands where somebody gave no name.
ANONYMOUS = "Anonim"


class PublicReporter(BaseModel):
    """Who reports, as far as they want to say."""

    model_config = ConfigDict(extra="forbid")

    name: line(120) | None = None  # type: ignore[valid-type]
    national_id: NationalId | None = None
    phone: Phone | None = None
    address: line(300) | None = None  # type: ignore[valid-type]
    relation: Relation = Relation.SELF


class PublicSubject(BaseModel):
    """Whom it is about."""

    model_config = ConfigDict(extra="forbid")

    national_id: NationalId | None = None
    family_card_number: FamilyCardNumber | None = None
    name: line(120) | None = None  # type: ignore[valid-type]


class PublicReport(BaseModel):
    """A report about the service or an illegal fee. Without a reporter it is anonymous.

    Everything else is filed at a desk, where documents are seen.
    """

    model_config = ConfigDict(extra="forbid")

    client_ref: ClientRef | None = None
    kind: Literal[Kind.COMPLAINT] = Kind.COMPLAINT
    category: Literal[Category.SERVICE_QUALITY, Category.ILLEGAL_FEE]
    sector: Sector | None = None
    program_code: ProgramCode | None = None
    priority: Literal[Priority.NORMAL] = Priority.NORMAL
    channel: Literal[Channel.PUBLIC] = Channel.PUBLIC
    region_code: VillageCode
    narrative: text(4000)  # type: ignore[valid-type]
    reporter: PublicReporter | None = None
    subject: PublicSubject | None = None


async def report(
    session: AsyncSession, sent: PublicReport, payload_sha256: str, at: datetime
) -> Filed:
    """File it, confidential: those above the offices hold it, never the accused one alone.

    Raises what `filing.file` raises.
    """
    who = sent.reporter or PublicReporter(relation=Relation.OTHER)
    draft = ComplaintDraft(
        client_ref=sent.client_ref or f"public-{new_id()}",
        kind=sent.kind, category=sent.category, sector=sent.sector,
        program_code=sent.program_code, priority=sent.priority, channel=sent.channel,
        region_code=sent.region_code, narrative=sent.narrative,
        reporter=Reporter(**who.model_dump() | {"name": who.name or ANONYMOUS}),
        subject=Subject(**sent.subject.model_dump()) if sent.subject else None,
    )  # fmt: skip
    filed = await filing.file(session, CITIZEN, draft, payload_sha256, at)
    filed.complaint.confidential = True
    return filed
