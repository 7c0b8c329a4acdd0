"""Reading files and cells, and finding places: pure, every bad input by itself."""

import io
import zipfile
from datetime import date, time
from typing import Any
from uuid import uuid4

import pytest
from openpyxl import Workbook

from app import keys
from app.domain.errors import Invalid
from app.domain.identifiers import birth_date_by_age
from app.domain.places import Places, Said, Unplaced
from app.domain.regions import Region, RegionLevel, region_rows
from app.domain.registry_layouts import Column, bdt2015, by_map, normal, slrt
from app.workflow.imports import cells, columns, reader
from app.workflow.imports.faults import Refused, Unreadable
from app.workflow.imports.people import Checker, quick_ids
from app.workflow.imports.reader import Read, open_file

pytestmark = pytest.mark.embedded


def read(content: bytes, offset: int = 0, line: int = 0) -> list[Read]:
    source = open_file(io.BytesIO(content), len(content))
    return list(source.rows(offset, line))


def told(rows: list[Read]) -> list[tuple[int, Any]]:
    return [(row.line, row.problem or row.cells) for row in rows]


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_header_s(delimiter: str) -> None:
    text = delimiter.join(("nama", "nomor induk", "umur")) + "\n"
    assert read(text.encode())[0].cells == ["nama", "nomor induk", "umur"]


def test_a_mark_at_the_beginning_is_no_part_of_the_first_header() -> None:
    assert read(b"\xef\xbb\xbfname,x\n1,2\n")[0].cells == ["name", "x"]


def test_lines_that_are_no_utf8_are_read_as_windows_1252_and_warned_of() -> None:
    rows = read("name,x\nRené,1\n".encode() + "José,2\n".encode("cp1252") + b"\x81,3\n")
    assert [row.warning for row in rows] == [None, None, "encoding_mixed", "encoding_mixed"]
    assert rows[1].cells[0] == "René"
    assert rows[2].cells[0] == "José"


def test_quotes_may_hold_delimiters_line_breaks_and_quotes() -> None:
    rows = read(b'a,b\n"x, ""y""\nz",2\n3,4\n')
    assert told(rows)[1:] == [(2, ['x, "y"\nz', "2"]), (4, ["3", "4"])]


def test_a_cell_of_five_megabytes_refuses_its_row_alone() -> None:
    big = b"x" * 5_000_000
    rows = read(b"a,b\n1,2\n" + big + b",2\n3,4\n")
    assert told(rows)[1:] == [(2, ["1", "2"]), (3, "cell_too_large"), (4, ["3", "4"])]
    rows = read(b'a,b\n"' + big + b'",2\n3,4\n')
    assert told(rows)[1:] == [(2, "cell_too_large"), (3, ["3", "4"])]
    middling = b"x" * 200_000
    assert told(read(b"a,b\n" + middling + b",2\n3,4\n"))[1] == (2, "cell_too_large")
    assert told(read(b"a,b\n1," + big))[1] == (2, "cell_too_large")


def test_a_quote_that_is_not_closed_swallows_nobody() -> None:
    others = [b"%d,x\n" % n for n in range(40)]
    rows = read(b'a,b\n"lost,x\n' + b"".join(others))
    assert told(rows)[1] == (2, "unterminated_quote")
    assert [row.cells[0] for row in rows[2:]] == [str(n) for n in range(40)]
    assert [row.line for row in rows[2:]] == list(range(3, 43))
    # Near the end of the file, too.
    rows = read(b'a,b\n1,2\n"lost,x\n3,4\n')
    assert told(rows)[1:] == [(2, ["1", "2"]), (3, "unterminated_quote"), (4, ["3", "4"])]


def test_a_quote_in_the_wrong_place_refuses_its_row() -> None:
    rows = read(b'a,b\n"x"y,2\n3,4\n')
    assert told(rows)[1:] == [(2, "quotes_broken"), (3, ["3", "4"])]


def test_reading_goes_on_from_where_a_row_ended() -> None:
    content = b'a,b\n1,2\n"x\ny",2\n"lost,1\n3,4\n\n5,6\n'
    rows = read(content)
    for n, row in enumerate(rows):
        again = read(content, row.end, row.last)
        assert told(again) == told(rows[n + 1 :])


def test_the_last_row_without_a_line_end_is_told() -> None:
    assert [row.warning for row in read(b"a,b\n1,2\n3")] == [None, None, "no_line_end"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        ("a,b\n".encode("utf-16"), "encoding_unknown"),
        (b"a\x00b,c\n", "encoding_unknown"),
        (b"PK\x03\x04", "unreadable_file"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(content)
    assert refused.value.code == code


# xlsx


def workbook(*rows: list[Any]) -> bytes:
    book, made = Workbook(), io.BytesIO()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    book.save(made)
    return made.getvalue()


def test_cells_of_a_workbook_are_read_as_text() -> None:
    day, noon = date(1984, 7, 5), time(12)
    content = workbook(
        ["a", "b"], ["x", 1, 2.5, True, None, day, noon], [], [3.0, 3576024507849001, "=A1", None]
    )
    rows = read(content)
    assert told(rows)[1:] == [
        (2, ["x", "1", "2.5", "1", "", "1984-07-05", "12:00:00"]),
        (4, ["3", "3.576025e+15", "=A1"]),
    ]
    assert told(read(content, 0, 2)) == told(rows)[2:]


def test_a_workbook_that_is_cut_off_says_so() -> None:
    whole = workbook(["a", "b"], *([str(n), "x" * 50] for n in range(2000)))
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:9000] if "sheet1" in name else content)
    rows = read(made.getvalue())
    assert rows[-1].problem == "truncated"
    assert len(rows) > 10


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = io.BytesIO(workbook(["a", "b"]))
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", b"<sst>" + b" " * 100)
    content = made.getvalue()
    for limit in ("UNPACKED_BYTES", "STRINGS_BYTES"):
        with monkeypatch.context() as patched:
            patched.setattr(reader, limit, 10)
            with pytest.raises(Unreadable, match="file_too_large"):
                read(content)


# Headers


def test_headers_are_compared_without_case_numbers_and_spaces() -> None:
    assert normal("\ufeffNIK ( 81 )") == normal(" nik") == "nik"
    assert columns.choose([str(one.header) for one in bdt2015().columns], "auto").name == "bdt2015"
    assert columns.choose(["name"], "auto").name == "slrt"
    assert columns.choose(["name"], "bdt2015").name == "bdt2015"


def test_a_row_of_column_numbers_is_no_person() -> None:
    assert columns.is_numbering(["1", "(2)", "3", ""])
    assert not columns.is_numbering(["1"])
    assert not columns.is_numbering(["1", "Siti"])


# Cells


def test_cells_are_read_as_people_and_spreadsheets_write_them() -> None:
    assert [cells.number(text) for text in ("7", " 7.0", "007", "7.5", "-7", "x", "9" * 12)] == [
        7, 7, 7, None, None, None, None,
    ]  # fmt: skip
    assert [cells.decimal(text) for text in ("2,5", "2.5", "x", "1.2.3")] == [2.5, 2.5, None, None]
    assert cells.day("05/07/1984", None) == date(1984, 7, 5)
    assert cells.day("1984-07-05", None) == date(1984, 7, 5)
    assert cells.day("1984-07-05", "%d/%m/%Y") is None


def test_texts_are_cleaned_and_what_looks_like_a_formula_is_refused() -> None:
    assert cells.line("  Siti\t Aminah ", 20, "name") == "Siti Aminah"
    assert cells.line("-", 20, "name") == ""
    assert cells.line("Rene\u0301\u202e", 20, "name") == "Ren\xe9"
    for text, code in (
        ("=1", "formula"), ("@x", "formula"), ("x\x00", "character_not_allowed"),
        ("x" * 21, "too_long"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=code):
            cells.line(text, 20, "name")


def test_facts_are_rendered_once_for_each_text() -> None:
    def fact(target: str, raw: str, values: Any = None) -> Any:
        column = Column(target, target, values)
        assert column.fact is not None
        return cells.fact_cells(column, column.fact)[raw]

    assert fact("floor", "2", {"2": "ceramic"}) == '"floor":"ceramic"'
    assert fact("floor", "2.0", {"2": "ceramic"}) == '"floor":"ceramic"'
    assert fact("floor", "3", {"2": "ceramic"}) is None
    assert fact("floor", "") == ""
    assert fact("has_car", "Ya") == '"has_car":true'
    assert fact("bedrooms", "3") == '"bedrooms":3'
    assert fact("bedrooms", "51") is None
    assert fact("bedrooms", "-") == ""
    assert fact("floor_area_m2", "12,5") == '"floor_area_m2":12.5'
    assert fact("occupation", "Buruh") == '"occupation":"Buruh"'
    assert fact("occupation", "=1") is None
    lookup = cells.Lookup(str.upper)
    assert lookup["a"] == "A"
    assert dict(lookup) == {"a": "A"}


def test_a_lookup_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "REMEMBERED", 2)
    lookup = cells.Lookup(str.upper)
    assert [lookup[text] for text in "abcd"] == ["A", "B", "C", "D"]
    assert len(lookup) == 2


# Places

REGIONS = [Region(**row) for row in region_rows()]
TWINS = [
    Region(code="35.76.01.2001", name="Kembar", level=RegionLevel.VILLAGE),
    Region(code="35.76.02.2001", name="Kembar", level=RegionLevel.VILLAGE),
]
BPS = {"3576020001": "35.76.02.1010", "3576021010": "35.76.02.1009", "3576999999": "11.11.11.1111"}
PLACES = Places.of("35.76", [*REGIONS, *TWINS], BPS)
LOST = [Region(code="35.76.02.3001", name="Baru", level=RegionLevel.VILLAGE,
    former_codes=["35.76.02.1010"])]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (Said(code="35.76.02.1010"), ("35.76.02.1010", None)),
        (Said(code="35.76.02.1010", village_name="WATES"), ("35.76.02.1010", None)),
        (Said(code="35.76.02.1001", village_name="Gunung Gedangan"), ("35.76.02.1001", None)),
        (Said(code="35.76.02.1002", village_name="Meri"), ("35.76.03.1003", "former_code")),
        (Said(code="3576021002"), ("35.76.03.1003", "former_code")),
        (Said(code="3576020001"), ("35.76.02.1010", "bps")),
        (Said(code="3576021010", village_name="Wates"), ("35.76.02.1010", None)),
        (Said(code="3576021010", village_name="Kedundung"), ("35.76.02.1009", "bps")),
        (Said(village="3576021008"), ("35.76.02.1008", None)),
        (Said("", "35", "76", "02", "1010"), ("35.76.02.1010", None)),
        (Said("", "35", "3576", "357602", "1010"), ("35.76.02.1010", None)),
        (Said("", "35", "76", "020", "001"), ("35.76.02.1010", "bps")),
        (Said("", "35", "76", "20", "1", village_name="Wates"), ("35.76.02.1010", "name")),
        (Said("", "35", "76", "2x", "1", village_name="wates"), ("35.76.02.1010", "name")),
        (Said(code="3576029999", village_name="wa tes"), ("35.76.02.1010", "name")),
        (Said(village_name="Kembar", district_name="Magersari"), ("35.76.02.2001", "name")),
    ],
)
def test_a_place_is_found(said: Said, found: tuple[str, str | None]) -> None:
    assert PLACES.find(said) == found


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Said(), "region_unknown"),
        (Said(code="nonsense"), "region_unknown"),
        (Said(code="3576029999"), "region_unknown"),
        (Said(code="3576029999", village_name="Nirgends"), "region_unknown"),
        (Said(code="35.76.02.1010", village_name="Kauman"), "region_contradiction"),
        (Said(code="35.15.02.1010", village_name="Wates"), "region_out_of_scope"),
        (Said(code="3515021010"), "region_out_of_scope"),
        (Said(code="3576021010"), "region_ambiguous"),
        (Said(village_name="Kembar"), "region_ambiguous"),
        (Said(village_name="Kembar", district_name="Kranggan"), "region_unknown"),
    ],
)
def test_a_place_is_never_guessed(said: Said, code: str) -> None:
    with pytest.raises(Unplaced) as unplaced:
        PLACES.find(said)
    assert unplaced.value.code == code


def test_a_code_that_was_another_s_before_is_told_apart_by_name() -> None:
    places = Places.of("35.76", [*REGIONS, *LOST], {})
    assert places.find(Said(code="35.76.02.1010", village_name="Baru")) == (
        "35.76.02.3001", "former_code",
    )  # fmt: skip
    with pytest.raises(Unplaced, match="region_ambiguous"):
        places.find(Said(code="35.76.02.1010"))


# People


def checker(header: list[str], pads: bool = False) -> Checker:
    placed = columns.placed(slrt(), header)
    return Checker(
        uuid4(), placed, len(header), pads, PLACES, keys.throwaway().data, date(2026, 11, 24),
        frozenset({"PKH"}),
    )  # fmt: skip


def faults_of(header: list[str], *rows: list[str], pads: bool = False) -> list[tuple[int, str]]:
    one = checker(header, pads)
    for n, row in enumerate(rows, 2):
        one.take(Read(n, row, 0, n))
    return [(fault.line, fault.code) for fault in one.hand_over()[1].faults]


SHORT = ["household_id", "village_name", "name", "relation", "member_id", "ruta6", "age_years"]


def test_people_are_keyed_by_what_the_registry_calls_them() -> None:
    one = checker([*SHORT, "member_number"])
    rows = [
        ["R1", "Wates", "Siti", "head", "M-1", "", "", "1"],
        ["R1", "Wates", "Budi", "child", "", "", "", "2"],
        ["R1", "Wates", "Tono", "child", "", "", "", ""],
        ["", "Wates", "Ani", "head", "", "ABC123", "", "1"],
        ["R" * 40, "Wates", "Eko", "head", "", "a b", "", "1"],
    ]
    for n, row in enumerate(rows, 2):
        one.take(Read(n, row, 0, n))
    (homes, people, _), tally = one.hand_over()
    assert not tally.faults
    keys_ = [row[3] for row in people]
    assert keys_[:2] == ["M-1", "R102"]
    assert keys_[2].startswith("m:")
    assert keys_[3] == "ABC12301"
    assert keys_[4].startswith("m:")
    assert [home[2] for home in homes] == ["R1", "ABC123", "R" * 40]


def test_rows_that_are_cut_short_or_too_old_are_refused() -> None:
    row = ["R1", "Wates", "Siti", "head", "", "", "121"]
    assert faults_of(SHORT, row) == [(2, "implausible_age")]
    assert faults_of(SHORT, row[:4]) == [(2, "too_few_columns")]
    assert faults_of(SHORT, row[:4], pads=True) == []
    assert faults_of(SHORT, [*row[:6], "40", "", ""]) == []
    one = checker(SHORT)
    one.take(Read(2, row[:3], 0, 2, None, "no_line_end"))
    assert one.hand_over()[1].faults[0].code == "truncated"


def test_what_the_reader_found_is_listed() -> None:
    one = checker(SHORT)
    one.take(Read(2, [], 0, 2, "quotes_broken", "encoding_mixed"))
    one.take(Read(3, ["R1", "Wates", "José", "head", "", "", ""], 0, 3, None, "encoding_mixed"))
    (_, people, _), tally = one.hand_over()
    assert [(fault.line, fault.code, fault.refused) for fault in tally.faults] == [
        (2, "encoding_mixed", False), (2, "quotes_broken", True), (3, "encoding_mixed", False),
    ]  # fmt: skip
    assert len(people) == 1


def test_codes_of_programmes_and_presence_are_read_or_warned_of() -> None:
    layout = by_map(
        {
            "household_id": 1, "village_name": 2, "name": 3, "relation": 4,
            "program:PKH": {"column": 5, "values": {"ADA": True}}, "national_id": 6,
            "age_years": 7, "presence": {"column": 8, "values": {"x": None, "m": "dead"}},
        }
    )  # fmt: skip
    header = ["id", "desa", "nama", "hub", "pkh", "nik", "umur", "ada"]
    placed = columns.placed(layout, header)
    one = Checker(
        uuid4(), placed, 8, False, PLACES, keys.throwaway().data, date(2026, 11, 24),
        frozenset({"PKH"}),
    )  # fmt: skip
    one.take(Read(2, ["R1", "Wates", "Siti", "head", "?", "3576029999990001", "30", "m"], 0, 2))
    one.take(Read(3, ["R2", "Wates", "Ani", "head", "ada", "3576020507840001", "20", "x"], 0, 3))
    (homes, people, _), tally = one.hand_over()
    assert [(fault.line, fault.code) for fault in tally.faults] == [
        (2, "fact_unreadable"), (2, "national_id_structure"), (3, "national_id_birth_date"),
    ]  # fmt: skip
    assert [home[12] for home in homes] == [[], ["PKH"]]
    assert [row[13] for row in people] == ["dead", None]
    with pytest.raises(Unreadable):
        columns.placed(layout, header[:3])


def test_a_map_may_say_any_text_for_what_is_free() -> None:
    layout = by_map(
        {
            "household_id": 1, "village_name": 2, "name": 3, "relation": 4,
            "occupation": {"column": 5, "values": {"1": "Buruh"}},
        }
    )  # fmt: skip
    assert layout.columns[-1].values == {"1": "Buruh"}
    with pytest.raises(Invalid, match="map_invalid"):
        by_map({"birth_date": {"column": 1, "date": "%d/%m/%Y %q"}})
    with pytest.raises(Invalid, match="map_invalid"):
        by_map([])


def test_two_people_of_one_card_share_a_family() -> None:
    header = ["family_card_number", "village_name", "name", "relation", "member_number"]
    one = checker(header)
    for n, name in enumerate(("Siti", "Budi"), 1):
        one.take(Read(n, ["3576021001200001", "Wates", name, "head", str(n)], 0, n))
    (_, people, _), _ = one.hand_over()
    assert people[0][14] == people[1][14] is not None


def test_a_leap_day_in_a_number_is_a_birth_date_only_in_a_leap_year() -> None:
    def born(national_id: str, age: int) -> date | None:
        return birth_date_by_age(national_id, age, date(2026, 11, 24))

    assert born("3576022902849001", 42) == date(1984, 2, 29)
    assert born("3576022902009001", 26) == date(2000, 2, 29)
    assert born("3576022902009001", 126) is None
    assert born("3576022902839001", 43) is None
    assert born("3576020507849001", 42) == date(1984, 7, 5)
    assert born("3576020507849001", 30) is None


def test_quick_ids_are_version_7_and_all_different() -> None:
    ids = [one for one, _ in zip(quick_ids(), range(2000), strict=False)]
    assert len(set(ids)) == 2000
    assert {one.version for one in ids} == {7}
    assert {one.variant for one in ids} == {"specified in RFC 4122"}
