"""Chats and their messages as the numbers need them: values, loaded by loader.py and read by pure functions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

#: States of an outgoing message: the messenger has it; it came to an end without that.
TAKEN = frozenset({"accepted", "delivered", "read"})
UNTAKEN = frozenset({"failed", "uncertain"})
#: States of a chat that is over.
ENDED = frozenset({"ended", "failed"})
#: Lex bots speak as SYSTEM under this name (Amazon Connect administrator guide), bots of one's own as CUSTOM_BOT.
LEX = "BOT"


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the numbers need it. `received_at`: its webhook came; `score` is in 1/SCALE."""

    id: uuid.UUID
    direction: str
    role: str
    author: str
    status: str
    error_code: str = ""
    provider_code: str = ""
    provider_message_id: str = ""
    created_at: datetime
    occurred_at: datetime
    received_at: datetime | None = None
    relayed_at: datetime | None = None
    settled_at: datetime | None = None
    scorable: bool = False
    """A customer's, with words of their own."""
    state: str = ""
    """Of its score; "" if none was asked for yet."""
    label: str = ""
    language: str = ""
    score: int | None = None
    unsure: bool = False

    @property
    def inbound(self) -> bool:
        return self.direction == "in"

    @property
    def scored(self) -> bool:
        return self.state == "scored" and self.score is not None

    @property
    def speaker(self) -> str:
        """Return who said it: customer, agent, bot or auto."""
        if self.inbound:
            return "customer"
        if self.role in ("AGENT", "SUPERVISOR"):
            return "agent"
        return "bot" if self.role == "CUSTOM_BOT" or self.author == LEX else "auto"


class AgentStay(msgspec.Struct, frozen=True):
    """An agent came into the chat, or left it."""

    joined: bool
    name: str
    at: datetime


class ChatRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The Connect chat that the messages belong to, and what Connect's contact events told of it, where they came."""

    requested_at: datetime
    state: str
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    agent_name: str = ""
    queue: str = ""
    queued_at: datetime | None = None
    agent: str = ""
    agent_at: datetime | None = None
    completed_at: datetime | None = None
    next_at: datetime | None = None
    """When the conversation's next chat was requested."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted as one: a chat, or what a conversation has outside any chat (`chat` is None).

    `unit` is the contact's id, outside any chat the conversation's. Messages are in order of sequence.
    """

    unit: uuid.UUID
    conversation: uuid.UUID
    contact: uuid.UUID | None
    account: uuid.UUID
    chat: ChatRecord | None
    messages: Sequence[MessageRecord]
    stays: Sequence[AgentStay] = ()
    phrases: frozenset[str] = frozenset()
