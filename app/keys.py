"""The server's secrets on disk: one file, made once, readable by its owner alone."""

import base64
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.domain.identifiers import Keys

KEY_BYTES = 32


class KeysError(Exception):
    """The keys cannot be used; the message says what to do."""


@dataclass(frozen=True)
class SigningKey:
    """An ES256 key pair for tokens, by its id."""

    kid: str
    private_pem: str = field(repr=False)
    public_pem: str


@dataclass(frozen=True)
class KeyRing:
    """All secrets of a deployment."""

    data: Keys
    signing: SigningKey


def create(path: Path) -> None:
    """Write a new key file; an existing one is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": 1,
        "sealing": {"current": "k1", "keys": {"k1": _new()}},
        "index": _new(),
        "pin": _new(),
        "cursor": _new(),
        "signing": {"kid": secrets.token_hex(4), "pem": _new_pem()},
    }
    # Linked into place whole: a second process starting at once finds all of it or nothing.
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def add(path: Path) -> str:
    """Add a sealing key that nothing is sealed under yet; its id, which is never given again."""
    with _changing(path) as content:
        sealing = content["sealing"]
        number = max(int(sealing.get("last", 1)), *(int(id[1:]) for id in sealing["keys"])) + 1
        sealing["keys"][f"k{number}"], sealing["last"] = _new(), number
    return f"k{number}"


def use_newest(path: Path) -> str:
    """Seal under the newest key from now on; its id."""
    with _changing(path) as content:
        sealing = content["sealing"]
        if len(sealing["keys"]) == 1:
            raise KeysError("There is one sealing key alone. Add another with `slrt keys add`.")
        sealing["current"] = max(sealing["keys"], key=lambda id: int(id[1:]))
    return str(sealing["current"])


def retire(path: Path, id: str) -> None:
    """Take a sealing key out of the file. The caller knows that nothing is sealed under it."""
    with _changing(path) as content:
        sealing = content["sealing"]
        if id not in sealing["keys"]:
            raise KeysError(f"There is no sealing key {id}.")
        if id == sealing["current"]:
            raise KeysError(f"New values are sealed under {id}: it cannot be retired.")
        del sealing["keys"][id]


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """The content of the key file, written back whole once the block is through.

    Two at once wait for each other. A reader finds the file as it was or as it is.
    """
    load(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        content = json.loads(path.read_text())
        yield content
        draft, was = _draft(path, content), path.stat()
        try:
            # Whoever owns the file still reads it when somebody else rotates, such as root.
            os.chown(draft, was.st_uid, was.st_gid)
            draft.chmod(was.st_mode & 0o777)
            draft.replace(path)
            os.fsync(folder)
        finally:
            draft.unlink(missing_ok=True)
    finally:
        os.close(folder)


def _draft(path: Path, content: dict[str, Any]) -> Path:
    """A file beside the key file, on the disk whole and readable by its owner alone."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return draft


def throwaway() -> KeyRing:
    """Keys for a process that needs some and keeps nothing, such as writing the contract."""
    with tempfile.TemporaryDirectory() as folder:
        return load(Path(folder) / "keys.json", make=True)


def load(path: Path, make: bool = False) -> KeyRing:
    """Read the key file. `make` writes one where there is none.

    Raises KeysError where it is missing or damaged.
    """
    try:
        if make and not path.exists():
            # Another process may be first.
            with suppress(FileExistsError):
                create(path)
        content = json.loads(path.read_text())
        signing = content["signing"]
        private = serialization.load_pem_private_key(signing["pem"].encode(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.key_size != 256:
            raise ValueError("tokens are signed with P-256")
        sealing, current = content["sealing"]["keys"], content["sealing"]["current"]
        if current not in sealing:
            raise KeyError(current)
        return KeyRing(
            data=Keys(
                sealing={id: _read(key) for id, key in sealing.items()},
                current=current,
                index=_read(content["index"]),
                pin=_read(content["pin"]),
                cursor=_read(content["cursor"]),
            ),
            signing=SigningKey(signing["kid"], signing["pem"], public.decode()),
        )
    except FileNotFoundError:
        raise KeysError(
            f"There is no key file at {path}. Make one with `slrt keys create`, and keep a copy:"
            " without it the national ids in the database cannot be read."
        ) from None
    except PermissionError:
        raise KeysError(f"The key file {path} cannot be read by this user.") from None
    except OSError as error:
        raise KeysError(f"The key file {path} cannot be used ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysError(f"The key file {path} is damaged ({type(error).__name__}).") from error


def _new() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _read(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("a key must have 32 bytes")
    return key


def _new_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
