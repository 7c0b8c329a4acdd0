"""Registry changes that come with a complaint: drafted, decided with it, and answered for."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.domain.referrals import Referral, ReferralState
from app.domain.registry_changes import (
    ChangeKind,
    ChangeOrigin,
    ChangeState,
    RegistryChange,
)
from app.domain.vocabulary import Outcome
from app.workflow.complaints.verbs import outcome_of
from tests.conftest import World
from tests.flows import (
    act,
    act_on_referral,
    bring,
    done,
    draft_referral,
    event_of,
    get,
    me,
    save_survey,
)
from tests.refusals import faults, refused
from tests.test_registry_changes import DESK, MANAGER, SUPERVISOR, propose, proposed
from tests.test_registry_changes import act as act_on_change
from tests.test_registry_changes import done as change_done
from tests.test_registry_deaths import a_family, change, changes_of, death, held, row, types

Json = dict[str, Any]
FIRST = "facilitator.wates.1"
NOTE = "Sudah dijelaskan kepada warga."
R, C, O = ReferralState, ChangeState, Outcome  # noqa: E741


# ── words of these tests ─────────────────────────────────────────────────────────────────────


def a_home(world: World) -> tuple[str, list[str]]:
    people = a_family(world, ("head", 1960), ("spouse", 1962))
    return str(row(world, people[0])["household_id"]), people


def update(household_id: str, **fields: Any) -> Json:
    return {
        "kind": "update_household", "household_id": household_id,
        "fields": fields or {"floor": "earth"},
    }  # fmt: skip


def surveyed(world: World, id: str, changes: list[Json], **more: Any) -> Json:
    saved = save_survey(world, id, FIRST, registry_changes=changes, **more)
    assert saved.status_code == 200, saved.text
    return done(world, FIRST, id, "submit_survey")


def states(world: World, id: str) -> list[str]:
    """Of the changes of a complaint, oldest first."""
    return [one["state"] for one in changes_of(world, complaint_id=id)]


def unvisited(world: World, *changes: Json, **filed: Any) -> Json:
    """A complaint that needs no visit, with drafts of the secretariat."""
    complaint = bring(world, "at_secretariat", **{"category": "program_not_received"} | filed)
    for one in changes:
        proposed(world, "front.1", **one, complaint_id=complaint["id"])
    return get(world, "front.1", complaint["id"])


def sent_up(world: World, *changes: Json, **filed: Any) -> Json:
    complaint = unvisited(world, *changes, **filed)
    return done(world, "front.1", complaint["id"], "submit_without_visit")


def set_state(world: World, id: str, state: str) -> None:
    world.fetch("update registry_changes set state = $2 where id = $1", id, state)


# ── drafted ──────────────────────────────────────────────────────────────────────────────────


def test_the_changes_of_a_survey_are_drafted_and_proposed_with_it(world: World) -> None:
    home, people = a_home(world)
    complaint = bring(world, "assigned")
    saved = save_survey(world, complaint["id"], FIRST, registry_changes=[update(home)])
    assert saved.status_code == 200
    # Saved is not said yet.
    assert states(world, complaint["id"]) == []
    after = surveyed(world, complaint["id"], [update(home), death(people[1])])
    first, second = changes_of(world, complaint_id=complaint["id"])
    assert after["registry_change_ids"] == [first["id"], second["id"]]
    for one in (first, second):
        assert (one["state"], one["origin"]) == ("proposed", "survey")
        assert one["proposed_by"] == me(world, FIRST)
        # The complaint reminds for both.
        assert one["due_at"] is None
    assert held(world, people[1]) == second["id"]
    assert types(world, first["id"]) == ["registry_change.drafted", "registry_change.proposed"]
    refused(act_on_change(world, SUPERVISOR, first["id"], "approve"), 409, "decided_with_complaint")


def test_a_survey_proposes_only_what_fits(world: World) -> None:
    home, _ = a_home(world)
    complaint = bring(world, "assigned")
    answer = save_survey(
        world, complaint["id"], FIRST, registry_changes=[update(home), update(str(uuid4()))]
    )
    refused(answer, 422, "unknown_household")
    assert faults(answer) == {"/registry_changes/1/household_id": "unknown_household"}
    answer = save_survey(
        world, complaint["id"], FIRST, registry_changes=[update(home, floor="gold")]
    )
    assert faults(answer) == {"/registry_changes/0/fields/floor": "not_an_option"}


def test_a_survey_that_is_submitted_again_replaces_its_own_drafts(world: World) -> None:
    home, people = a_home(world)
    complaint = bring(world, "assigned")
    id = complaint["id"]
    desk = proposed(world, DESK, **update(home, floor="bamboo"), complaint_id=id)
    assert (desk["state"], desk["due_at"], desk["origin"]) == ("draft", None, "desk")
    surveyed(world, id, [update(home), death(people[0]), death(people[1])])
    assert states(world, id) == ["proposed"] * 4
    done(world, SUPERVISOR, id, "return_for_correction", note="Lantai?")
    assert states(world, id) == ["draft"] * 4
    # A recalled death is still held: it was reported.
    assert held(world, people[0]) is not None
    corrected = death(people[1], fields={"died_on": "2026-02-03"})
    surveyed(world, id, [death(people[0]), corrected, update(home, floor="ceramic")])
    # Desk, equal, changed twice, and the two new ones.
    assert states(world, id) == [
        "proposed", "withdrawn", "proposed", "withdrawn", "proposed", "proposed",
    ]  # fmt: skip
    found = changes_of(world, complaint_id=id)
    assert [one["reason"] for one in found if one["state"] == "withdrawn"] == ["not_in_survey"] * 2
    assert held(world, people[0]) == found[2]["id"]
    assert held(world, people[1]) == found[4]["id"]


def test_two_equal_changes_of_a_survey_stay_two(world: World) -> None:
    home, _ = a_home(world)
    complaint = bring(world, "assigned")
    surveyed(world, complaint["id"], [update(home), update(home)])
    done(world, SUPERVISOR, complaint["id"], "return_for_correction", note="Lantai?")
    surveyed(world, complaint["id"], [update(home)])
    assert states(world, complaint["id"]) == ["proposed", "withdrawn"]
    done(world, SUPERVISOR, complaint["id"], "approve")
    assert states(world, complaint["id"]) == ["supervisor_approved", "withdrawn"]


def test_a_third_visit_in_vain_sends_the_drafts_of_the_desk_along(world: World) -> None:
    home, _ = a_home(world)
    complaint = bring(world, "assigned")
    proposed(world, DESK, **update(home), complaint_id=complaint["id"])
    done(world, FIRST, complaint["id"], "record_visit_attempt", data={"result": "moved"})
    assert states(world, complaint["id"]) == ["proposed"]


def test_a_change_alone_is_enough_to_go_up_without_a_visit(world: World) -> None:
    home, _ = a_home(world)
    complaint = unvisited(world)
    refused(
        act(world, "front.1", complaint["id"], "submit_without_visit"), 409, "nothing_to_submit"
    )
    proposed(world, "front.1", **update(home), complaint_id=complaint["id"])
    after = done(world, "front.1", complaint["id"], "submit_without_visit")
    [id] = after["registry_change_ids"]
    assert change(world, id)["state"] == "proposed"
    late = propose(world, "front.1", **update(home), complaint_id=complaint["id"])
    refused(late, 409, "too_late_to_draft")
    back = done(world, SUPERVISOR, complaint["id"], "return_for_correction", note="Surat?")
    assert (back["state"], states(world, complaint["id"])) == ("at_secretariat", ["draft"])
    change_done(world, "front.1", id, "withdraw")
    refused(
        act(world, "front.1", complaint["id"], "submit_without_visit"), 409, "nothing_to_submit"
    )


def test_what_was_returned_as_stale_is_said_anew_by_the_next_survey(world: World) -> None:
    home, _ = a_home(world)
    complaint = bring(world, "assigned")
    id = complaint["id"]
    surveyed(world, id, [update(home)])
    world.fetch("update households set version = 4 where id = $1", home)
    done(world, SUPERVISOR, id, "approve")
    assert states(world, id) == ["returned"]
    # Its complaint is still undecided: it is corrected with that.
    [stale] = changes_of(world, complaint_id=id)
    refused(act_on_change(world, DESK, stale["id"], "resubmit"), 409, "decided_with_complaint")
    done(world, MANAGER, id, "return_to_supervisor", note="Lantai?")
    done(world, SUPERVISOR, id, "return_for_correction", note="Lantai?")
    surveyed(world, id, [update(home)])
    assert states(world, id) == ["withdrawn", "proposed"]
    assert changes_of(world, complaint_id=id)[1]["base_version"] == 4


def test_a_death_reported_meanwhile_stops_the_survey_that_reports_it_too(world: World) -> None:
    _, people = a_home(world)
    complaint = bring(world, "assigned")
    saved = save_survey(world, complaint["id"], FIRST, registry_changes=[death(people[1])])
    assert saved.status_code == 200
    proposed(world, DESK, **death(people[1]))
    refused(act(world, FIRST, complaint["id"], "submit_survey"), 409, "reported_already")


# ── decided ──────────────────────────────────────────────────────────────────────────────────


def test_a_supervisor_refuses_a_change_or_some_of_its_fields(world: World) -> None:
    home, people = a_home(world)
    complaint = sent_up(
        world, update(home), update(home, floor="bamboo", rt="007", rw="008"), death(people[1])
    )
    whole, some, dead = (one["id"] for one in changes_of(world, complaint_id=complaint["id"]))
    refuse = [
        {"registry_change_id": whole, "reason": "Foto lain"},
        {"registry_change_id": some, "fields": ["rt"], "reason": "RT lain"},
        {"registry_change_id": some, "fields": ["rw"], "reason": "RW lain"},
        {"registry_change_id": dead, "reason": "Masih hidup"},
    ]
    done(world, SUPERVISOR, complaint["id"], "approve", data={"refuse": refuse})
    assert states(world, complaint["id"]) == ["rejected", "supervisor_approved", "rejected"]
    assert change(world, whole)["reason"] == "Foto lain"
    said = {one["name"]: one["refused"] for one in change(world, some)["fields"]}
    assert said == {"floor": None, "rt": "RT lain", "rw": "RW lain"}
    assert (held(world, people[1]), row(world, people[1])["presence"]) == (None, None)
    before = world.fetch("select rt from households where id = $1", home)[0]["rt"]
    done(world, MANAGER, complaint["id"], "forward")
    after = world.fetch("select rt, facts from households where id = $1", home)[0]
    assert after["rt"] == before
    assert '"bamboo"' in after["facts"]


def test_only_what_is_there_can_be_refused(world: World) -> None:
    home, _ = a_home(world)
    complaint = sent_up(world, update(home, floor="bamboo", rt="007"))
    [id] = complaint["registry_change_ids"]

    def tried(*refuse: Json) -> httpx.Response:
        items = [{"reason": "Lain"} | one for one in refuse]
        return act(world, SUPERVISOR, complaint["id"], "approve", data={"refuse": items})

    other = str(uuid4())
    answer = tried({"registry_change_id": id, "fields": ["rt"]}, {"registry_change_id": other})
    refused(answer, 422, "unknown_item")
    assert faults(answer) == {"/data/refuse/1/registry_change_id": "unknown_item"}
    answer = tried({"referral_id": other})
    assert faults(answer) == {"/data/refuse/0/referral_id": "unknown_item"}
    answer = tried({"registry_change_id": id, "fields": ["rt", "roof"]})
    assert faults(answer) == {"/data/refuse/0/fields/1": "unknown_item"}
    refused(tried({"registry_change_id": id, "fields": ["rt", "floor"]}), 422, "nothing_left")
    one_by_one = [{"registry_change_id": id, "fields": [name]} for name in ("rt", "floor")]
    answer = tried(*one_by_one)
    refused(answer, 422, "nothing_left")
    assert faults(answer) == {"/data/refuse/1/fields": "nothing_left"}
    for both in ({}, {"registry_change_id": id, "referral_id": other}):
        answer = tried(both)
        refused(answer, 422, "validation_failed")
        assert list(faults(answer).values()) == ["item_ambiguous"]
    refused(tried({"registry_change_id": id}), 409, "nothing_to_forward")
    assert states(world, complaint["id"]) == ["proposed"]


def test_a_stale_change_is_returned_and_the_rest_goes_on(world: World) -> None:
    home, people = a_home(world)
    complaint = sent_up(world, update(home), update(home, floor="bamboo"), death(people[1]))
    first, second, dead = (one["id"] for one in changes_of(world, complaint_id=complaint["id"]))
    # The second was read before somebody else changed the household.
    world.fetch("update registry_changes set base_version = 99 where id = $1", second)
    done(world, SUPERVISOR, complaint["id"], "approve")
    assert states(world, complaint["id"]) == [
        "supervisor_approved", "returned", "supervisor_approved",
    ]  # fmt: skip
    found = change(world, second)
    assert (found["base_version"], found["present_version"], found["due_at"]) == (99, 1, None)
    # Applying the death does not touch the household; what has changed meanwhile does.
    world.fetch("update households set version = 5 where id = $1", home)
    after = done(world, MANAGER, complaint["id"], "forward")
    assert after["state"] == "forwarded"
    assert [change(world, id)["state"] for id in (first, second, dead)] == [
        "returned", "returned", "manager_approved",
    ]  # fmt: skip
    # From now on each goes its own way, with a clock of its own.
    for id in (first, second):
        assert change(world, id)["due_at"] is not None
        assert change_done(world, "front.1", id, "resubmit")["base_version"] == 5


def test_changes_go_back_with_the_complaint_and_on_again(world: World) -> None:
    home, _ = a_home(world)
    complaint = sent_up(world, update(home))
    id = complaint["id"]
    [change_id] = complaint["registry_change_ids"]
    done(world, SUPERVISOR, id, "approve")
    assert change(world, change_id)["approved_by"] == me(world, SUPERVISOR)
    done(world, MANAGER, id, "return_to_supervisor", note="Foto?")
    back = change(world, change_id)
    assert (back["state"], back["approved_by"]) == ("proposed", None)
    done(world, SUPERVISOR, id, "return_for_correction", note="Foto?")
    assert states(world, id) == ["draft"]
    done(world, "front.1", id, "submit_without_visit")
    done(world, SUPERVISOR, id, "approve")
    after = done(world, MANAGER, id, "forward")
    found = change(world, change_id)
    assert (found["state"], found["unconfirmed"]) == ("manager_approved", True)
    assert (after["state"], found["confirmed_by"]) == ("forwarded", me(world, MANAGER))
    assert types(world, change_id)[1:] == [
        "registry_change.proposed", "registry_change.approved", "registry_change.recalled",
        "registry_change.recalled", "registry_change.proposed", "registry_change.approved",
        "registry_change.approved",
    ]  # fmt: skip


# ── cancelled ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stage", "who", "action", "reason"),
    [
        ("at_secretariat", "front.1", "answer", None),
        ("at_secretariat", DESK, "reject", "out_of_area"),
        ("at_secretariat", DESK, "resolve_now", None),
        ("awaiting_supervisor", SUPERVISOR, "answer", None),
        ("awaiting_supervisor", DESK, "withdraw", None),
        ("awaiting_manager", MANAGER, "reject", "false_statement"),
    ],
)
def test_what_ends_before_it_is_forwarded_takes_its_changes_along_but_deaths(
    world: World, stage: str, who: str, action: str, reason: str | None
) -> None:
    home, people = a_home(world)
    changes = [update(home), death(people[1])]
    make = unvisited if stage == "at_secretariat" else sent_up
    complaint = make(world, *changes)
    if stage == "awaiting_manager":
        done(world, SUPERVISOR, complaint["id"], "approve")
    body = {"note": NOTE} | ({"reason": reason} if reason else {})
    done(world, who, complaint["id"], action, **body)
    gone, dead = changes_of(world, complaint_id=complaint["id"])
    assert (gone["state"], gone["reason"]) == ("withdrawn", "complaint_ended")
    # Whoever said that somebody died is heard all the same, on a clock of its own.
    wanted = "supervisor_approved" if stage == "awaiting_manager" else "proposed"
    assert (dead["state"], held(world, people[1])) == (wanted, dead["id"])
    assert dead["due_at"] is not None
    if wanted == "proposed":
        change_done(world, SUPERVISOR, dead["id"], "approve")
    assert change_done(world, MANAGER, dead["id"], "approve")["state"] == "manager_approved"


def test_what_is_returned_or_over_is_left_as_it_is_or_taken_along(world: World) -> None:
    home, _ = a_home(world)
    complaint = sent_up(world, update(home), update(home, floor="bamboo"), update(home, rt="009"))
    one, two, _ = (found["id"] for found in changes_of(world, complaint_id=complaint["id"]))
    world.fetch("update registry_changes set base_version = 99 where id = $1", two)
    refuse = [{"registry_change_id": one, "reason": "Foto lain"}]
    done(world, SUPERVISOR, complaint["id"], "approve", data={"refuse": refuse})
    assert states(world, complaint["id"]) == ["rejected", "returned", "supervisor_approved"]
    done(world, MANAGER, complaint["id"], "answer", note=NOTE)
    assert states(world, complaint["id"]) == ["rejected", "withdrawn", "withdrawn"]


# ── settled ──────────────────────────────────────────────────────────────────────────────────


def item(state: ReferralState) -> Referral:
    return Referral(state=state)


def other(state: ChangeState) -> RegistryChange:
    return RegistryChange(
        state=state, kind=ChangeKind.UPDATE_HOUSEHOLD, origin=ChangeOrigin.DESK, content=b"",
        proposed_by=UUID(int=1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("referrals", "changes", "about_registry", "outcome"),
    [
        # What was asked for is a programme: the registry follows, and nobody waits for it.
        ([R.GRANTED], [C.DISPATCHED], False, O.GRANTED),
        ([R.GRANTED], [C.DECLINED], False, O.GRANTED),
        ([R.DECLINED], [C.CONFIRMED], False, O.DECLINED),
        # Nothing else was asked for, or it is about the registry.
        ([], [C.DISPATCHED], False, None),
        ([], [C.CONFIRMED], False, O.GRANTED),
        ([], [C.DECLINED], False, O.DECLINED),
        ([R.GRANTED], [C.DISPATCHED], True, None),
        ([R.SENT], [C.CONFIRMED], True, None),
        ([R.GRANTED], [C.CONFIRMED], True, O.GRANTED),
        ([R.BENEFIT_CONFIRMED], [C.CONFIRMED, C.DECLINED], True, O.PARTLY_GRANTED),
        ([R.GRANTED], [C.DECLINED], True, O.PARTLY_GRANTED),
        ([R.DECLINED], [C.CONFIRMED], True, O.PARTLY_GRANTED),
        ([R.WAITLISTED], [C.CONFIRMED], True, O.PARTLY_GRANTED),
        ([R.WAITLISTED], [C.DECLINED], True, O.WAITLISTED),
        ([R.DECLINED], [C.DECLINED], True, O.DECLINED),
        # What was taken back here does not count.
        ([R.GRANTED], [C.REJECTED, C.WITHDRAWN], True, O.GRANTED),
        ([R.CANCELLED], [C.CONFIRMED], True, O.GRANTED),
        ([R.CANCELLED], [C.CONFIRMED], False, O.CANCELLED),
        ([R.CANCELLED], [C.REJECTED], True, O.CANCELLED),
        ([], [C.REJECTED, C.WITHDRAWN], False, O.CANCELLED),
        ([], [], True, O.CANCELLED),
        *(
            ([R.GRANTED], [state], True, None)
            for state in C
            if state not in (C.CONFIRMED, C.DECLINED, C.REJECTED, C.WITHDRAWN)
        ),
    ],
)
def test_what_a_complaint_comes_to(
    referrals: list[ReferralState],
    changes: list[ChangeState],
    about_registry: bool,
    outcome: Outcome | None,
) -> None:
    items, others = [item(one) for one in referrals], [other(one) for one in changes]
    assert outcome_of(items, others, about_registry) is outcome


@pytest.mark.parametrize(
    ("category", "state", "outcome"),
    [
        ("inclusion_request", "dispatched", None),
        ("data_correction", "confirmed", "granted"),
        ("exclusion_objection", "declined", "partly_granted"),
        ("program_not_received", "dispatched", "granted"),
        ("program_not_received", "declined", "granted"),
    ],
)
def test_a_complaint_about_the_registry_waits_for_the_centre(
    world: World, category: str, state: str, outcome: str | None
) -> None:
    home, _ = a_home(world)
    complaint = bring(world, "assigned", category=category)
    surveyed(world, complaint["id"], [update(home)])
    done(world, SUPERVISOR, complaint["id"], "approve")
    sent = done(world, MANAGER, complaint["id"], "forward")
    set_state(world, sent["registry_change_ids"][0], state)
    for id in sent["referral_ids"]:
        assert act_on_referral(world, "program.1", id, "grant").status_code == 200
    after = get(world, "front.1", complaint["id"])
    wanted = "answered" if outcome else "forwarded"
    assert (after["state"], after["outcome"]) == (wanted, outcome)


def test_the_last_change_to_be_decided_answers_the_complaint(world: World) -> None:
    home, _ = a_home(world)
    complaint = sent_up(world, update(home), update(home, floor="bamboo"))
    first, second = complaint["registry_change_ids"]
    world.fetch("update registry_changes set base_version = 99 where id = $1", second)
    done(world, SUPERVISOR, complaint["id"], "approve")
    done(world, MANAGER, complaint["id"], "forward")
    set_state(world, first, "confirmed")
    assert get(world, "front.1", complaint["id"])["state"] == "forwarded"
    change_done(world, "front.1", second, "resubmit")
    change_done(world, SUPERVISOR, second, "reject", note="Foto lain.")
    after = get(world, "front.1", complaint["id"])
    assert (after["state"], after["outcome"]) == ("answered", "granted")
    assert event_of(world, complaint["id"], "settle")["by"]["role"] == "system"


def test_a_change_undone_later_changes_what_it_came_to_as_long_as_it_is_not_told(
    world: World,
) -> None:
    home, _ = a_home(world)
    complaint = sent_up(world, update(home), update(home, floor="bamboo"), category="death_report")
    first, second = complaint["registry_change_ids"]
    world.fetch("update registry_changes set base_version = 99 where id = $1", second)
    done(world, SUPERVISOR, complaint["id"], "approve")
    done(world, MANAGER, complaint["id"], "forward")
    set_state(world, first, "declined")
    change_done(world, "front.1", second, "withdraw")
    after = get(world, "front.1", complaint["id"])
    assert (after["state"], after["outcome"]) == ("answered", "declined")
    change_done(world, "supervisor.prajuritkulon", first, "undo")
    assert get(world, "front.1", complaint["id"])["outcome"] == "cancelled"


def test_a_complaint_shows_its_referrals_and_changes(world: World) -> None:
    home, _ = a_home(world)
    complaint = unvisited(world, update(home))
    referral = draft_referral(world, "front.1", complaint)
    found = get(world, "front.1", complaint["id"])
    assert found["referral_ids"] == [referral["id"]]
    assert found["registry_change_ids"] == complaint["registry_change_ids"]
    assert len(found["registry_change_ids"]) == 1
