"""Cells of a file as values of ours: looked up, and reckoned only once for each text."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from operator import getitem
from typing import Any, Final

from app.domain.base import clean, has_forbidden_characters
from app.domain.facts import FACTS, Fact
from app.domain.registry_layouts import Column, values_of
from app.workflow.imports.faults import Refused
from app.workflow.imports.sheet import Sheet

# A text that was looked up is remembered, so that a million rows cost no more than lookups.
REMEMBERED: Final = 20_000
NOTHING: Final = frozenset(("", "-", "."))
FORMULA: Final = "=+-@"
DATES: Final = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y")
UNREADABLE: Final = object()
# A number in a row of people or families: more digits are something else, and no column holds them.
COUNTED_AT_MOST: Final = 999_999_999


class Lookup(dict[Any, Any]):
    """What a cell's text means, or that of several; a function is asked once for each text."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, raw: Any) -> Any:
        found = self.read(raw)
        if len(self) < REMEMBERED:
            self[raw] = found
        return found


def line(raw: str, most: int, column: str) -> str:
    """A text of one line; empty where there is none. Raises Refused."""
    text = " ".join(raw.split())
    if text in NOTHING:
        return ""
    if text[0] in FORMULA:
        raise Refused("formula", column)
    if not text.isascii():
        text = clean(text)
    if not text.isprintable() and has_forbidden_characters(text):
        raise Refused("character_not_allowed", column)
    if len(text) > most:
        raise Refused("too_long", column)
    return text


def number(raw: str) -> int | None:
    """A whole number, as people and spreadsheets write it; None where it is none."""
    text = raw.strip()
    whole, _, rest = text.partition(".")
    if rest.strip("0"):
        return None
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 12 else None


def counted(raw: str) -> Any:
    """The number of a person or family; None for nothing, UNREADABLE for no such."""
    if raw.strip() in NOTHING:
        return None
    found = number(raw)
    return UNREADABLE if found is None or found > COUNTED_AT_MOST else found


def hidden(text: str) -> str:
    """What may be anything about a person: its length alone is told."""
    return "*" * min(len(text), 40)


def decimal(raw: str) -> float | None:
    text = raw.strip().replace(",", ".")
    plain = text.replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdigit() and len(plain) < 16 else None


def is_number(text: str) -> bool:
    """Whether a text may be a national id or the number of a family card."""
    return len(text) == 16 and text.isascii() and text.isdigit() and text != "0" * 16


def day(raw: str, form: str | None) -> date | None:
    """A date; None where it cannot be read."""
    for one in (form,) if form else DATES:
        try:
            return datetime.strptime(raw.strip(), one).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None


def coded(column: Column) -> Lookup:
    """The value that a code stands for: None for nothing, UNREADABLE for what is none of them."""
    values = column.values if column.values is not None else values_of(column.target) or {}

    def read(raw: str) -> Any:
        text = raw.strip().casefold()
        if text in values:
            return values[text]
        if text in NOTHING:
            return None
        whole = number(text)
        return values.get(str(whole), UNREADABLE) if whole is not None else UNREADABLE

    return Lookup(read)


def coded_or_nothing(column: Column | None) -> Lookup:
    """As `coded`; a column that the file does not have says nothing."""
    return coded(column) if column is not None else Lookup(lambda _: None)


def fact_cells(column: Column, fact: Fact) -> Lookup:
    """A fact as `"name":value` in JSON; empty for nothing, None for what cannot be read."""
    codes = coded(column) if column.values or values_of(column.target) else None

    def value_of(raw: str) -> Any:
        if codes is not None:
            return codes[raw]
        if raw.strip() in NOTHING:
            return None
        if fact.kind is int:
            found: Any = number(raw)
        elif fact.kind is float:
            found = decimal(raw)
        else:
            try:
                found = line(raw, int(fact.most), column.target)
            except Refused:
                found = None
        return UNREADABLE if found is None else found

    def read(raw: str) -> str | None:
        value = value_of(raw)
        if value is None:
            return ""
        if value is UNREADABLE or fact.problem(value) is not None:
            return None
        return f'"{fact.name}":{json.dumps(value)}'

    return Lookup(read)


class Facts:
    """The facts of a household or a person, as one JSON object."""

    def __init__(self, sheet: Sheet, *, of_household: bool) -> None:
        columns = [one for _, one in sheet.columns if one.fact and one.of_household is of_household]
        self.get = sheet.getter([column.target for column in columns])
        self.headers = [str(column.header) for column in columns]
        self.lookups = [fact_cells(column, FACTS[column.target]) for column in columns]

    def read(self, cells: Sequence[str]) -> tuple[str, list[str]]:
        """The object as text, and the headers of what could not be read."""
        found = list(map(getitem, self.lookups, self.get(cells)))
        bad: list[str] = []
        if None in found:
            bad = [header for header, one in zip(self.headers, found, strict=True) if one is None]
        return "{" + ",".join(filter(None, found)) + "}", bad
