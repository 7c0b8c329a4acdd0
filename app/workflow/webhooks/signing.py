"""Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body."""

import base64
import hmac
import secrets
from collections.abc import Iterable
from uuid import UUID

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed(id: UUID, timestamp: int, body: str, with_: Iterable[str]) -> dict[str, str]:
    """The headers of a message; `timestamp` in seconds of real time. A signature per secret."""
    said = f"{id}.{timestamp}.{body}".encode()
    return {
        "webhook-id": str(id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(secret, said)}" for secret in with_),
    }


def _signature(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, said, "sha256")).decode()
