"""How each provider signs what it posts to a webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any


def x_signature(consumer_secret: str, payload: bytes) -> str:
    """Sign as X does, in x-twitter-webhooks-signature and as the CRC answer: "sha256=" and base64.

    Source: docs.x.com, "Webhooks", securing webhooks.
    """
    digest = hmac.new(consumer_secret.encode(), payload, hashlib.sha256).digest()
    return "sha256=" + base64.b64encode(digest).decode()


def meta_json(payload: Any) -> bytes:
    r"""Encode as Meta does: compact, \u-escaped in lower-case hex, slashes escaped too.

    The signature covers exactly these bytes, so a receiver that decodes and encodes again before it verifies
    fails on the first accent. Source: developers.facebook.com, "Webhooks", validating payloads.
    """
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).replace("/", r"\/").encode("ascii")


def meta_signature(app_secret: str, body: bytes) -> str:
    """Sign as Meta does, in X-Hub-Signature-256: "sha256=" and lower-case hex, over the raw body."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def twilio_signature(auth_token: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """Sign as Twilio does, in X-Twilio-Signature: base64 HMAC-SHA1 over the URL and the sorted parameters.

    `url` is the webhook exactly as it was registered, query included. Source: twilio.com/docs/usage/webhooks/
    webhooks-security.
    """
    text = url + "".join(name + value for name, value in sorted(set(params)))
    return base64.b64encode(hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def appsecret_proof(app_secret: str, access_token: str) -> str:
    """Prove that a Graph caller holds the app secret. Source: Graph API, "Securing requests"."""
    return hmac.new(app_secret.encode(), access_token.encode(), hashlib.sha256).hexdigest()
