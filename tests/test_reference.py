"""The documentation answers from this server alone."""

import re
from collections.abc import AsyncIterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.routers import reference

pytestmark = pytest.mark.embedded

KINDS = {".css": "text/css", ".js": "text/javascript", ".txt": "text/plain"}
LOADING = {"action", "data", "href", "poster", "src", "srcset"}


class Links(HTMLParser):
    """What a page loads (scripts, styles, icons) and where it points (anchors)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.inline = ""
        self.lang: str | None = None
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        for name, value in attrs:
            assert not name.startswith("on"), f"inline handler {name}"
            if tag == "html" and name == "lang":
                self.lang = value
            if name in LOADING and value is not None:
                (self.anchors if tag == "a" else self.loads).append(value)

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.inline += data

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(reference.router)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://slrt.test") as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/docs", "/reference"])
async def test_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(
        rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.get("script-src", "'self'") == "'self'"
    allowed = {"'none'", "'self'", "'unsafe-inline'", "blob:", "data:"}
    assert {source for rule in policy.values() for source in rule.split()} <= allowed
    page = Links(answer.text)
    assert page.lang == "en"
    assert "<title>slrt" in answer.text
    assert page.inline.strip() == ""
    assert "/openapi.json" in page.anchors
    for address in page.loads:
        assert re.match(r"/[^/]|data:", address), address
        if address.startswith("/"):
            assert (await client.get(address)).status_code == 200, address


@pytest.mark.parametrize("path", ["/docs", "/reference"])
async def test_viewer_tells_a_browser_without_scripts_where_to_go(
    client: httpx.AsyncClient, path: str
) -> None:
    note = re.search(r"<noscript>(.*)</noscript>", (await client.get(path)).text)
    assert note is not None
    assert 'href="/openapi.json"' in note[1]


async def test_home_links_to_every_door(client: httpx.AsyncClient) -> None:
    page = Links((await client.get("/")).text)
    assert page.anchors == ["/docs", "/reference", "/openapi.json", "/livez", "/readyz"]


@pytest.mark.parametrize("name", reference.NAMES)
async def test_asset_is_served_whole_and_cached(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.content == (reference.STATIC / name).read_bytes()
    assert answer.headers["content-type"] == f"{KINDS[Path(name).suffix]}; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.headers["x-content-type-options"] == "nosniff"
    etag = answer.headers["etag"]
    for held in (etag, f'"other", W/{etag}', "*"):
        again = await client.get(f"/assets/{name}", headers={"If-None-Match": held})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
    stale = await client.get(f"/assets/{name}", headers={"If-None-Match": '"other"'})
    assert stale.status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "README.md", "%2e%2e", "%2e%2e%2f__init__.py", ""])
async def test_unknown_asset_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/assets/{name}")).status_code == 404


def test_vendored_files_are_those_the_readme_names() -> None:
    readme = (reference.STATIC / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| [\d.]+ \| [\w.-]+ \| `([\w.-]+)` \| `([0-9a-f]{64})` \|", readme)
    assert {name for name, _ in rows} == {
        "redoc.standalone.js",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
    }
    for name, digest in rows:
        assert sha256((reference.STATIC / name).read_bytes()).hexdigest() == digest, name


def test_every_static_file_is_served_or_is_the_readme() -> None:
    assert {path.name for path in reference.STATIC.iterdir()} == {*reference.NAMES, "README.md"}


async def test_documentation_is_not_part_of_the_described_api(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json()["paths"] == {}
