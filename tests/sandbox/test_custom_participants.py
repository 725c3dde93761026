"""Custom participants: who may join a chat, when, and until when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import RunningWorld


def test_a_contact_streams_to_two_topics_at_most(aws: RunningWorld) -> None:
    chat = aws.start()
    contact = {"InstanceId": "instance", "ContactId": chat.contact_id}

    def stream(name: str) -> str:
        arn = {"StreamingEndpointArn": f"arn:aws:sns:us-east-1:000000000000:{name}"}
        streaming = aws.connect.start_contact_streaming(**contact, ChatStreamingConfiguration=arn, ClientToken=name)
        return streaming["StreamingId"]

    assert stream("one") == stream("one") != stream("two")
    with pytest.raises(ClientError, match="LimitExceededException"):
        stream("three")
    aws.connect.stop_contact_streaming(**contact, StreamingId=stream("one"))
    stream("three")


def test_a_customer_is_connected_without_a_socket_only_while_streaming(aws: RunningWorld) -> None:
    chat = aws.start()

    connecting = {"ConnectParticipant": True, "ParticipantToken": chat.participant_token}

    assert aws.refused(aws.participant.create_participant_connection, **connecting) == ("ValidationException", 400)


def test_one_custom_bot_may_join_and_nobody_else(aws: RunningWorld) -> None:
    chat = aws.start()
    aws.stream(chat.contact_id)
    contact = {"InstanceId": "instance", "ContactId": chat.contact_id}
    bot = {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Robbie"}

    added = aws.connect.create_participant(**contact, ParticipantDetails=bot)
    connection = aws.participant.create_participant_connection(
        Type=["CONNECTION_CREDENTIALS"], ParticipantToken=added["ParticipantCredentials"]["ParticipantToken"]
    )
    token = connection["ConnectionCredentials"]["ConnectionToken"]
    aws.participant.send_message(ContentType="text/plain", Content="beep", ConnectionToken=token)

    assert chat.transcript()[-1]["ParticipantRole"] == "CUSTOM_BOT"
    second = aws.refused(aws.connect.create_participant, **contact, ParticipantDetails=bot)
    assert second == ("ServiceQuotaExceededException", 402)
    agent = aws.refused(aws.connect.create_participant, **contact, ParticipantDetails={"ParticipantRole": "AGENT"})
    assert agent == ("InvalidRequestException", 400)


ROBBIE = {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Robbie"}


def custom(aws: RunningWorld, contact_id: str, **details: Any) -> dict[str, Any]:
    params = {"InstanceId": "instance", "ContactId": contact_id, "ParticipantDetails": ROBBIE | details}
    return aws.connect.create_participant(**params)


def arrived(aws: RunningWorld, added: dict[str, Any]) -> dict[str, Any]:
    """Connect a custom participant as the guide says."""
    token = added["ParticipantCredentials"]["ParticipantToken"]
    kinds = {"Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": True}
    return aws.participant.create_participant_connection(**kinds, ParticipantToken=token)


REFUSED = ("InvalidRequestException", 400)
DENIED = ("AccessDeniedException", 403)


def test_no_custom_participant_without_streaming(aws: RunningWorld) -> None:
    chat = aws.start()
    assert aws.refused(custom, aws=aws, contact_id=chat.contact_id) == REFUSED


@pytest.mark.parametrize("details", [{"ParticipantRole": "AGENT"}, {"DisplayName": " "}])
def test_a_custom_participant_has_its_role_and_a_name(aws: RunningWorld, details: dict[str, str]) -> None:
    chat = aws.start()
    aws.stream(chat.contact_id)
    assert aws.refused(custom, aws=aws, contact_id=chat.contact_id, **details) == REFUSED


@pytest.mark.parametrize("flow", [{"bot": True}, {"auto_accept": "robot"}])
def test_no_custom_participant_while_an_agent_or_a_lex_bot_is_there(aws: RunningWorld, flow: dict[str, Any]) -> None:
    aws.call("PUT", "/world/flows/flow", flow)
    chat = aws.start()
    aws.stream(chat.contact_id)
    robbie = arrived(aws, custom(aws, chat.contact_id))["ConnectionCredentials"]["ConnectionToken"]
    aws.participant.send_message(ContentType="text/plain", Content="beep", ConnectionToken=robbie)

    aws.participant.create_participant_connection(ConnectParticipant=True, ParticipantToken=chat.participant_token)

    said = {"ContentType": "text/plain", "Content": "boop", "ConnectionToken": robbie}
    assert aws.refused(aws.participant.send_message, **said) == DENIED, "one that was there is disconnected"
    assert aws.refused(custom, aws=aws, contact_id=chat.contact_id) == REFUSED


def test_a_custom_participant_connects_in_time_or_is_gone(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"custom_participant_connects_within": 0.2})
    chat = aws.start()
    aws.stream(chat.contact_id)
    late = custom(aws, chat.contact_id)
    time.sleep(0.6)

    assert aws.refused(arrived, aws=aws, added=late) == DENIED
    in_time = arrived(aws, custom(aws, chat.contact_id))["ConnectionCredentials"]["ConnectionToken"]
    time.sleep(0.6)
    aws.participant.send_message(ContentType="text/plain", Content="beep", ConnectionToken=in_time)


def test_a_custom_participant_is_added_once_for_each_client_token(aws: RunningWorld) -> None:
    chat = aws.start()
    aws.stream(chat.contact_id)
    details = {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "a bot"}
    params = {"InstanceId": "instance", "ContactId": chat.contact_id, "ParticipantDetails": details}

    first, again = (aws.connect.create_participant(**params, ClientToken="one") for _ in range(2))

    assert first["ParticipantId"] == again["ParticipantId"]
    assert (
        aws.refused(aws.connect.create_participant, **params, ClientToken="two")[0] == "ServiceQuotaExceededException"
    )
