"""Households as they are listed, searched for, read whole, and shown in full on record."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.domain.base import new_id, region_columns
from app.logs import Formatter
from tests.conftest import World
from tests.flows import KAUMAN, WATES, bring, facilitator_id, file, key, me
from tests.homes import change, family, home, insert, person
from tests.refusals import faults, refused

WHEN = datetime(2026, 11, 2, tzinfo=UTC)
DAY = date(2026, 10, 1)
NUMBER, CARD, SECOND_CARD = "3576024101509101", "3576020101109101", "3576020101109102"


def got(world: World, who: str, path: str, **params: Any) -> dict[str, Any]:
    answer = world.as_(who).get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(world: World, who: str = "front.1", **params: Any) -> list[str]:
    """All households of a list, page by page."""
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = got(world, who, "/households", limit=10, **params, **more)
        found += [one["id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            assert len(set(found)) == len(found)
            return found


def search(world: World, who: str = "front.1", **asked: Any) -> httpx.Response:
    return world.as_(who).post("/households/search", json=asked)


def change_of(world: World, household: UUID, state: str, kind: str = "update_household") -> UUID:
    """A registry change of a household, in a state."""
    id, at = new_id(), WHEN
    row = {
        "id": id, "version": 1, "kind": kind, "state": state, "origin": "desk",
        "household_id": household, "content": b"-", "refused_fields": [],
        "proposed_by": UUID(me(world, "front.1")), "authors": [],
        "created_at": at, "stage": 1, "stage_entered_at": at, "escalation_level": 0,
        "steps_taken": 0,
    }  # fmt: skip
    insert(world, "registry_changes", row | region_columns(WATES))
    return id


@pytest.fixture(scope="module")
def whole(world: World) -> UUID:
    """A household of which everything is known."""
    id = home(
        world, card=CARD, decile=2, percentile=14, presence="found", presence_on=DAY,
        facts={"floor": "ceramic", "rooms": 3},
        facts_changed={"rooms": {"source": "survey", "as_of": "2026-09-01"}},
        facts_as_of=date(2015, 6, 1), verified_at=WHEN,
    )  # fmt: skip
    family(world, id, SECOND_CARD, number=2)
    head = person(
        world, id, "Suminah", date(1950, 1, 1), NUMBER, registry_id="0101",
        facts={"works": False, "chronic_illness": "asthma", "monthly_income_idr": 300000},
        hold_change_id=UUID(int=9), warnings=["national_id_sex"],
    )  # fmt: skip
    change(world, "members", head, number=1)
    person(world, id, "Suwarno", 1948, presence="dead", died_on=DAY, relation="spouse")
    for kind, value in (("household", "357602101000000123"), ("ruta6", "ABC123")):
        place = {"id": new_id(), "household_id": id, "source": "BDT", "kind": kind}
        insert(
            world, "registry_ids",
            place | {"value": value, "source_version": "2015"} | region_columns(WATES),
        )  # fmt: skip
    for version, decile, as_of in (("2015", 1, date(2015, 6, 1)), ("2025", 2, date(2025, 3, 1))):
        rank = {"id": new_id(), "household_id": id, "source": "BDT", "source_version": version}
        insert(
            world,
            "welfare_ranks",
            rank | {"decile": decile, "as_of": as_of} | region_columns(WATES),
        )
    insert(
        world, "participations",
        {"id": new_id(), "household_id": id, "member_id": head, "program_code": "PKH",
         "source": "BDT", "began_on": DAY} | region_columns(WATES),
    )  # fmt: skip
    for n, changes in enumerate(
        ({"decile": [1, 2]}, {"chronic_illness": [None, "asthma"], "address": ["A", "B"]})
    ):
        insert(
            world, "registry_entries",
            {"id": new_id(), "household_id": id, "version": n + 1, "what": "updated",
             "changes": changes | {"family_card_number": [CARD, None]}, "source": "BDT",
             "at": WHEN} | region_columns(WATES),
        )  # fmt: skip
    return id


# The page


def test_a_household_is_shown_with_all_that_is_known(world: World, whole: UUID) -> None:
    waiting = [str(change_of(world, whole, state)) for state in ("manager_approved", "dispatched")]
    change_of(world, whole, "confirmed")
    answer = world.as_("front.1").get(f"/households/{whole}")
    one = answer.json()
    assert answer.headers["etag"] == f'"{one["version"]}"'
    assert answer.headers["cache-control"] == "no-store"
    masked = [f["family_card_number"] for f in one["families"]]
    assert masked == ["3576********9101", "3576********9102"]
    assert one["family_card_number"] == "3576********9101"
    assert [row["value"] for row in one["registry_ids"]] == ["357602101000000123", "ABC123"]
    assert [(w["as_of"], w["decile"]) for w in one["welfare"]] == [
        ("2025-03-01", 2), ("2015-06-01", 1)
    ]  # fmt: skip
    facts = {fact["name"]: fact for fact in one["facts"]}
    assert facts["floor"] | {"label_id": "", "label_en": ""} == {
        "name": "floor", "group": "housing", "label_id": "", "label_en": "", "value": "ceramic",
        "source": "BDT", "as_of": "2015-06-01",
    }  # fmt: skip
    assert facts["floor"]["label_id"]
    # What one later source changed alone.
    assert (facts["rooms"]["value"], facts["rooms"]["source"]) == (3, "survey")
    assert facts["rooms"]["as_of"] == "2026-09-01"
    assert (one["presence"], one["presence_on"]) == ("found", "2026-10-01")
    assert one["verified_at"] == "2026-11-02T00:00:00Z"
    assert (one["percentile"], one["ended_at"], one["merged_into"]) == (14, None, None)
    assert one["participations"][0]["program_code"] == "PKH"
    assert one["unconfirmed_change_ids"] == waiting
    head, spouse = one["members"]
    assert (head["national_id"], head["on_hold"]) == ("3576********9101", True)
    assert (head["registry_id"], head["number"], head["version"]) == ("0101", 1, 1)
    assert head["warnings"] == ["national_id_sex"]
    assert (spouse["presence"], spouse["died_on"], spouse["on_hold"]) == (
        "dead", "2026-10-01", False
    )  # fmt: skip
    for number in (NUMBER, CARD, SECOND_CARD):
        assert number not in answer.text


SENSITIVE = {"chronic_illness", "monthly_income_idr"}


def facts_for(world: World, who: str, id: UUID) -> set[str]:
    return {f["name"] for f in got(world, who, f"/households/{id}")["members"][0]["facts"]}


def test_specific_personal_data_is_for_those_who_work_cases(world: World, whole: UUID) -> None:
    for who in ("front.1", "puskesos.wates", "supervisor.magersari", "manager", "head"):
        assert facts_for(world, who, whole) >= SENSITIVE, who
    assert facts_for(world, "dpo", whole) == {"works"}
    rows = got(world, "dpo", f"/households/{whole}/history")["items"]
    assert "chronic_illness" not in rows[0]["changes"]
    draft = {
        "username": "registry-pages", "name": "Pembaca", "secret": "rujukan-terpadu-2026",
        "scopes": ["registry:read"], "region_codes": [WATES],
    }  # fmt: skip
    assert world.as_("admin").post("/clients", json=draft).status_code == 201
    form = {"grant_type": "client_credentials", "client_id": "registry-pages"}
    form["client_secret"] = draft["secret"]
    token = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    read = world.anyone.get(f"/v1/households/{whole}", headers=headers).json()
    assert {fact["name"] for fact in read["members"][0]["facts"]} == {"works"}
    refused(
        world.anyone.post(
            f"/v1/members/{read['members'][0]['id']}/reveal",
            json={"reason": "Ingin tahu"}, headers=headers,
        ),
        403, "role_not_allowed",
    )  # fmt: skip
    # The facilitator whom the household's complaint was given to.
    who = "facilitator.wates.2"
    refused(world.as_(who).get(f"/households/{whole}"), 404, "not_found")
    bring(world, "assigned", who, subject={"national_id": NUMBER, "name": "Suminah"})
    assert facts_for(world, who, whole) >= SENSITIVE


def test_what_ended_or_was_merged_is_readable_and_says_so(world: World) -> None:
    into = home(world)
    id = home(world, ended_at=WHEN, merged_into=into)
    gone = person(world, id, "Bu Ganda", 1975, ended_at=WHEN)
    one = got(world, "front.1", f"/households/{id}")
    assert (one["ended_at"], one["merged_into"]) == ("2026-11-02T00:00:00Z", str(into))
    assert [m["id"] for m in one["members"]] == [str(gone)]
    assert one["members"][0]["ended_at"] == "2026-11-02T00:00:00Z"
    # Who left a household that stays is not shown among those who live there.
    person(world, into, "Pak Pergi", 1975, ended_at=WHEN)
    assert got(world, "front.1", f"/households/{into}")["members"] == []
    assert str(id) not in ids(world, region=WATES)


def test_a_history_is_paged_newest_first_and_masked(world: World, whole: UUID) -> None:
    path = f"/households/{whole}/history"
    first = got(world, "front.1", path, limit=1)
    second = got(world, "front.1", path, limit=1, cursor=first["next_cursor"])
    assert second["next_cursor"] is None
    newest, oldest = first["items"][0], second["items"][0]
    assert (newest["version"], oldest["version"]) == (2, 1)
    assert newest["changes"]["chronic_illness"] == [None, "asthma"]
    assert oldest["changes"] == {
        "decile": [1, 2], "family_card_number": ["3576********9101", None]
    }  # fmt: skip
    refused(world.as_("puskesos.kauman").get(path), 404, "not_found")


# The list


def test_households_are_narrowed_to_what_is_asked_for(world: World) -> None:
    made = {
        "poor": home(world, decile=1, presence="found"),
        "middle": home(world, decile=5, presence="not_found"),
        "elsewhere": home(world, KAUMAN, decile=1),
        "ended": home(world, decile=1, ended_at=WHEN),
    }
    version = new_id()
    insert(
        world, "registry_versions",
        {"id": version, "source": "DTSEN", "version": "2026-1", "as_of": DAY,
         "regency_code": "35.76", "whole": True, "applied_at": WHEN,
         "applied_by": UUID(me(world, "manager"))},
    )  # fmt: skip
    change(world, "households", made["middle"], registry_version_id=version)
    change_of(world, made["poor"], "dispatched")
    change_of(world, made["middle"], "proposed")
    names = {str(id): name for name, id in made.items()}

    def found(**params: Any) -> set[str]:
        return {names[id] for id in ids(world, **params) if id in names}

    assert found() == {"poor", "middle", "elsewhere"}
    assert found(region=WATES) == {"poor", "middle"}
    assert found(decile_max=1) == {"poor", "elsewhere"}
    assert found(decile_min=2) == {"middle"}
    assert found(decile_min=1, decile_max=4, region="35.76.02") == {"poor"}
    assert found(presence="not_found") == {"middle"}
    assert found(source="DTSEN") == {"middle"}
    assert found(source="test") == {"poor", "elsewhere"}
    assert found(unconfirmed=True) == {"poor"}
    assert found(unconfirmed=False) == {"middle", "elsewhere"}
    assert len(ids(world)) > 40
    for bad in (
        {"decile_min": 0},
        {"decile_max": 11},
        {"presence": "lost"},
        {"national_id": NUMBER},
    ):
        assert world.as_("front.1").get("/households", params=bad).status_code == 400


# Searching


def test_a_household_is_found_by_number_by_id_or_by_name(world: World, whole: UUID) -> None:
    by_first_id = home(world, registry_id="A-1-B")
    asked: list[tuple[dict[str, str], UUID]] = [
        ({"national_id": NUMBER}, whole),
        ({"family_card_number": SECOND_CARD}, whole),
        ({"registry_id": "ABC123"}, whole),
        ({"registry_id": "A-1-B"}, by_first_id),
        ({"name": "SUMINAH", "birth_date": "1950-01-01"}, whole),
        ({"name": "Suminah", "birth_date": "1950-01-01", "region_code": WATES}, whole),
    ]
    for query, expected in asked:
        answer = search(world, **query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["next_cursor"] is None
        assert str(expected) in {one["household_id"] for one in page["items"]}, query
        for hidden in (NUMBER, CARD, SECOND_CARD, "Suminah", "SUMINAH"):
            assert hidden not in answer.text
        event = world.fetch(
            "select type, actor_id, data::text as data from events where subject_id = $1"
            " order by seq desc limit 1", expected,
        )[0]  # fmt: skip
        assert event["type"] == "household.found_by_search"
        assert str(event["actor_id"]) == me(world, "front.1")
        by = next(iter(query))
        assert json.loads(event["data"]) == {"by": by}
    for nothing in (
        {"registry_id": "nobody's"}, {"name": "Suminah", "birth_date": "1970-01-01"},
        {"national_id": "3576024101509109"},
    ):  # fmt: skip
        assert search(world, **nothing).json()["items"] == []


def test_a_search_finds_what_the_caller_may_read(world: World, whole: UUID) -> None:
    assert search(world, "puskesos.wates", national_id=NUMBER).json()["items"]
    assert search(world, "puskesos.kauman", national_id=NUMBER).json()["items"] == []
    like = {"name": "Suminah", "birth_date": "1950-01-01"}
    assert search(world, "puskesos.kauman", **like).json()["items"] == []
    answer = search(world, "puskesos.kauman", region_code=WATES, **like)
    refused(answer, 422, "unknown_region")
    for who in ("admin", "facilitator.wates.3", "agency-pkh", "script-batch", "program.1"):
        refused(search(world, who, national_id=NUMBER), 403, "role_not_allowed")


def test_a_search_names_whom_to_look_for(world: World) -> None:
    for nothing in ({}, {"birth_date": "1950-01-01"}, {"name": "Suminah"}):
        answer = search(world, **nothing)
        refused(answer, 422, "criterion_required")
    assert faults(answer) == {"/birth_date": "missing"}
    # A number never stands in a URL: there is no such parameter, and no such path.
    for path in ("/households/search", "/households"):
        answer = world.as_("front.1").get(path, params={"national_id": NUMBER})
        assert answer.status_code in (400, 404, 405)


# Numbers in full


def reveal(world: World, who: str, id: UUID, reason: Any = "Cocokkan dengan KTP") -> httpx.Response:
    return world.as_(who).post(f"/members/{id}/reveal", json={"reason": reason})


def somebody(world: World, number: str, card: str | None = None) -> tuple[UUID, UUID]:
    house = home(world, card=card)
    return house, person(world, house, "Rukmini", date(1980, 1, 1), number)


def test_numbers_are_shown_in_full_on_record(world: World) -> None:
    number, card = "3576024101809201", "3576020101109201"
    house, id = somebody(world, number, card)
    for who in ("front.1", "supervisor.magersari", "manager"):
        answer = reveal(world, who, id)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "member_id": str(id), "national_id": number, "family_card_number": card
        }  # fmt: skip
    shown = got(world, "dpo", f"/members/{id}/reveals", limit=2)
    assert [one["by"]["id"] for one in shown["items"]] == [
        me(world, "manager"), me(world, "supervisor.magersari")
    ]  # fmt: skip
    assert shown["items"][0]["reason"] == "Cocokkan dengan KTP"
    rest = got(world, "dpo", f"/members/{id}/reveals", limit=2, cursor=shown["next_cursor"])
    assert [one["by"]["id"] for one in rest["items"]] == [me(world, "front.1")]
    assert rest["next_cursor"] is None
    for who in ("front.1", "manager"):
        refused(world.as_(who).get(f"/members/{id}/reveals"), 403, "role_not_allowed")
    # Of several families' cards the person's own is shown.
    own = family(world, house, "3576020101109202", number=2)
    change(world, "members", id, family_id=own)
    assert reveal(world, "front.1", id).json()["family_card_number"] == "3576020101109202"


def test_who_has_no_numbers_has_none_to_show(world: World) -> None:
    house = home(world)
    id = person(world, house, "Tanpa Nomor", 1980)
    assert reveal(world, "front.1", id).json() == {
        "member_id": str(id), "national_id": None, "family_card_number": None
    }  # fmt: skip


def test_who_may_see_numbers_in_full(world: World) -> None:
    number = "3576024101809211"
    house, id = somebody(world, number)
    for who in ("puskesos.wates", "head", "dpo"):
        refused(reveal(world, who, id), 403, "role_not_allowed")
    for who in ("puskesos.kauman", "admin", "facilitator.wates.4", "agency-pkh"):
        refused(reveal(world, who, id), 404, "not_found")
    refused(reveal(world, "front.1", new_id()), 404, "not_found")
    about = {"national_id": number, "name": "Rukmini"}
    complaint = bring(world, "assigned", "facilitator.wates.4", subject=about)
    assert reveal(world, "facilitator.wates.4", id).json()["national_id"] == number
    # Another's, and one that is closed, are read but not revealed for.
    other = {"facilitator_id": facilitator_id(world, "facilitator.wates.5")}
    headers = key() | {"If-Match": f'"{complaint["version"]}"'}
    body = {"action": "reassign", "data": other, "reason": "unavailable", "note": "Sakit"}
    moved = world.as_("front.1").post(
        f"/complaints/{complaint['id']}/actions", json=body, headers=headers
    )
    assert moved.status_code == 200, moved.text
    assert world.as_("facilitator.wates.4").get(f"/households/{house}").status_code == 200
    refused(reveal(world, "facilitator.wates.4", id), 403, "role_not_allowed")
    assert reveal(world, "facilitator.wates.5", id).status_code == 200


def test_a_reason_is_given_and_holds_no_number(world: World) -> None:
    _, id = somebody(world, "3576024101809221")
    for bad in ("", "  ", None, "x" * 201, "a\nb"):
        refused(reveal(world, "front.1", id, bad), 422, "validation_failed")
    for number in ("NIK 3576024101809221 salah", "3576 0241 0180 9221", "3576-0241-0180-9221"):
        answer = reveal(world, "front.1", id, number)
        refused(answer, 422, "validation_failed")
        assert faults(answer) == {"/reason": "number_in_text"}
    refused(world.as_("front.1").post(f"/members/{id}/reveal", json={}), 422, "validation_failed")
    assert got(world, "dpo", f"/members/{id}/reveals")["items"] == []


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that any logger writes, as the server writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def test_no_number_and_no_name_is_in_any_event_or_log(world: World, logs: io.StringIO) -> None:
    number, card = "3576024101809231", "3576020101109231"
    house, id = somebody(world, number, card)
    search(world, national_id=number)
    search(world, family_card_number=card)
    search(world, name="Rukmini", birth_date="1980-01-01")
    reveal(world, "front.1", id)
    got(world, "front.1", f"/households/{house}")
    file(world, subject={"national_id": number, "name": "Rukmini"})
    asked = {"national_id": number, "family_card_number": card}
    world.as_("front.1").post("/registry/checks", json=asked, headers=key())
    written = logs.getvalue()
    assert "answered" in written
    rows = world.fetch("select * from events")
    for place in (written, "\n".join(str(dict(row)) for row in rows)):
        for secret in (number, card, "Rukmini"):
            assert secret not in place
