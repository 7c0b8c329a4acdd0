"""The page at /cek, as a browser without JavaScript has it."""

import html
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.workflow.citizens.page_texts import WORDS, Word
from app.workflow.citizens.texts import Language
from tests.conftest import World
from tests.flows import done, get
from tests.refusals import MARKER
from tests.test_browser import drawn
from tests.test_public_tickets import filed


def post(world: World, address: str = "198.51.100.20", **form: Any) -> httpx.Response:
    """A form as a browser sends it."""
    return world.anyone.post("/cek", data=form, headers={"X-Forwarded-For": address})


def fields(page: str, what: str) -> dict[str, str]:
    """The hidden fields of the form that does something."""
    [form] = [one for one in re.findall(r"<form.*?</form>", page, re.S) if f'value="{what}"' in one]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found} | {"do": what}


def test_the_page_is_whole_in_three_languages_and_lets_nothing_else_in(world: World) -> None:
    assert set(WORDS) == set(Word)
    for one in Language:
        answer = world.anyone.get("/cek", params={"lang": one})
        assert f'<html lang="{one}">' in answer.text
        assert html.escape(WORDS[Word.INTRO].in_(one)) in answer.text
    assert (
        '<html lang="en">' in world.anyone.get("/cek", headers={"Accept-Language": "en-GB,en"}).text
    )
    assert '<html lang="id">' in world.anyone.get("/cek", params={"lang": "xx"}).text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "form-action 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    assert world.anyone.get("/cek", params={"ticket": "x"}).status_code == 400
    for label in re.findall(r'<input type="text" id="([\w-]+)"', answer.text):
        assert f'<label for="{label}">' in answer.text


def test_a_report_is_shown_withdrawn_opened_again_and_rated_by_forms(world: World) -> None:
    complaint, pin = filed(world, category="other")
    look = {"ticket": complaint["ticket"], "pin": pin, "lang": "en", "do": "look"}
    page = post(world, **look)
    assert page.status_code == 200, page.text
    assert "Puskesos desk, Kelurahan Wates" in page.text
    assert "Kantor Kelurahan Wates" in page.text
    # The PIN stands in no page, the name of nobody either.
    assert pin not in page.text
    assert "Siti" not in page.text
    form = fields(page.text, "withdraw")
    assert post(world, **form, note="Selesai.", pin="").status_code == 404
    assert get(world, "front.1", complaint["id"])["state"] == "received"
    # A form that is sent twice acts once.
    sent = [post(world, **form, note="Selesai.", pin=pin) for _ in range(2)]
    assert [one.status_code for one in sent] == [200, 200]
    assert all("It is recorded." in one.text for one in sent)
    other = post(world, **form | {"key": "short"}, note="Selesai.", pin=pin)
    assert (other.status_code, "Nothing has changed" in other.text) == (409, True)
    again = post(world, **fields(sent[1].text, "reopen"), pin=pin)
    assert "Opened" not in again.text
    assert get(world, "front.1", complaint["id"])["state"] == "at_secretariat"
    answer = f"Sudah <b>{MARKER}</b> dibantu."
    done(world, "puskesos.wates", complaint["id"], "resolve_now", note=answer)
    page = post(world, **look)
    assert html.escape(answer) in page.text
    assert f"<b>{MARKER}" not in page.text
    rating = fields(page.text, "rate")
    for bad in ("9", "12", "x", ""):
        assert post(world, **rating, satisfaction=bad, pin=pin).status_code in (404, 422)
    page = post(world, **rating, satisfaction="4", pin=pin)
    assert 'value="4" required checked' in page.text
    [row] = world.fetch("select satisfaction from ratings")
    assert row["satisfaction"] == 4


def test_what_is_wrong_is_said_once_and_guessing_ends(world: World) -> None:
    complaint, pin = filed(world)
    wrong = f"{(int(pin) + 1) % 1_000_000:06d}"
    said = set()
    for form in (
        {"ticket": complaint["ticket"], "pin": wrong},
        {"ticket": "3576-2026-999999-0", "pin": pin},
        {"ticket": f'"><script>{MARKER}', "pin": pin},
        {"ticket": complaint["ticket"], "pin": "x"},
        {"do": "destroy"},
        {},
    ):
        answer = post(world, "203.0.113.77", **form)
        assert answer.status_code == 404
        assert "<script>" not in answer.text
        said.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(said) == 1
    for _ in range(6):
        answer = post(world, "203.0.113.77", ticket=complaint["ticket"], pin=wrong)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] in answer.text
    broken = world.anyone.post("/cek", content=b"\xff\xfe=%", headers={"Content-Type": "x"})
    assert broken.status_code == 404


@pytest.mark.embedded
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_a_browser_draws_it_and_complains_of_nothing(world: World, tmp_path: Path) -> None:
    complaint, pin = filed(world)
    page, console = drawn(f"{world.base_url}/cek?lang=jv", tmp_path / "profile")
    assert "Nomer tiket" in page
    assert "Refused" not in console
    # A page of somebody else's that sends the form: the browser does what the citizen's would.
    fields_ = {"ticket": complaint["ticket"], "pin": pin, "lang": "jv"}
    inputs = "".join(f"<input name={name} value={value}>" for name, value in fields_.items())
    sender = tmp_path / "send.html"
    sender.write_text(
        f"<body onload=document.forms[0].submit()><form method=post"
        f' action="{world.base_url}/cek">{inputs}</form>'
    )
    for n in range(12):
        page, console = drawn(sender.as_uri(), tmp_path / f"profile-{n}")
        # Now and then it writes out the page that it is just leaving.
        if page.strip() and "onload" not in page:
            break
    assert "Puskesos Kelurahan Wates" in page
    assert "Refused" not in console
