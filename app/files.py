"""Where uploaded documents lie: one interface, and a local folder behind it.

What is put here is sealed already. Who puts something makes sure of it before the row that names
it is committed: a row never lacks its file, and a file without a row is let go after a day.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID


class Files(Protocol):
    """Sealed files by the id of their document. All calls block: make them in a thread.

    `owner` is the database whose documents they are: several may share a place.
    """

    def put(self, owner: UUID, id: UUID, content: bytes) -> None:
        """Keep a file; it is on the disk whole when this returns. Another one is replaced."""

    def get(self, owner: UUID, id: UUID) -> bytes:
        """Raises FileNotFoundError for what was never put, or was removed."""

    def remove(self, owner: UUID, id: UUID) -> None:
        """Let a file go; one that is gone already is no error."""

    def on(self, owner: UUID, day: date) -> Iterator[UUID]:
        """The files whose ids were made on a day (UTC)."""


def files_of(info: Mapping[Any, Any]) -> Files:
    """The files that a session, or its factory, was made with."""
    found: Files | None = info["files"]
    assert found is not None, "this process was given no place for files"
    return found


def day_made(id: UUID) -> date:
    """The day (UTC) that a UUIDv7 says it was made on."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC).date()


@dataclass(frozen=True, slots=True)
class Folder:
    """Files in a local folder: `<database>/<day>/<id>`, readable by their owner alone."""

    path: Path

    def put(self, owner: UUID, id: UUID, content: bytes) -> None:
        place = self._place(owner, id)
        self._make(place.parent)
        draft = place.with_name(f"{id}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _settle(place.parent)

    def get(self, owner: UUID, id: UUID) -> bytes:
        return self._place(owner, id).read_bytes()

    def remove(self, owner: UUID, id: UUID) -> None:
        self._place(owner, id).unlink(missing_ok=True)

    def on(self, owner: UUID, day: date) -> Iterator[UUID]:
        folder = self.path / str(owner) / day.isoformat()
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(folder):
                try:
                    yield UUID(name)
                except ValueError:
                    # The draft of a process that was killed.
                    (folder / name).unlink(missing_ok=True)

    def _place(self, owner: UUID, id: UUID) -> Path:
        return self.path / str(owner) / day_made(id).isoformat() / str(id)

    def _make(self, folder: Path) -> None:
        """Make a folder with those above it, each on the disk before something is put into it."""
        if not folder.is_dir():
            self._make(folder.parent)
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            _settle(folder.parent)


def _settle(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
