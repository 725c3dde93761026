"""Who may read what customers and agents wrote, and who they are; and what the others see instead.

Every pattern here reads customers' words, so its time grows with their length and no faster.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from enum import Enum
from typing import Any

HIDDEN = "••••"


class Sight(Enum):
    """How much of a text somebody may see."""

    FULL = "full"
    REDACTED = "redacted"
    NONE = "none"


_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
#: Begins where a word does and never backtracks into it: no place in a text is tried from more than one start.
_MAIL = re.compile("(?<![^\\s@\uff20<>])[^\\s@\uff20<>]++[@\uff20][^\\s@\uff20<>]+\\.\\w+")
_HANDLE = re.compile("(?<!\\w)[@\uff20]\\w{2,}")
#: What stands between the digits of one number: spaces, dots, slashes, brackets, dashes of every kind, and what nobody
#: sees, which comes along when a number is copied: soft hyphens, zero-width ones, marks of a direction.
BETWEEN_DIGITS = r"[\s./()\-\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
#: Four digits or more: numbers of phones, cards, orders, dates.
_DIGITS = re.compile(rf"\+?\d(?:{BETWEEN_DIGITS}{{0,3}}+\d){{3,}}+")
#: Numbers that are long enough for a phone, and no part of an id.
_LONG_DIGITS = re.compile(rf"(?<![\w-])\+?\d(?:{BETWEEN_DIGITS}{{0,3}}+\d){{6,}}+")
_SHOWN_CHARACTERS = 4
#: Whom the present response is for: the request, whose user is known only while it is served.
_viewer: ContextVar[Any] = ContextVar("parley_viewer", default=None)


def sight_of(user: Any) -> Sight:
    if user.has_perm("people.read_transcripts"):
        return Sight.FULL
    return Sight.REDACTED if user.has_perm("people.read_redacted") else Sight.NONE


def set_viewer(request: Any) -> None:
    """Set whom the following is for: a request, a sight where there is no user, or nobody (None)."""
    _viewer.set(request)


def current_sight() -> Sight:
    """Return how much the viewer may see. In a process without a viewer: nothing."""
    viewer = _viewer.get()
    if isinstance(viewer, Sight):
        return viewer
    user = getattr(viewer, "user", None)
    return Sight.NONE if user is None else sight_of(user)


def masked_id(number: str, sight: Sight | None = None) -> str:
    """Return a phone number or a messenger's id of a person: whole, or its last characters."""
    if not number or (sight or current_sight()) is Sight.FULL:
        return number
    return HIDDEN + number[-_SHOWN_CHARACTERS:] if len(number) > 2 * _SHOWN_CHARACTERS else HIDDEN


def masked_name(name: str, sight: Sight | None = None) -> str:
    """Return a person's name: whole, or its first letter. A name may be a number, and then is masked as one."""
    if not name or (sight or current_sight()) is Sight.FULL:
        return name
    return masked_id(name, Sight.NONE) if _DIGITS.search(name) else name[0] + HIDDEN


def masked_text(text: str, sight: Sight) -> str:
    """Return a text as far as somebody may read it."""
    if sight is Sight.FULL or not text:
        return text
    return redacted(text) if sight is Sight.REDACTED else f"{HIDDEN} ({len(text):,} characters)"


def redacted(text: str) -> str:
    """Return the text without links, e-mail addresses, handles and numbers. Names in running text stay."""
    for pattern, name in ((_LINK, "[link]"), (_MAIL, "[e-mail]"), (_HANDLE, "[handle]"), (_DIGITS, "[number]")):
        text = pattern.sub(name, text)
    return text


def masked_error(text: str, sight: Sight | None = None) -> str:
    """Return a provider's error text: without addresses and phone numbers, its codes and ids as they are."""
    if not text or (sight or current_sight()) is Sight.FULL:
        return text
    return _LONG_DIGITS.sub("[number]", _MAIL.sub("[e-mail]", text))
