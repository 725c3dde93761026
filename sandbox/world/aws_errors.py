"""AWS's error answers."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from aiohttp import web

#: Statuses of the error codes (botocore's service models; reference: Amazon Connect API Reference, Common Errors).
STATUSES = {
    "AccessDeniedException": 403,
    "BatchSizeLimitExceededException": 400,
    "ConflictException": 409,
    "ContactFlowNotPublishedException": 404,
    "ContactNotFoundException": 410,
    "InternalServerException": 500,
    "InternalServiceException": 500,
    "InvalidParameterException": 400,
    "InvalidRequestException": 400,
    "LimitExceededException": 429,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "SerializationException": 400,
    "ServiceQuotaExceededException": 402,
    "TextSizeLimitExceededException": 400,
    "ThrottlingException": 429,
    "TooManyRequestsException": 429,
    "UnknownOperationException": 404,
    "UnsupportedLanguageException": 400,
    "ValidationException": 400,
}


class AwsError(Exception):
    """A refusal by a simulated service. `more` are further members of the error's shape, such as Reason."""

    def __init__(self, code: str, message: str, status: int = 0, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUSES.get(code, 400)
        self.more = more


def access_denied() -> AwsError:
    """Return what the participant service says to a bad or expired token, and after the end of a chat."""
    return AwsError("AccessDeniedException", "Access denied")


def answer(status: int, body: Any) -> web.Response:
    """Return a JSON answer with AWS's request id."""
    return web.Response(
        status=status,
        body=b"" if body is None else msgspec.json.encode(body),
        content_type="application/json",
        headers={"x-amzn-RequestId": str(uuid.uuid4())},
    )


def refusal(error: AwsError, member: str = "Message") -> web.Response:
    """Return the error as AWS writes it: the code in a header and in `__type`, the text under `member`."""
    response = answer(error.status, {"__type": error.code, member: error.message, **error.more})
    response.headers["x-amzn-ErrorType"] = error.code
    return response
