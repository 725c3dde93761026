"""Twisted's HTTP channel and daphne's request with the limits of http_limits.py, held while a request still arrives."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from daphne.http_protocol import WebRequest
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from channels_app.webhooks.responses import request_id_of
from config.http_limits import (
    LARGEST_HEAD,
    LINGER,
    LONGEST_LINE,
    MOST_HEADERS,
    TimeLimits,
    cap_of,
    refusal,
)

#: By this header daphne lets any client choose where the site begins, and so walk around a proxy's rules for paths.
ROOT_PATH = b"Daphne-Root-Path"


class CappedRequest(WebRequest):  # type: ignore[misc] # daphne is not typed
    """A request whose body stops growing at its cap, and whose errors are JSON."""

    def __init__(self, channel: CappedChannel, queued: object = False) -> None:  # noqa: FBT002 - Twisted's signature
        # Not parsed as a form: nobody asks for it, and a form of many fields takes long.
        super().__init__(channel, queued, parsePOSTFormSubmission=False)
        self.cap = 0
        self._received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a piece of the body, or refuse the request if it makes it too large."""
        self._received += len(data)
        if self._received > self.cap:
            self.channel.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        else:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Hand the complete request on."""
        self.requestHeaders.removeHeader(ROOT_PATH)
        return super().process()

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:  # noqa: ARG002 - daphne's signature
        """Answer errors of daphne itself in the form of all other refusals."""
        code = {400: "bad_request", 503: "unavailable"}.get(status, "internal_error")
        headers, answer = refusal(code, self.request_id)
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": answer})

    @property
    def request_id(self) -> str:
        """The id that the caller or a proxy gave, else a new one."""
        return request_id_of((self.requestHeaders.getRawHeaders(b"X-Request-ID") or [b""])[0].decode("latin-1"))


class CappedChannel(HTTPChannel):
    """One connection. Twisted reads it; this adds the limits, and answers where Twisted would only hang up."""

    MAX_LENGTH = LONGEST_LINE
    # Twisted's own, set so that ours below are met first.
    totalHeadersSize = 2 * LARGEST_HEAD  # noqa: N815
    maxHeaders = 2 * MOST_HEADERS  # noqa: N815
    time_limits = TimeLimits()
    transport: Any
    callLater: Any  # noqa: N815
    _path: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._refused = False
        self._in_head = False
        self._size = self._lines = 0
        self._awaited = ""
        self._timer: Any = None

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name, like those below
        if self._refused:
            return
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if not self._handlingRequest:
            self._wait_for("body" if not self.line_mode else "head" if self._in_head or self._buffer else "")

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        self._size += len(line) + len(self.delimiter)
        self._lines += 1
        if self._size > LARGEST_HEAD or self._lines > MOST_HEADERS:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            return
        self._in_head = self._in_head or bool(line)
        super().lineReceived(line)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802, ARG002
        if self._in_head:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
        else:
            self.refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "address_too_long")

    def allHeadersReceived(self) -> None:  # noqa: N802
        self._in_head = False
        self._size = self._lines = 0
        request = self.requests[-1]
        request.cap = cap_of(self._path)
        if request.requestHeaders.hasHeader(b"Transfer-Encoding") and request.requestHeaders.hasHeader(
            b"Content-Length"
        ):  # two lengths: what is a body to us may be the next request to a proxy
            self.refuse(HTTPStatus.BAD_REQUEST, "bad_request")
        elif self.length is not None and self.length > request.cap:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        else:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        if not self._refused:
            self._wait_for("")
            super().allContentReceived()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._wait_for("")
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        self.refuse(HTTPStatus.BAD_REQUEST, "bad_request")

    def refuse(self, status: HTTPStatus, code: str) -> None:
        """Answer the request that is being read with an error, once, read no more of it, and close."""
        if self._refused:
            return
        self._refused = True
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        headers, body = refusal(code, self.requests[-1].request_id if self.requests else request_id_of(""))
        headers.append((b"Connection", b"close"))
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), head, body))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close our half, and all of it a little later: bytes that nobody has read would cost the client the answer."""
        self._networkProducer.unregisterProducer()
        if self.isSecure():  # type: ignore[no-untyped-call] # TLS has no halves
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
        self._wait_for("end")

    def _wait_for(self, phase: str) -> None:
        """Start the timer of the phase that the client is in. A request that came in one piece never starts one."""
        if phase == self._awaited:
            return
        self._awaited = phase
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
        if phase == "end":
            self._timer = self.callLater(LINGER, self.transport.abortConnection)
        elif phase:
            seconds = self.time_limits.head if phase == "head" else self.time_limits.body
            self._timer = self.callLater(seconds, self.refuse, HTTPStatus.REQUEST_TIMEOUT, "too_slow")
