"""National ids and family card numbers: sealed at rest, found blindly, masked in answers."""

import hashlib
import hmac
import re
import secrets
from calendar import isleap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncSession

NONCE_BYTES = 12
Row = UUID | tuple[UUID, int]


@dataclass(frozen=True, repr=False)
class Keys:
    """The server's secrets. All are 32 bytes; sealing keys carry an id so that they can rotate."""

    sealing: Mapping[str, bytes]
    current: str
    index: bytes
    pin: bytes
    cursor: bytes

    @staticmethod
    def of(session: AsyncSession) -> "Keys":
        """The keys that the session factory was made with."""
        keys = session.info["keys"]
        assert isinstance(keys, Keys)
        return keys

    def seal(self, value: str, table: str, column: str, row: Row) -> bytes:
        """A text sealed by `seal_bytes`."""
        return self.seal_bytes(value.encode(), table, column, row)

    def open(self, sealed: bytes, table: str, column: str, row: Row) -> str:
        return self.open_bytes(sealed, table, column, row).decode()

    def seal_bytes(self, value: bytes, table: str, column: str, row: Row) -> bytes:
        """AES-256-GCM, bound to the place: a sealed id copied to another row does not open.

        Layout: one byte length of the key id, key id, 12 bytes nonce, ciphertext with tag.
        `row` is the row's id, or the parts of its primary key.
        """
        return self.sealer(table, column)(value, row)

    def sealer(self, table: str, column: str) -> Callable[[bytes, Row], bytes]:
        """`seal_bytes` for many values of one column."""
        key_id = self.current.encode()
        mark = bytes([len(key_id)]) + key_id
        encrypt = _cipher(self.sealing[self.current]).encrypt

        def seal(value: bytes, row: Row) -> bytes:
            nonce = secrets.token_bytes(NONCE_BYTES)
            return mark + nonce + encrypt(nonce, value, _place(table, column, row))

        return seal

    def open_bytes(self, sealed: bytes, table: str, column: str, row: Row) -> bytes:
        length = sealed[0]
        key_id, rest = sealed[1 : 1 + length].decode(), sealed[1 + length :]
        return _cipher(self.sealing[key_id]).decrypt(
            rest[:NONCE_BYTES], rest[NONCE_BYTES:], _place(table, column, row)
        )

    def opener(self, table: str, column: str) -> Callable[[bytes, str], str]:
        """`open` for many values of one column; rows by their id, as text."""
        begin = f"{table}.{column}."

        def open(sealed: bytes, row: str) -> str:
            nonce = 1 + sealed[0]
            value = nonce + NONCE_BYTES
            cipher = _cipher(self.sealing[sealed[1:nonce].decode()])
            place = (begin + row).encode()
            return cipher.decrypt(sealed[nonce:value], sealed[value:], place).decode()

        return open

    def blind(self, value: str) -> bytes:
        """The same for the same number, wherever it stands; says nothing about it."""
        return hmac.digest(self.index, value.encode(), "sha256")

    def pin_of(self, complaint_id: UUID, generation: int) -> str:
        """The citizen's PIN, six digits: computed when needed, never stored."""
        digest = hmac.digest(self.pin, complaint_id.bytes + generation.to_bytes(4), "sha256")
        return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"

    def fingerprint(self) -> str:
        """Tells whether these keys belong to a database, without giving them away."""
        return hmac.new(self.index, b"slrt keys", hashlib.sha256).hexdigest()


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> AESGCM:
    """Made once for each key: a million numbers are sealed in one go."""
    return AESGCM(key)


def _place(table: str, column: str, row: Row) -> bytes:
    parts = row if isinstance(row, tuple) else (row,)
    return f"{table}.{column}.{'.'.join(map(str, parts))}".encode()


def masked(number: str | None) -> str | None:
    """`3576********0003`: enough to recognise one's own, not enough to use it."""
    return None if number is None else f"{number[:4]}********{number[-4:]}"


NUMBER_IN_TEXT = re.compile(r"\d(?:[ .-]?\d){15}")


def no_number(text: str) -> str:
    """Raises ValueError for text that is kept and shown as it is, with such a number in it."""
    if NUMBER_IN_TEXT.search(text):
        raise ValueError("number_in_text")
    return text


def without_numbers(text: str) -> str:
    """A text in which somebody may have typed such a number: masked."""
    return NUMBER_IN_TEXT.sub(lambda found: masked(re.sub(r"\D", "", found[0])) or "", text)


# What the two numbers are called wherever a person or a family is described.
NUMBERS = ("national_id", "family_card_number")


def masked_name(name: str) -> str:
    """`S*** A******`: the first letter of each word."""
    return " ".join(word[0] + "*" * (len(word) - 1) for word in name.split())


def birth_date_in(national_id: str) -> tuple[int, int, int] | None:
    """(day, month, two-digit year) as a national id says them; None where they cannot be."""
    return _birth_date(national_id[6:12])


@lru_cache(maxsize=2**16)
def _birth_date(digits: str) -> tuple[int, int, int] | None:
    day, month, year = (int(digits[n : n + 2]) for n in (0, 2, 4))
    # A woman's day of birth stands there with 40 on top.
    day = day - 40 if day > 40 else day
    try:
        date(2000 + year, month, day)
    except ValueError:
        return None
    return day, month, year


def birth_date_by_age(national_id: str, age: int, on: date) -> date | None:
    """The birth date of a national id where the age agrees with it within a year."""
    said = birth_date_in(national_id)
    if said is None:
        return None
    day, month, year = said
    for century in (1900, 2000):
        turned = on.year - century - year - ((month, day) > (on.month, on.day))
        if abs(turned - age) <= 1 and ((day, month) != (29, 2) or isleap(century + year)):
            return date(century + year, month, day)
    return None


def national_id_warnings(
    national_id: str, birth_date: date | None = None, sex: str | None = None
) -> list[str]:
    """What does not fit: a warning, never a refusal, since a national id is lifelong."""
    said = birth_date_in(national_id)
    if said is None or national_id[12:] == "0000":
        return ["national_id_structure"]
    found = []
    if birth_date is not None and said != (birth_date.day, birth_date.month, birth_date.year % 100):
        found.append("national_id_birth_date")
    if sex is not None and (sex == "female") != (national_id[6] > "3"):
        found.append("national_id_sex")
    return found
