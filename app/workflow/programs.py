"""Keeping the catalogue: what a programme's manager changes, version by version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import contains
from app.domain.errors import Fault, Forbidden, Invalid, NotFound, PreconditionFailed
from app.domain.programs import Program, Programs


def check_keeper(actor: Actor, code: str, region_code: str | None = None) -> None:
    """Raises Forbidden for all but the managers of the programme (in the region)."""
    regions = actor.regions_of_program(code, Role.PROGRAM_MANAGER)
    if not any(region_code is None or contains(scope, region_code) for scope in regions):
        raise Forbidden("role_not_allowed")


async def get(session: AsyncSession, code: str) -> Program:
    """The programme. Raises NotFound."""
    program = await Programs(session).get(code)
    if program is None:
        raise NotFound
    return program


async def change(
    session: AsyncSession,
    actor: Actor,
    code: str,
    changes: Mapping[str, Any],
    version: int,
    at: datetime,
) -> Program:
    """Write what differs as the next version. From now on no shipment overwrites the programme.

    Raises PreconditionFailed for another version, Invalid where it would end before it begins.
    """
    program = await Programs(session).lock(code)
    assert program is not None
    if version != program.version:
        raise PreconditionFailed("stale_version")
    differing = {name: value for name, value in changes.items() if getattr(program, name) != value}
    if not differing:
        return program
    for name, value in differing.items():
        setattr(program, name, value)
    if program.valid_from and program.valid_until and program.valid_until < program.valid_from:
        raise Invalid("ends_before_it_begins", (Fault("ends_before_it_begins", "/valid_until"),))
    program.version += 1
    program.changed_by, program.updated_at = actor.id, at
    await Programs(session).keep_versions()
    return program
