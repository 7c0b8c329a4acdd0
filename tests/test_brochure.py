"""The brochure: what the routes, budgets and offices say, in three languages, on paper or not."""

from collections.abc import Iterator

import pypdfium2
import pytest
import zxingcpp

from app.workflow.citizens import texts
from app.workflow.citizens.texts import Language
from tests.conftest import Cluster, World, serve
from tests.refusals import refused

PATH = "/v1/public/brochure"
AS_PDF = {"Accept": "application/pdf"}
CHECK = "https://slrt.example.id/cek"


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A world that is reached by a public address."""
    with (
        cluster.clone() as database,
        serve(cluster, database, public_url="https://slrt.example.id") as world,
    ):
        yield world


def pages(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())


@pytest.mark.parametrize("lang", list(Language))
def test_it_says_the_way_the_promise_and_what_to_bring(world: World, lang: Language) -> None:
    page = world.anyone.get(PATH, params={"lang": lang})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<html lang="{lang}">' in page.text
    paper = world.anyone.get(PATH, params={"lang": lang}, headers=AS_PDF)
    assert paper.headers["content-type"] == "application/pdf"
    text = pages(paper.content)
    for wanted in (
        texts.BROCHURE_TITLE.in_(lang), texts.PROMISE_TEXT.put(hours="48", urgent="12").in_(lang),
        texts.FREE.in_(lang), texts.DOCUMENTS[texts.D.KELURAHAN_LETTER].in_(lang),
        texts.DAYS["fri"].in_(lang), texts.AT_MOST.put(hours="18").in_(lang),
        texts.MATTERS[texts.G.DEATH_REPORT].in_(lang), CHECK, "Puskesos Wates",
    ):  # fmt: skip
        assert wanted in text
        assert wanted in page.text
    with pypdfium2.PdfDocument(paper.content) as document:
        found = [
            code.text
            for sheet in document
            for code in zxingcpp.read_barcodes(sheet.render(scale=3).to_pil())
        ]
    assert found == [CHECK]
    again = world.anyone.get(PATH, params={"lang": lang}, headers=AS_PDF)
    assert again.content == paper.content
    same = AS_PDF | {"If-None-Match": paper.headers["etag"]}
    assert world.anyone.get(PATH, params={"lang": lang}, headers=same).status_code == 304


def test_it_follows_what_an_office_changes(world: World) -> None:
    assert "Akta kelahiran" not in world.anyone.get(PATH).text
    world.fetch(
        "update routes set documents = '[[\"birth_certificate\"]]' where category = 'card_problem'"
    )
    world.fetch("update offices set phone = '(0321) 000000' where kind = 'secretariat'")
    text = pages(world.anyone.get(PATH, headers=AS_PDF).content)
    assert "Akta kelahiran" in text
    assert "(0321) 000000" in text
    refused(world.anyone.get(PATH, params={"lang": "nl"}), 400, "parameter_invalid")


def test_every_step_and_day_is_said_in_three_languages() -> None:
    for table in (texts.WAY, texts.DAYS):
        for said in table.values():  # type: ignore[attr-defined]
            assert len({said.id, said.en}) == 2
            assert said.jv
