"""What one bridge is refused, the others take into account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone
from psycopg_pool import AsyncConnectionPool

from channels_app.infrastructure.db import connect_parameters
from connect_bridge.bridge.rate_sharing import keep_sharing, share_rates
from connect_bridge.connect.rate_limit import RateLimiters
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import ConnectPace
from connect_bridge.storage.rate_limits import RATE_CHANNEL
from tests.connect_bridge.connect.kit import seconds, turns

Pool = AsyncConnectionPool[Any]


@pytest.fixture
async def pool(transactional_db: None) -> AsyncIterator[Pool]:
    parameters = {**connect_parameters(), "autocommit": True}
    async with AsyncConnectionPool(kwargs=parameters, min_size=1, max_size=3, open=False) as opened:
        yield opened
    await sync_to_async(connections.close_all)()


async def test_what_one_bridge_is_refused_slows_all_down_and_each_takes_its_share(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    for host in ("one", "two"):
        await BridgeRow.objects.acreate(host=host, pid=1, started_at=timezone.now(), beat_at=timezone.now())
    await turns(refused.of("i", "send_message"), 100)
    refused.of("i", "send_message").throttled()
    assert refused.news.is_set()
    await share_rates(refused, pool)
    await share_rates(other, pool)
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
        await share_rates(limiters, pool)
    assert (await ConnectPace.objects.aget()).rate == pytest.approx(70.0)


async def test_a_second_refusal_goes_on_from_what_all_know(pool: Pool) -> None:
    limiters = RateLimiters()
    await turns(limiters.of("i", "connect"), 100)
    limiters.of("i", "connect").throttled()
    await share_rates(limiters, pool)
    await ConnectPace.objects.aupdate(cut_at=timezone.now() - timedelta(seconds=1))
    late = RateLimiters()
    await turns(late.of("i", "connect"), 500)
    late.of("i", "connect").throttled()
    await share_rates(late, pool)
    assert late.of("i", "connect").rate == pytest.approx(70 * 1.1 * 0.7, rel=0.05)


async def test_a_wait_that_connect_asked_for_holds_for_all(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    refused.of("i", "connect").throttled(retry_after=0.4)
    await share_rates(refused, pool)
    await share_rates(other, pool)
    assert await seconds(other.of("i", "connect").acquire()) >= 0.3


async def test_a_limit_of_long_ago_is_none(pool: Pool) -> None:
    then = timezone.now() - timedelta(minutes=2)
    await ConnectPace.objects.acreate(instance_id="i", operation="connect", rate=6, cut_at=then, until=then)
    limiters = RateLimiters()
    await share_rates(limiters, pool)
    assert not limiters.limited


async def test_other_bridges_are_told_at_once(pool: Pool) -> None:
    refused, other = RateLimiters(), RateLimiters()
    keeping = [asyncio.create_task(keep_sharing(limiters, pool)) for limiters in (refused, other)]
    async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as listening:
        await listening.execute(f"LISTEN {RATE_CHANNEL}")
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
