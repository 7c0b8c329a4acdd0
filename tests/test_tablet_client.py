"""The reference client of tablets, as anybody else's program: whatever happens, nothing is lost."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.settings import DEMO_PASSWORD
from tests.conftest import World
from tests.flows import bring, draft, etag, survey_body
from tests.lossy import Line, lossy
from tests.processes import until
from tests.test_tablets import FIRST, number, read, register

CLIENT = Path(__file__).parents[1] / "examples" / "tablet" / "tablet.py"
spec = importlib.util.spec_from_file_location("tablet", CLIENT)
assert spec
assert spec.loader
client: Any = importlib.util.module_from_spec(spec)
sys.modules["tablet"] = client
spec.loader.exec_module(client)


@pytest.fixture
def line(world: World) -> Iterator[Line]:
    with lossy(world.base_url) as line:
        yield line


class Tablets:
    """Tablets of facilitators, each with a folder; all are closed in the end."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder, self.all = world, folder, []  # type: ignore[var-annotated]

    def __call__(self, url: str, device: dict[str, Any], who: str = FIRST, **more: Any) -> Any:
        token = self.world.token(who)
        tablet = client.Tablet(
            self.folder / device["id"], url, device["id"], lambda: token,
            pause=lambda _: None, **more,
        )  # fmt: skip
        self.all.append(tablet)
        return tablet


@pytest.fixture
def tablets(world: World, tmp_path: Path) -> Iterator[Tablets]:
    found = Tablets(world, tmp_path)
    yield found
    for tablet in found.all:
        tablet.close()


def complaint(n: int = 0) -> dict[str, Any]:
    found = draft(channel="tablet", narrative=f"Keluhan nomor {n}.")
    del found["client_ref"]
    return found


def refs(world: World, *devices: dict[str, Any]) -> dict[str, str]:
    """What the server has of some tablets: tickets by reference."""
    rows = world.fetch(
        "select c.client_ref, c.ticket from complaints c join device_writes w"
        " on w.subject_id = c.id and w.kind = 'complaint' where w.device_id = any($1)",
        [one["id"] for one in devices],
    )
    return {row["client_ref"]: row["ticket"] for row in rows}


def confirmed(tablet: Any) -> dict[str, str]:
    found = (json.loads(row["answer"]) for row in tablet.rows("confirmed") if row["client_ref"])
    return {one["complaint"]["client_ref"]: one["receipt"]["ticket"] for one in found}


def test_in_airplane_mode_all_is_held_and_comes_over_a_bad_line(
    world: World, line: Line, tablets: Tablets
) -> None:
    device = register(world)
    wrong_clock = datetime.now(UTC) + timedelta(days=1)
    tablet = tablets(line.url, device, clock=lambda: wrong_clock)
    line.down = True
    for n in range(20):
        tablet.file(complaint(n))
    with pytest.raises(client.NoSignal):
        tablet.sync(rounds=2)
    assert len(tablet.rows("held")) == 20
    line.down = False
    known = tablet.sync(rounds=30)
    assert line.before > 4
    assert line.after > 0
    assert (known["missing"], known["received"]) == ([], list(range(1, 21)))
    assert confirmed(tablet) == refs(world, device)
    assert len(confirmed(tablet)) == 20
    assert tablet.receipt(7)["pin"]
    warned = world.fetch("select distinct warnings from complaints where ticket = any($1)",
                         list(confirmed(tablet).values()))  # fmt: skip
    found = {word for row in warned for word in json.loads(row["warnings"])}
    assert found == {"received_in_future", "possible_duplicate"}
    shown = read(world, device)
    assert (shown["received_count"], shown["missing_count"], shown["flagged_count"]) == (20, 0, 20)


class Dead(BaseException):
    """The app is killed: nothing of it runs any more."""


def test_killed_at_any_moment_the_app_goes_on_where_it_was(world: World, tablets: Tablets) -> None:
    device = register(world)
    tablet = tablets(world.base_url, device)
    first = tablet.file(complaint())
    tablet.survey(first, survey_body(world))
    # Killed while it types: the number is free again, and nothing of it is there.
    hold = tablet._hold

    def dies(*_: Any) -> None:
        raise Dead

    tablet._hold = dies
    with pytest.raises(Dead):
        tablet.file(complaint())
    tablet._hold = hold
    tablet.act(first, "self_assign")
    # The battery goes after the server has acted, before the answer is written down.
    tablet._settle = dies
    with pytest.raises(Dead):
        tablet.sync()
    again = tablets(world.base_url, device)
    assert [row["sequence"] for row in again.rows("held")] == [1, 2, 3]
    again.sync()
    # The survey came before the complaint was theirs to visit: it is shown, and kept.
    [refused] = again.rows("refused")
    assert (refused["sequence"], refused["problem"]) == (2, "action_not_allowed")
    shown = read(world, device)
    assert (shown["received_count"], shown["pending_count"]) == (2, 1)
    again.retry(2, survey_body(world))
    again.act(first, "submit_survey")
    known = again.sync()
    assert (known["received"], known["missing"]) == ([1, 2, 3, 4], [])
    id = json.loads(again.rows("confirmed")[0]["answer"])["complaint"]["id"]
    answer = world.as_(FIRST).get(f"/complaints/{id}").json()
    assert answer["state"] == "awaiting_supervisor"


def test_a_process_that_is_killed_has_what_it_said_it_holds(
    world: World, line: Line, tablets: Tablets, tmp_path: Path
) -> None:
    device = register(world)
    line.lost = 0
    paper = tmp_path / "complaint.json"
    paper.write_text(json.dumps(complaint()))
    folder = tmp_path / device["id"]

    def run(*command: str, url: str = line.url) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(CLIENT), "--folder", str(folder), "--url", url,
             "--device", device["id"], *command],
            env=os.environ | {"SLRT_USER": FIRST, "SLRT_PASSWORD": DEMO_PASSWORD},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    out, _ = run("file", str(paper)).communicate(timeout=60)
    assert out.startswith("held under number 1")
    line.down = True
    with run("sync") as process:
        # It has asked for a token or more, in vain.
        until(lambda: line.before > 0 or process.poll() is not None, 60)
        process.send_signal(signal.SIGKILL)
    line.down = False
    out, errors = run("sync").communicate(timeout=60)
    assert (out.splitlines()[0], errors) == ("the server has 1", "")
    tablet = tablets(line.url, device)
    assert confirmed(tablet) == refs(world, device)


def test_tickets_and_answers_that_the_client_must_understand(
    world: World, tablets: Tablets
) -> None:
    device, case = register(world), bring(world, "assigned")
    path = f"/complaints/{case['id']}/survey"
    tablet = tablets(world.base_url, device)
    assert tablet.reserve_tickets(2) == 2
    given = tablet.file(complaint())
    ticket = tablet.db.execute("select * from tickets where used_by = ?", (given,)).fetchone()
    # Counted anew after a repair: the first number is taken by what came before.
    world.as_(FIRST).post(
        "/complaints", json=draft(), headers={"Idempotency-Key": "k" * 16} | number(device, 1)
    )
    tablet.survey(case["id"], survey_body(world))
    wrong = tablet.file(complaint() | {"program_code": "NOPE"})
    known = tablet.sync()
    # Number 1 came with other content, so that the complaint went under the next free one.
    assert (known["received"], known["missing"], known["taken"]) == ([1, 2, 4], [], [])
    [moved] = [row for row in tablet.rows("confirmed") if row["kind"] == "complaint"]
    assert moved["sequence"] == 4
    receipt = tablet.receipt(4)
    assert (receipt["ticket"], receipt["pin"]) == (ticket["ticket"], ticket["pin"])
    [refused] = tablet.rows("refused")
    assert (refused["sequence"], refused["problem"]) == (wrong, "unknown_program")
    # Typed on another tablet meanwhile, the same survey is no conflict, another one is.
    tablet.survey(case["id"], survey_body(world))
    assert not [one for one in tablet.sync()["missing"] if one]
    tablet.survey(case["id"], survey_body(world, no_needs=True, program_needs=[]))
    tablet.sync()
    problems = [row["problem"] for row in tablet.rows("refused")]
    assert problems == ["unknown_program", "stale_version"]
    # A person decides that the first one is not worth sending: nobody waits for it any more.
    tablet.give_up(wrong)
    tablet.sync()
    shown = read(world, device)
    assert (shown["pending_count"], shown["missing_count"]) == (1, 0)
    history = world.as_("front.1").get(f"/devices/{device['id']}/events").json()["items"]
    gave_up = [one for one in history if one["type"] == "device.gave_up"]
    assert [(one["data"]["first"], one["by"]["role"]) for one in gave_up] == [
        (5, "facilitator"), (wrong, "facilitator"),
    ]  # fmt: skip
    assert etag(world, FIRST, path) == '"1"'


def storm(world: World, line: Line, tablets: Tablets, devices: int, each: int) -> None:
    """Many tablets over one bad line; each tells what it holds, and one of them is broken."""
    people = [row["username"] for row in world.fetch(
        "select username from principals where username like 'facilitator.%' order by 1"
    )][:devices]  # fmt: skip
    held = {who: register(world, who) for who in people}
    tokens = {who: world.token(who) for who in people}
    assert len(tokens) == devices
    areas = dict(
        world.fetch(
            "select p.username, g.region_codes[1] from principals p"
            " join grants g on g.principal_id = p.id where p.username = any($1)", people,
        )
    )  # fmt: skip
    broken = people[0]

    def one(who: str) -> dict[str, str]:
        # A database belongs to the thread that opened it.
        tablet = client.Tablet(
            tablets.folder / who, line.url, held[who]["id"], lambda: tokens[who],
            pause=lambda _: None,
        )  # fmt: skip
        try:
            for n in range(each):
                tablet.file(complaint(n) | {"region_code": areas[who]})
            if who == broken:
                # It tells what it holds, sends one, and is never seen again.
                while True:
                    try:
                        tablet.manifest()
                        tablet._send(tablet.rows("held")[0])
                        break
                    except client.NoSignal:
                        continue
            else:
                assert tablet.sync(rounds=60)["missing"] == []
            return confirmed(tablet)
        finally:
            tablet.close()

    with ThreadPoolExecutor(min(devices, 16)) as pool:
        told = {ref: ticket for found in pool.map(one, people) for ref, ticket in found.items()}
    # What any tablet was ever told is there, and nothing else, once; the rest is named.
    assert refs(world, *held.values()) == told
    assert len(told) == (devices - 1) * each + 1
    [count] = world.fetch("select count(*) from complaints where client_ref = any($1)", list(told))
    assert count[0] == len(told)
    lost = read(world, held[broken])
    assert (lost["received_count"], lost["pending_count"]) == (1, each - 1)
    assert all(
        read(world, held[who])["missing_count"] == read(world, held[who])["pending_count"] == 0
        for who in people[1:4]
    )


def test_what_tablets_were_told_is_what_the_server_has(
    world: World, line: Line, tablets: Tablets
) -> None:
    storm(world, line, tablets, devices=3, each=7)


@pytest.mark.deep
def test_what_57_tablets_were_told_is_what_the_server_has(
    world: World, line: Line, tablets: Tablets
) -> None:
    storm(world, line, tablets, devices=57, each=12)


@pytest.mark.deep
def test_200_submissions_come_over_a_bad_line(world: World, line: Line, tablets: Tablets) -> None:
    device = register(world)
    tablet = tablets(line.url, device)
    for n in range(200):
        tablet.file(complaint(n))
    assert tablet.sync(rounds=60)["missing"] == []
    assert confirmed(tablet) == refs(world, device)
    assert len(confirmed(tablet)) == 200
