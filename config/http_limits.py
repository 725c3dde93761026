"""What one request to the web process may bring, how long it may take, and the answer when it exceeds that.

capped_http.py applies the limits while a request still arrives.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

import msgspec
from django.conf import settings
from prometheus_client import Counter

from channels_app.registry import channels
from channels_app.webhooks.guard import LONGEST_ADDRESS, PREFIX

log = logging.getLogger(__name__)

#: Seconds from a request's first byte to its last header, and from there to the end of its body.
HEAD_SECONDS, BODY_SECONDS = 10.0, 15.0
#: Bytes of one line (request line or header), of all of them together, and their number.
LONGEST_LINE, LARGEST_HEAD, MOST_HEADERS = LONGEST_ADDRESS + 32, 16_384, 100
#: Seconds for which a refused client may go on sending, unread, so that it gets to read its answer.
LINGER = 5.0

REFUSED = Counter("parley_web_refused", "Requests turned away before the application saw them.", ["error"])


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds that a client has for its request."""

    head: float = HEAD_SECONDS
    body: float = BODY_SECONDS


def cap_of(target: bytes) -> int:
    """Return the largest body, in bytes, of a request to this target."""
    path = unquote(target.partition(b"?")[0].decode("latin-1"))
    if not path.startswith(PREFIX):
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return _caps().get(path.removeprefix(PREFIX).partition("/")[0], max(_caps().values()))


@cache
def _caps() -> dict[str, int]:
    return {kind: channel.max_body for kind, channel in channels().items()}


def refusal(code: str, request_id: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of a refusal, counted and logged."""
    REFUSED.labels(code).inc()
    log.info("request %s refused before the application: %s", request_id, code)
    body = msgspec.json.encode({"error": code, "request_id": request_id})
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"X-Request-ID", request_id.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cache-Control", b"no-store"),
    ]
    return headers, body
