"""Needs without a programme: kept from surveys, and mapped to a programme, a helper or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import new_id, region_of
from app.domain.complaints import BEFORE_FORWARDED, Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.other_needs import MappedTo, OtherNeed, OtherNeeds
from app.domain.programs import Programs
from app.domain.referrals import Origin, Referral, Referrals
from app.domain.vocabulary import Sector
from app.workflow import needs
from app.workflow.complaints.case import staff_of
from app.workflow.history import log
from app.workflow.needs import Beneficiary, ProgramNeed

RECORDED, MAPPED = "other_need.recorded", "other_need.mapped"
# A draft may still be added: the supervisor is to see it, too.
TAKES_DRAFTS = tuple(s for s in BEFORE_FORWARDED if s is not ComplaintState.AWAITING_MANAGER)
Said = tuple[str, Sector | None]


@dataclass(frozen=True, slots=True)
class Mapping:
    """What meets a need."""

    to: MappedTo
    program_code: str | None = None
    helper: str | None = None


async def replace(
    session: AsyncSession, complaint: Complaint, said: Sequence[Said], actor: Actor, at: datetime
) -> None:
    """Make the needs kept of a complaint equal to its survey; what has been mapped stays."""
    kept = OtherNeeds(session)
    new = list(said)
    for need in await kept.of_complaint(complaint.id):
        same = (kept.text(need), need.sector)
        if same in new:
            new.remove(same)
        elif need.mapped_to is None:
            await kept.remove(need)
    for text, sector in new:
        need = OtherNeed(
            id=new_id(), complaint_id=complaint.id, household_id=complaint.household_id, text=b"",
            sector=sector, created_at=at, **region_of(complaint),
        )  # fmt: skip
        kept.add(need, text)
        log(session, RECORDED, need, actor, at, complaint_id=str(complaint.id), sector=sector)


def check_mapper(actor: Actor, need: OtherNeed) -> None:
    """Raises Forbidden for all but program managers of the region."""
    if not actor.holds(need.village_code, Role.PROGRAM_MANAGER):
        raise Forbidden("role_not_allowed")


async def map_need(
    session: AsyncSession, actor: Actor, id: UUID, mapping: Mapping, version: int, at: datetime
) -> OtherNeed:
    """Say what meets a need. Of a programme a draft is made while its complaint takes one; later,
    and for a helper of the place, the secretariat is told.

    The caller has checked the role. Raises Invalid for unknown programmes, and Conflict
    `drafted_already` once a referral was made of it.
    """
    kept = OtherNeeds(session)
    seen = await kept.find(id)
    complaint = await Complaints(session).lock(seen.complaint_id)
    need = await kept.lock(id)
    if version != need.version:
        raise PreconditionFailed("stale_version")
    if need.referral_id is not None:
        raise Conflict("drafted_already")
    code = mapping.program_code
    if code is not None and await Programs(session).unknown({code}):
        raise Invalid("unknown_program", (Fault("unknown_program", "/program_code"),))
    need.mapped_to, need.program_code, need.helper = mapping.to, code, mapping.helper
    need.mapped_by, need.mapped_at = actor.id, at
    need.version += 1
    if code is not None and complaint.state in TAKES_DRAFTS:
        need.referral_id = (await _draft(session, complaint, code, actor, at)).id
    elif mapping.to is not MappedTo.NONE_EXISTS:
        await _tell(session, complaint, at)
    log(
        session, MAPPED, need, actor, at, role=Role.PROGRAM_MANAGER, mapped_to=mapping.to,
        program_code=code, complaint_id=str(complaint.id),
        referral_id=str(need.referral_id) if need.referral_id else None,
    )  # fmt: skip
    await session.flush()
    return need


async def _draft(
    session: AsyncSession, complaint: Complaint, program_code: str, actor: Actor, at: datetime
) -> Referral:
    """A draft for the household, or for who is named where none is known."""
    name = complaint.subject_name or complaint.reporter_name
    home = complaint.household_id
    whom = Beneficiary(household_id=home) if home else Beneficiary(name=name)
    need = ProgramNeed(program_code=program_code, beneficiary=whom)
    held = (await Referrals(session).items_of([complaint.id], lock=True))[complaint.id]
    complaint.version += 1
    return await needs.draft(session, complaint, need, Origin.DESK, actor, at, held)


async def _tell(session: AsyncSession, complaint: Complaint, at: datetime) -> None:
    staff = await staff_of(session, complaint.regency_code)
    people = [one.id for one in staff.holding(complaint.village_code, *SECRETARIAT)]
    Notifications(session).tell(people, SubjectKind.COMPLAINT, complaint, Step.NEED_MAPPED, at)
