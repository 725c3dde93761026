"""Encryption of secrets in the database: Fernet, under keys of which the first encrypts and all decrypt."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"parley field encryption").derive(key.encode())
    return base64.urlsafe_b64encode(derived)


def cipher() -> MultiFernet:
    """Return the cipher of FIELD_ENCRYPTION_KEYS: the first key encrypts, all decrypt."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


#: How every text begins that Fernet encrypted.
_FERNET_PREFIX = "gAAAA"


def encrypt_text(text: str) -> str:
    """Return a text as it is stored; an empty one stays empty."""
    return cipher().encrypt(text.encode()).decode() if text else ""


def decrypt_text(stored: str) -> str:
    """Return a stored text in the clear; one that was stored before texts were encrypted, as it is.

    Raises ImproperlyConfigured if no key decrypts it.
    """
    if not stored.startswith(_FERNET_PREFIX):
        return stored
    try:
        return cipher().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(
            "None of FIELD_ENCRYPTION_KEYS opens a chat's token. Likely a key was replaced instead of put first: add "
            "the former key behind the new one."
        ) from None


def is_current(token: bytes) -> bool:
    """Return whether the first of FIELD_ENCRYPTION_KEYS decrypts it."""
    try:
        _cipher((settings.FIELD_ENCRYPTION_KEYS[0],)).decrypt(bytes(token))
    except InvalidToken:
        return False
    return True
