"""All SQL of the bridge. The database is the only truth; everything here runs in a transaction of the caller's."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from people.encryption import unseal

Connection = psycopg.AsyncConnection[Any]

#: Seconds without a heartbeat after which a bridge's conversations are taken over.
BRIDGE_TTL = 6
#: NOTIFY channels: something came in; something is to be relayed (payload: the owner bridge's id).
INTAKE_CHANNEL = "parley_intake"
RELAY_CHANNEL = "parley_relay"
#: NOTIFY channel: a bridge was told that it is too fast.
PACE_CHANNEL = "parley_pace"
#: NOTIFY channel: conversations are nobody's now (payload: the id of the bridge that gave them away).
FREED_CHANNEL = "parley_freed"
#: First key of the advisory locks that share the intake's shards out among the bridges.
SHARD_LOCKS = 0x5041524C


class Chat(msgspec.Struct, kw_only=True):
    """An open contact as the bridge works with it, and what of its conversation a chat needs."""

    contact: uuid.UUID
    state: str
    instance_id: str
    flow_id: str
    contact_id: str
    initial_contact_id: str
    participant_token: str
    connection_token: str
    first_message: uuid.UUID | None
    bot: bool
    requested_at: datetime
    started_at: datetime | None
    told: Sequence[Sequence[str]] | None = None
    zone: str = ""
    told_agent: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.participant_token, self.connection_token = unseal(self.participant_token), unseal(self.connection_token)


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's message, or an aside, that Connect has not taken yet. `item`: of what it took of it last."""

    id: uuid.UUID
    sequence: int
    text: str
    relayed: int
    attempts: int
    created_at: datetime
    content_type: str = "text/plain"
    item: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a new chat says about its conversation."""

    kind: str
    account: uuid.UUID
    account_name: str
    address: str
    instance_id: str
    flow_id: str
    attributes: dict[str, Any]
    holding_reply: str
    customer: uuid.UUID
    identity: uuid.UUID
    external_id: str
    display_name: str
    handle: str
    locale: str
    version: datetime


# ── bridges and ownership ─────────────────────────────────────────────────────────────────────────────────────────────

JOIN = "INSERT INTO connect_bridge_bridge (id, host, pid, started_at, beat_at) VALUES (%s, %s, %s, now(), now())"
BEAT = "UPDATE connect_bridge_bridge SET beat_at = now() WHERE id = %s"
LEAVE = f"""
WITH freed AS (UPDATE connect_bridge_conversation SET owner_id = NULL WHERE id IN (
    SELECT id FROM connect_bridge_conversation WHERE owner_id = %(bridge)s ORDER BY id FOR NO KEY UPDATE)
), gone AS (UPDATE connect_bridge_bridge SET beat_at = 'epoch' WHERE id = %(bridge)s RETURNING id)
SELECT pg_notify('{FREED_CHANNEL}', id::text) FROM gone
"""  # noqa: S608 - a constant
#: Bridges that could take over from this one.
HEIRS = f"""
SELECT count(*) FROM connect_bridge_bridge
 WHERE id <> %(bridge)s AND beat_at > now() - interval '{BRIDGE_TTL} seconds'
"""  # noqa: S608 - a constant
#: Give these away, as far as they are ours.
GIVE = f"""
WITH given AS (UPDATE connect_bridge_conversation SET owner_id = NULL WHERE id IN (
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
#: Take what is nobody's, or a dead bridge's: as much as makes up this bridge's share, so that others find theirs. A
#: `greedy` look takes all: a bridge that lives and yet claims nothing must not leave its share lying.
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
OWNED_PENDING = """
SELECT DISTINCT c.id FROM connect_bridge_conversation c JOIN connect_bridge_message m ON m.conversation_id = c.id
 WHERE c.owner_id = %s AND m.direction = 'in' AND m.status = 'stored' AND (m.due_at IS NULL OR m.due_at <= now())
"""
UNPARK = """
UPDATE channels_app_inboundentry SET state = 'pending' WHERE id IN (
    SELECT id FROM channels_app_inboundentry WHERE state = 'parked' AND due_at <= now() FOR UPDATE SKIP LOCKED)
"""
#: Let go of a conversation with nothing open and nothing to relay; returns no row if there is something after all. The
#: row must be locked by a statement of its own first: the sub-selects see only what was committed when this one began.
LOCK = "SELECT owner_id FROM connect_bridge_conversation WHERE id = %s FOR NO KEY UPDATE"
RELEASE = """
UPDATE connect_bridge_conversation c SET active = false, owner_id = NULL
 WHERE id = %(conversation)s AND owner_id = %(bridge)s
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_message m
                    WHERE m.conversation_id = c.id AND m.direction = 'in' AND m.status = 'stored')
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_contact t
                    WHERE t.conversation_id = c.id AND t.state IN ('requested', 'started', 'connected'))
RETURNING id
"""
#: A safety net: whatever left a message behind without an owner in sight, this puts it back to work.
REVIVE = """
UPDATE connect_bridge_conversation SET active = true WHERE id IN (
    SELECT id FROM connect_bridge_conversation WHERE NOT active AND id IN (
        SELECT conversation_id FROM connect_bridge_message WHERE direction = 'in' AND status = 'stored')
       FOR NO KEY UPDATE SKIP LOCKED)
"""

# ── relaying ──────────────────────────────────────────────────────────────────────────────────────────────────────────

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

# ── contacts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#: `first_message` is still to be written down as relayed, by whoever has the chat now: it went as the InitialMessage.
#: `told` is what events told of the persons in it, as presence.Told; `zone` is the account's. `told_agent`: the items
#: of our notices to its agent.
_CHAT = """id AS contact, state, instance_id, flow_id, contact_id, initial_contact_id, participant_token,
           connection_token, bot, requested_at, started_at,
           (SELECT m.id FROM connect_bridge_message m WHERE m.id = connect_bridge_contact.first_message
               AND m.status = 'stored' AND m.contact_id IS DISTINCT FROM connect_bridge_contact.id) AS first_message,
           (SELECT jsonb_agg(jsonb_build_array(e.participant_id, e.role, e.kind, e.name, e.at) ORDER BY e.at, e.id)
              FROM connect_bridge_contactevent e
             WHERE e.contact_id = connect_bridge_contact.id AND e.participant_id <> '') AS told,
           COALESCE((SELECT h.zone FROM connect_bridge_conversation c
                       JOIN channels_app_channelaccount a ON a.id = c.account_id
                       JOIN channels_app_businesshours h ON h.id = a.hours_id
                      WHERE c.id = connect_bridge_contact.conversation_id), '') AS zone,
           ARRAY(SELECT n.item_id FROM connect_bridge_notice n
                  WHERE n.contact_id = connect_bridge_contact.id AND n.item_id <> '') AS told_agent"""
OPEN_CHAT = f"""
SELECT {_CHAT} FROM connect_bridge_contact
 WHERE conversation_id = %s AND state IN ('requested', 'started', 'connected')
"""  # noqa: S608 - a constant
ORIGIN = """
SELECT a.kind, a.id AS account, a.name AS account_name, a.address, a.connect_instance_id AS instance_id,
       a.connect_contact_flow_id AS flow_id, a.attributes, a.holding_reply, i.customer_id AS customer, i.id AS identity,
       i.external_id, i.display_name, i.handle, i.locale, a.updated_at AS version
  FROM connect_bridge_conversation c
  JOIN channels_app_channelaccount a ON a.id = c.account_id JOIN customers_identity i ON i.id = c.identity_id
 WHERE c.id = %s
"""
REQUEST_CHAT = f"""
INSERT INTO connect_bridge_contact (id, conversation_id, state, instance_id, flow_id, first_message, initial_contact_id,
       contact_id, participant_id, participant_token, connection_token, agent_name, bot, requested_at, reason)
VALUES (%(contact)s, %(conversation)s, 'requested', %(instance)s, %(flow)s, %(message)s, '', '', '', '', '', '', true,
        now(), '')
RETURNING {_CHAT}
"""  # noqa: S608 - a constant
CHAT_STARTED = """
UPDATE connect_bridge_contact SET state = 'started', started_at = COALESCE(started_at, now()),
       contact_id = %(contact_id)s, initial_contact_id = %(contact_id)s, participant_id = %(participant)s,
       participant_token = %(token)s, instance_id = %(instance)s, flow_id = %(flow)s,
       reason = '' WHERE id = %(contact)s
"""
CHAT_CONNECTED = """
UPDATE connect_bridge_contact SET state = 'connected', connected_at = COALESCE(connected_at, now()),
       connection_token = %(token)s, connection_expires_at = %(expires)s, last_traffic_at = now()
 WHERE id = %(contact)s AND state IN ('started', 'connected')
"""
CHAT_OVER = """
UPDATE connect_bridge_contact SET state = %(state)s, ended_at = now(), reason = %(reason)s,
       participant_token = '', connection_token = ''
 WHERE id = %(contact)s AND state IN ('requested', 'started', 'connected')
"""

# ── the pace of all bridges ───────────────────────────────────────────────────────────────────────────────────────────

#: Of several bridges that are refused at the same time one slows all down, the others find that done.
SLOW_DOWN = """
WITH cut AS (
    INSERT INTO connect_bridge_connectpace AS p (instance_id, operation, rate, cut_at, until)
    VALUES (%(instance)s, %(operation)s, %(rate)s, now(), now() + make_interval(secs => %(pause)s))
    ON CONFLICT (instance_id, operation) DO UPDATE
       SET rate = CASE WHEN p.cut_at > now() - make_interval(secs => %(once_in)s) THEN p.rate
                       ELSE LEAST(EXCLUDED.rate, GREATEST(%(floor)s::float8, %(slower)s::float8 * p.rate
                            * power(%(faster)s::float8, LEAST(60, EXTRACT(EPOCH FROM now() - p.cut_at)::float8)))) END,
           cut_at = CASE WHEN p.cut_at > now() - make_interval(secs => %(once_in)s) THEN p.cut_at ELSE now() END,
           until = GREATEST(p.until, EXCLUDED.until)
    RETURNING 1
)
SELECT pg_notify(%(channel)s, '') FROM cut
"""
#: A rate that was cut more than a minute ago has grown beyond being a limit.
SHARED_PACES = f"""
SELECT instance_id, operation, rate, EXTRACT(EPOCH FROM now() - cut_at)::float8 AS age,
       GREATEST(0, EXTRACT(EPOCH FROM until - now()))::float8 AS pause,
       (SELECT count(*) FROM connect_bridge_bridge WHERE beat_at > now() - interval '{BRIDGE_TTL} seconds') AS bridges
  FROM connect_bridge_connectpace WHERE cut_at > now() - interval '1 minute' OR until > now()
"""  # noqa: S608 - a constant
# ── notices to agents ─────────────────────────────────────────────────────────────────────────────────────────────────

#: What did not reach the customer and was not told yet, where an agent listens in the chat in which it was said. An
#: uncertain message counts once the messenger was asked for it, and nothing of it is being sent again.
UNTOLD = """
SELECT m.id AS message, m.contact_id AS contact, m.conversation_id AS conversation, m.text, m.status, m.error_code,
       m.error_detail, a.kind, COALESCE(w.provider_code, '') AS provider_code
  FROM connect_bridge_message m
  JOIN connect_bridge_contact t ON t.id = m.contact_id AND t.state = 'connected' AND NOT t.bot
  JOIN connect_bridge_conversation c ON c.id = m.conversation_id AND c.owner_id = %(bridge)s
  JOIN channels_app_channelaccount a ON a.id = c.account_id
  LEFT JOIN connect_bridge_notice n ON n.message_id = m.id
  LEFT JOIN LATERAL (SELECT provider_code FROM connect_bridge_outboxentry o
                      WHERE o.message_id = m.id AND o.error_code <> '' ORDER BY o.part LIMIT 1) w ON true
 WHERE m.direction = 'out' AND m.status IN ('failed', 'uncertain')
   AND (n.id IS NULL OR (n.told_at IS NULL AND n.due_at <= now()))
   AND (m.status = 'failed' OR NOT EXISTS (
        SELECT 1 FROM connect_bridge_outboxentry o
         WHERE o.message_id = m.id AND (o.state IN ('pending', 'claimed')
               OR (o.state = 'uncertain' AND o.look_at IS NOT NULL))))
 ORDER BY m.settled_at NULLS FIRST, m.sequence LIMIT %(most)s
"""
#: The lease keeps others away while we try; who dies meanwhile leaves `attempts` behind.
BEGIN_NOTICE = """
INSERT INTO connect_bridge_notice AS n
       (id, message_id, contact_id, item_id, route, attempts, due_at, created_at, error)
VALUES (%(id)s, %(message)s, %(contact)s, '', '', 1, now() + make_interval(secs => %(lease)s), now(), '')
ON CONFLICT (message_id) DO UPDATE
   SET attempts = n.attempts + 1, due_at = now() + make_interval(secs => %(lease)s)
 WHERE n.told_at IS NULL AND n.due_at <= now()
RETURNING n.id, n.attempts, n.created_at
"""
NOTICE_TOLD = """
UPDATE connect_bridge_notice SET told_at = now(), due_at = NULL, item_id = %(item)s, route = %(route)s, error = ''
 WHERE id = %(id)s
"""
NOTICE_WAITS = """
UPDATE connect_bridge_notice SET due_at = now() + make_interval(secs => %(wait)s), error = %(error)s WHERE id = %(id)s
"""


async def open_chat(connection: Connection, conversation: uuid.UUID) -> Chat | None:
    """Return the conversation's open contact, if it has one."""
    async with connection.cursor(row_factory=class_row(Chat)) as cursor:
        return await (await cursor.execute(OPEN_CHAT, [conversation])).fetchone()


class NotOurs(Exception):
    """Another bridge owns the conversation, or it was lost and won again since."""


async def fence(connection: Connection, conversation: uuid.UUID, bridge: uuid.UUID) -> int:
    """Return the fence under which this bridge owns the conversation; raise NotOurs if it does not."""
    row = await (await connection.execute(FENCE, {"conversation": conversation, "bridge": bridge})).fetchone()
    if row is None:
        raise NotOurs
    return int(row[0])


async def pending(connection: Connection, conversation: uuid.UUID, bridge: uuid.UUID, fence: int) -> Sequence[Pending]:
    """Return what is to be relayed, in order; raise NotOurs if that is not this bridge's business under this fence."""
    given = {"conversation": conversation, "bridge": bridge, "fence": fence}
    rows = await (await connection.execute(PENDING, given)).fetchall()
    if not rows:
        raise NotOurs
    return [_pending(*row) for row in rows if row[0] is not None]


def _pending(*row: Any) -> Pending:
    return Pending(**dict(zip(Pending.__struct_fields__, row, strict=True)))


async def taken_items(connection: Connection, contact: uuid.UUID) -> dict[str, str]:
    """Return the ids under which Connect has taken the contact's latest messages from us, with what these said."""
    rows = await (await connection.execute(TAKEN_ITEMS, [contact])).fetchall()
    return dict(rows)


async def origin(connection: Connection, conversation: uuid.UUID) -> Origin:
    async with connection.cursor(row_factory=class_row(Origin)) as cursor:
        row = await (await cursor.execute(ORIGIN, [conversation])).fetchone()
    assert row is not None
    return row


async def request_chat(connection: Connection, **given: Any) -> Chat:
    """Write down that a chat is to be started, before Connect is asked: its id is the ClientToken."""
    async with connection.cursor(row_factory=class_row(Chat)) as cursor:
        row = await (await cursor.execute(REQUEST_CHAT, given)).fetchone()
    assert row is not None
    return row


async def release(connection: Connection, conversation: uuid.UUID, bridge: uuid.UUID) -> bool:
    """Let go of an idle conversation. Return False if it is ours and not idle after all."""
    async with connection.transaction():
        row = await (await connection.execute(LOCK, [conversation])).fetchone()
        if row is None or row[0] != bridge:
            return True
        freed = await connection.execute(RELEASE, {"conversation": conversation, "bridge": bridge})
        return freed.rowcount == 1
