"""Rows of a file as households and people: read by their layout, checked, numbers sealed."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from operator import getitem, itemgetter
from typing import Any, Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811

from app.domain.facts import FACTS
from app.domain.households import CARD_PLACE
from app.domain.identifiers import (
    Keys,
    birth_date_in,
    masked,
    masked_name,
    national_id_warnings,
)
from app.domain.places import Places, Said, Unplaced
from app.domain.registry_layouts import Column
from app.workflow.imports import cells as read
from app.workflow.imports.cells import NOTHING, UNREADABLE, Lookup
from app.workflow.imports.faults import Refused, Tally
from app.workflow.imports.reader import Read

OLDEST: Final = 120
REGISTRY_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z./_-]{0,39}")
RT_RW: Final = re.compile(r"(?i)\bRT[\s.:]*0*(\d{1,3})\b|\bRW[\s.:]*0*(\d{1,3})\b")
SAID: Final = (
    "region_code", "province_code", "regency_code", "district_code", "village_code",
    "district_name", "village_name",
)  # fmt: skip


def quick_ids() -> Iterator[UUID]:
    """UUIDv7s by the hundred: as `new_id` makes them, at a tenth of its cost."""
    while True:
        block, ms = os.urandom(10 * 500), (time.time_ns() // 1_000_000).to_bytes(6)
        for n in range(0, len(block), 10):
            tail = block[n : n + 10]
            yield QuickUUID(
                ms + bytes((0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63)) + tail[3:]
            )


@dataclass(slots=True)
class Home:
    """A household under way: what its rows share."""

    key: str
    id: UUID
    record: tuple[Any, ...]
    mapped: str | None
    staged: bool = False
    cards: dict[str, tuple[UUID, bytes, bytes]] = field(default_factory=dict)


Records = list[tuple[Any, ...]]
Staged = tuple[Records, Records, Records]
Getter = Callable[[Sequence[str]], tuple[str, ...]]


def _getter(places: Sequence[int]) -> Getter:
    if len(places) > 1:
        found: Getter = itemgetter(*places)
        return found
    return lambda cells: tuple(cells[at] for at in places)


class Checker:
    """Takes the rows of a file one after the other; what passes waits in `homes` and `rows`."""

    def __init__(
        self,
        operation_id: UUID,
        columns: list[tuple[int, Column]],
        width: int,
        pads: bool,
        places: Places,
        keys: Keys,
        as_of: date,
        known_programs: frozenset[str],
    ) -> None:
        self.operation_id, self.width, self.pads = operation_id, width, pads
        self.places, self.keys, self.as_of = places, keys, as_of
        self.known_programs = known_programs
        self.at = {column.target: at for at, column in columns}
        self.names = {column.target: str(column.header) for _, column in columns}
        self.dates = {column.target: column.date for _, column in columns}
        self.lookups = {column.target: read.coded(column) for _, column in columns}
        self.shared = _getter([at for at, column in columns if column.of_household])
        self.said = _getter([self.at[name] for name in SAID if name in self.at])
        self.said_names = [name for name in SAID if name in self.at]
        home = [(at, one) for at, one in columns if one.of_household and one.fact]
        person = [(at, one) for at, one in columns if not one.of_household and one.fact]
        self.home_facts = _Facts(home)
        self.person_facts = _Facts(person)
        self.programs = [
            (at, one.target.removeprefix("program:"), self.lookups[one.target])
            for at, one in columns
            if one.target.startswith("program:")
        ]
        self.found: dict[tuple[str, ...], tuple[str, str | None] | str] = {}
        self.ids = quick_ids()
        self.homes: list[tuple[Any, ...]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.refusals: list[tuple[Any, ...]] = []
        self.tally = Tally()
        self.last: tuple[str, ...] | None = None
        self.home: Home | Refused | None = None

    def take(self, row: Read) -> None:
        """Check a row: it is staged, or its fault is."""
        tally = self.tally
        tally.read += 1
        if row.warning == "encoding_mixed":
            tally.warn(row.line, row.warning, None)
        if row.problem is not None:
            tally.refuse(row.line, row.problem, None, None)
            return
        try:
            self._person(row.line, self._whole(row))
        except Refused as refused:
            column = self.names.get(refused.column or "", refused.column)
            tally.refuse(row.line, refused.code, column, refused.value)
            if (key := self._key_of_refused(row.cells)) is not None:
                self.refusals.append((self.operation_id, row.line, key))

    def hand_over(self) -> tuple[Staged, Tally]:
        """What has been staged since the last time: homes, people, refusals, and the tally."""
        handed = (self.homes, self.rows, self.refusals), self.tally
        self.homes, self.rows, self.refusals, self.tally = [], [], [], Tally()
        return handed

    def _key_of_refused(self, cells: list[str]) -> str | None:
        """The household of a row that does not land, where that much can be read."""
        try:
            return self._household_key(cells)[0]
        except (Refused, IndexError):
            return None

    def _whole(self, row: Read) -> list[str]:
        cells, width = row.cells, self.width
        if len(cells) == width:
            return cells
        if len(cells) > width:
            if any(cells[width:]):
                raise Refused("too_many_columns")
            return cells[:width]
        if self.pads:
            return cells + [""] * (width - len(cells))
        raise Refused("truncated" if row.warning == "no_line_end" else "too_few_columns")

    def _cell(self, cells: Sequence[str], target: str) -> str:
        at = self.at.get(target)
        return "" if at is None else cells[at].strip()

    def _value(self, cells: Sequence[str], target: str) -> Any:
        at = self.at.get(target)
        return None if at is None else self.lookups[target][cells[at]]

    # Households

    def _household(self, line: int, cells: list[str]) -> Home:
        """The household of a row; its cells are read once as long as they stay the same."""
        shared = self.shared(cells)
        card = ""
        if "family_card_number" in self.at and not self._cell(cells, "household_id"):
            card = self._cell(cells, "family_card_number")
        if (*shared, card) != self.last:
            self.last = (*shared, card)
            try:
                self.home = self._new_home(line, cells)
            except Refused as refused:
                self.home = refused
        if isinstance(self.home, Refused):
            raise Refused(self.home.code, self.home.column, self.home.value)
        assert self.home is not None
        return self.home

    def _new_home(self, line: int, cells: list[str]) -> Home:
        village, mapped = self._village(cells)
        key, card_index = self._household_key(cells)
        address = read.line(self._cell(cells, "address"), 300, "address")
        rt, rw = self._neighbourhood(cells)
        percentile, decile = self._rank(line, cells)
        programs = self._programs(line, cells)
        presence = self._value(cells, "household_presence")
        presence = None if presence is UNREADABLE else presence
        facts, bad = self.home_facts.read(cells)
        for column in bad:
            self.tally.warn(line, "fact_unreadable", column)
        ruta6 = self._cell(cells, "ruta6").strip("'") or None
        if ruta6 is not None and not REGISTRY_ID.fullmatch(ruta6):
            ruta6 = None
        said = (village, address, rt, rw, percentile, decile, programs, presence, facts)
        id = next(self.ids)
        record = (
            self.operation_id, line, key, id, village, address or None, rt, rw, decile,
            percentile, ruta6, card_index, programs, presence, facts,
            sha256(repr(said).encode()).digest(),
        )  # fmt: skip
        return Home(key, id, record, mapped)

    def _household_key(self, cells: list[str]) -> tuple[str, bytes | None]:
        """The registry's id of the household, or one made of its family card's blind index."""
        card = self._cell(cells, "family_card_number").strip("'")
        index = self.keys.blind(card) if _is_number(card) else None
        for target in ("household_id", "ruta6"):
            said = self._cell(cells, target).strip("'")
            if said in NOTHING:
                continue
            if not REGISTRY_ID.fullmatch(said):
                raise Refused("invalid_format", target)
            return said, index
        if index is None:
            raise Refused("missing", "household_id")
        return f"kk:{index.hex()[:32]}", index

    def _village(self, cells: list[str]) -> tuple[str, str | None]:
        said = self.said(cells)
        if said not in self.found:
            plain = {
                name: text.strip().strip("'")
                for name, text in zip(self.said_names, said, strict=True)
            }
            try:
                self.found[said] = self.places.find(
                    Said(
                        plain.get("region_code", ""), plain.get("province_code", ""),
                        plain.get("regency_code", ""), plain.get("district_code", ""),
                        plain.get("village_code", ""), plain.get("district_name", ""),
                        plain.get("village_name", ""),
                    )
                )  # fmt: skip
            except Unplaced as unplaced:
                self.found[said] = unplaced.code
        found = self.found[said]
        if isinstance(found, str):
            column = next(name for name in ("village_code", "region_code", "village_name")
                if name in self.at)  # fmt: skip
            value = " ".join(part for part in said if part)[:80]
            raise Refused(found, column, value)
        return found

    def _neighbourhood(self, cells: list[str]) -> tuple[str | None, str | None]:
        """RT and RW, from columns of their own or from a text such as `RT 003 RW 01`."""
        found = {"rt": self._cell(cells, "rt"), "rw": self._cell(cells, "rw")}
        for rt, rw in RT_RW.findall(self._cell(cells, "neighbourhood")):
            found["rt"], found["rw"] = found["rt"] or rt, found["rw"] or rw
        digits = [text if text.isdigit() and len(text) <= 3 else "" for text in found.values()]
        rt, rw = (text.zfill(3) if text else None for text in digits)
        return rt, rw

    def _rank(self, line: int, cells: list[str]) -> tuple[int | None, int | None]:
        """Percentile and decile: the decile follows from the percentile where it is not said."""
        found: list[int | None] = []
        for target, most in (("percentile", 100), ("decile", 10)):
            raw = self._cell(cells, target)
            value = read.number(raw)
            if raw not in NOTHING and (value is None or not 0 < value <= most):
                self.tally.warn(line, "fact_unreadable", self.names[target])
                value = None
            found.append(value)
        percentile, decile = found
        return percentile, decile or (None if percentile is None else -(-percentile // 10))

    def _programs(self, line: int, cells: list[str]) -> list[str]:
        found = []
        for at, code, lookup in self.programs:
            said = lookup[cells[at]]
            if said is UNREADABLE:
                self.tally.warn(line, "fact_unreadable", self.names[f"program:{code}"])
            elif said:
                found.append(code)
        listed = set(re.findall(r"[A-Z0-9_]+", self._cell(cells, "programs").upper()))
        if listed - self.known_programs:
            self.tally.warn(line, "program_unknown", self.names["programs"])
        return sorted(self.known_programs.intersection((*found, *listed)))

    # People

    def _person(self, line: int, cells: list[str]) -> None:
        home = self._household(line, cells)
        name = read.line(cells[self.at["name"]], 120, "name")
        if not name or not any(char.isalpha() for char in name):
            raise Refused("missing", "name", masked_name(name) or None)
        relation = self._value(cells, "relation")
        if relation is UNREADABLE or relation is None:
            code = "missing" if relation is None else "not_an_option"
            raise Refused(code, "relation", self._cell(cells, "relation")[:20])
        sex = self._value(cells, "sex")
        if sex is UNREADABLE:
            self.tally.warn(line, "sex_unreadable", self.names["sex"])
            sex = None
        national_id = self._number(line, cells, "national_id")
        age = self._age(cells)
        born = self._birth_date(line, cells)
        warnings = self._warnings(line, national_id, born, sex)
        if born is None and national_id is not None and age is not None:
            born = self._born_as_numbered(national_id, age)
            if born is None and "national_id_structure" not in warnings:
                warnings.append("national_id_birth_date")
                self.tally.warn(line, "national_id_birth_date", self.names["national_id"],
                    masked(national_id))  # fmt: skip
        year = born.year if born else None if age is None else self.as_of.year - age
        facts, bad = self.person_facts.read(cells)
        for column in bad:
            self.tally.warn(line, "fact_unreadable", column)
        presence = self._value(cells, "presence")
        presence = None if presence is UNREADABLE else presence
        keys, member_id = self.keys, next(self.ids)
        index = sealed = None
        if national_id is not None:
            index = keys.blind(national_id)
            sealed = keys.seal(national_id, "members", "national_id", member_id)
        number = read.number(self._cell(cells, "member_number"))
        key = self._member_key(cells, home, number, index, name)
        card = self._card(line, cells, home)
        family_number = read.number(self._cell(cells, "family_number"))
        said = f"{name}|{index!r}|{born}|{year}|{sex}|{relation}|{number}|{presence}|{facts}"
        if card is not None:
            said += f"|{card[2]!r}|{family_number}"
        if not home.staged:
            home.staged = True
            self.homes.append(home.record)
            self.tally.mapped_once(home.mapped)
        self.rows.append(
            (
                self.operation_id, line, home.key, key, member_id, number, name, sealed, index,
                born, year, sex, relation, presence,
                *((card[0], family_number, card[1], card[2]) if card else (None,) * 4),
                _texts(warnings), facts, sha256(said.encode()).digest(),
            )
        )  # fmt: skip

    def _number(self, line: int, cells: list[str], target: str) -> str | None:
        """A national id or family card number; what is none is warned of and left out."""
        at = self.at.get(target)
        if at is None:
            return None
        text = cells[at].strip().strip("'")
        if _is_number(text):
            return text
        if text not in NOTHING and text != "0":
            self.tally.warn(line, f"{target}_invalid", self.names[target], _hidden(text))
        return None

    def _age(self, cells: list[str]) -> int | None:
        raw = self._cell(cells, "age_years")
        age = read.number(raw)
        if age is not None and age > OLDEST:
            raise Refused("implausible_age", "age_years", raw[:10])
        return age

    def _birth_date(self, line: int, cells: list[str]) -> date | None:
        raw = self._cell(cells, "birth_date")
        if raw in NOTHING:
            return None
        born = read.day(raw, self.dates["birth_date"])
        if born is None and not raw.startswith(("1900", "1899", "0")):
            self.tally.warn(line, "birth_date_unreadable", self.names["birth_date"])
            return None
        # A spreadsheet's zero is a day of 1899 or 1900.
        if born is None or born.year <= max(1900, self.as_of.year - OLDEST) or born > self.as_of:
            raise Refused("implausible_date", "birth_date", raw[:10] if born else None)
        return born

    def _warnings(
        self, line: int, national_id: str | None, born: date | None, sex: str | None
    ) -> list[str]:
        if national_id is None:
            return []
        found = national_id_warnings(national_id, born, sex)
        for code in found:
            self.tally.warn(line, code, self.names["national_id"], masked(national_id))
        return found

    def _born_as_numbered(self, national_id: str, age: int) -> date | None:
        """The birth date of a national id where the age agrees with it within a year."""
        said = birth_date_in(national_id)
        if said is None:
            return None
        day, month, year = said
        for century in (1900, 2000):
            turned = self.as_of.year - century - year
            turned -= (month, day) > (self.as_of.month, self.as_of.day)
            if abs(turned - age) <= 1 and (day, month) != (29, 2):
                return date(century + year, month, day)
            if abs(turned - age) <= 1 and (century + year) % 4 == 0 and century + year != 1900:
                return date(century + year, month, day)
        return None

    def _member_key(
        self, cells: list[str], home: Home, number: int | None, index: bytes | None, name: str
    ) -> str:
        """The registry's id of a person: its own, or the household's with the person's number."""
        said = self._cell(cells, "member_id").strip("'")
        if said and REGISTRY_ID.fullmatch(said):
            return said
        if number is not None and number < 100 and len(home.key) <= 38:
            return f"{home.key}{number:02}"
        plain = f"{home.key}|{index!r}|{name.casefold()}"
        return f"m:{self.keys.blind(plain).hex()[:36]}"

    def _card(self, line: int, cells: list[str], home: Home) -> tuple[UUID, bytes, bytes] | None:
        """The family of a card, sealed once in a household: id, sealed number, blind index."""
        card = self._number(line, cells, "family_card_number")
        if card is None:
            return None
        if card not in home.cards:
            id = next(self.ids)
            home.cards[card] = id, self.keys.seal(card, *CARD_PLACE, id), self.keys.blind(card)
        return home.cards[card]


class _Facts:
    """The facts of some columns, as one JSON object."""

    def __init__(self, columns: Sequence[tuple[int, Column]]) -> None:
        self.get = _getter([at for at, _ in columns])
        self.headers = [str(column.header) for _, column in columns]
        self.lookups: list[Lookup] = [
            read.fact_cells(column, FACTS[column.target]) for _, column in columns
        ]

    def read(self, cells: Sequence[str]) -> tuple[str, list[str]]:
        """The object as text, and the headers of what could not be read."""
        found = list(map(getitem, self.lookups, self.get(cells)))
        bad: list[str] = []
        if None in found:
            bad = [header for header, one in zip(self.headers, found, strict=True) if one is None]
        return "{" + ",".join(filter(None, found)) + "}", bad


def _is_number(text: str) -> bool:
    return len(text) == 16 and text.isascii() and text.isdigit() and text != "0" * 16


def _hidden(text: str) -> str:
    """What should have been a number of a person: its length alone is told."""
    return "*" * min(len(text), 40)


def _texts(found: list[str]) -> str:
    return "[" + ",".join(f'"{one}"' for one in found) + "]" if found else "[]"
