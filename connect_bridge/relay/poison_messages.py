"""A message with which Connect keeps failing while it takes others: it fails, so that it blocks the next no longer.

An outage, in which Connect takes nothing of the instance, makes no message poison, nor does a wrong set-up.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connect_bridge.connect.gateway import GatewayError, NoWay, Unclear, Unreachable
from connect_bridge.models import ContactState
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending

#: How long, and how often, it is tried before.
AFTER, ATTEMPTS = timedelta(minutes=15), 5

#: A row if the message has been at the head of its conversation for long, while Connect took messages of others, not
#: only in the last minute: it had its chances since.
POISON = """
SELECT 1 FROM (
    SELECT x.conversation_id, GREATEST(x.created_at, (
        SELECT max(GREATEST(p.relayed_at, p.settled_at)) FROM connect_bridge_message p
         WHERE p.conversation_id = x.conversation_id AND p.direction = 'in' AND p.sequence < x.sequence)) AS since
      FROM connect_bridge_message x WHERE x.id = %(id)s) head
 WHERE head.since < now() - %(after)s AND EXISTS (
    SELECT 1 FROM connect_bridge_message m JOIN connect_bridge_contact t ON t.id = m.contact_id
     WHERE t.instance_id = %(instance)s AND COALESCE(t.flow_id = %(flow)s, true) AND m.direction = 'in'
       AND m.conversation_id <> head.conversation_id AND m.created_at > head.since - interval '1 hour'
       AND m.relayed_at BETWEEN head.since AND now() - interval '1 minute')
"""


async def is_poison(
    runtime: BridgeRuntime, chat: Chat | None, message: Pending, failure: GatewayError, *, listening: bool
) -> bool:
    """Whether Connect has been failing with this message for long, and took others meanwhile.

    Never where Connect lets nobody into the chat, so that this bridge does not listen to it (`listening` is False), and
    never where it says that none can be started as things are set up.
    """
    if chat is None or message.attempts < ATTEMPTS or message.created_at > datetime.now(UTC) - AFTER:
        return False
    requested = chat.state == ContactState.REQUESTED
    blamed = Unreachable if requested else Unreachable | Unclear
    if not (requested or listening) or isinstance(failure, NoWay) or not isinstance(failure, blamed):
        return False
    flow = chat.flow_id if requested else None  # a chat that runs has its flow behind it
    params = {"id": message.id, "instance": chat.instance_id, "flow": flow, "after": AFTER}
    async with runtime.pool.connection() as connection:
        return bool(await (await connection.execute(POISON, params)).fetchone())
