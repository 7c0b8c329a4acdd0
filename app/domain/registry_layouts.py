"""Layouts of registry files, as data: which column holds what, and how its values are written."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from app.domain.errors import Fault, Invalid
from app.domain.facts import FACTS, HOUSEHOLD_FACTS, Fact
from app.domain.households import MemberRelation, Presence, Sex
from app.domain.survey_forms.v1 import Option

# What a column can hold beside facts, by whom it is about.
HOUSEHOLD_FIELDS: Final = (
    "household_id", "ruta6", "region_code", "province_code", "regency_code", "district_code",
    "village_code", "district_name", "village_name", "address", "neighbourhood", "rt", "rw",
    "decile", "percentile", "programs", "household_presence",
)  # fmt: skip
MEMBER_FIELDS: Final = (
    "member_number", "member_id", "name", "national_id", "birth_date", "sex", "relation",
    "presence", "family_card_number", "family_number",
)  # fmt: skip
# `program:PKH` is a yes/no column of one programme.
PROGRAM = re.compile(r"program:[A-Z0-9_]{1,40}")
REGION_COLUMNS: Final = ("region_code", "village_code", "village_name")
YES_NO: Final = {"1": True, "3": True, "2": False, "4": False}
NO_OR_YES: Final = {"0": False, **YES_NO}
WORDS: Final = {
    "yes": True, "no": False, "ya": True, "tidak": False, "true": True, "false": False,
    "y": True, "n": False, "t": False, "1": True, "0": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it holds, how the file calls it, and how its values are to be understood.

    `values` are what the file writes (case does not matter) for values of ours; `None` among them
    stands for nothing known.
    """

    target: str
    header: str | int
    values: Mapping[str, Any] | None = None
    date: str | None = None

    @property
    def fact(self) -> Fact | None:
        return FACTS.get(self.target)

    @property
    def of_household(self) -> bool:
        known = self.target in HOUSEHOLD_FIELDS or self.target in HOUSEHOLD_FACTS
        return known or self.target.startswith("program:")


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of file. Where `closed`, columns that it does not name are refused."""

    name: str
    columns: tuple[Column, ...]
    closed: bool = False
    # Columns that need not be there.
    optional: frozenset[str] = field(default_factory=frozenset)


def normal(header: str) -> str:
    """A header as it is compared: no case, no `(12)` at its end, single spaces."""
    plain = re.sub(r"\(\s*\d+\s*\)\s*$", "", header.replace("\ufeff", "").strip())
    return " ".join(plain.split()).casefold()


def options(enum: type[Option]) -> dict[str, Any]:
    """The instrument's codes of an option list."""
    return {one.instrument_code: str(one) for one in enum if one.instrument_code}


# Column number of the 101: what it holds. The rest is not kept.
_BDT: Final = {
    1: "ruta6", 2: "household_id", 4: "province_code", 6: "regency_code", 7: "district_name",
    8: "district_code", 9: "village_name", 10: "village_code", 11: "neighbourhood", 12: "address",
    14: "member_count", 15: "family_count", 16: "building_status", 17: "land_status",
    18: "floor_area_m2", 19: "floor", 20: "wall", 21: "wall_condition", 22: "roof",
    23: "roof_condition", 24: "bedrooms", 25: "drinking_water", 26: "water_access",
    27: "lighting", 28: "electricity_power", 29: "cooking_fuel", 30: "toilet_use",
    31: "toilet_type", 32: "sewage", 33: "has_gas_5kg", 34: "has_refrigerator", 35: "has_ac",
    36: "has_water_heater", 37: "has_landline", 38: "has_television", 39: "has_gold_or_savings",
    40: "has_computer", 41: "has_bicycle", 42: "has_motorcycle", 43: "has_car", 44: "has_boat",
    45: "has_outboard_motor", 46: "has_motor_boat", 47: "has_ship", 48: "active_phones",
    49: "rooms", 50: "has_immovable_assets", 51: "land_m2", 52: "has_other_house", 53: "cattle",
    54: "buffaloes", 55: "horses", 56: "pigs", 57: "goats", 58: "has_business",
    59: "program:KKS", 60: "program:PIP", 61: "program:PBI_JKN", 65: "program:PKH",
    66: "program:RASTRA", 67: "program:KUR", 78: "percentile", 79: "member_number", 80: "name",
    81: "national_id", 82: "relation", 83: "family_number", 85: "sex", 86: "age_years",
    87: "marital_status", 88: "has_marriage_record", 89: "on_family_card", 90: "has_id_card",
    91: "pregnant", 92: "disability", 93: "chronic_illness", 94: "school_participation",
    95: "school_level", 96: "school_grade", 98: "works", 99: "work_hours", 100: "industry",
    101: "work_status",
}  # fmt: skip
_BDT_VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "sex": {"1": "male", "2": "female"},
    "relation": {
        "1": "head", "2": "spouse", "3": "child", "4": "child_in_law", "5": "grandchild",
        "6": "parent", "7": "domestic_worker", "8": "other",
    },
    # From the primary school to its parallels; higher education is not told apart, so left out.
    "school_level": {
        "0": "none", "1": "sd", "2": "sd", "3": "sd", "4": "smp", "5": "smp", "6": "smp",
        "7": "sma", "8": "sma", "9": "sma", "10": None,
    },
    "school_participation": {"0": "never", "1": "never", "2": "attending", "3": "no_longer"},
    "has_marriage_record": NO_OR_YES,
    "has_id_card": NO_OR_YES,
    "pregnant": NO_OR_YES,
}  # fmt: skip


@lru_cache
def bdt2015_headers() -> tuple[str, ...]:
    """The 101 headers as the instrument prints them."""
    data = files("app.domain") / "data" / "bdt2015_columns.csv"
    return tuple(row["header"] for row in csv.DictReader(data.read_text("utf-8").splitlines()))


@lru_cache
def bdt2015() -> Layout:
    """One row per person, 101 columns, household columns repeated, codes of the instrument."""
    headers = bdt2015_headers()
    columns = []
    for number, header in enumerate(headers, 1):
        target = _BDT.get(number, "")
        values = _BDT_VALUES.get(target)
        known = FACTS.get(target)
        if values is None and known is not None and issubclass(known.kind, Option):
            values = options(known.kind)
        elif values is None and (target.startswith("program:") or (known and known.kind is bool)):
            values = NO_OR_YES if target.startswith("program:") else YES_NO
        columns.append(Column(target, header, values))
    return Layout("bdt2015", tuple(columns))


@lru_cache
def slrt() -> Layout:
    """The layout of our own: column names are the names of what they hold, values are ours."""
    names = [*HOUSEHOLD_FIELDS, *MEMBER_FIELDS, *FACTS]
    needed = {"name", "relation"}
    return Layout(
        "slrt", tuple(Column(name, name) for name in names), closed=True,
        optional=frozenset(names) - needed,
    )  # fmt: skip


LAYOUTS: Final = {"bdt2015": bdt2015, "slrt": slrt}


def values_of(target: str) -> Mapping[str, Any] | None:
    """The values that a target may have, as our own layout writes them; None for free ones."""
    fixed: dict[str, Any] = {"sex": Sex, "relation": MemberRelation, "presence": Presence,
        "household_presence": Presence}  # fmt: skip
    known = FACTS.get(target)
    kind = fixed.get(target) or (known.kind if known is not None else None)
    if kind is bool or target.startswith("program:"):
        return WORDS
    if kind is not None and kind not in (int, float, str):
        return {str(one): str(one) for one in kind}
    return None


def by_map(sent: Any) -> Layout:
    """A layout from a column map: `{target: {"column": name or number, "values"?, "date"?}}`.

    Raises Invalid `map_invalid`, each fault with a pointer into the map.
    """
    if not isinstance(sent, dict) or not sent:
        raise Invalid("map_invalid", (Fault("wrong_type", ""),))
    faults: list[Fault] = []
    columns = [_mapped(target, spec, faults) for target, spec in list(sent.items())[:300]]
    targets = set(sent)
    for wanted in ("name", "relation"):
        if wanted not in targets:
            faults.append(Fault("missing", f"/{wanted}"))
    if not targets & {"household_id", "family_card_number", "ruta6"}:
        faults.append(Fault("missing", "/household_id"))
    if not targets & set(REGION_COLUMNS):
        faults.append(Fault("missing", "/region_code"))
    if faults:
        raise Invalid("map_invalid", tuple(faults[:50]))
    return Layout("map", tuple(column for column in columns if column is not None))


def _mapped(target: Any, spec: Any, faults: list[Fault]) -> Column | None:
    known = target in FACTS or target in HOUSEHOLD_FIELDS or target in MEMBER_FIELDS
    if not known and not PROGRAM.fullmatch(target):
        # A name that nobody knows is somebody's typing.
        faults.append(Fault("unknown_field", f"/{target if target.isidentifier() else '?'}"[:61]))
        return None
    pointer = f"/{target}"
    if isinstance(spec, str | int):
        spec = {"column": spec}
    if not isinstance(spec, dict) or set(spec) - {"column", "values", "date"}:
        faults.append(Fault("wrong_type", pointer))
        return None
    header, values, day = spec.get("column"), spec.get("values"), spec.get("date")
    if isinstance(header, bool) or not isinstance(header, str | int) or not header:
        faults.append(Fault("missing" if not header else "wrong_type", f"{pointer}/column"))
        return None
    if values is not None:
        values = _values(target, values, pointer, faults)
    if day is not None and not _is_date_format(target, day):
        faults.append(Fault("invalid_format", f"{pointer}/date"))
    return Column(target, header, values, day)


def _values(
    target: str, values: Any, pointer: str, faults: list[Fault]
) -> Mapping[str, Any] | None:
    allowed = values_of(target)
    if not isinstance(values, dict) or len(values) > 500:
        faults.append(Fault("wrong_type", f"{pointer}/values"))
        return None
    if allowed is not None:
        wanted = set(allowed.values())
        for value in values.values():
            if value is not None and (isinstance(value, list | dict) or value not in wanted):
                shown = ", ".join(str(one) for one in dict.fromkeys(allowed.values()))
                fault = Fault("not_an_option", f"{pointer}/values", params={"options": shown})
                faults.append(fault)
                break
    return {str(written).strip().casefold(): value for written, value in values.items()}


def _is_date_format(target: str, day: Any) -> bool:
    if target != "birth_date" or not isinstance(day, str):
        return False
    moment = datetime(2001, 2, 3, tzinfo=None)  # noqa: DTZ001
    try:
        return datetime.strptime(moment.strftime(day), day) == moment  # noqa: DTZ007
    except ValueError:
        return False
