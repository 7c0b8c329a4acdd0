"""Keeping the criteria: drafted, shown whom they affect, and only then published."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import day_of, text
from app.domain.criteria import Asked, Criterion, Rule, faults
from app.domain.criteria.expression import MOST_CRITERIA, RecipientTest, RegionTest, walk
from app.domain.eligibility import Affected, Eligibles
from app.domain.errors import Conflict, Fault, Invalid, PreconditionFailed
from app.domain.program_criteria import CriteriaState, CriteriaVersion, CriteriaVersions
from app.domain.programs import Program, Programs
from app.domain.regions import Regions


class CriteriaDraft(BaseModel):
    """Criteria as they are drafted. They hold from `valid_from` to `valid_until`, or for good."""

    model_config = ConfigDict(extra="forbid")

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=MOST_CRITERIA)]
    valid_from: date
    valid_until: date | None = None
    note: text(1000) | None = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _in_order(self) -> "CriteriaDraft":
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("ends_before_it_begins")
        return self


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom a draft would affect in some regions, against what is in force when it begins."""

    regions: tuple[str, ...]
    against: int | None
    affected: Affected


async def draft(
    session: AsyncSession, actor: Actor, code: str, wanted: CriteriaDraft, at: datetime
) -> CriteriaVersion:
    """A new version, in force for nobody yet. Raises Invalid `rule_invalid` with every fault."""
    program = await Programs(session).lock(code)
    assert program is not None
    await check(session, program, wanted)
    versions = CriteriaVersions(session)
    made = CriteriaVersion(
        program_code=code,
        number=await versions.next_number(code),
        criteria=[],
        valid_from=wanted.valid_from,
        drafted_by=actor.id,
        drafted_at=at,
        changed_at=at,
    )
    _write(made, wanted)
    versions.add(made)
    return made


async def change(
    session: AsyncSession,
    version: CriteriaVersion,
    wanted: CriteriaDraft,
    read: int,
    at: datetime,
) -> CriteriaVersion:
    """Write a draft anew over the version that was read; its effect is to be shown anew."""
    found = await _lock_draft(session, version, read)
    program = await Programs(session).get(found.program_code)
    assert program is not None
    await check(session, program, wanted)
    _write(found, wanted)
    found.version += 1
    found.changed_at = at
    return found


async def check(session: AsyncSession, program: Program, wanted: CriteriaDraft) -> None:
    """Raises Invalid `rule_invalid` for a rule that makes no sense, with pointers into it."""
    rule = Rule(criteria=wanted.criteria)
    found = faults(rule, program.of_person)
    tests = [
        (f"/criteria/{n}/when{pointer}", node)
        for n, one in enumerate(rule.criteria)
        for pointer, node in walk(one.when)
    ]
    programs = {
        (f"{pointer}/recipient_of/{n}", code)
        for pointer, node in tests
        if isinstance(node, RecipientTest)
        for n, code in enumerate(node.recipient_of)
    }
    regions = {
        (f"{pointer}/region/{n}", code)
        for pointer, node in tests
        if isinstance(node, RegionTest)
        for n, code in enumerate(node.region)
    }
    no_programs = await Programs(session).unknown({code for _, code in programs})
    no_regions = await Regions(session).unknown({code for _, code in regions})
    found += [Fault("unknown_program", at) for at, code in sorted(programs) if code in no_programs]
    found += [Fault("unknown_region", at) for at, code in sorted(regions) if code in no_regions]
    if found:
        raise Invalid("rule_invalid", tuple(found[:50]))


async def preview(
    session: AsyncSession, actor: Actor, version: CriteriaVersion, program: Program
) -> Preview:
    """Count over the registry, in the actor's regions, who would gain and who would lose.

    That it was shown is kept with the draft, until another version is published: what it was held
    against is then no longer what will be in force.
    """
    found = await CriteriaVersions(session).lock(version.id)
    if found.state is not CriteriaState.DRAFT:
        raise Conflict("action_not_allowed")
    regions = actor.regions_of_program(program.code, Role.PROGRAM_MANAGER)
    day = found.valid_from
    before = await CriteriaVersions(session).in_force(day, program.code)
    affected = await Eligibles(session).affected(
        Asked(program.code, program.of_person, before[0].rule) if before else None,
        Asked(program.code, program.of_person, found.rule),
        day,
        regions,
    )
    found.previewed_version = found.version
    return Preview(regions, before[0].number if before else None, affected)


async def publish(
    session: AsyncSession, actor: Actor, version: CriteriaVersion, read: int, at: datetime
) -> CriteriaVersion:
    """Let a draft hold from its first day on.

    Raises Conflict `preview_missing` where nobody was shown whom it affects as it stands now, or
    another version was published since, and Invalid `begins_in_the_past` where people have been
    screened by another version meanwhile.
    """
    # Of two that are published at once, each would wait for the other's preview.
    await Programs(session).lock(version.program_code)
    found = await _lock_draft(session, version, read)
    if found.previewed_version != found.version:
        raise Conflict("preview_missing")
    if found.valid_from < day_of(at):
        raise Invalid("begins_in_the_past", (Fault("begins_in_the_past", "/valid_from"),))
    found.state = CriteriaState.PUBLISHED
    found.published_by, found.published_at = actor.id, at
    found.version += 1
    await CriteriaVersions(session).forget_previews(found.program_code)
    return found


async def discard(
    session: AsyncSession, version: CriteriaVersion, read: int, at: datetime
) -> CriteriaVersion:
    """Put a draft aside; it stays to be read."""
    found = await _lock_draft(session, version, read)
    found.state = CriteriaState.DISCARDED
    found.version += 1
    found.changed_at = at
    return found


async def _lock_draft(
    session: AsyncSession, version: CriteriaVersion, read: int
) -> CriteriaVersion:
    found = await CriteriaVersions(session).lock(version.id)
    if found.version != read:
        raise PreconditionFailed("stale_version")
    if found.state is not CriteriaState.DRAFT:
        raise Conflict("action_not_allowed")
    return found


def _write(version: CriteriaVersion, wanted: CriteriaDraft) -> None:
    version.criteria = Rule(criteria=wanted.criteria).plain()
    version.valid_from, version.valid_until = wanted.valid_from, wanted.valid_until
    version.note = wanted.note
