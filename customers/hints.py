"""Find phone numbers and e-mail addresses in what customers write. They are hints at who somebody is, never a proof."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

_E164 = phonenumbers.PhoneNumberFormat.E164
#: What may be a number in international form, as people write it: +34 600 11-22-33.
_PHONE = re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}(?![0-9])", re.ASCII)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
#: Characters of a message that are searched, and hints of one message that are kept.
_MOST_CHARACTERS, _MOST_HINTS = 2_000, 3


def hints_in(text: str) -> list[tuple[str, str]]:
    """Return (type, value) of the first few hints in a message; phones as E.164, addresses in lower case."""
    if "+" not in text and "@" not in text:
        return []
    return list(dict.fromkeys(_hints(text[:_MOST_CHARACTERS])))[:_MOST_HINTS]


def _hints(text: str) -> Iterator[tuple[str, str]]:
    for candidate in _PHONE.findall(text):
        if number := _e164(candidate):
            yield "phone", number
    for email in _EMAIL.findall(text):
        yield "email", email.casefold().rstrip(".")[:256]


def _e164(candidate: str) -> str:
    """Return a number as E.164, "" if its country has none of that length.

    Not asked is whether it has been assigned: the library's lists are older than the newest numbers.
    """
    try:
        number = phonenumbers.parse(candidate)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.format_number(number, _E164) if phonenumbers.is_possible_number(number) else ""
