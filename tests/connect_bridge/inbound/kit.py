"""What customers send, through the router into the store, without a bridge around it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import psycopg

from channels_app.infrastructure.db import connect_parameters
from channels_app.models import ChannelAccount, InboundEntry
from channels_app.types import InboundEvent, MessageReceived, Sender
from channels_app.webhooks.codec import encode_event
from connect_bridge.inbound.router import Router
from customers.models import Identity
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


def message(sender: Sender | str, text: str = "", **given: Any) -> MessageReceived:
    number = next(_numbers)
    who = Sender(external_id=sender) if isinstance(sender, str) else sender
    return MessageReceived(key=f"m:{number}", message_id=f"m{number}", sender=who, text=text, **given)


def wrote(account: ChannelAccount, sender: Sender | str, text: str = "", **given: Any) -> Identity:
    """Let somebody write, route it, and return who they are."""
    came(account, message(sender, text, **given))
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
