"""The referral letter (surat rujukan) as PDF: always the same bytes for the same content."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from reportlab.lib.units import mm
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import day_of
from app.domain.complaints import Complaints
from app.domain.errors import Conflict
from app.domain.households import Households
from app.domain.identifiers import masked
from app.domain.principals import Principals
from app.domain.programs import Programs
from app.domain.referrals import WITH_OWNER, Referral, Referrals, ReferralState
from app.domain.regions import Regions
from app.domain.vocabulary import Purpose
from app.workflow import paper

# A letter is good while its referral is with the owner, or was granted.
GOOD = (*WITH_OWNER, ReferralState.GRANTED, ReferralState.BENEFIT_CONFIRMED)
PURPOSES = {
    Purpose.ENROL: "Pendaftaran sebagai penerima",
    Purpose.RESTORE: "Pengaktifan kembali",
    Purpose.PAYMENT: "Pembayaran yang belum diterima",
    Purpose.CARD: "Kartu",
    Purpose.CORRECT_DATA: "Perbaikan data",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """What stands in a letter; numbers are masked."""

    number: str
    city: str
    agency: str
    program: str
    purpose: str
    name: str
    national_id: str
    family_card_number: str
    place: str
    signer: str
    date: date
    url: str


async def letter_of(session: AsyncSession, referral: Referral, base_url: str) -> Letter:
    """The letter of a referral. Raises Conflict `no_letter` before it is sent, and once it was
    declined or cancelled."""
    if referral.state not in GOOD:
        raise Conflict("no_letter")
    assert referral.sent_at is not None
    assert referral.letter_code is not None
    program = await Programs(session).get(referral.program_code)
    assert program is not None
    complaint = await Complaints(session).peek(referral.complaint_id)
    names = await Principals(session).names({referral.sent_by})
    regions = await Regions(session).names(
        {referral.regency_code, referral.district_code, referral.village_code}
    )
    return Letter(
        number=f"{complaint.ticket}/{referral.program_code}/{referral.letter_code[:8].upper()}",
        city=regions[referral.regency_code],
        agency=program.agency,
        program=f"{program.name_id} ({program.code})",
        purpose=PURPOSES[referral.purpose],
        name=referral.beneficiary_name or "-",
        national_id=masked(Referrals(session).national_id(referral)) or "-",
        family_card_number=masked(await _card(session, referral.household_id)) or "-",
        place=f"{regions[referral.village_code]}, {regions[referral.district_code]}",
        signer=names.get(referral.sent_by, "-") if referral.sent_by else "-",
        date=day_of(referral.sent_at),
        url=f"{base_url}/v1/public/letters/{referral.letter_code}",
    )


async def _card(session: AsyncSession, household_id: UUID | None) -> str | None:
    """The family card of the beneficiary's household, where it is registered."""
    if household_id is None:
        return None
    households = Households(session)
    families = (await households.families_of([household_id]))[household_id]
    return households.family_card_number(families[0]) if families else None


def render(letter: Letter) -> bytes:
    """One page of A4."""
    canvas, file = paper.sheet("Surat Rujukan")
    y = paper.heading(canvas, letter.city, "SURAT RUJUKAN", letter.number)
    y = paper.paragraph(canvas, y, f"Kepada Yth. {letter.agency}")
    y = paper.paragraph(
        canvas, y - 4 * mm,
        "Dengan ini kami merujuk warga berikut kepada program Bapak/Ibu. Keputusan pemberian"
        " bantuan ada pada pemilik program.",
    )  # fmt: skip
    y = paper.table(
        canvas, y - 6 * mm,
        (
            ("Program", letter.program), ("Keperluan", letter.purpose), ("Nama", letter.name),
            ("NIK", letter.national_id), ("Nomor KK", letter.family_card_number),
            ("Kelurahan, kecamatan", letter.place),
        ),
    )  # fmt: skip
    paper.signature(
        canvas, y - 14 * mm, letter.city, letter.date, "Manajer SLRT", letter.signer, letter.url
    )
    return paper.done(canvas, file)
