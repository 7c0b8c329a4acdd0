"""How households, their members and their histories look in answers: numbers masked."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain import facts
from app.domain.households import (
    Family,
    Household,
    Households,
    Member,
    MemberRelation,
    Presence,
    RegistryEntry,
    Sex,
)
from app.domain.identifiers import masked
from app.domain.registry import Registry
from app.routers.resources import Code, Count, Ids, Line, Moment, Name, Word, Words, items, text
from app.workflow.households import sensitive
from app.workflow.registry import first_card

Number = Annotated[str, Field(json_schema_extra={"maxLength": 16})]
Short = Annotated[str, Field(json_schema_extra={"maxLength": 3})]
Decile = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 10})]
Percentile = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 100})]
Whole = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 1_000_000_000})]
Real = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1_000_000_000})]


class MemberRead(BaseModel):
    id: UUID
    name: Name
    national_id: Number | None
    birth_date: date | None
    sex: Sex | None
    relation: MemberRelation


class HouseholdRead(BaseModel):
    """A household of the registry, numbers masked."""

    id: UUID
    version: Count
    registry_source: Code
    registry_id: Code
    family_card_number: Number | None
    region_code: Code
    address: Line | None
    rt: Short | None
    rw: Short | None
    decile: Decile | None
    percentile: Percentile | None
    presence: Presence | None
    presence_on: date | None
    verified_at: Moment | None
    ended_at: Moment | None
    merged_into: UUID | None
    members: items(MemberRead, 100)  # type: ignore[valid-type]


class FactRead(BaseModel):
    """What is known, who said it, and the day it was true."""

    name: Word
    group: Word
    label_id: Name
    label_en: Name
    value: bool | Whole | Real | text(120)  # type: ignore[valid-type]
    source: Name
    as_of: date | None


Facts = items(FactRead, 100)


class MemberPage(MemberRead):
    """A person with all that is known. `on_hold`: a death is reported and not yet decided."""

    version: Count
    number: Count | None
    family_id: UUID | None
    registry_id: Code | None
    birth_year: Annotated[int, Field(json_schema_extra={"minimum": 1800, "maximum": 2200})] | None
    presence: Presence | None
    presence_on: date | None
    died_on: date | None
    on_hold: bool
    warnings: Words
    facts: Facts  # type: ignore[valid-type]
    ended_at: Moment | None
    merged_into: UUID | None


class FamilyRead(BaseModel):
    id: UUID
    number: Count
    family_card_number: Number | None


class RegistryIdRead(BaseModel):
    """An id by which a source knows the household."""

    source: Code
    kind: Code
    value: Code
    source_version: Code


class WelfareRead(BaseModel):
    """How a source ranked the household as of a day."""

    source: Code
    source_version: Code
    decile: Decile | None
    percentile: Percentile | None
    as_of: date


class ParticipationRead(BaseModel):
    member_id: UUID | None
    program_code: Code
    source: Name
    as_of: date | None
    began_on: date | None
    ended_on: date | None


class HouseholdPage(HouseholdRead):
    """A household with all that is known of it. One that ended or was merged says so.

    Facts of health, disability and income stand there for those who work its cases.
    """

    members: items(MemberPage, 100)  # type: ignore[valid-type]
    families: items(FamilyRead, 50)  # type: ignore[valid-type]
    registry_ids: items(RegistryIdRead, 100)  # type: ignore[valid-type]
    welfare: items(WelfareRead, 200)  # type: ignore[valid-type]
    facts: Facts  # type: ignore[valid-type]
    participations: items(ParticipationRead, 500)  # type: ignore[valid-type]
    unconfirmed_change_ids: Ids


class EntryRead(BaseModel):
    """One line of the registry's own history: `{field: [before, after]}`, numbers masked."""

    id: UUID
    at: Moment
    version: Count
    what: Word
    member_id: UUID | None
    changes: Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": 200})]
    source: Name
    registry_change_id: UUID | None
    registry_version_id: UUID | None


async def summaries(session: AsyncSession, rows: Sequence[Household]) -> list[HouseholdRead]:
    """Households as a list shows them."""
    households = Households(session)
    ids = [one.id for one in rows]
    members = await households.members_of(ids)
    families = await households.families_of(ids)
    return [
        HouseholdRead.model_construct(
            **_home(households, one, families[one.id]),
            members=[MemberRead.model_construct(**_person(households, m)) for m in members[one.id]],
        )
        for one in rows
    ]


async def page(session: AsyncSession, one: Household, all_facts: bool) -> HouseholdPage:
    """A household with all that is known; `all_facts` with the sensitive ones."""
    households, registry = Households(session), Registry(session)
    families = (await households.families_of([one.id]))[one.id]
    return HouseholdPage.model_construct(
        **_home(households, one, families),
        members=[_member(households, m, all_facts) for m in await registry.everybody(one)],
        families=[
            FamilyRead.model_construct(
                id=family.id,
                number=family.number,
                family_card_number=masked(households.family_card_number(family)),
            )
            for family in families
        ],
        registry_ids=[_copied(RegistryIdRead, row) for row in await registry.registry_ids(one.id)],
        welfare=[_copied(WelfareRead, row) for row in await registry.welfare(one.id)],
        facts=_facts(one, all_facts),
        participations=[
            _copied(ParticipationRead, row) for row in await registry.participations(one.id)
        ],
        unconfirmed_change_ids=await registry.unconfirmed(one.id),
    )


def entry(row: RegistryEntry, all_facts: bool) -> EntryRead:
    """A line of the history; what is sensitive in it only for those who work cases."""
    changes = {n: v for n, v in row.changes.items() if all_facts or not sensitive(n)}
    names = EntryRead.model_fields.keys() - {"changes"}
    return EntryRead.model_construct(
        **{name: getattr(row, name) for name in names}, changes=_without_numbers(changes)
    )


def _home(households: Households, one: Household, families: list[Family]) -> dict[str, Any]:
    names = HouseholdRead.model_fields.keys() - {"family_card_number", "region_code", "members"}
    return {name: getattr(one, name) for name in names} | {
        "region_code": one.village_code,
        "family_card_number": first_card(households, families),
    }


def _person(households: Households, member: Member) -> dict[str, Any]:
    names = MemberRead.model_fields.keys() - {"national_id"}
    return {name: getattr(member, name) for name in names} | {
        "national_id": masked(households.national_id(member))
    }


def _member(households: Households, member: Member, all_facts: bool) -> MemberPage:
    made = MemberRead.model_fields.keys() | {"on_hold", "facts"}
    return MemberPage.model_construct(
        **_person(households, member),
        **{name: getattr(member, name) for name in MemberPage.model_fields.keys() - made},
        on_hold=member.hold_change_id is not None,
        facts=_facts(member, all_facts),
    )


def _facts(row: Household | Member, all_facts: bool) -> list[FactRead]:
    """The facts of a row in the order of the catalogue of facts."""
    known = facts.known(row.facts, row.facts_changed, row.facts_source, row.facts_as_of)
    by_name = {one.name: one for one in known}
    return [
        FactRead.model_construct(
            name=name,
            group=fact.group,
            label_id=fact.label_id,
            label_en=fact.label_en,
            value=by_name[name].value,
            source=by_name[name].source,
            as_of=by_name[name].as_of,
        )
        for name, fact in facts.FACTS.items()
        if name in by_name and (all_facts or not fact.sensitive)
    ]


def _copied(kind: Any, row: Any) -> Any:
    return kind.model_construct(**{name: getattr(row, name) for name in kind.model_fields})


def _without_numbers(value: Any) -> Any:
    """The same with whole numbers of people and families masked, wherever they stand."""
    if isinstance(value, Mapping):
        return {name: _without_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_numbers(one) for one in value]
    return masked(value) if facts.is_number(value) else value
