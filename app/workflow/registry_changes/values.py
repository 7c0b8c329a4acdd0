"""What stands in the registry now for the fields that a change names."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.households import Household, Households, Member, Presence


async def values_of(
    session: AsyncSession,
    household: Household | None,
    member: Member | None,
    names: Iterable[str],
) -> dict[str, Any]:
    """The present values of a member, or else of a household, as JSON values; numbers in clear."""
    row = member or household
    if row is None:
        return {}
    return {name: _plain(await _value(session, household, member, name)) for name in names}


async def _value(
    session: AsyncSession, household: Household | None, member: Member | None, name: str
) -> Any:
    households = Households(session)
    row = member or household
    if name == "national_id" and member is not None:
        return households.national_id(member)
    if name == "family_card_number" and member is None and household is not None:
        families = (await households.families_of([household.id]))[household.id]
        return households.family_card_number(families[0]) if families else None
    if name == "region_code" and row is not None:
        return row.village_code
    return row.facts[name] if row and name in row.facts else getattr(row, name, None)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def presence_of(row: Household | Member) -> dict[str, Any]:
    """Whether the row was found and when, as JSON values."""
    return {"presence": row.presence, "presence_on": _plain(row.presence_on)}


def presence_in(kept: Mapping[str, Any]) -> tuple[Presence | None, date | None]:
    """What `presence_of` kept."""
    presence, day = kept["presence"], kept["presence_on"]
    return Presence(presence) if presence else None, date.fromisoformat(day) if day else None
