"""The registry's import: good rows land, bad rows do not, twice is once, nothing is half there."""

import asyncio
import csv
import io
import json
import os
import platform
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from openpyxl import Workbook

from app import importing
from app.database import create_engine, create_sessions
from app.demo import registry_file
from app.domain import registry_imports
from app.domain.errors import Conflict, Invalid
from app.domain.identifiers import national_id_warnings
from app.domain.operations import LostLease, Operations, OperationStatus
from app.domain.registry_imports import APPLY_LOCK, RegistryImports
from app.domain.registry_statements.parts import REGION_OF
from app.problems.catalogue import FAULTS
from app.routers import bodies
from app.workflow import operations
from app.workflow.imports import run
from app.workflow.imports.faults import REFUSALS, WARNINGS
from app.workflow.imports.requests import ImportRequest
from tests import processes
from tests.conftest import World
from tests.flows import NATIONAL_ID, key
from tests.processes import Shell
from tests.refusals import faults, refused
from tests.registry_files import (
    HEADER,
    HEADERS,
    as_csv,
    at,
    bdt,
    imported,
    landed,
    listed,
    operation,
    own,
    put,
    send,
)
from tests.test_registry_changes import approved, proposed

OTHER_ID = "3576021503799002"


TABLES = (
    "households, members, families, registry_ids, welfare_ranks, participations,"
    " registry_versions, registry_entries, operations, operation_chunks, operation_faults,"
    " registry_rows, registry_homes, registry_refusals, bps_codes"
)


@pytest.fixture(autouse=True)
def _an_empty_registry(world: World) -> None:
    world.cluster.execute(world.database, f"truncate {TABLES} cascade")


def rows_of(world: World, table: str, columns: str = "*", where: str = "true") -> list[Any]:
    return world.fetch(f"select {columns} from {table} where {where} order by 1")


def one(world: World, sql: str) -> Any:
    return world.fetch(sql)[0][0]


# The BDT-2015 layout


def test_a_bdt_file_lands_as_households_people_facts_ranks_and_participations(world: World) -> None:
    rows = bdt(60)
    result = landed(world, as_csv(rows))
    assert result["layout"] == "bdt2015"
    assert (result["rows_read"], result["rows_landed"], result["rows_refused"]) == (60, 60, 0)
    assert result["people"]["new"] == 60
    households = {at(row, 2) for row in rows[2:]}
    assert result["households"]["new"] == len(households)
    first = rows[2]
    home = world.fetch(
        "select * from households where registry_source = 'BDT' and registry_id = $1", at(first, 2)
    )[0]
    assert home["address"] == at(first, 12)
    assert (home["rt"], home["rw"]) == (at(first, 11)[3:6], at(first, 11)[10:13])
    percentile = int(at(first, 78))
    assert (home["percentile"], home["decile"]) == (percentile, -(-percentile // 10))
    facts = json.loads(home["facts"])
    assert facts["has_motorcycle"] == (at(first, 42) in ("1", "3"))
    assert facts["member_count"] == int(at(first, 14))
    assert facts["floor"]
    assert home["facts_source"] == "BDT"
    assert str(home["facts_as_of"]) == "2026-11-01"
    ids = world.fetch(
        "select kind, value, source_version from registry_ids where household_id = $1 order by 1",
        home["id"],
    )
    assert [tuple(row) for row in ids] == [
        ("household", at(first, 2), "2015"), ("ruta6", at(first, 1), "2015"),
    ]  # fmt: skip
    programs = world.fetch(
        "select program_code from participations where household_id = $1", home["id"]
    )
    wanted = {59: "KKS", 60: "PIP", 61: "PBI_JKN", 65: "PKH", 66: "RASTRA", 67: "KUR"}
    yes = {code for column, code in wanted.items() if at(first, column) in ("1", "3")}
    assert {row[0] for row in programs} == yes
    person = world.fetch(
        "select * from members where household_id = $1 and number = 1", home["id"]
    )[0]
    assert person["name"] == at(first, 80)
    assert person["registry_id"] == at(first, 2) + "01"
    assert person["relation"] == "head"
    assert person["sex"] == {"1": "male", "2": "female"}[at(first, 85)]
    assert str(person["birth_date"].year % 100).zfill(2) == at(first, 81)[10:12]
    assert person["birth_year"] == person["birth_date"].year
    assert json.loads(person["facts"])["age_years"] == int(at(first, 86))
    # What the households' page shows is what was imported, with masked numbers.
    shown = world.as_("manager").get(f"/households/{home['id']}").json()
    assert shown["members"][0]["national_id"] == f"{at(first, 81)[:4]}********{at(first, 81)[-4:]}"


def test_the_header_is_known_with_and_without_numbers_spaces_and_case(world: World) -> None:
    rows = bdt(20)
    plain = [re.sub(r" \(\d+\)$", "", header) for header in HEADERS]
    odd = [f"  {plain[n].upper()} " if n % 2 else header for n, header in enumerate(HEADERS)]
    result = landed(world, as_csv([odd, *rows[2:]]))
    assert result["rows_landed"] == 20


def test_old_region_codes_are_mapped_and_counted(world: World) -> None:
    rows = bdt(300)
    result = landed(world, as_csv(rows))
    assert result["regions_mapped"]["former_code"] > 10
    assert result["regions_mapped"]["bps"] == result["regions_mapped"]["name"] == 0
    meri = next(row for row in rows[2:] if at(row, 9) == "MERI")
    assert (at(meri, 8), at(meri, 10)) == ("02", "1002")
    found = world.fetch(
        "select village_code, district_code from households where registry_id = $1", at(meri, 2)
    )
    assert tuple(found[0]) == ("35.76.03.1003", "35.76.03")


def test_a_birth_date_is_taken_from_a_number_only_where_the_age_agrees(world: World) -> None:
    rows = bdt(3)
    number = "3576024507840001"
    good = put(put(put(rows[2], 81, number), 86, "42"), 85, "2")
    off = put(put(put(put(rows[2], 81, number), 86, "20"), 85, "1"), 79, "7")
    none = put(put(put(rows[2], 81, ""), 86, "30"), 79, "8")
    result = landed(world, as_csv([*rows[:2], good, off, none]))
    found = rows_of(world, "members", "number, birth_date, birth_year, warnings",
        "registry_id is not null and number in (1, 7, 8)")  # fmt: skip
    # The second line of one number in one household is one person twice.
    assert [row["number"] for row in found] == [1, 8]
    assert str(found[0]["birth_date"]) == "1984-07-05"
    assert (found[1]["birth_date"], found[1]["birth_year"]) == (None, 1996)
    codes = {(line["line"], line["code"]) for line in listed(world, result["id"])}
    assert ("4", "national_id_sex") in codes
    assert ("4", "national_id_birth_date") in codes
    assert ("4", "duplicate_row") in codes


# Twice, again, anew


def test_the_same_file_twice_changes_nothing(world: World) -> None:
    content = as_csv(bdt(80))
    landed(world, content)
    before = rows_of(world, "members"), rows_of(world, "households"), rows_of(world, "registry_ids")
    again = landed(world, content)
    assert again["people"] | {"unchanged": 0} == dict.fromkeys(again["people"], 0)
    assert again["people"]["unchanged"] == 80
    after = rows_of(world, "members"), rows_of(world, "households"), rows_of(world, "registry_ids")
    assert before == after
    assert one(world, "select count(*) from registry_versions") == 1
    assert one(world, "select count(*) from registry_entries") == 0


def test_a_new_version_changes_adds_ends_and_keeps_history(world: World) -> None:
    siti = {"national_id": NATIONAL_ID}
    budi = {"member_number": "2", "name": "Budi", "relation": "child", "sex": "male",
        "birth_date": "2010-02-03"}  # fmt: skip
    gone = {"household_id": "RT-2", "name": "Joko"}
    landed(world, own(siti, budi, gone), source="DTSEN", version="1")
    changed = own(
        siti | {"floor": "earth", "national_id": OTHER_ID},
        siti | {"floor": "earth", "member_number": "3", "name": "Tono", "relation": "child",
            "national_id": ""},
    )  # fmt: skip
    planned = landed(
        world, changed, source="DTSEN", version="2", as_of="2026-11-10", dry_run="true"
    )
    assert planned["dry_run"] is True
    assert one(world, "select count(*) from members where ended_at is not null") == 0
    result = landed(world, changed, source="DTSEN", version="2", as_of="2026-11-10")
    assert {k: planned[k] for k in ("people", "households")} == {
        k: result[k] for k in ("people", "households")
    }
    assert result["households"] | {"held": 0} == {
        "new": 0, "changed": 1, "unchanged": 0, "ended": 1, "returned": 0, "held": 0,
    }  # fmt: skip
    assert result["people"] | {"held": 0} == {
        "new": 1, "changed": 1, "unchanged": 0, "ended": 2, "returned": 0, "held": 0,
    }  # fmt: skip
    home = world.fetch("select * from households where registry_id = 'RT-1'")[0]
    assert home["version"] == 2
    entries = world.fetch("select what, changes, member_id from registry_entries order by what, id")
    assert [row["what"] for row in entries] == ["changed", "changed", "ended", "ended", "ended"]
    changes = [json.loads(row["changes"]) for row in entries]
    assert {"floor": ["ceramic", "earth"]} in changes
    assert {"national_id": ["3576********9001", "3576********9002"]} in changes
    # The new number opens: it is sealed for the row that it went to.
    shown = world.as_("manager").get(f"/households/{home['id']}").json()
    assert shown["members"][0]["national_id"] == "3576********9002"
    # Who is in it again comes back, the same person as before.
    back = landed(world, own(siti, budi, gone), source="DTSEN", version="3", as_of="2026-11-11")
    assert back["people"]["returned"] == 2
    assert back["households"]["returned"] == 1
    assert one(world, "select count(*) from members where registry_id like 'RT-%'") == 4


def test_a_part_of_the_registry_ends_nobody(world: World) -> None:
    landed(world, own({}, {"household_id": "RT-2"}))
    result = landed(world, own({}), version="2016", whole="false")
    assert result["households"]["ended"] == result["people"]["ended"] == 0


def test_who_stands_in_a_refused_row_is_not_ended_for_it(world: World) -> None:
    landed(world, own({}, {"household_id": "RT-2", "name": "Joko"}))
    result = landed(world, own({}, {"household_id": "RT-2", "name": "=1+1"}), version="2016")
    assert result["rows_refused"] == 1
    assert result["people"]["ended"] == result["households"]["ended"] == 0


@pytest.mark.parametrize("hurt", ["cut", "quote", "swallowed", "lines", "refused"])
def test_a_file_that_is_not_whole_ends_nobody(world: World, hurt: str) -> None:
    names = {f"RT-{n}": name for n, name in enumerate(("Siti", "Joko", "Budi", "Rini"), 1)}
    everybody = own(*({"household_id": id, "name": name} for id, name in names.items()))
    landed(world, everybody)
    file, code = {
        "cut": (everybody[: everybody.index(b"Budi")], "truncated"),
        "quote": (everybody.replace(b"Joko", b'"Jo"ko'), "quotes_broken"),
        # What stands between two stray quotes is one cell.
        "swallowed": (
            everybody.replace(b"Joko", b'"Joko').replace(b"Budi", b'Budi"'), "quotes_broken"
        ),
        "lines": (everybody.replace(b"Joko,", b'"Jo\nko",,'), "too_many_columns"),
        "refused": (everybody.replace(b"Siti", b"=1+1").splitlines(), "formula"),
    }[hurt]  # fmt: skip
    content = b"\n".join(file[:2]) if isinstance(file, list) else file
    result = landed(world, content, version="2016")
    assert result["faults"] == {code: 1} | ({} if hurt == "refused" else {"not_whole": 1})
    assert (result["whole"], result["people"]["ended"], result["households"]["ended"]) == (
        False, 0, 0,
    )  # fmt: skip
    assert one(world, "select whole from registry_versions where version = '2016'") is False
    # What was said to be a part of the registry needs no warning.
    assert landed(world, content, version="2017", whole="false")["faults"] == {code: 1}
    whole = landed(world, everybody.rsplit(b"RT-4", 1)[0], version="2018")
    assert (whole["whole"], whole["people"]["ended"]) == (True, 1)


def test_an_older_version_is_refused_once_a_newer_one_is_applied(world: World) -> None:
    landed(world, own({}), version="2")
    refused(send(world, own({}), version="1", as_of="2026-01-01"), 409, "newer_version_applied")


def test_what_was_changed_here_later_stays_and_the_dead_stay_dead(world: World) -> None:
    landed(world, own({}))
    world.fetch(
        "update households set facts = facts || '{\"floor\": \"bamboo\"}', address = 'Gang Baru',"
        ' facts_changed = \'{"floor": {"source": "survey", "as_of": "2026-11-20"},'
        ' "address": {"source": "survey", "as_of": "2026-11-20"}}\''
        " where registry_id = 'RT-1'"
    )
    world.fetch("update members set presence = 'dead', presence_on = '2026-11-02'"
        " where registry_id = 'RT-101'")  # fmt: skip
    content = own({"floor": "earth", "has_car": "yes", "address": "Jl. Lain", "name": "Siti A"})
    landed(world, content, version="2", as_of="2026-11-15")
    home = world.fetch("select facts, address from households where registry_id = 'RT-1'")[0]
    assert json.loads(home["facts"])["floor"] == "bamboo"
    assert json.loads(home["facts"])["has_car"] is True
    assert home["address"] == "Gang Baru"
    person = world.fetch("select name, presence from members where registry_id = 'RT-101'")[0]
    assert tuple(person) == ("Siti A", "dead")
    # A version of a later day says it anew.
    landed(world, own({"floor": "earth", "decile": "3"}), version="3", as_of="2026-11-22")
    home = world.fetch("select facts, address, decile from households where registry_id = 'RT-1'")
    assert json.loads(home[0]["facts"])["floor"] == "earth"
    assert (home[0]["address"], home[0]["decile"]) == ("Jl. Raya 1", 3)
    ranks = world.fetch("select source_version, decile from welfare_ranks order by as_of")
    assert [tuple(row) for row in ranks] == [("2015", 2), ("2", 2), ("3", 3)]


def test_who_moved_here_later_stays_there_with_all_who_belong_to_them(world: World) -> None:
    budi = {"member_number": "2", "name": "Budi", "relation": "child", "presence": "found"}
    header = HEADER + ",presence"
    landed(world, own({}, budi, header=header))
    home = world.fetch("select id::text from households where registry_id = 'RT-1'")[0]["id"]
    child = world.fetch("select id::text from members where registry_id = 'RT-102'")[0]["id"]
    there, fields = "35.76.02.1004", {"region_code": "35.76.02.1004", "address": "Jl. Baru 9"}
    for whose in ({"household_id": home}, {"member_id": child}):
        move = proposed(world, "front.1", kind="report_move", fields=fields, **whose)
        assert approved(world, move["id"])["state"] == "manager_approved"
    tono = {"member_number": "3", "name": "Tono", "relation": "child"}
    changed = {"address": "Jl. Lain", "rt": "009", "works": "no"}
    file = own(changed, budi | changed, tono | changed, header=header)
    sql = "select village_code, address, rt, rw from households where registry_id = 'RT-1'"
    of = f"select distinct village_code from members where household_id = '{home}'"
    # Not yet confirmed, and confirmed: it is of a later day than the file either way.
    for version, state in (("2", "manager_approved"), ("3", "confirmed")):
        world.fetch("update registry_changes set state = $1 where household_id = $2::text::uuid",
            state, home)  # fmt: skip
        landed(world, file, version=version, as_of="2026-11-15")
        assert tuple(world.fetch(sql)[0]) == (there, "Jl. Baru 9", None, None)
        assert [row[0] for row in world.fetch(of)] == [there]
        assert one(world, f"select presence from members where id = '{child}'") == "moved"


def test_a_fact_that_the_layout_cannot_say_stays_with_its_own_source(world: World) -> None:
    landed(world, own({}))
    world.fetch("update households set facts = facts || '{\"has_own_toilet\": true}',"
        " facts_source = 'survey 1'")  # fmt: skip
    landed(world, own({"floor": "earth"}), version="2", as_of="2026-11-15")
    home = world.fetch("select * from households where registry_id = 'RT-1'")[0]
    assert json.loads(home["facts"])["has_own_toilet"] is True
    assert json.loads(home["facts_changed"])["has_own_toilet"]["source"] == "survey 1"
    assert home["facts_source"] == "BDT"


# Our own layout, and any other


def test_a_household_without_an_id_is_known_by_its_family_card(world: World) -> None:
    card = "3576021001200001"
    lone = {"household_id": "", "family_card_number": card}
    landed(world, own(lone))
    again = landed(world, own(lone | {"floor": "earth"}), version="2")
    assert again["households"]["changed"] == 1
    assert again["people"]["new"] == 0
    home = world.fetch("select * from households where registry_source = 'BDT'")[0]
    assert card not in home["registry_id"]
    shown = world.as_("manager").get(f"/households/{home['id']}").json()
    assert shown["family_card_number"] == "3576********0001"
    # Another source that has an id for it finds it by the card.
    other = landed(world, own({"family_card_number": card}), source="DTSEN", version="1")
    assert other["households"]["new"] == 0
    assert other["people"]["new"] == 0
    assert one(world, "select count(*) from households") == 1


def test_participations_that_a_later_version_no_longer_has_end(world: World) -> None:
    landed(world, own({"programs": "PKH; BPNT"}))
    result = landed(world, own({"programs": "PKH, NONSENSE"}), version="2", as_of="2026-11-10")
    found = rows_of(world, "participations", "program_code, ended_on, as_of")
    assert [(row[0], str(row[1])) for row in found] == [("BPNT", "2026-11-10"), ("PKH", "None")]
    assert result["faults"]["program_unknown"] == 1


def test_any_other_file_is_read_by_a_map(world: World) -> None:
    content = (
        b"NO_RUMAH|NAMA LENGKAP|TGL|KELAMIN|SHDK|DESA|LANTAI\n"
        b"A1|Siti Aminah|05.07.1984|P|KK|Wates|tanah\n"
        b"A1|Budi|03.02.2010|L|ANAK|Wates|tanah\n"
        b"A2|Anton|01.02.1970|L|FAMILI LAIN|Wates|tanah\n"
    )
    columns = {
        "household_id": "NO_RUMAH",
        "name": {"column": 2},
        "birth_date": {"column": "TGL", "date": "%d.%m.%Y"},
        "sex": {"column": "KELAMIN", "values": {"P": "female", "L": "male"}},
        "relation": {"column": "SHDK", "values": {"KK": "head", "Anak": "child"}},
        "village_name": "DESA",
        "floor": {"column": "lantai", "values": {"Tanah": "earth"}},
    }
    result = landed(world, content, map=json.dumps(columns))
    assert (result["rows_landed"], result["rows_refused"]) == (2, 1)
    assert result["regions_mapped"]["name"] == 1
    assert [line["code"] for line in listed(world, result["id"])] == ["not_an_option"]
    people = rows_of(world, "members", "name, birth_date, sex", "registry_id is not null")
    assert [(row[0], str(row[1]), row[2]) for row in people] == [
        ("Budi", "2010-02-03", "male"), ("Siti Aminah", "1984-07-05", "female"),
    ]  # fmt: skip


def test_a_map_that_means_nothing_is_refused_with_its_places(world: World) -> None:
    wrong: dict[str, Any] = {
        "name": {"column": 0}, "colour": "X", "sex": {"column": "S", "values": {"1": "man"}},
        "birth_date": {"column": "B", "date": "no date"}, "rt": {"column": "R", "date": "%Y"},
        "floor": {"column": "F", "values": []}, "rw": [], "address": {"column": True},
    }  # fmt: skip
    answer = send(world, own({}), map=json.dumps(wrong))
    refused(answer, 422, "map_invalid")
    assert faults(answer) == {
        "/name/column": "missing", "/colour": "unknown_field", "/sex/values": "not_an_option",
        "/birth_date/date": "invalid_format", "/rt/date": "invalid_format",
        "/floor/values": "wrong_type", "/rw": "wrong_type", "/address/column": "wrong_type",
        "/relation": "missing", "/household_id": "missing", "/region_code": "missing",
    }  # fmt: skip
    refused(send(world, own({}), map="{"), 422, "map_invalid")
    refused(send(world, own({}), map="{}"), 422, "map_invalid")


# Files that are wrong as a whole


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (b"a,b,c\n1,2,3\n", "wrong_columns"),
        (b'"a,b\n', "wrong_columns"),
        (own(), "no_rows"),
        ("nama,nik\n".encode("utf-16"), "encoding_unknown"),
        (b"PK\x03\x04 no archive", "unreadable_file"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(world: World, content: bytes, code: str) -> None:
    found = imported(world, content)
    assert (found["status"], found["problem"]["code"]) == ("failed", code)
    assert one(world, "select count(*) from members where registry_id is not null") == 0


def test_wrong_columns_are_named(world: World) -> None:
    rows = bdt(3)
    short = [[cell for n, cell in enumerate(row) if n not in (1, 79)] for row in rows]
    found = imported(world, as_csv(short))
    assert found["problem"]["code"] == "wrong_columns"
    assert found["result"]["missing"] == ["ID rumah tangga (2)", "Nama ART"]
    found = imported(world, b"name,relation,village_name,3576024507849001\nx,head,Wates,y\n")
    assert found["result"]["missing"] == ["household_id"]
    assert found["result"]["unknown"] == ["column 4"]
    assert NATIONAL_ID not in json.dumps(found)


# Rows that are wrong


def test_every_bad_row_is_listed_with_its_reason_and_the_good_ones_land(world: World) -> None:
    header = own().decode()
    good = own({}).decode().removeprefix(header)

    def row(**changes: str) -> str:
        return own(changes).decode().removeprefix(header)

    lines = [
        (good, None),
        (row(household_id="RT-2", name=""), "missing"),
        (row(household_id="RT-3", name="=cmd()"), "formula"),
        (row(household_id="RT-4", address="+62 8"), "formula"),
        (row(household_id="RT-5", name="x" * 121), "too_long"),
        (row(household_id="RT-6", relation="boss"), "not_an_option"),
        (row(household_id="RT-7", relation=""), "missing"),
        (row(household_id="RT-8", birth_date="1900-01-00"), "implausible_date"),
        (row(household_id="RT-9", birth_date="1900-01-01"), "implausible_date"),
        (row(household_id="RT-10", birth_date="2027-01-01"), "implausible_date"),
        (row(household_id="RT-11", region_code="35.76.02.9999", village_name=""),
            "region_unknown"),
        (row(household_id="RT-12", region_code="35.15.02.1010"), "region_out_of_scope"),
        (row(household_id="RT-13", village_name="Kedundung"), "region_contradiction"),
        (row(household_id="", name="Nobody's"), "missing"),
        (row(household_id="a b"), "invalid_format"),
        ("too,few\n", "too_few_columns"),
        (good.rstrip("\n") + ",more\n", "too_many_columns"),
        (row(household_id="RT-14", name="Si\x07ti"), "character_not_allowed"),
        (row(name="Siti again"), "duplicate_row"),
    ]  # fmt: skip
    result = landed(world, (header + "".join(text for text, _ in lines)).encode())
    wanted = [(str(n), code) for n, (_, code) in enumerate(lines, 2) if code]
    found = listed(world, result["id"])
    assert [(one["line"], one["code"]) for one in found if one["refused"] == "yes"] == wanted
    assert result["rows_refused"] == len(wanted)
    assert result["rows_landed"] == 1
    assert all(one["reason"] for one in found)
    assert one(world, "select count(*) from members where registry_id is not null") == 1
    assert result["faults"]["implausible_date"] == 3


def test_what_is_odd_is_warned_of_and_the_row_lands_all_the_same(world: World) -> None:
    people = [
        {"national_id": "123"},
        {"household_id": "RT-2", "national_id": NATIONAL_ID, "sex": "male"},
        {"household_id": "RT-3", "national_id": NATIONAL_ID, "birth_date": "1984-07-06"},
        {"household_id": "RT-4", "sex": "x", "floor": "gold", "birth_date": "soon",
            "decile": "11", "family_card_number": "12", "member_number": "1"},
        {"household_id": "RT-4", "member_number": "2", "name": "Budi", "address": "Jl. Lain",
            "family_card_number": "", "decile": "4"},
        {"household_id": "RT-5", "national_id": "3576029999990000"},
    ]  # fmt: skip
    result = landed(world, own(*people))
    assert (result["rows_landed"], result["rows_refused"]) == (6, 0)
    found = [(one["line"], one["code"]) for one in listed(world, result["id"])]
    assert sorted(found) == [
        ("2", "national_id_invalid"), ("3", "national_id_sex"), ("3", "national_id_twice"),
        ("4", "national_id_birth_date"), ("4", "national_id_twice"),
        ("5", "birth_date_unreadable"), ("5", "fact_unreadable"), ("5", "fact_unreadable"),
        ("5", "family_card_number_invalid"), ("5", "sex_unreadable"), ("6", "household_differs"),
        ("7", "national_id_structure"),
    ]  # fmt: skip
    warned = world.fetch("select warnings from members where registry_id = 'RT-201'")
    assert json.loads(warned[0][0]) == ["national_id_sex"]
    pairs = one(world, f"select state -> 'pairs' from operations where id = '{result['id']}'")
    ids = world.fetch(
        "select id from members where registry_id in ('RT-201', 'RT-301') order by registry_id"
    )
    assert json.loads(pairs) == [[str(row[0]) for row in ids]]


def test_nothing_that_cannot_be_read_is_dropped_without_a_word(world: World) -> None:
    header = HEADER + ",presence,household_presence,family_number,age_years"
    plain = {"family_card_number": "3576021503790001"}
    people = [
        # A superscript is a digit to Python, and eleven digits are more than a column holds.
        plain | {"rt": "\u00b2", "rw": "0010", "household_presence": "seen"},
        plain | {"household_id": "RT-2", "member_number": "12345678901", "presence": "there",
            "family_number": "99999999999", "age_years": "old"},
        plain | {"household_id": "RT-3", "rt": "-", "rw": "", "member_number": ".",
            "family_number": "", "age_years": "-"},
    ]  # fmt: skip
    result = landed(world, own(*people, header=header))
    assert result["rows_landed"] == 3
    names = ("line", "column", "value", "code", "refused")
    assert sorted(tuple(one[name] for name in names) for one in listed(world, result["id"])) == [
        ("2", "household_presence", "****", "fact_unreadable", "no"),
        ("2", "rt", "*", "fact_unreadable", "no"),
        ("2", "rw", "****", "fact_unreadable", "no"),
        ("3", "age_years", "", "fact_unreadable", "no"),
        ("3", "family_number", "***********", "fact_unreadable", "no"),
        ("3", "member_number", "***********", "fact_unreadable", "no"),
        ("3", "presence", "*****", "fact_unreadable", "no"),
    ]
    assert one(world, "select count(*) from households where rt is null and rw is null") == 2


def test_a_list_of_faults_shows_no_number_no_name_and_runs_nothing(world: World) -> None:
    people = [
        {"national_id": NATIONAL_ID, "sex": "male"},
        {"household_id": "RT-2", "name": "-=Joko Widodo", "national_id": "35760245078490"},
        {"household_id": "RT-3", "name": "@Zulkifli", "village_name": "=Wates"},
    ]
    result = landed(world, own(*people))
    answer = world.as_("manager").get(f"/operations/{result['id']}/faults")
    for secret in (NATIONAL_ID, "35760245078490", "Joko", "Zulkifli", "Siti"):
        assert secret not in answer.text
        assert secret not in json.dumps(result)
    assert "3576********9001" in answer.text
    for row in csv.reader(io.StringIO(answer.text)):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
    assert answer.headers["content-disposition"].startswith("attachment")


def test_every_code_has_a_reason_in_both_languages() -> None:
    for code in (*REFUSALS, *WARNINGS):
        assert all(FAULTS[code]), code


def test_a_number_is_held_against_birth_date_and_sex() -> None:
    assert national_id_warnings(NATIONAL_ID) == []
    assert national_id_warnings(NATIONAL_ID, None, "male") == ["national_id_sex"]


# Regions


def test_bps_codes_are_mapped_once_the_table_is_loaded(
    world: World, tmp_path: Path, slrt: Shell
) -> None:
    content = own({"region_code": "3576020003", "village_name": ""})
    assert landed(world, content)["faults"] == {"region_unknown": 1}
    table = tmp_path / "bps.csv"
    table.write_text("bps_code,region_code\n3576020003,35.76.02.1010\n")
    settings = processes.on_the_database_of(world)
    for _ in range(2):
        done = slrt("regions", "load-bps", str(table), **settings)
        assert done.stdout == "1 codes\n"
    result = landed(world, content)
    assert result["regions_mapped"]["bps"] == 1
    table.write_text("bps_code,region_code\n3576020003,99.99.99.9999\n")
    assert slrt("regions", "load-bps", str(table), **settings).returncode == 1


# xlsx


def test_a_workbook_is_read_and_its_formulas_are_refused(world: World) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    rows = bdt(30)
    for row in rows:
        sheet.append([int(cell) if cell.isdigit() and len(cell) < 9 else cell for cell in row])
    sheet.cell(5, 80).value = "=A1"
    sheet.cell(6, 81).value = 3576024507849001
    made = io.BytesIO()
    book.save(made)
    result = landed(world, made.getvalue())
    assert (result["rows_read"], result["rows_landed"], result["rows_refused"]) == (30, 29, 1)
    codes = {(one["line"], one["code"]) for one in listed(world, result["id"])}
    assert ("5", "formula") in codes
    assert ("6", "national_id_invalid") in codes


# Operations


def test_an_import_is_accepted_once_for_one_key(world: World) -> None:
    headers, content = key(), own({})
    first = send(world, content, headers=headers)
    assert first.status_code == 202
    assert first.headers["location"] == f"/v1/operations/{first.json()['id']}"
    assert int(first.headers["retry-after"]) > 0
    assert first.json()["status"] == "pending"
    again = send(world, content, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["idempotency-replayed"] == "true"
    refused(send(world, own({}, {}), headers=headers), 422, "idempotency_key_reused")
    refused(send(world, content, headers={"X": "y"}), 400, "idempotency_key_missing")


def test_a_second_import_of_the_city_is_refused_while_one_is_under_way(world: World) -> None:
    first = send(world, own({})).json()
    answer = send(world, own({}), version="2")
    refused(answer, 409, "import_under_way")
    assert answer.headers["retry-after"]
    world.sweep("operations")
    assert operation(world, first["id"])["status"] == "succeeded"
    assert send(world, own({}), version="2").status_code == 202


async def test_of_two_imports_at_once_one_is_accepted(world: World) -> None:
    world.as_("front.1")
    answers = await asyncio.gather(
        *(asyncio.to_thread(send, world, own({}), version=str(n)) for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]


def test_only_the_secretariat_and_the_manager_import_in_their_city(world: World) -> None:
    for who in ("puskesos.wates", "facilitator.wates.1", "supervisor.magersari", "admin"):
        refused(send(world, own({}), who=who), 403, "role_not_allowed")
    refused(send(world, own({}), regency="35.15"), 403, "role_not_allowed")
    assert send(world, own({}), who="manager").status_code == 202


def test_an_import_is_refused_for_what_it_says_of_itself(world: World) -> None:
    answer = send(world, own({}), source="a b", as_of="soon", layout="x", colour="red")
    refused(answer, 422, "validation_failed")
    assert set(faults(answer)) == {"/source", "/as_of", "/layout", "/colour"}
    assert faults(send(world, own({}), as_of="2030-01-01")) == {"/as_of": "invalid"}


def test_what_is_no_form_is_refused(world: World) -> None:
    http = world.as_("front.1")
    refused(http.post("/registry/imports", content=b"x", headers=key()), 415, "form_required")
    broken = key() | {"Content-Type": "multipart/form-data"}
    answer = http.post("/registry/imports", content=b"x", headers=broken)
    refused(answer, 422, "malformed_form")
    answer = http.post("/registry/imports", files={"other": b"x"}, headers=key())
    refused(answer, 422, "validation_failed")
    twice = http.post(
        "/registry/imports",
        files=[("file", b"x"), ("source", (None, b"a")), ("source", (None, b"b"))],
        headers=key(),
    )
    refused(twice, 422, "malformed_form")


def test_an_upload_has_a_limit_and_a_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "UPLOAD_LIMIT", 1000)
    monkeypatch.setattr(bodies, "JSON_LIMIT", 1000)
    refused(send(world, b"x" * 3000), 413, "file_too_large")
    refused(send(world, b"x" * 30_000), 413, "file_too_large")
    monkeypatch.setattr(bodies, "UPLOAD_WITHIN", 0.2)

    def slowly() -> Iterator[bytes]:
        yield b"--b\r\n"
        time.sleep(0.6)
        yield b"x"

    headers = key() | {"Content-Type": "multipart/form-data; boundary=b"}
    answer = world.as_("front.1").post("/registry/imports", content=slowly(), headers=headers)
    refused(answer, 408, "request_timeout")


def test_an_operation_is_seen_by_its_owner_and_by_those_who_lead(world: World) -> None:
    id = send(world, own({})).json()["id"]
    for who in ("front.1", "manager", "head", "admin"):
        assert operation(world, id, who)["id"] == id
    # Whoever may import is told for which operation they must wait, and can read it.
    problem = refused(send(world, own({}), "front.2"), 409, "import_under_way")
    assert operation(world, problem["operation_id"], "front.2")["id"] == id
    for who in ("puskesos.wates", "integrator"):
        refused(world.as_(who).get(f"/operations/{id}"), 404, "not_found")


def test_an_operation_that_waits_is_cancelled_at_once(world: World) -> None:
    id = send(world, own({})).json()["id"]
    headers = key()
    for _ in range(2):
        answer = world.as_("front.1").post(f"/operations/{id}/cancel", headers=headers)
        assert answer.json()["status"] == "cancelled"
    assert world.sweep("operations")["found"] == 0
    refused(
        world.as_("front.1").post(f"/operations/{id}/cancel", headers=key()),
        409,
        "operation_finished",
    )
    assert one(world, "select count(*) from operation_chunks") == 0
    assert send(world, own({}), version="2").status_code == 202


def test_an_operation_that_runs_is_cancelled_at_its_next_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(world, own({})).json()["id"]
    original = operations.Import.run

    async def cancel_first(self: Any) -> None:
        answer = await asyncio.to_thread(
            world.as_("front.1").post, f"/operations/{id}/cancel", headers=key()
        )
        assert answer.json()["status"] == "running"
        await original(self)

    monkeypatch.setattr(operations.Import, "run", cancel_first)
    world.sweep("operations")
    assert operation(world, id)["status"] == "cancelled"
    assert one(world, "select count(*) from members where registry_id is not null") == 0
    assert one(world, "select count(*) from registry_rows") == 0


def test_what_fails_again_and_again_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    id = send(world, own({})).json()["id"]

    async def fail(self: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(operations.Import, "run", fail)
    for _ in range(operations.ATTEMPTS):
        world.sweep("operations")
        world.fetch("update operations set lease_until = now() - interval '1 second'"
            " where finished_at is null")  # fmt: skip
    found = operation(world, id)
    assert (found["status"], found["problem"]["code"]) == ("failed", "internal_error")
    assert found["attempts"] == operations.ATTEMPTS


def test_old_operations_are_forgotten(world: World) -> None:
    result = landed(world, own({"national_id": "1"}))
    world.sweep("housekeeping")
    assert one(world, "select count(*) from operations") == 1
    world.fetch("update operations set finished_at = now() - interval '8 days'")
    world.sweep("housekeeping")
    assert one(world, "select count(*) from operations") == 0
    assert one(world, "select count(*) from operation_faults") == 0
    assert one(world, "select count(*) from registry_versions") == 1
    refused(world.as_("manager").get(f"/operations/{result['id']}"), 404, "not_found")


# A first file lands while it is read


def test_a_first_file_lands_bit_by_bit_and_comes_to_the_same_as_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def person(home: str, number: str, **more: str) -> dict[str, Any]:
        return {"household_id": home, "member_number": number, "name": f"N{home}{number}",
            "national_id": ""} | more  # fmt: skip

    content = own(
        person("A", "1"), person("A", "2", national_id=NATIONAL_ID), person("A", "3"),
        person("B", "1"), person("B", "1", name="Again"), person("B", "2"),
        person("C", "1", family_card_number="3576021001200001"), person("C", "2"),
        person("D", "1", member_id="D-1"), person("D", "2"),
        person("E", "1", ruta6="ABC123"), person("F", "1", ruta6="ABC123"),
        person("F", "", name=""),
        person("A", "4", address="Elsewhere"), person("A", "5", national_id=NATIONAL_ID),
        person("A", "1", name="Once more"), person("B", "3"),
        person("G", "1", national_id=NATIONAL_ID), person("H", "", name="Nobody's number"),
        person("I", "1", national_id=OTHER_ID), person("I", "2", national_id=OTHER_ID),
        person("J", "1"), person("K", "1"), person("J", "2"), person("L", "1"),
    )  # fmt: skip
    land, early = RegistryImports.land, []

    async def counted(self: Any, line: int) -> bool:
        done = await land(self, line)
        early.append(await self.session.scalar(sa.text("select count(*) from members")))
        return done

    async def never(self: Any) -> bool:
        return False

    def of(*asked: str) -> list[Any]:
        return sorted((tuple(row) for row in rows_of(world, *asked)), key=repr)

    def everything() -> list[Any]:
        return [
            of("members m join households h on h.id = m.household_id"
                " left join families f on f.id = m.family_id",
                "m.registry_id, m.name, m.number, h.registry_id, h.address, m.warnings,"
                " f.family_card_number_index, m.content_sha256", "h.registry_id is not null"),
            of("registry_ids i join households h on h.id = i.household_id",
                "i.kind, i.value, h.registry_id"),
            of("welfare_ranks w join households h on h.id = w.household_id",
                "h.registry_id, w.decile"),
        ]  # fmt: skip

    monkeypatch.setattr(run, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(registry_imports, "LINES_LANDING", 3)
    monkeypatch.setattr(RegistryImports, "land", counted)
    results, states = [], []
    for _ in range(2):
        world.cluster.execute(world.database, f"truncate {TABLES} cascade")
        result = landed(world, content)
        faults = [(one["line"], one["code"]) for one in listed(world, result.pop("id"))]
        results.append((result, sorted(faults)))
        states.append(everything())
        monkeypatch.setattr(RegistryImports, "is_first", never)
    assert states[0] == states[1]
    assert results[0] == results[1]
    assert len(states[0][0]) == result["rows_landed"] == 20
    # The first went in little by little; the second all at the end.
    assert len(early) > 2
    assert 0 < early[0] < early[-1] < 20


# Cut off, and gone on


def test_staged_rows_that_a_crash_took_are_read_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = as_csv(bdt(50))
    id = send(world, content).json()["id"]
    world.fetch(
        'update operations set state = \'{"offset": 5000, "line": 9, "rows": 7, "faults": 0,'
        ' "read": 7, "refused": 0, "warnings": 0, "mapped": {}}\''
    )
    world.sweep("operations")
    assert operation(world, id)["result"]["rows_landed"] == 50


def command(path: Path, *more: str) -> list[str]:
    return [
        "import-registry", str(path), "--source", "BDT", "--version", "2015", "--as-of",
        "2026-11-01", "--regency", "35.76", *more,
    ]  # fmt: skip


def test_an_import_that_was_killed_goes_on_where_it_was(world: World) -> None:
    settings = processes.on_the_database_of(world)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.csv"
        with path.open("wb") as file:
            registry_file.write(file, 15_000, seed=3)
        with processes.running(*command(path), **settings) as process:
            processes.until(lambda: one(world, "select max(done) from operations") or 0 > 0)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert one(world, "select count(*) from members where registry_id is not null") == 0
        assert one(world, "select status from operations") == "running"
        staged = one(world, "select count(*) from registry_rows")
        assert 0 < staged < 15_000
        done = processes.finished(*command(path), **settings)
        assert done.returncode == 0, done.stderr
        assert "attempt 2" in done.stdout
        assert "15000 rows read, " in done.stdout
    assert one(world, "select count(*) from members where registry_id is not null") >= 14_900
    assert one(world, "select count(*) from operations") == 1
    assert one(world, "select count(*) from registry_rows") == 0
    assert one(
        world, "select count(*) = count(distinct registry_id) from members"
        " where registry_id is not null",
    )  # fmt: skip


def test_an_import_that_was_killed_while_it_applies_left_nothing_and_is_done_again(
    world: World,
) -> None:
    settings = processes.on_the_database_of(world)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.csv"
        with path.open("wb") as file:
            registry_file.write(file, 12_000, seed=4)
        with processes.running(*command(path), **settings) as process:
            applying = "select count(*) from operations where state ->> 'phase' = 'applying'"
            processes.until(lambda: one(world, applying))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert one(world, "select count(*) from members where registry_id is not null") in (0,)
        done = processes.finished(*command(path, "--layout", "auto"), **settings)
        assert done.returncode == 0, done.stderr
    assert one(world, "select count(*) from members where registry_id is not null") > 11_900
    assert one(world, "select attempts from operations") == 2


def test_the_command_says_what_it_did_and_where_the_faults_are(world: World, slrt: Shell) -> None:
    settings = processes.on_the_database_of(world)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.csv"
        made = slrt("demo-registry", str(path), "--people", "200", "--faults")
        assert made.stdout.startswith("200 people")
        planned = slrt(*command(path, "--dry-run"), **settings)
        assert "nothing was applied" in planned.stdout
        done = slrt(*command(path, "--partial"), **settings)
        assert done.returncode == 0, done.stderr
        assert "200 rows read" in done.stdout
        assert "regions mapped" in done.stdout
        listed = path.with_name("registry.csv.faults.csv")
        assert str(listed) in done.stdout
        path.write_text("a,b\n1,2\n")
        failed = slrt(*command(path), **settings)
        assert failed.returncode == 1
        assert "wrong_columns" in failed.stdout
        assert "missing: name" in failed.stdout
        columns = path.with_name("map.json")
        columns.write_text('{"name": "a"}')
        failed = slrt(*command(path, "--map", str(columns)), **settings)
        assert failed.returncode == 1
        assert "map_invalid" in failed.stderr


def test_an_abandoned_import_does_not_keep_the_city_for_ever(world: World) -> None:
    id = send(world, own({})).json()["id"]
    world.fetch("update operations set params = params || '{\"local\": true}',"
        " lease_until = now() - interval '5 minutes'")  # fmt: skip
    refused(send(world, own({}), version="2"), 409, "import_under_way")
    world.fetch("update operations set lease_until = now() - interval '11 minutes'")
    assert send(world, own({}), version="2").status_code == 202
    assert operation(world, id)["problem"]["code"] == "abandoned"


async def test_a_runner_that_lost_its_lease_writes_nothing_more(world: World) -> None:
    id = (await asyncio.to_thread(send, world, as_csv(bdt(50)))).json()["id"]
    engine = create_engine(world.url)
    sessions = create_sessions(engine, world.cluster.keys.data)
    try:
        async with sessions.begin() as session:
            first = await Operations(session).claim()
            assert first is not None
            assert await Operations(session).claim() is None
        await world.afetch("update operations set lease_until = now() - interval '1 second'")
        assert await operations.run_next(sessions)
        with tempfile.TemporaryFile() as file:
            file.write(as_csv(bdt(50)))
            await operations.run(sessions, first, file)
    finally:
        await engine.dispose()
    found = await asyncio.to_thread(operation, world, id)
    assert (found["status"], found["attempts"]) == ("succeeded", 2)
    assert found["result"]["people"]["new"] == 50


def leased(world: World) -> None:
    """The lease of whoever ran it has run out."""
    world.fetch(
        "update operations set lease_until = now() - interval '1 second' where finished_at is null"
    )


def test_an_import_waits_while_another_of_the_city_is_applied(world: World) -> None:
    id = send(world, own({})).json()["id"]

    async def while_locked() -> None:
        connection = await asyncpg.connect(
            host=str(world.cluster.socket_dir), user="slrt", database=world.database
        )
        try:
            await connection.execute(f"select pg_advisory_lock({APPLY_LOCK}, hashtext('35.76'))")
            await asyncio.to_thread(world.sweep, "operations")
        finally:
            await connection.close()

    asyncio.run(while_locked())
    assert operation(world, id)["status"] == "running"
    assert one(world, "select count(*) from members") == 0
    leased(world)
    world.sweep("operations")
    assert operation(world, id)["status"] == "succeeded"
    assert operation(world, id)["result"]["attempts"] == 2


def test_an_import_that_is_cancelled_while_it_applies_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(world, own({})).json()["id"]
    monkeypatch.setattr(run, "LEASE", timedelta(seconds=0.3))
    apply = RegistryImports.apply

    async def slowly(self: Any, *more: Any) -> Any:
        found = await apply(self, *more)
        await asyncio.to_thread(
            world.as_("front.1").post, f"/operations/{id}/cancel", headers=key()
        )
        await asyncio.sleep(10)
        return found

    monkeypatch.setattr(RegistryImports, "apply", slowly)
    world.sweep("operations")
    assert operation(world, id)["status"] == "cancelled"
    assert one(world, "select count(*) from members") == 0
    assert one(world, "select count(*) from registry_versions") == 0


def test_a_lease_that_is_renewed_late_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(world, own({})).json()["id"]
    monkeypatch.setattr(run, "LEASE", timedelta(seconds=0.1))
    step, apply, late = Operations.step, RegistryImports.apply, []

    async def busy(self: Operations, id: Any, fence: int, **values: Any) -> None:
        if not values and len(late) < 3:
            late.append(1)
            raise sa.exc.DBAPIError("update", None, Exception())
        await step(self, id, fence, **values)

    async def slowly(self: Any, *more: Any) -> Any:
        await asyncio.sleep(0.3)
        return await apply(self, *more)

    monkeypatch.setattr(Operations, "step", busy)
    monkeypatch.setattr(RegistryImports, "apply", slowly)
    world.sweep("operations")
    assert operation(world, id)["status"] == "succeeded"
    assert len(late) == 3


def test_a_cancelled_operation_whose_runner_died_is_ended_by_the_next(world: World) -> None:
    id = send(world, own({})).json()["id"]
    world.fetch("update operations set status = 'running', cancel_requested = true")
    leased(world)
    world.sweep("operations")
    assert operation(world, id)["status"] == "cancelled"


def test_whoever_imports_in_the_city_may_cancel_what_another_began(world: World) -> None:
    id = send(world, own({})).json()["id"]
    answer = world.as_("head").post(f"/operations/{id}/cancel", headers=key())
    refused(answer, 403, "role_not_allowed")
    answer = world.as_("manager").post(f"/operations/{id}/cancel", headers=key())
    assert answer.json()["status"] == "cancelled"


async def test_a_local_file_is_not_imported_twice_at_once(world: World, tmp_path: Path) -> None:
    path = tmp_path / "registry.csv"
    path.write_bytes(own({}))
    wanted = {"source": "BDT", "version": "1", "as_of": "2026-11-01", "regency": "35.76"}
    asked = ImportRequest.model_validate(wanted)
    elsewhere = asked.model_copy(update={"regency": "99.99"})
    engine = create_engine(world.url)
    sessions = create_sessions(engine, world.cluster.keys.data)
    size, digest = bodies.digest_of(io.BytesIO(own({})))
    try:
        begun = await importing._begun(sessions, asked, size, digest)
        with pytest.raises(Conflict, match="import_under_way"):
            await importing.import_file(sessions, path, asked, run.nobody)
        # Of a process on another machine only the lease tells.
        await world.afetch(
            "update operations set params = params || jsonb_build_object('host', 'elsewhere'),"
            " lease_until = now() - interval '1 second'"
        )
        done = await importing.import_file(sessions, path, asked, run.nobody)
        assert (done.id, done.status, done.attempts) == (begun.id, "succeeded", 2)
        with pytest.raises(Invalid, match="unknown_region"):
            await importing.import_file(sessions, path, elsewhere, run.nobody)
    finally:
        await engine.dispose()


async def test_whoever_lost_the_lease_does_not_end_the_operation(world: World) -> None:
    id = (await asyncio.to_thread(send, world, own({}))).json()["id"]
    engine = create_engine(world.url)
    try:
        async with create_sessions(engine, world.cluster.keys.data)() as session:
            with pytest.raises(LostLease):
                await Operations(session).finish(id, 7, OperationStatus.FAILED)
    finally:
        await engine.dispose()


def test_a_process_of_another_user_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: int, __: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert importing._lives({"host": platform.node(), "pid": 1})


def test_empty_headers_at_the_end_are_no_columns(world: World) -> None:
    rows = own({"disability": "x"}).decode().splitlines()
    result = landed(world, "\n".join(f"{row},," for row in rows).encode() + b"\n")
    assert result["rows_landed"] == 1
    assert result["faults"] == {"fact_unreadable": 1}


def test_staged_rows_of_what_has_ended_are_let_go(world: World) -> None:
    result = landed(world, own({}))
    world.fetch(
        "insert into registry_refusals (operation_id, line, household_key)"
        f" values ('{result['id']}', 1, 'x')"
    )
    world.sweep("housekeeping")
    assert one(world, "select count(*) from registry_refusals") == 0


def test_regions_are_cut_from_the_code() -> None:
    assert REGION_OF.format("x") == "left(x, 2), left(x, 5), left(x, 8), x"


@pytest.mark.deep
def test_the_registry_of_mojokerto_is_imported(world: World) -> None:
    made = io.BytesIO()
    registry_file.write(made)
    result = landed(world, made.getvalue())
    assert result["rows_read"] == 23_125
    assert result["rows_refused"] == 0
    assert result["regions_mapped"]["former_code"] > 1000
    found = world.fetch("select count(distinct village_code) from households"
        " where registry_source = 'BDT'")  # fmt: skip
    assert found[0][0] == 18
    again = landed(world, made.getvalue())
    assert again["people"]["unchanged"] == 23_125
