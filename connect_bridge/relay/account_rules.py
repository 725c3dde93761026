"""What an account says about its customers' messages before they go on: pause, opening hours, files, greeting."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from channels_app.reply_occasions import CLOSED, GREETING, MEDIA, PAUSED, Occasion
from connect_bridge.automation.replies import say
from connect_bridge.connect.gateway import Held
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage import relaying
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.relaying import Pending


async def check_account(
    runtime: BridgeRuntime, account: uuid.UUID, conversation: uuid.UUID, message: Pending, *, begins: bool
) -> None:
    """Tell the customer what there is to tell before the message goes on; raise Held if it is not to go on now.

    `begins`: the message would begin a chat. Opening hours do not end one that is open.
    """
    settings = runtime.account_settings.of(account)
    if settings.paused_since is not None:
        await say(runtime, settings, conversation, PAUSED, settings.paused_since.isoformat())
        raise Held("paused", "The account is paused: the message is kept.")
    if settings.replies.get(MEDIA.key) and await _has_media(runtime, message):
        await say(runtime, settings, conversation, MEDIA, f"{message.created_at:%Y-%m-%d}")
    opening = settings.opening(datetime.now(UTC))
    if begins and not opening.open:
        await say(runtime, settings, conversation, CLOSED, opening.period)
        if not settings.closed_starts_chat:
            raise Held("closed", f"The account is closed until {opening.period}: the message is kept.")


async def greet(runtime: BridgeRuntime, account: uuid.UUID, conversation: uuid.UUID, chat: Chat) -> None:
    """Say the account's greeting, once for each chat."""
    await say_in_chat(runtime, account, conversation, GREETING, chat)


async def say_in_chat(
    runtime: BridgeRuntime, account: uuid.UUID, conversation: uuid.UUID, occasion: Occasion, chat: Chat
) -> None:
    """Say what the account has for the occasion, once for each chat."""
    settings = runtime.account_settings.of(account)
    await say(runtime, settings, conversation, occasion, str(chat.contact), chat.contact)


async def _has_media(runtime: BridgeRuntime, message: Pending) -> bool:
    async with runtime.pool.connection() as connection:
        row = await (await connection.execute(relaying.HAS_PARTS, [message.id])).fetchone()
    return bool(row and row[0])
