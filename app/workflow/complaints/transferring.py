"""Transfer: to another village of the city, or, with a letter, to another city."""

import secrets
from typing import Any
from uuid import UUID

from app.domain.base import contains, move_to, region_columns, region_of
from app.domain.complaints import BEFORE_FORWARDED, Complaints, ComplaintState
from app.domain.errors import Fault, Invalid
from app.domain.households import Households, Presence
from app.domain.regions import Regions
from app.domain.registry_changes import UNDECIDED, ChangeKind, ChangeOrigin
from app.domain.transfers import TransferLetter, Transfers
from app.domain.vocabulary import Outcome
from app.workflow.complaints import clock
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.effects import Doing, conclude, effect
from app.workflow.complaints.table import MOVED, VISITING
from app.workflow.history import log
from app.workflow.referrals.items import LETTER_BYTES
from app.workflow.referrals.table import MOVED as REFERRAL_MOVED
from app.workflow.registry_changes import drafting
from app.workflow.registry_changes.drafts import ChangeDraft
from app.workflow.registry_changes.items import propose_one
from app.workflow.visits.closing import call_off_for
from app.workflow.visits.table import TRANSFERRED as VISIT_TRANSFERRED

S = ComplaintState
LEFT = "complaint.left_region"
# Here a draft waits for the survey or the desk; later it must be put forward to be decided.
DRAFTS_WAIT = (S.RECEIVED, S.INCOMPLETE, S.AT_SECRETARIAT, *VISITING)


@effect(ComplaintAction.TRANSFER)
async def transfer(do: Doing) -> ComplaintState:
    to = await _destination(do)
    do.data |= {"region_from": do.complaint.village_code, "region_to": to}
    if not contains(do.complaint.regency_code, to):
        return await _leave_the_city(do, to)
    await _report_move(do, to)
    _tell_the_former_region(do, to)
    await _move(do, to)
    if do.complaint.state not in VISITING:
        return do.complaint.state
    do.complaint.assigned_to = None
    await Complaints(do.session).begin_assignment(do.complaint, do.at)
    return S.AT_SECRETARIAT


async def _destination(do: Doing) -> str:
    """The village of the city that is meant, or the place outside it. Raises Invalid."""
    code, here = do.command.data.region_code, do.complaint
    village = await Regions(do.session).village(code)
    if village is not None:
        code = village.code
    elif contains(here.regency_code, code):
        raise Invalid("unknown_region", (Fault("unknown_region", "/data/region_code"),))
    if code == here.village_code:
        raise Invalid("same_region", (Fault("same_region", "/data/region_code"),))
    return str(code)


async def _move(do: Doing, to: str) -> None:
    one = do.complaint
    one.filed_village_code = one.filed_village_code or one.village_code
    move_to(one, region_columns(to))
    visits, referrals = await Transfers(do.session).follow(one)
    for type, rows in ((VISIT_TRANSFERRED, visits), (REFERRAL_MOVED, referrals)):
        for row in rows:
            log(do.session, type, row, do.actor, do.at, complaint_id=str(one.id))


def _tell_the_former_region(do: Doing, to: str) -> None:
    """Who reads the events of the region it leaves would never hear of it again."""
    log(do.session, LEFT, do.complaint, do.actor, do.at, reason=do.command.reason, region_to=to)


async def _leave_the_city(do: Doing, to: str) -> ComplaintState:
    """Closed here, with a letter to the office there. What is with owners is answered as ever."""
    one, carries = do.complaint, do.complaint.state in BEFORE_FORWARDED
    if one.outcome is not None:
        do.data["outcome_was"] = one.outcome
    if carries:
        await conclude(do, Outcome.TRANSFERRED)
        clock.resume(one, do.at)
    else:
        one.outcome = Outcome.TRANSFERRED
        await call_off_for(do.session, one.id, do.at)
    # After the cancelling: this one stands for itself.
    await _report_move(do, to)
    Transfers(do.session).add(
        TransferLetter(
            complaint_id=one.id, to_region_code=to, reason=do.command.reason or "",
            code=secrets.token_hex(LETTER_BYTES), signed_by=do.actor.id, signed_at=do.at,
            **region_of(one),
        )
    )  # fmt: skip
    one.closed_at = do.at
    return S.CLOSED


async def _report_move(do: Doing, to: str) -> None:
    """Whoever moved is to be moved in the registry, too; where the village is not known, they are
    at least not found here any more."""
    home = do.complaint.household_id
    if do.command.reason != MOVED or home is None or not await _is_to_move(do, home, to):
        return
    draft = ChangeDraft(
        kind=ChangeKind.REPORT_MOVE, household_id=home, fields={"region_code": to}
    )  # fmt: skip
    if await Regions(do.session).village(to) is None:
        draft = ChangeDraft(
            kind=ChangeKind.UPDATE_HOUSEHOLD, household_id=home,
            fields={"presence": Presence.NOT_FOUND},
        )  # fmt: skip
    carries = do.complaint.state in BEFORE_FORWARDED and contains(do.complaint.regency_code, to)
    place: dict[str, Any] = {"regency_code": do.complaint.regency_code}
    if carries:
        place = {"complaint": do.complaint}
    change = await drafting.draft(
        do.session, do.actor, draft, ChangeOrigin.DESK, do.at, **place
    )  # fmt: skip
    if not carries or do.complaint.state not in DRAFTS_WAIT:
        await do.session.flush()
        await propose_one(do.session, change, do.actor, do.at, place.get("complaint"))


async def _is_to_move(do: Doing, home: UUID, to: str) -> bool:
    """Whether the registry has the household, somewhere else, and nobody has said so yet."""
    household = await Households(do.session).find(home)
    said = any(
        one.kind is ChangeKind.REPORT_MOVE and one.state in UNDECIDED and one.household_id == home
        for one in do.case.changes
    )
    standing = household is not None and household.ended_at is None
    return standing and not said and household.village_code != to  # type: ignore[union-attr]
