"""One websocket to Amazon Connect, and the one clock that keeps all of them alive.

The protocol is what the amazon-connect-chatjs client speaks: subscribe to aws/chat, then aws/heartbeat and aws/ping
every ten seconds.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from socket import gaierror
from typing import Any

import msgspec
import picows
import python_socks

from channels_app.toolkit.certificates import UnusableBundle, tls_context
from channels_app.toolkit.connection_errors import why_unreachable
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for
from connect_bridge.connect.gateway import GatewayError, Item, NoWay, SetUp, Unreachable
from connect_bridge.connect.item_reader import read_item
from connect_bridge.connect.metrics import UNREADABLE_ITEMS

log = logging.getLogger(__name__)

SUBSCRIBE = b'{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}'
PING = b'{"topic":"aws/ping"}'
HEARTBEAT = b'{"topic":"aws/heartbeat"}'
#: Seconds between heartbeats, and how many may stay unanswered before the socket counts as lost.
HEARTBEAT_EVERY = 10
MISSED_HEARTBEATS = 2
#: Seconds to open a socket and to have the subscription confirmed.
OPEN_WITHIN = 8.0
SUBSCRIBE_WITHIN = 8.0
#: Bytes read at a time: chat frames are small, and there are thousands of sockets.
READ_BUFFER = 1024


class _Frame(msgspec.Struct):
    topic: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


_frames: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_Frame)
_texts: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


class _Subscribed(msgspec.Struct):
    status: str | int = ""


def _way_to(url: str) -> dict[str, Any]:
    """Return the options of a connection that say by which proxy, and whose certificates count."""
    proxy, secure = proxy_for(url), url.startswith("wss:")
    tls = tls_context() if secure or (proxy or "").startswith("https:") else None
    through = {"proxy": proxy, "proxy_ssl_context": tls if proxy and proxy.startswith("https:") else None}
    return {"ssl_context": tls if secure else None, **(through if proxy else {})}


def _meaning(failure: Exception) -> GatewayError:
    if isinstance(failure, UnusableProxy | UnusableBundle):
        return SetUp(f"no way out to Amazon Connect: {failure}")
    if isinstance(failure, python_socks.ProxyError | ssl.SSLError | gaierror):
        return NoWay(f"no connection to the chat's websocket: {why_unreachable(failure)}")
    return Unreachable(f"the chat's websocket did not open: {type(failure).__name__}")


class ChatSocket(picows.WSListener):
    """One socket. `on_item` gets every chat item, `on_lost` is called once when the socket is gone for any reason."""

    def __init__(self, on_item: Callable[[Item], None], on_lost: Callable[[ChatSocket], None]) -> None:
        self._on_item = on_item
        self._on_lost = on_lost
        self._transport: picows.WSTransport | None = None
        self._parts: list[bytes] = []
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.missed = 0

    @classmethod
    async def open(cls, url: str, on_item: Callable[[Item], None], on_lost: Callable[[ChatSocket], None]) -> ChatSocket:
        """Connect and subscribe; raise Unreachable if either fails or takes too long, SetUp if there is no way out."""
        socket = cls(on_item, on_lost)
        try:
            async with asyncio.timeout(OPEN_WITHIN):  # name, connection and TLS included
                await picows.ws_connect(
                    lambda: socket, url, max_redirects=0, read_buffer_init_size=READ_BUFFER, **_way_to(url)
                )
            await asyncio.wait_for(asyncio.shield(socket.subscribed), SUBSCRIBE_WITHIN)
        except (OSError, ValueError, picows.WSError, python_socks.ProxyError) as failure:
            socket.close()
            raise _meaning(failure) from None
        except BaseException:
            socket.close()
            raise
        return socket

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def beat(self) -> None:
        """Send a heartbeat; if the last ones stayed unanswered, give the socket up."""
        if self._transport is None:
            return
        if self.missed >= MISSED_HEARTBEATS:
            log.info("a chat's websocket missed %d heartbeats", self.missed)
            self._transport.disconnect(graceful=False)
            return
        self.missed += 1
        self._transport.send(picows.WSMsgType.TEXT, HEARTBEAT)
        self._transport.send(picows.WSMsgType.TEXT, PING)

    def close(self) -> None:
        """Close without reporting a loss."""
        self._on_lost = _nobody
        if self._transport is not None:
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        for frame in (SUBSCRIBE, PING, HEARTBEAT):
            transport.send(picows.WSMsgType.TEXT, frame)

    def on_ws_disconnected(self, _transport: picows.WSTransport) -> None:
        self._transport = None
        if not self.subscribed.done():
            self.subscribed.set_exception(Unreachable("the chat's websocket closed before it was subscribed"))
            self.subscribed.exception()  # looked at: asyncio need not complain if nobody waits any more
            return
        self._on_lost(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                self._read(whole)

    def _read(self, raw: bytes) -> None:
        if not raw:
            return
        try:
            frame = _frames.decode(raw)
            if frame.topic == "aws/chat":
                content = bytes(frame.content)
                self._bring(content if content.startswith(b"{") else _texts.decode(content))
            elif frame.topic == "aws/heartbeat":
                self.missed = 0
            elif frame.topic == "aws/subscribe":
                self._on_subscribe(msgspec.json.decode(frame.content, type=_Subscribed))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            UNREADABLE_ITEMS.labels("websocket").inc()
            log.warning("an unreadable frame of %d bytes came over a chat's websocket", len(raw))

    def _bring(self, raw: bytes | str) -> None:
        item = read_item(raw, "websocket") if raw else None  # an empty frame says nothing
        if item is not None:
            self._on_item(item)

    def _on_subscribe(self, answer: _Subscribed) -> None:
        if answer.status in ("success", 200):
            if not self.subscribed.done():
                self.subscribed.set_result(None)
        elif self._transport is not None:
            asyncio.get_running_loop().call_later(0.5, self._subscribe_again)

    def _subscribe_again(self) -> None:
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, SUBSCRIBE)


def _nobody(_socket: ChatSocket) -> None:
    """Stands for a listener that is not interested any more."""


class HeartbeatWheel:
    """One timer for all sockets: a tenth of them every second."""

    def __init__(self) -> None:
        self._slots: list[set[ChatSocket]] = [set() for _ in range(HEARTBEAT_EVERY)]
        self._hand = 0

    def add(self, socket: ChatSocket) -> None:
        min(self._slots, key=len).add(socket)

    def remove(self, socket: ChatSocket) -> None:
        for slot in self._slots:
            slot.discard(socket)

    def tick(self) -> None:
        """Let the next slot's sockets beat. Call once a second."""
        self._hand = (self._hand + 1) % len(self._slots)
        for socket in tuple(self._slots[self._hand]):
            socket.beat()
