"""The household of a row: found once for all of its rows, as long as they stand together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from app.domain.identifiers import Keys
from app.domain.places import Places, Said, Unplaced
from app.workflow.imports import cells as read
from app.workflow.imports.cells import NOTHING, UNREADABLE, Facts, Lookup
from app.workflow.imports.faults import Refused, Tally
from app.workflow.imports.sheet import Sheet

REGISTRY_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z./_-]{0,39}")
RT_RW: Final = re.compile(r"(?i)\bRT[\s.:]*0*([0-9]{1,3})\b|\bRW[\s.:]*0*([0-9]{1,3})\b")
SAID: Final = (
    "region_code", "province_code", "regency_code", "district_code", "village_code",
    "district_name", "village_name",
)  # fmt: skip
FIELDS: Final = ("address", "ruta6", "household_presence")
UNDERSTOOD: Final = ("rt", "rw", "household_presence")


@dataclass(slots=True)
class Home:
    """A household under way: what its rows share. `cards` are the families seen so far."""

    key: str
    id: UUID
    record: tuple[Any, ...]
    mapped: str | None
    staged: bool = False
    cards: dict[str, tuple[UUID, bytes, bytes]] = field(default_factory=dict)


class Homes:
    """Takes rows one after the other, and says of which household each is."""

    def __init__(
        self,
        operation_id: UUID,
        sheet: Sheet,
        places: Places,
        keys: Keys,
        known_programs: frozenset[str],
        ids: Iterator[UUID],
    ) -> None:
        self.operation_id, self.sheet, self.places, self.keys = operation_id, sheet, places, keys
        self.known_programs, self.ids = known_programs, ids
        targets = [column.target for _, column in sheet.columns if column.of_household]
        self.shared = sheet.getter(targets)
        self.fields = sheet.getter(FIELDS)
        self.keyed = sheet.getter(("household_id", "ruta6", "family_card_number"))
        self.has_card = "family_card_number" in sheet.at
        self.facts = Facts(sheet, of_household=True)
        self.presences = read.coded_or_nothing(sheet.by_target.get("household_presence"))
        self.said, self.villages = sheet.getter(SAID), Lookup(self._village)
        self.parts = sheet.getter(("rt", "rw", "neighbourhood"))
        self.neighbourhoods = Lookup(self._neighbourhood)
        self.ranked, self.ranks = sheet.getter(("percentile", "decile")), Lookup(self._rank)
        self.columns = {
            target.removeprefix("program:"): read.coded(sheet.by_target[target])
            for target in targets
            if target.startswith("program:")
        }
        self.joined = sheet.getter([*(f"program:{code}" for code in self.columns), "programs"])
        self.programs = Lookup(self._programs)
        self.last: tuple[str, ...] | None = None
        self.home: Home | Refused | None = None

    def of(self, line: int, cells: list[str], tally: Tally) -> Home:
        """The household of a row. Raises Refused."""
        shared = self.shared(cells)
        if self.has_card:
            own, _, card = self.keyed(cells)
            shared = (*shared, "" if own.strip() else card.strip())
        if shared != self.last:
            self.last = shared
            try:
                self.home = self._new(line, cells, tally)
            except Refused as refused:
                self.home = refused
        if isinstance(self.home, Refused):
            raise Refused(self.home.code, self.home.column, self.home.value)
        assert self.home is not None
        return self.home

    def key_of(self, cells: list[str]) -> str | None:
        """The registry's id of a row that does not land, where that much can be read."""
        width = self.sheet.width
        cells = [*cells[:width], *[""] * (width + 1 - len(cells[:width]))]
        try:
            return self._key(cells)[0]
        except Refused:
            return None

    def _new(self, line: int, cells: list[str], tally: Tally) -> Home:
        found = self.villages[self.said(cells)]
        if isinstance(found, Refused):
            raise found
        village, mapped = found
        key, card_index = self._key(cells)
        raw_address, ruta6, raw_presence = self.fields(cells)
        address = read.line(raw_address, 300, "address")
        parts = self.parts(cells)
        rt, rw = self.neighbourhoods[parts]
        percentile, decile, bad = self.ranks[self.ranked(cells)]
        programs, strange, unknown = self.programs[self.joined(cells)]
        presence = self.presences[raw_presence]
        for target, raw, one in zip(UNDERSTOOD, (*parts[:2], raw_presence), (rt, rw, presence),
                strict=True):  # fmt: skip
            if one is UNREADABLE:
                tally.warn(line, "fact_unreadable", self.sheet.names[target], read.hidden(raw))
        rt, rw, presence = (None if one is UNREADABLE else one for one in (rt, rw, presence))
        facts, unread = self.facts.read(cells)
        names = self.sheet.names
        for column in (*(names[one] for one in (*bad, *strange)), *unread):
            tally.warn(line, "fact_unreadable", column)
        if unknown:
            tally.warn(line, "program_unknown", names["programs"])
        ruta6 = ruta6.strip().strip("'")
        said = (village, address, rt, rw, percentile, decile, programs, presence, facts)
        id = next(self.ids)
        record = (
            self.operation_id, line, key, id, village, address or None, rt, rw, decile,
            percentile, ruta6 if REGISTRY_ID.fullmatch(ruta6) else None, card_index, programs,
            presence, facts, sha256(repr(said).encode()).digest(),
        )  # fmt: skip
        return Home(key, id, record, mapped)

    def _key(self, cells: list[str]) -> tuple[str, bytes | None]:
        """The registry's id of the household, or one made of its family card's blind index."""
        own, ruta6, card = (cell.strip().strip("'") for cell in self.keyed(cells))
        index = self.keys.blind(card) if read.is_number(card) else None
        for target, said in (("household_id", own), ("ruta6", ruta6)):
            if said in NOTHING:
                continue
            if not REGISTRY_ID.fullmatch(said):
                raise Refused("invalid_format", target)
            return said, index
        if index is None:
            raise Refused("missing", "household_id")
        return f"kk:{index.hex()[:32]}", index

    def _village(self, said: tuple[str, ...]) -> tuple[str, str | None] | Refused:
        try:
            return self.places.find(Said(*(text.strip().strip("'") for text in said)))
        except Unplaced as unplaced:
            column = next(name for name in ("village_code", "region_code", "village_name")
                if name in self.sheet.at)  # fmt: skip
            value = " ".join(part for part in said if part)[:80]
            return Refused(unplaced.code, column, value)

    def _neighbourhood(self, parts: tuple[str, ...]) -> tuple[Any, ...]:
        """RT and RW, from columns of their own or from a text such as `RT 003 RW 01`.

        None for nothing, UNREADABLE for what is no number of one.
        """
        rt, rw = (text.strip().strip("'") for text in parts[:2])
        for one, other in RT_RW.findall(parts[2]):
            rt, rw = rt or one, rw or other
        return tuple(
            None if text in NOTHING
            else text.zfill(3) if text.isascii() and text.isdigit() and len(text) <= 3
            else UNREADABLE
            for text in (rt, rw)
        )  # fmt: skip

    def _rank(self, ranked: tuple[str, ...]) -> tuple[int | None, int | None, list[str]]:
        """Percentile and decile: the decile follows from the percentile where it is not said."""
        found: list[int | None] = []
        bad = []
        for raw, target, most in zip(ranked, ("percentile", "decile"), (100, 10), strict=True):
            value = read.number(raw)
            if raw.strip() not in NOTHING and (value is None or not 0 < value <= most):
                bad.append(target)
                value = None
            found.append(value)
        percentile, decile = found
        return percentile, decile or (None if percentile is None else -(-percentile // 10)), bad

    def _programs(self, joined: tuple[str, ...]) -> tuple[list[str], list[str], bool]:
        """The programmes, the columns that cannot be read, and whether one is not known here."""
        *cells, listed = joined
        said = {code: column[raw] for (code, column), raw in
            zip(self.columns.items(), cells, strict=True)}  # fmt: skip
        bad = [f"program:{code}" for code, value in said.items() if value is UNREADABLE]
        named = set(re.findall(r"[A-Z0-9_]+", listed.upper()))
        yes = {code for code, value in said.items() if value is not UNREADABLE and value}
        return sorted(self.known_programs & (named | yes)), bad, not named <= self.known_programs
