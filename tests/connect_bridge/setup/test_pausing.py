from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from channels_app import errors
from channels_app.models import ChannelAccount
from connect_bridge.models import AccountPause, Conversation
from connect_bridge.outbox import retry_policy, sender
from tests.connect_bridge.outbox.kit import FakeMessenger, let_pass, say, states_of, talk
from tests.factories import ConversationFactory


def beside(conversation: Conversation) -> Conversation:
    return ConversationFactory(account=conversation.account)


def too_fast(seconds: float) -> errors.Throttled:
    return errors.Throttled("Slow down.", retry_at=datetime.now(UTC) + timedelta(seconds=seconds))


def test_too_fast_in_one_conversation_spares_the_others_of_the_account_their_own_refusal(
    messenger: FakeMessenger,
) -> None:
    first = talk()
    second = beside(first)
    messenger.will_answer(too_fast(60))
    messages = [say(first, "one"), say(second, "two")]
    sender.drain(first.id)
    assert sender.drain(second.id) == 0
    assert sender.sweep() == []
    assert messenger.texts == ["one"]
    let_pass(61)
    assert set(sender.sweep()) == {first.id, second.id}
    sender.drain_all([first.id, second.id])
    assert [states_of(message) for message in messages] == [["accepted", "accepted"]] * 2


def test_another_account_goes_on(messenger: FakeMessenger) -> None:
    busy, free = talk(), talk()
    messenger.will_answer(too_fast(60))
    say(busy, "one")
    other = say(free, "two")
    sender.drain(busy.id)
    sender.drain(free.id)
    assert states_of(other) == ["accepted", "accepted"]


def test_a_failure_that_is_not_about_speed_pauses_nobody(messenger: FakeMessenger) -> None:
    first = talk()
    say(first, "one")
    messenger.will_answer(errors.Unavailable("Down.", retry_at=datetime.now(UTC) + timedelta(seconds=60)))
    sender.drain(first.id)
    assert not AccountPause.objects.exists()


def test_a_pause_leaves_the_accounts_row_and_so_the_ready_channels_alone(messenger: FakeMessenger) -> None:
    conversation = talk()
    before = ChannelAccount.objects.get().updated_at
    say(conversation, "one")
    messenger.will_answer(too_fast(60))
    sender.drain(conversation.id)
    assert AccountPause.objects.count() == 1
    assert ChannelAccount.objects.get().updated_at == before


def test_a_shorter_word_does_not_end_a_longer_pause(messenger: FakeMessenger) -> None:
    first = talk()
    say(first, "one")
    messenger.will_answer(too_fast(300))
    sender.drain(first.id)
    until = AccountPause.objects.get().until
    second = beside(first)
    message = say(second, "two")
    message.outbox.update(state="claimed", claimed_by="here", attempts=1, claimed_until=datetime.now(UTC))
    held = _held(message)
    sender.queries.settle_failed(held, retry_policy.judge(too_fast(5), 1, 0), [])
    assert AccountPause.objects.get().until == until


def _held(message: Any) -> Any:
    entry = message.outbox.get()
    account = message.conversation.account
    return sender.Claim(
        entry=entry.id, message=message.id, conversation=message.conversation_id, text="", parts=1, attempts=1, age=0.0,
        claimed_by="here", recipient="", account=account.id, kind="fake", version=account.updated_at,
        identity=message.conversation.identity_id, suppressed_by="",
    )  # fmt: skip


def test_what_a_pause_holds_up_for_more_than_a_quarter_of_an_hour_is_given_up_at_once(
    messenger: FakeMessenger, settled_signals: list[dict[str, Any]]
) -> None:
    first = talk()
    second = beside(first)
    messenger.will_answer(too_fast(3 * 3600))
    messages = [say(first, "one"), say(second, "two", " and more")]
    sender.drain(first.id)
    settled_signals.clear()
    sender.sweep()
    assert messenger.texts == ["one"]
    assert [states_of(message) for message in messages] == [["failed", "dead"], ["failed", "dead", "dead"]]
    assert messages[1].error_code == "throttled"
    assert messages[1].error_detail == "Gave up: the messenger takes nothing from this account for 180 min."
    assert [signal["message_id"] for signal in settled_signals] == [messages[1].id]


def test_a_message_that_comes_near_the_end_of_a_long_pause_waits_for_it(messenger: FakeMessenger) -> None:
    first = talk()
    say(first, "one")
    messenger.will_answer(too_fast(3600))
    sender.drain(first.id)
    let_pass(3000)
    late = say(beside(first), "late")
    sender.sweep()
    assert states_of(late) == ["stored", "pending"]
    let_pass(601)
    sender.drain(late.conversation_id)
    assert states_of(late) == ["accepted", "accepted"]


def test_a_message_that_waited_long_for_a_worker_is_not_given_up_for_a_short_pause(messenger: FakeMessenger) -> None:
    first = talk()
    old = say(beside(first), "old")
    let_pass(3600)
    say(first, "one")
    messenger.will_answer(too_fast(60))
    sender.drain(first.id)
    sender.sweep()
    assert states_of(old) == ["stored", "pending"]
