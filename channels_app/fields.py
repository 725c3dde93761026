"""Columns of a kind of our own: encrypted at rest, with keys that can be rotated; and words out of a table in code."""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from people.encryption import cipher, decrypt_text, encrypt_text


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


class EncryptedTextField(models.TextField[Any, Any]):
    """A text as Fernet ciphertext; an empty one stays empty, so that it can be seen which rows hold one."""

    def from_db_value(self, value: Any, *_: Any) -> str | None:
        return None if value is None else decrypt_text(value)

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else encrypt_text(str(value))

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        raise TypeError(f"{self.name} is encrypted and cannot be looked up by {lookup_name}")

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002 - Django's signature
        """Leave secrets out of fixtures."""
        return ""


class TableChoiceField(models.CharField[Any, Any]):
    """A word out of a table in code. Migrations go on seeing `migrated`, so that a new row of the table needs none."""

    def __init__(self, *args: Any, migrated: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.migrated = migrated or self.choices

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.CharField", args, {**options, "choices": self.migrated}
