"""Whom the system sends, and how long a facilitator may look back."""

from typing import Any

import pytest

from tests.conftest import World
from tests.flows import (
    KAUMAN,
    WATES,
    act,
    bring,
    check_registry,
    dismiss,
    done,
    draft_referral,
    event_of,
    file,
    get,
    hire,
    me,
    patch,
    save_survey,
    told_steps,
)

Json = dict[str, Any]
FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
GEDONGAN = "35.76.02.1004"  # in Magersari, as Wates is


def only(world: World, *people: str) -> None:
    """Of all facilitators, leave these."""
    world.cluster.execute(
        world.database,
        "update principals set active = false where username like 'facilitator.%'"
        f" and username not in ({', '.join(repr(who) for who in (*people, '-'))})",
    )


def proposed(world: World) -> list[Json]:
    answer = world.as_("front.1").get("/facilitators", params={"region": WATES})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["items"]
    return found


def sent_by_the_system(world: World, **changes: Any) -> str | None:
    """Whom the system sends to a new complaint that nobody assigns."""
    id = bring(world, "at_secretariat", **changes)["id"]
    world.advance(hours=6, minutes=1)
    assert world.sweep("sla")["failed"] == 0
    assigned = get(world, "front.1", id)["assigned_to"]
    return assigned and str(assigned["id"])


# ── the proposal ─────────────────────────────────────────────────────────────────────────────


def test_the_nearest_are_proposed_first_whatever_their_load(fresh_world: World) -> None:
    world = fresh_world
    hire(world, "facilitator.district", ("facilitator", "35.76.02"))
    hire(world, "facilitator.city", ("facilitator", "35.76"))
    people = (FIRST, "facilitator.gedongan.1", "facilitator.district", "facilitator.kauman.1",
        "facilitator.city")  # fmt: skip
    only(world, *people)
    for _ in range(2):
        bring(world, "assigned", FIRST)
    bring(world, "assigned", "facilitator.gedongan.1")
    bring(world, "assigned", "facilitator.city")
    found = proposed(world)
    assert [(one["region_codes"], one["open_assignments"]) for one in found] == [
        ([WATES], 2), (["35.76.02"], 0), ([GEDONGAN], 1), ([KAUMAN], 0), (["35.76"], 1),
    ]  # fmt: skip
    names = {me(world, who): who for who in people}
    assert [names[one["id"]] for one in found] == [
        FIRST, "facilitator.district", "facilitator.gedongan.1", "facilitator.kauman.1",
        "facilitator.city",
    ]  # fmt: skip


def test_the_system_sends_the_nearest_with_the_least_load(fresh_world: World) -> None:
    world = fresh_world
    only(world, FIRST, SECOND, "facilitator.gedongan.1", "facilitator.kauman.1")
    bring(world, "assigned", FIRST)
    assert sent_by_the_system(world) == me(world, SECOND)
    dismiss(world, FIRST)
    assert sent_by_the_system(world) == me(world, SECOND)
    dismiss(world, SECOND)
    assert sent_by_the_system(world) == me(world, "facilitator.gedongan.1")
    dismiss(world, "facilitator.gedongan.1")
    assert sent_by_the_system(world) == me(world, "facilitator.kauman.1")
    dismiss(world, "facilitator.kauman.1")
    # With nobody left to send, the manager is told.
    assert sent_by_the_system(world) is None
    told = world.as_("manager").get("/notifications").json()["items"]
    assert "level_1" in [one["step"] for one in told]


def test_the_system_sends_nobody_where_no_visit_is_needed(fresh_world: World) -> None:
    assert sent_by_the_system(fresh_world, category="card_problem") is None
    assert sent_by_the_system(fresh_world, category=None, kind="question") is None


def test_whoever_handed_it_back_is_passed_over_however_near(fresh_world: World) -> None:
    world = fresh_world
    only(world, FIRST, "facilitator.kauman.1")
    id = bring(world, "assigned", FIRST)["id"]
    done(world, FIRST, id, "hand_back", reason="conflict_of_interest")
    world.advance(hours=6, minutes=1)
    world.sweep("sla")
    assert get(world, "front.1", id)["assigned_to"]["id"] == me(world, "facilitator.kauman.1")
    # The secretariat may still name anyone.
    done(world, "front.1", id, "reassign", data={"facilitator_id": me(world, FIRST)})


def test_open_load_is_what_there_is_to_visit_correct_or_tell(fresh_world: World) -> None:
    world = fresh_world
    only(world, FIRST)

    def load() -> int:
        [one] = proposed(world)
        return int(one["open_assignments"])

    id = bring(world, "assigned")["id"]
    assert load() == 1
    save_survey(world, id)
    done(world, FIRST, id, "submit_survey")
    assert load() == 0
    done(world, "supervisor.magersari", id, "return_for_correction", note="Lantai?")
    assert load() == 1
    done(world, "front.1", id, "answer", note="Dibantu BAZNAS.")
    assert load() == 1
    done(world, FIRST, id, "deliver_answer", data={"how": "in_person", "to": "Siti"})
    assert load() == 0


def test_facilitators_are_listed_with_their_last_activity(fresh_world: World) -> None:
    world = fresh_world
    only(world, FIRST)
    [before] = proposed(world)
    assert (before["name"], before["last_activity_at"]) == (
        world.as_(FIRST).get("/me").json()["name"], None,
    )  # fmt: skip
    id = bring(world, "assigned")["id"]
    # Being sent is not doing anything.
    assert proposed(world)[0]["last_activity_at"] is None
    done(world, FIRST, id, "record_visit_attempt", data={"result": "not_home"})
    visited = event_of(world, id, "record_visit_attempt")["at"]
    assert proposed(world)[0]["last_activity_at"] == visited


# ── sight: what it holds, and what it held or filed in the last 90 days ──────────────────────


def sees(world: World, who: str, id: str) -> bool:
    """Whether somebody sees a complaint: by itself, in the list, and its history."""
    one = world.as_(who).get(f"/complaints/{id}").status_code
    history = world.as_(who).get(f"/complaints/{id}/events").status_code
    listed = world.as_(who).get("/complaints", params={"limit": 200}).json()["items"]
    assert one == history
    assert (one == 200) == (id in [each["id"] for each in listed])
    return one == 200


def test_a_facilitator_sees_what_it_held_in_the_last_90_days(fresh_world: World) -> None:
    world = fresh_world
    unseen = bring(world, "at_secretariat")["id"]
    id = bring(world, "assigned", FIRST)["id"]
    draft = draft_referral(world, FIRST, {"id": id})["id"]
    assert (sees(world, FIRST, id), sees(world, FIRST, unseen)) == (True, False)
    assert not sees(world, SECOND, id)
    done(world, "front.1", id, "reassign", data={"facilitator_id": me(world, SECOND)})
    world.advance(days=89, hours=23)
    assert (sees(world, FIRST, id), sees(world, SECOND, id)) == (True, True)
    # Reading is all: what it drafted goes on without it.
    assert get(world, FIRST, id)["actions"] == []
    assert world.as_(FIRST).get(f"/referrals/{draft}").json()["actions"] == []
    world.advance(hours=2)
    assert not sees(world, FIRST, id)
    assert world.as_(FIRST).get(f"/referrals/{draft}").status_code == 404
    assert act(world, FIRST, id, "hand_back", if_match='"1"', reason="ill").status_code == 404
    # What is assigned is seen for as long as it is.
    assert sees(world, SECOND, id)


def test_a_hand_back_and_a_reopening_end_the_assignment_too(fresh_world: World) -> None:
    world = fresh_world
    back = bring(world, "assigned", FIRST)["id"]
    done(world, FIRST, back, "hand_back", reason="ill")
    closed = bring(world, "closed", FIRST)["id"]
    done(world, "front.1", closed, "reopen")
    for id in (back, closed):
        assert sees(world, FIRST, id)
    world.advance(days=90, minutes=1)
    for id in (back, closed):
        assert not sees(world, FIRST, id)
    rows = world.fetch("select began_at, ended_at from assignments")
    assert all(row["ended_at"] > row["began_at"] for row in rows)


def test_a_facilitator_sees_what_it_filed_for_90_days(fresh_world: World) -> None:
    world = fresh_world
    id = file(world, FIRST, channel="tablet")["id"]
    assert get(world, FIRST, id)["actions"] == ["self_assign"]
    assert not sees(world, SECOND, id)
    world.advance(days=89, hours=23)
    assert sees(world, FIRST, id)
    world.advance(hours=2)
    assert not sees(world, FIRST, id)
    # A desk always sees what it filed.
    assert sees(world, "puskesos.wates", id)


@pytest.mark.parametrize("linked", [True, False])
def test_a_facilitator_sees_the_household_of_what_it_sees(world: World, linked: bool) -> None:
    [row] = world.fetch("select id from households where village_code = $1 limit 1", WATES)
    household = str(row["id"])
    id = file(world, subject={"household_id": household})["id"]
    check_registry(world, id)
    done(world, "puskesos.wates", id, "forward_to_secretariat")
    who = FIRST if linked else SECOND
    assert world.as_(who).get(f"/households/{household}").status_code == 404
    done(world, "front.1", id, "assign", data={"facilitator_id": me(world, FIRST)})
    seen = world.as_(who).get(f"/households/{household}").status_code
    assert seen == (200 if linked else 404)
    assert told_steps(world, FIRST, id) == ["assigned"]
    if linked:
        assert patch(world, FIRST, id, reporter={"phone": "+628450000009"}).status_code == 200
        done(world, FIRST, id, "hand_back", reason="ill")
