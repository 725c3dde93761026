"""Chats and their lines as the numbers need them: values, loaded once (units.py), read by pure functions (facts.py)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

TAKEN = frozenset({"accepted", "delivered", "read"})
UNTAKEN = frozenset({"failed", "uncertain"})
ENDED = frozenset({"ended", "failed"})
#: Lex bots speak as SYSTEM under this name (Amazon Connect administrator guide), bots of one's own as CUSTOM_BOT.
LEX = "BOT"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the numbers need it. `received_at`: its webhook came; `score` is in 1/10,000."""

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
    state: str = ""
    label: str = ""
    language: str = ""
    score: int | None = None
    unsure: bool = False

    @property
    def inbound(self) -> bool:
        return self.direction == "in"

    @property
    def speaker(self) -> str:
        """Return who said it: customer, agent, bot or auto."""
        if self.inbound:
            return "customer"
        if self.role in ("AGENT", "SUPERVISOR"):
            return "agent"
        return "bot" if self.role == "CUSTOM_BOT" or self.author == LEX else "auto"


class Stay(msgspec.Struct, frozen=True):
    """An agent came into the chat, or left it."""

    joined: bool
    name: str
    at: datetime


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """The Connect chat that the lines belong to, and what Connect's contact events told of it, where they came."""

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
    """A chat, or what a conversation has outside any chat (`chat` is None), in order of sequence."""

    unit: uuid.UUID
    conversation: uuid.UUID
    contact: uuid.UUID | None
    account: uuid.UUID
    chat: Chat | None
    lines: Sequence[Line]
    stays: Sequence[Stay] = ()
    phrases: frozenset[str] = frozenset()
