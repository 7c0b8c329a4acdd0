"""Nobody is forgotten: reminders, levels and broken promises, each taken once, told to people."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.database import create_engine, create_sessions
from app.workflow import sweeps
from app.workflow.sweeps import SWEEPS
from tests.conftest import World
from tests.flows import (
    WATES,
    act_on_referral,
    bring,
    done,
    draft,
    events,
    facilitator_id,
    file,
    get,
    key,
    save_survey,
)

HOME, ELSEWHERE, THIRD = (
    f"supervisor.{name}" for name in ("magersari", "prajuritkulon", "kranggan")
)
SUPERVISORS = {HOME, ELSEWHERE, THIRD}
SECRETARIAT = {"front.1", "front.2", "back.1", "back.2"}
DESK = SECRETARIAT | {"puskesos.wates"}
FACILITATOR, OTHER_FACILITATOR = "facilitator.wates.1", "facilitator.wates.2"
OFFICE = (
    *sorted(DESK), FACILITATOR, OTHER_FACILITATOR, HOME, ELSEWHERE, THIRD, "manager", "head",
    "program.1", "admin", "dpo",
)  # fmt: skip
LADDER = ("reminder", "level_1", "level_2", "breach")
TOLD = {"how": "in_person", "to": "Siti Aminah"}
# Every world has the same people, and one key to sign: a token of one is good in the others.
TOKENS: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _one_login_for_all(request: pytest.FixtureRequest) -> None:
    name = "fresh_world" if "fresh_world" in request.fixturenames else "world"
    if name in request.fixturenames:
        world: World = request.getfixturevalue(name)
        world.tokens = TOKENS
        for who in OFFICE:
            world.token(who)


def told(world: World, id: str, steps: tuple[str, ...] = LADDER) -> dict[str, set[str]]:
    """Who was told what of a complaint or referral; each of them finds it in their own list."""
    found: dict[str, set[str]] = {}
    rows = world.fetch(
        "select step, username from notifications join principals p on p.id = principal_id"
        " where subject_id = $1 and step = any($2)", id, steps,
    )  # fmt: skip
    for step, who in rows:
        assert who not in found.setdefault(step, set()), f"{who} was told twice"
        found[step].add(who)
    for who in {who for people in found.values() for who in people}:
        listed = notified(world, who, id)
        assert {step for step in found if who in found[step]} == {*listed} & {*steps}, who
    return found


def notified(world: World, who: str, id: str) -> list[str]:
    """The steps about a complaint or referral in somebody's own list, newest first."""
    answer = world.as_(who).get("/notifications", params={"limit": 200})
    return [one["step"] for one in answer.json()["items"] if one["subject"].endswith(f"/{id}")]


def step_records(world: World, id: str) -> list[tuple[str, str]]:
    """The record of each step that was taken: (stage, step)."""
    rows = world.fetch("select stage, step from escalations where subject_id = $1 order by at", id)
    return [(row["stage"], row["step"]) for row in rows]


def actions(world: World, who: str, id: str) -> set[str]:
    """What somebody may do with a complaint now: nothing with one that is out of sight."""
    answer = world.as_(who).get(f"/complaints/{id}")
    return set(answer.json()["actions"]) if answer.status_code == 200 else set()


def movers(world: World, id: str, *moves: str) -> set[str]:
    """Everybody who may move it on now."""
    return {who for who in OFFICE if actions(world, who, id) & set(moves)}


def level(world: World, id: str) -> int:
    found: int = get(world, "front.1", id)["escalation_level"]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wait(world: World, hours: float, sweep: str = "sla") -> dict[str, Any]:
    """Let time pass and run a sweep, so much later that the seconds of a test do not count."""
    world.advance(hours=hours)
    return world.sweep(sweep)


MINUTE = 1 / 60
NO_VISIT = {"category": "other", "program_code": None, "documents_seen": []}


def at_secretariat(world: World, **changes: Any) -> dict[str, Any]:
    return bring(world, "at_secretariat", **changes)


def returned(world: World, **changes: Any) -> dict[str, Any]:
    complaint = bring(world, "awaiting_supervisor", **changes)
    return done(world, HOME, complaint["id"], "return_for_correction", note="Lantai?")


def in_state(world: World, state: str, **changes: Any) -> dict[str, Any]:
    return returned(world, **changes) if state == "returned" else bring(world, state, **changes)


# --- the rows of the ladder ----------------------------------------------------------------------

# state: filed how, sweep, budget in hours (emergency), told at 75 %, 100 %, 150 %
ROWS: dict[str, tuple[dict[str, Any], str, float, float, set[str], set[str], set[str]]] = {
    "received": ({}, "sla", 6, 1, {"puskesos.wates"}, SECRETARIAT, {"manager"}),
    "at_secretariat": (NO_VISIT, "sla", 6, 1, SECRETARIAT, {"manager"}, {"manager"}),
    "awaiting_supervisor": ({}, "unconfirmed", 8, 2, {HOME}, SUPERVISORS, {"manager"}),
    "awaiting_manager": ({}, "sla", 6, 2, {"manager"}, {"head"}, {ELSEWHERE, THIRD}),
    "answered": ({}, "undelivered", 72, 24, {FACILITATOR}, DESK, {HOME}),
}
# state: what moves it on; who may at first, from level 1, from level 2
MAY: dict[str, tuple[tuple[str, ...], set[str], set[str], set[str]]] = {
    "received": (("forward_to_secretariat", "resolve_now"), DESK, DESK, DESK | {"manager"}),
    "at_secretariat": (
        ("assign", "submit_without_visit", "answer"),
        SECRETARIAT | {HOME}, SECRETARIAT | {HOME, "manager"}, SECRETARIAT | {HOME, "manager"},
    ),
    "awaiting_supervisor": (
        ("approve", "answer"), {HOME}, SUPERVISORS, SUPERVISORS | {"manager"},
    ),
    "awaiting_manager": (
        ("forward", "answer"),
        {"manager"}, {"manager", "head"}, {"manager", "head", ELSEWHERE, THIRD},
    ),
    "answered": (
        ("deliver_answer",),
        DESK | {FACILITATOR}, DESK | {FACILITATOR}, DESK | {FACILITATOR, HOME},
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", ROWS)
def test_each_step_of_the_ladder_is_told_to_those_it_names_who_may_then_act(
    world: World, state: str
) -> None:
    filed, sweep, budget, _, holder, level_1, level_2 = ROWS[state]
    moves, *may = MAY[state]
    complaint = bring(world, state, **filed)
    id, due_at = complaint["id"], complaint["due_at"]
    assert movers(world, id, *moves) == may[0]

    def taken() -> list[str]:
        return [step for _, step in step_records(world, id)]

    wait(world, 0.75 * budget - 2 * MINUTE, sweep)
    assert taken() == []
    wait(world, 4 * MINUTE, sweep)
    assert taken() == ["reminder"]
    assert (level(world, id), movers(world, id, *moves)) == (0, may[0])

    wait(world, 0.25 * budget - 4 * MINUTE, sweep)
    assert taken() == ["reminder"]
    wait(world, 4 * MINUTE, sweep)
    assert taken() == ["reminder", "level_1"]
    assert (level(world, id), movers(world, id, *moves)) == (1, may[1])

    wait(world, 0.5 * budget - 4 * MINUTE, sweep)
    assert taken() == ["reminder", "level_1"]
    wait(world, 4 * MINUTE, sweep)
    assert (level(world, id), movers(world, id, *moves)) == (2, may[2])

    # Once each, and no clock and no version has moved.
    world.sweep(sweep)
    assert told(world, id) == {"reminder": holder, "level_1": level_1, "level_2": level_2}
    assert taken() == ["reminder", "level_1", "level_2"]
    assert len({stage for stage, _ in step_records(world, id)}) == 1
    now = get(world, "front.1", id)
    assert (now["state"], now["version"]) == (state, complaint["version"])
    assert now["due_at"] == due_at
    steps = [event["action"] for event in events(world, id)][-3:]
    assert steps == ["reminded", "escalated", "escalated"]


@pytest.mark.parametrize("state", ROWS)
def test_an_emergency_climbs_the_same_ladder_on_its_own_clock(world: World, state: str) -> None:
    filed, sweep, _, budget, holder, level_1, _ = ROWS[state]
    complaint = bring(world, state, priority="emergency", **filed)
    wait(world, 0.75 * budget - 2 * MINUTE, sweep)
    assert step_records(world, complaint["id"]) == []
    wait(world, 4 * MINUTE, sweep)
    assert [step for _, step in step_records(world, complaint["id"])] == ["reminder"]
    wait(world, 0.25 * budget, sweep)
    assert told(world, complaint["id"]) == {"reminder": holder, "level_1": level_1}


def test_only_those_who_were_told_find_it_in_their_lists(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    wait(world, 12.1, "unconfirmed")
    assert notified(world, HOME, id) == ["level_1", "reminder"]
    assert notified(world, "manager", id) == ["level_2"]
    strangers = set(OFFICE) - {FACILITATOR, *SUPERVISORS, "manager"}
    assert [who for who in strangers if notified(world, who, id)] == []


def test_a_list_of_notifications_is_paged_and_marked_as_read(fresh_world: World) -> None:
    world = fresh_world
    desk = world.as_("puskesos.wates")
    for _ in range(3):
        file(world)
    wait(world, 4.6)
    whole = desk.get("/notifications").json()["items"]
    assert [one["read_at"] for one in whole] == [None] * 3
    first = desk.get("/notifications", params={"limit": 2}).json()
    rest = {"limit": 2, "cursor": first["next_cursor"]}
    second = desk.get("/notifications", params=rest).json()
    assert first["items"] + second["items"] == whole
    assert second["next_cursor"] is None
    # Read up to the second: the newest came after what was on the screen.
    for count in (2, 0):
        answer = desk.post("/notifications/read", json={"up_to": whole[1]["id"]})
        assert answer.json() == {"count": count}
    unread = desk.get("/notifications", params={"unread": True}).json()["items"]
    assert [one["id"] for one in unread] == [whole[0]["id"]]


def test_a_level_lets_people_take_every_action_of_the_state(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    wait(world, 12.1, "unconfirmed")
    everything = {
        "approve", "answer", "reject", "return_for_correction", "withdraw", "set_priority",
        "transfer", "join",
    }  # fmt: skip
    for who in (ELSEWHERE, THIRD, "manager"):
        assert actions(world, who, id) == everything
    # A late decision is valid, and a level takes the right to decide from nobody.
    done(world, HOME, id, "approve")


def test_whoever_stands_in_at_level_1_does_not_decide_afterwards(world: World) -> None:
    id = bring(world, "assigned")["id"]
    wait(world, 18.1)
    assert save_survey(world, id).status_code == 200
    paper = {"on_behalf_of": facilitator_id(world, FACILITATOR)}
    done(world, HOME, id, "submit_survey", data=paper)
    assert actions(world, HOME, id) & {"approve", "answer", "reject"} == set()
    # The region has nobody else who may: it is open to the city at once.
    assert movers(world, id, "approve") == {ELSEWHERE, THIRD}


def test_what_moves_on_leaves_its_levels_behind(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    wait(world, 12.1, "unconfirmed")
    assert level(world, id) == 2
    complaint = done(world, THIRD, id, "approve")
    assert (complaint["state"], complaint["escalation_level"]) == ("awaiting_manager", 0)
    assert actions(world, "head", id) & {"forward", "answer"} == set()


# --- with the facilitator ------------------------------------------------------------------------


def test_at_level_1_the_system_sends_a_facilitator_where_a_visit_is_needed(world: World) -> None:
    proposal = world.as_("front.1").get("/facilitators", params={"region": WATES}).json()["items"]
    id = at_secretariat(world)["id"]
    wait(world, 4.6)
    assert told(world, id) == {"reminder": SECRETARIAT}
    wait(world, 1.5)
    complaint = get(world, "front.1", id)
    assert complaint["state"] == "assigned"
    assert complaint["assigned_to"]["id"] == proposal[0]["id"]
    # The system did it: nobody is told that the case lies still.
    assert set(told(world, id)) == {"reminder"}
    last = events(world, id)[-1]
    assert (last["action"], last["by"]["name"]) == ("assign", "slrt")
    assert [step for _, step in step_records(world, id)] == ["reminder", "level_1"]
    # The visit has its whole budget from now on.
    assert moment(complaint["due_at"]) - moment(last["at"]) == timedelta(hours=18)
    rows = world.fetch(
        "select principal_id from notifications where subject_id = $1 and step = 'assigned'", id
    )
    assert [str(row["principal_id"]) for row in rows] == [proposal[0]["id"]]


def test_the_system_does_not_send_back_whoever_handed_the_case_back(world: World) -> None:
    id = at_secretariat(world)["id"]
    for who in (FACILITATOR, OTHER_FACILITATOR):
        data = {"facilitator_id": facilitator_id(world, who)}
        done(world, "front.1", id, "assign", data=data)
        done(world, who, id, "hand_back", reason="workload")
    proposal = world.as_("front.1").get("/facilitators", params={"region": WATES}).json()["items"]
    handed_back = {facilitator_id(world, FACILITATOR), facilitator_id(world, OTHER_FACILITATOR)}
    best = next(one["id"] for one in proposal if one["id"] not in handed_back)
    wait(world, 6.1)
    assert get(world, "front.1", id)["assigned_to"]["id"] == best


def test_a_late_visit_is_the_supervisors_and_then_somebody_elses(world: World) -> None:
    complaint = bring(world, "assigned")
    id, moves = complaint["id"], ("submit_survey", "reassign")
    at_first = {FACILITATOR, *SECRETARIAT, HOME}
    assert movers(world, id, *moves) == at_first
    wait(world, 13.6)
    assert told(world, id) == {"reminder": {FACILITATOR}}
    wait(world, 4.5)
    assert told(world, id) == {"reminder": {FACILITATOR}, "level_1": {HOME}}
    assert "submit_survey" in actions(world, HOME, id)
    assert level(world, id) == 1
    wait(world, 9)
    second = get(world, "front.1", id)
    assert second["state"] == "assigned"
    assert second["assigned_to"]["id"] != complaint["assigned_to"]["id"]
    assert (second["escalation_level"], second["version"]) == (0, complaint["version"] + 1)
    assert events(world, id)[-1]["by"]["name"] == "slrt"
    # The manager has nothing to do with it yet.
    assert set(told(world, id)) == {"reminder", "level_1"}
    # Once only: the second who does not go is the manager's business.
    wait(world, 27.1)
    third = get(world, "front.1", id)
    assert third["assigned_to"] == second["assigned_to"]
    assert told(world, id, ("level_2",)) == {"level_2": {"manager"}}
    assert "reassign" in actions(world, "manager", id)
    taken = [step for _, step in step_records(world, id) if step != "breach"]
    assert taken == ["reminder", "level_1", "level_2"] * 2


def test_a_correction_that_does_not_come_goes_to_somebody_else(world: World) -> None:
    complaint = returned(world)
    id = complaint["id"]
    assert told(world, id, ("returned",)) == {"returned": {FACILITATOR}}
    wait(world, 4.6)
    wait(world, 1.5)
    assert told(world, id) == {"reminder": {FACILITATOR}, "level_1": {HOME}}
    wait(world, 3)
    again = get(world, "front.1", id)
    assert again["state"] == "returned"
    assert again["assigned_to"] != complaint["assigned_to"]
    wait(world, 9.1)
    assert told(world, id, ("level_2",)) == {"level_2": {"manager"}}


def test_who_has_tried_to_visit_keeps_the_case_and_the_manager_is_told(world: World) -> None:
    id = bring(world, "assigned")["id"]
    before = get(world, "front.1", id)
    after = done(world, FACILITATOR, id, "record_visit_attempt", data={"result": "not_home"})
    assert moment(after["due_at"]) - moment(before["due_at"]) == timedelta(days=1)
    assert after["deadline_at"] == before["deadline_at"]
    wait(world, 31)
    assert told(world, id) == {}
    wait(world, 32.1)
    complaint = get(world, "front.1", id)
    assert complaint["assigned_to"] == before["assigned_to"]
    found = told(world, id)
    assert (found["level_1"], found["level_2"]) == ({HOME}, {"manager"})


def set_active(world: World, active: bool, condition: str) -> None:
    world.fetch(
        f"update principals set active = {active} where id in"
        f" (select principal_id from grants join principals p on p.id = principal_id"
        f" where {condition})"
    )


@contextmanager
def without(world: World, condition: str) -> Iterator[None]:
    """People who have left; where nobody is, levels go to whoever can act."""
    set_active(world, False, condition)
    try:
        yield
    finally:
        set_active(world, True, condition)


def test_where_nobody_can_be_sent_the_manager_is_told(world: World) -> None:
    waiting, visiting = at_secretariat(world)["id"], bring(world, "assigned")["id"]
    with without(world, f"role = 'facilitator' and username <> '{FACILITATOR}'"):
        done(world, "front.1", waiting, "assign",
             data={"facilitator_id": facilitator_id(world, FACILITATOR)})  # fmt: skip
        done(world, FACILITATOR, waiting, "hand_back", reason="ill")
        wait(world, 6.1)
        assert told(world, waiting)["level_1"] == {"manager"}
        assert "assign" in actions(world, "manager", waiting)
        wait(world, 3)
        assert told(world, waiting)["level_2"] == {"manager"}
        wait(world, 18)
        assert told(world, visiting)["level_2"] == {"manager"}
        assert get(world, "front.1", visiting)["state"] == "assigned"


def test_where_the_region_has_no_supervisor_the_others_are_reminded_at_once(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    with without(world, f"username = '{HOME}'"):
        assert movers(world, id, "approve") == {ELSEWHERE, THIRD}
        wait(world, 6.1, "unconfirmed")
    assert told(world, id) == {"reminder": {ELSEWHERE, THIRD}}


def test_where_the_city_has_no_supervisor_the_manager_is_reminded_at_once(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    with without(world, "role = 'supervisor'"):
        wait(world, 6.1, "unconfirmed")
        assert told(world, id) == {"reminder": {"manager"}}
        wait(world, 2, "unconfirmed")
        # A level without people is told to the next who can act, rather than to nobody.
        assert told(world, id) == {"reminder": {"manager"}, "level_1": {"manager"}}
        done(world, "manager", id, "approve")
        wait(world, 4.6)
    # Who has approved does not forward: the head is reminded in the manager's place.
    assert told(world, id)["reminder"] == {"manager", "head"}


def test_where_no_manager_is_the_head_is_told_at_level_2(world: World) -> None:
    id = file(world)["id"]
    with without(world, "role = 'manager'"):
        wait(world, 9.1)
    assert told(world, id)["level_2"] == {"head"}


def test_where_the_village_has_no_desk_the_secretariat_is_reminded(world: World) -> None:
    id = file(world)["id"]
    with without(world, "username = 'puskesos.wates'"):
        wait(world, 4.6)
    assert told(world, id) == {"reminder": SECRETARIAT}


def test_an_answer_without_a_facilitator_is_the_desks_to_tell(world: World) -> None:
    id = at_secretariat(world, **NO_VISIT)["id"]
    done(world, "front.1", id, "answer", note="Bantuan dari BAZNAS, datang hari Senin.")
    wait(world, 54.1, "undelivered")
    assert told(world, id) == {"reminder": DESK}


def test_who_stands_in_for_an_answer_has_the_whole_time_again(world: World) -> None:
    id = bring(world, "answered")["id"]
    wait(world, 72.1, "undelivered")
    assert level(world, id) == 1
    other = {"facilitator_id": facilitator_id(world, OTHER_FACILITATOR)}
    complaint = done(world, "front.1", id, "reassign", data=other)
    assert (complaint["state"], complaint["escalation_level"]) == ("answered", 0)
    wait(world, 54.1, "undelivered")
    records = step_records(world, id)
    assert [step for _, step in records] == ["reminder", "level_1", "reminder"]
    assert len({stage for stage, _ in records}) == 2


# --- the promise ---------------------------------------------------------------------------------


def test_a_broken_promise_is_told_once_to_manager_and_head_who_may_then_act(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    wait(world, 47.9)
    assert told(world, id) == {}
    assert level(world, id) == 0
    wait(world, 0.2)
    assert told(world, id) == {"breach": {"manager", "head"}}
    complaint = get(world, "front.1", id)
    assert complaint["escalation_level"] == 3
    assert complaint["breached_at"] is not None
    # Nobody has walked the supervisor's ladder yet: a breach opens the case to these two alone.
    assert movers(world, id, "approve", "answer") == {HOME, "manager", "head"}
    world.sweep("sla")
    assert told(world, id) == {"breach": {"manager", "head"}}
    steps = step_records(world, id)
    assert [step for _, step in steps] == ["breach"]
    assert steps[0][0].startswith("deadline ")
    assert events(world, id)[-1]["action"] == "breached"
    complaint = done(world, "head", id, "approve")
    assert complaint["escalation_level"] == 3
    # Four eyes hold for the head as well.
    assert movers(world, id, "forward") == {"manager"}
    complaint = done(world, "manager", id, "forward")
    assert (complaint["escalation_level"], complaint["state"]) == (0, "forwarded")
    assert complaint["breached_at"] is not None


@pytest.mark.parametrize("state", ["received", "assigned", "awaiting_manager"])
def test_a_breach_opens_every_state_before_forwarded(world: World, state: str) -> None:
    complaint = bring(world, state)
    world.fetch(
        "update complaints set deadline_at = slrt_now() - interval '1 minute' where id = $1",
        complaint["id"],
    )
    world.sweep("sla")
    before = {"received": "resolve_now", "assigned": "reassign", "awaiting_manager": "forward"}
    for who in ("manager", "head"):
        assert before[state] in actions(world, who, complaint["id"])


def test_what_is_answered_in_time_breaks_no_promise(world: World) -> None:
    for state in ("forwarded", "answered", "closed"):
        id = bring(world, state)["id"]
        wait(world, 48.5)
        assert "breach" not in told(world, id)
        assert get(world, "front.1", id)["breached_at"] is None


def test_each_deadline_is_broken_by_itself(world: World) -> None:
    id = bring(world, "awaiting_supervisor", priority="emergency")["id"]
    wait(world, 12.1)
    assert level(world, id) == 3
    kept = done(world, "front.1", id, "set_priority",
                reason="not_an_emergency", data={"priority": "normal"})  # fmt: skip
    # This promise was another one, and may still be kept.
    assert kept["breached_at"] is None
    wait(world, 30)
    assert [step for _, step in step_records(world, id)] == ["breach"]
    wait(world, 6)
    assert get(world, "front.1", id)["breached_at"] is not None
    assert [step for _, step in step_records(world, id)] == ["breach", "breach"]
    rows = world.fetch(
        "select count(*) from notifications where subject_id = $1 and step = 'breach'", id
    )
    assert rows[0][0] == 4


def test_what_was_late_when_it_was_typed_raises_no_alarm(world: World) -> None:
    now = moment(world.as_("admin").post("/demo/clock", json={"advance_seconds": 0}).json()["now"])
    paper = file(world, channel="paper", received_at=(now - timedelta(hours=50)).isoformat())
    assert paper["late_when_recorded"]
    wait(world, 3)
    assert "breach" not in told(world, paper["id"])
    assert get(world, "front.1", paper["id"])["breached_at"] is None
    # Its stage has a clock of its own all the same.
    wait(world, 3.1)
    assert set(told(world, paper["id"])) == {"reminder", "level_1"}


def test_a_step_that_is_on_record_is_never_told_again(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    wait(world, 48.1)
    wait(world, 0, "unconfirmed")
    [referral] = bring(world, "forwarded")["referral_ids"]
    wait(world, 7.1 * 24, "unanswered")
    before = told(world, id), told(world, referral, OWNERS)
    assert set(before[0]) == set(LADDER)
    # Whatever becomes of the row: the record of a step is the proof that it was taken.
    world.fetch(
        "update complaints set steps_taken = 0, next_step_at = slrt_now(), breached_at = null"
        " where id = $1", id,
    )  # fmt: skip
    world.fetch("update referrals set next_step_at = due_at where id = $1", referral)
    for name in ("sla", "unconfirmed", "unanswered"):
        world.sweep(name)
    assert (told(world, id), told(world, referral, OWNERS)) == before
    assert level(world, id) == 3


# --- missing documents ---------------------------------------------------------------------------


def incomplete(world: World) -> str:
    id: str = file(world, documents_seen=[])["id"]
    done(world, "puskesos.wates", id, "request_documents", data={"missing": ["id_card"]})
    return id


DAYS = ("day_7", "day_21", "day_30")


def test_missing_documents_are_asked_for_on_days_7_and_21(world: World) -> None:
    id = incomplete(world)
    wait(world, 7 * 24 - 0.1, "incomplete")
    assert told(world, id, DAYS) == {}
    wait(world, 0.2, "incomplete")
    assert told(world, id, DAYS) == {"day_7": DESK}
    wait(world, 14 * 24 - 0.2, "incomplete")
    assert told(world, id, DAYS) == {"day_7": DESK}
    wait(world, 0.2, "incomplete")
    assert told(world, id, DAYS) == {"day_7": DESK, "day_21": DESK}
    # What waits for the citizen breaks no promise.
    world.sweep("sla")
    complaint = get(world, "front.1", id)
    assert (complaint["state"], complaint["due_at"]) == ("incomplete", None)
    assert (complaint["breached_at"], complaint["escalation_level"]) == (None, 0)


def test_after_30_days_it_is_archived_where_somebody_tried_to_reach_the_citizen(
    world: World,
) -> None:
    id = incomplete(world)
    world.advance(days=10)
    call = {"how": "phone", "to": "+6281234567890", "result": "not_reached"}
    done(world, "puskesos.wates", id, "record_contact", data=call)
    wait(world, 19.9 * 24, "incomplete")
    assert get(world, "front.1", id)["state"] == "incomplete"
    wait(world, 0.2 * 24, "incomplete")
    complaint = get(world, "front.1", id)
    assert (complaint["state"], complaint["outcome"]) == ("closed", "archived")
    assert events(world, id)[-1]["by"]["name"] == "slrt"
    assert set(told(world, id, DAYS)) == {"day_7", "day_21"}
    # The 30 days count neither for nor against the office.
    assert complaint["paused_since"] is None
    assert complaint["paused_seconds"] >= 30 * 86400 - 60
    assert moment(complaint["handled_at"]) < moment(complaint["deadline_at"])

    world.advance(days=100)
    brought = {"documents_seen": ["id_card", "family_card", "kelurahan_letter"]}
    again = done(world, "puskesos.wates", id, "complete_documents", data=brought)
    assert (again["state"], again["outcome"], again["handled_at"]) == ("received", None, None)
    left = moment(again["deadline_at"]) - moment(events(world, id)[-1]["at"])
    assert timedelta(hours=47) < left < timedelta(hours=48)
    world.sweep("sla")
    assert get(world, "front.1", id)["breached_at"] is None


def test_without_a_contact_nothing_is_archived_and_the_desk_is_asked_for_one(world: World) -> None:
    id = incomplete(world)
    wait(world, 30.1 * 24, "incomplete")
    assert told(world, id, DAYS) == dict.fromkeys(DAYS, DESK)
    assert get(world, "front.1", id)["state"] == "incomplete"
    # It is looked at again every day, without a word.
    assert world.sweep("incomplete")["found"] == 0
    assert wait(world, 25, "incomplete")["found"] >= 1
    assert wait(world, 25, "incomplete")["found"] >= 1
    assert told(world, id, DAYS) == dict.fromkeys(DAYS, DESK)
    visit = {"how": "in_person", "to": "Siti Aminah", "result": "reached"}
    done(world, "front.1", id, "record_contact", data=visit)
    world.sweep("incomplete")
    assert get(world, "front.1", id)["outcome"] == "archived"


def test_what_is_withdrawn_while_it_waits_for_documents_was_in_time(world: World) -> None:
    id = incomplete(world)
    world.advance(days=20)
    complaint = done(world, "front.1", id, "withdraw", note="Tidak jadi.")
    assert complaint["paused_seconds"] >= 20 * 86400
    assert moment(complaint["handled_at"]) < moment(complaint["deadline_at"])


# --- referrals without an answer ------------------------------------------------------------------

OWNERS = ("owner_asked", "unanswered", "info_requested")
OWNER_AND_FACILITATOR = {"program.1", FACILITATOR}


def sent(world: World) -> str:
    """A referral that has just been sent to its owner."""
    [id] = bring(world, "forwarded")["referral_ids"]
    return str(id)


def answered(world: World, id: str, action: str, **body: Any) -> None:
    answer = act_on_referral(world, "program.1", id, action, **body)
    assert answer.status_code == 200, answer.text


def asked(world: World, id: str) -> list[tuple[str, int]]:
    """The steps about a referral in order, with how many were told."""
    rows = world.fetch("select step, told from escalations where subject_id = $1 order by at", id)
    return [(row["step"], row["told"]) for row in rows]


def test_an_owner_that_does_not_receive_a_referral_in_7_days_is_asked_again(world: World) -> None:
    id = sent(world)
    wait(world, 6.9 * 24, "unanswered")
    assert told(world, id, OWNERS) == {}
    wait(world, 0.2 * 24, "unanswered")
    assert told(world, id, OWNERS) == {"owner_asked": OWNER_AND_FACILITATOR}
    world.sweep("unanswered")
    wait(world, 100 * 24, "unanswered")
    assert asked(world, id) == [("owner_asked", 2)]
    # After 120 days it is the manager's, who may close it without an answer.
    wait(world, 13 * 24, "unanswered")
    assert told(world, id, OWNERS) == {
        "owner_asked": OWNER_AND_FACILITATOR, "unanswered": {"manager"},
    }  # fmt: skip
    wait(world, 200 * 24, "unanswered")
    assert asked(world, id) == [("owner_asked", 2), ("unanswered", 1)]


def test_an_owner_that_does_not_answer_in_60_days_is_asked_again(world: World) -> None:
    id = sent(world)
    world.advance(days=5)
    answered(world, id, "acknowledge")
    wait(world, 59.9 * 24, "unanswered")
    assert told(world, id, OWNERS) == {}
    wait(world, 0.2 * 24, "unanswered")
    assert told(world, id, OWNERS) == {"owner_asked": OWNER_AND_FACILITATOR}
    wait(world, 55.1 * 24, "unanswered")
    assert told(world, id, OWNERS)["unanswered"] == {"manager"}


def test_the_manager_is_told_at_120_days_though_the_owner_still_has_time(world: World) -> None:
    id = sent(world)
    world.advance(days=70)
    answered(world, id, "acknowledge")
    wait(world, 50.1 * 24, "unanswered")
    assert told(world, id, OWNERS) == {"unanswered": {"manager"}}
    wait(world, 10 * 24, "unanswered")
    assert asked(world, id) == [("unanswered", 1), ("owner_asked", 2)]


def test_a_question_of_the_owner_is_the_secretariats_to_reply_to_in_3_days(world: World) -> None:
    id = sent(world)
    answered(world, id, "ask", note="Nomor kartu keluarga?")
    # At once, and again every 3 days that nobody replies.
    assert told(world, id, OWNERS) == {"info_requested": SECRETARIAT | {FACILITATOR}}
    for days in (2.9, 0.2, 3.1):
        wait(world, days * 24, "unanswered")
    assert asked(world, id) == [("info_requested", 5)] * 2
    wait(world, 4 * 24, "unanswered")
    assert len(asked(world, id)) == 3
    # The owner's clocks stood still meanwhile.
    reply = act_on_referral(world, "front.1", id, "reply", note="3576…")
    assert reply.status_code == 200
    due = moment(reply.json()["due_at"]) - moment(reply.json()["received_at"])
    assert timedelta(days=70) < due < timedelta(days=71)


def test_a_waiting_list_is_asked_about_every_90_days(world: World) -> None:
    id = sent(world)
    answered(world, id, "waitlist")
    for days in (89.9, 0.2, 89.5, 1):
        wait(world, days * 24, "unanswered")
    assert asked(world, id) == [("owner_asked", 2)] * 2
    due_at = moment(world.as_("program.1").get(f"/referrals/{id}").json()["due_at"])
    assert due_at > moment(world.as_("admin").post("/demo/clock", json={"advance_seconds": 0})
                           .json()["now"])  # fmt: skip
    granted = act_on_referral(world, "program.1", id, "grant")
    assert granted.status_code == 200
    wait(world, 200 * 24, "unanswered")
    assert len(asked(world, id)) == 2


def test_an_answer_after_the_answer_is_told_as_well(world: World) -> None:
    id = sent(world)
    complaint = world.as_("front.1").get(f"/referrals/{id}").json()["complaint_id"]
    answered(world, id, "waitlist")
    # The first answer settles the complaint, and is told with it.
    assert told(world, complaint, ("answered",)) == {"answered": {FACILITATOR}}
    assert told(world, id, ("answered",)) == {}
    answered(world, id, "grant")
    assert told(world, id, ("answered",)) == {"answered": {FACILITATOR}}


# --- the sweeps themselves ----------------------------------------------------------------------


def runs(world: World, name: str, who: str = "manager") -> list[dict[str, Any]]:
    answer = world.as_(who).get("/sweeps", params={"name": name})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def parked(world: World) -> dict[str, dict[str, Any]]:
    rows = world.as_("manager").get("/sweeps").json()["parked"]
    return {row["subject_id"]: row for row in rows}


def counts(run: dict[str, Any]) -> tuple[int, int, int]:
    return run["found"], run["acted"], run["failed"]


def test_a_run_leaves_a_row_with_what_it_found_and_did(fresh_world: World) -> None:
    world = fresh_world
    file(world)
    due_at = moment(bring(world, "at_secretariat", **NO_VISIT)["due_at"])
    run = wait(world, 4.6)
    assert counts(run) == (2, 2, 0)
    assert run["finished_at"] >= run["started_at"]
    assert moment(run["oldest_overdue_at"]) < due_at - timedelta(hours=1.4)
    nothing = world.sweep("sla")
    assert counts(nothing) == (0, 0, 0)
    assert nothing["oldest_overdue_at"] is None
    listed = runs(world, "sla")
    assert [row["id"] for row in listed] == [nothing["id"], run["id"]]
    assert listed[1] == run
    report = world.as_("head").get("/sweeps").json()["sweeps"]
    assert {row["name"] for row in report} == set(SWEEPS)
    assert {row["name"] for row in report if not row["late"]} == {"sla"}


def test_the_runs_are_paged_newest_first(fresh_world: World) -> None:
    world = fresh_world
    names = ("sla", "incomplete", "sla", "unanswered", "sla")
    made = [world.sweep(name)["id"] for name in names]
    found: list[str] = []
    url: Any = "/sweeps?limit=2"
    while url:
        page = world.as_("manager").get(url).json()
        found += [run["id"] for run in page["items"]]
        url = page["next_cursor"] and f"/sweeps?limit=2&cursor={page['next_cursor']}"
    assert found == made[::-1]


def test_a_sweep_is_late_when_three_of_its_runs_are_missing_and_not_before_a_minute() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    def late(name: str, **ago: float) -> bool:
        return SWEEPS[name].is_late(now - timedelta(**ago), now)

    assert SWEEPS["sla"].is_late(None, now)
    assert (late("sla", minutes=3), late("sla", minutes=3.1)) == (False, True)
    assert (late("numbering", seconds=60), late("numbering", seconds=61)) == (False, True)
    assert (late("incomplete", hours=3), late("incomplete", hours=3.1)) == (False, True)


def everything_at_once(world: World) -> dict[str, str]:
    """One complaint in every state that has a clock."""
    states = ("received", "assigned", "awaiting_supervisor", "awaiting_manager", "answered")
    found = {state: bring(world, state)["id"] for state in states}
    found["at_secretariat"] = bring(world, "at_secretariat", **NO_VISIT)["id"]
    found["returned"] = returned(world)["id"]
    found["incomplete"] = incomplete(world)
    found["forwarded"] = bring(world, "forwarded")["id"]
    return found


def test_after_days_without_a_scheduler_everything_is_done_once(fresh_world: World) -> None:
    world = fresh_world
    ids = everything_at_once(world)
    world.advance(days=8)
    for name in SWEEPS:
        world.sweep(name)

    def steps(state: str) -> list[str]:
        return sorted(step for _, step in step_records(world, ids[state]))

    whole = ["breach", "level_1", "level_2", "reminder"]
    for state in ("received", "at_secretariat", "awaiting_supervisor", "awaiting_manager"):
        assert steps(state) == whole, state
        assert level(world, ids[state]) == 3
    # Given to somebody else just now, whose clock has only begun.
    for state in ("assigned", "returned"):
        assert steps(state) == whole, state
        assert events(world, ids[state])[-1]["action"] == "reassign"
    assert steps("answered") == ["level_1", "level_2", "reminder"]
    assert steps("incomplete") == ["day_7"]
    [referral] = get(world, "front.1", ids["forwarded"])["referral_ids"]
    assert asked(world, referral) == [("owner_asked", 2)]

    before = world.fetch("select count(*) from notifications")[0][0]
    for name in SWEEPS:
        assert counts(world.sweep(name)) == (0, 0, 0), name
    assert world.fetch("select count(*) from notifications")[0][0] == before
    twice = world.fetch(
        "select 1 from notifications where step <> 'assigned'"
        " group by principal_id, subject_id, step having count(*) > 1"
    )
    assert twice == []


def test_a_bad_row_is_set_aside_and_does_not_hold_up_the_others(fresh_world: World) -> None:
    world = fresh_world
    bad, *good = (file(world)["id"] for _ in range(3))
    # No ladder has a tenth step: whoever takes it fails.
    world.fetch("update complaints set steps_taken = 9 where id = $1", bad)
    run = wait(world, 4.6)
    assert counts(run) == (3, 2, 1)
    assert run["error"] is None
    for id in good:
        assert set(told(world, id)) == {"reminder"}
    row = parked(world)[bad]
    assert (row["sweep"], row["error"], row["attempts"]) == ("sla", "IndexError", 1)
    metrics = world.anyone.get("/metrics").text
    assert 'slrt_parked_rows{sweep="sla"} 1.0' in metrics

    # It is left alone for a while, and for longer each time.
    assert counts(world.sweep("sla")) == (0, 0, 0)
    assert counts(wait(world, 1.5 * MINUTE)) == (1, 0, 1)
    assert parked(world)[bad]["attempts"] == 2
    assert counts(wait(world, 1.5 * MINUTE)) == (0, 0, 0)
    # Once it can be handled it is, and nothing is said of it any more.
    world.fetch("update complaints set steps_taken = 0 where id = $1", bad)
    assert counts(wait(world, 4 * MINUTE)) == (1, 1, 0)
    assert parked(world) == {}
    assert set(told(world, bad)) == {"reminder"}


def test_a_row_that_is_mended_leaves_the_list_though_its_neighbour_is_still_bad(
    fresh_world: World,
) -> None:
    world = fresh_world
    mended, bad = (file(world)["id"] for _ in range(2))
    world.fetch("update complaints set steps_taken = 9")
    assert counts(wait(world, 4.6)) == (2, 0, 2)
    world.fetch("update complaints set steps_taken = 0 where id = $1", mended)
    assert counts(wait(world, 1.5 * MINUTE)) == (2, 1, 1)
    assert set(parked(world)) == {bad}


def test_a_row_set_aside_that_somebody_has_handled_is_forgotten(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    world.fetch("update complaints set steps_taken = 9")
    wait(world, 4.6)
    done(world, "puskesos.wates", id, "resolve_now", note="Sudah dijawab.")
    assert counts(wait(world, 2 * 24, "housekeeping")) == (1, 1, 0)
    assert parked(world) == {}


def test_a_bad_promise_and_a_bad_referral_are_set_aside_as_well(fresh_world: World) -> None:
    world = fresh_world
    [referral] = bring(world, "forwarded")["referral_ids"]
    complaint = file(world)["id"]
    world.fetch("alter table escalations add constraint no_more check (at < now())")
    # What is set aside at its deadline is not tried again at its stage.
    assert counts(wait(world, 7.1 * 24)) == (1, 0, 1)
    assert counts(world.sweep("unanswered")) == (1, 0, 1)
    assert {(row["sweep"], id) for id, row in parked(world).items()} == {
        ("sla", complaint), ("unanswered", referral),
    }  # fmt: skip
    assert {row["error"] for row in parked(world).values()} == {"IntegrityError"}
    world.fetch("alter table escalations drop constraint no_more")
    assert wait(world, 1)["failed"] == 0
    assert wait(world, 0, "unanswered")["failed"] == 0
    assert parked(world) == {}


def fails(world: World, name: str, mend: str) -> dict[str, Any]:
    """A run that breaks off, until something is mended; its row says so."""
    answer = world.as_("admin").post(f"/demo/sweeps/{name}", json={})
    assert answer.status_code >= 500
    world.fetch(mend)
    found = runs(world, name)[0]
    assert found["finished_at"] is not None
    return found


def test_a_run_that_breaks_off_says_so_and_the_next_one_does_the_work(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    world.fetch("alter table parked_rows rename to elsewhere")
    world.advance(hours=4.6)
    broken = fails(world, "sla", "alter table elsewhere rename to parked_rows")
    assert (broken["error"], counts(broken)) == ("ProgrammingError", (0, 0, 0))
    assert counts(world.sweep("sla")) == (1, 1, 0)
    assert set(told(world, id)) == {"reminder"}


def test_a_connection_that_breaks_in_the_middle_blames_no_row(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    world.fetch(
        "create function die() returns trigger language plpgsql as"
        " 'begin perform pg_terminate_backend(pg_backend_pid()); return new; end'"
    )
    world.fetch("create trigger die before insert on escalations execute function die()")
    world.advance(hours=4.6)
    broken = fails(world, "sla", "drop trigger die on escalations")
    assert (broken["error"], counts(broken)) == ("DBAPIError", (0, 0, 0))
    assert parked(world) == {}
    assert counts(world.sweep("sla")) == (1, 1, 0)
    assert set(told(world, id)) == {"reminder"}


def test_numbering_gives_every_event_its_place_in_order(fresh_world: World) -> None:
    world = fresh_world
    bring(world, "closed")
    # More than one transaction numbers at once.
    columns = (
        "type, subject_id, subject_version, collection, handed_over, actor_id, at, data,"
        " province_code, regency_code, district_code, village_code"
    )
    world.fetch(
        f"insert into events (id, {columns}) select gen_random_uuid(), {columns}"
        " from (select * from events limit 1) as one, generate_series(1, 2100)"
    )
    waiting = world.fetch("select count(*) from events where pos is null")[0][0]
    assert waiting > 2110
    assert counts(world.sweep("numbering")) == (waiting, waiting, 0)
    assert world.fetch("select count(*) from events where pos is null")[0][0] == 0
    by_seq = [row["pos"] for row in world.fetch("select pos from events order by seq")]
    assert by_seq == sorted(by_seq)
    last = by_seq[-1]
    file(world)
    world.sweep("numbering")
    assert world.fetch("select pos from events order by seq desc limit 1")[0]["pos"] > last


def test_idle_runs_of_the_numbering_are_one_row(fresh_world: World) -> None:
    world = fresh_world
    idle = [world.sweep("numbering") for _ in range(3)]
    assert {run["id"] for run in idle} == {idle[0]["id"]}
    assert [run["runs"] for run in idle] == [1, 2, 3]
    assert idle[2]["finished_at"] > idle[0]["finished_at"]
    file(world)
    busy = world.sweep("numbering")
    assert counts(busy) == (1, 1, 0)
    after = world.sweep("numbering")
    assert [(row["id"], row["runs"]) for row in runs(world, "numbering")] == [
        (after["id"], 1), (busy["id"], 1), (idle[0]["id"], 3),
    ]  # fmt: skip
    # A run that breaks off is no idle one.
    world.fetch("alter table events rename to elsewhere")
    broken = fails(world, "numbering", "alter table elsewhere rename to events")
    assert (broken["error"], broken["runs"]) == ("ProgrammingError", 1)
    assert world.sweep("numbering")["id"] not in (broken["id"], after["id"])


def test_numbering_leaves_it_to_whoever_is_at_it_already(fresh_world: World) -> None:
    world = fresh_world
    file(world)

    async def held() -> None:
        engine = create_engine(world.url, 1)
        async with engine.connect() as connection:
            await connection.execute(sa.text("select pg_advisory_xact_lock(1361510401)"))
            run = await asyncio.to_thread(world.sweep, "numbering")
            assert counts(run) == (0, 0, 0)
        await engine.dispose()

    asyncio.run(held())
    assert counts(world.sweep("numbering")) == (1, 1, 0)


def test_old_keys_and_old_runs_are_cleared_away(fresh_world: World) -> None:
    world = fresh_world
    old, young = key(), key()
    for headers in (old, young):
        answer = world.as_("puskesos.wates").post("/complaints", json=draft(), headers=headers)
        assert answer.status_code == 201
    world.sweep("sla")
    kept = world.sweep("sla")
    world.fetch(
        "update idempotency_keys set created_at = now() - interval '31 days' where key = $1",
        old["Idempotency-Key"],
    )
    world.fetch(
        "update sweep_runs set started_at = now() - interval '31 days' where id <> $1", kept["id"]
    )
    assert counts(world.sweep("housekeeping")) == (2, 2, 0)
    rows = world.fetch("select key from idempotency_keys")
    assert [row["key"] for row in rows] == [young["Idempotency-Key"]]
    assert [run["id"] for run in runs(world, "sla")] == [kept["id"]]
    # The demo clock ages nothing of it: keys and runs live in real time.
    assert counts(wait(world, 40 * 24, "housekeeping")) == (0, 0, 0)


def test_runs_of_several_processes_go_side_by_side_but_not_beside_one_that_waits(
    fresh_world: World,
) -> None:
    world = fresh_world
    keys = world.cluster.keys.data

    async def side_by_side() -> None:
        engine = create_engine(world.url, 4)
        sessions = create_sessions(engine, keys)
        sla = SWEEPS["sla"]
        async with engine.connect() as one, engine.connect() as other:
            assert None not in await asyncio.gather(
                sweeps.run(one, sessions, sla), sweeps.run(other, sessions, sla)
            )
            lock = sa.func.pg_advisory_lock(0x51_27, sa.func.hashtext("slrt sweep sla"))
            await one.execute(sa.select(lock))
            assert await sweeps.run(other, sessions, sla) is None
            await one.execute(sa.select(sa.func.pg_advisory_unlock_all()))
            assert await sweeps.run(other, sessions, sla) is not None
        await engine.dispose()

    asyncio.run(side_by_side())
