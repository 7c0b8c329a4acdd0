"""Referral letters: what they say, that anybody can check them, and that nothing else is told."""

from typing import Any
from uuid import UUID

import httpx
import pypdfium2
import pytest
import zxingcpp

from tests.conftest import Cluster, World, serve
from tests.flows import act_on_referral, done, family
from tests.referring import FIRST, OWNER, Json, approved, did, forwarded, named, need, referral
from tests.refusals import refused

PUBLIC = "https://slrt.example.id"


def letter(world: World, id: str, who: str = "front.1") -> httpx.Response:
    return world.as_(who).get(f"/referrals/{id}/letter")


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        assert len(document) == 1
        return " ".join(document[0].get_textpage().get_text_range().split())


def code_of(pdf: bytes) -> str:
    """What the QR code on a letter says, read from the printed page."""
    with pypdfium2.PdfDocument(pdf) as document:
        [found] = zxingcpp.read_barcodes(document[0].render(scale=3).to_pil())
    return str(found.text)


def check(world: World, url: str) -> Any:
    answer = world.anyone.get(url.removeprefix(world.base_url).removeprefix(PUBLIC))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return answer.json()


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Any:
    """A world that is reached by a public address."""
    with cluster.clone() as database, serve(cluster, database, public_url=PUBLIC) as world:
        yield world


def test_a_letter_says_who_is_referred_where_and_by_whom_with_ids_masked(world: World) -> None:
    person = family(world)
    whole = {"program_code": "BPNT", "beneficiary": {"household_id": person["household_id"]}}
    complaint = forwarded(world, need(person), whole, named("Bu Nur'aini é <b>", "PIP"))
    first, home, name = complaint["referral_ids"]
    answer = letter(world, first)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["etag"] == f'"{referral(world, first)["version"]}"'
    text = text_of(answer.content)
    number = person["national_id"]
    card = person["family_card_number"]
    manager = world.as_("manager").get("/me").json()["name"]
    for wanted in (
        "SURAT RUJUKAN", f"{complaint['ticket']}/PKH", "Program Keluarga Harapan (PKH)",
        "Kementerian Sosial", person["name"], f"{number[:4]}********{number[-4:]}",
        f"{card[:4]}********{card[-4:]}", "Wates", "Magersari", "KOTA MOJOKERTO", manager,
        "Pendaftaran sebagai penerima",
    ):  # fmt: skip
        assert wanted in text
    assert any(month in text for month in ("November 2026", "Desember 2026"))
    assert number not in text
    assert card not in text
    assert f"Keluarga {head_of(world, person)[1]}" in text_of(letter(world, home).content)
    assert "Bu Nur'aini é <b>" in text_of(letter(world, name).content)
    # Whoever sees the referral reads its letter; the same bytes each time.
    for who in ("agency-pkh", FIRST, OWNER, "manager"):
        assert letter(world, first, who).content == answer.content
    assert letter(world, first, "facilitator.wates.2").status_code == 404


def test_anybody_checks_a_letter_by_its_code_and_learns_no_more(world: World) -> None:
    ids = forwarded(world, *(named(f"Bu {n}", "PIP") for n in range(3)))["referral_ids"]
    urls = [code_of(letter(world, id).content) for id in ids]
    assert all(url.startswith(f"{PUBLIC}/v1/public/letters/") for url in urls)
    codes = {url.rpartition("/")[2] for url in urls}
    assert (len(codes), {len(code) for code in codes}) == (3, {32})
    assert [check(world, url) for url in urls] == [{"valid": True}] * 3
    did(world, OWNER, ids[0], "grant")
    did(world, OWNER, ids[1], "decline", reason="other")
    did(world, "front.1", ids[2], "cancel", reason="Pindah.")
    said = [check(world, url) for url in urls]
    assert said == [{"valid": True}, {"valid": False}, {"valid": False}]
    # What was misread is no letter of ours either, whatever its length.
    for odd in ("x", "x" * 61, urls[0].rpartition("/")[2] * 2, "x" * 2000):
        assert check(world, f"{PUBLIC}/v1/public/letters/{odd}") == {"valid": False}
    assert letter(world, ids[0]).status_code == 200
    for id in ids[1:]:
        refused(letter(world, id), 409, "no_letter")


def test_there_is_no_letter_before_it_is_sent(world: World) -> None:
    complaint = approved(world, named("Bu Tin", "PIP"))
    [id] = complaint["referral_ids"]
    refused(letter(world, id), 409, "no_letter")
    done(world, "manager", complaint["id"], "forward")
    url = code_of(letter(world, id).content)
    # On a waiting list it stays good; what is sent anew has a letter of its own day.
    assert act_on_referral(world, OWNER, id, "waitlist").status_code == 200
    assert code_of(letter(world, id).content) == url
    assert check(world, url) == {"valid": True}


def test_who_guesses_codes_is_slowed_down(fresh_world: World) -> None:
    world = fresh_world
    answers = [world.anyone.get(f"/v1/public/letters/{n:032x}") for n in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[0].json() == {"valid": False}
    assert int(answers[-1].headers["retry-after"]) > 0
    refused(answers[-1], 429, "too_many_requests")


def head_of(world: World, person: Json) -> tuple[UUID, str, bytes | None]:
    sql = "select id, name, national_id from members where household_id = $1 and relation = 'head'"
    (found,) = world.fetch(sql, UUID(person["household_id"]))
    return tuple(found)


def test_an_owner_knows_a_family_by_whoever_is_its_head_when_it_is_referred(world: World) -> None:
    person = family(world)
    home, first = person["household_id"], head_of(world, person)
    whole = {"program_code": "KKS", "beneficiary": {"household_id": home}}
    complaint = approved(world, whole)
    (id,) = complaint["referral_ids"]
    assert referral(world, id)["beneficiary"]["name"] == f"Keluarga {first[1]}"
    changes = "update members set relation = $2 where id = $1"
    world.fetch(changes, first[0], "other")
    others = "select id from members where household_id = $1 and id <> $2 limit 1"
    (other,) = world.fetch(others, UUID(home), first[0])
    try:
        world.fetch(changes, other[0], "head")
        done(world, "manager", complaint["id"], "forward")
        who, name, sealed = head_of(world, person)
        number = sealed and world.cluster.keys.data.open(sealed, "members", "national_id", who)
        shown = {
            "member_id": None, "household_id": home, "name": f"Keluarga {name}",
            "national_id": number and f"{number[:4]}********{number[-4:]}",
        }  # fmt: skip
        assert referral(world, id, OWNER)["beneficiary"] == shown
        rows = world.as_(OWNER).get("/referrals/answers").text.splitlines()
        (row,) = (row for row in rows if row.startswith(id))
        assert f",{shown['name']}," in row
        # No head: nobody to name it by.
        world.fetch(changes, other[0], "other")
        nobody = approved(world, whole | {"program_code": "RASTRA"})["referral_ids"][0]
        assert referral(world, nobody)["beneficiary"]["name"] is None
    finally:
        world.fetch(changes, other[0], "other")
        world.fetch(changes, first[0], "head")
