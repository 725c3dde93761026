"""Reject what cannot be a webhook before its body is read: by method, host, address, encoding, length and rate."""

from __future__ import annotations

import ipaddress
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

from django.http.request import split_domain_port, validate_host

from channels_app.channel import AnswersHandshake, Channel
from channels_app.registry import channels
from channels_app.types import WebhookRequest
from channels_app.webhooks.responses import Refused

PREFIX = "/webhooks/"
#: Bytes of path and query together. Providers' longest is Twilio's callback, some 300.
LONGEST_ADDRESS = 8_192
#: Handshakes a minute from one address for one account. X asks once an hour.
MOST_HANDSHAKES = 60
_MINUTE = 60.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request before any check. Header names are lower case; `query` is raw; `peer` is the socket's.

    Behind a proxy, `peer` is the client that the proxy names (views.py).
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    repeated: frozenset[str]
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """The channel and account that a well-formed webhook address names. Whether the account exists is checked later."""

    channel: type[Channel[Any]]
    account: uuid.UUID

    @property
    def kind(self) -> str:
        return self.channel.kind


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], frozenset[str]]:
    """Return headers by lower-case name, and the names that came more than once (their values joined)."""
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in headers:
            repeated.add(key)
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return headers, frozenset(repeated)


@dataclass(frozen=True, slots=True)
class RequestGuard:
    """The rules of this installation. No I/O."""

    allowed_hosts: tuple[str, ...]
    require_https: bool
    public_base_url: str

    def check(self, raw: RawRequest) -> Address:
        """Return the address that the request names, or raise Refused. Reads only the request line and the headers."""
        if len(raw.path) + len(raw.query) > LONGEST_ADDRESS:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "address_too_long")
        domain, _ = split_domain_port(raw.headers.get("host", ""))
        if "host" in raw.repeated or not domain or not validate_host(domain, self.allowed_hosts):
            raise Refused(HTTPStatus.BAD_REQUEST, "bad_host")
        if self.require_https and raw.headers.get("x-forwarded-proto") != "https":
            raise Refused(HTTPStatus.FORBIDDEN, "https_required")
        address = address_of(raw.path)
        _check_method(raw.method, address.channel)
        encoding = raw.headers.get("content-encoding", "identity")
        if encoding.strip().lower() != "identity":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", (("Accept-Encoding", "identity"),))
        check_size(raw.headers.get("content-length", ""), address.channel.max_body)
        return address

    def request(self, raw: RawRequest, body: bytes = b"") -> WebhookRequest:
        """Return the request as channels see it: under our public address, whatever the Host header says."""
        return WebhookRequest(
            method=raw.method,
            url=self.public_base_url + raw.path,
            headers=raw.headers,
            body=body,
            query=raw.query,
            repeated=raw.repeated,
        )


def address_of(path: str) -> Address:
    """Return what `/webhooks/<kind>/<account>/` names; raise Refused for any other path or spelling."""
    try:
        kind, account, rest = path.removeprefix(PREFIX).split("/")
        address = Address(channels()[kind], uuid.UUID(account))
    except (KeyError, ValueError):
        raise not_found() from None
    if rest or str(address.account) != account:
        raise not_found()
    return address


def not_found() -> Refused:
    """Return the answer for an unknown account, a disabled one and no account at all: nobody can tell which it is."""
    return Refused(HTTPStatus.NOT_FOUND, "not_found")


def too_large() -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")


def check_size(declared: str, most: int) -> None:
    if declared.isdigit() and (len(declared) > len(str(most)) or int(declared) > most):
        raise too_large()


@cache
def _methods(kind: str) -> tuple[str, ...]:
    return ("GET", "POST") if issubclass(channels()[kind], AnswersHandshake) else ("POST",)


def _check_method(method: str, channel: type[Channel[Any]]) -> None:
    allowed = _methods(channel.kind)
    if method not in allowed:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", (("Allow", ", ".join(allowed)),))


def _network(peer: str) -> str:
    """Return what to count an address as: an IPv6 customer has a whole /64."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else peer  # noqa: PLR2004


@dataclass(slots=True)
class HandshakeLimit:
    """Limits handshakes for each address and account. Counts in this process, by minute. Thread-safe.

    When there are more clients than can be remembered, the rest are counted as one; nobody's count is dropped.
    """

    clock: Callable[[], float] = time.monotonic
    _minute: int = 0
    _counts: dict[tuple[str, uuid.UUID], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, peer: str, account: uuid.UUID) -> None:
        """Count one handshake; raise Refused (429) from the 61st within a minute on."""
        now = self.clock()
        with self._lock:
            if self._minute != now // _MINUTE:
                self._minute = int(now // _MINUTE)
                self._counts.clear()
            key = (_network(peer), account)
            if key not in self._counts and len(self._counts) >= _MOST_REMEMBERED:
                key = ("", account)
            count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > MOST_HANDSHAKES:
            wait = str(int(_MINUTE - now % _MINUTE) + 1)
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "too_many_handshakes", (("Retry-After", wait),))
