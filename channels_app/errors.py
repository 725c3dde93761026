"""The closed vocabulary of what can go wrong with a messenger.

ChannelError
├── WebhookRejected          the request did not come from the provider
│   ├── BadSignature         401
│   └── BadHandshake         400 or 403
├── Unusable                 signed, but we cannot read it: quarantined, answered 200
└── SendFailed               the provider did not take our message
    ├── Unavailable*         it never got there, or the provider says "later"
    ├── Throttled*           too fast; `retry_at` says when
    ├── UnknownOutcome       it may have arrived: nobody knows
    ├── AuthFailed           our credentials are refused
    ├── WindowClosed         the customer wrote too long ago
    ├── Blocked              the customer blocked us
    ├── OptedOut             the customer said STOP
    ├── InvalidRecipient     no such person, or not reachable on this channel
    ├── InvalidContent       the message itself is refused
    ├── PolicyViolation      the platform's rules forbid it
    └── AccountProblem       our account is restricted, unpaid or misconfigured

* retryable. Each class has a stable `code`; only the outbox decides what happens next.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class ChannelError(Exception):
    """Something went wrong with a messenger. `str()` is safe to show: no secret and no message text."""

    code: ClassVar[str]


class WebhookRejected(ChannelError):
    """The request did not come from the provider."""

    code = "rejected"
    status: ClassVar[int] = 401


class BadSignature(WebhookRejected):
    code = "bad_signature"


class BadHandshake(WebhookRejected):
    code = "bad_handshake"
    status = 400


class HandshakeRefused(WebhookRejected):
    code = "bad_verify_token"
    status = 403


class BadRequest(WebhookRejected):
    """Not a request that the provider makes: wrong charset, too many fields. `reason` becomes the error code."""

    code = "bad_request"
    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unusable(ChannelError):
    """Signed by the provider, but not readable. The raw bytes are kept; delivering them again would not help."""

    code = "unusable"


class SendFailed(ChannelError):
    """The provider did not take our message. `provider_code` is its own error code, `detail` its own words."""

    code = "failed"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, provider_code: str = "", retry_at: datetime | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.provider_code = provider_code
        self.retry_at = retry_at


class Unavailable(SendFailed):
    code = "unavailable"
    retryable = True


class Throttled(SendFailed):
    code = "throttled"
    retryable = True


class UnknownOutcome(SendFailed):
    code = "unknown_outcome"


class AuthFailed(SendFailed):
    code = "auth"


class WindowClosed(SendFailed):
    code = "window_closed"


class Blocked(SendFailed):
    code = "blocked"


class OptedOut(SendFailed):
    code = "opted_out"


class InvalidRecipient(SendFailed):
    code = "invalid_recipient"


class InvalidContent(SendFailed):
    code = "invalid_content"


class PolicyViolation(SendFailed):
    code = "policy"


class AccountProblem(SendFailed):
    code = "account"
