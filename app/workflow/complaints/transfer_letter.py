"""The letter with which a complaint goes to another city, as PDF."""

from dataclasses import dataclass
from datetime import date

from reportlab.lib.units import mm
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import day_of
from app.domain.complaints import Complaint
from app.domain.errors import Conflict
from app.domain.identifiers import masked, without_numbers
from app.domain.principals import Principals
from app.domain.regions import Regions
from app.domain.transfers import Transfers
from app.workflow import paper
from app.workflow.complaints.filing import opened
from app.workflow.complaints.table import MOVED

# Longer ones do not fit the page; the office here has the whole of it.
NARRATIVE_AT_MOST = 900
WHY = {True: "Warga pindah domisili", False: "Di luar wilayah layanan kami"}


@dataclass(frozen=True, slots=True)
class Letter:
    """What stands in a letter; numbers are masked."""

    number: str
    city: str
    to: str
    reason: str
    name: str
    national_id: str
    subject: str
    received_on: date
    narrative: str
    signer: str
    date: date
    url: str


async def letter_of(session: AsyncSession, complaint: Complaint, base_url: str) -> Letter:
    """The letter of a complaint. Raises Conflict `no_letter` where it did not leave the city."""
    found = await Transfers(session).letter_of(complaint.id)
    if found is None:
        raise Conflict("no_letter")
    names = await Principals(session).names({found.signed_by})
    regions = await Regions(session).names({found.regency_code, found.to_region_code})
    text = without_numbers(complaint.narrative)
    return Letter(
        number=f"{complaint.ticket}/{found.code[:8].upper()}",
        city=regions[found.regency_code],
        to=regions[found.to_region_code],
        reason=WHY[found.reason == MOVED],
        name=complaint.reporter_name,
        national_id=masked(opened(session, complaint, "reporter_national_id")) or "-",
        subject=complaint.subject_name or "-",
        received_on=day_of(complaint.received_at),
        narrative=text if len(text) <= NARRATIVE_AT_MOST else f"{text[:NARRATIVE_AT_MOST]} …",
        signer=names.get(found.signed_by, "-"),
        date=day_of(found.signed_at),
        url=f"{base_url}/v1/public/letters/{found.code}",
    )


def render(letter: Letter) -> bytes:
    """One page of A4."""
    canvas, file = paper.sheet("Surat Pengantar")
    y = paper.heading(canvas, letter.city, "SURAT PENGANTAR PENGADUAN", letter.number)
    y = paper.paragraph(canvas, y, f"Kepada Yth. Dinas Sosial yang membawahi {letter.to}")
    y = paper.paragraph(
        canvas, y - 4 * mm,
        "Pengaduan berikut kami terima dan kami teruskan kepada Bapak/Ibu, karena penanganannya"
        " berada di wilayah Bapak/Ibu. Layanan ini tidak dipungut biaya.",
    )  # fmt: skip
    y = paper.table(
        canvas, y - 6 * mm,
        (
            ("Alasan", letter.reason), ("Pelapor", letter.name), ("NIK", letter.national_id),
            ("Mengenai", letter.subject),
            ("Diterima", paper.written(letter.received_on)),
            ("Uraian", letter.narrative),
        ),
    )  # fmt: skip
    paper.signature(
        canvas, y - 10 * mm, letter.city, letter.date, "SLRT", letter.signer, letter.url
    )
    return paper.done(canvas, file)
