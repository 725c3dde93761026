"""Which proxy leads out to the internet, by the environment that every tool reads.

HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name a proxy for addresses of that scheme, or of any; NO_PROXY names what goes
direct. The lower-case name counts before the upper-case one. All clients ask here, so that they agree: each library by
itself reads a part of these variables, its own way. A proxy's password is never shown.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

PORTS: Mapping[str, int] = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: What a websocket's address is to a proxy.
_SCHEMES: Mapping[str, str] = {"ws": "http", "wss": "https"}


class UnusableProxy(ValueError):
    """The environment names a proxy that cannot be used. `str()` says which variable and why, without a password."""


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy for a URL, credentials included, None if it goes direct. Raises UnusableProxy.

    As with other tools this machine's own addresses are no exception, unless NO_PROXY names them.
    """
    target = urlsplit(url)
    if _goes_direct(target):
        return None
    name, proxy = _variable(_SCHEMES.get(target.scheme, target.scheme))
    return _usable(name, proxy) if proxy else None


def shown(proxy: str) -> str:
    """Return a proxy's address without user name and password."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _variable(scheme: str) -> tuple[str, str]:
    """Return the variable that counts for the scheme, and its value; both "" if none is set."""
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:
            continue  # under CGI a request's header Proxy would set it
        if value := os.environ.get(name, "").strip():
            return name, value
    return "", ""


def _usable(name: str, proxy: str) -> str:
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if not host:
        raise UnusableProxy(f"{name} is not the address of a proxy: write http://host:port")
    if parts.scheme not in ("http", "https"):
        raise UnusableProxy(f"{name} names a {parts.scheme} proxy; Parley goes through http:// and https:// ones")
    return address if port else f"{parts.scheme}://{parts.netloc}:{443 if parts.scheme == 'https' else 80}"


def _goes_direct(target: SplitResult) -> bool:
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    host, port = (target.hostname or "").rstrip("."), target.port or PORTS.get(target.scheme, 0)
    entries = (entry.strip().lower() for entry in listed.replace(",", " ").split())
    return any(_matches(entry, host, port) for entry in entries if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY means this host: *, a name and what is below it, an address, a network."""
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    name, only_port = _name_and_port(entry)
    if only_port and only_port != port:
        return False
    address = _address(name)
    if address is not None:
        return address == _address(host)
    suffix = name.removeprefix("*").strip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _name_and_port(entry: str) -> tuple[str, int]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, int(port[1:]) if port[1:].isdecimal() else 0
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdecimal():
        return name, int(port)
    return entry, 0


def _is_within(host: str, network: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
