"""The registry check: exact by number, by likeness of names, through merges, and masked."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.domain import registry
from tests.conftest import World
from tests.flows import KAUMAN, WATES, act, done, events, file, get, key
from tests.homes import change, family, home, person
from tests.refusals import faults, refused

CITY, MAGERSARI = "35.76", "35.76.02"
NAME, BORN = "Wagiyem Kartodimejo", date(1956, 4, 7)
WHEN = datetime(2026, 11, 2, tzinfo=UTC)


def check(world: World, who: str = "puskesos.wates", **asked: Any) -> httpx.Response:
    return world.as_(who).post("/registry/checks", json=asked, headers=key())


def like(world: World, name: str, born: date, region: str = CITY, **more: Any) -> dict[str, Any]:
    asked = {"name": name, "birth_date": born.isoformat(), "region_code": region} | more
    answer = check(world, **asked)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def scores(found: dict[str, Any]) -> list[float]:
    return [one["score"] for one in found["candidates"]]


# By likeness


def test_the_score_is_made_of_name_and_birth_date(world: World) -> None:
    name, born = "Ponijan Surowidjojo", date(1961, 3, 9)
    as_born = {
        "the same": (born, 1.0),
        "day and month swapped": (date(1961, 9, 3), 0.94),
        "another day of the year": (date(1961, 12, 24), 0.85),
        "the year from an age": (1961, 0.85),
        "a year off": (date(1962, 3, 9), 0.79),
        "unknown": (None, 0.76),
    }
    homes = {str(home(world)): said for said in as_born}
    for id, said in homes.items():
        person(world, UUID(id), name, as_born[said][0])
    for far in (date(1959, 3, 9), date(1963, 3, 9)):
        person(world, home(world), name, far)
    found = like(world, name, born)
    assert found["outcome"] == "similar"
    assert found["household_id"] is None
    shown = {homes[one["household_id"]]: one["score"] for one in found["candidates"]}
    assert shown == {said: score for said, (_, score) in as_born.items()}
    assert scores(found) == sorted(scores(found), reverse=True)


def test_a_day_that_is_no_month_cannot_be_swapped(world: World) -> None:
    name = "Mursiti Kromoleksono"
    person(world, home(world), name, date(1966, 12, 24))
    assert scores(like(world, name, date(1966, 12, 24))) == [1.0]
    assert scores(like(world, name, date(1966, 11, 24))) == [0.85]


def test_names_are_compared_as_they_are_written_by_others(world: World) -> None:
    house = home(world)
    person(world, house, NAME, BORN)
    for written in (NAME, NAME.upper(), "Kartodimejo Wagiyem", "Wagiyem Kartodimedjo"):
        found = like(world, written, BORN)
        assert [one["household_id"] for one in found["candidates"]] == [str(house)], written
    for other in ("Wagiyem", "Wagimin Kartosuwiryo", "Sri Rejeki", "---", "W. K."):
        assert like(world, other, BORN)["outcome"] == "unregistered", other
    # What a pattern would read otherwise is a letter or nothing.
    assert like(world, r"Wag(iyem [Kartodimejo \m.*", BORN)["outcome"] == "similar"


def test_a_candidate_is_shown_to_recognise_not_to_copy(world: World) -> None:
    number, card = "3576020704569010", "3576020101109011"
    house = home(world, card=card, rt="003", rw="001")
    person(world, house, "Tumirah Wongsodikromo", date(1949, 4, 7), number)
    answer = check(world, name="Tumirah Wongsodikromo", birth_date="1949-04-07", region_code=CITY)
    assert answer.json()["candidates"] == [
        {
            "household_id": str(house),
            "head_name": "T****** W************",
            "family_card_number": "3576********9011",
            "national_id": "3576********9010",
            "village_code": WATES,
            "rt": "003",
            "rw": "001",
            "score": 1.0,
            "member_name": "T****** W************",
            "birth_year": 1949,
        }
    ]
    for hidden in (number, card, "Tumirah", "Wongso", "04-07"):
        assert hidden not in answer.text


def test_a_name_alone_says_too_little(world: World) -> None:
    name, born = "Ngadinem Prawirosentono", date(1951, 2, 2)
    person(world, home(world), name, born)
    for asked in (
        {"name": name},
        {"name": name, "birth_date": "1951-02-02"},
        {"name": name, "region_code": CITY},
    ):
        found = check(world, **asked).json()
        # It is said that nobody was looked for: it is no "no".
        assert (found["outcome"], found["warnings"]) == ("unregistered", ["name_not_compared"])
    assert like(world, name, born)["outcome"] == "similar"
    assert like(world, "Nobody Of That Name", born)["warnings"] == []
    nowhere = check(world, name=name, birth_date="1951-02-02", region_code="35.76.99.9999")
    refused(nowhere, 422, "unknown_region")


def test_an_exact_number_goes_before_names(world: World) -> None:
    name, born, number = "Karsinah Djoyodiningrat", date(1948, 2, 3), "3576024302489012"
    house = home(world)
    person(world, house, name, born, number)
    person(world, home(world), name, born)
    found = like(world, name, born, national_id=number)
    assert (found["outcome"], found["household_id"]) == ("registered", str(house))
    # A number that nobody has leaves it to the name.
    found = like(world, name, born, national_id="3576024302489013")
    assert (found["outcome"], len(found["candidates"])) == ("similar", 2)


def test_names_are_looked_for_in_the_region_named(world: World) -> None:
    name, born = "Sarpinah Mangunkusumo", date(1953, 6, 6)
    wates, kauman = home(world), home(world, KAUMAN)
    person(world, wates, name, born)
    person(world, kauman, name, born, village=KAUMAN)

    def found_in(region: str) -> set[str]:
        return {one["household_id"] for one in like(world, name, born, region)["candidates"]}

    assert found_in(CITY) == {str(wates), str(kauman)}
    assert found_in(MAGERSARI) == found_in(WATES) == {str(wates)}
    assert found_in(KAUMAN) == {str(kauman)}
    for elsewhere in ("35", "35.78", "11.01.01.2001"):
        answer = check(world, name=name, birth_date="1953-06-06", region_code=elsewhere)
        refused(answer, 422, "unknown_region")
        assert faults(answer) == {"/region_code": "unknown_region"}


def test_who_is_no_longer_in_the_registry_is_no_candidate(world: World) -> None:
    name, born = "Rubiyem Sastroamidjojo", date(1947, 5, 5)
    person(world, home(world), name, born, ended_at=WHEN)
    person(world, home(world, ended_at=WHEN), name, born)
    assert like(world, name, born)["outcome"] == "unregistered"


def test_there_are_at_most_twenty_candidates_the_best_first(world: World) -> None:
    name, born = "Parti Hadiwinoto", date(1970, 8, 8)
    house = home(world)
    for _ in range(24):
        person(world, house, name, 1971)
    best = home(world)
    person(world, best, name, born)
    found = like(world, name, born)
    assert len(found["candidates"]) == 20
    assert found["candidates"][0]["household_id"] == str(best)


def test_people_without_a_birth_year_are_read_up_to_a_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Bejo Tirtonegoro"
    person(world, home(world), name)
    assert like(world, name, date(1980, 1, 1))["outcome"] == "similar"
    monkeypatch.setattr(registry, "MOST_WITHOUT_YEAR", 0)
    assert like(world, name, date(1980, 1, 1))["outcome"] == "unregistered"


# Deaths and merges


def test_a_dead_person_is_found_and_said_to_be_dead(world: World) -> None:
    dead, reported, alive = "3576024101409021", "3576024101409022", "3576024101409023"
    house = home(world)
    person(world, house, "Mbah Satu", 1940, dead, presence="dead")
    person(world, house, "Mbah Dua", 1940, reported, hold_change_id=UUID(int=7))
    person(world, house, "Mbah Tiga", 1940, alive)
    for number, warnings in ((dead, ["dead"]), (reported, ["reported_dead"]), (alive, [])):
        found = check(world, national_id=number).json()
        assert (found["outcome"], found["household_id"]) == ("registered", str(house))
        assert found["warnings"] == warnings
    complaint = file(world, subject={"national_id": dead, "name": "Mbah Satu"})
    assert check(world, complaint_id=complaint["id"]).json()["warnings"] == ["dead"]
    kept = get(world, "front.1", complaint["id"])["registry_check"]
    assert kept["warnings"] == ["dead"]
    assert done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")


def test_a_merged_household_leads_to_the_one_it_was_merged_into(world: World) -> None:
    number, card = "3576024101409031", "3576020101109031"
    last = home(world)
    middle = home(world, ended_at=WHEN, merged_into=last)
    first = home(world, ended_at=WHEN, merged_into=middle)
    person(world, first, "Pak Kembar", 1975, number, ended_at=WHEN)
    change(world, "families", family(world, first, card), ended_at=WHEN)
    for asked in ({"national_id": number}, {"family_card_number": card}):
        found = check(world, **asked).json()
        assert (found["outcome"], found["household_id"]) == ("registered", str(last))
    complaint = file(world, subject={"household_id": str(last), "name": "Pak Kembar"})
    # It was linked before the merge.
    change(world, "complaints", UUID(complaint["id"]), household_id=first)
    found = check(world, complaint_id=complaint["id"]).json()
    assert (found["outcome"], found["household_id"]) == ("registered", str(last))


def test_a_merged_person_leads_to_the_one_they_were_merged_into(world: World) -> None:
    typed_wrong = "3576024101409041"
    house, other = home(world), home(world)
    one = person(world, house, "Bu Ganda", 1975, "3576024101409042")
    person(world, other, "Bu Ganda", 1975, typed_wrong, ended_at=WHEN, merged_into=one)
    found = check(world, national_id=typed_wrong).json()
    assert (found["outcome"], found["household_id"]) == ("registered", str(house))


def test_what_ended_is_not_in_the_registry(world: World) -> None:
    number = "3576024101409051"
    person(world, home(world, ended_at=WHEN), "Bu Pergi", 1975, number, ended_at=WHEN)
    assert check(world, national_id=number).json()["outcome"] == "unregistered"
    # Somebody removed from a household that stays.
    removed = "3576024101409052"
    person(world, home(world), "Bu Pindah", 1975, removed, ended_at=WHEN)
    assert check(world, national_id=removed).json()["outcome"] == "unregistered"


def test_households_merged_into_each_other_end_nowhere(world: World) -> None:
    number = "3576024101409061"
    one = home(world, ended_at=WHEN)
    two = home(world, ended_at=WHEN, merged_into=one)
    change(world, "households", one, merged_into=two)
    person(world, one, "Bu Putar", 1975, number)
    assert check(world, national_id=number).json()["outcome"] == "unregistered"


# On a complaint


def test_the_household_is_chosen_among_those_that_are_like(world: World) -> None:
    name, born = "Legiyah Notonegoro", date(1958, 1, 9)
    house = home(world)
    person(world, house, name, born)
    complaint = file(world, reporter={"name": "Legiyah Notonegara", "relation": "self"})
    id = complaint["id"]
    # The complaint says who and where; the birth date is asked for at the desk.
    assert check(world, complaint_id=id).json()["outcome"] == "unregistered"
    found = check(world, complaint_id=id, birth_date=born.isoformat()).json()
    assert found["outcome"] == "similar"
    kept = get(world, "front.1", id)["registry_check"]
    assert kept["candidates"] == found["candidates"]
    assert kept["candidates"][0]["member_name"] == "L****** N*********"
    refused(
        act(world, "puskesos.wates", id, "forward_to_secretariat"), 422, "household_choice_required"
    )
    chosen = {"household_id": str(house)}
    sent = done(world, "puskesos.wates", id, "forward_to_secretariat", data=chosen)
    assert sent["household_id"] == str(house)
    for row in world.fetch("select data::text as data from events where subject_id = $1", UUID(id)):
        assert "Legiyah" not in row["data"]


def test_whom_a_complaint_is_about_is_looked_for_by_name(world: World) -> None:
    name, born = "Saikem Tjokroaminoto", date(1944, 4, 4)
    house = home(world)
    person(world, house, name, born)
    about = {"name": name}
    reporter = {"name": "Anaknya", "relation": "family"}
    by_another = file(world, subject=about, reporter=reporter)
    found = check(world, complaint_id=by_another["id"], birth_date="1944-04-04").json()
    assert [one["household_id"] for one in found["candidates"]] == [str(house)]


def test_a_check_that_is_sent_again_leaves_one_event(world: World) -> None:
    person(world, home(world), "Kasmirah Reksodiputro", date(1950, 9, 9))
    id = file(world)["id"]
    asked = {
        "complaint_id": id, "name": "Kasmirah Reksodiputro", "birth_date": "1950-09-09",
        "region_code": CITY,
    }  # fmt: skip
    client, headers = world.as_("puskesos.wates"), key()

    def send() -> httpx.Response:
        return client.post("/registry/checks", json=asked, headers=headers)

    with ThreadPoolExecutor(5) as pool:
        answers = [one.result() for one in [pool.submit(send) for _ in range(5)]]
    answers.append(send())
    good = [one for one in answers if one.status_code == 201]
    assert {one.status_code for one in answers} <= {201, 409}
    assert len({one.text for one in good}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in good) == 1
    checked = [one for one in events(world, id) if one["type"] == "complaint.registry_checked"]
    assert len(checked) == 1
