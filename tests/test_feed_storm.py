"""The feed under a storm: nothing missed, nothing twice, nothing out of order per subject."""

import asyncio
import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from app.domain.actors import SYSTEM
from app.domain.base import new_id, region_columns, slrt_now
from app.domain.events import Event, Events
from tests.conftest import PROGRAMS, TLS, Cluster, World, serve
from tests.flows import WATES, file
from tests.test_concurrency import Log, count
from tests.test_exports import many
from tests.test_feed import latest, read, refused

Seen = list[tuple[str, str, str, int]]


class Storm(Log):
    """Writers that append referral events, half of them of PKH; readers of the feed over HTTP."""

    owned: set[UUID]

    async def append(self, session: Any, subject: UUID) -> Event:
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(str(subject)))
        await session.execute(sa.select(lock))
        event = Event(
            type="referral.received", collection="referrals", subject_id=subject,
            subject_version=self.versions[subject] + 1, state="received", handed_over=True,
            program_code="PKH" if subject in self.owned else "PIP",
            actor_id=SYSTEM.id, at=await slrt_now(session), **region_columns(WATES),
        )  # fmt: skip
        Events(session).append(event)
        await session.flush()
        return event

    async def follow_as(self, who: str, cursor: str, rng: random.Random) -> Seen:
        """Read page after page, long polls and short ones, until nothing comes after the end."""
        seen: Seen = []
        token = {"Authorization": f"Bearer {self.world.token(who)}"}
        async with httpx.AsyncClient(
            base_url=f"{self.world.base_url}/v1", headers=token, verify=TLS, timeout=60
        ) as api:
            while True:
                over = not self.writing
                params = {"cursor": cursor, "limit": rng.choice([7, 100, 1000])}
                answer = await api.get("/changes", params=params | {"wait": rng.choice([0, 1])})
                assert answer.status_code == 200, answer.text
                page = answer.json()
                for one in page["items"]:
                    data = one["data"]
                    seen.append((one["sequence"], one["id"], data["id"], data["version"]))
                assert page["items"] or page["next_cursor"] == cursor
                cursor = page["next_cursor"]
                if over and not page["items"]:
                    return seen

    async def storm(self, writers: int, readers: int, events: int) -> dict[str, list[Seen]]:
        """One transaction is held open the whole time, and commits last."""
        rng = random.Random(20261124)
        self.owned = {*self.subjects[::2]}
        names = ["manager", "agency-pkh"]
        begun = {who: latest(self.world, who) for who in names}
        held_subject = new_id()
        self.owned.add(held_subject)
        async with self.sessions() as held:
            late = await self.append(held, held_subject)
            async with asyncio.TaskGroup() as group:
                following = [
                    (who, group.create_task(self.follow_as(who, begun[who], random.Random(n))))
                    for n, who in enumerate(names * (readers // 2))
                ]
                async with asyncio.TaskGroup() as writing:
                    for _ in range(writers):
                        one = random.Random(rng.random())
                        writing.create_task(self.write(events // writers, one))
                # Whoever is still writing holds up nobody else's events.
                while await count(self.world, "events where pos is null"):
                    await self.number_the_rest()
                await held.commit()
                self.committed.append(late.id)
                self.versions[held_subject] = 1
                self.writing = False
        return {who: [task.result() for name, task in following if name == who] for who in names}


async def weather(world: World, writers: int, readers: int, events: int) -> None:
    storm = Storm(world, [new_id() for _ in range(max(4, writers // 3))])
    try:
        seen_by = await storm.storm(writers, readers, events)
    finally:
        await storm.engine.dispose()
    assert len(storm.committed) == events + 1
    for who, followers in seen_by.items():
        subjects = set(storm.versions) if who == "manager" else storm.owned
        expected = {str(one): storm.versions[one] for one in subjects if storm.versions[one]}
        for seen in followers:
            positions = [row[0] for row in seen]
            assert positions == sorted(set(positions)), "a position twice, or going back"
            assert max(Counter(row[1] for row in seen).values()) == 1, "an event twice"
            order: dict[str, list[int]] = {}
            for _, _, subject, version in seen:
                order.setdefault(subject, []).append(version)
            # Each subject whole and in order, and nobody else's.
            assert order == {one: list(range(1, last + 1)) for one, last in expected.items()}


async def test_readers_of_the_feed_miss_nothing_and_see_nothing_twice(fresh_world: World) -> None:
    await weather(fresh_world, writers=8, readers=4, events=400)


@pytest.fixture
def patient_world(cluster: Cluster) -> Iterator[World]:
    """A server that does not mind how often it is asked."""
    with cluster.clone() as database, serve(cluster, database, rate_burst=100_000) as world:
        yield world


@pytest.mark.deep
async def test_30_writers_8_readers_and_10000_events_miss_nothing(patient_world: World) -> None:
    await weather(patient_world, writers=30, readers=8, events=10_200)


async def change(world: World, ids: list[UUID], rng: random.Random, changes: int) -> None:
    """A writer: referrals go on by one version, each with its event."""
    storm = Storm(world, ids)
    storm.owned = {*ids}
    try:
        for _ in range(changes):
            async with storm.sessions.begin() as session:
                id = rng.choice(ids)
                query = sa.text(
                    "update referrals set version = version + 1, state = 'received'"
                    " where id = :id returning version"
                )
                version = await session.scalar(query, {"id": id})
                storm.versions[id] = version - 1
                await storm.append(session, id)
                await asyncio.sleep(rng.uniform(0, 0.01))
    finally:
        await storm.engine.dispose()


async def test_an_export_and_what_follows_it_is_all_there_is(fresh_world: World) -> None:
    world = fresh_world
    file(world)
    await asyncio.to_thread(many, world, 40)
    ids = [row["id"] for row in await world.afetch("select id from referrals")]
    token = {"Authorization": f"Bearer {world.token('agency-pkh')}"}
    taken = []
    async with httpx.AsyncClient(
        base_url=f"{world.base_url}/v1", headers=token, verify=TLS, timeout=60
    ) as api:
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(change(world, ids, random.Random(n), 40))
            for _ in range(6):
                await asyncio.sleep(0.05)
                taken.append((await api.get("/exports/referrals")).text.splitlines())
        last = {
            str(row["id"]): row["version"]
            for row in await world.afetch("select id, version from referrals")
        }
        between = 0
        for *rows, end in taken:
            exported = {row["id"]: row["version"] for row in map(json.loads, rows)}
            params = {"cursor": json.loads(end)["cursor"], "limit": 1000}
            items = (await api.get("/changes", params=params)).json()["items"]
            follows: dict[str, list[int]] = {id: [] for id in exported}
            for one in items:
                # What the export holds already is told once more at the most, never left out.
                if one["data"]["version"] > exported[one["data"]["id"]]:
                    follows[one["data"]["id"]].append(one["data"]["version"])
            assert follows == {
                id: list(range(version + 1, last[id] + 1)) for id, version in exported.items()
            }
            between += 0 < len(items) < 240
        assert between, "no export was taken in the middle"


def test_a_dump_that_is_restored_begins_another_epoch(cluster: Cluster, world: World) -> None:
    programs = Path(PROGRAMS or "/usr/lib/postgresql/15/bin")
    server = int(world.fetch("show server_version_num")[0][0]) // 10_000
    dump = programs / "pg_dump"
    if not dump.exists() or f" {server}." not in subprocess.getoutput(f"{dump} --version"):
        pytest.skip("no pg_dump of the server's version")
    cursor = latest(world, "manager")
    file(world)
    connection = ["-h", str(cluster.socket_dir), "-p", "5432", "-U", "slrt"]
    copy = f"{world.database}_restored"
    sql = subprocess.run([dump, *connection, world.database], capture_output=True, check=True)
    cluster.execute("postgres", f"create database {copy}")
    try:
        subprocess.run(
            [programs / "psql", *connection, "-q", "-v", "ON_ERROR_STOP=1", copy],
            input=sql.stdout, check=True, stdout=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        with serve(cluster, copy) as restored:
            restored.tokens |= world.tokens
            refused(restored, "manager", 410, "feed_reset", cursor=cursor)
            anew = latest(restored, "manager")
            file(restored)
            assert len(read(restored, "manager", cursor=anew)["items"]) == 1
    finally:
        cluster.execute("postgres", f"drop database {copy} with (force)")
