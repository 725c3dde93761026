"""Keys that somebody chose badly are said so, in words and without quoting them."""

from __future__ import annotations

import secrets

import pytest
from django.core import signing
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django.fixtures import Settings

from config.env import Env
from people.checks import weak_keys, weak_keys_are_said

WEAK = [
    ("short", "fewer than 32"),
    ("a" * 64, "repeats itself"),
    ("abcdefghijkl" * 4, "repeats itself"),
    ("django-insecure-0123456789abcdefghijklmnop", "an example"),
    ("please-Change-Me-please-0123456789abcdefghij", "an example"),
]


def strong() -> str:
    return secrets.token_urlsafe(48)


@pytest.fixture(autouse=True)
def _strong(settings: Settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS, settings.FIELD_ENCRYPTION_KEYS = strong(), [], [strong()]


@pytest.mark.parametrize(("key", "words"), WEAK)
@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS", "FIELD_ENCRYPTION_KEYS"])
def test_a_weak_key_is_said_and_not_quoted(settings: Settings, name: str, key: str, words: str) -> None:
    setattr(settings, name, key if name == "SECRET_KEY" else [strong(), key])

    [answer] = weak_keys()

    assert words in answer
    assert name in answer
    assert key not in answer


def test_strong_keys_are_fine() -> None:
    assert list(weak_keys()) == []


def test_one_key_for_both_is_said(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [settings.SECRET_KEY]

    [answer] = weak_keys()

    assert "who learns one has both" in answer


def test_a_weak_key_fails_the_check_before_a_deployment(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["change-me"]

    with pytest.raises(SystemCheckError, match="FIELD_ENCRYPTION_KEYS is taken from an example"):
        call_command("check", deploy=True)


@pytest.mark.parametrize(("local", "warnings"), [(True, 0), (False, 1)])
def test_each_start_says_so_where_others_reach_it(settings: Settings, *, local: bool, warnings: int) -> None:
    settings.FIELD_ENCRYPTION_KEYS, settings.IS_LOCAL = ["change-me"], local

    assert len(weak_keys_are_said(None)) == warnings


def test_what_a_former_key_signed_still_counts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    former, text = settings.SECRET_KEY, signing.dumps("hello")
    settings.SECRET_KEY = strong()
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", former)

    with pytest.raises(signing.BadSignature):
        signing.loads(text)
    settings.SECRET_KEY_FALLBACKS = Env().list("SECRET_KEY_FALLBACKS", default=[])
    assert signing.loads(text) == "hello"
