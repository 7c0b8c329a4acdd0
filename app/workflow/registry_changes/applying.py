"""Applying a change to the registry here, and taking it back when the centre declines it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import day_of, new_id, region_columns, region_of
from app.domain.complaints import Complaints
from app.domain.households import (
    Household,
    Households,
    Member,
    MemberRelation,
    Presence,
    RegistryEntry,
    Sex,
    touch,
)
from app.domain.identifiers import NUMBERS, masked, national_id_warnings
from app.domain.regions import Regions
from app.domain.registry_changes import (
    ChangeContent,
    ChangeKind,
    RegistryChange,
    RegistryChanges,
)
from app.workflow.history import log
from app.workflow.registry_changes import heads, merging
from app.workflow.registry_changes.drafts import COLUMNS
from app.workflow.registry_changes.values import presence_in, presence_of, values_of
from app.workflow.visits.closing import call_off_at

K = ChangeKind
HERE = "slrt"
HOUSEHOLD_CHANGED, MEMBER_CHANGED = "household.changed", "member.changed"
# What a household that moves leaves behind, besides its village.
PLACE = ("address", "rt", "rw")
MOVED = ("region_code", *PLACE)


@dataclass(slots=True)
class Applying:
    """One change being applied: its rows, locked, and what it says without what was refused."""

    session: AsyncSession
    change: RegistryChange
    content: ChangeContent
    actor: Actor
    at: datetime
    household: Household | None = None
    member: Member | None = None

    @property
    def households(self) -> Households:
        return Households(self.session)

    @property
    def today(self) -> date:
        return day_of(self.at)

    @property
    def fields(self) -> dict[str, Any]:
        refused = {one["field"] for one in self.change.refused_fields}
        return {name: value for name, value in self.content.fields.items() if name not in refused}

    def enter(self, what: str, changes: dict[str, Any]) -> None:
        """Write the line of the registry's history."""
        row = self.member or self.household
        assert row is not None
        add_entry(self.session, row, what, changes, self.at, change_id=self.change.id)


def add_entry(
    session: AsyncSession,
    row: Household | Member,
    what: str,
    changes: dict[str, Any],
    at: datetime,
    change_id: UUID | None = None,
) -> None:
    """A line of the registry's history about a household or a member; numbers are masked."""
    shown = {
        name: [masked(one) for one in pair] if name in NUMBERS else pair
        for name, pair in changes.items()
    }
    session.add(
        RegistryEntry(
            household_id=row.household_id if isinstance(row, Member) else row.id,
            member_id=row.id if isinstance(row, Member) else None,
            version=row.version, what=what, changes=shown, source=HERE,
            registry_change_id=change_id, at=at, **region_of(row),
        )
    )  # fmt: skip


async def rows_of(
    session: AsyncSession, change: RegistryChange
) -> tuple[Household | None, Member | None]:
    """The household and member of a change, locked, the household first.

    The one to merge into is locked with them, in id order: two merges cannot meet head-on.
    """
    households, into = Households(session), {change.into_id} - {None}
    homes = {change.household_id} | (set() if change.member_id else into)
    people = {change.member_id} | (into if change.member_id else set())
    found = {id: await households.lock(id) for id in sorted(one for one in homes if one)}
    persons = {id: await households.lock_member(id) for id in sorted(one for one in people if one)}
    return (
        found[change.household_id] if change.household_id else None,
        persons[change.member_id] if change.member_id else None,
    )


async def is_stale(session: AsyncSession, change: RegistryChange) -> bool:
    """Whether the row has changed since the proposer read it, or is no longer there."""
    household, member = await rows_of(session, change)
    row = member or household
    if row is None or change.kind in (K.REPORT_DEATH, K.REVOKE_DEATH, K.ADD_MEMBER):
        # A death or a new person holds whatever else is known of the row.
        return row is not None and row.ended_at is not None
    if change.kind is K.MERGE_DUPLICATE and await merging.is_gone(session, change):
        return True
    return row.ended_at is not None or row.version != change.base_version


async def apply(session: AsyncSession, change: RegistryChange, actor: Actor, at: datetime) -> None:
    """Write a change into the registry; what stood there before is kept for `undo`."""
    household, member = await rows_of(session, change)
    content = RegistryChanges(session).content(change)
    doing = Applying(session, change, content, actor, at, household, member)
    undo = await APPLY[change.kind](doing)
    RegistryChanges(session).seal_undo(change, undo)
    row = doing.member or doing.household
    assert row is not None
    what = MEMBER_CHANGED if isinstance(row, Member) else HOUSEHOLD_CHANGED
    log(session, what, row, actor, at, change_id=str(change.id), kind=change.kind)


async def _add_household(do: Applying) -> dict[str, Any]:
    sent = do.content.household or {}
    columns: dict[str, Any] = region_columns(do.change.village_code)
    id = new_id()
    household = Household(
        id=id, registry_source=HERE, registry_id=str(id), address=sent["address"],
        rt=sent["rt"], rw=sent["rw"], facts=sent["facts"], facts_source=HERE,
        facts_as_of=do.today, presence=Presence.FOUND, presence_on=do.today, verified_at=do.at,
        created_at=do.at, updated_at=do.at, **columns,
    )  # fmt: skip
    number = sent["family_card_number"]
    card = do.households.family(household, number) if number else None
    members = [
        _new_member(do, household, person, n) for n, person in enumerate(do.content.people, 1)
    ]
    for member in members:
        member.family_id = card.id if card else None
    do.households.add(household, members, [card] if card else [])
    do.household, do.change.household_id = household, household.id
    do.enter("added", {})
    if do.change.complaint_id is not None:
        complaint = await Complaints(do.session).lock(do.change.complaint_id)
        complaint.household_id = complaint.household_id or household.id
    return {}


def _new_member(
    do: Applying, household: Household, person: dict[str, Any], number: int | None
) -> Member:
    born = date.fromisoformat(person["birth_date"]) if person["birth_date"] else None
    member = Member(
        id=new_id(), household_id=household.id, number=number, name=person["name"],
        birth_date=born, birth_year=born.year if born else None,
        sex=Sex(person["sex"]) if person["sex"] else None,
        relation=MemberRelation(person["relation"]), facts=person["facts"], facts_source=HERE,
        facts_as_of=do.today, presence=Presence.FOUND, presence_on=do.today,
        created_at=do.at, updated_at=do.at, **region_of(household),
    )  # fmt: skip
    do.households.seal_national_id(member, person["national_id"])
    member.warnings = national_id_warnings(person["national_id"]) if person["national_id"] else []
    return member


async def _add_member(do: Applying) -> dict[str, Any]:
    assert do.household is not None
    do.member = _new_member(do, do.household, do.content.people[0], None)
    do.session.add(do.member)
    do.change.member_id = do.member.id
    touch(do.household, do.at)
    do.enter("added", {})
    return {}


async def _update(do: Applying) -> dict[str, Any]:
    row = do.member or do.household
    assert row is not None
    before = await values_of(do.session, do.household, do.member, do.fields)
    changed_before = {name: row.facts_changed.get(name) for name in do.fields}
    for name, value in do.fields.items():
        await write(do, name, value)
    after = await values_of(do.session, do.household, do.member, do.fields)
    _say(do, row, do.fields)
    touch(row, do.at)
    do.enter("changed", {name: [before[name], after[name]] for name in do.fields})
    return {"fields": before, "after": after, "facts_changed": changed_before}


def _say(do: Applying, row: Household | Member, names: Iterable[str]) -> None:
    """Keep what was changed here from files that were true before."""
    said = {"source": HERE, "as_of": do.today.isoformat(), "change_id": str(do.change.id)}
    row.facts_changed = row.facts_changed | dict.fromkeys(names, said)


def _unsay(row: Household | Member, kept: dict[str, Any], names: Iterable[str]) -> None:
    """Of what is put back, say again what was said before."""
    before = kept.get("facts_changed", {})
    said = {name: one for name, one in row.facts_changed.items() if name not in names}
    row.facts_changed = said | {name: before[name] for name in names if before.get(name)}


async def write(do: Applying, name: str, value: Any) -> None:
    """Write one field of a member, or else of a household; null clears it."""
    row, member = do.member or do.household, do.member
    assert row is not None
    kind = K.UPDATE_MEMBER if member else K.UPDATE_HOUSEHOLD
    if name not in COLUMNS[kind]:
        facts = {key: one for key, one in row.facts.items() if key != name}
        row.facts = facts if value is None else facts | {name: value}
        return
    typed = None if value is None else COLUMNS[kind][name](value)
    if name == "national_id" and member is not None:
        do.households.seal_national_id(member, value)
        member.warnings = national_id_warnings(value) if value else []
    elif name == "family_card_number" and isinstance(row, Household):
        await _write_card(do, row, value)
    else:
        setattr(row, name, typed)
        if name == "birth_date" and member is not None:
            member.birth_year = typed.year if isinstance(typed, date) else None
        if name == "presence":
            row.presence_on = do.today


async def _write_card(do: Applying, household: Household, number: str | None) -> None:
    families = (await do.households.families_of([household.id]))[household.id]
    if families:
        families[0].ended_at = do.at
    if number:
        card = do.households.family(household, number, families[0].number if families else 1)
        do.session.add(card)
        await do.session.flush()
        for member in (await do.households.members_of([household.id]))[household.id]:
            if not families or member.family_id == families[0].id:
                member.family_id = card.id


async def _died(do: Applying) -> dict[str, Any]:
    assert do.member is not None
    died_on = date.fromisoformat(do.content.fields["died_on"])
    do.member.died_on = died_on
    touch(do.member, do.at)
    do.enter("died", {"died_on": [None, died_on.isoformat()]})
    return {}


async def _lives(_: Applying) -> dict[str, Any]:
    """A revoked death has restored the person already, at once."""
    return {}


async def _move(do: Applying) -> dict[str, Any]:
    village = await Regions(do.session).village(do.fields["region_code"])
    row = do.member or do.household
    assert village is not None
    assert row is not None
    left = row.village_code
    names = ("presence",) if isinstance(row, Member) else MOVED
    changed_before = {name: row.facts_changed.get(name) for name in names}
    if isinstance(row, Member):
        undo = presence_of(row)
        row.presence, row.presence_on = Presence.MOVED, do.today
    else:
        undo = {"before": _place(row)}
        for name in PLACE:
            value = do.fields.get(name)
            setattr(row, name, None if value is None else COLUMNS[K.REPORT_MOVE][name](value))
        await _settle_in(do.session, row, village.code)
        undo |= {"after": _place(row)}
    _say(do, row, names)
    touch(row, do.at)
    do.enter("moved", {"region_code": [left, village.code]})
    return undo | {"facts_changed": changed_before}


def _place(household: Household) -> dict[str, Any]:
    return {name: getattr(household, name) for name in ("village_code", *PLACE)}


async def _settle_in(session: AsyncSession, household: Household, village_code: str) -> None:
    """A household with all that is in it belongs to another village."""
    households = Households(session)
    members = (await households.members_of([household.id]))[household.id]
    families = (await households.families_of([household.id]))[household.id]
    columns = region_columns(village_code)
    for row in (household, *members, *families):
        for name, code in columns.items():
            setattr(row, name, code)


async def _merge(do: Applying) -> dict[str, Any]:
    assert do.change.into_id is not None
    moved = await merging.merge(do.session, do.change, do.household, do.member, do.actor, do.at)
    do.enter("merged", {"merged_into": [None, str(do.change.into_id)]})
    return moved


async def _remove(do: Applying) -> dict[str, Any]:
    row = do.member or do.household
    assert row is not None
    ended = [row]
    if do.member is None and do.household is not None:
        ended += (await do.households.members_of([do.household.id]))[do.household.id]
        await call_off_at(do.session, do.household.id, do.at)
    for one in ended:
        one.ended_at = do.at
    touch(row, do.at)
    do.enter("removed", {})
    return {"ended": [str(one.id) for one in ended]}


APPLY: dict[ChangeKind, Callable[[Applying], Awaitable[dict[str, Any]]]] = {
    K.ADD_HOUSEHOLD: _add_household,
    K.ADD_MEMBER: _add_member,
    K.UPDATE_HOUSEHOLD: _update,
    K.UPDATE_MEMBER: _update,
    K.REPORT_DEATH: _died,
    K.REVOKE_DEATH: _lives,
    K.REPORT_MOVE: _move,
    K.MERGE_DUPLICATE: _merge,
    K.REMOVE: _remove,
}


async def undo(session: AsyncSession, change: RegistryChange, actor: Actor, at: datetime) -> None:
    """Take an applied change back. What was changed again meanwhile stays as it is now."""
    household, member = await rows_of(session, change)
    row = member or household
    assert row is not None
    kept = RegistryChanges(session).undo_of(change)
    content = RegistryChanges(session).content(change)
    doing = Applying(session, change, content, actor, at, household, member)
    if change.kind in (K.ADD_HOUSEHOLD, K.ADD_MEMBER):
        await _remove(doing)
        await _forget(doing)
    elif change.kind in (K.UPDATE_HOUSEHOLD, K.UPDATE_MEMBER):
        await _put_back(doing, kept)
    elif change.kind is K.REPORT_MOVE:
        await _move_back(doing, kept)
    elif change.kind is K.MERGE_DUPLICATE:
        await merging.part(session, change, kept, at)
    elif change.kind is K.REMOVE:
        await _bring_back(doing, kept["ended"])
    touch(row, at)
    doing.enter("undone", {})
    what = MEMBER_CHANGED if isinstance(row, Member) else HOUSEHOLD_CHANGED
    log(session, what, row, actor, at, change_id=str(change.id), kind="undo")


async def _forget(do: Applying) -> None:
    """What was added is ended; the change and its complaint no longer point at it."""
    if do.member is not None:
        do.change.member_id = None
        return
    if do.change.complaint_id is not None:
        complaint = await Complaints(do.session).lock(do.change.complaint_id)
        if complaint.household_id == do.change.household_id:
            complaint.household_id = None
    do.change.household_id = None


async def _put_back(do: Applying, kept: dict[str, Any]) -> None:
    row = do.member or do.household
    assert row is not None
    now = await values_of(do.session, do.household, do.member, do.fields)
    member = do.member
    another = member and await heads.has_head(do.session, member.household_id, member.id)
    for name, before in kept["fields"].items():
        if another and (name, before) == ("relation", heads.HEAD):
            continue
        if now[name] == kept["after"][name]:
            await write(do, name, before)
            _unsay(row, kept, [name])


async def _move_back(do: Applying, kept: dict[str, Any]) -> None:
    if do.member is not None:
        if do.member.presence is Presence.MOVED:
            do.member.presence, do.member.presence_on = presence_in(kept)
            _unsay(do.member, kept, ["presence"])
        return
    assert do.household is not None
    before, after = kept["before"], kept["after"]
    for name in PLACE:
        if getattr(do.household, name) == after[name]:
            setattr(do.household, name, before[name])
            _unsay(do.household, kept, [name])
    if do.household.village_code == after["village_code"]:
        await _settle_in(do.session, do.household, before["village_code"])
        _unsay(do.household, kept, ["region_code"])


async def _bring_back(do: Applying, ended: list[str]) -> None:
    for id in ended:
        row = await do.households.lock_row(UUID(id))
        row.ended_at = None
        if isinstance(row, Member):
            await heads.give_way(do.session, row)
