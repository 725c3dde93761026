"""The conversations that one bridge owns, each with its relay: claimed, looked after, given away, let go."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.bridge.rebalancing import Rebalancer
from connect_bridge.listening.listener import Listener
from connect_bridge.relay.relay import Relay
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import ownership, relaying

log = logging.getLogger(__name__)

#: Conversations taken over at once.
MOST_CLAIMED = 500


@dataclass(slots=True, eq=False)
class OwnedConversations:
    """The relays of one bridge, by conversation."""

    runtime: BridgeRuntime
    relays: dict[uuid.UUID, Relay] = field(default_factory=dict)
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    def relay(self, conversation: uuid.UUID) -> Relay:
        """Return the conversation's relay, a new one if there is none."""
        relay = self.relays.get(conversation)
        if relay is None:
            relay = self.relays[conversation] = Relay(self.runtime, conversation, self._on_idle)
        return relay

    def listener(self, conversation: uuid.UUID) -> Listener | None:
        """Return who listens to the conversation's chat, None if this bridge does not."""
        relay = self.relays.get(conversation)
        return None if relay is None else relay.listener

    def listeners(self) -> list[Listener]:
        return [relay.listener for relay in self.relays.values() if relay.listener is not None]

    async def claim(self, connection: AsyncConnection, *, greedy: bool = False) -> None:
        """Take over what nobody owns, up to this bridge's share; all of it if `greedy`."""
        params = {"bridge": self.runtime.bridge, "most": MOST_CLAIMED, "greedy": greedy}
        claimed = await connection.execute(ownership.CLAIM.encode(), params)
        for (conversation,) in await claimed.fetchall():
            failpoint("O4")
            self.relay(conversation).wake()

    async def reconcile(self, connection: AsyncConnection) -> None:
        """Leave alone what others have taken over, and relay for what is ours though no notification said so."""
        known = set(self.relays)
        owned = await connection.execute(ownership.OWNED.encode(), [self.runtime.bridge])
        ours = {row[0] for row in await owned.fetchall()}
        for conversation in known - ours:
            if (relay := self.relays.pop(conversation, None)) is not None:
                relay.stop()
                if relay.task is not None and relay.is_busy:
                    self._keep(relay.task)
        for conversation in ours - self.relays.keys():
            self.relay(conversation).wake()

    async def wake_pending(self) -> None:
        """Wake the relays of owned conversations in which something waits to be relayed."""
        async with self.runtime.pool.connection() as connection:
            pending = await connection.execute(relaying.OWNED_PENDING.encode(), [self.runtime.bridge])
            for (conversation,) in await pending.fetchall():
                self.relay(conversation).wake()

    async def give_away(self, number: int, rebalancer: Rebalancer) -> None:
        """Give so many conversations to bridges that have fewer, those first in which nothing is under way."""
        if not number:
            return
        chosen = sorted(self.relays.values(), key=lambda relay: relay.is_busy)[:number]
        log.info("bridge %s gives %d conversations away", self.runtime.bridge, len(chosen))
        try:
            await rebalancer.give(chosen)
        finally:
            for relay in chosen:  # not before: two relays of one conversation would get in each other's way
                self.relays.pop(relay.conversation, None)

    async def release(self, relay: Relay) -> None:
        """Let go of an idle conversation. What fails here, and what is woken meanwhile, a new relay looks after."""
        if self.relays.get(relay.conversation) is relay:
            del self.relays[relay.conversation]
        try:
            async with self.runtime.pool.connection() as connection:
                idle = await ownership.release(connection, relay.conversation, self.runtime.bridge)
        except psycopg.Error as failure:
            log.info("conversation %s was not released: %s", relay.conversation, type(failure).__name__)
        else:
            if not idle:
                self.relay(relay.conversation).wake()

    def _on_idle(self, relay: Relay) -> None:
        self._keep(asyncio.create_task(self.release(relay)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task until it ends: asyncio itself does not."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)
