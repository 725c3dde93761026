"""The bridge process: it joins the other bridges, runs its loops, and hands its conversations over when it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any

import psycopg

from channels_app.infrastructure import gc_tuning
from channels_app.infrastructure.db import AsyncPool, connect_parameters, with_options
from channels_app.infrastructure.group_commit import GroupCommitter
from connect_bridge.bridge.conversations import OwnedConversations
from connect_bridge.bridge.dispatcher import Dispatcher
from connect_bridge.bridge.loops import EVERY, Loops, wait
from connect_bridge.bridge.rebalancing import Rebalancer, quiesce
from connect_bridge.connect.control_plane import BotoConnect, participant_endpoint
from connect_bridge.connect.gateway import ControlPlane, ParticipantService
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import ownership, relaying
from connect_bridge.storage.capture import capture

log = logging.getLogger(__name__)

#: Seconds for the hand-over when the bridge stops.
STOPS_WITHIN = 3.0
#: A process that stands still in the middle of a transaction must not keep its locks from the others, and a statement
#: that stands still must not hold up a loop for ever.
NO_STANDSTILL = "-c idle_in_transaction_session_timeout=5s -c statement_timeout=60s"
#: Database connections of the pool, besides those of the loops and of the group committers.
POOL = 6


class Bridge:
    """One bridge. `run()` works until `stop()`; then it hands its conversations over and returns.

    Any number may run: conversations spread by lease, and a bridge that stops beating loses its own after
    ownership.BRIDGE_TTL seconds.
    """

    def __init__(self, control: ControlPlane | None = None, participants: ParticipantService | None = None) -> None:
        self.id = uuid.uuid4()
        self._control = control
        self._participants = participants
        self._stopping = asyncio.Event()
        self._dispatcher = Dispatcher()
        self._loops: Loops | None = None

    def stop(self) -> None:
        """Ask run() to end. Safe to call from a signal handler of the loop."""
        self._stopping.set()
        if self._loops is not None:
            self._loops.intake.set()

    async def run(self) -> None:
        gc_tuning.tune()
        parameters = with_options(connect_parameters(), NO_STANDSTILL)
        control = self._control or BotoConnect()
        participants = self._participants or AwsParticipants(participant_endpoint())
        async with AsyncPool(kwargs={**parameters, "autocommit": True}, max_size=POOL, open=False) as pool:
            self.prepare(
                BridgeRuntime(
                    bridge=self.id,
                    pool=pool,
                    control=control,
                    participants=participants,
                    captures=GroupCommitter(capture, parameters),
                    relays=GroupCommitter(relaying.write_relayed, parameters),
                    on_stored=self._dispatcher.outbound,
                    on_ended=self._dispatcher.ended,
                )
            )
            try:
                if await self._begins():
                    await self._work(parameters)
            finally:
                for client in (control, participants):
                    await _close(client)

    def prepare(self, runtime: BridgeRuntime) -> None:
        """Take the means of this bridge; it owns nothing yet."""
        self.runtime = runtime
        self.conversations = OwnedConversations(runtime)
        self._rebalancer = Rebalancer(runtime)

    async def join(self) -> None:
        """Write the row by whose heartbeat the others know that this bridge lives."""
        await self.runtime.execute(ownership.JOIN, [self.id, socket.gethostname()[:255], os.getpid()])

    async def _begins(self) -> bool:
        """Join the others, as soon as the database lets us; return False if we are to stop before."""
        while not self._stopping.is_set():
            try:
                await self.runtime.account_settings.read(self.runtime.pool)
                await self.join()
            except psycopg.Error as failure:
                log.warning("bridge %s waits for the database (%s)", self.id, type(failure).__name__)
                await wait(self._stopping, EVERY)
            else:
                return True
        return False

    async def _work(self, parameters: Mapping[str, Any]) -> None:
        self._loops = Loops(
            runtime=self.runtime,
            conversations=self.conversations,
            rebalancer=self._rebalancer,
            dispatcher=self._dispatcher,
            parameters=parameters,
            join=self.join,
        )
        self._dispatcher.start()
        log.info("bridge %s is up", self.id)
        try:
            await self._loops.run(self._stopping)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """Hand everything over: whoever claims next continues at once, without waiting for our lease to run out.

        1. Sends under way end and are written down.
        2. The conversations are freed, and the other bridges notified.
        3. While another bridge is there to take them, ours still listen to the chats until it does.
        4. What came from Connect is stored, and passed on.
        """
        relays = list(self.conversations.relays.values())
        await quiesce(relays)
        await self.runtime.relays.close()
        try:
            async with asyncio.timeout(STOPS_WITHIN):
                successors = await self._free_for_others()
        except (psycopg.Error, TimeoutError) as failure:
            log.warning("could not hand over (%s): others wait for our lease to end", type(failure).__name__)
            successors = False
        if successors:
            await self._rebalancer.await_takeover(relays)
            await self._rebalancer.ended()
        for relay in relays:
            relay.close()
        await self.runtime.captures.close()
        self._dispatcher.stop()
        log.info("bridge %s is down", self.id)

    async def _free_for_others(self) -> bool:
        """Let go of all conversations; return whether another bridge is there to take them."""
        async with self.runtime.pool.connection() as connection:
            await connection.execute(ownership.LEAVE.encode(), {"bridge": self.id})
            row = await (await connection.execute(ownership.SUCCESSORS.encode(), {"bridge": self.id})).fetchone()
            return bool(row and row[0])


async def _close(client: object) -> None:
    close = getattr(client, "close", None)
    if close is not None and asyncio.iscoroutine(pending := close()):
        await pending
