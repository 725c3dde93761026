"""Find what customers type that may say who they are: a phone number, an e-mail address. A hint, never a proof."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A number in international form, as people write it: +34 600 11-22-33.
_PHONE = re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}(?![0-9])", re.ASCII)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
#: Characters of a message that are looked at, and hints of one message that are kept.
_LOOKED_AT, _MOST = 2_000, 3


def hints_in(text: str) -> list[tuple[str, str]]:
    """Return (type, value) of what a message tells, the first few; phones as E.164, addresses in lower case."""
    if "+" not in text and "@" not in text:
        return []
    return list(dict.fromkeys(_found(text[:_LOOKED_AT])))[:_MOST]


def _found(text: str) -> Iterator[tuple[str, str]]:
    for phone in _PHONE.findall(text):
        yield "phone", "+" + re.sub(r"[^0-9]", "", phone)
    for email in _EMAIL.findall(text):
        yield "email", email.casefold().rstrip(".")[:256]
