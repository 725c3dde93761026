"""Codes that prove a second channel to be the same person's: carried there in a link, or sent there and typed here.

A code works once, a link code for a quarter of an hour unless its maker says otherwise. Whoever has it counts as the
person who was given it: it proves a channel, not a passport. How codes are written stands in code_format.py.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from customers.code_format import digest, digests, new_link_code
from customers.merging import CannotMerge, Method, merge
from customers.models import LinkCode
from customers.sql_steps import Steps

#: How long a code is good by default, and at most.
LINK_LASTS, ONE_TIME_LASTS = timedelta(minutes=15), timedelta(minutes=10)
LONGEST = timedelta(days=1)
#: Wrong guesses of a one-time code, which has a million values; and of all that one identity is to type, in a day.
MOST_GUESSES, MOST_IN_A_DAY = 5, 15

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
    """What came of a code: the outcome, the sender's customer now, and the identity that the code was handed to."""

    outcome: Outcome
    customer: uuid.UUID | None = None
    source: uuid.UUID | None = None


def make_link_code(
    customer: uuid.UUID, identity: uuid.UUID | None, *, by: str, lasts: timedelta = LINK_LASTS
) -> tuple[LinkCode, str]:
    """Store and return a code for whoever is this customer. `identity` is where it is handed over, if anywhere."""
    code = new_link_code()
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


def redeem(
    identity: uuid.UUID, code: str, evidence: dict[str, Any], method: Method = Method.LINK_CODE
) -> Steps[Redeemed]:
    """Use a link code that came from this identity, without asking anybody. Needs a transaction; a code works once.

    For channels where its holder shows that they know what it does. A code in a message is claimed instead (claims.py).
    """
    rows = yield FIND_LINK, {"digests": digests(code)}
    if not rows:
        return Redeemed(Outcome.UNKNOWN)
    [(code_id, customer, source, used, expired)] = rows
    if used or expired:
        return Redeemed(Outcome.USED if used else Outcome.EXPIRED)
    if source == identity:
        return Redeemed(Outcome.SAME_IDENTITY)
    proof = {**evidence, "code": str(code_id), "identities": [str(source or ""), str(identity)]}
    proven = yield from prove(code_id, identity, customer, method, proof)
    return replace(proven, source=source)


def redeem_digits(identity: uuid.UUID, digits: str, evidence: dict[str, Any]) -> Steps[Redeemed]:
    """Try digits that may be a one-time code which this identity was asked to type. Needs a transaction."""
    rows = yield FIND_ONE_TIME, {"identity": identity, "most": MOST_GUESSES, "most_in_a_day": MOST_IN_A_DAY}
    for code, customer, source, stored in rows:
        if any(hmac.compare_digest(each, stored) for each in digests(digits, str(code))):
            proof = {**evidence, "code": str(code), "identities": [str(source), str(identity)]}
            proven = yield from prove(code, identity, customer, Method.ONE_TIME_CODE, proof)
            return replace(proven, source=source)
    if rows:
        yield GUESSED, {"ids": [row[0] for row in rows]}
    return Redeemed(Outcome.UNKNOWN)


def prove(
    code: uuid.UUID, identity: uuid.UUID, customer: uuid.UUID, method: Method, evidence: dict[str, Any]
) -> Steps[Redeemed]:
    """Merge because of a code that was right, and store the outcome."""
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
