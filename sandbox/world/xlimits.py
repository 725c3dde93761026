"""How often X takes a call of one user. Source: docs.x.com, "Rate limits"; the v1.1 send: its own reference."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sandbox.world.accounts import Account
from sandbox.world.calls import Refusal

_QUARTER, _DAY = 15 * 60, 24 * 3600
#: What is counted, and so many in so many seconds, the shortest time first.
LIMITS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "send": ((15, _QUARTER), (1_440, _DAY)),
    "send by v1.1": ((1_000, _DAY),),
    "list": ((15, _QUARTER),),
    "list with one": ((15, _QUARTER),),
}


def too_many(reset: int, limit: int = 15, window: str = "rate-limit") -> Refusal:
    """Refuse until `reset` (Unix seconds). `window` is what the headers call the limit that is used up."""
    body = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
    return Refusal(429, body, 429, _headers(window, limit, 0, reset))


def count(account: Account, call: str) -> Mapping[str, str]:
    """Count a call, whatever becomes of it; refuse the one too many. Returns the headers of the shortest time."""
    if not account.limits:
        return {}
    limits = [(int(most * account.raised), seconds) for most, seconds in LIMITS[call]]
    now = time.time()
    calls = account.calls[call] = [at for at in account.calls.get(call, []) if now - at < limits[-1][1]]
    for most, seconds in limits:
        recent = [at for at in calls if now - at < seconds]
        if len(recent) >= most:
            window = "user-limit-24hour" if seconds == _DAY else "rate-limit"
            raise too_many(int(recent[0] + seconds) + 1, most, window)
    calls.append(now)
    most, seconds = limits[0]
    left = most - sum(now - at < seconds for at in calls)
    return _headers("rate-limit", most, left, int(now + seconds))


def _headers(window: str, limit: int, left: int, reset: int) -> dict[str, str]:
    return {f"x-{window}-limit": str(limit), f"x-{window}-remaining": str(left), f"x-{window}-reset": str(reset)}
