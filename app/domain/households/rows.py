"""What the registry holds: households, families, people, their ids, ranks and history."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.domain.base import CODE, JSON, InRegion, Record, enum_type


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


def touch(row: Household | Member, at: datetime) -> None:
    """A household or person is another version from now on."""
    row.version += 1
    row.updated_at = at


# Where a family card number is sealed: the place it has had since the first version.
CARD_PLACE = ("households", "family_card_number")
