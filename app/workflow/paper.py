"""Letters on paper: one page of A4 as PDF, always the same bytes for the same content."""

import io
from collections.abc import Iterable
from datetime import date
from xml.sax.saxutils import escape

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September",
    "Oktober", "November", "Desember",
)  # fmt: skip
FONT, BOLD = "Vera", "VeraBd"
LEFT, WIDTH, LABEL = 25 * mm, A4[0] - 50 * mm, 45 * mm
QR_SIZE = 36 * mm


def sheet(title: str) -> tuple[Canvas, io.BytesIO]:
    """An empty page, and the file that it becomes."""
    register_fonts()
    file = io.BytesIO()
    # Invariant: no moment and no random id of making it stands in the file.
    canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(title)
    canvas.setAuthor("SLRT")
    return canvas, file


def done(canvas: Canvas, file: io.BytesIO) -> bytes:
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def heading(canvas: Canvas, city: str, title: str, number: str) -> float:
    """Whose letter it is, what it is, and its number; where the text begins."""
    y = A4[1] - 30 * mm
    for text, font, size in (
        (city.upper(), BOLD, 13),
        ("Sistem Layanan dan Rujukan Terpadu (SLRT)", FONT, 11),
    ):
        canvas.setFont(font, size)
        canvas.drawCentredString(A4[0] / 2, y, text)
        y -= 7 * mm
    canvas.line(LEFT, y, LEFT + WIDTH, y)
    y -= 14 * mm
    canvas.setFont(BOLD, 14)
    canvas.drawCentredString(A4[0] / 2, y, title)
    canvas.setFont(FONT, 9)
    canvas.drawCentredString(A4[0] / 2, y - 6 * mm, f"Nomor: {number}")
    return y - 20 * mm


def written(day: date) -> str:
    """A day as letters write it: `24 November 2026`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def signature(
    canvas: Canvas, y: float, city: str, on: date, office: str, signer: str, url: str
) -> None:
    """Place, day and name of who signs, beside the QR code by which anybody can check it."""
    qr(canvas, url, LEFT, y - QR_SIZE)
    right = LEFT + WIDTH / 2
    y = paragraph(canvas, y, f"{city}, {written(on)}", right)
    y = paragraph(canvas, y, f"{office},", right)
    y = paragraph(canvas, y - 14 * mm, signer, right, BOLD)
    paragraph(canvas, y, "Disetujui secara elektronik dalam SLRT.", right, size=8)
    paragraph(
        canvas, 40 * mm,
        f"Pindai kode di atas untuk memeriksa apakah surat ini masih berlaku, atau buka {url}",
        size=8,
    )  # fmt: skip


def register_fonts() -> None:
    """The fonts that come with the library: they are put into the file, so any reader has them."""
    for name in (FONT, BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def paragraph(
    canvas: Canvas, y: float, text: str, x: float = LEFT, font: str = FONT, size: float = 10
) -> float:
    """Text that breaks by itself; where the next one begins."""
    style = ParagraphStyle("letter", fontName=font, fontSize=size, leading=size * 1.45)
    paragraph = Paragraph(escape(text), style)
    _, height = paragraph.wrap(LEFT + WIDTH - x, A4[1])
    paragraph.drawOn(canvas, x, y - height)
    return float(y - height)


def table(canvas: Canvas, y: float, rows: Iterable[tuple[str, str]]) -> float:
    for label, value in rows:
        paragraph(canvas, y, label)
        y = paragraph(canvas, y, f": {value}", LEFT + LABEL) - 2 * mm
    return y


def qr(canvas: Canvas, url: str, x: float, y: float) -> None:
    rows = list(segno.make(url, micro=False, error="m").matrix_iter(border=0))
    side = QR_SIZE / len(rows)
    for n, row in enumerate(rows):
        for m, dark in enumerate(row):
            if dark:
                top = y + QR_SIZE - (n + 1) * side
                # A hair wider, so that no reader shows seams between the modules.
                canvas.rect(x + m * side, top, side * 1.01, side * 1.01, stroke=0, fill=1)
