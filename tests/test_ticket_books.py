"""Tickets reserved for where there is no signal: used once, asked for before they come."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, World
from tests.flows import draft, events, hire, key, told_steps
from tests.refusals import faults, refused
from tests.test_tablets import FIRST, SECOND, SUPERVISOR, register, replayed, send

Json = dict[str, Any]


def reserve(world: World, who: str = FIRST, headers: Any = None, **body: Any) -> httpx.Response:
    return world.as_(who).post(
        "/ticket-books", json={"count": 2} | body, headers=key() | (headers or {})
    )


def ask(world: World, ticket: str, pin: str) -> bool:
    """As a citizen: whether the number is right, and its report has not come."""
    answer = world.anyone.post(f"/v1/public/tickets/{ticket}/status", json={"pin": pin})
    return bool(answer.json().get("code") == "ticket_not_arrived")


def test_a_ticket_given_out_without_signal_is_the_complaints_own(world: World) -> None:
    device, headers = register(world), key()
    body = {"count": 50, "device_id": device["id"]}
    made = world.as_(FIRST).post("/ticket-books", json=body, headers=headers)
    assert made.status_code == 201, made.text
    book = made.json()
    assert len({one["ticket"] for one in book["tickets"]}) == 50
    again = world.as_(FIRST).post("/ticket-books", json=body, headers=headers)
    assert replayed(again)
    assert again.json() == book
    mine = book["tickets"][7]
    filed = send(world, device, 1, ticket=mine["ticket"])
    assert filed.status_code == 201, filed.text
    receipt = filed.json()["receipt"]
    assert (receipt["ticket"], receipt["pin"]) == (mine["ticket"], mine["pin"])
    assert events(world, filed.json()["complaint"]["id"])
    shown = world.as_(SUPERVISOR).get(made.headers["location"].removeprefix("/v1"))
    assert "pin" not in shown.text.replace("pending", "")
    used = [one for one in shown.json()["tickets"] if one["used_at"]]
    assert [one["ticket"] for one in used] == [mine["ticket"]]
    hidden = world.as_(SECOND).get(made.headers["location"].removeprefix("/v1"))
    assert hidden.status_code == 404


def test_each_ticket_is_used_once_whoever_comes_together(world: World) -> None:
    book = reserve(world, pad="Buku 3, Wates").json()
    ticket = book["tickets"][0]["ticket"]

    async def storm() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=f"{world.base_url}/v1", verify=TLS, timeout=30,
            headers={"Authorization": f"Bearer {world.token(FIRST)}"},
        ) as client:  # fmt: skip
            return await asyncio.gather(
                *(
                    client.post("/complaints", json=draft(ticket=ticket), headers=key())
                    for _ in range(5)
                )
            )

    answers = asyncio.run(storm())
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]
    assert {one.json()["code"] for one in answers if one.is_error} == {"ticket_used"}
    body = draft(ticket=book["tickets"][1]["ticket"])
    first = world.as_(FIRST).post("/complaints", json=body, headers=key())
    again = world.as_(FIRST).post("/complaints", json=body, headers=key())
    assert (again.status_code, replayed(again)) == (200, True)
    assert again.json()["receipt"] == first.json()["receipt"]


def test_what_is_refused_uses_no_ticket(world: World) -> None:
    ticket = reserve(world, pad="Buku 4").json()["tickets"][0]["ticket"]
    bad = draft(ticket=ticket, program_code="NOPE")
    refused(world.as_(FIRST).post("/complaints", json=bad, headers=key()), 422, "unknown_program")
    good = draft(ticket=ticket)
    assert world.as_(FIRST).post("/complaints", json=good, headers=key()).status_code == 201


def test_tickets_of_others_or_none_are_refused(world: World) -> None:
    unknown = draft(ticket="3576-2026-999999-1")
    answer = world.as_(FIRST).post("/complaints", json=unknown, headers=key())
    refused(answer, 422, "unknown_ticket")
    ticket = reserve(world, pad="Kota lain").json()["tickets"][0]["ticket"]
    world.fetch("update ticket_books set regency_code = '35.73' where pad = 'Kota lain'")
    answer = world.as_(FIRST).post("/complaints", json=draft(ticket=ticket), headers=key())
    refused(answer, 422, "unknown_ticket")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/device_id": "missing"}),
        ({"pad": "A", "device_id": "0190c5a0-0000-7000-8000-000000000000"},
            {"/device_id": "invalid"}),
        ({"device_id": "0190c5a0-0000-7000-8000-000000000000"}, {"/device_id": "device_unknown"}),
        ({"pad": "A", "regency_code": "35.73"}, {"/regency_code": "unknown_region"}),
        ({"pad": "A", "count": 51}, {"/count": "too_large"}),
    ],
)  # fmt: skip
def test_a_book_is_for_one_tablet_or_pad(world: World, body: Json, wrong: dict[str, str]) -> None:
    answer = reserve(world, **body)
    assert answer.status_code == 422
    assert faults(answer) == wrong


def test_who_files_for_a_province_says_for_which_city(world: World) -> None:
    hire(world, "of.the.province", ("front_office", "35"))
    assert faults(reserve(world, "of.the.province", pad="A")) == {"/regency_code": "missing"}
    assert reserve(world, "of.the.province", pad="A", regency_code="35.76").status_code == 201
    refused(reserve(world, SUPERVISOR, pad="A"), 403, "role_not_allowed")


def test_a_ticket_asked_for_that_has_not_come_is_told_once(fresh_world: World) -> None:
    world = fresh_world
    device = register(world, SECOND)
    first = reserve(world, SECOND, device_id=device["id"]).json()
    pad = reserve(world, pad="Buku 1").json()
    here, later, unasked = first["tickets"][0], first["tickets"][1], pad["tickets"][0]
    send(world, device, 1, SECOND, ticket=here["ticket"])
    wrong = f"{(int(later['pin']) + 1) % 1_000_000:06d}"
    assert not ask(world, later["ticket"], wrong)
    assert not ask(world, "3576-2026-999999-1", "000000")
    assert not ask(world, here["ticket"], here["pin"])
    assert world.sweep("missing_uploads")["found"] == 0
    assert ask(world, later["ticket"], later["pin"])
    assert ask(world, pad["tickets"][1]["ticket"], pad["tickets"][1]["pin"])
    assert world.sweep("missing_uploads")["acted"] == 2
    assert ask(world, later["ticket"], later["pin"])
    assert world.sweep("missing_uploads")["found"] == 0
    assert told_steps(world, SECOND, first["id"]) == ["missing_uploads"]
    assert told_steps(world, FIRST, pad["id"]) == ["missing_uploads"]
    assert told_steps(world, SUPERVISOR, first["id"]) == ["missing_uploads"]
    shown = world.as_("front.1").get(f"/ticket-books/{pad['id']}").json()["tickets"]
    assert {one["ticket"]: bool(one["asked_at"]) for one in shown}[unasked["ticket"]] is False
    # It comes at last.
    assert send(world, device, 2, SECOND, ticket=later["ticket"]).status_code == 201
    assert not ask(world, later["ticket"], later["pin"])
