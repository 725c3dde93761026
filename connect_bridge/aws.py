"""Clients of AWS's own SDK, by one road out with everything else: see channels_app/toolkit/outbound_proxy.py."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from channels_app.toolkit.outbound_proxy import UnusableBundle, UnusableProxy, ca_bundle, proxy_for


class UnusableWay(BotoCoreError):
    """The environment names a proxy or certificates that cannot be used: a failure of the SDK's to whoever calls it."""

    fmt = "{problem}"


def region() -> str:
    """Return the AWS region of the environment: AWS_REGION, AWS_DEFAULT_REGION, a profile's, or us-east-1."""
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name or "us-east-1"


def aws_client(service: str, config: Config | None = None) -> Any:
    """Return a new client of a service, AWS_ENDPOINT_URL_* respected. Slow: it loads the service's model.

    The SDK would read proxies by itself, though not as outbound_proxy.py does; which one it is depends on the address,
    which only a client knows. Raises UnusableWay.
    """
    session, given = boto3.session.Session(), config or Config()
    try:
        made = _made(session, service, given.merge(Config(proxies={})))
        proxy = proxy_for(made.meta.endpoint_url)
        if proxy is None:
            return made
        return _made(session, service, given.merge(Config(proxies={"http": proxy, "https": proxy})))
    except (UnusableProxy, UnusableBundle) as problem:
        raise UnusableWay(problem=problem) from None


def endpoint_of(service: str) -> str:
    """Return where a service answers, AWS_ENDPOINT_URL_* respected."""
    client = boto3.session.Session().client(service, region_name=region(), config=Config(proxies={}))  # type: ignore[call-overload] # any service
    return str(client.meta.endpoint_url).rstrip("/")


def _made(session: boto3.session.Session, service: str, config: Config) -> Any:
    return session.client(service, region_name=region(), config=config, verify=ca_bundle())  # type: ignore[call-overload] # any service
