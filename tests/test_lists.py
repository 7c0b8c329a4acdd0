"""Who sees what, in which order, page by page: lists, searches, reference data and health."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema
import pytest

from app.problems.catalogue import CATALOGUE
from app.workflow.complaints.table import MACHINE as COMPLAINT
from app.workflow.referrals.table import MACHINE as REFERRAL
from app.workflow.sweeps import SWEEPS
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    WATES,
    act_on_referral,
    bring,
    check_registry,
    done,
    events,
    facilitator_id,
    file,
    get,
    key,
    save_survey,
    survey_body,
)
from tests.refusals import refused

CITY, MAGERSARI = "35.76", "35.76.02"
FAMILY_CARD = "3576021234569001"
MASKED = "3576********9001"
FAR = "9999"

Row = dict[str, Any]


def pages(world: World, who: str, path: str, **query: Any) -> Iterator[list[Row]]:
    """A list, page by page, by its cursors; the Link header must say the same."""
    client, cursor = world.as_(who), None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = client.get(path, params=query | more)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield body["items"]
        cursor = body["next_cursor"]
        if cursor is None:
            assert "link" not in answer.headers
            return
        assert re.fullmatch(r"[A-Za-z0-9_.~-]+", cursor)
        following = client.get(world.base_url + answer.links["next"]["url"])
        assert following.status_code == 200, following.text
        assert following.json()["items"] == listing(client, path, query | {"cursor": cursor})


def listing(client: httpx.Client, path: str, query: Row) -> list[Row]:
    found: list[Row] = client.get(path, params=query).json()["items"]
    return found


def listed(world: World, who: str, path: str = "/complaints", **query: Any) -> list[Row]:
    return [row for page in pages(world, who, path, **{"limit": 200} | query) for row in page]


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]


def me(world: World, who: str) -> str:
    found: str = world.as_(who).get("/me").json()["id"]
    return found


# What lists are narrowed to


@pytest.fixture(scope="module")
def office(world: World) -> World:
    """An office with a bit of everything in it; some of it is late."""
    home = listing(world.as_("front.1"), "/households", {"region": WATES, "limit": 1})[0]
    late = file(world)
    file(world, region_code=KAUMAN, who="puskesos.kauman", sector="health", channel="phone")
    world.advance(hours=7)
    world.sweep("sla")
    assert get(world, "front.1", late["id"])["escalation_level"] == 1
    file(world, kind="question", category=None, program_code=None, sector=None)
    file(world, kind="suggestion", category=None, program_code="PIP", channel="tablet")
    file(world, priority="emergency", category="other", sector="food")
    file(world, subject={"household_id": home["id"]}, category="card_problem")
    file(world, "script-batch", channel="batch", region_code="35.76.03.1004")
    bring(world, "assigned")
    bring(world, "awaiting_supervisor", "facilitator.wates.2")
    bring(world, "awaiting_manager", "facilitator.wates.3")
    bring(world, "closed")
    bring(world, "forwarded")
    resolved = file(world)
    done(world, "puskesos.wates", resolved["id"], "resolve_now", note="Sudah dijelaskan.")
    return world


def after(moment: str, than: str) -> bool:
    return datetime.fromisoformat(moment) > datetime.fromisoformat(than)


Filter = Callable[[World, list[Row]], tuple[Any, Callable[[Row], bool]]]


def equal(name: str, value: Any) -> Filter:
    return lambda *_: (value, lambda row: row[name] == value)


def inside(region: str) -> Filter:
    return lambda *_: (region, lambda row: row["region_code"].startswith(f"{region}."))


def someone(name: str, who: str) -> Filter:
    def wanted(world: World, _: list[Row]) -> tuple[Any, Callable[[Row], bool]]:
        id = me(world, who)
        return id, lambda row: (row[name] or {}).get("id") == id

    return wanted


def of_a_household(_: World, rows: list[Row]) -> tuple[Any, Callable[[Row], bool]]:
    id = next(row["household_id"] for row in rows if row["household_id"])
    return id, lambda row: row["household_id"] == id


def of_a_ticket(_: World, rows: list[Row]) -> tuple[Any, Callable[[Row], bool]]:
    ticket = rows[2]["ticket"]
    return ticket, lambda row: row["ticket"] == ticket


def overdue(value: bool) -> Filter:
    def wanted(world: World, _: list[Row]) -> tuple[Any, Callable[[Row], bool]]:
        now = world.fetch("select slrt_now() as now")[0]["now"]

        def late(row: Row) -> bool:
            due_at = row["due_at"]
            is_due = due_at is not None and datetime.fromisoformat(due_at) <= now
            return (is_due and row["state"] != "closed") == value

        return str(value).lower(), late

    return wanted


def received(bound: str) -> Filter:
    def wanted(_: World, rows: list[Row]) -> tuple[Any, Callable[[Row], bool]]:
        moment = sorted(row["received_at"] for row in rows)[len(rows) // 2]
        if bound == "from":
            return moment, lambda row: not after(moment, row["received_at"])
        return moment, lambda row: after(moment, row["received_at"])

    return wanted


FILTERS: list[tuple[str, Filter]] = [
    ("state", equal("state", "received")),
    ("state", equal("state", "closed")),
    ("outcome", equal("outcome", "granted")),
    ("kind", equal("kind", "question")),
    ("category", equal("category", "card_problem")),
    ("sector", equal("sector", "food")),
    ("priority", equal("priority", "emergency")),
    ("channel", equal("channel", "tablet")),
    ("program_code", equal("program_code", "PIP")),
    ("region", equal("region_code", WATES)),
    ("region", inside(MAGERSARI)),
    ("region", inside("35.76.03")),
    ("assigned_to", someone("assigned_to", "facilitator.wates.2")),
    ("submitted_by", someone("submitted_by", "puskesos.kauman")),
    ("household_id", of_a_household),
    ("overdue", overdue(True)),
    ("overdue", overdue(False)),
    ("escalation_level_min", lambda *_: (1, lambda row: row["escalation_level"] >= 1)),
    ("received_from", received("from")),
    ("received_to", received("to")),
    ("ticket", of_a_ticket),
]


@pytest.mark.parametrize(("name", "wanted"), FILTERS, ids=[name for name, _ in FILTERS])
def test_complaints_are_narrowed_to_what_is_asked_for(
    office: World, name: str, wanted: Filter
) -> None:
    everything = listed(office, "front.1")
    value, matches = wanted(office, everything)
    expected = [row["id"] for row in everything if matches(row)]
    assert 0 < len(expected) < len(everything)
    assert ids(listed(office, "front.1", **{name: value})) == expected


def test_filters_narrow_together(office: World) -> None:
    query = {"state": "received", "region": MAGERSARI, "kind": "complaint", "overdue": "true"}
    found = listed(office, "front.1", **query)
    assert len(found) == 1
    assert found[0]["escalation_level"] == 1
    assert listed(office, "front.1", state="closed", kind="question") == []
    assert listed(office, "front.1", region="35") == listed(office, "front.1")
    assert listed(office, "front.1", region="11") == []


def test_referrals_are_narrowed_to_what_is_asked_for(office: World) -> None:
    everything = listed(office, "front.1", "/referrals")
    states = {row["state"] for row in everything}
    assert len(states) > 1
    home = listing(office.as_("front.1"), "/households", {"region": KAUMAN, "limit": 1})[0]["id"]
    complaint = bring(office, "assigned")["id"]
    need = {"complaint_id": complaint, "program_code": "PIP", "beneficiary": {"household_id": home}}
    drafted = office.as_("front.1").post("/referrals", json=need, headers=key()).json()
    everything = listed(office, "front.1", "/referrals")
    for name, value in (
        ("state", "granted"), ("state", "draft"), ("program_code", "PIP"), ("program_code", "PKH"),
        ("complaint_id", complaint), ("complaint_id", everything[-1]["complaint_id"]),
    ):  # fmt: skip
        expected = [row["id"] for row in everything if row[name] == value]
        assert 0 < len(expected) < len(everything)
        assert ids(listed(office, "front.1", "/referrals", **{name: value})) == expected
    assert ids(listed(office, "front.1", "/referrals", household_id=home)) == [drafted["id"]]
    assert listed(office, "front.1", "/referrals", region=WATES) == everything
    assert listed(office, "front.1", "/referrals", region=KAUMAN) == []
    assert ids(everything) == sorted(ids(everything), reverse=True)


def test_referrals_are_paged_once_each(office: World) -> None:
    everything = ids(listed(office, "front.1", "/referrals"))
    small = [row["id"] for page in pages(office, "front.1", "/referrals", limit=1) for row in page]
    assert small == everything


# Order and pages


def order(sort: str) -> Callable[[Row], Any]:
    if sort == "due_at":
        return lambda row: (row["due_at"] or FAR, row["id"])
    return lambda row: (row["received_at"], row["id"])


@pytest.mark.parametrize("sort", ["due_at", "received_at", "-received_at"])
def test_complaints_are_sorted_as_asked(office: World, sort: str) -> None:
    # Filed at one moment, so that only the id tells them apart.
    moment = (datetime.now().astimezone() - timedelta(days=1)).isoformat()
    for _ in range(3):
        file(office, received_at=moment)
    found = listed(office, "front.1", sort=sort)
    assert found == sorted(found, key=order(sort), reverse=sort.startswith("-"))
    assert len({row["due_at"] for row in found}) > 3
    assert None in {row["due_at"] for row in found}


def test_the_newest_stand_first_when_nothing_is_asked(office: World) -> None:
    assert ids(listed(office, "front.1")) == ids(listed(office, "front.1", sort="-received_at"))


@pytest.mark.parametrize("sort", ["due_at", "received_at", "-received_at"])
def test_pages_visit_each_once_while_new_ones_are_filed(office: World, sort: str) -> None:
    before = ids(listed(office, "front.1", sort=sort))
    seen: list[str] = []
    for n, page in enumerate(pages(office, "front.1", "/complaints", sort=sort, limit=6)):
        assert len(page) <= 6
        seen += ids(page)
        if n < 4:
            file(office)
            file(office, region_code=KAUMAN, priority="emergency")
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in set(before)] == before


def test_a_page_has_fifty_items_when_nothing_is_asked_and_200_at_most(fresh_world: World) -> None:
    # Without numbers: a sealed one opens in its own row only.
    filed = file(fresh_world, reporter={"name": "Siti", "relation": "self"})
    columns = [
        row["column_name"]
        for row in fresh_world.fetch(
            "select column_name from information_schema.columns where table_name = 'complaints'"
            " and column_name not in ('id', 'ticket', 'client_ref')"
        )
    ]
    names = ", ".join(columns)
    fresh_world.fetch(
        f"insert into complaints (id, ticket, client_ref, {names})"
        f" select gen_random_uuid(), n::text, n::text, {names} from complaints,"
        " generate_series(1, 209) as n where client_ref = $1",
        filed["client_ref"],
    )
    client = fresh_world.as_("front.1")
    for query, size in (({}, 50), ({"limit": 1}, 1), ({"limit": 200}, 200)):
        answer = client.get("/complaints", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert len(body["items"]) == size
        assert body["next_cursor"] is not None
    assert len(set(ids(listed(fresh_world, "front.1", limit=200)))) == 210
    # All at one moment: the id alone tells where a page ends.
    assert len(set(ids(listed(fresh_world, "front.1", limit=70)))) == 210


def test_a_history_is_paged_oldest_first(office: World) -> None:
    id = bring(office, "forwarded")["id"]
    whole = events(office, id)
    found = [
        row
        for page in pages(office, "front.1", f"/complaints/{id}/events", limit=3)
        for row in page
    ]
    assert found == whole
    assert [row["at"] for row in whole] == sorted(row["at"] for row in whole)
    assert whole[0]["action"] == "submit"
    assert whole[0]["by"]["id"] == me(office, "puskesos.wates")
    referral = get(office, "front.1", id)["referral_ids"][0]
    steps = [row["action"] for row in listed(office, "program.1", f"/referrals/{referral}/events")]
    assert steps == ["drafted", "approve", "send"]


def test_the_inbox_counts_what_it_lists(office: World) -> None:
    for who in ("front.1", "puskesos.wates", "supervisor.magersari", "manager", "program.1"):
        waiting = listed(office, who, "/inbox", limit=4)
        summary = office.as_(who).get("/inbox/summary").json()
        assert summary["total"] == len(waiting) > 0
        assert summary["overdue"] == sum(row["overdue"] for row in waiting)
        assert sum(group["count"] for group in summary["groups"]) == len(waiting)
        assert len(set(ids(waiting))) == len(waiting)
        dates = [row["due_at"] or FAR for row in waiting]
        assert dates == sorted(dates)
    for who in ("admin", "dpo", "script-batch"):
        assert listed(office, who, "/inbox") == []


# Who sees what


@pytest.fixture(scope="module")
def sights(world: World) -> dict[str, str]:
    """Complaints by what is special about them."""
    return {
        "wates": file(world)["id"],
        "kauman": file(world, "puskesos.kauman", region_code=KAUMAN)["id"],
        "kauman, filed in wates": file(world, region_code=KAUMAN)["id"],
        "kauman, filed at the door": file(world, "facilitator.wates.3", region_code=KAUMAN)["id"],
        "wates, filed by a client": file(world, "script-batch")["id"],
        "wates, assigned": bring(world, "assigned", "facilitator.wates.3")["id"],
    }


OF_WATES = {"wates", "wates, filed by a client", "wates, assigned"}
OF_KAUMAN = {"kauman", "kauman, filed in wates", "kauman, filed at the door"}
EVERYTHING = OF_WATES | OF_KAUMAN


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("puskesos.wates", OF_WATES | {"kauman, filed in wates"}),
        ("puskesos.kauman", OF_KAUMAN),
        ("puskesos.mentikan", set()),
        ("front.1", EVERYTHING),
        ("back.2", EVERYTHING),
        ("facilitator.wates.3", {"wates, assigned", "kauman, filed at the door"}),
        ("facilitator.wates.4", set()),
        ("supervisor.magersari", OF_WATES),
        ("supervisor.prajuritkulon", OF_KAUMAN),
        ("supervisor.kranggan", set()),
        ("manager", EVERYTHING),
        ("head", EVERYTHING),
        ("dpo", EVERYTHING),
        ("admin", set()),
        ("program.1", set()),
        ("agency-pkh", set()),
        ("integrator", set()),
        ("script-batch", {"wates, filed by a client"}),
    ],
)
def test_everybody_sees_what_is_theirs_to_see(
    world: World, sights: dict[str, str], who: str, seen: set[str]
) -> None:
    client, rows = world.as_(who), set(ids(listed(world, who)))
    assert {name for name, id in sights.items() if id in rows} == seen
    for name, id in sights.items():
        for path in (f"/complaints/{id}", f"/complaints/{id}/events", f"/complaints/{id}/survey"):
            answer = client.get(path)
            if name in seen:
                assert answer.status_code == 200, answer.text
            else:
                refused(answer, 404, "not_found")


def test_a_filter_does_not_widen_the_sight(world: World, sights: dict[str, str]) -> None:
    assert listed(world, "puskesos.mentikan", region=KAUMAN) == []
    ticket = get(world, "front.1", sights["kauman"])["ticket"]
    assert listed(world, "puskesos.wates", ticket=ticket) == []


def test_a_facilitator_reads_on_for_ninety_days(fresh_world: World) -> None:
    world, who = fresh_world, "facilitator.wates.1"
    assigned = bring(world, "assigned", who)["id"]
    filed = file(world, who, region_code=KAUMAN)["id"]
    kept = bring(world, "assigned", who)["id"]
    other = {"facilitator_id": facilitator_id(world, "facilitator.wates.2")}
    done(world, "front.1", assigned, "reassign", data=other)
    assert set(ids(listed(world, who))) == {assigned, filed, kept}
    world.advance(days=89, hours=23)
    assert set(ids(listed(world, who))) == {assigned, filed, kept}
    world.advance(hours=2)
    assert ids(listed(world, who)) == [kept]
    for gone in (assigned, filed):
        refused(world.as_(who).get(f"/complaints/{gone}"), 404, "not_found")
    assert get(world, "facilitator.wates.2", assigned)["state"] == "assigned"


def test_a_supervisor_sees_elsewhere_what_is_escalated(fresh_world: World) -> None:
    world, who = fresh_world, "supervisor.kranggan"
    id = bring(world, "awaiting_supervisor")["id"]
    refused(world.as_(who).get(f"/complaints/{id}"), 404, "not_found")
    world.advance(hours=9)
    world.sweep("unconfirmed")
    assert get(world, who, id)["escalation_level"] == 1
    assert "approve" in get(world, who, id)["actions"]
    done(world, who, id, "approve")
    # Having decided on it, they see what becomes of it.
    assert get(world, who, id)["state"] == "awaiting_manager"


def test_a_referral_is_seen_with_its_complaint_and_by_its_owner(world: World) -> None:
    complaint = bring(world, "assigned", "facilitator.wates.3")["id"]
    assert save_survey(world, complaint, "facilitator.wates.3").is_success
    done(world, "facilitator.wates.3", complaint, "submit_survey")
    id = get(world, "front.1", complaint)["referral_ids"][0]

    def seen_by(*people: str) -> set[str]:
        found = set()
        for who in people:
            answer = world.as_(who).get(f"/referrals/{id}")
            shown = id in ids(listed(world, who, "/referrals"))
            assert shown == answer.is_success
            if shown:
                found.add(who)
            else:
                refused(answer, 404, "not_found")
        return found

    office = {"front.1", "puskesos.wates", "supervisor.magersari", "manager", "head", "dpo"}
    office |= {"facilitator.wates.3", "program.1"}
    owners = {"agency-pkh", "integrator"}
    others = {"admin", "program.2", "script-batch", "facilitator.wates.4", "puskesos.kauman"}
    assert seen_by(*office, *owners, *others) == office
    done(world, "supervisor.magersari", complaint, "approve")
    done(world, "manager", complaint, "forward")
    assert seen_by(*office, *owners, *others) == office | owners
    # Reading is not answering.
    assert world.as_("integrator").get(f"/referrals/{id}").json()["actions"] == []
    refused(act_on_referral(world, "integrator", id, "grant"), 403, "role_not_allowed")
    assert "grant" in world.as_("agency-pkh").get(f"/referrals/{id}").json()["actions"]


# The registry


@contextmanager
def numbers(world: World) -> Iterator[Callable[[str, int], tuple[UUID, str, str]]]:
    """(household, family card number, national id of a member), opened with the server's keys."""
    data = world.cluster.keys.data
    sql = """
        select h.id, f.id as family_id, f.family_card_number as card,
        m.id as member_id, m.national_id as number
        from households h join members m on m.household_id = h.id
        join families f on f.household_id = h.id
        where h.village_code = $1 and m.national_id is not null order by h.id, m.id
    """

    def of(village: str, n: int) -> tuple[UUID, str, str]:
        rows = {row["id"]: row for row in world.fetch(sql, village)}
        row = list(rows.values())[n]
        card = data.open(row["card"], "households", "family_card_number", row["family_id"])
        number = data.open(row["number"], "members", "national_id", row["member_id"])
        return row["id"], card, number

    yield of


def check(world: World, who: str = "puskesos.wates", **asked: Any) -> httpx.Response:
    return world.as_(who).post("/registry/checks", json=asked, headers=key())


def test_an_exact_number_finds_its_household_in_the_whole_city(world: World) -> None:
    with numbers(world) as of:
        for village in (WATES, KAUMAN):
            household, card, number = of(village, 0)
            for asked in ({"national_id": number}, {"family_card_number": card}):
                answer = check(world, **asked)
                found = answer.json()
                assert answer.status_code == 201
                assert found["outcome"] == "registered"
                assert found["household_id"] == str(household)
                assert [one["village_code"] for one in found["candidates"]] == [village]
                # Masked: to recognise, not to copy.
                assert number not in answer.text
                assert card not in answer.text
                candidate = found["candidates"][0]
                assert candidate["family_card_number"] == f"{card[:4]}********{card[-4:]}"
                assert re.fullmatch(r"\S\**( \S\**)*", candidate["head_name"])


NOTHING = {"household_id": None, "candidates": [], "warnings": []}


def test_a_number_that_nobody_has_is_unregistered(world: World) -> None:
    for asked, warnings in (
        ({"national_id": NATIONAL_ID}, []),
        ({"family_card_number": FAMILY_CARD}, []),
        ({"name": "Siti"}, ["name_not_compared"]),
    ):
        found = check(world, **asked).json()
        assert found == NOTHING | {"outcome": "unregistered", "warnings": warnings}
    refused(check(world), 422, "criterion_required")
    refused(check(world, birth_date="1984-07-05"), 422, "criterion_required")
    refused(check(world, complaint_id=str(uuid4())), 422, "unknown_complaint")


def test_a_number_that_two_households_have_is_left_to_the_desk(world: World) -> None:
    with numbers(world) as of:
        (first, card, _), (second, _, _) = of(KAUMAN, 0), of(KAUMAN, 1)
        before = world.fetch(
            "select family_card_number_index from families where household_id = $1", second
        )
        sql = "update families set family_card_number_index = $2 where household_id = $1"
        world.fetch(sql, second, world.cluster.keys.data.blind(card))
        try:
            found = check(world, family_card_number=card).json()
            assert found["outcome"] == "similar"
            assert found["household_id"] is None
            shown = {one["household_id"] for one in found["candidates"]}
            assert shown == {str(first), str(second)}
        finally:
            world.fetch(sql, second, before[0][0])


def test_without_a_registry_that_is_what_a_check_says(fresh_world: World) -> None:
    fresh_world.fetch("truncate households cascade")
    found = check(fresh_world, national_id=NATIONAL_ID).json()
    assert found == NOTHING | {"outcome": "no_registry"}


def test_a_check_is_kept_on_its_complaint_and_moves_no_version(world: World) -> None:
    with numbers(world) as of:
        household, card, number = of(WATES, 0)
    about = {"national_id": number, "family_card_number": card, "name": "Siapa"}
    complaint = file(world, subject=about)
    found = check_registry(world, complaint["id"])
    kept = get(world, "front.1", complaint["id"])
    assert kept["registry_check"]["outcome"] == found["outcome"] == "registered"
    assert kept["registry_check"]["household_id"] == str(household)
    assert kept["registry_check"]["candidates"] == found["candidates"]
    assert kept["registry_check"]["checked_by"] == me(world, "puskesos.wates")
    assert kept["version"] == complaint["version"]
    assert kept["due_at"] == complaint["due_at"]
    # A check of somebody else's complaint is none.
    refused(check(world, "puskesos.kauman", complaint_id=complaint["id"]), 422, "unknown_complaint")


def test_who_may_ask_the_registry(world: World) -> None:
    for who in ("front.1", "facilitator.wates.1", "supervisor.magersari"):
        assert check(world, who, national_id=NATIONAL_ID).status_code == 201
    for who in ("manager", "head", "admin", "program.1", "agency-pkh", "script-batch"):
        refused(check(world, who, national_id=NATIONAL_ID), 403, "role_not_allowed")


def test_households_are_read_by_region_and_masked(world: World) -> None:
    everything = listed(world, "front.1", "/households", limit=7)
    assert len(everything) == 36
    of_wates = listed(world, "puskesos.wates", "/households")
    assert ids(of_wates) == ids(listed(world, "front.1", "/households", region=WATES))
    assert 0 < len(of_wates) < 36
    of_district = listed(world, "supervisor.magersari", "/households")
    assert {row["region_code"][:8] for row in of_district} == {MAGERSARI}
    assert listed(world, "puskesos.wates", "/households", region=KAUMAN) == []
    one = of_wates[0]
    answer = world.as_("puskesos.wates").get(f"/households/{one['id']}")
    shown = answer.json()
    assert {name: shown[name] for name in one if name != "members"} == {
        name: value for name, value in one.items() if name != "members"
    }
    assert ids(shown["members"]) == ids(one["members"])
    assert answer.headers["etag"] == '"1"'
    assert one["family_card_number"][4:12] == "********"
    assert {m["national_id"][4:12] for m in one["members"] if m["national_id"]} == {"********"}
    with numbers(world) as of:
        _, card, number = of(WATES, 0)
    text = world.as_("front.1").get("/households", params={"limit": 200}).text
    assert card not in text
    assert number not in text
    refused(world.as_("puskesos.kauman").get(f"/households/{one['id']}"), 404, "not_found")
    for who in ("facilitator.wates.1", "admin", "agency-pkh", "script-batch", "program.1"):
        refused(world.as_(who).get("/households"), 403, "role_not_allowed")
        refused(world.as_(who).get(f"/households/{one['id']}"), 404, "not_found")


def test_a_client_reads_the_registry_where_it_was_let(world: World) -> None:
    draft = {
        "username": "registry-reader",
        "name": "Pembaca",
        "secret": "rujukan-terpadu-2026",
        "scopes": ["registry:read"],
        "region_codes": [WATES],
    }
    assert world.as_("admin").post("/clients", json=draft).status_code == 201
    form = {"grant_type": "client_credentials", "client_id": "registry-reader"}
    form["client_secret"] = draft["secret"]
    token = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    rows = world.anyone.get("/v1/households", headers=headers).json()["items"]
    assert {row["region_code"] for row in rows} == {WATES}
    answer = world.anyone.post(
        "/v1/registry/checks", json={"national_id": NATIONAL_ID}, headers=headers | key()
    )
    assert answer.json()["outcome"] == "unregistered"
    assert world.anyone.get("/v1/complaints", headers=headers).json()["items"] == []


def test_a_facilitator_reads_the_household_of_an_assigned_complaint(world: World) -> None:
    with numbers(world) as of:
        household, card, number = of(WATES, 1)
    about = {"national_id": number, "family_card_number": card, "name": "Siapa"}
    who = "facilitator.wates.5"
    refused(world.as_(who).get(f"/households/{household}"), 404, "not_found")
    bring(world, "assigned", who, subject=about)
    assert world.as_(who).get(f"/households/{household}").status_code == 200
    refused(world.as_("facilitator.wates.6").get(f"/households/{household}"), 404, "not_found")


# Searching for a citizen


def test_a_citizen_without_the_ticket_is_found_by_number_or_name(world: World) -> None:
    reporter = {"name": "Sri Wahyuni Lestari", "national_id": "3576025203909007"}
    mine = file(
        world,
        reporter=reporter | {"relation": "family"},
        subject={"name": "Mbah Karto", "family_card_number": FAMILY_CARD},
    )
    search = world.as_("puskesos.wates")
    for asked in (
        {"national_id": "3576025203909007"},
        {"family_card_number": FAMILY_CARD},
        {"name": "sri wahyuni lestari"},
        {"name": "Mbah Karto"},
        {"name": "Sri Wahyuni Lestari", "birth_date": "1990-03-12"},
    ):
        answer = search.post("/complaints/search", json=asked)
        assert answer.status_code == 200, answer.text
        found = answer.json()["items"]
        assert ids(found) == [mine["id"]], asked
        assert found[0]["ticket"] == mine["ticket"]
        assert found[0]["reporter_name"] == "S** W****** L******"
        assert found[0]["subject_name"] == "M*** K****"
        for hidden in ("Wahyuni", "Karto", "3576025203909007", FAMILY_CARD):
            assert hidden not in answer.text
    for other in (
        {"national_id": "3576025203909008"},
        {"name": "Sri"},
        {"name": "Sri Wahyuni Lestari", "birth_date": "1990-03-13"},
    ):
        assert search.post("/complaints/search", json=other).json()["items"] == []


def test_a_search_is_on_record(world: World) -> None:
    id = file(world, reporter={"name": "Bu Dicari", "relation": "self"})["id"]
    world.as_("puskesos.kauman").post("/complaints/search", json={"name": "Bu Dicari"})
    last = events(world, id)[-1]
    assert last["type"] == "complaint.found_by_search"
    assert last["by"]["id"] == me(world, "puskesos.kauman")


def test_a_search_names_whom_to_look_for(world: World) -> None:
    client = world.as_("front.1")
    for nothing in ({}, {"birth_date": "1990-03-12"}):
        refused(client.post("/complaints/search", json=nothing), 422, "criterion_required")
    for who in ("manager", "admin", "agency-pkh", "script-batch"):
        answer = world.as_(who).post("/complaints/search", json={"name": "Siti"})
        refused(answer, 403, "role_not_allowed")


# Numbers are masked


def test_no_answer_holds_a_whole_national_id(world: World) -> None:
    about = {"national_id": NATIONAL_ID, "family_card_number": FAMILY_CARD, "name": "Siti"}
    complaint = bring(world, "assigned", "facilitator.wates.1", subject=about)
    assert complaint["reporter"]["national_id"] == MASKED
    assert complaint["subject"]["national_id"] == MASKED
    assert complaint["subject"]["family_card_number"] == MASKED
    id = complaint["id"]
    need = {"program_code": "PIP", "beneficiary": {"name": "Siti", "national_id": NATIONAL_ID}}
    body = survey_body(world)
    saved = save_survey(world, id, program_needs=[*body["program_needs"], need])
    assert saved.status_code == 200, saved.text
    done(world, "facilitator.wates.1", id, "submit_survey")
    paths = ["/complaints", f"/complaints/{id}", f"/complaints/{id}/events", "/inbox", "/referrals"]
    for who in ("front.1", "puskesos.wates", "supervisor.magersari", "facilitator.wates.1", "dpo"):
        for path in (*paths, f"/complaints/{id}/survey"):
            answer = world.as_(who).get(path, params={})
            assert NATIONAL_ID not in answer.text, (who, path)
            assert FAMILY_CARD not in answer.text, (who, path)
    mine = world.as_("front.1").get("/referrals", params={"complaint_id": id}).json()["items"]
    shown = {one["program_code"]: one["beneficiary"]["national_id"] for one in mine}
    assert shown["PIP"] == MASKED


def test_whoever_writes_a_survey_reads_what_they_wrote(world: World) -> None:
    id = bring(world, "assigned", "facilitator.wates.1")["id"]
    need = {"program_code": "PIP", "beneficiary": {"name": "Siti", "national_id": NATIONAL_ID}}
    assert save_survey(world, id, program_needs=[need]).is_success
    path = f"/complaints/{id}/survey"
    assert NATIONAL_ID in world.as_("facilitator.wates.1").get(path).text
    masked = world.as_("supervisor.magersari").get(path)
    assert NATIONAL_ID not in masked.text
    assert MASKED in masked.text


# Reference data


@pytest.mark.parametrize(
    "path",
    [
        "/regions", "/regions?parent=35.76", "/programs", "/programs/PKH", "/workflows/complaint",
        "/workflows/referral", "/survey-forms",
    ],
)  # fmt: skip
def test_reference_data_are_cached_for_an_hour(world: World, path: str) -> None:
    client = world.as_("front.1")
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "public, max-age=3600"
    etag = first.headers["etag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == "public, max-age=3600"
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_regions_are_listed_by_level_and_parent(world: World) -> None:
    everything = listed(world, "front.1", "/regions", limit=5)
    codes = [row["code"] for row in everything]
    assert codes == sorted(codes)
    assert len(codes) == 23
    levels = [row["level"] for row in everything]
    assert {level: levels.count(level) for level in set(levels)} == {
        "province": 1, "regency": 1, "district": 3, "village": 18,
    }  # fmt: skip
    for row in everything:
        assert row["parent_code"] == (row["code"].rpartition(".")[0] or None)
    for parent in ("35", CITY, MAGERSARI):
        found = [row["code"] for row in listed(world, "front.1", "/regions", parent=parent)]
        assert found == [row["code"] for row in everything if row["parent_code"] == parent]
    assert listed(world, "front.1", "/regions", parent=WATES) == []
    moved = next(row for row in everything if row["code"] == "35.76.03.1004")
    assert moved["former_codes"] == ["35.76.02.1007"]


def test_programmes_are_listed_by_code(world: World) -> None:
    everything = listed(world, "front.1", "/programs", limit=9)
    codes = [row["code"] for row in everything]
    assert codes == sorted(codes)
    assert len(codes) == 28
    for row in everything[:3]:
        assert world.as_("agency-pkh").get(f"/programs/{row['code']}").json() == row
    active, ended = (listed(world, "front.1", "/programs", active=flag) for flag in (True, False))
    assert len(active) + len(ended) == 28
    assert all(row["active"] for row in active)
    refused(world.as_("front.1").get("/programs/NONE"), 404, "not_found")


@pytest.mark.parametrize(("name", "machine"), [("complaint", COMPLAINT), ("referral", REFERRAL)])
def test_a_workflow_is_told_as_the_table_has_it(world: World, name: str, machine: Any) -> None:
    found = world.as_("front.1").get(f"/workflows/{name}").json()
    assert found["name"] == name
    assert found["initial"] == machine.initial
    assert [row["state"] for row in found["states"]] == [str(state) for state in machine.ladder]
    told = {(source, row["action"]) for row in found["transitions"] for source in row["from"]}
    assert told == {(str(state), str(action)) for state, action in machine.rows}
    assert found["mermaid"].startswith("stateDiagram-v2")
    assert all(row["by"] for row in found["transitions"])
    if name == "complaint":
        assert len(found["routes"]) == 11
        received = found["states"][0]
        assert (received["budget_seconds"], received["emergency_budget_seconds"]) == (21600, 3600)
    refused(world.as_("front.1").get("/workflows/none"), 404, "not_found")


def test_the_example_of_a_form_can_be_saved_as_it_is(world: World) -> None:
    client = world.as_("facilitator.wates.1")
    forms = client.get("/survey-forms").json()
    assert forms["current"] in [one["version"] for one in forms["items"]]
    for one in forms["items"]:
        form = client.get(f"/survey-forms/{one['version']}").json()
        jsonschema.validate(form["example"]["answers"], form["schema"])
        id = bring(world, "assigned", "facilitator.wates.1")["id"]
        empty = client.get(f"/complaints/{id}/survey")
        assert empty.headers["etag"] == '"0"'
        assert empty.json()["answers"] == {}
        saved = client.put(
            f"/complaints/{id}/survey", json=form["example"], headers={"If-Match": '"0"'}
        )
        assert saved.status_code == 200, saved.text
        assert saved.headers["etag"] == '"1"'
        assert saved.json()["answers"] == form["example"]["answers"]
        assert done(world, "facilitator.wates.1", id, "submit_survey")["referral_ids"]
    refused(client.get("/survey-forms/1999-1"), 404, "not_found")


def test_the_example_is_valid_whenever_it_is_asked_for(fresh_world: World) -> None:
    for _ in range(3):
        fresh_world.advance(days=300)
    id = bring(fresh_world, "assigned")["id"]
    assert save_survey(fresh_world, id).status_code == 200
    done(fresh_world, "facilitator.wates.1", id, "submit_survey")


# People


def test_facilitators_are_proposed_nearest_first_and_least_loaded_first(fresh_world: World) -> None:
    world = fresh_world
    busy = [facilitator_id(world, f"facilitator.wates.{n}") for n in (1, 1, 2)]
    bring(world, "assigned", "facilitator.wates.1")
    bring(world, "assigned", "facilitator.wates.1")
    bring(world, "assigned", "facilitator.wates.2")
    found = listed_at_once(world, "front.1", region=WATES)
    assert len(found) == 57
    assert [row["open_assignments"] for row in found[:7]] == [0] * 5 + [1, 2]
    assert [row["id"] for row in found[5:7]] == [busy[2], busy[0]]
    assert all(row["region_codes"] == [WATES] for row in found[:7])
    near = [row["region_codes"][0].startswith(MAGERSARI) for row in found]
    assert near == sorted(near, reverse=True)
    assert found[0]["last_activity_at"] is None
    done(world, "facilitator.wates.1", bring(world, "assigned")["id"], "hand_back", reason="ill")
    again = listed_at_once(world, "front.1", region=WATES)
    assert next(row for row in again if row["id"] == busy[0])["last_activity_at"] is not None
    # Asked without a region: one's own.
    assert listed_at_once(world, "puskesos.wates") == again
    assert len(listed_at_once(world, "manager")) == 57


def listed_at_once(world: World, who: str, **query: Any) -> list[Row]:
    answer = world.as_(who).get("/facilitators", params=query)
    assert answer.status_code == 200, answer.text
    found: list[Row] = answer.json()["items"]
    return found


def test_facilitators_are_shown_to_who_works_with_them(world: World) -> None:
    for who in ("front.1", "supervisor.magersari", "manager", "head", "puskesos.wates"):
        assert listed_at_once(world, who)
    for who in ("admin", "dpo", "program.1", "agency-pkh", "script-batch"):
        assert listed_at_once(world, who) == []
    assert listed_at_once(world, "front.1", region="11.01.01.2001") == []
    assert listed_at_once(world, "front.1", region="11") == []


def test_people_are_told_and_mark_what_they_have_read(fresh_world: World) -> None:
    world, who = fresh_world, "facilitator.wates.1"
    assigned = [bring(world, "assigned", who)["id"] for _ in range(3)]
    done(world, who, assigned[0], "hand_back", reason="ill")
    told = listed(world, who, "/notifications", limit=2)
    assert [row["subject"] for row in told] == [f"complaints/{id}" for id in reversed(assigned)]
    assert {row["step"] for row in told} == {"assigned"}
    assert {row["read_at"] for row in told} == {None}
    client = world.as_(who)
    for count in (2, 0):
        marked = client.post("/notifications/read", json={"up_to": told[1]["id"]})
        assert marked.json() == {"count": count}
    unread = listed(world, who, "/notifications", unread="true")
    assert ids(unread) == [told[0]["id"]]
    assert [row["read_at"] is None for row in listed(world, who, "/notifications")] == [
        True, False, False,
    ]  # fmt: skip
    # What was told to others stays theirs.
    assert listed(world, "facilitator.wates.2", "/notifications") == []
    other = world.as_("facilitator.wates.2")
    answer = other.post("/notifications/read", json={"up_to": told[0]["id"]})
    assert answer.json() == {"count": 0}
    assert len(listed(world, who, "/notifications", unread="true")) == 1
    refused(client.post("/notifications/read", json={}), 422, "validation_failed")


def test_a_late_case_is_told_to_its_desk_once(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    world.advance(hours=5)
    for _ in range(2):
        world.sweep("sla")
    told = listed(world, "puskesos.wates", "/notifications")
    assert [(row["subject"], row["step"]) for row in told] == [(f"complaints/{id}", "reminder")]


# Problems, health, measurements


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_is_explained_in_both_languages(world: World, code: str) -> None:
    told = {}
    for language in ("id", "en"):
        answer = world.anyone.get(f"/problems/{code}", headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert answer.headers["content-language"] == language
        told[language] = answer.json()
        assert told[language]["code"] == code
        assert told[language]["type"] == f"/problems/{code}"
        assert 400 <= told[language]["status"] < 600
        assert told[language]["title"]
        assert told[language]["detail"]
        page = world.anyone.get(
            f"/problems/{code}", headers={"Accept-Language": language, "Accept": "text/html"}
        )
        assert page.headers["content-type"].startswith("text/html")
        assert f'lang="{language}"' in page.text
        assert code in page.text
    assert told["id"]["title"] != told["en"]["title"]


def test_all_problems_are_listed(world: World) -> None:
    found = world.anyone.get("/problems").json()["items"]
    assert [one["code"] for one in found] == list(CATALOGUE)
    refused(world.anyone.get("/problems/none"), 404, "not_found")


def test_health_says_alive_late_ready_and_draining(fresh_world: World) -> None:
    world, anyone = fresh_world, fresh_world.anyone
    assert anyone.get("/livez").json() == {"status": "alive"}
    answer = anyone.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "late_sweeps": list(SWEEPS)}
    for name in SWEEPS:
        world.sweep(name)
    assert anyone.get("/readyz").json() == {"status": "ready", "late_sweeps": []}
    world.lifetime.draining = True
    draining = anyone.get("/readyz")
    refused(draining, 503, "not_ready")
    assert int(draining.headers["retry-after"]) > 0
    assert anyone.get("/livez").status_code == 200


def test_the_sweeps_are_listed_for_who_runs_the_office(world: World) -> None:
    run = world.sweep("sla")
    report = world.as_("manager").get("/sweeps", params={"name": "sla"}).json()
    assert report["items"][0]["id"] == run["id"]
    assert [one["name"] for one in report["sweeps"]] == list(SWEEPS)
    assert not next(one for one in report["sweeps"] if one["name"] == "sla")["late"]
    assert report["parked"] == []
    assert world.as_("admin").get("/sweeps").is_success
    for who in ("front.1", "puskesos.wates", "facilitator.wates.1", "agency-pkh"):
        refused(world.as_(who).get("/sweeps"), 403, "role_not_allowed")
        refused(world.as_(who).post("/demo/sweeps/sla", json={}), 403, "role_not_allowed")
    refused(world.as_("admin").post("/demo/sweeps/none", json={}), 404, "not_found")


def test_metrics_name_routes_by_their_templates_and_nobody(world: World) -> None:
    complaint = file(world)
    world.as_("front.1").get(f"/complaints/{complaint['id']}")
    world.anyone.get(f"/nowhere/{NATIONAL_ID}")
    world.anyone.request("DELETE", f"/v1/complaints/{complaint['id']}")
    answer = world.anyone.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    assert 'slrt_requests_total{method="GET",route="/v1/complaints/{complaint_id}"' in text
    assert 'route="unmatched",status="404"' in text
    assert 'slrt_sweep_late{sweep="housekeeping"}' in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}", text)
    for personal in (NATIONAL_ID, "Siti", complaint["ticket"], "puskesos.wates", WATES):
        assert personal not in text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/me", "/v1/complaints", "/v1/referrals", "/v1/inbox", "/v1/inbox/summary",
        "/v1/households", "/v1/facilitators", "/v1/notifications", "/v1/survey-forms/2026-1",
        "/livez", "/readyz", "/metrics", "/problems/not_found", "/.well-known/jwks.json",
    ],
)  # fmt: skip
def test_answers_are_not_stored_and_not_guessed_at(world: World, path: str) -> None:
    answer = world.as_("front.1").get(world.base_url + path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert UUID(answer.headers["x-request-id"])


def test_what_was_written_is_not_stored_either(world: World) -> None:
    body = {"kind": "question", "category": None, "program_code": None}
    id = file(world, **body)["id"]
    answer = world.as_("front.1").post(
        f"/complaints/{id}/actions",
        json={"action": "withdraw", "note": "x"},
        headers={"If-Match": '"1"'},
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
