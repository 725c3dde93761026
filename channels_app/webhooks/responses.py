"""What providers are answered, alike at both endpoints, and the one log line that each answer leaves."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from channels_app.channel import AnswersInItsOwnWords, Channel
from channels_app.infrastructure.metrics import STAGE_SECONDS, WEBHOOKS
from channels_app.registry import channels
from channels_app.types import Answer

log = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]

#: A request id from outside is echoed and logged only if it is one token.
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ALWAYS: Headers = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
#: Seconds after which a provider may try again when we could not store.
RETRY_AFTER = 5


class Refused(Exception):
    """The request is answered with this status and error code, and nothing of it is stored."""

    def __init__(self, status: HTTPStatus, code: str, headers: Headers = ()) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers


def unavailable() -> Refused:
    """Return the answer for what is our own fault: the provider shall deliver again."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", (("Retry-After", str(RETRY_AFTER)),))


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `result` is its word in metrics and in the log."""

    status: int
    body: bytes
    content_type: str
    headers: Headers
    result: str


@dataclass(slots=True)
class RequestLog:
    """What the log says about one request, from its first byte to its answer."""

    request_id: str
    kind: str = "unknown"
    account: str = "-"
    _began: float = field(default_factory=time.perf_counter)

    def refused(self, refusal: Refused) -> Reply:
        body = msgspec.json.encode({"error": refusal.code, "request_id": self.request_id})
        return self._reply(Answer(status=refusal.status, body=body), refusal.code, refusal.headers)

    def handshake(self, answer: Answer) -> Reply:
        return self._reply(answer, "handshake")

    def accepted(self, channel: Channel[Any], status: str) -> Reply:
        """Acknowledge the webhook, in the form that the provider wants if it wants one."""
        acknowledge = _acknowledge(channel.kind)
        answer = acknowledge(channel, status) if acknowledge else _plain_answer(status)
        return self._reply(answer, status, (("X-Parley-Status", status),))

    def _reply(self, answer: Answer, result: str, headers: Headers = ()) -> Reply:
        seconds = time.perf_counter() - self._began
        WEBHOOKS.labels(self.kind, result).inc()
        STAGE_SECONDS.labels("intake").observe(seconds)
        log.info("webhook %s account=%s result=%s ms=%.1f", self.request_id, self.account, result, seconds * 1000)
        all_headers = (("X-Request-ID", self.request_id), ("Content-Length", str(len(answer.body))), *_ALWAYS, *headers)
        return Reply(int(answer.status), answer.body, answer.content_type, all_headers, result)


@cache
def _acknowledge(kind: str) -> Callable[[Any, str], Answer] | None:
    """Look once for each channel: a check against a Protocol costs as much as a signature."""
    channel = channels()[kind]
    return channel.acknowledge if issubclass(channel, AnswersInItsOwnWords) else None


@cache
def _plain_answer(status: str) -> Answer:
    return Answer(status=HTTPStatus.OK, body=msgspec.json.encode({"status": status}))


def request_log_of(headers: dict[str, str]) -> RequestLog:
    """Begin the log of a request under the id that the caller or a proxy gave it, else under a new one."""
    return RequestLog(request_id_of(headers.get("x-request-id", "")))


def request_id_of(requested: str) -> str:
    """Return the given id if it may be echoed and logged, else a new one."""
    return requested if _REQUEST_ID.fullmatch(requested) else uuid.uuid4().hex
