"""Digests of the ids of erased people: nobody can read an id from one, but a replay that names it is recognised."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings


def digest_of(kind: str, issuer: str, name: str) -> str:
    """Return the digest under which an id is remembered. It changes with SECRET_KEY: see `digests_of`."""
    return _digest(settings.SECRET_KEY, kind, issuer, name)


def digests_of(kind: str, issuer: str, name: str) -> list[str]:
    """Return every digest that the id may be remembered by: of this key and of those that it replaced."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [_digest(str(key), kind, issuer, name) for key in keys]


def _digest(key: str, kind: str, issuer: str, name: str) -> str:
    content = f"parley tombstone\0{kind}\0{issuer}\0{name}"
    return hmac.new(key.encode(), content.encode(), hashlib.sha256).hexdigest()
