"""Reading files of the registry, CSV or xlsx, row by row: constant memory, nothing swallowed."""

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import IO, Any, Final

from openpyxl import load_workbook

from app.workflow.imports.faults import Unreadable

# A line longer than this holds a cell that nobody typed.
LINE_BYTES: Final = 256 * 1024
# A quoted cell may hold line breaks; one that holds more has lost its closing quote.
LINES_OF_A_ROW: Final = 20
DELIMITERS: Final = ",;\t|"
UNPACKED_BYTES: Final = 2 * 1024**3
STRINGS_BYTES: Final = 128 * 1024**2
# From here on a number is no longer exact in a spreadsheet.
EXACT: Final = 10**15


@dataclass(slots=True)
class Read:
    """A row as it stands in the file: its first and last line, and where the next one begins.

    `problem` says why it cannot be read; `warning` what is odd about it.
    """

    line: int
    cells: list[str]
    end: int
    last: int
    problem: str | None = None
    warning: str | None = None


class Lines:
    """The lines of a file as text, one at a time, with those of the row under way."""

    def __init__(self, file: IO[bytes], offset: int, line: int) -> None:
        self.file, self.end, self.number = file, offset, line
        self.taken: list[tuple[int, bytes, int]] = []
        self.again: list[tuple[int, bytes, int]] = []
        self.odd: str | None = None
        self.broken: str | None = None

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LINES_OF_A_ROW:
            self.broken = "unterminated_quote"
            raise csv.Error
        number, raw, end = self.again.pop() if self.again else self._next_line()
        self.taken.append((number, raw, end))
        self.end = end
        if len(raw) > LINE_BYTES:
            self.broken = "cell_too_large"
            raise csv.Error
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.odd = "encoding_mixed"
            # Windows-1252 leaves five bytes without a meaning.
            return raw.decode("cp1252", "replace")

    def _next_line(self) -> tuple[int, bytes, int]:
        end, raw = self.end, self.file.readline(LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        end += len(raw)
        if len(raw) > LINE_BYTES:
            while more := self.file.readline(LINE_BYTES):
                end += len(more)
                if more.endswith(b"\n"):
                    break
        self.number += 1
        return self.number, raw, end

    def begin(self) -> None:
        """A new row: forget the lines of the one before."""
        if self.taken:
            self.taken.clear()
        self.odd = self.broken = None

    def take_back(self) -> None:
        """All but the first line of the row are read again, as rows of their own."""
        for line in reversed(self.taken[1:]):
            self.again.append(line)
        del self.taken[1:]
        self.end = self.taken[0][2]


class CsvFile:
    """A CSV file: UTF-8 with or without a mark, what is not read as Windows-1252."""

    # Every row has all its cells.
    pads = False

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.total = file, size
        file.seek(0)
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise Unreadable("encoding_unknown")
        self.mark = 3 if start[:3] == b"\xef\xbb\xbf" else 0
        file.seek(self.mark)
        head = file.readline(LINE_BYTES).decode("utf-8", "replace")
        if "\x00" in head:
            raise Unreadable("encoding_unknown")
        self.delimiter = max(DELIMITERS, key=head.count)

    def rows(self, offset: int = 0, line: int = 0) -> Iterator[Read]:
        """The rows from a place on, as told by a row before."""
        offset = offset or self.mark
        self.file.seek(offset)
        lines = Lines(self.file, offset, line)
        reader = self._reader(lines)
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # Past its end a row may have swallowed others: they are read again.
                problem = lines.broken or _quote_problem(error)
                lines.take_back()
                first = lines.taken[0][0]
                yield Read(first, [], lines.end, first, problem, lines.odd)
                reader = self._reader(lines)
                continue
            if lines.odd is None and not any(cells):
                continue
            taken = lines.taken
            read = Read(taken[0][0], cells, lines.end, taken[-1][0], None, lines.odd)
            if lines.end >= self.total and not taken[-1][1].endswith(b"\n"):
                read.warning = read.warning or "no_line_end"
            yield read

    def _reader(self, lines: Lines) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.delimiter, strict=True)


def _quote_problem(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end" in said:
        return "unterminated_quote"
    return "cell_too_large" if "field larger" in said else "quotes_broken"


class XlsxFile:
    """The first sheet of an Excel workbook; formulas are seen as what they are."""

    # Empty cells at the end of a row are not stored.
    pads = True

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.total = size
        try:
            with zipfile.ZipFile(file) as archive:
                sizes = {one.filename: one.file_size for one in archive.infolist()}
            if sum(sizes.values()) > UNPACKED_BYTES:
                raise Unreadable("file_too_large")
            if sizes.get("xl/sharedStrings.xml", 0) > STRINGS_BYTES:
                raise Unreadable("file_too_large")
            file.seek(0)
            self.book = load_workbook(file, read_only=True, data_only=False)
            self.sheet: Any = self.book.worksheets[0]
        except Unreadable:
            raise
        except Exception:
            raise Unreadable("unreadable_file") from None
        self.count = max(self.sheet.max_row or 1, 1)

    def rows(self, offset: int = 0, line: int = 0) -> Iterator[Read]:
        """The rows after a line; the sheet must be read from its beginning all the same."""
        del offset
        number = line
        try:
            rows = self.sheet.iter_rows(values_only=True)
            for number, values in islice(enumerate(rows, 1), line, None):
                cells = [_as_text(value) for value in values]
                if any(cells):
                    while cells and not cells[-1]:
                        cells.pop()
                    done = min(self.total * number // self.count, self.total)
                    yield Read(number, cells, done, number)
        except Exception:
            yield Read(number + 1, [], self.total, number + 1, "truncated")


def _as_text(value: Any) -> str:
    """A cell as the text that a CSV file would have."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        if abs(value) >= EXACT:
            # Its last digits are lost: what is left must not pass for a number of a person.
            return f"{value:.6e}"
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


SourceFile = CsvFile | XlsxFile


def open_file(file: IO[bytes], size: int) -> SourceFile:
    """The file by what it is, not by its name. Raises Unreadable."""
    if not size:
        raise Unreadable("empty_file")
    file.seek(0)
    kind = XlsxFile if file.read(4) == b"PK\x03\x04" else CsvFile
    return kind(file, size)
