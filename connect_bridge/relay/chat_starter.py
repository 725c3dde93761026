"""How a conversation's chats begin: who writes, where it goes, and Connect's answer to StartChatContact."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from psycopg.rows import class_row

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from channels_app.registry import channels
from channels_app.reply_occasions import HOLDING
from channels_app.toolkit.text import TextLimit
from connect_bridge.connect.gateway import (
    FOR_BOT,
    BadRequest,
    ChatRequest,
    GatewayError,
    QuotaReached,
    SetUp,
    StartedChat,
    Throttled,
    Unreachable,
)
from connect_bridge.models import ContactState
from connect_bridge.models.lifecycle import Event, after
from connect_bridge.relay.account_rules import say_in_chat
from connect_bridge.relay.chat_request import attributes_for, continued, display_name, routing
from connect_bridge.relay.chunking import next_part
from connect_bridge.relay.customer_context import attributes_of, context_of
from connect_bridge.relay.profile_lookup import look_up
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import chats, relaying
from connect_bridge.storage.account_settings import Rule
from connect_bridge.storage.chats import Chat, Origin
from connect_bridge.storage.relaying import Pending
from customers.identify import introduce
from people.encryption import encrypt_text

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class ChatStarter:
    """Starts the chats of one conversation. `load()` comes first."""

    runtime: BridgeRuntime
    conversation: uuid.UUID
    _origin: Origin | None = None

    @property
    def origin(self) -> Origin:
        """What the conversation is, as it was read last."""
        assert self._origin is not None
        return self._origin

    @property
    def limit(self) -> TextLimit:
        """The longest text that the conversation's messenger takes."""
        return channels()[self.origin.kind].text_limit

    async def load(self, connection: AsyncConnection) -> None:
        """Read what the conversation is. Names and settings may change meanwhile, so a new chat reads it again."""
        self._origin = await chats.origin(connection, self.conversation)

    async def request(self, message: Pending) -> Chat:
        """Write down that a chat is to be started, and why. Raises SetUp if nobody said where chats go."""
        instance, flow = await self._routing(message)
        await self._introduce()
        async with self.runtime.pool.connection() as connection:
            return await chats.request_chat(
                connection,
                contact=uuid.uuid4(),
                conversation=self.conversation,
                instance=instance,
                flow=flow,
                message=message.id,
            )

    async def start(self, chat: Chat, message: Pending) -> None:
        """Ask Connect for the chat. A lost answer is asked for again with the same token: same chat.

        1. Instance and flow are read anew: somebody may have corrected them since the chat was requested.
        2. While Connect refuses every chat of this flow, only one conversation asks for all (circuit_breaker.py).
        3. The request is made of what is known of the customer now, and of the message that begins the chat.
        4. Connect's answer is written down; or why there is none, and if no chat is free, the customer is told.

        Raises GatewayError, never Invalid: no refusal of a chat is for sure about its first message.
        """
        chat.instance_id, chat.flow_id = await self._routing(message)
        route = (chat.instance_id, chat.flow_id)
        try:
            self.runtime.circuit_breakers.check(route)
            request = await self._chat_request(chat, message, await self._first(chat, message))
            started = await self._ask(chat, request, again=message.attempts > 0)
        except Throttled:
            raise
        except GatewayError as failure:
            await self._note(chat, failure)
            raise
        self.runtime.circuit_breakers.passed(route)
        failpoint("I6", Unreachable)
        await self._started(chat, started)
        failpoint("I7", Unreachable)

    async def _note(self, chat: Chat, failure: GatewayError) -> None:
        await self.runtime.execute(chats.CHAT_WAITS, {"contact": chat.contact, "reason": str(failure)[:200]})
        if isinstance(failure, QuotaReached):
            await say_in_chat(self.runtime, self.origin.account, self.conversation, HOLDING, chat)

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
                self.runtime.circuit_breakers.refused((request.instance_id, request.flow_id), refusal)
                raise
        await self.runtime.execute(chats.SENT_ALONE, [chat.contact])  # first, or the next owner would believe it sent
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
        params = {
            "contact": chat.contact,
            "contact_id": started.contact_id,
            "participant": started.participant_id,
            "token": encrypt_text(started.participant_token),
            "instance": chat.instance_id,
            "flow": chat.flow_id,
        }
        await self.runtime.execute(chats.CHAT_STARTED, params)
        chat.state = after(ContactState(chat.state), Event.STARTED)
        chat.contact_id = chat.initial_contact_id = started.contact_id
        chat.participant_token = started.participant_token
        chat.started_at = datetime.now(UTC)

    async def _introduce(self) -> None:
        """Ask the messenger for the customer's name if its webhooks did not bring one."""
        origin = self.origin
        if origin.display_name:
            return
        profile = await look_up(origin.account, origin.kind, origin.version, origin.external_id)
        if profile:
            async with self.runtime.pool.connection() as connection:
                await introduce(connection, origin.identity, profile)
                await self.load(connection)

    async def _routing(self, message: Pending) -> tuple[str, str]:
        """Return the Connect instance and flow, as they are set now: a rule's, the account's, else the settings'."""
        async with self.runtime.pool.connection() as connection:
            await self.load(connection)
        instance, flow = routing(self.origin, self._rule(message))
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
            connection.cursor(row_factory=class_row(Pending)) as cursor,
        ):
            first = await (await cursor.execute(relaying.FIRST, [chat.first_message])).fetchone()
        return next_part(first, FOR_BOT) if first is not None else ""

    async def _chat_request(self, chat: Chat, message: Pending, first: str) -> ChatRequest:
        origin = self.origin
        async with self.runtime.pool.connection() as connection:
            context = await context_of(connection, self.conversation)
            of_customer = await attributes_of(connection, context, chat.contact)
        return ChatRequest(
            instance_id=chat.instance_id,
            flow_id=chat.flow_id,
            display_name=display_name(origin, context.name),
            attributes=attributes_for(origin, self._rule(message), self.conversation, of_customer),
            initial_message=first,
            client_token=str(chat.contact),
            continues=continued(context, chat.instance_id),
        )

    def _rule(self, message: Pending) -> Rule | None:
        return self.runtime.account_settings.of(self.origin.account).rule_for(message.text)
