"""Any channel of the registry, with credentials that fit it."""

from __future__ import annotations

from typing import Any

from channels_app.accounts.service import credential_fields
from channels_app.registry import channels
from channels_app.toolkit.http import Http


def credentials_of(kind: str) -> dict[str, str]:
    """Return credentials that fit a channel's Config: the example that a field declares, else the field's own name."""
    return {asked.key: asked.example or asked.key.replace("_", "-") for asked in credential_fields(channels()[kind])}


def channel_of(kind: str, http: Http | None = None) -> Any:
    cls = channels()[kind]
    return cls(cls.read_config(credentials_of(kind)), http or Http(), f"https://parley.example/webhooks/{kind}/1/")


def address_key(kind: str) -> str:
    """Return the credential that is our own address at the provider."""
    address = channel_of(kind).address
    return next(key for key, value in credentials_of(kind).items() if value == address)
