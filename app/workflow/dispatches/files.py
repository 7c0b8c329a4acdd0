"""The files of a batch: CSV and JSON, made of the sealed rows, always the same bytes.

The columns are described in docs/dispatch.md.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from app.domain.dispatches import Dispatch

Content = dict[str, Any]


class FileFormat(StrEnum):
    CSV = "csv"
    JSON = "json"


COLUMNS = (
    "number", "change_id", "kind", "registry_ids", "national_id", "family_card_number", "name",
    "birth_date", "village_code", "bps_code", "fields", "died_on", "household", "people",
    "evidence", "into", "revokes_change_id", "note",
)  # fmt: skip
# What a spreadsheet takes for a formula, in the half and the full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def render(format: FileFormat, dispatch: Dispatch, contents: Sequence[Content]) -> bytes:
    """The bytes of a file; `contents` are those of the rows, by number."""
    return WRITERS[format](dispatch, contents)


def sha256(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()


def _csv(_: Dispatch, contents: Sequence[Content]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number, content in enumerate(contents, 1):
        row = {"number": number} | content
        writer.writerow([cell(row[name]) for name in COLUMNS])
    return text.getvalue().encode()


def cell(value: Any) -> str:
    """A value as text that no spreadsheet runs; what has parts is JSON, nothing is empty."""
    if not value:
        return ""
    return plain(_json_text(value) if isinstance(value, (dict, list)) else str(value))


def plain(text: str) -> str:
    """Text that no spreadsheet runs as a formula."""
    # Some skip blanks and signs that nobody sees before they look for a formula.
    seen = text.lstrip(" \u00a0\ufeff\u200b")
    return f"'{text}" if text.startswith(FORMULA) or seen.startswith(FORMULA) else text


def _json(dispatch: Dispatch, contents: Sequence[Content]) -> bytes:
    document = {
        "number": dispatch.number,
        "regency_code": dispatch.regency_code,
        "made_at": dispatch.made_at.isoformat().replace("+00:00", "Z"),
        "rows": [{"number": n} | content for n, content in enumerate(contents, 1)],
    }
    return f"{_json_text(document)}\n".encode()


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


WRITERS: dict[FileFormat, Callable[[Dispatch, Sequence[Content]], bytes]] = {
    FileFormat.CSV: _csv,
    FileFormat.JSON: _json,
}
