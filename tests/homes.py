"""Households and people put straight into a world's registry, as a test needs them."""

import json
import secrets
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from app.domain.base import new_id, region_columns
from tests.conftest import World
from tests.flows import WATES

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def insert(world: World, table: str, row: dict[str, Any]) -> None:
    """A row, with no more columns than a test says."""
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    # Lists of ids are arrays; everything else that has items is JSON.
    arrays = ("authors",)
    values = [
        json.dumps(value) if isinstance(value, dict | list) and name not in arrays else value
        for name, value in row.items()
    ]
    world.fetch(f"insert into {table} ({names}) values ({places})", *values)


def home(world: World, village: str = WATES, card: str | None = None, **columns: Any) -> UUID:
    """A household, with a family where a card number is given."""
    id = new_id()
    row = {
        "id": id, "version": 1, "registry_source": "test", "registry_id": secrets.token_hex(6),
        "facts": {}, "facts_source": "BDT", "facts_changed": {}, "created_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    insert(world, "households", row | region_columns(village) | columns)
    if card is not None:
        family(world, id, card, village)
    return id


def family(world: World, household: UUID, card: str, village: str = WATES, number: int = 1) -> UUID:
    id, data = new_id(), world.cluster.keys.data
    row = {
        "id": id, "household_id": household, "number": number,
        "family_card_number": data.seal(card, "households", "family_card_number", id),
        "family_card_number_index": data.blind(card),
    }  # fmt: skip
    insert(world, "families", row | region_columns(village))
    return id


def person(
    world: World,
    household: UUID,
    name: str,
    born: date | int | None = None,
    number: str | None = None,
    village: str = WATES,
    **columns: Any,
) -> UUID:
    """Somebody in a household; `born` is a date or, as from an age, a year."""
    id, data = new_id(), world.cluster.keys.data
    row = {
        "id": id, "version": 1, "household_id": household, "name": name,
        "birth_date": born if isinstance(born, date) else None,
        "birth_year": born.year if isinstance(born, date) else born,
        "national_id": data.seal(number, "members", "national_id", id) if number else None,
        "national_id_index": data.blind(number) if number else None,
        "relation": "head", "facts": {}, "facts_source": "BDT", "facts_changed": {},
        "warnings": [], "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    insert(world, "members", row | region_columns(village) | columns)
    return id


def change(world: World, table: str, id: UUID, **columns: Any) -> None:
    """Columns of a row as a test wants them."""
    sets = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 2))
    world.fetch(f"update {table} set {sets} where id = $1", id, *columns.values())
