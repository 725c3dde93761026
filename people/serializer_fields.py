"""Fields of the API that show of persons as much as the caller may see."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from people.json_masking import masked_json
from people.privacy import Sight, current_sight, masked_error, masked_id, masked_name, redacted


class Name(serializers.CharField):
    """A person's name: whole, or its first letter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"read_only": True} | options)

    def to_representation(self, value: Any) -> str:
        return masked_name(str(value))


class Number(Name):
    """A number or a messenger's id of a person: whole, or its last characters."""

    def to_representation(self, value: Any) -> str:
        return masked_id(str(value))


class ErrorText(Name):
    """A provider's error text, which may name a person by number or address."""

    def to_representation(self, value: Any) -> str:
        return masked_error(str(value))


class Facts(serializers.DictField):
    """Facts that other systems sent about a customer, redacted for callers who may not read every word."""

    child = serializers.CharField()

    def __init__(self, **options: Any) -> None:
        options.setdefault("read_only", True)
        super().__init__(**options)

    def to_representation(self, value: Any) -> dict[str, str]:
        whole = current_sight() is Sight.FULL
        return {str(name): str(inner) if whole else redacted(str(inner)) for name, inner in value.items()}


class Evidence(serializers.JSONField):
    """Stored evidence, with persons in it as the caller may see them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"read_only": True} | options)

    def to_representation(self, value: Any) -> Any:
        return masked_json(value, current_sight())
