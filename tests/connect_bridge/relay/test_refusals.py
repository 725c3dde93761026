"""What Connect refuses: what waits for a person to mend it, and what fails, alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connect_bridge.bridge.process import Bridge
from connect_bridge.connect.gateway import Invalid
from connect_bridge.models import Contact, Message
from connect_bridge.relay import relay
from tests.connect_bridge.kit import accepted, bridging, until
from tests.connect_bridge.relay.kit import refusing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY_MOST", 0.2)


def tried(text: str, more: int = 1) -> int:
    """Wait until the message was tried so much more often; return how often in all."""
    waiting = until(lambda: Message.objects.filter(text=text).first(), "the message")
    before = waiting.attempts
    return until(lambda: tries if (tries := attempts(text)) >= before + more else 0, "more attempts")


def attempts(text: str) -> int:
    return Message.objects.get(text=text).attempts


def long_ago(text: str) -> None:
    Message.objects.filter(text=text).update(created_at=timezone.now() - timedelta(hours=5))


SET_UP = [
    (400, "InvalidRequestException"),
    (400, "InvalidParameterException"),
    (403, "AccessDeniedException"),
    (403, "UnrecognizedClientException"),
    (400, "ExpiredTokenException"),
    (404, "ResourceNotFoundException"),
]
UNKNOWN = [(409, "ConflictException"), (413, "RequestEntityTooLargeException"), (418, "Unheard")]


@pytest.mark.parametrize(("status", "code"), [*SET_UP, *UNKNOWN, (402, "ServiceQuotaExceededException")])
def test_a_chat_that_is_refused_waits_for_hours_and_begins_when_that_is_mended(aws, bridge, phone, status, code):
    fault = refusing(aws, "StartChatContact", status, code)
    phone.write("Hello")
    tried("Hello")
    long_ago("Hello")
    tried("Hello", 6)
    waiting = Message.objects.get()
    assert waiting.status == "stored"
    assert code in waiting.error_detail
    expected = {402: "connect_quota", 409: "connect_unclear", 413: "connect_unclear", 418: "connect_unclear"}
    assert waiting.error_code == expected.get(status, "connect_set_up")
    assert Contact.objects.get().state == "requested"
    aws.world.faults.on.remove(fault)
    assert until(accepted(aws, aws.agent()).said, "the message") == ["Hello"]


@pytest.mark.parametrize(
    ("status", "code"), [*UNKNOWN, (404, "ResourceNotFoundException"), (408, "RequestTimeoutException"), (402, "")]
)
def test_a_message_that_is_refused_for_who_knows_what_waits_in_its_place(aws, bridge, phone, status, code):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(agent.said, "the first")
    fault = refusing(aws, "SendMessage", status, code)
    phone.write("second", "third")
    tried("second")
    long_ago("second")
    tried("second", 6)
    assert set(Message.objects.exclude(text="Hello").values_list("status", flat=True)) == {"stored"}
    aws.world.faults.on.remove(fault)
    until(lambda: len(agent.said()) >= 3, "the others")
    assert agent.said() == ["Hello", "second", "third"]


def answering(bridge: Bridge, text: str, refusal: Callable[[], Exception]) -> None:
    """Let Connect refuse this one text."""
    participants = bridge.runtime.participants
    send = participants.send_message

    async def send_message(token: str, said: str, client_token: str) -> str:
        if said == text:
            raise refusal()
        return await send(token, said, client_token)

    participants.send_message = send_message


def test_a_message_whose_content_is_refused_fails_alone(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(agent.said, "the first")
    answering(bridge, "bad", lambda: Invalid("Amazon Connect refused /participant/message: ValidationException (400)"))
    phone.write("bad", "good")
    until(lambda: agent.said() == ["Hello", "good"], "the next one")
    assert Message.objects.get(text="bad").status == "failed"


def test_what_is_refused_as_the_first_message_is_tried_by_itself(aws, bridge, phone):
    until(lambda: hasattr(bridge, "runtime"), "a bridge that is up")
    start = bridge.runtime.control.start_chat
    asked: list[str] = []

    async def start_chat(request: Any) -> Any:
        asked.append(request.initial_message)
        if request.initial_message:
            fault = refusing(aws, "StartChatContact", 400, "InvalidRequestException", 1)
            try:
                return await start(request)
            finally:
                aws.world.faults.on.remove(fault)
        return await start(request)

    bridge.runtime.control.start_chat = start_chat
    phone.write("odd", "next")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["odd", "next"], "both")
    assert asked == ["odd", "odd", ""]


def test_a_chat_into_which_nobody_is_let_is_followed_by_others_ever_later(aws, bridge, phone):
    fault = refusing(aws, "CreateParticipantConnection", 403, "AccessDeniedException")
    phone.write("Hello")
    until(lambda: Contact.objects.count() == 2, "a second chat")
    time.sleep(1.5)
    assert Contact.objects.count() == 2
    waiting = Message.objects.get()
    assert (waiting.status, waiting.error_code) == ("stored", "connect_refused")
    aws.world.faults.on.remove(fault)
    until(lambda: Message.objects.get().status == "relayed", "the cure")


def test_a_403_that_is_not_connects_own_ends_no_chat(aws, bridge, phone, monkeypatch):
    from connect_bridge.connect import participant_api

    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(agent.said, "the first")
    real = participant_api._meaning
    monkeypatch.setattr(
        participant_api, "_meaning", lambda table, path, answer, _raw: real(table, path, answer, b"<html>")
    )
    fault = refusing(aws, "SendMessage", 403, "AccessDeniedException")
    phone.write("second")
    tried("second", 2)
    assert Contact.objects.get().state == "connected"
    aws.world.faults.on.remove(fault)
    until(lambda: agent.said() == ["Hello", "second"], "the second")


def test_a_chat_that_nothing_is_left_to_begin_is_given_up(aws, pointed_at, phone):
    """A bridge may die between the failure of a chat's first message and noting that there is no chat then."""
    with bridging():
        phone.write("Hello")
        accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    Contact.objects.update(state="requested", participant_token="", connection_token="")
    with bridging():
        until(lambda: Contact.objects.get().state == "failed", "the chat given up")
        phone.write("Hello again")
        until(lambda: Contact.objects.filter(state="connected").exists(), "another chat")
