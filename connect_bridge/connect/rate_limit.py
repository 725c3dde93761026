"""Go as fast as Connect lets us, and learn from its 429s how fast that is: all bridges of an instance together.

Without a limit in force a turn is a look at a clock. A 429 that one bridge gets is told to the others through a table;
a rate that is known grows by the clock, the same in every bridge, without anybody telling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from connect_bridge.storage import chats
from connect_bridge.storage.chats import Connection

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
#: Seconds between two looks at what others found out, while a limit is in force and while none is: a lost
#: notification costs no more.
LOOK_LIMITED, LOOK_FREE = 1.0, 5.0


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What all bridges know of one operation: its rate `age` seconds ago, for how long it pauses, who shares it."""

    instance_id: str
    operation: str
    rate: float
    age: float
    pause: float
    bridges: int


@dataclass(slots=True)
class RateLimiter:
    """One operation's rate on one Connect instance, in calls per second. No limit until the first 429.

    `rate` is that of all `bridges` together when it was last cut; `floor` is Amazon's documented default quota: it
    never goes below that. `unshared`: the seconds that a 429 asked us to wait, which the others do not know of yet;
    `tell` is called when there is such news.
    """

    floor: float
    rate: float | None = None
    bridges: int = 1
    unshared: float | None = None
    tell: Callable[[], None] = lambda: None
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
        self.tell()

    def adopt(self, known: Shared) -> None:
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
    """The paces of all operations on all instances. `news`: another bridge has been refused something."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    _limiters: dict[tuple[str, str], RateLimiter] = field(default_factory=dict)

    def of(self, instance_id: str, operation: str) -> RateLimiter:
        limiter = self._limiters.get((instance_id, operation))
        if limiter is None:
            limiter = self._limiters[instance_id, operation] = RateLimiter(FLOORS[operation], tell=self.news.set)
        return limiter

    @property
    def limited(self) -> bool:
        """Whether any limit is in force."""
        now = time.monotonic()
        return any(limiter.limit(now) is not None for limiter in self._limiters.values())

    async def share(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Tell the other bridges what we were refused, and take over what they know. Raises psycopg.Error."""
        async with pool.connection() as connection:
            for (instance, operation), limiter in list(self._limiters.items()):
                if limiter.unshared is not None:
                    given, limiter.unshared = _given(instance, operation, limiter), None
                    await connection.execute(chats.SLOW_DOWN, given)
            async with connection.cursor(row_factory=class_row(Shared)) as cursor:
                known = await (await cursor.execute(chats.SHARED_PACES)).fetchall()
        self._adopt(known)

    def _adopt(self, known: Iterable[Shared]) -> None:
        for one in known:
            if one.operation in FLOORS:
                self.of(one.instance_id, one.operation).adopt(one)

    async def keep(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Share for ever: at once when something is refused, here or elsewhere, else now and then."""
        while True:
            self.news.clear()
            await self.share(pool)
            try:
                async with asyncio.timeout(LOOK_LIMITED if self.limited else LOOK_FREE):
                    await self.news.wait()
            except TimeoutError:
                pass


def _given(instance: str, operation: str, limiter: RateLimiter) -> dict[str, Any]:
    return {
        "channel": chats.PACE_CHANNEL,
        "instance": instance[:100],
        "operation": operation,
        "rate": limiter.rate or limiter.floor,
        "floor": limiter.floor,
        "pause": limiter.unshared,
        "slower": SLOWER,
        "faster": FASTER,
        "once_in": ONCE_IN,
    }
