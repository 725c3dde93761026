"""The rows of ChatFact: what one chat's own numbers are, kept beside what it added to the sums."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from analytics.rollups.chat_course import first_response, handle_time, waiting_since
from analytics.rollups.facts import Facts, decode, encode, milliseconds
from analytics.rollups.ratings import rating_of, scores_of, shift_of
from analytics.rollups.records import Unit

COUNTED = "SELECT unit, counted FROM analytics_chatfact WHERE unit = ANY(%s)"
FORGET = "DELETE FROM analytics_chatfact WHERE unit = ANY(%s)"
_COLUMNS = {
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
INSERT INTO analytics_chatfact ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())})
ON CONFLICT (unit) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in list(_COLUMNS)[1:])}
"""  # noqa: S608 - constants

#: Unit → its row, in the order of the columns; None if nothing is left of the unit.
FactRows = Mapping[uuid.UUID, list[Any] | None]


def counted_before(units: Sequence[uuid.UUID]) -> dict[uuid.UUID, Facts]:
    """Return what was added to the sums for each of these units, where something was."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [list(units)])
        return {unit: decode(raw) for unit, raw in cursor.fetchall()}


def fact_row(unit: Unit, facts: Facts, outcome: str) -> list[Any] | None:
    """Return the unit's row, in the order of the columns; None if nothing is left of it."""
    messages, chat = unit.messages, unit.chat
    if not messages and chat is None:
        return None
    times = [message.created_at for message in messages] + ([chat.requested_at] if chat else [])
    scores = scores_of(messages)
    first = first_response(messages) if chat else None
    handled = handle_time(chat, unit.stays) if chat else None
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
        rating_of(scores) if chat else None,
        *_lowest(unit),
        shift_of(scores),
        sum(message.scored for message in messages),
        milliseconds(first[1] - first[0]) if first else None,
        milliseconds(handled) if handled is not None else None,
        waiting_since(messages),
        outcome,
        encode(facts),
    ]


def _lowest(unit: Unit) -> tuple[int | None, uuid.UUID | None]:
    """Return the lowest score and its message, of several the first."""
    scores = [(message.score, message.id) for message in unit.messages if message.scored and message.score is not None]
    return min(scores, default=(None, None), key=lambda pair: pair[0])


def remember(rows: FactRows) -> None:
    """Write the rows; delete those of units of which nothing is left."""
    kept = [row for row in rows.values() if row is not None]
    with connection.cursor() as cursor:
        if kept:
            cursor.execute(REMEMBER, [list(column) for column in zip(*kept, strict=True)])
        if len(kept) < len(rows):
            cursor.execute(FORGET, [[unit for unit, row in rows.items() if row is None]])
