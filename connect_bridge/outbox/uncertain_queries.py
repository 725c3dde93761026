"""SQL of uncertain sends: which are due to be asked for, and what came of it. The database's clock rules."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec


class DeliveryProbe(msgspec.Struct, frozen=True, kw_only=True):
    """An uncertain send for which this worker asks the messenger now.

    `age` is for how many seconds it has been uncertain, `looks` how often was asked, this time included.
    """

    entry: uuid.UUID
    message: uuid.UUID
    conversation: uuid.UUID
    text: str
    looks: int
    age: float
    sent_at: datetime
    possible_duplicate: bool
    detail: str
    recipient: str
    account: uuid.UUID
    kind: str
    version: datetime
    when_uncertain: str


ANY_DUE = "SELECT EXISTS (SELECT 1 FROM connect_bridge_outboxentry WHERE state = 'uncertain' AND look_at <= now())"
#: While something of the same conversation is being sent, the list may show it already, and its id is not known here.
CLAIM = """
WITH due AS (
    SELECT o.id FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
      JOIN channels_app_channelaccount a ON a.id = c.account_id
     WHERE o.state = 'uncertain' AND o.look_at <= now() AND a.enabled
       AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry b
                        WHERE b.conversation_id = o.conversation_id AND b.state = 'claimed')
     ORDER BY o.look_at LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
)
UPDATE connect_bridge_outboxentry o
   SET looks = o.looks + 1, look_at = now() + make_interval(secs => %(lease)s)
  FROM due, connect_bridge_conversation c, channels_app_channelaccount a
 WHERE o.id = due.id AND c.id = o.conversation_id AND a.id = c.account_id
RETURNING o.id AS entry, o.message_id AS message, o.conversation_id AS conversation, o.text, o.looks,
          EXTRACT(EPOCH FROM now() - o.settled_at)::float8 AS age, o.possible_duplicate, o.error_detail AS detail,
          o.claimed_until - make_interval(secs => %(claim)s) AS sent_at, c.recipient, a.id AS account, a.kind,
          a.updated_at AS version, a.when_uncertain
"""
#: Ids are claimed one by one: of two sends of the same text each gets its own.
CLAIM_ID = """
INSERT INTO connect_bridge_sentid AS s (account_id, provider_message_id, entry_id)
VALUES (%(account)s, %(id)s, %(entry)s)
ON CONFLICT (account_id, provider_message_id) DO UPDATE SET entry_id = s.entry_id RETURNING s.entry_id
"""
SAME_TEXT_BEING_SENT = """
SELECT 1 FROM connect_bridge_outboxentry
 WHERE conversation_id = %(conversation)s AND state = 'claimed' AND text = %(text)s AND id <> %(entry)s
"""
PROBE_LATER = """
UPDATE connect_bridge_outboxentry SET look_at = now() + make_interval(secs => %(wait)s)
 WHERE id = %(entry)s AND state = 'uncertain'
"""
SEND_AGAIN = """
UPDATE connect_bridge_outboxentry
   SET state = 'pending', due_at = now(), settled_at = NULL, look_at = NULL, possible_duplicate = true
 WHERE id = %(entry)s AND state = 'uncertain'
"""
LEAVE_UNCERTAIN = """
WITH left_open AS (
    UPDATE connect_bridge_outboxentry SET look_at = NULL, error_detail = %(detail)s
     WHERE id = %(entry)s AND state = 'uncertain' RETURNING message_id
)
UPDATE connect_bridge_message m SET error_detail = %(detail)s
  FROM left_open l WHERE m.id = l.message_id AND m.status = 'uncertain'
"""
