"""Form 2026-1: the questions of the home visit, their options, and the rules across them."""

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function

MAX_MEMBERS: Final = 40

# ── options ──────────────────────────────────────────────────────────────────────────────────


def _text(answer: object) -> str:
    """Only a text is looked up: an enum writes out what it does not know, however deep it is."""
    if not isinstance(answer, str):
        raise PydanticCustomError("option_type", "not a text")
    return answer


class Option(StrEnum):
    """A closed list: value, Indonesian, English, and the instrument's own code where it has one."""

    label_id: str
    label_en: str
    instrument_code: str

    def __new__(cls, value: str, label_id: str, label_en: str, instrument_code: str = "") -> Self:
        option = str.__new__(cls, value)
        option._value_ = value
        option.label_id = label_id
        option.label_en = label_en
        option.instrument_code = instrument_code
        return option

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(_text, handler(source))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        codes = {option.value: option.instrument_code for option in cls if option.instrument_code}
        return {
            **handler(core_schema),
            "x-enum-labels": {o.value: {"id": o.label_id, "en": o.label_en} for o in cls},
            **({"x-enum-codes": codes} if codes else {}),
        }


class BuildingStatus(Option):
    """BDT 2015 instrument."""

    OWN = "own", "Milik sendiri", "Owned", "1"
    RENTED = "rented", "Kontrak/sewa", "Rented", "2"
    RENT_FREE = "rent_free", "Bebas sewa", "Rent-free", "3"
    OFFICIAL = "official", "Dinas", "Official residence", "4"
    OTHER = "other", "Lainnya", "Other", "5"


class LandStatus(Option):
    """BDT 2015 instrument."""

    OWN = "own", "Milik sendiri", "Owned", "1"
    OTHER_PERSON = "other_person", "Milik orang lain", "Owned by someone else", "2"
    STATE_LAND = "state_land", "Tanah negara", "State land", "3"
    OTHER = "other", "Lainnya", "Other", "4"


class Floor(Option):
    """BDT 2015 instrument."""

    MARBLE_GRANITE = "marble_granite", "Marmer/granit", "Marble or granite", "1"
    CERAMIC = "ceramic", "Keramik", "Ceramic", "2"
    PARQUET = "parquet_vinyl_carpet", "Parket/vinil/permadani", "Parquet, vinyl or carpet", "3"
    TILE_TERRAZZO = "tile_terrazzo", "Ubin/tegel/teraso", "Tile or terrazzo", "4"
    HIGH_WOOD = "high_quality_wood", "Kayu/papan kualitas tinggi", "High-quality wood", "5"
    CEMENT_BRICK = "cement_brick", "Semen/bata merah", "Cement or red brick", "6"
    BAMBOO = "bamboo", "Bambu", "Bamboo", "7"
    LOW_WOOD = "low_quality_wood", "Kayu/papan kualitas rendah", "Low-quality wood", "8"
    EARTH = "earth", "Tanah", "Earth", "9"
    OTHER = "other", "Lainnya", "Other", "10"


class Wall(Option):
    """BDT 2015 instrument."""

    MASONRY = "masonry", "Tembok", "Masonry", "1"
    PLASTERED = (
        "plastered_bamboo_or_wire",
        "Plesteran anyaman bambu/kawat",
        "Plastered woven bamboo or wire",
        "2",
    )
    WOOD = "wood", "Kayu", "Wood", "3"
    WOVEN_BAMBOO = "woven_bamboo", "Anyaman bambu", "Woven bamboo", "4"
    LOGS = "logs", "Batang kayu", "Logs", "5"
    BAMBOO = "bamboo", "Bambu", "Bamboo", "6"
    OTHER = "other", "Lainnya", "Other", "7"


class Roof(Option):
    """BDT 2015 instrument."""

    CONCRETE = "concrete", "Beton/genteng beton", "Concrete or concrete tile", "1"
    CERAMIC_TILE = "ceramic_tile", "Genteng keramik", "Ceramic tile", "2"
    METAL_TILE = "metal_tile", "Genteng metal", "Metal tile", "3"
    CLAY_TILE = "clay_tile", "Genteng tanah liat", "Clay tile", "4"
    ASBESTOS = "asbestos", "Asbes", "Asbestos", "5"
    ZINC = "zinc", "Seng", "Zinc sheet", "6"
    SHINGLE = "shingle", "Sirap", "Wooden shingle", "7"
    BAMBOO = "bamboo", "Bambu", "Bamboo", "8"
    THATCH = "thatch", "Jerami/ijuk/daun/rumbia", "Straw, palm fibre or leaves", "9"
    OTHER = "other", "Lainnya", "Other", "10"


class Condition(Option):
    """BDT 2015 instrument, for walls and roof."""

    GOOD = "good", "Bagus/kualitas tinggi", "Good, high quality", "1"
    POOR = "poor", "Jelek/kualitas rendah", "Poor, low quality", "2"


class DrinkingWater(Option):
    """BDT 2015 instrument."""

    BRANDED = "branded_bottled", "Air kemasan bermerek", "Branded bottled water", "1"
    REFILLED = "refilled", "Air isi ulang", "Refilled water", "2"
    METERED_PIPE = "metered_pipe", "Leding meteran", "Metered piped water", "3"
    RETAIL_PIPE = "retail_pipe", "Leding eceran", "Piped water bought retail", "4"
    BOREHOLE_PUMP = "borehole_pump", "Sumur bor/pompa", "Borehole or pump", "5"
    PROTECTED_WELL = "protected_well", "Sumur terlindung", "Protected well", "6"
    UNPROTECTED_WELL = "unprotected_well", "Sumur tak terlindung", "Unprotected well", "7"
    PROTECTED_SPRING = "protected_spring", "Mata air terlindung", "Protected spring", "8"
    OPEN_SPRING = "unprotected_spring", "Mata air tak terlindung", "Unprotected spring", "9"
    SURFACE_WATER = "surface_water", "Air sungai/danau/waduk", "River, lake or reservoir", "10"
    RAINWATER = "rainwater", "Air hujan", "Rainwater", "11"
    OTHER = "other", "Lainnya", "Other", "12"


class WaterAccess(Option):
    """BDT 2015 instrument."""

    BUYS_RETAIL = "buys_retail", "Membeli eceran", "Buys it retail", "1"
    SUBSCRIBES = "subscribes", "Langganan", "Has a subscription", "2"
    DOES_NOT_BUY = "does_not_buy", "Tidak membeli", "Does not buy it", "3"


class Lighting(Option):
    """BDT 2015 instrument."""

    PLN = "pln_electricity", "Listrik PLN", "Electricity from PLN", "1"
    OTHER_ELECTRICITY = "other_electricity", "Listrik non PLN", "Other electricity", "2"
    NO_ELECTRICITY = "no_electricity", "Bukan listrik", "No electricity", "3"


class ElectricityPower(Option):
    """BDT 2015 instrument."""

    W450 = "w450", "450 watt", "450 watts", "1"
    W900 = "w900", "900 watt", "900 watts", "2"
    W1300 = "w1300", "1300 watt", "1300 watts", "3"
    W2200 = "w2200", "2200 watt", "2200 watts", "4"
    ABOVE_2200 = "above_2200", "> 2200 watt", "Above 2200 watts", "5"
    NO_METER = "no_meter", "Tanpa meteran", "Without a meter", "6"


class CookingFuel(Option):
    """BDT 2015 instrument."""

    ELECTRICITY = "electricity", "Listrik", "Electricity", "1"
    GAS_OVER_3KG = "gas_over_3kg", "Gas > 3 kg", "Gas, cylinder above 3 kg", "2"
    GAS_3KG = "gas_3kg", "Gas 3 kg", "Gas, 3 kg cylinder", "3"
    CITY_GAS_BIOGAS = "city_gas_biogas", "Gas kota/biogas", "City gas or biogas", "4"
    KEROSENE = "kerosene", "Minyak tanah", "Kerosene", "5"
    BRIQUETTES = "briquettes", "Briket", "Briquettes", "6"
    CHARCOAL = "charcoal", "Arang", "Charcoal", "7"
    FIREWOOD = "firewood", "Kayu bakar", "Firewood", "8"
    NO_COOKING = "no_cooking_at_home", "Tidak memasak di rumah", "Does not cook at home", "9"


class ToiletUse(Option):
    """BDT 2015 instrument."""

    OWN = "own", "Sendiri", "Own", "1"
    SHARED = "shared", "Bersama", "Shared with other households", "2"
    PUBLIC = "public", "Umum", "Public", "3"
    NONE = "none", "Tidak ada", "None", "4"


class ToiletType(Option):
    """BDT 2015 instrument."""

    GOOSENECK = "gooseneck", "Leher angsa", "Gooseneck", "1"
    SLANTED = "slanted", "Plengsengan", "Slanted without water seal", "2"
    PIT = "pit", "Cemplung/cubluk", "Pit", "3"
    NOT_USED = "not_used", "Tidak pakai", "Not used", "4"


class Sewage(Option):
    """BDT 2015 instrument."""

    SEPTIC_TANK = "septic_tank", "Tangki septik", "Septic tank", "1"
    SEWER = "sewer", "SPAL", "Sewer system", "2"
    GROUND_PIT = "ground_pit", "Lubang tanah", "Hole in the ground", "3"
    WATER = (
        "pond_field_river_lake_sea",
        "Kolam/sawah/sungai/danau/laut",
        "Pond, rice field, river, lake or sea",
        "4",
    )
    LAND = (
        "beach_open_land_garden",
        "Pantai/tanah lapang/kebun",
        "Beach, open land or garden",
        "5",
    )
    OTHER = "other", "Lainnya", "Other", "6"


class Sex(Option):
    """As on the family card."""

    FEMALE = "female", "Perempuan", "Female"
    MALE = "male", "Laki-laki", "Male"


class Relation(Option):
    """Regsosek 2022-K, question 409."""

    HEAD = "head", "Kepala keluarga", "Head of the family", "1"
    SPOUSE = "spouse", "Istri/suami", "Wife or husband", "2"
    CHILD = "child", "Anak", "Child", "3"
    CHILD_IN_LAW = "child_in_law", "Menantu", "Child-in-law", "4"
    GRANDCHILD = "grandchild", "Cucu", "Grandchild", "5"
    PARENT = "parent", "Orang tua/mertua", "Parent or parent-in-law", "6"
    DOMESTIC_WORKER = "domestic_worker", "Pembantu/sopir", "Domestic worker or driver", "7"
    OTHER = "other", "Lainnya", "Other", "8"


class MaritalStatus(Option):
    """Regsosek 2022-K, question 408."""

    SINGLE = "single", "Belum kawin", "Never married", "1"
    MARRIED = "married", "Kawin", "Married", "2"
    DIVORCED = "divorced", "Cerai hidup", "Divorced", "3"
    WIDOWED = "widowed", "Cerai mati", "Widowed", "4"


class SchoolParticipation(Option):
    """Regsosek 2022-K, question 412."""

    NEVER = "never", "Tidak/belum pernah sekolah", "Never went to school", "1"
    ATTENDING = "attending", "Masih sekolah", "At school", "2"
    NO_LONGER = "no_longer", "Tidak bersekolah lagi", "No longer at school", "3"


class SchoolLevel(Option):
    """The highest level, finished or attended."""

    NONE = "none", "Tidak ada", "None"
    SD = "sd", "SD/sederajat", "Primary school"
    SMP = "smp", "SMP/sederajat", "Lower secondary school"
    SMA = "sma", "SMA/SMK/sederajat", "Upper secondary school"
    DIPLOMA = "diploma", "Diploma (D1-D3)", "Diploma"
    BACHELOR = "bachelor_or_higher", "D4/S1 atau lebih tinggi", "Bachelor's degree or higher"


class Disability(Option):
    """BDT 2015 instrument, codes from 0. Specific personal data by law."""

    NONE = "none", "Tidak ada disabilitas", "None", "0"
    PHYSICAL = "physical", "Tuna daksa", "Physical", "1"
    BLIND = "blind", "Tuna netra", "Blind", "2"
    DEAF = "deaf", "Tuna rungu", "Deaf", "3"
    MUTE = "mute", "Tuna wicara", "Without speech", "4"
    DEAF_MUTE = "deaf_mute", "Tuna rungu & wicara", "Deaf, without speech", "5"
    BLIND_PHYSICAL = "blind_physical", "Tuna netra & daksa", "Blind and physical", "6"
    BLIND_DEAF_MUTE = (
        "blind_deaf_mute",
        "Tuna netra, rungu & wicara",
        "Blind, deaf, without speech",
        "7",
    )
    DEAF_MUTE_PHYSICAL = (
        "deaf_mute_physical",
        "Tuna rungu, wicara & daksa",
        "Deaf, without speech and physical",
        "8",
    )
    BLIND_DEAF_MUTE_PHYSICAL = (
        "blind_deaf_mute_physical",
        "Tuna rungu, wicara, netra & daksa",
        "Blind, deaf, without speech and physical",
        "9",
    )
    INTELLECTUAL = "intellectual", "Disabilitas intelektual", "Intellectual", "10"
    PAST_MENTAL_ILLNESS = (
        "past_mental_illness",
        "Mantan penderita gangguan jiwa",
        "Recovered from mental illness",
        "11",
    )
    PHYSICAL_MENTAL = "physical_mental", "Disabilitas fisik & mental", "Physical and mental", "12"


class DisabilitySeverity(Option):
    """Regsosek 2022-K, the scale of question 428. Specific personal data by law."""

    NONE = "none", "Tidak mengalami kesulitan", "No difficulty", "4"
    MILD = "mild", "Sedikit kesulitan", "Some difficulty", "3"
    MODERATE = "moderate", "Banyak kesulitan, butuh bantuan", "Much difficulty, needs help", "2"
    SEVERE = "severe", "Sama sekali tidak bisa", "Cannot do it at all", "1"


class ChronicIllness(Option):
    """BDT 2015 instrument, codes from 0. Specific personal data by law."""

    NONE = "none", "Tidak ada", "None", "0"
    HYPERTENSION = "hypertension", "Hipertensi", "Hypertension", "1"
    RHEUMATISM = "rheumatism", "Rematik", "Rheumatism", "2"
    ASTHMA = "asthma", "Asma", "Asthma", "3"
    HEART_DISEASE = "heart_disease", "Masalah jantung", "Heart disease", "4"
    DIABETES = "diabetes", "Diabetes", "Diabetes", "5"
    TUBERCULOSIS = "tuberculosis", "TBC", "Tuberculosis", "6"
    STROKE = "stroke", "Stroke", "Stroke", "7"
    CANCER = "cancer", "Kanker/tumor ganas", "Cancer or malignant tumour", "8"
    OTHER = "other", "Lainnya", "Other", "9"


class Presence(Option):
    """Regsosek 2022-K, question 404."""

    LIVES_HERE = "lives_here", "Tinggal bersama keluarga", "Lives with the family", "1"
    DEAD = "dead", "Meninggal", "Died", "2"
    MOVED_DOMESTIC = "moved_domestic", "Pindah dalam negeri", "Moved within Indonesia", "3"
    MOVED_ABROAD = "moved_abroad", "Pindah ke luar negeri", "Moved abroad", "4"
    NEW_MEMBER = "new_member", "Anggota keluarga baru", "New member, lives here", "5"
    NOT_FOUND = "not_found", "Tidak ditemukan", "Not found", "6"


LIVING_HERE: Final = (Presence.LIVES_HERE, Presence.NEW_MEMBER)

# ── kinds of answer: each bounded, each written the same way in the contract ─────────────────


def ask(label_id: str, label_en: str) -> FieldInfo:
    """A question's words in both languages."""
    labels: JsonDict = {"x-labels": {"id": label_id, "en": label_en}}
    question: FieldInfo = Field(title=label_en, json_schema_extra=labels)
    return question


_DAY: Final = r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


def _day(answer: object) -> date:
    if not isinstance(answer, str):
        raise PydanticCustomError("date_type", "not a text")
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", answer):
            return date.fromisoformat(answer)
    except ValueError:
        pass  # the 31st of a short month
    raise PydanticCustomError("date_format", "not a day", {"format": "date"})


def _whole(answer: object) -> object:
    """JSON Schema's integer: 5.0 is one."""
    return int(answer) if isinstance(answer, float) and answer.is_integer() else answer


_CONTROL: Final = r"\u0000-\u001f\u007f-\u009f"
_LINE: Final = rf"^[^{_CONTROL}]*$"
_PARAGRAPHS: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
_SOMETHING: Final = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"  # not only spaces

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=_SOMETHING)]
Address = Annotated[str, Field(min_length=1, max_length=300, pattern=_SOMETHING)]
ShortText = Annotated[str, Field(max_length=120, pattern=_LINE)]
LongText = Annotated[str, Field(max_length=2000, pattern=_PARAGRAPHS)]
Digits16 = Annotated[str, Field(max_length=16, pattern=r"^[0-9]{16}$")]
Digits3 = Annotated[str, Field(max_length=3, pattern=r"^[0-9]{1,3}$")]
Day = Annotated[
    date,
    Field(ge=date(1900, 1, 1), le=date(2099, 12, 31)),
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "maxLength": 10, "pattern": _DAY}),
]
Years = Annotated[int, Field(strict=True, ge=0, le=130), BeforeValidator(_whole)]
Rupiah = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000), BeforeValidator(_whole)]
SquareMetres = Annotated[float, Field(strict=True, ge=0.1, le=10_000, allow_inf_nan=False)]
Hectares = Annotated[float, Field(strict=True, ge=0, le=1_000, allow_inf_nan=False)]

# ── questions: what may be null may also be left out ─────────────────────────────────────────


class Questions(BaseModel):
    """What holds for every group of questions."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(Questions):
    """One person: presence, relation, marriage, school of Regsosek 2022-K; the rest of BDT 2015.

    What may be left out at the end is asked for some programmes alone, where it may matter.

    Disability, chronic illness and pregnancy are health data, which with children's data and
    income are specific personal data by law: shown and exported only to who needs them.
    """

    name: Annotated[Name, ask("Nama", "Name")]
    national_id: Annotated[Digits16 | None, ask("NIK", "National id")] = None
    birth_date: Annotated[Day | None, ask("Tanggal lahir", "Date of birth")] = None
    age_years: Annotated[Years | None, ask("Umur (tahun)", "Age in years")] = None
    sex: Annotated[Sex, ask("Jenis kelamin", "Sex")]
    relation: Annotated[
        Relation, ask("Hubungan dengan kepala keluarga", "Relation to the head of the family")
    ]
    marital_status: Annotated[MaritalStatus, ask("Status perkawinan", "Marital status")]
    school_participation: Annotated[
        SchoolParticipation, ask("Partisipasi sekolah", "School participation")
    ]
    school_level: Annotated[
        SchoolLevel, ask("Jenjang pendidikan tertinggi", "Highest level of school")
    ]
    works: Annotated[StrictBool, ask("Bekerja seminggu yang lalu", "Worked during the last week")]
    occupation: Annotated[ShortText | None, ask("Pekerjaan", "Occupation")] = None
    monthly_income_idr: Annotated[
        Rupiah | None, ask("Pendapatan per bulan (rupiah)", "Monthly income in rupiah")
    ] = None
    pregnant: Annotated[StrictBool, ask("Sedang hamil", "Pregnant")]
    disability: Annotated[Disability, ask("Jenis disabilitas", "Disability")]
    disability_severity: Annotated[
        DisabilitySeverity, ask("Tingkat kesulitan", "Severity of the disability")
    ]
    chronic_illness: Annotated[ChronicIllness, ask("Penyakit kronis", "Chronic illness")]
    presence: Annotated[
        Presence, ask("Keberadaan anggota keluarga", "Presence of the family member")
    ]
    orphan: Annotated[
        StrictBool | None, ask("Ayah atau ibu sudah meninggal", "Has lost father or mother")
    ] = None
    needs_protection: Annotated[
        StrictBool | None,
        ask(
            "Anak telantar, anak jalanan, atau perlu perlindungan khusus",
            "Child who is neglected, lives on the street or needs protection",
        ),
    ] = None
    needs_care: Annotated[
        StrictBool | None,
        ask("Sehari-hari bergantung pada bantuan orang lain", "Depends on others every day"),
    ] = None
    health_insured: Annotated[
        StrictBool | None,
        ask("Peserta JKN yang aktif", "Active member of the national health insurance"),
    ] = None
    runs_business: Annotated[
        StrictBool | None,
        ask("Menjalankan atau menyiapkan usaha", "Runs or is preparing a business"),
    ] = None
    civil_servant: Annotated[
        StrictBool | None,
        ask("ASN, TNI, Polri, atau pegawai BUMN", "Works in public service, army or police"),
    ] = None
    accepted_at_university: Annotated[
        StrictBool | None,
        ask("Diterima di perguruan tinggi", "Has been accepted at a university"),
    ] = None


class HouseholdQuestions(Questions):
    """Where the household lives and who belongs to it, as in Regsosek 2022-K."""

    family_card_number: Annotated[
        Digits16 | None, ask("Nomor kartu keluarga", "Family card number")
    ] = None
    address: Annotated[Address, ask("Alamat", "Address")]
    rt: Annotated[Digits3 | None, ask("RT", "RT (neighbourhood)")] = None
    rw: Annotated[Digits3 | None, ask("RW", "RW (group of neighbourhoods)")] = None
    head_name: Annotated[Name, ask("Nama kepala keluarga", "Name of the head of the family")]
    members: Annotated[
        list[Member],
        Field(min_length=1, max_length=MAX_MEMBERS),
        ask("Anggota keluarga", "Family members"),
    ]


class HousingQuestions(Questions):
    """The house, as in the BDT 2015 instrument."""

    building_status: Annotated[
        BuildingStatus, ask("Status penguasaan bangunan", "How the building is held")
    ]
    land_status: Annotated[LandStatus, ask("Status lahan", "How the land is held")]
    floor_area_m2: Annotated[SquareMetres, ask("Luas lantai (m²)", "Floor area in square metres")]
    floor: Annotated[Floor, ask("Jenis lantai terluas", "Main floor material")]
    wall: Annotated[Wall, ask("Jenis dinding terluas", "Main wall material")]
    wall_condition: Annotated[Condition, ask("Kondisi dinding", "Condition of the walls")]
    roof: Annotated[Roof, ask("Jenis atap terluas", "Main roof material")]
    roof_condition: Annotated[Condition, ask("Kondisi atap", "Condition of the roof")]
    drinking_water: Annotated[DrinkingWater, ask("Sumber air minum", "Source of drinking water")]
    water_access: Annotated[
        WaterAccess, ask("Cara memperoleh air minum", "How drinking water is obtained")
    ]
    lighting: Annotated[Lighting, ask("Sumber penerangan utama", "Main source of light")]
    electricity_power: Annotated[
        ElectricityPower | None,
        ask("Daya terpasang (bila listrik PLN)", "Installed power (if electricity is from PLN)"),
    ] = None
    cooking_fuel: Annotated[CookingFuel, ask("Bahan bakar memasak", "Cooking fuel")]
    toilet_use: Annotated[
        ToiletUse, ask("Penggunaan fasilitas buang air besar", "Whose toilet is used")
    ]
    toilet_type: Annotated[ToiletType, ask("Jenis kloset", "Kind of toilet")]
    sewage: Annotated[Sewage, ask("Tempat pembuangan akhir tinja", "Where sewage goes")]


class PovertyQuestions(Questions):
    """The ten poverty questions of DTKS."""

    has_fixed_shelter: Annotated[
        StrictBool, ask("Memiliki tempat berteduh tetap", "Has a fixed shelter")
    ]
    lives_with_another_family: Annotated[
        StrictBool, ask("Menumpang pada keluarga lain", "Lives with another family")
    ]
    head_still_working: Annotated[
        StrictBool, ask("Kepala keluarga masih bekerja", "The head of the family still works")
    ]
    worried_about_food_last_year: Annotated[
        StrictBool,
        ask(
            "Pernah khawatir atau tidak makan dalam setahun terakhir",
            "Worried about or went without food in the last year",
        ),
    ]
    food_over_70_percent_of_spending: Annotated[
        StrictBool,
        ask(
            "Pengeluaran makanan lebih dari 70% pengeluaran",
            "Food takes over 70% of spending",
        ),
    ]
    bought_clothing_last_year: Annotated[
        StrictBool,
        ask("Membeli pakaian dalam setahun terakhir", "Bought clothing in the last year"),
    ]
    floor_mostly_earth_or_plaster: Annotated[
        StrictBool,
        ask("Lantai sebagian besar tanah atau plesteran", "Floor mostly of earth or plaster"),
    ]
    walls_mostly_bamboo_wire_or_wood: Annotated[
        StrictBool,
        ask(
            "Dinding sebagian besar bambu, kawat, atau kayu",
            "Walls mostly of bamboo, wire or wood",
        ),
    ]
    has_own_toilet: Annotated[StrictBool, ask("Memiliki jamban sendiri", "Has its own toilet")]
    power_450_or_none: Annotated[
        StrictBool,
        ask("Listrik 450 watt atau bukan listrik", "450 watts or no electricity"),
    ]


class AssetQuestions(Questions):
    """What the household owns, as in the BDT 2015 instrument."""

    has_motorcycle: Annotated[StrictBool, ask("Memiliki sepeda motor", "Has a motorcycle")]
    has_refrigerator: Annotated[StrictBool, ask("Memiliki lemari es", "Has a refrigerator")]
    has_other_house: Annotated[
        StrictBool, ask("Memiliki rumah di tempat lain", "Has a house elsewhere")
    ]
    land_ha: Annotated[Hectares, ask("Luas lahan yang dimiliki (ha)", "Land owned in hectares")]


class VisitQuestions(Questions):
    """The visit itself."""

    respondent_name: Annotated[Name, ask("Nama pemberi keterangan", "Name of the respondent")]
    notes: Annotated[LongText | None, ask("Catatan", "Notes")] = None


class Answers(  # pydantic puts the fields of the last base first: read from the bottom
    VisitQuestions,
    AssetQuestions,
    PovertyQuestions,
    HousingQuestions,
    HouseholdQuestions,
):
    """All answers of one home visit.

    Health, disability and income of the members are specific personal data by law.
    """


# ── rules across questions, told twice: for the answers, and in the contract ─────────────────

RULE_CODES: Final = frozenset({"missing", "no_head", "more_than_one_head"})


def rules(answers: object) -> Iterator[tuple[str, str]]:
    """Pointer and code of each broken rule, whatever was sent; silent where a field is in doubt."""
    if not isinstance(answers, dict):
        return
    if answers.get("lighting") == Lighting.PLN and _unanswered(answers, "electricity_power"):
        yield "/electricity_power", "missing"
    members = answers.get("members")
    if isinstance(members, list) and 1 <= len(members) <= MAX_MEMBERS:
        yield from _ages(members)
        yield from _heads(members)


def _ages(members: list[object]) -> Iterator[tuple[str, str]]:
    for index, member in enumerate(members):
        if isinstance(member, dict) and _unanswered(member, "birth_date", "age_years"):
            yield f"/members/{index}/birth_date", "missing"


def _unanswered(answers: dict[str, object], *names: str) -> bool:
    return all(answers.get(name) is None for name in names)


def _heads(members: list[object]) -> Iterator[tuple[str, str]]:
    people = [member for member in members if isinstance(member, dict)]
    living = [person for person in people if person.get("presence") in LIVING_HERE]
    heads = sum(person.get("relation") == Relation.HEAD for person in living)
    told = len(people) == len(members) and all(
        person.get("presence") in tuple(Presence) and person.get("relation") in tuple(Relation)
        for person in people
    )
    if heads > 1:
        yield "/members", "more_than_one_head"
    elif heads == 0 and told:
        yield "/members", "no_head"


def rules_as_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the same rules in JSON Schema's words, each with its bounds and labels."""
    household: dict[str, Any] = schema["properties"]
    members: dict[str, Any] = household["members"]
    person: dict[str, Any] = members["items"]["properties"]
    head = {
        "relation": _narrowed(person["relation"], Relation.HEAD),
        "presence": _narrowed(person["presence"], *LIVING_HERE),
    }
    ages = [
        {"required": [name], "properties": {name: _answered(person[name])}}
        for name in ("birth_date", "age_years")
    ]
    return {
        **schema,
        "properties": {
            **household,
            "members": {
                **members,
                "items": {**members["items"], "anyOf": ages},
                "contains": {"type": "object", "required": list(head), "properties": head},
                "minContains": 1,
                "maxContains": 1,
            },
        },
        "if": {
            "required": ["lighting"],
            "properties": {"lighting": _narrowed(household["lighting"], Lighting.PLN)},
        },
        "then": {
            "required": ["electricity_power"],
            "properties": {"electricity_power": _answered(household["electricity_power"])},
        },
    }


def _narrowed(question: dict[str, Any], *options: Option) -> dict[str, Any]:
    kept = [option.value for option in options]
    texts = {key: question[key] for key in ("x-enum-labels", "x-enum-codes")}
    return {
        **question,
        "enum": kept,
        **{key: {value: text[value] for value in kept} for key, text in texts.items()},
    }


def _answered(question: dict[str, Any]) -> dict[str, Any]:
    """A question that may be null, without the null."""
    rest = {key: value for key, value in question.items() if key not in ("anyOf", "default")}
    return {**question["anyOf"][0], **rest}


# ── one complete, invented survey in Kelurahan Wates, Kota Mojokerto ─────────────────────────


def sample() -> dict[str, Any]:
    """The body of a survey but for its form and day; invented people, a new copy each time."""
    adult = {
        "age_years": None,
        "marital_status": "married",
        "school_participation": "no_longer",
        "works": True,
        "disability": "none",
        "disability_severity": "none",
        "presence": "lives_here",
        "orphan": False,
        "needs_protection": False,
        "needs_care": False,
        "health_insured": False,
        "runs_business": False,
        "civil_servant": False,
        "accepted_at_university": False,
    }
    head = {
        **adult,
        "name": "Slamet Widodo",
        "national_id": "3576020908849001",
        "birth_date": "1984-08-09",
        "sex": "male",
        "relation": "head",
        "school_level": "smp",
        "occupation": "Buruh harian",
        "monthly_income_idr": 1_400_000,
        "pregnant": False,
        "chronic_illness": "hypertension",
    }
    spouse = {
        **adult,
        "name": "Siti Aminah",
        "national_id": "3576025204889002",
        "birth_date": "1988-04-12",
        "sex": "female",
        "relation": "spouse",
        "school_level": "sma",
        "occupation": "Penjual makanan",
        "runs_business": True,
        "monthly_income_idr": 600_000,
        "pregnant": True,
        "chronic_illness": "none",
    }
    child = {
        **adult,
        "name": "Dewi Lestari",
        "national_id": "3576024302169003",
        "birth_date": "2016-02-03",
        "sex": "female",
        "relation": "child",
        "marital_status": "single",
        "school_participation": "attending",
        "school_level": "sd",
        "works": False,
        "occupation": None,
        "monthly_income_idr": None,
        "pregnant": False,
        "chronic_illness": "asthma",
    }
    answers = {
        "family_card_number": "3576021503129004",
        "address": "Jalan Raya Wates 12",
        "rt": "003",
        "rw": "005",
        "head_name": "Slamet Widodo",
        "members": [head, spouse, child],
        "building_status": "own",
        "land_status": "own",
        "floor_area_m2": 36.5,
        "floor": "cement_brick",
        "wall": "masonry",
        "wall_condition": "poor",
        "roof": "clay_tile",
        "roof_condition": "poor",
        "drinking_water": "protected_well",
        "water_access": "does_not_buy",
        "lighting": "pln_electricity",
        "electricity_power": "w450",
        "cooking_fuel": "gas_3kg",
        "toilet_use": "own",
        "toilet_type": "gooseneck",
        "sewage": "septic_tank",
        "has_fixed_shelter": True,
        "lives_with_another_family": False,
        "head_still_working": True,
        "worried_about_food_last_year": True,
        "food_over_70_percent_of_spending": True,
        "bought_clothing_last_year": False,
        "floor_mostly_earth_or_plaster": True,
        "walls_mostly_bamboo_wire_or_wood": False,
        "has_own_toilet": True,
        "power_450_or_none": True,
        "has_motorcycle": True,
        "has_refrigerator": False,
        "has_other_house": False,
        "land_ha": 0,
        "respondent_name": "Siti Aminah",
        "notes": None,
    }
    return {
        "location": {"latitude": -7.4846, "longitude": 112.4459},
        "answers": answers,
        "program_needs": [
            {"program_code": "PKH", "purpose": "enrol", "beneficiary": {"name": "Siti Aminah"}}
        ],
        "other_needs": [{"text": "Seragam dan buku sekolah untuk anak.", "sector": "education"}],
        "no_needs": False,
        "registry_changes": [],
    }
