"""The way of one conversation's stored messages into its Amazon Connect chat: in order, each once.

1. `wake()`: a message was stored, a chat ended, or a wait is over.
2. The messages to relay are read under the fence of this bridge's ownership; if it is another's, nothing happens.
3. For each, in order: contact cards are read (contact_cards.py); what the account says about pause, hours and media is
   said, and may hold the message (account_rules.py).
4. The conversation's chat is found or begun, and connected (conversation_chat.py).
5. What is left of the message is sent, part by part (message_sender.py), and written down.
6. What Connect refuses for good fails, alone. Anything else is tried again after a wait, and what follows waits, too.
7. When nothing is open and nothing is left, the conversation is let go.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from channels_app.infrastructure.backoff import full_jitter
from connect_bridge.connect.gateway import GatewayError, Invalid, described
from connect_bridge.listening.listener import Listener
from connect_bridge.models.lifecycle import SIDE_EVENT
from connect_bridge.relay.account_rules import check_account
from connect_bridge.relay.contact_cards import read_cards
from connect_bridge.relay.conversation_chat import ConversationChat
from connect_bridge.relay.lease import Lease
from connect_bridge.relay.poison_messages import is_poison
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import relaying
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending
from connect_bridge.storage.side_events import note

log = logging.getLogger(__name__)

#: Seconds: full jitter below a ceiling that doubles from FIRST to MOST.
RETRY_FIRST, RETRY_MOST = 0.25, 30.0


@dataclass(slots=True, eq=False)
class Relay:
    """Relays one conversation while this bridge owns it. `wake()` whenever there may be something to do.

    All that happens to the chat happens in one task at a time. `on_idle` is called when nothing is open and nothing is
    left to relay.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    on_idle: Callable[[Relay], None]
    task: asyncio.Task[None] | None = None
    _lease: Lease = field(init=False)
    _chat: ConversationChat = field(init=False)
    _fence: int = 0
    _loaded: bool = False
    _again: bool = False
    _timer: asyncio.TimerHandle | None = None
    _failures: int = 0

    def __post_init__(self) -> None:
        self._lease = Lease(self.runtime)
        self._chat = ConversationChat(self.runtime, self.conversation, self._lease, self.wake)

    @property
    def listener(self) -> Listener | None:
        """Who listens to the conversation's open chat, if this bridge does."""
        return self._chat.listener

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self.task is not None and not self.task.done()

    def wake(self) -> None:
        """Look at once, or right after the look under way. One that was retired only notes that its chat is over."""
        self._again = True
        if not self.is_busy:
            self.task = asyncio.create_task(self._note_end_alone() if self._lease.given_up else self._run())

    def retire(self) -> None:
        """Send nothing more: another bridge takes over. A send under way ends, and is written down.

        What is said in the chat is still received and stored until close().
        """
        self._lease.given_up = True
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Stop listening; the chat stays as it is."""
        self._chat.close()

    def stop(self) -> None:
        """Leave everything as it is, at once."""
        self.retire()
        self.close()

    async def _run(self) -> None:
        idle = False
        while self._again and not self._lease.given_up:
            self._again = False
            try:
                idle = await self._look()
            except relaying.NotOurs:
                self._chat.forget()
                self._loaded = False  # whoever wakes us has it read anew
                return
            except Exception as failure:  # noqa: BLE001 - whatever it is, only this conversation waits
                level = logging.DEBUG if self._failures else logging.WARNING
                log.log(level, "conversation %s: %s, will try again", self.conversation, described(failure))
                self._loaded = self._chat.chat is not None  # perhaps more was committed than we know
                self._later()
                return
        if idle and not self._lease.given_up:
            self.on_idle(self)

    async def _look(self) -> bool:
        """Do what is to be done; return whether nothing is open and nothing left."""
        await self._load()
        await self._chat.note_end()
        async with self.runtime.pool.connection() as connection:
            pending = await relaying.pending(connection, self.conversation, self.runtime.bridge, self._fence)
        for message in pending:
            if not await self._relay(message):
                return False
            self._again = True
        if not pending:
            await self._chat.go_on()
        self._failures = 0
        return self._chat.chat is None and not pending

    async def _load(self) -> None:
        """Read once what this conversation is, and the chat that another bridge may have left open."""
        if self._loaded:
            return
        async with self.runtime.pool.connection() as connection:
            self._fence = await relaying.fence(connection, self.conversation, self.runtime.bridge)
            await self._chat.load(connection)
        self._loaded = True

    async def _note_end_alone(self) -> None:
        """Note the end of a chat that was given away: its next owner could not know that all of it is stored."""
        try:
            await self._chat.note_end()
        except psycopg.Error as failure:
            log.info("conversation %s: its chat's end was not noted: %s", self.conversation, described(failure))

    async def _relay(self, message: Pending) -> bool:
        """Bring one message to Connect. False: not now; a later look is arranged."""
        try:
            message = await read_cards(self.runtime, message)
            chat = await self._chat_for(message)
            if chat is None or (message.content_type == SIDE_EVENT and chat.bot):
                await note(self.runtime.execute, message.id, chat)
            else:
                await self._chat.send(chat, message)
        except Invalid as refusal:
            await self._undeliverable(message, refusal)
        except GatewayError as failure:
            listening = self.listener is not None
            if not await is_poison(self.runtime, self._chat.chat, message, failure, listening=listening):
                await self._note(message, failure)
                return False
            await self._undeliverable(message, failure)
        self._failures = 0
        return True

    async def _chat_for(self, message: Pending) -> Chat | None:
        """Return the chat that takes the message; None for a side event whose chat is over: it begins nothing."""
        if message.content_type == SIDE_EVENT:
            return await self._chat.running(message)
        account, begins = self._chat.starter.origin.account, self._chat.chat is None
        await check_account(self.runtime, account, self.conversation, message, begins=begins)
        return await self._chat.connected(message)

    async def _note(self, message: Pending, failure: GatewayError) -> None:
        """Write down why a message waits, and arrange another look."""
        params = {"id": message.id, "code": failure.code, "detail": str(failure)[:500], "wait": self._later()}
        await self.runtime.execute(relaying.TRIED, params)

    async def _undeliverable(self, message: Pending, refusal: GatewayError) -> None:
        """Connect will never take this message: it fails, and the next one has its turn."""
        log.warning("message %s cannot be relayed: %s", message.id, refusal)
        params = {"id": message.id, "code": refusal.code, "detail": str(refusal)[:500], "item": refusal.item[:64]}
        await self.runtime.execute(relaying.UNDELIVERABLE, params)
        await self._chat.give_up_unstarted("its first message cannot be relayed")

    def _later(self) -> float:
        """Arrange another look; return in how many seconds."""
        self._failures += 1
        wait = full_jitter(self._failures, RETRY_FIRST, RETRY_MOST)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self.wake)
        return wait
