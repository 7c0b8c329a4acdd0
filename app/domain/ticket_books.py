"""Tickets reserved for where there is no signal: a tablet's, or a printed pad's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import CODE, InRegion, Record
from app.domain.complaints import cities
from app.domain.errors import NotFound
from app.domain.sweep_runs import not_parked

READERS = (*SECRETARIAT, Role.PUSKESOS_OFFICER, Role.SUPERVISOR, Role.MANAGER)


class TicketBook(InRegion, Record, table=True):
    """Some tickets that were reserved together. The levels that its region lacks are empty."""

    __tablename__ = "ticket_books"

    version: int = 1
    device_id: UUID | None = Field(default=None, foreign_key="devices.id", index=True)
    pad: str | None = Field(default=None, max_length=60)
    reserved_by: UUID = Field(foreign_key="principals.id")
    reserved_at: datetime


class ReservedTicket(Record, table=True):
    """A ticket of a book. `id` is the one that its complaint will have: so its PIN is known."""

    __tablename__ = "reserved_tickets"
    __table_args__ = (
        sa.Index(
            "ix_reserved_tickets_asked", "asked_at",
            postgresql_where=sa.text("used_at is null and told_at is null"),
        ),
    )  # fmt: skip

    book_id: UUID = Field(foreign_key="ticket_books.id", index=True)
    ticket: str = Field(unique=True, sa_type=CODE, max_length=24)
    used_at: datetime | None = None
    # When somebody first asked for it, and nothing had come; and that this was told.
    asked_at: datetime | None = None
    told_at: datetime | None = None


B: Any = TicketBook
R: Any = ReservedTicket


class TicketBooks:
    """The only place that writes SQL about ticket books."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, book: TicketBook, tickets: Sequence[ReservedTicket]) -> None:
        self.session.add(book)
        self.session.add_all(tickets)

    async def get(self, id: UUID, actor: Actor) -> TicketBook:
        """Raises NotFound for what does not exist or is out of the actor's sight."""
        near = (
            sa.or_(B.regency_code == code, B.regency_code.startswith(f"{code}.", autoescape=True))
            for code in cities(actor.regions(*READERS))
        )
        statement = sa.select(TicketBook).where(
            B.id == id, sa.or_(B.reserved_by == actor.id, *near)
        )
        book = (await self.session.scalars(statement)).one_or_none()
        if book is None:
            raise NotFound
        return book

    async def peek(self, id: UUID) -> TicketBook:
        """The row, whoever may see it."""
        return (await self.session.scalars(sa.select(TicketBook).where(B.id == id))).one()

    async def tickets(self, book_id: UUID) -> list[ReservedTicket]:
        statement = sa.select(ReservedTicket).where(R.book_id == book_id).order_by(R.ticket)
        return list(await self.session.scalars(statement))

    async def lock_ticket(self, ticket: str) -> ReservedTicket | None:
        """A reserved ticket as it is now, held until commit; None for one that was not."""
        id = await self.session.scalar(sa.select(R.id).where(R.ticket == ticket))
        return None if id is None else await self.lock(id)

    async def lock(self, id: UUID) -> ReservedTicket:
        statement = sa.select(ReservedTicket).where(R.id == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def claim_asked(self, sweep: str, at: datetime, limit: int) -> list[ReservedTicket]:
        """Tickets that somebody asked for and that have not come, of which nobody was told."""
        statement = (
            sa.select(ReservedTicket)
            .where(
                R.asked_at.is_not(None), R.used_at.is_(None), R.told_at.is_(None),
                not_parked(sweep, R.id, at),
            )
            .order_by(R.asked_at, R.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )  # fmt: skip
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))
