"""What an owner's answer says about who takes part in a programme: written into the registry."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import day_of, region_of
from app.domain.households import Households, Participation, RegistryEntry
from app.domain.referrals import Referral
from app.domain.vocabulary import Purpose

# The owner's word: it gave the benefit, or it says that somebody has it already.
ANSWER, CLAIM = "agency answer", "agency claim"
BEGINS = (Purpose.ENROL, Purpose.RESTORE)
WRITTEN = "participation"


async def hold(session: AsyncSession, referral: Referral) -> None:
    """Keep the beneficiary's rows from changing until commit; they are locked before referrals."""
    if referral.household_id is not None:
        await Households(session).keep(referral.household_id)


async def granted(session: AsyncSession, referral: Referral, at: datetime) -> None:
    """The beneficiary takes part; from now on, where the programme was asked to let them in."""
    await _write(session, referral, ANSWER, at, begins=referral.purpose in BEGINS)


async def confirmed(session: AsyncSession, referral: Referral, at: datetime) -> None:
    """The benefit has arrived: known as of today."""
    await _write(session, referral, ANSWER, at, begins=False)


async def claimed(session: AsyncSession, referral: Referral, at: datetime) -> None:
    """The owner says that the beneficiary is served already: its claim, with that as source."""
    await _write(session, referral, CLAIM, at, begins=False)


async def _write(
    session: AsyncSession, referral: Referral, source: str, at: datetime, begins: bool
) -> None:
    """A household or a registered person; a name alone is nobody whom the registry knows."""
    home = referral.household_id
    if home is None or (referral.member_id is None and not referral.of_household):
        return
    day = day_of(at)
    row = Participation(
        household_id=home, member_id=referral.member_id, program_code=referral.program_code,
        source=source, as_of=day, began_on=day if begins else None, **region_of(referral),
    )  # fmt: skip
    if await Households(session).take_part(row):
        version = await Households(session).version_of(home)
        session.add(
            RegistryEntry(
                household_id=home, member_id=referral.member_id, version=version, what=WRITTEN,
                changes={WRITTEN: [None, referral.program_code]}, source=source, at=at,
                **region_of(referral),
            )
        )  # fmt: skip
