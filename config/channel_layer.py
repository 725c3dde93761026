"""The channel layer in PostgreSQL: who is in which group each process knows itself; messages travel as notifications.

So nothing of it lies in a table, and a process that was killed leaves nothing behind. As with Redis' publish and
subscribe, a message reaches those who listen at that moment: what is lost, pages find by their own polling.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec.msgpack
import psycopg
from channels.layers import BaseChannelLayer

from channels_app.infrastructure.db import connect_parameters
from channels_app.infrastructure.group_commit import GroupCommitter

log = logging.getLogger(__name__)

#: What PostgreSQL calls the stream of notifications.
STREAM = "parley_channel_layer"
#: Characters of a message in one notification: PostgreSQL takes up to 8,000 bytes.
PIECE = 7_000
#: Seconds between two attempts to listen, and that somebody who joins a group waits for the listening to begin.
AGAIN, PATIENCE = 1.0, 5.0
#: Pieces of one message arrive in a row. So many messages may be under way at once before the oldest is given up.
MOST_UNFINISHED = 100
#: Messages that wait for one receiver; then it loses the newest.
CAPACITY = 100


class ChannelLayer(BaseChannelLayer):  # type: ignore[misc] # channels is not typed
    """Django Channels' layer. Belongs to no loop: each has a connection of its own, made when it is first needed."""

    extensions = ("groups",)

    def __init__(self, expiry: int = 60, capacity: int = CAPACITY, **_: Any) -> None:
        super().__init__(expiry=expiry, capacity=capacity)
        self._ours = uuid.uuid4().hex[:12]
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _InOneLoop] = WeakKeyDictionary()

    def _here(self) -> _InOneLoop:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = _InOneLoop(f".{self._ours}!", self.capacity)
        return self._loops[loop]

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return a name that nobody else has."""
        return f"{prefix}.{self._ours}!{uuid.uuid4().hex}"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel, wherever it is. Raises psycopg.Error."""
        self.require_valid_channel_name(channel)
        await self._here().say(["channel", channel], message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to all who are in the group. Raises psycopg.Error."""
        self.require_valid_group_name(group)
        await self._here().say(["group", group], message)

    async def group_add(self, group: str, channel: str) -> None:
        """Let a channel of this process hear what is sent to the group, from now on."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        here = self._here()
        here.groups[group].add(channel)
        await here.listening()

    async def group_discard(self, group: str, channel: str) -> None:
        """Take a channel out of the group."""
        groups = self._here().groups
        if group in groups:
            groups[group].discard(channel)
            if not groups[group]:
                del groups[group]

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message to the channel."""
        self.require_valid_channel_name(channel)
        here = self._here()
        await here.listening()
        queue = here.queue(channel)
        try:
            return await queue.get()
        finally:
            if queue.empty():  # so that channels which are gone leave nothing behind
                here.queues.pop(channel, None)

    async def close(self) -> None:
        """Close this loop's connections; the next use opens new ones."""
        if (here := self._loops.pop(asyncio.get_running_loop(), None)) is not None:
            await here.close()


class _InOneLoop:
    """Groups, receivers and connections of one event loop."""

    def __init__(self, ours: str, capacity: int) -> None:
        self._ours = ours
        self.groups: defaultdict[str, set[str]] = defaultdict(set)
        self.queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._capacity = capacity
        self._unfinished: dict[str, list[str]] = {}
        self._listens = asyncio.Event()
        self._ear: asyncio.Task[None] | None = None
        self._mouth = GroupCommitter(_notify, connect_parameters(), connections=1)

    async def close(self) -> None:
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)
        await self._mouth.close()

    def queue(self, channel: str) -> asyncio.Queue[dict[str, Any]]:
        return self.queues.setdefault(channel, asyncio.Queue(self._capacity))

    async def say(self, to: Sequence[str], message: dict[str, Any]) -> None:
        packed = base64.b85encode(msgspec.msgpack.encode([*to, message])).decode("ascii")
        await self._mouth.add(packed)

    async def listening(self) -> None:
        """Begin to listen, and wait for that a little: a page without news at once is better than none."""
        if self._ear is None or self._ear.done():
            self._ear = asyncio.create_task(self._listen())
        try:
            await asyncio.wait_for(self._listens.wait(), PATIENCE)
        except TimeoutError:
            log.warning("the channel layer does not hear the database yet: it keeps trying")

    async def _listen(self) -> None:
        """Listen for ever; again, when the connection died."""
        while True:
            try:
                await self._listen_once()
            except (psycopg.Error, OSError) as failure:
                log.warning("the channel layer's connection broke (%s): it listens again", type(failure).__name__)
            self._listens.clear()
            self._unfinished.clear()
            await asyncio.sleep(AGAIN)

    async def _listen_once(self) -> None:
        async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as connection:
            await connection.execute(f"LISTEN {STREAM}")
            self._listens.set()
            async for note in connection.notifies():
                try:
                    self._take(note.payload)
                except (ValueError, TypeError, msgspec.MsgspecError) as failure:
                    log.warning("the channel layer heard what is none of ours (%s)", type(failure).__name__)

    def _take(self, payload: str) -> None:
        name, left, piece = payload.split(":", 2)
        pieces = self._unfinished.setdefault(name, [])
        pieces.append(piece)
        if int(left):
            while len(self._unfinished) > MOST_UNFINISHED:
                del self._unfinished[next(iter(self._unfinished))]
            return
        del self._unfinished[name]
        kind, to, message = msgspec.msgpack.decode(base64.b85decode("".join(pieces)))
        if kind == "group":
            for channel in self.groups.get(to, ()):
                self._give(channel, message)
        elif self._ours in to or to in self.queues:
            self._give(to, message)

    def _give(self, channel: str, message: dict[str, Any]) -> None:
        try:
            self.queue(channel).put_nowait(dict(message))
        except asyncio.QueueFull:
            log.warning("a receiver of the channel layer is too slow: it loses a message")


def _pieces(packed: str) -> Iterator[str]:
    name, last = uuid.uuid4().hex, (len(packed) - 1) // PIECE
    for number in range(last + 1):
        yield f"{name}:{last - number}:{packed[number * PIECE : (number + 1) * PIECE]}"


async def _notify(connection: psycopg.AsyncConnection[Any], messages: Sequence[str]) -> Sequence[None]:
    payloads = [piece for message in messages for piece in _pieces(message)]
    await connection.execute("SELECT pg_notify(%s, one) FROM unnest(%s::text[]) AS one", [STREAM, payloads])
    return [None] * len(messages)
