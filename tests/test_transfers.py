"""A complaint that belongs to another office goes there, with all that hangs on it."""

import asyncio
import io
from typing import Any

import httpx
import pypdfium2
import pytest

from tests.conftest import World
from tests.flows import (
    KAUMAN,
    NATIONAL_ID,
    WATES,
    act,
    act_on_referral,
    bring,
    check_registry,
    done,
    draft_referral,
    event_of,
    events,
    facilitator_id,
    family,
    file,
    get,
    key,
    save_survey,
    told_steps,
    version,
)

TO_KAUMAN: dict[str, Any] = {"reason": "wrong_region", "data": {"region_code": KAUMAN}}
SURABAYA = "35.78"


def transfer(world: World, id: str, who: str = "front.1", **body: Any) -> dict[str, Any]:
    return done(world, who, id, "transfer", **TO_KAUMAN | body)


def rows(world: World, table: str, id: str) -> list[str]:
    """The villages of what a complaint has in a table."""
    sql = f"select distinct village_code from {table} where complaint_id = $1"
    return [row["village_code"] for row in world.fetch(sql, id)]


@pytest.fixture(scope="module")
def moved(world: World) -> dict[str, Any]:
    """A complaint that was surveyed in Wates, and went to Kauman from the facilitator's hands."""
    before = bring(world, "assigned")
    draft_referral(world, "puskesos.wates", before)
    assert save_survey(world, before["id"]).status_code == 200
    return {"before": before, "after": transfer(world, before["id"])}


def test_it_goes_to_the_other_office_on_a_stage_of_its_own(
    world: World, moved: dict[str, Any]
) -> None:
    before, after = moved["before"], moved["after"]
    assert (after["state"], after["region_code"]) == ("at_secretariat", KAUMAN)
    assert after["assigned_to"] is None
    assert after["deadline_at"] == before["deadline_at"]
    assert after["due_at"] != before["due_at"]
    said = event_of(world, before["id"], "transfer")
    assert (said["reason"], said["from"], said["to"]) == (
        "wrong_region",
        "assigned",
        "at_secretariat",
    )
    assert said["data"] == {"region_from": WATES, "region_to": KAUMAN}
    inbox = world.as_("supervisor.prajuritkulon").get("/complaints", params={"region": KAUMAN})
    assert before["id"] in [one["id"] for one in inbox.json()["items"]]


def test_what_it_has_goes_along(world: World, moved: dict[str, Any]) -> None:
    id = moved["before"]["id"]
    for table in ("surveys", "assignments", "referrals", "complaint_referrals"):
        assert rows(world, table, id) == [KAUMAN], table
    [referral] = moved["after"]["referral_ids"]
    read = world.as_("front.1").get(f"/referrals/{referral}").json()
    assert (read["region_code"], read["version"]) == (KAUMAN, 2)
    # The draft of the survey goes on with whoever is sent next.
    new = facilitator_id(world, "facilitator.wates.2")
    done(world, "front.1", id, "assign", data={"facilitator_id": new})
    survey = world.as_("facilitator.wates.2").get(f"/complaints/{id}/survey")
    assert survey.headers["etag"] == '"1"'


def test_the_former_office_reads_on_and_acts_no_more(world: World) -> None:
    complaint = file(world, "front.1")
    id = complaint["id"]
    transfer(world, id)
    former = get(world, "puskesos.wates", id)
    assert (former["region_code"], former["actions"]) == (KAUMAN, [])
    assert id in ids(world.as_("puskesos.wates").get("/complaints"))
    refused = act(world, "puskesos.wates", id, "withdraw", note="Batal.")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_not_allowed")
    assert "resolve_now" in get(world, "puskesos.kauman", id)["actions"]
    waiting = world.as_("puskesos.wates").get("/inbox", params={"limit": 200}).json()["items"]
    assert id not in [one["id"] for one in waiting]
    # Somewhere else again: the office that took it still reads; the one between does not.
    transfer(world, id, data={"region_code": "35.76.03.1001"})
    assert get(world, "puskesos.wates", id)["region_code"] == "35.76.03.1001"
    assert world.as_("puskesos.kauman").get(f"/complaints/{id}").status_code == 404
    done(world, "front.1", id, "resolve_now", note="Sudah dijelaskan di loket.")
    assert get(world, "puskesos.wates", id)["answer"] == "Sudah dijelaskan di loket."


def ids(answer: httpx.Response) -> list[str]:
    return [one["id"] for one in answer.json()["items"]]


def test_both_regions_hear_of_it(world: World, moved: dict[str, Any]) -> None:
    sql = "select type, village_code from events where subject_id = $1 and type = any($2)"
    types = ["complaint.left_region", "complaint.transferred"]
    found = world.fetch(sql + " order by seq", moved["before"]["id"], types)
    assert [tuple(row) for row in found] == [(types[0], WATES), (types[1], KAUMAN)]


def test_an_incomplete_one_waits_on_with_its_own_reminders(fresh_world: World) -> None:
    world = fresh_world
    complaint = file(world)
    id = complaint["id"]
    done(world, "puskesos.wates", id, "request_documents", data={"missing": ["family_card"]})
    world.advance(days=8)
    world.sweep("incomplete")
    transfer(world, id, "manager")
    after = get(world, "front.1", id)
    assert (after["state"], after["paused_since"] is None) == ("incomplete", False)
    world.advance(days=8)
    world.sweep("incomplete")
    assert told_steps(world, "puskesos.kauman", id) == ["day_7"]
    again = done(world, "puskesos.kauman", id, "complete_documents",
                 data={"documents_seen": ["family_card"]})  # fmt: skip
    assert again["paused_seconds"] >= 16 * 86_400
    # The ladder of the new office, with the promise of old.
    world.advance(hours=7)
    world.sweep("sla")
    assert "level_1" in told_steps(world, "front.1", id)
    assert get(world, "puskesos.kauman", id)["escalation_level"] == 1


def test_what_is_with_its_owner_stays_there_and_is_told_by_the_new_office(world: World) -> None:
    complaint = bring(world, "forwarded")
    id, [referral] = complaint["id"], complaint["referral_ids"]
    after = transfer(world, id, "manager")
    assert (after["state"], after["region_code"]) == ("forwarded", KAUMAN)
    assert world.as_("program.1").get(f"/referrals/{referral}").json()["region_code"] == WATES
    assert act_on_referral(world, "program.1", referral, "grant").status_code == 200
    answered = get(world, "puskesos.kauman", id)
    assert (answered["state"], answered["outcome"]) == ("answered", "granted")
    again = done(world, "front.1", id, "transfer", reason="moved", data={"region_code": WATES})
    assert (again["state"], again["outcome"]) == ("answered", "granted")
    transfer(world, id)
    told = {"how": "phone", "to": "Siti Aminah"}
    told_by = act_on_referral(world, "puskesos.wates", referral, "deliver_answer", data=told)
    assert told_by.status_code == 403
    told_by = act_on_referral(world, "puskesos.kauman", referral, "deliver_answer", data=told)
    assert told_by.status_code == 200
    assert done(world, "puskesos.kauman", id, "deliver_answer", data=told)["state"] == "closed"


@pytest.fixture(scope="module")
def household(world: World) -> dict[str, Any]:
    return family(world)


def at_home(world: World, household: dict[str, Any]) -> dict[str, Any]:
    """A complaint of a registered household, at the secretariat."""
    complaint = file(world, subject={"national_id": household["national_id"]})
    check_registry(world, complaint["id"])
    return done(world, "puskesos.wates", complaint["id"], "forward_to_secretariat")


def changes_of(world: World, household: dict[str, Any]) -> list[dict[str, Any]]:
    query = {"household_id": household["household_id"]}
    found: list[dict[str, Any]] = world.as_("front.1").get(
        "/registry-changes", params=query
    ).json()["items"]  # fmt: skip
    return found


def test_whoever_moved_is_to_be_moved_in_the_registry(
    world: World, household: dict[str, Any]
) -> None:
    complaint = at_home(world, household)
    after = transfer(world, complaint["id"], reason="moved")
    [change] = changes_of(world, household)
    assert after["registry_change_ids"] == [change["id"]]
    assert (change["kind"], change["state"]) == ("report_move", "draft")
    assert change["fields"][0]["after"] == KAUMAN
    # On to a third village: said already; and back home there is nothing to say.
    transfer(world, complaint["id"], reason="moved", data={"region_code": "35.76.03.1001"})
    assert len(changes_of(world, household)) == 1
    other = at_home(world, household)
    transfer(world, other["id"])
    transfer(world, other["id"], reason="moved", data={"region_code": WATES})
    assert len(changes_of(world, household)) == 1
    done(world, "front.1", complaint["id"], "withdraw", note="Batal.")


def test_with_the_supervisor_the_move_is_put_forward_at_once(world: World) -> None:
    home = family(world)
    complaint = at_home(world, home)
    id = complaint["id"]
    done(world, "front.1", id, "assign", data={"facilitator_id": facilitator_id(world)})
    save_survey(world, id, if_match='"0"')
    done(world, "facilitator.wates.1", id, "submit_survey")
    before = len(changes_of(world, home))
    after = transfer(world, id, reason="moved")
    assert after["state"] == "awaiting_supervisor"
    assert after["assigned_to"]["id"] == facilitator_id(world)
    newest = changes_of(world, home)[0]
    assert len(changes_of(world, home)) == before + 1
    assert (newest["state"], newest["due_at"]) == ("proposed", None)
    assert "approve" in get(world, "supervisor.prajuritkulon", id)["actions"]
    done(world, "supervisor.prajuritkulon", id, "approve")
    done(world, "manager", id, "forward")
    assert changes_of(world, home)[0]["state"] == "manager_approved"


def letter(world: World, who: str, id: str) -> httpx.Response:
    return world.as_(who).get(f"/complaints/{id}/letter")


def test_to_another_city_it_goes_with_a_letter(world: World) -> None:
    home = family(world)
    complaint = at_home(world, home)
    id = complaint["id"]
    draft_referral(world, "puskesos.wates", complaint)
    assert letter(world, "front.1", id).json()["code"] == "no_letter"
    known = len(changes_of(world, home))
    after = done(world, "front.1", id, "transfer", reason="moved", data={"region_code": SURABAYA})
    assert (after["state"], after["outcome"], after["region_code"]) == (
        "closed", "transferred", WATES,
    )  # fmt: skip
    assert "reopen" not in after["actions"]
    [referral] = after["referral_ids"]
    assert world.as_("front.1").get(f"/referrals/{referral}").json()["state"] == "cancelled"
    # Nobody carries it: it goes to the supervisor by itself.
    newest = changes_of(world, home)[0]
    assert len(changes_of(world, home)) == known + 1
    assert (newest["kind"], newest["state"]) == ("update_household", "proposed")
    assert (newest["complaint_id"], newest["due_at"] is None) == (None, False)
    paper = letter(world, "puskesos.wates", id)
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content == letter(world, "front.1", id).content
    page = pypdfium2.PdfDocument(io.BytesIO(paper.content))[0].get_textpage().get_text_range()
    for said in (complaint["ticket"], SURABAYA, "Siti Aminah", "3576********9001", "pindah"):
        assert said in page, said
    assert NATIONAL_ID not in page
    [row] = world.fetch("select code from transfer_letters where complaint_id = $1", id)
    check = world.anyone.get(f"/v1/public/letters/{row['code']}")
    assert check.json() == {"valid": True}


def test_what_was_forwarded_is_still_answered_after_it_left_the_city(world: World) -> None:
    complaint = bring(world, "forwarded", narrative="Panjang sekali. " * 120)
    id, [referral] = complaint["id"], complaint["referral_ids"]
    done(world, "manager", id, "transfer", reason="wrong_region", data={"region_code": SURABAYA})
    assert "…" in pypdfium2.PdfDocument(
        io.BytesIO(letter(world, "front.1", id).content)
    )[0].get_textpage().get_text_range()  # fmt: skip
    assert act_on_referral(world, "program.1", referral, "grant").status_code == 200
    assert get(world, "front.1", id)["state"] == "closed"
    answered = bring(world, "answered")["id"]
    done(world, "manager", answered, "transfer", reason="moved", data={"region_code": SURABAYA})
    assert event_of(world, answered, "transfer")["data"]["outcome_was"] == "granted"


@pytest.mark.parametrize(
    ("region_code", "code"),
    [
        (WATES, "same_region"), ("35.76", "unknown_region"), ("35.76.02", "unknown_region"),
        ("35.76.02.9999", "unknown_region"), ("35", "validation_failed"), (None, "missing"),
    ],
)  # fmt: skip
def test_it_goes_to_a_village_here_or_a_place_outside(
    world: World, region_code: str | None, code: str
) -> None:
    id = file(world)["id"]
    data = {"region_code": region_code} if region_code else {}
    answer = act(world, "front.1", id, "transfer", reason="moved", data=data)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert get(world, "front.1", id)["region_code"] == WATES


def test_of_two_that_transfer_at_once_one_does_and_a_retry_finds_it(world: World) -> None:
    id = file(world)["id"]
    path, headers = f"/complaints/{id}", {"If-Match": '"1"'}
    bodies = [
        {"action": "transfer", "reason": "moved", "data": {"region_code": code}}
        for code in (KAUMAN, "35.76.03.1001")
    ]

    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=f"{world.base_url}/v1",
            headers={"Authorization": f"Bearer {world.token('supervisor.magersari')}"},
        ) as client:
            return await asyncio.gather(
                *(
                    client.post(f"{path}/actions", json=body, headers=headers | one)
                    for body, one in zip(bodies, keys, strict=True)
                )
            )

    keys = [key(), key()]
    answers = asyncio.run(both())
    assert sorted(one.status_code for one in answers) == [200, 412]
    won = [one.status_code for one in answers].index(200)
    # The supervisor of the district that it left still finds its own answer.
    again = world.as_("supervisor.magersari").post(
        f"{path}/actions", json=bodies[won], headers=headers | keys[won]
    )
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert [one["action"] for one in events(world, id)].count("transfer") == 1
    assert version(again.json()) == '"2"'
