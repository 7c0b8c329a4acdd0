"""Making the clean copy of an uploaded file, in a process of its own with limits, and keeping it.

All of this blocks, and is done while no database connection is held.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from app.domain.base import new_id
from app.domain.complaint_documents import seal
from app.domain.errors import Invalid
from app.domain.identifiers import Keys
from app.files import Files

PROGRAM = Path(__file__).parents[2] / "clean_copy.py"
SECONDS = 20
# How a file of each type begins.
SIGNS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "application/pdf": ((0, b"%PDF-"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/webp": ((0, b"RIFF"), (8, b"WEBP")),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """A clean copy that is kept under the id of a document that is still to be made."""

    id: UUID
    owner: UUID
    key_id: str
    size: int
    width: int | None
    height: int | None
    pages: int | None


def type_of(file: IO[bytes]) -> str | None:
    """The media type that a file is by its first bytes; None for what is none of ours."""
    file.seek(0)
    head = file.read(16)
    return next(
        (
            media_type
            for media_type, signs in SIGNS.items()
            if all(head[at : at + len(sign)] == sign for at, sign in signs)
        ),
        None,
    )


def keep_copy(file: IO[bytes], media_type: str, files: Files, keys: Keys, owner: UUID) -> Copy:
    """Make a clean copy and put it, sealed, where files lie. Raises what `clean` raises."""
    said, content = clean(file, media_type)
    id = new_id()
    files.put(owner, id, seal(keys, id, content))
    return Copy(id, owner, keys.current, len(content), **said)


def clean(file: IO[bytes], media_type: str) -> tuple[dict[str, Any], bytes]:
    """Width, height and pages of a clean copy, and the copy.

    Raises Invalid `too_many_pixels`, `damaged_file`, `encrypted_pdf`, `active_pdf`, or
    `file_too_demanding` for what needs more memory or time than any honest file.
    """
    file.seek(0)
    # One that still lies in memory goes to the disk for the process to read.
    descriptor = file.fileno()
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), media_type],
            stdin=descriptor,
            capture_output=True,
            timeout=SECONDS,
            env={},
            # What tells the server to stop must not look as if the file had ended it.
            process_group=0,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Invalid("file_too_demanding") from None
    if done.returncode < 0:
        # Ended by a signal: the system keeps the limits so.
        raise Invalid("file_too_demanding")
    if done.returncode:
        raise RuntimeError(f"the process for clean copies has failed ({done.returncode})")
    line, _, content = done.stdout.partition(b"\n")
    said = json.loads(line)
    if "refused" in said:
        raise Invalid(said["refused"])
    return said, content
