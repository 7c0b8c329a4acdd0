"""Facts of the registry: what may be known of a household or a person, each with its type.

A fact is stored as its value beside the row, with the source and the day it was true; what was
changed later by one fact alone has a source of its own. Sensitive facts are specific personal data.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from app.domain.survey_forms import v1

Value = str | bool | int | float


class Level(StrEnum):
    """Of whom a fact is."""

    HOUSEHOLD = "household"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact: its type (options, `bool`, `int`, `float` or `str`), bounds and words.

    Numbers have `least` and `most`; texts have at most `most` characters.
    """

    name: str
    level: Level
    group: str
    kind: type[Any]
    label_id: str
    label_en: str
    least: float = 0
    most: float = 1_000_000
    sensitive: bool = False

    def problem(self, value: object) -> str | None:
        """The code of what is wrong with a value; None where it fits."""
        if issubclass(self.kind, v1.Option):
            known = isinstance(value, str) and value in {str(one) for one in self.kind}
            return None if known else "not_an_option"
        if self.kind is bool:
            return None if isinstance(value, bool) else "wrong_type"
        if self.kind is str:
            if not isinstance(value, str):
                return "wrong_type"
            return "too_long" if len(value) > self.most else None
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (self.kind is float and isinstance(value, float)):
            return "wrong_type"
        if value < self.least:  # type: ignore[operator]
            return "too_small"
        return "too_large" if value > self.most else None  # type: ignore[operator]


def _facts() -> Iterator[Fact]:
    home, person = Level.HOUSEHOLD, Level.MEMBER
    # name, group, type, Indonesian, English, least, most
    yield from (
        Fact(name, home, "housing", kind, label_id, label_en)
        for name, kind, label_id, label_en in (
            ("building_status", v1.BuildingStatus, "Status bangunan", "How the building is held"),
            ("land_status", v1.LandStatus, "Status lahan", "How the land is held"),
            ("floor", v1.Floor, "Lantai terluas", "Main floor material"),
            ("wall", v1.Wall, "Dinding terluas", "Main wall material"),
            ("wall_condition", v1.Condition, "Kondisi dinding", "Condition of the walls"),
            ("roof", v1.Roof, "Atap terluas", "Main roof material"),
            ("roof_condition", v1.Condition, "Kondisi atap", "Condition of the roof"),
            ("drinking_water", v1.DrinkingWater, "Sumber air minum", "Source of drinking water"),
            ("water_access", v1.WaterAccess, "Cara memperoleh air", "How water is obtained"),
            ("lighting", v1.Lighting, "Sumber penerangan", "Main source of light"),
            ("electricity_power", v1.ElectricityPower, "Daya terpasang", "Installed power"),
            ("cooking_fuel", v1.CookingFuel, "Bahan bakar memasak", "Cooking fuel"),
            ("toilet_use", v1.ToiletUse, "Fasilitas BAB", "Whose toilet is used"),
            ("toilet_type", v1.ToiletType, "Jenis kloset", "Kind of toilet"),
            ("sewage", v1.Sewage, "Tempat buang tinja", "Where sewage goes"),
        )
    )
    yield Fact("floor_area_m2", home, "housing", float, "Luas lantai (m²)", "Floor area in m²", 0,
        10_000)  # fmt: skip
    yield Fact("bedrooms", home, "housing", int, "Kamar tidur", "Bedrooms", 0, 50)
    yield Fact("rooms", home, "housing", int, "Ruangan", "Rooms", 0, 100)
    yield Fact("member_count", home, "people", int, "Jumlah ART", "Number of members", 0, 100)
    yield Fact("family_count", home, "people", int, "Jumlah keluarga", "Number of families", 0, 50)
    yield from (
        Fact(name, home, "assets", bool, label_id, label_en)
        for name, label_id, label_en in (
            ("has_gas_5kg", "Tabung gas 5,5 kg", "Gas cylinder of 5.5 kg"),
            ("has_refrigerator", "Lemari es", "Refrigerator"),
            ("has_ac", "AC", "Air conditioner"),
            ("has_water_heater", "Pemanas air", "Water heater"),
            ("has_landline", "Telepon rumah", "Landline telephone"),
            ("has_television", "Televisi", "Television"),
            ("has_gold_or_savings", "Emas dan tabungan", "Gold or savings"),
            ("has_computer", "Laptop/komputer", "Computer"),
            ("has_bicycle", "Sepeda", "Bicycle"),
            ("has_motorcycle", "Sepeda motor", "Motorcycle"),
            ("has_car", "Mobil", "Car"),
            ("has_boat", "Perahu", "Boat"),
            ("has_outboard_motor", "Motor tempel", "Outboard motor"),
            ("has_motor_boat", "Perahu motor", "Motor boat"),
            ("has_ship", "Kapal", "Ship"),
            ("has_immovable_assets", "Aset tidak bergerak", "Immovable assets"),
            ("has_other_house", "Rumah di tempat lain", "House elsewhere"),
            ("has_business", "ART punya usaha", "A member has a business"),
        )
    )
    yield from (
        Fact(name, home, "assets", int, label_id, label_en, 0, 10_000)
        for name, label_id, label_en in (
            ("active_phones", "Nomor HP yang aktif", "Active mobile numbers"),
            ("cattle", "Sapi", "Cattle"),
            ("buffaloes", "Kerbau", "Buffaloes"),
            ("horses", "Kuda", "Horses"),
            ("pigs", "Babi", "Pigs"),
            ("goats", "Kambing/domba", "Goats or sheep"),
        )
    )
    yield Fact(
        "land_m2", home, "assets", float, "Luas aset (m²)", "Land owned in m²", 0, 10_000_000
    )
    yield Fact("land_ha", home, "assets", float, "Luas lahan (ha)", "Land owned in ha", 0, 1_000)
    yield from (
        Fact(name, home, "poverty", bool, label_id, label_en)
        for name, label_id, label_en in (
            ("has_fixed_shelter", "Tempat berteduh tetap", "Fixed shelter"),
            ("lives_with_another_family", "Menumpang", "Lives with another family"),
            ("head_still_working", "KRT masih bekerja", "Head still works"),
            ("worried_about_food_last_year", "Khawatir pangan", "Worried about food last year"),
            ("food_over_70_percent_of_spending", "Pangan > 70 %", "Food over 70 % of spending"),
            ("bought_clothing_last_year", "Membeli pakaian", "Bought clothing last year"),
            ("floor_mostly_earth_or_plaster", "Lantai tanah/plester", "Floor of earth or plaster"),
            ("walls_mostly_bamboo_wire_or_wood", "Dinding bambu/kayu", "Walls of bamboo or wood"),
            ("has_own_toilet", "Jamban sendiri", "Own toilet"),
            ("power_450_or_none", "450 W atau tanpa listrik", "450 W or no electricity"),
        )
    )
    type_: type[Any]
    for name, type_, label_id, label_en in (
        ("marital_status", v1.MaritalStatus, "Status perkawinan", "Marital status"),
        ("school_participation", v1.SchoolParticipation, "Partisipasi sekolah", "At school"),
        ("school_level", v1.SchoolLevel, "Pendidikan tertinggi", "Highest level of school"),
    ):
        yield Fact(name, person, "education" if "school" in name else "family", type_, label_id,
            label_en)  # fmt: skip
    yield Fact("school_grade", person, "education", int, "Kelas tertinggi", "Highest grade", 0, 10)
    yield Fact("has_marriage_record", person, "papers", bool, "Akta nikah", "Marriage record")
    yield Fact("on_family_card", person, "papers", bool, "Tercantum di KK", "On the family card")
    yield Fact("has_id_card", person, "papers", bool, "Kartu identitas", "Has an identity card")
    yield Fact("works", person, "work", bool, "Bekerja seminggu lalu", "Worked last week")
    yield Fact("work_hours", person, "work", int, "Jam kerja seminggu", "Hours a week", 0, 168)
    yield Fact("industry", person, "work", int, "Lapangan usaha (kode)", "Industry (code)", 0, 21)
    yield Fact("work_status", person, "work", int, "Kedudukan kerja (kode)", "Status (code)", 0, 8)
    yield Fact("occupation", person, "work", str, "Pekerjaan", "Occupation", 0, 120)
    yield Fact("monthly_income_idr", person, "work", int, "Pendapatan (Rp)", "Income (IDR)", 0,
        1_000_000_000, sensitive=True)  # fmt: skip
    yield Fact("age_years", person, "family", int, "Umur (tahun)", "Age in years", 0, 130)
    for name, type_, label_id, label_en in (
        ("pregnant", bool, "Hamil", "Pregnant"),
        ("disability", v1.Disability, "Jenis disabilitas", "Disability"),
        ("disability_severity", v1.DisabilitySeverity, "Tingkat kesulitan", "Severity"),
        ("chronic_illness", v1.ChronicIllness, "Penyakit kronis", "Chronic illness"),
        ("needs_care", bool, "Bergantung pada orang lain", "Depends on others every day"),
        ("health_insured", bool, "Peserta JKN aktif", "Active in national health insurance"),
    ):
        yield Fact(name, person, "health", type_, label_id, label_en, sensitive=True)
    for name, label_id, label_en in (
        ("orphan", "Yatim/piatu", "Has lost a parent"),
        ("needs_protection", "Perlu perlindungan khusus", "Child who needs protection"),
    ):
        yield Fact(name, person, "family", bool, label_id, label_en, sensitive=True)
    yield Fact("runs_business", person, "work", bool, "Punya usaha", "Runs a business")
    yield Fact("civil_servant", person, "work", bool, "ASN/TNI/Polri", "In public service")
    yield Fact("accepted_at_university", person, "education", bool, "Diterima kuliah",
        "Accepted at a university")  # fmt: skip


FACTS: Final[Mapping[str, Fact]] = {fact.name: fact for fact in _facts()}
HOUSEHOLD_FACTS: Final = {n: f for n, f in FACTS.items() if f.level is Level.HOUSEHOLD}
MEMBER_FACTS: Final = {n: f for n, f in FACTS.items() if f.level is Level.MEMBER}


def at(level: Level) -> Mapping[str, Fact]:
    return HOUSEHOLD_FACTS if level is Level.HOUSEHOLD else MEMBER_FACTS


@dataclass(frozen=True, slots=True)
class Known:
    """A fact as it is known: value, the source that said it, and the day it was true."""

    name: str
    value: Value
    source: str
    as_of: date | None


def known(
    facts: Mapping[str, Any], overrides: Mapping[str, Any], source: str, as_of: date | None
) -> list[Known]:
    """The facts of a row: those of its source, and those that one later source changed alone.

    `overrides` is `{name: {"source": …, "as_of": "2026-11-24"}}`.
    """
    found = []
    for name, value in facts.items():
        other = overrides.get(name)
        day = as_of
        if other is not None:
            day = date.fromisoformat(other["as_of"]) if other.get("as_of") else None
        found.append(Known(name, value, other["source"] if other else source, day))
    return found


_NUMBER: Final = re.compile(r"[0-9]{16}")


def is_number(value: object) -> bool:
    """Whether a value has the form of a national id or family card number: 16 digits."""
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
