"""Rows of a file as households and people: read by their layout, checked, numbers sealed."""

import os
import time
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811

from app.domain.households import CARD_PLACE
from app.domain.identifiers import (
    Keys,
    birth_date_by_age,
    masked,
    masked_name,
    national_id_warnings,
)
from app.domain.places import Places
from app.domain.registry_layouts import Column
from app.workflow.imports import cells as read
from app.workflow.imports.cells import NOTHING, UNREADABLE, Facts, Lookup
from app.workflow.imports.faults import Refused, Tally
from app.workflow.imports.homes import REGISTRY_ID, Home, Homes
from app.workflow.imports.reader import DELIMITERS, Read
from app.workflow.imports.sheet import Sheet

OLDEST: Final = 120
IDS_AT_ONCE: Final = 500
FIELDS: Final = (
    "name", "relation", "sex", "national_id", "age_years", "birth_date", "presence",
    "member_number", "member_id", "family_card_number", "family_number",
)  # fmt: skip


def quick_ids() -> Iterator[UUID]:
    """UUIDv7s by the hundred: as `new_id` makes them, at a tenth of its cost."""
    version = bytes(0x70 | n & 15 for n in range(256))
    variant = bytes(0x80 | n & 63 for n in range(256))
    while True:
        block = bytearray(os.urandom(16 * IDS_AT_ONCE))
        for n, byte in enumerate((time.time_ns() // 1_000_000).to_bytes(6)):
            block[n::16] = bytes((byte,)) * IDS_AT_ONCE
        block[6::16] = block[6::16].translate(version)
        block[8::16] = block[8::16].translate(variant)
        for n in range(0, len(block), 16):
            yield QuickUUID(bytes(block[n : n + 16]))


Records = list[tuple[Any, ...]]
Staged = tuple[Records, Records, Records]


class Checker:
    """Takes the rows of a file one after the other; what passes is staged in `homes`, `rows`."""

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
        self.operation_id, self.keys, self.as_of = operation_id, keys, as_of
        self.sheet = sheet = Sheet(columns, width, pads)
        self.names, self.fields = sheet.names, sheet.getter(FIELDS)
        self.ids = quick_ids()
        self.household = Homes(operation_id, sheet, places, keys, known_programs, self.ids)
        self.facts = Facts(sheet, of_household=False)
        self.relations, self.sexes, self.presences = (
            read.coded_or_nothing(sheet.by_target.get(target))
            for target in ("relation", "sex", "presence")
        )
        self.numbers, self.ages = Lookup(read.counted), Lookup(read.number)
        born = sheet.by_target.get("birth_date")
        self.days = Lookup(lambda raw: read.day(raw, born.date if born else None))
        self.seal = keys.sealer("members", "national_id")
        self.seal_card = keys.sealer(*CARD_PLACE)
        self.homes: Records = []
        self.rows: Records = []
        self.refusals: Records = []
        self.tally = Tally()

    def take(self, row: Read) -> None:
        """Check a row: it is staged, or its fault is."""
        tally = self.tally
        tally.read += 1
        if row.warning == "encoding_mixed":
            tally.warn(row.line, row.warning, None)
        problem = row.problem or self._swallowed(row)
        if problem is not None:
            tally.refuse(row.line, problem, None, None)
            tally.torn = tally.torn or row.line
            return
        try:
            self._person(row.line, self.sheet.whole(row))
        except Refused as refused:
            column = self.names.get(refused.column or "", refused.column)
            tally.refuse(row.line, refused.code, column, refused.value)
            if refused.code == "truncated" or row.last > row.line:
                tally.torn = tally.torn or row.line
            if (key := self.household.key_of(row.cells)) is not None:
                self.refusals.append((self.operation_id, row.line, key))

    def _swallowed(self, row: Read) -> str | None:
        """Whether a cell holds as much as a row has: a stray quote took other lines in."""
        if row.last > row.line:
            for cell in row.cells:
                if max(map(cell.count, DELIMITERS)) >= self.sheet.width - 1:
                    return "quotes_broken"
        return None

    def hand_over(self) -> tuple[Staged, Tally]:
        """What has been staged since the last time: homes, people, refusals, and the tally."""
        handed = (self.homes, self.rows, self.refusals), self.tally
        self.homes, self.rows, self.refusals, self.tally = [], [], [], Tally()
        return handed

    def _person(self, line: int, cells: list[str]) -> None:
        home = self.household.of(line, cells, self.tally)
        (raw_name, raw_relation, raw_sex, raw_national_id, raw_age, raw_born, raw_presence,
            raw_number, own_id, raw_card, family_number) = self.fields(cells)  # fmt: skip
        name = read.line(raw_name, 120, "name")
        if not name or not any(map(str.isalpha, name)):
            raise Refused("missing", "name", masked_name(name) or None)
        relation = self.relations[raw_relation]
        if relation is None or relation is UNREADABLE:
            code = "missing" if relation is None else "not_an_option"
            raise Refused(code, "relation", raw_relation.strip()[:20])
        sex = self.sexes[raw_sex]
        if sex is UNREADABLE:
            self.tally.warn(line, "sex_unreadable", self.names["sex"])
            sex = None
        national_id = self._number(line, raw_national_id, "national_id")
        age = self._age(raw_age)
        born = self._birth_date(line, raw_born)
        presence = self._known(line, "presence", raw_presence, self.presences)
        warnings: list[str] = []
        member_id, index, sealed = next(self.ids), None, None
        if national_id is not None:
            warnings = self._warnings(line, national_id, born, sex)
            if born is None and age is not None:
                born = self._born(line, national_id, age, warnings)
            index = self.keys.blind(national_id)
            sealed = self.seal(national_id.encode(), member_id)
        year = born.year if born else None if age is None else self.as_of.year - age
        facts, bad = self.facts.read(cells)
        for column in bad:
            self.tally.warn(line, "fact_unreadable", column)
        number = self._known(line, "member_number", raw_number, self.numbers)
        key = self._key(own_id, home, number, index, name)
        said = f"{name}|{index!r}|{born}|{year}|{sex}|{relation}|{number}|{presence}|{facts}"
        family: tuple[Any, ...] = None, None, None, None
        if (card := self._card(line, raw_card, home)) is not None:
            place = self._known(line, "family_number", family_number, self.numbers)
            family = card[0], place, card[1], card[2]
            said += f"|{card[2]!r}|{family[1]}"
        if not home.staged:
            home.staged = True
            self.homes.append(home.record)
            self.tally.mapped_once(home.mapped)
        self.rows.append(
            (
                self.operation_id, line, home.key, key, member_id, number, name, sealed, index,
                born, year, sex, relation, presence, *family, _texts(warnings), facts,
                sha256(said.encode()).digest(),
            )
        )  # fmt: skip

    def _number(self, line: int, raw: str, target: str) -> str | None:
        """A national id or family card number; what is none is warned of and left out."""
        text = raw.strip().strip("'")
        if read.is_number(text):
            return text
        if text not in NOTHING and text != "0":
            self.tally.warn(line, f"{target}_invalid", self.names[target], read.hidden(text))
        return None

    def _known(self, line: int, target: str, raw: str, values: Lookup) -> Any:
        """What a cell means; what cannot be read is warned of and left out."""
        found = values[raw]
        if found is not UNREADABLE:
            return found
        self.tally.warn(line, "fact_unreadable", self.names[target], read.hidden(raw.strip()))
        return None

    def _age(self, raw: str) -> int | None:
        age: int | None = self.ages[raw]
        if age is not None and age > OLDEST:
            raise Refused("implausible_age", "age_years", raw.strip()[:10])
        return age

    def _birth_date(self, line: int, raw: str) -> date | None:
        raw = raw.strip()
        if raw in NOTHING:
            return None
        born: date | None = self.days[raw]
        if born is None and not raw.startswith(("1900", "1899", "0")):
            self.tally.warn(line, "birth_date_unreadable", self.names["birth_date"])
            return None
        # A spreadsheet's zero is a day of 1899 or 1900.
        if born is None or born.year <= max(1900, self.as_of.year - OLDEST) or born > self.as_of:
            raise Refused("implausible_date", "birth_date", raw[:10] if born else None)
        return born

    def _warnings(
        self, line: int, national_id: str, born: date | None, sex: str | None
    ) -> list[str]:
        found = national_id_warnings(national_id, born, sex)
        for code in found:
            self.tally.warn(line, code, self.names["national_id"], masked(national_id))
        return found

    def _born(self, line: int, national_id: str, age: int, warnings: list[str]) -> date | None:
        """The birth date that the number says, where the age agrees; else that is a warning."""
        born = birth_date_by_age(national_id, age, self.as_of)
        if born is None and "national_id_structure" not in warnings:
            warnings.append("national_id_birth_date")
            self.tally.warn(line, "national_id_birth_date", self.names["national_id"],
                masked(national_id))  # fmt: skip
        return born

    def _key(
        self, own_id: str, home: Home, number: int | None, index: bytes | None, name: str
    ) -> str:
        """The registry's id of a person: its own, or the household's with the person's number."""
        said = own_id.strip().strip("'")
        if said and REGISTRY_ID.fullmatch(said):
            return said
        if number is not None and number < 100 and len(home.key) <= 38:
            return f"{home.key}{number:02}"
        plain = f"{home.key}|{index!r}|{name.casefold()}"
        return f"m:{self.keys.blind(plain).hex()[:36]}"

    def _card(self, line: int, raw: str, home: Home) -> tuple[UUID, bytes, bytes] | None:
        """The family of a card, sealed once in a household: id, sealed number, blind index."""
        card = self._number(line, raw, "family_card_number")
        if card is None:
            return None
        if card not in home.cards:
            id = next(self.ids)
            home.cards[card] = id, self.seal_card(card.encode(), id), self.keys.blind(card)
        return home.cards[card]


def _texts(found: list[str]) -> str:
    return "[" + ",".join(f'"{one}"' for one in found) + "]" if found else "[]"
