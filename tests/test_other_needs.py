"""Needs that no programme was named for: kept from surveys, listed, counted, mapped."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    bring,
    done,
    etag,
    events,
    get,
    hire,
    key,
    save_survey,
    told_steps,
)
from tests.referring import FIRST, OWNER, SUPERVISOR, Json, named, referral
from tests.refusals import faults, refused

ASKED = {"text": "Kursi roda untuk nenek.", "sector": "health"}
SEED = {"text": "Benih cabai.", "sector": "agriculture"}


def surveyed(world: World, *said: Json, **more: Any) -> Json:
    """A complaint whose survey named other needs, with the supervisor now."""
    id = bring(world, "assigned", **more)["id"]
    saved = save_survey(world, id, other_needs=list(said), program_needs=[named("Bu Tin", "KKS")])
    assert saved.status_code == 200, saved.text
    return done(world, FIRST, id, "submit_survey")


def kept(world: World, complaint: Json, who: str = OWNER) -> list[Json]:
    """What is kept of a complaint, by its text."""
    answer = world.as_(who).get("/other-needs", params={"complaint_id": complaint["id"]})
    assert answer.status_code == 200, answer.text
    return sorted(answer.json()["items"], key=lambda one: str(one["text"]))


def mapped(world: World, need: Json, who: str = OWNER, headers: Any = None, **body: Any) -> Any:
    path = f"/other-needs/{need['id']}"
    sent = {"If-Match": f'"{need["version"]}"', **key()} | (headers or {})
    answer: httpx.Response = world.as_(who).put(path, json=body, headers=sent)
    return answer


def test_a_survey_keeps_them_and_a_corrected_one_makes_them_equal(world: World) -> None:
    number = {"text": f"NIK {NATIONAL_ID} rusak.", "sector": None}
    complaint = surveyed(world, ASKED, number, ASKED)
    found = kept(world, complaint)
    assert [(one["text"], one["sector"]) for one in found] == [
        (ASKED["text"], "health"), (ASKED["text"], "health"), ("NIK 3576********9001 rusak.", None),
    ]  # fmt: skip
    assert {(one["mapped_to"], one["complaint_id"]) for one in found} == {(None, complaint["id"])}
    # Nothing of what was said stands open in the database.
    rows = world.fetch("select text from other_needs")
    assert all(b"Kursi" not in row["text"] for row in rows)
    assert mapped(world, found[2], mapped_to="none_exists").status_code == 200
    done(world, SUPERVISOR, complaint["id"], "return_for_correction", note="Satu saja.")
    save_survey(world, complaint["id"], other_needs=[ASKED, SEED], no_needs=False)
    done(world, FIRST, complaint["id"], "submit_survey")
    again = kept(world, complaint)
    # What was mapped stays; what is named no more goes.
    assert [one["text"] for one in again] == [SEED["text"], ASKED["text"], found[2]["text"]]
    assert again[1]["id"] in (found[0]["id"], found[1]["id"])
    assert again[2]["id"] == found[2]["id"]


def test_a_programme_makes_a_draft_while_the_complaint_takes_one(world: World) -> None:
    complaint = surveyed(world, ASKED)
    [need] = kept(world, complaint)
    answer = mapped(world, need, mapped_to="program", program_code="BPNT")
    assert answer.status_code == 200, answer.text
    now = answer.json()
    assert (now["mapped_to"], now["program_code"]) == ("program", "BPNT")
    assert now["mapped_by"]["id"] == world.as_(OWNER).get("/me").json()["id"]
    after = get(world, "front.1", complaint["id"])
    assert after["version"] == complaint["version"] + 1
    assert now["referral_id"] in after["referral_ids"]
    made = referral(world, now["referral_id"])
    assert (made["program_code"], made["state"], made["origin"]) == ("BPNT", "draft", "desk")
    assert made["beneficiary"]["name"] == "Siti Aminah"
    refused(mapped(world, now, mapped_to="none_exists"), 409, "drafted_already")
    # A new survey leaves it; the supervisor decides on it with the rest.
    done(world, SUPERVISOR, complaint["id"], "return_for_correction", note="Lagi.")
    save_survey(world, complaint["id"], other_needs=[ASKED])
    done(world, FIRST, complaint["id"], "submit_survey")
    done(world, SUPERVISOR, complaint["id"], "approve")
    assert referral(world, now["referral_id"])["state"] == "approved"


def test_later_and_for_a_local_helper_the_secretariat_is_told(world: World) -> None:
    complaint = surveyed(world, ASKED, SEED)
    second, first = kept(world, complaint)
    done(world, SUPERVISOR, complaint["id"], "approve")
    answer = mapped(world, first, mapped_to="program", program_code="BPNT")
    assert answer.json()["referral_id"] is None
    for who in ("front.1", "back.2"):
        assert told_steps(world, who, complaint["id"])[-1:] == ["need_mapped"]
    before = told_steps(world, "front.1", complaint["id"])
    assert mapped(world, second, mapped_to="none_exists").status_code == 200
    assert told_steps(world, "front.1", complaint["id"]) == before
    # It may be mapped anew as long as no referral was made of it.
    [second, _] = kept(world, complaint)
    helped = mapped(world, second, mapped_to="local_helper", helper="BAZNAS Kota Mojokerto").json()
    assert (helped["helper"], helped["program_code"]) == ("BAZNAS Kota Mojokerto", None)
    assert told_steps(world, "front.1", complaint["id"]) == [*before, "need_mapped"]
    assert not any("need" in one["type"] for one in events(world, complaint["id"]))


def test_a_registered_household_is_who_a_need_is_for(world: World) -> None:
    home = world.fetch("select id from households where village_code = '35.76.02.1010' limit 1")
    complaint = surveyed(world, ASKED)
    world.fetch(
        "update complaints set household_id = $2 where id = $1", complaint["id"], home[0]["id"]
    )
    [need] = kept(world, complaint)
    made = mapped(world, need, mapped_to="program", program_code="PIP").json()["referral_id"]
    assert referral(world, made)["beneficiary"]["household_id"] == str(home[0]["id"])


@pytest.mark.parametrize(
    "body",
    [
        {"mapped_to": "program"},
        {"mapped_to": "program", "helper": "BAZNAS"},
        {"mapped_to": "local_helper"},
        {"mapped_to": "none_exists", "program_code": "PKH"},
        {"mapped_to": "program", "program_code": "PKH", "helper": "BAZNAS"},
    ],
)
def test_a_mapping_names_what_it_says(world: World, body: Json) -> None:
    need = {"id": ensure(world)["id"], "version": 1}
    answer = mapped(world, need, **body)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {"": "mapping_ambiguous"}


def ensure(world: World) -> Json:
    """Some need that nobody has mapped."""
    listed = world.as_(OWNER).get("/other-needs", params={"mapped": False}).json()["items"]
    return listed[0] if listed else kept(world, surveyed(world, ASKED))[0]


def test_program_managers_of_the_region_map_and_offices_read(world: World) -> None:
    hire(world, "program.kota1", ("program_manager", "35.76.01", "PKH"))
    need = ensure(world)
    for who in ("front.1", "manager", SUPERVISOR, "puskesos.wates"):
        assert world.as_(who).get(f"/other-needs/{need['id']}").json()["id"] == need["id"]
        refused(mapped(world, need, who, mapped_to="none_exists"), 403, "role_not_allowed")
    for who in ("program.kota1", "puskesos.kauman", "agency-pkh", FIRST, "admin"):
        refused(world.as_(who).get(f"/other-needs/{need['id']}"), 404, "not_found")
    for who in (FIRST, "agency-pkh"):
        refused(world.as_(who).get("/other-needs"), 403, "role_not_allowed")
        refused(world.as_(who).get("/other-needs/counts"), 403, "role_not_allowed")
    unknown = mapped(world, need, mapped_to="program", program_code="NASI")
    assert faults(unknown) == {"/program_code": "unknown_program"}
    refused(mapped(world, need | {"version": 9}, mapped_to="none_exists"), 412, "stale_version")
    refused(mapped(world, need | {"id": str(uuid4())}, mapped_to="none_exists"), 404, "not_found")
    assert etag(world, OWNER, f"/other-needs/{need['id']}") == f'"{need["version"]}"'


def test_they_are_listed_and_counted_by_sector_and_region(fresh_world: World) -> None:
    world = fresh_world
    complaint = surveyed(world, ASKED, SEED, {"text": "Kambing.", "sector": None})
    other = surveyed(world, ASKED, {"text": "Obat.", "sector": "health"})
    first, second = kept(world, other)
    mapped(world, first, mapped_to="none_exists")
    mapped(world, second, mapped_to="local_helper", helper="CSR")
    world.fetch(
        "update other_needs set village_code = $2, district_code = '35.76.01' where id = $1",
        kept(world, complaint)[0]["id"], KAUMAN,
    )  # fmt: skip

    def counts(**query: Any) -> list[tuple[Any, ...]]:
        names = (
            "region_code", "sector", "unmapped", "program", "local_helper", "none_exists",
        )  # fmt: skip
        found: list[Any] = []
        while True:
            page = world.as_(OWNER).get("/other-needs/counts", params=query).json()
            found += [tuple(one[name] for name in names) for one in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    everything = [
        (KAUMAN, "agriculture", 1, 0, 0, 0),
        ("35.76.02.1010", "health", 1, 0, 1, 1),
        ("35.76.02.1010", None, 1, 0, 0, 0),
    ]
    assert counts() == counts(limit=1) == everything
    assert counts(sector="health") == everything[1:2]
    assert counts(region="35.76.01") == everything[:1]

    def listed(**query: Any) -> list[str]:
        items = world.as_(OWNER).get("/other-needs", params=query).json()["items"]
        return [one["text"] for one in items]

    assert len(listed()) == 5
    assert sorted(listed(mapped=True)) == [ASKED["text"], "Obat."]
    assert listed(mapped_to="local_helper") == ["Obat."]
    assert listed(mapped=False, sector="health") == [ASKED["text"]]
    assert listed(region=KAUMAN) == ["Benih cabai."]
    page = world.as_(OWNER).get("/other-needs", params={"limit": 3}).json()
    rest = {"limit": 3, "cursor": page["next_cursor"]}
    assert len(world.as_(OWNER).get("/other-needs", params=rest).json()["items"]) == 2


def test_mapped_at_once_it_is_mapped_once_and_a_retry_finds_it(world: World) -> None:
    complaint = surveyed(world, ASKED)
    [need] = kept(world, complaint)
    body = {"mapped_to": "program", "program_code": "BPNT"}

    async def race() -> list[httpx.Response]:
        return await asyncio.gather(
            *(asyncio.to_thread(mapped, world, need, who, **body) for who in (OWNER, "program.2"))
        )

    answers = asyncio.run(race())
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    drafts = [referral(world, id)["program_code"] for id in
        get(world, "front.1", complaint["id"])["referral_ids"]]  # fmt: skip
    assert sorted(drafts) == ["BPNT", "KKS"]
    [later] = kept(world, surveyed(world, SEED))
    headers = key()
    first, again = (
        mapped(world, later, headers=headers, mapped_to="none_exists") for _ in range(2)
    )
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
