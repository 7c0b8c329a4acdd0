"""Registry changes in the registry: applied at the manager's approval, stale, taken back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Cluster, World, serve
from tests.flows import WATES, bring, hire, key, save_survey
from tests.flows import done as done_with_complaint
from tests.flows import get as get_complaint
from tests.referring import forwarded, named
from tests.test_registry_changes import (
    DESK,
    MANAGER,
    SUPERVISOR,
    act,
    approved,
    done,
    propose,
    proposed,
)

OTHER = "other.supervisor"
# A number that cannot be right is a warning, never a refusal.
ODD_ID = "3576029913119001"
# Two more villages of the same district.
ELSEWHERE, FURTHER = "35.76.02.1004", "35.76.02.1008"
CARD, NEW_CARD, NATIONAL_ID = "3576021503990001", "3576021503990002", "3576024507849007"
PERSON = {"name": "Budi Santoso", "relation": "child", "birth_date": "2011-02-03"}
HEAD = {"name": "Sri Wahyuni", "relation": "head", "sex": "female", "facts": {"works": True}}
HOME = {
    "region_code": WATES, "address": "Jalan Baru 7", "rt": "001", "rw": "002",
    "facts": {"floor": "marble_granite"}, "people": [HEAD, PERSON],
}  # fmt: skip


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world in which one person may ask very often, and with a second supervisor."""
    with (
        cluster.clone() as database,
        serve(cluster, database, rate_per_minute=10**6, rate_burst=10**6) as world,
    ):
        hire(world, OTHER, ("supervisor", "35.76.02"))
        yield world


def a_household(world: World) -> dict[str, Any]:
    """A household of two people, the second with a number; registered for the test alone."""
    number = f"35760245078491{len(world.fetch('select id from households')) % 100:02}"
    people = [HEAD, PERSON | {"national_id": number}]
    change = proposed(world, kind="add_household", household=HOME | {"people": people})
    id = approved(world, change["id"])["household_id"]
    found: dict[str, Any] = world.as_("front.1").get(f"/households/{id}").json()
    return found


def row(world: World, table: str, id: str) -> dict[str, Any]:
    return dict(world.fetch(f"select * from {table} where id = $1", UUID(id))[0])


def entries(world: World, change_id: str) -> list[dict[str, Any]]:
    """The lines of the registry's history that a change wrote."""
    found = world.fetch(
        "select what, changes::text, source, version, household_id, member_id"
        " from registry_entries where registry_change_id = $1 order by id",
        UUID(change_id),
    )
    return [dict(one) for one in found]


def events_of(world: World, id: str) -> list[str]:
    found = world.fetch("select type from events where subject_id = $1 order by id", UUID(id))
    return [one["type"] for one in found]


def declined(world: World, id: str) -> None:
    """The centre has said no."""
    world.fetch(
        "update registry_changes set state = 'declined', reason = 'Ditolak pusat',"
        " version = version + 1 where id = $1",
        UUID(id),
    )


def undone(world: World, id: str) -> dict[str, Any]:
    declined(world, id)
    result = done(world, OTHER, id, "undo")
    assert result["state"] == "withdrawn"
    return result


def field(change: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in change["fields"] if one["name"] == name)
    return found


def update(world: World, home: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An update of a household, applied."""
    body = {"kind": "update_household", "household_id": home["id"], "fields": fields}
    return approved(world, proposed(world, "front.1", **body)["id"])


def update_person(world: World, member: dict[str, Any], **fields: Any) -> dict[str, Any]:
    change = proposed(world, kind="update_member", member_id=member["id"], fields=fields)
    return approved(world, change["id"])


def merge_of(world: World, **ids: str) -> dict[str, Any]:
    return proposed(world, kind="merge_duplicate", **ids)


def number_of(world: World, member_id: str) -> str | None:
    sealed = row(world, "members", member_id)["national_id"]
    place = ("members", "national_id", UUID(member_id))
    return world.cluster.keys.data.open(sealed, *place) if sealed else None


def cards_of(world: World, household_id: str) -> list[str]:
    """The present family card numbers, in clear."""
    rows = world.fetch(
        "select id, family_card_number from families"
        " where household_id = $1 and ended_at is null order by number, id",
        UUID(household_id),
    )
    keys = world.cluster.keys.data
    return [
        keys.open(one["family_card_number"], "households", "family_card_number", one["id"])
        for one in rows
    ]


def take_part(world: World, household_id: str, member_id: str | None, program: str) -> UUID:
    """Somebody takes part in a programme."""
    id = uuid4()
    world.fetch(
        "insert into participations (id, household_id, member_id, program_code, source,"
        " village_code, district_code, regency_code, province_code)"
        " select $1, id, $3, $4, 'test', village_code, district_code, regency_code, province_code"
        " from households where id = $2",
        id, UUID(household_id), UUID(member_id) if member_id else None, program,
    )  # fmt: skip
    return id


def referral_for(
    world: World, household_id: str, member_id: str | None, state: str = "forwarded"
) -> tuple[dict[str, Any], str]:
    """A complaint about a household, with a referral for it or for one member: (complaint, id)."""
    complaint = bring(world, state)
    id = complaint["referral_ids"][0]
    beneficiary = f"member:{member_id}" if member_id else f"household:{household_id}"
    world.fetch(
        "update referrals set household_id = $2, member_id = $3, beneficiary_key = $4"
        " where id = $1",
        UUID(id), UUID(household_id), UUID(member_id) if member_id else None, beneficiary,
    )  # fmt: skip
    world.fetch(
        "update complaints set household_id = $2 where id = $1",
        UUID(complaint["id"]), UUID(household_id),
    )  # fmt: skip
    return complaint, id


def test_an_update_writes_the_row_its_sources_its_history_and_an_event(world: World) -> None:
    home = a_household(world)
    old, told = row(world, "households", home["id"]), len(events_of(world, home["id"]))
    fields = {"floor": "earth", "address": "  Jalan Lama 3 ", "presence": "not_found", "rt": None}
    change = update(world, home, **fields)
    new = row(world, "households", home["id"])
    assert (new["address"], new["presence"], new["rt"]) == ("Jalan Lama 3", "not_found", None)
    assert new["presence_on"] is not None
    assert '"floor": "earth"' in new["facts"]
    assert new["version"] == old["version"] + 1
    assert new["updated_at"] > old["updated_at"]
    assert change["id"] in new["facts_changed"]
    assert '"source": "slrt"' in new["facts_changed"]
    (line,) = entries(world, change["id"])
    assert (line["what"], line["source"], line["version"]) == ("changed", "slrt", new["version"])
    assert "Jalan Lama 3" in line["changes"]
    assert events_of(world, home["id"])[told:] == ["household.changed"]
    assert change["applied_at"]
    # Taken back by another supervisor: all as it was, spaces around a text do not matter.
    assert act(world, SUPERVISOR, _declined(world, change), "undo").json()["code"] == "four_eyes"
    done(world, OTHER, change["id"], "undo")
    back = row(world, "households", home["id"])
    for name in ("address", "presence", "rt", "facts", "facts_changed"):
        assert back[name] == old[name], name
    assert back["version"] > new["version"]
    assert [one["what"] for one in entries(world, change["id"])] == ["changed", "undone"]
    assert len(events_of(world, home["id"])) == told + 2


def _declined(world: World, change: dict[str, Any]) -> str:
    declined(world, change["id"])
    return str(change["id"])


def test_what_was_changed_again_meanwhile_stays(world: World) -> None:
    home = a_household(world)
    first = update(world, home, floor="earth", rt="011")
    second = update(world, home, floor="ceramic", rw="012")
    undone(world, first["id"])
    now = row(world, "households", home["id"])
    assert '"floor": "ceramic"' in now["facts"]
    assert (now["rt"], now["rw"]) == (home["rt"], "012")
    assert second["id"] in now["facts_changed"]
    assert first["id"] not in now["facts_changed"]
    # The second is taken back to what the first had written, with its source.
    undone(world, second["id"])
    now = row(world, "households", home["id"])
    assert '"floor": "earth"' in now["facts"]
    assert first["id"] in now["facts_changed"]


def test_a_refused_field_is_not_written(world: World) -> None:
    home = a_household(world)
    fields = {"floor": "earth", "address": "Jalan Refused 1"}
    change = proposed(world, kind="update_household", household_id=home["id"], fields=fields)
    refuse = {"refuse_fields": [{"field": "address", "reason": "not so"}]}
    done(world, SUPERVISOR, change["id"], "approve", data=refuse)
    done(world, MANAGER, change["id"], "approve")
    now = row(world, "households", home["id"])
    assert now["address"] == home["address"]
    assert '"floor": "earth"' in now["facts"]


def test_a_persons_number_and_birth_date_are_written_sealed_and_shown_masked(world: World) -> None:
    member = a_household(world)["members"][1]
    old, old_number = row(world, "members", member["id"]), number_of(world, member["id"])
    fields = {
        "national_id": NATIONAL_ID, "birth_date": "1984-07-05", "name": "Rahayu",
        "presence": "found", "works": True,
    }  # fmt: skip
    change = update_person(world, member, **fields)
    new = row(world, "members", member["id"])
    assert number_of(world, member["id"]) == NATIONAL_ID
    assert NATIONAL_ID.encode() not in new["national_id"]
    assert new["national_id_index"] == world.cluster.keys.data.blind(NATIONAL_ID)
    assert (new["birth_year"], new["name"]) == (1984, "Rahayu")
    (line,) = entries(world, change["id"])
    assert "3576********9007" in line["changes"]
    assert NATIONAL_ID not in line["changes"]
    assert (line["member_id"], line["household_id"]) == (new["id"], new["household_id"])
    assert field(change, "national_id")["now"] == "3576********9007"
    assert events_of(world, member["id"]) == ["member.changed"]
    undone(world, change["id"])
    back = row(world, "members", member["id"])
    assert number_of(world, member["id"]) == old_number
    for name in ("birth_date", "birth_year", "name", "presence", "facts", "warnings"):
        assert back[name] == old[name], name


def test_a_persons_number_and_birth_date_may_be_emptied(world: World) -> None:
    member = a_household(world)["members"][1]
    update_person(world, member, national_id=None, birth_date=None)
    now = row(world, "members", member["id"])
    assert now["national_id"] is now["national_id_index"] is now["birth_date"] is None
    assert now["birth_year"] is None


def test_a_new_family_card_ends_the_old_family_and_takes_its_people_along(world: World) -> None:
    home = a_household(world)
    update(world, home, family_card_number=None)
    assert cards_of(world, home["id"]) == []
    change = update(world, home, family_card_number=CARD)
    assert cards_of(world, home["id"]) == [CARD]
    again = update(world, home, family_card_number=NEW_CARD)
    assert cards_of(world, home["id"]) == [NEW_CARD]
    (line,) = entries(world, again["id"])
    assert CARD not in line["changes"]
    assert "3576********0002" in line["changes"]
    family_ids = {row(world, "members", one["id"])["family_id"] for one in home["members"]}
    (family,) = world.fetch(
        "select id, ended_at from families where household_id = $1 and ended_at is null",
        UUID(home["id"]),
    )
    assert family_ids == {family["id"]}
    undone(world, change["id"])
    assert cards_of(world, home["id"]) == [NEW_CARD], "changed again meanwhile"
    undone(world, again["id"])
    assert cards_of(world, home["id"]) == [CARD]


def test_people_of_another_family_keep_theirs(world: World) -> None:
    home = a_household(world)
    update(world, home, family_card_number=CARD)
    person = home["members"][1]
    world.fetch("update members set family_id = null where id = $1", UUID(person["id"]))
    update(world, home, family_card_number=NEW_CARD)
    assert row(world, "members", person["id"])["family_id"] is None
    assert row(world, "members", home["members"][0]["id"])["family_id"] is not None


def test_a_change_on_an_older_row_is_returned_to_the_proposer_with_both_versions(
    world: World,
) -> None:
    home = a_household(world)
    body = {"kind": "update_household", "household_id": home["id"]}
    first = proposed(world, **body, fields={"floor": "earth"})
    second = proposed(world, **body, fields={"address": "Jalan Kedua 2"})
    third = proposed(world, **body, fields={"rt": "033"})
    done(world, SUPERVISOR, third["id"], "approve")
    approved(world, first["id"])
    for who, change, name in ((SUPERVISOR, second, "address"), (MANAGER, third, "rt")):
        answer = done(world, who, change["id"], "approve")
        assert (answer["state"], answer["reason"]) == ("returned", "stale_base")
        assert answer["base_version"] == home["version"]
        assert answer["present_version"] == home["version"] + 1
        assert field(answer, name)["before"] == field(answer, name)["now"] == home[name]
        assert answer["applied_at"] is None
        last = world.fetch(
            "select data::text from events where subject_id = $1 order by id desc limit 1",
            UUID(change["id"]),
        )[0]["data"]
        assert "stale_base" in last
    assert row(world, "households", home["id"])["rt"] == home["rt"]
    # Proposed again about the row as it is now, it goes through both pairs of eyes anew.
    again = done(world, DESK, third["id"], "resubmit")
    assert (again["state"], again["approved_by"]) == ("proposed", None)
    assert again["base_version"] == home["version"] + 1
    assert approved(world, third["id"])["state"] == "manager_approved"
    assert row(world, "households", home["id"])["rt"] == "033"


def test_a_version_that_was_read_before_another_change_is_stale(world: World) -> None:
    home = a_household(world)
    update(world, home, floor="earth")
    change = proposed(
        world, kind="update_household", household_id=home["id"], fields={"rt": "001"},
        base_version=home["version"],
    )  # fmt: skip
    assert done(world, SUPERVISOR, change["id"], "approve")["state"] == "returned"


def test_a_new_person_does_not_mind_other_changes_but_needs_the_household(world: World) -> None:
    home = a_household(world)
    body = {"kind": "add_member", "household_id": home["id"]}
    one = proposed(world, **body, person=PERSON)
    late = proposed(world, **body, person=PERSON | {"name": "Too Late"})
    update(world, home, floor="earth")
    assert approved(world, one["id"])["state"] == "manager_approved"
    gone = proposed(world, kind="remove", household_id=home["id"], note="Rumah kosong.")
    assert approved(world, gone["id"])["state"] == "manager_approved"
    assert done(world, SUPERVISOR, late["id"], "approve")["state"] == "returned"
    refused = act(world, DESK, late["id"], "resubmit")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_longer_registered")


def test_a_person_is_added_taken_back_and_added_anew(world: World) -> None:
    home = a_household(world)
    person = PERSON | {"national_id": ODD_ID, "sex": "male", "facts": {"works": False}}
    change = proposed(world, kind="add_member", household_id=home["id"], person=person)
    result = approved(world, change["id"])
    member = row(world, "members", result["member_id"])
    assert (member["name"], member["birth_year"]) == (PERSON["name"], 2011)
    assert number_of(world, result["member_id"]) == ODD_ID
    assert "national_id_structure" in member["warnings"]
    now = world.as_("front.1").get(f"/households/{home['id']}").json()
    assert now["version"] == home["version"] + 1
    assert len(now["members"]) == len(home["members"]) + 1
    (line,) = entries(world, change["id"])
    assert (line["what"], str(line["member_id"])) == ("added", result["member_id"])
    # The centre declined: the desk corrects it; what was added is ended first.
    declined(world, change["id"])
    again = done(world, DESK, change["id"], "resubmit")
    assert (again["state"], again["member_id"], again["reason"]) == ("proposed", None, None)
    assert (again["applied_at"], again["confirmed_by"]) == (None, None)
    assert row(world, "members", result["member_id"])["ended_at"] is not None
    anew = approved(world, change["id"])
    assert anew["member_id"] not in (None, result["member_id"])
    undone(world, change["id"])
    now = world.as_("front.1").get(f"/households/{home['id']}").json()
    assert len(now["members"]) == len(home["members"])


def test_a_household_is_added_taken_back_and_added_anew(world: World) -> None:
    home = HOME | {"family_card_number": "3576021503990077"}
    change = proposed(world, kind="add_household", household=home)
    result = approved(world, change["id"])
    added = world.as_("front.1").get(f"/households/{result['household_id']}").json()
    assert (added["address"], added["registry_source"]) == ("Jalan Baru 7", "slrt")
    assert [one["name"] for one in added["members"]] == [HEAD["name"], PERSON["name"]]
    assert cards_of(world, added["id"]) == ["3576021503990077"]
    members = [row(world, "members", one["id"]) for one in added["members"]]
    assert [one["number"] for one in members] == [1, 2]
    assert all(one["family_id"] for one in members)
    assert '"works": true' in members[0]["facts"]
    assert events_of(world, added["id"]) == ["household.changed"]
    declined(world, change["id"])
    again = done(world, DESK, change["id"], "resubmit")
    assert (again["state"], again["household_id"]) == ("proposed", None)
    assert row(world, "households", added["id"])["ended_at"] is not None
    anew = approved(world, change["id"])
    assert anew["household_id"] not in (None, added["id"])
    undone(world, change["id"])
    for one in (anew["household_id"], added["id"]):
        assert row(world, "households", one)["ended_at"] is not None


@pytest.mark.parametrize("known", [False, True])
def test_a_household_added_with_a_complaint_becomes_its_own(world: World, known: bool) -> None:
    complaint = bring(world, "assigned")
    other = UUID(a_household(world)["id"]) if known else None
    change = proposed(
        world, kind="add_household", household=HOME, complaint_id=complaint["id"]
    )  # fmt: skip
    assert change["state"] == "draft"
    world.fetch(
        "update complaints set household_id = $2 where id = $1", UUID(complaint["id"]), other
    )
    _survey(world, complaint["id"])
    done_with_complaint(world, SUPERVISOR, complaint["id"], "approve")
    done_with_complaint(world, MANAGER, complaint["id"], "forward")
    result = world.as_("front.1").get(f"/registry-changes/{change['id']}").json()
    assert result["state"] == "manager_approved"
    mine = row(world, "complaints", complaint["id"])["household_id"]
    assert mine == (other or UUID(result["household_id"]))
    undone(world, change["id"])
    assert row(world, "complaints", complaint["id"])["household_id"] == other


def _survey(world: World, id: str) -> None:
    saved = save_survey(world, id, if_match='"0"')
    assert saved.status_code == 200, saved.text
    done_with_complaint(
        world, "facilitator.wates.1", id, "submit_survey", if_match=saved.headers["etag"]
    )


def test_a_household_moves_with_its_people_and_returns(world: World) -> None:
    home = a_household(world)
    update(world, home, family_card_number=CARD)
    fields = {"region_code": ELSEWHERE, "address": " Jalan Pindah 9 ", "rt": "007"}
    change = proposed(world, kind="report_move", household_id=home["id"], fields=fields)
    result = approved(world, change["id"])
    assert result["state"] == "manager_approved"
    moved = row(world, "households", home["id"])
    assert (moved["village_code"], moved["address"], moved["rt"]) == (
        ELSEWHERE, "Jalan Pindah 9", "007",
    )  # fmt: skip
    assert moved["rw"] is None, "of the new place nothing else is known"
    places = "select distinct village_code from {} where household_id = $1 and ended_at is null"
    for table in ("members", "families"):
        found = world.fetch(places.format(table), UUID(home["id"]))
        assert [one["village_code"] for one in found] == [ELSEWHERE]
    (line,) = entries(world, change["id"])
    assert line["what"] == "moved"
    assert WATES in line["changes"]
    # What was changed there since stays; the rest returns.
    update(world, home, address="Jalan Pindah 10")
    undone(world, change["id"])
    back = row(world, "households", home["id"])
    assert (back["village_code"], back["rt"], back["rw"]) == (WATES, home["rt"], home["rw"])
    assert back["address"] == "Jalan Pindah 10"
    found = world.fetch(places.format("members"), UUID(home["id"]))
    assert [one["village_code"] for one in found] == [WATES]


def test_a_household_that_moved_to_a_village_of_an_older_code_returns(world: World) -> None:
    home = a_household(world)
    fields = {"region_code": "35.76.02.1005", "address": " Jalan Pindah 1 "}
    change = proposed(world, kind="report_move", household_id=home["id"], fields=fields)
    approved(world, change["id"])
    assert row(world, "households", home["id"])["village_code"] == "35.76.03.1006"
    undone(world, change["id"])
    back = row(world, "households", home["id"])
    assert (back["village_code"], back["address"]) == (WATES, home["address"])


def test_a_household_that_moved_on_is_not_brought_back(world: World) -> None:
    home = a_household(world)
    moves = []
    for place in (ELSEWHERE, FURTHER):
        fields = {"region_code": place}
        body = {"kind": "report_move", "household_id": home["id"], "fields": fields}
        change = proposed(world, "front.1", **body)
        moves.append(approved(world, change["id"]))
    undone(world, moves[0]["id"])
    assert row(world, "households", home["id"])["village_code"] == FURTHER


@pytest.mark.parametrize("since", [False, True])
def test_a_person_moves_out_and_returns(world: World, since: bool) -> None:
    member = a_household(world)["members"][1]
    old = row(world, "members", member["id"])
    fields = {"region_code": ELSEWHERE}
    change = proposed(world, kind="report_move", member_id=member["id"], fields=fields)
    approved(world, change["id"])
    moved = row(world, "members", member["id"])
    assert (moved["presence"], moved["village_code"]) == ("moved", WATES)
    if since:
        update_person(world, member, presence="not_found")
    undone(world, change["id"])
    back = row(world, "members", member["id"])
    assert back["presence"] == ("not_found" if since else old["presence"])
    if not since:
        assert back["presence_on"] == old["presence_on"]


def test_a_household_is_removed_with_its_people_and_brought_back(world: World) -> None:
    home = a_household(world)
    change = proposed(world, kind="remove", household_id=home["id"], note="Rumah kosong.")
    approved(world, change["id"])
    assert row(world, "households", home["id"])["ended_at"] is not None
    assert all(row(world, "members", one["id"])["ended_at"] for one in home["members"])
    again = propose(world, kind="remove", household_id=home["id"], note="Rumah kosong.")
    assert again.json()["code"] == "no_longer_registered"
    undone(world, change["id"])
    now = world.as_("front.1").get(f"/households/{home['id']}").json()
    assert len(now["members"]) == len(home["members"])
    assert [one["what"] for one in entries(world, change["id"])] == ["removed", "undone"]


def test_a_person_is_removed_alone_and_brought_back(world: World) -> None:
    one, two = a_household(world)["members"][:2]
    change = proposed(world, kind="remove", member_id=two["id"], note="Tidak dikenal.")
    approved(world, change["id"])
    assert row(world, "members", two["id"])["ended_at"] is not None
    assert row(world, "members", one["id"])["ended_at"] is None
    undone(world, change["id"])
    assert row(world, "members", two["id"])["ended_at"] is None


def test_a_death_is_written_and_its_revocation_too(world: World) -> None:
    member = a_household(world)["members"][1]
    paper = [{"kind": "death_certificate", "reference": "474.3/12"}]
    body = {"kind": "report_death", "member_id": member["id"], "evidence": paper}
    death = proposed(world, **body, fields={"died_on": "2020-01-02"})
    # A death holds whatever else is changed meanwhile.
    update_person(world, member, name="Nama Lain")
    assert approved(world, death["id"])["state"] == "manager_approved"
    dead = row(world, "members", member["id"])
    assert (dead["presence"], str(dead["died_on"])) == ("dead", "2020-01-02")
    assert [one["what"] for one in entries(world, death["id"])] == ["died"]
    world.fetch("update registry_changes set state = 'confirmed' where id = $1", UUID(death["id"]))
    alive = proposed(world, OTHER, kind="revoke_death", member_id=member["id"])
    assert alive["state"] == "supervisor_approved"
    assert row(world, "members", member["id"])["presence"] != "dead"
    assert done(world, MANAGER, alive["id"], "approve")["state"] == "manager_approved"
    # Whatever the centre says of it, the person lives.
    declined(world, alive["id"])
    assert done(world, SUPERVISOR, alive["id"], "undo")["state"] == "withdrawn"
    assert row(world, "members", member["id"])["presence"] != "dead"


def test_a_person_is_merged_with_referrals_and_participations(world: World) -> None:
    home, other = a_household(world), a_household(world)
    twice, stays = home["members"][1], other["members"][1]
    old = row(world, "members", twice["id"])
    same_here, referral = referral_for(world, home["id"], twice["id"])
    same_there, open_there = referral_for(world, other["id"], stays["id"])
    _, closed = referral_for(world, home["id"], None)
    world.fetch(
        "update referrals set state = 'granted', member_id = $2, beneficiary_key = $3"
        " where id = $1",
        UUID(closed), UUID(twice["id"]), f"member:{twice['id']}",
    )  # fmt: skip
    moves = take_part(world, home["id"], twice["id"], "PKH")
    known = take_part(world, home["id"], twice["id"], "BPNT")
    take_part(world, other["id"], stays["id"], "BPNT")
    change = merge_of(world, member_id=twice["id"], into_id=stays["id"])
    assert approved(world, change["id"])["state"] == "manager_approved"
    merged = row(world, "members", twice["id"])
    assert str(merged["merged_into"]) == stays["id"]
    assert (merged["presence"], merged["version"]) == ("duplicate", old["version"] + 1)
    assert merged["ended_at"] is not None
    assert row(world, "members", stays["id"])["version"] == 2
    # The same need was open at both: one is cancelled, and its complaint holds the other.
    gone = row(world, "referrals", referral)
    assert (gone["state"], gone["reason"]) == ("cancelled", "linked")
    assert open_there in get_complaint(world, "front.1", same_here["id"])["referral_ids"]
    assert row(world, "referrals", open_there)["state"] == "sent"
    ended = row(world, "referrals", closed)
    assert (str(ended["member_id"]), ended["state"]) == (stays["id"], "granted")
    assert ended["beneficiary_key"] == f"member:{stays['id']}"
    assert str(ended["household_id"]) == other["id"]
    assert str(row(world, "participations", str(moves))["member_id"]) == stays["id"]
    assert str(row(world, "participations", str(known))["member_id"]) == twice["id"]
    (line,) = entries(world, change["id"])
    assert (line["what"], stays["id"] in line["changes"]) == ("merged", True)
    again = propose(world, kind="merge_duplicate", member_id=twice["id"], into_id=stays["id"])
    assert (again.status_code, again.json()["code"]) == (409, "merged_already")
    undone(world, change["id"])
    back = row(world, "members", twice["id"])
    assert back["merged_into"] is back["ended_at"] is None
    assert (back["presence"], back["presence_on"]) == (old["presence"], old["presence_on"])
    assert str(row(world, "participations", str(moves))["member_id"]) == twice["id"]
    ended = row(world, "referrals", closed)
    assert (str(ended["member_id"]), str(ended["household_id"])) == (twice["id"], home["id"])
    assert ended["beneficiary_key"] == f"member:{twice['id']}"
    assert same_there["id"]


def test_a_complaint_that_holds_both_of_a_merged_need_goes_on_with_one(world: World) -> None:
    twice, stays = a_household(world), a_household(world)
    complaint, cancelled = referral_for(world, twice["id"], None)
    _, kept = referral_for(world, stays["id"], None)
    world.fetch(
        "insert into complaint_referrals select (jsonb_populate_record(l, jsonb_build_object("
        "'complaint_id', $2::uuid))).* from complaint_referrals l where referral_id = $1",
        UUID(kept), UUID(complaint["id"]),
    )  # fmt: skip
    change = merge_of(world, household_id=twice["id"], into_id=stays["id"])
    approved(world, change["id"])
    assert row(world, "referrals", cancelled)["state"] == "cancelled"
    now = get_complaint(world, "front.1", complaint["id"])
    assert (now["state"], set(now["referral_ids"])) == ("forwarded", {cancelled, kept})


def test_a_household_is_merged_with_all_that_hangs_on_it(world: World) -> None:
    home, other = a_household(world), a_household(world)
    same, moves = home["members"][:2]
    update(world, home, family_card_number=CARD)
    update_person(world, same, national_id="3576024507849055")
    update_person(world, other["members"][0], national_id="3576024507849055")
    update_person(world, moves, national_id=None)
    world.fetch("update members set registry_id = 'x-7' where id = $1", UUID(moves["id"]))
    complaint, of_home = referral_for(world, home["id"], None)
    _, of_person = referral_for(world, home["id"], moves["id"])
    number = uuid4()
    world.fetch(
        "insert into registry_ids (id, household_id, source, kind, value, source_version,"
        " village_code, district_code, regency_code, province_code) select $1, id, 'test', 'x',"
        " $3, '1', village_code, district_code, regency_code, province_code from households"
        " where id = $2",
        number, UUID(home["id"]), str(number),
    )  # fmt: skip
    whole = take_part(world, home["id"], None, "BPNT")
    own = take_part(world, home["id"], moves["id"], "PKH")
    old = row(world, "households", home["id"])
    change = merge_of(world, household_id=home["id"], into_id=other["id"])
    assert approved(world, change["id"])["state"] == "manager_approved"
    merged = row(world, "households", home["id"])
    assert str(merged["merged_into"]) == other["id"]
    assert (merged["presence"], merged["version"]) == ("duplicate", old["version"] + 1)

    def homes() -> list[str]:
        """Where each thing is now."""
        found = [
            row(world, table, id)["household_id"]
            for table, id in (
                ("complaints", complaint["id"]), ("referrals", of_home), ("referrals", of_person),
                ("members", moves["id"]), ("registry_ids", str(number)),
                ("participations", str(whole)), ("participations", str(own)),
            )
        ]  # fmt: skip
        return [str(one) for one in found]

    assert set(homes()) == {other["id"]}
    assert CARD in cards_of(world, other["id"])
    assert row(world, "referrals", of_home)["beneficiary_key"] == f"household:{other['id']}"
    assert row(world, "referrals", of_person)["beneficiary_key"] == f"member:{moves['id']}"
    assert str(row(world, "members", same["id"])["merged_into"]) == other["members"][0]["id"]
    assert "complaint.household_merged" in events_of(world, complaint["id"])
    again = propose(world, kind="merge_duplicate", household_id=home["id"], into_id=other["id"])
    assert (again.status_code, again.json()["code"]) == (409, "merged_already")
    undone(world, change["id"])
    assert set(homes()) == {home["id"]}
    assert cards_of(world, home["id"]) == [CARD]
    assert row(world, "referrals", of_home)["beneficiary_key"] == f"household:{home['id']}"
    assert row(world, "members", moves["id"])["registry_id"] == "x-7"
    back = [row(world, "households", home["id"]), row(world, "members", same["id"])]
    assert all(one["merged_into"] is one["ended_at"] is None for one in back)


def test_taking_a_merge_back_leaves_what_has_moved_on(world: World) -> None:
    one, two, three = (a_household(world) for _ in range(3))
    complaint, referral = referral_for(world, one["id"], None)
    whole = take_part(world, one["id"], None, "BPNT")
    first = merge_of(world, household_id=one["id"], into_id=two["id"])
    approved(world, first["id"])
    second = merge_of(world, household_id=two["id"], into_id=three["id"])
    approved(world, second["id"])
    undone(world, first["id"])
    places = (
        ("complaints", complaint["id"]), ("referrals", referral),
        ("members", one["members"][1]["id"]), ("participations", str(whole)),
    )  # fmt: skip
    for table, id in places:
        assert str(row(world, table, id)["household_id"]) == three["id"], table
    assert row(world, "households", one["id"])["ended_at"] is None


def test_a_merge_into_what_was_merged_meanwhile_is_returned(world: World) -> None:
    one, two, three = (a_household(world) for _ in range(3))
    change = merge_of(world, household_id=one["id"], into_id=two["id"])
    done(world, SUPERVISOR, change["id"], "approve")
    approved(world, merge_of(world, household_id=two["id"], into_id=three["id"])["id"])
    assert done(world, MANAGER, change["id"], "approve")["state"] == "returned"
    refused = act(world, DESK, change["id"], "resubmit")
    assert (refused.status_code, refused.json()["code"]) == (409, "merged_already")


@pytest.mark.parametrize("name", ["household_id", "member_id"])
def test_of_two_opposite_merges_at_once_one_is_applied(world: World, name: str) -> None:
    table = "households" if name == "household_id" else "members"
    for _ in range(4):
        pair = [a_household(world), a_household(world)]
        ids = [one["id"] if table == "households" else one["members"][1]["id"] for one in pair]
        wanted = [{name: ids[n], "into_id": ids[1 - n]} for n in (0, 1)]
        changes = [merge_of(world, **one)["id"] for one in wanted]
        reads = [f'"{done(world, SUPERVISOR, id, "approve")["version"]}"' for id in changes]
        with ThreadPoolExecutor(2) as pool:
            answers = [
                pool.submit(act, world, MANAGER, id, "approve", if_match)
                for id, if_match in zip(changes, reads, strict=True)
            ]
        bodies = [one.result().json() for one in answers]
        states = sorted(one.get("state", one.get("code")) for one in bodies)
        assert states == ["manager_approved", "returned"]
        ended = [row(world, table, id)["ended_at"] for id in ids]
        assert sum(one is not None for one in ended) == 1


def test_the_same_approval_sent_twice_applies_once(world: World) -> None:
    home = a_household(world)
    body = {"kind": "update_household", "household_id": home["id"], "fields": {"floor": "earth"}}
    change = proposed(world, **body)
    now = done(world, SUPERVISOR, change["id"], "approve")
    path = f"/registry-changes/{change['id']}/actions"
    headers = {"If-Match": f'"{now["version"]}"', "Idempotency-Key": f"twice-{change['id']}"}
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda _: world.as_(MANAGER).post(
                    path, json={"action": "approve"}, headers=headers
                ),
                range(2),
            )
        )
    # Whoever comes while the first is under way is told to try again, and is answered then.
    codes = {one.json().get("code") for one in answers if one.status_code != 200}
    assert codes <= {"idempotency_key_in_use"}
    again = world.as_(MANAGER).post(path, json={"action": "approve"}, headers=headers)
    assert (again.status_code, again.json()["state"]) == (200, "manager_approved")
    assert len(entries(world, change["id"])) == 1
    assert row(world, "households", home["id"])["version"] == home["version"] + 1


def test_a_duplicate_that_is_merged_away_gives_its_place_to_the_next(fresh_world: World) -> None:
    world = fresh_world
    body = {
        "region_code": "35.76", "starts_on": "2026-01-01", "ends_on": "2027-12-31", "places": 2,
        "quota_managed_here": True,
    }  # fmt: skip
    quota = world.as_("program.1").post("/programs/PKH/quotas", json=body, headers=key())
    home, other = a_household(world), a_household(world)
    _, gone = referral_for(world, home["id"], home["members"][1]["id"])
    _, kept = referral_for(world, other["id"], other["members"][1]["id"])
    waits, _ = forwarded(world, named("Bu Tin"), named("Bu Tin", "BPNT"))["referral_ids"]
    assert row(world, "referrals", waits)["waiting_number"] == 1
    change = merge_of(world, member_id=home["members"][1]["id"], into_id=other["members"][1]["id"])
    approved(world, change["id"])
    states = [row(world, "referrals", id)["state"] for id in (gone, kept, waits)]
    assert states == ["cancelled", "sent", "sent"]
    now = world.as_("program.1").get(quota.headers["location"].removeprefix("/v1")).json()
    assert (now["reserved"], now["waiting"]) == (2, 0)
