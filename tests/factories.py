"""Rows for tests, each with everything that it stands on. `from tests.factories import ConversationFactory`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory import LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from channels_app.models import ChannelAccount, ChannelLog, InboundEntry, WebhookDelivery, shard_of
from connect_bridge.models import Bridge, Contact, Conversation, Message, OutboxEntry
from customers.models import Customer, Identity
from tests.channels_app.kit import address_key, credentials_of

CREDENTIALS: dict[str, dict[str, str]] = {
    "twitter": {
        "consumer_key": "x-consumer-key",
        "consumer_secret": "x-consumer-secret",
        "access_token": "x-access-token",
        "access_token_secret": "x-access-token-secret",
        "user_id": "1000000001",
    },
    "messenger": {
        "app_secret": "0123456789abcdef0123456789abcdef",
        "page_id": "200000000000001",
        "page_access_token": "page-access-token",
        "verify_token": "verify-token",
    },
    "whatsapp": {
        "account_sid": "AC0123456789abcdef0123456789abcdef",
        "auth_token": "0123456789abcdef0123456789abcdef",
        "number": "+34600000001",
    },
}


class CustomerFactory(DjangoModelFactory[Customer]):
    class Meta:
        model = Customer

    display_name = Sequence(lambda n: f"Customer {n}")


class IdentityFactory(DjangoModelFactory[Identity]):
    class Meta:
        model = Identity

    customer = SubFactory(CustomerFactory)
    home = SelfAttribute("customer")
    kind = "whatsapp"
    external_id = Sequence(lambda n: f"+3461{n:07}")
    display_name = SelfAttribute("customer.display_name")


class ChannelAccountFactory(DjangoModelFactory[ChannelAccount]):
    """`kind` chooses the credentials; `address` differs for every account."""

    class Meta:
        model = ChannelAccount

    kind = "whatsapp"
    name = Sequence(lambda n: f"Account {n}")
    address = Sequence(lambda n: f"+3460{n:07}")

    @factory.lazy_attribute
    def credentials(self) -> dict[str, str]:
        samples = CREDENTIALS.get(self.kind) or credentials_of(self.kind)
        return {**samples, address_key(self.kind): self.address}


class WebhookDeliveryFactory(DjangoModelFactory[WebhookDelivery]):
    class Meta:
        model = WebhookDelivery

    account = SubFactory(ChannelAccountFactory)
    received_at = LazyFunction(timezone.now)
    request_id = LazyFunction(lambda: uuid.uuid4().hex)
    body = b"{}"
    state = WebhookDelivery.State.ACCEPTED


class InboundEntryFactory(DjangoModelFactory[InboundEntry]):
    class Meta:
        model = InboundEntry

    delivery = SubFactory(WebhookDeliveryFactory)
    account = SelfAttribute("delivery.account")
    key = Sequence(lambda n: f"key-{n}")
    type = "message"
    sender = Sequence(lambda n: f"+3461{n:07}")
    state = InboundEntry.State.PENDING
    due_at = LazyFunction(timezone.now)
    created_at = LazyFunction(timezone.now)

    @factory.lazy_attribute
    def shard(self) -> int:
        return shard_of(self.account.id, self.sender)

    @factory.lazy_attribute
    def event(self) -> dict[str, Any]:
        sender = {"external_id": self.sender}
        return {"event": self.type, "key": self.key, "sender": sender, "message_id": self.key, "text": "hello"}


class BridgeFactory(DjangoModelFactory[Bridge]):
    class Meta:
        model = Bridge

    host = "here"
    pid = Sequence(lambda n: 1000 + n)
    started_at = LazyFunction(timezone.now)
    #: Nobody beats for it: it stays alive for as long as a test takes on a slow machine.
    beat_at = LazyFunction(lambda: timezone.now() + timedelta(minutes=10))


class ConversationFactory(DjangoModelFactory[Conversation]):
    class Meta:
        model = Conversation

    account = SubFactory(ChannelAccountFactory)
    identity = SubFactory(IdentityFactory, kind=SelfAttribute("..account.kind"))
    recipient = SelfAttribute("identity.external_id")
    last_inbound_at = LazyFunction(timezone.now)


class ContactFactory(DjangoModelFactory[Contact]):
    class Meta:
        model = Contact

    conversation = SubFactory(ConversationFactory)
    state = Contact.State.CONNECTED
    instance_id = "11111111-1111-1111-1111-111111111111"
    flow_id = "22222222-2222-2222-2222-222222222222"
    initial_contact_id = LazyFunction(lambda: str(uuid.uuid4()))
    contact_id = SelfAttribute("initial_contact_id")
    participant_id = LazyFunction(lambda: str(uuid.uuid4()))
    requested_at = LazyFunction(timezone.now)


class MessageFactory(DjangoModelFactory[Message]):
    """A customer's message, the next of its conversation; `direction="out"` makes it an agent's."""

    class Meta:
        model = Message

    conversation = SubFactory(ConversationFactory)
    direction = Message.Direction.INBOUND
    role = factory.LazyAttribute(lambda message: "CUSTOMER" if message.direction == "in" else "AGENT")
    text = "hello"
    occurred_at = LazyFunction(timezone.now)
    created_at = LazyFunction(timezone.now)

    @factory.lazy_attribute
    def sequence(self) -> int:
        self.conversation.last_sequence += 1
        self.conversation.save(update_fields=["last_sequence"])
        return int(self.conversation.last_sequence)


class OutboxEntryFactory(DjangoModelFactory[OutboxEntry]):
    class Meta:
        model = OutboxEntry

    message = SubFactory(MessageFactory, direction=Message.Direction.OUTBOUND)
    conversation = SelfAttribute("message.conversation")
    sequence = SelfAttribute("message.sequence")
    text = SelfAttribute("message.text")
    due_at = LazyFunction(timezone.now)
    created_at = LazyFunction(timezone.now)


class ChannelLogFactory(DjangoModelFactory[ChannelLog]):
    class Meta:
        model = ChannelLog

    account = SubFactory(ChannelAccountFactory)
    method = "POST"
    host = "graph.facebook.com"
    path = "/v26.0/1/messages"
    status = 200
    seconds = 0.05
