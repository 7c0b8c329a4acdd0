"""How often one principal may ask: a rate and a burst above it."""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


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
