"""What a provider's refusal of a message means where its own error code does not tell, and when to try again."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from channels_app.errors import (
    AccountProblem,
    AuthFailed,
    InvalidContent,
    InvalidRecipient,
    PolicyViolation,
    SendFailed,
    Throttled,
    Unavailable,
)

#: Longest wait that a provider's header may impose, in seconds: a day, the longest window of any of their limits.
LONGEST_WAIT = 86_400
_LONGEST_DETAIL = 400
#: Providers quote the phone number or id that they refuse; neither belongs in a log.
_NUMBER = re.compile(r"\+?\d{7,}")

#: Where the status is all we have. Every 5xx counts as "not taken" and is retried: none of the providers documents an
#: answer of that kind to a message that it took. A connection that breaks is another matter: http.outcome_of().
BY_STATUS: Mapping[int, type[SendFailed]] = {
    400: InvalidContent,
    401: AuthFailed,
    402: AccountProblem,
    403: PolicyViolation,
    404: InvalidRecipient,
    408: Unavailable,
    413: InvalidContent,
    422: InvalidContent,
    429: Throttled,
}


def refusal(
    status: int, detail: str, code: str = "", *, kind: type[SendFailed] | None = None, retry_at: datetime | None = None
) -> SendFailed:
    """Return the error of the vocabulary for an answer with this HTTP status.

    `kind` is what the provider's own code means, where it is known. `retry_at` is kept for those that are retried.
    """
    meant = kind or BY_STATUS.get(status) or (Unavailable if status >= 500 else SendFailed)  # noqa: PLR2004 - HTTP
    words = _NUMBER.sub("…", " ".join(detail.split()))[:_LONGEST_DETAIL] or f"the provider answered {status}"
    return meant(words, provider_code=code or str(status), retry_at=retry_at if meant.retryable else None)


def retry_at(headers: Mapping[str, str], *reset_headers: str) -> datetime | None:
    """Return when the provider will listen again: Retry-After (RFC 9110: seconds or a date), else a Unix time."""
    now = time.time()
    asked = headers.get("retry-after", "").strip()
    if asked.isdigit():
        return _bounded(now + int(asked[:9]), now)
    if asked:
        try:
            return _bounded(parsedate_to_datetime(asked).timestamp(), now)
        except ValueError:
            pass
    for header in reset_headers:
        reset = headers.get(header, "").strip()
        if reset.isdigit():
            return _bounded(float(reset[:12]), now)
    return None


def _bounded(at: float, now: float) -> datetime:
    return datetime.fromtimestamp(min(max(at, now), now + LONGEST_WAIT), UTC)
