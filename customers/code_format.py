"""How codes are written, signed, found in texts and digested.

A link code contains a signature, so that a guess is refused without a query. The database keeps digests alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from django.conf import settings

PREFIX = "PARLEY"
#: Crockford's base 32: no I, L, O, U.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans("ILO", "110")
_RANDOM, _SIGNATURE = 6, 4
_LETTERS = (_RANDOM + _SIGNATURE) * 8 // 5
#: As a person may have copied it: any case, with blanks or dashes of any length between the letters.
_CODE = re.compile(rf"{PREFIX}((?:[\s\u2010-\u2015-]*[0-9A-Z]){{{_LETTERS}}})(?![0-9A-Z])", re.IGNORECASE | re.ASCII)
_SIX_DIGITS = re.compile(r"(?<![0-9])([0-9]{3})[ -]?([0-9]{3})(?![0-9])", re.ASCII)
#: More than this is no message with a one-time code in it.
_LONGEST_WITH_DIGITS = 80


def new_link_code() -> str:
    """Return a fresh link code, signed."""
    random = secrets.token_bytes(_RANDOM)
    return _written(random + _signature(random))


def link_codes_in(text: str) -> list[str]:
    """Return the link codes in a text whose signature is ours, as they were made."""
    if PREFIX not in text.upper():
        return []
    codes = (re.sub(r"[^0-9A-Z]", "", letters.upper()).translate(_LOOKALIKES) for letters in _CODE.findall(text))
    return [f"{PREFIX}-{_grouped(code)}" for code in codes if _is_ours(code)]


def one_time_code_in(text: str) -> str:
    """Return the digits in a text that may be a one-time code, "" if none or several may: a message is one guess."""
    if len(text) > _LONGEST_WITH_DIGITS:
        return ""
    candidates = {"".join(pair) for pair in _SIX_DIGITS.findall(text)}
    return candidates.pop() if len(candidates) == 1 else ""


def _written(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LETTERS)))
    return f"{PREFIX}-{_grouped(letters)}"


def _grouped(letters: str) -> str:
    return "-".join(letters[start : start + 4] for start in range(0, _LETTERS, 4))


def _is_ours(letters: str) -> bool:
    number = 0
    for letter in letters:
        place = _ALPHABET.find(letter)
        if place < 0:
            return False
        number = number << 5 | place
    raw = number.to_bytes(_RANDOM + _SIGNATURE, "big")
    return any(hmac.compare_digest(mac[:_SIGNATURE], raw[_RANDOM:]) for mac in _macs(b"link code", raw[:_RANDOM]))


def _signature(random: bytes) -> bytes:
    return _macs(b"link code", random)[0][:_SIGNATURE]


def digest(*parts: str) -> str:
    """Return the digest of a code that the database keeps."""
    return digests(*parts)[0]


def digests(*parts: str) -> list[str]:
    """Return all digests that may be stored for a code: first under our key, then under the keys that it replaced."""
    return [mac.hex() for mac in _macs(b"digest", "\0".join(parts).encode())]


def _macs(purpose: bytes, content: bytes) -> list[bytes]:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    message = b"parley " + purpose + b"\0" + content
    return [hmac.new(str(key).encode(), message, hashlib.sha256).digest() for key in keys]
