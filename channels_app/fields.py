"""A JSON column that is encrypted at rest, with keys that can be rotated."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"parley field encryption").derive(key.encode())
    return base64.urlsafe_b64encode(derived)


def cipher() -> MultiFernet:
    """Return the cipher of FIELD_ENCRYPTION_KEYS: the first key encrypts, all decrypt."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


def is_current(token: bytes) -> bool:
    """Say whether the first of FIELD_ENCRYPTION_KEYS opens it."""
    try:
        _cipher((settings.FIELD_ENCRYPTION_KEYS[0],)).decrypt(bytes(token))
    except InvalidToken:
        return False
    return True


def decrypt(token: bytes) -> dict[str, Any]:
    """Return the JSON object inside; raise ImproperlyConfigured if no key opens it."""
    try:
        opened: dict[str, Any] = json.loads(cipher().decrypt(bytes(token)))
    except InvalidToken:
        raise ImproperlyConfigured(
            "None of FIELD_ENCRYPTION_KEYS opens a stored credential. Likely a key was replaced instead of put first: "
            "add the former key behind the new one."
        ) from None
    return opened


class EncryptedJSONField(models.BinaryField[Any, Any]):
    """A JSON object as Fernet ciphertext (AES-128-CBC with HMAC-SHA256). Cannot be searched, by design."""

    def from_db_value(self, value: Any, *_: Any) -> dict[str, Any] | None:
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, (bytes, memoryview)):
            return value
        return cipher().encrypt(json.dumps(value).encode())

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        raise TypeError(f"{self.name} is encrypted and cannot be looked up by {lookup_name}")

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002 - Django's signature
        """Leave secrets out of fixtures."""
        return ""
