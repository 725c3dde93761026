"""Check that a webhook comes from the provider: over the raw bytes, in constant time, and refusing when in doubt."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import unquote

import msgspec

from channels_app.errors import BadHandshake, BadSignature
from channels_app.types import Secret, Struct, WebhookRequest


class Credentials(Struct, frozen=True, kw_only=True):
    """What an account is configured with. A blank secret is refused: whoever guesses "" could sign with it."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Secret) and field.required and not value.reveal().strip():
                raise ValueError(f"{field.name} must not be empty")


def signature_of(request: WebhookRequest, header: str) -> bytes:
    """Return the one signature that the request carries; raise BadSignature if there is none, or more than one."""
    value = request.headers.get(header, "")
    if not value or header in request.repeated:
        raise BadSignature("the request carries no signature, or several")
    return value.encode("utf-8", "replace")


def hmac_sha256(secret: Secret, data: bytes) -> bytes:
    return hmac.digest(secret.reveal().encode(), data, hashlib.sha256)


def same(expected: bytes, signature: bytes) -> bool:
    """Compare in constant time. The one place where secrets and digests are compared."""
    return hmac.compare_digest(expected, signature)


def require_same(expected: bytes, signature: bytes) -> None:
    """Raise BadSignature, which tells neither of the two, if they differ."""
    if not same(expected, signature):
        raise BadSignature("the signature does not match")


def handshake_parameter(request: WebhookRequest, name: str) -> str:
    """Return one parameter of the query; raise BadHandshake if it is absent or comes twice.

    A plus sign stays one: providers' tokens are base64, and not all of them encode it.
    """
    pairs = [pair.partition("=") for pair in request.query.split("&")]
    values = [value for key, _, value in pairs if unquote(key) == name]
    if len(values) != 1:
        raise BadHandshake(f"{name} must come exactly once")
    return unquote(values[0])
