"""Who keeps tablets, and who sees one."""

from typing import Any

import sqlalchemy as sa

from app.domain.actors import Actor, Role
from app.domain.complaints import cities
from app.domain.devices.rows import H, V

KEEPERS = (Role.FRONT_OFFICE, Role.BACK_OFFICE, Role.SUPERVISOR, Role.MANAGER)


def keeps(actor: Actor, regency_code: str) -> bool:
    """Whether the actor registers, hands on and blocks tablets of a city."""
    return bool(actor.granted(Role.ADMIN)) or actor.holds_near(regency_code, *KEEPERS)


def visible_to(actor: Actor) -> Any:
    """Who sees a tablet: those who keep those of its city, and whoever has or had it."""
    if actor.granted(Role.ADMIN):
        return sa.true()
    held = sa.select(H.device_id).where(H.facilitator_id == actor.id)
    near = (
        sa.or_(V.regency_code == code, V.regency_code.startswith(f"{code}.", autoescape=True))
        for code in cities(actor.regions(*KEEPERS))
    )
    return sa.or_(V.facilitator_id == actor.id, V.id.in_(held), *near)


def works_near(actor: Actor, regency_code: str) -> bool:
    """Whether the actor has anything to do in a city: a tablet of it may be theirs to send."""
    roles = tuple(grant.role for grant in actor.grants)
    of_client = any(
        code == regency_code or regency_code.startswith(f"{code}.") for code in actor.region_codes
    )
    return of_client or bool(actor.granted(Role.ADMIN)) or actor.holds_near(regency_code, *roles)
