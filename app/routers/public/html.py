"""The page at /cek as HTML: no script, one style in the page, readable on paper."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape

from app.domain.base import JAKARTA
from app.routers.reference import ICON
from app.workflow.citizens.page_texts import WORDS, Word
from app.workflow.citizens.status import Possible, Status
from app.workflow.citizens.texts import FREE, Language, Text

NAMES = {
    Language.INDONESIAN: "Bahasa Indonesia",
    Language.JAVANESE: "Basa Jawa",
    Language.ENGLISH: "English",
}
MONTHS = {
    Language.INDONESIAN: "Januari Februari Maret April Mei Juni Juli Agustus September Oktober"
    " November Desember",
    Language.JAVANESE: "Januari Februari Maret April Mei Juni Juli Agustus September Oktober"
    " November Desember",
    Language.ENGLISH: "January February March April May June July August September October"
    " November December",
}
STYLE = """
body{font:1.125rem/1.5 sans-serif;margin:0 auto;max-width:40rem;padding:1rem}
body{color:#111;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}
nav a{display:inline-block;padding:.6rem .8rem .6rem 0;color:#0b4f3a}
label,legend{display:block;font-weight:bold;margin-top:1rem}
input,textarea,button{font:inherit;box-sizing:border-box}
input[type=text],textarea{width:100%;padding:.7rem;border:2px solid #555;border-radius:4px}
button{margin-top:1rem;min-height:3rem;padding:.6rem 1.4rem;border:0;border-radius:4px}
button{background:#0b4f3a;color:#fff}
:focus{outline:3px solid #d98200;outline-offset:2px}
.hint{color:#444;margin:.2rem 0}.say{border-left:6px solid #a40000;padding:.5rem 1rem}
.done{border-color:#0b4f3a}dt{font-weight:bold;margin-top:1rem}dd{margin:0}
fieldset{border:0;padding:0;margin:0}fieldset label{display:inline-block;padding:.6rem 1rem .6rem 0}
details{margin-top:1.5rem;border-top:1px solid #999;padding-top:.8rem}
summary{padding:.6rem 0;font-weight:bold}.pre{white-space:pre-line}
table{border-collapse:collapse}th,td{border:1px solid #999;padding:.4rem;text-align:left}
th{vertical-align:top}
@media print{nav,form,details,.screen{display:none}body{font-size:11pt}}
"""
# The style is named by its digest: nothing else that gets into the page is applied or run.
DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{DIGEST}'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class View:
    """What one page says in one language."""

    language: Language

    def say(self, text: Text) -> str:
        return escape(text.in_(self.language))

    def word(self, word: Word, **words: str) -> str:
        return self.say(WORDS[word].put(**words) if words else WORDS[word])

    def moment(self, at: datetime) -> str:
        """24 November 2026, 09.30 WIB."""
        here = at.astimezone(JAKARTA)
        month = MONTHS[self.language].split()[here.month - 1]
        text = f"{here.day} {month} {here.year}, {here:%H.%M} WIB"
        return f'<time datetime="{here.isoformat(timespec="minutes")}">{text}</time>'

    def page(self, body: str) -> str:
        links = "".join(
            f'<a href="/cek?lang={one}" lang="{one}" hreflang="{one}"'
            f"{' aria-current=page' if one is self.language else ''}>{name}</a> "
            for one, name in NAMES.items()
        )
        title = self.word(Word.TITLE)
        return (
            f'<!doctype html>\n<html lang="{self.language}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="robots" content="noindex">\n<title>{title}</title>\n'
            f'<link rel="icon" href="{ICON}">\n'
            f"<style>{STYLE}</style>\n</head>\n<body>\n"
            f'<nav aria-label="{self.word(Word.LANGUAGE)}">{links}</nav>\n'
            f"<main>\n<h1>{title}</h1>\n{body}\n</main>\n"
            f"<footer><p>{self.say(FREE)}</p></footer>\n</body>\n</html>\n"
        )

    def asking(self, say: str = "", ticket: str = "") -> str:
        """The form, and above it what went wrong."""
        return self.page(
            f"{_said(say)}<p>{self.word(Word.INTRO)}</p>\n"
            f'<form method="post" action="/cek" autocomplete="off">\n{self._language()}'
            f'<label for="ticket">{self.word(Word.TICKET)}</label>\n'
            f'<p class="hint" id="ticket-hint">{self.word(Word.TICKET_HINT)}</p>\n'
            '<input type="text" id="ticket" name="ticket" inputmode="numeric" maxlength="30"'
            f' required aria-describedby="ticket-hint" value="{escape(ticket)}">\n'
            f"{self._pin('pin', Word.PIN)}"
            f'<button name="do" value="look">{self.word(Word.LOOK)}</button>\n</form>'
        )

    def status(self, status: Status, say: str = "", done: bool = False) -> str:
        """How a report stands, and what its citizen may do."""
        body = [
            _said(say, done),
            f"<p>{self.word(Word.TICKET)}: <b>{escape(status.ticket)}</b></p>",
        ]
        body += ["<dl>", *self._facts(status), "</dl>"]
        if status.answer:
            body.append(f"<h2>{self.word(Word.ANSWER)}</h2>")
            body.append(f'<p class="pre">{escape(status.answer)}</p>')
        body.append(f"<h2>{self.word(Word.HISTORY)}</h2>\n<ol>")
        body += [
            f"<li>{self.moment(line.at)}<br>{self.say(line.text)}</li>" for line in status.history
        ]
        body.append("</ol>")
        body += [self._form(status, one) for one in status.actions]
        again = f"/cek?lang={self.language}"
        body.append(f'<p class="screen"><a href="{again}">{self.word(Word.OTHER)}</a></p>')
        return self.page("\n".join(body))

    def _facts(self, status: Status) -> Iterable[str]:
        yield self._fact(Word.STEP, self.say(status.step_text))
        yield self._fact(Word.SINCE, self.moment(status.since))
        if status.outcome_text:
            yield self._fact(Word.OUTCOME, self.say(status.outcome_text))
        if status.promised_at:
            late = f"<br><b>{self.word(Word.LATE)}</b>" if status.late else ""
            yield self._fact(Word.PROMISED, self.moment(status.promised_at) + late)
        if status.missing_documents:
            names = "; ".join(self.say(one.text) for one in status.missing_documents)
            yield self._fact(Word.MISSING, names)
        if waits := status.waits_for:
            where = f"<br>{escape(waits.address)}" if waits.address else ""
            yield self._fact(Word.WAITS_FOR, self.say(waits.office) + where)

    def _fact(self, word: Word, value: str) -> str:
        return f"<dt>{self.word(word)}</dt><dd>{value}</dd>"

    def _form(self, status: Status, what: Possible) -> str:
        """A step of the citizen. The PIN is typed again: it stands in no page, and whoever has
        not got it cannot send this form from elsewhere either."""
        asked = {
            Possible.WITHDRAW: f'<label for="note">{self.word(Word.WHY)}</label>\n'
            '<textarea id="note" name="note" rows="3" maxlength="4000" required></textarea>\n',
            Possible.REOPEN: "",
            Possible.RATE: self._scores(status.satisfaction),
        }[what]
        word = Word(what)
        return (
            f"<details><summary>{self.word(word)}</summary>\n"
            f'<form method="post" action="/cek" autocomplete="off">\n{self._language()}'
            f'<input type="hidden" name="ticket" value="{escape(status.ticket)}">\n'
            f'<input type="hidden" name="key" value="cek-{secrets.token_hex(12)}">\n'
            f"{asked}{self._pin(f'pin-{what}', Word.PIN_AGAIN)}"
            f'<button name="do" value="{what}">{self.word(word)}</button>\n</form></details>'
        )

    def _scores(self, given: int | None) -> str:
        buttons = "".join(
            f'<label><input type="radio" name="satisfaction" value="{n}" required'
            f"{' checked' if n == given else ''}> {n}</label>"
            for n in range(1, 6)
        )
        return f"<fieldset><legend>{self.word(Word.RATE_HINT)}</legend>{buttons}</fieldset>\n"

    def _pin(self, id: str, label: Word) -> str:
        return (
            f'<label for="{id}">{self.word(label)}</label>\n'
            f'<p class="hint" id="{id}-hint">{self.word(Word.PIN_HINT)}</p>\n'
            f'<input type="text" id="{id}" name="pin" inputmode="numeric" pattern="[0-9]{{6}}"'
            f' maxlength="6" required aria-describedby="{id}-hint">\n'
        )

    def _language(self) -> str:
        return f'<input type="hidden" name="lang" value="{self.language}">\n'


def _said(say: str, done: bool = False) -> str:
    if not say:
        return ""
    return f'<p class="say{" done" if done else ""}" role="status">{say}</p>\n'
