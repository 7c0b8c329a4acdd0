"""The inbox: all that waits for a person and nothing else, soonest due first, and why."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from tests.conftest import World
from tests.flows import (
    KAUMAN,
    act_on_referral,
    bring,
    check_registry,
    done,
    facilitator_id,
    file,
    get,
    save_survey,
)

HOME, ELSEWHERE, THIRD = (
    f"supervisor.{name}" for name in ("magersari", "prajuritkulon", "kranggan")
)
SUPERVISORS = {HOME, ELSEWHERE, THIRD}
SECRETARIAT = {"front.1", "front.2", "back.1", "back.2"}
FACILITATOR, IN_KAUMAN = "facilitator.wates.1", "facilitator.kauman.1"
ABOVE = {"manager", "head"}
PEOPLE = (
    *sorted(SECRETARIAT), "puskesos.wates", "puskesos.kauman", FACILITATOR, IN_KAUMAN,
    "facilitator.wates.2", HOME, ELSEWHERE, THIRD, "manager", "head", "program.1", "program.2",
    "admin", "dpo", "agency-pkh", "integrator", "script-batch",
)  # fmt: skip
NO_VISIT = {"category": "other", "program_code": None, "documents_seen": []}
ADVANCING = {
    "received": {"forward_to_secretariat", "resolve_now"},
    "incomplete": {"complete_documents"},
    "at_secretariat": {"assign", "submit_without_visit", "answer"},
    "assigned": {"submit_survey", "record_visit_attempt", "reassign"},
    "returned": {"submit_survey", "record_visit_attempt", "reassign"},
    "awaiting_supervisor": {"approve", "answer"},
    "awaiting_manager": {"forward", "answer"},
    "answered": {"deliver_answer"},
}
REFERRAL_ADVANCING = {
    "sent": {"grant", "decline"},
    "received": {"grant", "decline"},
    "waitlisted": {"grant", "decline"},
    "info_requested": {"reply"},
}
# Where a broken promise opens a complaint to manager and head; the citizen breaks none.
ON_THE_CLOCK = ADVANCING.keys() - {"incomplete", "answered"}


@dataclass
class Waiting:
    """A complaint with whom it waits for: from the start, from level 1 and from level 2 on."""

    name: str
    id: str
    state: str
    holders: set[str]
    level_1: set[str] = field(default_factory=set)
    level_2: set[str] = field(default_factory=set)
    # Whoever has a part in it does not decide, whatever the level.
    never: set[str] = field(default_factory=set)
    # Open to others at once, since those first asked may not.
    at_once: set[str] = field(default_factory=set)

    def waits_for(self, level: int, broken: bool) -> dict[str, str]:
        """The people it waits for, each with the most urgent reason."""
        found: dict[str, str] = {}
        if broken and self.state in ON_THE_CLOCK:
            found |= dict.fromkeys(ABOVE, "breach")
        named = self.at_once | (self.level_1 if level else set())
        named |= self.level_2 if level == 2 else set()
        found = dict.fromkeys(named, "escalated") | found
        holder = "assigned" if self.holders & {FACILITATOR, IN_KAUMAN} else "pool"
        found = dict.fromkeys(self.holders, holder) | found
        return {who: why for who, why in found.items() if who not in self.never}


def in_kauman(world: World, state: str) -> str:
    """A complaint of another district, brought on by the people there."""
    id: str = file(world, "puskesos.kauman", region_code=KAUMAN)["id"]
    if state != "received":
        check_registry(world, id, "puskesos.kauman")
        done(world, "puskesos.kauman", id, "forward_to_secretariat")
    if state not in ("received", "at_secretariat"):
        data = {"facilitator_id": facilitator_id(world, IN_KAUMAN)}
        done(world, "back.1", id, "assign", data=data)
    if state in ("awaiting_supervisor", "awaiting_manager"):
        assert save_survey(world, id, IN_KAUMAN).status_code == 200
        done(world, IN_KAUMAN, id, "submit_survey")
    if state == "awaiting_manager":
        done(world, ELSEWHERE, id, "approve")
    return id


def desk(village: str) -> set[str]:
    return SECRETARIAT | {f"puskesos.{village}"}


def user_id(world: World, who: str) -> str:
    found: str = world.as_(who).get("/me").json()["id"]
    return found


def in_wates(world: World) -> list[Waiting]:
    def at(state: str, **changes: Any) -> str:
        id: str = bring(world, state, **changes)["id"]
        return id

    incomplete, returned, local = at("received"), at("awaiting_supervisor"), at("at_secretariat")
    missing = {"missing": ["id_card"]}
    done(world, "puskesos.wates", incomplete, "request_documents", data=missing)
    done(world, HOME, returned, "return_for_correction", note="Lantai?")
    done(world, "front.1", local, "answer", note="Bantuan dari BAZNAS.")
    me, office, manager = {FACILITATOR}, desk("wates"), {"manager"}
    return [
        Waiting("received", at("received"), "received", office, set(), manager),
        Waiting("incomplete", incomplete, "incomplete", office),
        Waiting("to assign", at("at_secretariat"), "at_secretariat", SECRETARIAT, manager, manager),
        Waiting("needs no visit", at("at_secretariat", **NO_VISIT), "at_secretariat", SECRETARIAT,
            manager, manager),
        Waiting("emergency", at("at_secretariat", priority="emergency"), "at_secretariat",
            SECRETARIAT, manager, manager),
        Waiting("to visit", at("assigned"), "assigned", me, {HOME}, manager),
        Waiting("to correct", returned, "returned", me, {HOME}, manager),
        Waiting("to approve", at("awaiting_supervisor"), "awaiting_supervisor", {HOME},
            SUPERVISORS, manager),
        Waiting("to forward", at("awaiting_manager"), "awaiting_manager", manager, {"head"},
            {ELSEWHERE, THIRD}),
        Waiting("to tell", at("answered"), "answered", me, office, {HOME}),
        Waiting("local help", local, "answered", office, office, {HOME}),
    ]  # fmt: skip


def elsewhere(world: World) -> list[Waiting]:
    me, manager = {IN_KAUMAN}, {"manager"}
    return [
        Waiting("received there", in_kauman(world, "received"), "received", desk("kauman"), set(),
            manager),
        Waiting("to visit there", in_kauman(world, "assigned"), "assigned", me, {ELSEWHERE},
            manager),
        Waiting("to approve there", in_kauman(world, "awaiting_supervisor"),
            "awaiting_supervisor", {ELSEWHERE}, SUPERVISORS, manager),
        Waiting("to forward there", in_kauman(world, "awaiting_manager"), "awaiting_manager",
            manager, {"head"}, {HOME, THIRD}),
    ]  # fmt: skip


def with_parts(world: World) -> list[Waiting]:
    """Four eyes: those first asked have a part in it, so that others may at once."""

    def having(state: str, column: str, *who: str) -> str:
        id: str = bring(world, state)["id"]
        parts = [user_id(world, one) for one in who]
        several = column in ("rejected_by", "surveyors")
        value = f"array['{parts[0]}']::uuid[]" if several else f"'{parts[0]}'"
        world.fetch(f"update complaints set {column} = {value} where id = $1", id)
        return id

    supervisor, manager = "awaiting_supervisor", "awaiting_manager"
    others = {ELSEWHERE, THIRD}
    found = [
        Waiting(f"{column} {HOME}", having(supervisor, column, HOME), supervisor, set(),
            others, {"manager"}, {HOME}, others)
        for column in ("surveyors", "submitted_by", "rejected_by")
    ] + [
        Waiting("approved by the manager", having(manager, "approved_by", "manager"), manager,
            set(), {"head"}, SUPERVISORS, {"manager"}, SUPERVISORS | {"head"}),
        Waiting("rejected by the manager", having(manager, "rejected_by", "manager"), manager,
            set(), {"head"}, others, {"manager", HOME}, others | {"head"}),
        Waiting("typed by another", having(manager, "surveyors", THIRD), manager,
            {"manager"}, {"head"}, {ELSEWHERE}),
        Waiting("rejected by the head", having(manager, "rejected_by", "head"), manager,
            {"manager"}, {"head"}, others, {"head"}),
    ]  # fmt: skip
    all_parts = bring(world, supervisor)["id"]
    home, there, third = (user_id(world, who) for who in (HOME, ELSEWHERE, THIRD))
    world.fetch(
        f"update complaints set surveyors = array['{home}', '{there}']::uuid[],"
        f" rejected_by = array['{third}']::uuid[] where id = $1",
        all_parts,
    )
    return [
        *found,
        Waiting("no supervisor may", all_parts, supervisor, set(), set(), {"manager"},
            SUPERVISORS, {"manager"}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def waiting(world: World) -> list[Waiting]:
    """Complaints in every state, in two districts, with every part that matters."""
    for state in ("forwarded", "closed"):
        bring(world, state)
    return [*in_wates(world), *elsewhere(world), *with_parts(world)]


def inbox(world: World, who: str) -> list[dict[str, Any]]:
    answer = world.as_(who).get("/inbox", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def seen(world: World, who: str) -> dict[str, dict[str, Any]]:
    """Every complaint in somebody's sight, by id, with what they may do."""
    answer = world.as_(who).get("/complaints", params={"limit": 200})
    return {one["id"]: one for one in answer.json()["items"]}


def make_late(world: World, level: int, broken: bool) -> None:
    """Every open complaint at a level, as the ladder leaves it."""
    broken_at = "slrt_now()" if broken else "null"
    world.fetch(
        f"update complaints set escalation_level = {level}, breached_at = {broken_at}"
        " where state <> 'closed'"
    )


LATENESS = [(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)]


@pytest.mark.parametrize(("level", "broken"), LATENESS)
def test_the_inbox_is_what_waits_for_its_owner(
    world: World, waiting: list[Waiting], level: int, broken: bool
) -> None:
    make_late(world, level, broken)
    names = {one.id: one.name for one in waiting}
    held: set[str] = set()
    for who in PEOPLE:
        items = [one for one in inbox(world, who) if one["kind"] == "complaint"]
        found = {names.get(one["id"], one["state"]): one["why"] for one in items}
        wanted = {
            one.name: one.waits_for(level, broken)[who]
            for one in waiting
            if who in one.waits_for(level, broken)
        }
        assert found == wanted, who
        # Whatever waits for somebody can be moved on by them.
        complaints = seen(world, who)
        for one in items:
            assert ADVANCING[one["state"]] & set(complaints[one["id"]]["actions"]), (who, one)
        held |= {one["id"] for one in items}
    # Nothing waits for nobody.
    assert held == set(names)


def test_who_could_only_stand_in_is_not_bothered(world: World, waiting: list[Waiting]) -> None:
    make_late(world, 0, False)
    to_tell = next(one for one in waiting if one.name == "to tell")
    assert "deliver_answer" in get(world, "front.1", to_tell.id)["actions"]
    assert to_tell.id not in {one["id"] for one in inbox(world, "front.1")}
    to_assign = next(one for one in waiting if one.name == "to assign")
    assert "assign" in get(world, HOME, to_assign.id)["actions"]
    assert to_assign.id not in {one["id"] for one in inbox(world, HOME)}


@pytest.mark.parametrize(("level", "broken"), [(0, False), (2, True)])
def test_the_summary_counts_what_the_list_holds(
    world: World, waiting: list[Waiting], level: int, broken: bool
) -> None:
    make_late(world, level, broken)
    for who in PEOPLE:
        items = inbox(world, who)
        summary = world.as_(who).get("/inbox/summary").json()
        groups: dict[tuple[str, str, str], list[int]] = {}
        for one in items:
            count = groups.setdefault((one["kind"], one["state"], one["why"]), [0, 0])
            count[0] += 1
            count[1] += one["overdue"]
        assert summary["total"] == len(items), who
        assert summary["overdue"] == sum(one["overdue"] for one in items), who
        assert {
            (one["kind"], one["state"], one["why"]): [one["count"], one["overdue"]]
            for one in summary["groups"]
        } == groups, who


def place(item: dict[str, Any]) -> tuple[bool, str, str]:
    """Soonest due first; what has no date of its own stands last."""
    return item["due_at"] is None, item["due_at"] or "", item["id"]


@pytest.mark.parametrize("who", ["front.1", "manager", "head", HOME, FACILITATOR, "program.1"])
def test_pages_give_each_item_once_soonest_due_first(
    world: World, waiting: list[Waiting], who: str
) -> None:
    make_late(world, 2, True)
    whole = inbox(world, who)
    assert len(whole) >= 3 or who == "program.1"
    assert whole == sorted(whole, key=place)
    pages: list[dict[str, Any]] = []
    url: Any = "/inbox?limit=2"
    while url:
        answer = world.as_(who).get(url)
        page = answer.json()
        assert len(page["items"]) == 2 or page["next_cursor"] is None
        pages += page["items"]
        assert ('rel="next"' in answer.headers.get("link", "")) == bool(page["next_cursor"])
        url = page["next_cursor"] and f"/inbox?limit=2&cursor={page['next_cursor']}"
    assert pages == whole


def test_an_item_says_what_it_is_and_since_when(world: World, waiting: list[Waiting]) -> None:
    make_late(world, 0, False)
    id = next(one.id for one in waiting if one.name == "emergency")
    complaint = get(world, "front.1", id)
    item = next(one for one in inbox(world, "front.1") if one["id"] == id)
    since = datetime.fromisoformat(item.pop("since"))
    assert datetime.fromisoformat(complaint["received_at"]) <= since
    assert item == {
        "kind": "complaint",
        "subject": f"complaints/{id}",
        "id": id,
        "complaint_id": id,
        "ticket": complaint["ticket"],
        "state": "at_secretariat",
        "why": "pool",
        "due_at": complaint["due_at"],
        "overdue": False,
        "priority": "emergency",
        "region_code": complaint["region_code"],
        "program_code": complaint["program_code"],
    }


def test_what_is_past_its_date_is_overdue(fresh_world: World) -> None:
    world = fresh_world
    file(world)
    [item] = inbox(world, "puskesos.wates")
    assert not item["overdue"]
    world.advance(hours=6.1)
    [item] = inbox(world, "puskesos.wates")
    assert item["overdue"]
    assert world.as_("puskesos.wates").get("/inbox/summary").json()["overdue"] == 1


# --- referrals ----------------------------------------------------------------------------------


def referral_in(world: World, state: str) -> str:
    """A referral of a forwarded complaint, in a state its owner brings it to."""
    [id] = bring(world, "forwarded")["referral_ids"]
    steps = {"received": "acknowledge", "waitlisted": "waitlist", "info_requested": "ask"}
    if state in steps:
        answer = act_on_referral(world, "program.1", id, steps[state], note="Nomor KK?")
        assert answer.status_code == 200, answer.text
    return str(id)


OWNERS = {"program.1": "pool", "agency-pkh": "pool"}
REPLYING = dict.fromkeys(SECRETARIAT, "pool") | {FACILITATOR: "assigned"}


@pytest.mark.parametrize(
    ("state", "holders"),
    [
        ("sent", OWNERS), ("received", OWNERS), ("waitlisted", OWNERS),
        ("info_requested", REPLYING),
    ],
)  # fmt: skip
def test_a_referral_waits_for_its_owner_and_a_question_for_the_office(
    world: World, state: str, holders: dict[str, str]
) -> None:
    id = referral_in(world, state)
    found: dict[str, str] = {}
    for who in PEOPLE:
        for item in inbox(world, who):
            if item["id"] == id:
                referral = world.as_(who).get(f"/referrals/{id}").json()
                assert REFERRAL_ADVANCING[state] & set(referral["actions"])
                assert (item["kind"], item["state"]) == ("referral", state)
                assert item["subject"] == f"referrals/{id}"
                assert item["complaint_id"] == referral["complaint_id"]
                assert item["due_at"] == referral["due_at"]
                found[who] = item["why"]
    assert found == holders


def test_what_is_answered_waits_for_no_owner_any_more(world: World) -> None:
    id = referral_in(world, "sent")
    assert act_on_referral(world, "program.1", id, "grant").status_code == 200
    assert not any(one["id"] == id for who in PEOPLE for one in inbox(world, who))
