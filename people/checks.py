"""Looks at the keys that somebody chose: a short or well-known one signs sessions and opens credentials for anybody.

Part of `manage.py check --deploy`, where a weak key is an error; elsewhere, with an address that others reach, it is a
warning at each start. A key is never quoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

#: Characters of a key, and different ones among them: what secrets.token_urlsafe(32) never falls below.
LEAST, LEAST_DIFFERENT = 32, 10
#: What stands in examples.
EXAMPLES = (
    "change-me",
    "changeme",
    "change_me",
    "insecure",
    "example",
    "password",
    "your-secret",
    "secret-key",
    "xxxx",
)
FIX = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'


@register(Tags.security, deploy=True)
def keys_are_strong(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    return [checks.Error(words, hint=FIX, id="parley.E001") for words in weak_keys()]


@register(Tags.security)
def weak_keys_are_said(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    return [] if settings.IS_LOCAL else [checks.Warning(words, hint=FIX, id="parley.W001") for words in weak_keys()]


def weak_keys() -> Iterator[str]:
    """Yield what is wrong with each weak key, and why it matters."""
    named = [
        ("SECRET_KEY", [settings.SECRET_KEY], "whoever guesses it signs sessions and links"),
        ("SECRET_KEY_FALLBACKS", settings.SECRET_KEY_FALLBACKS, "whoever guesses one signs sessions and links"),
        ("FIELD_ENCRYPTION_KEYS", settings.FIELD_ENCRYPTION_KEYS, "whoever guesses one reads the stored credentials"),
        *(
            (name, [key], f"whoever guesses it {may}")
            for name, key, may in (
                ("CONTACT_EVENTS_TOKEN", settings.CONTACT_EVENTS_TOKEN, "tells Parley what never happened in Connect"),
                ("MONITORING_TOKEN", settings.MONITORING_TOKEN, "reads its figures"),
            )
            if key
        ),
    ]
    for name, keys, why in named:
        for number, key in enumerate(keys, 1):
            which = f"{name}, number {number}," if len(keys) > 1 else name
            if wrong := _wrong(key):
                yield f"{which} {wrong}: {why}."
    if settings.SECRET_KEY in settings.FIELD_ENCRYPTION_KEYS:
        yield "SECRET_KEY is among FIELD_ENCRYPTION_KEYS: who learns one has both."


def _wrong(key: str) -> str:
    if any(word in key.lower() for word in EXAMPLES):
        return "is taken from an example"
    if len(key) < LEAST:
        return f"has {len(key)} characters, fewer than {LEAST}"
    if len(set(key)) < LEAST_DIFFERENT or key in (key + key)[1:-1]:
        return "repeats itself"
    return ""
