"""Referrals and their links: one need of one beneficiary, put to one programme."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.domain.base import CODE, InRegion, Record, enum_type
from app.domain.vocabulary import Purpose


class ReferralState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    SENT = "sent"
    RECEIVED = "received"
    INFO_REQUESTED = "info_requested"
    GRANTED = "granted"
    BENEFIT_CONFIRMED = "benefit_confirmed"
    DECLINED = "declined"
    WAITLISTED = "waitlisted"
    CANCELLED = "cancelled"


R = ReferralState
OPEN = (R.APPROVED, R.SENT, R.RECEIVED, R.INFO_REQUESTED, R.WAITLISTED)
UNSENT = (R.DRAFT, R.APPROVED)
WITH_OWNER = (R.SENT, R.RECEIVED, R.INFO_REQUESTED, R.WAITLISTED)
ANSWERABLE = (R.SENT, R.RECEIVED, R.WAITLISTED)
# Answers after which the owner is waited for no longer.
CLOSED_ANSWERS = (R.GRANTED, R.DECLINED, R.CANCELLED)
ANSWERED = (R.GRANTED, R.BENEFIT_CONFIRMED, R.DECLINED, R.WAITLISTED, R.CANCELLED)


class Origin(StrEnum):
    """Where a draft came from: decides what a new survey may replace."""

    SURVEY = "survey"
    DESK = "desk"
    WAIVER = "waiver"


def _in(states: Sequence[ReferralState]) -> str:
    return f"state in ({', '.join(repr(str(state)) for state in states)})"


class Referral(InRegion, Record, table=True):
    """A referral. `complaint_id` is the complaint it came from; others may hold it by a link."""

    __tablename__ = "referrals"
    __table_args__ = (
        # At most one open referral per (beneficiary, programme, purpose).
        sa.Index(
            "uq_referrals_open", "beneficiary_key", "program_code", "purpose", unique=True,
            postgresql_where=sa.text(_in(OPEN)),
        ),
        sa.Index("ix_referrals_program_code", "program_code", "regency_code", "state", "id"),
        sa.Index("ix_referrals_next_step_at", "next_step_at", "id"),
        sa.Index(
            "uq_referrals_waiting_number", "quota_id", "waiting_number", unique=True,
            postgresql_where=sa.text("waiting_number is not null"),
        ),
        sa.Index(
            "ix_referrals_wait_for", "wait_for",
            postgresql_where=sa.text("wait_for is not null"),
        ),
    )  # fmt: skip

    version: int = 1
    complaint_id: UUID = Field(foreign_key="complaints.id", index=True)
    program_code: str = Field(sa_type=CODE, foreign_key="programs.code")
    purpose: Purpose = Field(sa_type=enum_type(Purpose))
    beneficiary_key: str = Field(sa_type=CODE, max_length=300)
    beneficiary_name: str | None = Field(default=None, max_length=120)
    beneficiary_national_id: bytes | None = None
    member_id: UUID | None = Field(default=None, foreign_key="members.id", index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    origin: Origin = Field(sa_type=enum_type(Origin))
    drafted_by: UUID
    state: ReferralState = Field(default=R.DRAFT, sa_type=enum_type(ReferralState))
    reason: str | None = Field(default=None, max_length=200)
    # What the rules said when it was drafted; a programme's owner decides, not they.
    screening_id: UUID | None = Field(default=None, foreign_key="screenings.id")
    created_at: datetime
    sent_at: datetime | None = None
    received_at: datetime | None = None
    answered_at: datetime | None = None
    informed_at: datetime | None = None
    stage: int = 1
    stage_entered_at: datetime
    # Time that the owner spent waiting for an answer of ours does not count against it.
    paused_for: timedelta = Field(default=timedelta(0), sa_type=sa.Interval)
    due_at: datetime | None = None
    next_step_at: datetime | None = None
    steps_taken: int = 0
    # The registry change that must be confirmed before it is sent.
    wait_for: UUID | None = Field(default=None, foreign_key="registry_changes.id")
    sent_by: UUID | None = None
    # What the letter's QR code says; nobody can guess it.
    letter_code: str | None = Field(default=None, sa_type=CODE, max_length=40, unique=True)
    # The quota in which it has a place or, with a number drawn, stands in line for one.
    quota_id: UUID | None = Field(default=None, foreign_key="quotas.id")
    waiting_number: int | None = None

    @property
    def of_household(self) -> bool:
        """Whether it is for a whole household: its name and number are then the head's."""
        return self.beneficiary_key.startswith("household:")

    @property
    def in_line(self) -> bool:
        return self.waiting_number is not None


class ComplaintReferral(InRegion, table=True):
    """That a complaint holds a referral as an item: its own, or a link to an open one.

    `origin` says where this complaint's need came from, whoever drafted the referral first.
    """

    __tablename__ = "complaint_referrals"
    __table_args__ = (
        sa.PrimaryKeyConstraint("complaint_id", "referral_id"),
        sa.Index("ix_complaint_referrals_referral_id", "referral_id"),
    )

    complaint_id: UUID = Field(foreign_key="complaints.id")
    referral_id: UUID = Field(foreign_key="referrals.id")
    origin: Origin = Field(sa_type=enum_type(Origin))


@dataclass(frozen=True, slots=True)
class ReferralFilter:
    state: ReferralState | None = None
    program_code: str | None = None
    region: str | None = None
    complaint_id: UUID | None = None
    household_id: UUID | None = None


T: Any = Referral
L: Any = ComplaintReferral
