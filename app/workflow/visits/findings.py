"""What a visit found: the household verified, or a change of the registry proposed."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import day_of, line
from app.domain.errors import Fault, Invalid
from app.domain.households import Household, Households, Presence
from app.domain.registry_changes import ChangeKind, ChangeOrigin
from app.domain.visits import Visit
from app.domain.vocabulary import VisitResult
from app.workflow.complaints.commands import ActionData
from app.workflow.registry_changes import drafting, items
from app.workflow.registry_changes.applying import add_entry
from app.workflow.registry_changes.drafts import (
    ChangeDraft,
    Digits3,
    Evidence,
    Village,
)

VERIFIED = "verified"


class Attempt(ActionData):
    """What became of a visit that gave no survey.

    `moved` may say where to (`region_code`, and the address there); `deceased` who died
    (`member_id`, `died_on`) and what shows it. Without that, the note alone is kept.
    """

    result: VisitResult
    region_code: Village | None = None
    address: line(300) | None = None  # type: ignore[valid-type]
    rt: Digits3 | None = None
    rw: Digits3 | None = None
    member_id: UUID | None = None
    died_on: date | None = None
    evidence: Annotated[list[Evidence], Field(max_length=20)] = []


async def verify(session: AsyncSession, visit: Visit, at: datetime) -> None:
    """The household was found and surveyed. Its version stays: no fact of it has changed."""
    household = await _household(session, visit)
    if household is None:
        return
    before = household.presence
    household.verified_at = household.updated_at = at
    household.presence, household.presence_on = Presence.FOUND, day_of(at)
    add_entry(session, household, VERIFIED, {"presence": [before, Presence.FOUND]}, at)


async def follow(
    session: AsyncSession, visit: Visit, attempt: Attempt, actor: Actor, at: datetime
) -> None:
    """Propose what a closed visit without a survey says about the household."""
    household = await _household(session, visit)
    if household is None or attempt.result is VisitResult.REFUSED:
        return
    if attempt.result is VisitResult.DECEASED:
        if attempt.member_id is not None:
            death = await _death(session, household, attempt)
            await propose(session, visit, death, actor, at, pointer="/data")
        return
    if attempt.result is VisitResult.MOVED and attempt.region_code is not None:
        places = attempt.model_dump(include={"region_code", "address", "rt", "rw"})
        change = ChangeDraft(
            kind=ChangeKind.REPORT_MOVE, household_id=household.id,
            fields={name: value for name, value in places.items() if value is not None},
        )  # fmt: skip
        await propose(session, visit, change, actor, at, pointer="/data")
        return
    if household.presence is not Presence.NOT_FOUND:
        absent = ChangeDraft(
            kind=ChangeKind.UPDATE_HOUSEHOLD, household_id=household.id,
            fields={"presence": Presence.NOT_FOUND},
        )  # fmt: skip
        await propose(session, visit, absent, actor, at)


async def propose(
    session: AsyncSession,
    visit: Visit,
    wanted: ChangeDraft,
    actor: Actor,
    at: datetime,
    pointer: str = "",
) -> None:
    """Draft a change that a visit found, and put it before the supervisor at once."""
    change = await drafting.draft(
        session, actor, wanted, ChangeOrigin.SURVEY, at,
        visit=visit, regency_code=visit.regency_code, pointer=pointer,
    )  # fmt: skip
    # Whoever wrote the survey may not decide on what came of it, whoever submits it.
    change.authors = list(dict.fromkeys([*change.authors, *visit.surveyors]))
    await session.flush()
    await items.propose_one(session, change, actor, at)


async def _death(session: AsyncSession, household: Household, attempt: Attempt) -> ChangeDraft:
    assert attempt.member_id is not None
    member = await Households(session).member(attempt.member_id)
    if member is None or member.household_id != household.id:
        raise Invalid("unknown_member", (Fault("unknown_member", "/data/member_id"),))
    if attempt.died_on is None:
        raise Invalid("missing", (Fault("missing", "/data/died_on"),))
    return ChangeDraft(
        kind=ChangeKind.REPORT_DEATH, member_id=member.id,
        fields={"died_on": attempt.died_on.isoformat()}, evidence=attempt.evidence,
    )  # fmt: skip


async def _household(session: AsyncSession, visit: Visit) -> Household | None:
    """The household visited, locked; none where the registry no longer has it."""
    if visit.household_id is None:
        return None
    household: Any = await Households(session).lock(visit.household_id)
    return None if household.ended_at is not None else household
