"""Tell the first agent of a new chat what was said last: on whatever channel, if settings ask for it (agent_notes.py).

Only once an agent is there, so that no bot takes it for the customer's words, and not as contact attributes: those stay
in Connect's contact records, where nothing that is erased here can be erased. A chat without a briefing is better than
a chat held up by one: it is tried a few times and left alone.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from django.conf import settings
from psycopg.rows import class_row

from channels_app.registry import channels
from connect_bridge.automation.agent_notes import AgentNote, say_note
from connect_bridge.connect.gateway import GatewayError
from connect_bridge.connect.markers import LAST_TIME, escaped
from connect_bridge.listening.listener import Listener
from connect_bridge.runtime import BridgeRuntime

log = logging.getLogger(__name__)

#: Seconds between two looks, and how many chats one look takes.
EVERY, MOST = 1.0, 20
#: Attempts, and seconds between them: for so long nobody else tries it either.
MOST_ATTEMPTS, LEASE = 3, 15.0
#: Characters of one line.
LONGEST_LINE = 200

#: An agent who is there for longer has read the chat, and other agents come after a transfer.
DUE = """
SELECT t.id AS contact, t.conversation_id AS conversation
  FROM connect_bridge_contact t JOIN connect_bridge_conversation c ON c.id = t.conversation_id
  LEFT JOIN connect_bridge_briefing b ON b.contact_id = t.id
 WHERE c.owner_id = %(bridge)s AND c.active AND t.state = 'connected' AND NOT t.bot
   AND EXISTS (SELECT 1 FROM connect_bridge_contactevent e WHERE e.contact_id = t.id AND e.kind = 'joined'
                  AND e.at > now() - interval '5 minutes')
   AND (b.contact_id IS NULL OR (b.told_at IS NULL AND b.attempts < %(attempts)s AND b.due_at <= now()))
 LIMIT %(most)s
"""
BEGIN = """
INSERT INTO connect_bridge_briefing AS b (contact_id, attempts, due_at, error)
VALUES (%(contact)s, 1, now() + make_interval(secs => %(lease)s), '')
ON CONFLICT (contact_id) DO UPDATE SET attempts = b.attempts + 1, due_at = now() + make_interval(secs => %(lease)s)
 WHERE b.told_at IS NULL AND b.due_at <= now()
RETURNING attempts
"""
TOLD = (
    "UPDATE connect_bridge_briefing SET told_at = now(), lines = %(lines)s, error = '' WHERE contact_id = %(contact)s"
)
FAILED = "UPDATE connect_bridge_briefing SET error = %(error)s WHERE contact_id = %(contact)s"
#: The last lines of the customer's last chat. What a person's decision alone ties to this identity is not shown.
LINES = """
WITH me AS (
    SELECT i.id AS identity, i.customer_id AS customer, EXISTS (
           SELECT 1 FROM customers_customer h JOIN customers_merge m ON h.id IN (m.low_id, m.high_id)
            WHERE (h.id = i.customer_id OR h.merged_into_id = i.customer_id)
              AND m.undone_at IS NULL AND m.method = 'person') AS decided
      FROM connect_bridge_conversation c JOIN customers_identity i ON i.id = c.identity_id WHERE c.id = %(conversation)s
), last AS (
    SELECT t.id, t.started_at, t.agent_name, a.kind
      FROM me JOIN customers_identity i ON i.customer_id = me.customer AND (NOT me.decided OR i.id = me.identity)
      JOIN connect_bridge_conversation c ON c.identity_id = i.id
      JOIN channels_app_channelaccount a ON a.id = c.account_id
      JOIN connect_bridge_contact t ON t.conversation_id = c.id AND t.state = 'ended' AND t.started_at IS NOT NULL
     WHERE t.id <> %(contact)s ORDER BY t.requested_at DESC LIMIT 1
)
SELECT last.kind, last.started_at, last.agent_name,
       CASE WHEN m.role IN ('AGENT', 'SUPERVISOR') THEN 'out' ELSE m.direction END AS direction, m.author, m.text
  FROM last JOIN connect_bridge_message m ON m.contact_id = last.id ORDER BY m.sequence DESC LIMIT %(lines)s
"""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A chat whose agent is to be told."""

    contact: uuid.UUID
    conversation: uuid.UUID


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the customer's last chat, and what that chat was."""

    kind: str
    started_at: datetime
    agent_name: str
    direction: str
    author: str
    text: str


async def brief_agents(runtime: BridgeRuntime, listener_of: Callable[[uuid.UUID], Listener | None]) -> None:
    """Look for new chats of conversations that are ours, for ever, and tell what was said last."""
    while settings.CONNECT_BRIEFING_LINES > 0:
        await asyncio.sleep(EVERY)
        params = {"bridge": runtime.bridge, "attempts": MOST_ATTEMPTS, "most": MOST}
        async with runtime.pool.connection() as connection, connection.cursor(row_factory=class_row(Due)) as cursor:
            rows = await (await cursor.execute(DUE, params)).fetchall()
        for due in rows:
            listener = listener_of(due.conversation)
            if listener is not None and listener.listening and runtime.owns:
                await brief(runtime, listener, due)
    await asyncio.Event().wait()


async def brief(runtime: BridgeRuntime, listener: Listener, due: Due) -> None:
    """Tell it in one chat, once."""
    params = {"contact": due.contact, "conversation": due.conversation, "lease": LEASE}
    async with runtime.pool.connection() as connection:
        row = await (await connection.execute(BEGIN, params)).fetchone()
        if row is None:
            return
        async with connection.cursor(row_factory=class_row(Line)) as cursor:
            context_params = {**params, "lines": settings.CONNECT_BRIEFING_LINES}
            lines = (await (await cursor.execute(LINES, context_params)).fetchall())[::-1]
    try:
        if lines:
            briefing = AgentNote(
                mark=LAST_TIME, text=wording(lines), token=f"briefing {due.contact}", in_doubt=int(row[0]) > 1
            )
            await say_note(runtime, listener, briefing)
    except GatewayError as failure:
        log.info("contact %s: no briefing: %s", due.contact, failure)
        await runtime.execute(FAILED, {**params, "error": str(failure)[:200]})
    else:
        await runtime.execute(TOLD, {**params, "lines": len(lines)})


def wording(lines: Sequence[Line]) -> str:
    """Return what the agent reads: where and when it was, and the last lines."""
    first = lines[0]
    channel = channels().get(first.kind)
    with_whom = f", with {first.agent_name}" if first.agent_name else ""
    head = f"{channel.label if channel else first.kind}, {first.started_at:%d %b %Y %H:%M} UTC{with_whom}:"
    return "\n".join([head, *(f"{_speaker(line)}: {_short(line.text)}" for line in lines)])


def _speaker(line: Line) -> str:
    return "Customer" if line.direction == "in" else line.author or "We"


def _short(text: str) -> str:
    one_line = escaped(" ".join(text.split()))
    return one_line if len(one_line) <= LONGEST_LINE else f"{one_line[: LONGEST_LINE - 1]}…"
