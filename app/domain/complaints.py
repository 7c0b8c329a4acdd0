"""Complaints: what one is, and how it is found."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from app.domain.actors import SECRETARIAT, Actor, Role, Scope
from app.domain.base import CODE, JSON, InRegion, Record, enum_type, regency_of, region_of, within
from app.domain.errors import NotFound
from app.domain.events import Event
from app.domain.identifiers import Keys
from app.domain.principals import Principal, RoleGrant
from app.domain.sweep_runs import not_parked
from app.domain.vocabulary import (
    Category,
    Channel,
    Delivery,
    DeliveryMethod,
    DeliveryResult,
    Kind,
    Outcome,
    Priority,
    Relation,
    Sector,
)

DOCUMENT_READ = "complaint.document_read"
SIGHT_AFTER_ASSIGNMENT = timedelta(days=90)


class ComplaintState(StrEnum):
    RECEIVED = "received"
    INCOMPLETE = "incomplete"
    AT_SECRETARIAT = "at_secretariat"
    ASSIGNED = "assigned"
    RETURNED = "returned"
    AWAITING_SUPERVISOR = "awaiting_supervisor"
    AWAITING_MANAGER = "awaiting_manager"
    FORWARDED = "forwarded"
    ANSWERED = "answered"
    CLOSED = "closed"


S = ComplaintState
OPEN = tuple(state for state in S if state is not S.CLOSED)
BEFORE_FORWARDED = tuple(state for state in OPEN if state not in (S.FORWARDED, S.ANSWERED))
# What the reporter must bring stands still in the clock; what is told or done needs no promise.
ON_THE_CLOCK = tuple(state for state in BEFORE_FORWARDED if state is not S.INCOMPLETE)


def _on(states: Sequence[StrEnum], rest: str) -> sa.TextClause:
    return sa.text(f"state in ({', '.join(repr(str(state)) for state in states)}) and {rest}")


class Complaint(InRegion, Record, table=True):
    """A complaint, question or suggestion. State, outcome and delivery are three facts."""

    __tablename__ = "complaints"
    __table_args__ = (
        sa.UniqueConstraint("submitted_by", "client_ref"),
        sa.Index("ix_complaints_regency_code_received_at", "regency_code", "received_at", "id"),
        sa.Index("ix_complaints_village_code_received_at", "village_code", "received_at", "id"),
        sa.Index("ix_complaints_next_step_at", "next_step_at", "id"),
        sa.Index(
            "ix_complaints_unbreached", "deadline_at", "id",
            postgresql_where=_on(ON_THE_CLOCK, "breached_at is null and not late_when_recorded"),
        ),
        sa.Index(
            "ix_complaints_open", "regency_code", "state", "due_at", "id",
            postgresql_where=sa.text("state <> 'closed'"),
        ),
        sa.Index(
            "ix_complaints_assigned_to", "assigned_to", "state",
            postgresql_where=sa.text("assigned_to is not null"),
        ),
        sa.Index(
            "ix_complaints_filed_village_code", "filed_village_code",
            postgresql_where=sa.text("filed_village_code is not null"),
        ),
        # A person without a number is found by name.
        sa.Index(
            "ix_complaints_reporter_name", "regency_code", sa.text("lower(reporter_name::text)")
        ),
        sa.Index(
            "ix_complaints_subject_name", "regency_code", sa.text("lower(subject_name::text)"),
            postgresql_where=sa.text("subject_name is not null"),
        ),
    )  # fmt: skip

    version: int = 1
    ticket: str = Field(unique=True, sa_type=CODE, max_length=24)
    # what was filed
    client_ref: str = Field(sa_type=CODE, max_length=64)
    payload_sha256: str = Field(max_length=64)
    kind: Kind = Field(sa_type=enum_type(Kind))
    category: Category | None = Field(default=None, sa_type=enum_type(Category))
    sector: Sector | None = Field(default=None, sa_type=enum_type(Sector))
    program_code: str | None = Field(default=None, sa_type=CODE, foreign_key="programs.code")
    priority: Priority = Field(sa_type=enum_type(Priority))
    channel: Channel = Field(sa_type=enum_type(Channel))
    narrative: str = Field(max_length=4000)
    reporter_name: str = Field(max_length=120)
    reporter_national_id: bytes | None = None
    reporter_national_id_index: bytes | None = Field(default=None, index=True)
    reporter_phone: str | None = Field(default=None, max_length=16)
    reporter_address: str | None = Field(default=None, max_length=300)
    reporter_relation: Relation = Field(sa_type=enum_type(Relation))
    subject_name: str | None = Field(default=None, max_length=120)
    subject_national_id: bytes | None = None
    subject_national_id_index: bytes | None = Field(default=None, index=True)
    subject_family_card_number: bytes | None = None
    subject_family_card_number_index: bytes | None = Field(default=None, index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    documents_seen: list[str] = Field(default_factory=list, sa_type=JSON)
    documents_waived: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    documents_missing: list[str] = Field(default_factory=list, sa_type=JSON)
    registry_check: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    warnings: list[str] = Field(default_factory=list, sa_type=JSON)
    # What it may be the same matter as; those were filed already.
    possible_duplicates: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    submitted_by: UUID = Field(foreign_key="principals.id")
    # The village it was filed for, once it was transferred: that office goes on reading it.
    filed_village_code: str | None = Field(default=None, sa_type=CODE, max_length=13)
    received_at: datetime
    recorded_at: datetime
    pin_generation: int = 1
    confidential: bool = False
    # where it stands
    state: ComplaintState = Field(sa_type=enum_type(ComplaintState))
    outcome: Outcome | None = Field(default=None, sa_type=enum_type(Outcome))
    delivery: Delivery = Field(default=Delivery.PENDING, sa_type=enum_type(Delivery))
    reason: str | None = Field(default=None, max_length=60)
    answer: str | None = Field(default=None, max_length=4000)
    # The same matter, filed before: that one goes on for both.
    joined_into: UUID | None = Field(default=None, foreign_key="complaints.id")
    # clocks
    clock_from: datetime
    deadline_at: datetime
    late_when_recorded: bool = False
    stage: int = 1
    stage_entered_at: datetime
    stage_extra: timedelta = Field(default=timedelta(0), sa_type=sa.Interval)
    due_at: datetime | None = None
    next_step_at: datetime | None = None
    escalation_level: int = 0
    steps_taken: int = 0
    breached_at: datetime | None = None
    paused_since: datetime | None = None
    paused_for: timedelta = Field(default=timedelta(0), sa_type=sa.Interval)
    handled_at: datetime | None = None
    at_centre_at: datetime | None = None
    informed_at: datetime | None = None
    closed_at: datetime | None = None
    forwarded_at: datetime | None = None
    # who has part in it
    assigned_to: UUID | None = Field(default=None, foreign_key="principals.id")
    handed_back_by: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    system_reassigned: bool = False
    visit_attempts: int = 0
    no_survey: bool = False
    # Everybody who visited, typed or sent it up: four eyes count them all.
    surveyors: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    without_visit: bool = False
    approved_by: UUID | None = None
    forwarded_by: UUID | None = None
    rejected_by: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    returned_count: int = 0
    reopened_count: int = 0

    @property
    def level(self) -> int:
        """The escalation level that is read: 3 once the promise is broken and nothing is done."""
        return 3 if self.breached_at and not self.handled_at else self.escalation_level


class Assignment(InRegion, Record, table=True):
    """Who was to visit, from when until when: decides who may still read."""

    __tablename__ = "assignments"
    __table_args__ = (sa.Index("ix_assignments_facilitator_id", "facilitator_id", "ended_at"),)

    complaint_id: UUID = Field(foreign_key="complaints.id", index=True)
    facilitator_id: UUID = Field(foreign_key="principals.id")
    began_at: datetime
    ended_at: datetime | None = None


class DeliveryAttempt(InRegion, Record, table=True):
    """One try to tell the citizen the answer."""

    __tablename__ = "delivery_attempts"

    complaint_id: UUID = Field(foreign_key="complaints.id", index=True)
    # Attempts count per answer: a reopened complaint starts anew, whoever has to tell it.
    reopened_count: int
    how: DeliveryMethod = Field(sa_type=enum_type(DeliveryMethod))
    told_to: str = Field(max_length=120)
    result: DeliveryResult = Field(sa_type=enum_type(DeliveryResult))
    satisfaction: int | None = None
    # Typed by the person rated: kept, but not averaged.
    satisfaction_self_typed: bool = False
    proof_document_id: UUID | None = Field(default=None, foreign_key="complaint_documents.id")
    at: datetime
    tried_by: UUID


class ContactAttempt(InRegion, Record, table=True):
    """One try to reach the citizen about missing documents."""

    __tablename__ = "contact_attempts"

    complaint_id: UUID = Field(foreign_key="complaints.id", index=True)
    stage: int
    how: DeliveryMethod = Field(sa_type=enum_type(DeliveryMethod))
    contacted: str = Field(max_length=120)
    result: str = Field(max_length=20)
    at: datetime
    tried_by: UUID


@dataclass(frozen=True, slots=True)
class ComplaintFilter:
    """What a list is narrowed to; None everywhere means all."""

    state: ComplaintState | None = None
    outcome: Outcome | None = None
    kind: Kind | None = None
    category: Category | None = None
    sector: Sector | None = None
    priority: Priority | None = None
    channel: Channel | None = None
    program_code: str | None = None
    region: str | None = None
    assigned_to: UUID | None = None
    submitted_by: UUID | None = None
    household_id: UUID | None = None
    overdue: bool | None = None
    escalation_level_min: int | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    ticket: str | None = None


EQUALS = (
    "state", "outcome", "kind", "category", "sector", "priority", "channel", "program_code",
    "assigned_to", "submitted_by", "household_id", "ticket",
)  # fmt: skip
FAR = sa.literal_column("timestamptz '2200-01-01 00:00:00Z'", sa.DateTime(timezone=True))
C: Any = Complaint


class ComplaintSort(StrEnum):
    DUE_AT = "due_at"
    RECEIVED_AT = "received_at"
    NEWEST = "-received_at"


class Complaints:
    """The only place that writes SQL about complaints."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, *rows: SQLModel) -> None:
        self.session.add_all(rows)

    async def next_ticket_number(self) -> int:
        number = await self.session.scalar(sa.select(sa.func.nextval("ticket_numbers")))
        assert isinstance(number, int)
        return number

    async def get(self, id: UUID, actor: Actor, at: datetime) -> Complaint:
        """Raises NotFound for what does not exist or is out of the actor's sight."""
        return await self._one(sa.select(Complaint).where(C.id == id, visible_to(actor, at)))

    async def lock(self, id: UUID) -> Complaint:
        """The row as it is now, held until commit. The caller has checked the sight."""
        statement = sa.select(Complaint).where(C.id == id).with_for_update()
        return await self._one(statement.execution_options(populate_existing=True))

    async def peek(self, id: UUID) -> Complaint:
        """The row, whoever may see it, without holding it."""
        return await self._one(sa.select(Complaint).where(C.id == id))

    async def by_ids(self, ids: Collection[UUID]) -> dict[UUID, Complaint]:
        """Rows by id, whoever may see them."""
        statement = sa.select(Complaint).where(C.id.in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def lock_all(self, ids: Sequence[UUID]) -> list[Complaint]:
        """Several rows, held until commit, in id order so that two lockers cannot meet head-on."""
        statement = sa.select(Complaint).where(C.id.in_(ids)).order_by(C.id).with_for_update()
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def of_household(self, household_id: UUID) -> set[UUID]:
        """The complaints about a household, held by nobody."""
        return set(
            await self.session.scalars(sa.select(C.id).where(C.household_id == household_id))
        )

    async def lock_of_household(self, household_id: UUID) -> list[Complaint]:
        """The complaints about a household, held until commit, in id order."""
        statement = sa.select(Complaint).where(C.household_id == household_id).order_by(C.id)
        statement = statement.with_for_update().execution_options(populate_existing=True)
        return list(await self.session.scalars(statement))

    async def lock_client_ref(self, submitted_by: UUID, client_ref: str) -> Complaint | None:
        """What was filed under a reference. Two of the same wait for each other."""
        lock = sa.func.hashtextextended(f"client_ref:{submitted_by}:{client_ref}", 0)
        await self.session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        return await self.by_client_ref(submitted_by, client_ref)

    async def by_client_ref(self, submitted_by: UUID, client_ref: str) -> Complaint | None:
        statement = sa.select(Complaint).where(
            C.submitted_by == submitted_by, C.client_ref == client_ref
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def filed_under(self, submitted_by: UUID, client_refs: Sequence[str]) -> set[UUID]:
        """What somebody filed under some references."""
        statement = sa.select(C.id).where(
            C.submitted_by == submitted_by, C.client_ref.in_(client_refs)
        )
        return set(await self.session.scalars(statement))

    async def page(
        self,
        actor: Actor,
        wanted: ComplaintFilter,
        sort: ComplaintSort,
        after: tuple[datetime, UUID] | None,
        limit: int,
        at: datetime,
    ) -> list[Complaint]:
        key = sa.func.coalesce(C.due_at, FAR) if sort is ComplaintSort.DUE_AT else C.received_at
        statement = sa.select(Complaint).where(visible_to(actor, at), *_conditions(wanted, at))
        place = sa.tuple_(key, C.id)
        if sort is ComplaintSort.NEWEST:
            statement = statement.order_by(key.desc(), C.id.desc())
        else:
            statement = statement.order_by(key, C.id)
        if after is not None:
            mark = sa.tuple_(sa.literal(after[0], sa.DateTime(timezone=True)), sa.literal(after[1]))
            statement = statement.where(
                place < mark if sort is ComplaintSort.NEWEST else place > mark
            )
        return list(await self.session.scalars(statement.limit(limit)))

    async def search(
        self,
        regencies: Sequence[str],
        national_id: str | None,
        family_card_number: str | None,
        name: str | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Complaint]:
        """Complaints of the cities about or by a person, newest first."""
        keys = Keys.of(self.session)
        statement = (
            sa.select(Complaint)
            .where(C.regency_code.in_(regencies), ~C.confidential)
            .order_by(C.received_at.desc(), C.id.desc())
            .limit(limit)
        )
        if after is not None:
            mark = sa.tuple_(sa.literal(after[0], sa.DateTime(timezone=True)), sa.literal(after[1]))
            statement = statement.where(sa.tuple_(C.received_at, C.id) < mark)
        if national_id is not None:
            index = keys.blind(national_id)
            statement = statement.where(
                sa.or_(C.reporter_national_id_index == index, C.subject_national_id_index == index)
            )
        elif family_card_number is not None:
            statement = statement.where(
                C.subject_family_card_number_index == keys.blind(family_card_number)
            )
        else:
            wanted = sa.func.lower(name)
            statement = statement.where(
                sa.or_(
                    sa.func.lower(C.reporter_name) == wanted,
                    sa.func.lower(C.subject_name) == wanted,
                )
            )
        return list(await self.session.scalars(statement))

    async def in_sight(self, ids: Collection[UUID], actor: Actor, at: datetime) -> set[UUID]:
        """Which of some complaints the actor sees."""
        statement = sa.select(C.id).where(C.id.in_(ids), visible_to(actor, at))
        return set(await self.session.scalars(statement))

    async def attempts(self, complaint: Complaint) -> list[DeliveryAttempt]:
        """The tries to tell the present answer."""
        statement = sa.select(DeliveryAttempt).where(
            col(DeliveryAttempt.complaint_id) == complaint.id,
            col(DeliveryAttempt.reopened_count) == complaint.reopened_count,
        )
        return list(await self.session.scalars(statement))

    async def contacts(self, complaint: Complaint) -> int:
        """How often someone tried to reach the citizen while the documents were missing."""
        statement = sa.select(sa.func.count()).where(
            col(ContactAttempt.complaint_id) == complaint.id,
            col(ContactAttempt.stage) == complaint.stage,
        )
        return await self.session.scalar(statement) or 0

    async def begin_assignment(self, complaint: Complaint, at: datetime) -> None:
        """End the running assignment, and begin that of the facilitator the complaint names."""
        await self.session.execute(
            sa.update(Assignment)
            .where(col(Assignment.complaint_id) == complaint.id, col(Assignment.ended_at).is_(None))
            .values(ended_at=at)
        )
        if complaint.assigned_to is not None:
            self.session.add(
                Assignment(
                    complaint_id=complaint.id,
                    facilitator_id=complaint.assigned_to,
                    began_at=at,
                    **region_of(complaint),
                )
            )

    async def was_assigned(self, complaint_id: UUID, facilitator_id: UUID) -> bool:
        statement = sa.select(col(Assignment.id)).where(
            col(Assignment.complaint_id) == complaint_id,
            col(Assignment.facilitator_id) == facilitator_id,
        )
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def loads(self, facilitators: Sequence[UUID]) -> dict[UUID, int]:
        """How many open complaints each of them has to visit, correct or tell."""
        statement = (
            sa.select(C.assigned_to, sa.func.count())
            .where(
                C.assigned_to.in_(facilitators),
                C.state.in_([S.ASSIGNED, S.RETURNED, S.ANSWERED]),
            )
            .group_by(C.assigned_to)
        )
        return dict((await self.session.execute(statement)).all())

    async def links(self, household_id: UUID, actor: Actor, at: datetime) -> bool:
        """Whether a complaint in the actor's sight is linked to a household."""
        statement = sa.select(C.id).where(C.household_id == household_id, visible_to(actor, at))
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def assigned_at(self, household_id: UUID, facilitator_id: UUID) -> bool:
        """Whether an open complaint about a household is assigned to somebody."""
        statement = sa.select(C.id).where(
            C.household_id == household_id, C.assigned_to == facilitator_id, C.state != S.CLOSED
        )
        return bool(await self.session.scalar(sa.select(statement.exists())))

    async def last_activity(self, actors: Sequence[UUID]) -> dict[UUID, datetime]:
        """When each of them last left an event."""
        statement = (
            sa.select(col(Event.actor_id), sa.func.max(col(Event.at)))
            .where(col(Event.actor_id).in_(actors))
            .group_by(col(Event.actor_id))
        )
        return dict((await self.session.execute(statement)).all())

    async def claim(
        self, sweep: str, states: Sequence[ComplaintState], at: datetime, limit: int
    ) -> list[Complaint]:
        """Complaints whose next step is due and that no other sweeper holds, oldest first."""
        statement = (
            sa.select(Complaint)
            .where(C.next_step_at <= at, C.state.in_(states), not_parked(sweep, C.id, at))
            .order_by(C.next_step_at, C.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def claim_breached(self, sweep: str, at: datetime, limit: int) -> list[Complaint]:
        """Complaints whose promise has just been broken, oldest first."""
        statement = (
            sa.select(Complaint)
            .where(
                C.state.in_(ON_THE_CLOCK),
                C.breached_at.is_(None),
                ~C.late_when_recorded,
                C.deadline_at <= at,
                not_parked(sweep, C.id, at),
            )
            .order_by(C.deadline_at, C.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def _one(self, statement: sa.Select[Any]) -> Complaint:
        complaint: Complaint | None = (await self.session.scalars(statement)).one_or_none()
        if complaint is None:
            raise NotFound
        return complaint


def _conditions(wanted: ComplaintFilter, at: datetime) -> list[Any]:
    found = [
        getattr(C, name) == value for name in EQUALS if (value := getattr(wanted, name)) is not None
    ]
    if wanted.region is not None:
        found.append(within(C, (wanted.region,)))
    if wanted.overdue is not None:
        late = sa.and_(C.due_at <= at, C.state != S.CLOSED)
        found.append(late if wanted.overdue else sa.not_(sa.func.coalesce(late, sa.false())))
    if wanted.escalation_level_min is not None:
        found.append(effective_level() >= wanted.escalation_level_min)
    if wanted.received_from is not None:
        found.append(C.received_at >= wanted.received_from)
    if wanted.received_to is not None:
        found.append(C.received_at < wanted.received_to)
    return found


def effective_level() -> Any:
    """`Complaint.level`, in SQL."""
    return sa.case(
        (sa.and_(C.breached_at.is_not(None), C.handled_at.is_(None)), 3), else_=C.escalation_level
    )


def surveyed_by(who: Any) -> Any:
    """Whether somebody surveyed, typed, filed or sent up a complaint."""
    return sa.or_(C.submitted_by == who, who == sa.any_(C.surveyors))


def approved_by(who: Any) -> Any:
    return C.approved_by.is_not_distinct_from(who)


def rejected_by(who: Any) -> Any:
    return who == sa.any_(C.rejected_by)


def nobody_left(role: Role, part: Callable[[Any], Any], in_the_city: bool = False) -> Any:
    """True where no active person holds the role over the complaint without having part in it.

    With `in_the_city` a role held anywhere in the complaint's city counts.
    """
    who = col(RoleGrant.principal_id)
    # A scope contains a village exactly when it is one of the village's own four codes.
    path = array([C.province_code, C.regency_code, C.district_code, C.village_code])
    here: Any = col(RoleGrant.region_codes).op("&&")(path)
    if in_the_city:
        below = sa.text(
            "exists (select from unnest(grants.region_codes) as code"
            " where starts_with(code, complaints.regency_code || '.'))"
        )
        here = sa.or_(here, below)
    holder = (
        sa.select(1)
        .select_from(RoleGrant)
        .join(Principal, col(Principal.id) == who)
        .where(
            col(RoleGrant.role) == role,
            col(Principal.active),
            here,
            sa.not_(part(who)),
            sa.not_(rejected_by(who)),
        )
    )
    return ~sa.exists(holder)


def _filed_in(codes: tuple[str, ...]) -> Any:
    """Complaints that were transferred away from regions: what was filed there is read there."""
    village = C.filed_village_code
    # The next character after the dot ends the range: an index serves it.
    below = (sa.and_(village > f"{code}.", village < f"{code}/") for code in codes)
    return sa.or_(village.in_(codes), *below)


def cities(codes: tuple[str, ...]) -> tuple[str, ...]:
    """The regencies that scopes lie in; a wider scope stays as it is."""
    return tuple(dict.fromkeys(regency_of(code) for code in codes))


def visible_to(actor: Actor, at: datetime) -> Any:
    """Who may see a complaint. What is out of sight does not exist for the caller."""
    offices = actor.regions(*SECRETARIAT, Role.SUPERVISOR, Role.PUSKESOS_OFFICER)
    seen = [sa.and_(within(C, offices), ~C.confidential)] if offices else []
    # What is confidential may be about any of the offices, but for those above them.
    if above := actor.regions(Role.MANAGER, Role.HEAD, Role.DATA_PROTECTION_OFFICER):
        seen.append(within(C, above))
    if desks := actor.regions(Role.PUSKESOS_OFFICER):
        seen.append(sa.and_(_filed_in(desks), ~C.confidential))
    if Scope.COMPLAINTS_SUBMIT in actor.scopes or actor.regions(
        Role.PUSKESOS_OFFICER, *SECRETARIAT
    ):
        seen.append(C.submitted_by == actor.id)
    if actor.regions(Role.FACILITATOR):
        since = at - SIGHT_AFTER_ASSIGNMENT
        seen += [
            C.assigned_to == actor.id,
            sa.and_(C.submitted_by == actor.id, C.recorded_at > since),
            C.id.in_(
                sa.select(col(Assignment.complaint_id)).where(
                    col(Assignment.facilitator_id) == actor.id,
                    sa.or_(col(Assignment.ended_at).is_(None), col(Assignment.ended_at) > since),
                )
            ),
        ]
    if districts := actor.regions(Role.SUPERVISOR):
        escalated = sa.or_(
            sa.and_(
                C.state == S.AWAITING_SUPERVISOR,
                sa.or_(C.escalation_level >= 1, nobody_left(Role.SUPERVISOR, surveyed_by)),
            ),
            sa.and_(
                C.state == S.AWAITING_MANAGER,
                sa.or_(C.escalation_level >= 2, nobody_left(Role.MANAGER, approved_by)),
            ),
            # Who decided on it still sees what became of it, and a retry finds its answer. To have
            # read a document is no part in it.
            C.id.in_(
                sa.select(col(Event.subject_id)).where(
                    col(Event.actor_id) == actor.id,
                    col(Event.at) > at - SIGHT_AFTER_ASSIGNMENT,
                    col(Event.type) != DOCUMENT_READ,
                )
            ),
        )
        seen.append(sa.and_(within(C, cities(districts)), escalated))
    return sa.or_(sa.false(), *seen)
