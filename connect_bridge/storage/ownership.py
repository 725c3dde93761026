"""Which bridge owns which conversation, by lease: heartbeats, claims, hand-overs, and letting go.

Statements that name no conversation run on their own; everything else runs in a transaction of the caller's.
"""

from __future__ import annotations

import uuid

from channels_app.infrastructure.db import AsyncConnection
from connect_bridge.models import OPEN_IN_SQL

#: Seconds without a heartbeat after which a bridge's conversations are taken over.
BRIDGE_TTL = 6
#: NOTIFY channel: conversations have no owner now (payload: the id of the bridge that gave them away).
FREED_CHANNEL = "parley_freed"

JOIN = "INSERT INTO connect_bridge_bridge (id, host, pid, started_at, beat_at) VALUES (%s, %s, %s, now(), now())"
BEAT = "UPDATE connect_bridge_bridge SET beat_at = now() WHERE id = %s"
LEAVE = f"""
WITH freed AS (UPDATE connect_bridge_conversation SET owner_id = NULL WHERE id IN (
    SELECT id FROM connect_bridge_conversation WHERE owner_id = %(bridge)s ORDER BY id FOR NO KEY UPDATE)
), left_bridge AS (UPDATE connect_bridge_bridge SET beat_at = 'epoch' WHERE id = %(bridge)s RETURNING id)
SELECT pg_notify('{FREED_CHANNEL}', id::text) FROM left_bridge
"""  # noqa: S608 - a constant
#: Bridges that could take over from this one.
SUCCESSORS = f"""
SELECT count(*) FROM connect_bridge_bridge
 WHERE id <> %(bridge)s AND beat_at > now() - interval '{BRIDGE_TTL} seconds'
"""  # noqa: S608 - a constant
#: Give these away, as far as they are ours.
GIVE = f"""
WITH freed AS (UPDATE connect_bridge_conversation SET owner_id = NULL WHERE id IN (
    SELECT id FROM connect_bridge_conversation
     WHERE id = ANY(%(ids)s) AND owner_id = %(bridge)s ORDER BY id FOR NO KEY UPDATE))
SELECT pg_notify('{FREED_CHANNEL}', %(bridge)s::text)
"""  # noqa: S608 - a constant
#: What this bridge owns, what there is to own, and how many bridges share it.
SHARES = f"""
SELECT count(*) FILTER (WHERE owner_id = %(bridge)s) AS mine, count(*) AS number,
       (SELECT count(*) FROM connect_bridge_bridge WHERE beat_at > now() - interval '{BRIDGE_TTL} seconds') AS bridges
  FROM connect_bridge_conversation WHERE active
"""  # noqa: S608 - a constant
#: The tokens with which open chats were last connected to, sealed.
LAST_TOKENS = """
SELECT conversation_id, connection_token FROM connect_bridge_contact
 WHERE state = 'connected' AND conversation_id = ANY(%(conversations)s)
"""
#: Bridges that died long ago and own nothing.
FORGET = """
DELETE FROM connect_bridge_bridge b WHERE beat_at < now() - interval '1 hour'
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_conversation WHERE owner_id = b.id)
"""
#: Claim what nobody owns, or a dead bridge: up to this bridge's share, so that others find theirs. A `greedy` claim
#: takes all: another bridge that lives and yet claims nothing must not leave its share unserved.
CLAIM = f"""
WITH room AS (
    SELECT GREATEST(0, ceil(number::float8 / GREATEST(1, bridges)) - mine)::bigint AS free FROM ({SHARES}) AS shares
)
UPDATE connect_bridge_conversation SET owner_id = %(bridge)s, fence = fence + 1 WHERE id IN (
    SELECT c.id FROM connect_bridge_conversation c LEFT JOIN connect_bridge_bridge b ON b.id = c.owner_id
     WHERE c.active AND (c.owner_id IS NULL OR b.beat_at < now() - interval '{BRIDGE_TTL} seconds')
     LIMIT CASE WHEN %(greedy)s THEN %(most)s ELSE LEAST(%(most)s, (SELECT free FROM room)) END
       FOR NO KEY UPDATE OF c SKIP LOCKED)
RETURNING id
"""  # noqa: S608 - a constant
OWNED = "SELECT id FROM connect_bridge_conversation WHERE owner_id = %s AND active"
#: Let go of a conversation with nothing open and nothing to relay; returns no row if there is something after all. The
#: row must be locked by a statement of its own first: the sub-selects see only what was committed when this one began.
LOCK = "SELECT owner_id FROM connect_bridge_conversation WHERE id = %s FOR NO KEY UPDATE"
RELEASE = f"""
UPDATE connect_bridge_conversation c SET active = false, owner_id = NULL
 WHERE id = %(conversation)s AND owner_id = %(bridge)s
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_message m
                    WHERE m.conversation_id = c.id AND m.direction = 'in' AND m.status = 'stored')
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_contact t
                    WHERE t.conversation_id = c.id AND t.state IN {OPEN_IN_SQL})
RETURNING id
"""  # noqa: S608 - a constant
#: A safety net: whatever left a message behind without an owner in sight, this puts it back to work.
REVIVE = """
UPDATE connect_bridge_conversation SET active = true WHERE id IN (
    SELECT id FROM connect_bridge_conversation WHERE NOT active AND id IN (
        SELECT conversation_id FROM connect_bridge_message WHERE direction = 'in' AND status = 'stored')
       FOR NO KEY UPDATE SKIP LOCKED)
"""


async def release(connection: AsyncConnection, conversation: uuid.UUID, bridge: uuid.UUID) -> bool:
    """Let go of an idle conversation. Return False if it is ours and not idle after all."""
    async with connection.transaction():
        row = await (await connection.execute(LOCK, [conversation])).fetchone()
        if row is None or row[0] != bridge:
            return True
        freed = await connection.execute(RELEASE, {"conversation": conversation, "bridge": bridge})
        return freed.rowcount == 1
