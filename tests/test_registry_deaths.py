"""Deaths: shown, held, believed by two, told to those who must know, and taken back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import World
from tests.flows import (
    WATES,
    act_on_referral,
    bring,
    draft_referral,
    events,
    key,
    save_survey,
    told_steps,
)
from tests.flows import act as complaint_act
from tests.flows import done as complaint_done
from tests.refusals import faults, refused
from tests.registry_files import own, send
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

Json = dict[str, Any]
OTHER_SUPERVISOR = "supervisor.prajuritkulon"
LETTER = {"kind": "kelurahan_letter", "reference": "470/12"}
DIED = {"died_on": "2026-01-02"}


# ── words of these tests ─────────────────────────────────────────────────────────────────────


def a_family(world: World, *people: tuple[str, int]) -> list[str]:
    """A household in Wates with these people, each a relation and a year of birth; their ids."""
    home = uuid4()
    world.fetch(
        """
        insert into households select (jsonb_populate_record(
            h, jsonb_build_object('id', $1::uuid, 'registry_id', $1::uuid))).*
        from households h where village_code = $2 order by id limit 1
        """,
        home,
        WATES,
    )
    ids = []
    for n, (relation, year) in enumerate(people, 1):
        ids.append(str(uuid4()))
        world.fetch(
            """
            insert into members select (jsonb_populate_record(m, jsonb_build_object(
                'id', $1::uuid, 'household_id', $2::uuid, 'relation', $3::text,
                'birth_year', $4::int, 'number', $5::int, 'name', 'Warga ' || $5::int,
                'birth_date', null, 'national_id', null, 'national_id_index', null,
                'registry_id', null, 'family_id', null, 'hold_change_id', null, 'presence', null,
                'presence_on', null, 'died_on', null))).*
            from members m where village_code = $6 order by id limit 1
            """,
            ids[-1], home, relation, year, n, WATES,
        )  # fmt: skip
    return ids


def somebody(world: World) -> str:
    """A spouse, whose death asks for no new head."""
    return a_family(world, ("head", 1960), ("spouse", 1962))[1]


def death(member_id: str, **changes: Any) -> Json:
    return {
        "kind": "report_death", "member_id": member_id, "fields": DIED, "evidence": [LETTER],
    } | changes  # fmt: skip


def reported(world: World, member_id: str, who: str = DESK, **changes: Any) -> Json:
    return proposed(world, who, **death(member_id, **changes))


def revoke(world: World, who: str, member_id: str) -> httpx.Response:
    return propose(world, who, kind="revoke_death", member_id=member_id)


def row(world: World, member_id: str) -> Json:
    return dict(world.fetch("select * from members where id = $1", member_id)[0])


def held(world: World, member_id: str) -> str | None:
    found = row(world, member_id)["hold_change_id"]
    return str(found) if found else None


def change(world: World, id: str) -> Json:
    found: Json = world.as_("front.1").get(f"/registry-changes/{id}").json()
    return found


def changes_of(world: World, **wanted: Any) -> list[Json]:
    """Oldest first."""
    answer = world.as_("front.1").get("/registry-changes", params={"limit": 200} | wanted)
    found: list[Json] = answer.json()["items"][::-1]
    return found


def types(world: World, id: str) -> list[str]:
    rows = world.fetch("select type from events where subject_id = $1 order by at, id", id)
    return [one["type"] for one in rows]


def refer(world: World, complaint: Json, beneficiary: Json, program: str = "PKH") -> httpx.Response:
    body = {
        "complaint_id": complaint["id"], "program_code": program, "beneficiary": beneficiary,
    }  # fmt: skip
    return world.as_("front.1").post("/referrals", json=body, headers=key())


def death_report(world: World, member_id: str) -> Json:
    """A complaint about a death at the secretariat, with the draft of the report."""
    complaint = bring(world, "at_secretariat", category="death_report", program_code=None)
    reported(world, member_id, "front.1", complaint_id=complaint["id"])
    return complaint


# ── evidence and hold ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "evidence",
    [
        [{"kind": "death_certificate"}],
        [{"kind": "kelurahan_letter"}],
        [{"kind": "rt_letter"}],
        [{"kind": "witness", "name": "Budi"}, {"kind": "witness", "name": "Wati"}],
    ],
)
def test_a_paper_or_two_named_witnesses_show_a_death(world: World, evidence: list[Json]) -> None:
    member = somebody(world)
    found = reported(world, member, evidence=evidence)
    assert (found["state"], held(world, member)) == ("proposed", found["id"])
    # Nothing is said of the person yet.
    assert row(world, member)["presence"] is None
    done(world, "front.1", found["id"], "withdraw")


@pytest.mark.parametrize(
    "evidence",
    [
        [],
        [{"kind": "photo"}, {"kind": "other"}],
        [{"kind": "witness", "name": "Budi"}],
        [{"kind": "witness", "name": "Budi"}, {"kind": "witness"}],
        [{"kind": "witness", "name": "Budi"}, {"kind": "witness", "name": "BUDI"}],
    ],
)
def test_less_does_not_show_a_death(world: World, evidence: list[Json]) -> None:
    member = somebody(world)
    answer = propose(world, **death(member, evidence=evidence))
    refused(answer, 422, "evidence_missing")
    assert faults(answer) == {"/evidence": "evidence_missing"}
    assert held(world, member) is None


def test_a_death_is_reported_once_and_again_after_a_rejection(world: World) -> None:
    member = somebody(world)
    first = reported(world, member)
    refused(propose(world, **death(member)), 409, "reported_already")
    done(world, SUPERVISOR, first["id"], "reject", note="Masih hidup.")
    assert held(world, member) is None
    second = reported(world, member)
    assert held(world, member) == second["id"]
    approved(world, second["id"])
    refused(propose(world, **death(member)), 409, "reported_already")


def at_once(count: int, one: Callable[[], httpx.Response]) -> list[tuple[int, str | None]]:
    """Status and problem code of the same call, made several times at the same moment."""
    with ThreadPoolExecutor(count) as pool:
        answers = [each.result() for each in [pool.submit(one) for _ in range(count)]]
    return sorted((each.status_code, each.json().get("code")) for each in answers)


def test_a_death_is_reported_and_revoked_once_however_many_do_so_at_once(world: World) -> None:
    member = somebody(world)
    for who in (DESK, OTHER_SUPERVISOR):
        world.token(who)
    found = at_once(6, lambda: propose(world, **death(member)))
    assert found == [(201, None)] + [(409, "reported_already")] * 5
    [report] = changes_of(world, member_id=member)
    done(world, SUPERVISOR, report["id"], "approve")
    found = at_once(6, lambda: revoke(world, OTHER_SUPERVISOR, member))
    assert found == [(201, None)] + [(409, "not_reported_dead")] * 5
    assert len(changes_of(world, member_id=member)) == 2
    assert row(world, member)["presence"] == "found"


def test_nobody_is_referred_who_is_reported_dead(world: World) -> None:
    person = world.fetch(
        "select * from members where village_code = $1 and national_id is not null limit 1", WATES
    )[0]
    number = world.cluster.keys.data.open(
        person["national_id"], "members", "national_id", person["id"]
    )
    complaint = bring(world, "assigned")
    found = reported(world, str(person["id"]))
    needs = [
        {"member_id": str(person["id"])},
        {"name": person["name"], "national_id": number},
    ]
    for beneficiary in needs:
        refused(refer(world, complaint, beneficiary), 409, "person_on_hold")
        survey = save_survey(
            world,
            complaint["id"],
            program_needs=[{"program_code": "PKH", "beneficiary": beneficiary}],
        )
        refused(survey, 409, "person_on_hold")
    # The household lives on, and so do others.
    assert refer(world, complaint, {"household_id": str(person["household_id"])}).status_code == 201
    stranger = {"name": "Dewi", "national_id": "3576024507849002"}
    assert refer(world, complaint, stranger).status_code == 201
    done(world, "front.1", found["id"], "withdraw")
    for beneficiary in needs:
        assert refer(world, complaint, beneficiary, "PIP").status_code == 201


def test_the_owners_of_pending_referrals_are_told_once(world: World) -> None:
    member = somebody(world)
    complaint = bring(world, "at_secretariat", category="program_not_received")
    referral = refer(world, complaint, {"member_id": member}).json()
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    complaint_done(world, MANAGER, complaint["id"], "forward")
    drafted = refer(
        world, bring(world, "at_secretariat"), {"member_id": member}, "PIP"
    ).json()  # an unsent one is nobody's
    found, who = reported(world, member), "program.1"
    told = told_steps(world, who, referral["id"])
    assert told.count("death_reported") == 1
    assert types(world, referral["id"]).count("referral.death_signalled") == 1
    assert types(world, drafted["id"]).count("referral.death_signalled") == 0
    # Returned and proposed again it is still the same report.
    done(world, SUPERVISOR, found["id"], "return", note="Nomor surat?")
    assert held(world, member) == found["id"]
    done(world, "front.1", found["id"], "resubmit")
    assert told_steps(world, who, referral["id"]).count("death_reported") == 1
    # Nothing was deleted; that the person lives is told, too.
    assert world.as_("front.1").get(f"/referrals/{referral['id']}").json()["state"] == "sent"
    done(world, SUPERVISOR, found["id"], "reject", note="Masih hidup.")
    assert told_steps(world, who, referral["id"])[-1] == "death_revoked"


def three_items(world: World, member: str) -> tuple[Json, Json, Json]:
    """A complaint at the secretariat with a need of the person and one of the household."""
    complaint = bring(world, "at_secretariat", category="program_not_received")
    home = str(row(world, member)["household_id"])
    own = refer(world, complaint, {"member_id": member}, "PIP").json()
    family = refer(world, complaint, {"household_id": home}).json()
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    return complaint, own, family


def referral(world: World, id: str) -> Json:
    found: Json = world.as_("front.1").get(f"/referrals/{id}").json()
    return found


@pytest.mark.parametrize("when", ["before the supervisor", "before the manager"])
@pytest.mark.parametrize("believed", [False, True])
def test_nothing_goes_out_for_somebody_who_is_reported_dead(
    world: World, when: str, believed: bool
) -> None:
    member = somebody(world)
    complaint, own, family = three_items(world, member)
    if when == "before the manager":
        complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    found = reported(world, member)
    if believed:
        done(world, SUPERVISOR, found["id"], "approve")
    assert referral(world, own["id"])["state"] != "cancelled"
    if when == "before the supervisor":
        complaint_done(world, SUPERVISOR, complaint["id"], "approve")
        assert referral(world, own["id"])["state"] == "cancelled"
    complaint_done(world, MANAGER, complaint["id"], "forward")
    now = referral(world, own["id"])
    reason = "deceased" if believed else "death_reported"
    assert (now["state"], now["reason"], now["sent_at"]) == ("cancelled", reason, None)
    assert referral(world, family["id"])["state"] == "sent"
    # Should the person live, whoever drafted it is told that it is wanted again.
    assert told_steps(world, "front.1", own["id"]) == []
    done(world, MANAGER if believed else SUPERVISOR, found["id"], "reject", note="Hidup.")
    assert told_steps(world, "front.1", own["id"]) == ["death_revoked"]
    assert told_steps(world, "front.1", family["id"]) == []


def test_where_all_was_for_somebody_reported_dead_it_is_answered_instead(world: World) -> None:
    member = somebody(world)
    complaint = bring(world, "at_secretariat", category="program_not_received")
    own = refer(world, complaint, {"member_id": member}, "PIP").json()
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    reported(world, member)
    answer = complaint_act(world, SUPERVISOR, complaint["id"], "approve")
    refused(answer, 409, "nothing_to_forward")
    assert referral(world, own["id"])["state"] == "draft"
    complaint_done(world, SUPERVISOR, complaint["id"], "answer", note="Kami turut berduka.")


def test_a_complaint_whose_approved_items_all_fall_is_answered_by_the_forward(
    world: World,
) -> None:
    member = somebody(world)
    complaint = bring(world, "at_secretariat", category="program_not_received")
    refer(world, complaint, {"member_id": member}, "PIP")
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    reported(world, member)
    sent = complaint_done(world, MANAGER, complaint["id"], "forward")
    assert (sent["state"], sent["outcome"]) == ("answered", "cancelled")


# ── believed ─────────────────────────────────────────────────────────────────────────────────


def test_a_believed_death_ends_eligibility_and_the_manager_writes_the_day(world: World) -> None:
    member = somebody(world)
    found = reported(world, member)
    version = row(world, member)["version"]
    done(world, SUPERVISOR, found["id"], "approve")
    now = row(world, member)
    assert (now["presence"], now["died_on"], now["version"]) == ("dead", None, version + 1)
    assert told_steps(world, DESK, found["id"]) == ["heirs"]
    result = done(world, MANAGER, found["id"], "approve")
    assert (result["state"], result["unconfirmed"]) == ("manager_approved", True)
    assert str(row(world, member)["died_on"]) == "2026-01-02"
    assert types(world, member) == ["member.held", "member.reported_dead", "member.changed"]


def test_the_day_of_a_death_is_that_of_the_offices(fresh_world: World) -> None:
    member = somebody(fresh_world)
    found = reported(fresh_world, member)
    now = datetime.now(UTC)
    # Six in the evening in UTC is one in the morning of the next day in Jakarta.
    fresh_world.advance(seconds=round(((18 - now.hour) % 24 * 60 - now.minute) % 1440) * 60)
    at = fresh_world.fetch("select slrt_now()")[0][0]
    done(fresh_world, SUPERVISOR, found["id"], "approve")
    tomorrow = at.date() + timedelta(days=1)
    assert row(fresh_world, member)["presence_on"] == tomorrow
    assert send(fresh_world, own({}), as_of=str(tomorrow)).status_code == 202


@pytest.mark.parametrize(
    ("rest", "heir"),
    [
        ([("child", 1985), ("spouse", 1962)], 1),
        ([("child", 1990), ("child", 1985)], 1),
        ([("child", 2020), ("other", 1985)], 1),
        ([("child", 2020), ("child", 2018)], 1),
    ],
)
def test_a_new_head_is_proposed(world: World, rest: list[tuple[str, int]], heir: int) -> None:
    head, *others = a_family(world, ("head", 1960), *rest)
    found = reported(world, head)
    done(world, SUPERVISOR, found["id"], "approve")
    [new] = [one for id in others for one in changes_of(world, member_id=id)]
    assert (new["kind"], new["origin"], new["member_id"]) == (
        "update_member", "system", others[heir],
    )  # fmt: skip
    assert [(one["name"], one["after"]) for one in new["fields"]] == [("relation", "head")]
    # People decide on it, and are reminded of it.
    assert (new["state"], new["due_at"] is not None) == ("proposed", True)
    approved(world, new["id"])
    assert row(world, others[heir])["relation"] == "head"


def test_somebody_without_a_year_of_birth_may_be_the_new_head(world: World) -> None:
    head, child, spouse = a_family(world, ("head", 1960), ("child", 1985), ("spouse", 1962))
    world.fetch("update members set birth_year = null where id = $1", spouse)
    done(world, SUPERVISOR, reported(world, head)["id"], "approve")
    assert changes_of(world, member_id=child) == []
    assert len(changes_of(world, member_id=spouse)) == 1


def test_the_last_of_a_household_leaves_no_heirs(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    approved(world, reported(world, spouse)["id"])
    last = reported(world, head)
    assert approved(world, last["id"])["state"] == "manager_approved"
    assert told_steps(world, DESK, last["id"]) == []
    assert len(changes_of(world, household_id=str(row(world, head)["household_id"]))) == 2


def test_with_a_complaint_the_heirs_are_referred_for_their_papers(world: World) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    complaint = death_report(world, head)
    [drafted] = changes_of(world, complaint_id=complaint["id"])
    assert (drafted["state"], drafted["due_at"], held(world, head)) == ("draft", None, None)
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    assert held(world, head) == drafted["id"]
    refused(act(world, SUPERVISOR, drafted["id"], "approve"), 409, "decided_with_complaint")
    decided = complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    assert row(world, head)["presence"] == "dead"
    [referral_id] = decided["referral_ids"]
    referral = world.as_("front.1").get(f"/referrals/{referral_id}").json()
    assert (referral["program_code"], referral["state"]) == ("ADMINDUK", "approved")
    assert told_steps(world, DESK, drafted["id"]) == []
    # The manager sends it back: all is decided again, but nothing is begun twice.
    complaint_done(world, MANAGER, complaint["id"], "return_to_supervisor", note="Surat?")
    assert change(world, drafted["id"])["state"] == "proposed"
    again = complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    assert again["referral_ids"] == [referral_id]
    [new] = changes_of(world, member_id=spouse)
    assert again["registry_change_ids"] == [drafted["id"], new["id"]]
    sent = complaint_done(world, MANAGER, complaint["id"], "forward")
    assert sent["state"] == "forwarded"
    referral = world.as_("front.1").get(f"/referrals/{referral_id}").json()
    assert referral["state"] == "sent"
    assert change(world, drafted["id"])["state"] == "manager_approved"
    assert change(world, new["id"])["state"] == "manager_approved"


def test_a_new_head_proposed_with_a_complaint_goes_its_own_way_once_that_is_forwarded(
    world: World,
) -> None:
    head, spouse = a_family(world, ("head", 1960), ("spouse", 1962))
    complaint = death_report(world, head)
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    [new] = changes_of(world, member_id=spouse)
    assert (new["state"], new["due_at"]) == ("proposed", None)
    refused(act(world, SUPERVISOR, new["id"], "approve"), 409, "decided_with_complaint")
    complaint_done(world, MANAGER, complaint["id"], "forward")
    assert change(world, new["id"])["due_at"] is not None
    approved(world, new["id"])


def test_the_list_of_the_dead_that_the_centre_does_not_know(world: World) -> None:
    def unknown() -> set[str]:
        return {one["id"] for one in changes_of(world, kind="report_death", unconfirmed=True)}

    member = somebody(world)
    id = reported(world, member)["id"]
    assert id not in unknown()
    home = str(row(world, member)["household_id"])
    for who in (SUPERVISOR, MANAGER):
        # The list, the change and its household say the same.
        assert done(world, who, id, "approve")["unconfirmed"]
        assert id in unknown()
        shown = world.as_("front.1").get(f"/households/{home}").json()
        assert shown["unconfirmed_change_ids"] == [id]
    other = proposed(world, kind="update_household", household_id=home, fields={"rt": "009"})
    assert not done(world, SUPERVISOR, other["id"], "approve")["unconfirmed"]
    assert other["id"] not in {one["id"] for one in changes_of(world, unconfirmed=True)}
    world.fetch("update registry_changes set state = 'confirmed' where id = $1", id)
    assert id not in unknown()
    known = changes_of(world, kind="report_death", unconfirmed=False)
    assert id in {one["id"] for one in known}


# ── taken back ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("who", "action", "state"),
    [(SUPERVISOR, "reject", "rejected"), ("front.1", "withdraw", "withdrawn")],
)
def test_a_rejected_or_withdrawn_report_ends_the_hold(
    world: World, who: str, action: str, state: str
) -> None:
    member = somebody(world)
    found = reported(world, member)
    result = done(world, who, found["id"], action, note="Masih hidup.")
    assert (result["state"], held(world, member)) == (state, None)
    # Nobody had believed it: there is nothing to restore.
    assert row(world, member)["presence"] is None
    assert types(world, member) == ["member.held", "member.released"]


def test_a_manager_who_rejects_a_believed_death_restores_the_person(world: World) -> None:
    member = somebody(world)
    found = reported(world, member)
    done(world, SUPERVISOR, found["id"], "approve")
    done(world, MANAGER, found["id"], "reject", note="Orangnya datang ke kantor.")
    now = row(world, member)
    assert (now["presence"], now["died_on"], now["hold_change_id"]) == ("found", None, None)
    # Both at the same moment.
    assert set(types(world, member)[-2:]) == {"member.released", "member.restored"}


@pytest.mark.parametrize("state", ["proposed", "supervisor_approved", "manager_approved"])
def test_a_death_the_centre_never_heard_of_is_revoked_at_once(world: World, state: str) -> None:
    member = somebody(world)
    found = reported(world, member)
    if state != "proposed":
        done(world, SUPERVISOR, found["id"], "approve")
    if state == "manager_approved":
        done(world, MANAGER, found["id"], "approve")
    answer = revoke(world, OTHER_SUPERVISOR, member)
    assert answer.status_code == 201, answer.text
    back = answer.json()
    assert (back["state"], back["revokes_id"]) == ("withdrawn", found["id"])
    after = change(world, found["id"])
    assert (after["state"], after["reason"]) == ("withdrawn", "revoked")
    assert after["revoked_by_id"] == back["id"]
    now = row(world, member)
    assert (now["hold_change_id"], now["died_on"]) == (None, None)
    assert now["presence"] == (None if state == "proposed" else "found")
    refused(revoke(world, OTHER_SUPERVISOR, member), 409, "not_reported_dead")


@pytest.mark.parametrize("state", ["dispatched", "confirmed"])
def test_a_death_the_centre_knows_is_revoked_there_by_the_manager(world: World, state: str) -> None:
    member = somebody(world)
    found = reported(world, member)
    approved(world, found["id"])
    world.fetch("update registry_changes set state = $2 where id = $1", found["id"], state)
    back = revoke(world, OTHER_SUPERVISOR, member).json()
    # The person lives at once; that the centre hears of it is decided by another.
    assert (back["state"], back["revokes_id"]) == ("supervisor_approved", found["id"])
    assert back["due_at"] is not None
    now = row(world, member)
    assert (now["presence"], now["died_on"], now["hold_change_id"]) == ("found", None, None)
    assert change(world, found["id"])["state"] == state
    refused(act(world, OTHER_SUPERVISOR, back["id"], "approve"), 409, "action_not_allowed")
    assert done(world, MANAGER, back["id"], "approve")["state"] == "manager_approved"
    assert row(world, member)["presence"] == "found"
    # Should it come to that, the death can be reported anew.
    assert reported(world, member)["state"] == "proposed"


def test_a_revocation_the_manager_returned_is_proposed_again(world: World) -> None:
    member = somebody(world)
    found = reported(world, member)
    approved(world, found["id"])
    world.fetch("update registry_changes set state = 'confirmed' where id = $1", found["id"])
    back = revoke(world, OTHER_SUPERVISOR, member).json()
    done(world, MANAGER, back["id"], "return", note="Surat mana?")
    # The person has been alive since it was revoked, and stays so.
    assert done(world, "front.1", back["id"], "resubmit")["state"] == "proposed"
    assert approved(world, back["id"])["state"] == "manager_approved"
    now = row(world, member)
    assert (now["presence"], now["hold_change_id"]) == ("found", None)


def test_only_a_supervisor_of_the_city_without_part_in_it_revokes_a_death(world: World) -> None:
    member = somebody(world)
    refused(revoke(world, OTHER_SUPERVISOR, member), 409, "not_reported_dead")
    found = reported(world, member)
    done(world, SUPERVISOR, found["id"], "approve")
    refused(revoke(world, SUPERVISOR, member), 403, "four_eyes")
    for who in (DESK, "front.1", "facilitator.wates.1"):
        refused(revoke(world, who, member), 403, "role_not_allowed")
    for who in ("head", "program.1", "admin"):
        refused(revoke(world, who, member), 403, "role_not_allowed")
    assert held(world, member) == found["id"]
    assert revoke(world, MANAGER, member).json()["state"] == "withdrawn"


def test_a_revoked_death_answers_the_complaint_that_waited_for_it(world: World) -> None:
    member = somebody(world)
    complaint = death_report(world, member)
    complaint_done(world, "front.1", complaint["id"], "submit_without_visit")
    complaint_done(world, SUPERVISOR, complaint["id"], "approve")
    sent = complaint_done(world, MANAGER, complaint["id"], "forward")
    [referral_id] = sent["referral_ids"]
    assert act_on_referral(world, "front.1", referral_id, "cancel", reason="Masih hidup").is_success
    assert revoke(world, OTHER_SUPERVISOR, member).status_code == 201
    after = world.as_("front.1").get(f"/complaints/{complaint['id']}").json()
    assert (after["state"], after["outcome"]) == ("answered", "cancelled")
    assert events(world, complaint["id"])[-1]["action"] == "settle"


def test_a_death_the_centre_declined_is_undone_or_said_again(world: World) -> None:
    member = somebody(world)
    found = reported(world, member)
    approved(world, found["id"])
    world.fetch("update registry_changes set state = 'declined' where id = $1", found["id"])
    again = done(
        world, "front.1", found["id"], "resubmit",
        data={"evidence": [{"kind": "death_certificate", "reference": "AM.1"}]},
    )  # fmt: skip
    assert (again["state"], again["evidence"][0]["reference"]) == ("proposed", "AM.1")
    version = row(world, member)["version"]
    done(world, SUPERVISOR, found["id"], "approve")
    # Believed already: nothing is said twice.
    assert row(world, member)["version"] == version
    done(world, MANAGER, found["id"], "approve")
    world.fetch("update registry_changes set state = 'declined' where id = $1", found["id"])
    refused(act(world, SUPERVISOR, found["id"], "undo"), 403, "four_eyes")
    assert done(world, OTHER_SUPERVISOR, found["id"], "undo")["state"] == "withdrawn"
    now = row(world, member)
    assert (now["presence"], now["died_on"], now["hold_change_id"]) == ("found", None, None)


def test_a_report_that_is_withdrawn_as_a_draft_held_nobody(world: World) -> None:
    member = somebody(world)
    complaint = bring(world, "at_secretariat")
    draft_referral(world, "front.1", complaint)
    found = reported(world, member, "front.1", complaint_id=complaint["id"])
    done(world, "front.1", found["id"], "withdraw")
    assert types(world, member) == []


def test_a_revocation_says_of_whom(world: World) -> None:
    answer = propose(world, SUPERVISOR, kind="revoke_death")
    assert (answer.status_code, answer.json()["code"]) == (422, "target_mismatch")
