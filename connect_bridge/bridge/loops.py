"""What a bridge does again and again: each loop runs by itself, and begins again if it breaks.

Every loop that an event wakes also looks by itself now and then, so that a lost NOTIFY costs seconds and no message.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from channels_app.infrastructure.failpoints import failpoint
from channels_app.webhooks.entries import INTAKE_CHANNEL, UNPARK
from connect_bridge.automation.briefings import brief_agents
from connect_bridge.automation.replies import tell_who_waits
from connect_bridge.automation.undelivered_notices import tell_agents
from connect_bridge.bridge.conversations import OwnedConversations
from connect_bridge.bridge.dispatcher import Dispatcher
from connect_bridge.bridge.rate_sharing import keep_sharing
from connect_bridge.bridge.rebalancing import Rebalancer
from connect_bridge.inbound.router import Router
from connect_bridge.listening.listener import Listener
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import ownership
from connect_bridge.storage.ownership import FREED_CHANNEL
from connect_bridge.storage.rate_limits import RATE_CHANNEL
from connect_bridge.storage.relaying import RELAY_CHANNEL

log = logging.getLogger(__name__)

#: Seconds between heartbeats, and between looks at what nobody owns. The intake is looked at this often even when no
#: NOTIFY comes.
EVERY = 1.0
#: Seconds between the rarer looks: parked receipts, forgotten messages, sockets to renew, chats to sweep.
RARELY = 5.0
#: How often more than this bridge's share is claimed: every so many heartbeats.
GREEDY_EVERY = 5
#: Chats that are renewed at once, and swept at once: who is slow must not keep thousands waiting.
TENDED_AT_ONCE = 16


@dataclass(slots=True, eq=False)
class Loops:
    """The loops of one bridge. `join` writes the bridge's row, should it be missing.

    The events are set by NOTIFY: `intake`, something came in; `pending`, another bridge stored something for a
    conversation of ours; `freed`, another bridge gave conversations away.
    """

    runtime: BridgeRuntime
    conversations: OwnedConversations
    rebalancer: Rebalancer
    dispatcher: Dispatcher
    parameters: Mapping[str, Any]
    join: Callable[[], Awaitable[None]]
    intake: asyncio.Event = field(default_factory=asyncio.Event)
    pending: asyncio.Event = field(default_factory=asyncio.Event)
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run all loops until the event is set."""
        tasks = [asyncio.create_task(_forever(loop, name)) for name, loop in self._all().items()]
        try:
            await stopping.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _all(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        runtime, listener_of = self.runtime, self.conversations.listener
        return {
            "heartbeat": self.beat,
            "sockets": self.tick_sockets,
            "intake": self.route_intake,
            "notifications": self.listen_for_notifications,
            "owned": self.wake_pending,
            "upkeep": self.keep_up,
            "rates": lambda: keep_sharing(runtime.limiters, runtime.pool),
            "renewals": lambda: self.tend(lambda listener: listener.is_to_renew, Listener.renew),
            "sweeps": lambda: self.tend(lambda listener: listener.is_to_sweep, Listener.sweep),
            "notices": lambda: tell_agents(runtime, listener_of),
            "briefings": lambda: brief_agents(runtime, listener_of),
            "account settings": lambda: runtime.account_settings.keep(runtime.pool),
            "queue delays": lambda: tell_who_waits(runtime),
        }

    async def beat(self) -> None:
        """Once a second: say that we live, and take over what nobody owns. Nothing else may delay this connection."""
        async with await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True) as connection:
            for number in itertools.count():
                began = time.monotonic()
                self.freed.clear()
                if (await connection.execute(ownership.BEAT.encode(), [self.runtime.bridge])).rowcount == 0:
                    await self.join()
                if not self.runtime.owns:
                    log.warning("bridge %s was away for too long", self.runtime.bridge)
                    await self.conversations.reconcile(connection)
                self.runtime.beat_at = began
                await self.conversations.claim(connection, greedy=number % GREEDY_EVERY == GREEDY_EVERY - 1)
                await wait(self.freed, max(0.0, EVERY - (time.monotonic() - began)))

    async def tick_sockets(self) -> None:
        """Once a second: let a tenth of the websockets send their heartbeats."""
        while True:
            self.runtime.wheel.tick()
            await asyncio.sleep(1)

    async def route_intake(self) -> None:
        """Turn stored webhook entries into messages, and wake the relays of those that are ours."""
        async with await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True) as connection:
            router = Router(connection, self.runtime.bridge)
            while True:
                self.intake.clear()
                count, stored = await router.route()
                for message in stored:
                    self.dispatcher.inbound(message.conversation, message.message)
                    if message.owner == self.runtime.bridge:
                        self.conversations.relay(message.conversation).wake()
                if count == 0:
                    await wait(self.intake, EVERY)

    async def listen_for_notifications(self) -> None:
        """Set the event that each NOTIFY is about."""
        async with await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True) as connection:
            for channel in (INTAKE_CHANNEL, RELAY_CHANNEL, RATE_CHANNEL, FREED_CHANNEL):
                await connection.execute(f"LISTEN {channel}".encode())
            async for notification in connection.notifies():
                failpoint("I5")
                self._notified(notification)

    def _notified(self, notification: psycopg.Notify) -> None:
        ours = notification.payload == str(self.runtime.bridge)
        if notification.channel == INTAKE_CHANNEL:
            self.intake.set()
        elif notification.channel == RATE_CHANNEL:
            self.runtime.limiters.news.set()
        elif notification.channel == FREED_CHANNEL:
            if not ours:
                self.freed.set()
        elif ours:
            self.pending.set()

    async def wake_pending(self) -> None:
        """Relay what other bridges stored for conversations of ours, when they tell us, or else soon."""
        while True:
            await wait(self.pending, RARELY)
            self.pending.clear()
            await self.conversations.wake_pending()

    async def keep_up(self) -> None:
        """Every few seconds: what no event would bring about."""
        while True:
            await asyncio.sleep(RARELY)
            for statement in (UNPARK, ownership.REVIVE, ownership.FORGET):
                await self.runtime.execute(statement, None)
            async with self.runtime.pool.connection() as connection:
                await self.conversations.reconcile(connection)
                excess = await self.rebalancer.excess(connection)
                await self.conversations.give_away(excess, self.rebalancer)

    async def tend(self, is_due: Callable[[Listener], bool], care: Callable[[Listener], Awaitable[None]]) -> None:
        """Every few seconds: give each chat the care that is due, a few at a time."""
        slots = asyncio.Semaphore(TENDED_AT_ONCE)

        async def tend(listener: Listener) -> None:
            async with slots:
                await care(listener)

        while True:
            await asyncio.sleep(RARELY)
            await asyncio.gather(*(tend(listener) for listener in self.conversations.listeners() if is_due(listener)))


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, for so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _forever(loop: Callable[[], Awaitable[None]], name: str) -> None:
    """Run a loop that never ends; if it breaks, say so and begin again."""
    while True:
        try:
            await loop()
        except Exception as failure:  # noqa: BLE001 - the process must outlive a lost database
            log.warning("bridge loop %s broke (%s), begins again", name, type(failure).__name__)
            await asyncio.sleep(EVERY)
