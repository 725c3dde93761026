"""The websocket of one open chat: over a new connection each time, and replaced before its address expires."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.connect.gateway import Connection, Invalid, Item, Throttled, Unreachable
from connect_bridge.connect.participant_api import CustomerConnection
from connect_bridge.connect.websocket import MISSED_HEARTBEATS, ChatSocket
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import CHAT_CONNECTED, Chat
from people.encryption import encrypt_text

#: A new socket is opened when half of the old one's life is over, or later, but these seconds before its end. Those
#: that were opened together are not renewed together: Connect takes six connections a second.
RENEW_BEFORE = 90.0
#: Seconds. A socket is not renewed sooner, whatever our clock thinks of its end.
RENEW_AFTER = 20.0


@dataclass(slots=True, eq=False)
class LiveSocket:
    """A chat's socket, if one is open. `on_item` gets every item; `on_lost` is called when the socket is gone."""

    runtime: BridgeRuntime
    chat: Chat
    on_item: Callable[[Item], None]
    on_lost: Callable[[], None]
    connection: CustomerConnection = field(init=False)
    socket: ChatSocket | None = None
    closed: bool = False
    _renew_at: float = math.inf

    def __post_init__(self) -> None:
        limiter = self.runtime.limiters.of(self.chat.instance_id, "send_message")
        self.connection = CustomerConnection(self.runtime.participants, limiter)

    @property
    def is_open(self) -> bool:
        return self.socket is not None

    @property
    def is_to_renew(self) -> bool:
        return time.monotonic() >= self._renew_at

    @property
    def is_unanswered(self) -> bool:
        """Whether the last heartbeats got no answer, so that frames may be missing."""
        return self.socket is not None and self.socket.missed >= MISSED_HEARTBEATS

    def postpone_renewal(self, seconds: float) -> None:
        self._renew_at = time.monotonic() + seconds

    async def replace(self) -> Connection:
        """Open another socket over another connection; the former closes once the new one is subscribed.

        Raises Refused if the chat is over, and any other GatewayError.
        """
        async with self.runtime.opening:
            connection = await self._connect()
            socket = await ChatSocket.open(connection.socket_url, self.on_item, self._on_lost)
        failpoint("O3")
        if self.closed or not socket.alive:
            socket.close()
            raise Unreachable("the chat's websocket closed at once")
        former, self.socket = self.socket, socket
        self.runtime.wheel.add(socket)
        self._drop(former)
        self.connection.token = connection.token
        self._renew_at = time.monotonic() + _seconds_to_renewal(connection.socket_expires_at)
        return connection

    async def write_down(self, connection: Connection) -> None:
        """Note the connection, so that other bridges see that this chat is listened to."""
        encrypted, expires = encrypt_text(connection.token), connection.token_expires_at
        params = {"contact": self.chat.contact, "token": encrypted, "expires": expires}
        await self.runtime.execute(CHAT_CONNECTED, params)

    def close(self) -> None:
        self.closed = True
        self._drop(self.socket)
        self.socket = None

    async def _connect(self) -> Connection:
        limiter = self.runtime.limiters.of(self.chat.instance_id, "connect")
        await limiter.acquire()
        try:
            return await self.runtime.participants.connect(self.chat.participant_token)
        except Throttled as busy:
            limiter.throttled(busy.retry_after)
            raise
        except Invalid as refusal:
            raise Unreachable(str(refusal)) from None  # no message is to blame

    def _on_lost(self, socket: ChatSocket) -> None:
        self.runtime.wheel.remove(socket)
        if socket is self.socket:
            failpoint("O1")
            self.socket = None
            self.on_lost()

    def _drop(self, socket: ChatSocket | None) -> None:
        if socket is not None:
            self.runtime.wheel.remove(socket)
            socket.close()


def _seconds_to_renewal(expires_at: datetime) -> float:
    """Return when to open the next socket: some time in the second half of this one's life, but never at once."""
    life = (expires_at - datetime.now(UTC)).total_seconds()
    return max(RENEW_AFTER, random.uniform(life / 2, max(life / 2, life - RENEW_BEFORE)))  # noqa: S311 - to spread them
