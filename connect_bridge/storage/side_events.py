"""Side events: what an agent may want to know and need not answer, such as reactions, edits and deletions.

What our own side said elsewhere, past Parley, is one, too. A side event is shown in the open chat, else on the timeline
alone; it begins no chat and keeps none open. It is not sent while a flow or a bot has the chat: to a bot, whatever the
customer's connection says is an utterance, and it would answer a thumb. Then it stands on the timeline, and is sent
once a person is in the chat. All but that runs in the router's transaction, under the conversation's row lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from channels_app.infrastructure.db import AsyncConnection
from channels_app.toolkit.placeholders import describe, elsewhere
from channels_app.types import Echoed, InboundEvent, MessageEdited, MessageReceived, MessageUnsent, Rated, Reacted
from connect_bridge.models import OPEN_IN_SQL
from connect_bridge.models.lifecycle import SIDE_EVENT
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.messages import insert_messages
from connect_bridge.storage.relaying import RELAY_CHANNEL

#: What a side event is about, or a customer replies to: something that we sent, or words of their own, in this
#: conversation and no other.
QUOTED = """
(SELECT o.text FROM connect_bridge_sentid s JOIN connect_bridge_outboxentry o ON o.id = s.entry_id
  WHERE s.account_id = %(account)s AND s.provider_message_id = %(id)s AND o.conversation_id = %(conversation)s LIMIT 1)
UNION ALL
(SELECT text FROM connect_bridge_message
  WHERE conversation_id = %(conversation)s AND direction = 'in' AND provider_message_id = %(id)s
  ORDER BY sequence LIMIT 1)
LIMIT 1
"""
_INSERT_MESSAGE = insert_messages(
    "conversation, chat",
    id="%(id)s",
    conversation_id="id",
    sequence="last_sequence",
    direction="'in'",
    role="%(role)s",
    author="%(author)s",
    content_type="%(type)s",
    text="%(text)s",
    original="%(original)s",
    status="CASE WHEN chat.listening THEN 'stored' ELSE 'noted' END",
    entry_id="%(entry)s",
    provider_message_id="%(provider_id)s",
    occurred_at="%(occurred)s",
)
#: For a chat that is open or about to be, because something waits to go there; else it is only noted.
STORE = f"""
WITH chat AS (
    SELECT EXISTS (SELECT 1 FROM connect_bridge_contact WHERE conversation_id = %(conversation)s
                      AND state IN {OPEN_IN_SQL})
        OR EXISTS (SELECT 1 FROM connect_bridge_message WHERE conversation_id = %(conversation)s
                      AND direction = 'in' AND status = 'stored') AS listening
), conversation AS (
    UPDATE connect_bridge_conversation
       SET last_sequence = last_sequence + 1,
           last_message_at = CASE WHEN %(spoken)s THEN now() ELSE last_message_at END
     WHERE id = %(conversation)s RETURNING id, last_sequence, owner_id
), message AS (
    {_INSERT_MESSAGE}
)
SELECT owner_id, chat.listening FROM conversation, chat
"""  # noqa: S608 - a constant
#: The chat that it was for ended before it could be shown there.
NOTE_ALONE = "UPDATE connect_bridge_message SET status = 'noted' WHERE id = %(id)s AND status = 'stored'"
#: No person is in the chat that it is for: it waits for one, and holds nothing up.
HOLD_BACK = """
UPDATE connect_bridge_message SET status = 'noted', contact_id = %(contact)s WHERE id = %(id)s AND status = 'stored'
"""
#: A person is there now. What was erased meanwhile, or has expired, has lost its original, and is not shown.
SHOW_HELD_BACK = f"""
WITH shown AS (
    UPDATE connect_bridge_message SET status = 'stored', due_at = NULL
     WHERE contact_id = %(contact)s AND status = 'noted' AND content_type = '{SIDE_EVENT}' AND original IS NOT NULL
    RETURNING conversation_id
)
SELECT pg_notify('{RELAY_CHANNEL}', owner_id::text) FROM connect_bridge_conversation
 WHERE id IN (SELECT conversation_id FROM shown) AND owner_id IS NOT NULL
"""  # noqa: S608 - constants


class SideEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One side event, ready to be stored. `spoken`: our side's words, not a customer's gesture."""

    id: uuid.UUID
    conversation: uuid.UUID
    text: str
    author: str
    entry: int
    original: dict[str, Any]
    occurred: datetime
    provider_id: str = ""
    spoken: bool = False


def subject_of(event: InboundEvent) -> str:
    """Return the provider's id of the message that the event is about or replies to, "" if there is none."""
    if isinstance(event, MessageReceived):
        return event.reply_to
    return event.message_id if isinstance(event, (MessageEdited, MessageUnsent, Reacted, Rated)) else ""


def wording(event: InboundEvent, about: str = "") -> str:
    """Return how the event is shown, "" if it is not. `about` is the text of the message that it is about."""
    return elsewhere(event) if isinstance(event, Echoed) else describe(event, about) or ""


def author_of(event: InboundEvent) -> str:
    """Return whose it is: the customer's name, or what our side wrote with."""
    return (event.app or "elsewhere") if isinstance(event, Echoed) else event.sender.display_name


async def quoted(connection: AsyncConnection, account: uuid.UUID, conversation: uuid.UUID, message_id: str) -> str:
    """Return the text of a message by the provider's id, "" if it is not known here."""
    if not message_id:
        return ""
    params = {"account": account, "conversation": conversation, "id": message_id[:256]}
    row = await (await connection.execute(QUOTED, params)).fetchone()
    return str(row[0]) if row else ""


async def store(connection: AsyncConnection, event: SideEvent) -> tuple[uuid.UUID | None, bool]:
    """Store it; return who owns the conversation, and whether a chat is there to hear it."""
    params = {
        "id": event.id,
        "conversation": event.conversation,
        "role": "AGENT" if event.spoken else "CUSTOMER",
        "author": event.author[:256],
        "type": SIDE_EVENT,
        "text": event.text,
        "original": Jsonb(event.original),
        "entry": event.entry,
        "provider_id": event.provider_id[:256],
        "occurred": event.occurred,
        "spoken": event.spoken,
    }
    row = await (await connection.execute(STORE, params)).fetchone()
    assert row is not None
    return row[0], bool(row[1])


async def note(execute: Callable[[str, Any], Awaitable[int]], message: uuid.UUID, chat: Chat | None) -> None:
    """Let a side event stand on the timeline: its chat is over, or nobody is in `chat` (yet).

    An agent who comes while this is being written sees it, too. `execute` runs one statement by itself.
    """
    if chat is None:
        await execute(NOTE_ALONE, {"id": message})
        return
    await execute(HOLD_BACK, {"id": message, "contact": chat.contact})
    if not chat.bot:
        await execute(SHOW_HELD_BACK, {"contact": chat.contact})
