"""What both endpoints promise of an accepted webhook: stored first, once, in order, answered in the right words."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import psycopg
import pytest
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from channels_app.infrastructure.db import connect_parameters
from channels_app.models import ChannelAccount, InboundEntry, shard_of
from channels_app.providers import messenger
from channels_app.types import InboundEvent, MessageReceived, Sender
from tests.channels_app.webhooks.bad_input_rows import for_another_page, new_thing
from tests.channels_app.webhooks.kit import (
    COMMITTED,
    ENDPOINTS,
    Post,
    Reply,
    deliver,
    deliveries,
    entries,
    message_post,
    page_post,
    path_of,
    twilio,
    whatsapp_fields,
    x_post,
)
from tests.factories import ChannelAccountFactory

pytestmark = [COMMITTED, pytest.mark.parametrize("endpoint", ENDPOINTS)]


@pytest.mark.parametrize("kind", ["twitter", "messenger", "whatsapp"])
def test_a_message_becomes_one_pending_entry_under_its_raw_delivery(endpoint: str, kind: str) -> None:
    account = ChannelAccountFactory.create(kind=kind, address="+34600777888" if kind == "whatsapp" else "424242")
    post = message_post(account)
    [reply] = deliver(endpoint, post)
    [entry] = entries(account)
    delivery = account.deliveries.get()
    assert reply.status == 200
    assert reply.headers["x-parley-status"] == "accepted"
    assert (entry.delivery, entry.type, entry.state, entry.attempts) == (delivery, "message", "pending", 0)
    assert entry.event["event"] == "message"
    assert entry.shard == shard_of(account.id, entry.sender)
    assert bytes(delivery.body) == post.chunks[0]
    assert delivery.request_id == reply.headers["x-request-id"]


def test_the_provider_is_answered_in_json_unless_it_wants_its_own_words(endpoint: str) -> None:
    meta = ChannelAccountFactory.create(kind="messenger", address="1")
    twilios = ChannelAccountFactory.create(kind="whatsapp")
    first, second = deliver(endpoint, message_post(meta), twilio(twilios, whatsapp_fields(twilios)))
    assert (first.json, first.headers["content-type"]) == ({"status": "accepted"}, "application/json")
    assert (second.body, second.headers["content-type"]) == (b"<Response/>", "text/xml")


def test_a_body_in_many_pieces_is_one_body(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    post = message_post(account)
    pieces = tuple(post.chunks[0][at : at + 7] for at in range(0, len(post.chunks[0]), 7))
    assert deliver(endpoint, replace(post, chunks=pieces))[0].word == "accepted"


def test_events_of_a_batch_keep_their_order_whatever_their_keys(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    deliver(endpoint, page_post(account, *({"mid": mid, "text": mid} for mid in "zaymbx")))
    assert [entry.event["text"] for entry in entries(account)] == list("zaymbx")


def test_the_same_event_twice_in_one_batch_is_one_entry(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    [reply] = deliver(endpoint, page_post(account, {"mid": "m_1"}, {"mid": "m_1"}, {"mid": "m_2"}))
    assert reply.word == "accepted"
    assert len(entries(account)) == 2


def test_two_accounts_may_have_the_same_event(endpoint: str) -> None:
    first = ChannelAccountFactory.create(kind="twitter", address="11")
    second = ChannelAccountFactory.create(kind="twitter", address="22")
    assert [reply.word for reply in deliver(endpoint, x_post(first), x_post(second))] == ["accepted", "accepted"]


def test_of_the_headers_only_harmless_ones_are_kept(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="whatsapp")
    more = (("User-Agent", "TwilioProxy/1.1"), ("I-Twilio-Idempotency-Token", "t-1"), ("Authorization", "Basic x"))
    deliver(endpoint, twilio(account, whatsapp_fields(account), headers=more))
    assert account.deliveries.get().headers == {
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "TwilioProxy/1.1",
        "i-twilio-idempotency-token": "t-1",
    }


def asked_as(endpoint: str, request_id: str) -> Reply:
    [reply] = deliver(endpoint, Post(f"/webhooks/messenger/{uuid.uuid4()}/", (("X-Request-ID", request_id),)))
    return reply


def test_a_request_id_from_outside_is_taken_over(endpoint: str) -> None:
    reply = asked_as(endpoint, "abc-123")
    assert reply.headers["x-request-id"] == reply.json["request_id"] == "abc-123"


@pytest.mark.parametrize("value", ["a\tb", "<script>", "x" * 65, ""])
def test_a_request_id_that_is_no_token_is_replaced(endpoint: str, value: str) -> None:
    reply = asked_as(endpoint, value)
    assert reply.json["request_id"] != value
    assert re.fullmatch("[A-Za-z0-9-]{1,64}", reply.json["request_id"])


def test_a_webhook_leaves_one_log_line_without_anything_of_the_customers(
    endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    account = ChannelAccountFactory.create(kind="whatsapp")
    with caplog.at_level("DEBUG", logger="channels_app"):
        [reply] = deliver(endpoint, twilio(account, whatsapp_fields(account, Body="my secret", ProfileName="Ana")))
    [record] = [record for record in caplog.records if record.name.startswith("channels_app")]
    line = record.getMessage()
    assert reply.headers["x-request-id"] in line
    assert f"account={account.id}" in line
    assert "result=accepted" in line
    for private in ("my secret", "Ana", "34611222333", account.address):
        assert private not in line


def test_every_answer_is_counted_by_channel_and_result(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")

    def count(result: str) -> float:
        labels = {"channel": "messenger", "result": result}
        return REGISTRY.get_sample_value("parley_webhooks_received_total", labels) or 0

    before = [count(result) for result in ("accepted", "duplicate", "bad_signature")]
    post = message_post(account)
    deliver(endpoint, post, post, replace(post, headers=()))
    assert [count(result) for result in ("accepted", "duplicate", "bad_signature")] == [one + 1 for one in before]


def test_the_bridge_is_woken_for_a_new_event_and_not_for_a_duplicate(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    with psycopg.connect(**connect_parameters(), autocommit=True) as listener:
        listener.execute("LISTEN parley_intake")
        deliver(endpoint, message_post(account))
        assert len(list(listener.notifies(timeout=20, stop_after=1))) == 1
        deliver(endpoint, message_post(account))
        assert list(listener.notifies(timeout=0.1)) == []


def test_the_bridge_is_not_woken_for_what_is_not_for_it(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    with psycopg.connect(**connect_parameters(), autocommit=True) as listener:
        listener.execute("LISTEN parley_intake")
        reply = deliver(endpoint, new_thing(account), for_another_page(account))
        assert [one.word for one in reply] == ["ignored", "quarantined"]
        assert list(listener.notifies(timeout=0.1)) == []


def test_a_parser_that_breaks_costs_no_message(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("hello from 8001")

    monkeypatch.setattr(messenger.Messenger, "parse", breaks)
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    [reply] = deliver(endpoint, message_post(account))
    assert reply.word == "quarantined"
    assert account.deliveries.get().reason == "the parser failed: ZeroDivisionError"
    assert "8001" not in caplog.text


def says(event: InboundEvent, monkeypatch: pytest.MonkeyPatch) -> ChannelAccount:
    """Return an account whose channel reads this event out of every webhook."""
    monkeypatch.setattr(messenger.Messenger, "parse", lambda *_: [event])
    account: ChannelAccount = ChannelAccountFactory.create(kind="messenger", address="1")
    return account


def test_a_channel_that_lets_nul_through_costs_no_message(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = MessageReceived(key="k\x00", sender=Sender(external_id="8\x00"), message_id="k", text="a\x00b")
    account = says(event, monkeypatch)
    assert deliver(endpoint, message_post(account))[0].word == "accepted"
    [entry] = entries(account)
    assert (entry.key, entry.sender, entry.event["text"]) == ("k\ufffd", "8\ufffd", "a\ufffdb")


def test_a_message_that_our_own_address_sent_is_done_at_once(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account = says(MessageReceived(key="k", sender=Sender(external_id="1"), message_id="k"), monkeypatch)
    assert deliver(endpoint, message_post(account))[0].word == "ignored"
    assert [(entry.state, entry.outcome) for entry in entries(account)] == [("done", "sent by our own address")]


def test_a_sender_whose_id_is_no_id_is_kept_from_the_bridge(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account = says(MessageReceived(key="k", sender=Sender(external_id="8" * 5_000), message_id="k"), monkeypatch)
    assert deliver(endpoint, message_post(account))[0].word == "quarantined"
    assert [entry.state for entry in entries(account)] == ["quarantined"]


def test_a_key_of_any_length_fits(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account = says(MessageReceived(key="k" * 5_000, sender=Sender(external_id="8"), message_id="k"), monkeypatch)
    post = message_post(account)
    assert [reply.word for reply in deliver(endpoint, post, post)] == ["accepted", "duplicate"]


def test_a_check_that_breaks_lets_nobody_in(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(messenger.Messenger, "verify", breaks)
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    [reply] = deliver(endpoint, message_post(account))
    assert (reply.status, reply.word) == (401, "bad_signature")
    assert deliveries(account) == []


def test_an_event_that_the_database_cannot_hold_is_set_aside_with_its_bytes(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels_app.webhooks.intake._LONGEST_KEY", 10_000)
    monkeypatch.setattr("channels_app.toolkit.payloads.LONGEST_ID", 10_000)
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    [reply] = deliver(endpoint, page_post(account, {"mid": "x" * 300}))
    assert reply.word == "quarantined"
    assert account.deliveries.get().reason.startswith("could not be stored")
    assert entries(account) == []


def test_a_lost_encryption_key_is_our_fault_and_the_provider_comes_again(endpoint: str, settings: Settings) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    post = message_post(account)
    settings.FIELD_ENCRYPTION_KEYS = ["another"]
    [reply] = deliver(endpoint, post)
    assert (reply.status, reply.word) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) > 0


def test_an_account_that_goes_while_its_webhook_is_under_way_is_not_found(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    verify = messenger.Messenger.verify

    def goes(channel: messenger.Messenger, request: messenger.WebhookRequest) -> messenger.VerifiedWebhook:
        with psycopg.connect(**connect_parameters(), autocommit=True) as other:
            other.execute("DELETE FROM channels_app_channelaccount WHERE id = %s", [account.id])
        return verify(channel, request)

    monkeypatch.setattr(messenger.Messenger, "verify", goes)
    [reply] = deliver(endpoint, message_post(account))
    assert (reply.status, reply.word) == (404, "not_found")
    assert InboundEntry.objects.count() == 0


def test_below_webhooks_nothing_is_ever_answered_with_a_page_or_a_redirect(endpoint: str) -> None:
    account = ChannelAccountFactory.create(kind="messenger", address="1")
    answers = deliver(
        endpoint, *(Post(path, method="GET") for path in ("/webhooks/", path_of(account)[:-1], "/webhooks/x/y/z"))
    )
    assert [(reply.status, reply.json["error"]) for reply in answers] == [(404, "not_found")] * 3
