"""What the SDK of AWS raises becomes one family of errors, whose text never holds what was asked."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from connect_bridge.aws import (
    AwsError,
    AwsNoIdentity,
    AwsNotConnected,
    AwsRefused,
    AwsUnanswered,
    AwsUnreadable,
    aws_errors,
    forget_clients,
    shared_client,
)


def refusal(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "my secret words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Publish")


def raised(failure: Exception) -> AwsError:
    with pytest.raises(AwsError) as caught, aws_errors("Publish"):
        raise failure
    return caught.value


def test_a_refusal_has_amazons_code_and_status_and_says_nothing_of_the_request() -> None:
    error = raised(refusal("AccessDeniedException", 403))
    assert isinstance(error, AwsRefused)
    assert (error.code, error.status) == ("AccessDeniedException", 403)
    assert "secret" not in str(error)
    assert "secret" in error.detail


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (NoCredentialsError(), AwsNoIdentity),
        (EndpointConnectionError(endpoint_url="https://connect.parley.test"), AwsNotConnected),
        (ReadTimeoutError(endpoint_url="https://connect.parley.test"), AwsUnanswered),
        (ResponseParserError("<html>"), AwsUnreadable),
        (BotoCoreError(), AwsUnanswered),
    ],
    ids=["no credentials", "no connection", "no answer in time", "unreadable", "anything else"],
)
def test_where_there_is_no_answer_the_error_says_why(failure: Exception, expected: type[AwsUnanswered]) -> None:
    error = raised(failure)
    assert type(error) is expected
    assert error.kind == type(failure).__name__


def test_what_is_no_error_of_the_sdk_passes() -> None:
    with pytest.raises(KeyError), aws_errors("Publish"):
        raise KeyError


def test_a_client_is_made_once_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    forget_clients()
    first = shared_client("sqs")
    assert shared_client("sqs") is first
    forget_clients()
    assert shared_client("sqs") is not first
    forget_clients()
