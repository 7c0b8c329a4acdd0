"""The file of a programme's owner: the referrals it has to answer, and the answers it sends back.

The columns are described in docs/referrals.md.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.base import has_forbidden_characters
from app.domain.referrals import ReferralState
from app.workflow.dispatches.files import cell
from app.workflow.filled_tables import BadLine, FilledTable
from app.workflow.referrals.table import DeclineReason, ReferralAction

A, D = ReferralAction, DeclineReason
ROWS_AT_MOST = 500
NOTE_AT_MOST = 4000
ID, STATUS, REASON, NOTE = "referral_id", "status", "reason", "note"
NAMES = {
    "referral_id": ID, "id": ID,
    "status": STATUS, "jawaban": STATUS,
    "reason": REASON, "alasan": REASON,
    "note": NOTE, "catatan": NOTE, "keterangan": NOTE,
}  # fmt: skip
# What an owner may say, in English and Indonesian.
WORDS = {
    "granted": A.GRANT, "diterima": A.GRANT, "disetujui": A.GRANT,
    "declined": A.DECLINE, "ditolak": A.DECLINE,
    "waitlisted": A.WAITLIST, "daftar tunggu": A.WAITLIST,
    "received": A.ACKNOWLEDGE, "berkas diterima": A.ACKNOWLEDGE,
}  # fmt: skip
REASONS: Mapping[str, DeclineReason] = {str(one): one for one in D} | {
    "kuota penuh": D.QUOTA_FULL,
    "tidak memenuhi syarat": D.NOT_ELIGIBLE,
    "sudah menerima": D.ALREADY_SERVED,
    "berkas tidak lengkap": D.INCOMPLETE_FILE,
    "tidak dapat dihubungi": D.BENEFICIARY_UNREACHABLE,
    "meninggal": D.DECEASED,
    "lainnya": D.OTHER,
}
# Where each answer leads: the same answer again is known, not refused.
LEADS_TO = {
    A.GRANT: ReferralState.GRANTED,
    A.DECLINE: ReferralState.DECLINED,
    A.WAITLIST: ReferralState.WAITLISTED,
    A.ACKNOWLEDGE: ReferralState.RECEIVED,
}
OFFERED = (
    "program_code", "purpose", "state", "village_code", "name", "national_id", "sent_at", "due_at",
)  # fmt: skip
COLUMNS = (ID, *OFFERED, STATUS, REASON, NOTE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner says of one referral."""

    id: UUID
    action: ReferralAction
    reason: str | None = None
    note: str | None = None
    # Where it stands in what was sent.
    pointer: str = ""


def _answer(named: dict[str, str], pointer: str) -> Answer:
    action = WORDS.get(named[STATUS].lower())
    if action is None:
        raise BadLine("answer_unknown")
    note = named.get(NOTE) or None
    if note is not None and has_forbidden_characters(note):
        raise BadLine("character_not_allowed")
    if note is not None and len(note) > NOTE_AT_MOST:
        raise BadLine("too_long")
    said = named.get(REASON, "").lower()
    if action is A.DECLINE and not said:
        raise BadLine("reason_required")
    if action is A.DECLINE and said not in REASONS:
        raise BadLine("reason_not_allowed")
    try:
        id = UUID(named.get(ID, ""))
    except ValueError:
        raise BadLine("invalid") from None
    reason = str(REASONS[said]) if action is A.DECLINE else None
    return Answer(id, action, reason, note, pointer)


ANSWERS = FilledTable(NAMES, ((ID,),), STATUS, _answer, ROWS_AT_MOST)


def template(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The referrals that wait for an owner's answer, as a table to fill in."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([cell(row.get(name)) for name in COLUMNS])
    return text.getvalue().encode()
