"""Go as fast as Connect lets us, and learn from its 429s how fast that is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

#: After a 429 the rate falls to this share of what got through in the last second …
SLOWER = 0.7
#: … and grows by this factor a second while none comes.
FASTER = 1.1
#: A rate this many times above the floor is no limit any more.
FREE_ABOVE = 20.0


@dataclass(slots=True)
class Pace:
    """One operation's rate on one Connect instance, in calls per second. No limit until the first 429.

    `floor` is Amazon's documented default quota: it never goes below that.
    """

    floor: float
    rate: float | None = None
    _gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    _next: float = 0.0
    _window: float = 0.0
    _passed: int = 0
    _last_second: int = 0

    async def turn(self) -> None:
        """Wait until the next call may be made. First come, first served; who waits obeys a rate that changes."""
        async with self._gate:
            while (wait := self._next - time.monotonic()) > 0:  # noqa: ASYNC110 - a clock, not an event
                await asyncio.sleep(wait)
            now = time.monotonic()
            self._count(now)
            if self.rate is not None:
                self._next = now + 1 / self.rate

    def throttled(self, retry_after: float = 0.0) -> None:
        """Slow down; `retry_after` in seconds is obeyed."""
        now = time.monotonic()
        seen = max(self._last_second, self._passed)
        self.rate = max(self.floor, (self.rate or seen) * SLOWER)
        self._next = max(self._next, now + retry_after)

    def _count(self, now: float) -> None:
        if now - self._window >= 1.0:
            self._last_second, self._passed, self._window = self._passed, 0, now
            if self.rate is not None:
                self.rate *= FASTER
                if self.rate > self.floor * FREE_ABOVE:
                    self.rate = None
        self._passed += 1


#: Amazon Connect Administrator Guide, service quotas: calls per second by default.
FLOORS = {"start_chat": 5.0, "connect": 6.0, "send_message": 10.0, "transcript": 8.0}


@dataclass(slots=True)
class Paces:
    """The paces of all operations on all instances."""

    _paces: dict[tuple[str, str], Pace] = field(default_factory=dict)

    def of(self, instance_id: str, operation: str) -> Pace:
        return self._paces.setdefault((instance_id, operation), Pace(FLOORS[operation]))
