"""Tell the agent, in the chat itself, that a message did not reach the customer, or may not have (agent_notes.py)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from psycopg.rows import class_row

from channels_app.registry import channels
from connect_bridge.automation.agent_notes import AgentNote, say_note
from connect_bridge.connect.gateway import GatewayError
from connect_bridge.connect.markers import NOT_DELIVERED
from connect_bridge.listening.listener import Listener
from connect_bridge.models import Notice
from connect_bridge.runtime import BridgeRuntime

log = logging.getLogger(__name__)

#: Seconds between two looks for what is to be told, and between two notices of one bridge.
EVERY = 2.0
APART = 1.0
#: Notices of one look.
MOST = 20
#: Seconds for which nobody else tries what one bridge tries.
LEASE = 30.0
#: Seconds between attempts grow from the first to the longest.
FIRST_WAIT, LONGEST_WAIT = 4.0, 60.0
#: How far Connect's clock may be behind ours, amply: it only bounds how much of a transcript is read.
CLOCKS_DIFFER = timedelta(minutes=10)
NOTICE_ITEMS = "SELECT item_id FROM connect_bridge_notice WHERE contact_id = %s AND item_id <> ''"
#: Characters of the message and of the provider's words that a notice quotes.
LONGEST_QUOTE = 300

_WHY = {
    "window_closed": "the customer last wrote too long ago for {label} to let us answer",
    "blocked": "the customer does not take our messages on {label}",
    "opted_out": "the customer asked for no more messages",
    "invalid_recipient": "{label} cannot reach this customer",
    "invalid_content": "{label} does not take this message",
    "policy": "{label}'s rules forbid it",
    "auth": "{label} refuses our credentials; tell whoever looks after Parley",
    "account": "there is a problem with our account at {label}; tell whoever looks after Parley",
    "throttled": "{label} takes no more messages for now",
    "unavailable": "{label} could not be reached",
}

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


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the agent believes delivered, and is not, or may not be."""

    message: uuid.UUID
    contact: uuid.UUID
    conversation: uuid.UUID
    text: str
    status: str
    error_code: str
    error_detail: str
    kind: str
    provider_code: str


class Attempt(msgspec.Struct, frozen=True):
    """A notice that only this bridge works on now."""

    id: uuid.UUID
    number: int
    began_at: datetime


async def tell_agents(runtime: BridgeRuntime, listener_of: Callable[[uuid.UUID], Listener | None]) -> None:
    """Look for messages that did not arrive, for ever, and tell the agents of the conversations that are ours."""
    while True:
        await asyncio.sleep(EVERY)
        async with runtime.pool.connection() as connection, connection.cursor(row_factory=class_row(Untold)) as cursor:
            rows = await (await cursor.execute(UNTOLD, {"bridge": runtime.bridge, "most": MOST})).fetchall()
        for untold in rows:
            listener = listener_of(untold.conversation)
            if listener is not None and listener.listening and runtime.owns:
                await tell(runtime, listener, untold)
                await asyncio.sleep(APART)


async def tell(runtime: BridgeRuntime, listener: Listener, untold: Untold) -> None:
    """Tell the agent of one message, once; whatever fails is tried again while the chat is open."""
    params = {"id": uuid.uuid4(), "message": untold.message, "contact": untold.contact, "lease": LEASE}
    async with runtime.pool.connection() as connection:
        row = await (await connection.execute(BEGIN_NOTICE, params)).fetchone()
    if row is None:
        return
    attempt, text = Attempt(*row), wording(untold)
    try:
        item = await _said(runtime, listener, attempt, text)
    except GatewayError as failure:
        log.info("message %s: the agent could not be told: %s", untold.message, failure)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt.number, 10))
        await runtime.execute(NOTICE_WAITS, {"id": attempt.id, "wait": wait, "error": str(failure)[:200]})
    else:
        await runtime.execute(NOTICE_TOLD, {"id": attempt.id, "item": item, "route": Notice.Route.CUSTOMER})


def wording(untold: Untold) -> str:
    """Return what the agent reads: what happened, why, and which message it was."""
    channel = channels().get(untold.kind)
    label = channel.label if channel else untold.kind
    words = _quote(untold.error_detail)
    if untold.status == "uncertain":
        happened = f"Perhaps not delivered to the customer: {label} did not confirm it, so nobody knows. {words}"
    else:
        why = _WHY.get(untold.error_code, "{label} did not take it").format(label=label)
        said = f"{words} ({untold.provider_code})" if untold.provider_code else words
        happened = f"Not delivered to the customer: {why}. {said}"
    return f"{happened.rstrip()}\nYour message: “{_quote(untold.text)}”"


def _quote(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


async def _said(runtime: BridgeRuntime, listener: Listener, attempt: Attempt, text: str) -> str:
    """Say it, or find that it was said; return the item's id."""
    async with runtime.pool.connection() as connection:
        rows = await (await connection.execute(NOTICE_ITEMS, [listener.chat.contact])).fetchall()
    note = AgentNote(
        mark=NOT_DELIVERED,
        text=text,
        token=str(attempt.id),
        in_doubt=attempt.number > 1,
        since=attempt.began_at - CLOCKS_DIFFER,
    )
    return await say_note(runtime, listener, note, known={row[0] for row in rows})
