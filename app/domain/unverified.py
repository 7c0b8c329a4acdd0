"""Households that need a visit, and why: one statement, led by indexes at a million people."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.base import level_column, regency_of
from app.domain.households import Household, Member, Presence
from app.domain.registry_changes import UNDECIDED, ChangeKind, RegistryChange
from app.domain.visits import Visit, VisitKind, VisitState

SIGNALS = (ChangeKind.REPORT_DEATH, ChangeKind.MERGE_DUPLICATE, ChangeKind.REPORT_MOVE)
H: Any = Household
M: Any = Member
X: Any = RegistryChange
V: Any = Visit


class Reason(StrEnum):
    """Why a household should be visited."""

    NEVER_VERIFIED = "never_verified"
    STALE = "stale"
    SIGNAL = "signal"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class UnverifiedHousehold:
    household: Household
    reasons: list[Reason]
    visit_open: bool


@dataclass(frozen=True, slots=True)
class UnverifiedFilter:
    """Where to look. `without` leaves out what has an open visit of that kind."""

    regions: tuple[str, ...]
    older_than: datetime
    region: str | None = None
    reason: Reason | None = None
    without: VisitKind | None = None
    # The place of the last row read: when it was verified (None: never), and its id.
    after: tuple[datetime | None, UUID] | None = field(default=None)


def _here(table: Any, codes: tuple[str, ...]) -> Any:
    """Rows in any of the scopes, with the city said as well: the index begins with it."""
    by_city: dict[str, list[str]] = {}
    for code in codes:
        by_city.setdefault(regency_of(code), []).append(code)
    places = []
    for city, found in by_city.items():
        inside = sa.or_(*(level_column(table, code) == code for code in found))
        places.append(sa.and_(level_column(table, city) == city, inside))
    return sa.or_(sa.false(), *places)


def _in(table: Any, wanted: UnverifiedFilter) -> Any:
    here = _here(table, wanted.regions)
    return here if wanted.region is None else sa.and_(here, _here(table, (wanted.region,)))


def _alive(member: Any) -> Any:
    return member.presence.is_distinct_from(Presence.DEAD)


def _marked(wanted: UnverifiedFilter) -> Any:
    """Households with a signal, or not found, whenever they were verified."""
    yes, no = sa.true(), sa.false()
    held = sa.select(M.household_id.label("id"), yes.label("signal"), no.label("absent")).where(
        _in(M, wanted), M.hold_change_id.is_not(None), M.ended_at.is_(None), _alive(M)
    )
    absent = sa.select(M.household_id, no, yes).where(
        _in(M, wanted), M.presence == Presence.NOT_FOUND, M.ended_at.is_(None)
    )
    gone = sa.select(H.id, no, yes).where(_in(H, wanted), H.presence == Presence.NOT_FOUND)
    about = sa.func.coalesce(X.household_id, M.household_id)
    changes = (
        sa.select(about, yes, no)
        .outerjoin(Member, M.id == X.member_id)
        .where(
            _in(X, wanted), X.state.in_(UNDECIDED), X.kind.in_(SIGNALS),
            sa.or_(M.id.is_(None), _alive(M)),
        )
    )  # fmt: skip
    every = sa.union_all(held, absent, gone, changes).subquery()
    return (
        sa.select(
            every.c.id,
            sa.func.bool_or(every.c.signal).label("signal"),
            sa.func.bool_or(every.c.absent).label("absent"),
        )
        .group_by(every.c.id)
        .cte("marked")
    )


def _after(wanted: UnverifiedFilter) -> Any:
    if wanted.after is None:
        return sa.true()
    verified_at, id = wanted.after
    if verified_at is None:
        return sa.or_(H.verified_at.is_not(None), sa.and_(H.verified_at.is_(None), H.id > id))
    return sa.tuple_(H.verified_at, H.id) > sa.tuple_(
        sa.literal(verified_at, sa.DateTime(timezone=True)), sa.literal(id)
    )


def _candidates(wanted: UnverifiedFilter, marked: Any, limit: int) -> Any:
    """Never verified, stale, and marked since: each read in order, and no further than a page."""
    base = sa.select(H.id.label("id")).where(
        _in(H, wanted), H.ended_at.is_(None), _after(wanted), _without(wanted.without)
    )
    never, stale = H.verified_at.is_(None), H.verified_at < wanted.older_than
    with_mark = base.join(marked, marked.c.id == H.id)
    choices = {
        Reason.NEVER_VERIFIED: [base.where(never)],
        Reason.STALE: [base.where(stale)],
        Reason.SIGNAL: [with_mark.where(marked.c.signal)],
        Reason.NOT_FOUND: [with_mark.where(marked.c.absent)],
        None: [
            base.where(never),
            base.where(stale),
            with_mark.where(H.verified_at >= wanted.older_than),
        ],
    }
    in_order = (H.verified_at.asc().nulls_first(), H.id)
    # Where all have the same, or have one, the order of the index serves.
    plain = (H.verified_at, H.id)
    marks = (Reason.SIGNAL, Reason.NOT_FOUND)
    parts = [
        one.order_by(*(in_order if wanted.reason in marks else plain)).limit(limit).subquery()
        for one in choices[wanted.reason]
    ]
    return sa.union_all(*(sa.select(one.c.id) for one in parts)).cte("candidates")


def _without(kind: VisitKind | None) -> Any:
    return sa.true() if kind is None else sa.not_(_visit(V.kind == kind, V.complaint_id.is_(None)))


def _visit(*conditions: Any) -> Any:
    mine = (V.household_id == H.id, V.state == VisitState.OPEN)
    return sa.exists(sa.select(1).select_from(Visit).where(*mine, *conditions).correlate(Household))


class Unverified:
    """The only place that writes SQL about who needs a visit."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def page(self, wanted: UnverifiedFilter, limit: int) -> list[UnverifiedHousehold]:
        """Households that need a visit: those never verified first, then the longest unseen."""
        marked = _marked(wanted)
        chosen = _candidates(wanted, marked, limit)
        statement = (
            sa.select(Household, marked.c.signal, marked.c.absent, _visit())
            .join(chosen, chosen.c.id == col(Household.id))
            .outerjoin(marked, marked.c.id == col(Household.id))
            .order_by(H.verified_at.asc().nulls_first(), H.id)
            .limit(limit)
        )
        rows = (await self.session.execute(statement)).all()
        return [
            UnverifiedHousehold(
                household, _reasons(household, wanted.older_than, signal, absent), visit_open
            )
            for household, signal, absent, visit_open in rows
        ]


def _reasons(one: Household, older_than: datetime, signal: object, absent: object) -> list[Reason]:
    stale = one.verified_at is not None and one.verified_at < older_than
    holds = {
        Reason.NEVER_VERIFIED: one.verified_at is None,
        Reason.STALE: stale,
        Reason.SIGNAL: signal,
        Reason.NOT_FOUND: absent,
    }
    return [reason for reason, true in holds.items() if true]
