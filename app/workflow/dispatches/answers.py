"""The centre's answers to a batch, and reading them from a file that it sent back."""

from dataclasses import dataclass
from uuid import UUID

from app.domain.base import has_forbidden_characters
from app.domain.dispatches import RowStatus
from app.workflow.filled_tables import BadLine, FilledTable

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
    """What the centre says of one row, which it names by the change or our row number, or both."""

    status: RowStatus
    reason: str | None = None
    change_id: UUID | None = None
    number: int | None = None
    # Where it stands in what was sent.
    pointer: str = ""


def _answer(named: dict[str, str], pointer: str) -> Answer:
    status = WORDS.get(named[STATUS].lower())
    if status is None:
        raise BadLine("status_unknown")
    reason = named.get(REASON) or None
    if reason is not None and (has_forbidden_characters(reason) or "\n" in reason):
        raise BadLine("character_not_allowed")
    if reason is not None and len(reason) > REASON_AT_MOST:
        raise BadLine("reason_too_long")
    if status is RowStatus.DECLINED and reason is None:
        raise BadLine("reason_required")
    id, number = named.get(CHANGE_ID), named.get(NUMBER)
    try:
        change_id = UUID(id) if id else None
    except ValueError:
        raise BadLine("invalid") from None
    if number or not id:
        number = number or ""
        if not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise BadLine("invalid")
    return Answer(status, reason, change_id, int(number) if number else None, pointer)


ANSWERS = FilledTable(NAMES, ((CHANGE_ID, NUMBER),), STATUS, _answer, ROWS_AT_MOST)
