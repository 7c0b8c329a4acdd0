"""The catalogue and its criteria over HTTP: kept by their managers, published once seen."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg
import pytest

from app.database import create_engine, create_sessions
from app.deployment import seed
from app.domain.programs import Program
from tests.conftest import World
from tests.flows import WATES, etag, hire, key
from tests.homes import home, person

OLD = {"age": {"at_least": 70}}


@asynccontextmanager
async def held(world: World, table: str, column: str, value: str) -> AsyncIterator[None]:
    """A row that nobody else may change meanwhile."""
    connection = await asyncpg.connect(
        host=str(world.cluster.socket_dir), user="slrt", database=world.database
    )
    try:
        async with connection.transaction():
            await connection.fetch(f"select from {table} where {column} = $1 for update", value)
            yield
    finally:
        await connection.close()


def criterion(when: Any, status: str = "official") -> dict[str, Any]:
    return {"text_id": "Uji", "text_en": "Test", "status": status, "when": when}


def draft(world: World, code: str, *whens: Any, who: str = "keeper", **more: Any) -> Any:
    body = {"criteria": [criterion(when) for when in whens], "valid_from": "2030-01-01"} | more
    return world.as_(who).post(f"/programs/{code}/criteria", json=body, headers=key())


def act(world: World, place: str, action: str, who: str = "keeper") -> Any:
    headers = {"If-Match": etag(world, who, place)}
    return world.as_(who).post(f"{place}/actions", json={"action": action}, headers=headers)


def reseed(world: World) -> None:
    async def run() -> None:
        engine = create_engine(world.url)
        await seed(create_sessions(engine, world.cluster.keys.data))
        await engine.dispose()

    asyncio.run(run())


def keepers(world: World) -> None:
    if "keeper" not in world.tokens:
        hire(world, "keeper", ("program_manager", "35.76", "BANSOS_LANSIA_KOTA", "BPNT", "UEP"))


def test_a_manager_keeps_an_entry_and_every_version_stays(world: World) -> None:
    keepers(world)
    keeper, path = world.as_("keeper"), "/programs/BPNT"
    before = keeper.get(path)
    body = {"benefit": "Rp200.000 sebulan", "contact": "Dinsos", "valid_from": "2026-01-01"}
    read = before.headers["etag"]
    assert read == f'"{before.json()["version"]}"'
    unread = keeper.patch(path, json=body)
    assert (unread.status_code, unread.json()["code"]) == (428, "precondition_required")
    headers = {"If-Match": read} | key()
    changed = keeper.patch(path, json=body, headers=headers)
    assert changed.status_code == 200, changed.text
    assert changed.json() == before.json() | body | {
        "version": before.json()["version"] + 1, "updated_at": changed.json()["updated_at"],
    }  # fmt: skip
    again = keeper.patch(path, json=body, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    late = keeper.patch(path, json={"benefit": "x"}, headers={"If-Match": read})
    assert (late.status_code, late.json()["code"]) == (412, "stale_version")
    # The same content is no new version.
    same = keeper.patch(path, json=body, headers={"If-Match": changed.headers["etag"]})
    assert same.headers["etag"] == changed.headers["etag"]
    newest, first = keeper.get(f"{path}/versions").json()["items"]
    assert newest["content"]["benefit"] == "Rp200.000 sebulan"
    assert (first["version"], first["changed_by"], first["content"]["benefit"]) == (1, None, "")
    paged = keeper.get(f"{path}/versions", params={"limit": 1}).json()
    rest = keeper.get(f"{path}/versions", params={"limit": 1, "cursor": paged["next_cursor"]})
    assert rest.json()["items"] == [first]


def test_an_entry_cannot_end_before_it_begins_and_is_its_managers_alone(world: World) -> None:
    keepers(world)
    path = "/programs/UEP"
    headers = {"If-Match": etag(world, "keeper", path)}
    body = {"valid_from": "2026-05-01", "valid_until": "2026-04-30"}
    refused = world.as_("keeper").patch(path, json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "ends_before_it_begins")
    assert world.as_("keeper").get(path).json()["valid_from"] is None
    for who, where, code in (
        ("manager", path, "role_not_allowed"),
        ("keeper", "/programs/PKH", "role_not_allowed"),
        ("keeper", "/programs/NOWHERE", "not_found"),
    ):
        answer = world.as_(who).patch(where, json=body, headers=headers)
        assert answer.json()["code"] == code, (who, where)


def test_a_new_start_overwrites_nothing_that_a_manager_changed(world: World) -> None:
    keepers(world)
    path = "/programs/UEP"
    headers = {"If-Match": etag(world, "keeper", path)}
    assert world.as_("keeper").patch(path, json={"period": "Oktober"}, headers=headers).is_success
    world.fetch("update programs set period = 'old' where code = 'KKS'")
    kks = world.as_("keeper").get("/programs/KKS").json()["version"]
    made = draft(world, "UEP", OLD)
    assert made.status_code == 201, made.text
    counts = "select count(*) as n from program_criteria"
    before = world.fetch(counts)[0]["n"]
    reseed(world)
    reseed(world)
    assert world.as_("keeper").get(path).json()["period"] == "Oktober"
    shipped = world.as_("keeper").get("/programs/KKS").json()
    assert (shipped["period"], shipped["version"]) == ("on event (issue/replace)", kks + 1)
    assert world.fetch(counts)[0]["n"] == before


def test_two_changes_of_one_version_are_one_change(world: World) -> None:
    keepers(world)
    path = "/programs/BANSOS_LANSIA_KOTA"
    headers = {"If-Match": etag(world, "keeper", path)}

    def change(n: int) -> int:
        answer = world.as_("keeper").patch(path, json={"benefit": f"{n}"}, headers=headers)
        return answer.status_code

    async def race() -> list[int]:
        """Both have come to the row, and wait for it, before either may go on."""
        async with held(world, "programs", "code", "BANSOS_LANSIA_KOTA"):
            asked = [asyncio.create_task(asyncio.to_thread(change, n)) for n in range(2)]
            await asyncio.sleep(1)
        return list(await asyncio.gather(*asked))

    assert sorted(asyncio.run(race())) == [200, 412]


# ── criteria ─────────────────────────────────────────────────────────────────────────────────


def test_a_draft_holds_for_nobody_until_its_effect_was_shown_and_it_was_published(
    world: World,
) -> None:
    keepers(world)
    keeper = world.as_("keeper")
    at_home = home(world, WATES, decile=2)
    person(world, at_home, "Mbah Karti", date(1960, 1, 1), "3576024101609001")
    elder = person(world, at_home, "Mbah Karto", date(1940, 1, 1))
    other_city = home(world, "35.78.01.1001", decile=2)
    person(world, other_city, "Mbah Lain", date(1960, 1, 1))
    poor, here = {"decile": {"at_most": 4}}, {"region": ["35.76"]}
    made = draft(world, "BANSOS_LANSIA_KOTA", OLD, poor, here)
    assert made.status_code == 201, made.text
    place = made.headers["location"].removeprefix("/v1")
    assert made.json()["state"] == "draft"
    assert made.json()["in_force"] is False
    unseen = act(world, place, "publish")
    assert (unseen.status_code, unseen.json()["code"]) == (409, "preview_missing")
    shown = keeper.post(f"{place}/preview").json()
    assert shown["region_codes"] == ["35.76"]
    assert (shown["against"], shown["newly"]) == (1, 0)
    assert shown["no_longer"] == shown["eligible_before"] - shown["eligible_after"] >= 1
    lost = {one["member_id"]: one for one in shown["no_longer_examples"]}
    assert str(elder) not in lost
    assert all(one["region_code"].startswith("35.76.") for one in lost.values())
    assert {one["name"][1] for one in lost.values()} == {"*"}
    # Changed after it was shown: to be shown anew.
    body = {"criteria": [criterion(when) for when in (OLD, poor)], "valid_from": "2030-01-01"}
    headers = {"If-Match": etag(world, "keeper", place)}
    keyed = headers | key()
    changed, again = (keeper.put(place, json=body, headers=keyed) for _ in range(2))
    assert changed.status_code == 200, changed.text
    assert changed.json()["previewed"] is False
    assert again.json() == changed.json()
    assert keeper.put(place, json=body, headers=headers).json()["code"] == "stale_version"
    assert act(world, place, "publish").json()["code"] == "preview_missing"
    keeper.post(f"{place}/preview")
    published = act(world, place, "publish")
    assert (published.json()["state"], published.json()["previewed"]) == ("published", True)
    assert act(world, place, "discard").json()["code"] == "action_not_allowed"
    assert keeper.post(f"{place}/preview").json()["code"] == "action_not_allowed"
    for day, number in (("2029-12-31", 1), ("2030-01-01", published.json()["number"])):
        listed = keeper.get("/programs/BANSOS_LANSIA_KOTA/criteria", params={"at": day}).json()
        assert [one["number"] for one in listed["items"] if one["in_force"]] == [number]
    assert keeper.get(place).json()["criteria"][0]["when"] == OLD
    pages, listed = "/programs/BANSOS_LANSIA_KOTA/criteria", keeper.get(place).json()
    first = keeper.get(pages, params={"limit": 1}).json()
    rest = keeper.get(pages, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [one["number"] for one in (*first["items"], *rest["items"])] == [listed["number"], 1]


def test_a_draft_is_shown_anew_once_another_was_published(world: World) -> None:
    keepers(world)
    keeper, rules = world.as_("keeper"), ({"decile": {"at_most": n}} for n in (3, 2))
    places = [draft(world, "UEP", rule).headers["location"].removeprefix("/v1") for rule in rules]
    for place in places:
        assert keeper.post(f"{place}/preview").json()["against"] == 1
    first, second = (act(world, place, "publish") for place in places)
    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (409, "preview_missing")
    assert keeper.get(places[1]).json()["previewed"] is False
    shown = keeper.post(f"{places[1]}/preview").json()
    assert shown["against"] == first.json()["number"]
    assert act(world, places[1], "publish").status_code == 200


def test_what_makes_no_sense_is_told_with_pointers_into_the_rule(world: World) -> None:
    keepers(world)
    answer = draft(
        world, "BPNT", {"all": [{"fact": "shoe_size", "is": True}, OLD]},
        {"any": [{"recipient_of": ["PKH", "NONE"]}, {"region": ["35.76", "99"]}]},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "rule_invalid")
    assert {(one["pointer"], one["code"]) for one in answer.json()["errors"]} == {
        ("/criteria/0/when/all/0/fact", "unknown_fact"),
        ("/criteria/0/when/all/1", "needs_someone"),
        ("/criteria/1/when/any/0/recipient_of/1", "unknown_program"),
        ("/criteria/1/when/any/1/region/1", "unknown_region"),
    }
    misspelt = draft(world, "BPNT", {"all": [{"some": 1}, {"age": {"at_least": "x"}}]})
    assert {(one["pointer"], one["code"]) for one in misspelt.json()["errors"]} == {
        ("/criteria/0/when/all/0", "unknown_test"),
        ("/criteria/0/when/all/1/age/at_least", "wrong_type"),
    }
    everyone = draft(world, "BPNT", {"decile": {"at_least": 1}})
    assert [one["code"] for one in everyone.json()["errors"]] == ["takes_everyone"]
    backwards = draft(world, "BPNT", {"decile": {"at_most": 3}}, valid_until="2029-01-01")
    assert [one["code"] for one in backwards.json()["errors"]] == ["ends_before_it_begins"]
    for who in ("manager", "program.4"):
        assert draft(world, "BPNT", OLD, who=who).json()["code"] == "role_not_allowed"
    assert draft(world, "NOWHERE", OLD).status_code == 404
    assert world.as_("keeper").get("/programs/BPNT/criteria/99").status_code == 404


def test_a_draft_is_made_once_and_may_be_put_aside(world: World) -> None:
    keepers(world)
    keeper, headers = world.as_("keeper"), key()
    body = {"criteria": [criterion({"decile": {"at_most": 3}})], "valid_from": "2020-01-01"}
    first, second = (
        keeper.post("/programs/BPNT/criteria", json=body, headers=headers) for _ in range(2)
    )
    assert first.json() == second.json(), first.text
    assert second.headers["idempotency-replayed"] == "true"
    place = first.headers["location"].removeprefix("/v1")
    keeper.post(f"{place}/preview")
    past = act(world, place, "publish")
    assert (past.status_code, past.json()["code"]) == (422, "begins_in_the_past")
    retried = {"If-Match": etag(world, "keeper", place)} | key()
    aside, again = (
        keeper.post(f"{place}/actions", json={"action": "discard"}, headers=retried)
        for _ in range(2)
    )
    assert (aside.json()["state"], again.json()["state"]) == ("discarded", "discarded")
    assert again.headers["idempotency-replayed"] == "true"
    unchanged = keeper.put(place, json=body, headers=retried | key())
    assert unchanged.json()["code"] == "stale_version"


def test_drafts_made_at_once_have_numbers_of_their_own(world: World) -> None:
    keepers(world)
    numbers: list[int] = []

    def make() -> None:
        numbers.append(draft(world, "UEP", OLD).json()["number"])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 4


def test_of_two_who_decide_on_a_draft_at_once_one_does(world: World) -> None:
    keepers(world)
    place = draft(world, "UEP", {"age": {"at_least": 20}}).headers["location"].removeprefix("/v1")
    world.as_("keeper").post(f"{place}/preview")
    headers = {"If-Match": etag(world, "keeper", place)}
    statuses: list[int] = []

    def decide(action: str) -> None:
        body = {"action": action}
        answer = world.as_("keeper").post(f"{place}/actions", json=body, headers=headers)
        statuses.append(answer.status_code)

    threads = [
        threading.Thread(target=decide, args=(action,)) for action in ("publish", "discard") * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 412, 412, 412]


def test_of_two_drafts_published_at_once_one_is_shown_anew(world: World) -> None:
    keepers(world)
    keeper, places = world.as_("keeper"), []
    for most in (3, 2):
        made = draft(world, "UEP", {"decile": {"at_most": most}})
        assert made.status_code == 201, made.text
        places.append(made.headers["location"].removeprefix("/v1"))
        assert keeper.post(f"{places[-1]}/preview").is_success

    async def race() -> list[Any]:
        """Both have come to their drafts, and wait, before either may go on."""
        async with held(world, "program_criteria", "program_code", "UEP"):
            asked = [asyncio.create_task(asyncio.to_thread(act, world, place, "publish"))
                for place in places]  # fmt: skip
            await asyncio.sleep(1)
        return list(await asyncio.gather(*asked))

    said = [(one.status_code, one.json().get("code")) for one in asyncio.run(race())]
    assert sorted(said, key=str) == [(200, None), (409, "preview_missing")]


@pytest.mark.parametrize(
    ("active", "begins", "ends", "found"),
    [
        (True, None, None, True),
        (False, None, None, False),
        (True, date(2026, 11, 25), None, False),
        (True, date(2026, 11, 24), date(2026, 11, 24), True),
        (True, None, date(2026, 11, 23), False),
    ],
)
def test_a_programme_can_be_had_while_it_is_valid(
    active: bool, begins: date | None, ends: date | None, found: bool
) -> None:
    columns = {"active": active, "valid_from": begins, "valid_until": ends}
    assert Program.model_construct(**columns).open_on(date(2026, 11, 24)) is found
