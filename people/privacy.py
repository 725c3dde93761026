"""Who may read what customers and agents wrote and who they are, and what the others see instead.

Every pattern here reads customers' words, so its time grows with their length and no faster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

HIDDEN = "••••"


class Sight(Enum):
    """How much of a text somebody sees."""

    FULL = "full"
    REDACTED = "redacted"
    NONE = "none"


_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
#: Begins where a word does and gives nothing of it back: no place in a text is looked at from more than one start.
_MAIL = re.compile("(?<![^\\s@\uff20<>])[^\\s@\uff20<>]++[@\uff20][^\\s@\uff20<>]+\\.\\w+")
_HANDLE = re.compile("(?<!\\w)[@\uff20]\\w{2,}")
#: What stands between the digits of one number: spaces, dots, slashes, brackets, dashes of every kind, and what nobody
#: sees, which comes along when a number is copied: soft hyphens, zero-width ones, marks of a direction.
BETWEEN_DIGITS = r"[\s./()\-\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
#: Four digits or more: numbers of phones, cards, orders, dates.
_DIGITS = re.compile(rf"\+?\d(?:{BETWEEN_DIGITS}{{0,3}}+\d){{3,}}+")
#: Numbers that are long enough for a phone, and no part of an id.
_LONG_DIGITS = re.compile(rf"(?<![\w-])\+?\d(?:{BETWEEN_DIGITS}{{0,3}}+\d){{6,}}+")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Last words of names whose values say what kind of event this is, when, and under which id: enough to follow it.
_PLAIN = frozenset(
    [
        "id",
        "ids",
        "type",
        "kind",
        "object",
        "field",
        "event",
        "key",
        "time",
        "timestamp",
        "status",
        "sid",
        "mid",
        "seq",
        "watermark",
        "action",
        "state",
        "version",
        "at",
        "media",
        "segments",
        "echo",
        "deleted",
        "product",
        "locale",
        "lang",
        "language",
    ]
)
#: Codes that say what went wrong. Others, a postal code for one, lead to a person.
_CODES = frozenset({"error", "status", "sub", "fault"})
#: Words of names whose values, and all ids in them, are somebody's.
_PERSON = frozenset(
    [
        "from",
        "to",
        "sender",
        "recipient",
        "wa",
        "psid",
        "user",
        "users",
        "author",
        "contact",
        "contacts",
        "phone",
        "address",
        "target",
        "external",
        "username",
        "handle",
        "waid",
        "parent",
    ]
)
#: Words of names whose values are what somebody is called.
_NAME = frozenset({"name", "names", "username", "handle", "nickname", "firstname", "lastname"})
#: What is called an id and is what a customer chose: a payload, which may say anything of them.
_CHOSEN = (["selection", "id"], ["list", "id"])
_PLACE = frozenset({"latitude", "longitude", "lat", "lng", "long", "coordinates"})
_LEFT_OF_A_PERSON = 4
#: Digits from which on a bare number is one of a phone, a card or an account.
_LONG_NUMBER = 10**6
#: Levels of a JSON value that are looked into; no messenger's event has half as many.
_DEEPEST = 50
#: Whoever this page or answer is for: the request, which learns who it is while it is served.
_asking: ContextVar[Any] = ContextVar("parley_asking", default=None)


def sight_of(user: Any) -> Sight:
    if user.has_perm("people.read_transcripts"):
        return Sight.FULL
    return Sight.REDACTED if user.has_perm("people.read_redacted") else Sight.NONE


def set_viewer(request: Any) -> None:
    """Say for whom is worked from here on, until told otherwise: a request, a sight where no user is, or nobody."""
    _asking.set(request)


def current_sight() -> Sight:
    """Return how much whoever is being answered may see. In a process that answers nobody: nothing."""
    asking = _asking.get()
    if isinstance(asking, Sight):
        return asking
    user = getattr(asking, "user", None)
    return Sight.NONE if user is None else sight_of(user)


def masked_id(number: str, sight: Sight | None = None) -> str:
    """Return a phone number or a messenger's id of a person: whole, or its last characters."""
    if not number or (sight or current_sight()) is Sight.FULL:
        return number
    return HIDDEN + number[-_LEFT_OF_A_PERSON:] if len(number) > 2 * _LEFT_OF_A_PERSON else HIDDEN


def masked_name(name: str, sight: Sight | None = None) -> str:
    """Return what a person is called: whole, or its first letter. A name may be a number, and then is seen as one."""
    if not name or (sight or current_sight()) is Sight.FULL:
        return name
    return masked_id(name, Sight.NONE) if _DIGITS.search(name) else name[0] + HIDDEN


def masked_text(text: str, sight: Sight) -> str:
    """Return what somebody sees of a text."""
    if sight is Sight.FULL or not text:
        return text
    return redacted(text) if sight is Sight.REDACTED else f"{HIDDEN} ({len(text):,} characters)"


def redacted(text: str) -> str:
    """Return the text without links, e-mail addresses, handles and numbers. Names in running text stay."""
    for pattern, name in ((_LINK, "[link]"), (_MAIL, "[e-mail]"), (_HANDLE, "[handle]"), (_DIGITS, "[number]")):
        text = pattern.sub(name, text)
    return text


def masked_error(text: str, sight: Sight | None = None) -> str:
    """Return what a provider told of a failure: without addresses and phone numbers, its codes and ids as they are."""
    if not text or (sight or current_sight()) is Sight.FULL:
        return text
    return _LONG_DIGITS.sub("[number]", _MAIL.sub("[e-mail]", text))


def masked_json(value: Any, sight: Sight) -> Any:
    """Return a JSON value of a provider or of Connect: ids, times and kinds as they are, every other text as seen.

    What says who somebody is keeps its last characters or first letter, wherever it stands and whatever its type.
    """
    return value if sight is Sight.FULL else _blurred(value, sight, (), 0)


def masked_body(body: str, sight: Sight) -> str:
    """Return a request's body: JSON or a form; what is neither is hidden from whoever may not read it all."""
    if sight is Sight.FULL:
        return body
    try:
        return json.dumps(_blurred(json.loads(body), sight, (), 0), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    pairs = parse_qsl(body, keep_blank_values=True)
    if pairs and "=" in body.partition("&")[0]:
        return "\n".join(f"{name}={_blurred(value, sight, (name,), 0)}" for name, value in pairs)
    return masked_text(body, Sight.NONE)


def _blurred(value: Any, sight: Sight, path: tuple[str, ...], depth: int) -> Any:
    if depth > _DEEPEST:
        return HIDDEN
    match value:
        case bool() | None:
            return value
        case str():
            return _blurred_text(value, sight, path)
        case int() | float():
            return _blurred_number(value, path)
        case Mapping():
            about = _of_person(path)
            return {
                (masked_id(str(key), Sight.NONE) if about and str(key).isdigit() else key): _blurred(
                    one, sight, (*path[-2:], str(key)), depth + 1
                )
                for key, one in value.items()
            }
        case list() | tuple():
            return [_blurred(one, sight, path, depth + 1) for one in value]
        case _:
            return HIDDEN


def _blurred_text(text: str, sight: Sight, path: tuple[str, ...]) -> str:
    words = _words(path)
    last = words[-1] if words else ""
    if last in _NAME:
        return masked_name(text, sight)
    if _of_person(path):
        return masked_id(text, Sight.NONE) if last not in _PLAIN - {"id", "ids", "key"} else text
    chosen = [word for name in path[-2:] for word in _words((name,))][-2:] in _CHOSEN
    if (last in _PLAIN and not chosen) or _is_code(words):
        return text
    return masked_text(text, sight)


def _blurred_number(number: float, path: tuple[str, ...]) -> Any:
    words = _words(path)
    if not _PLACE.isdisjoint(words):
        return HIDDEN
    if _of_person(path) and not (words and words[-1] in _PLAIN - {"id", "ids"}):
        return masked_id(str(number), Sight.NONE)
    plain = bool(words) and (words[-1] in _PLAIN or _is_code(words))
    return number if plain or abs(number) < _LONG_NUMBER else HIDDEN


def _is_code(words: list[str]) -> bool:
    return words[-1:] == ["subcode"] or (words[-1:] == ["code"] and not _CODES.isdisjoint(words))


def _of_person(path: tuple[str, ...]) -> bool:
    """Say whether a value is somebody's: its own name says so, or that of what it stands in."""
    return any(not _PERSON.isdisjoint(_words((name,))) and not name.lower().startswith("for_") for name in path[-3:])


def _words(path: tuple[str, ...]) -> list[str]:
    return [word.lower() for word in _WORDS.findall(path[-1])] if path else []
