"""All SQL of the outbox: who may send what now, and what became of it. One round trip each, no ORM.

The database's clock rules: workers whose clocks differ must agree on when a claim ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from channels_app.accounts.call_log import LOG_CALLS, call_params
from channels_app.toolkit.http import HttpTrace
from connect_bridge.outbox import db_pool
from connect_bridge.outbox.db_pool import Connection

#: Seconds for which nobody else touches a claimed entry: more than a send can take (http.py: 4 to connect, 10 to read).
CLAIM_SECONDS = 20.0
#: Seconds after which the messenger is asked for what became uncertain: receipts and echoes are mostly faster.
FIRST_LOOK = 5.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that this worker alone may send now, and all that it takes to send it. `age` is in seconds.

    `suppressed_by` is the customer's word by which nothing may be sent to this identity, "" if it may.
    """

    entry: uuid.UUID
    message: uuid.UUID
    conversation: uuid.UUID
    text: str
    parts: int
    attempts: int
    age: float
    claimed_by: str
    recipient: str
    account: uuid.UUID
    kind: str
    version: datetime
    identity: uuid.UUID
    suppressed_by: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a failed attempt means. `state` is pending (again after `delay` seconds), dead or uncertain.

    For `pause` seconds nothing of the whole account is to be sent.
    """

    state: str
    code: str
    provider_code: str
    detail: str
    delay: float = 0.0
    pause: float = 0.0


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose status has just changed."""

    message: uuid.UUID
    conversation: uuid.UUID
    status: str


_THROTTLED = "EXISTS (SELECT 1 FROM connect_bridge_accountpause p WHERE p.account_id = a.id AND p.until > now())"
#: A person has paused the account: only the reply that says so goes out, before everything else.
_HELD_BACK = "(a.paused_since IS NOT NULL AND NOT o.passes_pause)"
_ACCOUNT_PAUSED = """EXISTS (
    SELECT 1 FROM connect_bridge_conversation hc JOIN channels_app_channelaccount ha ON ha.id = hc.account_id
     WHERE hc.id = %(conversation)s AND ha.paused_since IS NOT NULL)"""
#: The head of the conversation, if it is due and nothing of this conversation is being sent. Of two workers that both
#: see it pending the second waits for the first one's row lock, then finds it claimed.
CLAIM = f"""
UPDATE connect_bridge_outboxentry o
   SET state = 'claimed', claimed_by = %(worker)s, claimed_until = now() + make_interval(secs => %(seconds)s),
       attempts = o.attempts + 1
  FROM connect_bridge_conversation c JOIN channels_app_channelaccount a ON a.id = c.account_id
  JOIN customers_identity i ON i.id = c.identity_id
 WHERE o.id = (SELECT h.id FROM connect_bridge_outboxentry h
                WHERE h.conversation_id = %(conversation)s AND h.state IN ('pending', 'claimed')
                ORDER BY {_ACCOUNT_PAUSED} AND NOT h.passes_pause, h.sequence, h.part LIMIT 1)
   AND o.state = 'pending' AND o.due_at <= now() AND c.id = o.conversation_id AND a.enabled AND NOT {_THROTTLED}
   AND NOT {_HELD_BACK}
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry b
                    WHERE b.conversation_id = %(conversation)s AND b.state = 'claimed')
RETURNING o.id AS entry, o.message_id AS message, o.conversation_id AS conversation, o.text, o.attempts, o.claimed_by,
          EXTRACT(EPOCH FROM now() - o.created_at)::float8 AS age, c.recipient, a.id AS account, a.kind,
          a.updated_at AS version, i.id AS identity,
          CASE WHEN i.suppressed_at IS NULL THEN '' ELSE COALESCE(NULLIF(i.suppressed_by, ''), 'STOP') END
              AS suppressed_by,
          (SELECT count(*) FROM connect_bridge_outboxentry p WHERE p.message_id = o.message_id) AS parts
"""  # noqa: S608 - a constant
#: Whoever settles one part of several must see what others settle meanwhile, so they take turns.
LOCK_PARTS = "SELECT 1 FROM connect_bridge_outboxentry WHERE message_id = %s ORDER BY part FOR UPDATE"
#: Half a message helps nobody: what follows a part that failed is not sent.
EARLIER_PART = "error_code = 'earlier_part', error_detail = 'An earlier part of this message failed.'"
#: What the provider confirmed is true, whoever holds the claim by now. Only a receipt that says otherwise is newer.
ACCEPTED = f"""
WITH logged AS ({LOG_CALLS}), named AS (
    INSERT INTO connect_bridge_sentid (account_id, provider_message_id, entry_id)
    SELECT %(account)s, i.id, %(entry)s FROM unnest(%(ids)s::text[]) AS i (id) ON CONFLICT DO NOTHING
), settled AS (
    UPDATE connect_bridge_outboxentry
       SET state = 'accepted', provider_message_ids = %(json)s, settled_at = now(), error_code = '', provider_code = '',
           error_detail = ''
     WHERE id = %(entry)s AND state IN ('pending', 'claimed', 'uncertain') RETURNING message_id
)
UPDATE connect_bridge_message m
   SET status = 'accepted', settled_at = now(), error_code = '', error_detail = '',
       provider_message_id = COALESCE(NULLIF(m.provider_message_id, ''), (%(ids)s::text[])[1], '')
  FROM settled s WHERE m.id = s.message_id AND m.status IN ('stored', 'relayed', 'uncertain')
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry o
                    WHERE o.message_id = m.id AND o.id <> %(entry)s AND o.state <> 'accepted')
RETURNING m.id AS message, m.conversation_id AS conversation, m.status
"""  # noqa: S608 - a constant
#: A failure counts only while the claim is held.
FAILED = f"""
WITH logged AS ({LOG_CALLS}), settled AS (
    UPDATE connect_bridge_outboxentry
       SET state = %(state)s::text, due_at = now() + make_interval(secs => %(delay)s), error_code = %(code)s,
           provider_code = %(provider_code)s, error_detail = %(detail)s,
           settled_at = CASE WHEN %(state)s::text = 'pending' THEN NULL ELSE now() END, looks = 0,
           look_at = CASE WHEN %(state)s::text = 'uncertain' THEN now() + interval '{FIRST_LOOK} seconds' END
     WHERE id = %(entry)s AND state = 'claimed' AND claimed_by = %(worker)s AND attempts = %(attempts)s
    RETURNING message_id
), paused AS (
    INSERT INTO connect_bridge_accountpause AS p (account_id, since, until)
    SELECT %(account)s, now(), now() + make_interval(secs => %(pause)s) WHERE %(pause)s > 0
        ON CONFLICT (account_id) DO UPDATE
       SET since = CASE WHEN p.until > now() THEN p.since ELSE now() END, until = GREATEST(p.until, EXCLUDED.until)
), rest AS (
    UPDATE connect_bridge_outboxentry o
       SET state = 'dead', settled_at = now(), {EARLIER_PART}
      FROM settled s WHERE %(state)s::text = 'dead' AND o.message_id = s.message_id AND o.state = 'pending'
       AND o.id <> %(entry)s
)
UPDATE connect_bridge_message m
   SET status = CASE %(state)s::text WHEN 'dead' THEN 'failed' ELSE 'uncertain' END, error_code = %(code)s,
       error_detail = %(detail)s, settled_at = CASE %(state)s::text WHEN 'dead' THEN now() ELSE m.settled_at END
  FROM settled s
 WHERE m.id = s.message_id
   AND CASE %(state)s::text WHEN 'dead' THEN m.status IN ('stored', 'relayed', 'uncertain', 'accepted')
                      WHEN 'uncertain' THEN m.status IN ('stored', 'relayed') ELSE false END
RETURNING m.id AS message, m.conversation_id AS conversation, m.status
"""  # noqa: S608 - a constant
#: Whoever held these died between claim and settlement. The provider may have taken the message or not: uncertain.py
#: asks it.
EXPIRE = f"""
WITH expired AS (
    SELECT id FROM connect_bridge_outboxentry WHERE state = 'claimed' AND claimed_until < now()
     LIMIT %(most)s FOR UPDATE SKIP LOCKED
), settled AS (
    UPDATE connect_bridge_outboxentry o
       SET state = 'uncertain', settled_at = now(), error_code = 'unknown_outcome', error_detail = %(detail)s,
           looks = 0, look_at = now() + interval '{FIRST_LOOK} seconds'
      FROM expired WHERE o.id = expired.id RETURNING o.message_id
)
UPDATE connect_bridge_message m SET status = 'uncertain', error_code = 'unknown_outcome', error_detail = %(detail)s
 WHERE m.id IN (SELECT message_id FROM settled) AND m.status IN ('stored', 'relayed')
RETURNING m.id AS message, m.conversation_id AS conversation, m.status
"""  # noqa: S608 - a constant
#: Conversations whose next send is due, the oldest first. A new one has a task already: it is left a moment.
DUE = f"""
SELECT o.conversation_id
  FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE o.state = 'pending' AND o.due_at <= now() AND a.enabled AND NOT {_THROTTLED} AND NOT {_HELD_BACK}
   AND (o.attempts > 0 OR o.due_at <= now() - make_interval(secs => %(grace)s))
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry b
                    WHERE b.conversation_id = o.conversation_id AND b.state IN ('pending', 'claimed')
                      AND (b.sequence, b.part) < (o.sequence, o.part)
                      AND (a.paused_since IS NULL OR b.passes_pause))
 ORDER BY o.due_at LIMIT %(most)s
"""  # noqa: S608 - a constant
#: What would wait longer than PATIENCE for the end of its account's pause is given up without another attempt.
HOPELESS = """
WITH hopeless AS (
    SELECT o.id, p.until FROM connect_bridge_accountpause p
      JOIN connect_bridge_conversation c ON c.account_id = p.account_id
      JOIN connect_bridge_outboxentry o ON o.conversation_id = c.id
     WHERE p.until > now() AND o.state = 'pending'
       AND GREATEST(o.due_at, p.since) + make_interval(secs => %(patience)s) < p.until
     LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), settled AS (
    UPDATE connect_bridge_outboxentry o
       SET state = 'dead', settled_at = now(), error_code = 'throttled', provider_code = '',
           error_detail = format(%(detail)s, ceil(EXTRACT(EPOCH FROM h.until - now()) / 60))
      FROM hopeless h WHERE o.id = h.id RETURNING o.message_id, o.error_detail
)
UPDATE connect_bridge_message m
   SET status = 'failed', error_code = 'throttled', error_detail = s.error_detail, settled_at = now()
  FROM settled s WHERE m.id = s.message_id AND m.status IN ('stored', 'relayed', 'uncertain', 'accepted')
RETURNING m.id AS message, m.conversation_id AS conversation, m.status
"""


def claim(conversation: uuid.UUID, worker: str) -> Claim | None:
    """Claim the conversation's next send for CLAIM_SECONDS; None if nothing may be sent now."""
    params = {"conversation": conversation, "worker": worker, "seconds": CLAIM_SECONDS}
    with db_pool.connection() as connection, connection.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(CLAIM, params).fetchone()


def settle_accepted(claim: Claim, ids: Sequence[str], calls: Sequence[HttpTrace]) -> Settled | None:
    """Write down that the provider took it; return the message if it is accepted as a whole. Idempotent."""
    cleaned = [clean(message_id, 256) for message_id in ids]
    params = {**call_params(claim.account, claim.entry, calls), "ids": cleaned, "json": Jsonb(cleaned)}
    return _settle(claim, ACCEPTED, params)


def settle_failed(claim: Claim, verdict: Verdict, calls: Sequence[HttpTrace]) -> Settled | None:
    """Write down what a failed attempt means, unless the claim was lost; return the message if its status changed."""
    params = {
        **call_params(claim.account, claim.entry, calls),
        "worker": claim.claimed_by,
        "attempts": claim.attempts,
        "state": verdict.state,
        "delay": verdict.delay,
        "pause": verdict.pause,
        "code": verdict.code,
        "provider_code": clean(verdict.provider_code, 64),
        "detail": clean(verdict.detail, 500),
    }
    return _settle(claim, FAILED, params)


def expire(most: int, detail: str) -> Sequence[Settled]:
    """Make entries uncertain whose claim ran out; return the messages that became so."""
    with db_pool.connection() as connection, connection.cursor(row_factory=class_row(Settled)) as cursor:
        return cursor.execute(EXPIRE, {"most": most, "detail": detail}).fetchall()


def due(most: int, grace: float) -> Sequence[uuid.UUID]:
    """Return conversations with something to send now. What nobody has tried yet is left `grace` seconds."""
    with db_pool.connection() as connection:
        return [row[0] for row in connection.execute(DUE, {"most": most, "grace": grace}).fetchall()]


def give_up(most: int, patience: float, detail: str) -> Sequence[Settled]:
    """End what its account's pause holds up for longer than `patience` seconds; return the messages that failed.

    `detail` takes the minutes that the pause lasts, by PostgreSQL's format().
    """
    with db_pool.connection() as connection, connection.cursor(row_factory=class_row(Settled)) as cursor:
        return cursor.execute(HOPELESS, {"most": most, "patience": patience, "detail": detail}).fetchall()


def clean(text: str, most: int) -> str:
    """Return what PostgreSQL can store of a provider's words: no NUL, no half of a surrogate pair."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _settle(claim: Claim, statement: str, params: dict[str, object]) -> Settled | None:
    with db_pool.connection() as connection:
        if claim.parts == 1:
            return _settle_one(connection, statement, params)
        with connection.transaction():
            connection.execute(LOCK_PARTS, [claim.message])
            return _settle_one(connection, statement, params)


def _settle_one(connection: Connection, statement: str, params: dict[str, object]) -> Settled | None:
    with connection.cursor(row_factory=class_row(Settled)) as cursor:
        return cursor.execute(statement, params).fetchone()
