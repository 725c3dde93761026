"""What Amazon's refusals mean. The codes of every operation that we call are looked up in botocore's own models."""

from __future__ import annotations

import botocore.session
import pytest

from connect_bridge.connect.error_codes import CONTROL, PARTICIPANT, SEND_MESSAGE, meaning
from connect_bridge.connect.gateway import (
    BadRequest,
    GatewayError,
    Invalid,
    QuotaReached,
    Refused,
    SetUp,
    Throttled,
    Unclear,
    Unreachable,
)

CALLS = [
    ("connect", "StartChatContact", CONTROL),
    ("connect", "CreateParticipant", CONTROL),
    ("connectparticipant", "CreateParticipantConnection", PARTICIPANT),
    ("connectparticipant", "GetTranscript", PARTICIPANT),
    ("connectparticipant", "DisconnectParticipant", PARTICIPANT),
    ("connectparticipant", "SendMessage", SEND_MESSAGE),
]


@pytest.mark.parametrize(("service", "operation", "table"), CALLS)
def test_only_the_validation_of_a_message_is_about_the_message(service, operation, table) -> None:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    for shape in model.error_shapes:
        status = shape.metadata["error"]["httpStatusCode"]
        result = meaning(table, operation, shape.name, status)
        about_it = (operation, shape.name) == ("SendMessage", "ValidationException")
        assert isinstance(result, Invalid) == about_it, shape.name


@pytest.mark.parametrize(
    ("table", "code", "status", "expected"),
    [
        (CONTROL, "ResourceNotFoundException", 404, SetUp),
        (CONTROL, "ContactFlowNotPublishedException", 404, SetUp),
        (CONTROL, "InvalidRequestException", 400, BadRequest),
        (CONTROL, "AccessDeniedException", 403, SetUp),
        (CONTROL, "ExpiredTokenException", 400, SetUp),
        (CONTROL, "UnrecognizedClientException", 403, SetUp),
        (CONTROL, "LimitExceededException", 429, QuotaReached),
        (CONTROL, "TooManyRequestsException", 429, Throttled),
        (CONTROL, "ThrottlingException", 400, Throttled),
        (CONTROL, "", 418, Unclear),
        (CONTROL, "Unheard", 404, Unclear),
        (CONTROL, "", 503, Unreachable),
        (PARTICIPANT, "AccessDeniedException", 403, Refused),
        (PARTICIPANT, "ValidationException", 400, Unclear),
        (SEND_MESSAGE, "ValidationException", 400, Invalid),
        (SEND_MESSAGE, "", 400, Unclear),
        (SEND_MESSAGE, "ResourceNotFoundException", 404, Unclear),
        (SEND_MESSAGE, "ConflictException", 409, Unclear),
        (SEND_MESSAGE, "", 408, Unreachable),
        (SEND_MESSAGE, "RequestEntityTooLargeException", 413, Unclear),
        (SEND_MESSAGE, "", 402, QuotaReached),
        (SEND_MESSAGE, "", 407, SetUp),
    ],
)
def test_by_code_then_by_status(table, code: str, status: int, expected: type[GatewayError]) -> None:
    assert type(meaning(table, "X", code, status)) is expected


def test_a_set_up_says_what_to_look_at() -> None:
    assert "connect:StartChatContact" in str(meaning(CONTROL, "StartChatContact", "AccessDeniedException", 403))
