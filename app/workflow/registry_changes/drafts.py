"""What somebody proposes: its form, and whether it fits the registry as it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import day_of, line, text
from app.domain.errors import Conflict, Fault, Invalid
from app.domain.facts import HOUSEHOLD_FACTS, MEMBER_FACTS
from app.domain.households import Household, Households, Member, MemberRelation, Presence, Sex
from app.domain.identifiers import no_number
from app.domain.regions import Regions
from app.domain.registry_changes import ChangeKind, RegistryChanges

K = ChangeKind
LONG_AGO = date(1900, 1, 2)

Number = Annotated[str, Field(pattern=r"^[0-9]{16}$", min_length=16, max_length=16)]
Digits3 = Annotated[str, Field(pattern=r"^[0-9]{1,3}$", max_length=3)]
Village = Annotated[str, Field(pattern=r"^[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}$", max_length=13)]
Facts = Annotated[dict[str, Any], Field(max_length=100)]


class EvidenceKind(StrEnum):
    """What shows that something is so."""

    DEATH_CERTIFICATE = "death_certificate"
    KELURAHAN_LETTER = "kelurahan_letter"
    RT_LETTER = "rt_letter"
    WITNESS = "witness"
    FAMILY_CARD = "family_card"
    ID_CARD = "id_card"
    PHOTO = "photo"
    OTHER = "other"


class Evidence(BaseModel):
    """A paper that was seen, with its number, or a witness by name."""

    model_config = ConfigDict(extra="forbid")

    kind: EvidenceKind
    name: line(120) | None = None  # type: ignore[valid-type]
    reference: line(120) | None = None  # type: ignore[valid-type]
    dated_on: date | None = None


class NewPerson(BaseModel):
    """A person who should be in the registry; those without a national id are served, too."""

    model_config = ConfigDict(extra="forbid")

    name: line(120)  # type: ignore[valid-type]
    relation: MemberRelation
    national_id: Number | None = None
    birth_date: date | None = None
    sex: Sex | None = None
    facts: Facts = {}


class NewHousehold(BaseModel):
    """A household that should be in the registry, with its people."""

    model_config = ConfigDict(extra="forbid")

    region_code: Village
    address: line(300) | None = None  # type: ignore[valid-type]
    rt: Digits3 | None = None
    rw: Digits3 | None = None
    family_card_number: Number | None = None
    facts: Facts = {}
    people: Annotated[list[NewPerson], Field(min_length=1, max_length=40)]


class ChangeDraft(BaseModel):
    """A proposed change.

    `fields` are the new values of an update, a move (`region_code`, `address`, `rt`, `rw`) or a
    death (`died_on`). `base_version` is the version of the member (or else household) that the
    proposer read; absent: the present one.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ChangeKind
    household_id: UUID | None = None
    member_id: UUID | None = None
    into_id: UUID | None = None
    base_version: Annotated[int, Field(ge=1, le=2_000_000_000, strict=True)] | None = None
    fields: Facts = {}
    household: NewHousehold | None = None
    person: NewPerson | None = None
    evidence: Annotated[list[Evidence], Field(max_length=20)] = []
    note: text(1000) | None = None  # type: ignore[valid-type]


class ChangeSent(ChangeDraft):
    """A proposed change as somebody sends it: the note is shown as it is, so it holds no number."""

    note: Annotated[text(1000), AfterValidator(no_number)] | None = None  # type: ignore[valid-type]


@dataclass(frozen=True, slots=True)
class Target:
    """The rows a change is about, locked by nobody yet."""

    household: Household | None = None
    member: Member | None = None
    into: Household | Member | None = None
    village_code: str = ""

    @property
    def row(self) -> Household | Member | None:
        return self.member or self.household

    @property
    def into_id(self) -> UUID | None:
        return self.into.id if self.into else None


def _is(kind: Any) -> Callable[[object], object]:
    adapter = TypeAdapter(kind)

    def check(value: object) -> object:
        return adapter.validate_python(value, strict=False)

    return check


TEXT_NAME, TEXT_ADDRESS = _is(line(120)), _is(line(300))
DAY = _is(date)
# Columns of a household and of a member that a change may write, besides the facts.
HOUSEHOLD_COLUMNS: dict[str, Callable[[object], object]] = {
    "address": TEXT_ADDRESS,
    "rt": _is(Digits3),
    "rw": _is(Digits3),
    "family_card_number": _is(Number),
    "presence": _is(Presence),
}
MEMBER_COLUMNS: dict[str, Callable[[object], object]] = {
    "name": TEXT_NAME,
    "national_id": _is(Number),
    "birth_date": DAY,
    "sex": _is(Sex),
    "relation": _is(MemberRelation),
    "presence": _is(Presence),
}
MOVE_COLUMNS = {
    "region_code": _is(Village),
    "address": TEXT_ADDRESS,
    "rt": _is(Digits3),
    "rw": _is(Digits3),
}
DEATH_COLUMNS = {"died_on": DAY}
# What cannot be emptied; the others may be set to null.
NEEDED = ("name", "relation", "region_code", "died_on")
# Death, moves and duplicates have kinds of their own.
PRESENCES = (Presence.FOUND, Presence.NOT_FOUND, Presence.UNDOCUMENTED)
COLUMNS: dict[ChangeKind, dict[str, Callable[[object], object]]] = {
    K.UPDATE_HOUSEHOLD: HOUSEHOLD_COLUMNS,
    K.UPDATE_MEMBER: MEMBER_COLUMNS,
    K.REPORT_MOVE: MOVE_COLUMNS,
    K.REPORT_DEATH: DEATH_COLUMNS,
}
FACTS = {K.UPDATE_HOUSEHOLD: HOUSEHOLD_FACTS, K.UPDATE_MEMBER: MEMBER_FACTS}
# Which of the ids a kind takes: (household, member, into).
TAKES = {
    K.ADD_HOUSEHOLD: ("",),
    K.ADD_MEMBER: ("household",),
    K.UPDATE_HOUSEHOLD: ("household",),
    K.UPDATE_MEMBER: ("member",),
    K.REPORT_DEATH: ("member",),
    K.REVOKE_DEATH: ("member",),
    K.REPORT_MOVE: ("household", "member"),
    K.MERGE_DUPLICATE: ("household", "member"),
    K.REMOVE: ("household", "member"),
}


async def target_of(
    session: AsyncSession, draft: ChangeDraft, regency_code: str | None, pointer: str = ""
) -> Target:
    """The rows that a draft names, in the city given (None: any).

    Raises Invalid where they are unknown or not those that the kind takes, Conflict where they
    are ended or merged.
    """
    named = [name for name in ("household", "member") if getattr(draft, f"{name}_id") is not None]
    allowed = TAKES[draft.kind]
    if len(named) != (0 if allowed == ("",) else 1) or not set(named) <= set(allowed):
        wanted = allowed[0] or "member"
        raise Invalid("target_mismatch", (Fault("target_mismatch", f"{pointer}/{wanted}_id"),))
    households = Households(session)
    if draft.kind is K.ADD_HOUSEHOLD:
        return await _new_household(session, draft, regency_code, pointer)
    row: Household | Member | None
    row = await (
        households.find(draft.household_id)
        if draft.household_id
        else households.member(draft.member_id)  # type: ignore[arg-type]
    )
    if row is None or (regency_code and row.regency_code != regency_code):
        code = f"unknown_{named[0]}"
        raise Invalid(code, (Fault(code, f"{pointer}/{named[0]}_id"),))
    check_present(row)
    into = await _into(session, draft, row, pointer)
    if isinstance(row, Member):
        household = await households.find(row.household_id)
        return Target(household, row, into, row.village_code)
    return Target(row, None, into, row.village_code)


def check_present(row: Household | Member) -> None:
    """Raises Conflict for what was merged into another, or has left the registry."""
    if row.merged_into is not None:
        raise Conflict("merged_already")
    if row.ended_at is not None:
        raise Conflict("no_longer_registered")


async def _new_household(
    session: AsyncSession, draft: ChangeDraft, regency_code: str | None, pointer: str
) -> Target:
    place = f"{pointer}/household"
    if draft.household is None:
        raise Invalid("missing", (Fault("missing", place),))
    village = await Regions(session).village(draft.household.region_code)
    if village is None or (regency_code and not village.code.startswith(f"{regency_code}.")):
        raise Invalid("unknown_region", (Fault("unknown_region", f"{place}/region_code"),))
    return Target(village_code=village.code)


async def _into(
    session: AsyncSession, draft: ChangeDraft, row: Household | Member, pointer: str
) -> Household | Member | None:
    """Whom a duplicate is merged into: another row of the same kind and city."""
    if draft.kind is not K.MERGE_DUPLICATE:
        return None
    households = Households(session)
    found: Household | Member | None = None
    if draft.into_id is not None and draft.into_id != row.id:
        find = households.member if isinstance(row, Member) else households.find
        found = await find(draft.into_id)
    if found is None or found.regency_code != row.regency_code:
        raise Invalid("unknown_duplicate", (Fault("unknown_duplicate", f"{pointer}/into_id"),))
    check_present(found)
    return found


async def check(
    session: AsyncSession,
    draft: ChangeDraft,
    target: Target,
    at: datetime,
    pointer: str = "",
    anew: bool = False,
) -> None:
    """Whether a draft fits. `anew`: the change is there already, and is proposed again.

    Raises Invalid for fields that do not fit, Conflict for what the person's state forbids.
    """
    faults = list(_faults(draft, at, pointer))
    if draft.kind is K.REPORT_MOVE and not faults and "region_code" in draft.fields:
        village = await Regions(session).village(draft.fields["region_code"])
        if village is None:
            faults.append(Fault("unknown_region", f"{pointer}/fields/region_code"))
    if target.row is not None and (draft.base_version or 0) > target.row.version:
        # Nobody has read it. An older one may have been read, and is compared when it is decided.
        limit = {"max": target.row.version}
        faults.append(Fault("too_large", f"{pointer}/base_version", params=limit))
    if faults:
        code = faults[0].code if len(faults) == 1 else "validation_failed"
        raise Invalid(code, tuple(faults))
    member = target.member
    if draft.kind is K.REPORT_DEATH and member is not None:
        if not death_is_shown(draft.evidence):
            raise Invalid("evidence_missing", (Fault("evidence_missing", f"{pointer}/evidence"),))
        # Whoever reports the same death at this moment waits here, and then finds it.
        await Households(session).lock_member(member.id)
        known = await RegistryChanges(session).death_of(member.id)
        if not anew and (not member.alive or known):
            raise Conflict("reported_already")
    lives = draft.kind is K.REVOKE_DEATH and member is not None and member.alive
    if lives and not anew and await RegistryChanges(session).death_of(member.id) is None:  # type: ignore[union-attr]
        raise Conflict("not_reported_dead")


def death_is_shown(evidence: list[Evidence]) -> bool:
    """A certificate, a letter of kelurahan or RT, or two witnesses who are named."""
    kinds = {one.kind for one in evidence}
    papers = {EvidenceKind.DEATH_CERTIFICATE, EvidenceKind.KELURAHAN_LETTER, EvidenceKind.RT_LETTER}
    names = {
        one.name.casefold() for one in evidence if one.kind is EvidenceKind.WITNESS and one.name
    }
    return bool(kinds & papers) or len(names) >= 2


def _faults(draft: ChangeDraft, at: datetime, pointer: str) -> Iterator[Fault]:
    yield from _faults_of_fields(draft, at, f"{pointer}/fields")
    for n, person in _people(draft):
        yield from _person_faults(person, at, f"{pointer}{n}")
    if draft.kind is K.ADD_MEMBER and draft.person is None:
        yield Fault("missing", f"{pointer}/person")
    if draft.household is not None:
        place = f"{pointer}/household"
        yield from _fact_faults(draft.household.facts, HOUSEHOLD_FACTS, f"{place}/facts")
        heads = [one for one in draft.household.people if one.relation is MemberRelation.HEAD]
        if len(heads) != 1:
            yield Fault("more_than_one_head" if heads else "no_head", f"{place}/people")
    if draft.kind is K.REMOVE and not draft.note:
        yield Fault("note_required", f"{pointer}/note")


def _faults_of_fields(draft: ChangeDraft, at: datetime, place: str) -> Iterator[Fault]:
    columns, facts = COLUMNS.get(draft.kind, {}), FACTS.get(draft.kind, {})
    if bool(draft.fields) != bool(columns):
        yield Fault("unknown_field" if draft.fields else "missing", place)
        return
    if draft.kind is K.REPORT_MOVE and "region_code" not in draft.fields:
        yield Fault("missing", f"{place}/region_code")
    for name, value in draft.fields.items():
        if code := _field_fault(columns, facts, name, value, at):
            # A name that is none of ours may be anything: it is not repeated.
            yield Fault(code, place if code == "unknown_field" else f"{place}/{name}")


def _people(draft: ChangeDraft) -> Iterator[tuple[str, NewPerson]]:
    if draft.person is not None:
        yield "/person", draft.person
    if draft.household is not None:
        for n, person in enumerate(draft.household.people):
            yield f"/household/people/{n}", person


def _person_faults(person: NewPerson, at: datetime, pointer: str) -> Iterator[Fault]:
    if person.birth_date is not None and not _plausible(person.birth_date, at):
        yield Fault("implausible_date", f"{pointer}/birth_date")
    yield from _fact_faults(person.facts, MEMBER_FACTS, f"{pointer}/facts")


def _fact_faults(facts: dict[str, Any], known: Any, pointer: str) -> Iterator[Fault]:
    for name, value in facts.items():
        if name not in known:
            yield Fault("unknown_field", pointer)
        elif code := known[name].problem(value):
            yield Fault(code, f"{pointer}/{name}")


def _field_fault(columns: Any, facts: Any, name: str, value: object, at: datetime) -> str | None:
    if name in facts:
        return None if value is None else facts[name].problem(value)
    if name not in columns:
        return "unknown_field"
    if value is None:
        return "missing" if name in NEEDED else None
    try:
        found = columns[name](value)
    except ValidationError:
        return "invalid"
    if isinstance(found, date) and not _plausible(found, at):
        return "implausible_date"
    if isinstance(found, Presence) and found not in PRESENCES:
        return "not_an_option"
    return None


def _plausible(day: date, at: datetime) -> bool:
    return LONG_AGO <= day <= day_of(at)
