"""Uncertain sends: when the messenger is asked for them, and what follows from its list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from kombu.transport import memory

import channels_app.account
from channels_app import errors
from channels_app.models import ChannelLog
from channels_app.types import FoundSent, OutboundMessage
from connect_bridge.models import Conversation, Message, SentId
from connect_bridge.outbox import channel_cache, queries, sender, tasks, uncertain
from connect_bridge.outbox.resend import send_again
from tests.connect_bridge.outbox.kit import (
    FakeChannel,
    FakeMessenger,
    entries_of,
    let_uncertain_pass,
    say,
    states_of,
    talk,
)

NOTHING = FoundSent(message_ids=(), complete=True)


class Listing:
    """What the messenger lists when it is asked, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[OutboundMessage, datetime]] = []
        self.answer: FoundSent | Exception = NOTHING
        self.meanwhile: Callable[[], Any] = lambda: None

    def find(self, message: OutboundMessage, since: datetime) -> FoundSent:
        self.asked.append((message, since))
        self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def shows(self, *ids: str) -> None:
        self.answer = FoundSent(message_ids=ids, complete=True)


@pytest.fixture
def listing(messenger: FakeMessenger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listing]:
    result = Listing()

    def find_sent(_channel: Any, message: OutboundMessage, since: datetime) -> FoundSent:
        return result.find(message, since)

    kind = type("ListingChannel", (FakeChannel,), {"messenger": messenger, "find_sent": find_sent})
    monkeypatch.setattr(channels_app.account, "channels", lambda: {"fake": kind})
    return result


def lose(messenger: FakeMessenger, conversation: Conversation, *parts: str) -> Message:
    """Send a message whose answer is lost."""
    message = say(conversation, *(parts or ("hello",)))
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(conversation.id)
    return message


def test_what_the_messenger_has_is_accepted_and_receipts_find_it(
    messenger: FakeMessenger, listing: Listing, settled_signals: list[dict[str, Any]]
) -> None:
    message = lose(messenger, talk())
    assert uncertain.probe_due() == 0
    let_uncertain_pass(5)
    listing.shows("m-lost")
    settled_signals.clear()
    assert uncertain.probe_due() == 1
    assert states_of(message) == ["accepted", "accepted"]
    (entry,) = entries_of(message)
    assert SentId.objects.get().provider_message_id == "m-lost"
    assert (entry.provider_message_ids, entry.error_code, entry.possible_duplicate) == (["m-lost"], "", False)
    assert message.provider_message_id == "m-lost"
    assert [signal["status"] for signal in settled_signals] == ["accepted"]
    assert messenger.texts == ["hello"]


def test_it_is_asked_for_by_recipient_text_and_the_moment_at_which_it_was_sent(
    messenger: FakeMessenger, listing: Listing
) -> None:
    message = lose(messenger, talk())
    let_uncertain_pass(5)
    uncertain.probe_due()
    ((asked, since),) = listing.asked
    assert (asked.recipient, asked.text) == (message.conversation.recipient, "hello")
    assert since < datetime.now(UTC) < since + timedelta(seconds=60)


def test_of_two_lost_messages_that_say_the_same_each_takes_its_own(messenger: FakeMessenger, listing: Listing) -> None:
    conversation = talk()
    first, second = lose(messenger, conversation), lose(messenger, conversation)
    listing.shows("m-only")
    for _ in range(3):
        let_uncertain_pass(60)
        uncertain.probe_due()
    assert sorted((states_of(first)[0], states_of(second)[0])) == ["accepted", "uncertain"]
    assert SentId.objects.count() == 1


def test_an_earlier_message_that_says_the_same_is_not_taken_for_it(messenger: FakeMessenger, listing: Listing) -> None:
    conversation = talk()
    say(conversation, "hello")
    messenger.will_answer(("m-known",))
    sender.drain(conversation.id)
    lost = lose(messenger, conversation)
    listing.shows("m-known")
    let_uncertain_pass(60)
    uncertain.probe_due()
    assert states_of(lost) == ["uncertain", "uncertain"]


def test_the_same_words_that_are_being_sent_right_now_are_not_taken_for_it(
    messenger: FakeMessenger, listing: Listing
) -> None:
    conversation = talk()
    lost, current = lose(messenger, conversation), say(conversation, "hello")
    let_uncertain_pass(5)
    listing.shows("m-current")
    listing.meanwhile = lambda: queries.claim(conversation.id, "another worker")
    uncertain.probe_due()
    assert states_of(lost) == ["uncertain", "uncertain"]
    assert states_of(current) == ["stored", "claimed"]


def test_what_is_surely_not_there_is_left_to_a_person_who_is_told_so(
    messenger: FakeMessenger, listing: Listing
) -> None:
    message = lose(messenger, talk())
    for seconds in (5, 10, 30):
        assert states_of(message) == ["uncertain", "uncertain"]
        let_uncertain_pass(seconds)
        assert uncertain.probe_due() == 1
    (entry,) = entries_of(message)
    message.refresh_from_db()
    assert (entry.state, entry.look_at, entry.error_detail) == ("uncertain", None, uncertain.NOT_THERE)
    assert (message.status, message.error_detail) == ("uncertain", uncertain.NOT_THERE)
    let_uncertain_pass(3600)
    assert uncertain.probe_due() == 0
    assert messenger.texts == ["hello"]


def test_an_account_may_have_it_sent_again_once_and_marked(messenger: FakeMessenger, listing: Listing) -> None:
    message = lose(messenger, talk(when_uncertain="resend"))
    messenger.will_answer(errors.UnknownOutcome("The line broke again."))
    for _ in range(12):
        let_uncertain_pass(60)
        uncertain.probe_due()
        sender.drain(message.conversation_id)
    (entry,) = entries_of(message)
    assert messenger.texts == ["hello", "hello"]
    assert (entry.state, entry.possible_duplicate, entry.look_at) == ("uncertain", True, None)


def test_what_was_sent_again_and_taken_keeps_its_mark(messenger: FakeMessenger, listing: Listing) -> None:
    message = lose(messenger, talk(when_uncertain="resend"))
    let_uncertain_pass(60)
    uncertain.probe_due()
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]
    assert entries_of(message)[0].possible_duplicate


def test_a_messenger_that_lists_nothing_leaves_it_open(messenger: FakeMessenger) -> None:
    message = lose(messenger, talk())
    let_uncertain_pass(60)
    uncertain.probe_due()
    (entry,) = entries_of(message)
    assert (entry.state, entry.look_at) == ("uncertain", None)
    assert entry.error_detail == f"The line broke. {uncertain.NO_TELLING}"


def test_a_messenger_that_lists_nothing_gets_it_again_if_the_account_says_so(messenger: FakeMessenger) -> None:
    message = lose(messenger, talk(when_uncertain="resend"))
    let_uncertain_pass(5)
    uncertain.probe_due()
    assert sender.drain(message.conversation_id) == 0
    let_uncertain_pass(60)
    uncertain.probe_due()
    sender.drain(message.conversation_id)
    assert messenger.texts == ["hello", "hello"]


@pytest.mark.parametrize(
    "answer",
    [errors.Unavailable("Try later."), FoundSent(message_ids=(), complete=False), KeyError("id")],
    ids=["no answer", "a list that ends too early", "a bug"],
)
def test_looking_ends_when_the_messenger_does_not_tell(messenger: FakeMessenger, listing: Listing, answer: Any) -> None:
    message = lose(messenger, talk())
    listing.answer = answer
    for _ in range(20):
        let_uncertain_pass(300)
        uncertain.probe_due()
    assert len(listing.asked) == uncertain.MOST_LOOKS
    assert entries_of(message)[0].error_detail.endswith(uncertain.NO_TELLING)


def test_a_messenger_that_wants_to_be_left_alone_is_not_asked_before(
    messenger: FakeMessenger, listing: Listing
) -> None:
    message = lose(messenger, talk())
    let_uncertain_pass(5)
    listing.answer = errors.Throttled("Slow down.", retry_at=datetime.now(UTC) + timedelta(seconds=400))
    uncertain.probe_due()
    (entry,) = entries_of(message)
    assert entry.look_at is not None
    assert (entry.look_at - datetime.now(UTC)).total_seconds() == pytest.approx(400, abs=5)


def test_two_workers_do_not_ask_for_the_same(messenger: FakeMessenger, listing: Listing) -> None:
    lose(messenger, talk())
    let_uncertain_pass(5)
    counts: list[int] = []
    listing.meanwhile = lambda: counts.append(uncertain.probe_due())
    uncertain.probe_due()
    assert counts == [0]


def test_what_a_dead_worker_left_is_looked_for_too(messenger: FakeMessenger, listing: Listing) -> None:
    message = say(talk(), "hello")
    queries.claim(message.conversation_id, "a worker that dies now")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE connect_bridge_outboxentry SET claimed_until = now() - interval '1 second'")
    tasks.sweep()
    let_uncertain_pass(5)
    listing.shows("m-orphan")
    uncertain.probe_due()
    assert states_of(message) == ["accepted", "accepted"]


def test_a_sweep_orders_a_look_only_when_one_is_due(messenger: FakeMessenger, listing: Listing) -> None:
    lose(messenger, talk())
    memory.Channel.queues.pop("parley", None)  # what other tests of this process ordered
    tasks.sweep()
    assert not memory.Channel.queues.get("parley") or memory.Channel.queues["parley"].empty()
    let_uncertain_pass(5)
    tasks.sweep()
    assert memory.Channel.queues["parley"].qsize() == 1


def test_a_look_is_in_the_channel_log(messenger: FakeMessenger, listing: Listing) -> None:
    lose(messenger, talk())
    let_uncertain_pass(5)

    def call() -> None:
        channel_cache._record(channel_cache.HttpTrace(method="GET", host="x", path="/list", status=200, seconds=0.1))

    listing.meanwhile = call
    uncertain.probe_due()
    assert ChannelLog.objects.get().path == "/list"


def test_an_accounts_looks_wait_while_it_is_disabled(messenger: FakeMessenger, listing: Listing) -> None:
    message = lose(messenger, talk())
    account = message.conversation.account
    account.enabled = False
    account.save()
    let_uncertain_pass(600)
    assert uncertain.probe_due() == 0


def test_a_part_that_is_found_makes_the_message_whole(messenger: FakeMessenger, listing: Listing) -> None:
    message = lose(messenger, talk(), "a", "b")
    assert states_of(message) == ["uncertain", "uncertain", "accepted"]
    let_uncertain_pass(5)
    listing.shows("m-a")
    uncertain.probe_due()
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_a_person_may_have_an_uncertain_message_sent_again_and_it_is_marked(messenger: FakeMessenger) -> None:
    message = lose(messenger, talk())
    (revived,) = send_again([entries_of(message)[0].pk])
    assert states_of(message) == ["stored", "pending"]
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]
    assert entries_of(message)[0].possible_duplicate
    assert revived.message_id == message.pk


@pytest.mark.parametrize("left", ["[erased]", "[removed: kept long enough]"])
def test_what_was_erased_or_has_expired_is_not_sent_again(messenger: FakeMessenger, left: str) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Blocked("Blocked."))
    sender.drain(message.conversation_id)
    message.outbox.update(text=left)
    assert send_again([entries_of(message)[0].pk]) == []
    assert states_of(message) == ["failed", "dead"]


def test_a_dead_message_that_is_sent_again_is_no_duplicate(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Blocked("Blocked."))
    sender.drain(message.conversation_id)
    send_again([entries_of(message)[0].pk])
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]
    assert not entries_of(message)[0].possible_duplicate
