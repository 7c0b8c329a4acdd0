"""The centre's answers to a batch, and reading them from a file that it sent back."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from app.domain.base import clean, has_forbidden_characters
from app.domain.dispatches import RowStatus
from app.domain.errors import Fault, Invalid

ROWS_AT_MOST = 5_000
REASON_AT_MOST = 200
# How the columns may be called, and what the centre may say.
CHANGE_ID, NUMBER, STATUS, REASON = "change_id", "number", "status", "reason"
NAMES = {
    "change_id": CHANGE_ID,
    "number": NUMBER, "no": NUMBER, "nomor": NUMBER,
    "status": STATUS,
    "reason": REASON, "alasan": REASON, "keterangan": REASON,
}  # fmt: skip
WORDS = {
    "confirmed": RowStatus.CONFIRMED, "diterima": RowStatus.CONFIRMED,
    "declined": RowStatus.DECLINED, "ditolak": RowStatus.DECLINED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What the centre says of one row, which it names by the change or by our row number."""

    status: RowStatus
    reason: str | None = None
    change_id: UUID | None = None
    number: int | None = None
    # Where it stands in what was sent.
    pointer: str = ""


def read_file(sent: bytes) -> list[Answer]:
    """The answers in a CSV. Lines without a status are not answered yet.

    Raises Invalid with every bad line (`/lines/n`, the header is line 1).
    """
    text = _text(sent)
    lines = _lines(text)
    head = next(lines, (1, []))[1]
    columns = [NAMES.get(name.strip().lower()) for name in head]
    if columns.count(STATUS) != 1 or not {CHANGE_ID, NUMBER} & set(columns):
        raise Invalid("malformed_file", (Fault("columns_missing", "/lines/1"),))
    answers: list[Answer] = []
    faults: list[Fault] = []
    for line, cells in lines:
        named = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        if not any(cells) or not named.get(STATUS):
            continue
        try:
            answers.append(_answer(named, f"/lines/{line}"))
        except _Bad as bad:
            faults.append(Fault(bad.code, f"/lines/{line}"))
        if len(answers) > ROWS_AT_MOST:
            raise Invalid("validation_failed", (_too_many(line),))
    if faults:
        raise Invalid("validation_failed", tuple(faults[:50]))
    if not answers:
        raise Invalid("malformed_file", (Fault("too_few", "", params={"min": 1}),))
    return answers


class _Bad(Exception):
    """A line that cannot be read; it never leaves this module."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _too_many(line: int) -> Fault:
    return Fault("too_many", f"/lines/{line}", params={"max": ROWS_AT_MOST})


def _text(sent: bytes) -> str:
    try:
        text = sent.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("malformed_file") from None
    return clean(text)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with the line each begins on; cells trimmed. Comma, semicolon or tab divides."""
    first = text.partition("\n")[0]
    divider = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)
    began = 1
    try:
        for cells in reader:
            yield began, [cell.strip() for cell in cells]
            began = reader.line_num + 1
    except csv.Error:
        raise Invalid("malformed_file", (Fault("invalid", f"/lines/{began}"),)) from None


def _answer(named: dict[str, str], pointer: str) -> Answer:
    status = WORDS.get(named[STATUS].lower())
    if status is None:
        raise _Bad("status_unknown")
    reason = named.get(REASON) or None
    if reason is not None and (has_forbidden_characters(reason) or "\n" in reason):
        raise _Bad("character_not_allowed")
    if reason is not None and len(reason) > REASON_AT_MOST:
        raise _Bad("reason_too_long")
    if status is RowStatus.DECLINED and reason is None:
        raise _Bad("reason_required")
    if id := named.get(CHANGE_ID):
        try:
            return Answer(status, reason, change_id=UUID(id), pointer=pointer)
        except ValueError:
            raise _Bad("invalid") from None
    number = named.get(NUMBER, "")
    if not (number.isascii() and number.isdigit() and len(number) <= 6):
        raise _Bad("invalid")
    return Answer(status, reason, number=int(number), pointer=pointer)
