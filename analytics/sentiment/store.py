"""The SQL of scoring: queue, claim, put back, settle, and find earlier scores."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from analytics.sentiment.engine import Score

#: Seconds for which claimed texts are left to their claimer: longer than a pass takes.
CLAIM_SECONDS = 120
#: Messages older than this when first seen are not scored by themselves: `scoresentiment` does that.
QUEUED_WITHIN = "2 days"

QUEUE = f"""
INSERT INTO analytics_sentiment
       (message_id, state, language, language_from, label, engine, model, phrases_due, attempts, due_at, error)
SELECT id, 'pending', '', '', '', '', '', false, 0, now(), '' FROM connect_bridge_message
 WHERE id = ANY(%s) AND created_at > now() - interval '{QUEUED_WITHIN}'
ON CONFLICT (message_id) DO NOTHING
"""  # noqa: S608 - a constant
#: Where the conversation's language was told before, it is its latest one.
CLAIM = f"""
WITH due AS (
    SELECT message_id, due_at FROM analytics_sentiment WHERE state = 'pending' AND due_at <= now()
     ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE analytics_sentiment s SET due_at = now() + interval '{CLAIM_SECONDS} seconds', attempts = s.attempts + 1
      FROM due WHERE s.message_id = due.message_id RETURNING s.message_id, s.attempts, due.due_at
)
SELECT c.message_id, m.original ->> 'text', COALESCE(i.locale, ''), COALESCE(l.language, ''), c.attempts, c.due_at
  FROM claimed c JOIN connect_bridge_message m ON m.id = c.message_id
  JOIN connect_bridge_conversation v ON v.id = m.conversation_id JOIN customers_identity i ON i.id = v.identity_id
  LEFT JOIN LATERAL (
      SELECT p.language FROM connect_bridge_message q JOIN analytics_sentiment p ON p.message_id = q.id
       WHERE q.conversation_id = m.conversation_id AND p.language_from IN ('channel', 'text', 'engine')
       ORDER BY q.sequence DESC LIMIT 1) l ON true
 ORDER BY c.due_at
"""  # noqa: S608 - a constant
#: Back to its own place in the queue: nobody has asked for it.
PUT_BACK = """
UPDATE analytics_sentiment s SET due_at = o.due_at, attempts = s.attempts - 1
  FROM unnest(%s::uuid[], %s::timestamptz[]) AS o (message_id, due_at)
 WHERE s.message_id = o.message_id AND s.state = 'pending'
"""
PUT_OFF = """
UPDATE analytics_sentiment SET due_at = %s, error = %s WHERE message_id = ANY(%s) AND state = 'pending'
"""
SETTLE = """
UPDATE analytics_sentiment s
   SET state = o.state, language = o.language, language_from = o.language_from, key = o.key, engine = o.engine,
       model = o.model, label = o.label, score = o.score, positive = o.positive, negative = o.negative,
       neutral = o.neutral, mixed = o.mixed, error = o.error, scored_at = now(), due_at = now(),
       phrases_due = o.label = 'negative'
  FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::int[],
              %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::text[])
    AS o (message_id, state, language, language_from, key, engine, model, label, score, positive, negative, neutral,
          mixed, error)
 WHERE s.message_id = o.message_id
"""
KNOWN = """
SELECT DISTINCT ON (key) key, positive, negative, neutral, mixed FROM analytics_sentiment
 WHERE key = ANY(%s) AND state = 'scored' AND engine = %s AND model = %s ORDER BY key, scored_at DESC
"""


class Pending(msgspec.Struct, frozen=True):
    """A claimed text. `due_at`: since when it could have been scored."""

    message: uuid.UUID
    text: str
    locale: str
    known_language: str
    attempts: int
    due_at: datetime


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a text; `score` is None if it is not scored."""

    message: uuid.UUID
    state: str
    language: str
    language_from: str
    key: uuid.UUID
    engine: str
    model: str
    score: Score | None
    error: str


def queue(messages: Sequence[uuid.UUID]) -> None:
    """Let these messages wait for a score, unless they have one or wait already, or are older than QUEUED_WITHIN."""
    _execute(QUEUE, [list(messages)])


def claim(most: int) -> list[Pending]:
    """Claim what is due, the oldest first, for CLAIM_SECONDS: a worker that dies meanwhile loses its claim by then."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [most])
        rows = cursor.fetchall()
    # A text that was erased meanwhile is gone for good.
    return [Pending(message, text or "", *rest) for message, text, *rest in rows]


def put_back(texts: Sequence[Pending]) -> None:
    """Give texts back that were not asked for; they keep their places in the queue."""
    if texts:
        _execute(PUT_BACK, [[text.message for text in texts], [text.due_at for text in texts]])


def put_off(texts: Sequence[Pending], due_at: datetime, why: str) -> None:
    """Let texts wait until a moment, and write down why."""
    _execute(PUT_OFF, [due_at, why[:100], [text.message for text in texts]])


def settle(outcomes: Sequence[Outcome]) -> None:
    """Write down what became of texts, in one statement."""
    if outcomes:
        _execute(SETTLE, [list(column) for column in zip(*map(_row, outcomes), strict=True)])


def known(keys: Sequence[uuid.UUID], engine: str, model: str) -> dict[uuid.UUID, Score]:
    """Return the scores of texts that this engine has scored before."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [list(keys), engine, model])
        return {
            key: Score(positive=positive, negative=negative, neutral=neutral, mixed=mixed)
            for key, positive, negative, neutral, mixed in cursor.fetchall()
        }


def _row(outcome: Outcome) -> list[Any]:
    score = outcome.score
    shares = [None] * 4 if score is None else [score.positive, score.negative, score.neutral, score.mixed]
    return [
        outcome.message,
        outcome.state,
        outcome.language[:16],
        outcome.language_from,
        outcome.key,
        outcome.engine[:64],
        outcome.model[:64],
        "" if score is None else score.label,
        None if score is None else score.value,
        *shares,
        outcome.error,
    ]


def _execute(query: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
