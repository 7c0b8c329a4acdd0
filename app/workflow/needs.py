"""From a need to a draft referral, or to a link where the same need is open already."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import InRegion, line, new_id, region_of
from app.domain.complaints import Complaint
from app.domain.errors import Conflict, Fault, Invalid
from app.domain.households import Household, Households, Member
from app.domain.identifiers import Keys
from app.domain.programs import Programs
from app.domain.referrals import OPEN, Origin, Referral, Referrals, ReferralState
from app.domain.registry_changes import RegistryChanges
from app.domain.vocabulary import Document, Purpose
from app.workflow.eligibility import surveyed
from app.workflow.history import log
from app.workflow.referrals import items, waiting
from app.workflow.referrals.table import DRAFTED

CIVIL_DOCUMENTS = "ADMINDUK"


class Beneficiary(BaseModel):
    """Whom a need is for: a member, a household, or a person by name (and national id)."""

    model_config = ConfigDict(extra="forbid")

    member_id: UUID | None = None
    household_id: UUID | None = None
    national_id: Annotated[str, Field(pattern=r"^[0-9]{16}$", max_length=16)] | None = None
    name: line(120) | None = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _one_way_of_naming(self) -> "Beneficiary":
        named = [self.member_id, self.household_id, self.name]
        if sum(value is not None for value in named) != 1 or (
            self.national_id is not None and self.name is None
        ):
            raise ValueError("beneficiary_ambiguous")
        return self


class ProgramNeed(BaseModel):
    """A programme that somebody needs, and what for.

    `wait_for` is the registry change that must be confirmed before it is sent: by its id, or, in a
    survey, by its number (from 0) in that survey's `registry_changes`.
    """

    model_config = ConfigDict(extra="forbid")

    program_code: Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=40)]
    purpose: Purpose = Purpose.ENROL
    beneficiary: Beneficiary
    wait_for: UUID | Annotated[int, Field(ge=0, le=49, strict=True)] | None = None


async def check(
    session: AsyncSession,
    place: InRegion,
    needs: Sequence[ProgramNeed],
    pointer: str,
    changes: int = 0,
) -> None:
    """Raises Invalid for programmes, members or households that do not exist in the city, and for
    registry changes that a need cannot wait for.

    `pointer` is the place of a need, where `{}` is its number; `changes` says how many registry
    changes come with the needs.
    """
    unknown = await Programs(session).unknown({need.program_code for need in needs})
    faults = []
    for n, need in enumerate(needs):
        here, whom = pointer.format(n), need.beneficiary
        if need.program_code in unknown:
            faults.append(Fault("unknown_program", f"{here}/program_code"))
        if whom.member_id and await _member(session, place, whom.member_id) is None:
            faults.append(Fault("unknown_member", f"{here}/beneficiary/member_id"))
        if whom.household_id and await _household(session, place, whom.household_id) is None:
            faults.append(Fault("unknown_household", f"{here}/beneficiary/household_id"))
        if not await _may_wait(session, place, need, changes):
            faults.append(Fault("unknown_reference", f"{here}/wait_for"))
    if faults:
        raise Invalid("unknown_reference", tuple(faults))
    for need in needs:
        await _check_hold(session, place, need.beneficiary)


async def _may_wait(
    session: AsyncSession, place: InRegion, need: ProgramNeed, changes: int
) -> bool:
    if need.wait_for is None:
        return True
    if isinstance(need.wait_for, int):
        return need.wait_for < changes
    change = await RegistryChanges(session).find(need.wait_for)
    if change is None:
        return False
    complaint = place if isinstance(place, Complaint) else None
    member = await _beneficiary(session, place, need.beneficiary)
    household_id = member.household_id if member else need.beneficiary.household_id
    return waiting.may_wait_for(
        change,
        complaint.id if complaint else None,
        household_id or (complaint.household_id if complaint else None),
        member.id if member else None,
    )


async def _check_hold(session: AsyncSession, place: InRegion, whom: Beneficiary) -> None:
    """Raises Conflict `person_on_hold` for somebody who is reported dead."""
    member = await _beneficiary(session, place, whom)
    if member is not None and member.hold_change_id is not None:
        raise Conflict("person_on_hold")


async def _beneficiary(session: AsyncSession, place: InRegion, whom: Beneficiary) -> Member | None:
    """The member that a need names, by id or by number."""
    if whom.national_id is not None:
        blind = Keys.of(session).blind(whom.national_id)
        return await Households(session).member_by_national_id(place.regency_code, blind)
    return await _member(session, place, whom.member_id) if whom.member_id else None


async def draft(
    session: AsyncSession,
    complaint: Complaint,
    need: ProgramNeed,
    origin: Origin,
    actor: Actor,
    at: datetime,
    held: list[Referral],
) -> Referral:
    """A draft for a checked need; the open referral for it, linked, where there is one.

    `held` are the items the complaint holds already; what is drafted or linked is added to it.
    """
    referrals = Referrals(session)
    whom = need.beneficiary
    key, member = await _key(session, complaint, whom)
    await referrals.lock_need(key, need.program_code, need.purpose)
    same = (key, need.program_code, need.purpose)
    for item in held:
        now = item.state in (ReferralState.DRAFT, *OPEN)
        if now and (item.beneficiary_key, item.program_code, item.purpose) == same:
            if item.state is ReferralState.DRAFT and item.complaint_id == complaint.id:
                await _screen(session, complaint, item, need, member, actor, at)
            of_survey = origin is Origin.SURVEY and item.origin is origin
            if item.state is ReferralState.DRAFT and (need.wait_for or of_survey):
                item.wait_for = _change_id(need)
            return item
    if existing := await referrals.open_for(key, need.program_code, need.purpose):
        items.link(session, complaint, existing, origin, actor, at)
        held.append(existing)
        return existing
    id = new_id()
    number = Households(session).national_id(member) if member else whom.national_id
    household_id = member.household_id if member else whom.household_id or complaint.household_id
    referral = Referral(
        id=id,
        complaint_id=complaint.id,
        program_code=need.program_code,
        purpose=need.purpose,
        beneficiary_key=key,
        beneficiary_name=member.name if member else whom.name,
        beneficiary_national_id=referrals.sealed(id, number),
        member_id=member.id if member else None,
        household_id=household_id,
        origin=origin,
        drafted_by=actor.id,
        wait_for=_change_id(need),
        created_at=at,
        stage_entered_at=at,
        **region_of(complaint),
    )
    await items.name_family(session, referral)
    await _screen(session, complaint, referral, need, member, actor, at)
    referrals.add(referral)
    log(
        session, DRAFTED, referral, actor, at,
        complaint_id=str(complaint.id), program_code=need.program_code, origin=origin,
    )  # fmt: skip
    held.append(referral)
    return referral


async def _screen(
    session: AsyncSession,
    complaint: Complaint,
    referral: Referral,
    need: ProgramNeed,
    member: Member | None,
    actor: Actor,
    at: datetime,
) -> None:
    """Keep with a draft what the rules say of its beneficiary. It stops no referral."""
    if need.purpose is not Purpose.ENROL:
        return
    whose: Member | Household | str | None = member or need.beneficiary.name
    if need.beneficiary.household_id is not None:
        whose = await _household(session, complaint, need.beneficiary.household_id)
    assert whose is not None
    screening = await surveyed.keep_for(session, complaint, need.program_code, whose, actor, at)
    referral.screening_id = screening.id if screening else None


def _change_id(need: ProgramNeed) -> UUID | None:
    """The change that a need waits for; a survey's numbers have become ids by now."""
    assert not isinstance(need.wait_for, int)
    return need.wait_for


async def replace_survey_drafts(
    session: AsyncSession,
    complaint: Complaint,
    needs: Sequence[ProgramNeed],
    actor: Actor,
    at: datetime,
) -> None:
    """Make the drafts that came from the survey equal to it; those of the desk and waivers stay."""
    held = (await Referrals(session).items_of([complaint.id], lock=True))[complaint.id]
    origins = await Referrals(session).origins(complaint.id)
    before = [
        item
        for item in held
        if origins[item.id] is Origin.SURVEY
        and (item.complaint_id != complaint.id or item.state is ReferralState.DRAFT)
    ]
    wanted = {
        (await draft(session, complaint, need, Origin.SURVEY, actor, at, held)).id for need in needs
    }
    for item in before:
        if item.id not in wanted:
            await items.cancel_one(session, complaint, item, "not_in_survey", actor, at)


async def draft_civil_documents(
    session: AsyncSession, complaint: Complaint, actor: Actor, at: datetime
) -> None:
    """Who could not show an id or family card is referred to the civil registry."""
    held = (await Referrals(session).items_of([complaint.id]))[complaint.id]
    need = ProgramNeed(
        program_code=CIVIL_DOCUMENTS,
        purpose=Purpose.ENROL,
        beneficiary=Beneficiary(name=complaint.subject_name or complaint.reporter_name),
    )
    await draft(session, complaint, need, Origin.WAIVER, actor, at, held)


def waives_identity(documents_waived: Sequence[dict[str, Any]]) -> bool:
    waived = {waiver["document"] for waiver in documents_waived}
    return bool(waived & {Document.ID_CARD, Document.FAMILY_CARD})


async def _key(
    session: AsyncSession, complaint: Complaint, whom: Beneficiary
) -> tuple[str, Member | None]:
    """What tells whether two needs are for the same beneficiary."""
    if whom.household_id is not None:
        return f"household:{whom.household_id}", None
    member = None
    if whom.member_id is not None:
        member = await _member(session, complaint, whom.member_id)
    elif whom.national_id is not None:
        blind = Keys.of(session).blind(whom.national_id)
        member = await Households(session).member_by_national_id(complaint.regency_code, blind)
        if member is None:
            return f"national_id:{blind.hex()}", None
    if member is not None:
        return f"member:{member.id}", member
    # A name alone says nothing beyond its own complaint.
    assert whom.name is not None
    return f"name:{complaint.id}:{whom.name.casefold()}", None


async def _member(session: AsyncSession, place: InRegion, id: UUID) -> Member | None:
    member = await Households(session).member(id)
    return member if member and member.regency_code == place.regency_code else None


async def _household(session: AsyncSession, place: InRegion, id: UUID) -> Household | None:
    household = await Households(session).find(id)
    return household if household and household.regency_code == place.regency_code else None
