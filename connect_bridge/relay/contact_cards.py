"""A contact card comes as a file: its name and numbers are read before the message goes to the agent."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec
import psycopg

from channels_app.channel import ReadsCards
from channels_app.errors import SendFailed
from channels_app.toolkit.placeholders import readable
from channels_app.toolkit.vcards import read_card
from channels_app.types import MessageReceived, Part, PartKind, Sender
from channels_app.webhooks.codec import event_from_builtins
from connect_bridge.outbox.channel_cache import channel_of
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.relaying import Pending

log = logging.getLogger(__name__)

#: How a card reads of which only the file is known, and for how many seconds a message waits for its text.
UNREAD, WITHIN = "[contact]", 3.0
_threads = ThreadPoolExecutor(4, thread_name_prefix="cards")

#: Nothing that Connect may have in other words already.
CARD_OF = """
SELECT a.id, a.kind, a.updated_at, m.original FROM connect_bridge_message m
  JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE m.id = %s AND m.original ->> 'event' = 'message' AND m.relayed = 0 AND NOT EXISTS (
       SELECT 1 FROM connect_bridge_contact t WHERE t.conversation_id = c.id AND t.first_message = m.id)
"""
WRITE_TEXT = """
UPDATE connect_bridge_message SET text = %(text)s WHERE id = %(id)s AND relayed = 0 AND status = 'stored' RETURNING 1
"""


async def read_cards(runtime: BridgeRuntime, message: Pending) -> Pending:
    """Return the message with the names and numbers of its contact cards; as it is, if they cannot be had in time.

    Raises psycopg.Error.
    """
    if UNREAD not in message.text or message.attempts or UNREAD not in message.text.split("\n"):
        return message
    async with runtime.pool.connection() as connection:
        row = await (await connection.execute(CARD_OF, [message.id])).fetchone()
    event = event_from_builtins(row[3]) if row else None
    if row is None or not isinstance(event, MessageReceived):
        return message
    parts = await _read(row[0], row[1], row[2], event.parts)
    text = message.text
    for before, after in zip(event.parts, parts, strict=True):
        if before != after:
            text = text.replace(UNREAD, _line(after), 1)
    return await _write(runtime, message, text) if text != message.text else message


async def _read(account: uuid.UUID, kind: str, version: datetime, parts: tuple[Part, ...]) -> list[Part]:
    loop, read = asyncio.get_running_loop(), list(parts)
    try:
        async with asyncio.timeout(WITHIN):
            for place, part in enumerate(parts):
                if part.kind is PartKind.CONTACT and part.media_ref:
                    read[place] = await loop.run_in_executor(_threads, _card, account, kind, version, part)
    except SendFailed as refusal:
        log.info("account %s: a contact card cannot be read: %s", account, refusal.code)
    except TimeoutError:
        log.info("account %s: a contact card did not come within %.0f s", account, WITHIN)
    except psycopg.Error:
        raise
    except Exception as bug:  # noqa: BLE001 - a card without its words is better than none
        log.error("account %s: a contact card failed: %s", account, type(bug).__name__)  # noqa: TRY400 - no content
    return read


def _card(account: uuid.UUID, kind: str, version: datetime, part: Part) -> Part:
    channel = channel_of(account, kind, version)
    if not isinstance(channel, ReadsCards):
        return part
    name, numbers = read_card(channel.read_card(part.media_ref))
    return msgspec.structs.replace(part, name=name, detail=numbers)


def _line(part: Part) -> str:
    return readable(MessageReceived(key="", sender=Sender(external_id=""), message_id="", parts=(part,)))


async def _write(runtime: BridgeRuntime, message: Pending, text: str) -> Pending:
    async with runtime.pool.connection() as connection:
        written = await (await connection.execute(WRITE_TEXT, {"id": message.id, "text": text})).fetchone()
    return msgspec.structs.replace(message, text=text) if written else message
