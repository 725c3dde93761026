"""How a conversation's chats begin: who writes, where it goes, and Connect's answer to StartChatContact."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from django.conf import settings
from psycopg.rows import class_row

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from channels_app.registry import channels
from channels_app.reply_occasions import CLOSED, GREETING, HOLDING, MEDIA, PAUSED, Occasion
from channels_app.toolkit.text import TextLimit
from connect_bridge.automation.replies import say
from connect_bridge.connect.gateway import (
    FOR_BOT,
    BadRequest,
    ChatRequest,
    Continued,
    GatewayError,
    Held,
    QuotaReached,
    SetUp,
    StartedChat,
    Throttled,
    Unreachable,
)
from connect_bridge.models import ContactState
from connect_bridge.models.lifecycle import Event, after
from connect_bridge.relay.chat_request import attributes_for, display_name, routing
from connect_bridge.relay.chunking import next_part
from connect_bridge.relay.customer_context import Context, attributes_of, context_of
from connect_bridge.relay.profile_lookup import look_up
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import chats, relaying
from connect_bridge.storage.account_settings import Rule
from connect_bridge.storage.chats import Chat, Origin
from connect_bridge.storage.relaying import Pending
from customers.identify import introduce
from people.encryption import seal

log = logging.getLogger(__name__)

#: Connect lets a chat be continued once its transcript is stored, which takes about half a minute ("persistent chat").
TRANSCRIPT_STORED_AFTER = timedelta(minutes=1)


@dataclass(slots=True, eq=False)
class ChatStarter:
    """Starts the chats of one conversation. `load()` comes first."""

    runtime: BridgeRuntime
    conversation: uuid.UUID
    _origin: Origin | None = None

    @property
    def limit(self) -> TextLimit:
        """The longest text that the conversation's messenger takes."""
        return channels()[self._known.kind].text_limit

    async def load(self, connection: AsyncConnection) -> None:
        """Read what the conversation is. Names and settings may change meanwhile, so a new chat reads it again."""
        self._origin = await chats.origin(connection, self.conversation)

    async def check_account(self, message: Pending, *, begins: bool) -> None:
        """Tell the customer what there is to tell before the message goes on; raise Held if it is not to go on now."""
        runtime, service = self.runtime, self.runtime.services.of(self._known.account)
        if service.paused_since is not None:
            await say(runtime, service, self.conversation, PAUSED, service.paused_since.isoformat())
            raise Held("paused", "The account is paused: the message is kept.")
        if service.replies.get(MEDIA.key) and await self._has_media(message):
            await say(runtime, service, self.conversation, MEDIA, f"{message.created_at:%Y-%m-%d}")
        now = service.opening(datetime.now(UTC))
        if begins and not now.open:
            await say(runtime, service, self.conversation, CLOSED, now.period)
            if not service.closed_starts_chat:
                raise Held("closed", f"The account is closed until {now.period}: the message is kept.")

    async def _has_media(self, message: Pending) -> bool:
        async with self.runtime.pool.connection() as connection:
            row = await (await connection.execute(relaying.HAS_PARTS, [message.id])).fetchone()
        return bool(row and row[0])

    async def greet(self, chat: Chat) -> None:
        """Say the account's greeting, once for each chat."""
        await self._tell(chat, GREETING)

    async def _tell(self, chat: Chat, occasion: Occasion) -> None:
        service = self.runtime.services.of(self._known.account)
        await say(self.runtime, service, self.conversation, occasion, str(chat.contact), chat.contact)

    async def request(self, message: Pending) -> Chat:
        """Write down that a chat is to be started, and why. Raises SetUp if nobody said where chats go."""
        instance, flow = await self._routing(message)
        await self._introduce()
        given = {
            "contact": uuid.uuid4(),
            "conversation": self.conversation,
            "instance": instance,
            "flow": flow,
            "message": message.id,
        }
        async with self.runtime.pool.connection() as connection:
            return await chats.request_chat(connection, **given)

    async def start(self, chat: Chat, message: Pending) -> None:
        """Ask Connect for the chat. A lost answer is asked for again with the same token: same chat.

        Raises GatewayError, never Invalid: no refusal of a chat is for sure about its first message.
        """
        chat.instance_id, chat.flow_id = await self._routing(message)
        route = (chat.instance_id, chat.flow_id)
        try:
            self.runtime.gates.enter(route)
            request = await self._chat_request(chat, message, await self._first(chat, message))
            started = await self._ask(chat, request, again=message.attempts > 0)
        except Throttled:
            raise
        except GatewayError as failure:
            await self._note(chat, failure)
            raise
        self.runtime.gates.passed(route)
        failpoint("I6", Unreachable)
        await self._started(chat, started)
        failpoint("I7", Unreachable)

    async def _note(self, chat: Chat, failure: GatewayError) -> None:
        await self.runtime.execute(chats.CHAT_WAITS, {"contact": chat.contact, "reason": str(failure)[:200]})
        if isinstance(failure, QuotaReached):
            await self._tell(chat, HOLDING)

    async def _ask(self, chat: Chat, request: ChatRequest, *, again: bool) -> StartedChat:
        """Start the chat; without the former one's transcript where Connect does not take that.

        When it is asked `again`, also without the first message, in case that is what Connect refuses: sent by itself
        it is refused as a message, alone, or it is taken.
        """
        try:
            return await self._start(chat, request)
        except SetUp as refusal:
            if request.continues is not None:
                log.info("conversation %s: not as a continued chat: %s", self.conversation, refusal)
                return await self._ask(chat, msgspec.structs.replace(request, continues=None), again=again)
            if not (again and request.initial_message and isinstance(refusal, BadRequest)):
                self.runtime.gates.refused((request.instance_id, request.flow_id), refusal)
                raise
        await self.runtime.execute(chats.SENT_ALONE, [chat.contact])  # first, or our heir would believe it sent
        chat.first_message = None
        return await self._ask(chat, msgspec.structs.replace(request, initial_message=""), again=False)

    async def _start(self, chat: Chat, request: ChatRequest) -> StartedChat:
        limiter = self.runtime.limiters.of(chat.instance_id, "start_chat")
        await limiter.acquire()
        try:
            return await self.runtime.control.start_chat(request)
        except Throttled as busy:
            limiter.throttled(busy.retry_after)
            raise

    async def _started(self, chat: Chat, started: StartedChat) -> None:
        given = {
            "contact": chat.contact,
            "contact_id": started.contact_id,
            "participant": started.participant_id,
            "token": seal(started.participant_token),
            "instance": chat.instance_id,
            "flow": chat.flow_id,
        }
        await self.runtime.execute(chats.CHAT_STARTED, given)
        chat.state = after(ContactState(chat.state), Event.STARTED)
        chat.contact_id = chat.initial_contact_id = started.contact_id
        chat.participant_token = started.participant_token
        chat.started_at = datetime.now(UTC)

    async def _introduce(self) -> None:
        """Ask the messenger for the customer's name if its webhooks did not bring one."""
        origin = self._known
        if origin.display_name:
            return
        told = await look_up(origin.account, origin.kind, origin.version, origin.external_id)
        if told:
            async with self.runtime.pool.connection() as connection:
                await introduce(connection, origin.identity, told)
                await self.load(connection)

    async def _routing(self, message: Pending) -> tuple[str, str]:
        """Return the Connect instance and flow, as they are set now: a rule's, the account's, else the settings'."""
        async with self.runtime.pool.connection() as connection:
            await self.load(connection)
        instance, flow = routing(self._known, self._rule(message))
        if not (instance and flow):
            raise SetUp("no Connect instance or flow: set CONNECT_INSTANCE_ID and CONNECT_CONTACT_FLOW_ID")
        return instance, flow

    async def _first(self, chat: Chat, message: Pending) -> str:
        """Return the text with which the chat begins: that of the message for which it was requested.

        An earlier one may have been set going again since, and the chat may be there already, with that first message.
        """
        if message.id == chat.first_message:
            return next_part(message, FOR_BOT)
        async with (
            self.runtime.pool.connection() as connection,
            connection.cursor(row_factory=class_row(Pending)) as look,
        ):
            first = await (await look.execute(relaying.FIRST, [chat.first_message])).fetchone()
        return next_part(first, FOR_BOT) if first is not None else ""

    async def _chat_request(self, chat: Chat, message: Pending, first: str) -> ChatRequest:
        origin = self._known
        async with self.runtime.pool.connection() as connection:
            known = await context_of(connection, self.conversation)
            of_customer = await attributes_of(connection, known, chat.contact)
        return ChatRequest(
            instance_id=chat.instance_id,
            flow_id=chat.flow_id,
            display_name=display_name(origin, known.name),
            attributes=attributes_for(origin, self._rule(message), self.conversation, of_customer),
            initial_message=first,
            client_token=str(chat.contact),
            continues=_past(known, chat.instance_id),
        )

    def _rule(self, message: Pending) -> Rule | None:
        return self.runtime.services.of(self._known.account).rule_for(message.text)

    @property
    def _known(self) -> Origin:
        assert self._origin is not None
        return self._origin


def _past(known: Context, instance: str) -> Continued | None:
    """Return the chat whose transcript the new one shows first, if settings ask for that and Connect can have it.

    Never another person's: what a person's decision alone ties together is not shown in a chat.
    """
    kind, previous = settings.CONNECT_PERSISTENT_CHAT, known.last_chat
    if not kind or previous is None or known.certainty == "decided" or previous.state != ContactState.ENDED:
        return None
    if previous.instance_id != instance or previous.ended_at is None:
        return None
    if datetime.now(UTC) - previous.ended_at < TRANSCRIPT_STORED_AFTER:
        return None
    source = previous.contact_id if kind == "FROM_SEGMENT" else previous.initial_contact_id
    return Continued(source_contact_id=source, kind=kind)
