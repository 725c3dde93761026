"""What somebody sees of a JSON value or a form: ids, times and kinds; texts and persons masked as far as needed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from people.privacy import HIDDEN, Sight, masked_id, masked_name, masked_text

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Last words of names whose values say what kind of event this is, when, and under which id: they are shown.
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
#: Codes that say what went wrong. Others, for example a postal code, lead to a person.
_CODES = frozenset({"error", "status", "sub", "fault"})
#: Words of names whose values, and all ids in them, belong to a person.
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
#: Words of names whose values are names of persons.
_NAME = frozenset({"name", "names", "username", "handle", "nickname", "firstname", "lastname"})
#: Called an id, but chosen by a customer: a payload, which may say anything of them.
_CHOSEN = (["selection", "id"], ["list", "id"])
_PLACE = frozenset({"latitude", "longitude", "lat", "lng", "long", "coordinates"})
#: From here on, a bare number may be one of a phone, a card or an account.
_LONG_NUMBER = 10**6
#: Levels of a JSON value that are looked into; no messenger's event has half as many.
_DEEPEST_LEVEL = 50


def masked_json(value: Any, sight: Sight) -> Any:
    """Return a JSON value of a provider or of Connect: ids, times and kinds as they are, every other text masked.

    What says who somebody is keeps its last characters or first letter, wherever it stands and whatever its type.
    """
    return value if sight is Sight.FULL else _masked(value, sight, (), 0)


def masked_body(body: str, sight: Sight) -> str:
    """Return a request's body: JSON or a form; what is neither is hidden from whoever may not read it all."""
    if sight is Sight.FULL:
        return body
    try:
        return json.dumps(_masked(json.loads(body), sight, (), 0), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    pairs = parse_qsl(body, keep_blank_values=True)
    if pairs and "=" in body.partition("&")[0]:
        return "\n".join(f"{name}={_masked(value, sight, (name,), 0)}" for name, value in pairs)
    return masked_text(body, Sight.NONE)


def _masked(value: Any, sight: Sight, path: tuple[str, ...], depth: int) -> Any:
    if depth > _DEEPEST_LEVEL:
        return HIDDEN
    match value:
        case bool() | None:
            return value
        case str():
            return _masked_text_at(value, sight, path)
        case int() | float():
            return _masked_number(value, path)
        case Mapping():
            personal = _of_person(path)
            return {
                (masked_id(str(key), Sight.NONE) if personal and str(key).isdigit() else key): _masked(
                    item, sight, (*path[-2:], str(key)), depth + 1
                )
                for key, item in value.items()
            }
        case list() | tuple():
            return [_masked(item, sight, path, depth + 1) for item in value]
        case _:
            return HIDDEN


def _masked_text_at(text: str, sight: Sight, path: tuple[str, ...]) -> str:
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


def _masked_number(number: float, path: tuple[str, ...]) -> Any:
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
    """Return whether a value belongs to a person, by its own name or those of the values that it stands in."""
    return any(not _PERSON.isdisjoint(_words((name,))) and not name.lower().startswith("for_") for name in path[-3:])


def _words(path: tuple[str, ...]) -> list[str]:
    return [word.lower() for word in _WORDS.findall(path[-1])] if path else []
