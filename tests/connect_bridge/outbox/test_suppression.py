"""Who said STOP is sent nothing, and a messenger's refusals are remembered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channels_app.errors import Blocked, InvalidContent, OptedOut
from connect_bridge.outbox import sender
from customers.consent import ConsentSource, allow_answers, withdraw_all
from customers.models import Consent, Identity
from customers.sql_steps import take_now
from tests.connect_bridge.outbox.kit import FakeMessenger, refusals, say, states_of, talk

pytestmark = pytest.mark.django_db(transaction=True)


def test_after_stop_nothing_is_sent_and_the_agent_is_told_why(messenger: FakeMessenger) -> None:
    chat = talk()
    take_now(withdraw_all(chat.identity_id, ConsentSource(source="customer", topic="STOP")))
    message = say(chat, "Goodbye then", " and thank you")
    sender.drain(chat.id)
    assert messenger.texts == []
    assert states_of(message) == ["failed", "dead", "dead"]
    assert message.error_code == "opted_out"
    assert message.error_detail == "Not sent: the customer asked for no messages (STOP). Their next message lifts that."


def test_who_is_suppressed_holds_up_nobody_else_and_is_written_to_again_once_allowed(messenger: FakeMessenger) -> None:
    stopped, other = talk(), talk(name="other")
    take_now(withdraw_all(stopped.identity_id, ConsentSource(source="customer", topic="STOP")))
    say(stopped, "no")
    say(other, "yes")
    sender.drain_all([stopped.id, other.id])
    take_now(allow_answers(stopped.identity_id, ConsentSource(source="customer", topic="START")))
    say(stopped, "again")
    sender.drain(stopped.id)
    assert messenger.texts == ["yes", "again"]


def test_a_suppression_that_comes_between_the_parts_stops_the_rest(messenger: FakeMessenger) -> None:
    chat = talk()
    message = say(chat, "one", "two")
    messenger.meanwhile = lambda: Identity.objects.update(suppressed_at=datetime.now(UTC))
    sender.drain(chat.id)
    assert messenger.texts == ["one"]
    assert states_of(message) == ["failed", "accepted", "dead"]


def test_an_opt_out_that_the_messenger_knows_of_is_remembered(messenger: FakeMessenger) -> None:
    chat = talk()
    messenger.will_answer(*refusals([OptedOut], code="21610"))
    say(chat, "Hello")
    sender.drain(chat.id)
    identity = Identity.objects.get()
    assert identity.suppressed_by == "opted_out"
    row = Consent.objects.filter(purpose="reply").get()
    assert (row.granted, row.source, row.evidence["provider_code"]) == (False, "messenger", "21610")
    say(chat, "Hello again")
    sender.drain(chat.id)
    assert messenger.texts == ["Hello"]
    assert Consent.objects.filter(purpose="reply").count() == 1


def test_a_block_forbids_what_we_would_begin_and_leaves_answers_to_the_messenger(messenger: FakeMessenger) -> None:
    chat = talk()
    messenger.will_answer(*refusals([Blocked]))
    say(chat, "Hello")
    say(chat, "Hello?")
    sender.drain(chat.id)
    assert messenger.texts == ["Hello", "Hello?"]
    assert set(Consent.objects.values_list("purpose", flat=True)) == {"transactional", "marketing", "invitation"}
    assert Identity.objects.get().suppressed_at is None


def test_other_refusals_say_nothing_about_consent(messenger: FakeMessenger) -> None:
    messenger.will_answer(*refusals([InvalidContent]))
    chat = talk()
    say(chat, "Hello")
    sender.drain(chat.id)
    assert not Consent.objects.exists()
