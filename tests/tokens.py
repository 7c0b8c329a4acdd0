"""JSON Web Tokens by hand (RFC 7515, 7518), to check ours without the library that makes them."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ES256 = ec.ECDSA(hashes.SHA256())


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signed(pem: str, header: Any, claims: Any) -> str:
    """A token with any header and claims, truly signed."""
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    content = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    r, s = decode_dss_signature(key.sign(content.encode(), ES256))
    return f"{content}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"


def verified(token: str, jwk: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that this public key has signed; raises where it has not."""
    header, claims, signature = token.split(".")
    x, y = (int.from_bytes(decoded(jwk[name])) for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = decoded(signature)
    assert len(raw) == 64
    pair = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public.verify(pair, f"{header}.{claims}".encode(), ES256)
    return json.loads(decoded(header)), json.loads(decoded(claims))
