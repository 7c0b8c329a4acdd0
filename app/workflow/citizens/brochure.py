"""The brochure of the way a report goes: made from routes, budgets and offices, never written."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any

import segno
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.offices import Office, Offices
from app.domain.routes import Route, Routes
from app.domain.vocabulary import Priority, Visit
from app.workflow.citizens import texts
from app.workflow.citizens.texts import DAYS, DOCUMENTS, FREE, MATTERS, WAY, Language, Text
from app.workflow.complaints.clock import PROMISE
from app.workflow.complaints.table import LADDER
from app.workflow.paper import BOLD, FONT, register_fonts

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Brochure:
    """What stands in it, in one language."""

    language: Language
    title: str
    free: str
    promise: str
    steps_title: str
    steps: Sequence[str]
    bring_title: str
    bring: Sequence[tuple[str, str]]
    bring_note: str
    where_title: str
    where: Sequence[tuple[str, str]]
    without_desk: str
    check: str
    url: str


async def brochure_of(session: AsyncSession, language: Language, base_url: str) -> Brochure:
    """The brochure as routes, budgets and offices are now."""

    def say(text: Text, **words: Any) -> str:
        return (text.put(**words) if words else text).in_(language)

    routes = await Routes(session).all()
    offices = await Offices(session).near(None)
    return Brochure(
        language=language,
        title=say(texts.BROCHURE_TITLE),
        free=say(FREE),
        promise=say(
            texts.PROMISE_TEXT,
            hours=str(PROMISE[Priority.NORMAL] // HOUR),
            urgent=str(PROMISE[Priority.EMERGENCY] // HOUR),
        ),
        steps_title=say(texts.HOW_IT_GOES),
        steps=[_step(language, text, LADDER[state].budget) for state, text in WAY.items()],
        bring_title=say(texts.WHAT_TO_BRING),
        bring=[
            (say(MATTERS[category or kind]), _needed(language, route))
            for (kind, category), route in sorted(routes.items(), key=_as_texts_stand)
        ],
        bring_note=say(texts.NO_DOCUMENTS),
        where_title=say(texts.WHERE_TO_GO),
        where=[(one.name, _place(language, one)) for one in offices],
        without_desk=say(texts.WITHOUT_DESK),
        check=say(texts.CHECK_IT),
        url=f"{base_url}/cek",
    )


def _as_texts_stand(item: tuple[Any, Route]) -> int:
    kind, category = item[0]
    return list(MATTERS).index(category or kind)


def _step(language: Language, text: Text, budget: timedelta | None) -> str:
    said = text.in_(language)
    if budget is None:
        return said
    most = texts.AT_MOST.put(hours=str(budget // HOUR)).in_(language)
    return f"{said.rstrip('.')} ({most})."


def _needed(language: Language, route: Route) -> str:
    """The documents of a route: all of them, and of alternatives one."""
    either = f" {texts.OR.in_(language)} "
    parts = [
        either.join(DOCUMENTS[one].in_(language) for one in options) for options in route.documents
    ]
    said = ", ".join(parts) or texts.NOTHING_TO_BRING.in_(language)
    visit = texts.HOME_VISIT.in_(language) if route.visit is Visit.REQUIRED else ""
    return f"{said}; {visit}" if visit else said


def _place(language: Language, office: Office) -> str:
    hours = "; ".join(
        f"{', '.join(DAYS[day].in_(language) for day in one['days'])}"
        f" {one['opens']}-{one['closes']}".replace(":", ".")
        for one in office.hours
    )
    return ". ".join(part for part in (office.address, hours, office.phone) if part)


def html(brochure: Brochure, style: str) -> str:
    """One page without script; the QR code is in it."""
    code = segno.make(brochure.url, micro=False, error="m").svg_data_uri(scale=4, border=2)
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in brochure.bring
    )
    steps = "".join(f"<li>{escape(step)}</li>" for step in brochure.steps)
    where = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in brochure.where
    )
    url = escape(brochure.url)
    return (
        f'<!doctype html>\n<html lang="{brochure.language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(brochure.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<main>\n<h1>{escape(brochure.title)}</h1>\n<p><b>{escape(brochure.free)}</b></p>\n"
        f"<p>{escape(brochure.promise)}</p>\n<h2>{escape(brochure.steps_title)}</h2>\n"
        f"<ol>{steps}</ol>\n<h2>{escape(brochure.bring_title)}</h2>\n<table>{rows}</table>\n"
        f"<p>{escape(brochure.bring_note)}</p>\n<p>{escape(brochure.without_desk)}</p>\n"
        f'<p>{escape(brochure.check)} <a href="{url}">{url}</a></p>\n'
        f'<p><img src="{code}" alt="{url}"></p>\n<h2>{escape(brochure.where_title)}</h2>\n'
        f"<dl>{where}</dl>\n</main>\n</body>\n</html>\n"
    )


def pdf(brochure: Brochure) -> bytes:
    """A4, always the same bytes for the same content."""
    register_fonts()
    file = io.BytesIO()
    page = SimpleDocTemplate(
        file, pagesize=A4, leftMargin=20 * mm, rightMargin=20 * mm, topMargin=16 * mm,
        bottomMargin=16 * mm, title=brochure.title, author="SLRT", lang=brochure.language,
        invariant=1,
    )  # fmt: skip
    plain = ParagraphStyle("plain", fontName=FONT, fontSize=9.5, leading=13, spaceAfter=3)
    head = ParagraphStyle(
        "head", fontName=BOLD, fontSize=11.5, leading=15, spaceBefore=8, spaceAfter=3,
        textColor=HexColor("#0b4f3a"),
    )  # fmt: skip
    title = ParagraphStyle("title", fontName=BOLD, fontSize=16, leading=20, spaceAfter=6)
    strong = ParagraphStyle("strong", parent=plain, fontName=BOLD)

    def named(rows: Sequence[tuple[str, str]]) -> list[Any]:
        return [
            Paragraph(f'<font name="{BOLD}">{escape(name)}</font>: {escape(text)}', plain)
            for name, text in rows
        ]

    picture = io.BytesIO()
    segno.make(brochure.url, micro=False, error="m").save(picture, kind="png", scale=8, border=2)
    check = Paragraph(f"{escape(brochure.check)} {escape(brochure.url)}", plain)
    page.build(
        [
            Paragraph(escape(brochure.title), title),
            Paragraph(escape(brochure.free), strong),
            Paragraph(escape(brochure.promise), plain),
            Paragraph(escape(brochure.steps_title), head),
            *(
                Paragraph(f"{n}. {escape(step)}", plain)
                for n, step in enumerate(brochure.steps, start=1)
            ),
            Paragraph(escape(brochure.bring_title), head),
            *named(brochure.bring),
            Paragraph(escape(brochure.bring_note), plain),
            Paragraph(escape(brochure.without_desk), plain),
            KeepTogether([Spacer(1, 6), check, Image(picture, 32 * mm, 32 * mm, hAlign="LEFT")]),
            Paragraph(escape(brochure.where_title), head),
            *named(brochure.where),
        ]
    )
    return file.getvalue()
