"""What customers are told without a person: in their language, once on each occasion, whichever bridge is first."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from channels_app.accounts.opening_hours import chosen
from channels_app.registry import channels
from channels_app.reply_occasions import QUEUE_DELAY, Occasion
from channels_app.toolkit.text import split_text
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.account_settings import AccountSettings
from connect_bridge.storage.capture import Batch, Captured, capture

log = logging.getLogger(__name__)

#: Seconds between two sweeps for customers who wait for an agent, and how many one sweep tells.
LOOK_EVERY = 5.0
MOST_TOLD = 100

WHO = """
SELECT a.kind, i.locale FROM connect_bridge_conversation c JOIN channels_app_channelaccount a ON a.id = c.account_id
  JOIN customers_identity i ON i.id = c.identity_id WHERE c.id = %s
"""
#: Who writes this row says it; the others find it written.
ONCE = """
INSERT INTO connect_bridge_sentreply (conversation_id, occasion, period, at)
VALUES (%s, %s, %s, now()) ON CONFLICT DO NOTHING RETURNING id
"""
PASSES = "UPDATE connect_bridge_outboxentry SET passes_pause = true WHERE message_id = %s"
#: Chats of these accounts, connected for longer than their accounts' patience, in which no agent has come yet: one that
#: an agent has left goes on to another one or to its end, and not because all are busy.
WAIT_FOR_AGENTS = f"""
SELECT t.id, t.conversation_id, c.account_id
  FROM connect_bridge_contact t JOIN connect_bridge_conversation c ON c.id = t.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE a.id = ANY(%(accounts)s) AND t.state = 'connected' AND t.bot AND t.agent_name = ''
   AND c.owner_id = %(bridge)s
   AND t.requested_at < now() - make_interval(mins => a.queue_delay_minutes::int)
   AND t.requested_at > now() - interval '1 day'
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_sentreply s WHERE s.conversation_id = c.id
                      AND s.occasion = '{QUEUE_DELAY.key}' AND s.period = t.id::text)
 LIMIT %(most)s
"""  # noqa: S608 - a constant


async def say(
    runtime: BridgeRuntime,
    settings: AccountSettings,
    conversation: uuid.UUID,
    occasion: Occasion,
    period: str,
    contact: uuid.UUID | None = None,
    **values: str,
) -> bool:
    """Tell the customer, if the account has words for the occasion and this was not said in the period yet.

    `values` are the occasion's variables. Safe to repeat. Raises psycopg.Error; then nothing was said, and it may be
    tried again.
    """
    words = settings.replies.get(occasion.key)
    if not words:
        return False
    async with runtime.pool.connection() as connection, connection.transaction():
        kind, locale = await _one(connection, WHO, [conversation])
        if await _one(connection, ONCE, [conversation, occasion.key, period[:64]]) is None:
            return False
        text = filled(chosen(words, locale, settings.default_language), occasion, values)
        reply = _reply(occasion, text, kind)
        (stored,) = await capture(connection, [Batch(conversation=conversation, contact=contact, captured=(reply,))])
        if occasion.passes_pause:
            await connection.execute(PASSES, [reply.id])
    if stored:
        runtime.on_stored(conversation, stored)
    return bool(stored)


def filled(text: str, occasion: Occasion, values: Mapping[str, str]) -> str:
    """Put values in the place of the occasion's variables. Other braces are the customer's to read."""
    for name in occasion.variables:
        text = text.replace(f"{{{name}}}", values.get(name, ""))
    return text


async def tell_who_waits(runtime: BridgeRuntime) -> None:
    """Tell, again and again, customers who wait for an agent for longer than their account likes."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        accounts = {
            settings.id: settings
            for settings in runtime.account_settings.all()
            if settings.replies.get(QUEUE_DELAY.key)
        }
        if not accounts:
            continue
        params = {"accounts": list(accounts), "bridge": runtime.bridge, "most": MOST_TOLD}
        async with runtime.pool.connection() as connection:
            rows = await (await connection.execute(WAIT_FOR_AGENTS, params)).fetchall()
        for contact, conversation, account in rows:
            await say(runtime, accounts[account], conversation, QUEUE_DELAY, str(contact), contact)


def _reply(occasion: Occasion, text: str, kind: str) -> Captured:
    """Return the reply; its item id, which Connect's never look like, says what it is."""
    return Captured(
        id=uuid.uuid4(),
        item_id=occasion.item or f"{occasion.key} {uuid.uuid4().hex[:16]}",
        role="SYSTEM",
        author="Parley",
        content_type="text/plain",
        text=text,
        original=None,
        occurred_at=datetime.now(UTC),
        parts=tuple(split_text(text, channels()[kind].text_limit)),
    )


async def _one(connection: Any, query: str, params: Any) -> Any:
    return await (await connection.execute(query, params)).fetchone()
