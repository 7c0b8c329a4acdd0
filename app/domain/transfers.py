"""What goes along with a complaint to another village, and the letters to other cities."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.base import CODE, InRegion, Record, move_to, region_of
from app.domain.complaints import Assignment, Complaint, ContactAttempt, DeliveryAttempt
from app.domain.other_needs import OtherNeed
from app.domain.referrals import UNSENT, L, Referral, T
from app.domain.surveys import Survey
from app.domain.visits import V, Visit, VisitState

# They carry their complaint's region. What happened before stays where it happened: the log.
FOLLOWING: tuple[Any, ...] = (Assignment, DeliveryAttempt, ContactAttempt, Survey, OtherNeed)


class TransferLetter(InRegion, Record, table=True):
    """The letter with which a complaint goes to another city; its region is the one it left."""

    __tablename__ = "transfer_letters"

    complaint_id: UUID = Field(foreign_key="complaints.id", unique=True)
    # A Kemendagri code outside the city, as narrow as it is known.
    to_region_code: str = Field(sa_type=CODE, max_length=13)
    reason: str = Field(max_length=60)
    # What the letter's QR code says; nobody can guess it.
    code: str = Field(sa_type=CODE, max_length=40, unique=True)
    signed_by: UUID
    signed_at: datetime


W: Any = TransferLetter


class Transfers:
    """The only place that writes SQL about complaints that move."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, letter: TransferLetter) -> None:
        self.session.add(letter)

    async def letter_of(self, complaint_id: UUID) -> TransferLetter | None:
        statement = sa.select(TransferLetter).where(W.complaint_id == complaint_id)
        return (await self.session.scalars(statement)).one_or_none()

    async def letter_by_code(self, code: str) -> TransferLetter | None:
        statement = sa.select(TransferLetter).where(W.code == code)
        return (await self.session.scalars(statement)).one_or_none()

    async def follow(self, complaint: Complaint) -> tuple[Sequence[Visit], Sequence[Referral]]:
        """Give what a locked complaint has its region; the visits and referrals that have moved.

        A referral that was sent stays where its owner has it, and one that another complaint
        opened stays with that one.
        """
        region = region_of(complaint)
        for table in FOLLOWING:
            await self.session.execute(
                sa.update(table).where(table.complaint_id == complaint.id).values(**region)
            )
        open_ = sa.select(Visit).where(V.complaint_id == complaint.id, V.state == VisitState.OPEN)
        visits = await self._take(open_, V, region)
        unsent = sa.select(Referral).where(T.complaint_id == complaint.id, T.state.in_(UNSENT))
        referrals = await self._take(unsent, T, region)
        links = sa.update(L).where(L.referral_id.in_([one.id for one in referrals]))
        await self.session.execute(links.values(**region))
        return visits, referrals

    async def _take(self, rows: sa.Select[Any], table: Any, region: dict[str, Any]) -> list[Any]:
        statement = rows.order_by(table.id).with_for_update()
        found = await self.session.scalars(statement.execution_options(populate_existing=True))
        return [settle(one, region) for one in found]


def settle(row: Any, region: dict[str, Any]) -> Any:
    """A row with a version, in another region."""
    move_to(row, region)
    row.version += 1
    return row
