"""How often one principal may ask, and how often somebody may guess."""

import ipaddress
import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from fastapi import Request

from app.domain.errors import TooManyRequests

KEPT_AT_MOST = 100_000
DAY = 86_400.0


@dataclass(slots=True)
class RateLimit:
    """The generic cell rate algorithm: one moment per principal, no timers, no queues.

    Each process counts for itself: with several replicas a principal has that many times more.
    """

    per_minute: int
    burst: int
    clock: Callable[[], float] = time.monotonic
    # When a principal would be back at nothing used.
    empty_at: dict[Hashable, float] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        return 60.0 / self.per_minute

    @property
    def policy(self) -> str:
        return f'"default";q={self.per_minute};w=60'

    def take(self, principal: Hashable, count: bool = True) -> tuple[float, str]:
        """Seconds to wait (0: go ahead) and the RateLimit header; without `count` only a look."""
        now = self.clock()
        if len(self.empty_at) > 10_000:
            self.empty_at = {who: at for who, at in self.empty_at.items() if at > now}
        used_until = max(self.empty_at.get(principal, now), now)
        wait = used_until + self.interval - now - self.burst * self.interval
        if wait <= 0 and count:
            used_until += self.interval
            self.empty_at[principal] = used_until
        left = max(0, int(self.burst - (used_until - now) / self.interval))
        return max(wait, 0.0), f'"default";r={left};t={math.ceil(used_until - now)}'


@dataclass(slots=True)
class Failures:
    """Wrong tries, each forgotten after `every` seconds: `burst` of them are free.

    What was tried at once is counted whole, up to twice the burst: nobody waits longer than
    for that.
    """

    every: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    forgotten_at: dict[Hashable, float] = field(default_factory=dict)

    def wait(self, who: Hashable) -> float:
        """Seconds until the next try; 0: now."""
        now = self.clock()
        until = max(self.forgotten_at.get(who, now), now)
        return max(0.0, until - now - (self.burst - 1) * self.every)

    def count(self, who: Hashable) -> None:
        now = self.clock()
        until = max(self.forgotten_at.pop(who, now), now) + self.every
        self.forgotten_at[who] = min(until, now + 2 * self.burst * self.every)
        if len(self.forgotten_at) > KEPT_AT_MOST:
            left = [(key, at) for key, at in self.forgotten_at.items() if at > now]
            # However many there are: the newest stay, and memory ends somewhere.
            self.forgotten_at = dict(left[-KEPT_AT_MOST // 2 :])


def _of_pair() -> Failures:
    return Failures(60, 5)


def _of_address() -> Failures:
    return Failures(6, 50)


def _of_ticket() -> Failures:
    return Failures(600, 50)


def _tried() -> Failures:
    return Failures(DAY, 1)


@dataclass(slots=True)
class Guesses:
    """Wrong PINs. Only failures count, so whoever knows the PIN never waits for having asked.

    From one address on one ticket five are free, then one a minute; on all tickets fifty, then ten
    a minute. Past fifty on one ticket from anywhere, only those are let in who have not failed on
    it for a day: guessing from elsewhere shuts nobody out. Counted by each process for itself.
    """

    of_pair: Failures = field(default_factory=_of_pair)
    of_address: Failures = field(default_factory=_of_address)
    of_ticket: Failures = field(default_factory=_of_ticket)
    tried: Failures = field(default_factory=_tried)

    def check(self, ticket: str, address: str) -> None:
        """Raises TooManyRequests for who has to wait before the next try."""
        pair = (ticket, address)
        wait = max(self.of_pair.wait(pair), self.of_address.wait(address))
        if self.tried.wait(pair):
            wait = max(wait, self.of_ticket.wait(ticket))
        if wait:
            raise TooManyRequests("too_many_requests", retry_after=math.ceil(wait))

    def count(self, ticket: str, address: str) -> None:
        pair = (ticket, address)
        self.of_pair.count(pair)
        self.of_address.count(address)
        self.of_ticket.count(ticket)
        self.tried.count(pair)


def address_of(request: Request) -> str:
    """Where a call comes from. Of IPv6 the network: a household has a whole one to itself.

    Behind a proxy that the server trusts (FORWARDED_ALLOW_IPS) it is the one the proxy names.
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:60]
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
