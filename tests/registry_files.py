"""Plain factories: files of the registry, sent and imported through the API."""

import csv
import io
from typing import Any

import httpx

from app.demo import registry_file
from app.domain.registry_layouts import bdt2015_headers
from tests.conftest import World
from tests.flows import key

HEADER = (
    "household_id,family_card_number,region_code,village_name,address,rt,rw,decile,programs,"
    "member_number,name,national_id,birth_date,sex,relation,floor,has_car,works,disability"
)


def bdt(people: int = 40, seed: int = 1) -> list[list[str]]:
    """Rows of the BDT-2015 layout, header and numbers first."""
    made = io.BytesIO()
    registry_file.write(made, people, seed)
    return list(csv.reader(io.StringIO(made.getvalue().decode())))


def at(row: list[str], column: int) -> str:
    """A cell by the column's number, as the instrument counts."""
    return row[column - 1]


def put(row: list[str], column: int, value: str) -> list[str]:
    """The row with another value in a column."""
    return [value if n == column else cell for n, cell in enumerate(row, 1)]


def as_csv(rows: list[list[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def own(*people: dict[str, Any], header: str = HEADER) -> bytes:
    """A file in our own layout: each person as what differs from Siti of Wates."""
    names = header.split(",")
    siti = {
        "household_id": "RT-1", "region_code": "35.76.02.1010", "village_name": "Wates",
        "address": "Jl. Raya 1", "rt": "001", "rw": "002", "decile": "2", "member_number": "1",
        "name": "Siti Aminah", "birth_date": "1984-07-05", "sex": "female", "relation": "head",
        "floor": "ceramic", "has_car": "no", "works": "yes", "disability": "none",
    }  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(siti | person for person in people)
    return text.getvalue().encode()


def send(
    world: World,
    content: bytes,
    who: str = "front.1",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    form = {"source": "BDT", "version": "2015", "as_of": "2026-11-01"} | fields
    return world.as_(who).post(
        "/registry/imports",
        files={"file": ("registry.csv", content, "text/csv")},
        data={name: str(value) for name, value in form.items() if value is not None},
        headers=headers or key(),
    )


def imported(world: World, content: bytes, **fields: Any) -> dict[str, Any]:
    """A file accepted, run by the sweep, and what it came to."""
    sent = send(world, content, **fields)
    assert sent.status_code == 202, sent.text
    world.sweep("operations")
    return operation(world, sent.json()["id"])


def operation(world: World, id: str, who: str = "manager") -> dict[str, Any]:
    answer = world.as_(who).get(f"/operations/{id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def landed(world: World, content: bytes, **fields: Any) -> dict[str, Any]:
    """The result of an import that must succeed."""
    found = imported(world, content, **fields)
    assert found["status"] == "succeeded", found
    return found["result"] | {"id": found["id"]}


def listed(world: World, id: str) -> list[dict[str, str]]:
    """The faults of an operation, as downloaded."""
    answer = world.as_("manager").get(f"/operations/{id}/faults", headers={"Accept-Language": "en"})
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


HEADERS = list(bdt2015_headers())
