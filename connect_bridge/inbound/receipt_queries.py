"""SQL of receipts and echoes: which of our sends they name, and what they change in these and their messages."""

from __future__ import annotations

from connect_bridge.models import Message
from connect_bridge.outbox.queries import CLAIM_SECONDS, EARLIER_PART

Status = Message.Status

#: How many of a conversation's newest messages a "read up to here" reaches.
WATERMARK_REACH = 200
#: A delivery that came after a failure is the newer truth; a failure that came after a delivery is not.
LADDER = (
    Status.STORED,
    Status.RELAYED,
    Status.UNCERTAIN,
    Status.ACCEPTED,
    Status.FAILED,
    Status.DELIVERED,
    Status.READ,
)

#: The sends that are named by the provider's ids or by our own correlation, and the ids that are known.
NAMED_SENDS = """
SELECT s.entry_id, s.provider_message_id FROM connect_bridge_sentid s
 WHERE s.account_id = %(account)s AND s.provider_message_id = ANY(%(ids)s)
UNION ALL
SELECT o.id, '' FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
 WHERE o.id = %(correlation)s AND c.account_id = %(account)s
"""
#: All that an echo may be of, as of one moment: between two statements a send that is under way could be written down,
#: and both would miss it. Messengers without correlation (X) echo the text alone: it settles a send of the same text
#: whose outcome is unknown, or that is tried again though the messenger may have taken it (`unsure`). What is `claimed`
#: is being sent: after its commit more is known.
SENDS_OF_ECHO = f"""
SELECT 'named', n.* FROM ({NAMED_SENDS}) n
UNION ALL
(SELECT 'unsure', id, text FROM connect_bridge_outboxentry
  WHERE conversation_id = %(conversation)s AND (state = 'uncertain' OR (state = 'pending' AND attempts > 0))
    AND provider_message_ids = '[]' ORDER BY sequence, part LIMIT 50)
UNION ALL
(SELECT 'claimed', id, '' FROM connect_bridge_outboxentry
  WHERE conversation_id = %(conversation)s AND state = 'claimed' LIMIT 1)
"""  # noqa: S608 - a constant
#: Locked in the order in which the outbox locks them: entries before messages, parts in order.
ALL_PARTS = """
SELECT o.id AS entry, o.message_id AS message, o.state, m.status, o.provider_message_ids AS ids, a.kind
  FROM connect_bridge_outboxentry o JOIN connect_bridge_message m ON m.id = o.message_id
  JOIN connect_bridge_conversation c ON c.id = o.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE o.message_id IN (SELECT message_id FROM connect_bridge_outboxentry WHERE id = ANY(%s))
 ORDER BY o.message_id, o.part FOR UPDATE OF o
"""
STORE_IDS = """
INSERT INTO connect_bridge_sentid (account_id, provider_message_id, entry_id)
SELECT %(account)s, i.id, %(entry)s FROM unnest(%(ids)s::text[]) AS i (id) ON CONFLICT DO NOTHING
"""
ACCEPT = """
UPDATE connect_bridge_outboxentry
   SET state = 'accepted', settled_at = now(), error_code = '', provider_code = '', error_detail = '',
       provider_message_ids = CASE WHEN provider_message_ids = '[]' THEN %(ids)s ELSE provider_message_ids END
 WHERE id = ANY(%(entries)s)
"""
FAIL = """
UPDATE connect_bridge_outboxentry
   SET state = 'dead', settled_at = now(), error_code = %(code)s, provider_code = %(provider_code)s,
       error_detail = %(detail)s
 WHERE id = ANY(%(entries)s)
"""
ABANDON = f"""
UPDATE connect_bridge_outboxentry SET state = 'dead', settled_at = now(), {EARLIER_PART} WHERE id = ANY(%s)
"""  # noqa: S608 - a constant
RAISE_STATUS = f"""
UPDATE connect_bridge_message m
   SET status = %(status)s::text, error_code = %(code)s, error_detail = %(detail)s,
       settled_at = COALESCE(m.settled_at, now()),
       provider_message_id = COALESCE(NULLIF(m.provider_message_id, ''), %(provider_id)s)
 WHERE m.id = %(message)s
   AND array_position(ARRAY{list(map(str, LADDER))}::text[], m.status::text)
     < array_position(ARRAY{list(map(str, LADDER))}::text[], %(status)s::text)
"""  # noqa: S608 - constants
#: What was sent before the watermark, to its last part. A send began when it was claimed: the provider's clock, which
#: named the moment, saw the message after that and before we were told.
RAISE_UP_TO_WATERMARK = f"""
UPDATE connect_bridge_message m SET status = %(status)s
 WHERE m.status = ANY(%(from)s) AND m.id IN (
    SELECT n.id FROM (SELECT id FROM connect_bridge_message
                       WHERE conversation_id = %(conversation)s AND direction = 'out'
                       ORDER BY sequence DESC LIMIT {WATERMARK_REACH}) n
      JOIN connect_bridge_outboxentry o ON o.message_id = n.id GROUP BY n.id
    HAVING max(o.claimed_until) - interval '{CLAIM_SECONDS} seconds' <= to_timestamp(%(until)s / 1000.0))
"""  # noqa: S608 - constants
#: Something was being sent at that moment: after its commit more is known.
BEING_SENT_SINCE = f"""
SELECT 1 FROM connect_bridge_outboxentry WHERE conversation_id = %s AND state = 'claimed'
   AND claimed_until - interval '{CLAIM_SECONDS} seconds' <= to_timestamp(%s / 1000.0) LIMIT 1
"""  # noqa: S608 - constants
