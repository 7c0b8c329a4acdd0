"""A single step of a referral: moved, and written into the log."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.referrals import Referral, ReferralState
from app.workflow.history import log
from app.workflow.referrals import clock
from app.workflow.referrals.table import EVENT_TYPES, ReferralAction


def step(
    session: AsyncSession,
    referral: Referral,
    action: ReferralAction,
    to: ReferralState,
    actor: Actor,
    at: datetime,
    **event: Any,
) -> None:
    """Move a locked referral and log it."""
    source = referral.state
    clock.enter(referral, to, at)
    referral.version += 1
    log(
        session, EVENT_TYPES[action], referral, actor, at,
        **{"action": action, "from": source, "to": to, "complaint_id": str(referral.complaint_id)}
        | event,
    )  # fmt: skip


def note_step(
    session: AsyncSession,
    referral: Referral,
    action: ReferralAction,
    actor: Actor,
    at: datetime,
    **event: Any,
) -> None:
    """Log a step that leaves a referral where it stands."""
    referral.version += 1
    log(
        session, EVENT_TYPES[action], referral, actor, at,
        **{"action": action, "from": referral.state, "to": referral.state,
           "complaint_id": str(referral.complaint_id)} | event,
    )  # fmt: skip
