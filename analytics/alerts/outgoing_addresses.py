"""Post to an address that a person typed in: to the internet alone, or to hosts that the operator names.

What is checked is the IP address to which the connection goes, at the moment at which it is made: a name that resolves
to another one by then gains nothing. A redirect is not followed, a proxy of the environment is not used (it would look
the name up once more), and of the answer nothing but the status is read.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

#: Seconds for a connection and each step of the answer, and for all that follows the connection.
STEP, TOTAL = 5.0, 10.0
#: Addresses of one name that are tried.
MOST_ADDRESSES = 2
_PORTS = {"https": 443, "http": 80}
_FINE = range(200, 300)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IANA's special-purpose registries, beyond what `is_global` knows: shared and protocol addresses, 6to4's anycast, and
#: 168.63.129.16, where Azure's hosts answer. https://www.iana.org/assignments/iana-ipv4-special-registry
_INWARD_4 = [
    ipaddress.ip_network(network)
    for network in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "224.0.0.0/3")
]
#: IPv6 on the internet, and what in it leads to IPv4 or nowhere: Teredo and others, documentation, 6to4.
_INTERNET_6 = ipaddress.ip_network("2000::/3")
_INWARD_6 = [ipaddress.ip_network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
#: RFC 6052, 2.1: the last 32 bits are the IPv4 address.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Where clouds answer for a machine's own credentials, and what is nobody's: not even for hosts that are named.
_NEVER = [
    ipaddress.ip_network(network) for network in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "0.0.0.0/8", "::/128")
]


class Forbidden(Exception):
    """The address is not one that Parley posts to. `str()` says why, and names no IP address."""


class NotTaken(Exception):
    """It was sent, and the other side did not say that it took it. `str()` is its status."""


def check_address(url: str) -> None:
    """Raise Forbidden for an address to which nothing may go, as far as its text shows. Looks no name up."""
    parts = _split(url)
    if _is_named(parts):
        return
    if settings.ALERT_WEBHOOK_HOSTS:
        raise Forbidden(f"{parts.hostname}, port {_port(parts)}, is not among what ALERT_WEBHOOK_HOSTS names.")
    if parts.scheme != "https":
        raise Forbidden("Give an https:// address: numbers travel in it.")
    if _port(parts) != _PORTS["https"]:
        raise Forbidden("Give an address on the usual port, or have its host and port named in ALERT_WEBHOOK_HOSTS.")
    if (number := _number(parts.hostname or "")) is not None and not is_public(number):
        raise Forbidden(
            "This address lies inside the network. ALERT_WEBHOOK_HOSTS names hosts inside that may be told."
        )


def post_json(url: str, message: Mapping[str, Any]) -> None:
    """Post a message; raise Forbidden, NotTaken or OSError.

    Takes STEP seconds at most for each of MOST_ADDRESSES, then TOTAL, besides what looking the name up takes.
    """
    check_address(url)
    parts = _split(url)
    guarded_connect = _GuardedConnect(str(parts.hostname), _port(parts), named=_is_named(parts))
    connection = _connection(parts, guarded_connect)
    body = json.dumps(dict(message)).encode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "Parley", "Connection": "close"}
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (http.client.HTTPException, ValueError) as failure:
        raise NotTaken(type(failure).__name__) from None
    finally:
        guarded_connect.over()
        connection.close()
    if status not in _FINE:
        raise NotTaken(str(status))


def is_public(address: _Address) -> bool:
    """Say whether an address is a machine on the internet, and nothing that leads back inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in net for net in _INWARD_4)
    return address in _INTERNET_6 and address.is_global and not any(address in net for net in _INWARD_6)


def _reached_by(address: _Address) -> _Address:
    """Return the IPv4 address to which an IPv6 one leads: mapped, by 6to4 or by NAT64; any other as it is."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    nat = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or nat or address


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("This is no address.") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or not url.isascii() or not url.isprintable():
        raise Forbidden("Give an address that begins with https://.")
    if parts.username is not None or parts.password is not None or " " in url:
        raise Forbidden("Give an address without a name or password in it.")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _is_named(parts: SplitResult) -> bool:
    """Say whether the operator names this host: on its scheme's usual port, or with its port."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    named = {host.strip().lower() for host in settings.ALERT_WEBHOOK_HOSTS}
    return f"{host}:{_port(parts)}" in named or (host in named and _port(parts) == _PORTS[parts.scheme])


def _number(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _connection(parts: SplitResult, guarded_connect: _GuardedConnect) -> http.client.HTTPConnection:
    host, port = str(parts.hostname), _port(parts)
    connection = (
        http.client.HTTPSConnection(host, port, timeout=STEP, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=STEP)
    )
    connection._create_connection = guarded_connect  # type: ignore[attr-defined] # the library's own seam; the canary test holds it  # noqa: SLF001
    return connection


class _GuardedConnect:
    """Connects to a host if every one of its addresses may be reached, and cuts the connection when its time is up."""

    def __init__(self, host: str, port: int, *, named: bool) -> None:
        self._host, self._port, self._named = host, port, named

    def __call__(self, _address: Any, _timeout: Any = None, _source: Any = None) -> socket.socket:
        candidates = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(target[0]).partition("%")[0]) for *_, target in candidates]
        if not addresses or not all(map(self._may_reach, addresses)):
            raise Forbidden("The name leads inside the network, and ALERT_WEBHOOK_HOSTS does not name it.")
        connected = _first_that_answers(candidates)
        self._end_after(connected)
        return connected

    def _may_reach(self, address: _Address) -> bool:
        plain = _reached_by(address)
        if plain.is_multicast or any(plain in net for net in _NEVER if net.version == plain.version):
            return False
        return self._named or is_public(address)

    def _end_after(self, connected: socket.socket) -> None:
        """Shut the connection down when its time is up, whoever wraps it by then: a timeout counts each step anew."""
        self._held = connected.dup()
        self._timer = threading.Timer(TOTAL, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        with suppress(OSError):  # it may be over already
            self._held.shutdown(socket.SHUT_RDWR)

    def over(self) -> None:
        """Let go of the connection, made or not."""
        if hasattr(self, "_timer"):
            self._timer.cancel()
            self._held.close()


def _first_that_answers(candidates: Sequence[Any]) -> socket.socket:
    """Connect to the first of these addresses that answers: by IP address, so that no name is looked up once more."""
    failed: OSError | None = None
    for family, kind, protocol, _, target in candidates[:MOST_ADDRESSES]:
        connected = socket.socket(family, kind, protocol)
        connected.settimeout(STEP)
        try:
            connected.connect(target)
        except OSError as failure:
            connected.close()
            failed = failure
        else:
            return connected
    raise failed or OSError("no address")
