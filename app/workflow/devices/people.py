"""Who is told about a tablet."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Role
from app.domain.base import InRegion, narrowest
from app.workflow.complaints.case import staff_of


async def supervisors_of(session: AsyncSession, row: InRegion) -> list[UUID]:
    """The supervisors of where a facilitator works; else those of the city, else its managers."""
    staff = await staff_of(session, row.regency_code)
    place = narrowest(row)
    found = (
        staff.holding(place, Role.SUPERVISOR)
        or staff.near(place, Role.SUPERVISOR)
        or staff.holding(row.regency_code, Role.MANAGER)
    )
    return [one.id for one in found]
