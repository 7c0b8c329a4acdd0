"""Referrals brought to where a test needs them: needs named in surveys, and what owners answer."""

from typing import Any

from tests.conftest import World
from tests.flows import act_on_referral, bring, done, me, save_survey

Json = dict[str, Any]
FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
SUPERVISOR = "supervisor.magersari"
OWNER = "program.1"  # of PKH, BPNT, RASTRA, PIP, PBI_JKN, KKS and BOS


def need(person: Json, program: str = "PKH", **more: Any) -> Json:
    """A need of a registered person."""
    return {"program_code": program, "beneficiary": {"member_id": person["member_id"]}} | more


def named(name: str, program: str = "PKH") -> Json:
    return {"program_code": program, "beneficiary": {"name": name}}


def surveyed(world: World, *needs: Json, **changes: Any) -> Json:
    """A complaint whose survey has named these needs, with the supervisor now."""
    id = bring(world, "assigned", **changes)["id"]
    saved = save_survey(world, id, program_needs=list(needs))
    assert saved.status_code == 200, saved.text
    return done(world, FIRST, id, "submit_survey")


def approved(world: World, *needs: Json, **changes: Any) -> Json:
    return done(world, SUPERVISOR, surveyed(world, *needs, **changes)["id"], "approve")


def forwarded(world: World, *needs: Json, **changes: Any) -> Json:
    return done(world, "manager", approved(world, *needs, **changes)["id"], "forward")


def referral(world: World, id: str, who: str = "front.1") -> Json:
    answer = world.as_(who).get(f"/referrals/{id}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def did(world: World, who: str, id: str, action: str, **body: Any) -> Json:
    """Take an action on a referral that must succeed, and find it written."""
    before = referral(world, id, who)
    answer = act_on_referral(world, who, id, action, **body)
    assert answer.status_code == 200, answer.text
    after: Json = answer.json()
    event = world.as_(who).get(f"/referrals/{id}/events").json()["items"][-1]
    assert (event["action"], event["from"], event["to"]) == (
        action, before["state"], after["state"],
    )  # fmt: skip
    assert event["by"]["id"] == me(world, who)
    assert (event["note"], event["reason"]) == (body.get("note"), body.get("reason"))
    assert after["version"] == before["version"] + 1
    return after
