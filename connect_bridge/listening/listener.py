"""One open chat's connection: it stays open, misses nothing between two sockets, and sends what others have to say."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from channels_app.infrastructure.backoff import full_jitter
from channels_app.infrastructure.failpoints import failpoint
from channels_app.toolkit.text import TextLimit
from connect_bridge.connect.gateway import GatewayError, Item, Refused, Unreachable, described
from connect_bridge.connect.participant_api import CustomerConnection
from connect_bridge.listening.chat_transcript import ChatTranscript
from connect_bridge.listening.echoes import OwnEchoes
from connect_bridge.listening.item_processor import ItemProcessor
from connect_bridge.listening.live_socket import LiveSocket
from connect_bridge.listening.rejected_messages import RejectedMessages
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import CHAT_SWEPT, Chat

log = logging.getLogger(__name__)

#: Connect lets nobody read the transcript of a chat that is over, so all that can be done is to say so.
ENDED_UNHEARD = "The chat ended while nobody listened: what was said last may be missing"
#: Seconds to wait before the first, and at most before any, new attempt to reconnect or sweep.
RECONNECT_FIRST, RECONNECT_MOST = 0.5, 20.0
#: How often the transcript of a chat that has ended is asked for what perhaps no frame brought.
LOOKS_BACK = 5
#: Seconds that what a new socket brings waits for what was said before it, while Connect does not give the transcript.
#: After that it goes on, perhaps out of order: that is better than to keep an agent's answers back.
HELD_MOST = 20.0


@dataclass(slots=True, eq=False)
class Listener:
    """Listens to one contact. When the chat is over for good, `over` says why and `on_end` is called.

    It owns all that belongs to the chat's connection: the socket, the transcript, the processor of what they bring, and
    what is known of our own messages in it. Others send over its `connection` and ask it for `echoes`.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    chat: Chat
    limit: TextLimit
    on_end: Callable[[], None]
    over: str = ""
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    echoes: OwnEchoes = field(default_factory=OwnEchoes)
    processor: ItemProcessor = field(init=False)
    transcript: ChatTranscript = field(init=False)
    _rejected: RejectedMessages = field(init=False)
    _live: LiveSocket = field(init=False)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _recovering: asyncio.Task[None] | None = None
    _sweep_at: float = 0.0
    #: Whether something may have been said that neither a socket nor the transcript has brought yet.
    _gap: bool = False
    #: What lets the processor go on at the latest, since a gap could not be filled at once.
    _held_back: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        for note in self.chat.agent_notes:
            self.echoes.note_agent_note(note)
        self._rejected = RejectedMessages(self.runtime, self.chat.contact)
        self.transcript = ChatTranscript(self.runtime, self.chat)
        self.processor = ItemProcessor(
            runtime=self.runtime,
            conversation=self.conversation,
            chat=self.chat,
            limit=self.limit,
            source=self,
            echoes=self.echoes,
            rejected=self._rejected,
        )
        self._live = LiveSocket(self.runtime, self.chat, self.processor.add, self._on_lost)

    # ── asked by others ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def connection(self) -> CustomerConnection:
        """What sends into the chat."""
        return self._live.connection

    @property
    def listening(self) -> bool:
        return self._live.is_open and not self._is_done

    @property
    def is_to_renew(self) -> bool:
        return self.listening and self._live.is_to_renew

    @property
    def is_to_sweep(self) -> bool:
        due_at = max(self.transcript.sweep_due_at(self.processor.traffic_at), self._sweep_at)
        return self.listening and time.monotonic() >= due_at

    def note_traffic(self) -> None:
        """Take note that something was sent, so that a sweep comes after it."""
        self.processor.note_traffic()

    async def note_relayed(self, item: str, message: uuid.UUID) -> None:
        """Take note that this item is the message, or a part of it, once that is written down."""
        await self._rejected.note_relayed(item, message)

    async def open(self, *, backfill: bool) -> None:
        """Connect, subscribe and, with `backfill`, fetch what was said meanwhile. Raises GatewayError.

        The new socket is subscribed before the old one closes; what both deliver is stored once. If only the backfill
        fails, it is tried again until it succeeds or the listener is closed.
        """
        async with self._one_at_a_time:
            if self._is_done:
                raise Unreachable("nobody listens to this chat any more")
            self._gap |= backfill and not self._live.is_open
            try:
                await self._open(backfill=backfill)
            finally:
                if self._live.is_open and not self.caught_up.is_set():
                    self._recover()

    async def fill(self) -> None:
        """Fetch what Connect's transcript has since the last time; return when it is stored. Raises GatewayError."""
        async with self._one_at_a_time:
            await self._fill()

    async def renew(self) -> None:
        """Open a new socket before the old one's address expires. A failure is tried again at a later look."""
        self._live.postpone_renewal(RECONNECT_MOST)
        try:
            await self.open(backfill=True)
        except Exception as failure:  # noqa: BLE001 - one chat's trouble must not keep the others waiting
            log.info("contact %s: renewal failed: %s", self.chat.contact, described(failure))

    async def sweep(self) -> None:
        """Compare with Connect's transcript. A failure is tried again at a later look."""
        self._sweep_at = time.monotonic() + RECONNECT_MOST
        try:
            await self.fill()
            await self.runtime.execute(CHAT_SWEPT, [self.chat.contact])
        except Exception as failure:  # noqa: BLE001 - see renew()
            log.info("contact %s: sweep failed: %s", self.chat.contact, described(failure))

    def close(self) -> None:
        """Stop listening; the contact stays as it is. What has come is still stored."""
        self._live.close()
        self._let_go()
        if self._recovering is not None:
            self._recovering.cancel()

    # ── asked by the processor, whose source this is ─────────────────────────────────────────────────────────────────

    async def look_back(self) -> Sequence[Item]:
        """Look for what no frame brought, at the end and before it. Connect may refuse: then the frames were all.

        A failure is tried again once, and more often if they were perhaps not: a gap was never filled, or heartbeats
        are unanswered.
        """
        self._gap |= self._live.is_unanswered
        for attempt in range(LOOKS_BACK if self._gap else 2):
            try:
                return await self._read_transcript()
            except GatewayError as failure:
                log.info("contact %s: no last look at the transcript: %s", self.chat.contact, failure.code)
                if isinstance(failure, Refused):
                    break
            await asyncio.sleep(full_jitter(attempt, RECONNECT_FIRST, RECONNECT_MOST))
        return ()

    def all_stored(self) -> None:
        """Say that the chat is over, and whether something that was said may be missing."""
        self._finish(ENDED_UNHEARD if self._gap else "chat.ended")

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _is_done(self) -> bool:
        return self._live.closed or self.processor.ended

    async def _open(self, *, backfill: bool) -> None:
        with self.processor.held(), self._held_until_filled():
            await self._reconnect()
            if backfill:
                self.processor.add_transcript(await self._transcript_anew())
        await self._settle()

    async def _fill(self) -> None:
        failpoint("O2", Unreachable)
        with self.processor.held(), self._held_until_filled():
            self.processor.add_transcript(await self._transcript_anew())
        await self._settle()

    @contextmanager
    def _held_until_filled(self) -> Iterator[None]:
        """If a gap is not filled here, hold what an open socket brings until it is, once and for HELD_MOST at most."""
        try:
            yield
        except BaseException:
            if self._held_back is None and self._live.is_open and not self.caught_up.is_set():
                self.processor.hold()
                self._held_back = asyncio.get_running_loop().call_later(HELD_MOST, self.processor.release)
            raise
        self._let_go()

    def _let_go(self) -> None:
        if self._held_back is not None and self._held_back.when() > asyncio.get_running_loop().time():
            self._held_back.cancel()
            self.processor.release()
        self._held_back = None

    async def _transcript_anew(self) -> Sequence[Item]:
        """Return the transcript, over another connection if this one is refused.

        Refused is Connect's word for a token that has expired, too: only who gets no connection any more is out.
        """
        try:
            return await self._read_transcript()
        except Refused:
            await self._reconnect()
            return await self._read_transcript()

    async def _read_transcript(self) -> Sequence[Item]:
        items = await self.transcript.read(self.connection.token)
        if self.transcript.unfinished:
            self.processor.note_traffic()  # so that another look comes: the frame that would tell may be lost
        if self._live.is_open:
            self._gap = False
        return items

    async def _reconnect(self) -> None:
        """Open another connection and note it. Raises Refused if the chat is over, and any other GatewayError."""
        connection = await self._live.replace()
        self.caught_up.clear()
        await self._live.write_down(connection)

    async def _settle(self) -> None:
        await self.processor.settled()
        if self._live.is_open:
            self.caught_up.set()

    def _finish(self, reason: str) -> None:
        self.over = self.over or reason
        self._let_go()
        self.on_end()

    def _on_lost(self) -> None:
        self._gap = True
        self.caught_up.clear()
        self._recover()

    def _recover(self) -> None:
        if not self._is_done and (self._recovering is None or self._recovering.done()):
            self._recovering = asyncio.create_task(self._until_caught_up())

    async def _until_caught_up(self) -> None:
        failures = 0
        while not (self._is_done or self.caught_up.is_set()):
            try:
                async with self._one_at_a_time:
                    await (self._fill() if self._live.is_open else self._open(backfill=True))
            except Refused:
                self._finish(ENDED_UNHEARD)
                return
            except Exception as failure:  # noqa: BLE001 - whatever it is, a chat must not stay unheard
                level = logging.DEBUG if failures else logging.INFO
                log.log(level, "contact %s: reconnect failed: %s", self.chat.contact, described(failure))
                await asyncio.sleep(full_jitter(failures, RECONNECT_FIRST, RECONNECT_MOST))
                failures += 1
