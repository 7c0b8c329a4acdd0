"""Answers to many referrals at once: as a batch of actions, or as the owner's own file."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WrapValidator
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import text
from app.domain.errors import DomainError, Forbidden, PreconditionRequired
from app.domain.identifiers import masked
from app.domain.referrals import Referral, Referrals, ReferralState
from app.routers.deps import CurrentActor, Now, Retry, Retrying, Session
from app.routers.doors import Door, ItemsDoor, TableDoor
from app.routers.filled_tables import RowsOrTable
from app.routers.referrals import ReferralActionRequest
from app.routers.replies import reply
from app.routers.resources import Count, items
from app.routers.results import Malformed, Outcome, ResultRead, kept, known, or_malformed, rendered
from app.workflow.complaints.commands import Command
from app.workflow.complaints.filing import ProgramCode, RegionCode
from app.workflow.referrals import batch
from app.workflow.referrals.answers import ANSWERS, ROWS_AT_MOST, WORDS, Answer, template
from app.workflow.referrals.batch import Wanted
from app.workflow.referrals.table import DeclineReason

router = APIRouter(prefix="/v1", tags=["referrals"], route_class=Door)
items_router = APIRouter(prefix="/v1", tags=["referrals"], route_class=ItemsDoor)
# Answers may also come as the file that an owner has filled in.
answers_router = APIRouter(prefix="/v1", tags=["referrals"], route_class=TableDoor)
OWNERS = (Role.AGENCY, Role.PROGRAM_MANAGER)
ACTIONS_AT_MOST = 200


class ReferralActionItem(ReferralActionRequest):
    """An action on one referral; `version` is the one that was read, required of people."""

    id: UUID
    version: Annotated[int, Field(ge=1, le=2_000_000_000, strict=True)] | None = None


class ReferralActions(BaseModel):
    """Actions on referrals, 200 at the most. A bad one refuses itself alone."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[Annotated[ReferralActionItem, WrapValidator(or_malformed)]],
        Field(min_length=1, max_length=ACTIONS_AT_MOST),
    ]


class ReferralResult(ResultRead):
    """What became of an action: 200 with the referral as it stands now, or a problem."""

    state: ReferralState | None
    version: Count | None


class ReferralResults(BaseModel):
    results: items(ReferralResult, ROWS_AT_MOST)  # type: ignore[valid-type]


class AnswerStatus(StrEnum):
    GRANTED = "granted"
    DECLINED = "declined"
    WAITLISTED = "waitlisted"
    RECEIVED = "received"


class ReferralAnswer(BaseModel):
    """What the owner says of a referral; to decline it needs a reason."""

    model_config = ConfigDict(extra="forbid")

    referral_id: UUID
    status: AnswerStatus
    reason: DeclineReason | None = None
    note: text(4000) | None = None  # type: ignore[valid-type]


class ReferralAnswers(RowsOrTable):
    """The owner's answers; as `text/csv` the file, described in docs/referrals.md."""

    table = ANSWERS

    rows: Annotated[list[ReferralAnswer], Field(min_length=1, max_length=ROWS_AT_MOST)]

    def answers(self) -> list[Answer]:
        return self._lines or [
            Answer(one.referral_id, WORDS[one.status], one.reason, one.note) for one in self.rows
        ]


@items_router.post("/referrals/actions/batch", status_code=207, response_model=ReferralResults)
async def act_on_referrals(
    body: ReferralActions,
    request: Request,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """Take many actions: each is checked like a single one, and those that are right are taken.

    The results stand in the order of the items. Under an idempotency key the same again gives the
    same results.
    """
    wanted = [_wanted(one, actor) for one in body.items]
    return await _take(request, session, actor, wanted, now, retry)


@answers_router.post("/referrals/answers", status_code=207, response_model=ReferralResults)
async def answer_referrals(
    body: ReferralAnswers,
    request: Request,
    session: Session,
    actor: CurrentActor,
    now: Now,
    retry: Retrying,
) -> Response:
    """What an owner says, row by row: as JSON, or as the table it has filled in.

    A file that cannot be read is refused as a whole, with every bad line; of one that can, each
    answer is taken or refused by itself. The same answer again changes nothing.
    """
    _check_owner(actor)
    wanted = [
        Wanted(one.id, Command(one.action, note=one.note, reason=one.reason), again=True)
        for one in body.answers()
    ]
    return await _take(request, session, actor, wanted, now, retry)


@router.get(
    "/referrals/answers",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string", "maxLength": 10**7}}}}},
)
async def get_answers_to_fill_in(
    session: Session,
    actor: CurrentActor,
    program_code: Annotated[ProgramCode | None, Query(max_length=40)] = None,
    region: RegionCode | None = None,
) -> Response:
    """What waits for the caller's answer as owner, as a table to fill in and send back: the 500
    that have waited the longest."""
    _check_owner(actor)
    referrals = Referrals(session)
    found = await referrals.awaiting(actor, program_code, region, ROWS_AT_MOST)
    file = template([_row(one, referrals.national_id(one)) for one in found])
    headers = {"Content-Disposition": 'attachment; filename="referrals.csv"'}
    return Response(file, 200, headers, media_type="text/csv; charset=utf-8; header=present")


def _row(one: Referral, national_id: str | None) -> dict[str, Any]:
    return {
        "referral_id": one.id,
        **{name: getattr(one, name) for name in ("program_code", "purpose", "state")},
        "village_code": one.village_code,
        "name": one.beneficiary_name,
        "national_id": masked(national_id),
        "sent_at": one.sent_at.isoformat() if one.sent_at else None,
        "due_at": one.due_at.isoformat() if one.due_at else None,
    }


def _check_owner(actor: Actor) -> None:
    if not actor.regions(*OWNERS):
        raise Forbidden("role_not_allowed")


def _wanted(item: ReferralActionItem | Malformed, actor: Actor) -> Wanted | Outcome:
    """The action of an item, or why it can be none."""
    if isinstance(item, Malformed):
        return Outcome.of(None, item)
    try:
        command = item.command()
        if item.version is None and actor.is_person:
            raise PreconditionRequired("precondition_required")
    except DomainError as error:
        return Outcome.of(item.id, error)
    return Wanted(item.id, command, item.version)


async def _take(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    wanted: Sequence[Wanted | Outcome],
    at: datetime,
    retry: Retry,
) -> Response:
    if before := await retry.known():
        return await _answer(request, session, known(before.ids["results"]), replayed=True)
    todo = [one for one in wanted if isinstance(one, Wanted)]
    errors = iter(await batch.act_on_all(session, actor, todo, at))
    outcomes = [
        one if isinstance(one, Outcome) else Outcome.of(one.id, next(errors)) for one in wanted
    ]
    retry.remember(207, results=kept(outcomes))
    return await _answer(request, session, outcomes)


async def _answer(
    request: Request, session: AsyncSession, outcomes: Sequence[Outcome], replayed: bool = False
) -> Response:
    await session.flush()
    taken = {one.id for one in outcomes if one.id and not one.code}
    found = {one.id: one for one in await Referrals(session).fresh(taken)}
    results = []
    for fields in rendered(request, outcomes):
        now = found.get(fields["id"]) if fields["status"] == 200 else None
        results.append(
            ReferralResult.model_construct(
                **fields, state=now.state if now else None, version=now.version if now else None
            )
        )
    body = ReferralResults.model_construct(results=results)
    return reply(body, 207, replayed=replayed)
