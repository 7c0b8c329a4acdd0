"""The same matter filed twice: marked, found, and joined, so that one goes on for both."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.workflow.complaints.persons import Whom
from tests.conftest import World
from tests.flows import (
    KAUMAN,
    act,
    act_on_referral,
    bring,
    check_registry,
    done,
    draft,
    draft_referral,
    event_of,
    events,
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
from tests.test_registry_changes import done as change_done
from tests.test_registry_changes import proposed

ELSEWHERE = "puskesos.kauman"
MERI = "35.76.03.1003"
FIRST, SECOND = "facilitator.wates.1", "facilitator.wates.2"
SERIALS = iter(range(9100, 9999))
TOLD = {"how": "in_person", "to": "Siti Aminah"}


def somebody(name: str = "Siti Aminah") -> dict[str, Any]:
    """A reporter whom no other test knows."""
    return {"name": name, "national_id": f"357602450784{next(SERIALS)}", "relation": "self"}


def joined(world: World, later: str, into: str, who: str = "front.1", **body: Any) -> Any:
    return done(world, who, later, "join", data={"into": into}, **body)


def refusal(world: World, later: str, into: str, who: str = "front.1") -> tuple[int, str]:
    answer = act(world, who, later, "join", data={"into": into})
    return answer.status_code, answer.json()["code"]


def twice(world: World, state: str = "received", **changes: Any) -> tuple[str, str]:
    """The earlier and the later complaint of one person; the later one stands in a state."""
    reporter = somebody()
    earlier = file(world, reporter=reporter)["id"]
    return earlier, bring(world, state, reporter=reporter, **changes)["id"]


# Possible duplicates


def test_who_comes_second_is_marked_and_sees_as_much_as_concerns_them(world: World) -> None:
    reporter = somebody()
    first = file(world, reporter=reporter)
    assert (first["possible_duplicates"], first["warnings"]) == ([], [])
    filed = world.as_(ELSEWHERE).post(
        "/complaints", json=draft(reporter=reporter, region_code=KAUMAN), headers=key()
    )
    second = filed.json()["complaint"]
    mark = {
        "id": None,
        "ticket": first["ticket"],
        "received_at": first["received_at"],
        "office": {"role": "puskesos_officer", "region_code": "35.76.02.1010"},
    }
    assert (second["possible_duplicates"], second["warnings"]) == ([mark], ["possible_duplicate"])
    [seen] = get(world, "front.1", second["id"])["possible_duplicates"]
    assert seen == mark | {"id": first["id"]}
    listed = world.as_(ELSEWHERE).get("/complaints", params={"ticket": second["ticket"]})
    assert listed.json()["items"][0]["possible_duplicates"] == [mark]
    assert get(world, "puskesos.wates", first["id"])["possible_duplicates"] == []


def marks(world: World, complaint: dict[str, Any]) -> set[str]:
    return {one["ticket"] for one in complaint["possible_duplicates"]}


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("number", "number as subject", True),
        ("card", "card", True),
        ("home", "checked", True),
        ("name", "name", True),
        ("name", "number, same name", True),
        ("number", "number, same name", False),
        ("name", "name elsewhere", False),
        ("name", "another category", False),
        ("name", "question", False),
        ("name as subject", "name", True),
        ("name as subject", "other subject", False),
    ],
)
def test_a_person_is_the_same_by_number_family_household_or_name(
    world: World, first: str, second: str, alike: bool
) -> None:
    name = f"Bu {first} {second}".title().replace(",", "")
    home, number, other = family(world), somebody(name), somebody(name)
    card = f"357602010199{next(SERIALS)}"
    plain = {"name": name, "relation": "self"}
    official = {"name": "Pak RT", "relation": "official"}
    ways: dict[str, dict[str, Any]] = {
        "number": {"reporter": number},
        "number as subject": {
            "reporter": official, "subject": {"national_id": number["national_id"]}
        },
        "number, same name": {"reporter": other},
        "card": {"reporter": somebody(), "subject": {"family_card_number": card}},
        "home": {"reporter": official, "subject": {"household_id": home["household_id"]}},
        "checked": {"reporter": official, "subject": {"household_id": home["household_id"]}},
        "name": {"reporter": plain},
        "name elsewhere": {"reporter": plain, "region_code": KAUMAN},
        "another category": {"reporter": plain, "category": "card_problem"},
        "question": {"reporter": plain, "kind": "question", "category": None},
        "name as subject": {"reporter": official, "subject": {"name": name.upper()}},
        "other subject": {"reporter": plain, "subject": {"name": "Mbah Lain"}},
    }  # fmt: skip
    one = file(world, **ways[first])
    two = file(world, **ways[second])
    assert (one["ticket"] in marks(world, two)) == alike


def test_a_month_later_it_is_another_matter_and_paper_typed_late_is_not(fresh_world: World) -> None:
    world, reporter = fresh_world, somebody()
    first = file(world, reporter=reporter)
    world.advance(days=31)
    assert file(world, reporter=reporter)["possible_duplicates"] == []
    received = first["received_at"]
    typed = file(world, reporter=reporter, received_at=received, channel="paper")
    assert marks(world, typed) == {first["ticket"]}


def test_a_correction_marks_and_clears(world: World) -> None:
    reporter, other = somebody(), somebody("Bu Lain")
    first = file(world, reporter=reporter)
    second = file(world, reporter=other)
    id = second["id"]
    numbers = {"national_id": reporter["national_id"]}
    found = patch(world, "puskesos.wates", id, reporter=numbers).json()
    assert marks(world, found) == {first["ticket"]}
    same = patch(world, "puskesos.wates", id, narrative="Lain lagi.").json()
    assert same["warnings"] == ["possible_duplicate"]
    cleared = patch(world, "puskesos.wates", id, category="card_problem").json()
    assert (cleared["possible_duplicates"], cleared["warnings"]) == ([], [])


async def together(world: World, calls: Sequence[tuple[str, str, Any, Any]]) -> list[Any]:
    """POST all at once: (who, path, body, headers)."""
    async with httpx.AsyncClient(base_url=f"{world.base_url}/v1", timeout=30) as client:
        return await asyncio.gather(
            *(
                client.post(
                    path, json=body,
                    headers={"Authorization": f"Bearer {world.token(who)}"} | headers,
                )
                for who, path, body, headers in calls
            )
        )  # fmt: skip


def test_of_several_filed_at_once_all_but_the_first_are_marked(world: World) -> None:
    reporter = somebody()
    calls = [
        (who, "/complaints", draft(reporter=reporter), key())
        for who in ("puskesos.wates", ELSEWHERE, "front.1", "front.2", "facilitator.wates.1")
    ]
    answers = asyncio.run(together(world, calls))
    assert [one.status_code for one in answers] == [201] * len(calls)
    ids = [one.json()["complaint"]["id"] for one in answers]
    counts = [len(get(world, "front.1", id)["possible_duplicates"]) for id in ids]
    assert sorted(counts) == list(range(len(calls)))
    again = asyncio.run(together(world, calls))
    assert [one.json()["complaint"]["id"] for one in again] == ids
    for one, two in zip(answers, again, strict=True):
        assert one.json()["complaint"]["warnings"] == two.json()["complaint"]["warnings"]


def test_nobody_is_the_same_in_another_city() -> None:
    here = Whom("35.76", "35.76.02.1010", b"1", None, None, "siti")
    assert here.is_same(here)
    assert not here.is_same(replace(here, regency_code="35.73"))


def test_a_family_is_one_once_the_registry_knows_it(world: World) -> None:
    home = family(world, "35.76.02.1009")
    first = file(world, subject={"household_id": home["household_id"]}, region_code=MERI)
    second = file(world, subject={"national_id": home["national_id"]}, region_code=MERI)
    assert marks(world, second) == set()
    third = file(world, subject={"household_id": home["household_id"]}, region_code=MERI)
    check_registry(world, second["id"], "front.1")
    after = done(world, "front.1", second["id"], "forward_to_secretariat")
    # Not with what came later, which knows of what was known of it.
    assert (marks(world, after), marks(world, third)) == ({first["ticket"]}, {first["ticket"]})


# Joining


def test_both_tickets_show_one_status(world: World) -> None:
    earlier, later = twice(world)
    before = get(world, "front.1", later)
    after = joined(world, later, earlier, "puskesos.wates")
    assert (after["state"], after["outcome"], after["actions"]) == ("closed", "joined", [])
    receipt = world.as_("puskesos.wates").get(
        "/receipts", params={"client_ref": before["client_ref"]}
    ).json()  # fmt: skip
    assert receipt["ticket"] == before["ticket"]
    assert receipt["next_holder"]["role"] == "puskesos_officer"
    assert receipt["deadline_at"] == get(world, "front.1", earlier)["deadline_at"]
    done(world, "puskesos.wates", earlier, "resolve_now", note="Sudah dijelaskan di loket.")
    survivor, shown = get(world, "front.1", earlier), get(world, "front.1", later)
    for name in ("answer", "delivery", "informed_at"):
        assert shown[name] == survivor[name]
        assert shown["joined_into"][name] == survivor[name]
    assert shown["delivery"] == "told"
    assert shown["joined_into"]["ticket"] == survivor["ticket"]
    assert (shown["joined_into"]["state"], shown["joined_into"]["outcome"]) == (
        "closed", "resolved",
    )  # fmt: skip
    # Each has its own history, and they name each other.
    assert event_of(world, later, "join")["data"]["into"] == earlier
    assert [
        one["data"] for one in events(world, earlier) if one["type"] == "complaint.joined_by"
    ] == [{"complaint_id": later}]
    refused = act(world, "front.1", later, "reopen")
    assert (refused.status_code, refused.json()["code"]) == (409, "action_not_allowed")


def test_what_goes_on_may_be_joined_itself(world: World) -> None:
    reporter = somebody()
    first, second, third = (file(world, reporter=reporter)["id"] for _ in range(3))
    joined(world, third, second)
    assert refusal(world, file(world, reporter=reporter)["id"], third) == (409, "no_longer_open")
    joined(world, second, first)
    done(world, "front.1", first, "withdraw", note="Batal.")
    for id in (second, third):
        assert get(world, "front.1", id)["joined_into"]["id"] == first
        assert get(world, "front.1", id)["joined_into"]["outcome"] == "withdrawn"
    assert refusal(world, third, first) == (409, "action_not_allowed")


def test_only_into_an_earlier_open_one_of_the_same_person(world: World) -> None:
    earlier, later = twice(world)
    assert refusal(world, later, later) == (422, "joined_into_itself")
    assert refusal(world, later, me(world, "front.1")) == (422, "unknown_complaint")
    assert refusal(world, earlier, later) == (409, "not_earlier")
    assert refusal(world, file(world, reporter=somebody())["id"], earlier) == (
        409, "not_the_same_person",
    )  # fmt: skip
    answer = act(world, "front.1", later, "join")
    assert (answer.status_code, answer.json()["code"]) == (422, "missing")
    done(world, "front.1", earlier, "withdraw", note="Batal.")
    assert refusal(world, later, earlier) == (409, "no_longer_open")
    # A desk does not reach into another office's list.
    far = file(world, ELSEWHERE, reporter=somebody(), region_code=KAUMAN)["id"]
    assert refusal(world, file(world)["id"], far, "puskesos.wates") == (422, "unknown_complaint")


def test_two_joins_in_opposite_directions_and_their_retries(world: World) -> None:
    pairs = [twice(world) for _ in range(3)]
    calls = [
        ("front.1", f"/complaints/{one}/actions", {"action": "join", "data": {"into": other}},
         key() | {"If-Match": '"1"'})
        for pair in pairs
        for one, other in (pair, pair[::-1])
    ]  # fmt: skip
    answers = asyncio.run(together(world, [*calls, *calls]))
    # A copy that comes while the first is under way is told so.
    firm = [
        min(one.status_code if one.json().get("code") != "idempotency_key_in_use" else 999
            for one in (answers[n], answers[n + len(calls)]))
        for n in range(len(calls))
    ]  # fmt: skip
    assert firm[1::2] == [200] * len(pairs)
    assert set(firm[::2]) <= {409, 412}
    for earlier, later in pairs:
        assert get(world, "front.1", later)["joined_into"]["id"] == earlier
        assert get(world, "front.1", earlier)["state"] == "received"
        assert [one["action"] for one in events(world, later)].count("join") == 1


def test_what_was_prepared_goes_along(world: World) -> None:
    earlier, later = twice(world, "awaiting_supervisor")
    before = get(world, "front.1", later)
    after = joined(world, later, earlier, "supervisor.magersari")
    assert after["referral_ids"] == []
    survivor = get(world, "front.1", earlier)
    assert survivor["referral_ids"] == before["referral_ids"]
    assert survivor["household_id"] == before["household_id"]
    assert survivor["registry_check"] == before["registry_check"]
    survey = world.as_("front.1").get(f"/complaints/{earlier}/survey").json()
    assert survey["submitted_at"] is not None
    assert survey["author_id"] == facilitator_id(world)
    assert world.as_("front.1").get(f"/complaints/{later}/survey").json()["submitted_at"] is None
    # It goes the straight way from there, and is forwarded once.
    done(world, "puskesos.wates", earlier, "forward_to_secretariat")
    other = facilitator_id(world, "facilitator.wates.2")
    done(world, "front.1", earlier, "assign", data={"facilitator_id": other})
    done(world, "facilitator.wates.2", earlier, "submit_survey")
    done(world, "supervisor.magersari", earlier, "approve")
    forwarded = done(world, "manager", earlier, "forward")
    assert forwarded["referral_ids"] == before["referral_ids"]
    assert act_on_referral(world, "program.1", before["referral_ids"][0], "grant").is_success
    assert get(world, "front.1", later)["joined_into"]["outcome"] == "granted"


def assigned(world: World, reporter: dict[str, Any], who: str, **changes: Any) -> str:
    return str(bring(world, "assigned", who, reporter=reporter, **changes)["id"])


def surveyed(world: World, id: str, who: str, **content: Any) -> None:
    assert save_survey(world, id, who, if_match='"0"', **content).status_code == 200
    done(world, who, id, "submit_survey")


def referral(world: World, id: str) -> dict[str, Any]:
    found: dict[str, Any] = world.as_("front.1").get(f"/referrals/{id}").json()
    return found


def test_a_need_of_both_is_asked_for_once_and_the_others_are_decided_with_the_earlier(
    world: World,
) -> None:
    reporter = somebody()
    earlier = assigned(world, reporter, FIRST)
    draft_referral(world, "puskesos.wates", {"id": earlier})
    surveyed(world, earlier, FIRST)
    later = bring(world, "at_secretariat", reporter=reporter, category="program_not_received")
    twin, other = (draft_referral(world, "puskesos.wates", later, code) for code in ("PIP", "KKS"))
    gone = draft_referral(world, "puskesos.wates", later, "BPNT")["id"]
    assert act_on_referral(world, "front.1", gone, "cancel", reason="Salah ketik.").is_success
    home = family(world)["household_id"]
    floors = [
        proposed(world, "front.1", kind="update_household", household_id=home,
                 fields={"floor": floor}, complaint_id=later["id"])["id"]
        for floor in ("earth", "tile_terrazzo")
    ]  # fmt: skip
    change_done(world, "front.1", floors[1], "withdraw")
    done(world, "front.1", later["id"], "submit_without_visit")
    done(world, "supervisor.magersari", later["id"], "approve")
    assert referral(world, other["id"])["state"] == "approved"
    joined(world, later["id"], earlier)
    assert referral(world, twin["id"])["reason"] == "joined"
    moved = referral(world, other["id"])
    assert (moved["state"], moved["complaint_id"]) == ("draft", earlier)
    survivor = get(world, "front.1", earlier)
    assert (len(survivor["referral_ids"]), survivor["registry_change_ids"]) == (3, floors[:1])
    # What had ended before stays in the history of its own ticket.
    shown = get(world, "front.1", later["id"])
    assert shown["referral_ids"] == [twin["id"], gone]
    assert shown["registry_change_ids"] == floors[1:]
    # Who filed, typed or sent up the later one does not decide on what came of it.
    assert me(world, "front.1") in surveyors(world, earlier)
    done(world, "supervisor.magersari", earlier, "approve")
    done(world, "manager", earlier, "forward")
    assert referral(world, other["id"])["state"] == "sent"


def surveyors(world: World, id: str) -> list[str]:
    [row] = world.fetch("select surveyors from complaints where id = $1", id)
    return [str(one) for one in row["surveyors"]]


def test_a_second_survey_is_kept_beside_with_its_changes(world: World) -> None:
    reporter, home = somebody(), family(world)["household_id"]
    earlier = assigned(world, reporter, FIRST)
    surveyed(world, earlier, FIRST)
    later = assigned(world, reporter, SECOND)
    floor = {"kind": "update_household", "household_id": home, "fields": {"floor": "earth"}}
    need = {"program_code": "PIP", "beneficiary": {"name": "Anak Lain"}}
    surveyed(world, later, SECOND, registry_changes=[floor], program_needs=[need])
    [change] = get(world, "front.1", later)["registry_change_ids"]
    joined(world, later, earlier)
    survey = world.as_("front.1").get(f"/complaints/{earlier}/survey").json()
    assert survey["author_id"] == facilitator_id(world, FIRST)
    assert len(survey["additional_surveys"]) == 1
    read = world.as_("front.1").get(f"/registry-changes/{change}").json()
    assert (read["state"], read["complaint_id"]) == ("proposed", earlier)
    # Corrected, the first survey is not the measure of what the second one found.
    done(world, "supervisor.magersari", earlier, "return_for_correction", note="Periksa lagi.")
    done(world, FIRST, earlier, "submit_survey")
    assert world.as_("front.1").get(f"/registry-changes/{change}").json()["state"] == "proposed"
    states = [referral(world, id)["state"] for id in get(world, "front.1", earlier)["referral_ids"]]
    assert states == ["draft", "draft"]
    # A draft beside a survey stays at its ticket.
    third = assigned(world, reporter, SECOND)
    assert save_survey(world, third, SECOND, if_match='"0"').status_code == 200
    joined(world, third, earlier)
    assert world.as_(SECOND).get(f"/complaints/{third}/survey").headers["etag"] == '"1"'


def test_what_is_decided_takes_no_drafts_but_what_is_linked(world: World) -> None:
    reporter = somebody()
    someone = {"name": "Dewi", "national_id": somebody()["national_id"]}
    content = {"program_needs": [{"program_code": "PKH", "beneficiary": someone}]}
    earlier = assigned(world, reporter, FIRST)
    surveyed(world, earlier, FIRST, **content)
    done(world, "supervisor.magersari", earlier, "approve")
    drafted = bring(world, "at_secretariat", reporter=reporter)
    draft_referral(world, "puskesos.wates", drafted)
    assert refusal(world, drafted["id"], earlier) == (409, "drafts_stay_behind")
    done(world, "manager", earlier, "forward")
    before = get(world, "front.1", earlier)
    # The same need, surveyed again, is a link to what is with its owner.
    later = assigned(world, reporter, FIRST)
    surveyed(world, later, FIRST, **content)
    assert get(world, "front.1", later)["referral_ids"] == before["referral_ids"]
    joined(world, later, earlier)
    after = get(world, "front.1", earlier)
    assert after["referral_ids"] == before["referral_ids"]
    for name in ("deadline_at", "handled_at", "state"):
        assert after[name] == before[name]
    [id] = before["referral_ids"]
    assert act_on_referral(world, "program.1", id, "grant").is_success
    done(world, FIRST, earlier, "deliver_answer", data=TOLD)
    assert get(world, "front.1", later)["informed_at"] is not None


def test_the_visit_that_follows_an_emergency_goes_along_once(world: World) -> None:
    reporter = somebody()
    earlier, *later = (unvisited(world, reporter) for _ in range(3))
    received = file(world, reporter=somebody())["id"]
    open_ = "select id from visits where complaint_id = $1 and state = 'open'"
    [own], [second] = (world.fetch(open_, id) for id in (earlier, later[0]))
    joined(world, later[0], earlier)
    assert world.fetch(open_, earlier) == [own]
    assert world.fetch(open_, later[0]) == []
    before = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    plain = file(world, reporter=reporter, received_at=before)["id"]
    [moved] = world.fetch(open_, later[1])
    joined(world, later[1], plain)
    assert world.fetch(open_, plain) == [moved]
    assert second not in world.fetch(open_, later[1])
    assert world.fetch(open_, received) == []


def unvisited(world: World, reporter: dict[str, Any]) -> str:
    """An emergency with the supervisor; its visit is to follow."""
    id = bring(world, "at_secretariat", reporter=reporter, priority="emergency")["id"]
    draft_referral(world, "puskesos.wates", {"id": id})
    done(world, "front.1", id, "submit_without_visit")
    return str(id)


def test_the_earlier_deadline_holds_and_an_emergency_stays_one(fresh_world: World) -> None:
    world, reporter = fresh_world, somebody()
    earlier = file(world, reporter=reporter)
    waiting = file(world, reporter=somebody("Bu Menunggu"))
    done(world, "puskesos.wates", waiting["id"], "request_documents",
         data={"missing": ["family_card"]})  # fmt: skip
    world.advance(hours=30)
    later = file(world, reporter=reporter, priority="emergency")
    joined(world, later["id"], earlier["id"])
    after = get(world, "front.1", earlier["id"])
    assert (after["priority"], after["deadline_at"]) == ("emergency", later["deadline_at"])
    # Broken there, it is not told again here.
    slow = file(world, reporter=reporter, priority="emergency")
    third = file(world, reporter=reporter, priority="emergency", received_at=slow["received_at"])
    world.advance(hours=13)
    world.sweep("sla")
    told = steps(world, earlier["id"])
    joined(world, third["id"], slow["id"])
    joined(world, slow["id"], earlier["id"])
    assert get(world, "front.1", earlier["id"])["escalation_level"] == 3
    world.sweep("sla")
    assert steps(world, earlier["id"]).count("breach") == told.count("breach") == 1
    # Time spent waiting for documents does not count, whichever is earlier.
    again = {"national_id": None, "name": "Bu Menunggu", "relation": "self"}
    urgent = file(world, reporter=again, priority="emergency")
    joined(world, urgent["id"], waiting["id"])
    world.advance(hours=5)
    done(world, "puskesos.wates", waiting["id"], "complete_documents",
         data={"documents_seen": ["family_card"]})  # fmt: skip
    late = seconds(get(world, "front.1", waiting["id"])) - seconds(urgent)
    assert abs(late - 5 * 3600) < 60
    # What broke its promise before it was joined brings that with it.
    calm = file(world, reporter=somebody("Bu Tenang"))
    rash = file(world, priority="emergency", reporter={"name": "Bu Tenang", "relation": "self"})
    world.advance(hours=13)
    world.sweep("sla")
    assert get(world, "front.1", calm["id"])["breached_at"] is None
    joined(world, rash["id"], calm["id"])
    assert get(world, "front.1", calm["id"])["breached_at"] is not None
    world.sweep("sla")
    assert "breach" not in steps(world, calm["id"])


def steps(world: World, id: str) -> list[str]:
    return told_steps(world, "manager", id)


def seconds(complaint: dict[str, Any]) -> float:
    return datetime.fromisoformat(complaint["deadline_at"]).timestamp()


# The citizen lost the ticket


def test_a_search_shows_of_another_office_only_where_to_ask(world: World) -> None:
    reporter = somebody("Bu Kehilangan")
    complaint = file(world, reporter=reporter)
    asked = {"national_id": reporter["national_id"]}
    answer = world.as_(ELSEWHERE).post("/complaints/search", json=asked)
    [found] = answer.json()["items"]
    told = {name: value for name, value in found.items() if value is not None}
    assert told == {
        "ticket": complaint["ticket"],
        "received_at": complaint["received_at"],
        "office": {"role": "puskesos_officer", "region_code": "35.76.02.1010"},
    }
    last = events(world, complaint["id"])[-1]
    assert (last["type"], last["by"]["id"]) == ("complaint.found_by_search", me(world, ELSEWHERE))
    assert reporter["national_id"] not in str(last)
    [seen] = world.as_("front.1").post("/complaints/search", json=asked).json()["items"]
    assert (seen["id"], seen["reporter_name"]) == (complaint["id"], "B* K*********")
