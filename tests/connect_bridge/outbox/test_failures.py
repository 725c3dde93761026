from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from channels_app import errors
from channels_app.models import ChannelLog
from connect_bridge.outbox import retry_policy, sender
from connect_bridge.outbox.metrics import DELIVERY_FAILURES, MESSAGES
from tests.connect_bridge.outbox.kit import (
    FakeMessenger,
    entries_of,
    let_pass,
    refusals,
    say,
    seconds_until_due,
    states_of,
    talk,
)

RETRYABLE = [errors.Unavailable, errors.Throttled]
PERMANENT = [
    errors.AuthFailed,
    errors.WindowClosed,
    errors.Blocked,
    errors.OptedOut,
    errors.InvalidRecipient,
    errors.InvalidContent,
    errors.PolicyViolation,
    errors.AccountProblem,
]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_every_word_of_the_vocabulary_is_tested_here() -> None:
    assert {*RETRYABLE, *PERMANENT, errors.UnknownOutcome} == set(errors.SendFailed.__subclasses__())


@pytest.mark.parametrize("kind", PERMANENT)
def test_a_refusal_for_good_is_a_dead_letter_in_the_providers_words_and_the_next_message_goes_out(
    messenger: FakeMessenger, kind: type[errors.SendFailed]
) -> None:
    conversation = talk()
    refused, later = say(conversation, "no"), say(conversation, "yes")
    messenger.will_answer(*refusals([kind], words="Not like this.", code="2018278"))
    sender.drain(conversation.id)
    (entry,) = entries_of(refused)
    assert states_of(refused) == ["failed", "dead"]
    assert (entry.error_code, entry.provider_code, entry.error_detail) == (kind.code, "2018278", "Not like this.")
    assert (refused.error_code, refused.error_detail) == (kind.code, "Not like this.")
    assert entry.settled_at is not None
    goes_out = kind is not errors.OptedOut  # who said STOP gets nothing until they write again
    assert states_of(later) == (["accepted", "accepted"] if goes_out else ["failed", "dead"])


@pytest.mark.parametrize("kind", RETRYABLE)
def test_what_the_messenger_puts_off_is_sent_again_later_and_what_follows_waits_behind_it(
    messenger: FakeMessenger, kind: type[errors.SendFailed]
) -> None:
    conversation = talk()
    first, second = say(conversation, "one"), say(conversation, "two")
    messenger.will_answer(*refusals([kind]))
    assert sender.drain(conversation.id) == 1
    assert states_of(first) == ["stored", "pending"]
    assert entries_of(first)[0].error_code == kind.code
    assert messenger.texts == ["one"]
    let_pass(retry_policy.LONGEST_WAIT)
    sender.drain(conversation.id)
    assert messenger.texts == ["one", "one", "two"]
    assert states_of(first) == states_of(second) == ["accepted", "accepted"]
    assert entries_of(first)[0].error_code == ""


def test_the_messengers_own_word_on_when_to_try_again_is_obeyed(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Throttled("Slow down.", retry_at=datetime.now(UTC) + timedelta(seconds=300)))
    sender.drain(message.conversation_id)
    assert seconds_until_due(message) == pytest.approx(300, abs=5)


@time_machine.travel(NOON, tick=False)
def test_a_worker_whose_clock_is_wrong_waits_as_long_as_the_messenger_asked() -> None:
    verdict = retry_policy.judge(errors.Throttled("", retry_at=NOON + timedelta(seconds=40)), attempts=1, age=0)
    assert (verdict.state, verdict.delay) == ("pending", 40)


@given(attempts=st.integers(1, 40))
def test_waits_double_up_to_a_minute_and_never_all_fall_on_one_moment(attempts: int) -> None:
    longest = min(60, 2 ** (attempts - 1))
    waits = {retry_policy.judge(errors.Unavailable(""), attempts, age=0).delay for _ in range(20)}
    assert all(0 <= wait <= longest for wait in waits)
    assert len(waits) > 1


def test_what_is_put_off_for_a_quarter_of_an_hour_is_given_up(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    tries = 0
    while states_of(message) == ["stored", "pending"]:
        messenger.will_answer(errors.Unavailable("Try later."))
        tries += sender.drain(message.conversation_id)
        let_pass(60)
    assert states_of(message) == ["failed", "dead"]
    assert 14 <= tries <= 16
    assert message.error_code == "unavailable"
    assert message.error_detail == f"Gave up after {tries} attempts in {tries - 1} min. Try later."


def test_a_message_that_grew_old_in_an_outage_of_ours_still_gets_several_attempts(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    let_pass(3600)
    messenger.will_answer(*refusals([errors.Unavailable] * 4))
    for _ in range(5):
        sender.drain(message.conversation_id)
        let_pass(60)
    assert states_of(message) == ["accepted", "accepted"]


def test_a_messenger_that_takes_nothing_for_hours_is_not_waited_for(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Throttled("Daily limit.", retry_at=datetime.now(UTC) + timedelta(hours=3)))
    sender.drain(message.conversation_id)
    assert states_of(message) == ["failed", "dead"]
    assert message.error_detail == "Gave up: the messenger takes nothing for 180 min. Daily limit."


def test_a_poisonous_message_blocks_only_its_own_conversation(messenger: FakeMessenger) -> None:
    poisoned, healthy = talk(), talk()
    poison, behind, elsewhere = say(poisoned, "poison"), say(poisoned, "behind"), say(healthy, "healthy")
    messenger.will_answer(*refusals([errors.Unavailable]))
    sender.drain(poisoned.id)
    sender.drain(healthy.id)
    assert states_of(poison) == states_of(behind) == ["stored", "pending"]
    assert states_of(elsewhere) == ["accepted", "accepted"]


def test_when_nobody_knows_whether_it_arrived_it_is_shown_uncertain_and_not_sent_twice(
    messenger: FakeMessenger,
) -> None:
    conversation = talk()
    lost, later = say(conversation, "lost"), say(conversation, "later")
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(conversation.id)
    let_pass(3600)
    sender.sweep()
    sender.drain(conversation.id)
    assert messenger.texts == ["lost", "later"]
    assert states_of(lost) == ["uncertain", "uncertain"]
    assert (lost.error_code, lost.error_detail) == ("unknown_outcome", "The line broke.")
    assert states_of(later) == ["accepted", "accepted"]


def test_after_a_part_that_failed_the_rest_of_the_message_is_not_sent(messenger: FakeMessenger) -> None:
    conversation = talk()
    long, later = say(conversation, "a", "b", "c"), say(conversation, "later")
    messenger.will_answer(("m-a",), errors.Blocked("Blocked."))
    sender.drain(conversation.id)
    assert messenger.texts == ["a", "b", "later"]
    assert states_of(long) == ["failed", "accepted", "dead", "dead"]
    assert entries_of(long)[2].error_detail == "An earlier part of this message failed."
    assert states_of(later) == ["accepted", "accepted"]


def test_after_a_part_of_unknown_outcome_the_rest_goes_out_and_the_message_is_uncertain(
    messenger: FakeMessenger,
) -> None:
    message = say(talk(), "a", "b")
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(message.conversation_id)
    assert states_of(message) == ["uncertain", "uncertain", "accepted"]


def test_a_bug_in_the_channel_before_its_call_is_tried_again(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(KeyError("id"))
    sender.drain(message.conversation_id)
    (entry,) = entries_of(message)
    assert (entry.state, entry.error_code) == ("pending", "unavailable")
    assert "before it called the messenger: KeyError" in entry.error_detail


def test_a_bug_in_the_channel_after_its_call_leaves_the_message_uncertain(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.url = "http://127.0.0.1:9/refuses/connections"
    messenger.will_answer(KeyError("id"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("channels_app.toolkit.http.Http.request", _call_and_go_on)
        sender.drain(message.conversation_id)
    assert states_of(message) == ["uncertain", "uncertain"]
    assert "after it called the messenger: KeyError" in message.error_detail


def _call_and_go_on(http: object, method: str, url: str, **options: object) -> None:
    with pytest.raises(OSError):
        http.session.request(method, url, **options)


def test_failed_attempts_and_what_messages_came_to_are_counted(messenger: FakeMessenger) -> None:
    failures = DELIVERY_FAILURES.labels("fake", "blocked")
    failed, accepted = (MESSAGES.labels("fake", "out", state) for state in ("failed", "accepted"))
    before = [counter._value.get() for counter in (failures, failed, accepted)]
    conversation = talk()
    for text in ("one", "two", "three"):
        say(conversation, text)
    messenger.will_answer(errors.Blocked("Blocked."))
    sender.drain(conversation.id)
    after = [counter._value.get() for counter in (failures, failed, accepted)]
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 1, 2]


def test_a_failed_call_is_in_the_channel_log_too(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.url = "http://127.0.0.1:9/refuses/connections"
    sender.drain(message.conversation_id)
    assert states_of(message) == ["stored", "pending"]
    assert (ChannelLog.objects.get().status, ChannelLog.objects.get().error) == (0, "ConnectionError")


def test_words_that_the_database_cannot_store_are_stored_as_well_as_can_be(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Blocked("no\0 \ud83d!" + "x" * 600, provider_code="\0" * 100))
    sender.drain(message.conversation_id)
    assert states_of(message) == ["failed", "dead"]
    assert entries_of(message)[0].error_detail.startswith("no\ufffd ?!")
