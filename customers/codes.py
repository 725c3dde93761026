"""Codes that prove a second channel to be the same person's: carried there in a link, or sent there and typed here.

A link code holds a signature, so that a guess is refused without a look into the database; it works once, for a quarter
of an hour unless told otherwise. Whoever has it counts as the person who was given it: it proves a channel, not a
passport. The database keeps digests alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings

from customers.merging import CannotMerge, Method, merge
from customers.models import LinkCode
from customers.sql_steps import Steps

#: How long a code is good, unless told otherwise, and at most.
LINK_LASTS, ONE_TIME_LASTS = timedelta(minutes=15), timedelta(minutes=10)
LONGEST = timedelta(days=1)
#: Wrong guesses of a one-time code, which has a million values; and of all that one identity is to type, in a day.
MOST_GUESSES, MOST_IN_A_DAY = 5, 15
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

FIND_LINK = """
SELECT id, customer_id, identity_id, used_at IS NOT NULL, expires_at < now() FROM customers_linkcode
 WHERE digest = ANY(%(digests)s) FOR UPDATE
"""
FIND_ONE_TIME = """
SELECT id, customer_id, identity_id, digest FROM customers_linkcode
 WHERE typed_by_id = %(identity)s AND used_at IS NULL AND expires_at >= now() AND attempts < %(most)s
   AND (SELECT sum(attempts) FROM customers_linkcode
         WHERE typed_by_id = %(identity)s AND made_at > now() - interval '1 day') < %(most_in_a_day)s
   FOR UPDATE
"""
GUESSED = "UPDATE customers_linkcode SET attempts = attempts + 1 WHERE id = ANY(%(ids)s)"
HOME = "SELECT home_id, customer_id FROM customers_identity WHERE id = %(identity)s"
USED = """
UPDATE customers_linkcode SET used_at = now(), used_by_id = %(identity)s, outcome = %(outcome)s, merge_id = %(merge)s
 WHERE id = %(id)s
"""


class Outcome(StrEnum):
    ASKED = "asked"
    MERGED = "merged"
    ONE_ALREADY = "one_already"
    SAME_IDENTITY = "same_identity"
    KEPT_APART = "kept_apart"
    REFUSED = "refused"
    OBJECTED = "objected"
    EXPIRED = "expired"
    USED = "used"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What came of a code that somebody sent, whose they are now, and where the code had been handed over."""

    outcome: Outcome
    customer: uuid.UUID | None = None
    source: uuid.UUID | None = None


def make_link_code(
    customer: uuid.UUID, identity: uuid.UUID | None, *, by: str, lasts: timedelta = LINK_LASTS
) -> tuple[LinkCode, str]:
    """Store and return a code for whoever is this customer. `identity` is where it is handed over, if anywhere."""
    drawn = secrets.token_bytes(_RANDOM)
    code = _written(drawn + _signature(drawn))
    now = datetime.now(UTC)
    row = LinkCode.objects.create(
        digest=digest(code),
        customer_id=customer,
        identity_id=identity,
        made_at=now,
        made_by=by[:150],
        expires_at=now + min(lasts, LONGEST),
    )
    return row, code


def make_one_time_code(
    identity: uuid.UUID, customer: uuid.UUID, typed_by: uuid.UUID, *, by: str
) -> tuple[LinkCode, str]:
    """Store and return six digits, to be sent to `identity` and typed by `typed_by`. Former ones count no more."""
    digits = f"{secrets.randbelow(1_000_000):06}"
    now = datetime.now(UTC)
    LinkCode.objects.filter(typed_by=typed_by, used_at=None).update(used_at=now, outcome="replaced")
    row = LinkCode.objects.create(
        form=LinkCode.Form.ONE_TIME,
        digest=digest(digits, str(typed_by), secrets.token_hex(8)),
        customer_id=customer,
        identity_id=identity,
        typed_by_id=typed_by,
        made_at=now,
        made_by=by[:150],
        expires_at=now + ONE_TIME_LASTS,
    )
    LinkCode.objects.filter(pk=row.pk).update(digest=digest(digits, str(row.pk)))
    return row, digits


def link_codes_in(text: str) -> list[str]:
    """Return the link codes in a text whose signature is ours, as they were made."""
    if PREFIX not in text.upper():
        return []
    codes = (re.sub(r"[^0-9A-Z]", "", found.upper()).translate(_LOOKALIKES) for found in _CODE.findall(text))
    return [f"{PREFIX}-{_grouped(code)}" for code in codes if _is_ours(code)]


def one_time_code_in(text: str) -> str:
    """Return what may be the one-time code in a text; "" if nothing may, or several: a message is one guess."""
    if len(text) > _LONGEST_WITH_DIGITS:
        return ""
    found = {"".join(pair) for pair in _SIX_DIGITS.findall(text)}
    return found.pop() if len(found) == 1 else ""


def redeem(
    identity: uuid.UUID, code: str, evidence: dict[str, Any], method: Method = Method.LINK_CODE
) -> Steps[Redeemed]:
    """Use a link code that came from this identity, with nobody asked first. Needs a transaction; a code works once.

    For a way that shows that its holder knows what it does. What comes in a message is claimed (claims.py).
    """
    rows = yield FIND_LINK, {"digests": digests(code)}
    if not rows:
        return Redeemed(Outcome.UNKNOWN)
    [(found, customer, source, used, expired)] = rows
    if used or expired:
        return Redeemed(Outcome.USED if used else Outcome.EXPIRED)
    if source == identity:
        return Redeemed(Outcome.SAME_IDENTITY)
    told = {**evidence, "code": str(found), "identities": [str(source or ""), str(identity)]}
    proven = yield from prove(found, identity, customer, method, told)
    return replace(proven, source=source)


def redeem_digits(identity: uuid.UUID, digits: str, evidence: dict[str, Any]) -> Steps[Redeemed]:
    """Try what may be a one-time code that this identity was asked to type. Needs a transaction."""
    rows = yield FIND_ONE_TIME, {"identity": identity, "most": MOST_GUESSES, "most_in_a_day": MOST_IN_A_DAY}
    for found, customer, source, kept in rows:
        if any(hmac.compare_digest(one, kept) for one in digests(digits, str(found))):
            told = {**evidence, "code": str(found), "identities": [str(source), str(identity)]}
            proven = yield from prove(found, identity, customer, Method.ONE_TIME_CODE, told)
            return replace(proven, source=source)
    if rows:
        yield GUESSED, {"ids": [row[0] for row in rows]}
    return Redeemed(Outcome.UNKNOWN)


def prove(
    code: uuid.UUID, identity: uuid.UUID, customer: uuid.UUID, method: Method, evidence: dict[str, Any]
) -> Steps[Redeemed]:
    """Merge on a code that proved true, and write down what came of it."""
    [(home, shown_as)] = yield HOME, {"identity": identity}
    made: uuid.UUID | None = None
    try:
        merged = yield from merge(home, customer, method, evidence=evidence)
        made, shown_as = merged.merge, merged.customer
        outcome = Outcome.MERGED if made else Outcome.ONE_ALREADY
    except CannotMerge:
        outcome = Outcome.KEPT_APART
    yield USED, {"id": code, "identity": identity, "outcome": outcome.value, "merge": made}
    return Redeemed(outcome, shown_as)


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
    return any(hmac.compare_digest(one[:_SIGNATURE], raw[_RANDOM:]) for one in _macs(b"link code", raw[:_RANDOM]))


def _signature(drawn: bytes) -> bytes:
    return _macs(b"link code", drawn)[0][:_SIGNATURE]


def digest(*told: str) -> str:
    """Return what the database keeps of a code."""
    return digests(*told)[0]


def digests(*told: str) -> list[str]:
    """Return all that it may have kept of it: under our key, first, and under those that this one replaced."""
    return [one.hex() for one in _macs(b"digest", "\0".join(told).encode())]


def _macs(purpose: bytes, told: bytes) -> list[bytes]:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    said = b"parley " + purpose + b"\0" + told
    return [hmac.new(str(key).encode(), said, hashlib.sha256).digest() for key in keys]
