"""The header of a file against a layout: which column is where, or what is wrong with it."""

from app.domain.registry_layouts import LAYOUTS, REGION_COLUMNS, Column, Layout, bdt2015, normal
from app.workflow.imports.faults import Unreadable

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
