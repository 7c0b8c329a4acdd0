"""A household's dossier: all its referrals and their answers, for who has it in sight."""

from typing import Any

from app.settings import DEMO_CLIENT_SECRET
from tests.conftest import World
from tests.flows import bring, done, draft_referral, family, key
from tests.referring import FIRST, OWNER, did, forwarded, need
from tests.refusals import refused

TOLD = {"how": "in_person", "to": "Siti Aminah"}


def dossier(world: World, who: str, home: str, **query: Any) -> Any:
    answer = world.as_(who).get(f"/households/{home}/referrals", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_dossier_shows_all_referrals_of_a_household_and_its_people(world: World) -> None:
    person = family(world)
    home = person["household_id"]
    whole = {"program_code": "BPNT", "beneficiary": {"household_id": home}}
    first = forwarded(world, need(person), whole)
    of_person, of_home = first["referral_ids"]
    did(world, OWNER, of_person, "waitlist")
    did(world, OWNER, of_home, "decline", reason="already_served")
    done(world, FIRST, first["id"], "deliver_answer", data=TOLD)
    did(world, OWNER, of_person, "grant")
    did(world, FIRST, of_person, "deliver_answer", data=TOLD)
    second = forwarded(world, need(person, "PIP", purpose="payment"))
    draft_referral(world, "front.1", bring(world, "received"))
    items = dossier(world, "supervisor.magersari", home)["items"]
    assert [(one["program_code"], one["purpose"], one["state"]) for one in items] == [
        ("PIP", "payment", "sent"), ("BPNT", "enrol", "declined"), ("PKH", "enrol", "granted"),
    ]  # fmt: skip
    assert [one["ticket"] for one in items] == [
        second["ticket"], first["ticket"], first["ticket"],
    ]  # fmt: skip
    assert {one["complaint_category"] for one in items} == {"inclusion_request"}
    number = person["national_id"]
    assert items[2]["beneficiary"]["national_id"] == f"{number[:4]}********{number[-4:]}"
    assert [(one["action"], one["reason"]) for one in items[2]["answers"]] == [
        ("waitlist", None), ("grant", None), ("deliver_answer", None),
    ]  # fmt: skip
    assert [(one["action"], one["role"], one["reason"]) for one in items[1]["answers"]] == [
        ("decline", "program_manager", "already_served")
    ]
    assert items[0]["answers"] == []
    # Page by page.
    page = dossier(world, "front.1", home, limit=2)
    rest = dossier(world, "front.1", home, limit=2, cursor=page["next_cursor"])
    assert [one["id"] for one in page["items"] + rest["items"]] == [one["id"] for one in items]
    assert rest["next_cursor"] is None


def test_a_dossier_is_for_who_has_the_household_in_sight(world: World) -> None:
    home = family(world, "35.76.01.1004")["household_id"]
    for who in ("supervisor.magersari", "puskesos.wates", FIRST, OWNER, "agency-pkh", "admin"):
        refused(world.as_(who).get(f"/households/{home}/referrals"), 404, "not_found")
    assert dossier(world, "puskesos.kauman", home)["items"] == []
    # A client that reads the registry finds there what it sees of referrals: its own.
    body = {
        "username": "reader", "name": "reader", "secret": DEMO_CLIENT_SECRET,
        "scopes": ["registry:read", "referrals:read"], "region_codes": ["35.76"],
        "program_codes": ["PIP"],
    }  # fmt: skip
    assert world.as_("admin").post("/clients", json=body, headers=key()).status_code == 201
    form = {
        "grant_type": "client_credentials", "client_id": "reader",
        "client_secret": DEMO_CLIENT_SECRET,
    }  # fmt: skip
    world.tokens["reader"] = world.anyone.post("/v1/auth/token", data=form).json()["access_token"]
    wates = family(world)["household_id"]
    found = dossier(world, "reader", wates)["items"]
    assert {one["program_code"] for one in found} <= {"PIP"}
    assert len(found) < len(dossier(world, "front.1", wates)["items"])
