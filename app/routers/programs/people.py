"""Homes and people that rules found: enough to recognise them, not to copy."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.eligibility import Found
from app.domain.households import Households
from app.domain.identifiers import masked, masked_name
from app.routers.resources import Code, Name, Year, text


class FoundRead(BaseModel):
    """A home, or one person in it: names and numbers masked.

    `name` and `national_id` are the person's, or, for a whole home, those of its head.
    """

    household_id: UUID
    member_id: UUID | None
    name: Name | None
    national_id: text(16) | None  # type: ignore[valid-type]
    birth_year: Year | None
    region_code: Code
    rt: text(3) | None  # type: ignore[valid-type]
    rw: text(3) | None  # type: ignore[valid-type]


async def people(session: AsyncSession, found: Sequence[Found]) -> list[FoundRead]:
    households = Households(session)
    homes = await households.by_ids([one.household_id for one in found])
    members = await households.members_by_ids([one.member_id for one in found if one.member_id])
    heads = await households.heads_of([one.household_id for one in found if not one.member_id])
    shown = []
    for one in found:
        home = homes[one.household_id]
        whose = members[one.member_id] if one.member_id else heads.get(one.household_id)
        shown.append(
            FoundRead(
                household_id=one.household_id,
                member_id=one.member_id,
                name=masked_name(whose.name) if whose else None,
                national_id=masked(households.national_id(whose)) if whose else None,
                birth_year=whose.birth_year if whose else None,
                region_code=home.village_code,
                rt=home.rt,
                rw=home.rw,
            )
        )
    return shown
