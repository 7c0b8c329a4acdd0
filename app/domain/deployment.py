"""The deployment: one row with the keys that open this database and how far demo time has moved."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col


class Deployment(SQLModel, table=True):
    __tablename__ = "deployment"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    demo: bool = False
    demo_offset: timedelta = Field(default=timedelta(0), sa_type=sa.Interval)
    demo_loaded_at: datetime | None = None
    keys_fingerprint: str | None = Field(default=None, max_length=64)
    # Which life of the database this is, and where it was lived: see `app.domain.feed`.
    feed_epoch: int = 1
    system_identifier: int | None = Field(default=None, sa_type=sa.BigInteger)
    # As whose the uploaded files of this database are kept; a restored dump finds its own.
    files_id: UUID = Field(default_factory=uuid4)
    database_oid: int | None = Field(default=None, sa_type=sa.BigInteger)


async def the_deployment(session: AsyncSession) -> Deployment:
    return (await session.scalars(sa.select(Deployment))).one()


async def advance_clock(session: AsyncSession, by: timedelta) -> None:
    """Move demo time on; it never goes back."""
    await session.execute(
        sa.update(Deployment).values(demo_offset=col(Deployment.demo_offset) + by)
    )
