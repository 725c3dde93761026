from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.models import InboundEntry
from connect_bridge.models import Message
from customers.models import IdentityAlias
from tests.connect_bridge.event_log.log_kit import LIST, dead_send, inbound_message, listed_ids, outbound_send
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    InboundEntryFactory,
    WebhookDeliveryFactory,
)

pytestmark = pytest.mark.django_db


def test_both_directions_are_in_one_list_the_newest_first(admin_client: Client) -> None:
    first = inbound_message(received_at=timezone.now() - timedelta(minutes=2))
    second = outbound_send(state="accepted", created_at=timezone.now() - timedelta(minutes=1))
    third = WebhookDeliveryFactory(state="quarantined", reason="not JSON")

    assert listed_ids(admin_client) == [str(third.pk), str(second.pk), str(first.entry.delivery.pk)]


def test_a_row_tells_state_attempts_duration_and_correlation(admin_client: Client) -> None:
    message = inbound_message(request_id="req-7", received_at=timezone.now() - timedelta(seconds=3))
    Message.objects.filter(pk=message.pk).update(attempts=2)
    dead_send()

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
        "came": inbound_message(received_at=timezone.now() - timedelta(hours=2)).entry.delivery,
        "dead": dead_send(),
        "set aside": WebhookDeliveryFactory(state="quarantined"),
        "pending": outbound_send(),
        "unread": InboundEntryFactory().delivery,
    }
    names = {str(row.pk): name for name, row in rows.items()}

    assert {names[key] for key in listed_ids(admin_client, **query)} == expected


def test_one_account_can_be_listed_alone(admin_client: Client) -> None:
    send = dead_send()
    dead_send()
    account = str(send.conversation.account.pk)

    assert listed_ids(admin_client, account=account) == [str(send.pk)]


def test_older_pages_follow(admin_client: Client, monkeypatch) -> None:
    monkeypatch.setattr("connect_bridge.event_log.queries.PAGE", 3)
    rows = [outbound_send(created_at=timezone.now() - timedelta(minutes=number)) for number in range(5)]

    page = admin_client.get(LIST).content.decode()
    older = re.search(r'href="\?([^"]*before=[^"]+)"', page)[1].replace("&amp;", "&")

    assert len(listed_ids(admin_client)) == 3
    second = admin_client.get(f"{LIST}?{older}").content.decode()
    assert re.findall(r'name="id" value="([0-9a-f-]{36})"', second) == [str(row.pk) for row in rows[3:]]


def test_anything_is_found_by_any_id_that_somebody_may_quote(admin_client: Client) -> None:
    inbound_message()
    dead_send()
    message = inbound_message(request_id="their-request")
    conversation = message.conversation
    Message.objects.filter(pk=message.pk).update(connect_item_id="item-9")
    InboundEntry.objects.filter(pk=message.entry.pk).update(key="m:wamid.HBg")
    IdentityAlias.objects.create(identity=conversation.identity, kind="whatsapp", type="bsuid", value="ES.123")
    send = outbound_send(conversation, state="accepted")
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
    assert {text: set(listed_ids(admin_client, q=text)) for text in quoted} == quoted


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%25", "account=x", "before=x", "fate=x", "direction=x", "since=x", "q=" + "9" * 4000]
)
def test_an_odd_question_breaks_nothing(admin_client: Client, query: str) -> None:
    inbound_message()

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
        inbound_message(account=account)
        dead_send(conversation=ConversationFactory(account=account))

    one_more()
    with CaptureQueriesContext(connection) as few:
        admin_client.get(page)
    for _ in range(4):
        one_more()

    with django_assert_num_queries(len(few)):
        admin_client.get(page)
    assert len(few) <= 9
