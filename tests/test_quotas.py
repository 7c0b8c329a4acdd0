"""Quotas: places taken by what is sent, given back, used; and the line of those who wait."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, Cluster, World, serve
from tests.flows import WATES, act_on_referral, etag, get, hire, key, version
from tests.referring import (
    OWNER,
    Json,
    approved,
    did,
    forwarded,
    named,
    referral,
)
from tests.refusals import faults, refused

THIS_YEAR, NEXT_YEAR = ("2026-01-01", "2026-12-31"), ("2027-01-01", "2027-12-31")


def add(
    world: World, program: str, places: int, managed: bool = True, who: str = OWNER,
    period: tuple[str, str] = THIS_YEAR, region: str = "35.76", headers: Any = None,
) -> httpx.Response:  # fmt: skip
    body = {
        "region_code": region, "starts_on": period[0], "ends_on": period[1], "places": places,
        "quota_managed_here": managed,
    }  # fmt: skip
    return world.as_(who).post(f"/programs/{program}/quotas", json=body, headers=headers or key())


def added(world: World, *args: Any, **more: Any) -> str:
    answer = add(world, *args, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"]).removeprefix("/v1")


def change(
    world: World, path: str, places: int, managed: bool = True, who: str = OWNER, **headers: str
) -> httpx.Response:
    body = {"places": places, "quota_managed_here": managed}
    return world.as_(who).put(
        path, json=body, headers={"If-Match": etag(world, who, path), **key()} | headers
    )


def counts(world: World, path: str) -> tuple[int, int, int]:
    """Reserved, used and waiting: as the quota says it, and as the referrals have it."""
    quota = world.as_("front.1").get(path).json()
    said = (quota["reserved"], quota["used"], quota["waiting"])
    rows = world.fetch(
        """
        select count(*) filter (where waiting_number is null
            and state in ('sent', 'received', 'info_requested', 'waitlisted')),
          count(*) filter (where state in ('granted', 'benefit_confirmed')),
          count(*) filter (where waiting_number is not null and state = 'waitlisted')
        from referrals where quota_id = $1
        """,
        quota["id"],
    )
    assert said == tuple(rows[0].values())
    assert quota["free"] == quota["places"] - quota["reserved"] - quota["used"] >= 0
    return said


def line(world: World, ids: Sequence[str]) -> list[tuple[str, int | None]]:
    found = [referral(world, id) for id in ids]
    return [(one["state"], one["waiting_position"]) for one in found]


def sent(world: World, program: str, count: int) -> list[str]:
    """Referrals to a programme, forwarded together, in their order."""
    complaint = forwarded(world, *(named(f"Bu Tin {n}", program) for n in range(count)))
    return list(complaint["referral_ids"])


def test_a_full_quota_stops_nobody_and_those_who_wait_move_up_in_order(world: World) -> None:
    quota = added(world, "RASTRA", 2)
    complaint = forwarded(world, *(named(f"Bu {n}", "RASTRA") for n in range(5)))
    a, b, c, d, e = ids = complaint["referral_ids"]
    waiting = [("waitlisted", 1), ("waitlisted", 2), ("waitlisted", 3)]
    assert line(world, ids) == [("sent", None)] * 2 + waiting
    assert counts(world, quota) == (2, 0, 3)
    one = referral(world, c)
    assert one["sent_at"]
    assert one["answered_at"] == one["sent_at"]
    # Who waits in line has no place to be granted.
    assert "grant" not in referral(world, c, OWNER)["actions"]
    refused(act_on_referral(world, OWNER, c, "grant"), 409, "quota_full")
    # A place that comes free goes to the first in line, whose owner has its time from then on.
    world.advance(days=20)
    did(world, OWNER, a, "decline", reason="not_eligible")
    assert line(world, ids) == [
        ("declined", None), ("sent", None), ("sent", None), ("waitlisted", 1), ("waitlisted", 2),
    ]  # fmt: skip
    moved = referral(world, c)
    assert moved["answered_at"] is moved["informed_at"] is None
    assert moved["sent_at"] > one["sent_at"]
    passed = datetime.fromisoformat(moved["due_at"]) - datetime.fromisoformat(moved["sent_at"])
    assert passed == timedelta(days=7)
    events = world.as_(OWNER).get(f"/referrals/{c}/events").json()["items"]
    assert [(event["type"], event["by"]["role"]) for event in events[-3:]] == [
        ("referral.sent", "manager"), ("referral.waitlisted", "system"),
        ("referral.moved_up", "system"),
    ]  # fmt: skip
    # Whoever is cancelled in line lets the next one nearer; the places stay.
    did(world, "front.1", d, "cancel", reason="Sudah pindah.")
    assert line(world, [e]) == [("waitlisted", 1)]
    did(world, OWNER, b, "grant")
    assert counts(world, quota) == (1, 1, 1)
    # A raised quota moves up as many as it has room for.
    assert change(world, quota, 3).json()["reserved"] == 2
    assert line(world, [e]) == [("sent", None)]
    did(world, "front.1", e, "cancel", reason="Sudah pindah.")
    assert counts(world, quota) == (1, 1, 0)
    did(world, OWNER, c, "grant")
    assert get(world, "front.1", complaint["id"])["outcome"] == "partly_granted"


def test_a_complaint_whose_referrals_all_wait_is_answered_at_once(world: World) -> None:
    added(world, "KKS", 0)
    complaint = forwarded(world, named("Bu Tin", "KKS"))
    assert (complaint["state"], complaint["outcome"]) == ("answered", "waitlisted")


def test_an_owner_may_let_somebody_wait_whose_place_goes_to_the_next(world: World) -> None:
    quota = added(world, "BPNT", 1)
    first, second, third = ids = sent(world, "BPNT", 3)
    did(world, OWNER, first, "acknowledge")
    did(world, OWNER, first, "waitlist")
    assert line(world, ids) == [("waitlisted", 2), ("sent", None), ("waitlisted", 1)]
    # Who waits already keeps its turn.
    did(world, OWNER, third, "waitlist")
    assert line(world, [third]) == [("waitlisted", 1)]
    did(world, OWNER, second, "decline", reason="other")
    did(world, OWNER, third, "waitlist")
    assert line(world, ids) == [("sent", None), ("declined", None), ("waitlisted", 1)]
    # With nobody else in line it waits all the same, and is served before whoever comes next.
    did(world, OWNER, first, "waitlist")
    did(world, "front.1", third, "cancel", reason="Pindah.")
    assert line(world, ids)[0] == ("sent", None)
    did(world, OWNER, first, "waitlist")
    assert line(world, ids)[0] == ("waitlisted", 1)
    assert counts(world, quota) == (0, 0, 1)
    [newcomer] = sent(world, "BPNT", 1)
    assert line(world, [first, newcomer]) == [("sent", None), ("waitlisted", 1)]
    assert counts(world, quota) == (1, 0, 1)


def test_elsewhere_a_quota_is_information(world: World) -> None:
    [before] = sent(world, "PBI_JKN", 1)
    quota = added(world, "PBI_JKN", 0, managed=False)
    [id] = sent(world, "PBI_JKN", 1)
    assert line(world, [id]) == [("sent", None)]
    did(world, OWNER, id, "waitlist")
    assert line(world, [id]) == [("waitlisted", None)]
    # Managed here from now on: who has no place needs one, or waits for one.
    assert change(world, quota, 1).status_code == 200
    did(world, OWNER, id, "grant")
    refused(act_on_referral(world, OWNER, before, "grant"), 409, "quota_full")
    did(world, OWNER, before, "waitlist")
    assert line(world, [before]) == [("waitlisted", 1)]
    refused(change(world, quota, 1, managed=False), 409, "quota_in_use")
    did(world, OWNER, before, "decline", reason="quota_full")
    assert counts(world, quota) == (0, 1, 0)
    assert change(world, quota, 1, managed=False).json()["quota_managed_here"] is False


def test_who_waited_in_a_quota_that_ended_comes_first_in_the_next(fresh_world: World) -> None:
    world = fresh_world
    old = added(world, "PKH", 0)
    first, second = sent(world, "PKH", 2)
    village = added(world, "PKH", 1, region="35.76.02", period=NEXT_YEAR)
    assert world.sweep("waiting_lists")["found"] == 0
    world.advance(days=120)
    # Before the sweep has come by, somebody else is sent: behind those who wait.
    [newcomer] = sent(world, "PKH", 1)
    ids = [first, second, newcomer]
    assert line(world, ids) == [("sent", None), ("waitlisted", 1), ("waitlisted", 2)]
    assert counts(world, old) == (0, 0, 0)
    assert counts(world, village) == (1, 0, 2)
    # The year after, the sweep moves them on, and the quota may be named late.
    world.advance(days=365)
    assert world.sweep("waiting_lists")["found"] == 0
    again = added(world, "PKH", 1, period=("2028-01-01", "2028-12-31"))
    assert line(world, ids) == [("sent", None), ("sent", None), ("waitlisted", 1)]
    assert counts(world, again) == (1, 0, 1)
    later = added(world, "PKH", 5, period=("2029-01-01", "2029-12-31"))
    world.advance(days=366)
    run = world.sweep("waiting_lists")
    assert (run["found"], run["failed"]) == (1, 0)
    assert line(world, [newcomer]) == [("sent", None)]
    # A place of a quota that has ended is still used, and given back there; who is let to wait
    # waits in the one now in force.
    did(world, OWNER, first, "grant")
    did(world, OWNER, second, "waitlist")
    assert [counts(world, path) for path in (village, again, later)] == [
        (0, 1, 0), (0, 0, 0), (1, 0, 1),
    ]  # fmt: skip
    did(world, OWNER, second, "decline", reason="other")
    assert counts(world, later) == (1, 0, 0)


def test_quotas_are_kept_by_the_programmes_manager_of_the_region(world: World) -> None:
    hire(world, "program.kota2", ("program_manager", "35.76.01", "PIP"))
    refused(add(world, "PIP", 5, who="program.kota2"), 403, "role_not_allowed")
    for who in ("program.2", "manager", "front.1", "agency-pkh"):
        refused(add(world, "PIP", 5, who=who), 403, "role_not_allowed")
    refused(add(world, "NASI", 5), 404, "not_found")
    path = added(world, "PIP", 5, who="program.kota2", region="35.76.01")
    refused(change(world, path, 6, who="program.2"), 403, "role_not_allowed")
    for nowhere in (path.replace("PIP", "PKH"), f"{path[:-12]}{0:012}", f"{path[:-3]}xyz"):
        refused(world.as_(OWNER).get(nowhere), 404, "not_found")
    quota = world.as_("agency-pkh").get(path).json()
    assert quota["region_code"] == "35.76.01"
    assert change(world, path, 7).json()["version"] == quota["version"] + 1
    refused(change(world, path, 7, **{"If-Match": '"1"'}), 412, "stale_version")
    # One in force at a time, for every part of the region.
    for region in ("35.76", "35.76.01", "35.76.01.1004"):
        refused(add(world, "PIP", 5, region=region), 409, "quota_overlaps")
    east = added(world, "PIP", 5, region="35.76.02")
    added(world, "PIP", 5, region="35.76.01", period=NEXT_YEAR)
    listed = world.as_("front.1").get("/programs/PIP/quotas", params={"region": WATES}).json()
    assert [one["region_code"] for one in listed["items"]] == ["35.76.02"]
    found = world.as_("front.1").get("/programs/PIP/quotas", params={"on": "2027-05-01"}).json()
    assert [one["starts_on"] for one in found["items"]] == ["2027-01-01"]
    first = world.as_("front.1").get("/programs/PIP/quotas", params={"limit": 2}).json()
    rest = {"limit": 2, "cursor": first["next_cursor"]}
    last = world.as_("front.1").get("/programs/PIP/quotas", params=rest).json()
    assert [len(first["items"]), len(last["items"]), last["next_cursor"]] == [2, 1, None]
    written = world.as_(OWNER).get(f"{path}/events").json()["items"]
    assert [event["type"] for event in written] == ["quota.added", "quota.changed"]
    assert [event["data"]["places"] for event in written] == [5, 7]
    assert east != path


def test_a_quota_is_never_below_what_is_taken(world: World) -> None:
    path = added(world, "BOS", 3)
    first, _ = sent(world, "BOS", 2)
    did(world, OWNER, first, "grant")
    answer = change(world, path, 1)
    refused(answer, 422, "quota_below_taken")
    assert faults(answer) == {"/places": "too_small"}
    assert "2" in answer.json()["errors"][0]["detail"]
    assert change(world, path, 2).json()["free"] == 0
    answer = add(world, "BOS", -1, period=NEXT_YEAR)
    refused(answer, 422, "validation_failed")
    for period in (("2027-02-01", "2027-01-01"), ("2027-01-01", "2099-01-01")):
        answer = add(world, "BOS", 1, period=period)
        assert faults(answer) == {"/ends_on": "period_invalid"}
    answer = add(world, "BOS", 1, region="35.76.99", period=NEXT_YEAR)
    assert answer.status_code == 422
    assert faults(answer) == {"/region_code": "unknown_region"}


def test_a_retry_adds_and_changes_a_quota_once(world: World) -> None:
    headers = key()
    period = ("2030-01-01", "2030-12-31")
    first = add(world, "PIP", 4, period=period, headers=headers)
    again = add(world, "PIP", 4, period=period, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    path = first.headers["location"].removeprefix("/v1")
    same = {"If-Match": '"1"', **key()}
    body = {"places": 9, "quota_managed_here": True}
    answers = [world.as_(OWNER).put(path, json=body, headers=same) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["version"] for answer in answers] == [2, 2]


async def _together(world: World, calls: Sequence[tuple[str, str, Json, Json]]) -> list[int]:
    """Send all at the same time, again where the server is busy."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=world.base_url, timeout=120, limits=limits, verify=TLS
    ) as client:

        async def one(who: str, path: str, body: Json, headers: Json) -> int:
            signed = headers | {"Authorization": f"Bearer {world.token(who)}"}
            answer = await client.post(f"/v1{path}", json=body, headers=signed)
            while "retry-after" in answer.headers:
                await asyncio.sleep(random.uniform(0.1, 1))
                answer = await client.post(f"/v1{path}", json=body, headers=signed)
            return answer.status_code

        return await asyncio.gather(*(one(*call) for call in calls))


def takers(world: World, program: str, count: int) -> list[Json]:
    """Complaints with one approved referral each, ready to be forwarded."""
    return [approved(world, named(f"Bu {n}", program)) for n in range(count)]


def forwards(complaints: Sequence[Json]) -> list[tuple[str, str, Json, Json]]:
    return [
        (
            "manager", f"/complaints/{one['id']}/actions", {"action": "forward"},
            {"If-Match": version(one), **key()},
        )
        for one in complaints
    ]  # fmt: skip


async def _storm(world: World, count: int, places: int) -> None:
    quota = await asyncio.to_thread(added, world, "PKH", places)
    complaints = await asyncio.to_thread(takers, world, "PKH", count)
    calls = forwards(complaints)
    # Every one is sent twice under its key: a retry takes no second place.
    assert await _together(world, calls + calls) == [200] * (2 * count)
    assert await asyncio.to_thread(counts, world, quota) == (places, 0, count - places)
    ids = [one["referral_ids"][0] for one in complaints]
    stands = await asyncio.to_thread(line, world, ids)
    assert sorted(position or 0 for _, position in stands) == [
        *[0] * places, *range(1, count - places + 1),
    ]  # fmt: skip
    # Those with a place are all declined at once: as many move up, those who waited the longest.
    holding = [id for id, (state, _) in zip(ids, stands, strict=True) if state == "sent"]
    next_ones = {
        id for id, (_, place) in zip(ids, stands, strict=True) if place and place <= places
    }
    declines = [
        (
            OWNER, f"/referrals/{id}/actions", {"action": "decline", "reason": "other"},
            {"If-Match": await asyncio.to_thread(etag, world, OWNER, f"/referrals/{id}"), **key()},
        )
        for id in holding
    ]  # fmt: skip
    assert await _together(world, declines + declines) == [200] * (2 * places)
    now = dict(zip(ids, await asyncio.to_thread(line, world, ids), strict=True))
    assert {id for id, (state, _) in now.items() if state == "sent"} == next_ones
    assert await asyncio.to_thread(counts, world, quota) == (places, 0, count - 2 * places)


async def test_two_last_places_and_ten_takers(fresh_world: World) -> None:
    await _storm(fresh_world, 10, 2)


@pytest.mark.deep
def test_200_takers_at_once_are_exact(cluster: Cluster) -> None:
    with (
        cluster.clone() as database,
        serve(cluster, database, rate_per_minute=10**6, rate_burst=10**6) as world,
    ):
        asyncio.run(_storm(world, 200, 50))


async def test_raising_releasing_and_taking_at_once_loses_no_place(fresh_world: World) -> None:
    world = fresh_world
    quota = await asyncio.to_thread(added, world, "PKH", 2)
    first = await asyncio.to_thread(takers, world, "PKH", 4)
    await _together(world, forwards(first))
    second = await asyncio.to_thread(takers, world, "PKH", 3)
    ids = [one["referral_ids"][0] for one in first]
    cancels = [
        (
            "front.1", f"/referrals/{id}/actions", {"action": "cancel", "reason": "Pindah."},
            {"If-Match": await asyncio.to_thread(etag, world, OWNER, f"/referrals/{id}"), **key()},
        )
        for id in ids[:2]
    ]  # fmt: skip
    raising = asyncio.to_thread(change, world, quota, 4)
    statuses, raised = await asyncio.gather(_together(world, forwards(second) + cancels), raising)
    # A referral that moved up meanwhile has another version; it is read again, as a person would.
    assert set(statuses) <= {200, 412}
    assert raised.status_code == 200
    reserved, used, waiting = await asyncio.to_thread(counts, world, quota)
    open_ = 7 - statuses.count(200) + 3
    assert (reserved, used, waiting) == (4, 0, open_ - 4)
