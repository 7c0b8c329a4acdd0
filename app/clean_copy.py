"""The process that makes a clean copy of an uploaded file, for `app.workflow.evidence.copying`.

`python -I clean_copy.py MEDIA_TYPE < file > copy`: on stdout one line of JSON, then the copy. What
is not taken is said there too, as `{"refused": code}`. It imports nothing of slrt and is given no
environment: whoever breaks into it finds no secrets, and its limits keep it small.
"""

import contextlib
import io
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import pikepdf
from PIL import Image

MEMORY = 768 * 1024 * 1024
CPU_SECONDS = 20
PIXELS = 25_000_000
SIDE = 2048
COPY_LIMIT = 24 * 1024 * 1024
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
# Modes that a copy keeps; all others become one of them.
KEPT = {"JPEG": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA"), "WEBP": ("RGB", "RGBA")}
OPTIONS: dict[str, dict[str, int]] = {"JPEG": {"quality": 85}, "PNG": {}, "WEBP": {"quality": 85}}
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Names in a PDF by which it does something, or carries other files.
ACTIVE = frozenset(
    (
        "/JS", "/JavaScript", "/Launch", "/EmbeddedFile", "/EmbeddedFiles", "/EF", "/RichMedia",
        "/RichMediaContent", "/XFA", "/SubmitForm", "/ImportData", "/GoToE", "/GoToR", "/Rendition",
        "/Movie", "/Sound", "/3D", "/AA",
    )
)  # fmt: skip
DEPTH = 100


class Refused(Exception):
    """The file is not taken; the code is a problem's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def main(media_type: str, file: BinaryIO, out: BinaryIO) -> None:
    try:
        said, copy = COPIES[media_type](file)
        if len(copy) > COPY_LIMIT:
            raise Refused("file_too_demanding")
    except Refused as refused:
        said, copy = {"refused": refused.code}, b""
    except MemoryError:
        said, copy = {"refused": "file_too_demanding"}, b""
    except Exception:
        # The libraries raise all sorts of things for what is damaged.
        said, copy = {"refused": "damaged_file"}, b""
    out.write(json.dumps(said).encode() + b"\n" + copy)
    out.flush()


def copy_image(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """An image upright and at most 2,048 pixels wide and high, with nothing but its pixels."""
    # We look at the header ourselves, before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(file, formats=tuple(FORMATS.values())) as image:
        if image.width * image.height > PIXELS:
            raise Refused("too_many_pixels")
        format, turn = image.format or "", UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        # Of a JPEG no more is decoded than the smaller copy needs; others scale well only in full.
        copy = image if format == "JPEG" else _plain(image, format)
        copy.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        copy = _plain(copy, format)
    if turn is not None:
        copy = copy.transpose(turn)
    # Comments, colour profiles and the like would be written along.
    copy.info.clear()
    made = io.BytesIO()
    copy.save(made, format, **OPTIONS[format])
    return {"width": copy.width, "height": copy.height, "pages": None}, made.getvalue()


def _plain(image: Image.Image, format: str) -> Image.Image:
    if image.mode in KEPT[format] and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I"):
        # 16 bits of grey: the upper eight of them.
        return image.point(lambda value: value / 256).convert("L")
    seen_through = image.has_transparency_data and "RGBA" in KEPT[format]
    return image.convert("RGBA" if seen_through else "RGB")


def copy_pdf(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """A PDF written anew: what its pages show, and nothing that hides behind or beside them.

    Nothing is taken out that somebody may have meant: a file that does things is refused.
    """
    try:
        pdf = pikepdf.open(file, attempt_recovery=False)
    except pikepdf.PasswordError:
        raise Refused("encrypted_pdf") from None
    with pdf:
        if pdf.is_encrypted:
            raise Refused("encrypted_pdf")
        pages = len(pdf.pages)
        if not pages:
            raise Refused("damaged_file")
        if any(_is_active(one) for one in pdf.objects):
            raise Refused("active_pdf")
        # Who made it, when and with what.
        for place, name in ((pdf.Root, "/Metadata"), (pdf.trailer, "/Info")):
            if name in place:
                del place[name]
        made = io.BytesIO()
        pdf.save(made, deterministic_id=True, recompress_flate=False)
    return {"width": None, "height": None, "pages": pages}, made.getvalue()


def _is_active(one: Any, depth: int = 0) -> bool:
    """Whether an object of a PDF, or a direct one within it, does things or carries a file."""
    if depth > DEPTH:
        raise Refused("file_too_demanding")
    if isinstance(one, pikepdf.Name):
        return str(one) in ACTIVE
    return any(_is_active(part, depth + 1) for part in _parts(one))


def _parts(one: Any) -> Iterator[Any]:
    """What lies directly in an object; indirect ones are looked at by themselves."""
    found: Iterable[Any] = ()
    if isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
        held = one.stream_dict if isinstance(one, pikepdf.Stream) else one
        found = [part for name, part in held.items() for part in (pikepdf.Name(name), part)]
    elif isinstance(one, pikepdf.Array):
        found = one
    return (part for part in found if not getattr(part, "is_indirect", False))


COPIES: dict[str, Callable[[BinaryIO], tuple[dict[str, Any], bytes]]] = {
    "application/pdf": copy_pdf
} | dict.fromkeys(FORMATS, copy_image)


def limit() -> None:
    """No more memory and time than any honest file takes, and no new files."""
    limits = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_AS: MEMORY,
    }
    for kind, most in limits.items():
        # macOS refuses to limit the address space.
        with contextlib.suppress(ValueError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    limit()
    main(sys.argv[1], os.fdopen(0, "rb"), os.fdopen(1, "wb"))
