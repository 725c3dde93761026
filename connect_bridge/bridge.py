"""The bridge process: routes the intake, owns conversations by lease, relays and listens for each."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from channels_app.committer import GroupCommitter
from channels_app.db import connect_parameters
from channels_app.failpoints import failpoint
from connect_bridge import store
from connect_bridge.boto import BotoConnect, participant_endpoint
from connect_bridge.capture import capture
from connect_bridge.dispatch import Dispatcher
from connect_bridge.gateway import ControlPlane, ParticipantService
from connect_bridge.house import House, Relayed
from connect_bridge.listener import Listener
from connect_bridge.notices import tell_agents
from connect_bridge.participant import AwsParticipants
from connect_bridge.relay import Relay
from connect_bridge.router import Router

log = logging.getLogger(__name__)

#: Seconds between heartbeats, and between looks at what nobody owns. The intake is looked at this often even when no
#: NOTIFY comes.
EVERY = 1.0
#: Seconds between the rarer looks: parked receipts, forgotten messages, sweeps.
RARELY = 5.0
#: Conversations taken over at once.
CLAIM = 500
POOL = 6
#: Ten thousand sockets' worth of long-lived objects: the default thresholds make the collector the tail latency.
GC_THRESHOLDS = (50_000, 20, 1000)


class Bridge:
    """One bridge. `run()` works until `stop()`; then it hands its conversations over and returns.

    Any number may run: conversations spread by lease, and who stops beating loses them after store.BRIDGE_TTL seconds.
    """

    def __init__(self, control: ControlPlane | None = None, participants: ParticipantService | None = None) -> None:
        self.id = uuid.uuid4()
        self._control = control
        self._participants = participants
        self._relays: dict[uuid.UUID, Relay] = {}
        self._stopping = asyncio.Event()
        self._intake = asyncio.Event()
        self._dispatcher = Dispatcher()
        self._releasing: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Ask run() to end. Safe to call from a signal handler of the loop."""
        self._stopping.set()
        self._intake.set()

    async def run(self) -> None:
        gc.set_threshold(*GC_THRESHOLDS)
        parameters = connect_parameters()
        control = self._control or BotoConnect()
        participants = self._participants or AwsParticipants(participant_endpoint())
        async with AsyncConnectionPool(
            kwargs={**parameters, "autocommit": True}, min_size=1, max_size=POOL, open=False
        ) as pool:
            self._house = House(
                bridge=self.id,
                pool=pool,
                control=control,
                participants=participants,
                captures=GroupCommitter(capture, parameters),
                relays=GroupCommitter(_write_relayed, parameters),
                said=self._dispatcher.outbound,
            )
            await self._join()
            self._dispatcher.start()
            log.info("bridge %s is up", self.id)
            try:
                await self._work(parameters)
            finally:
                await self._leave()
                for thing in (control, participants):
                    await _close(thing)

    async def _work(self, parameters: dict[str, Any]) -> None:
        loops = [
            asyncio.create_task(_forever(step, name))
            for name, step in (
                ("heartbeat", self._beat),
                ("sockets", self._tick),
                ("intake", lambda: self._route(parameters)),
                ("notifications", lambda: self._listen(parameters)),
                ("upkeep", self._upkeep),
                ("paces", lambda: self._house.paces.keep(self._house.pool)),
                ("notices", lambda: tell_agents(self._house, self._listener)),
            )
        ]
        try:
            await self._stopping.wait()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _leave(self) -> None:
        """Hand everything over: whoever claims next continues at once, without waiting for our lease to run out."""
        for relay in self._relays.values():
            relay.stop()
        await self._house.captures.close()
        await self._house.relays.close()
        try:
            await self._house.execute(store.LEAVE, {"bridge": self.id})
        except psycopg.Error as failure:
            log.warning("could not hand over (%s): others wait for our lease to end", type(failure).__name__)
        self._dispatcher.stop()
        log.info("bridge %s is down", self.id)

    async def _beat(self) -> None:
        """Once a second: say that we live, and take over what nobody owns."""
        while True:
            began = time.monotonic()
            if await self._house.execute(store.BEAT, [self.id]) == 0:
                await self._join()
            late = not self._house.owns
            self._house.beat_at = began
            if late:
                await self._drop_lost()
            await self._claim()
            await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - began)))

    async def _tick(self) -> None:
        while True:
            self._house.wheel.tick()
            await asyncio.sleep(1)

    async def _join(self) -> None:
        await self._house.execute(store.JOIN, [self.id, socket.gethostname()[:255], os.getpid()])

    async def _drop_lost(self) -> None:
        """We were away for longer than our lease: leave alone what others have taken over meanwhile."""
        async with self._house.pool.connection() as connection:
            found = await connection.execute(store.OWNED.encode(), [self.id])
            ours = {row[0] for row in await found.fetchall()}
        for conversation in self._relays.keys() - ours:
            self._relays.pop(conversation).stop()
        log.warning("bridge %s was away for too long, and kept %d conversations", self.id, len(ours))

    async def _claim(self) -> None:
        async with self._house.pool.connection() as connection:
            found = await connection.execute(store.CLAIM.encode(), {"bridge": self.id, "most": CLAIM})
            for (conversation,) in await found.fetchall():
                failpoint("O4")
                self._relay(conversation).wake()

    async def _route(self, parameters: dict[str, Any]) -> None:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            # A router that is stopped in the middle of a transaction must not keep its shards from the others.
            await connection.execute("SET idle_in_transaction_session_timeout = '5s'")
            router = Router(connection, self.id)
            while True:
                self._intake.clear()
                count, routed = await router.route()
                for found in routed:
                    self._dispatcher.inbound(found.conversation, found.message)
                    if found.owner == self.id:
                        self._relay(found.conversation).wake()
                if count == 0:
                    await _wait(self._intake, EVERY)

    async def _listen(self, parameters: dict[str, Any]) -> None:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            await connection.execute(f"LISTEN {store.INTAKE_CHANNEL}")
            await connection.execute(f"LISTEN {store.RELAY_CHANNEL}")
            await connection.execute(f"LISTEN {store.PACE_CHANNEL}")
            async for note in connection.notifies():
                failpoint("I5")
                if note.channel == store.INTAKE_CHANNEL:
                    self._intake.set()
                elif note.channel == store.PACE_CHANNEL:
                    self._house.paces.news.set()
                elif note.payload == str(self.id):
                    await self._wake_owned()

    async def _wake_owned(self) -> None:
        """Another bridge stored messages of conversations that are ours."""
        async with self._house.pool.connection() as connection:
            found = await connection.execute(store.OWNED_PENDING.encode(), [self.id])
            for (conversation,) in await found.fetchall():
                self._relay(conversation).wake()

    async def _upkeep(self) -> None:
        """Every few seconds: what no event would bring about."""
        while True:
            await asyncio.sleep(RARELY)
            for query in (store.UNPARK, store.REVIVE, store.FORGET):
                await self._house.execute(query, None)
            await self._wake_owned()
            for relay in list(self._relays.values()):
                if relay.listener is not None:
                    await relay.listener.renew()
                    await relay.listener.sweep()

    def _listener(self, conversation: uuid.UUID) -> Listener | None:
        relay = self._relays.get(conversation)
        return None if relay is None else relay.listener

    def _relay(self, conversation: uuid.UUID) -> Relay:
        relay = self._relays.get(conversation)
        if relay is None:
            relay = self._relays[conversation] = Relay(self._house, conversation, self._idle)
        return relay

    def _idle(self, relay: Relay) -> None:
        task = asyncio.create_task(self._release(relay))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _release(self, relay: Relay) -> None:
        async with self._house.pool.connection() as connection:
            freed = await store.release(connection, relay.conversation, self.id)
        if freed and self._relays.get(relay.conversation) is relay:
            del self._relays[relay.conversation]
        elif not freed:
            relay.wake()


async def _write_relayed(connection: psycopg.AsyncConnection[Any], relayed: Sequence[Relayed]) -> Sequence[None]:
    await connection.execute(store.RELAYED.encode(), [list(column) for column in zip(*relayed, strict=True)])
    return [None] * len(relayed)


async def _forever(step: Callable[[], Awaitable[None]], name: str) -> None:
    """Run a loop that never ends; if it breaks, say so and begin again."""
    while True:
        try:
            await step()
        except Exception as failure:  # noqa: BLE001 - the process must outlive a lost database
            log.warning("bridge loop %s broke (%s), begins again", name, type(failure).__name__)
            await asyncio.sleep(EVERY)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _close(thing: object) -> None:
    close = getattr(thing, "close", None)
    if close is not None and asyncio.iscoroutine(pending := close()):
        await pending
