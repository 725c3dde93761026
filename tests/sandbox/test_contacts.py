"""Amazon Connect's control plane, asked by a real boto3 client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import RunningWorld


JANE = {"DisplayName": "Jane"}
REQUEST = {"InstanceId": "instance", "ContactFlowId": "flow", "ParticipantDetails": JANE}


def test_starting_gives_a_contact_and_tokens_of_the_documented_length(aws: RunningWorld) -> None:
    started = aws.connect.start_chat_contact(**REQUEST, ConnectionTypes=["WEBSOCKET", "CONNECTION_CREDENTIALS"])

    assert len(started["ContactId"]) == len(started["ParticipantId"]) == 36
    assert 100 < len(started["ParticipantToken"]) <= 1000
    assert started["Websocket"]["Url"].startswith("ws://127.0.0.1:")
    assert started["ConnectionCredentials"]["Expiry"].endswith("Z")


def test_a_repeated_client_token_returns_the_same_contact_even_when_it_is_over(aws: RunningWorld) -> None:
    first = aws.connect.start_chat_contact(**REQUEST, ClientToken="session-1")
    again = aws.connect.start_chat_contact(**REQUEST, ClientToken="session-1")
    aws.connect.stop_contact(InstanceId="instance", ContactId=first["ContactId"])
    after_the_end = aws.connect.start_chat_contact(**REQUEST, ClientToken="session-1")

    assert first["ContactId"] == again["ContactId"] == after_the_end["ContactId"]
    assert aws.start(ClientToken="session-2").contact_id != first["ContactId"]
    denied = aws.refused(
        aws.participant.create_participant_connection, Type=["WEBSOCKET"], ParticipantToken=first["ParticipantToken"]
    )
    assert denied == ("AccessDeniedException", 403)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ParticipantDetails": {"DisplayName": "J" * 257}}, "InvalidParameterException"),
        ({"ClientToken": "t" * 501}, "InvalidParameterException"),
        ({"ChatDurationInMinutes": 59}, "InvalidParameterException"),
        ({"Attributes": {"not allowed": "x"}}, "InvalidParameterException"),
        ({"Attributes": {"big": "ä" * 16_384}}, "InvalidParameterException"),
        ({"SupportedMessagingContentTypes": ["text/markdown"]}, "InvalidRequestException"),
        ({"InitialMessage": {"ContentType": "text/markdown", "Content": "*hi*"}}, "InvalidRequestException"),
        ({"PersistentChat": {"SourceContactId": "nobody"}}, "InvalidRequestException"),
        ({"PersistentChat": {"SourceContactId": "x"}, "RelatedContactId": "y"}, "InvalidRequestException"),
        ({"InitialMessage": {"ContentType": "text/plain", "Content": " \n"}}, "InvalidRequestException"),
        ({"InitialMessage": {"ContentType": "text/plain", "Content": "ä" * 8_193}}, "InvalidRequestException"),
        ({"ParticipantDetails": {"DisplayName": " "}}, "InvalidRequestException"),
        ({"SupportedMessagingContentTypes": ["text/plain", "text/html"]}, "InvalidRequestException"),
    ],
)
def test_what_the_model_forbids_is_refused_with_its_errors(
    aws: RunningWorld, change: dict[str, Any], code: str
) -> None:
    lenient = aws.client("connect", parameter_validation=False)

    assert aws.refused(lenient.start_chat_contact, **(REQUEST | change)) == (code, 400)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"InstanceId": "i"}', "InvalidRequestException"),
        (b'{"InstanceId": "i", "ContactFlowId": "f", "ParticipantDetails": {"DisplayName": "J"}, "Nonsense": 1}', None),
        (b'{"InstanceId": 7, "ContactFlowId": "f", "ParticipantDetails": {"DisplayName": "J"}}', None),
        (b"[]", "SerializationException"),
        (b"{", "SerializationException"),
        (b'{"InstanceId": "\xff"}', "SerializationException"),
        (b'{"InstanceId": ' + b"[" * 5000, "SerializationException"),
    ],
)
def test_missing_and_unknown_members_and_broken_json_are_refused(
    aws: RunningWorld, body: bytes, code: str | None
) -> None:
    response = requests.put(f"{aws.url}/contact/chat", data=body, timeout=20)

    assert response.status_code == 400
    assert response.headers["x-amzn-ErrorType"] == response.json()["__type"] == (code or "InvalidRequestException")
    assert response.json()["Message"]


def test_stopping_ends_a_chat_in_any_state_and_only_once(aws: RunningWorld) -> None:
    chat = aws.start()
    aws.connect.stop_contact(InstanceId="instance", ContactId=chat.contact_id)

    again = aws.refused(aws.connect.stop_contact, InstanceId="instance", ContactId=chat.contact_id)
    assert again == ("ContactNotFoundException", 410)
    contact = aws.connect.describe_contact(InstanceId="instance", ContactId=chat.contact_id)["Contact"]
    assert contact["DisconnectTimestamp"] >= contact["InitiationTimestamp"]


def test_attributes_are_merged_and_readable_after_the_end(aws: RunningWorld) -> None:
    chat = aws.start(Attributes={"channel": "twitter", "lang": "en"})
    aws.connect.stop_contact(InstanceId="instance", ContactId=chat.contact_id)
    contact = {"InstanceId": "instance", "InitialContactId": chat.contact_id}

    aws.connect.update_contact_attributes(**contact, Attributes={"lang": "de"})

    attributes = aws.connect.get_contact_attributes(**contact)["Attributes"]
    assert attributes == {"channel": "twitter", "lang": "de"}
    too_big = aws.refused(aws.connect.update_contact_attributes, **contact, Attributes={"x": "y" * 32_768})
    assert too_big == ("InvalidParameterException", 400)
    nobody = aws.refused(aws.connect.get_contact_attributes, InstanceId="instance", InitialContactId="nobody")
    assert nobody == ("ResourceNotFoundException", 404)


def test_describe_follows_a_contact_through_queue_agent_and_transfer(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"auto_accept": "robot"})
    chat = aws.start(CustomerId="customer-1")
    arn = "arn:aws:sns:us-east-1:000000000000:chat"
    streaming = {"InstanceId": "instance", "ContactId": chat.contact_id, "ClientToken": "1"}
    aws.connect.start_contact_streaming(**streaming, ChatStreamingConfiguration={"StreamingEndpointArn": arn})
    aws.participant.create_participant_connection(
        Type=["CONNECTION_CREDENTIALS"], ConnectParticipant=True, ParticipantToken=chat.participant_token
    )

    first = aws.connect.describe_contact(InstanceId="instance", ContactId=chat.contact_id)["Contact"]
    moved = aws.call("POST", f"/ccp/contacts/{chat.contact_id}/transfer", {"agent_id": "robot", "queue": "Billing"})
    second = aws.connect.describe_contact(InstanceId="instance", ContactId=moved["contact_id"])["Contact"]

    assert first["AgentInfo"]["Id"] == "robot"
    assert (first["Channel"], first["InitiationMethod"], first["CustomerId"]) == ("CHAT", "API", "customer-1")
    assert moved["initial_contact_id"] == second["InitialContactId"] == second["PreviousContactId"] == chat.contact_id
    assert (second["InitiationMethod"], second["QueueInfo"]["Id"]) == ("TRANSFER", "Billing")


def test_a_persistent_chat_brings_its_past_along(aws: RunningWorld) -> None:
    old = aws.start(InitialMessage={"ContentType": "text/plain", "Content": "my first visit"})
    source = {"SourceContactId": old.contact_id, "RehydrationType": "ENTIRE_PAST_SESSION"}
    too_early = aws.refused(aws.connect.start_chat_contact, **REQUEST, PersistentChat=source)
    aws.connect.stop_contact(InstanceId="instance", ContactId=old.contact_id)

    new = aws.start(PersistentChat=source)
    new.say("I am back")

    assert too_early == ("InvalidRequestException", 400)
    assert new.started["ContinuedFromContactId"] == old.contact_id
    past = [item for item in new.transcript() if item.get("RelatedContactId")]
    assert past[0]["Content"] == "my first visit"
    assert past[0]["RelatedContactId"] == old.contact_id
    assert new.said() == ["my first visit", "I am back"]
    beginning = {"StartPosition": {"AbsoluteTime": "2020-01-01T00:00:00.000Z"}}
    assert "my first visit" not in [item.get("Content") for item in new.transcript(**beginning)]
    backwards = new.transcript(StartPosition={"MostRecent": 1}, ScanDirection="BACKWARD")
    assert "my first visit" not in [item.get("Content") for item in backwards]


def test_the_quota_of_concurrent_chats_frees_itself(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"quotas": True, "concurrent_chats": 1, "rates": {"StartChatContact": [99, 99]}})
    chat = aws.start()

    assert aws.refused(aws.connect.start_chat_contact, **REQUEST) == ("LimitExceededException", 429)
    aws.connect.stop_contact(InstanceId="instance", ContactId=chat.contact_id)
    aws.start()


def test_waiting_times_come_from_the_queue_or_from_the_world(aws: RunningWorld) -> None:
    filters = {"Queues": ["Support"], "Channels": ["CHAT"]}
    asked = {"InstanceId": "instance", "Filters": filters, "CurrentMetrics": [{"Name": "ESTIMATED_WAIT_TIME"}]}

    def wait() -> Any:
        answer = aws.connect.get_current_metric_data(**asked, Groupings=["QUEUE", "CHANNEL"])
        return answer["MetricResults"][0]["Collections"][0].get("Value")

    assert wait() is None
    aws.agent()
    assert wait() == 0
    aws.call("PUT", "/world/metrics", {"ESTIMATED_WAIT_TIME": 600})
    assert wait() == 600
    assert aws.refused(aws.connect.get_current_metric_data, **asked) == ("InvalidRequestException", 400)


def test_the_standard_retries_of_boto3_ride_out_a_throttle(aws: RunningWorld) -> None:
    aws.call("POST", "/world/faults", {"name": "throttle", "target": "StartChatContact", "times": 1})
    patient = aws.client("connect", retries={"mode": "standard", "total_max_attempts": 3})

    patient.start_chat_contact(**REQUEST, ClientToken="patient")

    assert [line["status"] for line in aws.lines("connect.StartChatContact")] == [429, 200]


def test_every_instance_and_every_flow_is_there(aws: RunningWorld) -> None:
    instance = aws.connect.describe_instance(InstanceId="instance")["Instance"]
    flow = aws.connect.describe_contact_flow(InstanceId="instance", ContactFlowId="flow")["ContactFlow"]

    assert (instance["Id"], instance["InstanceStatus"]) == ("instance", "ACTIVE")
    assert (flow["Id"], flow["State"]) == ("flow", "ACTIVE")
