"""What a customer is told while Connect takes no more chats: the account's own words, once for each chat."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from channels_app.registry import channels
from channels_app.toolkit.text import split_text
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.capture import Batch, Captured
from connect_bridge.storage.chats import Chat, Origin

#: Stands for Connect's item id: what is captured once for each chat under this name is sent once. Connect's are UUIDs.
ITEM = "holding reply"


async def hold(runtime: BridgeRuntime, conversation: uuid.UUID, chat: Chat, origin: Origin) -> None:
    """Send the account's holding reply, if it has one. Safe to repeat. Raises psycopg.Error."""
    if not origin.holding_reply:
        return
    reply = Captured(
        id=uuid.uuid4(),
        item_id=ITEM,
        role="SYSTEM",
        author="Parley",
        content_type="text/plain",
        text=origin.holding_reply,
        original=None,
        occurred_at=datetime.now(UTC),
        parts=tuple(split_text(origin.holding_reply, channels()[origin.kind].text_limit)),
    )
    stored = await runtime.captures.add(Batch(conversation=conversation, contact=chat.contact, captured=(reply,)))
    if stored:
        runtime.on_stored(conversation, stored)
