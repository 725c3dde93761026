"""The participant service, asked by a real boto3 client without a signature."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.world.aws_errors import AwsError
from sandbox.world.chat import Chat, Contact
from sandbox.world.chats import Chats
from sandbox.world.receipts import READ, send_event
from sandbox.world.world import World

if TYPE_CHECKING:
    from conftest import RunningWorld

DENIED = ("AccessDeniedException", 403)
INVALID = ("ValidationException", 400)


def test_a_message_gets_an_id_a_time_and_its_place_in_the_transcript(aws: RunningWorld) -> None:
    chat = aws.start()

    sent = chat.say("hello")

    item = chat.transcript()[-1]
    assert (item["Id"], item["AbsoluteTime"]) == (sent["Id"], sent["AbsoluteTime"])
    assert (item["Type"], item["Content"], item["ContentType"]) == ("MESSAGE", "hello", "text/plain")
    assert (item["ParticipantRole"], item["DisplayName"]) == ("CUSTOMER", "Jane")
    assert item["ParticipantId"] == chat.started["ParticipantId"]
    assert item["ContactId"] == chat.contact_id


def test_a_repeated_client_token_says_it_once_on_each_connection(aws: RunningWorld) -> None:
    chat = aws.start()

    first, again = chat.say("hello", ClientToken="m1"), chat.say("hello", ClientToken="m1")
    other = chat.say("hello again", ClientToken="m2")
    token = chat.reconnect()["ConnectionCredentials"]["ConnectionToken"]
    elsewhere = chat.say("hello", ClientToken="m1", ConnectionToken=token)

    assert first["Id"] == again["Id"]
    assert len({first["Id"], other["Id"], elsewhere["Id"]}) == 3
    assert chat.said() == ["hello", "hello again", "hello"]


@pytest.mark.parametrize(
    ("content", "kind", "accepted"),
    [
        ("x" * 16_384, "text/plain", True),
        ("x" * 16_385, "text/plain", False),
        ("ä" * 8_193, "text/plain", False),
        ("", "text/plain", False),
        (" \n", "text/plain", False),
        ("*hi*", "text/markdown", True),
        ("{}", "application/json", False),
        ('{"templateType": "ListPicker"}', "application/vnd.amazonaws.connect.message.interactive", True),
        ("not json", "application/vnd.amazonaws.connect.message.interactive", False),
        ("hi", "text/" + "p" * 100, False),
    ],
)
def test_content_is_limited_in_bytes_and_to_the_types_of_the_chat(
    aws: RunningWorld, *, content: str, kind: str, accepted: bool
) -> None:
    interactive = "application/vnd.amazonaws.connect.message.interactive"
    chat = aws.start(SupportedMessagingContentTypes=["text/plain", "text/markdown", interactive])
    lenient = aws.client("connectparticipant", parameter_validation=False)
    message = {"ContentType": kind, "Content": content, "ConnectionToken": chat.token}

    if accepted:
        assert lenient.send_message(**message)["Id"]
    else:
        assert aws.refused(lenient.send_message, **message) == INVALID


def test_a_wrong_token_is_denied_and_so_is_none(aws: RunningWorld) -> None:
    chat = aws.start()
    message = {"ContentType": "text/plain", "Content": "hi"}

    wrong = aws.refused(aws.participant.send_message, **message, ConnectionToken="wrong")
    swapped = aws.refused(aws.participant.send_message, **message, ConnectionToken=chat.participant_token)
    none = requests.post(f"{aws.url}/participant/message", json=message, timeout=20)

    assert wrong == swapped == DENIED
    assert (none.status_code, none.json()["__type"]) == (403, "AccessDeniedException")


def test_a_connection_token_expires_and_the_participant_token_gets_a_new_one(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"connection_token_lifetime": 0.2})
    chat = aws.start()
    chat.say("in time")
    time.sleep(0.25)

    late = aws.refused(chat.say, text="late")
    chat.connection = chat.reconnect()
    del chat.token
    chat.say("refreshed")

    assert late == DENIED
    assert chat.said() == ["in time", "refreshed"]


def test_after_the_end_every_call_is_denied(aws: RunningWorld) -> None:
    chat = aws.start()
    chat.say("bye")
    aws.participant.disconnect_participant(ConnectionToken=chat.token)

    assert aws.refused(chat.say, text="too late") == DENIED
    assert aws.refused(chat.transcript) == DENIED
    assert aws.refused(chat.reconnect) == DENIED


def test_chatjs_sends_one_constant_token_with_every_receipt_and_none_is_lost(aws: RunningWorld) -> None:
    chat = aws.start()
    first, second = chat.say("one"), chat.say("two")

    for message in (first, second, first):
        chat.event("message.read", json.dumps({"messageId": message["Id"]}), ClientToken="INCOMING_READ_RECEIPT")

    receipts = [item["MessageMetadata"]["Receipts"] for item in chat.transcript() if item["Type"] == "MESSAGE"]
    assert [len(of_message) for of_message in receipts] == [1, 1]
    assert all(of_message[0]["ReadTimestamp"] for of_message in receipts)
    published = [line for line in aws.lines("ws.frame") if line["type"] == "MESSAGEMETADATA"]
    assert len(published) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("message.read", None),
        ("message.read", "not json"),
        ("message.read", '{"messageId": "nobody"}'),
        ("chat.ended", None),
        ("connection.acknowledged", None),
    ],
)
def test_events_that_a_participant_may_not_send(aws: RunningWorld, name: str, content: Any) -> None:
    assert aws.refused(aws.start().event, name=name, content=content) == INVALID


async def test_receipts_conflict_when_more_than_two_are_present() -> None:
    chats = Chats(World(base_url=""))
    chat = Chat("contact", "instance", "flow", [Contact("contact")])
    customer = chats.open(chat, "Jane")
    chats.join(chat, "AGENT", "Ann")
    message = chats.say(chat, "hello")
    content = json.dumps({"messageId": message.id})
    send_event(chats, customer, READ, content)
    chats.join(chat, "SUPERVISOR", "Sue")

    with pytest.raises(AwsError) as refused:
        send_event(chats, customer, READ, content)
    assert (refused.value.code, refused.value.status) == ("ConflictException", 409)
    chats.forget()


def test_a_participant_token_is_no_connection_token(aws: RunningWorld) -> None:
    chat = aws.start()
    said = {"ContentType": "text/plain", "Content": "hello", "ConnectionToken": chat.participant_token}
    assert aws.refused(aws.participant.send_message, **said) == DENIED


def test_typing_is_not_in_the_transcript(aws: RunningWorld) -> None:
    chat = aws.start()
    assert chat.event("typing")["Id"]
    assert chat.transcript() == []


def test_a_connection_needs_a_type_that_chats_have(aws: RunningWorld) -> None:
    token = {"ParticipantToken": aws.start().participant_token}
    connect = aws.participant.create_participant_connection

    assert aws.refused(connect, **token) == INVALID
    assert aws.refused(connect, **token, Type=["WEBRTC_CONNECTION"]) == INVALID
    assert aws.refused(connect, **token, Type=["PIGEON"]) == INVALID
    assert aws.refused(connect, ParticipantToken="wrong", Type=["WEBSOCKET"]) == DENIED


def test_a_processor_rewrites_texts_in_flight_and_the_id_stays(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"rewrites": {r"\d{4} \d{4}": "[CARD]"}})
    chat = aws.start()
    sent = chat.say("it is 1111 2222")
    [item] = [item for item in chat.transcript() if item["Type"] == "MESSAGE"]

    assert (item["Id"], item["Content"]) == (sent["Id"], "it is [CARD]")
    assert sent["MessageMetadata"] == {"MessageProcessingStatus": "PROCESSING"}


@pytest.mark.parametrize(("in_answer", "status"), [(False, "PROCESSING"), (True, "REJECTED")])
async def test_a_processor_passes_texts_on_to_nobody(aws: RunningWorld, *, in_answer: bool, status: str) -> None:
    aws.call("PUT", "/world/settings", {"refuses_in_flight": {"swear": "REJECTED"}, "told_in_answer": in_answer})
    chat = aws.start()
    async with chat.line():
        agent = aws.accept(chat.contact_id, aws.agent())
        sent, before = chat.say("I swear"), agent.said()
        item = chat.transcript()[-1]

    assert sent["MessageMetadata"] == {"MessageProcessingStatus": status}
    assert (item["Id"], item["MessageMetadata"]["MessageProcessingStatus"]) == (sent["Id"], "REJECTED")
    assert "I swear" not in before


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
def test_connects_clock_may_be_another_than_ours(aws: RunningWorld, ahead: float) -> None:
    aws.call("PUT", "/world/settings", {"clock_ahead": ahead})
    chat, began = aws.start(), time.time()
    sent = datetime.fromisoformat(chat.say("hello")["AbsoluteTime"]).timestamp()
    expiry = datetime.fromisoformat(chat.connection["ConnectionCredentials"]["Expiry"]).timestamp()

    assert abs(sent - began - ahead) < 60
    assert abs(expiry - began - ahead - 86_400) < 60
    assert [item["Content"] for item in chat.transcript() if item["Type"] == "MESSAGE"] == ["hello"]
