"""What a customer allows, by channel and purpose (the newest row counts), and to whom nothing may be sent.

STOP, or a block, withdraws everything and suppresses the identity: the outbox sends nothing there. When the customer
writes again they want an answer, so that lifts the suppression (identify.py), while offers stay forbidden until they
allow them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from customers.models import Consent
from customers.sql_steps import Steps

Purpose = Consent.Purpose

#: Whole messages that forbid everything (FCC, 47 CFR 64.1200(a)(10); Twilio's defaults), and in other languages.
_STOP = frozenset(
    ("stop", "stopall", "stop all", "unsubscribe", "optout", "opt out", "opt-out", "revoke", "arret", "arrêt", "stopp")
) | {"baja", "désabonner", "abmelden", "cancelar suscripción"}
#: Whole messages that forbid offers, but in a chat may as well answer a bot's question.
_PERHAPS_STOP = frozenset(("cancel", "end", "quit"))
_START = frozenset(("start", "unstop", "subscribe", "optin", "opt in", "opt-in", "alta"))
_EDGES = re.compile(r"^[\W_]+|(?<![\W_])[\W_]++$")
_LONGEST_WORD = 24

RECORD = """
INSERT INTO customers_consent (identity_id, purpose, granted, source, topic, evidence, by, at)
SELECT %(identity)s, purpose, %(granted)s, %(source)s, %(topic)s, %(evidence)s, %(by)s, %(at)s
  FROM unnest(%(purposes)s::text[]) AS given (purpose)
"""
#: A STOP stays the reason, also if a block comes after it.
SUPPRESS = """
UPDATE customers_identity SET suppressed_at = COALESCE(suppressed_at, now()),
       suppressed_by = CASE WHEN suppressed_at IS NOT NULL AND %(topic)s = 'block' THEN suppressed_by ELSE %(topic)s END
 WHERE id = %(identity)s
"""
LIFT = "UPDATE customers_identity SET suppressed_at = NULL WHERE id = %(identity)s"


def word_of(text: str) -> bool | None:
    """Return what a whole message asks for: False, no more messages; True, messages again; None, something else."""
    word = _word(text)
    return False if word in _STOP else True if word in _START else None


def only_offers(text: str) -> bool:
    """Return whether a message may mean "no more offers", or may as well answer a question."""
    return _word(text) in _PERHAPS_STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSource:
    """Where a consent comes from: `source` (customer, messenger, api, person), the words used, the evidence."""

    source: str
    topic: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


def record(identity: uuid.UUID, purposes: Sequence[Purpose], source: ConsentSource, *, granted: bool) -> Steps[None]:
    """Store what the customer allows or forbids from now on. Forbidding answers suppresses the identity."""
    params: dict[str, Any] = {
        "identity": identity,
        "purposes": [str(purpose) for purpose in purposes],
        "granted": granted,
        "source": source.source[:32],
        "topic": source.topic[:64],
        "evidence": Jsonb(dict(source.evidence)),
        "by": source.by[:150],
        "at": datetime.now(UTC),
    }
    yield RECORD, params
    if Purpose.REPLY in purposes:
        yield (LIFT, params) if granted else (SUPPRESS, {**params, "topic": (source.topic or source.source)[:32]})


def withdraw_all(identity: uuid.UUID, source: ConsentSource) -> Steps[None]:
    """Honour a STOP or a block."""
    return record(identity, list(Purpose), source, granted=False)


def allow_answers(identity: uuid.UUID, source: ConsentSource) -> Steps[None]:
    """Honour a START, an unblock: answers and news again. Offers need a yes of their own."""
    return record(identity, [Purpose.REPLY, Purpose.TRANSACTIONAL], source, granted=True)


def _word(text: str) -> str:
    return _EDGES.sub("", text).casefold() if len(text) <= _LONGEST_WORD else ""
