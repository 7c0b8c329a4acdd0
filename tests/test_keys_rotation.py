"""Sealing keys rotate beside running work: nothing is lost, whatever is killed or written."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import cli, keys, rotation
from app.database import Sessions, create_engine, create_sessions
from app.domain.base import new_id
from app.domain.sealed import SEALED, SealedValues
from app.domain.tables import metadata
from app.keys import KeysError
from app.settings import Settings
from tests import processes
from tests.conftest import World, serve
from tests.flows import NATIONAL_ID, bring, file, get, key
from tests.papers import small, uploaded
from tests.processes import on
from tests.registry_files import operation, own, send

FAMILY_CARD = "3576022307159012"
# Bytes that are no secrets.
IN_CLEAR = ("_index", "_sha256", "idempotency_keys.fingerprint", "device_writes.fingerprint")


@pytest.fixture
def ring(fresh_world: World, tmp_path: Path) -> Path:
    """The keys of the world in a file of its own, which may change."""
    path = tmp_path / "keys.json"
    shutil.copy(fresh_world.cluster.keys_file, path)
    return path


@pytest.fixture
def slrt(
    fresh_world: World,
    ring: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """`slrt keys …` on the world and its keys: what it says, and with which code it must end."""
    settings = Settings(
        _env_file=None, database_url=fresh_world.url, keys_file=ring, evidence_dir=fresh_world.files
    )
    monkeypatch.setattr(cli, "get_settings", lambda: settings)

    def run(*command: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main(["keys", *command])
        said = capsys.readouterr()
        assert (ended.value.code or 0) == code, said
        return said.out + said.err

    return run


def sessions_of(world: World, ring: Path) -> Sessions:
    engine = create_engine(world.url, 5)
    return create_sessions(engine, keys.load(ring).data)


def counted(world: World, ring: Path) -> dict[str, int]:
    async def go() -> dict[str, int]:
        sessions = sessions_of(world, ring)
        found = await rotation.under(sessions)
        await sessions.kw["bind"].dispose()
        return dict(found)

    return asyncio.run(go())


def test_every_sealed_column_is_known() -> None:
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert {one.name for one in SEALED} == {one for one in binary if not one.endswith(IN_CLEAR)}
    assert len({one.name for one in SEALED}) == len(SEALED)


def test_a_key_is_added_used_and_retired(
    fresh_world: World, ring: Path, slrt: Callable[..., str]
) -> None:
    world = fresh_world
    complaint = bring(
        world, "awaiting_supervisor",
        subject={"national_id": NATIONAL_ID, "family_card_number": FAMILY_CARD, "name": "Siti"},
    )  # fmt: skip
    waits = send(world, own({})).json()["id"]
    [piece] = world.fetch("select content from operation_chunks")
    assert b"Siti Aminah" not in piece["content"]
    before = counted(world, ring)
    assert before.keys() == {"k1"}
    assert "There is one sealing key alone" in slrt("rotate", code=1)
    assert "added k2" in slrt("add")
    assert counted(world, ring) == before
    assert "values are sealed under k1" in slrt("retire", "k1", code=1)
    assert "everything is sealed under k2" in slrt("rotate")
    assert counted(world, ring) == {"k2": before["k1"]}
    shown = slrt("status")
    assert "new values are sealed under k2" in shown
    assert "members.national_id" in shown
    assert "retired k1" in slrt("retire", "k1")
    assert "no sealing key k1" in slrt("retire", "k1", code=1)
    # An id is never given again, also that of a key that is gone.
    assert "added k3" in slrt("add")
    assert json.loads(ring.read_text())["sealing"]["keys"].keys() == {"k2", "k3"}
    assert ring.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in ring.parent.iterdir()] == ["keys.json"]
    with pytest.raises(KeysError, match="cannot be retired"):
        keys.retire(ring, "k2")
    # What was sealed under the first key is read by servers that know the second alone.
    cluster = world.cluster
    late = type(cluster)(cluster.socket_dir, keys.load(ring), ring)
    with serve(late, world.database) as other:
        read = get(other, "front.1", complaint["id"])
        assert read["subject"] == get_subject()
        survey = other.as_("supervisor.magersari").get(f"/complaints/{complaint['id']}/survey")
        assert survey.json()["answers"]
        asked = {"national_id": NATIONAL_ID}
        found = other.as_("puskesos.wates").post("/complaints/search", json=asked).json()
        assert complaint["id"] in {one["id"] for one in found["items"]}
        other.sweep("operations")
        assert operation(other, waits)["status"] == "succeeded"
    assert world.fetch("select from operation_chunks") == []


def test_files_are_sealed_anew_and_hold_their_key_until_then(
    fresh_world: World, ring: Path, slrt: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "PAUSE", 0.01)
    monkeypatch.setattr(rotation, "FILES_AT_ONCE", 2)
    world = fresh_world
    complaint = file(world)["id"]
    documents = [uploaded(world, complaint, small(n)) for n in range(3)]
    places = {path.name: path for path in world.files.rglob("*") if path.is_file()}
    lost = places[documents[0]["id"]]
    lost.rename(lost.with_suffix(".away"))
    slrt("add")
    # One that is not there is left, and holds the key.
    assert "1 values are not under k2 yet" in slrt("rotate", code=1)
    assert "1 values are sealed under k1" in slrt("retire", "k1", code=1)
    lost.with_suffix(".away").rename(lost)
    assert "everything is sealed under k2" in slrt("rotate")
    assert "complaint_documents.file" in slrt("status")
    assert "retired k1" in slrt("retire", "k1")
    assert all(path.read_bytes().startswith(b"\x02k2") for path in places.values())
    cluster = world.cluster
    late = type(cluster)(cluster.socket_dir, keys.load(ring), ring)
    with serve(late, world.database, evidence_dir=world.files) as other:
        for one in documents:
            path = f"/complaints/{complaint}/documents/{one['id']}/content"
            assert other.as_("front.1").get(path).headers["content-type"] == "image/jpeg"


def get_subject() -> dict[str, str | None]:
    masked = f"{NATIONAL_ID[:4]}********{NATIONAL_ID[-4:]}"
    card = f"{FAMILY_CARD[:4]}********{FAMILY_CARD[-4:]}"
    return {
        "national_id": masked, "family_card_number": card, "name": "Siti", "household_id": None,
    }  # fmt: skip


def test_nothing_is_retired_that_something_needs(ring: Path, slrt: Callable[..., str]) -> None:
    slrt("add")
    keys.use_newest(ring)
    assert "values are sealed under k1" in slrt("retire", "k1", code=1)
    assert "k1" in keys.load(ring).data.sealing


async def test_a_key_is_not_retired_while_somebody_writes_under_it(
    fresh_world: World, ring: Path
) -> None:
    keys.add(ring)
    keys.use_newest(ring)
    sessions, late = sessions_of(fresh_world, ring), sessions_of(fresh_world, ring)
    assert await rotation.reseal(sessions, "k2", lambda *_: None) == 0
    taken: list[str] = []
    async with late.begin() as session:
        sealed = fresh_world.cluster.keys.data.seal(NATIONAL_ID, "members", "national_id", new_id())
        await session.execute(
            sa.text(
                "update members set national_id = :old"
                " where id = (select id from members order by id limit 1)"
            ),
            {"old": sealed},
        )
        retiring = asyncio.create_task(rotation.retire(sessions, "k1", lambda: taken.append("k1")))
        await asyncio.sleep(0.3)
        assert not retiring.done()
    assert await retiring == 1
    assert taken == []
    assert await rotation.retire(sessions, "k0", lambda: taken.append("k0")) == 0
    assert taken == ["k0"]
    await sessions.kw["bind"].dispose()
    await late.kw["bind"].dispose()


def test_keys_are_added_at_once_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys.create(path)

    async def go() -> list[str]:
        return await asyncio.gather(*(asyncio.to_thread(keys.add, path) for _ in range(8)))

    added = asyncio.run(go())
    assert sorted(added) == [f"k{n}" for n in range(2, 10)]
    assert len(keys.load(path).data.sealing) == 9
    assert keys.load(path).data.current == "k1"


async def test_writers_and_rotation_do_not_harm_each_other(fresh_world: World, ring: Path) -> None:
    """A server with the old key writes, somebody holds a row, and nothing is overwritten."""
    world = fresh_world
    keys.add(ring)
    keys.use_newest(ring)
    filed = await asyncio.to_thread(file, world)
    sessions = sessions_of(world, ring)
    held = sessions_of(world, world.cluster.keys_file)
    other = "3576024507849002"

    async def hold() -> None:
        """Change a number under the old key, slowly."""
        async with held.begin() as session:
            row = await session.execute(
                sa.text("select id from complaints where id = :id for update"),
                {"id": filed["id"]},
            )
            id = row.scalar_one()
            started.set()
            await asyncio.sleep(1.2)
            sealed = held.kw["info"]["keys"].seal(other, "complaints", "reporter_national_id", id)
            await session.execute(
                sa.text("update complaints set reporter_national_id = :new where id = :id"),
                {"id": id, "new": sealed},
            )

    async def write() -> int:
        count = 0
        while not ended.is_set():
            await asyncio.to_thread(file, world)
            count += 1
        return count

    started, ended = asyncio.Event(), asyncio.Event()
    holding = asyncio.create_task(hold())
    await started.wait()
    writing = asyncio.create_task(write())
    told: list[tuple[int, int]] = []
    begun = time.monotonic()
    await rotation.reseal(sessions, "k2", lambda done, total: told.append((done, total)))
    # It never waited for the row that was held.
    assert told[1][0] > 0
    assert time.monotonic() - begun < 30
    await holding
    ended.set()
    assert await writing > 0
    assert await rotation.reseal(sessions, "k2", lambda *_: None) == 0
    assert set(await rotation.under(sessions)) == {"k2"}
    async with sessions.begin() as session:
        values = SealedValues(session)
        assert [await values.reseal(one, None, 500) for one in SEALED] == [[]] * len(SEALED)
        kept = await session.execute(
            sa.text("select id, reporter_national_id from complaints where id = :id"),
            {"id": filed["id"]},
        )
        id, sealed = kept.one()
    opened = sessions.kw["info"]["keys"].open(sealed, "complaints", "reporter_national_id", id)
    assert opened == other
    await sessions.kw["bind"].dispose()
    await held.kw["bind"].dispose()


async def test_what_others_hold_is_left_and_said(
    fresh_world: World, ring: Path, slrt: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "PAUSE", 0.01)
    keys.add(ring)
    keys.use_newest(ring)
    sessions = sessions_of(fresh_world, ring)
    async with sessions.begin() as session:
        await session.execute(sa.text("select id from members order by id limit 3 for update"))
        assert await rotation.reseal(sessions, "k2", lambda *_: None) == 3
    async with sessions.begin() as session:
        await session.execute(sa.text("select id from members order by id limit 1 for update"))
        said = await asyncio.to_thread(slrt, "rotate", code=1)
        assert "values are not under k2 yet" in said
    assert await rotation.reseal(sessions, "k2", lambda *_: None) == 0
    await sessions.kw["bind"].dispose()


def test_a_rotation_that_is_killed_goes_on(
    fresh_world: World, ring: Path, slrt: Callable[..., str]
) -> None:
    world = fresh_world
    _many(world, 30_000)
    before = counted(world, ring)
    keys.add(ring)
    settings = on(world.cluster, world.database) | {"keys_file": ring}
    with processes.running("keys", "rotate", **settings) as process:
        processes.until(lambda: "k2" in counted(world, ring))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    midway = counted(world, ring)
    assert midway["k1"] > 0, "it was not killed midway"
    assert sum(midway.values()) == before["k1"]
    assert keys.load(ring).data.current == "k2"
    assert "everything is sealed under k2" in slrt("rotate")
    assert counted(world, ring) == {"k2": before["k1"]}


def _many(world: World, count: int) -> None:
    """Many people with sealed numbers, straight into the table."""
    data = world.cluster.keys.data
    [home] = world.fetch("select * from households limit 1")
    rows = []
    for _ in range(count):
        id = new_id()
        rows.append((id, data.seal(NATIONAL_ID, "members", "national_id", id)))
    world.fetch(
        "insert into members (id, version, household_id, name, national_id, relation, facts,"
        " facts_source, facts_changed, warnings, created_at, updated_at, province_code,"
        " regency_code, district_code, village_code) select u.id, 1, h.id, 'Siti', u.number,"
        " 'other', '{}', '', '{}', '[]', now(), now(), h.province_code, h.regency_code,"
        " h.district_code, h.village_code from households h,"
        " unnest($2::uuid[], $3::bytea[]) u(id, number) where h.id = $1",
        home["id"], [id for id, _ in rows], [number for _, number in rows],
    )  # fmt: skip


def test_a_check_finds_a_number_whatever_key_it_is_under(
    fresh_world: World, ring: Path, slrt: Callable[..., str]
) -> None:
    """The blind index is another key's, and stays."""
    [row] = fresh_world.fetch(
        "select id, national_id from members where national_id is not null limit 1"
    )
    number = fresh_world.cluster.keys.data.open(
        row["national_id"], "members", "national_id", row["id"]
    )
    slrt("add")
    slrt("rotate")
    cluster = fresh_world.cluster
    late = type(cluster)(cluster.socket_dir, keys.load(ring), ring)
    with serve(late, fresh_world.database) as other:
        asked = {"national_id": number}
        answer = other.as_("front.1").post("/registry/checks", json=asked, headers=key())
        assert answer.json()["outcome"] == "registered"
