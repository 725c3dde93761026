from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from connect_bridge import notices
from connect_bridge.gateway import NOTICE_NAME
from connect_bridge.models import Contact, Message, Notice, OutboxEntry
from connect_bridge.notices import Untold, wording
from connect_bridge.resend import send_again
from sandbox.world.faults import Fault
from tests.connect_bridge.test_bridge import Phone, accepted, aws, bridge, bridging, phone, pointed_at, until
from tests.sandbox.conftest import Chatting, RunningWorld

__all__ = ["aws", "bridge", "phone", "pointed_at"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVERY", "APART", "FIRST_WAIT"):
        monkeypatch.setattr(notices, name, 0.1)


def answered(aws: RunningWorld, phone: Phone, *texts: str) -> Chatting:
    """Let the customer write and an agent answer; wait until the answers are captured."""
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    for text in texts:
        agent.say(text)
    until(lambda: OutboxEntry.objects.count() == len(texts), "the answers")
    return agent


def fail(text: str, **more: Any) -> Message:
    """Let the outbox have failed with a message."""
    entry = OutboxEntry.objects.get(text=text)
    why = {"error_code": "window_closed", "error_detail": "Outside the allowed window.", **more}
    OutboxEntry.objects.filter(pk=entry.pk).update(state="dead", provider_code="63016", **why)
    Message.objects.filter(pk=entry.message_id).update(status="failed", settled_at=timezone.now(), **why)
    return entry.message


def items(agent: Chatting) -> list[Any]:
    """Return what the agent sees that is neither theirs nor the customer's nor an event."""
    return [item for item in agent.transcript() if item["Type"] == "MESSAGE" and item["Content"] != "Hello"]


def told(agent: Chatting) -> list[str]:
    return [
        item["Content"]
        for item in items(agent)
        if NOTICE_NAME in (item["DisplayName"], item["Content"][1 : len(NOTICE_NAME) + 1])
    ]


def test_the_agent_reads_in_the_chat_that_a_message_was_not_delivered_and_why(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    fail("Until tomorrow!")
    until(lambda: told(agent), "a notice")
    assert told(agent)[0] == (
        "Not delivered to the customer: the customer last wrote too long ago for WhatsApp (Twilio) to let us answer."
        " Outside the allowed window. (63016)\nYour message: “Until tomorrow!”"
    )
    (item,) = [item for item in items(agent) if item["DisplayName"] == NOTICE_NAME]
    assert item["ParticipantRole"] == "CUSTOM_BOT"
    assert Notice.objects.get().told_at is not None


def test_the_customer_does_not_get_the_notice(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    fail("Until tomorrow!")
    until(lambda: Notice.objects.filter(told_at__isnull=False), "a notice")
    agent.say("Still there?")
    until(lambda: OutboxEntry.objects.filter(text="Still there?"), "the next answer")
    assert list(OutboxEntry.objects.order_by("sequence").values_list("text", flat=True)) == [
        "Until tomorrow!",
        "Still there?",
    ]


def test_another_bridge_that_reads_the_transcript_does_not_send_the_notice_either(aws, pointed_at, phone):
    with bridging():
        agent = answered(aws, phone, "Until tomorrow!")
        fail("Until tomorrow!")
        until(lambda: told(agent), "a notice")
        until(lambda: Notice.objects.filter(told_at__isnull=False), "its row")
    Contact.objects.update(last_item_at=None)
    agent.say("Still there?")
    with bridging():
        until(lambda: OutboxEntry.objects.filter(text="Still there?"), "the next answer")
    assert OutboxEntry.objects.count() == 2


def test_each_message_is_told_once_and_the_place_in_the_chat_is_given_back(aws, bridge, phone):
    agent = answered(aws, phone, "one", "two")
    fail("one")
    fail("two")
    until(lambda: Notice.objects.filter(told_at__isnull=False).count() == 2, "both notices")
    time.sleep(0.5)
    assert len(told(agent)) == 2
    chat = aws.connect.create_participant(
        InstanceId="instance",
        ContactId=Contact.objects.get().contact_id,
        ParticipantDetails={"ParticipantRole": "CUSTOM_BOT", "DisplayName": "a bot of yours"},
    )
    assert chat["ParticipantId"]


def test_where_another_bot_has_the_place_the_agent_hears_through_the_customers_connection(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    aws.connect.create_participant(
        InstanceId="instance",
        ContactId=Contact.objects.get().contact_id,
        ParticipantDetails={"ParticipantRole": "CUSTOM_BOT", "DisplayName": "a bot of yours"},
    )
    fail("Until tomorrow!")
    until(lambda: told(agent), "a notice")
    (text,) = told(agent)
    assert text.startswith(f"[{NOTICE_NAME}] Not delivered to the customer: ")
    until(lambda: Notice.objects.get().route == "customer", "the note of it")
    assert OutboxEntry.objects.count() == 1
    assert Message.objects.count() == 2


def test_a_bridge_that_died_after_it_said_so_does_not_say_it_twice(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notices.store, "NOTICE_TOLD", "SELECT 1/0, %(id)s, %(item)s, %(route)s")
        patch.setattr(notices, "LEASE", 1.0)
        fail("Until tomorrow!")
        until(lambda: told(agent), "a notice")
        time.sleep(0.2)
    until(lambda: Notice.objects.filter(told_at__isnull=False), "its row")
    assert Notice.objects.get().attempts > 1
    assert len(told(agent)) == 1


def test_while_connect_is_too_busy_the_notice_waits(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    aws.world.faults.on.append(Fault(name="throttle", target="CreateParticipant", times=2))
    fail("Until tomorrow!")
    until(lambda: told(agent), "a notice")
    until(lambda: Notice.objects.get().route == "participant", "the note of it")
    assert Notice.objects.get().attempts == 3


def test_without_an_agent_there_is_nobody_to_tell(aws, bridge, phone):
    answered(aws, phone, "Until tomorrow!")
    Contact.objects.update(bot=True)
    fail("Until tomorrow!")
    time.sleep(0.6)
    assert not Notice.objects.exists()


def test_an_uncertain_message_is_told_when_the_messenger_was_asked_for_it(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    message = fail("Until tomorrow!", error_code="unknown_outcome", error_detail="The line broke.")
    message.outbox.update(state="uncertain", look_at=timezone.now())
    Message.objects.filter(pk=message.pk).update(status="uncertain")
    Notice.objects.all().delete()
    time.sleep(0.5)
    heard = len(told(agent))
    message.outbox.update(look_at=None)
    until(lambda: len(told(agent)) > heard, "a notice")
    assert told(agent)[-1].startswith("Perhaps not delivered to the customer: WhatsApp (Twilio) did not confirm it")


def test_what_fails_again_after_a_person_sent_it_again_is_told_again(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    message = fail("Until tomorrow!")
    until(lambda: Notice.objects.filter(told_at__isnull=False), "a notice")
    send_again([message.outbox.get().pk])
    fail("Until tomorrow!")
    until(lambda: len(told(agent)) == 2, "another notice")


@pytest.mark.parametrize("code", ["blocked", "opted_out", "auth", "nobody knows this code"])
def test_every_reason_has_plain_words(code: str) -> None:
    untold = {"message": None, "contact": None, "conversation": None, "kind": "twitter", "provider_code": ""}
    text = wording(Untold(**untold, text="x" * 400, status="failed", error_code=code, error_detail="Words."))
    assert text.startswith("Not delivered to the customer: ")
    assert "{" not in text
    assert text.endswith("x…”")
    assert len(text) < 500
