"""Referrals: one need of one beneficiary, put to one programme."""

from app.domain.referrals.queries import Referrals
from app.domain.referrals.rows import (
    ANSWERED,
    CLOSED_ANSWERS,
    OPEN,
    UNSENT,
    WITH_OWNER,
    ComplaintReferral,
    L,
    Origin,
    Referral,
    ReferralFilter,
    ReferralState,
    T,
)
from app.domain.referrals.sight import owned_by, reading, seen_by
from app.domain.referrals.waiting import WaitingReferrals

__all__ = [
    "ANSWERED",
    "CLOSED_ANSWERS",
    "OPEN",
    "UNSENT",
    "WITH_OWNER",
    "ComplaintReferral",
    "L",
    "Origin",
    "Referral",
    "ReferralFilter",
    "ReferralState",
    "Referrals",
    "T",
    "WaitingReferrals",
    "owned_by",
    "reading",
    "seen_by",
]
