"""What of a conversation is to be relayed to Amazon Connect, under its owner's fence, and what became of it.

Everything here runs in a transaction of the caller's.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from channels_app.infrastructure.db import AsyncConnection

#: NOTIFY channel: something is to be relayed (payload: the owner bridge's id).
RELAY_CHANNEL = "parley_relay"
#: First key of the advisory locks that share the intake's shards out among the bridges.
SHARD_LOCKS = 0x5041524C

#: The message for which a chat was requested, while it waits.
FIRST = """
SELECT id, sequence, text, relayed, attempts, created_at FROM connect_bridge_message WHERE id = %s AND status = 'stored'
"""
HAS_PARTS = "SELECT jsonb_typeof(original -> 'parts') = 'array' FROM connect_bridge_message WHERE id = %s"
OWNED_PENDING = """
SELECT DISTINCT c.id FROM connect_bridge_conversation c JOIN connect_bridge_message m ON m.conversation_id = c.id
 WHERE c.owner_id = %s AND m.direction = 'in' AND m.status = 'stored' AND (m.due_at IS NULL OR m.due_at <= now())
"""
#: The owner's fence, or no row if the conversation is somebody else's.
FENCE = "SELECT fence FROM connect_bridge_conversation WHERE id = %(conversation)s AND owner_id = %(bridge)s"
#: What to relay, under the owner's fence: one row at least, unless it is not the owner any more.
PENDING = """
SELECT m.id, m.sequence, m.text, m.relayed, m.attempts, m.created_at, m.content_type, COALESCE(m.connect_item_id, '')
  FROM connect_bridge_conversation c LEFT JOIN LATERAL (
           SELECT * FROM connect_bridge_message
            WHERE conversation_id = c.id AND direction = 'in' AND status = 'stored' ORDER BY sequence LIMIT 50
       ) m ON true
 WHERE c.id = %(conversation)s AND c.owner_id = %(bridge)s AND c.fence = %(fence)s
 ORDER BY m.sequence
"""
TAKEN_ITEMS = """
SELECT connect_item_id, text FROM connect_bridge_message
 WHERE contact_id = %s AND direction = 'in' AND connect_item_id IS NOT NULL ORDER BY sequence DESC LIMIT 200
"""
RELAYED = """
UPDATE connect_bridge_message m
   SET relayed = GREATEST(m.relayed, done.characters), contact_id = done.contact, relayed_at = now(),
       attempts = LEAST(attempts + 1, 32767),
       status = CASE WHEN done.whole AND m.status = 'stored' THEN 'relayed' ELSE m.status END,
       connect_item_id = COALESCE(NULLIF(done.item, ''), m.connect_item_id),
       error_code = CASE m.status WHEN 'failed' THEN m.error_code ELSE '' END,
       error_detail = CASE m.status WHEN 'failed' THEN m.error_detail ELSE '' END
  FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::bool[], %s::text[]) AS done (id, contact, characters, whole, item)
 WHERE m.id = done.id
"""
TRIED = """
UPDATE connect_bridge_message SET attempts = LEAST(attempts + 1, 32767), error_code = %(code)s,
       error_detail = %(detail)s, due_at = now() + make_interval(secs => %(wait)s)
 WHERE id = %(id)s AND status = 'stored'
"""
UNDELIVERABLE = """
UPDATE connect_bridge_message SET status = 'failed', error_code = %(code)s, error_detail = %(detail)s,
       connect_item_id = COALESCE(NULLIF(%(item)s, ''), connect_item_id), settled_at = now()
 WHERE id = %(id)s AND status = 'stored'
"""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's message, or a side event, that Connect has not taken yet. `item`: id of the last part it took."""

    id: uuid.UUID
    sequence: int
    text: str
    relayed: int
    attempts: int
    created_at: datetime
    content_type: str = "text/plain"
    item: str = ""


class RelayedPart(NamedTuple):
    """A message, or a part of it, that Connect has taken: `characters` in all, `item` its latest id ("": none)."""

    message: uuid.UUID
    contact: uuid.UUID
    characters: int
    whole: bool
    item: str


class NotOurs(Exception):
    """Another bridge owns the conversation, or it was lost and won again since."""


async def fence(connection: AsyncConnection, conversation: uuid.UUID, bridge: uuid.UUID) -> int:
    """Return the fence under which this bridge owns the conversation; raise NotOurs if it does not."""
    row = await (await connection.execute(FENCE, {"conversation": conversation, "bridge": bridge})).fetchone()
    if row is None:
        raise NotOurs
    return int(row[0])


async def pending(
    connection: AsyncConnection, conversation: uuid.UUID, bridge: uuid.UUID, fence: int
) -> Sequence[Pending]:
    """Return what is to be relayed, in order; raise NotOurs if that is not this bridge's business under this fence."""
    params = {"conversation": conversation, "bridge": bridge, "fence": fence}
    rows = await (await connection.execute(PENDING, params)).fetchall()
    if not rows:
        raise NotOurs
    return [_pending(*row) for row in rows if row[0] is not None]


def _pending(*row: Any) -> Pending:
    return Pending(**dict(zip(Pending.__struct_fields__, row, strict=True)))


async def write_relayed(connection: AsyncConnection, parts: Sequence[RelayedPart]) -> Sequence[None]:
    """Write down what Connect has taken, of whatever conversations, in one statement."""
    await connection.execute(RELAYED.encode(), [list(column) for column in zip(*parts, strict=True)])
    return [None] * len(parts)


async def taken_items(connection: AsyncConnection, contact: uuid.UUID) -> dict[str, str]:
    """Return the ids under which Connect has taken the contact's latest messages from us, with what these said."""
    rows = await (await connection.execute(TAKEN_ITEMS, [contact])).fetchall()
    return dict(rows)
