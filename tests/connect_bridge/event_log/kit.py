"""One customer message and its answer with a row of everything that they leave behind, and where all of it is shown."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from channels_app.models import AutoReply, BusinessHours, InboundCheck, RoutingRule
from connect_bridge.models import Contact, Message, Notice, OutboxEntry, Replay
from customers.codes import make_link_code
from customers.models import Apart, Consent, Identity, IdentityAlias, Merge, PrivacyRequest
from tests.factories import (
    BridgeFactory,
    ChannelAccountFactory,
    ChannelLogFactory,
    ContactFactory,
    ConversationFactory,
    CustomerFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)


@dataclass
class Story:
    """One customer message and its answer, with everything that they left behind."""

    inbound: Message
    outbound: Message
    entry: OutboxEntry

    @property
    def contact(self) -> Contact:
        return self.inbound.contact


def tell(text: str = "hello", **account) -> Story:
    account = ChannelAccountFactory(
        former_credentials={"app_secret": "CANARY"},
        former_credentials_until=timezone.now() + timedelta(hours=1),
        **{"credentials": {"app_secret": "CANARY", "auth_token": "CANARY"}, **account},
    )
    conversation = ConversationFactory(
        account=account, owner=BridgeFactory(), identity__display_name=text[:200], identity__handle=text[:100]
    )
    IdentityAlias.objects.create(identity=conversation.identity, kind="whatsapp", type="phone", value=uuid.uuid4().hex)
    delivery = WebhookDeliveryFactory(account=account, body=text.encode(), headers={"x-secret": "CANARY", "x": text})
    contact = ContactFactory(
        conversation=conversation, participant_token="CANARY", connection_token="CANARY", agent_name=text[:200]
    )
    origin = InboundEntryFactory(delivery=delivery, sender=text[:200], event={"text": text}, outcome=text[:150])
    inbound = MessageFactory(
        conversation=conversation, contact=contact, text=text, author=text[:200], entry=origin, original={"raw": text}
    )
    outbound = MessageFactory(conversation=conversation, contact=contact, direction="out", text=text)
    entry = OutboxEntryFactory(message=outbound, error_detail=text[:300], state=OutboxEntry.State.DEAD)
    ChannelLogFactory(account=account, outbox_entry=entry.pk, path=f"/{text[:100]}")
    InboundCheck.objects.create(account=account, due_at=timezone.now(), trouble=text[:300])
    Notice.objects.create(message=outbound, contact=contact, created_at=timezone.now(), error=text[:150])
    Replay.objects.create(at=timezone.now(), by=text[:100], verb="retry", asked={"a": text}, counts={}, rows=[text])
    decide(conversation.identity, text)
    BusinessHours.objects.create(name=f"{text[:60]} {uuid.uuid4().hex}")
    AutoReply.objects.create(account=account, occasion="greeting", text=text[:200])
    RoutingRule.objects.create(account=account, words=text[:200], attributes={"a": text})
    return Story(inbound, outbound, entry)


def decide(identity: Identity, text: str) -> None:
    """Leave what somebody decided about who a customer is, and what they allow."""
    low, high = sorted((identity.home, CustomerFactory(display_name=text[:200])), key=lambda customer: customer.pk)
    pair = {"low": low, "high": high, "reason": text[:300]}
    Merge.objects.create(**pair, method="person", made_at=timezone.now(), made_by=text[:150], evidence={"a": text})
    Apart.objects.create(**pair, at=timezone.now(), by=text[:150])
    make_link_code(identity.home_id, identity.pk, by=text)
    Consent.objects.create(
        identity=identity, purpose="marketing", granted=True, source="api", topic=text[:64], at=timezone.now()
    )
    PrivacyRequest.objects.create(verb="export", customer=low, at=timezone.now(), by=text[:150], reason=text[:300])


def change_page(row: object) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


def list_page(app: str, model: str) -> str:
    return reverse(f"admin:{app}_{model}_changelist")


def every_page() -> list[str]:
    """Return the address of every page of ours: index, lists, rows, histories, forms."""
    pages = ["/admin/", "/admin/stuck/", "/admin/channels/", "/admin/channels/add/"]
    for model in admin.site._registry:
        app, name = model._meta.app_label, model._meta.model_name
        pages.append(list_page(app, name))
        for row in model._default_manager.all():
            pages += [change_page(row), reverse(f"admin:{app}_{name}_history", args=[row.pk])]
    return pages
