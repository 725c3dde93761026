from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from channels_app.models import InboundEntry, WebhookDelivery
from connect_bridge.models import Message, OutboxEntry, Replay
from customers.models import IdentityAlias
from tests.factories import (
    ChannelAccountFactory,
    ChannelLogFactory,
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

LIST = "/admin/events/"
pytestmark = pytest.mark.django_db


def came(text: str = "hello", **delivery) -> Message:
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


def went(conversation=None, **fields) -> OutboxEntry:
    """An agent's message."""
    message = MessageFactory(conversation=conversation or ConversationFactory(), direction="out")
    return OutboxEntryFactory(message=message, **fields)


def dead(code: str = "blocked", provider_code: str = "551", **fields) -> OutboxEntry:
    send = went(
        state="dead",
        error_code=code,
        provider_code=provider_code,
        error_detail="No.",
        settled_at=timezone.now(),
        **fields,
    )
    Message.objects.filter(pk=send.message.pk).update(status="failed", error_code=code)
    return send


def listed(client: Client, **query: str) -> list[str]:
    page = client.get(LIST, query).content.decode()
    return re.findall(r'name="id" value="([0-9a-f-]{36})"', page)


def supervisor() -> Client:
    user = User.objects.create_user("ana")
    user.groups.add(Group.objects.get(name="Supervisor"))
    client = Client()
    client.force_login(user)
    return client


def test_both_directions_are_in_one_list_the_newest_first(admin_client: Client) -> None:
    first = came(received_at=timezone.now() - timedelta(minutes=2))
    second = went(state="accepted", created_at=timezone.now() - timedelta(minutes=1))
    third = WebhookDeliveryFactory(state="quarantined", reason="not JSON")

    assert listed(admin_client) == [str(third.pk), str(second.pk), str(first.entry.delivery.pk)]


def test_a_row_tells_state_attempts_duration_and_correlation(admin_client: Client) -> None:
    message = came(request_id="req-7", received_at=timezone.now() - timedelta(seconds=3))
    Message.objects.filter(pk=message.pk).update(attempts=2)
    dead()

    page = " ".join(admin_client.get(LIST).content.decode().split())

    for shown in ("req-7", "relayed", "failed", "blocked 551", "No.", "→ to agent", "← to customer"):
        assert shown in page
    assert re.search(r"3\.\d\d s", page)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"fate": "failed"}, {"dead", "set aside"}),
        ({"fate": "waiting"}, {"pending", "unread"}),
        ({"direction": "in"}, {"came", "set aside", "unread"}),
        ({"direction": "out", "fate": "failed"}, {"dead"}),
        ({"since": "1h"}, {"dead", "set aside", "pending", "unread"}),
        ({}, {"came", "dead", "set aside", "pending", "unread"}),
    ],
)
def test_the_list_is_filtered(admin_client: Client, query: dict[str, str], expected: set[str]) -> None:
    rows = {
        "came": came(received_at=timezone.now() - timedelta(hours=2)).entry.delivery,
        "dead": dead(),
        "set aside": WebhookDeliveryFactory(state="quarantined"),
        "pending": went(),
        "unread": InboundEntryFactory().delivery,
    }
    names = {str(row.pk): name for name, row in rows.items()}

    assert {names[one] for one in listed(admin_client, **query)} == expected


def test_one_account_can_be_listed_alone(admin_client: Client) -> None:
    mine = dead()
    dead()
    account = str(mine.conversation.account.pk)

    assert listed(admin_client, account=account) == [str(mine.pk)]


def test_older_pages_follow(admin_client: Client, monkeypatch) -> None:
    monkeypatch.setattr("connect_bridge.event_log.queries.PAGE", 3)
    rows = [went(created_at=timezone.now() - timedelta(minutes=number)) for number in range(5)]

    page = admin_client.get(LIST).content.decode()
    older = re.search(r'href="\?([^"]*before=[^"]+)"', page)[1].replace("&amp;", "&")

    assert len(listed(admin_client)) == 3
    second = admin_client.get(f"{LIST}?{older}").content.decode()
    assert re.findall(r'name="id" value="([0-9a-f-]{36})"', second) == [str(row.pk) for row in rows[3:]]


def test_anything_is_found_by_any_id_that_somebody_may_quote(admin_client: Client) -> None:
    came()
    dead()
    message = came(request_id="their-request")
    conversation = message.conversation
    Message.objects.filter(pk=message.pk).update(connect_item_id="item-9")
    InboundEntry.objects.filter(pk=message.entry.pk).update(key="m:wamid.HBg")
    IdentityAlias.objects.create(identity=conversation.identity, kind="whatsapp", type="bsuid", value="ES.123")
    send = went(conversation, state="accepted")
    send.sent_ids.create(account=conversation.account, provider_message_id="SM77")
    delivery = str(message.entry.delivery.pk)
    both = {delivery, str(send.pk)}

    quoted = {
        "wamid.HBg": {delivery},
        "m:wamid.HBg": {delivery},
        "their-request": {delivery},
        delivery: {delivery},
        str(message.pk): {delivery},
        "item-9": {delivery},
        "SM77": {str(send.pk)},
        str(send.pk): {str(send.pk)},
        message.contact.contact_id: both,
        str(message.contact.pk): both,
        str(conversation.pk): both,
        conversation.identity.external_id: both,
        str(conversation.identity.customer.pk): both,
        "ES.123": both,
        f" {delivery} ": {delivery},
        "nobody knows this": set(),
    }
    assert {text: set(listed(admin_client, q=text)) for text in quoted} == quoted


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%25", "account=x", "before=x", "fate=x", "direction=x", "since=x", "q=" + "9" * 4000]
)
def test_an_odd_question_breaks_nothing(admin_client: Client, query: str) -> None:
    came()

    assert admin_client.get(f"{LIST}?{query}").status_code == 200


def test_a_list_without_rows_says_why(admin_client: Client) -> None:
    assert "Nothing has come in" in admin_client.get(LIST).content.decode()
    assert "Nothing matches" in admin_client.get(LIST, {"fate": "failed"}).content.decode()


@pytest.mark.parametrize("page", [LIST, f"{LIST}?q=hello", f"{LIST}?fate=failed", f"{LIST}failures/"])
def test_the_pages_ask_as_often_for_many_rows_as_for_one(
    admin_client: Client, django_assert_num_queries, page: str
) -> None:
    account = ChannelAccountFactory()

    def one_more() -> None:
        came(account=account)
        dead(conversation=ConversationFactory(account=account))

    one_more()
    with CaptureQueriesContext(connection) as few:
        admin_client.get(page)
    for _ in range(4):
        one_more()

    with django_assert_num_queries(len(few)):
        admin_client.get(page)
    assert len(few) <= 9


def test_a_webhooks_record_goes_from_the_phone_to_the_agent_and_back(admin_client: Client) -> None:
    start = timezone.now() - timedelta(seconds=10)
    message = came("where is it?", received_at=start + timedelta(seconds=1))
    Message.objects.filter(pk=message.pk).update(occurred_at=start, created_at=start + timedelta(seconds=2))
    answer = went(message.conversation, state="accepted", settled_at=timezone.now() + timedelta(seconds=1))

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
    send = dead("window_closed", "63016", attempts=2)
    for status in (503, 400):
        ChannelLogFactory(account=send.conversation.account, outbox_entry=send.pk, status=status)

    page = admin_client.get(reverse("event-send", args=[send.pk])).content.decode()

    assert page.count("Attempt ") == 2
    assert "→ 503 in 50 ms" in page
    assert "Refused by the messenger" in page
    assert "more than 24 hours old" in page
    assert "Retry delivery" in page


def test_a_record_hides_words_from_whoever_may_not_read_them() -> None:
    message = came("my secret words", body=b'{"text": "my secret words"}')
    user = User.objects.create_user("ops")
    user.groups.add(Group.objects.get(name="Ops"))
    client = Client()
    client.force_login(user)

    page = client.get(reverse("event-webhook", args=[message.entry.delivery.pk])).content.decode()

    assert "my secret words" not in page
    assert "••••" in page


def test_failures_are_grouped_by_cause_with_the_customers_affected(admin_client: Client) -> None:
    account = ChannelAccountFactory()
    one, other = (ConversationFactory(account=account) for _ in range(2))
    for conversation in (one, one, other):
        dead("window_closed", "63016", conversation=conversation)
    dead("blocked", "551")
    for number in (7, 8):
        WebhookDeliveryFactory(account=account, state="quarantined", reason=f"for {number}, not for this account")

    page = " ".join(admin_client.get(f"{LIST}failures/").content.decode().split())

    assert re.findall(r"<h2>(\d+) \S", page) == ["3", "2", "1"]
    assert "<strong>2</strong> customers affected" in page
    assert "more than 24 hours old" in page


def test_a_retry_says_first_what_would_reach_customers() -> None:
    client = supervisor()
    sends = [dead(), dead()]
    opted_out = dead("opted_out", "21610")

    page = client.post(reverse("event-retry"), {"id": [str(one.pk) for one in (*sends, opted_out)]}).content.decode()

    assert "<strong>2</strong> messages would reach customers" in page
    assert "1 because the customer said stop" in page
    assert set(OutboxEntry.objects.values_list("state", flat=True)) == {"dead"}


def test_a_confirmed_retry_is_done_attributed_and_marked() -> None:
    client = supervisor()
    send = dead()

    client.post(reverse("event-retry"), {"id": [str(send.pk)], "confirmed": "yes"})

    send.refresh_from_db()
    replay = Replay.objects.get()
    assert send.state == "pending"
    assert (replay.by, replay.verb, replay.rows) == ("ana", "retry", [str(send.pk)])
    assert "↻" in client.get(LIST).content.decode()


def test_what_may_have_arrived_goes_again_only_if_that_was_ticked() -> None:
    client = supervisor()
    send = went(state="uncertain", settled_at=timezone.now())
    chosen = {"id": [str(send.pk)], "confirmed": "yes"}

    client.post(reverse("event-retry"), chosen)
    send.refresh_from_db()
    kept = send.state
    client.post(reverse("event-retry"), {**chosen, "may_arrive_twice": "on"})

    send.refresh_from_db()
    assert (kept, send.state, send.possible_duplicate) == ("uncertain", "pending", True)


def test_a_webhook_that_was_set_aside_is_processed_again_with_todays_rules() -> None:
    client = supervisor()
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
    client = supervisor()
    dead()
    WebhookDeliveryFactory(state="quarantined")

    answer = client.post(reverse(name), {"confirmed": "yes", "id": ["x"]})

    assert answer.status_code == 200
    assert not Replay.objects.exists()
