"""One conversation's mouth: its stored messages → Connect, in order, each once, with a chat started when needed."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import psycopg

from channels_app.infrastructure.backoff import full_jitter
from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.connect.gateway import (
    CONNECT_WITHIN,
    FOR_AGENT,
    FOR_BOT,
    GatewayError,
    Invalid,
    NotPassed,
    Refused,
    Throttled,
    Unclear,
    Unreachable,
)
from connect_bridge.listening.listener import ENDED_UNHEARD, Listener, described
from connect_bridge.models import ContactState
from connect_bridge.models.lifecycle import ASIDE, Event, after
from connect_bridge.relay.chat_starter import ChatStarter
from connect_bridge.relay.chunking import next_part, position_after, shown, token
from connect_bridge.relay.contact_cards import read_cards
from connect_bridge.relay.poison_messages import is_poison
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import chats, relaying
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending
from connect_bridge.storage.side_events import note

log = logging.getLogger(__name__)

#: Seconds: full jitter below a ceiling that doubles from FIRST to MOST.
RETRY_FIRST, RETRY_MOST = 0.25, 30.0
#: Seconds before another chat is begun when Connect let nobody into the last one; four times as long each time.
ANOTHER_FIRST, ANOTHER_MOST = 1.0, 300.0
#: Seconds that a message waits for the transcript when Connect may have it already.
CATCH_UP_WITHIN = 20.0


@dataclass(slots=True, eq=False)
class Relay:
    """Relays one conversation while this bridge owns it. `wake()` whenever there may be something to do.

    All that happens to the chat happens in one task at a time. `on_idle` is called when nothing is open and nothing is
    left to relay.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    on_idle: Callable[[Relay], None]
    listener: Listener | None = None
    task: asyncio.Task[None] | None = None
    _starter: ChatStarter = field(init=False)
    _fence: int = 0
    _chat: Chat | None = None
    _loaded: bool = False
    _again: bool = False
    _timer: asyncio.TimerHandle | None = None
    _failures: int = 0
    _stopped: bool = False
    _in_doubt: bool = False
    #: Connect takes no more characters than a bot reads, whatever it documents.
    _short: bool = False
    _renewed: bool = False
    _taken: dict[str, str] = field(default_factory=dict)
    _shut: str = ""
    _shut_outs: int = 0
    _another_at: float = 0.0

    def __post_init__(self) -> None:
        self._starter = ChatStarter(self.runtime, self.conversation)

    def wake(self) -> None:
        """Look at once, or right after the look under way. One that was retired only notes that its chat is over."""
        self._again = True
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._last_words() if self._stopped else self._run())

    def retire(self) -> None:
        """Send nothing more: another bridge takes over. A send under way ends, and is written down.

        What is said in the chat is still heard and stored until close().
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Stop listening; the chat stays as it is."""
        if self.listener is not None:
            self.listener.close()

    def stop(self) -> None:
        """Leave everything as it is, at once."""
        self.retire()
        self.close()

    async def _run(self) -> None:
        idle = False
        while self._again and not self._stopped:
            self._again = False
            try:
                idle = await self._look()
            except relaying.NotOurs:
                self._forget()
                return
            except Exception as failure:  # noqa: BLE001 - whatever it is, only this conversation waits
                level = logging.DEBUG if self._failures else logging.WARNING
                log.log(level, "conversation %s: %s, will try again", self.conversation, described(failure))
                self._loaded = self._chat is not None  # perhaps more was written down than we were told
                self._later()
                return
        if idle and not self._stopped:
            self.on_idle(self)

    async def _look(self) -> bool:
        """Do what is to be done; return whether nothing is open and nothing left."""
        await self._load()
        await self._note_end()
        async with self.runtime.pool.connection() as connection:
            pending = await relaying.pending(connection, self.conversation, self.runtime.bridge, self._fence)
        for message in pending:
            if not await self._relay(message):
                return False
            self._again = True
        if self._chat is not None and self.listener is None and not pending:
            await self._go_on(self._chat)
        self._failures = 0
        return self._chat is None and not pending

    async def _go_on(self, chat: Chat) -> None:
        """Listen to a chat in which nothing waits to be said; give up one that nothing is left to begin."""
        begun = chat.state != ContactState.REQUESTED
        with suppress(Refused):
            await (self._connect(chat) if begun else self._over(chat, Event.GAVE_UP, "what was to begin it is settled"))

    async def _load(self) -> None:
        """Read once what this conversation is, and the chat that another bridge may have left open."""
        if self._loaded:
            return
        async with self.runtime.pool.connection() as connection:
            self._fence = await relaying.fence(connection, self.conversation, self.runtime.bridge)
            await self._starter.load(connection)
            chat = await chats.open_chat(connection, self.conversation)
            taken = await relaying.taken_items(connection, chat.contact) if chat is not None else {}
        # Whoever had this chat may have died between sending a message and writing that down.
        self._chat, self._taken, self._in_doubt = chat, taken, chat is not None
        self._loaded = True

    async def _last_words(self) -> None:
        """Note the end of a chat that was given away: its heir may find it over, and not know that all was heard."""
        try:
            await self._note_end()
        except psycopg.Error as failure:
            log.info("conversation %s: its chat's end was not noted: %s", self.conversation, described(failure))

    def _forget(self) -> None:
        """Know nothing of a conversation that was another's for a while: whoever wakes us has it read anew."""
        self.close()
        self.listener = self._chat = None
        self._loaded = False

    async def _note_end(self) -> None:
        if self._chat is not None and self.listener is not None and self.listener.over:
            await self._over(self._chat, Event.ENDED, self.listener.over)

    async def _relay(self, message: Pending) -> bool:
        """Bring one message to Connect. False: not now; a later look is arranged."""
        try:
            message = await read_cards(self.runtime, message)
            chat = await self._chat_for(message)
            if chat is None or (message.content_type == ASIDE and chat.bot):
                await note(self.runtime.execute, message.id, chat)
            else:
                await self._send(chat, message)
        except Invalid as refusal:
            await self._undeliverable(message, refusal)
        except GatewayError as failure:
            if not await is_poison(self.runtime, self._chat, message, failure, heard=self.listener is not None):
                await self._note(message, failure)
                return False
            await self._undeliverable(message, failure)
        self._failures = 0
        return True

    async def _chat_for(self, message: Pending) -> Chat | None:
        """Return the chat that takes the message; None for an aside whose chat is over: it says and begins nothing."""
        if message.content_type != ASIDE:
            await self._starter.admit(message, begins=self._chat is None)
            return await self._open_chat(message)
        await self._note_end()
        return await self._open_chat(message) if self._chat and self._chat.state != ContactState.REQUESTED else None

    async def _open_chat(self, message: Pending) -> Chat:
        """Return a connected chat, bringing one there from whatever state it is in."""
        self._must_be_ours()
        await self._note_end()
        chat = self._chat
        if chat is None:
            if time.monotonic() < self._another_at:
                raise Refused(f"Connect let nobody into the last chat that was started, so another waits: {self._shut}")
            chat = self._chat = await self._starter.request(message)
        if chat.state == ContactState.REQUESTED:
            await self._starter.start(chat, message)
        if chat.state == ContactState.STARTED:
            await self._starter.greet(chat)
        if self.listener is None:
            await self._note_first(chat, message)
            await self._connect(chat)
        return chat

    async def _note_first(self, chat: Chat, message: Pending) -> None:
        """Note the InitialMessage of a chat that was connected before: Connect may not let us in again to see it."""
        if chat.state == ContactState.CONNECTED and message.id == chat.first_message:
            await self._done(chat, message, next_part(message, FOR_BOT), "")
            chat.first_message = None
            raise Unreachable("its first part is with Connect: looking again for what is left")

    async def _connect(self, chat: Chat) -> None:
        """Listen to the chat; if Connect refuses, it is over. Backfills unless the chat has surely just begun.

        Even if it ends at once, its InitialMessage is with Connect: `_send` comes next, and notes that.
        """
        began = chat.state == ContactState.STARTED
        if began and chat.started_at is not None:
            age = (datetime.now(UTC) - chat.started_at).total_seconds()
            if age > CONNECT_WITHIN:
                await self._over(chat, Event.GAVE_UP, "not connected within five minutes of its start")
                raise Unreachable("the chat was not connected in time: starting another")
        listener = Listener(self.runtime, self.conversation, chat, self._starter.limit, self.wake)
        try:
            await listener.open(backfill=self._in_doubt or not began)
        except Refused as refusal:
            listener.close()
            if began:
                self._shut_out(str(refusal))
            await self._over(chat, Event.ENDED, ENDED_UNHEARD)
            raise
        except BaseException:
            self._in_doubt = True  # perhaps we were connected for a moment
            listener.close()
            raise
        chat.state = after(ContactState(chat.state), Event.CONNECTED)
        self.listener = listener
        self._shut_outs = 0
        if self._stopped:
            listener.close()

    def _shut_out(self, refusal: str) -> None:
        """Note a chat into which Connect let nobody: another begins ever later, for each counts for five minutes."""
        self._shut, self._shut_outs = refusal, self._shut_outs + 1
        self._another_at = time.monotonic() + min(ANOTHER_MOST, ANOTHER_FIRST * 4.0 ** (self._shut_outs - 1))

    async def _send(self, chat: Chat, message: Pending) -> None:
        """Send what is left of the message, part by part. The first part may have gone as the InitialMessage."""
        if message.id == chat.first_message:
            message = await self._done(chat, message, next_part(message, FOR_BOT), "")
            chat.first_message = None
            failpoint("I11", Unreachable)
        if not next_part(message, FOR_BOT):  # blanks are left of it
            await self._done(chat, message, "", "")
        while next_part(message, FOR_BOT):
            part, item = await self._already_there(message) or await self._send_part(chat, message)
            message = await self._done(chat, message, part, item) if item else message

    async def _done(self, chat: Chat, message: Pending, part: str, item: str) -> Pending:
        """Write down that this part is with Connect, and return what is left."""
        done = position_after(message, part)
        try:
            await self.runtime.relays.add((message.id, chat.contact, done, done >= len(shown(message.text)), item))
        except psycopg.Error:
            self._in_doubt = True  # Connect has it, and our next attempt must find that out
            raise
        if item and self.listener is not None:
            self._taken[item] = part
            await self.listener.hearing.unpassed.taken(item, message.id)
        return msgspec.structs.replace(message, relayed=done, item=item or message.item)

    async def _already_there(self, message: Pending) -> tuple[str, str] | None:
        """Return a part that Connect may have taken without our knowing, with its item id, if it did.

        Needed because a ClientToken may be good only within one connection, and ours may be a new one, or be new before
        the next attempt: so the doubt stays until Connect has answered. The part may have been cut for a bot, though an
        agent has come meanwhile.
        """
        if not self._in_doubt or self.listener is None:
            return None
        try:
            async with asyncio.timeout(0.0 if self.listener.over else CATCH_UP_WITHIN):
                await self.listener.caught_up.wait()
        except TimeoutError:
            if not self.listener.over:
                raise Unreachable("the transcript cannot be read, and Connect may have this message already") from None
        parts = (next_part(message, FOR_BOT), next_part(message, FOR_AGENT))
        found = self.listener.hearing.echo_of(parts, self._taken)
        self._in_doubt = found is None
        return found

    async def _send_part(self, chat: Chat, message: Pending) -> tuple[str, str]:
        """Send one part; return it and its item id, "" if something is to be done otherwise first."""
        limiter = self.runtime.limiters.of(chat.instance_id, "send_message")
        await limiter.acquire()
        self._must_be_ours()
        listener = self.listener
        if listener is None or listener.over:
            raise Unreachable("the chat ended meanwhile: starting another")
        part = next_part(message, FOR_BOT if chat.bot or self._short else FOR_AGENT)
        if not self._in_doubt:
            self._taken = dict.fromkeys(listener.hearing.own, "") | self._taken  # what we send now is none of these
        try:
            item = await self.runtime.participants.send_message(listener.token, part, token(message, part))
            failpoint("I8", Unreachable)
        except Throttled as busy:
            failpoint("I9")
            limiter.throttled(busy.retry_after)
            raise
        except (Unreachable, Unclear):
            self._in_doubt = True
            raise
        except Invalid as refusal:
            if len(part) <= FOR_BOT.most or isinstance(refusal, NotPassed):
                raise
            self._short = True  # as older documents of SendMessage say it
            return "", ""
        except Refused:
            await self._renew_or_end(chat, listener)
            return "", ""
        self._in_doubt = self._renewed = False
        listener.hearing.heard()
        return part, item

    async def _renew_or_end(self, chat: Chat, listener: Listener) -> None:
        """Renew the connection after a 403; only a refused renewal, or a 403 over a new connection, is the end."""
        failpoint("I10")
        if not self._renewed:
            self._in_doubt = True
            with suppress(Refused):
                await listener.open(backfill=True)
                self._renewed = True
                return
        await self._over(chat, Event.ENDED, ENDED_UNHEARD)
        raise Refused("Connect refuses messages: the chat has ended, another is started")

    def _must_be_ours(self) -> None:
        if self._stopped or not self.runtime.owns:
            raise Unreachable("this bridge stops or was away: another may own the conversation now")

    async def _over(self, chat: Chat, event: Event, reason: str) -> None:
        if self.listener is not None:
            self.listener.close()
        self.listener = None
        failpoint("O10")
        given = {"contact": chat.contact, "state": after(ContactState(chat.state), event), "reason": reason[:200]}
        if await self.runtime.execute(chats.CHAT_OVER, given):
            self.runtime.on_ended(self.conversation, chat.contact)
        self._chat = None
        self._in_doubt = self._renewed = False
        self._taken.clear()

    async def _note(self, message: Pending, failure: GatewayError) -> None:
        given = {"id": message.id, "code": failure.code, "detail": str(failure)[:500], "wait": self._later()}
        await self.runtime.execute(relaying.TRIED, given)

    async def _undeliverable(self, message: Pending, refusal: GatewayError) -> None:
        """Connect will never take this message: it fails, and the next one has its turn."""
        log.warning("message %s cannot be relayed: %s", message.id, refusal)
        given = {"id": message.id, "code": refusal.code, "detail": str(refusal)[:500], "item": refusal.item[:64]}
        await self.runtime.execute(relaying.UNDELIVERABLE, given)
        if self._chat is not None and self._chat.state == ContactState.REQUESTED:
            await self._over(self._chat, Event.GAVE_UP, "its first message cannot be relayed")

    def _later(self) -> float:
        """Arrange another look; return in how many seconds."""
        self._failures += 1
        wait = full_jitter(self._failures, RETRY_FIRST, RETRY_MOST)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self.wake)
        return wait
