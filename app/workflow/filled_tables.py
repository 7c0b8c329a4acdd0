"""Reading a table that somebody has filled in and sent back: CSV, as spreadsheets save it."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.base import clean
from app.domain.errors import Fault, Invalid

Line = TypeVar("Line")


class BadLine(Exception):
    """A line that cannot be read, by the code of what is wrong with it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class FilledTable(Generic[Line]):
    """What a table looks like: how its columns may be called, which must be there (one of each
    group), which one is filled in once a line is answered, and how such a line is read.

    `read` gets the cells by name and the line's pointer, and raises BadLine.
    """

    names: Mapping[str, str]
    needed: tuple[tuple[str, ...], ...]
    filled: str
    read: Callable[[dict[str, str], str], Line]
    at_most: int

    def lines(self, sent: bytes) -> list[Line]:
        """The lines that are filled in; the others are not answered yet.

        Raises Invalid with every bad line (`/lines/n`, the header is line 1).
        """
        rows = _rows(_text(sent))
        head = next(rows, (1, []))[1]
        columns = [self.names.get(name.strip().lower()) for name in head]
        known = [name for name in columns if name is not None]
        whole = all(set(one) & set(known) for one in (*self.needed, (self.filled,)))
        if not whole or len(set(known)) < len(known):
            wanted = ", ".join("/".join(one) for one in (*self.needed, (self.filled,)))
            fault = Fault("columns_missing", "/lines/1", params={"columns": wanted})
            raise Invalid("malformed_file", (fault,))
        found: list[Line] = []
        faults: list[Fault] = []
        for line, cells in rows:
            named = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
            if not any(cells) or not named.get(self.filled):
                continue
            try:
                if any(cells[len(columns) :]):
                    # A divider too many, and all behind it stands under the wrong name.
                    raise BadLine("invalid")
                found.append(self.read(named, f"/lines/{line}"))
            except BadLine as bad:
                faults.append(Fault(bad.code, f"/lines/{line}"))
            if len(found) > self.at_most:
                fault = Fault("too_many", f"/lines/{line}", params={"max": self.at_most})
                raise Invalid("validation_failed", (fault,))
        if faults:
            raise Invalid("validation_failed", tuple(faults[:50]))
        if not found:
            raise Invalid("malformed_file", (Fault("too_few", "", params={"min": 1}),))
        return found


def _text(sent: bytes) -> str:
    try:
        text = sent.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("malformed_file") from None
    return clean(text)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
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
