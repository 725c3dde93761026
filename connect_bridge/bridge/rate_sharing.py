"""What one bridge is refused by Amazon Connect slows all bridges down: they exchange their rates through a table."""

from __future__ import annotations

import asyncio

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from channels_app.infrastructure.db import AsyncConnection
from connect_bridge.connect.rate_limit import FASTER, ONCE_IN, SLOWER, RateLimiters, SharedRate
from connect_bridge.storage.rate_limits import RATE_CHANNEL, SHARED_RATES, SLOW_DOWN

#: Seconds between two looks at what others found out, while a limit is in force and while none is: a lost
#: notification costs no more.
LOOK_LIMITED, LOOK_FREE = 1.0, 5.0


async def share_rates(limiters: RateLimiters, pool: AsyncConnectionPool[AsyncConnection]) -> None:
    """Tell the other bridges what we were refused, and take over what they know. Raises psycopg.Error."""
    async with pool.connection() as connection:
        for cut in limiters.take_cuts():
            params = {
                "channel": RATE_CHANNEL,
                "instance": cut.instance_id[:100],
                "operation": cut.operation,
                "rate": cut.rate,
                "floor": cut.floor,
                "pause": cut.pause,
                "slower": SLOWER,
                "faster": FASTER,
                "once_in": ONCE_IN,
            }
            await connection.execute(SLOW_DOWN, params)
        async with connection.cursor(row_factory=class_row(SharedRate)) as cursor:
            rates = await (await cursor.execute(SHARED_RATES)).fetchall()
    limiters.adopt(rates)


async def keep_sharing(limiters: RateLimiters, pool: AsyncConnectionPool[AsyncConnection]) -> None:
    """Share for ever: at once when something is refused, here or elsewhere, else now and then."""
    while True:
        limiters.news.clear()
        await share_rates(limiters, pool)
        try:
            async with asyncio.timeout(LOOK_LIMITED if limiters.limited else LOOK_FREE):
                await limiters.news.wait()
        except TimeoutError:
            pass
