"""A link code that comes in on another channel merges nothing by itself: its sender is asked first.

Whoever sends a code may not know what it is: a link with a code can be sent to anybody. So:

1. The code is used up, and its sender is asked.
2. A YES within a quarter of an hour makes the two one customer.
3. The identity that the code was handed to is notified, and may object for a day; that undoes the merge for good.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from customers.code_format import digests
from customers.codes import FIND_LINK, Outcome, prove
from customers.merging import CannotMerge, Method, keep_apart, unmerge
from customers.sql_steps import Steps

#: Seconds in which a question may be answered, and in which the other side may object.
ANSWER_LASTS, OBJECTION_LASTS = 15 * 60, 24 * 3600
#: Whole messages that count as answers, in the languages in which the question is asked.
_YES = frozenset(("yes", "si", "ja", "oui", "sim"))
_NO = frozenset(("no", "nein", "non", "nao"))
_NOT_ME = frozenset(("not me", "no soy yo", "nicht ich", "pas moi", "nao fui eu", "non sono io"))

#: Who undoes a merge that a customer objects to, and why, as the audit shows it.
CUSTOMER, NOT_THEM = "the customer", "NOT ME, in answer to what we told them of a link code"

CLAIM = """
UPDATE customers_linkcode SET used_at = now(), used_by_id = %(identity)s, outcome = 'asked' WHERE id = %(id)s
"""
ARE_ONE = """
SELECT i.customer_id = COALESCE(c.merged_into_id, c.id) FROM customers_identity i, customers_customer c
 WHERE i.id = %(identity)s AND c.id = %(customer)s
"""
ASKED = """
SELECT id, customer_id, identity_id, used_by_id FROM customers_linkcode
 WHERE used_by_id = %(identity)s AND outcome = 'asked' AND used_at >= now() - make_interval(secs => %(lasts)s)
 ORDER BY used_at DESC LIMIT 1 FOR UPDATE
"""
#: What the other side may object to: a question, or a merge after a YES.
OBJECTED = """
SELECT k.id, k.customer_id, k.used_by_id, m.id, i.home_id
  FROM customers_linkcode k JOIN customers_identity i ON i.id = k.used_by_id
  LEFT JOIN customers_merge m ON m.id = k.merge_id AND m.undone_at IS NULL
 WHERE k.identity_id = %(identity)s AND k.form = 'link' AND k.outcome IN ('asked', 'merged')
   AND k.used_at >= now() - make_interval(secs => %(lasts)s)
 ORDER BY k.used_at DESC LIMIT 1 FOR UPDATE OF k
"""
SETTLED = "UPDATE customers_linkcode SET outcome = %(outcome)s WHERE id = %(id)s"


class Reply(StrEnum):
    YES = "yes"
    NO = "no"
    NOT_ME = "not_me"


class News(StrEnum):
    """What an identity is to be notified of. `ASKED` is a question."""

    ASKED = "asked"
    WARNED = "warned"
    JOINED = "joined"
    LEFT_ALONE = "left_alone"
    TAKEN_APART = "taken_apart"


@dataclass(frozen=True, slots=True)
class Notification:
    """News for one identity about another one."""

    identity: uuid.UUID
    news: News
    other: uuid.UUID | None


def reply_in(text: str) -> Reply | None:
    """Return what a whole message says to such a question, if it may be an answer to one."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text[:40].casefold())
        if not unicodedata.combining(character)
    )
    word = " ".join(re.sub(r"[^\w\s]", " ", plain).split())
    return Reply.YES if word in _YES else Reply.NO if word in _NO else Reply.NOT_ME if word in _NOT_ME else None


def claim(identity: uuid.UUID, code: str) -> Steps[tuple[Outcome, list[Notification]]]:
    """Use up a link code that came from this identity; return whom to ask and notify. Needs a transaction."""
    rows = yield FIND_LINK, {"digests": digests(code)}
    if not rows:
        return Outcome.UNKNOWN, []
    [(code_id, customer, source, used, expired)] = rows
    if used or expired:
        return (Outcome.USED if used else Outcome.EXPIRED), []
    if source == identity:
        return Outcome.SAME_IDENTITY, []
    params = {"id": code_id, "identity": identity, "customer": customer}
    if (yield ARE_ONE, params) == [(True,)]:
        return Outcome.ONE_ALREADY, []
    yield CLAIM, params
    return Outcome.ASKED, [Notification(identity, News.ASKED, source), *_to(source, News.WARNED, identity)]


def answer(identity: uuid.UUID, reply: Reply, evidence: dict[str, Any]) -> Steps[list[Notification]]:
    """Handle an answer, if this identity was asked or may object; return whom to notify. Needs a transaction."""
    if reply == Reply.NOT_ME:
        return (yield from _object(identity))
    rows = yield ASKED, {"identity": identity, "lasts": ANSWER_LASTS}
    if not rows:
        return []
    [(code, customer, source, _)] = rows
    if reply == Reply.NO:
        yield SETTLED, {"id": code, "outcome": Outcome.REFUSED.value}
        return [Notification(identity, News.LEFT_ALONE, source), *_to(source, News.LEFT_ALONE, identity)]
    proof = {**evidence, "code": str(code), "identities": [str(source or ""), str(identity)]}
    proven = yield from prove(code, identity, customer, Method.LINK_CODE, proof)
    news = News.JOINED if proven.outcome in (Outcome.MERGED, Outcome.ONE_ALREADY) else News.LEFT_ALONE
    return [Notification(identity, news, source), *_to(source, news, identity)]


def _object(identity: uuid.UUID) -> Steps[list[Notification]]:
    rows = yield OBJECTED, {"identity": identity, "lasts": OBJECTION_LASTS}
    if not rows:
        return []
    [(code, customer, other, merge, home)] = rows
    try:
        if merge is not None:
            yield from unmerge(merge, by=CUSTOMER, reason=NOT_THEM)
        else:
            yield from keep_apart(customer, home, by=CUSTOMER, reason=NOT_THEM)
    except CannotMerge:
        return []  # a person has settled it meanwhile
    yield SETTLED, {"id": code, "outcome": Outcome.OBJECTED.value}
    return [Notification(identity, News.TAKEN_APART, other), Notification(other, News.TAKEN_APART, identity)]


def joined(identity: uuid.UUID, source: uuid.UUID | None) -> list[Notification]:
    """Return the notifications that these two are one."""
    return [Notification(identity, News.JOINED, source), *_to(source, News.JOINED, identity)]


def _to(source: uuid.UUID | None, news: News, other: uuid.UUID) -> list[Notification]:
    return [] if source is None else [Notification(source, news, other)]
