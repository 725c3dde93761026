"""Lists of chats: the most negative ones, and those behind a number. Facts choose them, then they are looked up."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from analytics.queries.chat_selection import MATCHES_FILTER, ChatSelection
from analytics.tiles.dashboard_data import DashboardData

_FACT = """
f.unit, f.conversation_id, f.contact_id, f.rating, f.shift, f.scored, f.lowest_message, f.waiting_since, f.agent,
f.queue, f.language, f.started_at, f.ended_at, f.outcome, f.first_response_ms, f.handle_ms
"""
#: `spoke_at` is the customer's last word.
_SHOWN = """
SELECT f.unit, f.conversation_id, f.contact_id, c.account_id, i.display_name, i.handle, f.rating, f.shift, f.scored,
       f.lowest_message, f.waiting_since, f.agent, f.queue, f.language, f.started_at, f.ended_at, f.outcome,
       f.first_response_ms, f.handle_ms, c.last_inbound_at, m.text
  FROM chosen f
  JOIN connect_bridge_conversation c ON c.id = f.conversation_id JOIN customers_identity i ON i.id = c.identity_id
  LEFT JOIN connect_bridge_message m ON m.id = f.lowest_message
"""
_RATED = (
    f"SELECT {_FACT} FROM analytics_chatfact f WHERE f.contact_id IS NOT NULL AND f.rating IS NOT NULL {MATCHES_FILTER}"  # noqa: S608 - constants
)
#: The open ones of all times come first: each half reads an index of its own.
WORST = f"""
WITH bad AS MATERIALIZED ({_RATED} AND f.ended_at IS NULL AND f.rating < 0 AND f.started_at < %(end)s
    AND f.last_at >= %(start)s ORDER BY f.rating LIMIT %(most)s
), others AS MATERIALIZED ({_RATED} AND (f.ended_at IS NOT NULL OR f.rating >= 0) AND f.started_at < %(end)s
    AND f.last_at >= %(start)s ORDER BY f.rating LIMIT %(most)s
), chosen AS (SELECT * FROM bad UNION ALL SELECT * FROM others)
{_SHOWN} ORDER BY (f.ended_at IS NULL AND f.rating < 0) DESC, f.rating LIMIT %(most)s
"""  # noqa: S608 - constants
LISTED = f"""
WITH chosen AS MATERIALIZED (SELECT {_FACT} FROM analytics_chatfact f WHERE {{where}} {MATCHES_FILTER}
    ORDER BY f.rating NULLS LAST, f.started_at DESC LIMIT %(most)s
) {_SHOWN} ORDER BY f.rating NULLS LAST, f.started_at DESC
"""  # noqa: S608 - constants


class ListedChat(msgspec.Struct, frozen=True, kw_only=True):
    """One chat as lists show it. `words` are those of its lowest message."""

    unit: uuid.UUID
    conversation: uuid.UUID
    contact: uuid.UUID
    account: uuid.UUID
    name: str
    handle: str
    rating: int | None
    shift: int | None
    scored: int
    lowest_message: uuid.UUID | None
    waiting_since: datetime | None
    agent: str
    queue: str
    language: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    first_response_ms: int | None
    handle_ms: int | None
    spoke_at: datetime | None
    words: str | None


def worst(data: DashboardData, most: int) -> list[ListedChat]:
    """Return the chats of the range with the lowest ratings: those that are open and below nought first."""
    return _chats(WORST, {**data.filter_params, "most": most})


def chats(data: DashboardData, most: int, selection: ChatSelection) -> list[ListedChat]:
    """Return the chats behind a number, the lowest rated first."""
    return _chats(LISTED.format(where=selection.where), {**data.filter_params, **selection.params, "most": most})


def _chats(query: str, params: Mapping[str, Any]) -> list[ListedChat]:
    names = ListedChat.__struct_fields__
    with connection.cursor() as cursor:
        cursor.execute(query, dict(params))
        return [ListedChat(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
