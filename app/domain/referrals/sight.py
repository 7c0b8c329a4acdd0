"""Who sees a referral."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from app.domain.actors import Actor, Grant, Role, Scope
from app.domain.base import within
from app.domain.complaints import Complaint, visible_to
from app.domain.referrals.rows import L, T


def owned_by(grants: Sequence[Grant], rows: Any = T) -> Any:
    """Referrals (or other rows, with the same columns) of the programmes and regions of grants."""
    return sa.or_(
        sa.false(),
        *(
            sa.and_(rows.program_code.in_(grant.program_codes), within(rows, grant.region_codes))
            for grant in grants
        ),
    )


def reading(actor: Actor) -> Sequence[Grant]:
    """The sight of an agency that a client has which may read referrals."""
    if Scope.REFERRALS_READ in actor.scopes:
        return [Grant(Role.AGENCY, actor.region_codes, actor.program_codes)]
    return []


def seen_by(actor: Actor, at: datetime) -> Any:
    """Whoever sees a complaint that holds it; its programme manager; its agency once it is sent."""
    agencies = [*actor.granted(Role.AGENCY), *reading(actor)]
    through_complaint = (
        sa.select(L.referral_id)
        .join(Complaint, col(Complaint.id) == L.complaint_id)
        .where(visible_to(actor, at))
    )
    return sa.or_(
        T.id.in_(through_complaint),
        owned_by(actor.granted(Role.PROGRAM_MANAGER)),
        sa.and_(T.sent_at.is_not(None), owned_by(agencies)),
    )
