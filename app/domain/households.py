"""Households and their members: the registry, as far as a complaint and a referral need it."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.domain.base import CODE, JSON, InRegion, Record, enum_type, new_id, region_of, within
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


class Presence(StrEnum):
    """Whether a household or person was found where the registry has them."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    DUPLICATE = "duplicate"
    DEAD = "dead"
    MOVED = "moved"
    UNDOCUMENTED = "undocumented"


class Household(InRegion, Record, table=True):
    """A household of the registry. `registry_id` is the id it was first known by, as text.

    `facts` are `{name: value}` of `app.domain.facts`, said by `facts_source` on `facts_as_of`;
    what one later source changed alone stands in `facts_changed`. A household that a newer version
    of the registry no longer has, or that was merged or removed, is ended, never deleted.
    """

    __tablename__ = "households"
    __table_args__ = (
        sa.UniqueConstraint("registry_source", "registry_id"),
        sa.Index("ix_households_regency_code_id", "regency_code", "id"),
        sa.Index("ix_households_village_code_id", "village_code", "id"),
        # Who needs a visit: the longest unseen first, and those who were not found.
        sa.Index(
            "ix_households_verified_at", "regency_code", "verified_at", "id",
            postgresql_where=sa.text("ended_at is null"),
        ),
        sa.Index(
            "ix_households_not_found", "regency_code", "id",
            postgresql_where=sa.text("presence = 'not_found'"),
        ),
        sa.Index("ix_households_registry_id", "registry_id"),
    )  # fmt: skip

    version: int = 1
    registry_source: str = Field(max_length=40, sa_type=CODE)
    registry_id: str = Field(max_length=40, sa_type=CODE)
    address: str | None = Field(default=None, max_length=300)
    rt: str | None = Field(default=None, max_length=3)
    rw: str | None = Field(default=None, max_length=3)
    decile: int | None = None
    percentile: int | None = None
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    facts_source: str = Field(default="", max_length=80)
    facts_as_of: date | None = None
    facts_changed: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    presence: Presence | None = Field(default=None, sa_type=enum_type(Presence))
    presence_on: date | None = None
    verified_at: datetime | None = None
    registry_version_id: UUID | None = Field(default=None, foreign_key="registry_versions.id")
    merged_into: UUID | None = Field(default=None, foreign_key="households.id")
    # Of what the registry's last version said of it: the same again is nothing new.
    content_sha256: bytes | None = None
    ended_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class Family(InRegion, Record, table=True):
    """A family of a household, by its family card. `number` is its number in the household."""

    __tablename__ = "families"

    household_id: UUID = Field(foreign_key="households.id", index=True)
    number: int = 1
    family_card_number: bytes
    family_card_number_index: bytes = Field(index=True)
    ended_at: datetime | None = None


class Member(InRegion, Record, table=True):
    """A person in a household. `registry_id` is the registry's own id of the person, if any.

    `hold_change_id` names the reported death that softly holds the person: no new referral.
    """

    __tablename__ = "members"
    __table_args__ = (
        # Similar names are looked for in it alone, near a birth year; see `Registry.similar`.
        sa.Index(
            "ix_members_birth_year", "regency_code", "birth_year", "village_code",
            postgresql_include=["id", "name"], postgresql_where=sa.text("ended_at is null"),
        ),
        sa.Index(
            "uq_members_registry_id", "household_id", "registry_id", unique=True,
            postgresql_where=sa.text("registry_id is not null and ended_at is null"),
        ),
        sa.Index(
            "ix_members_held", "regency_code", "household_id",
            postgresql_where=sa.text("hold_change_id is not null"),
        ),
        sa.Index(
            "ix_members_not_found", "regency_code", "household_id",
            postgresql_where=sa.text("presence = 'not_found'"),
        ),
    )  # fmt: skip

    version: int = 1
    household_id: UUID = Field(foreign_key="households.id", index=True)
    family_id: UUID | None = Field(default=None, foreign_key="families.id")
    registry_id: str | None = Field(default=None, max_length=40, sa_type=CODE)
    number: int | None = None
    name: str = Field(max_length=120)
    national_id: bytes | None = None
    national_id_index: bytes | None = Field(default=None, index=True)
    birth_date: date | None = None
    # Of the birth date, or as well as an age says it: similar names are looked for near it.
    birth_year: int | None = None
    sex: Sex | None = Field(default=None, sa_type=enum_type(Sex))
    relation: MemberRelation = Field(sa_type=enum_type(MemberRelation))
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    facts_source: str = Field(default="", max_length=80)
    facts_as_of: date | None = None
    facts_changed: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    presence: Presence | None = Field(default=None, sa_type=enum_type(Presence))
    presence_on: date | None = None
    died_on: date | None = None
    hold_change_id: UUID | None = None
    warnings: list[str] = Field(default_factory=list, sa_type=JSON)
    merged_into: UUID | None = Field(default=None, foreign_key="members.id")
    content_sha256: bytes | None = None
    ended_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def alive(self) -> bool:
        return self.presence is not Presence.DEAD


class RegistryId(InRegion, Record, table=True):
    """An id that a source gives a household, as text; a household may have several."""

    __tablename__ = "registry_ids"
    __table_args__ = (
        sa.UniqueConstraint("source", "kind", "value"),
        sa.Index("ix_registry_ids_value", "value"),
    )

    household_id: UUID = Field(foreign_key="households.id", index=True)
    source: str = Field(max_length=40, sa_type=CODE)
    kind: str = Field(max_length=20, sa_type=CODE)
    value: str = Field(max_length=40, sa_type=CODE)
    source_version: str = Field(max_length=40, sa_type=CODE)


class WelfareRank(InRegion, Record, table=True):
    """How a source ranked a household, as of a day: a decile (1-10) or a percentile (1-100)."""

    __tablename__ = "welfare_ranks"
    __table_args__ = (sa.UniqueConstraint("household_id", "source", "source_version"),)

    household_id: UUID = Field(foreign_key="households.id")
    source: str = Field(max_length=40, sa_type=CODE)
    source_version: str = Field(max_length=40, sa_type=CODE)
    decile: int | None = None
    percentile: int | None = None
    as_of: date


class Participation(InRegion, Record, table=True):
    """That a household, or one member, takes part in a programme, with the period if known."""

    __tablename__ = "participations"
    __table_args__ = (
        sa.UniqueConstraint(
            "household_id", "member_id", "program_code", "source",
            postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip

    household_id: UUID = Field(foreign_key="households.id")
    member_id: UUID | None = Field(default=None, foreign_key="members.id")
    program_code: str = Field(sa_type=CODE, max_length=40)
    source: str = Field(max_length=80)
    as_of: date | None = None
    began_on: date | None = None
    ended_on: date | None = None


class RegistryVersion(Record, table=True):
    """A version of the registry as its centre gave it out, once it has been applied."""

    __tablename__ = "registry_versions"
    __table_args__ = (sa.UniqueConstraint("source", "version", "regency_code"),)

    source: str = Field(max_length=40, sa_type=CODE)
    version: str = Field(max_length=40, sa_type=CODE)
    as_of: date
    regency_code: str = Field(sa_type=CODE, max_length=5)
    # A part of the registry ends nobody who is not in it.
    whole: bool = True
    operation_id: UUID | None = Field(default=None, foreign_key="operations.id")
    applied_at: datetime
    applied_by: UUID


class RegistryEntry(InRegion, Record, table=True):
    """A line of the registry's own history: what changed, from what, to what, by which source.

    `changes` is `{field: [before, after]}`; numbers stand there masked.
    """

    __tablename__ = "registry_entries"
    __table_args__ = (sa.Index("ix_registry_entries_household_id", "household_id", "id"),)

    household_id: UUID = Field(foreign_key="households.id")
    member_id: UUID | None = Field(default=None, foreign_key="members.id")
    version: int
    what: str = Field(max_length=40)
    changes: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    source: str = Field(max_length=80)
    registry_change_id: UUID | None = Field(default=None, foreign_key="registry_changes.id")
    registry_version_id: UUID | None = Field(default=None, foreign_key="registry_versions.id")
    at: datetime


# Where a participation stands: its household, and its member if it is one person's.
Place = tuple[UUID, UUID | None]


def touch(row: Household | Member, at: datetime) -> None:
    """A household or person is another version from now on."""
    row.version += 1
    row.updated_at = at


# Where a family card number is sealed: the place it has had since the first version.
CARD_PLACE = ("households", "family_card_number")


class Households:
    """The only place that writes SQL about households and members."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    @property
    def keys(self) -> Keys:
        return Keys.of(self.session)

    def add(
        self, household: Household, members: Sequence[Member], families: Sequence[Family] = ()
    ) -> None:
        self.session.add_all([household, *families, *members])

    def family(self, household: Household, family_card_number: str, number: int = 1) -> Family:
        """A family of a household, its number sealed and blindly indexed."""
        id = new_id()
        return Family(
            id=id,
            household_id=household.id,
            number=number,
            family_card_number=self.keys.seal(family_card_number, *CARD_PLACE, id),
            family_card_number_index=self.keys.blind(family_card_number),
            **region_of(household),
        )

    def seal_national_id(self, member: Member, national_id: str | None) -> None:
        """Put a number into a row, sealed and blindly indexed."""
        member.national_id = member.national_id_index = None
        if national_id:
            member.national_id = self.keys.seal(national_id, "members", "national_id", member.id)
            member.national_id_index = self.keys.blind(national_id)

    def family_card_number(self, family: Family) -> str:
        return self.keys.open(family.family_card_number, *CARD_PLACE, family.id)

    def national_id(self, member: Member) -> str | None:
        if member.national_id is None:
            return None
        return self.keys.open(member.national_id, "members", "national_id", member.id)

    async def families_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Family]]:
        """The present families of some households."""
        statement = (
            sa.select(Family)
            .where(col(Family.household_id).in_(ids), col(Family.ended_at).is_(None))
            .order_by(col(Family.number), col(Family.id))
        )
        found: dict[UUID, list[Family]] = {id: [] for id in ids}
        for family in await self.session.scalars(statement):
            found[family.household_id].append(family)
        return found

    async def get(self, id: UUID, regions: tuple[str, ...]) -> Household:
        statement = sa.select(Household).where(col(Household.id) == id, within(Household, regions))
        household = (await self.session.scalars(statement)).one_or_none()
        if household is None:
            raise NotFound
        return household

    async def present(self, ids: Sequence[UUID], regions: tuple[str, ...]) -> dict[UUID, Household]:
        """Those of some households that the registry has now, in the regions."""
        statement = sa.select(Household).where(
            col(Household.id).in_(ids),
            within(Household, regions),
            col(Household.ended_at).is_(None),
        )
        return {one.id: one for one in await self.session.scalars(statement)}

    async def lock(self, id: UUID) -> Household:
        """The row as it is now, held until commit. Households are locked before their members."""
        statement = sa.select(Household).where(col(Household.id) == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def lock_member(self, id: UUID) -> Member:
        """The person as they are now, held until commit; the household is locked before."""
        statement = sa.select(Member).where(col(Member.id) == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def members_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
        """The present members of some households, the dead among them."""
        statement = (
            sa.select(Member)
            .where(col(Member.household_id).in_(ids), col(Member.ended_at).is_(None))
            .order_by(col(Member.number).asc().nulls_last(), col(Member.id))
        )
        found: dict[UUID, list[Member]] = {id: [] for id in ids}
        for member in await self.session.scalars(statement):
            found[member.household_id].append(member)
        return found

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Household]:
        """Households, whether or not the registry still has them."""
        statement = sa.select(Household).where(col(Household.id).in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def members_by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Member]:
        """People, whether or not the registry still has them."""
        statement = sa.select(Member).where(col(Member.id).in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def heads_of(self, ids: Sequence[UUID]) -> dict[UUID, Member]:
        """The head of each household: the present one, else the one who was it last."""
        statement = (
            sa.select(Member)
            .where(col(Member.household_id).in_(ids), col(Member.relation) == MemberRelation.HEAD)
            .order_by(col(Member.ended_at).asc().nulls_first(), col(Member.id).desc())
        )
        found: dict[UUID, Member] = {}
        for member in await self.session.scalars(statement):
            found.setdefault(member.household_id, member)
        return found

    async def registry_ids_of(self, ids: Sequence[UUID]) -> dict[UUID, list[RegistryId]]:
        """The ids that the registries gave some households."""
        statement = (
            sa.select(RegistryId)
            .where(col(RegistryId.household_id).in_(ids))
            .order_by(col(RegistryId.source), col(RegistryId.kind), col(RegistryId.value))
        )
        found: dict[UUID, list[RegistryId]] = {id: [] for id in ids}
        for one in await self.session.scalars(statement):
            found[one.household_id].append(one)
        return found

    async def member(self, id: UUID) -> Member | None:
        return await self.session.get(Member, id)

    async def find(self, id: UUID) -> Household | None:
        return await self.session.get(Household, id)

    async def member_by_national_id(self, regency_code: str, index: bytes) -> Member | None:
        """The first present member of the city with this national id, by its blind index."""
        statement = (
            sa.select(Member)
            .where(
                col(Member.national_id_index) == index,
                col(Member.regency_code) == regency_code,
                col(Member.ended_at).is_(None),
            )
            .order_by(col(Member.id))
            .limit(1)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def lock_row(self, id: UUID) -> Household | Member:
        """A household or a member, held until commit."""
        if await self.find(id) is not None:
            return await self.lock(id)
        return await self.lock_member(id)

    async def move_participations(self, whose: Place, into: Place) -> list[dict[str, Any]]:
        """What one takes part in goes to another, if new there. Returns what was moved."""
        program, source = col(Participation.program_code), col(Participation.source)
        known = sa.select(program, source).where(_at(into))
        statement = (
            sa.update(Participation)
            .where(_at(whose), sa.tuple_(program, source).not_in(known))
            .values(household_id=into[0], member_id=into[1])
            .returning(col(Participation.id))
            .execution_options(synchronize_session=False)
        )
        ids = await self.session.scalars(statement)
        member_id = str(whose[1]) if whose[1] else None
        return [
            {"id": str(id), "household_id": str(whose[0]), "member_id": member_id} for id in ids
        ]

    async def return_participations(self, moved: list[dict[str, Any]], from_id: UUID) -> None:
        """Undo `move_participations`, as far as they are still with a household."""
        for kept in moved:
            member_id = UUID(kept["member_id"]) if kept["member_id"] else None
            await self.session.execute(
                sa.update(Participation)
                .where(
                    col(Participation.id) == UUID(kept["id"]),
                    col(Participation.household_id) == from_id,
                )
                .values(household_id=UUID(kept["household_id"]), member_id=member_id)
                .execution_options(synchronize_session=False)
            )

    async def move_belongings(self, household_id: UUID, into_id: UUID) -> dict[str, list[str]]:
        """Ids and families of a household belong to another from now on. Returns which."""
        moved: dict[str, list[str]] = {}
        for name, kind in BELONGINGS.items():
            whose: Any = kind
            statement = (
                sa.update(kind)
                .where(whose.household_id == household_id)
                .values(household_id=into_id)
                .returning(whose.id)
            )
            moved[name] = [str(id) for id in await self.session.scalars(statement)]
        return moved

    async def return_belongings(
        self, household_id: UUID, from_id: UUID, moved: dict[str, list[str]]
    ) -> None:
        """Undo `move_belongings`, as far as they are still with the other."""
        for name, kind in BELONGINGS.items():
            whose: Any = kind
            ids = [UUID(id) for id in moved[name]]
            await self.session.execute(
                sa.update(kind)
                .where(whose.id.in_(ids), whose.household_id == from_id)
                .values(household_id=household_id)
            )


def _at(place: Place) -> Any:
    return sa.and_(
        col(Participation.household_id) == place[0],
        col(Participation.member_id).is_not_distinct_from(place[1]),
    )


# What hangs on a household, besides people, complaints and referrals.
BELONGINGS: dict[str, type[InRegion]] = {"families": Family, "registry_ids": RegistryId}
