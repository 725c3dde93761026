"""What Amazon's refusals mean: one table for each service, by code, then by status.

The codes are those of botocore's service models and of AWS's page Common Error Types. What is in no table waits: that
an answer is unknown says nothing about the message. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

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

Table = Mapping[str, type[GatewayError]]

#: Any AWS service may say these. Who we are, and the clock by which we sign, is set up on our side.
_COMMON: Table = {
    "ExpiredToken": SetUp,
    "ExpiredTokenException": SetUp,
    "IncompleteSignature": SetUp,
    "IncompleteSignatureException": SetUp,
    "InternalFailure": Unreachable,
    "InternalServerException": Unreachable,
    "InternalServiceException": Unreachable,
    "InvalidClientTokenId": SetUp,
    "InvalidSignatureException": SetUp,
    "LimitExceededException": QuotaReached,
    "MissingAuthenticationToken": SetUp,
    "MissingAuthenticationTokenException": SetUp,
    "NotAuthorized": SetUp,
    "OptInRequired": SetUp,
    "RequestAbortedException": Unreachable,
    "RequestExpired": SetUp,
    "RequestTimeoutException": Unreachable,
    "ServiceQuotaExceededException": QuotaReached,
    "ServiceUnavailable": Unreachable,
    "SignatureDoesNotMatch": SetUp,
    "SubscriptionRequiredException": SetUp,
    "ThrottlingException": Throttled,
    "TooManyRequestsException": Throttled,
    "UnknownOperationException": SetUp,
    "UnrecognizedClientException": SetUp,
}
#: Amazon Connect's signed API. Its InvalidRequest and InvalidParameter are about instance, flow and attributes far more
#: often than about a text; what a text is to blame for shows when it is sent by itself.
CONTROL: Table = {
    **_COMMON,
    "AccessDeniedException": SetUp,
    "ConflictException": Unclear,
    "ContactFlowNotPublishedException": SetUp,
    "InvalidActiveRegionException": SetUp,
    "InvalidParameterException": BadRequest,
    "InvalidRequestException": BadRequest,
    "ResourceNotFoundException": SetUp,
    "ValidationException": BadRequest,
}
#: The participant service, which knows us by a bearer token alone. 403 is its only word for an expired token, for a
#: chat that has ended, and for one that it never had.
PARTICIPANT: Table = {
    **_COMMON,
    "AccessDeniedException": Refused,
    "ConflictException": Unclear,
    "ResourceNotFoundException": Unclear,
}
#: The one call of the participant service whose validation is about what a customer wrote.
SEND_MESSAGE: Table = {**PARTICIPANT, "ValidationException": Invalid}
_BY_STATUS: Mapping[int, type[GatewayError]] = {
    HTTPStatus.UNAUTHORIZED: SetUp,
    HTTPStatus.PAYMENT_REQUIRED: QuotaReached,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: SetUp,
    HTTPStatus.REQUEST_TIMEOUT: Unreachable,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
}
#: What to look at, where the code says more than that something is wrong.
_HINTS: Mapping[str, str] = {
    "AccessDeniedException": "the AWS role or user needs the right connect:{operation}",
    "ContactFlowNotPublishedException": "publish the flow",
    "ExpiredToken": "the AWS credentials have expired: renew them",
    "ExpiredTokenException": "the AWS credentials have expired: renew them",
    "InvalidActiveRegionException": "the instance is active in another region: see AWS_REGION",
    "InvalidClientTokenId": "AWS does not know the access key",
    "InvalidSignatureException": "the AWS secret key is wrong, or this machine's clock",
    "OptInRequired": "the AWS account has not subscribed to Amazon Connect",
    "RequestExpired": "this machine's clock is wrong",
    "ResourceNotFoundException": "there is no such instance or contact flow in this region",
    "SignatureDoesNotMatch": "the AWS secret key is wrong, or this machine's clock",
    "UnrecognizedClientException": "AWS does not know the access key",
}


def meaning(table: Table, operation: str, code: str, status: int, *, retry_after: float = 0.0) -> GatewayError:
    """Return what a refusal means, by its code, else by its status. Amazon's own sentence may quote a customer."""
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = table.get(code) or _BY_STATUS.get(status) or (Unreachable if server else Unclear)
    text = f"Amazon Connect refused {operation}: {code or 'no code'} ({status})"
    if kind is Throttled:
        return Throttled(text, retry_after)
    if issubclass(kind, SetUp):
        hint = _HINTS.get(code, "check the instance, the contact flow and the attributes in the step Route")
        return kind(f"{text}; {hint.format(operation=operation)}")
    return kind(text)
