"""Filed and surveyed at one door; surveys that meet others; what was done on paper."""

from typing import Any

import pytest

from tests.conftest import World
from tests.flows import (
    act,
    bring,
    done,
    event_of,
    facilitator_id,
    family,
    file,
    get,
    key,
    me,
    patch,
    save_survey,
    told_steps,
)
from tests.refusals import faults, refused
from tests.test_tablets import FIRST, SECOND, SUPERVISOR, number, register, replayed, send

Json = dict[str, Any]
DESK, FRONT = "puskesos.wates", "front.1"


def test_a_facilitator_files_takes_and_surveys_at_one_door(world: World) -> None:
    device, home = register(world), family(world)
    subject = {"national_id": home["national_id"]}
    filed = send(world, device, 1, subject=subject).json()["complaint"]
    assert "self_assign" in get(world, FIRST, filed["id"])["actions"]
    headers = number(device, 2) | {"If-Match": f'"{filed["version"]}"'} | key()
    path, body = f"/complaints/{filed['id']}/actions", {"action": "self_assign"}
    answer = world.as_(FIRST).post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert replayed(world.as_(FIRST).post(path, json=body, headers=headers))
    taken = answer.json()
    assert (taken["state"], taken["assigned_to"]["id"]) == ("assigned", me(world, FIRST))
    # The system has asked the registry, and found the household.
    assert taken["registry_check"]["outcome"] == "registered"
    assert taken["household_id"] == home["household_id"]
    assert taken["registry_check"]["checked_by"] == "00000000-0000-0000-0000-000000000000"
    for who in (DESK, FRONT, "back.2"):
        assert told_steps(world, who, filed["id"]) == ["self_assigned"]
    saved = save_survey(world, filed["id"])
    assert saved.status_code == 200, saved.text
    sent = done(world, FIRST, filed["id"], "submit_survey", if_match=saved.headers["etag"])
    assert sent["state"] == "awaiting_supervisor"
    done(world, SUPERVISOR, filed["id"], "approve")


def test_only_who_filed_it_takes_it(world: World) -> None:
    filed = file(world, FIRST)
    refused(act(world, FRONT, filed["id"], "self_assign"), 403, "role_not_allowed")
    mine = file(world, DESK)
    world.fetch(
        "update complaints set assigned_to = $1 where id = $2", me(world, FIRST), mine["id"]
    )
    refused(act(world, FIRST, mine["id"], "self_assign"), 409, "action_not_allowed")
    done(world, FIRST, filed["id"], "self_assign")
    again = act(world, FIRST, filed["id"], "self_assign")
    refused(again, 409, "action_not_allowed")


def test_who_was_found_alike_before_is_chosen_at_the_door(world: World) -> None:
    filed = file(world, FIRST)
    household = family(world)["household_id"]
    check = (
        '{"outcome": "similar", "household_id": null, "candidates":'
        f' [{{"household_id": "{household}", "head_name": null, "family_card_number": null,'
        ' "national_id": null, "village_code": "35.76.02.1010", "rt": null, "rw": null}],'
        ' "warnings": [], "checked_at": "2026-11-24T00:00:00Z",'
        f' "checked_by": "{me(world, FIRST)}"}}'
    )
    world.fetch(f"update complaints set registry_check = '{check}' where id = '{filed['id']}'")
    waived = [{"document": "id_card", "why": "lost", "seen_instead": "Fotokopi"}]
    patched = patch(world, DESK, filed["id"], documents_waived=waived)
    assert patched.status_code == 200, patched.text
    other = act(world, FIRST, filed["id"], "self_assign", data={"household_id": me(world, FIRST)})
    refused(other, 422, "unknown_household")
    taken = done(world, FIRST, filed["id"], "self_assign", data={"household_id": household})
    assert taken["household_id"] == household
    [referral] = taken["referral_ids"]
    assert world.as_(FIRST).get(f"/referrals/{referral}").json()["program_code"] == "ADMINDUK"


def test_a_survey_of_somebody_reassigned_meanwhile_is_kept_beside(world: World) -> None:
    device, case = register(world), bring(world, "assigned")
    id, path = case["id"], f"/complaints/{case['id']}/survey"
    other = {"facilitator_id": facilitator_id(world, SECOND)}
    done(world, FRONT, id, "reassign", data=other)
    theirs = save_survey(world, id, SECOND)
    assert theirs.status_code == 200
    # The tablet has had no signal, and knows nothing of it.
    body = draft_of(world, id)
    late = world.as_(FIRST).put(path, json=body, headers={"If-Match": '"0"'} | number(device, 1))
    assert late.status_code == 200, late.text
    assert late.json()["additional"]
    sent = act(
        world, FIRST, id, "submit_survey", if_match=late.headers["etag"], headers=number(device, 2)
    )
    assert (sent.status_code, sent.json()["state"]) == (200, "assigned")
    assert len(world.as_(FRONT).get(path).json()["additional_surveys"]) == 1
    assert world.as_(SECOND).get(path).json()["version"] == theirs.json()["version"]
    [kept] = [
        one
        for one in world.as_(FRONT).get(f"/complaints/{id}/events").json()["items"]
        if one["type"] == "survey.kept_as_additional"
    ]
    assert kept["data"]["device"]["sequence"] == 2


def draft_of(world: World, id: str) -> Json:
    form = world.as_(FRONT).get("/survey-forms").json()["current"]
    example: Json = world.as_(FRONT).get(f"/survey-forms/{form}").json()["example"]
    return example | {"other_needs": []}


def test_a_stale_survey_is_refused_with_both_versions(world: World) -> None:
    device, id = register(world), bring(world, "assigned")["id"]
    path, mine = f"/complaints/{id}/survey", draft_of(world, id)
    first = world.as_(FRONT).put(path, json=mine, headers={"If-Match": '"0"'})
    theirs = first.json()["answers"]
    changed = mine | {
        "answers": {**mine["answers"], "floor": "earth", "Nama Ibu Kandung": "Siti"},
        "no_needs": True, "program_needs": [],
    }  # fmt: skip
    stale = {"If-Match": '"0"'} | number(device, 1)
    answer = world.as_(FIRST).put(path, json=changed, headers=stale)
    body = refused(answer, 412, "stale_version")
    assert "Ibu" not in answer.text
    assert body["versions"] == {
        "sent": 0, "present": 1, "saved_at": body["versions"]["saved_at"],
        "saved_by": me(world, FRONT),
    }  # fmt: skip
    assert faults(answer) == {
        "/program_needs": "differs", "/no_needs": "differs", "/answers/floor": "differs",
    }  # fmt: skip
    assert world.as_(FIRST).get(path).json()["answers"] == theirs
    # With the same content nothing differs: it is there already.
    assert refused(
        world.as_(FIRST).put(path, json=mine, headers=stale), 412, "stale_version"
    )["errors"] == []  # fmt: skip
    empty = world.as_(FIRST).put(
        f"/complaints/{bring(world, 'assigned')['id']}/survey",
        json=mine | {"form_version": "none"}, headers={"If-Match": '"3"'},
    )  # fmt: skip
    assert refused(empty, 412, "stale_version")["versions"]["present"] == 0


@pytest.mark.parametrize("result", ["not_home", "refused"])
def test_a_visit_on_paper_is_typed_for_whoever_made_it(world: World, result: str) -> None:
    id = bring(world, "assigned")["id"]
    data = {"result": result, "on_behalf_of": me(world, FIRST)}
    done(world, FRONT, id, "record_visit_attempt", data=data, paper=True)
    event = event_of(world, id, "record_visit_attempt")
    assert event["data"] == {"result": result, "on_behalf_of": me(world, FIRST), "paper": True}
    assert event["by"]["id"] == me(world, FRONT)
    surveyors = world.fetch("select surveyors from complaints where id = $1", id)[0]["surveyors"]
    both = [me(world, FIRST), me(world, FRONT)]
    assert [str(one) for one in surveyors] == (both if result == "refused" else [])


def test_an_answer_told_on_paper_is_typed_for_whoever_told_it(world: World) -> None:
    id = bring(world, "answered")["id"]
    data = {"how": "in_person", "to": "Siti", "satisfaction": 5, "on_behalf_of": me(world, FIRST)}
    wrong = act(world, DESK, id, "deliver_answer", data=data | {"on_behalf_of": me(world, DESK)})
    refused(wrong, 422, "unknown_facilitator")
    done(world, DESK, id, "deliver_answer", data=data, paper=True)
    [row] = world.fetch("select * from delivery_attempts where complaint_id = $1", id)
    assert (str(row["tried_by"]), row["satisfaction_self_typed"]) == (me(world, FIRST), True)
