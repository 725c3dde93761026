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
    SendFailed,
    Throttled,
    Unavailable,
)

#: Longest wait that a provider's header may impose, in seconds: a day, the longest window of any of their limits.
LONGEST_WAIT = 86_400
_LONGEST_DETAIL = 400
#: Providers quote the phone number, id or token that they refuse; none of them belongs in a log. A token is looked for
#: where a word begins and nowhere within it: else a long one would be read again from each of its letters.
_SECRETS = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}|\+\d[\d ().-]{5,}\d|\d{7,}")

#: Where the status is all we have. It never says that it is the customer who does not want, or cannot be found: a 403
#: stands for missing rights as well, a 404 for a wrong address. Every 5xx counts as "not taken" and is retried: none of
#: the providers documents an answer of that kind to a message that it took. A connection that breaks is another matter:
#: http.outcome_of().
BY_STATUS: Mapping[int, type[SendFailed]] = {
    400: InvalidContent,
    401: AuthFailed,
    402: AccountProblem,
    403: AccountProblem,
    404: AccountProblem,
    408: Unavailable,
    413: InvalidContent,
    420: Throttled,
    422: InvalidContent,
    429: Throttled,
}
#: Statuses that say no more than "no": an error code beside them that we do not know leaves the refusal unknown.
_VAGUE = frozenset((400, 403, 404, 409, 422))


def refusal(
    status: int, detail: str, code: str = "", *, kind: type[SendFailed] | None = None, retry_at: datetime | None = None
) -> SendFailed:
    """Return the error of the vocabulary for an answer with this HTTP status.

    `code` is the provider's own, if it gave one, and `kind` what it means, where that is known. `retry_at` is kept for
    those that are retried.
    """
    by_status = SendFailed if code and status in _VAGUE else BY_STATUS.get(status)
    meant = kind or by_status or (Unavailable if status >= 500 else SendFailed)  # noqa: PLR2004 - HTTP
    words = shown(detail) or f"the provider answered {status}"
    return meant(words, provider_code=code or str(status), retry_at=retry_at if meant.retryable else None)


def shown(words: str) -> str:
    """Return a provider's words on one line, without the numbers and tokens that they quote."""
    return _SECRETS.sub("…", " ".join(words[: 4 * _LONGEST_DETAIL].split()))[:_LONGEST_DETAIL]


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
