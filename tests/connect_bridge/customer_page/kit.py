"""A customer with a past: three channels, two chats, a failure, a merge, consent, and somebody who may be the same."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.test import Client
from django.utils import timezone

from connect_bridge.models import Contact, Conversation, Message
from connect_bridge.relay.agent_link import agent_link
from customers.consent import ConsentSource, Purpose, record
from customers.merging import Method, merge
from customers.models import Customer, Identity, IdentityAlias, IdentityChange
from customers.names import name_key
from customers.sql_steps import take_now
from tests.factories import (
    ChannelAccountFactory,
    ContactFactory,
    ConversationFactory,
    CustomerFactory,
    IdentityFactory,
    MessageFactory,
)


@dataclass
class Past:
    """Ana and all that she is: `chats` by kind; `other` may be her, too."""

    customer: Customer
    chats: dict[str, Conversation]
    other: Identity

    def says(self, kind: str, text: str, at: datetime, **fields: Any) -> Message:
        return MessageFactory(conversation=self.chats[kind], text=text, created_at=at, occurred_at=at, **fields)


def identity(kind: str, name: str, **fields: Any) -> Identity:
    customer = CustomerFactory(display_name=name)
    key = name_key(name)
    now = timezone.now()
    return IdentityFactory(customer=customer, kind=kind, display_name=name, name_key=key, last_seen_at=now, **fields)


def ana() -> Past:
    """Make Ana López, her past, and Ana Lopez, who may be her."""
    now = timezone.now()
    names = {
        "messenger": identity("messenger", "Ana López", external_id="7100000000000101", issuer="2001", locale="es_ES"),
        "whatsapp": identity("whatsapp", "Ana", external_id="+34600112233", handle="ana.lopez"),
        "twitter": identity("twitter", "Ana L.", external_id="1700000000000000099", handle="ana_lopez"),
    }
    chats = {}
    for kind, identity_row in names.items():
        account = ChannelAccountFactory(kind=kind, name=f"Acme on {kind.capitalize()}")
        hours = {"messenger": 30, "whatsapp": 2, "twitter": 200}[kind]
        written = now - timedelta(hours=hours)
        chats[kind] = ConversationFactory(
            account=account, identity=identity_row, last_inbound_at=written, last_message_at=written
        )
    IdentityAlias.objects.create(identity=names["whatsapp"], kind="whatsapp", type="phone", value="+34600112233")
    IdentityChange.objects.create(
        identity=names["twitter"], field="handle", old="anita", new="ana_lopez", source="webhook", at=now - timedelta(3)
    )
    with transaction.atomic():
        take_now(merge(names["messenger"].home_id, names["whatsapp"].home_id, Method.LINK_CODE, evidence={}))
        take_now(merge(names["messenger"].home_id, names["twitter"].home_id, Method.PERSON, evidence={}, by="ben"))
        take_now(
            record(names["whatsapp"].pk, [Purpose.MARKETING], ConsentSource(source="api", topic="shop"), granted=True)
        )
    past = Past(names["messenger"].home, chats, identity("instagram", "Lopez, Ana", external_id="55", locale="es"))
    past.customer.facts = {"open_orders": "2", "tier": "gold"}
    past.customer.preferred_channel = "whatsapp"
    past.customer.save()
    _talk(past, now)
    return past


def _talk(past: Past, now: datetime) -> None:
    yesterday = now - timedelta(hours=30)
    chat = ContactFactory(
        conversation=past.chats["messenger"],
        state=Contact.State.ENDED,
        agent_name="Ada",
        requested_at=yesterday - timedelta(minutes=1),
        started_at=yesterday,
        ended_at=yesterday + timedelta(minutes=30),
    )
    messages = [
        ("messenger", "¡Hola! ¿Dónde está mi pedido?", {"status": "relayed"}),
        ("messenger", "Thank you for writing to Acme.", {"direction": "out", "role": "SYSTEM", "status": "delivered"}),
        ("messenger", "Hello Ana, one moment.", {"direction": "out", "author": "Ada", "status": "read"}),
        ("messenger", "It left yesterday.", {"direction": "out", "author": "Ada", "status": "delivered"}),
    ]
    for minute, (kind, text, fields) in enumerate(messages):
        past.says(kind, text, yesterday + timedelta(minutes=minute), contact=chat, **fields)
    today = now - timedelta(hours=2)
    open_page = ContactFactory(
        conversation=past.chats["whatsapp"], agent_name="Ben", requested_at=today, started_at=today
    )
    past.says(
        "whatsapp", "It still has not arrived. This is the third time!", today, contact=open_page, status="relayed"
    )
    failed = {"status": "failed", "error_code": "window_closed", "error_detail": "Outside of the 24-hour window."}
    past.says(
        "whatsapp",
        "I am sorry. Let me look.",
        today + timedelta(minutes=1),
        contact=open_page,
        direction="out",
        author="Ben",
        **failed,
    )
    past.says("whatsapp", "שלום <b>לא</b> 👩‍👩‍👧", today + timedelta(minutes=2), contact=open_page, status="stored")


def many(past: Past, number: int) -> None:
    """Give Ana so many more messages, one every ten minutes until now, on her channels in turn."""
    kinds, now = list(past.chats), timezone.now()
    rows = []
    for place in range(number):
        chat = past.chats[kinds[place % len(kinds)]]
        chat.last_sequence += 1
        at = now - timedelta(minutes=10 * (number - place))
        inbound = place % 2 == 0
        rows.append(
            Message(
                conversation=chat,
                sequence=chat.last_sequence,
                direction="in" if inbound else "out",
                role="CUSTOMER" if inbound else "AGENT",
                author="" if inbound else "Ada",
                text=f"Line {place} of many, and a few more words to read.",
                status="relayed" if inbound else "delivered",
                occurred_at=at,
                created_at=at,
            )
        )
    Message.objects.bulk_create(rows, batch_size=2_000)
    Conversation.objects.bulk_update(past.chats.values(), ["last_sequence"])


def open_page(client: Client, past: Past, **query: Any) -> str:
    answer = client.get(f"/customers/{past.customer.pk}/", query)
    assert answer.status_code == 200, answer.status_code
    return html.unescape(answer.content.decode())


def texts_on(page: str) -> list[str]:
    return re.findall(r'<div class="text" dir="auto">(.*?)</div>', page, re.DOTALL)


def agent_path(contact: Contact) -> str:
    return urlsplit(agent_link(contact.pk)).path
