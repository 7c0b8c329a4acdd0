"""The ways the domain says no. `app.problems` turns them into HTTP.

A problem is named by its stable `code`; the texts for people stand in the catalogue.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in the input: where it is, a stable code, and the limits it broke.

    `pointer` is a JSON pointer into the body, or `parameter` the name of a query or header.
    Never holds the value that was typed: it may be personal data.
    """

    code: str
    pointer: str | None = None
    parameter: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


class DomainError(Exception):
    """The request cannot be fulfilled."""

    def __init__(
        self,
        code: str,
        faults: tuple[Fault, ...] = (),
        retry_after: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.faults = faults
        self.retry_after = retry_after
        self.extra = extra


class Unauthenticated(DomainError):
    """We do not know who you are."""


class NotFound(DomainError):
    """No such record, or none you may see."""

    def __init__(self, code: str = "not_found") -> None:
        super().__init__(code)


class BadRequest(DomainError):
    """A query parameter or header is not valid."""


class Forbidden(DomainError):
    """Your role, or your part in the case, does not allow this."""


class Conflict(DomainError):
    """The record's present state does not allow this."""


class Gone(DomainError):
    """It was there and is no more."""


class Invalid(DomainError):
    """The data breaks a rule."""


class PreconditionRequired(DomainError):
    """The request must say which version it changes."""


class PreconditionFailed(DomainError):
    """The record has changed since you read it."""


class TooLarge(DomainError):
    """The body is larger than this call takes."""


class UnsupportedMediaType(DomainError):
    """The body's content type is not taken here."""


class RequestTimeout(DomainError):
    """The body did not arrive in time."""


class TooManyRequests(DomainError):
    """You have asked too often; wait a moment."""


class Unavailable(DomainError):
    """The service cannot answer now; try again."""
