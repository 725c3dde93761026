"""The one way out to the messengers' APIs: timeouts, redacted traces, and addresses that settings may redirect.

Providers' SDKs are given `Http.session`; what has no SDK calls it directly. Redirects are never followed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from channels_app.errors import SendFailed, Unavailable, UnknownOutcome
from channels_app.toolkit.certificates import UnusableBundle, ca_bundle
from channels_app.toolkit.connection_errors import why_unreachable
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for
from channels_app.types import Struct

#: Seconds to connect, and to wait for the next byte of the answer. A send is claimed for longer than both together.
CONNECT_TIMEOUT = 4.0
READ_TIMEOUT = 10.0
#: Connections kept open to one provider by one worker process.
POOL_SIZE = 32


class HttpTrace(Struct, frozen=True, kw_only=True):
    """One call as it may be shown: no query, no header, no body."""

    method: str
    host: str
    path: str
    status: int
    seconds: float
    error: str = ""


#: After these the provider has not seen the request: the connection, or the proxy's tunnel, did not come about.
_NOT_CONNECTED = (NewConnectionError, ConnectTimeoutError, NameResolutionError, ProxyError)
Tracer = Callable[[HttpTrace], None]


def ignore_trace(_trace: HttpTrace) -> None:
    """Forget the trace."""


class Http:
    """A `requests.Session` with manners.

    `redirects` maps the address that an SDK believes in to the one that settings give, for example
    {"https://graph.facebook.com": "http://127.0.0.1:8999/graph"}.
    """

    def __init__(self, redirects: Mapping[str, str] | None = None, trace: Tracer = ignore_trace) -> None:
        self.trace = trace
        self.session = _Session()
        self.session.mount("https://", _Adapter(self, dict(redirects or {})))
        self.session.mount("http://", _Adapter(self, dict(redirects or {})))

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Make one call. Raises Unavailable if it cannot have arrived, UnknownOutcome if it may have."""
        try:
            return self.session.request(method, url, **options)
        except requests.RequestException as failure:
            raise outcome_of(failure) from None


def outcome_of(failure: BaseException) -> SendFailed:
    """Return what a failed call means: never arrived (Unavailable) or perhaps arrived (UnknownOutcome)."""
    if isinstance(failure, NoWayOut):
        return Unavailable(str(failure))
    if isinstance(failure, requests.ConnectTimeout) or _never_connected(failure):
        return Unavailable(f"could not connect to the provider: {why_unreachable(failure)}")
    return UnknownOutcome("the connection broke before the provider answered")


def _never_connected(failure: BaseException) -> bool:
    cause: Any = failure.args[0] if failure.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, SSLError):
        return any(isinstance(argument, ssl.SSLCertVerificationError) for argument in cause.args)
    return isinstance(cause, _NOT_CONNECTED)


class NoWayOut(requests.RequestException):
    """The environment names a proxy or certificates that cannot be used. `str()` is safe to show."""


def _way_to(url: str) -> dict[str, Any]:
    """Return the options of a call that say by which proxy, and whose certificates count."""
    try:
        proxy, bundle = proxy_for(url), ca_bundle()
    except (UnusableProxy, UnusableBundle) as problem:
        raise NoWayOut(str(problem)) from None
    return {"proxies": {"http": proxy, "https": proxy} if proxy else {}, "verify": bundle or True}


class _Session(requests.Session):
    """Never follows a redirect or reads .netrc, always has a timeout; outbound_proxy.py chooses the proxy."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, *args: Any, **options: Any) -> requests.Response:
        options["allow_redirects"] = False
        options["timeout"] = options.get("timeout") or (CONNECT_TIMEOUT, READ_TIMEOUT)
        return super().request(*args, **options)


class _Adapter(requests.adapters.HTTPAdapter):
    """Rewrites the address, finds the way to it and reports the call. Retries are off: the outbox retries."""

    def __init__(self, http: Http, redirects: dict[str, str]) -> None:
        self._http = http
        self._redirects = redirects
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = request.url or ""
        request.url = self._rewritten(url)
        began = time.monotonic()
        status, error = 0, ""
        try:
            response = super().send(request, *args, **options | _way_to(request.url))
            status = response.status_code
        except requests.RequestException as failure:
            error = type(failure).__name__
            raise
        else:
            return response
        finally:
            parts = urlsplit(url)
            self._http.trace(
                HttpTrace(
                    method=request.method or "",
                    host=parts.hostname or "",
                    path=parts.path,
                    status=status,
                    seconds=time.monotonic() - began,
                    error=error,
                )
            )

    def _rewritten(self, url: str) -> str:
        for believed, real in self._redirects.items():
            if url.startswith(believed):
                path = url.removeprefix(believed)
                version = "/" + path.lstrip("/").partition("/")[0]
                return real.removesuffix(version) + path  # given as …/v26.0, it does not get that twice
        return url
