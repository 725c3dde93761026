"""Send a conversation's messages into its open chat, part by part, each once whatever Connect answered before.

How one message goes:

1. What may already be with Connect is looked for, if an earlier attempt or another bridge left a doubt.
2. Wait for this instance's rate limit, then make sure that the conversation is still ours.
3. Cut the next part: short while a bot may be listening, else as long as Connect takes.
4. Send it under a ClientToken that a repetition would have, too.
5. Write down how far the message has come, and under which item Connect has it.

Not promised: that a part appears once if Connect answers nothing, gives no transcript afterwards and ends the chat.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
import psycopg

from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.connect.gateway import (
    FOR_AGENT,
    FOR_BOT,
    Invalid,
    NotPassed,
    Refused,
    Throttled,
    Unclear,
    Unreachable,
)
from connect_bridge.listening.listener import Listener
from connect_bridge.relay.chunking import next_part, position_after, shown, token
from connect_bridge.relay.lease import Lease
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending, RelayedPart

#: Seconds that a message waits for the transcript when Connect may have it already.
CATCH_UP_WITHIN = 20.0


class ChatIsOver(Refused):
    """Connect refuses messages over a connection that was just renewed: the chat has ended."""


@dataclass(slots=True, eq=False)
class MessageSender:
    """Sends into one chat at a time; `begin()` when there is another one.

    `in_doubt`: Connect may have taken a part without our knowing.
    """

    runtime: BridgeRuntime
    lease: Lease
    in_doubt: bool = False
    #: Connect takes no more characters than a bot reads, whatever it documents.
    _short: bool = False
    #: The connection was renewed after a refusal, and nothing was sent over it since.
    _renewed: bool = False
    #: The items under which Connect has what we sent, with the text of each ("" where nobody knows it).
    _taken: dict[str, str] = field(default_factory=dict)

    def begin(self, taken: dict[str, str] | None = None, *, in_doubt: bool = False) -> None:
        """Forget the former chat. `taken` is what the database knows of the one that another bridge left open."""
        self.in_doubt, self._renewed, self._taken = in_doubt, False, taken or {}

    async def send(self, chat: Chat, listener: Listener, message: Pending) -> None:
        """Send what is left of the message. The first part may have gone as the InitialMessage. Raises GatewayError."""
        if message.id == chat.first_message:
            message = await self.note_first(chat, message)
            failpoint("I11", Unreachable)
        if not next_part(message, FOR_BOT):  # blanks are left of it
            await self._note(chat, message, "", "")
        while next_part(message, FOR_BOT):
            part, item = await self._already_there(listener, message) or await self._send_part(chat, listener, message)
            if item:
                message = await self._note(chat, message, part, item)
                self._taken[item] = part
                await listener.note_relayed(item, message.id)

    async def note_first(self, chat: Chat, message: Pending) -> Pending:
        """Write down that the first part went with the chat's start, as its InitialMessage; return what is left."""
        left = await self._note(chat, message, next_part(message, FOR_BOT), "")
        chat.first_message = None
        return left

    async def _note(self, chat: Chat, message: Pending, part: str, item: str) -> Pending:
        """Write down that this part is with Connect, and return what is left."""
        position = position_after(message, part)
        whole = position >= len(shown(message.text))
        try:
            await self.runtime.relays.add(RelayedPart(message.id, chat.contact, position, whole, item))
        except psycopg.Error:
            self.in_doubt = True  # Connect has it, and our next attempt must find that out
            raise
        return msgspec.structs.replace(message, relayed=position, item=item or message.item)

    async def _already_there(self, listener: Listener, message: Pending) -> tuple[str, str] | None:
        """Return a part that Connect may have taken without our knowing, with its item id, if it did.

        Needed because a ClientToken may be good only within one connection, and ours may be a new one, or be new before
        the next attempt: so the doubt stays until Connect has answered. The part may have been cut for a bot, though an
        agent has come meanwhile.
        """
        if not self.in_doubt:
            return None
        try:
            async with asyncio.timeout(0.0 if listener.over else CATCH_UP_WITHIN):
                await listener.caught_up.wait()
        except TimeoutError:
            if not listener.over:
                raise Unreachable("the transcript cannot be read, and Connect may have this message already") from None
        parts = (next_part(message, FOR_BOT), next_part(message, FOR_AGENT))
        echo = listener.echoes.find(parts, self._taken)
        self.in_doubt = echo is None
        return echo

    async def _send_part(self, chat: Chat, listener: Listener, message: Pending) -> tuple[str, str]:
        """Send one part; return it and its item id, "" if something is to be done otherwise first."""
        await self._await_turn(listener)
        part = next_part(message, FOR_BOT if chat.bot or self._short else FOR_AGENT)
        try:
            item = await listener.connection.send(part, token(message, part))
            failpoint("I8", Unreachable)
        except Throttled:
            failpoint("I9")
            raise
        except (Unreachable, Unclear):
            self.in_doubt = True
            raise
        except Invalid as refusal:
            if len(part) <= FOR_BOT.most or isinstance(refusal, NotPassed):
                raise
            self._short = True  # as older documents of SendMessage say it
            return "", ""
        except Refused:
            await self._renew(listener)
            return "", ""
        self.in_doubt = self._renewed = False
        listener.note_traffic()
        return part, item

    async def _await_turn(self, listener: Listener) -> None:
        """Wait until the next part may go, and see that it still may: much may have changed meanwhile."""
        await listener.connection.await_turn()
        self.lease.check()
        if listener.over:
            raise Unreachable("the chat ended meanwhile: starting another")
        if not self.in_doubt:
            self._taken = dict.fromkeys(listener.echoes.ids, "") | self._taken  # what we send now is none of these

    async def _renew(self, listener: Listener) -> None:
        """Renew the connection after a 403; only a refused renewal, or a 403 over a new connection, is the end."""
        failpoint("I10")
        if not self._renewed:
            self.in_doubt = True
            try:
                await listener.open(backfill=True)
            except Refused:
                pass
            else:
                self._renewed = True
                return
        raise ChatIsOver("Connect refuses messages: the chat has ended, another is started")
