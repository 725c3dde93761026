"""How fast Connect is called, and what its 429s teach."""

from __future__ import annotations

import asyncio
import time

import pytest

from connect_bridge.connect.rate_limit import FLOORS, ONCE_IN, RateLimiter, RateLimiters
from tests.connect_bridge.connect.kit import seconds, turns


async def test_there_is_no_limit_before_the_first_refusal() -> None:
    await asyncio.wait_for(turns(RateLimiter(floor=1.0), 500), 60)  # at its floor they would take minutes


async def test_turns_come_in_order_and_no_faster_than_the_rate() -> None:
    limiter = RateLimiter(floor=50.0, rate=50.0)
    began = time.monotonic()
    assert await turns(limiter, 11) == list(range(11))
    assert time.monotonic() - began >= 10 / 60  # it grows a little meanwhile


async def test_a_refusal_slows_down_but_never_below_the_documented_rate() -> None:
    limiter = RateLimiter(floor=10.0)
    await turns(limiter, 100)
    limiter.throttled()
    assert limiter.rate == pytest.approx(70.0)
    for _ in range(20):
        limiter._cut_at -= ONCE_IN
        limiter.throttled()
    assert limiter.rate == 10.0


async def test_refusals_of_calls_that_were_under_way_together_count_once() -> None:
    limiter = RateLimiter(floor=10.0)
    await turns(limiter, 100)
    for _ in range(20):
        limiter.throttled()
    assert limiter.rate == pytest.approx(70.0)


async def test_who_waits_already_obeys_a_longer_wait_too() -> None:
    limiter = RateLimiter(floor=50.0, rate=50.0)
    waiting = asyncio.create_task(turns(limiter, 3))
    await asyncio.sleep(0.001)
    limiter.throttled(retry_after=0.3)
    assert await seconds(asyncio.wait_for(waiting, 20)) >= 0.25


async def test_who_waits_already_gains_from_a_faster_rate() -> None:
    limiter = RateLimiter(floor=5.0, rate=50.0)
    waiting = asyncio.create_task(turns(limiter, 20_000))
    await asyncio.sleep(0.01)
    limiter.rate = None
    await asyncio.wait_for(waiting, 60)  # at the former rate they would take minutes


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    limiter = RateLimiter(floor=20.0, rate=20.0)
    await limiter.acquire()
    impatient = asyncio.create_task(limiter.acquire())
    patient = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.001)
    assert not impatient.done(), "it waits for its turn, with the other behind it"
    impatient.cancel()
    _, waiting = await asyncio.wait({impatient, patient}, timeout=20)
    assert waiting == set()
    assert [task.cancelled() for task in (impatient, patient)] == [True, False]


async def test_without_refusals_the_limit_grows_until_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("connect_bridge.connect.rate_limit.time.monotonic", lambda: now)
    limiter = RateLimiter(floor=10.0, rate=10.0)
    for _ in range(40):
        now += 1.1
        await limiter.acquire()
    assert limiter.rate is None


def test_every_instance_and_operation_has_a_rate_of_its_own() -> None:
    limiters = RateLimiters()
    assert limiters.of("a", "connect") is limiters.of("a", "connect")
    assert len({id(limiters.of(instance, operation)) for instance in "ab" for operation in FLOORS}) == 2 * len(FLOORS)
