"""What was kept long enough is let go, class by class; what is younger, or still at work, stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels_app.models import ChannelLog, InboundEntry, WebhookDelivery
from connect_bridge.models import EXPIRED, Message, OutboxEntry, RetentionMark
from connect_bridge.privacy import retention, tasks
from connect_bridge.privacy.retention import retain
from tests.factories import (
    ChannelLogFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

pytestmark = pytest.mark.django_db

OLD, YOUNG = datetime.now(UTC) - timedelta(days=31), datetime.now(UTC) - timedelta(days=29)


@pytest.fixture
def thirty_days(settings: Any) -> None:
    settings.RETAIN_RAW_DAYS = settings.RETAIN_WORDS_DAYS = settings.RETAIN_CALLS_DAYS = 30


def kept(at: datetime, **fields: Any) -> Message:
    """Store an answered message, its webhook and a call, all of that time."""
    delivery = WebhookDeliveryFactory(received_at=at, body=b"raw", headers={"a": "b"}, query="q")
    entry = InboundEntryFactory(delivery=delivery, state=fields.pop("state", "done"))
    message = MessageFactory(created_at=at, text="words", author="Ana", original={"o": 1}, entry=entry)
    answer = MessageFactory(
        conversation=message.conversation, created_at=at, text="answer", author="Ada", direction="out"
    )
    OutboxEntryFactory(message=answer, text="answer", state=fields.pop("outbox", "accepted"))
    ChannelLog.objects.filter(pk=ChannelLogFactory().pk).update(at=at)
    return message


def test_nothing_is_let_go_unless_a_setting_says_so() -> None:
    message = kept(OLD)
    tasks.retain()
    message.refresh_from_db()
    assert (message.text, bytes(message.entry.delivery.body)) == ("words", b"raw")
    assert not RetentionMark.objects.exists()


def test_what_is_old_is_emptied_and_what_is_young_stays(thirty_days: None) -> None:
    old, young = kept(OLD), kept(YOUNG)
    assert retain(10) == {"raw": 1, "words": 2, "calls": 1}
    for message in (old, young):
        message.refresh_from_db()
    assert (old.text, old.author, old.original) == (EXPIRED, "", None)
    assert (young.text, young.author, young.original) == ("words", "Ana", {"o": 1})
    assert (bytes(old.entry.delivery.body), old.entry.delivery.headers, old.entry.event) == (b"", {}, {})
    assert bytes(young.entry.delivery.body) == b"raw"
    assert young.entry.event["text"] == "hello"
    assert Message.objects.get(conversation=old.conversation, direction="out").author == "Ada"
    assert set(OutboxEntry.objects.values_list("text", flat=True)) == {EXPIRED, "answer"}
    assert ChannelLog.objects.count() == 1


def test_each_class_has_its_own_days(settings: Any) -> None:
    settings.RETAIN_RAW_DAYS = 30
    message = kept(OLD)
    assert retain(10) == {"raw": 1, "words": 0, "calls": 0}
    message.refresh_from_db()
    assert message.text == "words"


def test_what_is_still_at_work_keeps_what_it_needs(thirty_days: None) -> None:
    message = kept(OLD, state="parked", outbox="pending")
    retain(10)
    message.entry.refresh_from_db()
    assert message.entry.event["text"] == "hello"
    assert OutboxEntry.objects.get().text == "answer"


def test_many_rows_of_one_moment_are_all_let_go(thirty_days: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    ChannelLog.objects.filter(pk__in=[one.pk for one in ChannelLogFactory.create_batch(10)]).update(at=OLD)
    retain(10)
    assert not ChannelLog.objects.exists()


def test_many_webhooks_of_one_moment_are_all_emptied(thirty_days: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    WebhookDeliveryFactory.create_batch(10, received_at=OLD, body=b"raw")
    WebhookDeliveryFactory.create_batch(2, received_at=OLD + timedelta(hours=1), body=b"raw")
    retain(10)
    assert not WebhookDelivery.objects.exclude(body=b"").exists()


def test_a_later_pass_begins_where_the_last_one_ended(thirty_days: None) -> None:
    kept(OLD)
    retain(10)
    assert retain(10) == {"raw": 0, "words": 0, "calls": 0}
    kept(OLD + timedelta(minutes=1))
    retain(10)
    assert not Message.objects.exclude(text=EXPIRED).exists()
    assert not InboundEntry.objects.exclude(event={}).exists()
