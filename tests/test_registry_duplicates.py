"""Pairs that an import leaves: drafted once, by whoever imported, put forward by the desk."""

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import pytest

from app import importing
from app.database import create_engine, create_sessions
from app.domain.actors import SYSTEM
from app.domain.registry_duplicates import RegistryDuplicates
from app.workflow import operations
from app.workflow.imports import duplicates, run
from app.workflow.imports.requests import ImportRequest
from tests.conftest import World
from tests.flows import NATIONAL_ID, me
from tests.refusals import refused
from tests.registry_files import imported, landed, operation, own, send
from tests.test_registry_changes import DESK, MANAGER, SUPERVISOR, act, approved, done, propose

Json = dict[str, Any]
THIRD = "3576021503799003"
TWICE = (
    {"national_id": NATIONAL_ID},
    {"household_id": "RT-2", "national_id": NATIONAL_ID, "name": "Siti Aminah Putri"},
)
FACILITATOR, STRANGER = "facilitator.wates.1", "facilitator.kedundung.1"


@pytest.fixture(autouse=True)
def _an_empty_registry(world: World) -> None:
    world.cluster.execute(
        world.database, "truncate households, registry_changes, registry_versions, operations"
        " cascade"
    )  # fmt: skip


def drafts(world: World, who: str = DESK) -> list[Json]:
    """What imports have found, newest first."""
    answer = world.as_(who).get("/registry-changes", params={"kind": "merge_duplicate"})
    found: list[Json] = answer.json()["items"]
    return found


def pair(world: World) -> list[str]:
    """The two rows of one number, who stands first in the file first."""
    rows = world.fetch(
        "select m.id from members m join households h on h.id = m.household_id"
        " where m.national_id_index is not null order by h.registry_id"
    )
    return [str(row["id"]) for row in rows]


def counted(result: Json) -> tuple[int, int]:
    return result["duplicates"]["pairs"], result["duplicates"]["drafted"]


def test_a_pair_is_drafted_for_the_desk_and_merged_by_two_others(world: World) -> None:
    assert counted(landed(world, own(*TWICE), dry_run="true")) == (1, 0)
    assert drafts(world) == []
    assert counted(landed(world, own(*TWICE))) == (1, 1)
    [draft] = drafts(world)
    stays, twice = pair(world)
    assert (draft["member_id"], draft["into_id"]) == (twice, stays)
    assert (draft["state"], draft["origin"], draft["due_at"]) == ("draft", "import", None)
    assert draft["proposed_by"] == me(world, "front.1")
    # The desk and the facilitators of the place may put it forward, and see that it waits.
    for who in (DESK, "back.1", FACILITATOR):
        assert "propose" in drafts(world, who)[0]["actions"]
    assert drafts(world, STRANGER) == []
    waiting = world.as_(DESK).get("/inbox", params={"limit": 200}).json()["items"]
    assert [one["state"] for one in waiting if one["subject"].endswith(draft["id"])] == ["draft"]
    refused(act(world, SUPERVISOR, draft["id"], "propose"), 403, "role_not_allowed")
    # Whoever imported has not judged it; whoever puts it forward has.
    assert done(world, FACILITATOR, draft["id"], "propose")["proposed_by"] == me(world, FACILITATOR)
    assert approved(world, draft["id"])["state"] == "manager_approved"
    merged = world.fetch("select merged_into::text from members where id = $1", twice)
    assert merged[0][0] == stays
    assert counted(landed(world, own(*TWICE))) == (0, 0)


def test_who_was_there_first_stays(world: World) -> None:
    """The ids of one file's rows are as good as random: over some pairs, none may decide."""
    numbers = [f"357602150379{n:04}" for n in range(1, 13)]
    later = [{"household_id": f"RT-2{n:02}", "national_id": one} for n, one in enumerate(numbers)]
    first = [{"household_id": f"RT-1{n:02}", "national_id": one} for n, one in enumerate(numbers)]
    # Half of them are there already, and stand in the next file at its end.
    landed(world, own(*first[6:]))
    result = landed(world, own(*first[:6], *later, *first[6:]), version="2016")
    assert counted(result) == (12, 12)
    merges = world.fetch(
        "select stays.registry_id as stays, twice.registry_id as twice from registry_changes c"
        " join members m on m.id = c.member_id join households twice on twice.id = m.household_id"
        " join members i on i.id = c.into_id join households stays on stays.id = i.household_id"
    )
    found = sorted((one["stays"], one["twice"]) for one in merges)
    assert found == [(f"RT-1{n:02}", f"RT-2{n:02}") for n in range(12)]


def test_a_manager_who_imported_may_still_decide(world: World) -> None:
    landed(world, own(*TWICE), who=MANAGER)
    [draft] = drafts(world)
    assert draft["proposed_by"] == me(world, MANAGER)
    # The row has changed since: it is put forward as it is now.
    world.fetch("update members set version = version + 1")
    done(world, DESK, draft["id"], "propose")
    refused(act(world, DESK, draft["id"], "approve"), 403, "role_not_allowed")
    assert approved(world, draft["id"])["state"] == "manager_approved"


@pytest.mark.parametrize("became", ["draft", "rejected", "withdrawn"])
def test_a_pair_is_drafted_once_whatever_became_of_it(world: World, became: str) -> None:
    landed(world, own(*TWICE))
    [draft] = drafts(world)
    if became == "rejected":
        done(world, DESK, draft["id"], "propose")
        done(world, SUPERVISOR, draft["id"], "reject", note="Dua orang.")
    elif became == "withdrawn":
        done(world, "back.1", draft["id"], "withdraw")
    changed = [TWICE[0] | {"floor": "soil"}, TWICE[1] | {"floor": "soil"}]
    for file, version in ((TWICE, "2015"), (changed, "2016")):
        assert counted(landed(world, own(*file), version=version)) == (0, 0)
    assert [one["id"] for one in drafts(world)] == [draft["id"]]


def test_a_pair_that_somebody_has_proposed_by_hand_is_not_drafted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed(world, own(TWICE[0], TWICE[1] | {"national_id": ""}))
    rows = world.fetch("select id::text from members order by id")
    stays, twice = (row["id"] for row in rows)
    # The other way round, it is the same pair.
    by_hand = propose(world, kind="merge_duplicate", member_id=stays, into_id=twice)
    assert by_hand.status_code == 201, by_hand.text
    assert counted(landed(world, own(*TWICE), version="2016")) == (0, 0)
    assert len(drafts(world)) == 1
    # Nor where it was proposed while the file was being applied.
    found = AsyncMock(return_value=[(UUID(stays), UUID(twice))])
    monkeypatch.setattr(RegistryDuplicates, "pairs", found)
    assert counted(landed(world, own(*TWICE), version="2016")) == (1, 0)


async def test_what_the_command_found_is_proposed_by_nobody_yet(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "registry.csv"
    path.write_bytes(own(*TWICE))
    asked = {"source": "BDT", "version": "2015", "as_of": "2026-11-01", "regency": "35.76"}
    engine = create_engine(world.url)
    sessions = create_sessions(engine, world.cluster.keys.data)
    try:
        request = ImportRequest.model_validate(asked)
        ended = await importing.import_file(sessions, path, request, run.nobody)
    finally:
        await engine.dispose()
    assert "1 pairs look like one person, 1 drafted" in importing.summary(ended)
    [draft] = await asyncio.to_thread(drafts, world)
    assert draft["proposed_by"] == str(SYSTEM.id)
    assert "propose" in draft["actions"]


def test_pairs_are_those_that_the_file_leaves(world: World) -> None:
    three = [{"household_id": f"RT-{n}", "national_id": NATIONAL_ID} for n in (1, 2, 3)]
    in_one_home = [
        {"household_id": "RT-4", "member_number": "1", "national_id": THIRD},
        {"household_id": "RT-4", "member_number": "2", "national_id": THIRD, "name": "Budi"},
    ]
    assert counted(landed(world, own(*three, *in_one_home))) == (3, 3)
    # One got another number, one is no longer in it; one has come, of a number that was there.
    later = [three[0], three[1] | {"national_id": "3576021503799005"}, in_one_home[0]]
    later.append({"household_id": "RT-9", "national_id": THIRD})
    for dry in ("true", "false"):
        result = landed(world, own(*later), version="2016", dry_run=dry)
        assert counted(result) == (1, 0 if dry == "true" else 1)
    # A number that many bear stands in for one that nobody knew.
    many = [{"household_id": f"X-{n}", "national_id": NATIONAL_ID} for n in range(21)]
    assert counted(landed(world, own(*many), version="2017")) == (0, 0)


def test_an_import_that_was_killed_while_it_drafted_goes_on_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = [{"household_id": f"RT-{n}", "national_id": NATIONAL_ID} for n in range(4)]
    id = send(world, own(*four)).json()["id"]
    draft, calls = duplicates.draft, 0

    async def killed_at_the_second(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        made = await draft(*arguments)
        if calls == 2:
            raise RuntimeError
        return made

    monkeypatch.setattr(run, "PAIRS_AT_ONCE", 2)
    monkeypatch.setattr(duplicates, "draft", killed_at_the_second)
    world.sweep("operations")
    assert len(drafts(world)) == 2
    # It is applied: nobody can call that off any more.
    assert operation(world, id)["status"] == "running"
    refused(
        world.as_("front.1").post(f"/operations/{id}/cancel", headers={"Idempotency-Key": id}),
        409,
        "operation_finished",
    )
    world.fetch("update operations set lease_until = now() - interval '1 second'")
    world.sweep("operations")
    found = operation(world, id)
    assert (found["status"], found["attempts"]) == ("succeeded", 2)
    assert counted(found["result"]) == (6, 6)
    assert found["result"]["people"]["new"] == 4
    assert len(drafts(world)) == 6


def test_what_was_applied_is_told_also_where_drafting_never_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(world, own(*TWICE)).json()["id"]

    async def fail(*_: Any) -> int:
        raise RuntimeError

    monkeypatch.setattr(duplicates, "draft", fail)
    monkeypatch.setattr(operations, "ATTEMPTS", 1)
    world.sweep("operations")
    found = operation(world, id)
    assert (found["status"], found["problem"]["code"]) == ("failed", "internal_error")
    assert found["result"]["people"]["new"] == 2
    monkeypatch.undo()
    # What is left over is found by the next import.
    assert counted(landed(world, own(*TWICE))) == (1, 1)


def test_a_runner_that_lost_its_lease_drafts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = duplicates.draft

    async def lose(*arguments: Any) -> int:
        await world.afetch("update operations set fence = fence + 1")
        return await draft(*arguments)

    monkeypatch.setattr(duplicates, "draft", lose)
    assert imported(world, own(*TWICE))["status"] == "running"
    assert drafts(world) == []


def test_of_a_pair_whose_one_has_gone_or_whose_importer_has_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = duplicates.draft

    async def meanwhile(*arguments: Any) -> int:
        await world.afetch(
            "update members set ended_at = now() where household_id in"
            " (select id from households where registry_id = 'RT-2')"
        )
        await world.afetch("update principals set active = false where username = 'back.2'")
        return await draft(*arguments)

    monkeypatch.setattr(duplicates, "draft", meanwhile)
    more = [{"household_id": f"RT-{n}", "national_id": THIRD} for n in (3, 4)]
    id = send(world, own(*TWICE, *more), who="back.2").json()["id"]
    world.sweep("operations")
    assert counted(operation(world, id)["result"]) == (2, 1)
    [made] = drafts(world)
    assert made["origin"] == "import"
    world.fetch("update principals set active = true where username = 'back.2'")
    assert made["proposed_by"] == me(world, "back.2")
