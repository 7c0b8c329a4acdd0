"""A household's dossier: what it and its people were referred for, and what was answered."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.domain.complaints import Complaint, Complaints
from app.domain.events import Event, Events
from app.domain.referrals import Referrals
from app.domain.vocabulary import Category, Kind
from app.routers.deps import CurrentActor, Now, Paged, Session, Subject
from app.routers.doors import Door
from app.routers.pages import Page
from app.routers.referrals import ReferralRead, read
from app.routers.resources import Code, Line, Moment, Word, items
from app.workflow.referrals.table import EVENT_TYPES, ReferralAction

router = APIRouter(prefix="/v1", tags=["registry"], route_class=Door)
A = ReferralAction
ANSWERS = {
    EVENT_TYPES[one]: one
    for one in (A.GRANT, A.DECLINE, A.WAITLIST, A.CONFIRM_BENEFIT, A.CANCEL, A.DELIVER_ANSWER)
}


class AnswerRead(BaseModel):
    """An answer as it came, or that it was told (`deliver_answer`)."""

    at: Moment
    action: ReferralAction
    role: Word | None
    reason: Line | None


class DossierEntry(ReferralRead):
    """A referral with the complaint it came from and every answer to it, oldest first."""

    ticket: Code
    complaint_kind: Kind
    complaint_category: Category | None
    answers: items(AnswerRead, 100)  # type: ignore[valid-type]


@router.get("/households/{household_id}/referrals", response_model=Page[DossierEntry])
async def get_dossier(
    household_id: UUID,
    subject: Subject,
    session: Session,
    actor: CurrentActor,
    now: Now,
    paging: Paged,
) -> Response:
    """All referrals of a household and its people with their answers, newest first; ids masked.

    For people who have the household in sight; a client finds those that it sees anyway.
    """
    after = paging.after(UUID)
    referrals = Referrals(session)
    only = None if actor.is_person else actor
    rows = await referrals.of_household(subject.id, only, now, after, paging.rows)
    page, following = paging.cut(rows, lambda one: one.id)
    complaints = await Complaints(session).by_ids({one.complaint_id for one in page})
    answers = await Events(session).of_types([one.id for one in page], list(ANSWERS))
    described = await read(session, actor, list(page), now)
    return paging.answer(
        Page[DossierEntry],
        [
            _entry(shown, complaints[row.complaint_id], answers[row.id])
            for shown, row in zip(described, page, strict=True)
        ],
        following,
    )


def _entry(shown: ReferralRead, complaint: Complaint, events: list[Event]) -> DossierEntry:
    fields: dict[str, Any] = {name: getattr(shown, name) for name in ReferralRead.model_fields}
    return DossierEntry.model_construct(
        **fields,
        ticket=complaint.ticket,
        complaint_kind=complaint.kind,
        complaint_category=complaint.category,
        answers=[
            AnswerRead.model_construct(
                at=one.at, action=ANSWERS[one.type], role=one.actor_role, reason=one.reason
            )
            for one in events
        ],
    )
