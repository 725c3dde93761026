"""A provider's API on this machine, channels that speak to it, and webhooks as the providers sign them."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from channels_app.registry import channels
from channels_app.toolkit.http import Http, HttpTrace
from channels_app.types import InboundEvent, WebhookRequest
from tests.channels_app.kit import channel_of


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class ProviderApi:
    """Answers every call with what the test put into `status`, `headers` and `body`; None cuts the connection."""

    base: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = b"{}"
    calls: list[Call] = field(default_factory=list)
    traces: list[HttpTrace] = field(default_factory=list)

    def http(self) -> Http:
        """Return a way out that ends here, whichever provider is called."""
        addresses = [address for channel in channels().values() for address in channel.api.addresses]
        return Http(dict.fromkeys(addresses, self.base), self.traces.append)


def signed(kind: str, body: bytes) -> WebhookRequest:
    """Return the body as X or Meta posts it."""
    url, headers = f"https://parley.example/webhooks/{kind}/1/", {"content-type": "application/json"}
    if kind == "twitter":
        digest = base64.b64encode(hmac.digest(b"consumer-secret", body, "sha256")).decode()
        headers["x-twitter-webhooks-signature"] = f"sha256={digest}"
    elif kind == "messenger":
        headers["x-hub-signature-256"] = f"sha256={hmac.digest(b'app-secret', body, 'sha256').hex()}"
    return WebhookRequest(method="POST", url=url, headers=headers, body=body)


def signed_form(form: dict[str, str], query: str = "") -> WebhookRequest:
    """Return the form as Twilio posts it."""
    url = "https://parley.example/webhooks/whatsapp/1/"
    signature = RequestValidator("auth-token").compute_signature(url + (f"?{query}" if query else ""), form)
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-twilio-signature": signature,
    }
    return WebhookRequest(method="POST", url=url, headers=headers, body=urlencode(form).encode(), query=query)


def received(kind: str, payload: Any) -> list[InboundEvent]:
    """Return what the channel makes of the payload: a form for WhatsApp, JSON or raw bytes for the others."""
    channel = channel_of(kind)
    if isinstance(payload, dict) and kind == "whatsapp":
        request = signed_form(payload)
    else:
        request = signed(kind, payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return list(channel.parse(channel.verify(request)))


def words_of(event: InboundEvent, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the event's kind and those of its fields that a test names; `who` is the sender's id."""
    named = {name: event.sender.external_id if name == "who" else getattr(event, name) for name in fields}
    return type(event).__name__, named
