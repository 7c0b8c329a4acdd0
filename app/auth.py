"""Who asks: passwords and tokens. The only module that knows the token library."""

import asyncio
import base64
import binascii
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError
from pydantic import BaseModel, ConfigDict

from app.domain.base import new_id
from app.domain.errors import Unauthenticated
from app.keys import SigningKey

ALGORITHM = "ES256"
AUDIENCE = "slrt"
LIFETIME = timedelta(minutes=10)
TOKEN_MAX = 4096
HEADER_KEYS = {"alg", "kid", "typ"}
REQUIRED = ("exp", "iat", "sub", "iss", "aud", "jti")

# Memory-hard on purpose; two at once at the most, so that a rush of logins cannot starve the rest.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
THREADS = ThreadPoolExecutor(2, "argon2")
# Checked for unknown names, so that they take as long as known ones.
NOBODY = HASHER.hash("nobody has this password")


class Claims(BaseModel):
    """What a token of ours says, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sub: str
    iss: str
    aud: str
    jti: str
    iat: int
    exp: int


@dataclass(frozen=True)
class Tokens:
    """Issues and reads access tokens: ES256, ten minutes."""

    key: SigningKey
    issuer: str

    def issue(self, principal_id: UUID, now: datetime) -> str:
        claims = {
            "sub": str(principal_id),
            "iss": self.issuer,
            "aud": AUDIENCE,
            "jti": str(new_id()),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        token: str = jwt.encode(
            claims, self.key.private_pem, algorithm=ALGORITHM, headers={"kid": self.key.kid}
        )
        return token

    def read(self, token: str) -> UUID:
        """The principal a token was issued to.

        Raises Unauthenticated `token_expired` or `token_invalid`, whatever the token holds: the
        library lets RecursionError, OverflowError and UnicodeError through, and ignores `crit`.
        """
        try:
            if len(token) > TOKEN_MAX:
                raise ValueError("too long")
            header = _header(token)
            if set(header) - HEADER_KEYS or header.get("alg") != ALGORITHM:
                raise ValueError("header")
            if header.get("kid") != self.key.kid:
                raise ValueError("unknown key")
            raw = jwt.decode(
                token,
                self.key.public_pem,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={f"require_{name}": True for name in REQUIRED},
            )
            return UUID(Claims.model_validate(raw).sub)
        except ExpiredSignatureError:
            raise Unauthenticated("token_expired") from None
        except Exception:
            # Whatever is wrong with a token, its bearer is unknown; never a 500.
            raise Unauthenticated("token_invalid") from None

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        public = jwk.construct(self.key.public_pem, ALGORITHM).to_dict()
        plain = {name: _text(value) for name, value in public.items()}
        return {"keys": [plain | {"kid": self.key.kid, "use": "sig", "alg": ALGORITHM}]}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _header(token: str) -> dict[str, Any]:
    part = token.split(".", 1)[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(header, dict):
        raise TypeError("header")
    return header


async def hash_secret(secret: str) -> str:
    """An argon2id hash (t=2, 19 MiB, p=1)."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, HASHER.hash, secret)


async def verify_secret(secret_hash: str | None, secret: str) -> bool:
    """Whether a secret is the one that was hashed; None: nobody, in the same time."""
    verified = await asyncio.get_running_loop().run_in_executor(
        THREADS, _verify, secret_hash or NOBODY, secret
    )
    return verified and secret_hash is not None


def _verify(secret_hash: str, secret: str) -> bool:
    try:
        return HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Client id and secret of an HTTP Basic header (RFC 6749, 2.3.1); None where it is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, secret) if colon else None


def bearer_token(header: str | None) -> str:
    """The token of an Authorization header. Raises Unauthenticated `token_missing`."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("token_missing")
    return token.strip()
