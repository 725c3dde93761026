"""Take card numbers and the like out of what customers write, before anything of it is stored.

For accounts that ask for it. What is taken out of an event's texts is taken out of the raw bytes that it came in, too,
in each way in which a form or JSON may have written it; so the bytes that are kept can be read again, and say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import msgspec

from channels_app.errors import Unusable
from channels_app.payloads import read_object
from channels_app.types import AccountChanged, InboundEvent, Selection

#: 13 to 19 digits, perhaps in groups (ISO/IEC 7812).
_CARD = re.compile(r"(?<![\d+])\d(?:[ .-]?\d){12,18}(?![\d])", re.ASCII)
#: Two letters, two check digits, up to 30 letters and digits, perhaps in groups (ISO 13616).
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
#: United States social security numbers, as they are written.
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", re.ASCII)
_LUHN = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
#: Fields of events that hold words, or what holds them in turn.
_SAID = frozenset(
    ("text", "parts", "caption", "name", "detail", "answers", "selection", "title", "referral", "topic", "emoji")
)
#: How a provider names what holds words.
_WORDS = re.compile(r"(?:text|title|body|payload|caption|description|subtitle|label|value|values|ref|listid"
                    r"|data|response|address|headline|detail|name)$", re.IGNORECASE)  # fmt: skip
#: Digits of a card that may be kept (PCI DSS 3.4).
_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Found:
    """Something to take out, and what stands there instead."""

    text: str
    instead: str


def redacted(event: InboundEvent) -> tuple[InboundEvent, list[tuple[str, str]]]:
    """Return the event without what must not be stored, and what was replaced by what."""
    taken = [] if isinstance(event, AccountChanged) else [found for text in _texts(event) for found in _find(text)]
    if not taken:
        return event, []
    return _without(event, taken), [(found.text, found.instead) for found in taken]


def written_in(body: bytes) -> list[tuple[str, str]]:
    """Return what must not be stored of a raw body, and what to write instead.

    Not all that comes is in an event's texts: what another app has to answer, what is somebody else's, what we do not
    know, what cannot be read. Ids, times and addresses of files are left as they are, so that it can be read again.
    """
    return [(found.text, found.instead) for text in _said(_read(body)) for found in _find(text)]


def without(body: bytes, replaced: list[tuple[str, str]]) -> bytes:
    """Return the raw bytes without what was replaced in their events."""
    for text, instead in replaced:
        for write in (str, quote_plus, quote):
            body = body.replace(write(text).encode(), write(instead).encode())
    return body


def _find(text: str) -> Iterator[_Found]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _is_card(digits):
            yield _Found(match[0], f"[card number ending in {digits[-_KEPT:]}]")
    for match in _IBAN.finditer(text):
        if _is_iban(match[0].replace(" ", "")):
            yield _Found(match[0], "[bank account number]")
    for match in _SSN.finditer(text):
        yield _Found(match[0], "[social security number]")


def _read(body: bytes) -> Any:
    """Return the JSON of a body, else the fields of a form; nothing of anything else."""
    try:
        return read_object(body)
    except Unusable:
        return dict(parse_qsl(body.decode("utf-8", "replace")))


def _said(raw: Any, name: str = "") -> Iterator[str]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            yield from _said(value, key)
    elif isinstance(raw, list):
        for one in raw:
            yield from _said(one, name)
    elif isinstance(raw, str) and _WORDS.search(name):
        yield raw


def _texts(value: Any) -> Iterator[str]:
    """Yield what was said in an event: the texts of the fields that hold words, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, msgspec.Struct):
        for name in _fields_of(value):
            told = getattr(value, name)
            yield from _texts(_without_ids(told) if name == "referral" else told)


def _without(value: Any, taken: list[_Found]) -> Any:
    if isinstance(value, str):
        for found in taken:
            value = value.replace(found.text, found.instead)
    elif isinstance(value, tuple):
        return tuple(_without(one, taken) for one in value)
    elif isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(
            value, **{name: _without(getattr(value, name), taken) for name in _fields_of(value)}
        )
    return value


def _without_ids(referral: str) -> tuple[str, ...]:
    """Return what of a referral somebody wrote: the id of an ad may look like the number of a card."""
    return tuple(part for part in referral.split(" · ") if not part.startswith(("ad ", "product ")))


def _fields_of(value: msgspec.Struct) -> list[str]:
    """Return the names of the fields that hold words. A payload of ours, `Selection.id`, may be anything."""
    own = _SAID | {"id"} if isinstance(value, Selection) else _SAID
    return [name for name in value.__struct_fields__ if name in own]


def _is_card(digits: str) -> bool:
    """Whether the check digit is right (Luhn); zeros alone are no number."""
    total = sum(_LUHN[int(digit)] if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0 and len(set(digits)) > 1


def _is_iban(text: str) -> bool:
    moved = text[4:] + text[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
