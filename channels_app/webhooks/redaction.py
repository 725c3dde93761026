"""Take card numbers and the like out of what customers write, before anything of it is stored.

For accounts that ask for it. What is taken out of an event's texts is taken out of the raw bytes that it came in, too,
in each way in which a form or JSON may have written it; so the bytes that are kept can be read again, and say the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import msgspec

from channels_app.errors import Unusable
from channels_app.toolkit.payloads import read_object
from channels_app.types import AccountChanged, InboundEvent, Selection
from people.privacy import BETWEEN_DIGITS

#: 13 digits or more on one line, perhaps in groups: a card's 13 to 19 (ISO/IEC 7812), and what stands beside it.
_DIGITS = re.compile(rf"(?<![\d+])\d(?:(?:(?!\n){BETWEEN_DIGITS}){{0,3}}+\d){{12,}}+")
_GROUP = re.compile(r"\d+")
_SHORTEST, _LONGEST, _USUAL = 13, 19, (15, 16)
#: How numbers of payment cards begin: between other digits, nothing else is looked for.
_PAYMENT = frozenset("23456")
#: Two letters, two check digits, up to 30 letters and digits, perhaps in groups (ISO 13616).
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b")
_DASH = r"[-\u2010-\u2015\u2212]"
#: United States social security numbers, as they are written.
_SSN = re.compile(rf"(?<![\d-])(?!000|666|9\d\d)\d{{3}}{_DASH}(?!00)\d{{2}}{_DASH}(?!0000)\d{{4}}(?![\d-])", re.ASCII)
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
        for write in (str, quote_plus, quote, _escaped, _escaped_large):
            body = body.replace(write(text).encode(), write(instead).encode())
    return body


def _escaped(text: str) -> str:
    """Return a text as JSON has it where everything beyond ASCII is escaped."""
    return json.dumps(text)[1:-1]


def _escaped_large(text: str) -> str:
    return re.sub(r"\\u[0-9a-f]{4}", lambda found: f"\\u{found[0][2:].upper()}", _escaped(text))


def _find(text: str) -> Iterator[_Found]:
    for match in _DIGITS.finditer(text):
        yield from _cards(match[0])
    for match in _IBAN.finditer(text):
        if _is_iban(re.sub(r"\s", "", match[0])):
            yield _Found(match[0], "[bank account number]")
    for match in _SSN.finditer(text):
        yield _Found(match[0], "[social security number]")


def _cards(run: str) -> Iterator[_Found]:
    """Yield the cards among groups of digits, each of whole groups: a date or a code may follow, a count go ahead.

    Where two overlap, what has as many digits as most cards have counts: of others, one in ten fits by chance.
    """
    groups = list(_GROUP.finditer(run))
    left = set(range(len(groups)))
    for first, last, digits in sorted(_windows(groups), key=lambda found: (len(found[2]) not in _USUAL, found[0])):
        if left.issuperset(span := range(first, last + 1)):
            left.difference_update(span)
            instead = f"[card number ending in {digits[-_KEPT:]}]"
            yield _Found(run[groups[first].start() : groups[last].end()], instead)


def _windows(groups: Sequence[re.Match[str]]) -> Iterator[tuple[int, int, str]]:
    """Yield the first and the last of neighbouring groups that could be one card, and its digits."""
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += "".join(str(int(digit)) for digit in groups[last][0])
            if len(digits) > _LONGEST:
                break
            fits = len(digits) >= _SHORTEST and (digits[0] in _PAYMENT or last - first + 1 == len(groups))
            if fits and _is_card(digits):
                yield first, last, digits


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
