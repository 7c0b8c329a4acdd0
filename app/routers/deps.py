"""What a route may ask for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, overload
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Path, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.devices import Arrival, DeviceWrite, DeviceWrites
from app.domain.errors import PreconditionFailed, PreconditionRequired
from app.domain.idempotency_keys import IdempotencyKey, IdempotencyKeys
from app.keys import KeyRing
from app.routers.doors import KEYED, Visit, Wiring
from app.routers.pages import Paging
from app.settings import Settings


async def get_visit(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit


async def get_wiring(request: Request) -> Wiring:
    wiring: Wiring = request.state.wiring
    return wiring


CurrentVisit = Annotated[Visit, Depends(get_visit)]
CurrentWiring = Annotated[Wiring, Depends(get_wiring)]


async def get_session(visit: CurrentVisit) -> AsyncSession:
    return visit.session


async def get_actor(visit: CurrentVisit) -> Actor:
    assert visit.actor is not None
    return visit.actor


async def get_now(visit: CurrentVisit) -> datetime:
    return visit.now


async def get_subject(visit: CurrentVisit) -> Any:
    return visit.subject


async def get_settings(wiring: CurrentWiring) -> Settings:
    return wiring.settings


async def get_keys(wiring: CurrentWiring) -> KeyRing:
    return wiring.keys


Session = Annotated[AsyncSession, Depends(get_session)]
CurrentActor = Annotated[Actor, Depends(get_actor)]
Now = Annotated[datetime, Depends(get_now)]
Subject = Annotated[Any, Depends(get_subject)]
CurrentSettings = Annotated[Settings, Depends(get_settings)]
CurrentKeys = Annotated[KeyRing, Depends(get_keys)]


@dataclass(frozen=True, slots=True)
class Retry:
    """The idempotency key of a call: what it made before, and remembering what it makes now."""

    visit: Visit
    # Of those without an account: whose key it is, and what of the request makes it the same.
    principal_id: UUID | None = None
    fingerprint: bytes | None = None

    def of(self, principal_id: UUID, fingerprint: bytes | None = None) -> "Retry":
        """The retry of somebody without an account."""
        return Retry(self.visit, principal_id, fingerprint)

    @property
    def _whose(self) -> UUID | None:
        return self.visit.actor.id if self.visit.actor else self.principal_id

    async def known(self) -> IdempotencyKey | DeviceWrite | None:
        """What the same request made before: under its key, or under the tablet's number.

        Raises Conflict while that is still under way, or where the number came with other content.
        """
        session, arrival = self.visit.session, Arrival.of(self.visit.session)
        found: IdempotencyKey | DeviceWrite | None = None
        if self.visit.idempotency_key is not None and self._whose is not None:
            found = await IdempotencyKeys(session).claim(
                self._whose, self.visit.idempotency_key, self._fingerprint
            )
        if arrival is not None:
            came = await DeviceWrites(session).known(arrival)
            arrival.written = came is not None
            found = found or came
            if found is not None:
                arrival.answered(found.status, found.ids)
        return found

    @property
    def _fingerprint(self) -> bytes:
        return self.fingerprint or self.visit.fingerprint

    def remember(self, status: int, **ids: UUID | str) -> None:
        """Store the answer's status and ids, in the transaction of its effect."""
        if (arrival := Arrival.of(self.visit.session)) is not None:
            arrival.answered(status, {name: str(id) for name, id in ids.items()})
        if self.visit.idempotency_key is None or self._whose is None:
            return
        self.visit.session.add(
            IdempotencyKey(
                principal_id=self._whose,
                key=self.visit.idempotency_key,
                fingerprint=self._fingerprint,
                status=status,
                ids={name: str(id) for name, id in ids.items()},
                # Keys live in real time, whatever the demo clock says.
                created_at=sa.func.clock_timestamp(),  # type: ignore[arg-type]
            )
        )


async def get_retry(visit: CurrentVisit) -> Retry:
    return Retry(visit)


KEYED.add(get_retry)
Retrying = Annotated[Retry, Depends(get_retry)]


@overload
def read_version(visit: Visit) -> int: ...
@overload
def read_version(visit: Visit, required: bool) -> int | None: ...
def read_version(visit: Visit, required: bool = True) -> int | None:
    """The version that the caller says it has read. Raises PreconditionRequired without one."""
    if visit.if_match is None:
        if required:
            raise PreconditionRequired("precondition_required")
        return None
    if visit.if_match < 0:
        raise PreconditionFailed("stale_version")
    return visit.if_match


Limit = Annotated[int, Query(ge=1, le=200, description="How many items a page has.")]
# A name in a path; one that is too long is not found.
PathName = Annotated[str, Path(max_length=60)]
Cursor = Annotated[
    str | None,
    Query(
        max_length=1000,
        description="`next_cursor` of the page before; good for the same filters only.",
    ),
]


def _paging(limit_by_default: int) -> Any:
    async def get_paging(
        request: Request,
        keys: CurrentKeys,
        limit: Limit = limit_by_default,
        cursor: Cursor = None,
    ) -> Paging:
        return Paging(request, keys.data.cursor, limit, cursor)

    return get_paging


Paged = Annotated[Paging, Depends(_paging(50))]
# Short rows, which are mostly wanted as a whole.
LongPaged = Annotated[Paging, Depends(_paging(200))]
