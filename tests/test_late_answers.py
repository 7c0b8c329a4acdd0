"""An answer that comes after the complaint was answered: taken, told, and not forgotten."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.conftest import World
from tests.flows import act_on_referral, bring, done, events, get
from tests.processes import until

FACILITATOR = "facilitator.wates.1"
TOLD = {"how": "in_person", "to": "Siti Aminah"}
WAITS_FOR_A_LOCK = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"


def waitlisted(world: World) -> tuple[dict[str, Any], str]:
    """A complaint whose one referral went on the waiting list, and that referral."""
    complaint = bring(world, "forwarded")
    referral = complaint["referral_ids"][0]
    assert act_on_referral(world, "program.1", referral, "waitlist").status_code == 200
    found = get(world, "front.1", complaint["id"])
    assert (found["state"], found["outcome"]) == ("answered", "waitlisted")
    return found, referral


def told_late(world: World) -> tuple[str, str]:
    """A closed complaint whose referral was granted afterwards."""
    complaint, referral = waitlisted(world)
    done(world, FACILITATOR, complaint["id"], "deliver_answer", data=TOLD)
    assert act_on_referral(world, "program.1", referral, "grant").status_code == 200
    return complaint["id"], referral


def inbox(world: World, who: str) -> dict[str, str]:
    """What waits for somebody, with why."""
    items = world.as_(who).get("/inbox", params={"limit": 200}).json()["items"]
    return {item["id"]: item["why"] for item in items}


def steps_told(world: World, who: str, referral: str) -> list[str]:
    items = world.as_(who).get("/notifications", params={"limit": 200}).json()["items"]
    return [one["step"] for one in items if one["subject"] == f"referrals/{referral}"][::-1]


def test_a_grant_before_the_answer_is_told_changes_the_outcome(fresh_world: World) -> None:
    complaint, referral = waitlisted(fresh_world)
    assert act_on_referral(fresh_world, "program.1", referral, "grant").status_code == 200
    found = get(fresh_world, "front.1", complaint["id"])
    assert (found["state"], found["outcome"]) == ("answered", "granted")
    assert found["version"] == complaint["version"] + 1
    types = [event["type"] for event in events(fresh_world, complaint["id"])]
    assert types[-1] == "complaint.outcome_changed"


def test_a_grant_after_the_complaint_was_closed_waits_for_the_facilitator(
    fresh_world: World,
) -> None:
    id, referral = told_late(fresh_world)
    assert get(fresh_world, "front.1", id)["state"] == "closed"
    assert inbox(fresh_world, FACILITATOR)[referral] == "assigned"
    found = fresh_world.as_(FACILITATOR).get(f"/referrals/{referral}").json()
    assert found["informed_at"] is None
    assert found["due_at"] is not None
    assert "deliver_answer" in found["actions"]
    told = act_on_referral(fresh_world, FACILITATOR, referral, "deliver_answer", data=TOLD)
    assert told.json()["informed_at"] is not None
    assert told.json()["due_at"] is None
    assert referral not in inbox(fresh_world, FACILITATOR)
    fresh_world.advance(days=6)
    assert fresh_world.sweep("undelivered")["acted"] == 0


def test_a_late_answer_that_nobody_tells_climbs_the_ladder_once(fresh_world: World) -> None:
    _, referral = told_late(fresh_world)
    fresh_world.advance(days=5)
    run = fresh_world.sweep("undelivered")
    assert (run["acted"], run["failed"]) == (3, 0)
    assert steps_told(fresh_world, FACILITATOR, referral) == ["answered", "reminder"]
    assert steps_told(fresh_world, "puskesos.wates", referral) == ["level_1"]
    assert steps_told(fresh_world, "supervisor.magersari", referral) == ["level_2"]
    assert inbox(fresh_world, "puskesos.wates")[referral] == "escalated"
    assert fresh_world.sweep("undelivered")["acted"] == 0


def test_without_a_facilitator_the_desk_is_waited_for(fresh_world: World) -> None:
    id, referral = told_late(fresh_world)
    fresh_world.fetch("update complaints set assigned_to = null where id = $1", id)
    assert inbox(fresh_world, "puskesos.wates")[referral] == "pool"
    fresh_world.advance(days=2.5)
    fresh_world.sweep("undelivered")
    assert steps_told(fresh_world, "puskesos.wates", referral) == ["reminder"]


def test_a_second_complaint_that_is_still_open_has_it_told_with_its_own(
    fresh_world: World,
) -> None:
    complaint, referral = waitlisted(fresh_world)
    assert fresh_world.sweep("undelivered")["acted"] == 0
    found = fresh_world.as_("front.1").get(f"/referrals/{referral}").json()
    assert found["state"] == "waitlisted"
    assert get(fresh_world, "front.1", complaint["id"])["due_at"] is not None


@pytest.mark.parametrize("who", ["manager", "head"])
def test_what_no_owner_has_answered_for_120_days_is_in_the_inbox(
    fresh_world: World, who: str
) -> None:
    id = bring(fresh_world, "forwarded")["id"]
    assert id not in inbox(fresh_world, who)
    fresh_world.advance(days=121)
    assert inbox(fresh_world, who)[id] == "escalated"
    assert "close_unanswered" in get(fresh_world, who, id)["actions"]


def test_an_answer_of_the_waiting_list_is_told_and_asked_about_all_the_same(
    fresh_world: World,
) -> None:
    complaint, referral = waitlisted(fresh_world)
    told = act_on_referral(fresh_world, FACILITATOR, referral, "deliver_answer", data=TOLD)
    assert told.json()["informed_at"] is not None
    assert told.json()["due_at"] is not None
    missed = {"how": "phone", "to": "Siti Aminah", "result": "not_reached"}
    again = act_on_referral(fresh_world, FACILITATOR, referral, "deliver_answer", data=missed)
    assert again.json()["informed_at"] == told.json()["informed_at"]
    assert get(fresh_world, "front.1", complaint["id"])["state"] == "answered"


def test_a_step_that_is_on_record_is_not_told_a_second_time(fresh_world: World) -> None:
    _, referral = told_late(fresh_world)
    fresh_world.fetch(
        "insert into escalations (subject_id, stage, step, at, due_at, told, province_code,"
        " regency_code, district_code, village_code) select id, stage || ' tell', 'reminder',"
        " now(), now(), 1, province_code, regency_code, district_code, village_code"
        " from referrals where id = $1",
        referral,
    )
    fresh_world.advance(days=2.5)
    assert fresh_world.sweep("undelivered")["acted"] == 1
    assert steps_told(fresh_world, FACILITATOR, referral) == ["answered"]


def test_where_no_supervisor_is_left_the_manager_is_told(fresh_world: World) -> None:
    _, referral = told_late(fresh_world)
    fresh_world.fetch(
        "update principals set active = false where username = 'supervisor.magersari'"
    )
    fresh_world.advance(days=5)
    fresh_world.sweep("undelivered")
    assert steps_told(fresh_world, "manager", referral) == ["level_2"]


async def test_a_complaint_that_links_while_the_answer_is_given_is_settled_too(
    fresh_world: World,
) -> None:
    first, second = bring(fresh_world, "forwarded"), bring(fresh_world, "forwarded")
    referral, its_own = first["referral_ids"][0], second["referral_ids"][0]
    assert act_on_referral(fresh_world, "program.1", its_own, "decline",
                           reason="quota_full").status_code == 200  # fmt: skip
    await fresh_world.afetch(
        "update complaints set state = 'forwarded', outcome = null where id = $1", second["id"]
    )
    holder = await asyncpg.connect(
        host=str(fresh_world.cluster.socket_dir), user="slrt", database=fresh_world.database
    )
    try:
        async with holder.transaction():
            await holder.fetch("select 1 from referrals where id = $1 for update", referral)
            grant = asyncio.create_task(
                asyncio.to_thread(act_on_referral, fresh_world, "program.1", referral, "grant")
            )
            await asyncio.to_thread(until, lambda: fresh_world.fetch(WAITS_FOR_A_LOCK))
            await holder.execute(
                "insert into complaint_referrals (complaint_id, referral_id, origin, province_code,"
                " regency_code, district_code, village_code) select $1, referral_id, origin,"
                " province_code, regency_code, district_code, village_code"
                " from complaint_referrals where referral_id = $2",
                second["id"], referral,
            )  # fmt: skip
        assert (await grant).status_code == 200
    finally:
        await holder.close()
    rows = await fresh_world.afetch("select state, outcome from complaints order by outcome")
    assert [tuple(row) for row in rows] == [("answered", "granted"), ("answered", "partly_granted")]
