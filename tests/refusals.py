"""What every refusal has in common (RFC 9457): asserted wherever a test is refused something."""

from typing import Any
from uuid import UUID

import httpx

# Typed where it does not belong; no answer may repeat it.
MARKER = "zqmarkerqz"


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be this refusal."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == f"urn:uuid:{UUID(answer.headers['x-request-id'])}"
    assert isinstance(body["errors"], list)
    for error in body["errors"]:
        assert ("pointer" in error) != ("parameter" in error)
        assert error["code"]
        assert error["detail"]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith(("Bearer", "Basic"))
    if status == 405:
        assert answer.headers["allow"]
    assert MARKER not in answer.text
    return body


def faults(answer: httpx.Response) -> dict[str, str]:
    """What is wrong by place: pointers and parameters with their codes."""
    return {
        error.get("pointer", error.get("parameter")): error["code"]
        for error in answer.json()["errors"]
    }
