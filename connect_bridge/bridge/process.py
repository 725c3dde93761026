"""The bridge process: routes the intake, owns conversations by lease, relays and listens for each."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

from channels_app.infrastructure import gc_tuning
from channels_app.infrastructure.db import AsyncConnection, AsyncPool, connect_parameters, with_options
from channels_app.infrastructure.failpoints import failpoint
from channels_app.infrastructure.group_commit import GroupCommitter
from channels_app.webhooks.entries import INTAKE_CHANNEL, UNPARK
from connect_bridge.automation.briefings import brief_agents
from connect_bridge.automation.replies import tell_who_waits
from connect_bridge.automation.undelivered_notices import tell_agents
from connect_bridge.bridge.dispatcher import Dispatcher
from connect_bridge.bridge.rate_sharing import keep_sharing
from connect_bridge.bridge.rebalancing import Rebalancer, quiesce
from connect_bridge.connect.control_plane import BotoConnect, participant_endpoint
from connect_bridge.connect.gateway import ControlPlane, ParticipantService
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.inbound.router import Router
from connect_bridge.listening.listener import Listener
from connect_bridge.relay.relay import Relay
from connect_bridge.runtime import BridgeRuntime, Relayed
from connect_bridge.storage import ownership, rate_limits, relaying
from connect_bridge.storage.capture import capture

log = logging.getLogger(__name__)

#: Seconds between heartbeats, and between looks at what nobody owns. The intake is looked at this often even when no
#: NOTIFY comes.
EVERY = 1.0
#: Seconds between the rarer looks: parked receipts, forgotten messages, sockets to renew, chats to sweep.
RARELY = 5.0
#: Chats that are renewed at once, and swept at once: who is slow must not keep thousands waiting.
TENDED_AT_ONCE = 16
#: Seconds for sends under way to end when the bridge stops, and for the hand-over.
STOPS_WITHIN = 3.0
#: A process that stands still in the middle of a transaction must not keep its locks from the others, and a statement
#: that stands still must not hold up a loop for ever.
NO_STANDSTILL = "-c idle_in_transaction_session_timeout=5s -c statement_timeout=60s"
#: Conversations taken over at once, and how often more than this bridge's share is taken: every so many heartbeats.
CLAIM = 500
GREEDY_EVERY = 5
POOL = 6


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
        self._told = asyncio.Event()
        self._freed = asyncio.Event()
        self._dispatcher = Dispatcher()
        self._ending: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Ask run() to end. Safe to call from a signal handler of the loop."""
        self._stopping.set()
        self._intake.set()

    async def run(self) -> None:
        gc_tuning.tune()
        parameters = with_options(connect_parameters(), NO_STANDSTILL)
        control = self._control or BotoConnect()
        participants = self._participants or AwsParticipants(participant_endpoint())
        async with AsyncPool(kwargs={**parameters, "autocommit": True}, max_size=POOL, open=False) as pool:
            self._runtime = BridgeRuntime(
                bridge=self.id,
                pool=pool,
                control=control,
                participants=participants,
                captures=GroupCommitter(capture, parameters),
                relays=GroupCommitter(_write_relayed, parameters),
                on_stored=self._dispatcher.outbound,
                on_ended=self._dispatcher.ended,
            )
            self._hand_over = Rebalancer(self._runtime)
            try:
                if await self._begins():
                    await self._work(parameters)
            finally:
                for thing in (control, participants):
                    await _close(thing)

    async def _begins(self) -> bool:
        """Join the others, as soon as the database lets us; return False if we are to stop before."""
        while not self._stopping.is_set():
            try:
                await self._runtime.services.read(self._runtime.pool)
                await self._join()
            except psycopg.Error as failure:
                log.warning("bridge %s waits for the database (%s)", self.id, type(failure).__name__)
                await _wait(self._stopping, EVERY)
            else:
                return True
        return False

    async def _work(self, parameters: dict[str, Any]) -> None:
        self._dispatcher.start()
        log.info("bridge %s is up", self.id)
        try:
            await self._loop(parameters)
        finally:
            await self._leave()

    async def _loop(self, parameters: dict[str, Any]) -> None:
        loops = [
            asyncio.create_task(_forever(step, name))
            for name, step in (
                ("heartbeat", lambda: self._beat(parameters)),
                ("sockets", self._tick),
                ("intake", lambda: self._route(parameters)),
                ("notifications", lambda: self._listen(parameters)),
                ("owned", self._wake_owned),
                ("upkeep", self._upkeep),
                ("rates", lambda: keep_sharing(self._runtime.limiters, self._runtime.pool)),
                ("renewals", lambda: self._tend(lambda one: one.is_to_renew, Listener.renew)),
                ("sweeps", lambda: self._tend(lambda one: one.is_to_sweep, Listener.sweep)),
                ("notices", lambda: tell_agents(self._runtime, self._listener)),
                ("briefings", lambda: brief_agents(self._runtime, self._listener)),
                ("services", lambda: self._runtime.services.keep(self._runtime.pool)),
                ("patience", lambda: tell_who_waits(self._runtime)),
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
        relays = list(self._relays.values())
        await quiesce(relays)
        await self._runtime.relays.close()
        try:
            async with asyncio.timeout(STOPS_WITHIN):
                successors = await self._freed_for_others()
        except (psycopg.Error, TimeoutError) as failure:
            log.warning("could not hand over (%s): others wait for our lease to end", type(failure).__name__)
            successors = False
        if successors:
            await self._hand_over.await_takeover(relays)
            await self._hand_over.ended()
        for relay in relays:
            relay.close()
        await self._runtime.captures.close()
        self._dispatcher.stop()
        log.info("bridge %s is down", self.id)

    async def _freed_for_others(self) -> bool:
        """Let go of all conversations; return whether another bridge is there to take them."""
        async with self._runtime.pool.connection() as connection:
            await connection.execute(ownership.LEAVE.encode(), {"bridge": self.id})
            row = await (await connection.execute(ownership.SUCCESSORS.encode(), {"bridge": self.id})).fetchone()
            return bool(row and row[0])

    async def _beat(self, parameters: dict[str, Any]) -> None:
        """Once a second: say that we live, and take over what nobody owns. Nothing else may delay this connection."""
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            for number in itertools.count():
                began = time.monotonic()
                self._freed.clear()
                if (await connection.execute(ownership.BEAT.encode(), [self.id])).rowcount == 0:
                    await self._join()
                if not self._runtime.owns:
                    log.warning("bridge %s was away for too long", self.id)
                    await self._reconcile(connection)
                self._runtime.beat_at = began
                await self._claim(connection, greedy=number % GREEDY_EVERY == GREEDY_EVERY - 1)
                await _wait(self._freed, max(0.0, EVERY - (time.monotonic() - began)))

    async def _tick(self) -> None:
        while True:
            self._runtime.wheel.tick()
            await asyncio.sleep(1)

    async def _join(self) -> None:
        await self._runtime.execute(ownership.JOIN, [self.id, socket.gethostname()[:255], os.getpid()])

    async def _reconcile(self, connection: AsyncConnection) -> None:
        """Leave alone what others have taken over, and look after what is ours though nothing told us so."""
        known = set(self._relays)
        found = await connection.execute(ownership.OWNED.encode(), [self.id])
        ours = {row[0] for row in await found.fetchall()}
        for conversation in known - ours:
            if (relay := self._relays.pop(conversation, None)) is not None:
                self._dismiss(relay)
        for conversation in ours - self._relays.keys():
            self._relay(conversation).wake()

    def _dismiss(self, relay: Relay) -> None:
        relay.stop()
        if relay.task is not None and not relay.task.done():
            self._ending.add(relay.task)
            relay.task.add_done_callback(self._ending.discard)

    async def _claim(self, connection: AsyncConnection, *, greedy: bool = False) -> None:
        given = {"bridge": self.id, "most": CLAIM, "greedy": greedy}
        found = await connection.execute(ownership.CLAIM.encode(), given)
        for (conversation,) in await found.fetchall():
            failpoint("O4")
            self._relay(conversation).wake()

    async def _route(self, parameters: dict[str, Any]) -> None:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
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
            await connection.execute(f"LISTEN {INTAKE_CHANNEL}")
            await connection.execute(f"LISTEN {relaying.RELAY_CHANNEL}")
            await connection.execute(f"LISTEN {rate_limits.RATE_CHANNEL}")
            await connection.execute(f"LISTEN {ownership.FREED_CHANNEL}")
            async for note in connection.notifies():
                failpoint("I5")
                if note.channel == INTAKE_CHANNEL:
                    self._intake.set()
                elif note.channel == rate_limits.RATE_CHANNEL:
                    self._runtime.limiters.news.set()
                elif note.channel == ownership.FREED_CHANNEL:
                    if note.payload != str(self.id):
                        self._freed.set()
                elif note.payload == str(self.id):
                    self._told.set()

    async def _wake_owned(self) -> None:
        """Relay what other bridges stored for conversations of ours, when they tell us, or else soon."""
        while True:
            await _wait(self._told, RARELY)
            self._told.clear()
            async with self._runtime.pool.connection() as connection:
                found = await connection.execute(relaying.OWNED_PENDING.encode(), [self.id])
                for (conversation,) in await found.fetchall():
                    self._relay(conversation).wake()

    async def _upkeep(self) -> None:
        """Every few seconds: what no event would bring about."""
        while True:
            await asyncio.sleep(RARELY)
            for query in (UNPARK, ownership.REVIVE, ownership.FORGET):
                await self._runtime.execute(query, None)
            async with self._runtime.pool.connection() as connection:
                await self._reconcile(connection)
                await self._give_away(await self._hand_over.excess(connection))

    async def _give_away(self, number: int) -> None:
        """Give so many conversations to bridges that have fewer, those first in which nothing is under way."""
        if not number:
            return
        idle_first = sorted(self._relays.values(), key=lambda relay: relay.is_busy)
        given = idle_first[:number]
        log.info("bridge %s gives %d conversations away", self.id, len(given))
        try:
            await self._hand_over.give(given)
        finally:
            for relay in given:  # not before: two relays of one conversation would get in each other's way
                self._relays.pop(relay.conversation, None)

    async def _tend(self, needed: Callable[[Listener], bool], care: Callable[[Listener], Awaitable[None]]) -> None:
        """Give every chat the care that it needs now, a few at a time."""
        slots = asyncio.Semaphore(TENDED_AT_ONCE)

        async def tend(listener: Listener) -> None:
            async with slots:
                await care(listener)

        while True:
            await asyncio.sleep(RARELY)
            listeners = [relay.listener for relay in self._relays.values() if relay.listener is not None]
            await asyncio.gather(*(tend(listener) for listener in listeners if needed(listener)))

    def _listener(self, conversation: uuid.UUID) -> Listener | None:
        relay = self._relays.get(conversation)
        return None if relay is None else relay.listener

    def _relay(self, conversation: uuid.UUID) -> Relay:
        relay = self._relays.get(conversation)
        if relay is None:
            relay = self._relays[conversation] = Relay(self._runtime, conversation, self._idle)
        return relay

    def _idle(self, relay: Relay) -> None:
        task = asyncio.create_task(self._release(relay))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _release(self, relay: Relay) -> None:
        """Let go of an idle conversation. What fails here, and what is woken meanwhile, a new relay looks after."""
        if self._relays.get(relay.conversation) is relay:
            del self._relays[relay.conversation]
        try:
            async with self._runtime.pool.connection() as connection:
                idle = await ownership.release(connection, relay.conversation, self.id)
        except psycopg.Error as failure:
            log.info("conversation %s was not released: %s", relay.conversation, type(failure).__name__)
        else:
            if not idle:
                self._relay(relay.conversation).wake()


async def _write_relayed(connection: psycopg.AsyncConnection[Any], relayed: Sequence[Relayed]) -> Sequence[None]:
    await connection.execute(relaying.RELAYED.encode(), [list(column) for column in zip(*relayed, strict=True)])
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
