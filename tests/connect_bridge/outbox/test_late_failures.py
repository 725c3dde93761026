"""A failure that comes by callback has the class, and the consequences, of one that comes as an answer."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels_app import errors
from channels_app.errors import SendFailed
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from connect_bridge.automation.undelivered_notices import Untold, wording
from connect_bridge.inbound.receipts import Joined
from connect_bridge.models import AccountPause, Conversation, Message
from connect_bridge.outbox import sender
from connect_bridge.outbox.late_failures import failure_of
from connect_bridge.outbox.retry_policy import LEAST_ATTEMPTS
from customers.consent import ConsentSource, Purpose, allow_answers
from customers.models import Consent, Identity
from customers.sql_steps import take_now
from tests.connect_bridge.inbound.kit import accepted, apply, echo, receipt
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, let_pass, say, states_of, talk

RETRYABLE = ("throttled", "unavailable")
FINAL = sorted({kind.code for kind in SendFailed.__subclasses__()} - {*RETRYABLE, "unknown_outcome"})


def fail(conversation: Conversation, code: str, *ids: str, **more: Any) -> Joined | None:
    return apply(conversation, receipt("failed", *ids, error_code=code, error_detail="Not now.", **more))


@pytest.mark.parametrize("code", FINAL)
def test_the_class_of_a_failure_is_the_same_by_callback_and_as_an_answer(messenger: FakeMessenger, code: str) -> None:
    kind = next(one for one in SendFailed.__subclasses__() if one.code == code)
    conversation = talk()
    later = accepted(conversation, messenger, "mid")
    fail(conversation, code, "mid")
    answered = say(conversation, "hello")
    messenger.will_answer(kind("Not now.", provider_code=code))
    Identity.objects.update(suppressed_at=None)
    sender.drain(conversation.id)
    shown = [(m.status, m.error_code, m.error_detail) for m in Message.objects.filter(pk__in=[later.pk, answered.pk])]
    assert shown == [("failed", code, "Not now.")] * 2
    kept = [(e.state, e.error_code, e.provider_code) for m in (later, answered) for e in entries_of(m)]
    assert kept == [("dead", code, code)] * 2


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "twitter"])
def test_every_code_of_a_provider_means_the_same_by_callback(kind: str) -> None:
    codes = channels()[kind].codes
    assert {code: type(failure_of(kind, code, "")) for code in codes} == dict(codes)


@pytest.mark.parametrize(
    ("code", "meant"),
    [("63016", "window_closed"), ("63018", "throttled"), ("21610", "opted_out"), ("31415", "failed"), ("", "failed")],
)
def test_twilios_codes_by_callback(code: str, meant: str) -> None:
    failure = failure_of("whatsapp", code, "To +34 600 111 222: no.")
    assert (failure.code, failure.provider_code, failure.detail) == (meant, code, "To …: no.")


@pytest.mark.parametrize("code", RETRYABLE)
def test_a_failure_that_may_pass_is_tried_again(messenger: FakeMessenger, code: str) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    assert fail(conversation, code, "mid") is Joined.OURS
    assert states_of(message) == ["stored", "pending"]
    assert (message.error_code, entries_of(message)[0].error_code) == ("", code)
    let_pass(120)
    messenger.will_answer(("mid-2",))
    assert sender.drain(conversation.id) == 1
    assert messenger.texts == ["part mid", "part mid"]
    apply(conversation, receipt("delivered", "mid-2"))
    assert states_of(message) == ["delivered", "accepted"]


def test_too_fast_by_callback_holds_the_account_up_as_the_answer_does(messenger: FakeMessenger) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    fail(conversation, "throttled", "mid")
    assert AccountPause.objects.get().account_id == conversation.account_id


@pytest.mark.parametrize("again", [[], ["correlation"]])
@pytest.mark.parametrize("status", ["failed", "accepted"])
def test_old_news_of_the_attempt_that_failed_does_not_touch_the_next_one(
    messenger: FakeMessenger, status: str, again: list[str]
) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    more = {"correlation": str(entries_of(message)[0].id)} if again else {}
    fail(conversation, "unavailable", "mid", **more)
    old = receipt(status, "mid", error_code="blocked" if status == "failed" else "", **more)
    apply(conversation, old)
    assert states_of(message) == ["stored", "pending"]
    let_pass(120)
    messenger.will_answer(("mid-2",))
    sender.drain(conversation.id)
    apply(conversation, old)
    assert states_of(message) == ["accepted", "accepted"]
    assert not Consent.objects.exists()


def test_if_it_arrived_after_all_it_is_not_sent_again(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    fail(conversation, "unavailable", "mid")
    apply(conversation, receipt("delivered", "mid"))
    let_pass(120)
    assert sender.drain(conversation.id) == 0
    assert states_of(message) == ["delivered", "accepted"]


def test_nothing_is_tried_again_once_a_later_message_has_gone_out(messenger: FakeMessenger) -> None:
    conversation = talk()
    first = accepted(conversation, messenger, "one")
    second = accepted(conversation, messenger, "two")
    fail(conversation, "unavailable", "one")
    assert states_of(first) == ["failed", "dead"]
    assert first.error_code == "unavailable"
    assert first.error_detail == "Not tried again: a later message has gone out. Not now."
    fail(conversation, "unavailable", "two")
    assert states_of(second) == ["stored", "pending"]


def test_what_has_not_gone_out_waits_behind_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    accepted(conversation, messenger, "one")
    say(conversation, "two")
    fail(conversation, "unavailable", "one")
    for _ in range(3):
        let_pass(120)
        sender.drain(conversation.id)
    assert messenger.texts == ["part one", "part one", "two"]


def test_while_it_is_being_sent_the_news_waits(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    (entry,) = entries_of(message)
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(fail(conversation, "unavailable", "m-1", correlation=str(entry.id)))
    sender.drain(conversation.id)
    messenger.meanwhile = lambda: None
    assert (early, states_of(message)) == ([None], ["accepted", "accepted"])
    fail(conversation, "unavailable", "m-1", correlation=str(entry.id))
    assert states_of(message) == ["stored", "pending"]


def test_it_is_given_up_as_the_answer_would_be(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "m")
    for attempt in range(1, 10):
        fail(conversation, "unavailable", "m" if attempt == 1 else f"m-{attempt}")
        if states_of(message)[0] == "failed":
            break
        let_pass(1000)
        sender.drain(conversation.id)
    assert attempt == LEAST_ATTEMPTS
    assert message.error_detail.startswith("Gave up after 5 attempts in ")


def test_an_uncertain_send_that_failed_for_now_is_tried_again(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(conversation.id)
    fail(conversation, "throttled", "mid", correlation=str(entries_of(message)[0].id))
    assert states_of(message) == ["stored", "pending"]


def test_an_echo_of_the_first_attempt_does_not_make_the_second_one_accepted(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    fail(conversation, "unavailable", "mid")
    apply(conversation, echo("mid"))
    assert states_of(message) == ["stored", "pending"]


# ── what it says of the customer ──


def test_an_opt_out_by_callback_suppresses_and_start_lifts_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    fail(conversation, "opted_out", "mid")
    fail(conversation, "opted_out", "mid")
    row = Consent.objects.get(purpose=Purpose.REPLY)
    assert (row.granted, row.source, row.evidence["provider_code"]) == (False, "messenger", "opted_out")
    say(conversation, "no")
    sender.drain(conversation.id)
    take_now(allow_answers(conversation.identity_id, ConsentSource(source="customer", topic="START")))
    say(conversation, "yes")
    sender.drain(conversation.id)
    assert messenger.texts == ["part mid", "yes"]


def test_a_block_by_callback_withdraws_what_we_would_begin_and_leaves_answers(messenger: FakeMessenger) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    fail(conversation, "blocked", "mid")
    assert set(Consent.objects.values_list("purpose", flat=True)) == {"transactional", "marketing", "invitation"}
    assert Identity.objects.get().suppressed_at is None


@pytest.mark.parametrize("code", [*(code for code in FINAL if code not in ("opted_out", "blocked")), "314", ""])
def test_no_other_callback_says_anything_about_consent(messenger: FakeMessenger, code: str) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    fail(conversation, code, "mid")
    assert not Consent.objects.exists()


def test_who_has_written_since_is_not_silenced_by_an_older_callback(messenger: FakeMessenger) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    Conversation.objects.update(last_inbound_at=timezone.now() + timedelta(seconds=1))
    fail(conversation, "opted_out", "mid")
    assert Identity.objects.get().suppressed_at is None


# ── what people read ──


def untold(message: Message) -> Untold:
    message.refresh_from_db()
    (entry,) = entries_of(message)
    return Untold(
        message=message.pk,
        contact=uuid.uuid4(),
        conversation=message.conversation_id,
        text=message.text,
        status=message.status,
        error_code=message.error_code,
        error_detail=message.error_detail,
        kind="fake",
        provider_code=entry.provider_code,
    )


@pytest.mark.parametrize("code", FINAL)
def test_the_agent_reads_the_same_by_callback_and_as_an_answer(messenger: FakeMessenger, code: str) -> None:
    kind = next(one for one in SendFailed.__subclasses__() if one.code == code)
    conversation, other = talk(), talk(name="other")
    shown, answered = accepted(conversation, messenger, "mid"), say(other, "part mid")
    fail(conversation, code, "mid")
    messenger.will_answer(kind("Not now.", provider_code=code))
    sender.drain(other.id)
    assert wording(untold(shown)) == wording(untold(answered))
    assert "did not take it" not in wording(untold(shown))
    assert f"Not now. ({code})" in wording(untold(shown))


def test_an_unknown_refusal_is_told_in_the_messengers_words(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    fail(conversation, "31415", "mid")
    assert wording(untold(message)).startswith("Not delivered to the customer: Fake did not take it. Not now. (31415)")


def test_the_page_of_the_conversation_says_why(messenger: FakeMessenger, admin_client: Client) -> None:
    conversation = talk()
    accepted(conversation, messenger, "mid")
    fail(conversation, "window_closed", "mid")
    ChannelAccount.objects.update(kind="whatsapp")  # the pages know real kinds only
    page = admin_client.get(f"/admin/connect_bridge/conversation/{conversation.pk}/change/").content.decode()
    assert "window_closed" in page
    assert "Not now." in page
