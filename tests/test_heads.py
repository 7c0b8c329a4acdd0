"""One living head: a new one stands or falls with the death, and nothing makes a second one."""

from typing import Any

import pytest

from tests.conftest import World
from tests.flows import bring
from tests.flows import done as complaint_done
from tests.homes import home, person
from tests.test_registry_changes import DESK, MANAGER, SUPERVISOR, approved, done, proposed
from tests.test_registry_deaths import (
    OTHER_SUPERVISOR,
    a_family,
    change,
    changes_of,
    death_report,
    held,
    reported,
    revoke,
    row,
)

Json = dict[str, Any]


def heads(world: World, member_id: str) -> list[str]:
    """The living heads of somebody's household."""
    found = world.fetch(
        "select id::text from members where household_id ="
        " (select household_id from members where id = $1) and relation = 'head'"
        " and presence is distinct from 'dead' and ended_at is null",
        member_id,
    )
    return [one["id"] for one in found]


def state(world: World, id: str, now: str) -> None:
    """What the centre has said or heard."""
    world.fetch("update registry_changes set state = $2 where id = $1", id, now)


def believed(world: World) -> tuple[str, str, Json, Json]:
    """Head and spouse, the head's death that the supervisor believes, and the new head."""
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    death = reported(world, head)
    done(world, SUPERVISOR, death["id"], "approve")
    [new] = changes_of(world, member_id=spouse)
    assert new["follows_id"] == death["id"]
    return head, spouse, death, new


def make_head(world: World, member_id: str) -> Json:
    return proposed(world, kind="update_member", member_id=member_id, fields={"relation": "head"})


@pytest.mark.parametrize("how", ["rejected", "revoked", "withdrawn by the centre's word"])
@pytest.mark.parametrize("reached", ["proposed", "returned", "manager_approved", "declined"])
def test_a_new_head_falls_with_the_death(world: World, how: str, reached: str) -> None:
    head, spouse, death, new = believed(world)
    if reached == "returned":
        done(world, SUPERVISOR, new["id"], "return", note="Siapa?")
    elif reached != "proposed":
        approved(world, new["id"])
        assert heads(world, head) == [spouse]
    if reached == "declined":
        state(world, new["id"], "declined")
    if how == "rejected":
        done(world, MANAGER, death["id"], "reject", note="Masih hidup.")
    elif how == "revoked":
        assert revoke(world, OTHER_SUPERVISOR, head).json()["state"] == "withdrawn"
    else:
        done(world, MANAGER, death["id"], "approve")
        state(world, death["id"], "declined")
        done(world, OTHER_SUPERVISOR, death["id"], "undo")
    after = change(world, new["id"])
    assert (after["state"], after["reason"]) == ("withdrawn", "death_taken_back")
    assert (heads(world, head), row(world, spouse)["relation"]) == ([head], "spouse")
    assert row(world, head)["presence"] == "found"


def test_a_new_head_that_was_rejected_stays_so(world: World) -> None:
    head, _, death, new = believed(world)
    done(world, SUPERVISOR, new["id"], "reject", note="Bukan dia.")
    done(world, MANAGER, death["id"], "reject", note="Masih hidup.")
    assert change(world, new["id"])["state"] == "rejected"
    assert heads(world, head) == [head]


def test_a_new_head_that_the_centre_has_is_taken_back_here_and_then_there(world: World) -> None:
    head, spouse, _, new = believed(world)
    approved(world, new["id"])
    state(world, new["id"], "confirmed")
    assert revoke(world, OTHER_SUPERVISOR, head).status_code == 201
    assert (heads(world, head), row(world, spouse)["relation"]) == ([head], "spouse")
    assert change(world, new["id"])["state"] == "confirmed"
    correction, first = changes_of(world, member_id=spouse)[::-1]
    assert first["id"] == new["id"]
    assert [(one["before"], one["after"]) for one in correction["fields"]] == [("head", "spouse")]
    assert (correction["state"], correction["origin"]) == ("proposed", "system")
    assert approved(world, correction["id"])["state"] == "manager_approved"
    # Whatever the centre says later of the former one changes nothing here.
    state(world, new["id"], "declined")
    done(world, OTHER_SUPERVISOR, new["id"], "undo")
    assert heads(world, head) == [head]


def test_a_new_head_that_is_one_no_more_is_not_corrected(world: World) -> None:
    head, spouse, _, new = believed(world)
    approved(world, new["id"])
    state(world, new["id"], "dispatched")
    # The family says who it is instead: somebody nobody had written down.
    proposed(world, kind="add_member", household_id=str(row(world, head)["household_id"]),
        person={"name": "Budi", "relation": "head"})  # fmt: skip
    change_back = proposed(
        world, kind="update_member", member_id=spouse, fields={"relation": "other"}
    )
    assert approved(world, change_back["id"])["state"] == "manager_approved"
    assert revoke(world, OTHER_SUPERVISOR, head).status_code == 201
    assert len(changes_of(world, member_id=spouse)) == 2
    assert heads(world, head) == [head]


@pytest.mark.parametrize("with_complaint", [False, True])
def test_where_the_new_head_dies_too_the_next_one_is_proposed(
    world: World, with_complaint: bool
) -> None:
    people = a_family(world, ("head", 1960), ("spouse", 1962), ("child", 1985))
    head, spouse, child = people
    if with_complaint:
        complaint = death_report(world, head)
        complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
        complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    else:
        done(world, SUPERVISOR, reported(world, head)["id"], "approve")
    [first] = changes_of(world, member_id=spouse)
    later = reported(world, spouse)
    done(world, SUPERVISOR, later["id"], "approve")
    fallen = change(world, first["id"])
    assert (fallen["state"], fallen["reason"]) == ("withdrawn", "deceased")
    [second] = changes_of(world, member_id=child)
    assert (second["state"], second["follows_id"]) == ("proposed", first["follows_id"])
    assert second["complaint_id"] == first["complaint_id"]
    if with_complaint:
        complaint_done(world, MANAGER, complaint["id"], "forward")
    approved(world, second["id"])
    assert heads(world, child) == [child]


def test_nobody_who_has_died_becomes_the_head(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    at_manager = make_head(world, spouse)
    done(world, SUPERVISOR, at_manager["id"], "approve")
    done(world, SUPERVISOR, reported(world, head)["id"], "approve")
    done(world, SUPERVISOR, reported(world, spouse)["id"], "approve")
    # Nobody is left to be proposed instead: people decide.
    *_, follows = changes_of(world, member_id=spouse, kind="update_member")
    for one in (follows, at_manager):
        if one is follows:
            done(world, SUPERVISOR, one["id"], "approve")
        else:
            done(world, MANAGER, one["id"], "approve")
        done(world, DESK, one["id"], "resubmit")
        again = done(world, SUPERVISOR, one["id"], "approve")
        assert (again["state"], again["reason"]) == ("returned", "deceased")
    assert heads(world, head) == []


def test_a_second_head_is_returned(world: World) -> None:
    head, spouse, child = a_family(world, ("head", 1960), ("spouse", 1962), ("child", 1985))
    second = make_head(world, spouse)
    returned = approved(world, second["id"])
    assert (returned["state"], returned["reason"]) == ("returned", "second_head")
    new = proposed(
        world, kind="add_member", household_id=str(row(world, head)["household_id"]),
        person={"name": "Budi", "relation": "head"},
    )  # fmt: skip
    assert approved(world, new["id"])["state"] == "returned"
    assert heads(world, head) == [head]
    # One after the other they change places, in whichever order it was written down.
    complaint = bring(world, "at_secretariat", category="program_not_received")
    for member, relation in ((child, "head"), (head, "parent")):
        proposed(world, "front.1", kind="update_member", member_id=member,
            fields={"relation": relation}, complaint_id=complaint["id"])  # fmt: skip
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    complaint_done(world, MANAGER, complaint["id"], "forward")
    assert heads(world, head) == [child]


def test_the_only_head_is_none_no_more_where_another_is_named(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    fields = {"relation": "child"}
    away = proposed(world, kind="update_member", member_id=head, fields=fields)
    returned = done(world, SUPERVISOR, away["id"], "approve")
    assert (returned["state"], returned["reason"]) == ("returned", "no_head")
    instead = make_head(world, spouse)
    done(world, DESK, away["id"], "resubmit")
    done(world, SUPERVISOR, away["id"], "approve")
    # Who was to be it is refused meanwhile: the manager's approval is too late, too.
    done(world, SUPERVISOR, instead["id"], "reject", note="Bukan dia.")
    returned = done(world, MANAGER, away["id"], "approve")
    assert (returned["state"], returned["reason"]) == ("returned", "no_head")
    assert heads(world, head) == [head]
    instead = make_head(world, spouse)
    done(world, DESK, away["id"], "resubmit")
    approved(world, away["id"])
    approved(world, instead["id"])
    assert heads(world, head) == [spouse]


def test_of_two_heads_that_a_registry_brought_one_may_be_something_else(world: World) -> None:
    first, second = a_family(world, ("head", 1960), ("head", 1962))
    away = proposed(
        world, kind="update_member", member_id=second, fields={"relation": "spouse"}
    )  # fmt: skip
    approved(world, away["id"])
    assert heads(world, first) == [first]


def test_a_refused_field_makes_no_head(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    one = proposed(
        world, kind="update_member", member_id=spouse,
        fields={"relation": "head", "name": "Siti Aminah"},
    )  # fmt: skip
    refuse = [{"field": "relation", "reason": "Suaminya hidup."}]
    done(world, SUPERVISOR, one["id"], "approve", data={"refuse_fields": refuse})
    assert done(world, MANAGER, one["id"], "approve")["state"] == "manager_approved"
    assert heads(world, head) == [head]


def test_who_lives_after_all_is_not_a_second_head(world: World) -> None:
    head, spouse, child = a_family(world, ("head", 1960), ("spouse", 1962), ("child", 1985))
    death = reported(world, head)
    done(world, SUPERVISOR, death["id"], "approve")
    # The family says who it is: another than was proposed.
    approved(world, make_head(world, child)["id"])
    done(world, MANAGER, death["id"], "reject", note="Masih hidup.")
    assert heads(world, spouse) == [child]
    assert (row(world, head)["relation"], held(world, head)) == ("other", None)


def test_of_two_merged_households_one_head_stays(world: World) -> None:
    homes = [home(world), home(world)]
    twice, stays = [str(person(world, one, f"Kepala {n}")) for n, one in enumerate(homes)]
    merge = proposed(
        world, kind="merge_duplicate", household_id=str(homes[0]), into_id=str(homes[1])
    )
    approved(world, merge["id"])
    assert (heads(world, stays), row(world, twice)["relation"]) == ([stays], "other")
    state(world, merge["id"], "declined")
    done(world, OTHER_SUPERVISOR, merge["id"], "undo")
    assert (heads(world, stays), heads(world, twice)) == ([stays], [twice])


def test_what_is_taken_back_makes_no_second_head(world: World) -> None:
    head, spouse, child = a_family(world, ("head", 1960), ("spouse", 1962), ("child", 1985))
    gone = proposed(world, kind="remove", member_id=head, note="Tidak dikenal.")
    approved(world, gone["id"])
    approved(world, make_head(world, spouse)["id"])
    state(world, gone["id"], "declined")
    done(world, OTHER_SUPERVISOR, gone["id"], "undo")
    assert (heads(world, head), row(world, head)["relation"]) == ([spouse], "other")
    new = make_head(world, child)
    back = proposed(world, kind="update_member", member_id=spouse, fields={"relation": "spouse"})
    approved(world, back["id"])
    approved(world, new["id"])
    state(world, back["id"], "declined")
    done(world, OTHER_SUPERVISOR, back["id"], "undo")
    assert heads(world, head) == [child]


def test_a_death_and_its_new_head_outlive_their_complaint(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    complaint = death_report(world, head)
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    complaint_done(world, MANAGER, complaint["id"], "answer", note="Kami urus.")
    [new] = changes_of(world, member_id=spouse)
    assert (new["state"], new["due_at"] is not None) == ("proposed", True)
    approved(world, new["id"])
    assert heads(world, head) == [spouse]


def test_a_revoked_death_that_the_centre_declined_is_over(world: World) -> None:
    first, second = a_family(world, ("other", 1960), ("spouse", 1962))
    for member, told in ((first, "declined"), (second, "dispatched")):
        death = reported(world, member)
        approved(world, death["id"])
        state(world, death["id"], told)
        back = revoke(world, OTHER_SUPERVISOR, member).json()
        if told == "declined":
            # The centre does not hold them for dead: it has nothing to take back.
            assert (back["state"], change(world, death["id"])["state"]) == ("withdrawn",) * 2
            continue
        assert back["state"] == "supervisor_approved"
        state(world, death["id"], "declined")
        after = world.as_(DESK).get(f"/registry-changes/{death['id']}").json()
        assert "resubmit" not in after["actions"]
        assert not after["unconfirmed"]
    assert row(world, first)["presence"] == row(world, second)["presence"] == "found"
