"""The one place that speaks to AWS's own SDK: clients, the region, and what the SDK's errors mean.

Clients go out by the same proxy and certificates as everything else (channels_app/toolkit/outbound_proxy.py). Whoever
calls one does so inside `aws_errors()` and handles `AwsError`; nothing else of Parley knows botocore's exceptions.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidProxiesConfigError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from channels_app.toolkit.certificates import UnusableBundle, ca_bundle
from channels_app.toolkit.connection_errors import why_unreachable
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for

#: One attempt, and a few seconds for it: whoever calls decides whether to call again.
ONE_ATTEMPT: Any = {"total_max_attempts": 1}
SHARED_CLIENTS = Config(connect_timeout=4, read_timeout=15, retries=ONE_ATTEMPT, max_pool_connections=4)

#: The SDK does not ask at all: it does not know as whom, or where.
_NO_IDENTITY = (
    ConfigNotFound,
    CredentialRetrievalError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
_NOT_CONNECTED = (
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidProxiesConfigError,
    ProxyConnectionError,
    SSLError,
)


class _UnusableWay(BotoCoreError):
    """The environment names a proxy or certificates that cannot be used, which only a client's address shows."""

    fmt = "{problem}"


class AwsError(Exception):
    """A call to AWS failed. `str()` is safe to show: it never holds what was asked.

    `kind` is the name of the SDK's own exception; `detail` is the SDK's text, which may quote the request.
    """

    def __init__(self, text: str, failure: Exception) -> None:
        super().__init__(text)
        self.kind, self.detail = type(failure).__name__, str(failure)


class AwsRefused(AwsError):
    """AWS answered with an error. `code` is Amazon's ("" if it gave none), `status` the HTTP status (0 if unknown)."""

    def __init__(self, operation: str, refusal: ClientError) -> None:
        self.code = str(refusal.response.get("Error", {}).get("Code", ""))
        self.status = int(refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        super().__init__(f"AWS refused {operation}: {self.code or 'no code'} ({self.status})", refusal)


class AwsUnanswered(AwsError):
    """There was no answer: the call may or may not have had its effect. `reason`: why, in words for a person."""

    def __init__(self, text: str, failure: Exception) -> None:
        super().__init__(text, failure)
        self.reason = why_unreachable(failure)


class AwsUnreadable(AwsUnanswered):
    """There was an answer, and it cannot be read."""


class AwsNotConnected(AwsUnanswered):
    """No connection came about, so the call had no effect."""


class AwsNoIdentity(AwsUnanswered):
    """There are no credentials, or no region, to call with."""


class AwsNoWayOut(AwsUnanswered):
    """The environment names a proxy or certificates that cannot be used. `str()` says which."""


@contextmanager
def aws_errors(operation: str) -> Iterator[None]:
    """Raise AwsError in the place of whatever the SDK raises."""
    try:
        yield
    except ClientError as refusal:
        raise AwsRefused(operation, refusal) from None
    except BotoCoreError as failure:
        raise _unanswered(operation, failure) from None
    except ResponseParserError as failure:
        raise AwsUnreadable(f"AWS's answer to {operation} cannot be read", failure) from None


def region() -> str:
    """Return the AWS region of the environment: AWS_REGION, AWS_DEFAULT_REGION, a profile's, or us-east-1."""
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name or "us-east-1"


def has_region() -> bool:
    """Whether the environment names a region at all."""
    return bool("AWS_REGION" in os.environ or boto3.session.Session().region_name)


def credentials_source() -> str | None:
    """Return where the SDK finds credentials, by its own word for that; None if it finds none."""
    credentials = boto3.session.Session(region_name=region()).get_credentials()
    return None if credentials is None else str(credentials.method)


def aws_client(service: str, **options: Any) -> Any:
    """Return a new client of a service, AWS_ENDPOINT_URL_* respected. Slow: it loads the service's model.

    `options` are those of botocore's Config. The SDK would read proxies by itself, though not as outbound_proxy.py
    does; which one it is depends on the address, which only a client knows. Raises AwsError.
    """
    with aws_errors(f"a client of {service}"):
        return _through_proxy(service, Config(**options))


_shared: dict[str, Any] = {}
_making = threading.Lock()


def shared_client(service: str) -> Any:
    """Return this process's client of a service for rare calls, made on first use. Raises AwsError."""
    with _making:
        if service not in _shared:
            with aws_errors(f"a client of {service}"):
                _shared[service] = _through_proxy(service, SHARED_CLIENTS)
        return _shared[service]


def forget_clients() -> None:
    """Make clients anew, as after a change of the environment."""
    with _making:
        _shared.clear()


def endpoint_of(service: str) -> str:
    """Return where a service answers, AWS_ENDPOINT_URL_* respected."""
    client = boto3.session.Session().client(service, region_name=region(), config=Config(proxies={}))  # type: ignore[call-overload] # any service
    return str(client.meta.endpoint_url).rstrip("/")


def _through_proxy(service: str, config: Config) -> Any:
    session = boto3.session.Session()
    try:
        client = _client(session, service, config.merge(Config(proxies={})))
        proxy = proxy_for(client.meta.endpoint_url)
        if proxy is None:
            return client
        return _client(session, service, config.merge(Config(proxies={"http": proxy, "https": proxy})))
    except (UnusableProxy, UnusableBundle) as problem:
        raise _UnusableWay(problem=problem) from None


def _client(session: boto3.session.Session, service: str, config: Config) -> Any:
    return session.client(service, region_name=region(), config=config, verify=ca_bundle())  # type: ignore[call-overload] # any service


def _unanswered(operation: str, failure: BotoCoreError) -> AwsUnanswered:
    if isinstance(failure, _UnusableWay):
        return AwsNoWayOut(str(failure), failure)
    kind = type(failure).__name__
    if isinstance(failure, _NO_IDENTITY):
        return AwsNoIdentity(f"no AWS credentials or region for {operation}: {kind}", failure)
    if isinstance(failure, _NOT_CONNECTED):
        return AwsNotConnected(f"no connection to AWS for {operation}: {kind}", failure)
    return AwsUnanswered(f"AWS did not answer {operation}: {kind}", failure)
