"""Admin pages of Connect chats, their messages and sends, and of the processes that carry them."""

from __future__ import annotations

from connect_bridge.admin.chats import ContactAdmin, MessageAdmin, NoticeAdmin
from connect_bridge.admin.conversation import ConversationAdmin
from connect_bridge.admin.operations import BridgeAdmin, ReplayAdmin, TracedChannelLogAdmin
from connect_bridge.admin.outbox import OutboxEntryAdmin

__all__ = [
    "BridgeAdmin",
    "ContactAdmin",
    "ConversationAdmin",
    "MessageAdmin",
    "NoticeAdmin",
    "OutboxEntryAdmin",
    "ReplayAdmin",
    "TracedChannelLogAdmin",
]
