"""The promise and the clocks, reckoned by hand. Pure: every moment is an argument."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.domain.complaints import Complaint, ComplaintState
from app.domain.referrals import Referral, ReferralState
from app.domain.vocabulary import Priority
from app.workflow.complaints import clock
from app.workflow.referrals import clock as referral_clock

pytestmark = pytest.mark.embedded

S, R = ComplaintState, ReferralState
START = datetime(2026, 11, 24, 2, tzinfo=UTC)
NORMAL, EMERGENCY = Priority.NORMAL, Priority.EMERGENCY


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def complaint(state: ComplaintState, priority: Priority = NORMAL, **changes: Any) -> Complaint:
    """A complaint received at START that has just entered a state, its clocks set."""
    facts: dict[str, Any] = {
        "state": state, "priority": priority, "received_at": START, "recorded_at": START,
        "clock_from": START, "stage_entered_at": START,
    }  # fmt: skip
    one = Complaint(**facts | changes)
    clock.set_clocks(one)
    return one


def moments(one: Complaint) -> list[timedelta | None]:
    """When reminder, level 1 and level 2 are due, from the entry of the stage."""
    steps = [clock.step_moment(one, step) for step in range(3)]
    return [step - one.stage_entered_at if step else None for step in steps]


# --- the promise --------------------------------------------------------------------------------


@pytest.mark.parametrize(("priority", "promised"), [(NORMAL, 48), (EMERGENCY, 12)])
def test_the_promise_is_48_hours_from_receipt_and_12_in_an_emergency(
    priority: Priority, promised: int
) -> None:
    assert complaint(S.RECEIVED, priority).deadline_at == START + hours(promised)


def test_the_promise_runs_from_receipt_and_the_stage_from_when_it_was_recorded() -> None:
    late = complaint(S.RECEIVED, stage_entered_at=START + hours(30), recorded_at=START + hours(30))
    assert late.deadline_at == START + hours(48)
    assert late.due_at == START + hours(36)


def test_waiting_for_documents_stops_the_promise() -> None:
    one = complaint(S.RECEIVED)
    clock.pause(one, START + hours(2))
    clock.enter(one, S.INCOMPLETE, START + hours(2))
    assert one.paused_since == START + hours(2)
    assert one.due_at is None
    clock.resume(one, START + hours(102))
    clock.enter(one, S.RECEIVED, START + hours(102))
    assert one.paused_since is None
    assert one.paused_for == hours(100)
    assert one.deadline_at == START + hours(148)
    assert one.due_at == START + hours(108)


def test_pauses_add_up_and_a_clock_that_runs_is_not_resumed() -> None:
    one = complaint(S.RECEIVED)
    for begun, ended in ((1, 3), (5, 9)):
        clock.pause(one, START + hours(begun))
        clock.resume(one, START + hours(ended))
        clock.resume(one, START + hours(ended + 1))
    assert one.paused_for == hours(6)
    assert clock.deadline(one) == START + hours(54)


# --- the budgets --------------------------------------------------------------------------------

# hours: budget, in an emergency
BUDGETS = {
    S.RECEIVED: (6, 1),
    S.INCOMPLETE: (None, None),
    S.AT_SECRETARIAT: (6, 1),
    S.ASSIGNED: (18, 4),
    S.RETURNED: (6, 2),
    S.AWAITING_SUPERVISOR: (8, 2),
    S.AWAITING_MANAGER: (6, 2),
    S.FORWARDED: (None, None),
    S.ANSWERED: (72, 24),
    S.CLOSED: (None, None),
}


@pytest.mark.parametrize("state", S)
def test_every_state_has_the_budget_of_the_workflow(state: ComplaintState) -> None:
    for priority, budget in zip((NORMAL, EMERGENCY), BUDGETS[state], strict=True):
        found = clock.budget(complaint(state, priority))
        assert found == (None if budget is None else hours(budget))


@pytest.mark.parametrize("state", [S.FORWARDED, S.CLOSED])
def test_what_waits_for_others_or_for_nobody_has_no_clock(state: ComplaintState) -> None:
    one = complaint(state, handled_at=START)
    assert (one.due_at, one.next_step_at) == (None, None)
    assert moments(one) == [None, None, None]


def test_due_is_the_stage_or_the_promise_whichever_ends_first() -> None:
    early = complaint(S.ASSIGNED, stage_entered_at=START + hours(29))
    assert early.due_at == START + hours(47)
    late = complaint(S.ASSIGNED, stage_entered_at=START + hours(31))
    assert late.due_at == late.deadline_at == START + hours(48)


def test_what_is_handled_is_due_by_its_stage_alone() -> None:
    one = complaint(S.AWAITING_MANAGER)
    clock.enter(one, S.ANSWERED, START + hours(40))
    assert one.handled_at == START + hours(40)
    assert one.deadline_at == START + hours(48)
    assert one.due_at == START + hours(40) + days(3)


def test_an_archived_complaint_taken_up_again_is_promised_again() -> None:
    one = complaint(S.CLOSED, handled_at=START)
    one.handled_at = None
    clock.enter(one, S.RECEIVED, START + hours(47))
    assert one.due_at == START + hours(48)


@pytest.mark.parametrize("state", [S.FORWARDED, S.ANSWERED, S.CLOSED])
def test_the_first_of_forwarded_answered_and_closed_is_when_it_was_handled(
    state: ComplaintState,
) -> None:
    one = complaint(S.AWAITING_MANAGER)
    clock.enter(one, state, START + hours(5))
    clock.enter(one, S.CLOSED, START + hours(9))
    assert one.handled_at == START + hours(5)


@pytest.mark.parametrize(
    "state", [s for s in S if s not in (S.FORWARDED, S.ANSWERED, S.CLOSED)]
)  # fmt: skip
def test_moving_on_inside_the_office_handles_nothing(state: ComplaintState) -> None:
    one = complaint(S.RECEIVED)
    clock.enter(one, state, START + hours(5))
    assert one.handled_at is None


# --- the ladder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [s for s, (budget, _) in BUDGETS.items() if budget])
@pytest.mark.parametrize("priority", [NORMAL, EMERGENCY])
def test_the_steps_stand_at_75_100_and_150_percent_of_the_budget(
    state: ComplaintState, priority: Priority
) -> None:
    budget = hours(BUDGETS[state][priority is EMERGENCY] or 0)
    one = complaint(state, priority, stage_entered_at=START + hours(7))
    assert moments(one) == [0.75 * budget, budget, 1.5 * budget]
    assert one.next_step_at == one.stage_entered_at + 0.75 * budget


def test_the_steps_count_the_budget_and_never_what_the_promise_cut_off() -> None:
    one = complaint(S.ASSIGNED, stage_entered_at=START + hours(46))
    assert one.due_at == START + hours(48)
    assert moments(one) == [hours(13.5), hours(18), hours(27)]


def test_the_next_step_follows_those_taken_and_after_level_2_there_is_none() -> None:
    for taken, share in ((0, 0.75), (1, 1.0), (2, 1.5)):
        one = complaint(S.RECEIVED, steps_taken=taken)
        assert one.next_step_at == START + share * hours(6)
    assert complaint(S.RECEIVED, steps_taken=3).next_step_at is None


def test_a_visit_in_vain_adds_a_day_to_the_stage_but_none_to_the_promise() -> None:
    one = complaint(S.ASSIGNED)
    one.stage_extra += days(1)
    clock.set_clocks(one)
    assert one.due_at == START + hours(18) + days(1)
    assert moments(one) == [hours(31.5), hours(42), hours(63)]
    one.stage_extra += days(1)
    clock.set_clocks(one)
    assert one.due_at == one.deadline_at == START + hours(48)
    assert moments(one)[1] == hours(18) + days(2)


def test_a_new_stage_begins_with_a_whole_budget_and_nobody_told() -> None:
    one = complaint(
        S.ASSIGNED, stage=4, steps_taken=3, escalation_level=2, visit_attempts=2,
        stage_extra=days(2),
    )  # fmt: skip
    clock.enter(one, S.ASSIGNED, START + hours(20))
    assert (one.stage, one.steps_taken, one.escalation_level, one.visit_attempts) == (5, 0, 0, 0)
    assert one.stage_extra == timedelta(0)
    assert one.stage_entered_at == START + hours(20)
    assert one.due_at == START + hours(38)
    assert one.deadline_at == START + hours(48)
    assert one.next_step_at == START + hours(33.5)


def test_a_new_priority_changes_promise_and_budget_from_where_they_began() -> None:
    one = complaint(S.AT_SECRETARIAT, stage_entered_at=START + hours(3))
    one.priority = EMERGENCY
    clock.set_clocks(one)
    assert one.deadline_at == START + hours(12)
    assert one.due_at == START + hours(4)
    assert one.next_step_at == START + hours(3.75)


def test_what_is_incomplete_is_asked_for_on_days_7_and_21_and_archived_on_day_30() -> None:
    one = complaint(S.INCOMPLETE)
    assert moments(one) == [days(7), days(21), days(30)]
    assert one.next_step_at == START + days(7)
    # Day 30 comes again until somebody has tried to reach the citizen.
    assert clock.step_moment(one, 3) == START + days(30)


# --- referrals ----------------------------------------------------------------------------------


def referral(state: ReferralState = R.APPROVED, **changes: Any) -> Referral:
    facts: dict[str, Any] = {"id": uuid4(), "state": state, "stage_entered_at": START}
    return Referral(**facts | changes)


def sent() -> Referral:
    one = referral(sent_at=START)
    referral_clock.enter(one, R.SENT, START)
    return one


def received(at: datetime) -> Referral:
    one = sent()
    one.received_at = at
    referral_clock.enter(one, R.RECEIVED, at)
    return one


def asked(one: Referral, at: datetime, replied: datetime) -> Referral:
    """A question at `at`, replied to later: whoever asks has received it."""
    referral_clock.enter(one, R.INFO_REQUESTED, at)
    one.received_at = one.received_at or at
    referral_clock.enter(one, R.RECEIVED, replied)
    return one


def test_an_owner_has_7_days_to_receive_a_referral() -> None:
    one = sent()
    assert (one.stage, one.stage_entered_at) == (2, START)
    assert one.due_at == one.next_step_at == START + days(7)
    assert referral_clock.unanswered_at(one) == START + days(120)


def test_an_owner_has_60_days_from_receipt_to_answer() -> None:
    one = received(START + days(3))
    assert one.due_at == one.next_step_at == START + days(63)


def test_a_question_is_to_be_replied_to_in_3_days() -> None:
    one = received(START + days(3))
    referral_clock.enter(one, R.INFO_REQUESTED, START + days(10))
    assert one.due_at == one.next_step_at == START + days(13)


def test_a_question_pauses_the_owners_clocks() -> None:
    one = asked(received(START + days(3)), START + days(10), START + days(15))
    assert one.paused_for == days(5)
    assert one.due_at == START + days(68)
    assert referral_clock.unanswered_at(one) == START + days(125)
    asked(one, START + days(20), START + days(21))
    assert one.paused_for == days(6)
    assert one.due_at == START + days(69)


def test_a_question_before_the_receipt_is_the_receipt() -> None:
    one = asked(sent(), START + days(2), START + days(6))
    assert one.received_at == START + days(2)
    assert one.due_at == START + days(66)


def test_a_waiting_list_is_asked_about_every_90_days() -> None:
    one = received(START)
    referral_clock.enter(one, R.WAITLISTED, START + days(9))
    assert one.due_at == one.next_step_at == START + days(99)


@pytest.mark.parametrize(
    "state",
    [R.DRAFT, R.APPROVED, R.GRANTED, R.BENEFIT_CONFIRMED, R.DECLINED, R.CANCELLED],
)
def test_nobody_is_waited_for_before_a_referral_is_sent_and_after_it_is_answered(
    state: ReferralState,
) -> None:
    one = received(START)
    referral_clock.enter(one, state, START + days(1))
    assert (one.due_at, one.next_step_at) == (None, None)


def test_the_manager_is_told_at_120_days_also_where_the_owner_still_has_time() -> None:
    one = received(START + days(70))
    assert one.due_at == START + days(130)
    assert one.next_step_at == START + days(120)
    assert referral_clock.next_step(one, START + days(120)) == START + days(130)
    assert referral_clock.next_step(one, START + days(130)) is None


def test_an_owner_that_receives_after_120_days_is_asked_once_more_on_its_date() -> None:
    one = received(START + days(125))
    assert one.next_step_at == one.due_at == START + days(185)
    assert referral_clock.next_step(one, START + days(185)) is None


def test_an_answer_after_the_complaint_is_closed_is_to_be_told_in_3_days() -> None:
    one = received(START)
    referral_clock.enter(one, R.GRANTED, START + days(200))
    referral_clock.tell_late(one, START + days(200))
    assert one.due_at == START + days(203)
    steps = [referral_clock.tell_moment(START, step) for step in range(4)]
    assert steps == [START + days(2.25), START + days(3), START + days(4.5), None]
    assert one.next_step_at == START + days(202.25)
