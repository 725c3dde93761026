"""The chat websocket: subscribe, ping, heartbeat, frames (as amazon-connect-chatjs 5 and its manager speak it)."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress

import msgspec
from aiohttp import WSMsgType, web

from sandbox.world.amazon import Amazon
from sandbox.world.chat import Participant
from sandbox.world.chats import SocketTicket

HEARTBEAT = '{"topic":"aws/heartbeat"}'
PONG = '{"topic":"aws/ping","statusCode":200,"statusContent":"OK"}'
SUBSCRIBED = '{"topic":"aws/subscribe","content":{"status":"success","topics":["aws/chat"]}}'
REFUSED = '{"topic":"aws/subscribe","content":{"status":"failure","topics":[]}}'
#: Frames that a client may leave unread before it is cut off.
BACKLOG = 10_000
GOING_AWAY = 1001
DATA = (WSMsgType.TEXT, WSMsgType.BINARY)


class Control(msgspec.Struct):
    """What a client sends: only control frames, never chat."""

    topic: str = ""
    content: dict[str, list[str]] = {}


class Socket:
    """One open websocket of a participant. Frames leave in the order in which they were put."""

    def __init__(
        self, amazon: Amazon, ws: web.WebSocketResponse, participant: Participant, request: web.Request
    ) -> None:
        self.amazon, self.ws, self.participant = amazon, ws, participant
        self._request = request
        self._outbox: list[str] = []
        self._flusher: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[bool] | None = None
        self._silent_until = 0.0

    def deliver(self, frame: str) -> bool:
        """Queue a chat frame, unless a fault strikes it. A fault's target is the participant's role.

        Return whether it was swallowed: lost without a sign, on a line that stays open.
        """
        faults, role = self.amazon.world.faults, self.participant.role
        if faults.on:
            if self._silent() or faults.fires("frame_drop", role):
                return True
            if faults.fires("socket_cut", role):
                self.cut()
                return False
            if faults.fires("frame_double", role):
                self._put(frame)
            if faults.fires("frame_shuffle", role):
                asyncio.get_running_loop().call_later(self.amazon.world.settings.shuffle_delay, self._put, frame)
                return False
        self._put(frame)
        return False

    def hang_up(self, code: int) -> None:
        """Send what is queued, then close politely with this code."""
        if self._closer is None:
            self._closer = asyncio.get_running_loop().create_task(self._close(code))

    def cut(self) -> None:
        """Drop the connection without a goodbye."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def read(self) -> None:
        """Answer control frames until the client goes, or has been silent for too long."""
        with suppress(TimeoutError):
            while (message := await self.ws.receive(self.amazon.world.settings.socket_idle)).type in DATA:
                if message.type is WSMsgType.TEXT and message.data and not self._silent():
                    self._control(message.data)
            return
        await self.ws.close(code=GOING_AWAY)

    def _control(self, text: str) -> None:
        if text == HEARTBEAT:
            self._put(HEARTBEAT)
        elif text == '{"topic":"aws/ping"}':
            self._put(PONG)
        else:
            self._unusual(text)

    def _unusual(self, text: str) -> None:
        try:
            control = msgspec.json.decode(text, type=Control)
        except (ValueError, RecursionError):
            control = Control()
        if control.topic == "aws/heartbeat":
            self._put(HEARTBEAT)
        elif control.topic == "aws/ping":
            self._put(PONG)
        elif control.topic == "aws/subscribe":
            self._subscribe(control.content.get("topics", []))
        else:
            error = {"message": "Forbidden", "connectionId": str(id(self)), "requestId": str(uuid.uuid4())}
            self._put(msgspec.json.encode(error).decode())

    def _subscribe(self, topics: list[str]) -> None:
        if "aws/chat" not in topics:
            self._put(REFUSED)
            return
        self._put(SUBSCRIBED)
        self.participant.sockets.add(self)
        self.amazon.flows.connected(self.participant)

    def _silent(self) -> bool:
        """Say whether the line is dead although it looks open; anything said meanwhile is lost."""
        now = time.monotonic()
        fault = self.amazon.world.faults.fires("socket_silent", self.participant.role)
        if fault is not None:
            self._silent_until = now + (fault.seconds or math.inf)
        return now < self._silent_until

    def _put(self, frame: str) -> None:
        if len(self._outbox) >= BACKLOG:
            self.cut()
            return
        self._outbox.append(frame)
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._outbox:
                frames, self._outbox = self._outbox, []
                for frame in frames:
                    await self.ws.send_str(frame)
        except (ConnectionError, RuntimeError):
            self._outbox.clear()  # the client is gone
        finally:
            self._flusher = None

    async def _close(self, code: int) -> bool:
        if self._flusher is not None:
            await self._flusher
        return await self.ws.close(code=code)


class Sockets:
    """Opens websockets for the URLs that CreateParticipantConnection gave out."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.open: set[Socket] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket from its opening to its end. An unknown or late URL is 403, a sixth socket 429."""
        ticket = self._admitted(request.match_info["token"])
        ws = web.WebSocketResponse(compress=False, max_msg_size=32_768, timeout=2.0)
        await ws.prepare(request)
        participant = ticket.participant
        socket = Socket(self.amazon, ws, participant, request)
        self._note("ws.open", participant)
        expiry = asyncio.get_running_loop().call_later(
            max(0.0, ticket.expires - time.time()), socket.hang_up, GOING_AWAY
        )
        participant.open_sockets += 1
        self.open.add(socket)
        try:
            await socket.read()
        finally:
            expiry.cancel()
            self.open.discard(socket)
            participant.open_sockets -= 1
            participant.sockets.discard(socket)
            self._note("ws.close", participant, code=ws.close_code)
        return ws

    def _admitted(self, token: str) -> SocketTicket:
        ticket = self.amazon.chats.tickets.get(token)
        if ticket is None or time.time() >= ticket.open_before or ticket.participant.gone:
            raise web.HTTPForbidden(text='{"message":"Forbidden"}', content_type="application/json")
        if ticket.participant.open_sockets >= self.amazon.world.settings.sockets_per_participant:
            raise web.HTTPTooManyRequests(text='{"message":"Limit Exceeded"}', content_type="application/json")
        return ticket

    def _note(self, what: str, participant: Participant, **more: int | None) -> None:
        chat = participant.chat
        self.amazon.world.ledger.append(
            what, contact_id=chat.contact.id, initial_contact_id=chat.initial_id, role=participant.role, **more
        )


def routes(sockets: Sockets) -> Iterable[web.AbstractRouteDef]:
    """Return the route of the websockets."""
    return [web.get("/ws/{token}", sockets.serve)]
