"""A citizen says how content they are with an answer: once for each, 1 to 5."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import CITIZEN
from app.domain.base import region_of
from app.domain.complaints import Complaint, Complaints, ComplaintState
from app.domain.errors import Conflict
from app.domain.ratings import Rating, Ratings
from app.domain.vocabulary import Outcome
from app.workflow.complaints.guards import REOPEN_WITHIN
from app.workflow.history import log

RATED = "complaint.rated"
# Nobody answered these.
WITHOUT_ANSWER = (Outcome.WITHDRAWN, Outcome.ARCHIVED)


def refusal(complaint: Complaint, at: datetime) -> str | None:
    """Why a complaint cannot be rated now; None where it can."""
    answered = complaint.state in (ComplaintState.ANSWERED, ComplaintState.CLOSED)
    if not answered or complaint.outcome in WITHOUT_ANSWER:
        return "nothing_to_rate"
    if complaint.closed_at is not None and at - complaint.closed_at > REOPEN_WITHIN:
        return "rated_too_late"
    return None


async def rate(session: AsyncSession, id: UUID, satisfaction: int, at: datetime) -> Complaint:
    """Rate the present answer, or change one's mind while the complaint may be reopened.

    Raises Conflict `nothing_to_rate` before there is an answer, `rated_too_late` after 14 days.
    """
    complaint = await Complaints(session).lock(id)
    if code := refusal(complaint, at):
        raise Conflict(code)
    rating = await Ratings(session).of(id, complaint.reopened_count)
    if rating is not None and rating.satisfaction == satisfaction:
        return complaint
    if rating is None:
        rating = Rating(
            complaint_id=id, reopened_count=complaint.reopened_count, satisfaction=satisfaction,
            at=at, **region_of(complaint),
        )  # fmt: skip
        Ratings(session).add(rating)
    rating.satisfaction, rating.at = satisfaction, at
    log(session, RATED, complaint, CITIZEN, at, satisfaction=satisfaction)
    return complaint
