"""The header of a file against a layout: which column is where, or what is wrong with it."""

from dataclasses import dataclass

from app.domain.registry_layouts import (
    LAYOUTS,
    REGION_COLUMNS,
    Column,
    Layout,
    bdt2015,
    by_map,
    normal,
)
from app.workflow.imports.faults import Unreadable
from app.workflow.imports.reader import SourceFile
from app.workflow.imports.requests import ImportRequest

# So many of the 101 headers make a file one of that layout, whole or not.
ENOUGH = 60
NAMED_AT_MOST = 20


def choose(header: list[str], wanted: str) -> Layout:
    """The layout of a name, or the one that the header looks like. Raises Unreadable."""
    if wanted != "auto":
        return LAYOUTS[wanted]()
    found = {normal(one) for one in header}
    if sum(normal(str(one.header)) in found for one in bdt2015().columns) >= ENOUGH:
        return bdt2015()
    return LAYOUTS["slrt"]()


def placed(layout: Layout, header: list[str]) -> list[tuple[int, Column]]:
    """The columns of the layout with their places. Raises Unreadable `wrong_columns`."""
    places: dict[str, int] = {}
    for n, text in enumerate(header):
        places.setdefault(normal(text), n)
    found, missing, seen = [], [], set()
    for column in layout.columns:
        if isinstance(column.header, int):
            at = column.header - 1 if 0 < column.header <= len(header) else None
        else:
            at = places.get(normal(column.header))
        if at is not None:
            found.append((at, column))
            seen.add(at)
        elif column.target not in layout.optional:
            missing.append(str(column.header))
    unknown = []
    if layout.closed:
        # A header that nobody knows may be anything, a number of a person among them.
        unknown = [f"column {n + 1}" for n, text in enumerate(header) if text and n not in seen]
        targets = {column.target for _, column in found}
        if not targets & {"household_id", "family_card_number", "ruta6"}:
            missing.append("household_id")
        if not targets & set(REGION_COLUMNS):
            missing.append("region_code")
    if missing or unknown:
        raise Unreadable(
            "wrong_columns", missing=missing[:NAMED_AT_MOST], unknown=unknown[:NAMED_AT_MOST]
        )
    return [(at, column) for at, column in found if column.target]


def is_numbering(cells: list[str]) -> bool:
    """Whether a row only counts the columns: 1, 2, 3, …, in brackets or not."""
    plain = [cell.strip().strip("()") for cell in cells]
    return len(plain) > 1 and all(cell in ("", str(n)) for n, cell in enumerate(plain, 1))


@dataclass(frozen=True, slots=True)
class Header:
    """What the first lines say: the columns with their places, and how many cells a row has.

    `rows_begin` is where the rows are: the offset, and the line before.
    """

    layout: str
    columns: list[tuple[int, Column]]
    width: int
    rows_begin: tuple[int, int]


def read(source: SourceFile, request: ImportRequest) -> Header:
    """The header of a file, with the row of numbers below it. Raises Unreadable."""
    rows = source.rows()
    first = next(rows, None)
    if first is None or first.problem is not None:
        raise Unreadable("wrong_columns" if first else "empty_file", missing=[], unknown=[])
    header = [cell.strip() for cell in first.cells]
    while header and not header[-1]:
        header.pop()
    layout = by_map(request.map) if request.map is not None else choose(header, request.layout)
    found = placed(layout, header)
    second = next(rows, None)
    start = first
    if second is not None and second.problem is None and is_numbering(second.cells):
        start = second
    return Header(layout.name, found, len(header), (start.end, start.last))
