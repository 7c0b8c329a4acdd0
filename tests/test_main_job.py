"""The main job: a complaint goes in, and an answer comes out."""

from tests.conftest import World
from tests.flows import bring, events


def test_a_complaint_travels_from_the_desk_to_the_answer_told(world: World) -> None:
    complaint = bring(world, "closed")
    assert complaint["outcome"] == "granted"
    assert complaint["delivery"] == "told"
    assert complaint["informed_at"] is not None
    steps = [event["action"] for event in events(world, complaint["id"])]
    assert steps == [
        "submit", "registry_checked", "forward_to_secretariat", "assign", "saved",
        "submit_survey", "approve", "forward", "at_centre", "settle", "deliver_answer",
    ]  # fmt: skip
