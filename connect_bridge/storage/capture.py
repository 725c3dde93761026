"""Connect's side into the store: one transaction for message and outbox entries, once for each item."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said on Connect's side, cut into `parts` that the messenger takes."""

    id: uuid.UUID
    item_id: str
    role: str
    author: str
    content_type: str
    text: str
    original: dict[str, Any] | None
    occurred_at: datetime
    parts: tuple[str, ...]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one contact brought at once, in order. Without a contact, its item ids are not looked for."""

    conversation: uuid.UUID
    contact: uuid.UUID | None
    captured: tuple[Captured, ...]


LOCK_IN_ORDER = "SELECT 1 FROM connect_bridge_conversation WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
CAPTURE = """
WITH incoming AS (
    SELECT DISTINCT ON (contact_id, item_id) *
      FROM unnest(%(ord)s::int[], %(id)s::uuid[], %(conversation)s::uuid[], %(contact)s::uuid[], %(item)s::text[],
                  %(role)s::text[], %(author)s::text[], %(type)s::text[], %(text)s::text[], %(original)s::jsonb[],
                  %(occurred)s::timestamptz[])
        AS t (ord, id, conversation_id, contact_id, item_id, role, author, content_type, text, original, occurred_at)
     ORDER BY contact_id, item_id, ord
), fresh AS (
    SELECT i.*, row_number() OVER (PARTITION BY conversation_id ORDER BY ord) AS place FROM incoming i
     WHERE NOT EXISTS (SELECT 1 FROM connect_bridge_message m
                        WHERE m.contact_id = i.contact_id AND m.connect_item_id = i.item_id)
), sequenced AS (
    UPDATE connect_bridge_conversation c
       SET last_sequence = c.last_sequence + f.number, last_message_at = now()
      FROM (SELECT conversation_id, count(*) AS number FROM fresh GROUP BY 1) f
     WHERE c.id = f.conversation_id RETURNING c.id, c.last_sequence - f.number AS base
), stored AS (
    INSERT INTO connect_bridge_message
           (id, conversation_id, contact_id, sequence, direction, role, author, content_type, text, original, status,
            error_code, error_detail, provider_message_id, connect_item_id, relayed, attempts, occurred_at,
            created_at)
    SELECT f.id, f.conversation_id, f.contact_id, s.base + f.place, 'out', f.role, f.author, f.content_type, f.text,
           f.original, 'stored', '', '', '', f.item_id, 0, 0, f.occurred_at, now()
      FROM fresh f JOIN sequenced s ON s.id = f.conversation_id
    RETURNING id, conversation_id, sequence
), queued AS (
    INSERT INTO connect_bridge_outboxentry
           (id, message_id, conversation_id, sequence, part, text, state, attempts, due_at, claimed_by,
            provider_message_ids, error_code, provider_code, error_detail, created_at)
    SELECT p.id, s.id, s.conversation_id, s.sequence, p.part, p.text, 'pending', 0, now(), '', '[]', '', '', '', now()
      FROM unnest(%(part_id)s::uuid[], %(part_of)s::uuid[], %(part)s::int[], %(part_text)s::text[])
        AS p (id, message_id, part, text)
      JOIN stored s ON s.id = p.message_id
), seen AS (
    UPDATE connect_bridge_contact t SET last_traffic_at = now(), last_item_at = GREATEST(t.last_item_at, i.latest)
      FROM (SELECT contact_id, max(occurred_at) AS latest FROM incoming GROUP BY 1) i WHERE t.id = i.contact_id
)
SELECT id FROM stored
"""


async def capture(connection: psycopg.AsyncConnection[Any], batches: Sequence[Batch]) -> Sequence[Sequence[uuid.UUID]]:
    """Store everything once, in order, and return for each batch the ids of the messages that were new.

    An item that was captured before, here or by another bridge, is left alone. The conversations are locked by a
    statement of their own, so that the second one sees all that was committed before it.
    """
    given = _columns(batches)
    async with connection.transaction():
        await connection.execute(LOCK_IN_ORDER, [list({batch.conversation for batch in batches})])
        rows = await (await connection.execute(CAPTURE, given)).fetchall()
    new = {row[0] for row in rows}
    return [[one.id for one in batch.captured if one.id in new] for batch in batches]


def _columns(batches: Sequence[Batch]) -> dict[str, list[Any]]:
    lines = [(batch, one) for batch in batches for one in batch.captured]
    parts = [(one.id, number, text) for _, one in lines for number, text in enumerate(one.parts)]
    return {
        "ord": list(range(len(lines))),
        "id": [one.id for _, one in lines],
        "conversation": [batch.conversation for batch, _ in lines],
        "contact": [batch.contact for batch, _ in lines],
        "item": [one.item_id[:64] for _, one in lines],
        "role": [one.role[:16] for _, one in lines],
        "author": [one.author[:256] for _, one in lines],
        "type": [one.content_type[:100] for _, one in lines],
        "text": [one.text for _, one in lines],
        "original": [None if one.original is None else Jsonb(one.original) for _, one in lines],
        "occurred": [one.occurred_at for _, one in lines],
        "part_id": [uuid.uuid4() for _ in parts],
        "part_of": [message for message, _, _ in parts],
        "part": [number for _, number, _ in parts],
        "part_text": [text for _, _, text in parts],
    }
