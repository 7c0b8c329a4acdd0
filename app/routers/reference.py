"""Doors to the API's own documentation, served whole from here for offices without internet."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response, status
from fastapi.responses import HTMLResponse

STATIC = Path(__file__).parent.parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
NAMES = (
    "docs.js",
    "redoc.LICENSE.txt",
    "redoc.standalone.js",
    "redoc.standalone.js.LICENSE.txt",
    "reference.js",
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.LICENSE.txt",
    "swagger-ui.css",
)
BARE = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
VIEW = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; font-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = f"{VIEW}; style-src 'self'"
# Redoc writes its style elements itself, and searches in a worker that it makes from a blob.
REFERENCE_POLICY = f"{VIEW}; style-src 'self' 'unsafe-inline'; worker-src blob:"
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='3' fill='%23125740'/%3E"
    "%3Cpath d='M4 8h8M9 5l3 3-3 3' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, as it goes out."""

    body: bytes
    media_type: str
    digest: str

    @property
    def etag(self) -> str:
        return f'"{self.digest}"'


def _read(name: str) -> Asset:
    body = (STATIC / name).read_bytes()
    return Asset(body, TYPES[Path(name).suffix], sha256(body).hexdigest()[:32])


ASSETS = {name: _read(name) for name in NAMES}


def _link(name: str) -> str:
    """The address of an asset; it changes with the content, so no cache outlives an upgrade."""
    return f"/assets/{name}?v={ASSETS[name].digest[:12]}"


def _page(title: str, *, head: str = "", body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="icon" href="{ICON}">\n{head}</head>\n'
        f"<body>\n{body}</body>\n</html>\n"
    )


def _viewer(title: str, *, scripts: tuple[str, ...], styles: tuple[str, ...] = ()) -> str:
    return _page(
        title,
        head="".join(f'<link rel="stylesheet" href="{_link(name)}">\n' for name in styles),
        body=(
            "<noscript><p>This page needs JavaScript. The same description, as JSON: "
            '<a href="/openapi.json">/openapi.json</a>.</p></noscript>\n'
            '<main id="view"></main>\n'
        )
        + "".join(f'<script src="{_link(name)}"></script>\n' for name in scripts),
    )


HOME = _page(
    "slrt",
    body="""<main>
<h1>slrt</h1>
<p>The open backend for Indonesia's integrated referral service (SLRT).</p>
<ul>
<li><a href="/docs">/docs</a>: try the API</li>
<li><a href="/reference">/reference</a>: read the API</li>
<li><a href="/openapi.json">/openapi.json</a>: the API as OpenAPI</li>
<li><a href="/livez">/livez</a>: is the process alive</li>
<li><a href="/readyz">/readyz</a>: is it ready for work</li>
</ul>
</main>
""",
)
DOCS = _viewer(
    "slrt: try the API",
    scripts=("swagger-ui-bundle.js", "docs.js"),
    styles=("swagger-ui.css",),
)
REFERENCE = _viewer("slrt: API reference", scripts=("redoc.standalone.js", "reference.js"))

router = APIRouter(include_in_schema=False)


def _html(page: str, policy: str) -> HTMLResponse:
    return HTMLResponse(
        page,
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.get("/")
async def home() -> HTMLResponse:
    return _html(HOME, BARE)


@router.get("/docs")
async def docs() -> HTMLResponse:
    return _html(DOCS, DOCS_POLICY)


@router.get("/reference")
async def reference() -> HTMLResponse:
    return _html(REFERENCE, REFERENCE_POLICY)


def _holds(if_none_match: str, etag: str) -> bool:
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(held & {"*", etag})


@router.get("/assets/{name}")
async def asset(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    found = ASSETS.get(name)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    headers = {
        "Cache-Control": "public, max-age=86400",
        "ETag": found.etag,
        "X-Content-Type-Options": "nosniff",
    }
    if if_none_match is not None and _holds(if_none_match, found.etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)
