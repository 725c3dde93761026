"""One conversation's mouth: its stored messages → Connect, in order, each once, with a chat started when needed."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
from django.conf import settings

from channels_app.failpoints import failpoint
from channels_app.registry import channels
from channels_app.text import TextLimit, Unit, split_text
from connect_bridge import store
from connect_bridge.gateway import (
    CONNECT_WITHIN,
    LARGEST_MESSAGE,
    LONGEST_FOR_BOT,
    ChatRequest,
    GatewayError,
    Invalid,
    QuotaReached,
    Refused,
    Throttled,
    Unreachable,
)
from connect_bridge.holding import hold
from connect_bridge.house import House
from connect_bridge.lifecycle import Event, State, after
from connect_bridge.listener import ENDED_UNHEARD, Listener
from connect_bridge.profiles import look_up
from connect_bridge.store import Chat, Origin, Pending
from customers.identify import introduce

log = logging.getLogger(__name__)

FOR_BOT = TextLimit(most=LONGEST_FOR_BOT)
FOR_AGENT = TextLimit(most=LARGEST_MESSAGE, unit=Unit.UTF8_BYTES)
#: A longer text is cut, and says so: ten parts for a bot. No messenger's own limit is higher; the store keeps it all.
LONGEST_TEXT = 10 * LONGEST_FOR_BOT
CUT = "[the rest of this message is too long to show: {left} more characters]"
#: Seconds: full jitter below a ceiling that doubles from FIRST to MOST.
RETRY_FIRST, RETRY_MOST = 0.25, 30.0
#: A message that Connect cannot take stops blocking its conversation after this long.
POISON_AFTER = timedelta(minutes=15)
#: … and after so many attempts. An outage, in which Connect takes nothing of the instance, kills no message.
POISON_ATTEMPTS = 5
#: Seconds that a message waits for the transcript when Connect may have it already.
CATCH_UP_WITHIN = 20.0
#: Connect's limit for a display name (StartChatContact).
LONGEST_NAME = 256


@dataclass(slots=True, eq=False)
class Relay:
    """Relays one conversation while this bridge owns it. `wake()` whenever there may be something to do.

    `on_idle` is called when nothing is open and nothing is left to relay.
    """

    house: House
    conversation: uuid.UUID
    on_idle: Callable[[Relay], None]
    listener: Listener | None = None
    _origin: Origin | None = None
    _chat: Chat | None = None
    _loaded: bool = False
    _task: asyncio.Task[None] | None = None
    _again: bool = False
    _timer: asyncio.TimerHandle | None = None
    _failures: int = 0
    _stopped: bool = False
    _in_doubt: bool = False
    _renewed: bool = False
    _taken: set[str] = field(default_factory=set)
    _ending: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look at once, or right after the look under way."""
        self._again = True
        if not self._stopped and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Leave everything as it is: another bridge takes over."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self.listener is not None:
            self.listener.close()

    async def _run(self) -> None:
        while self._again and not self._stopped:
            self._again = False
            try:
                await self._look()
            except Exception as failure:  # noqa: BLE001 - whatever it is, only this conversation waits
                log.warning("conversation %s: %s, will try again", self.conversation, _name(failure))
                self._loaded = self._chat is not None  # else the database may know of one that we have not heard of
                self._later()
                return
        if self._chat is None and not self._stopped:
            self.on_idle(self)

    async def _look(self) -> None:
        await self._load()
        async with self.house.pool.connection() as connection:
            pending = await store.pending(connection, self.conversation)
        if self._chat is not None and self.listener is None and not pending:
            await self._connect(self._chat)
        for message in pending:
            if not self.house.owns:
                raise Unreachable("our own heartbeat is late: another bridge may own this conversation now")
            if not await self._relay(message):
                return
            self._again = True

    async def _load(self) -> None:
        """Read once what this conversation is, and the chat that another bridge may have left open."""
        if self._loaded:
            return
        async with self.house.pool.connection() as connection:
            self._origin = await store.origin(connection, self.conversation)
            self._chat = await store.open_chat(connection, self.conversation)
            if self._chat is not None:
                # Whoever had this chat may have died between sending a message and writing that down.
                self._taken = await store.taken_items(connection, self._chat.contact)
                self._in_doubt = True
        self._loaded = True

    async def _relay(self, message: Pending) -> bool:
        """Bring one message to Connect. False: not now; a later look is arranged."""
        try:
            chat = await self._open_chat(message)
            await self._send(chat, message)
        except Invalid as refusal:
            await self._undeliverable(message, refusal)
        except GatewayError as failure:
            if not await self._is_poison(message, failure):
                await self._note(message, failure)
                return False
            await self._undeliverable(message, failure)
        self._failures = 0
        return True

    async def _is_poison(self, message: Pending, failure: GatewayError) -> bool:
        """Whether Connect has been failing with this message for long, and took others meanwhile: no outage then."""
        suspicious = isinstance(failure, Unreachable) and message.attempts >= POISON_ATTEMPTS
        if not suspicious or self._chat is None or _age(message) < POISON_AFTER:
            return False
        given = {"id": message.id, "instance": self._chat.instance_id, "after": POISON_AFTER}
        async with self.house.pool.connection() as connection:
            return bool(await (await connection.execute(store.POISON, given)).fetchone())

    async def _open_chat(self, message: Pending) -> Chat:
        """Return a connected chat, bringing one there from whatever state it is in."""
        chat = self._chat
        if chat is None:
            chat = self._chat = await self._request(message)
        if chat.state == State.REQUESTED:
            await self._start(chat, message)
        if self.listener is None:
            await self._note_first(chat, message)
            await self._connect(chat)
        return chat

    async def _note_first(self, chat: Chat, message: Pending) -> None:
        """Note the InitialMessage of a chat that was connected before: Connect may not let us in again to see it."""
        if chat.state == State.CONNECTED and message.id == chat.first_message:
            await self._done(chat, message, _next_part(message, FOR_BOT), "")
            chat.first_message = None
            raise Unreachable("its first part is with Connect: looking again for what is left")

    async def _request(self, message: Pending) -> Chat:
        instance, flow = await self._routing()
        await self._introduce()
        given = {
            "contact": uuid.uuid4(),
            "conversation": self.conversation,
            "instance": instance,
            "flow": flow,
            "message": message.id,
        }
        async with self.house.pool.connection() as connection:
            return await store.request_chat(connection, **given)

    async def _introduce(self) -> None:
        """Ask the messenger for the customer's name if its webhooks did not bring one."""
        origin = self._known()
        if origin.display_name:
            return
        told = await look_up(origin.account, origin.kind, origin.version, origin.external_id)
        if told:
            async with self.house.pool.connection() as connection:
                await introduce(connection, origin.identity, told)
                self._origin = await store.origin(connection, self.conversation)

    async def _routing(self) -> tuple[str, str]:
        """Return the Connect instance and flow, as they are set now: the account's own, else the settings'."""
        async with self.house.pool.connection() as connection:
            self._origin = await store.origin(connection, self.conversation)
        instance = self._origin.instance_id or settings.CONNECT_INSTANCE_ID
        flow = self._origin.flow_id or settings.CONNECT_CONTACT_FLOW_ID
        if not (instance and flow):
            raise Refused("no Connect instance or flow: set CONNECT_INSTANCE_ID and CONNECT_CONTACT_FLOW_ID")
        return instance, flow

    async def _start(self, chat: Chat, message: Pending) -> None:
        """Ask Connect for the chat. A lost answer is asked for again with the same token: same chat."""
        chat.instance_id, chat.flow_id = await self._routing()
        pace = self.house.paces.of(chat.instance_id, "start_chat")
        await pace.turn()
        try:
            started = await self.house.control.start_chat(self._chat_request(chat, message))
        except Throttled as busy:
            pace.throttled(busy.retry_after)
            raise
        except GatewayError as failure:
            await self.house.execute(store.CHAT_WAITS, {"contact": chat.contact, "reason": str(failure)[:200]})
            if isinstance(failure, QuotaReached):
                await hold(self.house, self.conversation, chat, self._known())
            if isinstance(failure, Invalid) and _age(message) < POISON_AFTER:
                raise Refused(str(failure)) from None  # more likely our settings than this message: wait for a mend
            raise
        failpoint("I6", Unreachable)
        given = {
            "contact": chat.contact,
            "contact_id": started.contact_id,
            "participant": started.participant_id,
            "token": started.participant_token,
            "instance": chat.instance_id,
            "flow": chat.flow_id,
        }
        await self.house.execute(store.CHAT_STARTED, given)
        chat.state = after(State(chat.state), Event.STARTED)
        chat.contact_id = chat.initial_contact_id = started.contact_id
        chat.participant_token = started.participant_token
        chat.started_at = datetime.now(UTC)
        failpoint("I7", Unreachable)

    def _chat_request(self, chat: Chat, message: Pending) -> ChatRequest:
        origin = self._known()
        own = {
            "channel": origin.kind,
            "channel_account": origin.account_name,
            "channel_account_id": str(origin.account),
            "channel_address": origin.address,
            "customer_id": str(origin.customer),
            "identity_id": str(origin.identity),
            "conversation_id": str(self.conversation),
            "customer_handle": origin.handle,
            "locale": origin.locale,
        }
        given = {str(key): str(value) for key, value in origin.attributes.items()}
        return ChatRequest(
            instance_id=chat.instance_id,
            flow_id=chat.flow_id,
            display_name=(origin.display_name or origin.handle or "Customer")[:LONGEST_NAME],
            attributes={key: value for key, value in (given | own).items() if value},
            initial_message=_next_part(message, FOR_BOT),
            client_token=str(chat.contact),
        )

    async def _connect(self, chat: Chat) -> None:
        """Listen to the chat; if Connect refuses, it is over. Backfills unless the chat has just begun."""
        began = chat.state == State.STARTED
        if began and chat.started_at is not None:
            age = (datetime.now(UTC) - chat.started_at).total_seconds()
            if age > CONNECT_WITHIN:
                await self._over(chat, State.FAILED, "not connected within five minutes of its start")
                raise Unreachable("the chat was not connected in time: starting another")
        listener = Listener(self.house, self.conversation, chat, channels()[self._known().kind].text_limit, self._ended)
        try:
            await listener.open(backfill=not began)
        except Refused:
            listener.close()
            await self._over(chat, State.ENDED, ENDED_UNHEARD)
            raise
        except (GatewayError, psycopg.Error):
            listener.close()
            raise
        chat.state = after(State(chat.state), Event.CONNECTED)
        self.listener = listener

    async def _send(self, chat: Chat, message: Pending) -> None:
        """Send what is left of the message, part by part. The first part may have gone as the InitialMessage."""
        if message.id == chat.first_message:
            message = await self._done(chat, message, _next_part(message, FOR_BOT), "")
            chat.first_message = None
            failpoint("I11", Unreachable)
        while part := _next_part(message, FOR_BOT if chat.bot else FOR_AGENT):
            item = await self._already_there(message, part) or await self._send_part(chat, part, _token(message, part))
            if item:
                message = await self._done(chat, message, part, item)
                self._taken.add(item)

    async def _done(self, chat: Chat, message: Pending, part: str, item: str) -> Pending:
        """Write down that this part is with Connect, and return what is left."""
        done = message.relayed + len(part)
        try:
            await self.house.relays.add((message.id, chat.contact, done, done >= len(_shown(message.text)), item))
        except psycopg.Error:
            self._in_doubt = True  # Connect has it, and our next attempt must find that out
            raise
        return msgspec.structs.replace(message, relayed=done)

    async def _already_there(self, message: Pending, part: str) -> str:
        """Return the item id of a part that Connect may have taken without our knowing, if it did; else "".

        Needed because a ClientToken may be good only within one connection, and ours may be a new one.
        """
        if not self._in_doubt or self.listener is None:
            return ""
        try:
            async with asyncio.timeout(CATCH_UP_WITHIN):
                await self.listener.caught_up.wait()
        except TimeoutError:
            raise Unreachable("the transcript cannot be read, and Connect may have this message already") from None
        self._in_doubt = False
        return self.listener.echo_of(part, message.created_at, self._taken)

    async def _send_part(self, chat: Chat, text: str, token: str) -> str:
        """Send one part and return its item id; "" if the connection had to be renewed instead."""
        listener = self.listener
        if listener is None:
            raise Unreachable("the chat ended meanwhile: starting another")
        pace = self.house.paces.of(chat.instance_id, "send_message")
        await pace.turn()
        try:
            item = await self.house.participants.send_message(listener.token, text, token)
            failpoint("I8", Unreachable)
        except Throttled as busy:
            failpoint("I9")
            pace.throttled(busy.retry_after)
            raise
        except Unreachable:
            self._in_doubt = True
            raise
        except Refused:
            await self._renew_or_end(chat, listener)
            return ""
        self._renewed = False
        listener.heard()
        return item

    async def _renew_or_end(self, chat: Chat, listener: Listener) -> None:
        """Renew the connection after a 403; only a refused renewal, or a second 403, is the end."""
        failpoint("I10")
        try:
            if not self._renewed:
                self._renewed = self._in_doubt = True
                await listener.open(backfill=True)
                return
        except Refused:
            pass
        await self._over(chat, State.ENDED, "Connect refuses messages: the chat has ended")
        raise Refused("Connect refuses messages: the chat has ended, another is started")

    def _ended(self, reason: str) -> None:
        """Take note of the end that the listener heard, and see whether there is something new to start for."""
        self._ending = asyncio.create_task(self._end(reason))

    async def _end(self, reason: str) -> None:
        chat = self._chat
        while chat is not None and self._chat is chat and not self._stopped:
            try:
                await self._over(chat, State.ENDED, reason)
            except psycopg.Error:
                await asyncio.sleep(random.uniform(0, RETRY_FIRST * 4))  # noqa: S311 - jitter
        self.wake()

    async def _over(self, chat: Chat, state: State, reason: str) -> None:
        """Write down that the chat is over, then forget it. What was heard of it is stored first."""
        if self.listener is not None and self.listener.chat is chat:
            await self.listener.settled()
        failpoint("O10")
        await self.house.execute(store.CHAT_OVER, {"contact": chat.contact, "state": state, "reason": reason[:200]})
        if self._chat is not chat:
            return
        if self.listener is not None:
            self.listener.close()
        self.listener = self._chat = None
        self._in_doubt = self._renewed = False
        self._taken.clear()

    async def _note(self, message: Pending, failure: GatewayError) -> None:
        wait = self._later()
        due = datetime.now(UTC) + timedelta(seconds=wait)
        given = {"id": message.id, "code": failure.code, "detail": str(failure)[:500], "due": due}
        await self.house.execute(store.TRIED, given)

    async def _undeliverable(self, message: Pending, refusal: GatewayError) -> None:
        """Connect will never take this message: it fails, and the next one has its turn."""
        log.warning("message %s cannot be relayed: %s", message.id, refusal)
        given = {"id": message.id, "code": refusal.code, "detail": str(refusal)[:500]}
        await self.house.execute(store.UNDELIVERABLE, given)
        if self._chat is not None and self._chat.state == State.REQUESTED:
            await self._over(self._chat, State.FAILED, "its first message cannot be relayed")

    def _later(self) -> float:
        """Arrange another look; return in how many seconds."""
        self._failures += 1
        wait = random.uniform(0, min(RETRY_MOST, RETRY_FIRST * 2 ** min(self._failures, 10)))  # noqa: S311 - jitter
        self._timer = asyncio.get_running_loop().call_later(wait, self.wake)
        return wait

    def _known(self) -> Origin:
        assert self._origin is not None
        return self._origin


def _shown(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT] + CUT.format(left=len(text) - LONGEST_TEXT)


def _next_part(message: Pending, limit: TextLimit) -> str:
    """Return what to send next, "" when all of the message is with Connect."""
    left = _shown(message.text)[message.relayed :]
    return split_text(left, limit)[0] if left else ""


def _token(message: Pending, part: str) -> str:
    """Return the ClientToken: the message's id, and for a part of it also where it begins and how long it is."""
    if len(part) == len(_shown(message.text)):
        return str(message.id)
    return f"{message.id}:{message.relayed}:{len(part)}"


def _age(message: Pending) -> timedelta:
    return datetime.now(UTC) - message.created_at


def _name(failure: BaseException) -> str:
    return failure.code if isinstance(failure, GatewayError) else type(failure).__name__
