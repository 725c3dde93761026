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
from stdnum import iban, luhn

from channels_app.errors import Unusable
from channels_app.toolkit.json_body import read_object
from channels_app.types import AccountChanged, InboundEvent, Selection
from people.privacy import BETWEEN_DIGITS

#: 13 digits or more on one line, perhaps in groups: a card's 13 to 19 (ISO/IEC 7812), and what stands beside it.
_DIGITS = re.compile(rf"(?<![\d+])\d(?:(?:(?!\n){BETWEEN_DIGITS}){{0,3}}+\d){{12,}}+")
_GROUP = re.compile(r"\d+")
_SHORTEST, _LONGEST, _USUAL = 13, 19, (15, 16)
#: How numbers of payment cards begin: among other digits, only these are looked for.
_PAYMENT = frozenset("23456")
#: What may be an IBAN: two letters, two check digits, up to 30 letters and digits, perhaps in groups (ISO 13616).
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b")
_DASH = r"[-\u2010-\u2015\u2212]"
#: United States social security numbers, as they are written.
_SSN = re.compile(rf"(?<![\d-])(?!000|666|9\d\d)\d{{3}}{_DASH}(?!00)\d{{2}}{_DASH}(?!0000)\d{{4}}(?![\d-])", re.ASCII)
#: Fields of events that hold words, or what holds them in turn.
_FIELDS_WITH_WORDS = frozenset(
    ("text", "parts", "caption", "name", "detail", "answers", "selection", "title", "referral", "topic", "emoji")
)
#: How providers name fields that hold words.
_NAMES_OF_WORDS = re.compile(r"(?:text|title|body|payload|caption|description|subtitle|label|value|values|ref|listid"
                    r"|data|response|address|headline|detail|name)$", re.IGNORECASE)  # fmt: skip
#: Digits of a card that may be kept (PCI DSS 3.4).
_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Redaction:
    """A text to take out, and what is written instead."""

    text: str
    instead: str


def redacted(event: InboundEvent) -> tuple[InboundEvent, list[tuple[str, str]]]:
    """Return the event without what must not be stored, and what was replaced by what."""
    if isinstance(event, AccountChanged):
        return event, []
    redactions = [redaction for text in _texts(event) for redaction in _find(text)]
    if not redactions:
        return event, []
    return _without(event, redactions), [(each.text, each.instead) for each in redactions]


def written_in(body: bytes) -> list[tuple[str, str]]:
    """Return what must not be stored of a raw body, and what to write instead.

    Not everything ends up in an event's texts: messages that another app has to answer, or that are for somebody else,
    types that we do not know, bodies that cannot be read. Ids, times and addresses of files are left as they are, so
    that the body can be read again.
    """
    return [(each.text, each.instead) for text in _words_in(_read(body)) for each in _find(text)]


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
    return re.sub(r"\\u[0-9a-f]{4}", lambda match: f"\\u{match[0][2:].upper()}", _escaped(text))


def _find(text: str) -> Iterator[_Redaction]:
    for match in _DIGITS.finditer(text):
        yield from _cards(match[0])
    for match in _IBAN.finditer(text):
        # The country's length and layout count; the banks' own check digits do not, as not all are published.
        if iban.is_valid(re.sub(r"\s", "", match[0]), check_country=False):
            yield _Redaction(match[0], "[bank account number]")
    for match in _SSN.finditer(text):
        yield _Redaction(match[0], "[social security number]")


def _cards(run: str) -> Iterator[_Redaction]:
    """Yield the cards among groups of digits, each made of whole groups: a date or a code may follow, a count precede.

    Where two candidates overlap, the one with as many digits as most cards have wins: of the others, one in ten has a
    right check digit by chance.
    """
    groups = list(_GROUP.finditer(run))
    left = set(range(len(groups)))
    candidates = _windows([_ascii_digits(group[0]) for group in groups])
    for first, last, digits in sorted(candidates, key=lambda window: (len(window[2]) not in _USUAL, window[0])):
        if left.issuperset(span := range(first, last + 1)):
            left.difference_update(span)
            instead = f"[card number ending in {digits[-_KEPT:]}]"
            yield _Redaction(run[groups[first].start() : groups[last].end()], instead)


def _ascii_digits(text: str) -> str:
    return text if text.isascii() else "".join(str(int(digit)) for digit in text)


def _windows(groups: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the first and the last of neighbouring groups that could be one card, and its digits."""
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += groups[last]
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


def _words_in(raw: Any, name: str = "") -> Iterator[str]:
    """Yield the texts of all fields whose names say that they hold words."""
    if isinstance(raw, dict):
        for key, value in raw.items():
            yield from _words_in(value, key)
    elif isinstance(raw, list):
        for item in raw:
            yield from _words_in(item, name)
    elif isinstance(raw, str) and _NAMES_OF_WORDS.search(name):
        yield raw


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of an event's fields that hold words, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, msgspec.Struct):
        for name in _fields_of(value):
            part = getattr(value, name)
            yield from _texts(_without_ids(part) if name == "referral" else part)


def _without(value: Any, redactions: list[_Redaction]) -> Any:
    if isinstance(value, str):
        for redaction in redactions:
            value = value.replace(redaction.text, redaction.instead)
    elif isinstance(value, tuple):
        return tuple(_without(item, redactions) for item in value)
    elif isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(
            value, **{name: _without(getattr(value, name), redactions) for name in _fields_of(value)}
        )
    return value


def _without_ids(referral: str) -> tuple[str, ...]:
    """Return the parts of a referral that a person wrote: the id of an ad may look like the number of a card."""
    return tuple(part for part in referral.split(" · ") if not part.startswith(("ad ", "product ")))


def _fields_of(value: msgspec.Struct) -> list[str]:
    """Return the names of the fields that hold words. `Selection.id` is a payload of ours, which may be any text."""
    names = _FIELDS_WITH_WORDS | {"id"} if isinstance(value, Selection) else _FIELDS_WITH_WORDS
    return [name for name in value.__struct_fields__ if name in names]


def _is_card(digits: str) -> bool:
    """Return whether the check digit is right; one digit over and over, as zeros alone, is no card's number."""
    return luhn.checksum(digits) == 0 and len(set(digits)) > 1
