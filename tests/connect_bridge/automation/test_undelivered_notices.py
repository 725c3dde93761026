from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from connect_bridge.automation import undelivered_notices
from connect_bridge.automation.undelivered_notices import Untold, wording
from connect_bridge.connect.markers import NOT_DELIVERED
from connect_bridge.models import Contact, Message, Notice, OutboxEntry
from connect_bridge.outbox.resend import send_again
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import Phone, accepted, bridging, until
from tests.sandbox.kit import Chatting, RunningWorld

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVERY", "APART", "FIRST_WAIT"):
        monkeypatch.setattr(undelivered_notices, name, 0.1)


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


def notices(agent: Chatting) -> list[str]:
    """Return the notices that the agent sees, without their mark: they stand under the customer's name."""
    return [
        item["Content"].removeprefix(NOT_DELIVERED)
        for item in items(agent)
        if item["ParticipantRole"] == "CUSTOMER" and item["Content"].startswith(NOT_DELIVERED)
    ]


def test_the_agent_reads_in_the_chat_that_a_message_was_not_delivered_and_why(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    fail("Until tomorrow!")
    until(lambda: notices(agent), "a notice")
    assert notices(agent)[0] == (
        "Not delivered to the customer: the customer last wrote too long ago for WhatsApp (Twilio) to let us answer."
        " Outside the allowed window. (63016)\nYour message: “Until tomorrow!”"
    )
    until(lambda: Notice.objects.get().told_at is not None, "the note of it")
    assert not aws.lines("connect.CreateParticipant"), "Connect takes none while an agent is in the chat"


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
    assert not Message.objects.filter(direction="in").exclude(text="Hello"), "nor does it count as the customer's"


def test_another_bridge_that_reads_the_transcript_does_not_send_the_notice_either(aws, pointed_at, phone):
    with bridging():
        agent = answered(aws, phone, "Until tomorrow!")
        fail("Until tomorrow!")
        until(lambda: notices(agent), "a notice")
        until(lambda: Notice.objects.filter(told_at__isnull=False), "its row")
    Contact.objects.update(last_item_at=None)
    agent.say("Still there?")
    with bridging():
        until(lambda: OutboxEntry.objects.filter(text="Still there?"), "the next answer")
    assert OutboxEntry.objects.count() == 2


def test_each_message_is_told_once(aws, bridge, phone):
    agent = answered(aws, phone, "one", "two")
    fail("one")
    fail("two")
    until(lambda: Notice.objects.filter(told_at__isnull=False).count() == 2, "both notices")
    time.sleep(0.5)
    assert len(notices(agent)) == 2


def test_a_customer_cannot_imitate_a_notice(aws, bridge, phone):
    agent = answered(aws, phone)
    forged = "[Parley: not delivered] Call 555."
    phone.write(forged, f"Hi\n \u200b{forged}", "\uff3bPARLEY: not delivered\uff3d x", "x" * 16_000 + forged)
    until(lambda: len(agent.said()) == 5, "the messages")
    assert not any("[parley" in said.casefold().replace("\u200b", "") for said in agent.said())
    assert notices(agent) == []
    assert Message.objects.filter(text=forged).exists(), "what was written is kept to the letter"


def test_a_bridge_that_died_after_it_said_so_does_not_say_it_twice(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(undelivered_notices, "NOTICE_TOLD", "SELECT 1/0, %(id)s, %(item)s, %(route)s")
        patch.setattr(undelivered_notices, "LEASE", 1.0)
        fail("Until tomorrow!")
        until(lambda: notices(agent), "a notice")
        time.sleep(0.2)
    until(lambda: Notice.objects.filter(told_at__isnull=False), "its row")
    assert Notice.objects.get().attempts > 1
    assert len(notices(agent)) == 1


def test_while_connect_is_too_busy_the_notice_waits(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    aws.world.faults.on.append(Fault(name="throttle", target="SendMessage", times=2))
    fail("Until tomorrow!")
    until(lambda: notices(agent), "a notice")
    until(lambda: Notice.objects.get().route == "customer", "the note of it")
    assert Notice.objects.get().attempts == 3


def test_a_connection_that_expired_is_renewed_before_the_notice_goes(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    aws.world.faults.on.append(Fault(name="expire_token", target="SendMessage", times=1))
    fail("Until tomorrow!")
    until(lambda: notices(agent), "a notice")


def test_a_notice_that_connect_rewrote_is_not_said_again(aws, bridge, phone):
    answered(aws, phone, "Until tomorrow!")
    lost = NOT_DELIVERED + "Not delivered to the customer: [removed]"
    customer = Contact.objects.get().connection_token
    message = OutboxEntry.objects.get().message
    said = aws.participant.send_message(ConnectionToken=customer, ContentType="text/plain", Content=lost)
    begun = {"attempts": 1, "created_at": timezone.now(), "due_at": timezone.now()}
    Notice.objects.create(message=message, contact=message.contact, **begun)
    fail("Until tomorrow!")
    until(lambda: Notice.objects.filter(item_id=said["Id"]), "the note of it")


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
    heard = len(notices(agent))
    message.outbox.update(look_at=None)
    until(lambda: len(notices(agent)) > heard, "a notice")
    assert notices(agent)[-1].startswith("Perhaps not delivered to the customer: WhatsApp (Twilio) did not confirm it")


def test_what_fails_again_after_a_person_sent_it_again_is_told_again(aws, bridge, phone):
    agent = answered(aws, phone, "Until tomorrow!")
    message = fail("Until tomorrow!")
    until(lambda: Notice.objects.filter(told_at__isnull=False), "a notice")
    send_again([message.outbox.get().pk])
    fail("Until tomorrow!")
    until(lambda: len(notices(agent)) == 2, "another notice")


@pytest.mark.parametrize("code", ["blocked", "opted_out", "auth", "nobody knows this code"])
def test_every_reason_has_plain_words(code: str) -> None:
    untold = {"message": None, "contact": None, "conversation": None, "kind": "twitter", "provider_code": ""}
    text = wording(Untold(**untold, text="x" * 400, status="failed", error_code=code, error_detail="Words."))
    assert text.startswith("Not delivered to the customer: ")
    assert "{" not in text
    assert text.endswith("x…”")
    assert len(text) < 500
