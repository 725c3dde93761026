"""Conversations change owners without a gap: the former owner goes on listening until its successor does."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import psycopg

from channels_app.infrastructure.db import AsyncConnection
from connect_bridge.relay.relay import Relay
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import ownership
from people.encryption import decrypt_text

log = logging.getLogger(__name__)

#: Seconds for sends under way to end before a conversation is given away, and for the database to take that.
ENDS_WITHIN = 3.0
#: Seconds that the former owner goes on listening at most. A successor claims at once, and needs a moment to connect.
LISTENS_FOR = 10.0
#: Seconds between two looks at whether the successors listen.
LOOK_AGAIN = 0.2
#: A bridge may own so much more than its share: a tenth, but never fewer than these.
SLACK_SHARE, SLACK_LEAST = 0.1, 2
#: Conversations given away in one round of upkeep: each costs its successor a connection, of which Connect takes six a
#: second.
MOST_AT_ONCE = 20


@dataclass(slots=True)
class Rebalancer:
    """Gives conversations of one bridge away. Capture needs no fence, so that two may listen to the same chat."""

    runtime: BridgeRuntime
    _handing_over: set[asyncio.Task[None]] = field(default_factory=set)

    async def excess(self, connection: AsyncConnection) -> int:
        """Return how many conversations to give away now, so that all living bridges have their share."""
        shares = await connection.execute(ownership.SHARES.encode(), {"bridge": self.runtime.bridge})
        mine, total, bridges = await shares.fetchone() or (0, 0, 1)
        share = -(-total // max(1, bridges))
        over = mine - share - max(SLACK_LEAST, int(share * SLACK_SHARE))
        return max(0, min(over, MOST_AT_ONCE))

    async def give(self, relays: Sequence[Relay]) -> None:
        """Give these away, and go on listening to them in the background until another bridge does."""
        await quiesce(relays)
        params = {"bridge": self.runtime.bridge, "ids": [relay.conversation for relay in relays]}
        try:
            await self.runtime.execute(ownership.GIVE, params)
        except BaseException:
            for relay in relays:
                relay.close()
            raise
        task = asyncio.create_task(self.await_takeover(relays))
        self._handing_over.add(task)
        task.add_done_callback(self._handing_over.discard)

    async def await_takeover(self, relays: Collection[Relay]) -> None:
        """Go on listening to each chat until somebody else does, or for LISTENS_FOR; then close its socket."""
        ends = time.monotonic() + LISTENS_FOR
        left = {relay for relay in relays if relay.listener is not None}
        try:
            while left and time.monotonic() < ends:
                await asyncio.sleep(LOOK_AGAIN)
                waiting = await self._without_successor(left)
                for relay in [relay for relay in left if relay.conversation not in waiting]:
                    relay.close()
                    left.discard(relay)
        except psycopg.Error as failure:
            log.info("could not see what became of conversations given away: %s", type(failure).__name__)
        finally:
            for relay in relays:
                relay.close()

    async def ended(self) -> None:
        """Wait for all hand-overs under way."""
        await asyncio.gather(*self._handing_over, return_exceptions=True)

    async def _without_successor(self, relays: Collection[Relay]) -> set[uuid.UUID]:
        """Return whose chats are open, and not connected to by anybody since we did."""
        ours = {relay.conversation: relay.listener.connection.token for relay in relays if relay.listener is not None}
        async with self.runtime.pool.connection() as connection:
            tokens = await connection.execute(ownership.LAST_TOKENS.encode(), {"conversations": list(ours)})
            return {row[0] for row in await tokens.fetchall() if decrypt_text(row[1]) == ours[row[0]]}


async def quiesce(relays: Sequence[Relay]) -> None:
    """Let sends under way end and be written down, so that their successors need not guess; cut off what takes long."""
    for relay in relays:
        relay.retire()
    tasks = [relay.task for relay in relays if relay.task is not None]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=ENDS_WITHIN)
        for task in late:
            task.cancel()
