"""Who is eligible: homes screened and kept, people not served found, needs shown by a survey."""

import threading
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from app.domain.base import new_id, region_columns
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    WATES,
    bring,
    done,
    draft_referral,
    etag,
    get,
    key,
    save_survey,
    survey_body,
)
from tests.homes import change, home, insert, person

GROUND = {"floor": "earth", "building_status": "own", "has_other_house": False}


def takes(world: World, household: UUID, program: str, member: UUID | None = None) -> None:
    row = {"id": new_id(), "household_id": household, "member_id": member, "program_code": program}
    insert(world, "participations", row | {"source": "BDT"} | region_columns(WATES))


def screen(world: World, household: UUID, who: str = "front.1", **headers: str) -> Any:
    place = f"/households/{household}/screenings"
    return world.as_(who).post(place, json={}, headers=headers or key())


def verdicts(answer: Any) -> dict[tuple[str, str | None], str]:
    assert answer.status_code in (200, 201), answer.text
    return {
        (one["program_code"], one["member_id"]): one["verdict"] for one in answer.json()["results"]
    }


def criteria_of(answer: Any, program: str, member: UUID | None = None) -> list[dict[str, Any]]:
    wanted = (program, str(member) if member else None)
    (found,) = (
        one["criteria"]
        for one in answer.json()["results"]
        if (one["program_code"], one["member_id"]) == wanted
    )
    return list(found)


def test_a_home_is_screened_for_all_programmes_and_each_reason_is_kept(world: World) -> None:
    at_home = home(world, decile=3, facts=GROUND, facts_as_of=date(2015, 6, 1))
    mother = person(world, at_home, "Siti", date(1990, 5, 1), "3576024105909001",
        facts={"pregnant": True})  # fmt: skip
    grandpa = person(world, at_home, "Karto", date(1950, 5, 1), relation="parent", number=None)
    dead = person(world, at_home, "Slamet", date(1985, 5, 1), relation="spouse")
    change(world, "members", dead, presence="dead")
    takes(world, at_home, "KKS")
    made = screen(world, at_home)
    assert made.status_code == 201, made.text
    found = verdicts(made)
    assert len({program for program, _ in found}) == 28
    assert found["PKH", None] == "eligible"
    assert found["RS_RTLH", None] == "eligible"
    assert found["BANSOS_LANSIA_KOTA", str(grandpa)] == "eligible"
    assert found["BANSOS_LANSIA_KOTA", str(mother)] == "not_eligible"
    assert found["ADMINDUK", str(grandpa)] == "eligible"
    assert found["BANSOS_DISABILITAS_KOTA", str(mother)] == "unknown"
    assert not [member for _, member in found if member == str(dead)]
    registered, decile, component = criteria_of(made, "PKH")
    assert (registered["status"], decile["status"]) == ("official", "official")
    seen = {one["member_id"]: (one["of"], one["value"]) for one in component["seen"]}
    assert seen == {str(mother): ("pregnant", True), str(grandpa): ("age", 76)}
    (asked, *_) = criteria_of(made, "BANSOS_DISABILITAS_KOTA", mother)
    assert asked["seen"][0]["question"] == {
        "id": "members.disability", "text_id": "Jenis disabilitas", "text_en": "Disability",
        "form_version": "2026-1",
    }  # fmt: skip
    floor = criteria_of(made, "RS_RTLH")[4]["seen"][0]
    assert (floor["value"], floor["source"], floor["as_of"]) == ("earth", "BDT", "2015-06-01")
    kks = next(one for one in made.json()["results"] if one["program_code"] == "KKS")
    assert kks["takes_part"] is True
    # As it was made, whatever becomes of the registry.
    versions = {str(at_home): 1, str(mother): 1, str(grandpa): 1}
    assert made.json()["versions"] == versions
    assert set(made.json()["criteria_numbers"].values()) == {1}
    change(world, "households", at_home, decile=9)
    place = made.headers["location"].removeprefix("/v1")
    assert verdicts(world.as_("supervisor.magersari").get(place)) == found
    assert verdicts(screen(world, at_home))["PKH", None] == "not_eligible"
    newest, oldest = world.as_("front.1").get(f"/households/{at_home}/screenings").json()["items"]
    assert oldest["id"] == made.json()["id"]
    paged = world.as_("front.1").get(
        f"/households/{at_home}/screenings", params={"limit": 1}
    ).json()  # fmt: skip
    rest = world.as_("front.1").get(
        f"/households/{at_home}/screenings", params={"limit": 1, "cursor": paged["next_cursor"]}
    )
    assert [one["id"] for one in (*paged["items"], *rest.json()["items"])] == [
        newest["id"], oldest["id"],
    ]  # fmt: skip


def test_a_screening_is_made_once_for_a_key_also_at_once(world: World) -> None:
    at_home = home(world, decile=3)
    person(world, at_home, "Siti", date(1990, 5, 1))
    headers = key()
    answers: list[Any] = []

    def make() -> None:
        answers.append(screen(world, at_home, **headers))

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = screen(world, at_home, **headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {
        again.json()["id"]
    }
    assert {answer.status_code for answer in answers} <= {201, 409}
    counted = world.fetch("select count(*) as n from screenings where household_id = $1", at_home)
    assert counted[0]["n"] == 1
    sealed = world.fetch("select content from screenings where household_id = $1", at_home)
    assert b"PKH" not in sealed[0]["content"]


@pytest.mark.parametrize("presence", ["dead", "moved", "duplicate", "not_found"])
def test_a_home_that_is_gone_is_not_screened(world: World, presence: str) -> None:
    gone = home(world, decile=1, presence=presence)
    refused = screen(world, gone)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_screened")


def test_only_who_works_cases_there_reads_what_was_seen(world: World) -> None:
    at_home = home(world, decile=1)
    place = screen(world, at_home).headers["location"].removeprefix("/v1")
    assert screen(world, at_home, who="dpo").json()["code"] == "role_not_allowed"
    for who in ("dpo", "facilitator.wates.1", "program.1", "supervisor.prajuritkulon"):
        assert world.as_(who).get(place).status_code == 404, who
    assert world.as_("front.1").get(f"/screenings/{new_id()}").status_code == 404
    listed = f"/households/{at_home}/screenings"
    assert world.as_("dpo").get(listed).json()["code"] == "role_not_allowed"


# ── who is eligible and not served ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["unserved", "coverage"])
def test_nobody_is_told_of_a_region_that_there_is_not(world: World, what: str) -> None:
    answer = world.as_("front.1").get(f"/programs/PKH/{what}", params={"region": "35.99"})
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    (fault,) = answer.json()["errors"]
    assert (fault["parameter"], fault["code"]) == ("region", "unknown_region")


def unserved(world: World, program: str, region: str, who: str = "front.1", **query: Any) -> Any:
    answer = world.as_(who).get(f"/programs/{program}/unserved", params={"region": region, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def coverage(world: World, program: str, region: str, who: str = "front.1") -> dict[str, Any]:
    answer = world.as_(who).get(f"/programs/{program}/coverage", params={"region": region})
    assert answer.status_code == 200, answer.text
    return {one["region_code"]: one for one in answer.json()["items"]}


def test_who_in_a_kelurahan_is_eligible_and_not_served(world: World) -> None:
    village = "35.76.02.1003"
    before = coverage(world, "PKH", village)[village]
    homes = [home(world, village, decile=n % 3 + 1) for n in range(4)]
    for n, one in enumerate(homes):
        person(world, one, f"Mbah Karti {n}", date(1950, 1, 1), "3576024101509001", village)
    takes(world, homes[0], "PKH")
    unknown = home(world, village, decile=2)
    person(world, unknown, "Siti", date(1990, 1, 1), village=village)
    change(world, "households", homes[1], presence="moved")
    all_of_them, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = unserved(world, "PKH", village, **query)
        all_of_them += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    ids = [one["household_id"] for one in all_of_them]
    assert ids == sorted(set(ids))
    assert {str(homes[2]), str(homes[3])} <= set(ids)
    assert not {str(homes[0]), str(homes[1]), str(unknown)} & set(ids)
    shown = next(one for one in all_of_them if one["household_id"] == str(homes[2]))
    assert (shown["name"], shown["national_id"]) == ("M*** K**** 2", "3576********9001")
    after = coverage(world, "PKH", village)[village]
    gained = {
        name: after[name] - before[name]
        for name in ("screened", "eligible", "served", "unserved", "unknown", "receiving")
    }
    assert gained == {
        "screened": 4, "eligible": 3, "served": 1, "unserved": 2, "unknown": 1, "receiving": 1,
    }  # fmt: skip
    assert after["unserved"] == len(all_of_them)
    assert coverage(world, "PKH", "35.76.02")[village] | {"region_name": ""} == after | {
        "region_name": ""
    }


def test_of_a_programme_for_people_each_person_is_found(world: World) -> None:
    at_home = home(world, decile=2)
    served = person(world, at_home, "Karto", date(1950, 1, 1), "3576020101509009")
    other = person(world, at_home, "Karti", date(1951, 1, 1), relation="spouse")
    grown = {"school_participation": "no_longer"}
    for n in range(3):
        person(world, at_home, f"Anak {n}", date(1990, 1, 1), relation="child", facts=grown)
    takes(world, at_home, "BANSOS_LANSIA_KOTA", served)
    found = unserved(world, "BANSOS_LANSIA_KOTA", WATES, limit=200)["items"]
    assert {one["member_id"] for one in found if one["household_id"] == str(at_home)} == {
        str(other)
    }
    # Page by page nobody is left out or comes twice, also within one home.
    paged, cursor = [], None
    while True:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = unserved(world, "PRAKERJA", WATES, **query)
        paged += [one["member_id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    at_once = unserved(world, "PRAKERJA", WATES, limit=200)["items"]
    assert paged == [one["member_id"] for one in at_once]
    # What a whole home takes part in, everybody in it does.
    takes(world, at_home, "BANSOS_LANSIA_KOTA")
    found = unserved(world, "BANSOS_LANSIA_KOTA", WATES, limit=200)["items"]
    assert str(at_home) not in {one["household_id"] for one in found}


def test_nobody_sees_beyond_the_own_regions(world: World) -> None:
    elsewhere = home(world, KAUMAN, decile=1)
    person(world, elsewhere, "Mbah Kauman", date(1950, 1, 1), village=KAUMAN)
    found = unserved(world, "PKH", KAUMAN)["items"]
    assert str(elsewhere) in {one["household_id"] for one in found}
    assert unserved(world, "PKH", KAUMAN, who="supervisor.magersari")["items"] == []
    assert coverage(world, "PKH", "35.76", who="supervisor.magersari").keys() == {"35.76.02"}
    assert unserved(world, "PKH", KAUMAN, who="program.1")["items"]
    for who, program, code in (
        ("dpo", "PKH", "role_not_allowed"),
        ("program.4", "PKH", "role_not_allowed"),
        ("front.1", "NOWHERE", "not_found"),
    ):
        answer = world.as_(who).get(f"/programs/{program}/unserved", params={"region": KAUMAN})
        assert answer.json()["code"] == code
    world.fetch("update program_criteria set valid_from = '2200-01-01' where program_code = 'KUR'")
    without = world.as_("front.1").get("/programs/KUR/coverage", params={"region": "35.76"})
    assert (without.status_code, without.json()["code"]) == (409, "no_criteria")
    world.fetch("update program_criteria set valid_from = '2026-01-01' where program_code = 'KUR'")


# ── from survey to needs, and why a referral was drafted ─────────────────────────────────────


def surveyed(world: World, **answers: Any) -> dict[str, Any]:
    """The answers of the form's example, changed."""
    body = survey_body(world)["answers"] | answers
    return {name: value for name, value in body.items() if value is not ...}


def test_a_survey_shows_needs_that_its_facilitator_confirms(world: World) -> None:
    at_home = home(world, decile=3)
    father = person(world, at_home, "Slamet Widodo", date(1984, 8, 9), "3576020908849001")
    # Known by name and birth date only; the survey says more of her.
    mother = person(world, at_home, "SITI AMINAH", date(1988, 4, 12), relation="spouse")
    child = person(world, at_home, "Dewi Lestari", date(2016, 2, 3), relation="child")
    moved = person(world, at_home, "Budi", date(2014, 1, 1), relation="child")
    takes(world, at_home, "KKS")
    complaint = bring(world, "assigned")
    id = complaint["id"]
    change(world, "complaints", UUID(id), household_id=at_home)
    place = f"/complaints/{id}/survey/proposed-needs"
    visitor = world.as_("facilitator.wates.1")
    # Before the visit the registry alone speaks.
    early = {one["program_code"]: one for one in visitor.get(place).json()["items"]}
    assert early["PKH"]["verdict"] == "unknown"
    answers = surveyed(world)
    gone = answers["members"][2] | {
        "name": "Budi", "birth_date": "2014-01-01", "presence": "moved_domestic",
        "national_id": None,
    }  # fmt: skip
    saved = save_survey(
        world, id, if_match='"0"', answers=answers | {"members": [*answers["members"], gone]}
    )
    assert saved.status_code == 200, saved.text
    shown = visitor.get(place).json()["items"]
    found = {(one["program_code"], one["member_id"]): one for one in shown}
    assert found["PKH", None]["verdict"] == "eligible"
    assert found["PIP", str(child)]["verdict"] == "eligible"
    pregnant = found["PKH", None]["criteria"][2]["seen"]
    assert ("pregnant", "survey", str(mother)) in {
        (one["of"], one["source"], one["member_id"]) for one in pregnant
    }
    assert str(moved) not in {one["member_id"] for one in shown}
    # Served already, over, or not eligible: not proposed.
    assert {"KKS", "RASTRA", "BPUM"}.isdisjoint(one["program_code"] for one in shown)
    assert ("PRAKERJA", str(father)) in found
    ranks = [one["verdict"] for one in shown]
    assert ranks == sorted(ranks, key=["eligible", "unknown"].index)
    for who, code in (("dpo", 403), ("agency-pkh", 404), ("facilitator.wates.2", 404)):
        assert world.as_(who).get(place).status_code == code, who
    # The facilitator agrees with two of them.
    needs = [
        {"program_code": "PKH", "purpose": "enrol", "beneficiary": {"household_id": str(at_home)}},
        {"program_code": "PIP", "purpose": "enrol", "beneficiary": {"member_id": str(child)}},
        {"program_code": "BPNT", "purpose": "card", "beneficiary": {"household_id": str(at_home)}},
    ]
    saved = save_survey(world, id, program_needs=needs)
    submitted = done(
        world, "facilitator.wates.1", id, "submit_survey", if_match=saved.headers["etag"]
    )
    referrals = {
        one["program_code"]: one
        for one in (
            world.as_("supervisor.magersari").get(f"/referrals/{one}").json()
            for one in submitted["referral_ids"]
        )
    }
    # The supervisor sees why.
    pkh = referrals["PKH"]["screening"]
    assert pkh["verdict"] == "eligible"
    assert [one["verdict"] for one in pkh["criteria"]] == ["met", "met", "met"]
    full = world.as_("supervisor.magersari").get(f"/screenings/{referrals['PKH']['screening_id']}")
    assert full.json()["survey_version"] == 2
    assert full.json()["complaint_id"] == id
    assert referrals["PIP"]["screening"]["criteria"][0]["text_en"] == "Is 6 to 21 years old."
    assert referrals["BPNT"]["screening"] is None
    # Its owner gets the need, and not why.
    done(world, "supervisor.magersari", id, "approve")
    done(world, "manager", id, "forward")
    sent = world.as_("agency-pkh").get(f"/referrals/{referrals['PKH']['id']}").json()
    assert (sent["screening"], sent["screening_id"]) == (None, None)


def test_who_is_in_no_registry_is_screened_by_the_survey_alone(world: World) -> None:
    complaint = bring(world, "assigned")
    id = complaint["id"]
    assert complaint["household_id"] is None
    assert world.as_("front.1").get(f"/complaints/{id}/survey/proposed-needs").json() == {
        "items": [], "next_cursor": None,
    }  # fmt: skip
    years = surveyed(world)["members"]
    years[2] = years[2] | {"birth_date": None, "age_years": 10, "national_id": None}
    unsaid = years[2] | {"name": "Tono", "age_years": None, "school_participation": "no_longer"}
    draft = save_survey(
        world, id, if_match='"0"', answers=surveyed(world, members=[unsaid]), visited_at=None
    )
    assert draft.status_code == 200, draft.text
    early = world.as_("facilitator.wates.1").get(f"/complaints/{id}/survey/proposed-needs")
    born = {one["program_code"]: one for one in early.json()["items"]}["PRAKERJA"]["criteria"][0]
    assert born["seen"][0]["question"]["id"] == "members.birth_date"
    needs = [
        {"program_code": "PKH", "beneficiary": {"name": "Siti Aminah"}},
        {"program_code": "PIP", "beneficiary": {"name": "Dewi Lestari"}},
        {"program_code": "PIP", "beneficiary": {"name": "Orang Lain"}},
    ]
    saved = save_survey(world, id, answers=surveyed(world, members=years), program_needs=needs)
    shown = world.as_("facilitator.wates.1").get(f"/complaints/{id}/survey/proposed-needs")
    found = {(one["program_code"], one["name"]): one["verdict"] for one in shown.json()["items"]}
    assert found["ADMINDUK", "Dewi Lestari"] == "eligible"
    # No centre knows the home yet: what needs a decile may be so once one does.
    assert found["PKH", None] == "unknown"
    submitted = done(
        world, "facilitator.wates.1", id, "submit_survey", if_match=saved.headers["etag"]
    )
    referrals = [
        world.as_("front.1").get(f"/referrals/{one}").json() for one in submitted["referral_ids"]
    ]
    by = {(one["program_code"], one["beneficiary"]["name"]): one["screening"] for one in referrals}
    assert by["PKH", "Siti Aminah"]["verdict"] == "unknown"
    said = [one["verdict"] for one in by["PKH", "Siti Aminah"]["criteria"]]
    assert said == ["unknown", "unknown", "met"]
    # Eligibility never stops a referral, and of a stranger nothing is said.
    assert by["PIP", "Orang Lain"] is None
    kept = next(one for one in referrals if one["program_code"] == "PKH")
    seen = world.as_("front.1").get(f"/screenings/{kept['screening_id']}")
    assert (seen.status_code, seen.json()["household_id"]) == (200, None)
    assert world.as_("dpo").get(f"/screenings/{kept['screening_id']}").status_code == 404


def test_a_desk_draft_keeps_why_and_a_survey_looks_again(world: World) -> None:
    at_home = home(world, decile=2)
    child = person(world, at_home, "Dewi", date(2016, 2, 3), relation="child")
    complaint = bring(world, "at_secretariat")
    change(world, "complaints", UUID(complaint["id"]), household_id=at_home)
    drafts = []
    for whom in ({"member_id": str(child)}, {"name": "dewi"}, {"household_id": str(at_home)}):
        body = {"complaint_id": complaint["id"], "program_code": "PIP", "beneficiary": whom}
        answer = world.as_("front.1").post("/referrals", json=body, headers=key())
        assert answer.status_code == 201, answer.text
        drafts.append(answer.json())
    assert [one["screening"]["verdict"] for one in drafts] == ["unknown"] * 3
    same = draft_referral(world, "front.1", complaint, "ADMINDUK")
    assert same["screening"] is None
    change(world, "members", child, facts='{"school_participation": "no_longer"}')
    body = {
        "complaint_id": complaint["id"], "program_code": "PIP",
        "beneficiary": {"member_id": str(child)},
    }  # fmt: skip
    again = world.as_("front.1").post("/referrals", json=body, headers=key()).json()
    assert again["id"] == drafts[0]["id"]
    assert again["screening"]["verdict"] == "not_eligible"
    # Another home of the same complaint is what the registry has of it.
    other = home(world, decile=1)
    insert(
        world, "welfare_ranks",
        {"id": new_id(), "household_id": other, "source": "DTSEN", "source_version": "2026-3",
         "decile": 1, "as_of": date(2026, 9, 1)} | region_columns(WATES),
    )  # fmt: skip
    whole = body | {"program_code": "BPNT", "beneficiary": {"household_id": str(other)}}
    ranked = world.as_("front.1").post("/referrals", json=whole, headers=key()).json()
    assert ranked["screening"]["verdict"] == "eligible"
    place = f"/screenings/{ranked['screening_id']}"
    (decile,) = world.as_("front.1").get(place).json()["results"][0]["criteria"][1]["seen"]
    assert (decile["source"], decile["as_of"]) == ("DTSEN", "2026-09-01")
    # Who has died is nobody that a rule speaks of.
    change(world, "members", child, presence="dead")
    died = world.as_("front.1").post("/referrals", json=body, headers=key()).json()
    assert died["screening"] is None
    change(world, "households", at_home, presence="moved")
    gone = world.as_("front.1").post("/referrals", json=body, headers=key()).json()
    assert gone["screening"] is None
    assert get(world, "front.1", complaint["id"])["state"] == "at_secretariat"
    assert etag(world, "front.1", f"/referrals/{gone['id']}")
