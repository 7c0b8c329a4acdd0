"""The table of registry changes: what may happen to one, by whom, and on which clock."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.actors import SECRETARIAT as SECRETARIAT_ROLES
from app.domain.actors import SYSTEM as SYSTEM_ACTOR
from app.domain.actors import Actor, Role
from app.domain.base import regency_of
from app.domain.complaints import BEFORE_FORWARDED, Complaint
from app.domain.errors import Conflict, Forbidden
from app.domain.registry_changes import ChangeOrigin, ChangeState, RegistryChange
from app.workflow.machine import Ladder, Machine, Party, Rung, Transition, by, guard
from app.workflow.parties import (
    APPROVER,
    FORWARDER,
    HEAD,
    MANAGER,
    SUPERVISOR,
    SUPERVISOR_OF_CITY,
    SYSTEM,
    WITHOUT_PART,
    Parts,
    Staff,
)


class ChangeAction(StrEnum):
    PROPOSE = "propose"
    APPROVE = "approve"
    RETURN = "return"
    RESUBMIT = "resubmit"
    REJECT = "reject"
    RECALL = "recall"
    WITHDRAW = "withdraw"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    UNDO = "undo"


def carried(complaint: Complaint | None) -> bool:
    """Whether an undecided complaint carries its changes: then it is decided, and reminded of,
    for all of them."""
    return complaint is not None and complaint.state in BEFORE_FORWARDED


@dataclass(slots=True)
class ChangeCase:
    """A change with its complaint, if it came with one, and the people of its city."""

    change: RegistryChange
    complaint: Complaint | None = None
    staff: Staff = field(default_factory=Staff)

    breached = False

    @property
    def state(self) -> ChangeState:
        return self.change.state

    @property
    def village_code(self) -> str:
        return self.change.village_code

    @property
    def assigned_to(self) -> UUID | None:
        return self.complaint.assigned_to if self.complaint else None

    @property
    def stage_level(self) -> int:
        return self.change.escalation_level

    @property
    def with_complaint(self) -> bool:
        """Whether the complaint it came with is still to be decided: then both go together."""
        return carried(self.complaint)

    @property
    def parts(self) -> Parts:
        one, authors = self.change, set(self.change.authors)
        authors.add(one.proposed_by)
        if self.complaint is not None:
            authors |= {self.complaint.submitted_by, *self.complaint.surveyors}
        return Parts(
            frozenset(authors),
            frozenset({one.approved_by} if one.approved_by else ()),
        )


def _is_proposer(actor: Actor, case: Any) -> bool:
    return bool(case.change.proposed_by == actor.id)


def _in_the_city(actor: Actor, case: Any) -> bool:
    city = regency_of(case.village_code)
    return actor.holds_near(city, Role.FACILITATOR, Role.PUSKESOS_OFFICER, *SECRETARIAT_ROLES)


def _in_scope(actor: Actor, case: Any) -> bool:
    """The desk of the place, or the facilitator who has part in it.

    What an import found, nobody has had part in: there it is any facilitator of the place.
    """
    if actor.holds(case.village_code, Role.PUSKESOS_OFFICER, *SECRETARIAT_ROLES):
        return True
    if case.change.origin is ChangeOrigin.IMPORT:
        return actor.holds(case.village_code, Role.FACILITATOR)
    return actor.id in (case.change.proposed_by, case.assigned_to)


def _centre(actor: Actor, case: Any) -> bool:
    city = regency_of(case.village_code)
    return actor.holds(city, *SECRETARIAT_ROLES, Role.PROGRAM_MANAGER)


WRITERS = (Role.FACILITATOR, Role.PUSKESOS_OFFICER, *SECRETARIAT_ROLES)
PROPOSER = Party("proposer", WRITERS, _in_the_city, _is_proposer)
IN_SCOPE = Party("desk or facilitator in scope", WRITERS, _in_the_city, _in_scope)
# Who sends to the centre what was approved, and types in what it said.
DISPATCHER = Party(
    "secretariat or program_manager",
    (*SECRETARIAT_ROLES, Role.PROGRAM_MANAGER),
    _centre,
    _centre,
)


@guard(Forbidden, "four_eyes")
def proposed_by_another(case: ChangeCase, actor: Actor, _: Any) -> bool:
    """Whoever proposed or surveyed a change may not decide on it."""
    return actor is SYSTEM_ACTOR or actor.id not in case.parts.surveyors


@guard(Forbidden, "four_eyes")
def approved_by_another(case: ChangeCase, actor: Actor, _: Any) -> bool:
    """Whoever approved a change as supervisor may not approve it as manager."""
    return actor is SYSTEM_ACTOR or actor.id not in case.parts.approver


@guard(Conflict, "decided_with_complaint")
def stands_alone(case: ChangeCase, _: Actor, __: Any) -> bool:
    """A change that came with a complaint is decided with it, as long as that is undecided."""
    return not case.with_complaint


@guard(Conflict, "action_not_allowed")
def never_sent(case: ChangeCase, actor: Actor, _: Any) -> bool:
    """What a supervisor has approved is withdrawn by the system alone, with its complaint."""
    return actor is SYSTEM_ACTOR or case.state in TAKEN_BACK


@guard(Conflict, "action_not_allowed")
def still_said(case: ChangeCase, _: Actor, __: Any) -> bool:
    """A death that was revoked is not proposed again."""
    return case.change.revoked_by_id is None


@guard(Forbidden, "four_eyes")
def decided_by_another(case: ChangeCase, actor: Actor, _: Any) -> bool:
    """Whoever approved a change may not undo it."""
    return actor.id not in (case.change.approved_by, case.change.confirmed_by)


S, A = ChangeState, ChangeAction
TAKEN_BACK = (S.DRAFT, S.PROPOSED, S.RETURNED)
EYES = (proposed_by_another,)
OTHER_EYES = (proposed_by_another, approved_by_another)


def hours(count: int) -> timedelta:
    return timedelta(hours=count)


# fmt: off
LADDER = {
    S.DRAFT: Ladder("its complaint, or desk or facilitator", advancing=(A.PROPOSE,)),
    S.PROPOSED: Ladder("supervisor", hours(8), hours(2), SUPERVISOR,
        Rung(SUPERVISOR_OF_CITY), Rung(MANAGER), (A.APPROVE, A.REJECT)),
    S.SUPERVISOR_APPROVED: Ladder("manager", hours(6), hours(2), MANAGER,
        Rung(HEAD), Rung(WITHOUT_PART), (A.APPROVE, A.REJECT)),
    S.RETURNED: Ladder("desk or facilitator: correction", hours(6), hours(2), IN_SCOPE,
        Rung(SUPERVISOR), Rung(MANAGER), (A.RESUBMIT,)),
    S.MANAGER_APPROVED: Ladder("secretariat: dispatch to the centre", holder=DISPATCHER,
        advancing=(A.DISPATCH,)),
    S.DISPATCHED: Ladder("the centre: acknowledgement", holder=DISPATCHER,
        advancing=(A.ACKNOWLEDGE,)),
    S.DECLINED: Ladder("supervisor: undo, or desk: correct", holder=SUPERVISOR_OF_CITY,
        advancing=(A.RESUBMIT, A.UNDO)),
    S.CONFIRMED: Ladder("nobody"),
    S.REJECTED: Ladder("nobody"),
    S.WITHDRAWN: Ladder("nobody"),
}

MACHINE = Machine[ChangeState, ChangeAction](
    name="registry_change",
    initial=S.DRAFT,
    final=(S.CONFIRMED, S.REJECTED, S.WITHDRAWN),
    ladder=LADDER,
    system=SYSTEM,
    transitions=(
        # from, action, to, by, only if, needs
        Transition((S.DRAFT,), A.PROPOSE, (S.PROPOSED,), by(PROPOSER, IN_SCOPE, SYSTEM),
            (stands_alone,)),
        Transition((S.PROPOSED,), A.APPROVE, (S.SUPERVISOR_APPROVED, S.RETURNED), by(APPROVER),
            (*EYES, stands_alone)),
        Transition((S.SUPERVISOR_APPROVED,), A.APPROVE, (S.MANAGER_APPROVED, S.RETURNED),
            by(FORWARDER), (*OTHER_EYES, stands_alone)),
        Transition((S.PROPOSED,), A.RETURN, (S.RETURNED,), by(APPROVER), (*EYES, stands_alone),
            note=True),
        Transition((S.SUPERVISOR_APPROVED,), A.RETURN, (S.RETURNED,), by(FORWARDER),
            (*OTHER_EYES, stands_alone), note=True),
        Transition((S.RETURNED, S.DECLINED), A.RESUBMIT, (S.PROPOSED,), by(IN_SCOPE),
            (stands_alone, still_said)),
        Transition((S.PROPOSED,), A.REJECT, (S.REJECTED,), by(APPROVER), (*EYES, stands_alone),
            note=True),
        Transition((S.SUPERVISOR_APPROVED,), A.REJECT, (S.REJECTED,), by(FORWARDER),
            (*OTHER_EYES, stands_alone), note=True),
        Transition((S.PROPOSED,), A.RECALL, (S.DRAFT,), by(SYSTEM)),
        Transition((S.SUPERVISOR_APPROVED,), A.RECALL, (S.PROPOSED,), by(SYSTEM)),
        Transition((*TAKEN_BACK, S.SUPERVISOR_APPROVED, S.MANAGER_APPROVED), A.WITHDRAW,
            (S.WITHDRAWN,), by(PROPOSER, IN_SCOPE, SYSTEM), (never_sent,)),
        Transition((S.MANAGER_APPROVED,), A.DISPATCH, (S.DISPATCHED,), by(DISPATCHER)),
        Transition((S.DISPATCHED,), A.ACKNOWLEDGE, (S.CONFIRMED, S.DECLINED), by(DISPATCHER)),
        Transition((S.DECLINED,), A.UNDO, (S.WITHDRAWN,), by(SUPERVISOR_OF_CITY, SYSTEM),
            (decided_by_another,)),
    ),
)
# fmt: on

EVENT_TYPES: dict[ChangeAction, str] = {
    A.PROPOSE: "registry_change.proposed",
    A.APPROVE: "registry_change.approved",
    A.RETURN: "registry_change.returned",
    A.RESUBMIT: "registry_change.resubmitted",
    A.REJECT: "registry_change.rejected",
    A.RECALL: "registry_change.recalled",
    A.WITHDRAW: "registry_change.withdrawn",
    A.DISPATCH: "registry_change.dispatched",
    A.ACKNOWLEDGE: "registry_change.acknowledged",
    A.UNDO: "registry_change.undone",
}
DRAFTED = "registry_change.drafted"
CARRIED_OVER = "registry_change.carried_over"
