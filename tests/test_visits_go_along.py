"""Open visits go where their household goes, and end with what they were for."""

import asyncio
from typing import Any

from tests.conftest import World
from tests.flows import done as complaint_done
from tests.homes import home, person
from tests.refusals import refused
from tests.test_lock_order import asked, held, merge, two_homes, waiting
from tests.test_registry_changes import MANAGER, SUPERVISOR, act, approved, done, proposed
from tests.test_registry_deaths import OTHER_SUPERVISOR
from tests.test_visits import emergency, for_complaint, opened, post

Json = dict[str, Any]


def visit(world: World, id: str) -> Json:
    return dict(world.fetch("select * from visits where id = $1", id)[0])


def visit_to(world: World, household: str, kind: str = "reverification") -> str:
    return str(opened(world, household_ids=[household], kind=kind)[0]["id"])


def last_event(world: World, id: str) -> tuple[str, str | None]:
    rows = world.fetch("select type, reason from events where subject_id = $1 order by id", id)
    return rows[-1]["type"], rows[-1]["reason"]


def test_a_visit_ends_with_the_emergency_that_it_was_to_follow(world: World) -> None:
    complaint = emergency(world)
    [open_] = for_complaint(world, complaint["id"])
    complaint_done(world, SUPERVISOR, complaint["id"], "answer", note="Sudah dibantu BAZNAS.")
    ended = visit(world, open_["id"])
    assert (ended["state"], ended["next_step_at"]) == ("cancelled", None)
    assert last_event(world, open_["id"]) == ("visit.cancelled", "complaint_ended")
    running = world.fetch(
        "select from visit_assignments where visit_id = $1 and ended_at is null", ended["id"]
    )
    assert running == []


def test_visits_go_with_a_merged_household_and_come_back_with_it(world: World) -> None:
    twice, stays = two_homes(world)
    elsewhere = {"village_code": "35.76.02.1004"}
    world.fetch("update households set village_code = $2 where id = $1", stays, *elsewhere.values())
    moves, ends = visit_to(world, twice), visit_to(world, twice, "benefit_check")
    stays_there = visit_to(world, stays, "benefit_check")
    complaint = emergency(world)
    [of_complaint] = for_complaint(world, complaint["id"])
    world.fetch("update visits set household_id = $2 where id = $1", of_complaint["id"], twice)
    change = merge(world, twice, stays)
    assert done(world, MANAGER, change["id"], "approve")["state"] == "manager_approved"
    for id in (moves, of_complaint["id"]):
        now = visit(world, id)
        assert (str(now["household_id"]), now["state"]) == (stays, "open")
        assert now["village_code"] == elsewhere["village_code"]
        assert last_event(world, id)[0] == "visit.household_merged"
    assert last_event(world, ends) == ("visit.cancelled", "household_merged")
    assert visit(world, stays_there)["state"] == "open"
    world.fetch("update registry_changes set state = 'declined' where id = $1", change["id"])
    done(world, OTHER_SUPERVISOR, change["id"], "undo")
    for id, where in ((moves, twice), (of_complaint["id"], twice), (stays_there, stays)):
        assert str(visit(world, id)["household_id"]) == where
    assert visit(world, ends)["state"] == "cancelled"


def test_nobody_is_sent_to_a_household_that_was_removed(world: World) -> None:
    gone = str(home(world))
    person(world, home(world), "Siti Aminah")
    open_ = visit_to(world, gone)
    complaint = emergency(world)
    [of_complaint] = for_complaint(world, complaint["id"])
    world.fetch("update visits set household_id = $2 where id = $1", of_complaint["id"], gone)
    approved(world, proposed(world, kind="remove", household_id=gone, note="Kosong.")["id"])
    assert last_event(world, open_) == ("visit.cancelled", "household_removed")
    # The complaint still waits for its visit.
    assert visit(world, of_complaint["id"])["state"] == "open"


async def test_a_visit_opened_while_its_household_is_merged_away_is_refused(world: World) -> None:
    twice, stays = await asyncio.to_thread(two_homes, world)
    change = await asyncio.to_thread(merge, world, twice, stays)
    async with held(world, "households", stays):
        approval = asyncio.create_task(
            asked(act, world, MANAGER, change["id"], "approve", f'"{change["version"]}"')
        )
        await waiting(world, 1)
        opening = asyncio.create_task(asked(post, world, household_ids=[twice]))
        await waiting(world, 2)
    assert (await approval).json()["state"] == "manager_approved"
    refused(await opening, 422, "unknown_household")
