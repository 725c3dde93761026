"""Reads settings from the environment, or from the files that NAME_FILE names: that is how container secrets come.

A value counts to the letter. A blank one counts as not set, as deployment tools leave variables behind; an impossible
one is refused in words, which name the variable and quote nothing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

#: AWS's variables that may come from a file. Others that end in _FILE are the SDK's own, e.g. AWS_CONFIG_FILE.
_AWS = re.compile(
    "(AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION|DEFAULT_REGION|ENDPOINT_URL[A-Z_]*?))_FILE"
)
WEB = ("http", "https")
_YES, _NO = ("true", "on", "ok", "y", "yes", "1"), ("false", "off", "n", "no", "0")


class _Values(FileAwareMapping):  # type: ignore[misc] # django-environ is not typed
    """Values without the line break that ends most files: none of ours has one, and a key with it is another key."""

    def __getitem__(self, name: str) -> str:
        path = os.environ.get(f"{name}_FILE")
        return _content(f"{name}_FILE", path) if path else str(super().__getitem__(name))


class Env(environ.FileAwareEnv):  # type: ignore[misc] # django-environ is not typed
    """The library's reader, stricter: it would take any word for "no", and a key that begins with $ for a name."""

    ENVIRON = _Values()

    def get_value(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **_: Any) -> Any:
        """Return a variable as its type, or its default. Raises ImproperlyConfigured if it cannot be one."""
        try:
            text = self.ENVIRON[var]
        except KeyError:
            text = ""
        if not text.strip():
            if default is self.NOTSET:
                raise ImproperlyConfigured(f"{var} is not set")
            return default
        read, words = _READ.get(cast, (str, "a text"))
        try:
            return read(text)
        except ValueError:
            raise ImproperlyConfigured(f"{var} is no such value: give {words}") from None

    def number(self, var: str, default: float, *, least: float, most: float = math.inf) -> Any:
        """Return a number of its default's type, from `least` to `most`."""
        value = self.get_value(var, cast=type(default), default=default)
        if not least <= value <= most:
            span = f"{least} to {most}" if most < math.inf else f"{least} or more"
            raise ImproperlyConfigured(f"{var}={value}: give {span}")
        return value

    def zone(self, var: str, default: str) -> str:
        """Return the name of a time zone."""
        value = str(self.str(var, default)).strip()
        try:
            return ZoneInfo(value).key
        except (ValueError, KeyError, OSError):  # a path, no zone, a folder of zones
            raise ImproperlyConfigured(f"{var} is no such zone: give one as Europe/Berlin") from None

    def address(self, var: str, default: str, *, schemes: Container[str] = WEB) -> str:
        """Return a URL of one of these schemes, with a host and without a slash at its end; an empty default may stay.

        Raises ImproperlyConfigured, which quotes nothing: passwords are in some.
        """
        value = str(self.str(var, default)).rstrip("/")
        if value:
            check_address(var, value, schemes)
            if not urlsplit(value).hostname:
                raise ImproperlyConfigured(f"{var} names no host")
        return value


def check_address(var: str, address: str, schemes: Container[str]) -> None:
    """Raise ImproperlyConfigured, which quotes nothing, for what is no URL of one of these schemes."""
    shown = ", ".join(f"{name}://" for name in schemes) if isinstance(schemes, tuple) else "one with a known scheme"
    try:
        parts = urlsplit(address)
        fits = parts.scheme in schemes and "://" in address and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ImproperlyConfigured(f"{var} is no such address: give {shown} with a host, and a port that is a number")


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_YES, *_NO):
        raise ValueError
    return word in _YES


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def _items(text: str) -> list[str]:
    return [item for item in text.split(",") if item.strip()]


#: Type → how it is read, and what may be given.
_READ: dict[Any, tuple[Callable[[str], Any], str]] = {
    bool: (_yes_or_no, "true or false"),
    int: (int, "a whole number"),
    float: (_finite, "a number"),
    list: (_items, "texts, separated by commas"),
}


def _content(name: str, path: str) -> str:
    """Return what is in a file that a variable names. An empty one is a secret that was not put there."""
    try:
        content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "it is no text in UTF-8"
        raise ImproperlyConfigured(f"{name}: the file that it names cannot be read: {why}") from None
    if not content.strip():
        raise ImproperlyConfigured(f"{name}: the file that it names is empty")
    return content


def forget_blanks() -> None:
    """Take away what deployment tools leave empty of the variables that decide before any setting is read."""
    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "HOST", "LOG_LEVEL", "PARLEY_VAR"):
        if not os.environ.get(name, "set").strip():
            del os.environ[name]


def give_aws_its_files() -> None:
    """Set each of AWS's variables whose NAME_FILE is given: the SDK reads the environment and knows no such files."""
    for name, path in list(os.environ.items()):
        if (match := _AWS.fullmatch(name)) and path:
            os.environ[match[1]] = _content(name, path)
