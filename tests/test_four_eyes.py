"""Four eyes compare people: whoever had a hand in the survey does not decide on it."""

from typing import Any

import pytest

from app.settings import DEMO_PASSWORD
from tests.conftest import World
from tests.flows import act, bring, done, etag, events, get, key, save_survey, survey_body

SUPERVISED = {"role": "supervisor", "region_codes": ["35.76.02"]}


@pytest.fixture(scope="module")
def people(world: World) -> None:
    """Two people with two roles each."""
    for username, role, region in (
        ("typist", "back_office", "35.76"),
        ("visitor", "facilitator", "35.76.02.1010"),
    ):
        body: dict[str, Any] = {
            "username": username,
            "name": username.title(),
            "password": DEMO_PASSWORD,
            "roles": [SUPERVISED, {"role": role, "region_codes": [region]}],
        }
        assert world.as_("admin").post("/users", json=body).status_code == 201


def refused(world: World, who: str, id: str) -> bool:
    answer = act(world, who, id, "approve")
    assert "approve" not in get(world, who, id)["actions"]
    return answer.status_code == 403 and answer.json()["code"] == "four_eyes"


@pytest.mark.usefixtures("people")
def test_whoever_typed_a_draft_that_another_submitted_may_not_approve(world: World) -> None:
    id = bring(world, "assigned")["id"]
    assert save_survey(world, id, "typist").status_code == 200
    done(world, "facilitator.wates.1", id, "submit_survey")
    assert refused(world, "typist", id)


@pytest.mark.usefixtures("people")
def test_whoever_surveyed_before_a_reassignment_may_not_approve(world: World) -> None:
    id = bring(world, "assigned", "visitor")["id"]
    assert save_survey(world, id, "visitor").status_code == 200
    other = world.as_("facilitator.wates.2").get("/me").json()["id"]
    done(world, "front.1", id, "reassign", data={"facilitator_id": other})
    done(world, "facilitator.wates.2", id, "submit_survey")
    assert refused(world, "visitor", id)


@pytest.mark.usefixtures("people")
def test_the_author_of_an_additional_survey_may_not_approve(world: World) -> None:
    id = bring(world, "assigned", "visitor")["id"]
    other = world.as_("facilitator.wates.2").get("/me").json()["id"]
    done(world, "front.1", id, "reassign", data={"facilitator_id": other})
    assert save_survey(world, id, "visitor").status_code == 200
    assert save_survey(world, id, "facilitator.wates.2").status_code == 200
    done(world, "facilitator.wates.2", id, "submit_survey")
    assert refused(world, "visitor", id)


@pytest.mark.usefixtures("people")
def test_the_history_names_the_role_that_allowed_the_step(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    done(world, "typist", id, "approve")
    approved = events(world, id)[-1]
    assert (approved["action"], approved["by"]["role"]) == ("approve", "supervisor")
    other = bring(world, "assigned")["id"]
    done(world, "typist", other, "set_priority", reason="hospital", data={"priority": "emergency"})
    assert events(world, other)[-1]["by"]["role"] == "back_office"


def test_a_survey_needs_text_where_text_is_meant_and_numbers_where_numbers_are(
    world: World,
) -> None:
    id = bring(world, "assigned")["id"]
    path = f"/complaints/{id}/survey"
    headers = {"If-Match": etag(world, "facilitator.wates.1", path)}
    for location in ({"latitude": "7.4", "longitude": 1}, {"latitude": True, "longitude": 1}):
        body = survey_body(world, location=location)
        answer = world.as_("facilitator.wates.1").put(path, json=body, headers=headers)
        assert answer.status_code == 422


def test_a_supervisor_of_another_district_still_sees_what_it_decided(fresh_world: World) -> None:
    id = bring(fresh_world, "awaiting_supervisor")["id"]
    fresh_world.advance(hours=9)
    fresh_world.sweep("unconfirmed")
    path, again = f"/complaints/{id}", key()
    headers = {"If-Match": etag(fresh_world, "supervisor.kranggan", path)} | again
    body = {"action": "answer", "note": "Dibantu BAZNAS."}
    client = fresh_world.as_("supervisor.kranggan")
    assert client.post(f"{path}/actions", json=body, headers=headers).status_code == 200
    replayed = client.post(f"{path}/actions", json=body, headers=headers)
    assert replayed.status_code == 200
    assert replayed.headers["idempotency-replayed"] == "true"
    fresh_world.advance(days=91)
    assert fresh_world.as_("supervisor.kranggan").get(path).status_code == 404


def test_a_reopened_complaint_is_surveyed_anew(world: World) -> None:
    id = bring(world, "closed")["id"]
    done(world, "front.1", id, "reopen")
    survey = world.as_("front.1").get(f"/complaints/{id}/survey").json()
    assert survey["submitted_at"] is None
    assert survey["answers"]
    chosen = world.as_("facilitator.wates.2").get("/me").json()["id"]
    done(world, "front.1", id, "assign", data={"facilitator_id": chosen})
    flagged = done(
        world, "facilitator.wates.2", id, "record_visit_attempt", data={"result": "moved"}
    )
    assert flagged["no_survey"]
    assert "approve" not in get(world, "supervisor.magersari", id)["actions"]
