"""What customers send, through the router into the store, without a bridge around it; and what receipts change."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import psycopg

from channels_app import errors
from channels_app.infrastructure.db import connect_parameters
from channels_app.models import ChannelAccount, InboundEntry
from channels_app.types import Echoed, InboundEvent, MessageReceived, ReceiptReceived, ReceiptStatus, Sender
from channels_app.webhooks.codec import encode_event
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.inbound.router import Router
from connect_bridge.models import Conversation, Message
from connect_bridge.outbox import sender
from customers.models import Identity
from tests.connect_bridge.outbox.kit import FakeMessenger, say, states_of
from tests.factories import BridgeFactory, InboundEntryFactory, WebhookDeliveryFactory

_numbers = itertools.count(1)


def came(account: ChannelAccount, event: InboundEvent) -> InboundEntry:
    """Store an event as the intake does."""
    raw = msgspec.json.decode(encode_event(event))
    return InboundEntryFactory(
        delivery=WebhookDeliveryFactory(account=account, body=b"raw words", headers={"user-agent": "m"}, query="q=1"),
        key=event.key,
        type=str(event.__struct_config__.tag),
        sender=event.sender.external_id,
        event=raw,
    )


def message(sender: Sender | str, text: str = "", **fields: Any) -> MessageReceived:
    number = next(_numbers)
    who = Sender(external_id=sender) if isinstance(sender, str) else sender
    return MessageReceived(key=f"m:{number}", message_id=f"m{number}", sender=who, text=text, **fields)


def wrote(account: ChannelAccount, sender: Sender | str, text: str = "", **fields: Any) -> Identity:
    """Let somebody write, route it, and return who they are."""
    came(account, message(sender, text, **fields))
    route()
    name = sender if isinstance(sender, str) else sender.external_id
    return Identity.objects.get(kind=account.kind, external_id=name)


def route() -> None:
    """Route all that has come in."""
    asyncio.run(_route(BridgeFactory().pk))


async def _route(bridge: Any) -> None:
    async with await psycopg.AsyncConnection[Any].connect(**connect_parameters(), autocommit=True) as connection:
        router = Router(connection, bridge)
        while (await router.route())[0]:
            pass


CUSTOMER = Sender(external_id="customer")


def apply(conversation: Conversation, event: ReceiptReceived | Echoed, *, known: bool = True) -> Joined | None:
    async def applied() -> Joined | None:
        async with await psycopg.AsyncConnection.connect(**connect_parameters()) as connection:
            return await apply_receipt(connection, conversation.account_id, conversation.id if known else None, event)

    return asyncio.run(applied())


def receipt(status: str, *ids: str, **more: Any) -> ReceiptReceived:
    return ReceiptReceived(key="key", sender=CUSTOMER, status=ReceiptStatus(status), message_ids=ids, **more)


def echo(message_id: str, **more: Any) -> Echoed:
    return Echoed(key="key", sender=CUSTOMER, message_id=message_id, **more)


def accepted(conversation: Conversation, messenger: FakeMessenger, *ids: str) -> Message:
    """Send a message of as many parts as there are ids."""
    message = say(conversation, *[f"part {message_id}" for message_id in ids])
    messenger.will_answer(*[(message_id,) for message_id in ids])
    sender.drain(conversation.id)
    return message


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def unknown(conversation: Conversation, messenger: FakeMessenger, text: str = "hello") -> Message:
    message = say(conversation, text)
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain"]
    return message
