"""Storms: what many do at once has one outcome. One test per invariant."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from app.database import create_sessions
from app.domain.actors import SYSTEM
from app.domain.base import new_id, region_columns, slrt_now
from app.domain.events import Event, Events
from tests.conftest import TLS, Cluster, World, serve
from tests.flows import (
    WATES,
    act_on_referral,
    bring,
    done,
    draft,
    etag,
    facilitator_id,
    file,
    get,
    key,
    save_survey,
    survey_body,
)

SUPERVISOR = "supervisor.magersari"


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world in which one person may ask very often."""
    with (
        cluster.clone() as database,
        serve(cluster, database, rate_per_minute=10**6, rate_burst=10**6) as world,
    ):
        yield world


@dataclass(frozen=True)
class Call:
    """One request of a storm."""

    who: str
    method: str
    path: str
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    def sent_as(self, token: str) -> dict[str, Any]:
        """Method, URL, headers and content: the same bytes each time it is sent."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return {
            "method": self.method,
            "url": f"/v1{self.path}",
            "headers": headers | self.headers,
            "content": json.dumps(self.body).encode(),
        }


def action(who: str, path: str, name: str, if_match: str, **body: Any) -> Call:
    headers = {"If-Match": if_match} | key()
    return Call(who, "POST", f"{path}/actions", {"action": name} | body, headers)


async def at_once(world: World, calls: Sequence[Call]) -> list[httpx.Response]:
    """Send all at the same time; the answers in the order of the calls.

    Who is told that the server is too busy sends the same again, as a client should.
    """
    requests = [call.sent_as(world.token(call.who)) for call in calls]
    async with client_of(world) as client:

        async def answered(request: dict[str, Any]) -> httpx.Response:
            answer = await client.request(**request)
            while answer.status_code == 503:
                await asyncio.sleep(int(answer.headers["retry-after"]))
                answer = await client.request(**request)
            return answer

        return await asyncio.gather(*(answered(request) for request in requests))


def client_of(world: World) -> httpx.AsyncClient:
    """A client with as many connections as there are requests."""
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=world.base_url, timeout=60, limits=limits, verify=TLS)


def sign_in_again(world: World) -> None:
    """Tokens last ten minutes, and some storms longer."""
    world.close()
    world.clients.clear()
    world.tokens.clear()


def statuses(answers: Iterable[httpx.Response]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def one_of(answers: Sequence[httpx.Response]) -> httpx.Response:
    """The winner; everybody else was told that it has changed, or is not possible any more."""
    winners = [answer for answer in answers if answer.is_success]
    assert len(winners) == 1, statuses(answers)
    losers = {answer.status_code for answer in answers if not answer.is_success}
    assert losers <= {409, 412}, statuses(answers)
    return winners[0]


async def count(world: World, sql: str, *arguments: Any) -> int:
    found: int = (await world.afetch(f"select count(*) from {sql}", *arguments))[0][0]
    return found


async def events_of(world: World, id: str, *types: str) -> int:
    return await count(
        world, "events where subject_id = $1 and type = any($2)", UUID(id), list(types)
    )


async def is_kept(world: World, answer: httpx.Response) -> bool:
    """Whether the version that a success speaks of is in the row, with its event."""
    body = answer.json()
    body = body.get("complaint", body)
    rows = await world.afetch(
        "select 1 from complaints c where id = $1 and version >= $2 and exists"
        " (select from events e where e.subject_id = c.id and e.subject_version = $2)",
        UUID(body["id"]),
        body["version"],
    )
    return bool(rows)


def someone(world: World, number: int) -> list[dict[str, Any]]:
    """A need that is the same in every survey that names it: PKH for a person by number."""
    whom = {"name": "Siti Aminah", "national_id": f"357602450784{9100 + number}"}
    return [{"program_code": "PKH", "purpose": "enrol", "beneficiary": whom}]


def surveyed(world: World, needs: list[dict[str, Any]]) -> dict[str, Any]:
    """A complaint that waits for the supervisor, with these needs."""
    id = bring(world, "assigned")["id"]
    assert save_survey(world, id, program_needs=needs).status_code == 200
    return done(world, "facilitator.wates.1", id, "submit_survey")


# One decision per step


async def decide(world: World, at_the_same_time: int) -> None:
    """One complaint, many approvals of the same version: one is made."""
    id = bring(world, "awaiting_supervisor")["id"]
    path = f"/complaints/{id}"
    version = etag(world, SUPERVISOR, path)
    calls = [action(SUPERVISOR, path, "approve", version) for _ in range(at_the_same_time)]
    winner = one_of(await at_once(world, calls))
    assert await is_kept(world, winner)
    assert await events_of(world, id, "complaint.approved") == 1
    assert get(world, SUPERVISOR, id)["state"] == "awaiting_manager"


async def test_of_sixty_decisions_on_one_complaint_one_is_made(world: World) -> None:
    await decide(world, 60)


@pytest.mark.deep
async def test_of_sixty_decisions_on_each_of_200_complaints_one_is_made(world: World) -> None:
    before = await count(world, "events where type = 'complaint.approved'")
    for number in range(200):
        if number % 40 == 0:
            sign_in_again(world)
        await decide(world, 60)
    assert await count(world, "events where type = 'complaint.approved'") == before + 200


async def test_opposite_decisions_on_one_complaint_leave_one(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    path = f"/complaints/{id}"
    version = etag(world, SUPERVISOR, path)
    calls = [
        action(SUPERVISOR, path, "approve", version),
        action(SUPERVISOR, path, "answer", version, note="Sudah dijelaskan kepada warga."),
        action(SUPERVISOR, path, "return_for_correction", version, note="Lengkapi lantai rumah."),
        action(SUPERVISOR, path, "reject", version, note="Tidak benar.", reason="other"),
    ] * 3
    winner = one_of(await at_once(world, calls))
    assert await is_kept(world, winner)
    assert get(world, "front.1", id)["state"] == winner.json()["state"]
    decisions = ("approved", "answered", "returned", "rejected")
    assert await events_of(world, id, *(f"complaint.{word}" for word in decisions)) == 1


async def test_two_assignments_at_once_send_one_facilitator(world: World) -> None:
    id = bring(world, "at_secretariat")["id"]
    path = f"/complaints/{id}"
    version = etag(world, "front.1", path)
    chosen = [facilitator_id(world, f"facilitator.wates.{n}") for n in (1, 2)]
    calls = [
        action(who, path, "assign", version, data={"facilitator_id": one})
        for who, one in zip(("front.1", "front.2"), chosen, strict=True)
    ]
    winner = one_of(await at_once(world, calls))
    assigned = UUID(winner.json()["assigned_to"]["id"])
    rows = await world.afetch("select * from assignments where complaint_id = $1", UUID(id))
    assert [row["facilitator_id"] for row in rows] == [assigned]
    told = await world.afetch(
        "select principal_id from notifications where subject_id = $1 and step = 'assigned'",
        UUID(id),
    )
    assert [row["principal_id"] for row in told] == [assigned]
    assert await events_of(world, id, "complaint.assigned") == 1


async def test_two_changes_from_one_version_leave_one(world: World) -> None:
    complaint = file(world)
    path = f"/complaints/{complaint['id']}"
    version = etag(world, "puskesos.wates", path)
    calls = [
        Call("puskesos.wates", "PATCH", path, {"narrative": text}, {"If-Match": version} | key())
        for text in ("Yang pertama.", "Yang kedua.")
    ]
    answers = await at_once(world, calls)
    assert statuses(answers) == [200, 412]
    winner = one_of(answers)
    assert await is_kept(world, winner)
    found = get(world, "puskesos.wates", complaint["id"])
    assert found["narrative"] == winner.json()["narrative"]
    assert await events_of(world, complaint["id"], "complaint.changed") == 1


async def test_two_saves_of_a_survey_from_one_version_leave_one(world: World) -> None:
    id = bring(world, "assigned")["id"]
    assert save_survey(world, id).status_code == 200
    path, who = f"/complaints/{id}/survey", "facilitator.wates.1"
    for _ in range(3):
        version = etag(world, who, path)
        calls = [
            Call(who, "PUT", path, survey_body(world, other_needs=[{"text": text}]), headers)
            for text in ("Beras.", "Atap.")
            if (headers := {"If-Match": version})
        ]
        answers = await at_once(world, calls)
        assert statuses(answers) == [200, 412]
        saved = world.as_(who).get(path)
        assert saved.json()["other_needs"] == one_of(answers).json()["other_needs"]
        assert saved.headers["etag"] == f'"{int(version[1:-1]) + 1}"'
    assert await events_of(world, id, "survey.saved") == 4


async def test_the_first_two_saves_of_a_survey_leave_one(world: World) -> None:
    id = bring(world, "assigned")["id"]
    path = f"/complaints/{id}/survey"
    call = Call(
        "facilitator.wates.1",
        "PUT",
        path,
        survey_body(world),
        {"If-Match": etag(world, "front.1", path)},
    )
    assert statuses(await at_once(world, [call] * 4)) == [200, 412, 412, 412]
    assert await count(world, "surveys where complaint_id = $1", UUID(id)) == 1


# Referrals


async def test_a_grant_and_a_cancellation_at_once_leave_one(world: World) -> None:
    for _ in range(3):
        complaint = bring(world, "forwarded")
        (referral_id,) = complaint["referral_ids"]
        path = f"/referrals/{referral_id}"
        version = etag(world, "manager", path)
        winner = one_of(
            await at_once(
                world,
                [
                    action("program.1", path, "grant", version),
                    action("manager", path, "cancel", version, reason="Tidak perlu lagi."),
                ],
            )
        )
        state = winner.json()["state"]
        assert world.as_("manager").get(path).json()["state"] == state
        answers = ("referral.granted", "referral.cancelled")
        assert await events_of(world, referral_id, *answers) == 1
        settled = get(world, "manager", complaint["id"])
        assert (settled["state"], settled["outcome"]) == ("answered", state)
        assert await events_of(world, complaint["id"], "complaint.settled") == 1


async def test_one_need_approved_twice_at_once_is_opened_once_and_linked(world: World) -> None:
    for number in range(3):
        needs = someone(world, number)
        ids = [surveyed(world, needs)["id"] for _ in range(3)]
        calls = [
            action(SUPERVISOR, path, "approve", etag(world, SUPERVISOR, path))
            for path in (f"/complaints/{id}" for id in ids)
        ]
        answers = await at_once(world, calls)
        assert statuses(answers) == [200, 200, 200]
        held = [get(world, "manager", id)["referral_ids"] for id in ids]
        # Each holds the same one, and the drafts that lost are cancelled.
        (opened,) = held[0]
        assert held == [[opened]] * 3
        rows = await world.afetch(
            "select state, reason from referrals where complaint_id = any($1)",
            [UUID(id) for id in ids],
        )
        found = Counter((row["state"], row["reason"]) for row in rows)
        assert found == {("approved", None): 1, ("cancelled", "linked"): 2}
        assert await events_of(world, opened, "referral.linked") == 2


async def test_the_grant_of_a_shared_referral_settles_all_who_hold_it(world: World) -> None:
    needs = someone(world, 10)
    ids = [surveyed(world, needs)["id"] for _ in range(3)]
    for id in ids:
        done(world, SUPERVISOR, id, "approve")
    first, second, third = ids
    # The first is sent and the second too, before the owner answers; the third as it answers.
    (referral_id,) = done(world, "manager", first, "forward")["referral_ids"]
    done(world, "manager", second, "forward")
    paths = f"/referrals/{referral_id}", f"/complaints/{third}"
    answers = await at_once(
        world,
        [
            action("program.1", paths[0], "grant", etag(world, "program.1", paths[0])),
            action("manager", paths[1], "forward", etag(world, "manager", paths[1])),
        ],
    )
    assert statuses(answers) == [200, 200]
    for id in ids:
        settled = get(world, "manager", id)
        assert (settled["state"], settled["outcome"]) == ("answered", "granted")
        assert await events_of(world, id, "complaint.settled") == 1
    assert await events_of(world, referral_id, "referral.granted") == 1


async def test_an_owner_that_answers_twice_at_once_is_heard_once(world: World) -> None:
    (referral_id,) = bring(world, "forwarded")["referral_ids"]
    path = f"/referrals/{referral_id}"
    version = etag(world, "program.1", path)
    calls = [action("program.1", path, "grant", version) for _ in range(10)]
    one_of(await at_once(world, calls))
    assert await events_of(world, referral_id, "referral.granted") == 1
    assert act_on_referral(world, "program.1", referral_id, "grant").status_code == 409


# A retry never doubles


async def cut(world: World, call: Call, after: float, half: bool) -> None:
    """Send a request (or half of it) and hang up without waiting for the answer."""
    request = call.sent_as(world.token(call.who))
    body = request["content"]
    lines = {"Host": "slrt", "Content-Length": str(len(body))} | request["headers"]
    head = f"{request['method']} {request['url']} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    port = int(world.base_url.rsplit(":", 1)[1])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + b"\r\n" + body[: len(body) // 2 if half else len(body)])
    await writer.drain()
    await asyncio.sleep(after)
    writer.transport.abort()


async def insist(client: httpx.AsyncClient, world: World, call: Call) -> httpx.Response:
    """Send until there is an answer: what a client does that was told to try again."""
    request = call.sent_as(world.token(call.who))
    for _ in range(400):
        answer = await client.request(**request)
        under_way = answer.status_code == 409 and answer.json()["code"] == "idempotency_key_in_use"
        if not under_way and answer.status_code != 503:
            return answer
        assert answer.headers["retry-after"] == "1"
        await asyncio.sleep(0.05)
    raise AssertionError("the same request is under way for ever")


async def retry(world: World, keys: int, copies: int, groups: int) -> Counter[str]:
    """Many copies of each request at once, a fifth of them cut and sent again."""
    found: Counter[str] = Counter()
    rng = random.Random(20261124)
    async with client_of(world) as client:

        async def copy(call: Call, cut_after: float | None, half: bool) -> httpx.Response:
            if cut_after is not None:
                found["cut"] += 1
                await cut(world, call, cut_after, half)
            return await insist(client, world, call)

        refs: list[str] = []
        for _ in range(keys // groups):
            sign_in_again(world)
            calls = [
                Call("puskesos.wates", "POST", "/complaints", draft(), key()) for _ in range(groups)
            ]
            refs += [call.body["client_ref"] for call in calls]
            plan = [
                (call, rng.uniform(0, 0.05) if rng.random() < 0.2 else None, rng.random() < 0.3)
                for call in calls
                for _ in range(copies)
            ]
            answers = await asyncio.gather(*(copy(*one) for one in plan))
            for n in range(groups):
                same = answers[n * copies : (n + 1) * copies]
                assert {answer.status_code for answer in same} == {201}
                assert len({answer.text for answer in same}) == 1
                assert len({answer.headers["etag"] for answer in same}) == 1
                replayed = sum("idempotency-replayed" in answer.headers for answer in same)
                # At most one copy made it; its answer may have been one of those cut.
                assert replayed >= copies - 1
                found["replayed"] += replayed
                found["answers"] += len(same)
    rows = "complaints where client_ref = any($1)"
    found["rows"] = await count(world, rows, refs)
    found["events"] = await count(
        world,
        "events join complaints on complaints.id = events.subject_id"
        " where events.type = 'complaint.submitted' and client_ref = any($1)",
        refs,
    )
    return found


async def test_five_copies_of_a_request_at_once_make_one_complaint(world: World) -> None:
    found = await retry(world, keys=20, copies=5, groups=20)
    assert (found["rows"], found["events"], found["answers"]) == (20, 20, 100)
    assert found["cut"] > 5


@pytest.mark.deep
async def test_25_copies_of_each_of_200_requests_make_200_complaints(world: World) -> None:
    found = await retry(world, keys=200, copies=25, groups=8)
    print(dict(found))  # noqa: T201
    assert (found["rows"], found["events"], found["answers"]) == (200, 200, 5000)
    assert found["cut"] > 800


async def test_one_client_ref_under_five_keys_at_once_makes_one_complaint(world: World) -> None:
    body = draft()
    calls = [Call("puskesos.wates", "POST", "/complaints", body, key()) for _ in range(5)]
    answers = await at_once(world, calls)
    assert statuses(answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["complaint"]["id"] for answer in answers}) == 1
    assert len({answer.text for answer in answers}) == 1
    assert await count(world, "complaints where client_ref = $1", body["client_ref"]) == 1
    # Each key remembers its own answer.
    again = await at_once(world, calls)
    assert [one.status_code for one in again] == [one.status_code for one in answers]


async def test_one_client_ref_for_two_things_at_once_keeps_one(world: World) -> None:
    ref = draft()["client_ref"]
    calls = [
        Call("puskesos.wates", "POST", "/complaints", draft(client_ref=ref, narrative=text), key())
        for text in ("Yang pertama.", "Yang kedua.")
    ]
    answers = await at_once(world, calls)
    assert statuses(answers) == [201, 409]
    assert {one.json()["code"] for one in answers if one.is_error} == {"client_ref_taken"}
    assert await count(world, "complaints where client_ref = $1", ref) == 1


async def test_copies_of_an_action_at_once_are_one_action(world: World) -> None:
    id = bring(world, "awaiting_supervisor")["id"]
    path = f"/complaints/{id}"
    call = action(SUPERVISOR, path, "approve", etag(world, SUPERVISOR, path))
    async with client_of(world) as client:
        answers = await asyncio.gather(*(insist(client, world, call) for _ in range(5)))
    assert statuses(answers) == [200] * 5
    assert len({answer.text for answer in answers}) == 1
    assert await events_of(world, id, "complaint.approved") == 1


async def test_every_success_of_a_storm_has_its_row_and_its_event(world: World) -> None:
    filed = [file(world) for _ in range(10)]
    calls = [Call("puskesos.wates", "POST", "/complaints", draft(), key()) for _ in range(40)]
    for one in filed:
        path = f"/complaints/{one['id']}"
        version = {"If-Match": f'"{one["version"]}"'}
        address = {"reporter": {"address": "Jl. Wates 1"}}
        calls += [
            Call("puskesos.wates", "PATCH", path, {"narrative": "Lain."}, version | key()),
            Call("front.1", "PATCH", path, address, version | key()),
            action("front.2", path, "resolve_now", version["If-Match"], note="Sudah dijawab."),
            action(
                "puskesos.wates", path, "request_documents", version["If-Match"],
                data={"missing": ["family_card"]},
            ),
        ]  # fmt: skip
    random.Random(20261124).shuffle(calls)
    answers = await at_once(world, calls)
    kept = [answer for answer in answers if answer.is_success]
    assert len(kept) == 50
    assert {answer.status_code for answer in answers if answer.is_error} <= {409, 412}
    for answer in kept:
        assert await is_kept(world, answer)
    # And no row without its first event.
    assert not await count(
        world,
        "complaints c where not exists (select from events e where e.subject_id = c.id"
        " and e.type = 'complaint.submitted' and e.subject_version = 1)",
    )


# Accounts


async def test_one_user_name_given_twice_at_once_is_given_once(world: World) -> None:
    body = {
        "username": f"new.{uuid4().hex[:8]}",
        "name": "Baru",
        "password": "a-long-password",
        "roles": [{"role": "front_office", "region_codes": ["35.76"]}],
    }
    calls = [Call("admin", "POST", "/users", body, key()) for _ in range(5)]
    answers = await at_once(world, calls)
    assert statuses(answers) == [201, 409, 409, 409, 409]
    assert {one.json()["code"] for one in answers if one.is_error} == {"username_taken"}
    assert await count(world, "principals where username = $1", body["username"]) == 1
    (made,) = (one.json()["id"] for one in answers if one.is_success)
    assert await events_of(world, made, "account.created") == 1


async def test_two_changes_of_an_account_from_one_version_leave_one(world: World) -> None:
    body = {
        "username": f"client.{uuid4().hex[:8]}",
        "name": "Klien",
        "secret": "a-long-secret",
        "scopes": ["referrals:read"],
        "region_codes": ["35.76"],
        "program_codes": ["PKH"],
    }
    made = world.as_("admin").post("/clients", json=body, headers=key())
    path, version = f"/clients/{made.json()['id']}", {"If-Match": made.headers["etag"]}
    calls = [Call("admin", "PATCH", path, {"name": name}, version) for name in ("Satu", "Dua")]
    answers = await at_once(world, calls)
    assert statuses(answers) == [200, 412]
    assert world.as_("admin").get(path).json()["name"] == one_of(answers).json()["name"]


async def test_two_admins_who_shut_each_other_out_at_once_leave_one(fresh_world: World) -> None:
    world = fresh_world
    # Each commit takes a while, so that both have looked around before either is done.
    await asyncio.to_thread(
        world.cluster.execute,
        world.database,
        "create function dawdle() returns trigger language plpgsql"
        " as $$ begin perform pg_sleep(0.3); return null; end $$;"
        "create constraint trigger dawdle after update on principals"
        " deferrable initially deferred for each row execute function dawdle()",
    )
    second = {
        "username": "admin.2",
        "name": "Admin Kedua",
        "password": "mojokerto-2026",
        "roles": [{"role": "admin"}],
    }
    made = world.as_("admin").post("/users", json=second, headers=key()).json()
    me = world.as_("admin").get("/me").json()
    out = {"active": False}
    calls = [
        Call("admin", "PATCH", f"/users/{made['id']}", out, {"If-Match": '"1"'}),
        Call("admin.2", "PATCH", f"/users/{me['id']}", out, {"If-Match": '"1"'}),
    ]
    answers = await at_once(world, calls)
    assert statuses(answers) == [200, 409]
    assert {one.json()["code"] for one in answers if one.is_error} == {"last_admin"}
    assert await count(world, "principals where username like 'admin%' and active") == 1


# The log


@dataclass
class Log:
    """Writers, numberers and readers on the event log of a world, and what they saw."""

    world: World
    subjects: list[UUID]
    versions: Counter[UUID] = field(default_factory=Counter)
    committed: list[UUID] = field(default_factory=list)
    numbered: int = 0
    writing: bool = True

    def __post_init__(self) -> None:
        # Without the time-outs of the API: here whoever has to wait, waits.
        self.engine = create_async_engine(self.world.url, pool_size=125, pool_timeout=60)
        self.sessions = create_sessions(self.engine, self.world.cluster.keys.data)

    async def append(self, session: Any, subject: UUID) -> Event:
        """An event of a subject that is held until commit."""
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(str(subject)))
        await session.execute(sa.select(lock))
        event = Event(
            type="test.happened", collection="tests", subject_id=subject,
            subject_version=self.versions[subject] + 1, actor_id=SYSTEM.id,
            at=await slrt_now(session), **region_columns(WATES),
        )  # fmt: skip
        Events(session).append(event)
        await session.flush()
        return event

    async def write(self, number: int, rng: random.Random) -> None:
        while number:
            subject = rng.choice(self.subjects)
            async with self.sessions() as session:
                event = await self.append(session, subject)
                await asyncio.sleep(rng.uniform(0, 0.004))
                if rng.random() < 0.1:
                    # A number of the sequence that never comes.
                    await session.rollback()
                    continue
                self.versions[subject] += 1
                await session.commit()
            self.committed.append(event.id)
            number -= 1

    async def keep_numbering(self) -> None:
        while self.writing:
            async with self.sessions.begin() as session:
                count = await Events(session).number(limit=200)
            self.numbered += count or 0
            await asyncio.sleep(0.01)

    async def number_the_rest(self) -> None:
        count: int | None = 1
        # None: somebody else is at it; there may be more for us.
        while count != 0:
            async with self.sessions.begin() as session:
                count = await Events(session).number()
            self.numbered += count or 0

    async def follow(self) -> list[tuple[int, UUID, UUID, int]]:
        """Read by position until nothing comes after the end."""
        seen: list[tuple[int, UUID, UUID, int]] = []
        last_round = False
        while True:
            over = not self.writing
            async with self.sessions() as session:
                rows = await session.execute(
                    sa.text(
                        "select pos, id, subject_id, subject_version from events"
                        " where pos > :after and type = 'test.happened' order by pos limit 300"
                    ),
                    {"after": seen[-1][0] if seen else 0},
                )
                new = [tuple(row) for row in rows]
            seen += new  # type: ignore[arg-type]
            if over and not new:
                if last_round:
                    return seen
                await self.number_the_rest()
                last_round = True
            await asyncio.sleep(0.01)

    async def run(self, writers: int, numberers: int, events: int) -> list[list[Any]]:
        """One transaction is held open the whole time, and commits last."""
        rng = random.Random(20261124)
        held_subject = new_id()
        async with self.sessions() as held:
            late = await self.append(held, held_subject)
            async with asyncio.TaskGroup() as background:
                for _ in range(numberers):
                    background.create_task(self.keep_numbering())
                readers = [background.create_task(self.follow()) for _ in range(4)]
                async with asyncio.TaskGroup() as group:
                    for _ in range(writers):
                        group.create_task(
                            self.write(events // writers, random.Random(rng.random()))
                        )
                await self.number_the_rest()
                # Whoever is still writing holds up nobody else's events.
                waiting = await count(self.world, "events where pos is null")
                assert waiting == 0
                await held.commit()
                self.committed.append(late.id)
                self.writing = False
        return [reader.result() for reader in readers]


async def follow_the_log(world: World, writers: int, numberers: int, events: int) -> Log:
    log = Log(world, [new_id() for _ in range(max(2, writers // 3))])
    try:
        seen_by_all = await log.run(writers, numberers, events)
    finally:
        await log.engine.dispose()
    assert len(log.committed) == events + 1
    for seen in seen_by_all:
        positions = [row[0] for row in seen]
        assert positions == sorted(set(positions)), "a position twice, or going back"
        # Nothing missed, nothing twice.
        assert Counter(row[1] for row in seen) == Counter(log.committed)
        order: dict[UUID, list[int]] = {}
        for _, _, subject, version in seen:
            order.setdefault(subject, []).append(version)
        for versions in order.values():
            assert versions == list(range(1, len(versions) + 1)), "a subject out of order"
    return log


async def test_readers_of_the_log_miss_nothing_and_see_nothing_twice(fresh_world: World) -> None:
    log = await follow_the_log(fresh_world, writers=12, numberers=3, events=600)
    assert log.numbered >= 601


@pytest.mark.deep
async def test_100_writers_and_8_numberers_of_10000_events_miss_nothing(
    fresh_world: World,
) -> None:
    log = await follow_the_log(fresh_world, writers=100, numberers=8, events=10_000)
    assert log.numbered >= 10_001
