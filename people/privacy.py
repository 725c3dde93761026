"""Who may read what customers and agents wrote, and what the others see instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
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
_MAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.\w+")
_HANDLE = re.compile(r"(?<!\w)@\w{2,}")
#: Four digits or more, also with spaces, dots, slashes and dashes between: numbers of phones, cards, orders, dates.
_DIGITS = re.compile(r"\+?\d(?:[\s./()-]?\d){3,}")
#: Names of fields whose values say what kind of event this is, when, and under which id: enough to follow it.
_PLAIN = re.compile(
    r"(?:^|_|[a-z])(?:id|ids|type|kind|object|field|event|time|timestamp|status|sid|mid|seq|watermark|action|state|code|"
    r"version|at|num_?media|num_?segments|is_echo|is_deleted)$",
    re.IGNORECASE,
)
_PERSON = re.compile(r"^(?:from|to|wa_?id|sender|recipient|external_id|external_?user_?id)$", re.IGNORECASE)
_LEFT_OF_A_PERSON = 4


def sight_of(user: Any) -> Sight:
    if user.has_perm("people.read_transcripts"):
        return Sight.FULL
    return Sight.REDACTED if user.has_perm("people.read_redacted") else Sight.NONE


def seen(text: str, sight: Sight) -> str:
    """Return what somebody sees of a text."""
    if sight is Sight.FULL or not text:
        return text
    return redacted(text) if sight is Sight.REDACTED else f"{HIDDEN} ({len(text):,} characters)"


def redacted(text: str) -> str:
    """Return the text without links, e-mail addresses, handles and numbers. Names in running text stay."""
    for pattern, name in ((_LINK, "[link]"), (_MAIL, "[e-mail]"), (_HANDLE, "[handle]"), (_DIGITS, "[number]")):
        text = pattern.sub(name, text)
    return text


def seen_json(value: Any, sight: Sight) -> Any:
    """Return a JSON value of a provider or of Connect: ids, times and kinds as they are, every other text as seen."""
    return value if sight is Sight.FULL else _blurred(value, sight, "")


def seen_body(body: str, sight: Sight) -> str:
    """Return a request's body: JSON or a form; what is neither is hidden from whoever may not read it all."""
    if sight is Sight.FULL:
        return body
    try:
        return json.dumps(_blurred(json.loads(body), sight, ""), indent=2, ensure_ascii=False)
    except ValueError:
        pass
    pairs = parse_qsl(body, keep_blank_values=True)
    if pairs and "=" in body.partition("&")[0]:
        return "\n".join(f"{name}={_blurred(value, sight, name)}" for name, value in pairs)
    return seen(body, Sight.NONE)


def _blurred(value: Any, sight: Sight, name: str) -> Any:
    match value:
        case str():
            return _blurred_text(value, sight, name)
        case Mapping():
            return {key: _blurred(one, sight, str(key)) for key, one in value.items()}
        case list() | tuple():
            return [_blurred(one, sight, name) for one in value]
        case _:
            return value


def _blurred_text(text: str, sight: Sight, name: str) -> str:
    if _PERSON.match(name):
        return HIDDEN + text[-_LEFT_OF_A_PERSON:] if len(text) > 2 * _LEFT_OF_A_PERSON else HIDDEN
    return text if _PLAIN.search(name) else seen(text, sight)
