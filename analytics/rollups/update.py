"""Keeps the rollups exact: whatever changed is counted anew, and the difference to what had been counted is added.

One pass at a time works, whoever starts it; all of it is one transaction, so a pass that dies has done nothing. A pass
may be repeated at will: what has not changed adds nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics.rollups import fact_rows, loader, sums
from analytics.rollups.chat_facts import facts_of
from analytics.rollups.delta import Delta
from analytics.rollups.records import Unit
from analytics.sentiment import store

#: Changes that one pass takes, and the chats that it counts anew at most.
MOST_CHANGES = 4_000
MOST_UNITS = 600
#: Key of the advisory lock that makes passes follow each other ("ROLL").
LOCK = 0x524F4C4C

TAKE = """
WITH taken AS (
    SELECT id, conversation_id, contact_id FROM analytics_change ORDER BY id LIMIT %s
), names AS (
    SELECT conversation_id, contact_id FROM taken GROUP BY 1, 2 ORDER BY min(id) LIMIT %s
)
DELETE FROM analytics_change c USING names n
 WHERE c.conversation_id = n.conversation_id AND c.contact_id IS NOT DISTINCT FROM n.contact_id
   AND c.id IN (SELECT id FROM taken)
RETURNING c.conversation_id, c.contact_id
"""
#: When a chat begins, the one before is counted anew: its customer came back.
BEFORE = """
SELECT DISTINCT ON (t.id) t.conversation_id, p.id
  FROM connect_bridge_contact t
  JOIN LATERAL (SELECT id FROM connect_bridge_contact b
                 WHERE b.conversation_id = t.conversation_id AND b.requested_at < t.requested_at
                 ORDER BY b.requested_at DESC LIMIT 1) p ON true
 WHERE t.id = ANY(%s)
"""
FRESH = """
INSERT INTO analytics_rollupstate AS s (id, zone, fresh_at, version, rebuild_of) VALUES (1, %s, now(), 1, 0)
ON CONFLICT (id) DO UPDATE SET version = s.version + %s,
   fresh_at = CASE WHEN %s THEN now() ELSE GREATEST(s.fresh_at, (SELECT min(at) FROM analytics_change)) END,
   rebuild_of = CASE WHEN %s THEN 0 ELSE s.rebuild_of END
"""


class Pass(msgspec.Struct, frozen=True):
    """What one pass did. `more`: there is more to do."""

    changes: int
    chats: int
    more: bool


def refresh(most_changes: int = MOST_CHANGES, most_units: int = MOST_UNITS) -> Pass | None:
    """Count anew what changed, as far as one pass goes; None if another pass is at work.

    1. Take the lock, and the oldest changes: rows that triggers wrote with each change of a chat or message.
    2. Load the chats that these name, and the chats before them.
    3. Put the customers' messages that have no score into the queue of scoring, if analysis is on.
    4. Count the chats anew, and write down what changed in the sums (see recount).
    5. Write down how fresh the numbers are.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("SET LOCAL synchronous_commit TO off")  # what is lost with the server is counted again
        cursor.execute(TAKE, [most_changes, most_units])
        changes = cursor.fetchall()
        names: list[loader.Name] = list(dict.fromkeys(changes))
        units = loader.load([*names, *_chats_before(cursor, names)])
        _queue_for_scoring(units)
        recount(units)
        more = len(changes) >= most_changes or len(names) >= most_units
        cursor.execute(FRESH, [settings.TIME_ZONE, int(bool(names)), not more, not more])
    return Pass(len(changes), len(names), more)


def _chats_before(cursor: CursorWrapper, names: Sequence[loader.Name]) -> list[loader.Name]:
    cursor.execute(BEFORE, [[contact for _, contact in names if contact]])
    return list(cursor.fetchall())


def _queue_for_scoring(units: Sequence[Unit]) -> None:
    """Let the customers' messages wait for a score that were never asked about; old ones are left alone (see store)."""
    if settings.SENTIMENT_ENABLED:
        messages = [message for unit in units for message in unit.messages]
        store.queue([message.id for message in messages if message.scorable and not message.state])


def recount(units: Sequence[Unit]) -> None:
    """Bring the sums in line with these units, in a transaction of the caller's.

    1. Compute what each unit counts for now.
    2. Where that differs from what was added for it before, take the old away and add the new, in memory.
    3. Write the units' rows, with what was added for each.
    4. Add the difference to the sums: one statement for all of them.
    """
    before = fact_rows.counted_before([unit.unit for unit in units])
    delta = Delta()
    rows: dict[uuid.UUID, list[Any] | None] = {}
    for unit in units:
        facts, outcome = facts_of(unit)
        counted = before.get(unit.unit)
        if counted != facts:
            if counted is not None:
                delta.add(counted, -1)
            delta.add(facts, +1)
        rows[unit.unit] = fact_rows.fact_row(unit, facts, outcome)
    fact_rows.remember(rows)
    sums.add(delta)
