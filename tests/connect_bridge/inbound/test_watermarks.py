"""A watermark, "read up to here", is about all that was sent before it."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from channels_app import errors
from connect_bridge.inbound.receipts import Joined
from connect_bridge.outbox import sender
from tests.connect_bridge.inbound.kit import accepted, apply, milliseconds, receipt, status_of, unknown
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, let_pass, say, talk


def test_read_up_to_here_means_all_that_was_sent_before_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    before = [accepted(conversation, messenger, one) for one in ("a", "b")]
    entry = entries_of(before[1])[0]
    let_pass(10)
    after = accepted(conversation, messenger, "c")
    moment = entry.settled_at - timedelta(seconds=5)
    assert apply(conversation, receipt("read", watermark=milliseconds(moment))) is Joined.OURS
    assert [status_of(message) for message in before] == ["read", "read"]
    assert status_of(after) == "accepted"


def test_a_watermark_at_the_providers_time_of_the_message_includes_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    moments: list[int] = []
    messenger.meanwhile = lambda: moments.append(milliseconds(timezone.now()))
    sender.drain(conversation.id)
    apply(conversation, receipt("delivered", watermark=moments[0]))
    assert status_of(message) == "delivered"


def test_a_watermark_reaches_no_message_that_failed_or_is_uncertain(messenger: FakeMessenger) -> None:
    conversation = talk()
    lost = unknown(conversation, messenger)
    refused = say(conversation, "refused")
    messenger.will_answer(errors.Blocked("Blocked."))
    sender.drain(conversation.id)
    apply(conversation, receipt("read", watermark=9_999_999_999_999_999))
    assert (status_of(lost), status_of(refused)) == ("uncertain", "failed")


def test_a_delivery_watermark_takes_back_no_read_mark(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt("read", watermark=9_999_999_999_999))
    apply(conversation, receipt("delivered", watermark=9_999_999_999_999))
    assert status_of(message) == "read"


def test_a_watermark_that_comes_while_we_send_is_told_again(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(apply(conversation, receipt("read", watermark=9_999_999_999_999)))
    sender.drain(conversation.id)
    assert early == [None]
    assert apply(conversation, receipt("read", watermark=9_999_999_999_999)) is Joined.OURS
    assert status_of(message) == "read"


def test_a_watermark_from_before_the_send_under_way_need_not_wait_for_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    outcomes: list[Joined | None] = []
    messenger.meanwhile = lambda: outcomes.append(apply(conversation, receipt("read", watermark=1_000)))
    sender.drain(conversation.id)
    assert outcomes == [Joined.OURS]


def test_a_watermark_of_somebody_we_never_wrote_to_is_not_ours(messenger: FakeMessenger) -> None:
    assert apply(talk(), receipt("read", watermark=1), known=False) is Joined.NOT_OURS
