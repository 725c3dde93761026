"""Loads chats with all that the numbers need: a fixed number of queries for any number of chats."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from analytics.rollups.records import AgentStay, ChatRecord, MessageRecord, Unit
from analytics.thresholds import SURE
from connect_bridge.models.lifecycle import SIDE_EVENT

#: What names a unit: (conversation, contact or None).
Name = tuple[uuid.UUID, uuid.UUID | None]

_MESSAGE = f"""
       m.conversation_id, m.contact_id, m.id, m.direction, m.role, m.author, m.status, m.error_code,
       COALESCE(CASE WHEN m.status = 'failed' THEN (
           SELECT o.provider_code FROM connect_bridge_outboxentry o
            WHERE o.message_id = m.id AND o.provider_code <> '' ORDER BY o.part LIMIT 1) END, ''),
       m.provider_message_id, m.created_at, m.occurred_at, e.created_at, m.relayed_at, m.settled_at,
       m.direction = 'in' AND (s.message_id IS NOT NULL  -- its words may have been erased since
           OR (COALESCE(m.original ->> 'event', '') = 'message' AND COALESCE(m.original ->> 'text', '') ~ '\\S')),
       COALESCE(s.state, ''), COALESCE(s.label, ''), COALESCE(s.language, ''), s.score,
       COALESCE(GREATEST(s.positive, s.negative, s.neutral, s.mixed) < {SURE}, false)
"""  # noqa: S608 - a constant
_JOINS = """
  LEFT JOIN channels_app_inboundentry e ON e.id = m.entry_id
  LEFT JOIN analytics_sentiment s ON s.message_id = m.id
"""
#: Reactions, edits, and what our side wrote elsewhere ask for no answer: they are no messages in the numbers.
MESSAGES_OF_CHATS = f"""
SELECT {_MESSAGE} FROM connect_bridge_message m {_JOINS}
 WHERE m.contact_id = ANY(%s) AND m.content_type <> '{SIDE_EVENT}' ORDER BY m.sequence
"""  # noqa: S608 - constants
MESSAGES_OUTSIDE = f"""
SELECT {_MESSAGE} FROM connect_bridge_message m {_JOINS}
 WHERE m.contact_id IS NULL AND m.conversation_id = ANY(%s) AND m.content_type <> '{SIDE_EVENT}' ORDER BY m.sequence
"""  # noqa: S608 - constants
CHATS = """
SELECT t.id, t.requested_at, t.state, t.connected_at, t.ended_at, t.agent_name, COALESCE(d.queue, ''), d.queued_at,
       COALESCE(d.agent, ''), d.agent_at, d.completed_at,
       (SELECT min(n.requested_at) FROM connect_bridge_contact n
         WHERE n.conversation_id = t.conversation_id AND n.requested_at > t.requested_at)
  FROM connect_bridge_contact t LEFT JOIN analytics_contactdetail d ON d.contact_id = t.id
 WHERE t.id = ANY(%s)
"""
STAYS = """
SELECT contact_id, kind = 'joined', name, at FROM connect_bridge_contactevent
 WHERE contact_id = ANY(%s) AND role = 'AGENT' ORDER BY at, id
"""
PHRASES = """
SELECT m.contact_id, p.text FROM analytics_phrase p JOIN connect_bridge_message m ON m.id = p.message_id
 WHERE m.contact_id = ANY(%s)
"""
ACCOUNTS = "SELECT id, account_id FROM connect_bridge_conversation WHERE id = ANY(%s)"


def load(names: Iterable[Name]) -> list[Unit]:
    """Return the units that exist, in the order of their names."""
    requested = list(dict.fromkeys(names))
    conversations = list({conversation for conversation, _ in requested})
    contacts = [contact for _, contact in requested if contact is not None]
    outside = [conversation for conversation, contact in requested if contact is None]
    accounts = dict(_rows(ACCOUNTS, conversations))
    messages = _messages(contacts, outside)
    chats = {row[0]: _chat(row) for row in _rows(CHATS, contacts)}
    stays = _grouped(_rows(STAYS, contacts), lambda row: AgentStay(*row))
    phrases = _grouped(_rows(PHRASES, contacts), lambda row: row[0])
    return [
        Unit(
            unit=contact or conversation,
            conversation=conversation,
            contact=contact,
            account=accounts[conversation],
            chat=chats[contact] if contact else None,
            messages=messages.get((conversation, contact), []),
            stays=stays.get(contact, []),
            phrases=frozenset(phrases.get(contact, ())),
        )
        for conversation, contact in requested
        if conversation in accounts and (contact is None or contact in chats)
    ]


def _messages(contacts: Sequence[uuid.UUID], outside: Sequence[uuid.UUID]) -> dict[Name, list[MessageRecord]]:
    grouped: dict[Name, list[MessageRecord]] = defaultdict(list)
    for row in (*_rows(MESSAGES_OF_CHATS, contacts), *_rows(MESSAGES_OUTSIDE, outside)):
        conversation, contact, *values = row
        grouped[conversation, contact].append(
            MessageRecord(**dict(zip(MessageRecord.__struct_fields__, values, strict=True)))
        )
    return grouped


def _chat(row: Sequence[Any]) -> ChatRecord:
    return ChatRecord(**dict(zip(ChatRecord.__struct_fields__, row[1:], strict=True)))


def _grouped(rows: Iterable[Sequence[Any]], make: Any) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(make(row[1:]))
    return grouped


def _rows(query: str, ids: Sequence[uuid.UUID]) -> list[Any]:
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query, [list(ids)])
        return list(cursor.fetchall())
