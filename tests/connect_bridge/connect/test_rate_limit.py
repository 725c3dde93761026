"""How fast Connect is called, and what its 429s teach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone
from psycopg_pool import AsyncConnectionPool

from channels_app.infrastructure.db import connect_parameters
from connect_bridge.connect.rate_limit import FLOORS, ONCE_IN, RateLimiter, RateLimiters
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import ConnectPace
from connect_bridge.storage.chats import PACE_CHANNEL

Pool = AsyncConnectionPool[Any]


@pytest.fixture
async def pool(transactional_db: None) -> AsyncIterator[Pool]:
    given = {**connect_parameters(), "autocommit": True}
    async with AsyncConnectionPool(kwargs=given, min_size=1, max_size=3, open=False) as opened:
        yield opened
    await sync_to_async(connections.close_all)()


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


async def test_what_one_bridge_is_refused_slows_all_down_and_each_takes_its_share(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    for host in ("one", "two"):
        await BridgeRow.objects.acreate(host=host, pid=1, started_at=timezone.now(), beat_at=timezone.now())
    await turns(refused.of("i", "send_message"), 100)
    refused.of("i", "send_message").throttled()
    assert refused.news.is_set()
    await refused.share(pool)
    await other.share(pool)
    limiter = other.of("i", "send_message")
    assert limiter.limit(time.monotonic()) == pytest.approx(70.0, rel=0.1)
    assert other.limited
    assert await seconds(turns(limiter, 11)) >= 10 / 40  # half of the rate, which grows a little meanwhile


async def test_two_bridges_that_are_refused_at_once_slow_down_once(pool: Pool) -> None:
    both = [RateLimiters(), RateLimiters()]
    for limiters in both:
        await turns(limiters.of("i", "connect"), 100)
        limiters.of("i", "connect").throttled()
    for limiters in both:
        await limiters.share(pool)
    assert (await ConnectPace.objects.aget()).rate == pytest.approx(70.0)


async def test_a_second_refusal_goes_on_from_what_all_know(pool: Pool) -> None:
    limiters = RateLimiters()
    await turns(limiters.of("i", "connect"), 100)
    limiters.of("i", "connect").throttled()
    await limiters.share(pool)
    await ConnectPace.objects.aupdate(cut_at=timezone.now() - timedelta(seconds=1))
    late = RateLimiters()
    await turns(late.of("i", "connect"), 500)
    late.of("i", "connect").throttled()
    await late.share(pool)
    assert late.of("i", "connect").rate == pytest.approx(70 * 1.1 * 0.7, rel=0.05)


async def test_a_wait_that_connect_asked_for_holds_for_all(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    refused.of("i", "connect").throttled(retry_after=0.4)
    await refused.share(pool)
    await other.share(pool)
    assert await seconds(other.of("i", "connect").acquire()) >= 0.3


async def test_a_limit_of_long_ago_is_none(pool: Pool) -> None:
    then = timezone.now() - timedelta(minutes=2)
    await ConnectPace.objects.acreate(instance_id="i", operation="connect", rate=6, cut_at=then, until=then)
    limiters = RateLimiters()
    await limiters.share(pool)
    assert not limiters.limited


async def test_other_bridges_are_told_at_once(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    keeping = [asyncio.create_task(limiters.keep(pool)) for limiters in (refused, other)]
    async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as listening:
        await listening.execute(f"LISTEN {PACE_CHANNEL}")
        await asyncio.sleep(0.2)
        await turns(refused.of("i", "connect"), 100)
        refused.of("i", "connect").throttled()
        async for _ in listening.notifies(timeout=20, stop_after=1):
            other.news.set()
        await asyncio.sleep(0.2)
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    assert other.limited


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
    impatient.cancel()
    await asyncio.wait_for(patient, 20)


async def test_without_refusals_the_limit_grows_until_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("connect_bridge.connect.rate_limit.time.monotonic", lambda: now)
    limiter = RateLimiter(floor=10.0, rate=10.0)
    for _ in range(40):
        now += 1.1
        await limiter.acquire()
    assert limiter.rate is None


def test_every_instance_and_operation_has_a_pace_of_its_own() -> None:
    limiters = RateLimiters()
    assert limiters.of("a", "connect") is limiters.of("a", "connect")
    assert len({id(limiters.of(instance, operation)) for instance in "ab" for operation in FLOORS}) == 2 * len(FLOORS)
