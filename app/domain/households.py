"""Households and their members: the registry, as far as a complaint and a referral need it."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import CODE, InRegion, Record, enum_type, within
from app.domain.errors import NotFound
from app.domain.identifiers import Keys


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"


class MemberRelation(StrEnum):
    """What a member is to the head of the household."""

    HEAD = "head"
    SPOUSE = "spouse"
    CHILD = "child"
    CHILD_IN_LAW = "child_in_law"
    GRANDCHILD = "grandchild"
    PARENT = "parent"
    DOMESTIC_WORKER = "domestic_worker"
    OTHER = "other"


class Household(InRegion, Record, table=True):
    """A household of the registry. `registry_id` is text as its source gave it."""

    __tablename__ = "households"
    __table_args__ = (
        sa.UniqueConstraint("registry_source", "registry_id"),
        sa.Index("ix_households_regency_code_id", "regency_code", "id"),
        sa.Index("ix_households_village_code_id", "village_code", "id"),
    )

    version: int = 1
    registry_source: str = Field(max_length=40)
    registry_id: str = Field(max_length=40, sa_type=CODE)
    family_card_number: bytes | None = None
    family_card_number_index: bytes | None = Field(default=None, index=True)
    address: str | None = Field(default=None, max_length=300)
    rt: str | None = Field(default=None, max_length=3)
    rw: str | None = Field(default=None, max_length=3)
    decile: int | None = None
    created_at: datetime
    updated_at: datetime


class Member(InRegion, Record, table=True):
    """A person in a household."""

    __tablename__ = "members"

    household_id: UUID = Field(foreign_key="households.id", index=True)
    name: str = Field(max_length=120)
    national_id: bytes | None = None
    national_id_index: bytes | None = Field(default=None, index=True)
    birth_date: date | None = None
    sex: Sex | None = Field(default=None, sa_type=enum_type(Sex))
    relation: MemberRelation = Field(sa_type=enum_type(MemberRelation))
    created_at: datetime
    updated_at: datetime


class Households:
    """The only place that writes SQL about households and members."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    @property
    def keys(self) -> Keys:
        return Keys.of(self.session)

    def add(self, household: Household, members: Sequence[Member]) -> None:
        self.session.add_all([household, *members])

    def seal(
        self,
        household: Household,
        family_card_number: str | None,
        people: Sequence[tuple[Member, str | None]],
    ) -> None:
        """Put the numbers into the rows, sealed and blindly indexed."""
        if family_card_number:
            household.family_card_number = self.keys.seal(
                family_card_number, "households", "family_card_number", household.id
            )
            household.family_card_number_index = self.keys.blind(family_card_number)
        for member, national_id in people:
            if national_id:
                member.national_id = self.keys.seal(
                    national_id, "members", "national_id", member.id
                )
                member.national_id_index = self.keys.blind(national_id)

    def family_card_number(self, household: Household) -> str | None:
        sealed = household.family_card_number
        if sealed is None:
            return None
        return self.keys.open(sealed, "households", "family_card_number", household.id)

    def national_id(self, member: Member) -> str | None:
        if member.national_id is None:
            return None
        return self.keys.open(member.national_id, "members", "national_id", member.id)

    async def get(self, id: UUID, regions: tuple[str, ...]) -> Household:
        statement = sa.select(Household).where(col(Household.id) == id, within(Household, regions))
        household = (await self.session.scalars(statement)).one_or_none()
        if household is None:
            raise NotFound
        return household

    async def page(
        self, regions: tuple[str, ...], within_region: str | None, after: UUID | None, limit: int
    ) -> list[Household]:
        statement = (
            sa.select(Household)
            .where(within(Household, regions))
            .order_by(col(Household.id))
            .limit(limit)
        )
        if within_region is not None:
            statement = statement.where(within(Household, (within_region,)))
        if after is not None:
            statement = statement.where(col(Household.id) > after)
        return list(await self.session.scalars(statement))

    async def members_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
        statement = (
            sa.select(Member).where(col(Member.household_id).in_(ids)).order_by(col(Member.id))
        )
        found: dict[UUID, list[Member]] = {id: [] for id in ids}
        for member in await self.session.scalars(statement):
            found[member.household_id].append(member)
        return found

    async def member(self, id: UUID) -> Member | None:
        return await self.session.get(Member, id)

    async def find(self, id: UUID) -> Household | None:
        return await self.session.get(Household, id)

    async def member_by_national_id(self, regency_code: str, index: bytes) -> Member | None:
        """The first member of the city with this national id, given by its blind index."""
        statement = (
            sa.select(Member)
            .where(col(Member.national_id_index) == index, col(Member.regency_code) == regency_code)
            .order_by(col(Member.id))
            .limit(1)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def any_in(self, regions: tuple[str, ...]) -> bool:
        """Whether a registry is loaded for the regions at all."""
        found = sa.select(col(Household.id)).where(within(Household, regions))
        return bool(await self.session.scalar(sa.select(found.exists())))

    async def matching(
        self, regions: tuple[str, ...], national_id: str | None, family_card_number: str | None
    ) -> list[Household]:
        """Households of the regions that a number belongs to, exactly; a national id goes first."""
        for column, number in (
            (col(Member.national_id_index), national_id),
            (col(Household.family_card_number_index), family_card_number),
        ):
            if number is None:
                continue
            statement = (
                sa.select(Household)
                .outerjoin(Member, col(Member.household_id) == col(Household.id))
                .where(column == self.keys.blind(number))
                .where(within(Household, regions))
                .order_by(col(Household.id))
                .distinct()
                .limit(10)
            )
            if found := list(await self.session.scalars(statement)):
                return found
        return []
