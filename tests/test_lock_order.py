"""Merging, forwarding and linking at once: nobody waits in a ring, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from tests.conftest import World
from tests.flows import act as act_on_complaint
from tests.flows import bring, check_registry, draft_referral, file
from tests.flows import done as complaint_done
from tests.homes import home, person
from tests.test_registry_changes import MANAGER, SUPERVISOR, act, done, proposed

Json = dict[str, Any]


@asynccontextmanager
async def held(world: World, table: str, id: str) -> AsyncIterator[asyncpg.Connection]:
    """A row that somebody else holds just now."""
    connection = await asyncpg.connect(
        host=str(world.cluster.socket_dir), user="slrt", database=world.database
    )
    try:
        await connection.execute("begin")
        await connection.execute(f"select from {table} where id = '{id}' for update")
        yield connection
    finally:
        await connection.close()


async def waiting(world: World, many: int) -> None:
    """Until so many wait for a lock."""
    for _ in range(100):
        found = await world.afetch(
            "select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
            world.database,
        )
        if len(found) >= many:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


def two_homes(world: World) -> tuple[str, str]:
    """A household and the one it is a duplicate of, each with a head."""
    ids = [home(world), home(world)]
    for id in ids:
        person(world, id, "Siti Aminah")
    return str(ids[0]), str(ids[1])


def merge(world: World, twice: str, stays: str) -> Json:
    """A merge that the manager has still to approve."""
    change = proposed(world, "front.1", kind="merge_duplicate", household_id=twice, into_id=stays)
    return done(world, SUPERVISOR, change["id"], "approve")


def about(world: World, household: str) -> Json:
    """A complaint about a household, with a change of it, that the manager has still to forward."""
    complaint = bring(world, "at_secretariat", category="program_not_received")
    id = complaint["id"]
    world.fetch("update complaints set household_id = $2 where id = $1", id, household)
    draft_referral(world, "front.1", complaint)
    fields = {"floor": "earth"}
    proposed(world, "front.1", kind="update_household", household_id=household, fields=fields,
        complaint_id=id)  # fmt: skip
    complaint_done(world, "front.1", id, "submit_without_visit")
    return complaint_done(world, SUPERVISOR, id, "approve")


def where(world: World, complaint: Json) -> tuple[str, str]:
    row = world.fetch("select state, household_id from complaints where id = $1", complaint["id"])
    return row[0]["state"], str(row[0]["household_id"])


async def asked(function: Any, *arguments: Any, **named: Any) -> httpx.Response:
    answer: httpx.Response = await asyncio.to_thread(function, *arguments, **named)
    return answer


async def test_a_merge_waits_for_the_forward_of_what_it_moves(world: World) -> None:
    twice, stays = await asyncio.to_thread(two_homes, world)
    complaint = await asyncio.to_thread(about, world, twice)
    change = await asyncio.to_thread(merge, world, twice, stays)
    read = {"if_match": f'"{complaint["version"]}"'}
    async with held(world, "registry_changes", complaint["registry_change_ids"][0]):
        forward = asyncio.create_task(
            asked(act_on_complaint, world, MANAGER, complaint["id"], "forward", **read)
        )
        await waiting(world, 1)
        approval = asyncio.create_task(
            asked(act, world, MANAGER, change["id"], "approve", f'"{change["version"]}"')
        )
        await waiting(world, 2)
    assert [(await forward).status_code, (await approval).status_code] == [200, 200]
    # The household was changed under the merge, which is looked at again.
    assert (await approval).json()["state"] == "returned"
    assert await asyncio.to_thread(where, world, complaint) == ("forwarded", twice)


async def test_forwards_and_merges_at_once_all_come_to_an_end(world: World) -> None:
    sets = []
    for _ in range(3):
        twice, stays = await asyncio.to_thread(two_homes, world)
        complaints = [await asyncio.to_thread(about, world, twice) for _ in range(2)]
        sets.append((stays, complaints, await asyncio.to_thread(merge, world, twice, stays)))
    calls = []
    for _, complaints, change in sets:
        calls += [
            asked(act_on_complaint, world, MANAGER, one["id"], "forward",
                if_match=f'"{one["version"]}"')
            for one in complaints
        ]  # fmt: skip
        calls.insert(
            len(calls) - 1,
            asked(act, world, MANAGER, change["id"], "approve", f'"{change["version"]}"'),
        )
    answers = await asyncio.gather(*calls)
    # Where the merge came first, the complaint's version has stayed: it is moved, not decided on.
    assert [one.status_code for one in answers if one.status_code != 200] == []
    for stays, complaints, change in sets:
        [merged] = await world.afetch("select state from registry_changes where id = $1",
            UUID(change["id"]))  # fmt: skip
        for one in complaints:
            state, household = await asyncio.to_thread(where, world, one)
            assert state == "forwarded"
            assert (household == stays) == (merged["state"] == "manager_approved")


async def test_a_complaint_linked_while_its_household_is_merged_follows_it(world: World) -> None:
    twice, stays = await asyncio.to_thread(two_homes, world)
    complaint, later = [await asyncio.to_thread(file, world) for _ in range(2)]
    found = f'{{"outcome": "registered", "household_id": "{twice}"}}'
    for one in (complaint, later):
        await asyncio.to_thread(check_registry, world, one["id"])
        await world.afetch(
            "update complaints set registry_check = registry_check || $2::jsonb where id = $1",
            UUID(one["id"]), found,
        )  # fmt: skip
    change = await asyncio.to_thread(merge, world, twice, stays)
    read = {"if_match": f'"{complaint["version"]}"'}
    who = "puskesos.wates"
    async with held(world, "households", stays):
        approval = asyncio.create_task(
            asked(act, world, MANAGER, change["id"], "approve", f'"{change["version"]}"')
        )
        await waiting(world, 1)
        linked = asyncio.create_task(
            asked(act_on_complaint, world, who, complaint["id"], "forward_to_secretariat", **read)
        )
        await waiting(world, 2)
    assert (await approval).json()["state"] == "manager_approved"
    assert (await linked).status_code == 200
    await asyncio.to_thread(complaint_done, world, who, later["id"], "forward_to_secretariat")
    for one in (complaint, later):
        assert await asyncio.to_thread(where, world, one) == ("at_secretariat", stays)


async def test_what_comes_along_while_a_merge_waits_is_moved_too(world: World) -> None:
    twice, stays = await asyncio.to_thread(two_homes, world)
    change = await asyncio.to_thread(merge, world, twice, stays)
    complaint = await asyncio.to_thread(file, world)
    async with held(world, "households", twice) as other:
        approval = asyncio.create_task(
            asked(act, world, MANAGER, change["id"], "approve", f'"{change["version"]}"')
        )
        await waiting(world, 1)
        # Whoever holds the household links a complaint to it, and holds on to that one.
        await other.execute(
            f"update complaints set household_id = '{twice}' where id = '{complaint['id']}'"
        )
        await other.execute("commit")
    assert (await approval).json()["state"] == "manager_approved"
    assert await asyncio.to_thread(where, world, complaint) == ("received", stays)
