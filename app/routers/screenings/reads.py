"""How screenings look in answers: every criterion with its words, and what decided it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.criteria import Eligibility, Met, Status
from app.domain.program_criteria import CriteriaVersion, CriteriaVersions
from app.domain.screenings import Screening, Screenings
from app.routers.resources import Code, Count, Line, Moment, Name, Word, items
from app.workflow.eligibility.screening import Screened, plain

Versions = Annotated[dict[str, Count], Field(json_schema_extra={"maxProperties": 200})]


class QuestionRead(BaseModel):
    """The question of the survey that settles what is not known; `id` is its place in answers."""

    id: Word
    text_id: Line
    text_en: Line
    form_version: Word


class SeenRead(BaseModel):
    """One test that decided: what was looked at, what stood there, who said so, as of when.

    `of` is a fact, or `age`, `decile`, `region`, `registered`, `recipient_of` or `national_id`.
    """

    of: Word
    verdict: Met
    value: Any
    source: Name | None
    as_of: date | None
    member_id: UUID | None
    name: Name | None
    question: QuestionRead | None


class CriterionRead(BaseModel):
    """A criterion, where it comes from, and whether it is met."""

    text_id: Line
    text_en: Line
    status: Status
    verdict: Met
    seen: items(SeenRead, 400)  # type: ignore[valid-type]


class ScreenedRead(BaseModel):
    """What a programme's criteria say of a home, or of one person: whom a need would be for.

    `name` is that of somebody who is in no registry yet. Eligible is not granted: that is the
    programme owner's word.
    """

    program_code: Code
    criteria_number: Count
    household_id: UUID | None
    member_id: UUID | None
    name: Name | None
    takes_part: bool
    verdict: Eligibility
    criteria: items(CriterionRead, 20)  # type: ignore[valid-type]


class ScreeningListed(BaseModel):
    """A screening: when, by which versions of criteria, over which versions of the facts."""

    id: UUID
    household_id: UUID | None
    complaint_id: UUID | None
    screened_at: Moment
    screened_by: UUID
    day: date
    criteria_numbers: Versions
    versions: Versions
    survey_version: Count | None


class ScreeningRead(ScreeningListed):
    """A screening with every verdict and its reasons."""

    results: items(ScreenedRead, 2000)  # type: ignore[valid-type]


class CriterionSummary(BaseModel):
    text_id: Line
    text_en: Line
    status: Status
    verdict: Met


class ScreeningSummary(BaseModel):
    """Why a need was drafted: the verdict, and each criterion. More is at `/v1/screenings/{id}`."""

    screened_at: Moment
    criteria_number: Count
    takes_part: bool
    verdict: Eligibility
    criteria: items(CriterionSummary, 20)  # type: ignore[valid-type]


def listed(one: Screening) -> ScreeningListed:
    return ScreeningListed.model_construct(**_head(one))


async def full(session: AsyncSession, one: Screening) -> ScreeningRead:
    content = Screenings(session).content(one)
    versions = await CriteriaVersions(session).named(one.rules)
    results = [_result(entry, one.household_id, versions) for entry in content]
    return ScreeningRead.model_construct(**_head(one), results=results)


async def screened(session: AsyncSession, found: Sequence[Screened]) -> list[ScreenedRead]:
    """Verdicts that are not kept, in the same form."""
    versions = await CriteriaVersions(session).named(
        {one.program_code: one.number for one in found}
    )
    return [_result(plain(one), one.home.id, versions) for one in found]


async def summaries(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, ScreeningSummary]:
    """The screenings that were kept with referrals, each of one need."""
    found: dict[UUID, ScreeningSummary] = {}
    if not ids:
        return found
    screenings = await Screenings(session).by_ids(ids)
    pairs = {(code, number) for one in screenings.values() for code, number in one.rules.items()}
    versions = await CriteriaVersions(session).pairs(pairs)
    for id, one in screenings.items():
        (entry,) = Screenings(session).content(one)
        version = versions[entry["program_code"], entry["number"]]
        found[id] = ScreeningSummary(
            screened_at=one.screened_at,
            criteria_number=entry["number"],
            takes_part=entry["takes_part"],
            verdict=entry["verdict"],
            criteria=[
                CriterionSummary(
                    text_id=said.text_id,
                    text_en=said.text_en,
                    status=said.status,
                    verdict=criterion["verdict"],
                )
                for said, criterion in zip(version.rule.criteria, entry["criteria"], strict=True)
            ],
        )
    return found


def _head(one: Screening) -> dict[str, Any]:
    same = ScreeningListed.model_fields.keys() - {"criteria_numbers"}
    return {name: getattr(one, name) for name in same} | {"criteria_numbers": one.rules}


def _result(
    entry: Mapping[str, Any], household_id: UUID | None, versions: Mapping[str, CriteriaVersion]
) -> ScreenedRead:
    rule = versions[entry["program_code"]].rule
    return ScreenedRead(
        program_code=entry["program_code"],
        criteria_number=entry["number"],
        household_id=household_id,
        member_id=entry["member_id"],
        name=entry["name"],
        takes_part=entry["takes_part"],
        verdict=entry["verdict"],
        criteria=[
            CriterionRead(
                text_id=said.text_id,
                text_en=said.text_en,
                status=said.status,
                verdict=criterion["verdict"],
                seen=criterion["seen"],
            )
            for said, criterion in zip(rule.criteria, entry["criteria"], strict=True)
        ],
    )
