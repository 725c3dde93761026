"""The way out to the internet: which proxy, and whose certificates, by the environment that every tool reads.

HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name a proxy for addresses of that scheme, or of any; NO_PROXY names what goes
direct. The lower-case name counts before the upper-case one. AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE or
SSL_CERT_DIR, the first of them that is set, replaces the certificate authorities that are trusted. All clients ask
here, so that they agree: each library by itself reads a part of these, its own way. A proxy's password is never shown.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

PORTS: Mapping[str, int] = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: What a websocket's address is to a proxy.
_SCHEMES: Mapping[str, str] = {"ws": "http", "wss": "https"}
_CA_FILES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_CA_FOLDER = "SSL_CERT_DIR"


class UnusableProxy(ValueError):
    """The environment names a proxy that cannot be used. `str()` says which variable and why, without a password."""


class UnusableBundle(ValueError):
    """The environment names certificates that cannot be read. `str()` says which variable and why."""


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy for this one, credentials included; None: it goes direct. Raises UnusableProxy.

    As with other tools this machine's own addresses are no exception, unless NO_PROXY names them.
    """
    asked = urlsplit(url)
    if _goes_direct(asked):
        return None
    name, proxy = _variable(_SCHEMES.get(asked.scheme, asked.scheme))
    return _usable(name, proxy) if proxy else None


def shown(proxy: str) -> str:
    """Return a proxy's address without user name and password."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def ca_bundle() -> str | None:
    """Return the file of the certificate authorities that the environment names; None: the library's own.

    Raises UnusableBundle.
    """
    for name in _CA_FILES:
        if path := os.environ.get(name, ""):
            if Path(path).is_dir():
                return _joined(name, path)
            if not Path(path).is_file():
                raise UnusableBundle(f"{name} names {path}, which is not there: correct it, or leave it out")
            return path
    folder = os.environ.get(_CA_FOLDER, "")
    return _joined(_CA_FOLDER, folder) if folder else None


def tls_context() -> ssl.SSLContext:
    """Return the context for TLS with the certificate authorities in force. Raises UnusableBundle."""
    return _context(ca_bundle())


@lru_cache(maxsize=4)
def _context(bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as failure:
        raise UnusableBundle(f"{bundle} holds no certificates that can be read: {type(failure).__name__}") from None


@lru_cache(maxsize=4)
def _joined(name: str, folders: str) -> str:
    """Return one file with the certificates of folders: most libraries read none, and OpenSSL only hashed names."""
    found = [one for folder in folders.split(os.pathsep) if folder for one in sorted(Path(folder).glob("*"))]
    texts = [text for one in found if one.is_file() and "BEGIN CERTIFICATE" in (text := _text(one))]
    if not texts:
        raise UnusableBundle(f"{name} names {folders}, where no certificate is: correct it, or leave it out")
    with tempfile.NamedTemporaryFile("w", prefix="parley-ca-", suffix=".pem", delete=False) as file:
        file.write("\n".join(texts))
    return file.name


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


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


def _goes_direct(asked: SplitResult) -> bool:
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    host, port = (asked.hostname or "").rstrip("."), asked.port or PORTS.get(asked.scheme, 0)
    entries = (entry.strip().lower() for entry in listed.replace(",", " ").split())
    return any(_matches(entry, host, port) for entry in entries if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY means this host: *, a name and what is below it, an address, a network."""
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    name, wanted = _name_and_port(entry)
    if wanted and wanted != port:
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
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def why_no_way(failure: BaseException) -> str:
    """Return in words why a connection did not come about, from what any of the libraries raised."""
    if isinstance(failure, UnusableProxy | UnusableBundle):
        return str(failure)
    chain = _chain(failure)
    names = " ".join(type(one).__name__ for one in chain)
    words = " ".join(str(one) for one in chain)
    if re.search(r"\b407\b", words):
        return "the proxy wants a user name and password: give them as HTTPS_PROXY=http://name:password@host:port"
    if "Proxy" in names:
        return "the proxy that HTTPS_PROXY names does not let us through or does not answer: check it, and NO_PROXY"
    if "Certificate" in names or "CERTIFICATE_VERIFY_FAILED" in words:
        return "its certificate is not trusted: name your own authorities' file in AWS_CA_BUNDLE or SSL_CERT_FILE"
    if "SSL" in names or "TLS" in words:
        return "TLS did not come about; behind a proxy that reads along, name its authority's file in AWS_CA_BUNDLE"
    if any(name in names for name in ("gaierror", "DNS", "NameResolution")):
        return "its name is not known: check the region, the address and this machine's DNS"
    return f"it cannot be reached ({type(chain[0]).__name__}): check the network, the firewall and HTTPS_PROXY"


def _chain(failure: BaseException) -> list[BaseException]:
    """Return the failure and what it came from: causes, contexts, and what libraries keep as arguments."""
    found: list[BaseException] = []
    left: list[object] = [failure]
    while left and len(found) < 20:  # noqa: PLR2004 - no chain of ours is as long
        one = left.pop(0)
        if not isinstance(one, BaseException) or any(one is known for known in found):
            continue
        found.append(one)
        kept = [getattr(one, name, None) for name in ("reason", "original_error", "os_error", "certificate_error")]
        kept.append(getattr(one, "kwargs", {}).get("error"))
        left += [one.__cause__, one.__context__, *one.args, *kept]
    return found
