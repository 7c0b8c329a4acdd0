"""Made-up registry files in the BDT-2015 layout: any size, the same for the same seed."""

import csv
import io
from collections.abc import Iterator
from random import Random
from typing import IO

from app.demo.people import TODAY, Family, Person, one_family
from app.domain.regions import region_rows
from app.domain.registry_layouts import bdt2015_headers

PEOPLE = 23_125
RELATIONS = {
    "head": "1", "spouse": "2", "child": "3", "grandchild": "5", "parent": "6", "other": "8",
}  # fmt: skip
# Column: the greatest code that its question has.
CODES = {
    16: 5, 17: 4, 19: 10, 20: 7, 21: 2, 22: 10, 23: 2, 25: 12, 26: 3, 27: 3, 28: 6, 29: 9, 30: 4,
    31: 4, 32: 6,
}  # fmt: skip
# Chance of a yes in the household's yes/no questions, from the gas cylinder to the house elsewhere.
OWNED = {
    33: 0.1, 34: 0.5, 35: 0.03, 36: 0.01, 37: 0.03, 38: 0.85, 39: 0.2, 40: 0.1, 41: 0.6,
    42: 0.75, 43: 0.04, 44: 0.0, 45: 0.0, 46: 0.0, 47: 0.0, 50: 0.3, 52: 0.03, 58: 0.25,
}  # fmt: skip
PROGRAMS = {59: 0.3, 60: 0.2, 61: 0.6, 62: 0.1, 63: 0.1, 64: 0.02, 65: 0.2, 66: 0.6, 67: 0.03}


def villages() -> list[tuple[str, str, str]]:
    """The villages of Mojokerto as files of 2015 have them: (code, name, district's name)."""
    rows = {row["code"]: row for row in region_rows()}
    found = []
    for code, row in rows.items():
        if code.count(".") == 3:
            old = row["former_codes"][0] if row["former_codes"] else code
            found.append((old, row["name"], rows[old.rpartition(".")[0]]["name"]))
    return sorted(found)


def write(file: IO[bytes], people: int = PEOPLE, seed: int = 2015, faults: bool = False) -> int:
    """Write so many people, and the header with its row of numbers. Returns the rows written."""
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    headers = bdt2015_headers()
    writer.writerow(headers)
    writer.writerow(range(1, len(headers) + 1))
    count = 0
    for row in _rows(seed, faults):
        if count == people:
            break
        writer.writerow(row)
        count += 1
    text.flush()
    text.detach()
    return count


def _rows(seed: int, faults: bool) -> Iterator[list[str]]:
    rng, places = Random(seed), villages()
    count = 0
    while True:
        code, name, district = places[count % len(places)]
        count += 1
        family = one_family(rng, code, TODAY)
        shared = _shared(rng, count, family, code, name, district)
        for number, person in enumerate(family.members, 1):
            row = shared + _person(rng, number, person)
            yield _spoilt(row, rng) if faults and rng.random() < 0.01 else row


def _shared(
    rng: Random, count: int, family: Family, code: str, name: str, district: str
) -> list[str]:
    """The columns of the household, 1 to 78."""
    row = [""] * 78
    province, regency, kecamatan, village = code.split(".")
    # BPS numbers its villages its own way; 9 marks the household ids as made up.
    row[0] = _base36(count)
    row[1] = f"{province}{regency}9{kecamatan}{village[1:]}{count:08}"
    row[2:10] = ["JAWA TIMUR", province, "KOTA MOJOKERTO", regency, district.upper(), kecamatan,
        name.upper(), village]  # fmt: skip
    row[10] = f"RT {family.rt} RW {family.rw}"
    row[11], row[12] = family.address.upper(), family.members[0].name.upper()
    row[13], row[14], row[17] = str(len(family.members)), "1", str(rng.randint(12, 120))
    for column, most in CODES.items():
        row[column - 1] = str(rng.randint(1, most))
    row[23], row[47], row[48] = (str(rng.randint(*span)) for span in ((1, 4), (0, 4), (1, 8)))
    for column, chance in OWNED.items():
        row[column - 1] = _answer(rng, chance, column)
    row[50] = str(rng.randint(20, 400)) if row[49] in ("1", "3") else "0"
    for column in range(53, 58):
        row[column - 1] = "0"
    for column, chance in PROGRAMS.items():
        row[column - 1] = _answer(rng, chance, column)
    row[77] = str((family.decile - 1) * 10 + rng.randint(1, 10))
    return row


def _answer(rng: Random, chance: float, column: int) -> str:
    """Yes or no: 1 and 2 in odd columns, 3 and 4 in even ones."""
    yes = rng.random() < chance
    return ("1" if yes else "2") if column % 2 else ("3" if yes else "4")


def _person(rng: Random, number: int, person: Person) -> list[str]:
    """The columns of the person, 79 to 101."""
    age = TODAY.year - person.birth_date.year
    age -= (person.birth_date.month, person.birth_date.day) > (TODAY.month, TODAY.day)
    grown = age >= 18
    married = person.relation == "spouse" or (grown and rng.random() < 0.5)
    works = grown and age < 70 and rng.random() < 0.6
    school = "2" if 6 <= age < 18 else "3" if age >= 18 else "1"
    return [
        str(number), person.name.upper(), person.national_id or "", RELATIONS[person.relation],
        "1", RELATIONS[person.relation], "2" if person.sex == "female" else "1", str(age),
        "2" if married else "1", "1" if married else "2", "3", "1" if grown else "2",
        "4" if person.sex == "female" and 15 < age < 50 else "",
        str(rng.randint(1, 12)) if rng.random() < 0.02 else "0",
        str(rng.randint(1, 9)) if rng.random() < 0.06 else "0",
        school, str(rng.randint(1, 9)) if age >= 6 else "0",
        str(rng.randint(1, 8)) if age >= 6 else "0", str(rng.randint(0, 6)) if grown else "0",
        "1" if works else "2", str(rng.randint(10, 60)) if works else "0",
        str(rng.randint(1, 20)) if works else "0", str(rng.randint(1, 7)) if works else "0",
    ]  # fmt: skip


def _spoilt(row: list[str], rng: Random) -> list[str]:
    """A row with something wrong, as files have it."""
    kind = rng.randrange(6)
    spoilt = list(row)
    if kind == 0:
        spoilt[79] = ""
    elif kind == 1:
        spoilt[80] = spoilt[80][:15]
    elif kind == 2:
        spoilt[85] = "140"
    elif kind == 3:
        spoilt[79] = f"=CONCAT({spoilt[79]})"
    elif kind == 4:
        spoilt[8] = "TIDAK ADA"
    else:
        spoilt.pop()
    return spoilt


def _base36(number: int) -> str:
    digits = ""
    for _ in range(6):
        number, rest = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + digits
    return digits
