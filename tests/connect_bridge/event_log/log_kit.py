from __future__ import annotations

import re

from django.test import Client
from django.utils import timezone

from connect_bridge.models import Message, OutboxEntry
from tests.factories import (
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

LIST = "/admin/events/"


def inbound_message(text: str = "hello", **delivery) -> Message:
    """A customer's message that was taken by Connect."""
    entry = InboundEntryFactory(state="done", delivery=WebhookDeliveryFactory(**delivery))
    conversation = ConversationFactory(account=entry.account, recipient=entry.sender)
    return MessageFactory(
        conversation=conversation,
        contact=ContactFactory(conversation=conversation, connected_at=timezone.now()),
        text=text,
        entry=entry,
        status="relayed",
        relayed_at=timezone.now(),
    )


def outbound_send(conversation=None, **fields) -> OutboxEntry:
    """An agent's message."""
    message = MessageFactory(conversation=conversation or ConversationFactory(), direction="out")
    return OutboxEntryFactory(message=message, **fields)


def dead_send(code: str = "blocked", provider_code: str = "551", **fields) -> OutboxEntry:
    send = outbound_send(
        state="dead",
        error_code=code,
        provider_code=provider_code,
        error_detail="No.",
        settled_at=timezone.now(),
        **fields,
    )
    Message.objects.filter(pk=send.message.pk).update(status="failed", error_code=code)
    return send


def listed_ids(client: Client, **query: str) -> list[str]:
    page = client.get(LIST, query).content.decode()
    return re.findall(r'name="id" value="([0-9a-f-]{36})"', page)
