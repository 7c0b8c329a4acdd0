"""Visits: shared out fairly, made without a complaint, surveyed, tried in vain, and reminded of."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx

from tests.conftest import World
from tests.flows import (
    KAUMAN,
    WATES,
    bring,
    dismiss,
    done,
    draft_referral,
    etag,
    file,
    hire,
    key,
    me,
    survey_body,
    told_steps,
)
from tests.refusals import refused

FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
CITY, DISTRICT = "35.76", "35.76.02"
Json = dict[str, Any]


def households(world: World, village: str = CITY) -> list[str]:
    rows = world.fetch(
        "select id from households where starts_with(village_code, $1) order by id", village
    )
    return [str(row["id"]) for row in rows]


def crowd_into_wates(world: World, count: int) -> list[str]:
    """Many households in one village, where seven facilitators live."""
    ids = households(world)[:count]
    for table, name in (("households", "id"), ("members", "household_id")):
        world.fetch(
            f"update {table} set district_code = $2, village_code = $3 where {name} = any($1)",
            ids, DISTRICT, WATES,
        )  # fmt: skip
    return ids


def post(world: World, who: str = "front.1", headers: Json | None = None, **body: Any) -> Any:
    draft = {"kind": "reverification"} | body
    return world.as_(who).post("/visits", json=draft, headers=headers or key())


def opened(world: World, who: str = "front.1", **body: Any) -> list[Json]:
    answer = post(world, who, **body)
    assert answer.status_code == 201, answer.text
    found: list[Json] = answer.json()["items"]
    return found


def visit_for(world: World, assignee: str = FIRST, kind: str = "reverification") -> Json:
    """An open visit in Wates that is with a facilitator; those there were are done with."""
    world.fetch("update visits set state = 'cancelled', done_at = slrt_now() where state = 'open'")
    world.fetch("update households set presence = null where village_code = $1", WATES)
    visit = opened(world, household_ids=households(world, WATES)[:1], kind=kind)[0]
    if visit["assignee"]["id"] != me(world, assignee):
        visit = acted(
            world, "front.1", visit["id"], "reassign", data={"facilitator_id": me(world, assignee)}
        )
    return visit


def act(world: World, who: str, id: str, action: str, headers: Json | None = None, **body: Any
) -> httpx.Response:  # fmt: skip
    path = f"/visits/{id}/survey" if action == "submit_survey" else f"/visits/{id}"
    headers = headers or {"If-Match": etag(world, who, path)} | key()
    return world.as_(who).post(
        f"/visits/{id}/actions", json={"action": action} | body, headers=headers
    )


def acted(world: World, who: str, id: str, action: str, **body: Any) -> Json:
    answer = act(world, who, id, action, **body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def seen(world: World, who: str, **query: Any) -> list[str]:
    answer = world.as_(who).get("/visits", params={"limit": 200} | query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


def saved(world: World, id: str, who: str = FIRST, if_match: str | None = None, **changes: Any
) -> httpx.Response:  # fmt: skip
    path = f"/visits/{id}/survey"
    body = survey_body(world, program_needs=[], no_needs=True) | changes
    headers = {"If-Match": if_match or etag(world, who, path)} | key()
    return world.as_(who).put(path, json=body, headers=headers)


def changes_of(world: World, id: str) -> list[Json]:
    """The registry changes that a visit proposed."""
    rows = world.fetch("select * from registry_changes where visit_id = $1 order by id", id)
    return [dict(row) for row in rows]


async def _held(world: World, id: str, calls: Sequence[Any]) -> list[httpx.Response]:
    connection = await asyncpg.connect(
        host=str(world.cluster.socket_dir), user="slrt", database=world.database
    )
    try:
        async with connection.transaction():
            await connection.execute("select 1 from visits where id = $1 for update", id)
            under_way = [asyncio.create_task(asyncio.to_thread(call)) for call in calls]
            await asyncio.sleep(0.7)
        return list(await asyncio.gather(*under_way))
    finally:
        await connection.close()


def while_held(world: World, id: str, *calls: Any) -> list[httpx.Response]:
    """Calls that all arrive while somebody else holds the visit, and then go on at once."""
    return asyncio.run(_held(world, id, calls))


def together(*calls: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


# ── sharing out ──────────────────────────────────────────────────────────────────────────────


def test_visits_are_shared_out_evenly_among_those_of_the_village(fresh_world: World) -> None:
    world = fresh_world
    ids = crowd_into_wates(world, 15)
    busy = bring(world, "assigned", FIRST)["assigned_to"]["id"]
    visits = opened(world, household_ids=ids)
    assert {visit["household_id"] for visit in visits} == set(ids)
    shares = Counter(visit["assignee"]["id"] for visit in visits)
    loads = Counter({id: shares[id] + (id == busy) for id in shares})
    # 15 visits and one complaint among seven: nobody has more than three, nobody less than two.
    assert len(shares) == 7
    assert sorted(loads.values()) == [2, 2, 2, 2, 2, 3, 3]
    for visit in visits:
        assert visit["state"] == "open"
        assert visit["kind"] == "reverification"
        assert visit["region_code"] == WATES
        assert visit["complaint_id"] is None
        assert visit["overdue"] is False
    mine = [visit["id"] for visit in visits if visit["assignee"]["id"] == me(world, FIRST)]
    assert mine
    for id in mine:
        assert told_steps(world, FIRST, id) == ["assigned"]
    # A second batch goes on where the first one ended, and complaints see the load, too.
    more = opened(world, household_ids=ids[:6], kind="benefit_check")
    total = loads + Counter(visit["assignee"]["id"] for visit in more)
    assert max(total.values()) - min(total.values()) <= 1
    found = world.as_("front.1").get("/facilitators", params={"region": WATES}).json()["items"]
    by_id = {one["id"]: one["open_assignments"] for one in found}
    assert {id: by_id[id] for id in total} == dict(total)


def test_the_nearest_goes_first_even_when_others_have_less_to_do(fresh_world: World) -> None:
    world = fresh_world
    ids = crowd_into_wates(world, 3)
    for n in range(2, 8):
        dismiss(world, f"facilitator.wates.{n}")
    visits = opened(world, household_ids=ids)
    assert {visit["assignee"]["id"] for visit in visits} == {me(world, FIRST)}
    dismiss(world, FIRST)
    other = opened(world, household_ids=ids[:1], kind="answer")[0]
    district = world.fetch(
        "select region_codes from grants where principal_id = $1", other["assignee"]["id"]
    )
    assert all(code.startswith(DISTRICT) for code in district[0]["region_codes"])


def test_a_visit_is_due_in_a_fortnight(world: World) -> None:
    visit = visit_for(world)
    row = world.fetch("select due_at - created_at as span from visits where id = $1", visit["id"])
    assert row[0]["span"].days == 14


def test_a_household_with_an_open_visit_of_the_kind_is_not_given_twice(world: World) -> None:
    visit = visit_for(world)
    id = visit["household_id"]
    answer = post(world, household_ids=[id, id])
    assert answer.status_code == 201
    assert answer.json()["items"] == []
    assert [one["id"] for one in answer.json()["existing"]] == [visit["id"]]
    assert opened(world, household_ids=[id], kind="benefit_check")
    rows = world.as_("front.1").get("/registry/unverified", params={"region": WATES}).json()
    assert {one["visit_open"] for one in rows["items"] if one["household_id"] == id} == {True}
    # Once it is done, another one may be opened.
    acted(world, "front.1", visit["id"], "cancel", reason="called off")
    assert opened(world, household_ids=[id])


def test_a_retried_batch_is_answered_with_the_visits_it_made(world: World) -> None:
    visit_for(world)
    id, other = households(world, WATES)[:2]
    again = key()
    first = post(world, household_ids=[id, other], headers=again)
    second = post(world, household_ids=[id, other], headers=again)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json() == second.json()
    assert len(first.json()["items"]) == len(first.json()["existing"]) == 1
    refused(post(world, household_ids=[id], headers=again), 422, "idempotency_key_reused")
    body = {"kind": "answer", "household_ids": [id]}
    refused(world.as_("front.1").post("/visits", json=body), 400, "idempotency_key_missing")


def test_two_offices_that_send_to_the_same_households_make_each_visit_once(
    fresh_world: World,
) -> None:
    world = fresh_world
    ids = crowd_into_wates(world, 21)
    offices = ("front.1", "front.2", "back.1", "supervisor.magersari")
    for who in offices:
        me(world, who)
    orders = [ids, ids[::-1], ids[:15], ids[5:]]
    answers = together(
        *(
            (lambda who=who, order=order: post(world, who, household_ids=order))
            for who, order in zip(offices, orders, strict=True)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    made = [one for answer in answers for one in answer.json()["items"]]
    assert sorted(one["household_id"] for one in made) == sorted(ids)
    for answer, order in zip(answers, orders, strict=True):
        known = answer.json()["items"] + answer.json()["existing"]
        assert {one["household_id"] for one in known} == set(order)
    # Each saw what the others had given out: three for everybody.
    assert set(Counter(one["assignee"]["id"] for one in made).values()) == {3}


def test_two_offices_that_ask_for_the_same_region_are_given_different_households(
    fresh_world: World,
) -> None:
    world = fresh_world
    for who in ("front.1", "back.1"):
        me(world, who)
    answers = together(
        *(
            (lambda who=who: post(world, who, region_code=CITY, limit=10))
            for who in ("front.1", "back.1")
        )
    )
    made = [one["household_id"] for answer in answers for one in answer.json()["items"]]
    assert len(made) == len(set(made)) == 20


def test_those_of_a_region_that_need_it_most_are_taken_first(fresh_world: World) -> None:
    world = fresh_world
    ids = households(world)
    world.fetch("update households set verified_at = slrt_now()")
    world.fetch("update members set presence = null, hold_change_id = null")
    age = "update households set verified_at = slrt_now() - make_interval(days => $2) where id = $1"
    for n, id in enumerate(ids[:4]):
        world.fetch(age, id, 400 + n)
    world.fetch("update households set presence = 'not_found' where id = $1", ids[5])
    first = opened(world, region_code=CITY, limit=2)
    assert [one["household_id"] for one in first] == [ids[3], ids[2]]
    second = opened(world, "manager", region_code=CITY, reason="stale")
    assert [one["household_id"] for one in second] == [ids[1], ids[0]]
    assert {one["reason"] for one in second} == {"stale"}
    last = opened(world, region_code=CITY)
    assert [one["household_id"] for one in last] == [ids[5]]
    assert opened(world, region_code=CITY) == []


def test_who_may_not_send_and_what_cannot_be_sent(world: World) -> None:
    here, there = households(world, WATES)[0], households(world, KAUMAN)[0]
    for who in ("puskesos.wates", FIRST, "head", "program.1"):
        refused(post(world, who, household_ids=[here]), 403, "role_not_allowed")
    answer = post(world, "supervisor.magersari", household_ids=[here, there])
    problem = refused(answer, 422, "unknown_household")
    assert [one["pointer"] for one in problem["errors"]] == ["/household_ids/1"]
    for code in ("35.76.01", CITY):
        answer = post(world, "supervisor.magersari", region_code=code)
        assert refused(answer, 422, "unknown_region")["errors"][0]["pointer"] == "/region_code"
    refused(post(world, region_code="35"), 422, "unknown_region")
    for wrong in (
        {},
        {"household_ids": [here], "region_code": WATES},
        {"household_ids": [here], "limit": 5},
        {"household_ids": [here], "reason": "stale"},
        {"household_ids": []},
        {"household_ids": [here] * 201},
        {"region_code": WATES, "limit": 201},
        {"region_code": WATES, "kind": "complaint"},
    ):
        problem = refused(post(world, **wrong), 422, "validation_failed")
    # The choices are told as they are sent, not as they are called here.
    [fault] = problem["errors"]
    assert "'reverification', 'benefit_check'" in fault["detail"]
    assert "VisitKind" not in fault["detail"]
    world.fetch("update households set ended_at = slrt_now() where id = $1", there)
    refused(post(world, household_ids=[there]), 422, "unknown_household")
    world.fetch("update households set ended_at = null where id = $1", there)


def test_nobody_is_sent_where_nobody_can_be(fresh_world: World) -> None:
    world = fresh_world
    world.fetch(
        "update principals set active = false where id in"
        " (select principal_id from grants where role = 'facilitator')"
    )
    refused(post(world, household_ids=households(world)[:1]), 409, "no_facilitator")
    assert world.fetch("select 1 from visits") == []


# ── who sees it ──────────────────────────────────────────────────────────────────────────────


def test_the_offices_of_the_region_and_its_facilitator_see_a_visit(world: World) -> None:
    visit = visit_for(world)
    id = visit["id"]
    offices = (
        "front.1", "back.2", "puskesos.wates", "supervisor.magersari", "manager", "head", FIRST,
    )  # fmt: skip
    for who in offices:
        assert world.as_(who).get(f"/visits/{id}").json()["id"] == id
        assert id in seen(world, who)
    strangers = (
        "facilitator.kauman.1", "puskesos.kauman", "supervisor.prajuritkulon", "program.1", "dpo",
    )  # fmt: skip
    for who in strangers:
        refused(world.as_(who).get(f"/visits/{id}"), 404, "not_found")
        refused(world.as_(who).get(f"/visits/{id}/survey"), 404, "not_found")
        answer = act(world, who, id, "cancel", headers={"If-Match": '"1"'} | key(), reason="x")
        refused(answer, 404, "not_found")
        assert id not in seen(world, who)
    history = world.as_("head").get(f"/visits/{id}/events").json()["items"]
    assert history[0]["type"] == "visit.opened"


def test_a_facilitator_who_is_to_visit_sees_the_household(world: World) -> None:
    visit = visit_for(world, FIRST)
    path = f"/households/{visit['household_id']}"
    assert world.as_(FIRST).get(path).json()["members"]
    refused(world.as_("facilitator.kauman.1").get(path), 404, "not_found")


def test_a_former_facilitator_sees_a_visit_for_90_days(fresh_world: World) -> None:
    world = fresh_world
    visit = visit_for(world, FIRST)
    id = visit["id"]
    acted(world, "front.1", id, "reassign", data={"facilitator_id": me(world, SECOND)})
    acted(world, SECOND, id, "record_attempt", data={"result": "refused"})
    assert id in seen(world, FIRST)
    assert id in seen(world, SECOND)
    world.fetch("update visit_assignments set ended_at = ended_at - interval '91 days'")
    assert id not in seen(world, FIRST)
    refused(world.as_(SECOND).get(f"/visits/{id}"), 404, "not_found")


def test_visits_are_listed_newest_first_by_what_is_asked_for(fresh_world: World) -> None:
    world = fresh_world
    made = opened(world, region_code=CITY, limit=5)
    ids = sorted((one["id"] for one in made), reverse=True)
    assert seen(world, "front.1") == ids
    page = world.as_("front.1").get("/visits", params={"limit": 3}).json()
    rest = world.as_("front.1").get(
        "/visits", params={"limit": 3, "cursor": page["next_cursor"]}
    ).json()  # fmt: skip
    assert [one["id"] for one in page["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None
    one = made[0]
    acted(world, "front.1", one["id"], "cancel", reason="not needed")
    assert seen(world, "front.1", state="cancelled") == [one["id"]]
    assert seen(world, "front.1", household_id=one["household_id"]) == [one["id"]]
    assert seen(world, "front.1", assignee_id=made[1]["assignee"]["id"]) == [made[1]["id"]]
    assert seen(world, "front.1", kind="answer") == []
    assert one["id"] in seen(world, "front.1", region=one["region_code"])
    assert seen(world, "front.1", overdue=True) == []
    assert seen(world, "front.1", overdue=False) == ids
    world.advance(days=15)
    assert seen(world, "front.1", overdue=True) == [id for id in ids if id != one["id"]]
    late = world.as_("front.1").get(f"/visits/{made[1]['id']}").json()
    assert late["overdue"] is True


# ── what may be done ─────────────────────────────────────────────────────────────────────────


def test_everybody_may_do_what_the_table_gives_them(world: World) -> None:
    id = visit_for(world)["id"]
    may = {
        "front.1": ["reassign", "submit_survey", "cancel"],
        "supervisor.magersari": ["reassign", "cancel"],
        "manager": [],
        "puskesos.wates": [],
        FIRST: ["record_attempt", "submit_survey"],
    }
    for who, actions in may.items():
        assert world.as_(who).get(f"/visits/{id}").json()["actions"] == actions
    refused(act(world, "manager", id, "cancel", reason="x"), 403, "role_not_allowed")
    refused(act(world, FIRST, id, "cancel", reason="x"), 403, "role_not_allowed")
    refused(act(world, "front.1", id, "cancel"), 422, "reason_required")
    refused(act(world, "front.1", id, "fly"), 422, "unknown_action")
    refused(act(world, "front.1", id, "reassign"), 422, "missing")
    answer = act(world, "front.1", id, "cancel", headers=key(), reason="x")
    refused(answer, 428, "precondition_required")
    stale = {"If-Match": '"99"'} | key()
    refused(act(world, "front.1", id, "cancel", headers=stale, reason="x"), 412, "stale_version")


def test_the_workflow_is_told_as_its_table_has_it(world: World) -> None:
    found = world.as_(FIRST).get("/workflows/visit").json()
    assert found["initial"] == "open"
    assert {one["action"] for one in found["transitions"]} == {
        "reassign", "record_attempt", "submit_survey", "cancel",
    }  # fmt: skip


def test_a_visit_is_given_to_another_who_has_three_days_at_least(fresh_world: World) -> None:
    world = fresh_world
    visit = visit_for(world, FIRST)
    id, due = visit["id"], visit["due_at"]
    chosen = {"facilitator_id": me(world, SECOND)}
    given = acted(world, "supervisor.magersari", id, "reassign", data=chosen)
    assert given["assignee"]["id"] == me(world, SECOND)
    assert given["due_at"] == due
    assert "assigned" in told_steps(world, SECOND, id)
    answer = act(world, "front.1", id, "reassign", data=chosen)
    refused(answer, 422, "same_facilitator")
    unknown = {"facilitator_id": me(world, "front.1")}
    refused(act(world, "front.1", id, "reassign", data=unknown), 422, "unknown_facilitator")
    # The former one has no part in it any more.
    answer = act(world, FIRST, id, "record_attempt", data={"result": "not_home"})
    refused(answer, 409, "action_not_allowed")
    world.advance(days=20)
    late = acted(world, "front.1", id, "reassign", data={"facilitator_id": me(world, FIRST)})
    assert late["overdue"] is False
    row = world.fetch("select due_at - assigned_at as span from visits where id = $1", id)
    assert row[0]["span"].days == 3


def test_of_two_who_act_on_what_they_have_read_one_comes_too_late(world: World) -> None:
    id = visit_for(world)["id"]
    read = etag(world, FIRST, f"/visits/{id}")
    me(world, SECOND)
    answers = while_held(
        world,
        id,
        lambda: act(
            world, FIRST, id, "record_attempt", headers={"If-Match": read} | key(),
            data={"result": "refused"},
        ),
        lambda: act(
            world, "front.1", id, "reassign", headers={"If-Match": read} | key(),
            data={"facilitator_id": me(world, SECOND)},
        ),
        lambda: act(
            world, "back.1", id, "cancel", headers={"If-Match": read} | key(), reason="x",
        ),
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    assert world.as_("front.1").get(f"/visits/{id}").json()["version"] == int(read[1:-1]) + 1


def test_a_retried_action_is_taken_once(world: World) -> None:
    id = visit_for(world)["id"]
    headers = {"If-Match": etag(world, FIRST, f"/visits/{id}")} | key()
    body = {"data": {"result": "not_home"}, "note": "Pintu tertutup."}
    first = act(world, FIRST, id, "record_attempt", headers=headers, **body)
    second = act(world, FIRST, id, "record_attempt", headers=headers, **body)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json()["attempts"] == 1


# ── tried in vain ────────────────────────────────────────────────────────────────────────────


def attempt(world: World, id: str, result: str, **data: Any) -> Json:
    return acted(world, FIRST, id, "record_attempt", data={"result": result} | data)


def test_who_is_not_home_is_visited_three_times_and_then_proposed_as_not_found(
    world: World,
) -> None:
    visit = visit_for(world)
    id = visit["id"]
    for n, result in enumerate(("not_home", "address_not_found"), 1):
        tried = attempt(world, id, result)
        assert (tried["state"], tried["attempts"]) == ("open", n)
        assert tried["last_result"] == result
    assert changes_of(world, id) == []
    tried = attempt(world, id, "not_home")
    assert (tried["state"], tried["attempts"]) == ("done", 3)
    assert tried["done_at"]
    [change] = changes_of(world, id)
    assert (change["kind"], change["state"]) == ("update_household", "proposed")
    assert str(change["household_id"]) == visit["household_id"]
    assert change["complaint_id"] is None
    assert tried["registry_change_ids"] == [str(change["id"])]
    # It is proposed, not done.
    household = world.fetch("select * from households where id = $1", visit["household_id"])[0]
    assert household["presence"] is None
    answer = act(world, FIRST, id, "record_attempt", data={"result": "not_home"})
    refused(answer, 409, "action_not_allowed")


def test_a_late_visit_that_met_nobody_is_due_again_tomorrow(fresh_world: World) -> None:
    world = fresh_world
    id = visit_for(world)["id"]
    world.advance(days=15)
    assert attempt(world, id, "not_home")["overdue"] is False
    world.advance(days=1)
    assert world.as_(FIRST).get(f"/visits/{id}").json()["overdue"] is True


def test_nothing_is_proposed_of_those_who_refuse_or_are_known_as_not_found(world: World) -> None:
    id = visit_for(world)["id"]
    assert attempt(world, id, "refused")["state"] == "done"
    assert changes_of(world, id) == []
    visit = visit_for(world)
    world.fetch("update households set presence = 'not_found' where id = $1", visit["household_id"])
    assert attempt(world, visit["id"], "moved")["state"] == "done"
    assert changes_of(world, visit["id"]) == []


def test_a_household_that_has_left_the_registry_is_visited_for_nothing(world: World) -> None:
    visit = visit_for(world)
    ended = "update households set ended_at = {} where id = $1"
    world.fetch(ended.format("slrt_now()"), visit["household_id"])
    assert attempt(world, visit["id"], "moved")["state"] == "done"
    assert changes_of(world, visit["id"]) == []
    world.fetch(ended.format("null"), visit["household_id"])


def test_who_moved_is_proposed_as_moved_where_it_is_known_where_to(world: World) -> None:
    id = visit_for(world)["id"]
    done_ = attempt(world, id, "moved", region_code=KAUMAN, address="Jl. Baru 1", rt="001")
    assert done_["state"] == "done"
    [change] = changes_of(world, id)
    assert (change["kind"], change["state"]) == ("report_move", "proposed")
    id = visit_for(world)["id"]
    attempt(world, id, "moved")
    assert [one["kind"] for one in changes_of(world, id)] == ["update_household"]
    id = visit_for(world)["id"]
    answer = act(
        world, FIRST, id, "record_attempt", data={"result": "moved", "region_code": "99.99.99.9999"}
    )
    problem = refused(answer, 422, "unknown_region")
    assert problem["errors"][0]["pointer"] == "/data/fields/region_code"


def test_a_death_is_reported_with_evidence_and_else_only_noted(world: World) -> None:
    visit = visit_for(world)
    member = world.fetch(
        "select id from members where household_id = $1 order by id limit 1", visit["household_id"]
    )[0]["id"]
    stranger = world.fetch(
        "select id from members where household_id <> $1 limit 1", visit["household_id"]
    )[0]["id"]
    died = {"result": "deceased", "died_on": "2026-01-02"}
    letter = {"evidence": [{"kind": "kelurahan_letter", "reference": "470/12"}]}

    def tried(**data: Any) -> httpx.Response:
        return act(world, FIRST, visit["id"], "record_attempt", data=died | data)

    problem = refused(tried(member_id=str(stranger), **letter), 422, "unknown_member")
    assert problem["errors"][0]["pointer"] == "/data/member_id"
    answer = act(
        world, FIRST, visit["id"], "record_attempt",
        data={"result": "deceased", "member_id": str(member)} | letter,
    )  # fmt: skip
    assert refused(answer, 422, "missing")["errors"][0]["pointer"] == "/data/died_on"
    assert tried(member_id=str(member), **letter).json()["state"] == "done"
    [change] = changes_of(world, visit["id"])
    assert (change["kind"], change["state"]) == ("report_death", "proposed")
    assert change["member_id"] == member
    held = world.fetch("select hold_change_id from members where id = $1", member)
    assert held[0]["hold_change_id"] == change["id"]
    world.fetch("update members set hold_change_id = null")
    noted = visit_for(world)["id"]
    # What had been typed before is not proposed, and stays to be read, as with a complaint.
    typed = saved(world, noted).json()["answers"]
    acted(world, FIRST, noted, "record_attempt", data={"result": "deceased"}, note="Kata tetangga.")
    assert changes_of(world, noted) == []
    kept = world.as_("front.1").get(f"/visits/{noted}/survey").json()
    assert (kept["answers"].keys(), kept["submitted_at"]) == (typed.keys(), None)
    last = world.as_("front.1").get(f"/visits/{noted}/events").json()["items"][-1]
    assert (last["type"], last["note"]) == ("visit.attempted", "Kata tetangga.")


# ── surveys without a complaint ──────────────────────────────────────────────────────────────


def test_a_survey_of_a_visit_verifies_the_household_and_proposes_its_changes(
    world: World,
) -> None:
    visit = visit_for(world)
    id, household_id = visit["id"], visit["household_id"]
    empty = world.as_(FIRST).get(f"/visits/{id}/survey")
    assert (empty.headers["etag"], empty.json()["version"]) == ('"0"', 0)
    assert empty.json()["visit_id"] == id
    change = {
        "kind": "update_household", "household_id": household_id, "fields": {"address": "Jl. X"},
    }  # fmt: skip
    need = {"program_code": "PKH", "beneficiary": {"household_id": household_id}}
    answer = saved(world, id, no_needs=False, program_needs=[need], registry_changes=[change])
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["warnings"] == ["needs_make_no_referral"]
    assert answer.json()["registry_changes"][0]["fields"] == {"address": "Jl. X"}
    referrals = world.fetch("select count(*) as n from referrals")[0]["n"]
    world.fetch("update households set presence = 'not_found' where id = $1", household_id)
    surveyed = acted(world, FIRST, id, "submit_survey")
    assert surveyed["state"] == "done"
    assert world.fetch("select count(*) as n from referrals")[0]["n"] == referrals
    household = world.fetch("select * from households where id = $1", household_id)[0]
    assert household["presence"] == "found"
    assert household["presence_on"] is not None
    assert household["verified_at"] is not None
    entry = world.fetch(
        "select * from registry_entries where household_id = $1 order by id desc", household_id
    )[0]
    assert entry["what"] == "verified"
    [proposed] = changes_of(world, id)
    assert (proposed["kind"], proposed["state"]) == ("update_household", "proposed")
    assert proposed["origin"] == "survey"
    assert proposed["base_version"] == household["version"]
    never = {"region": WATES, "reason": "never_verified"}
    rows = world.as_("front.1").get("/registry/unverified", params=never).json()
    assert household_id not in [one["household_id"] for one in rows["items"]]
    refused(saved(world, id), 409, "action_not_allowed")
    submitted = world.as_("front.1").get(f"/visits/{id}/survey").json()
    assert submitted["submitted_at"]
    assert submitted["author_id"] == me(world, FIRST)
    refused(act(world, FIRST, id, "submit_survey"), 409, "action_not_allowed")


def test_a_survey_is_saved_over_what_was_read_and_submitted_when_complete(world: World) -> None:
    visit = visit_for(world)
    id = visit["id"]
    answer = act(world, FIRST, id, "submit_survey", headers={"If-Match": '"0"'} | key())
    assert refused(answer, 409, "survey_incomplete")["errors"][0]["code"] == "survey_empty"
    assert saved(world, id, visited_at=None).headers["etag"] == '"1"'
    refused(saved(world, id, if_match='"0"'), 412, "stale_version")
    problem = refused(act(world, FIRST, id, "submit_survey"), 409, "survey_incomplete")
    assert [one["pointer"] for one in problem["errors"]] == ["/visited_at"]
    stale = {"If-Match": '"7"'} | key()
    refused(act(world, FIRST, id, "submit_survey", headers=stale), 412, "stale_version")
    refused(saved(world, id, form_version="0"), 422, "unknown_form_version")
    unknown = {"kind": "update_household", "household_id": me(world, FIRST), "fields": {"rt": "1"}}
    problem = refused(saved(world, id, registry_changes=[unknown]), 422, "unknown_household")
    assert problem["errors"][0]["pointer"] == "/registry_changes/0/household_id"
    told = unknown | {"household_id": visit["household_id"], "note": "NIK 3576 0245 0784 9001"}
    problem = refused(saved(world, id, registry_changes=[told]), 422, "validation_failed")
    [fault] = problem["errors"]
    assert (fault["pointer"], fault["code"]) == ("/registry_changes/0/note", "number_in_text")
    headers = {"If-Match": '"1"'} | key()
    body = survey_body(world, program_needs=[], no_needs=True)
    path = f"/visits/{id}/survey"
    first = world.as_(FIRST).put(path, json=body, headers=headers)
    second = world.as_(FIRST).put(path, json=body, headers=headers)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json() == second.json()


def test_numbers_in_a_survey_are_masked_for_all_but_its_writers(world: World) -> None:
    visit = visit_for(world)
    person = {"name": "Budi", "relation": "child", "national_id": "3576020101109001"}
    change = {"kind": "add_member", "household_id": visit["household_id"], "person": person}
    assert saved(world, visit["id"], registry_changes=[change]).status_code == 200
    path = f"/visits/{visit['id']}/survey"

    def number(who: str) -> str:
        return str(world.as_(who).get(path).json()["registry_changes"][0]["person"]["national_id"])

    assert number(FIRST) == number("front.1") == person["national_id"]
    assert number("manager") == "3576********9001"


def test_only_its_facilitator_and_the_secretariat_write_a_survey(world: World) -> None:
    id = visit_for(world)["id"]
    for who in ("puskesos.wates", "supervisor.magersari", "manager"):
        refused(saved(world, id, who), 403, "role_not_allowed")
    acted(world, "front.1", id, "reassign", data={"facilitator_id": me(world, SECOND)})
    refused(saved(world, id, FIRST), 409, "action_not_allowed")
    assert saved(world, id, "back.1").status_code == 200
    refused(act(world, "back.1", id, "submit_survey"), 422, "missing")
    wrong = {"on_behalf_of": me(world, "front.2")}
    refused(act(world, "back.1", id, "submit_survey", data=wrong), 422, "unknown_facilitator")
    paper = {"on_behalf_of": me(world, FIRST)}
    assert acted(world, "back.1", id, "submit_survey", data=paper)["state"] == "done"
    assert world.as_("front.1").get(f"/visits/{id}/survey").json()["author_id"] == me(world, FIRST)


def test_everybody_who_wrote_a_survey_has_part_in_what_comes_of_it(world: World) -> None:
    visit = visit_for(world)
    change = {
        "kind": "update_household", "household_id": visit["household_id"], "fields": {"rt": "7"},
    }  # fmt: skip
    assert saved(world, visit["id"], "front.2", registry_changes=[change]).status_code == 200
    paper = {"on_behalf_of": me(world, SECOND)}
    acted(world, "back.1", visit["id"], "submit_survey", data=paper)
    [proposed] = changes_of(world, visit["id"])
    authors = {str(id) for id in proposed["authors"]}
    assert authors == {me(world, who) for who in ("front.2", "back.1", SECOND)}


# ── emergencies ──────────────────────────────────────────────────────────────────────────────


def emergency(world: World, **changes: Any) -> Json:
    """An emergency that went up to the supervisor without the visit its route requires."""
    complaint = file(world, priority="emergency", **changes)
    done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")
    draft_referral(world, "front.1", complaint)
    return done(world, "front.1", complaint["id"], "submit_without_visit")


def for_complaint(world: World, id: str) -> list[Json]:
    rows = world.fetch("select * from visits where complaint_id = $1 order by id", id)
    return [dict(row) for row in rows]


def test_an_emergency_that_goes_up_unvisited_is_visited_within_three_days(world: World) -> None:
    complaint = emergency(world)
    [visit] = for_complaint(world, complaint["id"])
    assert (visit["kind"], visit["state"], visit["reason"]) == ("complaint", "open", "emergency")
    assert (visit["due_at"] - visit["created_at"]).days == 3
    assert visit["assignee_id"] is not None
    # Once is enough, also when it is sent up again.
    supervisor = "supervisor.magersari"
    done(world, supervisor, complaint["id"], "return_for_correction", note="Mohon dicek.")
    done(world, "front.1", complaint["id"], "submit_without_visit")
    assert len(for_complaint(world, complaint["id"])) == 1


def test_what_needs_no_visit_or_is_no_emergency_opens_none(world: World) -> None:
    assert for_complaint(world, emergency(world, category="card_problem")["id"]) == []
    complaint = bring(world, "awaiting_supervisor")
    urgent = {"reason": "hospital", "data": {"priority": "emergency"}}
    done(world, "supervisor.magersari", complaint["id"], "set_priority", **urgent)
    # It has been surveyed.
    assert for_complaint(world, complaint["id"]) == []


def test_what_becomes_an_emergency_once_it_is_with_the_supervisor_is_visited(
    world: World,
) -> None:
    complaint = bring(world, "assigned")
    id = complaint["id"]
    done(world, FIRST, id, "record_visit_attempt", data={"result": "refused"})
    assert for_complaint(world, id) == []
    urgent = {"reason": "violence", "data": {"priority": "emergency"}}
    done(world, "supervisor.magersari", id, "set_priority", **urgent)
    [visit] = for_complaint(world, id)
    assert str(visit["assignee_id"]) == me(world, FIRST)
    assert "assigned" in told_steps(world, FIRST, str(visit["id"]))


def test_a_visit_for_a_complaint_without_a_household_is_surveyed_all_the_same(
    world: World,
) -> None:
    complaint = emergency(world)
    [row] = for_complaint(world, complaint["id"])
    id = str(row["id"])
    if str(row["assignee_id"]) != me(world, FIRST):
        acted(world, "front.1", id, "reassign", data={"facilitator_id": me(world, FIRST)})
    assert row["household_id"] is None
    inbox = world.as_(FIRST).get("/inbox", params={"limit": 200}).json()["items"]
    item = next(one for one in inbox if one["id"] == id)
    assert (item["priority"], item["complaint_id"]) == ("emergency", complaint["id"])
    assert item["ticket"] == complaint["ticket"]
    assert saved(world, id).status_code == 200
    assert acted(world, FIRST, id, "submit_survey")["state"] == "done"


def test_an_emergency_is_not_held_up_where_nobody_can_be_sent(fresh_world: World) -> None:
    world = fresh_world
    complaint = file(world, priority="emergency")
    done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")
    draft_referral(world, "front.1", complaint)
    world.fetch(
        "update principals set active = false where id in"
        " (select principal_id from grants where role = 'facilitator')"
    )
    done(world, "front.1", complaint["id"], "submit_without_visit")
    [visit] = for_complaint(world, complaint["id"])
    assert visit["assignee_id"] is None
    id = str(visit["id"])
    inbox = world.as_("front.2").get("/inbox", params={"limit": 200}).json()["items"]
    assert [one["why"] for one in inbox if one["id"] == id] == ["pool"]
    assert world.as_("front.1").get(f"/visits/{id}").json()["assignee"] is None
    assert saved(world, id, "front.1").status_code == 200
    world.advance(days=3, minutes=1)
    world.sweep("sla")
    world.advance(days=1)
    world.sweep("sla")
    assert told_steps(world, "supervisor.magersari", id) == ["level_1"]
    new = hire(world, "baru", ("facilitator", WATES))
    assert acted(world, "front.1", id, "reassign", data={"facilitator_id": new})["assignee"]


# ── inbox and reminders ──────────────────────────────────────────────────────────────────────


def test_a_visit_waits_for_its_facilitator_and_late_for_its_supervisor(fresh_world: World) -> None:
    world = fresh_world
    id = visit_for(world, FIRST)["id"]

    def why(who: str) -> Sequence[str]:
        found = world.as_(who).get("/inbox", params={"limit": 200}).json()["items"]
        return [one["why"] for one in found if one["id"] == id]

    assert why(FIRST) == ["assigned"]
    item = world.as_(FIRST).get("/inbox").json()["items"][0]
    assert (item["kind"], item["subject"]) == ("visit", f"visits/{id}")
    assert item["complaint_id"] is item["ticket"] is item["program_code"] is None
    assert item["priority"] == "normal"
    assert why("supervisor.magersari") == why("front.1") == []
    world.advance(days=14, minutes=1)
    assert why("supervisor.magersari") == ["escalated"]
    assert why("supervisor.prajuritkulon") == []
    summary = world.as_("supervisor.magersari").get("/inbox/summary").json()
    assert summary["overdue"] == 1
    assert world.sweep("sla")["acted"] == 1
    assert world.sweep("sla")["found"] == 0
    assert told_steps(world, FIRST, id) == ["assigned", "reminder"]
    assert told_steps(world, "supervisor.magersari", id) == []
    world.advance(days=1)
    world.sweep("sla")
    world.advance(days=30)
    world.sweep("sla")
    assert told_steps(world, FIRST, id) == ["assigned", "reminder"]
    assert told_steps(world, "supervisor.magersari", id) == ["level_1"]
    history = world.as_("head").get(f"/visits/{id}/events").json()["items"]
    kinds = [one["type"] for one in history if one["by"]["role"] == "system"]
    assert kinds == ["visit.reminded", "visit.escalated"]
    attempt(world, id, "refused")
    assert why(FIRST) == why("supervisor.magersari") == []


def test_where_no_supervisor_is_left_the_manager_is_told_of_a_late_visit(
    fresh_world: World,
) -> None:
    world = fresh_world
    id = visit_for(world, FIRST)["id"]
    dismiss(world, "supervisor.magersari")
    world.advance(days=16)
    world.sweep("sla")
    assert told_steps(world, "manager", id) == ["level_1"]
    # Put off, it is reminded of anew.
    attempt(world, id, "not_home")
    world.advance(days=1, minutes=1)
    world.sweep("sla")
    assert told_steps(world, FIRST, id) == ["assigned", "reminder", "reminder"]


def test_a_step_that_was_taken_is_not_taken_twice(fresh_world: World) -> None:
    world = fresh_world
    id = visit_for(world, FIRST)["id"]
    world.advance(days=14, minutes=1)
    world.sweep("sla")
    world.fetch("update visits set steps_taken = 0, next_step_at = due_at where id = $1", id)
    world.sweep("sla")
    assert told_steps(world, FIRST, id) == ["assigned", "reminder"]
