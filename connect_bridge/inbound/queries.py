"""SQL of the router: what it takes from the intake, where that belongs, and how a customer's message is stored.

The statements that write the intake's own tables are the intake's: channels_app/webhooks/entries.py.
"""

from __future__ import annotations

from connect_bridge.storage.messages import insert_messages

#: First the shards that nobody else is working on …
FREE_SHARDS = """
SELECT shard FROM (SELECT DISTINCT shard FROM channels_app_inboundentry WHERE state = 'pending') AS busy
 WHERE pg_try_advisory_xact_lock(%s, shard)
"""
#: … then, by a statement of its own, what is pending in them: one begun before the locks were ours could still see as
#: pending what their last holder has just committed.
TAKE = """
SELECT e.id, e.account_id AS account, a.kind, e.event, e.attempts, e.created_at
  FROM unnest(%(shards)s::smallint[]) AS free (shard) CROSS JOIN LATERAL (
           SELECT * FROM channels_app_inboundentry
            WHERE state = 'pending' AND shard = free.shard ORDER BY id LIMIT %(each)s
       ) e JOIN channels_app_channelaccount a ON a.id = e.account_id
 ORDER BY e.id LIMIT %(most)s
"""
CREATE_CONVERSATION = """
INSERT INTO connect_bridge_conversation
       (id, account_id, identity_id, recipient, last_sequence, active, fence, created_at)
VALUES (%(id)s, %(account)s, %(identity)s, %(recipient)s, 0, false, 0, now())
ON CONFLICT (account_id, identity_id) DO NOTHING
"""
FIND_CONVERSATION = """
SELECT id, recipient FROM connect_bridge_conversation WHERE account_id = %(account)s AND identity_id = %(identity)s
"""
SET_RECIPIENT = "UPDATE connect_bridge_conversation SET recipient = %(recipient)s WHERE id = %(id)s"
FIND_CONVERSATION_BY_SENDER = """
SELECT c.id FROM connect_bridge_conversation c JOIN customers_identity i ON i.id = c.identity_id
 WHERE c.account_id = %(account)s AND i.kind = %(kind)s AND i.issuer = %(issuer)s AND i.external_id = %(external_id)s
"""
_INSERT_MESSAGE = insert_messages(
    "conversation",
    id="%(id)s",
    conversation_id="id",
    sequence="last_sequence",
    direction="'in'",
    role="'CUSTOMER'",
    author="%(author)s",
    text="%(text)s",
    original="%(original)s",
    entry_id="%(entry)s",
    provider_message_id="%(provider_id)s",
    occurred_at="%(occurred)s",
)
#: Allocates the sequence under the conversation's row lock, makes the caller owner if nobody is, and stores.
STORE_MESSAGE = f"""
WITH conversation AS (
    UPDATE connect_bridge_conversation
       SET last_sequence = last_sequence + 1, last_inbound_at = now(), last_message_at = now(), active = true,
           fence = fence + (owner_id IS NULL)::int, owner_id = COALESCE(owner_id, %(bridge)s)
     WHERE id = %(conversation)s RETURNING id, last_sequence, owner_id
), message AS (
    {_INSERT_MESSAGE}
)
SELECT owner_id FROM conversation
"""  # noqa: S608 - constants
