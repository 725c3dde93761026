"""One open chat's ear: socket → store, with nothing missed between two sockets and nothing written twice."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from channels_app.failpoints import failpoint
from channels_app.text import TextLimit, split_text
from connect_bridge import store
from connect_bridge.capture import Batch, Captured
from connect_bridge.chatsocket import ChatSocket
from connect_bridge.gateway import NOTICE_NAME, Connection, GatewayError, Item, Refused, Throttled, Unreachable
from connect_bridge.house import House
from connect_bridge.render import EVENT, AgentJoined, AgentLeft, Ended, Nothing, Said, is_unfinished, moment, read
from connect_bridge.store import Chat

log = logging.getLogger(__name__)

#: How far back a backfill overlaps with what was captured last: sockets do not promise order.
OVERLAP = timedelta(seconds=10)
#: A new socket is opened when this share of the old one's life is over, or this long before its end.
RENEW_BEFORE = timedelta(seconds=90)
JOINED = f"{EVENT}participant.joined"
#: Connect lets nobody read the transcript of a chat that is over, so all that can be done is to say so.
ENDED_UNHEARD = "The chat ended while nobody listened: what was said last may be missing"
#: Seconds to wait before the first, and at most before any, new attempt to reconnect.
RECONNECT_FIRST, RECONNECT_MOST = 0.5, 20.0
#: Seconds to wait at most before the first new attempt to store what was heard.
CAPTURE_FIRST = 0.5
#: How far Connect's clock may be behind ours.
CLOCKS_DIFFER = timedelta(seconds=5)
#: Item ids remembered to save the database a look at what it has anyway.
REMEMBERED = 200
#: A chat is compared with Connect's transcript this long after its last traffic.
SWEEP_AFTER = timedelta(seconds=60)


@dataclass(slots=True, eq=False)
class Listener:
    """Listens to one contact. `on_end` is called once, with the reason, when the chat is over for good."""

    house: House
    conversation: uuid.UUID
    chat: Chat
    limit: TextLimit
    on_end: Callable[[str], None]
    token: str = ""
    agent: str = ""
    renew_at: datetime | None = None
    _socket: ChatSocket | None = None
    _queue: deque[Item] = field(default_factory=deque)
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _task: asyncio.Task[None] | None = None
    _reconnecting: asyncio.Task[None] | None = None
    _filling: bool = False
    _closed: bool = False
    _traffic_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _swept_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _own: deque[Item] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    muted: set[str] = field(default_factory=set)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    @property
    def listening(self) -> bool:
        return self._socket is not None and not self.ended

    async def open(self, *, backfill: bool) -> None:
        """Connect, subscribe and, with `backfill`, fetch what was said meanwhile.

        Raises GatewayError; psycopg.Error, and then it goes on trying by itself until it is closed.
        The new socket is subscribed before the old one closes; what both deliver is stored once.
        """
        pace = self.house.paces.of(self.chat.instance_id, "connect")
        await pace.turn()
        try:
            connection = await self.house.participants.connect(self.chat.participant_token)
        except Throttled as busy:
            pace.throttled(busy.retry_after)
            raise
        self._filling = backfill
        self.caught_up.clear()
        former, self._socket = self._socket, None
        try:
            socket = await ChatSocket.open(connection.socket_url, self._on_item, self._on_lost)
        except GatewayError:
            self._socket = former
            self._filling = False
            raise
        failpoint("O3")
        self._socket = socket
        self.house.wheel.add(socket)
        self._drop(former)
        if not socket.alive:
            raise Unreachable("the chat's websocket closed at once")
        await self._begin(connection, backfill=backfill)

    async def _begin(self, connection: Connection, *, backfill: bool) -> None:
        """Work with the new connection: note it, and catch up."""
        self.token = connection.token
        self.renew_at = _renewal(connection.socket_expires_at)
        given = {"contact": self.chat.contact, "token": connection.token, "expires": connection.token_expires_at}
        try:
            await self.house.execute(store.CHAT_CONNECTED, given)
            if backfill:
                await self.fill()
        except psycopg.Error:
            self._filling = False
            self._lost()
            raise
        self.caught_up.set()

    def echo_of(self, text: str, since: datetime, known: Container[str]) -> str:
        """Return the id of a message of ours that Connect has, though we do not know that it took it; "" if none.

        Connect echoes what we send, on the socket and in the transcript, without our ClientToken: so it is known by its
        text, by being no older than `since`, and by not being one of those whose ids we were told.
        """
        since -= CLOCKS_DIFFER
        return next(
            (one.id for one in self._own if one.content == text and one.id not in known and moment(one) >= since), ""
        )

    async def fill(self) -> None:
        """Fetch Connect's transcript from a little before the last captured item on, then what came meanwhile."""
        failpoint("O2", Unreachable)
        self._filling = True
        try:
            async with self.house.pool.connection() as connection:
                self.muted |= await store.notice_participants(connection, self.chat.contact)
            await self._hold([item async for item in self._transcript()])
        finally:
            self._filling = False
            self._drain()

    async def _hold(self, items: Sequence[Item]) -> None:
        """Take the items; if the store does not take them, keep them: the chat may end, and its transcript with it."""
        try:
            await self._take(items)
        except psycopg.Error:
            if not self._closed:
                self._queue.extendleft(reversed(items))
            raise

    async def sweep(self) -> None:
        """Compare with Connect's transcript if the chat has been quiet for a while since its last traffic."""
        now = datetime.now(UTC)
        if not self.listening or self._swept_at > self._traffic_at or now - self._traffic_at < SWEEP_AFTER:
            return
        try:
            await self.fill()
            await self.house.execute(store.CHAT_SWEPT, [self.chat.contact])
            self._swept_at = now
        except GatewayError as failure:
            log.info("contact %s: sweep failed: %s", self.chat.contact, failure.code)

    async def renew(self) -> None:
        """Open a new socket before the old one's address expires. A failure is tried again at the next look."""
        if self.renew_at is None or self.renew_at > datetime.now(UTC) or not self.listening:
            return
        self.renew_at = datetime.now(UTC) + timedelta(seconds=RECONNECT_MOST)
        try:
            await self.open(backfill=True)
        except GatewayError as failure:
            log.info("contact %s: renewal failed: %s", self.chat.contact, failure.code)

    def heard(self) -> None:
        """Note traffic in either direction, for the sweep."""
        self._traffic_at = datetime.now(UTC)

    def close(self) -> None:
        """Stop listening; the contact stays as it is."""
        self.ended = self._closed = True
        self._queue.clear()
        self._drop(self._socket)
        self._socket = None
        if self._reconnecting is not None and self._reconnecting is not asyncio.current_task():
            self._reconnecting.cancel()

    def _drop(self, socket: ChatSocket | None) -> None:
        if socket is not None:
            self.house.wheel.remove(socket)
            socket.close()

    def _on_item(self, item: Item) -> None:
        self._queue.append(item)
        self._drain()

    def _drain(self) -> None:
        if self._queue and not self._filling and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._take_queued())

    async def _take_queued(self) -> None:
        wait = CAPTURE_FIRST
        while self._queue and not self._filling:
            items = list(self._queue)
            self._queue.clear()
            try:
                await self._hold(items)
            except Exception as failure:  # noqa: BLE001 - nothing but a restart may end this task
                log.warning("contact %s: capture failed (%s), again soon", self.chat.contact, type(failure).__name__)
                await asyncio.sleep(random.uniform(0, wait))  # noqa: S311 - jitter
                wait = min(wait * 2, RECONNECT_MOST)
            else:
                wait = CAPTURE_FIRST

    async def settled(self) -> None:
        """Wait until everything that was heard is written down."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _take(self, items: Sequence[Item]) -> None:
        """Store what is new, in Connect's order, and draw the conclusions. One batch at a time."""
        async with self._turn:
            self.heard()
            await self._digest(items)

    async def _digest(self, items: Sequence[Item]) -> None:
        new = sorted((item for item in items if item.id not in self._recent), key=lambda item: item.absolute_time)
        news = [read(item) for item in new if not self._is_notice(item)]
        said = tuple(self._captured(one) for one in news if isinstance(one, Said))
        if said:
            batch = Batch(conversation=self.conversation, contact=self.chat.contact, captured=said)
            stored = await self.house.captures.add(batch)
            failpoint("O4b")
            if stored:
                self.house.said(self.conversation, stored)
        self._recent.extend(item.id for item in new if item.id and not is_unfinished(item))
        self._note_own(item for item in new if item.participant_role == "CUSTOMER")
        times = [moment(item) for item in new if item.absolute_time]
        if times:
            self.chat.last_item_at = max(*times, self.chat.last_item_at or times[0])
        await self._follow(news, new)

    def _note_own(self, items: Iterable[Item]) -> None:
        """Remember our echoes. What was there before we joined is the chat's InitialMessage, about which nobody asks.

        It must not be taken for the echo of a later message with the same words.
        """
        for item in items:
            if item.type == "MESSAGE":
                self._own.append(item)
            elif item.content_type == JOINED:
                self._own.clear()

    async def _follow(self, news: Iterable[object], items: Sequence[Item]) -> None:
        agent, bot, ended = self.agent, self.chat.bot, False
        for one in news:
            match one:
                case AgentJoined(name):
                    agent, bot = name, False
                case AgentLeft():
                    agent, bot = "", True
                case Ended():
                    ended = True
                case Said() | Nothing() | _:
                    pass
        latest = next((item.contact_id for item in reversed(items) if item.contact_id), self.chat.contact_id)
        if (agent, bot, latest) != (self.agent, self.chat.bot, self.chat.contact_id):
            self.agent, self.chat.bot, self.chat.contact_id = agent, bot, latest
            given = {"contact": self.chat.contact, "contact_id": latest, "agent": agent, "bot": bot}
            await self.house.execute(store.CHAT_NEWS, given)
        if ended and not self.ended:
            self.ended = True
            await self._last_look()
            self.on_end("chat.ended")

    async def _last_look(self) -> None:
        """At the end, look once more for what no frame brought. Connect may refuse: then the frames were all."""
        try:
            await self._digest([item async for item in self._transcript()])
        except (GatewayError, psycopg.Error) as failure:
            log.info("contact %s: no last look at the transcript: %s", self.chat.contact, type(failure).__name__)

    async def _transcript(self) -> AsyncIterator[Item]:
        """Yield Connect's transcript from a little before the last captured item on. Raises GatewayError."""
        since = self.chat.last_item_at - OVERLAP if self.chat.last_item_at is not None else None
        pace = self.house.paces.of(self.chat.instance_id, "transcript")
        page: str | None = None
        while True:
            await pace.turn()
            try:
                found = await self.house.participants.transcript(self.token, since, page)
            except Throttled as busy:
                pace.throttled(busy.retry_after)
                continue
            for item in found.transcript:
                yield item
            page = found.next_token
            if not page:
                return

    def _is_notice(self, item: Item) -> bool:
        """Whether this is our own word to the agent (notices.py), which is not for the customer."""
        return item.participant_role == "CUSTOM_BOT" and (
            item.display_name == NOTICE_NAME or item.participant_id in self.muted
        )

    def _captured(self, said: Said) -> Captured:
        item = said.item
        return Captured(
            id=uuid.uuid4(),
            item_id=item.id,
            role=item.participant_role,
            author=item.display_name,
            content_type=item.content_type or "text/plain",
            text=said.text,
            original=None if said.text == item.content else {"content": item.content, "type": item.type},
            occurred_at=moment(item),
            parts=tuple(split_text(said.text, self.limit)),
        )

    def _on_lost(self, socket: ChatSocket) -> None:
        self.house.wheel.remove(socket)
        if socket is self._socket:
            failpoint("O1")
            self._socket = None
            self.caught_up.clear()
            self._lost()

    def _lost(self) -> None:
        if not self.ended and (self._reconnecting is None or self._reconnecting.done()):
            self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        wait = RECONNECT_FIRST
        while not self.ended:
            try:
                await self.open(backfill=True)
            except Refused:
                await self.settled()  # the end may be among what we have heard
                if not self.ended:
                    self.ended = True
                    self.on_end(ENDED_UNHEARD)
                return
            except (GatewayError, psycopg.Error) as failure:
                log.info("contact %s: reconnect failed: %s", self.chat.contact, type(failure).__name__)
            else:
                return
            await asyncio.sleep(random.uniform(0, wait))  # noqa: S311 - jitter
            wait = min(wait * 2, RECONNECT_MOST)


def _renewal(expires_at: datetime) -> datetime:
    """Return when to open the next socket: well before the end, but never at once."""
    now = datetime.now(UTC)
    return now + max((expires_at - now) * 0.5, expires_at - now - RENEW_BEFORE)
