from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connect_bridge.models import Message
from tests.connect_bridge.event_log.log_kit import dead_send, inbound_message, outbound_send
from tests.factories import (
    ChannelLogFactory,
    WebhookDeliveryFactory,
)
from tests.role_kit import client_of

pytestmark = pytest.mark.django_db


def test_a_webhooks_record_goes_from_the_phone_to_the_agent_and_back(admin_client: Client) -> None:
    start = timezone.now() - timedelta(seconds=10)
    message = inbound_message("where is it?", received_at=start + timedelta(seconds=1))
    Message.objects.filter(pk=message.pk).update(occurred_at=start, created_at=start + timedelta(seconds=2))
    answer = outbound_send(message.conversation, state="accepted", settled_at=timezone.now() + timedelta(seconds=1))

    page = admin_client.get(reverse("event-webhook", args=[message.entry.delivery.pk])).content.decode()

    hops = re.findall(r"<strong>[✓✗○] ([^<]+)</strong>", page)
    assert hops[:3] == ["Sent by the customer", "Webhook received", "Routed to its conversation"]
    assert {"Chat connected", "Taken by Amazon Connect", "Answered", "Taken by the messenger"} <= set(hops)
    assert "+1.000 s" in page
    assert "where is it?" in page
    assert str(answer.message.conversation.pk) in page
    assert "Raw, as it came" in page
    assert "Normalised" in page


@pytest.mark.parametrize(
    ("state", "ends"),
    [("quarantined", "Set aside"), ("duplicate", "here already"), ("ignored", "nothing for an agent")],
)
def test_every_webhook_comes_to_a_visible_end(admin_client: Client, state: str, ends: str) -> None:
    delivery = WebhookDeliveryFactory(state=state, reason="because of that")

    page = admin_client.get(reverse("event-webhook", args=[delivery.pk])).content.decode()

    assert ends in page
    assert "because of that" in page


def test_a_sends_record_shows_every_attempt_and_explains_the_failure(admin_client: Client) -> None:
    send = dead_send("window_closed", "63016", attempts=2)
    for status in (503, 400):
        ChannelLogFactory(account=send.conversation.account, outbox_entry=send.pk, status=status)

    page = admin_client.get(reverse("event-send", args=[send.pk])).content.decode()

    assert page.count("Attempt ") == 2
    assert "→ 503 in 50 ms" in page
    assert "Refused by the messenger" in page
    assert "more than 24 hours old" in page
    assert "Retry delivery" in page


def test_a_record_hides_words_from_whoever_may_not_read_them() -> None:
    message = inbound_message("my secret words", body=b'{"text": "my secret words"}')
    client = client_of("Ops", "ops")

    page = client.get(reverse("event-webhook", args=[message.entry.delivery.pk])).content.decode()

    assert "my secret words" not in page
    assert "••••" in page
