"""Go as fast as Connect lets us, and learn from its 429s how fast that is: all bridges of an instance together.

Without a limit in force, acquire() only reads a clock. What one bridge is refused the others learn through
`Cut` and `SharedRate`, which bridge/rate_sharing.py exchanges between processes; a known rate grows with the clock, the
same in every bridge, without further news.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

#: After a 429 the rate falls to this share of what it was, or of what was asked for in the last second …
SLOWER = 0.7
#: … but not twice within so many seconds, because what is refused then was sent before we knew …
ONCE_IN = 0.25
#: … and grows by this factor a second while none comes.
FASTER = 1.1
#: A rate this many times above the floor is no limit any more …
FREE_ABOVE = 20.0
#: … and none is after so many seconds.
FORGOTTEN_AFTER = 60.0


class SharedRate(msgspec.Struct, frozen=True, kw_only=True):
    """What all bridges know of one operation: its rate `age` seconds ago, for how long it pauses, who shares it."""

    instance_id: str
    operation: str
    rate: float
    age: float
    pause: float
    bridges: int


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What one bridge was refused: the rate to which it has slowed down, and for how many seconds it pauses."""

    instance_id: str
    operation: str
    rate: float
    floor: float
    pause: float


@dataclass(slots=True)
class RateLimiter:
    """One operation's rate on one Connect instance, in calls per second. No limit until the first 429.

    `rate` is that of all `bridges` together when it was last cut; `floor` is Amazon's documented default quota: it
    never goes below that. `unshared`: the seconds that a 429 asked us to wait, which the others do not know of yet;
    `notify` is called when there is such news.
    """

    floor: float
    rate: float | None = None
    bridges: int = 1
    unshared: float | None = None
    notify: Callable[[], None] = lambda: None
    _cut_at: float = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108 - looked up late: tests set the clock
    _gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    _next: float = 0.0
    _window: float = 0.0
    _passed: int = 0
    _last_second: int = 0

    async def acquire(self) -> None:
        """Wait until the next call may be made. First come, first served; who waits obeys a rate that changes."""
        async with self._gate:
            while (wait := self._next - time.monotonic()) > 0:  # noqa: ASYNC110 - a clock, not an event
                await asyncio.sleep(wait)
            now = time.monotonic()
            self._count(now)
            limit = self.limit(now)
            if limit is not None:
                self._next = now + self.bridges / limit

    def limit(self, now: float) -> float | None:
        """Return how many calls a second all bridges may make at that moment, None for any number."""
        if self.rate is None:
            return None
        grown = self.rate * FASTER ** min(now - self._cut_at, FORGOTTEN_AFTER)
        if grown > self.floor * FREE_ABOVE:
            self.rate = None
        return self.rate and max(self.floor, grown)

    def throttled(self, retry_after: float = 0.0) -> None:
        """Slow down; `retry_after` in seconds is obeyed."""
        now = time.monotonic()
        self._next = max(self._next, now + retry_after)
        if self.rate is None or now - self._cut_at >= ONCE_IN:
            seen = max(self._last_second, self._passed) * self.bridges
            self.rate = max(self.floor, (self.limit(now) or seen) * SLOWER)
            self._cut_at = now
        elif not retry_after:
            return
        self.unshared = max(self.unshared or 0.0, retry_after)
        self.notify()

    def adopt(self, known: SharedRate) -> None:
        """Go on with what all bridges know, unless we know better and have not said so yet."""
        self.bridges = max(1, known.bridges)
        if self.unshared is None:
            now = time.monotonic()
            self.rate, self._cut_at = known.rate, now - known.age
            self._next = max(self._next, now + known.pause)

    def _count(self, now: float) -> None:
        if now - self._window >= 1.0:
            self._last_second, self._passed, self._window = self._passed, 0, now
        self._passed += 1


#: Amazon Connect Administrator Guide, service quotas: calls per second by default.
FLOORS = {"start_chat": 5.0, "connect": 6.0, "send_message": 10.0, "transcript": 8.0}


@dataclass(slots=True)
class RateLimiters:
    """The rates of all operations on all instances. `news`: this or another bridge has been refused something."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    _limiters: dict[tuple[str, str], RateLimiter] = field(default_factory=dict)

    def of(self, instance_id: str, operation: str) -> RateLimiter:
        limiter = self._limiters.get((instance_id, operation))
        if limiter is None:
            limiter = self._limiters[instance_id, operation] = RateLimiter(FLOORS[operation], notify=self.news.set)
        return limiter

    @property
    def limited(self) -> bool:
        """Whether any limit is in force."""
        now = time.monotonic()
        return any(limiter.limit(now) is not None for limiter in self._limiters.values())

    def take_cuts(self) -> list[Cut]:
        """Return what we were refused and the other bridges do not know of yet. Each refusal is returned once."""
        cuts = []
        for (instance, operation), limiter in self._limiters.items():
            if limiter.unshared is not None:
                cuts.append(
                    Cut(
                        instance_id=instance,
                        operation=operation,
                        rate=limiter.rate or limiter.floor,
                        floor=limiter.floor,
                        pause=limiter.unshared,
                    )
                )
                limiter.unshared = None
        return cuts

    def adopt(self, rates: Iterable[SharedRate]) -> None:
        """Go on with what all bridges know. Operations of another version of Parley are passed over."""
        for rate in rates:
            if rate.operation in FLOORS:
                self.of(rate.instance_id, rate.operation).adopt(rate)
