"""Conversations, the Connect chats they become, and every message of them."""

from __future__ import annotations

from connect_bridge.models.agent_messages import Briefing, Notice, SentReply
from connect_bridge.models.bridge import Bridge, ConnectPace
from connect_bridge.models.conversation import (
    OPEN_IN_SQL,
    OPEN_STATES,
    Contact,
    ContactEvent,
    ContactState,
    Conversation,
    Message,
)
from connect_bridge.models.outbox import AccountPause, OutboxEntry, SentId
from connect_bridge.models.privacy import ERASED, EXPIRED, RetentionMark
from connect_bridge.models.projection import Projection, ProjectionNote
from connect_bridge.models.replay import Replay

__all__ = [
    "ERASED",
    "EXPIRED",
    "OPEN_IN_SQL",
    "OPEN_STATES",
    "AccountPause",
    "Bridge",
    "Briefing",
    "ConnectPace",
    "Contact",
    "ContactEvent",
    "ContactState",
    "Conversation",
    "Message",
    "Notice",
    "OutboxEntry",
    "Projection",
    "ProjectionNote",
    "Replay",
    "RetentionMark",
    "SentId",
    "SentReply",
]
