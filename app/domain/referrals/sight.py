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


def owned_by(grants: Sequence[Grant]) -> Any:
    """Referrals of the programmes and regions of some grants."""
    return sa.or_(
        sa.false(),
        *(
            sa.and_(T.program_code.in_(grant.program_codes), within(T, grant.region_codes))
            for grant in grants
        ),
    )


def seen_by(actor: Actor, at: datetime) -> Any:
    """Whoever sees a complaint that holds it; its programme manager; its agency once it is sent."""
    managed = owned_by([grant for grant in actor.grants if grant.role is Role.PROGRAM_MANAGER])
    agencies = [grant for grant in actor.grants if grant.role is Role.AGENCY]
    if Scope.REFERRALS_READ in actor.scopes:
        agencies.append(Grant(Role.AGENCY, actor.region_codes, actor.program_codes))
    through_complaint = (
        sa.select(L.referral_id)
        .join(Complaint, col(Complaint.id) == L.complaint_id)
        .where(visible_to(actor, at))
    )
    return sa.or_(
        T.id.in_(through_complaint),
        managed,
        sa.and_(T.sent_at.is_not(None), owned_by(agencies)),
    )
