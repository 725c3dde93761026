"""The one open chat of a conversation, brought from whatever state it is in to where a message can be sent into it.

How a chat comes about:

1. `request`: a row says that a chat is to be started, before Connect is asked; its id is the ClientToken.
2. `start`: StartChatContact. A lost answer is asked for again under the same token: the same chat.
3. The account's greeting is sent, once for each chat.
4. `connect`: CreateParticipantConnection and a websocket, within five minutes of the start, or Connect closes the chat.
5. `over`: it ended, or was given up. Its row says why; what is left to relay begins another one.

Any bridge may go on at any of these steps: what each has done is in the row before the next begins.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.connect.gateway import CONNECT_WITHIN, Refused, Unreachable
from connect_bridge.listening.listener import ENDED_UNHEARD, Listener
from connect_bridge.models import ContactState
from connect_bridge.models.lifecycle import Event, after
from connect_bridge.relay.account_rules import greet
from connect_bridge.relay.chat_starter import ChatStarter
from connect_bridge.relay.lease import Lease
from connect_bridge.relay.message_sender import ChatIsOver, MessageSender
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import chats, relaying
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending

#: Seconds before another chat is begun when Connect let nobody into the last one; four times as long each time.
ANOTHER_FIRST, ANOTHER_MOST = 1.0, 300.0


@dataclass(slots=True)
class EntryRefusals:
    """Chats in a row into which Connect let nobody: another begins ever later, for each counts for five minutes."""

    _latest: str = ""
    _number: int = 0
    _another_at: float = 0.0

    def note(self, refusal: str) -> None:
        self._latest, self._number = refusal, self._number + 1
        self._another_at = time.monotonic() + min(ANOTHER_MOST, ANOTHER_FIRST * 4.0 ** (self._number - 1))

    def check(self) -> None:
        """Raise Refused while no other chat is to begin."""
        if time.monotonic() < self._another_at:
            raise Refused(f"Connect let nobody into the last chat that was started, so another waits: {self._latest}")

    def clear(self) -> None:
        self._number = 0


@dataclass(slots=True, eq=False)
class ConversationChat:
    """The open chat of one conversation, if it has one: `chat`, and `listener` while this bridge is connected to it.

    `on_end` is called when a chat that is listened to is over; the next call notes that.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    lease: Lease
    on_end: Callable[[], None]
    chat: Chat | None = None
    listener: Listener | None = None
    starter: ChatStarter = field(init=False)
    _sender: MessageSender = field(init=False)
    _entry: EntryRefusals = field(default_factory=EntryRefusals)

    def __post_init__(self) -> None:
        self.starter = ChatStarter(self.runtime, self.conversation)
        self._sender = MessageSender(self.runtime, self.lease)

    async def load(self, connection: AsyncConnection) -> None:
        """Read the chat that another bridge may have left open."""
        await self.starter.load(connection)
        chat = await chats.open_chat(connection, self.conversation)
        taken = await relaying.taken_items(connection, chat.contact) if chat is not None else {}
        self.chat = chat
        # Whoever had this chat may have died between sending a message and writing that down.
        self._sender.begin(taken, in_doubt=chat is not None)

    def forget(self) -> None:
        """Know nothing of it: the conversation was another bridge's for a while."""
        self.close()
        self.listener = self.chat = None

    def close(self) -> None:
        """Stop listening; the chat stays as it is."""
        if self.listener is not None:
            self.listener.close()

    async def note_end(self) -> None:
        """Write down that the chat is over, if its listener says so."""
        if self.chat is not None and self.listener is not None and self.listener.over:
            await self.over(self.chat, Event.ENDED, self.listener.over)

    async def go_on(self) -> None:
        """Listen to a chat in which nothing waits to be said; give up one that nothing is left to begin."""
        if self.chat is None or self.listener is not None:
            return
        if self.chat.state == ContactState.REQUESTED:
            await self.over(self.chat, Event.GAVE_UP, "what was to begin it is settled")
            return
        with suppress(Refused):
            await self._connect(self.chat)

    async def running(self, message: Pending) -> Chat | None:
        """Return the chat for what begins none: None if none has been started, or the last one is over."""
        await self.note_end()
        begun = self.chat is not None and self.chat.state != ContactState.REQUESTED
        return await self.connected(message) if begun else None

    async def connected(self, message: Pending) -> Chat:
        """Return a connected chat for the message, with the steps that are left for that. Raises GatewayError."""
        self.lease.check()
        await self.note_end()
        chat = self.chat
        if chat is None:
            self._entry.check()
            chat = self.chat = await self.starter.request(message)
        if chat.state == ContactState.REQUESTED:
            await self.starter.start(chat, message)
        if chat.state == ContactState.STARTED:
            await greet(self.runtime, self.starter.origin.account, self.conversation, chat)
        if self.listener is None:
            await self._note_first(chat, message)
            await self._connect(chat)
        return chat

    async def send(self, chat: Chat, message: Pending) -> None:
        """Send what is left of the message into the chat that `connected()` returned. Raises GatewayError."""
        if self.listener is None:
            raise Unreachable("the chat ended meanwhile: starting another")
        try:
            await self._sender.send(chat, self.listener, message)
        except ChatIsOver:
            await self.over(chat, Event.ENDED, ENDED_UNHEARD)
            raise

    async def give_up_unstarted(self, reason: str) -> None:
        """Let a chat fail that was requested for a message which will never begin it."""
        if self.chat is not None and self.chat.state == ContactState.REQUESTED:
            await self.over(self.chat, Event.GAVE_UP, reason)

    async def over(self, chat: Chat, event: Event, reason: str) -> None:
        """Write down that the chat is over, and tell the apps above."""
        self.close()
        self.listener = None
        failpoint("O10")
        state = after(ContactState(chat.state), event)
        params = {"contact": chat.contact, "state": state, "reason": reason[:200]}
        if await self.runtime.execute(chats.CHAT_OVER, params):
            self.runtime.on_ended(self.conversation, chat.contact)
        self.chat = None
        self._sender.begin()

    async def _note_first(self, chat: Chat, message: Pending) -> None:
        """Note the InitialMessage of a chat that was connected before: Connect may not let us in again to see it."""
        if chat.state == ContactState.CONNECTED and message.id == chat.first_message:
            await self._sender.note_first(chat, message)
            raise Unreachable("its first part is with Connect: looking again for what is left")

    async def _connect(self, chat: Chat) -> None:
        """Listen to the chat; if Connect refuses, it is over. Backfills unless the chat has surely just begun.

        Even if it ends at once, its InitialMessage is with Connect: sending comes next, and notes that.
        """
        just_started = chat.state == ContactState.STARTED
        if just_started:
            await self._give_up_if_late(chat)
        listener = Listener(self.runtime, self.conversation, chat, self.starter.limit, self.on_end)
        try:
            await listener.open(backfill=self._sender.in_doubt or not just_started)
        except Refused as refusal:
            listener.close()
            if just_started:
                self._entry.note(str(refusal))
            await self.over(chat, Event.ENDED, ENDED_UNHEARD)
            raise
        except BaseException:
            self._sender.in_doubt = True  # perhaps we were connected for a moment
            listener.close()
            raise
        chat.state = after(ContactState(chat.state), Event.CONNECTED)
        self.listener = listener
        self._entry.clear()
        if self.lease.given_up:
            listener.close()

    async def _give_up_if_late(self, chat: Chat) -> None:
        """Give up a chat that Connect has closed by now, because nobody connected to it; raise Unreachable then."""
        if chat.started_at is None or (datetime.now(UTC) - chat.started_at).total_seconds() <= CONNECT_WITHIN:
            return
        await self.over(chat, Event.GAVE_UP, "not connected within five minutes of its start")
        raise Unreachable("the chat was not connected in time: starting another")
