"""Keeps the rollups exact: whatever changed is counted anew, and the difference to what had been counted is added.

One pass at a time works, whoever starts it; all of it is one transaction, so a pass that dies has done nothing. A pass
may be repeated at will: what has not changed adds nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection, transaction

from analytics.measures import MEASURES
from analytics.rollups import loader
from analytics.rollups.chat_facts import (
    Facts,
    facts_of,
    first_response,
    handling,
    milliseconds,
    rating_of,
    scores_of,
    shift_of,
    waiting_since,
)
from analytics.rollups.delta import Difference
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
#: A chat that begins says something about the one before: its customer came back.
BEFORE = """
SELECT DISTINCT ON (t.id) t.conversation_id, p.id
  FROM connect_bridge_contact t
  JOIN LATERAL (SELECT id FROM connect_bridge_contact b
                 WHERE b.conversation_id = t.conversation_id AND b.requested_at < t.requested_at
                 ORDER BY b.requested_at DESC LIMIT 1) p ON true
 WHERE t.id = ANY(%s)
"""
COUNTED = "SELECT unit, counted FROM analytics_chatfact WHERE unit = ANY(%s)"
FORGET = "DELETE FROM analytics_chatfact WHERE unit = ANY(%s)"
_FACT = {
    "unit": "uuid",
    "conversation_id": "uuid",
    "contact_id": "uuid",
    "account_id": "uuid",
    "queue": "text",
    "agent": "text",
    "language": "text",
    "started_at": "timestamptz",
    "last_at": "timestamptz",
    "ended_at": "timestamptz",
    "rating": "int",
    "lowest": "int",
    "lowest_message": "uuid",
    "shift": "int",
    "scored": "int",
    "first_response_ms": "bigint",
    "handle_ms": "bigint",
    "waiting_since": "timestamptz",
    "outcome": "text",
    "counted": "bytea",
}
REMEMBER = f"""
INSERT INTO analytics_chatfact ({", ".join(_FACT)})
SELECT * FROM unnest({", ".join(f"%s::{kind}[]" for kind in _FACT.values())})
ON CONFLICT (unit) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in list(_FACT)[1:])}
"""  # noqa: S608 - constants
ADD = f"""
INSERT INTO analytics_rollup AS r (grain, facet, at, account_id, value, {", ".join(MEASURES)})
SELECT grain, facet, at, account_id, value, {", ".join(f"COALESCE({name}, 0)" for name in MEASURES)}
  FROM json_populate_recordset(NULL::analytics_rollup, %s::json)
ON CONFLICT (grain, facet, at, account_id, value) DO UPDATE
   SET {", ".join(f"{name} = r.{name} + EXCLUDED.{name}" for name in MEASURES)}
RETURNING id, grain, facet, at, account_id, value
"""  # noqa: S608 - constants
ADD_BINS = """
INSERT INTO analytics_rollupbin AS b (rollup_id, digest, bin, count)
SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::bigint[])
ON CONFLICT (rollup_id, digest, bin) DO UPDATE SET count = b.count + EXCLUDED.count
"""
#: What nothing is left of.
CLEAN_BINS = "DELETE FROM analytics_rollupbin WHERE rollup_id = ANY(%s) AND count = 0"
CLEAN = f"""
DELETE FROM analytics_rollup r WHERE id = ANY(%s) AND ({" AND ".join(f"{name} = 0" for name in MEASURES)})
   AND NOT EXISTS (SELECT 1 FROM analytics_rollupbin b WHERE b.rollup_id = r.id)
"""  # noqa: S608 - constants
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
    """Count anew what changed, as far as one pass goes; None if another pass is at work."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("SET LOCAL synchronous_commit TO off")  # what is lost with the server is counted again
        cursor.execute(TAKE, [most_changes, most_units])
        taken = cursor.fetchall()
        names: list[loader.Name] = list(dict.fromkeys(taken))
        recount(names)
        more = len(taken) >= most_changes or len(names) >= most_units
        cursor.execute(FRESH, [settings.TIME_ZONE, int(bool(names)), not more, not more])
    return Pass(len(taken), len(names), more)


def recount(names: Iterable[loader.Name]) -> None:
    """Count these chats, and those that they follow, in a transaction of the caller's."""
    wanted = list(names)
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, [[contact for _, contact in wanted if contact]])
        loaded = loader.load([*wanted, *cursor.fetchall()])
        cursor.execute(COUNTED, [[unit.unit for unit in loaded]])
        counted = {unit: decode(raw) for unit, raw in cursor.fetchall()}
    if settings.SENTIMENT_ENABLED:
        store.adopt([line.id for unit in loaded for line in unit.lines if line.scorable and not line.state])
    difference = Difference()
    rows: dict[uuid.UUID, list[Any] | None] = {}
    for unit in loaded:
        facts, outcome = facts_of(unit)
        before = counted.get(unit.unit)
        if before != facts:
            if before is not None:
                difference.add(before, -1)
            difference.add(facts, +1)
        rows[unit.unit] = _row(unit, facts, outcome)
    _remember(rows)
    _apply(difference)


def encode(facts: Facts) -> bytes:
    return _encoder.encode(facts)


def decode(raw: bytes | memoryview) -> Facts:
    return _decoder.decode(raw)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)


def _row(unit: Unit, facts: Facts, outcome: str) -> list[Any] | None:
    """Return the unit's row in ChatFact; None if nothing is left of it."""
    lines, chat = unit.lines, unit.chat
    if not lines and chat is None:
        return None
    scores = [(line.score, line.id) for line in lines if line.state == "scored" and line.score is not None]
    lowest = min(scores, default=(None, None), key=lambda pair: pair[0])  # of several the first
    times = [line.created_at for line in lines] + ([chat.requested_at] if chat else [])
    first = first_response(lines) if chat else None
    handled = handling(chat, unit.stays) if chat else None
    return [
        unit.unit,
        unit.conversation,
        unit.contact,
        unit.account,
        facts.queue,
        facts.agent,
        facts.language,
        chat.requested_at if chat else min(times),
        max(times),
        chat.ended_at if chat else None,
        rating_of(scores_of(lines)) if chat else None,
        lowest[0],
        lowest[1],
        shift_of(scores_of(lines)),
        len(scores),
        milliseconds(first[1] - first[0]) if first else None,
        milliseconds(handled) if handled is not None else None,
        waiting_since(lines),
        outcome,
        encode(facts),
    ]


def _remember(rows: Mapping[uuid.UUID, list[Any] | None]) -> None:
    kept = [row for row in rows.values() if row is not None]
    with connection.cursor() as cursor:
        if kept:
            cursor.execute(REMEMBER, [list(column) for column in zip(*kept, strict=True)])
        if len(kept) < len(rows):
            cursor.execute(FORGET, [[unit for unit, row in rows.items() if row is None]])


def _apply(difference: Difference) -> None:
    """Add the difference; rows in one order, so that writers of the same ones would not wait for each other."""
    sums, bins = difference.sums(), difference.bins()
    keys = sorted({*sums, *bins})
    if not keys:
        return
    names = ("grain", "facet", "at", "account_id", "value")
    added = [dict(zip(names, key, strict=True)) | sums.get(key, {}) for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(ADD, [msgspec.json.encode(added).decode()])
        ids = {tuple(row[1:]): row[0] for row in cursor.fetchall()}
        rows = [(ids[key], *counts) for key, several in bins.items() for counts in several]
        if rows:
            cursor.execute(ADD_BINS, [_integers(column) for column in zip(*rows, strict=True)])
        shrunk = [ids[key] for key in keys if _shrinks(sums.get(key, {}), bins.get(key, []))]
        if shrunk:
            cursor.execute(CLEAN_BINS, [shrunk])
            cursor.execute(CLEAN, [shrunk])


def _integers(column: Sequence[int]) -> str:
    """Return an array as PostgreSQL reads it: the driver would quote each number by itself."""
    return "{" + ",".join(map(str, column)) + "}"


def _shrinks(sums: Mapping[str, int], bins: Sequence[tuple[int, int, int]]) -> bool:
    return any(count < 0 for count in sums.values()) or any(count < 0 for *_, count in bins)
