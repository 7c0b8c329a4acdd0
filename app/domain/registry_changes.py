"""Registry changes: what somebody proposes to change in the registry, and what became of it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import JSON, InRegion, Record, enum_type, within
from app.domain.complaints import Complaint, cities, visible_to
from app.domain.errors import NotFound
from app.domain.identifiers import Keys
from app.domain.notifications import Step, not_taken
from app.domain.sweep_runs import not_parked


class ChangeKind(StrEnum):
    ADD_HOUSEHOLD = "add_household"
    ADD_MEMBER = "add_member"
    UPDATE_HOUSEHOLD = "update_household"
    UPDATE_MEMBER = "update_member"
    REPORT_DEATH = "report_death"
    REVOKE_DEATH = "revoke_death"
    REPORT_MOVE = "report_move"
    MERGE_DUPLICATE = "merge_duplicate"
    REMOVE = "remove"


class ChangeState(StrEnum):
    DRAFT = "draft"
    PROPOSED = "proposed"
    SUPERVISOR_APPROVED = "supervisor_approved"
    MANAGER_APPROVED = "manager_approved"
    RETURNED = "returned"
    DISPATCHED = "dispatched"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class ChangeOrigin(StrEnum):
    """Where a proposal came from."""

    SURVEY = "survey"
    DESK = "desk"
    CHECK = "check"
    IMPORT = "import"
    SYSTEM = "system"


K, S = ChangeKind, ChangeState
# Still to be decided by somebody here.
UNDECIDED = (S.DRAFT, S.PROPOSED, S.RETURNED, S.SUPERVISOR_APPROVED)
# The same, without what is still with its complaint.
TO_BE = (S.PROPOSED, S.RETURNED, S.SUPERVISOR_APPROVED)
# Applied here, and the centre has not said yes or no.
UNCONFIRMED = (S.MANAGER_APPROVED, S.DISPATCHED)
OPEN = (*UNDECIDED, *UNCONFIRMED, S.DECLINED)
ADDING = (K.ADD_HOUSEHOLD, K.ADD_MEMBER)
# Among how many of a city's newest additions the same person is looked for.
ADDED_LATELY = 1_000
SETTLED = (S.CONFIRMED, S.DECLINED, S.REJECTED, S.WITHDRAWN)


class RegistryChange(InRegion, Record, table=True):
    """A change: its content is sealed as a whole, since it holds numbers and health.

    `base_version` is the version of the row that the proposer had before them: the member's for
    a change about one person, else the household's.
    """

    __tablename__ = "registry_changes"
    __table_args__ = (
        sa.Index("ix_registry_changes_regency_code_id", "regency_code", "id"),
        sa.Index("ix_registry_changes_next_step_at", "next_step_at", "id"),
        sa.Index("ix_registry_changes_state", "regency_code", "state", "kind", "id"),
        sa.Index(
            "ix_registry_changes_undispatched", "regency_code", "id",
            postgresql_where=sa.text("state = 'manager_approved'"),
        ),
        # A person is reported dead once at a time.
        sa.Index(
            "uq_registry_changes_death", "member_id", unique=True,
            postgresql_where=sa.text(
                "kind = 'report_death' and state not in ('rejected', 'withdrawn')"
                " and revoked_by_id is null"
            ),
        ),
    )  # fmt: skip

    version: int = 1
    kind: ChangeKind = Field(sa_type=enum_type(ChangeKind))
    state: ChangeState = Field(default=S.DRAFT, sa_type=enum_type(ChangeState))
    origin: ChangeOrigin = Field(sa_type=enum_type(ChangeOrigin))
    complaint_id: UUID | None = Field(default=None, foreign_key="complaints.id", index=True)
    visit_id: UUID | None = Field(default=None, foreign_key="visits.id", index=True)
    household_id: UUID | None = Field(default=None, foreign_key="households.id", index=True)
    member_id: UUID | None = Field(default=None, foreign_key="members.id", index=True)
    # The household or member that a duplicate is merged into.
    into_id: UUID | None = None
    # The death that is revoked, and the other way round.
    revokes_id: UUID | None = Field(default=None, foreign_key="registry_changes.id")
    revoked_by_id: UUID | None = Field(default=None, foreign_key="registry_changes.id")
    # The death that this new head stands or falls with.
    follows_id: UUID | None = Field(default=None, foreign_key="registry_changes.id", index=True)
    content: bytes
    refused_fields: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    base_version: int | None = None
    reason: str | None = Field(default=None, max_length=200)
    proposed_by: UUID
    # Everybody who wrote it, for four eyes.
    authors: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid))
    approved_by: UUID | None = None
    confirmed_by: UUID | None = None
    created_at: datetime
    proposed_at: datetime | None = None
    applied_at: datetime | None = None
    # What was there before it was applied, sealed: undoing it puts that back.
    undo: bytes | None = None
    dispatched_at: datetime | None = None
    answered_at: datetime | None = None
    stage: int = 1
    stage_entered_at: datetime
    due_at: datetime | None = None
    next_step_at: datetime | None = None
    escalation_level: int = 0
    steps_taken: int = 0

    @property
    def unconfirmed(self) -> bool:
        """In force here, and the centre has not said yes or no: a death from the supervisor's
        approval on, until somebody revokes it."""
        believed = self.kind is K.REPORT_DEATH and self.state is S.SUPERVISOR_APPROVED
        return self.revoked_by_id is None and (believed or self.state in UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class ChangeContent:
    """What a change says. `fields` are `{name: after}`, `before` what stood there when proposed.

    `person` and `people` are new members, `household` a new household, each as they were sent.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    household: dict[str, Any] | None = None
    people: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    kind: ChangeKind | None = None
    state: ChangeState | None = None
    region: str | None = None
    complaint_id: UUID | None = None
    household_id: UUID | None = None
    member_id: UUID | None = None
    # True: in force here and not yet confirmed by the centre.
    unconfirmed: bool | None = None


R: Any = RegistryChange


class RegistryChanges:
    """The only place that writes SQL about registry changes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, change: RegistryChange) -> None:
        self.session.add(change)

    def seal(self, change: RegistryChange, content: ChangeContent) -> None:
        plain = json.dumps(asdict(content), separators=(",", ":"))
        change.content = Keys.of(self.session).seal(plain, "registry_changes", "content", change.id)

    def content(self, change: RegistryChange) -> ChangeContent:
        keys = Keys.of(self.session)
        return ChangeContent(
            **json.loads(keys.open(change.content, "registry_changes", "content", change.id))
        )

    def seal_undo(self, change: RegistryChange, undo: dict[str, Any]) -> None:
        plain = json.dumps(undo, separators=(",", ":"))
        change.undo = Keys.of(self.session).seal(plain, "registry_changes", "undo", change.id)

    def undo_of(self, change: RegistryChange) -> dict[str, Any]:
        assert change.undo is not None
        keys = Keys.of(self.session)
        found: dict[str, Any] = json.loads(
            keys.open(change.undo, "registry_changes", "undo", change.id)
        )
        return found

    async def lock(self, id: UUID) -> RegistryChange:
        """The row as it is now, held until commit. Its complaint is locked before it."""
        statement = (
            sa.select(RegistryChange)
            .where(R.id == id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self.session.scalars(statement)).one()

    async def find(self, id: UUID) -> RegistryChange | None:
        return await self.session.get(RegistryChange, id)

    async def by_ids(self, ids: Collection[UUID]) -> dict[UUID, RegistryChange]:
        statement = sa.select(RegistryChange).where(R.id.in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def with_followers(self, id: UUID) -> list[RegistryChange]:
        """A change with those that were made because of it, in id order."""
        statement = sa.select(RegistryChange).where(sa.or_(R.id == id, R.follows_id == id))
        return list(await self.session.scalars(statement.order_by(R.id)))

    async def heads_to_be(self, member_ids: Collection[UUID]) -> list[RegistryChange]:
        """What proposes some people as the new heads that a death asks for, undecided yet."""
        statement = sa.select(RegistryChange).where(
            R.member_id.in_(member_ids), R.follows_id.is_not(None), R.state.in_(TO_BE)
        )
        return list(await self.session.scalars(statement.order_by(R.id)))

    async def undecided_at(self, household_id: UUID) -> list[RegistryChange]:
        """What is proposed about a household or its people, and neither applied nor refused."""
        statement = sa.select(RegistryChange).where(
            R.household_id == household_id, R.state.in_(UNDECIDED)
        )
        return list(await self.session.scalars(statement.order_by(R.id)))

    async def added_twice(self, changes: Sequence[RegistryChange]) -> set[UUID]:
        """Those of some changes, still open, that add somebody whom another open one of the city
        adds, too, by the national id."""
        asked = {one.id: found for one in changes if (found := self._added(one))}
        if not asked:
            return set()
        regions = {one.regency_code for one in changes if one.id in asked}
        statement = (
            sa.select(RegistryChange)
            .where(R.regency_code.in_(regions), R.state.in_(OPEN), R.kind.in_(ADDING))
            .order_by(R.id.desc())
            .limit(ADDED_LATELY)
        )
        by_number: dict[str, set[UUID]] = {}
        for one in await self.session.scalars(statement):
            for number in self._added(one):
                by_number.setdefault(number, set()).add(one.id)
        return {
            id for id, numbers in asked.items()
            if any(by_number.get(number, set()) - {id} for number in numbers)
        }  # fmt: skip

    def _added(self, change: RegistryChange) -> set[str]:
        """The national ids of those whom an open change adds."""
        if change.kind not in ADDING or change.state not in OPEN:
            return set()
        return {one["national_id"] for one in self.content(change).people} - {None}

    async def lock_all(self, ids: Sequence[UUID]) -> list[RegistryChange]:
        """Several rows, held until commit, in id order so that two lockers cannot meet head-on."""
        statement = sa.select(RegistryChange).where(R.id.in_(ids)).order_by(R.id)
        statement = statement.with_for_update().execution_options(populate_existing=True)
        return list(await self.session.scalars(statement))

    async def of_complaints(
        self, complaint_ids: Sequence[UUID], lock: bool = False
    ) -> dict[UUID, list[RegistryChange]]:
        """The changes that came with each complaint, oldest first."""
        statement = (
            sa.select(RegistryChange).where(R.complaint_id.in_(complaint_ids)).order_by(R.id)
        )
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        found: dict[UUID, list[RegistryChange]] = {id: [] for id in complaint_ids}
        for change in await self.session.scalars(statement):
            assert change.complaint_id is not None
            found[change.complaint_id].append(change)
        return found

    async def ids_of_visits(self, visit_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """The changes that each visit proposed, oldest first."""
        statement = sa.select(R.visit_id, R.id).where(R.visit_id.in_(visit_ids)).order_by(R.id)
        found: dict[UUID, list[UUID]] = {id: [] for id in visit_ids}
        for visit_id, id in (await self.session.execute(statement)).all():
            found[visit_id].append(id)
        return found

    async def get(self, id: UUID, actor: Actor, at: datetime) -> RegistryChange:
        """Raises NotFound for what does not exist or is out of the actor's sight."""
        statement = sa.select(RegistryChange).where(R.id == id, seen_by(actor, at))
        change = (await self.session.scalars(statement)).one_or_none()
        if change is None:
            raise NotFound
        return change

    async def page(
        self, actor: Actor, wanted: ChangeFilter, after: UUID | None, limit: int, at: datetime
    ) -> list[RegistryChange]:
        """Newest first."""
        statement = sa.select(RegistryChange).where(seen_by(actor, at)).order_by(R.id.desc())
        for name in ("kind", "state", "complaint_id", "household_id", "member_id"):
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(getattr(R, name) == value)
        if wanted.region is not None:
            statement = statement.where(within(R, (wanted.region,)))
        if wanted.unconfirmed is not None:
            unknown = is_unconfirmed()
            statement = statement.where(unknown if wanted.unconfirmed else ~unknown)
        if after is not None:
            statement = statement.where(R.id < after)
        return list(await self.session.scalars(statement.limit(limit)))

    async def death_of(self, member_id: UUID) -> RegistryChange | None:
        """The report of a person's death that still stands."""
        statement = sa.select(RegistryChange).where(
            R.member_id == member_id,
            R.kind == K.REPORT_DEATH,
            R.state.not_in([S.REJECTED, S.WITHDRAWN]),
            R.revoked_by_id.is_(None),
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def lock_approved(self, regency_code: str, limit: int) -> list[RegistryChange]:
        """The city's changes that no batch holds yet, oldest first; held until commit.

        Who waited here for another's batch finds none of what went into it.
        """
        statement = (
            sa.select(RegistryChange)
            .where(R.regency_code == regency_code, R.state == S.MANAGER_APPROVED)
            .order_by(R.id)
            .limit(limit)
            .with_for_update()
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def claim_undispatched(
        self, sweep: str, before: tuple[datetime, datetime], at: datetime, limit: int
    ) -> list[RegistryChange]:
        """Approved changes in no batch whose first or second reminder is due, oldest first."""
        stage = sa.cast(R.stage, sa.Text)
        first = sa.and_(
            R.stage_entered_at <= before[0], not_taken(R.id, stage + " office", Step.UNDISPATCHED)
        )
        second = sa.and_(
            R.stage_entered_at <= before[1], not_taken(R.id, stage + " manager", Step.UNDISPATCHED)
        )
        statement = (
            sa.select(RegistryChange)
            .where(R.state == S.MANAGER_APPROVED, sa.or_(first, second))
            .where(not_parked(sweep, R.id, at))
            .order_by(R.stage_entered_at, R.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    async def claim(
        self, sweep: str, states: Sequence[ChangeState], at: datetime, limit: int
    ) -> list[RegistryChange]:
        """Changes whose next step is due and that no other sweeper holds, oldest first."""
        statement = (
            sa.select(RegistryChange)
            .where(R.next_step_at <= at, R.state.in_(states), not_parked(sweep, R.id, at))
            .order_by(R.next_step_at, R.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))


def is_unconfirmed() -> Any:
    """`RegistryChange.unconfirmed`, in SQL."""
    believed = sa.and_(R.kind == K.REPORT_DEATH, R.state == S.SUPERVISOR_APPROVED)
    return sa.and_(R.revoked_by_id.is_(None), sa.or_(believed, R.state.in_(UNCONFIRMED)))


def seen_by(actor: Actor, at: datetime) -> Any:
    """The offices of the region, the supervisors of the city, the proposer, and whoever sees the
    complaint it came with; program_managers from the manager's approval on; the facilitators of
    the place what an import found."""
    offices = actor.regions(
        Role.PUSKESOS_OFFICER, *SECRETARIAT, Role.MANAGER, Role.HEAD, Role.DATA_PROTECTION_OFFICER
    )
    mine = R.proposed_by == actor.id
    seen = [mine, within(R, offices), within(R, cities(actor.regions(Role.SUPERVISOR)))]
    if managed := actor.regions(Role.PROGRAM_MANAGER):
        seen.append(sa.and_(within(R, managed), R.applied_at.is_not(None)))
    if visited := actor.regions(Role.FACILITATOR):
        seen.append(sa.and_(R.origin == ChangeOrigin.IMPORT, within(R, visited)))
        in_sight = sa.select(Complaint.id).where(visible_to(actor, at))  # type: ignore[call-overload]
        seen.append(R.complaint_id.in_(in_sight))
    return sa.or_(sa.false(), *seen)
