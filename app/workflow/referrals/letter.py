"""The referral letter (surat rujukan) as PDF: always the same bytes for the same content."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID
from xml.sax.saxutils import escape

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph
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

# A letter is good while its referral is with the owner, or was granted.
GOOD = (*WITH_OWNER, ReferralState.GRANTED, ReferralState.BENEFIT_CONFIRMED)
PURPOSES = {
    Purpose.ENROL: "Pendaftaran sebagai penerima",
    Purpose.RESTORE: "Pengaktifan kembali",
    Purpose.PAYMENT: "Pembayaran yang belum diterima",
    Purpose.CARD: "Kartu",
    Purpose.CORRECT_DATA: "Perbaikan data",
}
MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September",
    "Oktober", "November", "Desember",
)  # fmt: skip
FONT, BOLD = "Vera", "VeraBd"
LEFT, WIDTH, LABEL = 25 * mm, A4[0] - 50 * mm, 45 * mm
QR_SIZE = 36 * mm


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
    _register_fonts()
    file = io.BytesIO()
    # Invariant: no moment and no random id of making it stands in the file.
    canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("Surat Rujukan")
    canvas.setAuthor("SLRT")
    y = A4[1] - 30 * mm
    for text, font, size in (
        (letter.city.upper(), BOLD, 13),
        ("Sistem Layanan dan Rujukan Terpadu (SLRT)", FONT, 11),
    ):
        canvas.setFont(font, size)
        canvas.drawCentredString(A4[0] / 2, y, text)
        y -= 7 * mm
    canvas.line(LEFT, y, LEFT + WIDTH, y)
    y -= 14 * mm
    canvas.setFont(BOLD, 14)
    canvas.drawCentredString(A4[0] / 2, y, "SURAT RUJUKAN")
    canvas.setFont(FONT, 9)
    canvas.drawCentredString(A4[0] / 2, y - 6 * mm, f"Nomor: {letter.number}")
    y -= 20 * mm
    y = _paragraph(canvas, y, f"Kepada Yth. {letter.agency}")
    y = _paragraph(
        canvas, y - 4 * mm,
        "Dengan ini kami merujuk warga berikut kepada program Bapak/Ibu. Keputusan pemberian"
        " bantuan ada pada pemilik program.",
    )  # fmt: skip
    y = _table(
        canvas, y - 6 * mm,
        (
            ("Program", letter.program), ("Keperluan", letter.purpose), ("Nama", letter.name),
            ("NIK", letter.national_id), ("Nomor KK", letter.family_card_number),
            ("Kelurahan, kecamatan", letter.place),
        ),
    )  # fmt: skip
    day = f"{letter.date.day} {MONTHS[letter.date.month - 1]} {letter.date.year}"
    y -= 14 * mm
    _qr(canvas, letter.url, LEFT, y - QR_SIZE)
    right = LEFT + WIDTH / 2
    y = _paragraph(canvas, y, f"{letter.city}, {day}", right)
    y = _paragraph(canvas, y, "Manajer SLRT,", right)
    y = _paragraph(canvas, y - 14 * mm, letter.signer, right, BOLD)
    _paragraph(canvas, y, "Disetujui secara elektronik dalam SLRT.", right, size=8)
    _paragraph(
        canvas, 40 * mm,
        "Pindai kode di atas untuk memeriksa apakah surat ini masih berlaku, atau buka"
        f" {letter.url}",
        size=8,
    )  # fmt: skip
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _register_fonts() -> None:
    """The fonts that come with the library: they are put into the file, so any reader has them."""
    for name in (FONT, BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def _paragraph(
    canvas: Canvas, y: float, text: str, x: float = LEFT, font: str = FONT, size: float = 10
) -> float:
    """Text that breaks by itself; where the next one begins."""
    style = ParagraphStyle("letter", fontName=font, fontSize=size, leading=size * 1.45)
    paragraph = Paragraph(escape(text), style)
    _, height = paragraph.wrap(LEFT + WIDTH - x, A4[1])
    paragraph.drawOn(canvas, x, y - height)
    return float(y - height)


def _table(canvas: Canvas, y: float, rows: Iterable[tuple[str, str]]) -> float:
    for label, value in rows:
        _paragraph(canvas, y, label)
        y = _paragraph(canvas, y, f": {value}", LEFT + LABEL) - 2 * mm
    return y


def _qr(canvas: Canvas, url: str, x: float, y: float) -> None:
    rows = list(segno.make(url, micro=False, error="m").matrix_iter(border=0))
    side = QR_SIZE / len(rows)
    for n, row in enumerate(rows):
        for m, dark in enumerate(row):
            if dark:
                top = y + QR_SIZE - (n + 1) * side
                # A hair wider, so that no reader shows seams between the modules.
                canvas.rect(x + m * side, top, side * 1.01, side * 1.01, stroke=0, fill=1)
