from __future__ import annotations

import json
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels_app.models import InboundEntry, WebhookDelivery
from connect_bridge.models import OutboxEntry, Replay
from tests.connect_bridge.event_log.log_kit import LIST, dead_send, outbound_send
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    WebhookDeliveryFactory,
)
from tests.role_kit import client_of

pytestmark = pytest.mark.django_db


def test_failures_are_grouped_by_cause_with_the_customers_affected(admin_client: Client) -> None:
    account = ChannelAccountFactory()
    one, other = (ConversationFactory(account=account) for _ in range(2))
    for conversation in (one, one, other):
        dead_send("window_closed", "63016", conversation=conversation)
    dead_send("blocked", "551")
    for number in (7, 8):
        WebhookDeliveryFactory(account=account, state="quarantined", reason=f"for {number}, not for this account")

    page = " ".join(admin_client.get(f"{LIST}failures/").content.decode().split())

    assert re.findall(r"<h2>(\d+) \S", page) == ["3", "2", "1"]
    assert "<strong>2</strong> customers affected" in page
    assert "more than 24 hours old" in page


def test_a_retry_says_first_what_would_reach_customers() -> None:
    client = client_of("Supervisor", "ana")
    sends = [dead_send(), dead_send()]
    opted_out = dead_send("opted_out", "21610")

    page = client.post(reverse("event-retry"), {"id": [str(one.pk) for one in (*sends, opted_out)]}).content.decode()

    assert "<strong>2</strong> messages would reach customers" in page
    assert "1 because the customer said stop" in page
    assert set(OutboxEntry.objects.values_list("state", flat=True)) == {"dead"}


def test_a_confirmed_retry_is_done_attributed_and_marked() -> None:
    client = client_of("Supervisor", "ana")
    send = dead_send()

    client.post(reverse("event-retry"), {"id": [str(send.pk)], "confirmed": "yes"})

    send.refresh_from_db()
    replay = Replay.objects.get()
    assert send.state == "pending"
    assert (replay.by, replay.verb, replay.rows) == ("ana", "retry", [str(send.pk)])
    assert "↻" in client.get(LIST).content.decode()


def test_what_may_have_arrived_goes_again_only_if_that_was_ticked() -> None:
    client = client_of("Supervisor", "ana")
    send = outbound_send(state="uncertain", settled_at=timezone.now())
    chosen = {"id": [str(send.pk)], "confirmed": "yes"}

    client.post(reverse("event-retry"), chosen)
    send.refresh_from_db()
    kept = send.state
    client.post(reverse("event-retry"), {**chosen, "may_arrive_twice": "on"})

    send.refresh_from_db()
    assert (kept, send.state, send.possible_duplicate) == ("uncertain", "pending", True)


def test_a_webhook_that_was_set_aside_is_processed_again_with_todays_rules() -> None:
    client = client_of("Supervisor", "ana")
    account = ChannelAccountFactory(kind="messenger", address="200000000000001")
    page_id, message = "200000000000001", {"mid": "m1", "text": "hi"}
    item = {"sender": {"id": "7"}, "recipient": {"id": page_id}, "timestamp": 1_700_000_000_000, "message": message}
    body = json.dumps({"object": "page", "entry": [{"id": page_id, "messaging": [item]}]}).encode()
    delivery = WebhookDeliveryFactory(account=account, state="quarantined", reason="the parser failed", body=body)
    chosen = {"id": [str(delivery.pk)]}

    page = client.post(reverse("event-reprocess"), chosen).content.decode()
    untouched = InboundEntry.objects.count()
    client.post(reverse("event-reprocess"), {**chosen, "confirmed": "yes"})

    delivery.refresh_from_db()
    assert "<strong>1</strong> message would reach agents" in page
    assert untouched == 0
    assert InboundEntry.objects.get().state == "pending"
    assert delivery.state == WebhookDelivery.State.ACCEPTED
    assert Replay.objects.get().by == "ana"


@pytest.mark.parametrize("name", ["event-retry", "event-reprocess"])
def test_nothing_chosen_does_nothing(name: str) -> None:
    client = client_of("Supervisor", "ana")
    dead_send()
    WebhookDeliveryFactory(state="quarantined")

    answer = client.post(reverse(name), {"confirmed": "yes", "id": ["x"]})

    assert answer.status_code == 200
    assert not Replay.objects.exists()
