"""A new PIN for somebody who lost it: at a desk, against documents."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.complaints import Complaint, Complaints
from app.domain.errors import Fault, Forbidden, Invalid
from app.domain.vocabulary import Document
from app.workflow.history import log

REISSUED = "complaint.pin_reissued"
# One of these says who stands there.
IDENTITY = frozenset(
    {
        Document.ID_CARD, Document.FAMILY_CARD, Document.KELURAHAN_LETTER,
        Document.BIRTH_CERTIFICATE,
    }
)  # fmt: skip


def check_desk(actor: Actor, complaint: Complaint) -> None:
    """Raises Forbidden for all but the desk."""
    if not actor.holds(complaint.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT):
        raise Forbidden("role_not_allowed")


async def reissue(
    session: AsyncSession, actor: Actor, id: UUID, seen: Sequence[Document], at: datetime
) -> Complaint:
    """Let another PIN open the ticket; the one before opens nothing any more.

    It decides nothing, so the version that people decide on stays. Raises Forbidden for who is
    no desk, Invalid `identity_not_shown` where no document says who asks.
    """
    complaint = await Complaints(session).lock(id)
    check_desk(actor, complaint)
    if not IDENTITY.intersection(seen):
        raise Invalid("identity_not_shown", (Fault("identity_not_shown", "/documents_seen"),))
    complaint.pin_generation += 1
    shown = list(dict.fromkeys(map(str, seen)))
    log(session, REISSUED, complaint, actor, at, documents_seen=shown)
    return complaint
