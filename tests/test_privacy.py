"""No personal data where it has no business: logs, events, URLs, problems."""

import io
import logging
from collections.abc import Iterator

import pytest

from app.logs import Formatter
from tests.conftest import World
from tests.flows import NATIONAL_ID, WATES, act_on_referral, bring, done, draft, file, key

NAME, PHONE, NOTE = "Ngatinah Wiryodiharjo", "+6284511112222", "Bu Ngatinah sakit keras"


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


def test_a_whole_life_leaves_no_personal_data_in_logs_and_events(
    world: World, logs: io.StringIO
) -> None:
    reporter = {"name": NAME, "national_id": NATIONAL_ID, "phone": PHONE, "relation": "self"}
    complaint = bring(world, "forwarded", reporter=reporter)
    for id in complaint["referral_ids"]:
        act_on_referral(world, "program.1", id, "decline", reason="quota_full", note=NOTE)
    told = {"how": "phone", "to": NAME}
    done(world, "facilitator.wates.1", complaint["id"], "deliver_answer", data=told, note=NOTE)
    world.as_("puskesos.wates").post("/complaints/search", json={"national_id": NATIONAL_ID})
    world.as_("puskesos.wates").post(
        "/registry/checks", json={"national_id": NATIONAL_ID}, headers=key()
    )
    written = logs.getvalue()
    assert "answered" in written
    events = "\n".join(
        str(dict(row)) for row in world.fetch("select * from events where subject_id is not null")
    )
    for place in (written, events):
        for secret in (NATIONAL_ID, NAME, PHONE, NOTE, world.token("front.1"), "Siti Aminah"):
            assert secret not in place


def test_what_was_typed_is_never_in_a_problem_or_in_the_logs_of_a_crash(
    world: World, logs: io.StringIO
) -> None:
    bad = draft(reporter={"name": NAME, "national_id": f"{NATIONAL_ID}9", "relation": NOTE})
    answer = world.as_("puskesos.wates").post("/complaints", json=bad, headers=key())
    assert answer.status_code == 422
    assert NAME not in answer.text
    assert NATIONAL_ID not in answer.text
    assert NOTE not in answer.text
    # A crash of the database's making: its message would name the row.
    complaint = file(world, reporter={"name": NAME, "relation": "self"})
    world.fetch("alter table delivery_attempts rename to delivery_attempts_away")
    try:
        body = {"action": "resolve_now", "note": NOTE}
        url = f"/complaints/{complaint['id']}/actions"
        world.fetch("alter table event_notes rename to event_notes_away")
        crashed = world.as_("puskesos.wates").post(
            url, json=body, headers=key() | {"If-Match": f'"{complaint["version"]}"'}
        )
    finally:
        world.fetch("alter table delivery_attempts_away rename to delivery_attempts")
        world.fetch("alter table event_notes_away rename to event_notes")
    assert crashed.status_code in (500, 503)
    assert NOTE not in crashed.text
    assert NOTE not in logs.getvalue()
    assert NAME not in logs.getvalue()


def test_an_event_cannot_be_changed_or_deleted(world: World) -> None:
    complaint = file(world)
    for sql in (
        "update events set type = 'complaint.forwarded' where subject_id = $1",
        "delete from events where subject_id = $1",
    ):
        with pytest.raises(Exception, match="append-only"):
            world.fetch(sql, complaint["id"])
    with pytest.raises(Exception, match="append-only"):
        world.fetch("truncate events cascade")


def test_a_former_event_keeps_its_region(world: World) -> None:
    complaint = file(world)
    rows = world.fetch("select village_code from events where subject_id = $1", complaint["id"])
    assert {row["village_code"] for row in rows} == {WATES}
