"""Take card numbers and the like out of what customers write, before anything of it is stored.

For accounts that ask for it. What is taken out of an event's texts is taken out of the raw bytes that it came in, too,
in each way in which a form or JSON may have written it; so the bytes that are kept can be read again, and say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from channels_app.types import Echoed, InboundEvent, MessageEdited, MessageReceived, Part

#: 13 to 19 digits, perhaps in groups (ISO/IEC 7812).
_CARD = re.compile(r"(?<![\d+])\d(?:[ .-]?\d){12,18}(?![\d])", re.ASCII)
#: Two letters, two check digits, up to 30 letters and digits, perhaps in groups (ISO 13616).
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
#: United States social security numbers, as they are written.
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", re.ASCII)
_LUHN = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
#: Digits of a card that may be kept (PCI DSS 3.4).
_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Found:
    """Something to take out, and what stands there instead."""

    text: str
    instead: str


def redacted(event: InboundEvent) -> tuple[InboundEvent, list[tuple[str, str]]]:
    """Return the event without what must not be stored, and what was replaced by what."""
    if not isinstance(event, (MessageReceived, MessageEdited, Echoed)):
        return event, []
    taken = [found for text in _texts(event) for found in _find(text)]
    if not taken:
        return event, []
    return _without(event, taken), [(found.text, found.instead) for found in taken]


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


def _texts(event: MessageReceived | MessageEdited | Echoed) -> Iterator[str]:
    yield event.text
    if isinstance(event, MessageReceived) and event.selection is not None:
        yield event.selection.title
    for part in () if isinstance(event, MessageEdited) else event.parts:
        yield from (part.caption, part.name, part.detail, *(text for pair in part.answers for text in pair))


def _without(event: Any, taken: list[_Found]) -> Any:
    def clean(text: str) -> str:
        for found in taken:
            text = text.replace(found.text, found.instead)
        return text

    def cleaned(part: Part) -> Part:
        answers = tuple((clean(question), clean(answer)) for question, answer in part.answers)
        told = {name: clean(getattr(part, name)) for name in ("caption", "name", "detail")}
        return msgspec.structs.replace(part, **told, answers=answers)

    changed: dict[str, Any] = {"text": clean(event.text)}
    if not isinstance(event, MessageEdited):
        changed["parts"] = tuple(map(cleaned, event.parts))
    if isinstance(event, MessageReceived) and event.selection is not None:
        changed["selection"] = msgspec.structs.replace(event.selection, title=clean(event.selection.title))
    return msgspec.structs.replace(event, **changed)


def _is_card(digits: str) -> bool:
    """Whether the check digit is right (Luhn); zeros alone are no number."""
    total = sum(_LUHN[int(digit)] if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0 and len(set(digits)) > 1


def _is_iban(text: str) -> bool:
    moved = text[4:] + text[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
