"""The inbox: what waits for a person, soonest due first, and why. List and counts are one query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import within
from app.domain.complaints import (
    FAR,
    ON_THE_CLOCK,
    C,
    Complaint,
    ComplaintState,
    approved_by,
    cities,
    nobody_left,
    rejected_by,
    surveyed_by,
)
from app.domain.notifications import SubjectKind
from app.domain.referrals import CLOSED_ANSWERS, ReferralState, T, owned_by
from app.domain.registry_changes import ChangeOrigin, ChangeState, RegistryChange
from app.domain.visits import V, VisitState
from app.domain.vocabulary import Priority

S, R = ComplaintState, ReferralState
K: Any = RegistryChange
FOUND_TWICE = sa.and_(K.state == ChangeState.DRAFT, K.origin == ChangeOrigin.IMPORT)
UNANSWERED_AFTER = timedelta(days=120)


class Why(StrEnum):
    """Why something stands in an inbox: the most urgent reason that holds."""

    BREACH = "breach"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class InboxItem:
    kind: SubjectKind
    id: UUID
    complaint_id: UUID | None
    ticket: str | None
    state: str
    why: Why
    since: datetime
    due_at: datetime | None
    priority: str
    village_code: str
    program_code: str | None


def _complaint_reasons(actor: Actor, at: datetime) -> list[tuple[Why, Any]]:
    """Every reason that a complaint may wait for this person, with its condition."""
    me, level = actor.id, C.escalation_level
    unrejected = sa.not_(rejected_by(sa.literal(me)))
    not_surveyor = sa.and_(sa.not_(surveyed_by(sa.literal(me))), unrejected)
    not_approver = sa.and_(sa.not_(approved_by(me)), unrejected)
    without_part = sa.and_(not_surveyor, not_approver)
    to_approve = sa.and_(C.state == S.AWAITING_SUPERVISOR, not_surveyor)
    to_forward = sa.and_(C.state == S.AWAITING_MANAGER, not_approver)
    no_manager = nobody_left(Role.MANAGER, approved_by)
    visits = C.state.in_([S.ASSIGNED, S.RETURNED])
    reasons: list[tuple[Why, Any]] = []

    def add(why: Why, regions: tuple[str, ...], *conditions: Any) -> None:
        if regions:
            reasons.append((why, sa.and_(within(C, regions), *conditions)))

    desk = actor.regions(Role.PUSKESOS_OFFICER, *SECRETARIAT)
    add(Why.POOL, desk, ~C.confidential, C.state.in_([S.RECEIVED, S.INCOMPLETE]))
    add(Why.POOL, desk, ~C.confidential, C.state == S.ANSWERED, C.assigned_to.is_(None))
    add(Why.ESCALATED, desk, ~C.confidential, C.state == S.ANSWERED, level >= 1)
    offices = actor.regions(*SECRETARIAT)
    add(Why.POOL, offices, ~C.confidential, C.state == S.AT_SECRETARIAT)
    if actor.regions(Role.FACILITATOR):
        mine = C.state.in_([S.ASSIGNED, S.RETURNED, S.ANSWERED])
        reasons.append((Why.ASSIGNED, sa.and_(C.assigned_to == me, mine)))
    supervised = actor.regions(Role.SUPERVISOR)
    city = cities(supervised)
    add(Why.POOL, supervised, to_approve)
    add(Why.ESCALATED, supervised, visits, level >= 1)
    add(Why.ESCALATED, supervised, ~C.confidential, C.state == S.ANSWERED, level >= 2)
    alone = nobody_left(Role.SUPERVISOR, surveyed_by)
    add(Why.ESCALATED, city, to_approve, sa.or_(level >= 1, alone))
    add(Why.ESCALATED, city, to_forward, without_part, sa.or_(level >= 2, no_manager))
    managed = actor.regions(Role.MANAGER)
    add(Why.POOL, managed, to_forward)
    add(Why.ESCALATED, managed, C.state == S.AT_SECRETARIAT, level >= 1)
    add(Why.ESCALATED, managed, C.state.in_([S.RECEIVED, S.ASSIGNED, S.RETURNED]), level >= 2)
    nobody = nobody_left(Role.SUPERVISOR, surveyed_by, in_the_city=True)
    add(Why.ESCALATED, managed, to_approve, sa.or_(level >= 2, nobody))
    add(Why.ESCALATED, actor.regions(Role.HEAD), to_forward, sa.or_(level >= 1, no_manager))
    broken = sa.and_(C.breached_at.is_not(None), C.handled_at.is_(None))
    may_decide = sa.and_(
        sa.or_(C.state != S.AWAITING_SUPERVISOR, not_surveyor),
        sa.or_(C.state != S.AWAITING_MANAGER, not_approver),
    )
    above = actor.regions(Role.MANAGER, Role.HEAD)
    handled = (S.RECEIVED, S.AT_SECRETARIAT, S.ANSWERED)
    add(Why.POOL, above, C.confidential, C.state.in_(handled))
    unanswered = C.forwarded_at <= at - UNANSWERED_AFTER
    add(Why.ESCALATED, above, C.state == S.FORWARDED, unanswered)
    add(Why.BREACH, above, broken, C.state.in_(ON_THE_CLOCK), may_decide)
    return reasons


def _referral_reasons(actor: Actor) -> list[tuple[Why, Any]]:
    owners = [g for g in actor.grants if g.role in (Role.AGENCY, Role.PROGRAM_MANAGER)]
    reasons: list[tuple[Why, Any]] = []
    asked = T.state == R.INFO_REQUESTED
    if owners:
        with_owner = T.state.in_([R.SENT, R.RECEIVED, R.WAITLISTED])
        reasons.append((Why.POOL, sa.and_(owned_by(owners), with_owner)))
    # An answer that came after its complaint was closed, and that nobody has told.
    untold = sa.and_(T.state.in_(CLOSED_ANSWERS), T.informed_at.is_(None), T.due_at.is_not(None))
    if offices := actor.regions(*SECRETARIAT):
        reasons.append((Why.POOL, sa.and_(within(T, offices), asked)))
    if desk := actor.regions(Role.PUSKESOS_OFFICER, *SECRETARIAT):
        here = sa.and_(within(C, desk), untold)
        reasons.append((Why.POOL, sa.and_(here, C.assigned_to.is_(None))))
        reasons.append((Why.ESCALATED, sa.and_(here, T.steps_taken >= 2)))
    if actor.regions(Role.FACILITATOR):
        mine = sa.and_(C.assigned_to == actor.id, sa.or_(asked, untold))
        reasons.append((Why.ASSIGNED, mine))
    return reasons


def _visit_reasons(actor: Actor, at: datetime) -> list[tuple[Why, Any]]:
    reasons: list[tuple[Why, Any]] = []
    if actor.regions(Role.FACILITATOR):
        reasons.append((Why.ASSIGNED, V.assignee_id == actor.id))
    if supervised := actor.regions(Role.SUPERVISOR):
        reasons.append((Why.ESCALATED, sa.and_(within(V, supervised), V.due_at <= at)))
    # Nobody could be sent when it was opened.
    if offices := actor.regions(*SECRETARIAT):
        reasons.append((Why.POOL, sa.and_(within(V, offices), V.assignee_id.is_(None))))
    return reasons


def _change_reasons(actor: Actor) -> list[tuple[Why, Any]]:
    """Registry changes that no undecided complaint carries: they have a clock of their own.

    What an import found has none until somebody puts it forward.
    """
    me = sa.literal(actor.id)
    mine = sa.or_(K.proposed_by == me, me == sa.any_(K.authors))
    others = sa.and_(~mine, K.approved_by.is_distinct_from(me))
    proposed = sa.and_(K.state == ChangeState.PROPOSED, ~mine)
    approved = sa.and_(K.state == ChangeState.SUPERVISOR_APPROVED, others)
    back, level = K.state == ChangeState.RETURNED, K.escalation_level
    reasons: list[tuple[Why, Any]] = []

    def add(why: Why, regions: tuple[str, ...], *conditions: Any) -> None:
        if regions:
            reasons.append((why, sa.and_(within(K, regions), *conditions)))

    supervised, managed = actor.regions(Role.SUPERVISOR), actor.regions(Role.MANAGER)
    add(Why.POOL, supervised, proposed)
    add(Why.ESCALATED, cities(supervised), proposed, level >= 1)
    add(Why.ESCALATED, cities(supervised), approved, level >= 2)
    add(Why.ESCALATED, supervised, back, level >= 1)
    add(Why.POOL, managed, approved)
    add(Why.ESCALATED, managed, sa.or_(proposed, back), level >= 2)
    add(Why.ESCALATED, actor.regions(Role.HEAD), approved, level >= 1)
    add(Why.POOL, actor.regions(Role.PUSKESOS_OFFICER, *SECRETARIAT), sa.or_(back, FOUND_TWICE))
    reasons.append((Why.ASSIGNED, sa.and_(K.proposed_by == me, back)))
    return reasons


def _why(reasons: Sequence[tuple[Why, Any]]) -> Any:
    order = list(Why)
    ranked = sorted(reasons, key=lambda reason: order.index(reason[0]))
    return sa.case(*((condition, str(why)) for why, condition in ranked), else_=str(Why.POOL))


def _waiting(actor: Actor, at: datetime) -> Any:
    """Everything that waits for the actor, as one table."""
    complaints, referrals = _complaint_reasons(actor, at), _referral_reasons(actor)
    visits = _visit_reasons(actor, at)
    none: list[Any] = [sa.false()]
    first = sa.select(
        sa.literal(str(SubjectKind.COMPLAINT)).label("kind"),
        C.id,
        C.id.label("complaint_id"),
        C.ticket,
        sa.cast(C.state, sa.Text).label("state"),
        _why(complaints).label("why") if complaints else sa.literal("").label("why"),
        C.stage_entered_at.label("since"),
        C.due_at,
        sa.cast(C.priority, sa.Text).label("priority"),
        C.village_code,
        C.program_code,
    ).where(sa.or_(*(none + [condition for _, condition in complaints])))
    second = (
        sa.select(
            sa.literal(str(SubjectKind.REFERRAL)),
            T.id,
            T.complaint_id,
            C.ticket,
            sa.cast(T.state, sa.Text),
            _why(referrals) if referrals else sa.literal(""),
            T.stage_entered_at,
            T.due_at,
            sa.cast(C.priority, sa.Text),
            T.village_code,
            T.program_code,
        )
        .join(Complaint, col(Complaint.id) == T.complaint_id)
        .where(sa.or_(*(none + [condition for _, condition in referrals])))
    )
    third = (
        sa.select(
            sa.literal(str(SubjectKind.VISIT)),
            V.id,
            V.complaint_id,
            C.ticket,
            sa.cast(V.state, sa.Text),
            _why(visits) if visits else sa.literal(""),
            V.assigned_at,
            V.due_at,
            sa.func.coalesce(sa.cast(C.priority, sa.Text), str(Priority.NORMAL)),
            V.village_code,
            sa.cast(sa.null(), sa.Text),
        )
        .outerjoin(Complaint, col(Complaint.id) == V.complaint_id)
        .where(
            V.state == VisitState.OPEN,
            sa.or_(*(none + [condition for _, condition in visits])),
        )
    )
    changes = _change_reasons(actor)
    fourth = (
        sa.select(
            sa.literal(str(SubjectKind.REGISTRY_CHANGE)),
            K.id,
            K.complaint_id,
            C.ticket,
            sa.cast(K.state, sa.Text),
            _why(changes),
            K.stage_entered_at,
            K.due_at,
            sa.func.coalesce(sa.cast(C.priority, sa.Text), str(Priority.NORMAL)),
            K.village_code,
            sa.cast(sa.null(), sa.Text),
        )
        .outerjoin(Complaint, col(Complaint.id) == K.complaint_id)
        .where(
            sa.or_(K.due_at.is_not(None), FOUND_TWICE),
            sa.or_(*(none + [condition for _, condition in changes])),
        )
    )
    return sa.union_all(first, second, third, fourth).subquery("waiting")


class Inbox:
    """The only place that writes SQL about what waits for whom."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def page(
        self, actor: Actor, after: tuple[datetime, UUID] | None, limit: int, at: datetime
    ) -> list[InboxItem]:
        """Soonest due first; what has no date of its own stands last."""
        waiting = _waiting(actor, at)
        key = sa.func.coalesce(waiting.c.due_at, FAR)
        statement = sa.select(waiting).order_by(key, waiting.c.id).limit(limit)
        if after is not None:
            mark = sa.tuple_(sa.literal(after[0], sa.DateTime(timezone=True)), sa.literal(after[1]))
            statement = statement.where(sa.tuple_(key, waiting.c.id) > mark)
        rows = (await self.session.execute(statement)).mappings()
        return [
            InboxItem(**{**row, "kind": SubjectKind(row["kind"]), "why": Why(row["why"])})
            for row in rows
        ]

    async def counts(self, actor: Actor, at: datetime) -> list[Any]:
        """(kind, state, why, how many, how many of them overdue), equal to the list."""
        waiting = _waiting(actor, at)
        overdue = sa.func.count().filter(waiting.c.due_at <= at)
        statement = (
            sa.select(
                waiting.c.kind, waiting.c.state, waiting.c.why,
                sa.func.count().label("count"), overdue.label("overdue"),
            )
            .group_by(waiting.c.kind, waiting.c.state, waiting.c.why)
            .order_by(waiting.c.kind, waiting.c.state, waiting.c.why)
        )  # fmt: skip
        return list((await self.session.execute(statement)).all())
