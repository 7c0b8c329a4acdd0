"""Tickets: what a citizen is given to ask by. `3576-2026-000123-7`, the last a check digit."""

import hmac
import re
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from stdnum import damm

from app.domain.complaints import C
from app.domain.identifiers import Keys

# In the place of a complaint that there is not: no row ever has this id.
NOBODY = UUID(int=0)
FIRST_PIN = 1


def ticket(regency_code: str, year: int, number: int) -> str:
    """The Damm digit catches any one wrong digit and any two that changed places."""
    digits = f"{regency_code.replace('.', '')}{year}{number:06d}"
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:]}-{damm.calc_check_digit(digits)}"


def spelled(typed: str) -> str:
    """A ticket as it is stored, however somebody set spaces and dashes; else as it was typed."""
    digits = re.sub(r"[ .-]", "", typed)
    if not re.fullmatch(r"[0-9]{15,20}", digits):
        return typed
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:-1]}-{digits[-1]}"


class Tickets:
    """The only place that says what a ticket stands for."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def open(self, ticket: str, pin: str) -> UUID | None:
        """The complaint that a ticket shows to who has its PIN; None where either is wrong.

        A ticket that there is not costs what a wrong PIN costs: one look and one comparison. A
        wrong check digit is no ticket, as none is stored with one.
        """
        statement = sa.select(C.id, C.pin_generation).where(C.ticket == spelled(ticket))
        found = (await self.session.execute(statement)).one_or_none()
        id, generation = found or (NOBODY, FIRST_PIN)
        right = hmac.compare_digest(Keys.of(self.session).pin_of(id, generation), pin)
        return id if found and right else None
