"""Where Connect refuses every chat because of what is set up: one conversation asks for all, the others wait with it.

Otherwise the conversations of one account with a wrong flow would use up the chats a second that the whole instance may
start. Belongs to one bridge.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from connect_bridge.connect.gateway import SetUp

#: Refusals in a row, without a chat that was started, after which it is not one request's fault.
OPENS_AFTER = 5
#: Seconds between two attempts once it is open: doubling up to the most.
FIRST, MOST = 1.0, 15.0

#: The Connect instance and the flow.
Route = tuple[str, str]


@dataclass(slots=True)
class _Breaker:
    refusals: int = 0
    until: float = 0.0
    refusal: SetUp | None = None

    @property
    def pause(self) -> float:
        return min(MOST, FIRST * 2.0 ** min(10, max(0, self.refusals - OPENS_AFTER)))


@dataclass(slots=True)
class CircuitBreakers:
    """One for each route to which chats are refused."""

    _breakers: dict[Route, _Breaker] = field(default_factory=dict)

    def check(self, route: Route) -> None:
        """Raise the latest refusal, as SetUp, while nobody is to ask; whoever may ask is the only one for a while."""
        breaker = self._breakers.get(route)
        if breaker is None or breaker.refusal is None or breaker.refusals < OPENS_AFTER:
            return
        now = time.monotonic()
        if now < breaker.until:
            raise SetUp(str(breaker.refusal))
        breaker.until = now + breaker.pause

    def refused(self, route: Route, refusal: SetUp) -> None:
        breaker = self._breakers.setdefault(route, _Breaker())
        breaker.refusals, breaker.refusal = breaker.refusals + 1, refusal
        breaker.until = time.monotonic() + breaker.pause

    def passed(self, route: Route) -> None:
        """Note that a chat was started: whatever was wrong is mended."""
        self._breakers.pop(route, None)
