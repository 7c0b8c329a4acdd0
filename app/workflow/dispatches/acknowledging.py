"""Taking in what the centre says of a batch, row by row."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.dispatches import Dispatch, Dispatches, DispatchRow, DispatchState, RowStatus
from app.domain.errors import Conflict, Fault, Invalid
from app.domain.registry_changes import ChangeState, RegistryChanges
from app.workflow.complaints.commands import Command
from app.workflow.dispatches.answers import Answer
from app.workflow.dispatches.verbs import check_dispatcher, complaints_of, upload
from app.workflow.history import log
from app.workflow.referrals import waiting
from app.workflow.registry_changes import items
from app.workflow.registry_changes.table import MACHINE, ChangeAction, ChangeCase
from app.workflow.registry_changes.verbs import settle

A, S = ChangeAction, ChangeState
ANSWERED, ACKNOWLEDGED = "dispatch.answered", "dispatch.acknowledged"
STATES = {RowStatus.CONFIRMED: S.CONFIRMED, RowStatus.DECLINED: S.DECLINED}

Answered = tuple[DispatchRow, Answer]


async def acknowledge(
    session: AsyncSession, actor: Actor, id: UUID, answers: Sequence[Answer], at: datetime
) -> Dispatch:
    """Take in the centre's answers: all that were sent, or none.

    The same answer again changes nothing. Raises Invalid for rows that are not in the batch, and
    Conflict `acknowledged_already` for rows that have another answer, or one for another reason.
    """
    dispatches = Dispatches(session)
    dispatch = await dispatches.lock(id)
    role = check_dispatcher(actor, dispatch.regency_code)
    rows = await dispatches.rows(id)
    new = _new(rows, answers)
    if not new:
        return dispatch
    arriving = dispatch.state is DispatchState.MADE
    complaints = await complaints_of(session, rows if arriving else [row for row, _ in new])
    changes = await RegistryChanges(session).lock_all([row.registry_change_id for row, _ in new])
    at = max(at, dispatch.made_at, *(one.stage_entered_at for one in changes))
    dispatch.version += 1
    if arriving:
        # What the centre answers has been at the centre, whether or not somebody said so.
        upload(session, dispatch, complaints, actor, at)
    by_id = {one.id: one for one in changes}
    waited = await waiting.holders(session, list(by_id))
    await waiting.hold(session, list(by_id))
    for row, answer in new:
        change = by_id[row.registry_change_id]
        MACHINE.check(ChangeCase(change), A.ACKNOWLEDGE, actor, Command(A.ACKNOWLEDGE))
        row.status, row.reason = answer.status, answer.reason
        row.answered_at, row.answered_by = at, actor.id
        change.answered_at, change.reason = at, answer.reason
        # The reason is the centre's free text: it stays out of the log.
        items.step(
            session, change, A.ACKNOWLEDGE, STATES[answer.status], actor, at,
            role=role, dispatch_id=str(dispatch.id),
        )  # fmt: skip
        await waiting.answered(session, change, at)
    log(session, ANSWERED, dispatch, actor, at, role=role, rows=len(new))
    if all(row.status is not RowStatus.PENDING for row in rows):
        dispatch.state, dispatch.acknowledged_at = DispatchState.ACKNOWLEDGED, at
        log(session, ACKNOWLEDGED, dispatch, actor, at, role=role)
    await session.flush()
    answered = {one.complaint_id for one in changes} | set(waited)
    for complaint in [one for one in complaints if one.id in answered]:
        await settle(session, complaint, at)
    return dispatch


def _new(rows: Sequence[DispatchRow], answers: Sequence[Answer]) -> list[Answered]:
    """The rows that are answered for the first time, each with its answer."""
    places: dict[UUID | int | None, DispatchRow] = {one.number: one for one in rows}
    places |= {one.registry_change_id: one for one in rows}
    faults: list[Fault] = []
    found: dict[int, Answered] = {}
    for answer in answers:
        row = places.get(answer.change_id or answer.number)
        if row is None:
            faults.append(Fault("unknown_reference", answer.pointer))
        elif answer.number not in (None, row.number):
            # A table that was sorted by one column alone would confirm the wrong people.
            faults.append(Fault("row_ambiguous", answer.pointer))
        elif row.number in found:
            faults.append(Fault("named_twice", answer.pointer))
        else:
            found[row.number] = (row, answer)
    if faults:
        unknown = all(one.code == "unknown_reference" for one in faults)
        raise Invalid("unknown_reference" if unknown else "validation_failed", tuple(faults[:50]))
    other = [
        Fault("acknowledged_already", answer.pointer)
        for row, answer in found.values()
        if row.status is not RowStatus.PENDING and _differs(row, answer)
    ]
    if other:
        raise Conflict("acknowledged_already", tuple(other[:50]))
    return [(row, answer) for row, answer in found.values() if row.status is RowStatus.PENDING]


def _differs(row: DispatchRow, answer: Answer) -> bool:
    """Whether an answer says something else than the row was answered with."""
    return answer.status is not row.status or answer.reason not in (None, row.reason)
