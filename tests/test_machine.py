"""The tables themselves: every state x action x person x level answered, none by accident.

What is expected stands here once more, written by hand, so that a slip in the tables shows.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest

from app.domain.actors import CITIZEN, SYSTEM, Actor, Grant, PrincipalKind, Role, Scope
from app.domain.complaints import Complaint, ComplaintState
from app.domain.errors import Conflict, DomainError, Forbidden, Invalid
from app.domain.referrals import Referral, ReferralState
from app.domain.routes import Route
from app.domain.vocabulary import Document, Outcome, Priority, Visit
from app.workflow.complaints.case import Case
from app.workflow.complaints.commands import (
    Command,
    ComplaintAction,
    HouseholdChoice,
    Refusal,
    Refusals,
)
from app.workflow.complaints.table import MACHINE as COMPLAINTS
from app.workflow.machine import Ladder, Machine, Rung, Transition, by, names
from app.workflow.parties import DESK, HANDLER, HEAD, SYSTEM_ACTOR, Staff
from app.workflow.parties import SYSTEM as SYSTEM_PARTY
from app.workflow.referrals.table import MACHINE as REFERRALS
from app.workflow.referrals.table import ReferralAction, ReferralCase

pytestmark = pytest.mark.embedded

S, A = ComplaintState, ComplaintAction
R, RA = ReferralState, ReferralAction
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
WATES, KAUMAN, FAR = "35.76.02.1010", "35.76.01.1004", "35.73.01.1001"
CITY, DISTRICT, OTHER_DISTRICT, FAR_CITY = "35.76", "35.76.02", "35.76.01", "35.73"


def id_of(who: str) -> UUID:
    return uuid5(NAMESPACE_OID, who)


def person(who: str, role: Role, *regions: str, programs: tuple[str, ...] = ()) -> Actor:
    return Actor(
        id_of(who), PrincipalKind.PERSON, who, who.title(), (Grant(role, regions, programs),)
    )


def client(who: str, scope: Scope, *grants: Grant) -> Actor:
    return Actor(
        id_of(who), PrincipalKind.CLIENT, who, who, grants, frozenset({scope}), (CITY,), ("PKH",)
    )


PKH, FOOD = ("PKH",), ("BPNT",)
PEOPLE = {
    actor.username: actor
    for actor in (
        person("puskesos", Role.PUSKESOS_OFFICER, WATES),
        person("puskesos of another village", Role.PUSKESOS_OFFICER, KAUMAN),
        person("front", Role.FRONT_OFFICE, CITY),
        person("back", Role.BACK_OFFICE, CITY),
        person("front of another city", Role.FRONT_OFFICE, FAR_CITY),
        person("assigned", Role.FACILITATOR, WATES),
        person("facilitator", Role.FACILITATOR, WATES),
        person("facilitator of another district", Role.FACILITATOR, KAUMAN),
        person("facilitator of another city", Role.FACILITATOR, FAR),
        person("supervisor", Role.SUPERVISOR, DISTRICT),
        person("supervisor of another district", Role.SUPERVISOR, OTHER_DISTRICT),
        person("supervisor of another city", Role.SUPERVISOR, "35.73.01"),
        person("manager", Role.MANAGER, CITY),
        person("manager of another city", Role.MANAGER, FAR_CITY),
        person("head", Role.HEAD, CITY),
        person("head of another city", Role.HEAD, FAR_CITY),
        person("program manager", Role.PROGRAM_MANAGER, CITY, programs=PKH),
        person("manager of another program", Role.PROGRAM_MANAGER, CITY, programs=FOOD),
        person("program manager of another city", Role.PROGRAM_MANAGER, FAR_CITY, programs=PKH),
        person("agency", Role.AGENCY, CITY, programs=PKH),
        person("agency of another program", Role.AGENCY, CITY, programs=FOOD),
        person("agency of another city", Role.AGENCY, FAR_CITY, programs=PKH),
        person("admin", Role.ADMIN),
        person("data protection officer", Role.DATA_PROTECTION_OFFICER, CITY),
        client("submitting client", Scope.COMPLAINTS_SUBMIT),
        client("reading client", Scope.REFERRALS_READ),
        client("answering client", Scope.REFERRALS_ANSWER, Grant(Role.AGENCY, (CITY,), PKH)),
        SYSTEM,
    )
}
NORMAL = (
    "puskesos", "puskesos of another village", "front", "back", "supervisor",
    "supervisor of another district", "supervisor of the third district", "manager", "head",
    "program manager",
)  # fmt: skip
THIRD = person("supervisor of the third district", Role.SUPERVISOR, "35.76.03")


def staff(*left_out: str) -> Staff:
    everybody = PEOPLE | {THIRD.username: THIRD}
    return Staff(tuple(everybody[who] for who in NORMAL if who not in left_out))


# --- what is expected, by hand -----------------------------------------------------------------

GROUPS = {
    "desk": ("puskesos", "front", "back"),
    "secretariat": ("front", "back"),
    "supervisors": ("supervisor", "supervisor of another district"),
    "facilitators": ("assigned", "facilitator", "facilitator of another district"),
    "owner": ("program manager", "agency", "answering client"),
    "filer": ("facilitator",),
    "agencies": ("agency", "answering client"),
}
VISITING = """
    system front back supervisor: reassign
    assigned: hand_back
    assigned secretariat: record_visit_attempt submit_survey
    secretariat supervisor: answer
    approver: reject
    desk: withdraw
    desk supervisor manager: set_priority
    secretariat supervisor manager: transfer
    desk supervisor: join
"""
# state -> who: which actions, when nobody is late.
MAY: dict[ComplaintState, str] = {
    S.RECEIVED: """
        desk: resolve_now request_documents forward_to_secretariat reject withdraw
        filer: self_assign
        desk supervisor manager: set_priority
        secretariat supervisor manager: transfer
        desk supervisor: join
    """,
    S.INCOMPLETE: """
        desk: complete_documents record_contact withdraw
        desk supervisor manager: set_priority
        secretariat supervisor manager: transfer
        desk supervisor: join
        system: archive
    """,
    S.AT_SECRETARIAT: """
        desk: resolve_now request_documents reject withdraw
        secretariat supervisor system: assign
        secretariat: submit_without_visit
        secretariat supervisor: answer
        desk supervisor manager: set_priority
        secretariat supervisor manager: transfer
        desk supervisor: join
    """,
    S.ASSIGNED: VISITING,
    S.RETURNED: VISITING,
    S.AWAITING_SUPERVISOR: """
        approver: return_for_correction approve answer reject
        desk: withdraw
        desk supervisor manager: set_priority
        secretariat supervisor manager: transfer
        desk supervisor: join
    """,
    S.AWAITING_MANAGER: """
        forwarder: return_to_supervisor forward answer reject
        desk: withdraw
        desk supervisor manager: set_priority
        secretariat supervisor manager: transfer
        desk supervisor: join
    """,
    S.FORWARDED: """
        system: settle
        manager head: close_unanswered
        secretariat supervisor manager: transfer
    """,
    S.ANSWERED: """
        secretariat supervisor system: reassign
        assigned desk: deliver_answer
        secretariat supervisor manager: transfer
    """,
    S.CLOSED: """
        secretariat: reopen
    """,
}
ARCHIVED = "desk: complete_documents"
# state -> who may take every action of it from level 1, and from level 2 on.
LEVELS = {
    S.RECEIVED: ("secretariat", "manager"),
    S.AT_SECRETARIAT: ("manager", "manager"),
    S.ASSIGNED: ("supervisor", "manager"),
    S.RETURNED: ("supervisor", "manager"),
    S.AWAITING_SUPERVISOR: ("supervisors", "manager"),
    S.AWAITING_MANAGER: ("head", "supervisors"),
    S.ANSWERED: ("desk", "supervisor"),
}
# ... and once the promise is broken, which it can be only here.
PROMISED = (
    S.RECEIVED, S.INCOMPLETE, S.AT_SECRETARIAT, S.ASSIGNED, S.RETURNED, S.AWAITING_SUPERVISOR,
    S.AWAITING_MANAGER,
)  # fmt: skip
ON_BREACH = "manager head"
NOBODY_ELSES = ("archive", "settle", "self_assign")
# Whose role and scope some row or ladder means, here or elsewhere.
MEANT = {"approver": "supervisors manager", "forwarder": "supervisors manager head",
         "assigned": "facilitators", "filer": "facilitators"}  # fmt: skip

REFERRAL_MAY: dict[ReferralState, str] = {
    R.DRAFT: """
        system: approve
        secretariat manager system: cancel
    """,
    R.APPROVED: """
        system: send return
        secretariat manager system: cancel
    """,
    R.SENT: """
        owner: acknowledge grant decline ask
        owner system: waitlist
        secretariat manager system: cancel
    """,
    R.RECEIVED: """
        owner: grant decline waitlist ask
        secretariat manager system: cancel
    """,
    R.INFO_REQUESTED: """
        secretariat assigned: reply
        secretariat manager system: cancel
    """,
    R.WAITLISTED: """
        owner: grant decline waitlist
        system: move_up
        secretariat manager system: cancel
        assigned desk: deliver_answer
    """,
    R.GRANTED: """
        assigned desk: deliver_answer
        assigned agencies: confirm_benefit
    """,
    R.BENEFIT_CONFIRMED: "assigned desk: deliver_answer",
    R.DECLINED: "assigned desk: deliver_answer",
    R.CANCELLED: "assigned desk: deliver_answer",
}


def people_of(words: str) -> set[str]:
    return {who for word in words.split() for who in GROUPS.get(word, (word,))}


def lines(text: str) -> Iterable[tuple[list[str], list[str]]]:
    for line in filter(None, map(str.strip, text.splitlines())):
        who, actions = line.split(": ")
        yield who.split(), actions.split()


def named_in(words: Iterable[str], level: int = 0, broken: bool = False) -> set[str]:
    """The people of a line; `approver` and `forwarder` depend on how late it is."""
    found: set[str] = set()
    for word in words:
        if word == "approver":
            found |= people_of("supervisors" if level >= 1 else "supervisor")
            found |= people_of("manager") if level >= 2 or broken else set()
        elif word == "forwarder":
            found |= people_of("manager")
        else:
            found |= people_of(word)
    return found


def allowed(text: str, levels: Iterable[str], action: str, level: int, broken: bool) -> set[str]:
    """Everybody who may take an action, by the tables above."""
    for who, actions in lines(text):
        if action in actions:
            found = named_in(who, level, broken)
            if action not in NOBODY_ELSES:
                for words in list(levels)[:level]:
                    found |= people_of(words)
                found |= people_of(ON_BREACH) if broken else set()
            return found
    return set()


def ever(tables: dict[Any, str], action: str, ladders: bool = True) -> set[str]:
    """Everybody whose role and scope is given an action by some row or some ladder."""
    found: set[str] = set()
    for state, text in tables.items():
        for who, actions in lines(text):
            if action in actions:
                found |= named_in(" ".join(MEANT.get(word, word) for word in who).split())
                if ladders and action not in NOBODY_ELSES:
                    found |= people_of(" ".join(LEVELS.get(state, ())))
                    found |= people_of(ON_BREACH) if state in PROMISED else set()
    return found


# --- the product -------------------------------------------------------------------------------


def complaint(state: ComplaintState, **changes: Any) -> Complaint:
    """A complaint in a state, with all that the guards of that state ask for."""
    facts: dict[str, Any] = {
        "id": id_of("complaint"),
        "state": state,
        "priority": Priority.NORMAL,
        "village_code": WATES,
        "assigned_to": id_of("assigned"),
        "submitted_by": id_of("facilitator"),
        "stage_entered_at": NOW - timedelta(days=31),
        "forwarded_at": NOW - timedelta(days=121),
    }
    if state in (S.FORWARDED, S.ANSWERED, S.CLOSED):
        facts["handled_at"] = NOW
    if state is S.CLOSED:
        facts |= {"closed_at": NOW, "outcome": Outcome.RESOLVED}
    return Complaint(**facts | changes)


def case_in(state: ComplaintState, level: int = 0, broken: bool = False, **changes: Any) -> Case:
    facts = {"escalation_level": level, "breached_at": NOW if broken else None} | changes
    item = Referral(id=id_of("item"), state=R.DRAFT)
    return Case(complaint(state, **facts), NOW, staff=staff(), items=[item], contacts=1)


def command_for(machine: Machine[Any, Any], state: StrEnum, action: StrEnum) -> Command:
    """The action with a note, and a reason that its row takes."""
    row = machine.rows.get((state, action))
    reasons = row.reasons if row else ()
    return Command(action, note="Sudah diperiksa.", reason=reasons[0] if reasons else None)


def answer(machine: Machine[Any, Any], case: Any, action: Any, actor: Actor) -> str:
    try:
        machine.check(case, action, actor, command_for(machine, case.state, action))
    except DomainError as error:
        return f"{error.code} ({type(error).__name__})"
    return "allowed"


def expected(who: str, may: set[str], meant: set[str]) -> str:
    if who in may:
        return "allowed"
    return "action_not_allowed (Conflict)" if who in meant else "role_not_allowed (Forbidden)"


LATENESS = [(level, broken) for level in (0, 1, 2) for broken in (False, True)]


@pytest.mark.parametrize(("level", "broken"), LATENESS)
@pytest.mark.parametrize("state", S)
def test_every_action_on_a_complaint_is_for_those_whom_the_workflow_names(
    state: ComplaintState, level: int, broken: bool
) -> None:
    case, wrong = case_in(state, level, broken), []
    tables = MAY | {S.CLOSED: MAY[S.CLOSED] + ARCHIVED}
    late = broken and state in PROMISED
    for action in A:
        may = allowed(MAY[state], LEVELS.get(state, ()), action, level, late)
        meant = ever(tables, action)
        # Of what is closed it is the guards that tell the archived from the rest.
        stand = allowed(tables[state], LEVELS.get(state, ()), action, level, late)
        for who, actor in PEOPLE.items():
            right, found = expected(who, may, meant), answer(COMPLAINTS, case, action, actor)
            if found != right:
                wrong.append(f"{action} by {who}: {found}, not {right}")
            assert COMPLAINTS.ever(actor, case, action) == (who in meant), f"{action} by {who}"
            assert COMPLAINTS.standing(actor, case, action) == (who in stand), f"{action} by {who}"
    assert wrong == []


@pytest.mark.parametrize("state", S)
def test_the_list_of_actions_is_what_the_check_lets_through(state: ComplaintState) -> None:
    for level, (who, actor) in product((0, 2), PEOPLE.items()):
        case = case_in(state, level, level == 2)
        through = {action for action in A if answer(COMPLAINTS, case, action, actor) == "allowed"}
        assert set(COMPLAINTS.actions(case, actor)) == through, f"{who} at level {level}"


@pytest.mark.parametrize("state", R)
def test_every_action_on_a_referral_is_for_those_whom_the_workflow_names(
    state: ReferralState,
) -> None:
    referral = Referral(id=id_of("item"), state=state, village_code=WATES, program_code="PKH")
    case, wrong = ReferralCase(referral, complaint(S.FORWARDED)), []
    for action in RA:
        may = allowed(REFERRAL_MAY[state], (), action, 0, False)
        meant = ever(REFERRAL_MAY, action, ladders=False)
        for who, actor in PEOPLE.items():
            right, found = expected(who, may, meant), answer(REFERRALS, case, action, actor)
            if found != right:
                wrong.append(f"{action} by {who}: {found}, not {right}")
            assert REFERRALS.ever(actor, case, action) == (who in meant), f"{action} by {who}"
    assert wrong == []


# --- where each action leads -------------------------------------------------------------------

LEADS = {
    A.RESOLVE_NOW: "received at_secretariat > closed",
    A.REQUEST_DOCUMENTS: "received at_secretariat > incomplete",
    A.COMPLETE_DOCUMENTS: "incomplete closed > received",
    A.RECORD_CONTACT: "incomplete > same",
    A.ARCHIVE: "incomplete > closed",
    A.FORWARD_TO_SECRETARIAT: "received > at_secretariat",
    A.ASSIGN: "at_secretariat > assigned",
    A.SELF_ASSIGN: "received > assigned",
    A.SUBMIT_WITHOUT_VISIT: "at_secretariat > awaiting_supervisor",
    A.REASSIGN: "assigned returned answered > same",
    A.HAND_BACK: "assigned returned > at_secretariat",
    A.RECORD_VISIT_ATTEMPT: "assigned returned > same awaiting_supervisor",
    A.SUBMIT_SURVEY: "assigned returned > awaiting_supervisor",
    A.RETURN_FOR_CORRECTION: "awaiting_supervisor > returned at_secretariat",
    A.APPROVE: "awaiting_supervisor > awaiting_manager",
    A.RETURN_TO_SUPERVISOR: "awaiting_manager > awaiting_supervisor",
    A.FORWARD: "awaiting_manager > forwarded",
    A.ANSWER: "at_secretariat assigned returned awaiting_supervisor awaiting_manager > answered",
    A.REJECT: "received at_secretariat assigned returned awaiting_supervisor awaiting_manager"
              " > answered",
    A.SETTLE: "forwarded > answered",
    A.CLOSE_UNANSWERED: "forwarded > answered",
    A.DELIVER_ANSWER: "answered > same closed",
    A.WITHDRAW: "received incomplete at_secretariat assigned returned awaiting_supervisor"
                " awaiting_manager > closed",
    A.REOPEN: "closed > at_secretariat",
    A.SET_PRIORITY: "received incomplete at_secretariat assigned returned awaiting_supervisor"
                    " awaiting_manager > same",
    A.TRANSFER: "received incomplete at_secretariat assigned returned awaiting_supervisor"
                " awaiting_manager forwarded answered > same at_secretariat closed",
    A.JOIN: "received incomplete at_secretariat assigned returned awaiting_supervisor"
            " awaiting_manager > closed",
}  # fmt: skip
REFERRAL_LEADS = {
    RA.APPROVE: "draft > approved",
    RA.SEND: "approved > sent",
    RA.ACKNOWLEDGE: "sent > received",
    RA.GRANT: "sent received waitlisted > granted",
    RA.DECLINE: "sent received waitlisted > declined",
    RA.WAITLIST: "sent received waitlisted > waitlisted",
    RA.MOVE_UP: "waitlisted > sent",
    RA.ASK: "sent received > info_requested",
    RA.REPLY: "info_requested > received",
    RA.RETURN: "approved > draft",
    RA.CANCEL: "draft approved sent received info_requested waitlisted > cancelled",
    RA.DELIVER_ANSWER: "granted benefit_confirmed declined waitlisted cancelled > same",
    RA.CONFIRM_BENEFIT: "granted > benefit_confirmed",
}


@pytest.mark.parametrize(("machine", "leads"), [(COMPLAINTS, LEADS), (REFERRALS, REFERRAL_LEADS)])
def test_each_action_leads_from_where_to_where_the_workflow_says(
    machine: Machine[Any, Any], leads: dict[Any, str]
) -> None:
    found: dict[Any, tuple[set[str], set[str]]] = {}
    for (source, action), row in machine.rows.items():
        sources, targets = found.setdefault(action, (set(), set()))
        sources.add(str(source))
        targets.update("same" if target is None else str(target) for target in row.targets)
    wanted = {
        action: tuple(set(side.split()) for side in text.split(" > "))
        for action, text in leads.items()
    }
    assert found == wanted


REASONS = {
    A.REJECT: {
        S.RECEIVED: "out_of_area not_a_slrt_matter",
        S.AWAITING_MANAGER: "out_of_area not_a_slrt_matter false_statement no_contact other",
    },
    A.HAND_BACK: {S.ASSIGNED: "conflict_of_interest ill unreachable workload"},
    A.SET_PRIORITY: {
        S.ASSIGNED: "hospital no_food_or_shelter violence disaster not_an_emergency"
    },
    A.TRANSFER: {S.ASSIGNED: "moved wrong_region", S.ANSWERED: "moved wrong_region"},
    RA.DECLINE: {
        R.SENT: "quota_full not_eligible already_served incomplete_file beneficiary_unreachable"
                " deceased other"
    },
}  # fmt: skip


def test_the_reasons_are_the_ones_of_the_workflow() -> None:
    for action, by_state in REASONS.items():
        for state, words in by_state.items():
            machine: Machine[Any, Any] = COMPLAINTS if isinstance(state, S) else REFERRALS
            assert set(machine.rows[state, action].reasons) == set(words.split())


NOTE = {
    "resolve_now", "return_for_correction", "return_to_supervisor", "answer", "reject",
    "close_unanswered", "withdraw",
}  # fmt: skip


def test_a_note_is_required_where_the_workflow_says() -> None:
    for (_, action), row in COMPLAINTS.rows.items():
        assert row.note == (action in NOTE), action
    for (_, action), referral_row in REFERRALS.rows.items():
        assert referral_row.note == (action in ("ask", "reply")), action


def test_a_missing_note_and_a_strange_reason_are_named_together() -> None:
    case = case_in(S.RECEIVED)
    with pytest.raises(Invalid) as caught:
        COMPLAINTS.check(case, A.REJECT, PEOPLE["front"], Command(A.REJECT, reason="too_poor"))
    assert caught.value.code == "action_data"
    assert [fault.code for fault in caught.value.faults] == ["note_required", "reason_not_allowed"]
    with pytest.raises(Invalid) as caught:
        COMPLAINTS.check(case, A.REJECT, PEOPLE["front"], Command(A.REJECT, note="Bukan."))
    assert caught.value.code == "reason_required"


def test_a_cancelled_referral_takes_any_reason_but_not_none() -> None:
    referral = Referral(state=R.SENT, village_code=WATES, program_code="PKH")
    case = ReferralCase(referral, complaint(S.FORWARDED))
    REFERRALS.check(case, RA.CANCEL, PEOPLE["front"], Command(RA.CANCEL, reason="pindah"))
    with pytest.raises(Invalid, match="reason_required"):
        REFERRALS.check(case, RA.CANCEL, PEOPLE["front"], Command(RA.CANCEL))


# --- nobody decides twice ----------------------------------------------------------------------

DECISIONS = {
    S.AWAITING_SUPERVISOR: (A.APPROVE, A.ANSWER, A.REJECT, A.RETURN_FOR_CORRECTION),
    S.AWAITING_MANAGER: (A.FORWARD, A.ANSWER, A.REJECT, A.RETURN_TO_SUPERVISOR),
}


@pytest.mark.parametrize("part", ["surveyors", "submitted_by"])
def test_whoever_surveyed_typed_or_filed_does_not_decide_as_supervisor(part: str) -> None:
    own = id_of("supervisor")
    case = case_in(S.AWAITING_SUPERVISOR, **{part: [own] if part == "surveyors" else own})
    for action in DECISIONS[S.AWAITING_SUPERVISOR]:
        found = answer(COMPLAINTS, case, action, PEOPLE["supervisor"])
        assert found == "four_eyes (Forbidden)", action
        # At once, not only at level 1: the region has nobody else.
        elsewhere = PEOPLE["supervisor of another district"]
        assert answer(COMPLAINTS, case, action, elsewhere) == "allowed"
        manager = answer(COMPLAINTS, case, action, PEOPLE["manager"])
        assert manager == "action_not_allowed (Conflict)"


def test_a_breach_makes_nobody_judge_of_their_own_survey() -> None:
    case = case_in(S.AWAITING_SUPERVISOR, 2, True, surveyors=[id_of("manager")])
    assert answer(COMPLAINTS, case, A.APPROVE, PEOPLE["manager"]) == "four_eyes (Forbidden)"
    assert answer(COMPLAINTS, case, A.APPROVE, PEOPLE["head"]) == "allowed"


def test_the_approver_does_not_forward_and_others_may_at_once() -> None:
    case = case_in(S.AWAITING_MANAGER, approved_by=id_of("manager"))
    for action in DECISIONS[S.AWAITING_MANAGER]:
        found = {
            who: answer(COMPLAINTS, case, action, PEOPLE[who])
            for who in ("manager", "head", "supervisor", "supervisor of another district", "front")
        }
        assert found == {
            "manager": "four_eyes (Forbidden)",
            "head": "allowed",
            "supervisor": "allowed",
            "supervisor of another district": "allowed",
            "front": expected("front", set(), ever(MAY, action)),
        }, action


def test_a_second_manager_without_part_comes_before_everybody_else() -> None:
    case = case_in(S.AWAITING_MANAGER, approved_by=id_of("manager"))
    deputy = person("deputy", Role.MANAGER, CITY)
    case.staff = Staff((*case.staff.people, deputy))
    assert answer(COMPLAINTS, case, A.FORWARD, deputy) == "allowed"
    assert answer(COMPLAINTS, case, A.FORWARD, PEOPLE["head"]) == "action_not_allowed (Conflict)"


@pytest.mark.parametrize("part", ["surveyors", "approved_by", "rejected_by"])
def test_level_2_names_no_supervisor_with_part_in_it(part: str) -> None:
    own = id_of("supervisor")
    case = case_in(S.AWAITING_MANAGER, 2, **{part: own if part == "approved_by" else [own]})
    for action in (A.FORWARD, A.WITHDRAW):
        found = answer(COMPLAINTS, case, action, PEOPLE["supervisor"])
        assert found == "action_not_allowed (Conflict)"
        elsewhere = PEOPLE["supervisor of another district"]
        assert answer(COMPLAINTS, case, action, elsewhere) == "allowed"


def test_whoever_rejected_does_not_decide_again_after_the_reopening() -> None:
    decisions = {
        S.RECEIVED: ("front", A.RESOLVE_NOW, A.REJECT),
        S.AT_SECRETARIAT: ("front", A.RESOLVE_NOW, A.REJECT, A.ANSWER),
        S.ASSIGNED: ("supervisor", A.REJECT, A.ANSWER),
        S.AWAITING_SUPERVISOR: ("supervisor", *DECISIONS[S.AWAITING_SUPERVISOR]),
        S.AWAITING_MANAGER: ("manager", *DECISIONS[S.AWAITING_MANAGER]),
    }
    for state, (who, *actions) in decisions.items():
        case = case_in(state, rejected_by=[id_of(who)])
        for action in actions:
            found = answer(COMPLAINTS, case, ComplaintAction(action), PEOPLE[who])
            assert found == "four_eyes (Forbidden)", f"{action} in {state}"


def test_the_system_has_no_part_in_any_case() -> None:
    zero = SYSTEM.id
    case = case_in(S.ASSIGNED, surveyors=[zero], approved_by=zero, rejected_by=[zero])
    assert SYSTEM is SYSTEM_ACTOR
    for row in COMPLAINTS.transitions:
        for guard in row.guards:
            if guard.kind is Forbidden:
                assert guard.holds(case, SYSTEM, None), guard.name


# --- the other guards --------------------------------------------------------------------------

REQUIRED = Route(
    ((Document.ID_CARD,), (Document.FAMILY_CARD, Document.OTHER)), True, Visit.REQUIRED
)


def code_of(case: Case, action: ComplaintAction, who: str, **given: Any) -> str:
    command = Command(action, note="Baik.", **given)
    try:
        COMPLAINTS.check(case, action, PEOPLE[who], command)
    except DomainError as error:
        return error.code
    return "allowed"


def test_a_case_goes_to_the_secretariat_with_its_documents_and_its_check() -> None:
    case = case_in(S.RECEIVED)
    case.route = REQUIRED
    one, forward = case.complaint, A.FORWARD_TO_SECRETARIAT
    assert code_of(case, forward, "puskesos") == "documents_missing"
    one.documents_seen = ["id_card"]
    assert code_of(case, forward, "puskesos") == "documents_missing"
    one.documents_waived = [{"document": "other"}]
    assert code_of(case, forward, "puskesos") == "check_missing"
    one.registry_check = {"outcome": "unregistered"}
    assert code_of(case, forward, "puskesos") == "allowed"
    one.registry_check = {"outcome": "similar"}
    assert code_of(case, forward, "puskesos") == "household_choice_required"
    none = HouseholdChoice(household_id=None)
    assert code_of(case, forward, "puskesos", data=none) == "allowed"
    assert code_of(case, forward, "puskesos", data=HouseholdChoice()) == "household_choice_required"
    # The choice is a thing to be asked for, not a reason to hide the action.
    assert forward in COMPLAINTS.actions(case, PEOPLE["puskesos"])


def test_an_emergency_brings_its_papers_later() -> None:
    case = case_in(S.RECEIVED, priority=Priority.EMERGENCY)
    case.route = REQUIRED
    case.complaint.registry_check = {"outcome": "similar"}
    assert code_of(case, A.FORWARD_TO_SECRETARIAT, "puskesos") == "allowed"
    case.complaint.state = S.AWAITING_SUPERVISOR
    assert code_of(case, A.APPROVE, "supervisor") == "allowed"
    case.complaint.priority = Priority.NORMAL
    assert code_of(case, A.APPROVE, "supervisor") == "survey_missing"
    case.surveyed = True
    assert code_of(case, A.APPROVE, "supervisor") == "documents_missing"
    case.complaint.documents_seen = ["id_card", "family_card"]
    assert code_of(case, A.APPROVE, "supervisor") == "allowed"


def test_without_a_visit_there_must_be_something_to_decide_on() -> None:
    case = case_in(S.AT_SECRETARIAT)
    assert code_of(case, A.SUBMIT_WITHOUT_VISIT, "front") == "allowed"
    case.route = REQUIRED
    assert code_of(case, A.SUBMIT_WITHOUT_VISIT, "front") == "visit_required"
    case.complaint.priority = Priority.EMERGENCY
    assert code_of(case, A.SUBMIT_WITHOUT_VISIT, "front") == "allowed"
    case.items = [Referral(id=id_of("gone"), state=R.CANCELLED)]
    assert code_of(case, A.SUBMIT_WITHOUT_VISIT, "front") == "nothing_to_submit"


def test_what_has_nothing_left_is_answered_and_not_approved() -> None:
    case = case_in(S.AWAITING_SUPERVISOR)
    refusal = Refusal(referral_id=id_of("item"), reason="Sudah dibantu.")
    nothing = Refusals(refuse=[refusal])
    assert code_of(case, A.APPROVE, "supervisor", data=nothing) == "nothing_to_forward"
    assert code_of(case, A.APPROVE, "supervisor", data=Refusals()) == "allowed"
    case.items = [*case.items, Referral(id=id_of("another"), state=R.SENT)]
    assert code_of(case, A.APPROVE, "supervisor", data=nothing) == "allowed"
    case.items = []
    assert code_of(case, A.APPROVE, "supervisor") == "nothing_to_forward"
    assert COMPLAINTS.advancing(case, PEOPLE["supervisor"]) == [A.ANSWER]


def test_what_is_closed_is_taken_up_again_only_so_long() -> None:
    def closed(days: int, outcome: Outcome, reopened: int = 0) -> Case:
        at = NOW - timedelta(days=days)
        return case_in(S.CLOSED, closed_at=at, outcome=outcome, reopened_count=reopened)

    told = Outcome.GRANTED
    assert code_of(closed(14, told), A.REOPEN, "front") == "allowed"
    assert code_of(closed(15, told), A.REOPEN, "front") == "reopen_too_late"
    assert code_of(closed(1, told, reopened=1), A.REOPEN, "front") == "allowed"
    assert code_of(closed(1, told, reopened=2), A.REOPEN, "front") == "reopened_twice"
    for elsewhere in (Outcome.ARCHIVED, Outcome.JOINED, Outcome.TRANSFERRED):
        assert code_of(closed(1, elsewhere), A.REOPEN, "front") == "action_not_allowed"
    assert code_of(closed(365, Outcome.ARCHIVED), A.COMPLETE_DOCUMENTS, "puskesos") == "allowed"
    late = code_of(closed(366, Outcome.ARCHIVED), A.COMPLETE_DOCUMENTS, "puskesos")
    assert late == "action_not_allowed"
    assert code_of(closed(1, told), A.COMPLETE_DOCUMENTS, "puskesos") == "action_not_allowed"


def test_owners_have_120_days_and_citizens_30() -> None:
    case = case_in(S.FORWARDED, forwarded_at=NOW - timedelta(days=119))
    assert code_of(case, A.CLOSE_UNANSWERED, "manager") == "too_early"
    case.complaint.forwarded_at = NOW - timedelta(days=120)
    assert code_of(case, A.CLOSE_UNANSWERED, "manager") == "allowed"
    waiting = case_in(S.INCOMPLETE, stage_entered_at=NOW - timedelta(days=29))
    assert code_of(waiting, A.ARCHIVE, "system") == "contact_missing"
    waiting.complaint.stage_entered_at = NOW - timedelta(days=30)
    assert code_of(waiting, A.ARCHIVE, "system") == "allowed"
    waiting.contacts = 0
    assert code_of(waiting, A.ARCHIVE, "system") == "contact_missing"


def test_role_comes_before_state_and_four_eyes_before_the_note() -> None:
    case = case_in(S.CLOSED)
    with pytest.raises(Forbidden, match="role_not_allowed"):
        COMPLAINTS.check(case, A.APPROVE, PEOPLE["front"], Command(A.APPROVE))
    with pytest.raises(Conflict, match="action_not_allowed"):
        COMPLAINTS.check(case, A.APPROVE, PEOPLE["supervisor"], Command(A.APPROVE))
    mine = case_in(S.AWAITING_SUPERVISOR, surveyors=[id_of("supervisor")])
    with pytest.raises(Forbidden, match="four_eyes"):
        COMPLAINTS.check(mine, A.ANSWER, PEOPLE["supervisor"], Command(A.ANSWER))
    empty = case_in(S.AWAITING_SUPERVISOR)
    empty.items = []
    with pytest.raises(Conflict, match="nothing_to_forward"):
        COMPLAINTS.check(empty, A.APPROVE, PEOPLE["supervisor"], Command(A.APPROVE))


# --- the invariant: no state is a dead end ------------------------------------------------------

SUPERVISORS = ("supervisor", "supervisor of another district", THIRD.username)
# Who is away: from nobody to whole offices.
MISSING: list[tuple[str, ...]] = [
    (), ("supervisor",), SUPERVISORS, ("manager",), ("head",), ("front",), ("puskesos",),
    ("supervisor", "manager"), ("manager", "front", "puskesos"), ("puskesos", "front", "back"),
    (*SUPERVISORS, "puskesos"), (*SUPERVISORS, "head"), (*SUPERVISORS, "manager"),
    ("head", "manager"), ("front", "supervisor", "head", "puskesos"),
]  # fmt: skip
# Who may have had a part before.
PARTS = (None, "supervisor", "supervisor of another district", "manager", "front", "assigned")
# What the ladder reaches for certain, in time.
REACHED = ((0, False), (1, False), (2, False), (2, True))


def way_on(case: Case) -> tuple[int, bool] | None:
    """How late it must be before somebody can move the case on; None: never."""
    everybody = (*reversed(case.staff.people), PEOPLE["assigned"])
    for level, broken in REACHED:
        case.complaint.escalation_level = level
        case.complaint.breached_at = NOW if broken else None
        if any(COMPLAINTS.advancing(case, one) for one in everybody):
            return level, broken
    return None


def bare(state: ComplaintState) -> Case:
    """A case that lacks all it can lack: no document, no check, no item, no survey."""
    case = case_in(state, assigned_to=None)
    if state in (S.ASSIGNED, S.RETURNED):
        case.complaint.assigned_to = id_of("assigned")
    case.route, case.items, case.contacts = REQUIRED, [], 0
    return case


UNDECIDED = (S.RECEIVED, S.INCOMPLETE, S.AT_SECRETARIAT, S.ASSIGNED, S.RETURNED, S.ANSWERED)


@pytest.mark.parametrize("state", UNDECIDED)
def test_a_bare_case_moves_on_whoever_is_away(state: ComplaintState) -> None:
    case = bare(state)
    for missing, rejected in product(MISSING, PARTS):
        case.staff = staff(*missing)
        case.complaint.rejected_by = [id_of(rejected)] if rejected else []
        found = way_on(case)
        if {"puskesos", "front", "back"} <= set(missing):
            # An office without any desk waits for the ladder, or has nobody but its heads.
            assert found is not None or state is S.INCOMPLETE, missing
        else:
            assert found == (0, False), f"without {missing}, rejected by {rejected}"


@pytest.mark.parametrize("state", [S.AWAITING_SUPERVISOR, S.AWAITING_MANAGER])
def test_a_decision_is_never_out_of_everybodys_reach(state: ComplaintState) -> None:
    case = bare(state)
    one = case.complaint
    approvers = PARTS if state is S.AWAITING_MANAGER else (None,)
    for missing, surveyed, approved, rejected in product(MISSING, PARTS, approvers, PARTS):
        case.staff = staff(*missing)
        one.surveyors = [id_of(surveyed)] if surveyed else []
        one.approved_by = id_of(approved) if approved else None
        one.rejected_by = [id_of(rejected)] if rejected else []
        found = way_on(case)
        where = f"without {missing}, surveyed by {surveyed}, approved by {approved}, "
        where += f"rejected by {rejected}: {found}"
        free = {*SUPERVISORS, "manager", "head"} - {*missing, surveyed, approved, rejected}
        if not free:
            # Nobody is left who has no part in it: an appointment is needed, no rule can help.
            assert found in (None, (0, False)), where
        elif state is S.AWAITING_SUPERVISOR and free == {"head"}:
            # The head decides in the supervisors' place only once the promise is broken.
            assert found == (2, True), where
        else:
            assert found == (0, False), where


@pytest.mark.parametrize("state", R)
def test_somebody_can_always_move_an_open_referral_on(state: ReferralState) -> None:
    referral = Referral(state=state, village_code=WATES, program_code="PKH")
    case = ReferralCase(referral, complaint(S.FORWARDED))
    movers = {who for who, actor in PEOPLE.items() if REFERRALS.advancing(case, actor)}
    owner, replying = people_of("owner"), people_of("secretariat assigned")
    assert movers == {
        R.DRAFT: {"system"},
        R.APPROVED: {"system"},
        R.SENT: owner,
        R.RECEIVED: owner,
        R.INFO_REQUESTED: replying,
        R.WAITLISTED: owner,
        R.GRANTED: people_of("assigned agencies"),
    }.get(state, set())


def test_a_forwarded_complaint_goes_on_by_its_referrals_or_after_120_days() -> None:
    case = case_in(S.FORWARDED)
    assert COMPLAINTS.advancing(case, SYSTEM) == [A.SETTLE]
    assert COMPLAINTS.advancing(case, PEOPLE["manager"]) == [A.CLOSE_UNANSWERED]
    case.complaint.forwarded_at = NOW
    assert COMPLAINTS.advancing(case, PEOPLE["manager"]) == []


# --- a table with a hole does not import --------------------------------------------------------


class Step(StrEnum):
    ONE = "one"
    TWO = "two"
    THREE = "three"


class Move(StrEnum):
    GO = "go"
    STAY = "stay"
    JUMP = "jump"


TIME = timedelta(hours=1)


def little(**changes: Any) -> Machine[Step, Move]:
    """A machine of three states that imports; each test breaks it in one place."""
    facts: dict[str, Any] = {
        "name": "little",
        "initial": Step.ONE,
        "final": (Step.THREE,),
        "ladder": {
            Step.ONE: Ladder("a desk", TIME, advancing=(Move.GO,)),
            Step.TWO: Ladder("a desk", TIME, level_1=Rung(system=Move.GO), advancing=(Move.GO,)),
            Step.THREE: Ladder("nobody"),
        },
        "transitions": (
            Transition((Step.ONE,), Move.GO, (Step.TWO,), by(DESK)),
            Transition((Step.TWO,), Move.GO, (Step.THREE,), by(DESK, SYSTEM_PARTY)),
            Transition((Step.ONE, Step.TWO), Move.STAY, (None,), by(DESK)),
        ),
        "system": SYSTEM_PARTY,
    }
    return Machine[Step, Move](**facts | changes)


def test_a_whole_table_imports() -> None:
    assert set(little().rows) == {
        (Step.ONE, Move.GO), (Step.TWO, Move.GO), (Step.ONE, Move.STAY), (Step.TWO, Move.STAY),
    }  # fmt: skip


def test_a_table_with_two_rows_for_one_step_does_not_import() -> None:
    again = Transition((Step.TWO,), Move.STAY, (Step.THREE,), by(DESK))
    with pytest.raises(AssertionError, match="two rows for"):
        little(transitions=(*little().transitions, again))


def test_a_table_with_a_state_that_nothing_leads_to_does_not_import() -> None:
    first, _, third = little().transitions
    back = Transition((Step.TWO,), Move.GO, (Step.ONE,), by(DESK, SYSTEM_PARTY))
    with pytest.raises(AssertionError, match="states that nothing leads to"):
        little(transitions=(first, back, third))


def test_a_table_without_a_ladder_for_a_state_does_not_import() -> None:
    ladder = dict(little().ladder)
    del ladder[Step.THREE]
    with pytest.raises(AssertionError, match="a state without a ladder"):
        little(ladder=ladder)


def test_a_table_with_a_dead_end_does_not_import() -> None:
    dead = dict(little().ladder) | {Step.TWO: Ladder("a desk", TIME)}
    with pytest.raises(AssertionError, match="two is a dead end"):
        little(ladder=dead)
    with pytest.raises(AssertionError, match="three is a dead end"):
        little(final=())


def test_a_table_whose_way_on_has_no_row_does_not_import() -> None:
    ladder = dict(little().ladder) | {Step.TWO: Ladder("a desk", TIME, advancing=(Move.JUMP,))}
    with pytest.raises(AssertionError, match="no row jump in two"):
        little(ladder=ladder)


def test_a_table_whose_system_may_not_take_its_step_does_not_import() -> None:
    rung = Rung(system=Move.STAY)
    ladder = dict(little().ladder) | {
        Step.TWO: Ladder("a desk", TIME, level_2=rung, advancing=(Move.GO,))
    }
    with pytest.raises(AssertionError):
        little(ladder=ladder)


# --- the other readers of the table --------------------------------------------------------------


def test_the_diagram_is_the_table() -> None:
    assert little().mermaid() == (
        "stateDiagram-v2\n"
        "    [*] --> one\n"
        "    one --> two: go\n"
        "    two --> three: go\n"
        "    one --> one: stay\n"
        "    two --> two: stay\n"
        "    three --> [*]"
    )


@pytest.mark.parametrize("machine", [COMPLAINTS, REFERRALS])
def test_the_diagram_shows_every_row_and_every_state(machine: Machine[Any, Any]) -> None:
    drawn = machine.mermaid().splitlines()
    for (source, action), row in machine.rows.items():
        for target in row.leads_to(source):
            arrow = f"    {source} --> {target}: "
            assert any(line.startswith(arrow) and action in line for line in drawn), arrow
    for state in machine.final:
        assert f"    {state} --> [*]" in drawn


def test_parties_are_known_by_their_names() -> None:
    assert names(by(DESK, SYSTEM_PARTY)) == ["desk", "system"]


# Roles that no account has.
NOBODY = {Role.SYSTEM: SYSTEM, Role.CITIZEN: CITIZEN}


@pytest.mark.parametrize("machine", [COMPLAINTS, REFERRALS])
def test_a_party_says_which_roles_it_means(machine: Machine[Any, Any]) -> None:
    referral = Referral(state=R.SENT, village_code=WATES, program_code="PKH")
    case = ReferralCase(referral, complaint(S.FORWARDED))
    parties = machine.everybody()
    assert len(set(names(parties))) == len(parties)
    always = [party for party in parties if party is not HANDLER]
    for party, role in product(always, Role):
        somebody = NOBODY.get(role) or person("x", role, CITY, programs=PKH)
        assert party.could(somebody, case) == (role in party.roles), f"{role} as {party.name}"


def test_everybody_named_in_a_table_is_listed_once() -> None:
    assert set(names(little().everybody())) == {"desk", "system"}
    assert DESK in COMPLAINTS.everybody()
    ladder = dict(little().ladder) | {
        Step.ONE: Ladder("a head", TIME, holder=HEAD, advancing=(Move.GO,))
    }
    assert names(little(ladder=ladder).everybody()) == ["desk", "system", "head"]
