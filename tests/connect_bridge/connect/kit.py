"""What tests of rate limits share: turns that are taken at once, and how long something takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from connect_bridge.connect.rate_limit import RateLimiter


async def seconds(work: Coroutine[Any, Any, Any]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def turns(limiter: RateLimiter, number: int) -> Sequence[int]:
    """Take turns at once, and return the order in which they came."""
    came: list[int] = []

    async def acquire(mine: int) -> None:
        await limiter.acquire()
        came.append(mine)

    await asyncio.gather(*map(acquire, range(number)))
    return came
