"""Connect's side into the store: one transaction for message and outbox entries, once for each item."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from connect_bridge.storage.messages import insert_messages, insert_sends


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
_INSERT_MESSAGES = insert_messages(
    "fresh f JOIN sequenced s ON s.id = f.conversation_id",
    id="f.id",
    conversation_id="f.conversation_id",
    contact_id="f.contact_id",
    sequence="s.base + f.place",
    direction="'out'",
    role="f.role",
    author="f.author",
    content_type="f.content_type",
    text="f.text",
    original="f.original",
    connect_item_id="f.item_id",
    occurred_at="f.occurred_at",
)
_INSERT_SENDS = insert_sends(
    "queue q JOIN stored s ON s.id = q.message_id",
    id="q.id",
    message_id="s.id",
    conversation_id="s.conversation_id",
    sequence="s.sequence",
    part="q.part",
    text="q.text",
)
CAPTURE = f"""
WITH incoming AS (
    SELECT DISTINCT ON (contact_id, item_id) *
      FROM unnest(%(ord)s::int[], %(id)s::uuid[], %(conversation)s::uuid[], %(contact)s::uuid[], %(item)s::text[],
                  %(role)s::text[], %(author)s::text[], %(type)s::text[], %(text)s::text[], %(original)s::jsonb[],
                  %(occurred)s::timestamptz[])
        AS t (ord, id, conversation_id, contact_id, item_id, role, author, content_type, text, original, occurred_at)
     ORDER BY contact_id, item_id, ord
), queue AS (
    SELECT * FROM unnest(%(part_id)s::uuid[], %(part_of)s::uuid[], %(part)s::int[], %(part_text)s::text[])
        AS q (id, message_id, part, text)
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
    {_INSERT_MESSAGES}
    RETURNING id, conversation_id, sequence
), queued AS (
    {_INSERT_SENDS}
), seen AS (
    UPDATE connect_bridge_contact t SET last_traffic_at = now(), last_item_at = GREATEST(t.last_item_at, i.latest)
      FROM (SELECT contact_id, max(occurred_at) AS latest FROM incoming GROUP BY 1) i WHERE t.id = i.contact_id
)
SELECT id FROM stored
"""  # noqa: S608 - constants


async def capture(connection: psycopg.AsyncConnection[Any], batches: Sequence[Batch]) -> Sequence[Sequence[uuid.UUID]]:
    """Store everything once, in order, and return for each batch the ids of the messages that were new.

    An item that was captured before, here or by another bridge, is left alone. The conversations are locked by a
    statement of their own, so that the second one sees all that was committed before it.
    """
    params = _columns(batches)
    async with connection.transaction():
        await connection.execute(LOCK_IN_ORDER, [list({batch.conversation for batch in batches})])
        rows = await (await connection.execute(CAPTURE, params)).fetchall()
    new = {row[0] for row in rows}
    return [[captured.id for captured in batch.captured if captured.id in new] for batch in batches]


def _columns(batches: Sequence[Batch]) -> dict[str, list[Any]]:
    lines = [(batch, captured) for batch in batches for captured in batch.captured]
    parts = [(captured.id, number, text) for _, captured in lines for number, text in enumerate(captured.parts)]
    return {
        "ord": list(range(len(lines))),
        "id": [captured.id for _, captured in lines],
        "conversation": [batch.conversation for batch, _ in lines],
        "contact": [batch.contact for batch, _ in lines],
        "item": [captured.item_id[:64] for _, captured in lines],
        "role": [captured.role[:16] for _, captured in lines],
        "author": [captured.author[:256] for _, captured in lines],
        "type": [captured.content_type[:100] for _, captured in lines],
        "text": [captured.text for _, captured in lines],
        "original": [None if captured.original is None else Jsonb(captured.original) for _, captured in lines],
        "occurred": [captured.occurred_at for _, captured in lines],
        "part_id": [uuid.uuid4() for _ in parts],
        "part_of": [message for message, _, _ in parts],
        "part": [number for _, number, _ in parts],
        "part_text": [text for _, _, text in parts],
    }
