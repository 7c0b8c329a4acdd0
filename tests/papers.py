"""Photos and PDFs made for the tests, good ones and bad ones, and the calls that upload them."""

import io
from typing import Any

import httpx
from PIL import Image

from tests.conftest import World
from tests.flows import key

JPEG, PNG, WEBP, PDF = "image/jpeg", "image/png", "image/webp", "application/pdf"
ORIENTATION, GPS = 0x0112, 0x8825


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, format, **options)
    return made.getvalue()


def small(number: int = 0, format: str = "JPEG") -> bytes:
    """A small picture: another one for each number."""
    return encoded(Image.new("RGB", (40 + number % 100, 40 + number // 100), "navy"), format)


def photo(width: int = 2800, height: int = 2100) -> bytes:
    """A photo as a phone takes it when it is held upside down: its top is red, which its pixels
    have at the bottom. It says where it was taken, and has millions of bytes."""
    noise = Image.effect_noise((width, height), 100)
    image = Image.merge("RGB", (noise, noise.rotate(180), noise))
    image.paste((255, 0, 0), (0, height - height // 4, width, height))
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    exif[GPS] = {1: "S", 2: (7.0, 28.0, 12.0)}
    return encoded(image, "JPEG", quality=93, subsampling=0, exif=exif, comment=b"rahasia")


def pdf(*objects: bytes, root: bytes = b"", trailer: bytes = b"") -> bytes:
    """A PDF of one blank page; more objects are numbered from 4 on."""
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R" + root + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        *objects,
    ]
    made, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(bodies) + 1
    return (
        made
        + b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
        + b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, trailer, len(made))
    )


def upload(
    world: World,
    id: str,
    content: bytes | None = None,
    media_type: str = JPEG,
    who: str = "puskesos.wates",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> httpx.Response:
    """Upload a file to a complaint, under a new key unless `headers` has one."""
    part = ("foto KTP.jpg", small() if content is None else content, media_type)
    return world.as_(who).post(
        f"/complaints/{id}/documents",
        files={"file": part},
        data={"kind": "id_card"} | fields,
        headers=key() if headers is None else headers,
    )


def uploaded(world: World, id: str, *content: Any, **said: Any) -> dict[str, Any]:
    """A document that must be new."""
    answer = upload(world, id, *content, **said)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found
