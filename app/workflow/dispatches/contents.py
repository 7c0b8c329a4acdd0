"""What the centre is told of a change: everything it needs to find the row and to decide.

A person or household stands there as the centre knows it: where the change is about a number, name
or birth date, that is the one before. A household goes by its head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.households import Family, Household, Households, Member, RegistryId
from app.domain.regions import Regions
from app.domain.registry_changes import ChangeContent, RegistryChange, RegistryChanges

# Households and people that are known by our own ids alone are new to the centre.
HERE = "slrt"


@dataclass(slots=True)
class Known:
    """The rows that some changes are about, read in a fixed number of queries."""

    households: dict[UUID, Household] = field(default_factory=dict)
    members: dict[UUID, Member] = field(default_factory=dict)
    heads: dict[UUID, Member] = field(default_factory=dict)
    families: dict[UUID, list[Family]] = field(default_factory=dict)
    registry_ids: dict[UUID, list[RegistryId]] = field(default_factory=dict)
    bps_codes: dict[str, str] = field(default_factory=dict)


async def contents_of(
    session: AsyncSession, changes: Sequence[RegistryChange]
) -> list[dict[str, Any]]:
    """What each change says to the centre, numbers in clear: for sealing and nothing else."""
    known = await _read(session, changes)
    return [_content(session, change, known) for change in changes]


async def _read(session: AsyncSession, changes: Sequence[RegistryChange]) -> Known:
    households = Households(session)
    named = {one.member_id for one in changes} | {one.into_id for one in changes}
    members = await households.members_by_ids([id for id in named if id])
    ids = {one.household_id for one in changes} | {one.into_id for one in changes}
    wanted = [id for id in ids | {one.household_id for one in members.values()} if id]
    return Known(
        households=await households.by_ids(wanted),
        members=members,
        heads=await households.heads_of(wanted),
        families=await households.families_of(wanted),
        registry_ids=await households.registry_ids_of(wanted),
        bps_codes=await Regions(session).bps_code_of({one.village_code for one in changes}),
    )


def _content(session: AsyncSession, change: RegistryChange, known: Known) -> dict[str, Any]:
    said = RegistryChanges(session).content(change)
    refused = {one["field"] for one in change.refused_fields}
    fields = {
        name: {"before": said.before.get(name), "after": after}
        for name, after in said.fields.items()
        if name not in refused
    }
    died_on = fields.pop("died_on", None)
    member = known.members.get(change.member_id) if change.member_id else None
    # What is approved has been applied: what it added is there, too.
    household_id = member.household_id if member else change.household_id
    assert household_id is not None
    household = known.households[household_id]
    return {
        "change_id": str(change.id),
        "kind": str(change.kind),
        "registry_ids": _ids(household, member, known),
        **_person(session, household, member, said, known, fields),
        "village_code": change.village_code,
        "bps_code": known.bps_codes.get(change.village_code),
        "fields": fields,
        "died_on": died_on["after"] if died_on else None,
        "household": said.household,
        "people": said.people,
        "evidence": [
            {name: one[name] for name in ("kind", "reference", "dated_on")} for one in said.evidence
        ],
        "into": _into(session, change, known),
        "revokes_change_id": str(change.revokes_id) if change.revokes_id else None,
        "note": said.note,
    }


def _ids(household: Household, member: Member | None, known: Known) -> list[dict[str, str]]:
    """The ids of the household in every source, and that of the person where they have one."""
    found = [
        {"of": "household", "source": one.source, "kind": one.kind, "value": one.value}
        for one in known.registry_ids[household.id]
    ]
    first = (household.registry_source, household.registry_id)
    if first[0] != HERE and first not in {(one["source"], one["value"]) for one in found}:
        found.insert(0, {"of": "household", "source": first[0], "kind": "id", "value": first[1]})
    if member is not None and member.registry_id is not None:
        source = household.registry_source
        found.append({"of": "person", "source": source, "kind": "id", "value": member.registry_id})
    return found


def _person(
    session: AsyncSession,
    household: Household,
    member: Member | None,
    said: ChangeContent,
    known: Known,
    fields: dict[str, Any],
) -> dict[str, Any]:
    """Who it is about, as the centre knows them; somebody new as they were proposed."""
    new = _new(said)
    if new is not None:
        card = (said.household or {}).get("family_card_number")
        card = card or _card(session, household, None, known)
        names = ("national_id", "name", "birth_date")
        return {name: new[name] for name in names} | {"family_card_number": card}
    person = member or known.heads.get(household.id)
    now: dict[str, Any] = {
        "national_id": Households(session).national_id(person) if person else None,
        "name": person.name if person else None,
        "birth_date": _day(person.birth_date) if person else None,
        "family_card_number": _card(session, household, member, known),
    }
    before = {name: fields[name]["before"] for name in now if name in fields}
    return now | {name: value for name, value in before.items() if value is not None}


def _new(said: ChangeContent) -> dict[str, Any] | None:
    """The new person that a change is about; of a new household its head."""
    heads = [one for one in said.people if one["relation"] == "head"]
    return next(iter([*heads, *said.people]), None)


def _card(
    session: AsyncSession, household: Household, member: Member | None, known: Known
) -> str | None:
    """The card of the person's family, else the household's first."""
    families = known.families[household.id]
    own = [one for one in families if member and one.id == member.family_id]
    card = next(iter([*own, *families]), None)
    return Households(session).family_card_number(card) if card else None


def _into(session: AsyncSession, change: RegistryChange, known: Known) -> dict[str, Any] | None:
    """The row that a duplicate was merged into."""
    if change.into_id is None:
        return None
    member = known.members.get(change.into_id)
    household = known.households[member.household_id if member else change.into_id]
    nothing = ChangeContent()
    return {
        "registry_ids": _ids(household, member, known),
        **_person(session, household, member, nothing, known, {}),
    }


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None
