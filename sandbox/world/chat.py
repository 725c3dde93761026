"""The things of an Amazon Connect chat: items, participants, contacts and the chain that they form."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

EVENT = "application/vnd.amazonaws.connect.event."
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
INTERACTIVE_RESPONSE = f"{INTERACTIVE}.response"
TEXT = "text/plain"

Role = Literal["CUSTOMER", "AGENT", "SYSTEM", "CUSTOM_BOT", "SUPERVISOR"]
Visibility = Literal["ALL", "CUSTOMER", "AGENT"]
#: Where a chat is: not yet connected, with the flow's bot, in a queue, with an agent, in the disconnect flow, over.
Stage = Literal["new", "bot", "queued", "agent", "leaving", "ended"]


class Wire(msgspec.Struct, rename="pascal", omit_defaults=True, kw_only=True):
    """A structure written in Amazon's spelling, without the members that are not set."""


class Receipt(Wire):
    """When a participant got or read a message; times are ISO 8601 in UTC."""

    recipient_participant_id: str
    delivered_timestamp: str | None = None
    read_timestamp: str | None = None


class MessageMetadata(Wire):
    """The receipts of a message, and what a message processor made of it: PROCESSING, FAILED or REJECTED."""

    message_id: str
    receipts: list[Receipt] | None = None
    message_processing_status: str | None = None


class AttachmentItem(Wire):
    """A file in the transcript. `status` is APPROVED, REJECTED or IN_PROGRESS."""

    attachment_id: str
    attachment_name: str
    content_type: str
    status: str


class Item(Wire):
    """One item of a chat, as the websocket and GetTranscript carry it (Participant Service API Reference, Item)."""

    absolute_time: str
    id: str
    type: str
    content_type: str | None = None
    content: str | None = None
    participant_id: str | None = None
    display_name: str | None = None
    participant_role: str | None = None
    attachments: list[AttachmentItem] | None = None
    message_metadata: MessageMetadata | None = None
    initial_contact_id: str | None = None
    contact_id: str | None = None
    related_contact_id: str | None = None


def with_nulls(item: Item) -> dict[str, Any]:
    """Return the item with every member that is not set as null, which JSON allows and some services do."""
    named = zip(Item.__struct_fields__, Item.__struct_encode_fields__, strict=True)
    return {spelled: getattr(item, name) for name, spelled in named}


class Line(Protocol):
    """A participant's open websocket."""

    def deliver(self, frame: str) -> bool:
        """Queue one frame; never blocks. Return whether a fault swallowed it without a sign."""

    def hang_up(self, code: int) -> None:
        """Close with this websocket close code."""


@dataclass(slots=True, eq=False)
class Participant:
    """Someone in a chat. `gone` once they left; `asked` once they asked for a connection; `sockets` have subscribed."""

    id: str
    role: Role
    display_name: str
    chat: Chat
    token: str
    asked: bool = False
    connected: bool = False
    gone: bool = False
    open_sockets: int = 0
    sockets: set[Line] = field(default_factory=set)

    def sees(self, visibility: Visibility) -> bool:
        """Say whether items of this visibility are for this participant."""
        if visibility == "ALL":
            return True
        return (visibility == "CUSTOMER") == (self.role == "CUSTOMER")


@dataclass(slots=True, eq=False)
class Contact:
    """One segment of a chat; a transfer starts the next one. Times are Unix seconds, 0 for not yet."""

    id: str
    queue: str = ""
    agent_id: str = ""
    previous_id: str = ""
    initiation_method: str = "API"
    started_at: float = field(default_factory=time.time)
    queued_at: float = 0.0
    agent_at: float = 0.0
    ended_at: float = 0.0
    disconnect_reason: str = ""
    priority: int = 5
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Chat:
    """A chain of contacts with one InitialContactId. `attributes` are the contact's attributes."""

    initial_id: str
    instance_id: str
    flow_id: str
    contacts: list[Contact]
    attributes: dict[str, str] = field(default_factory=dict)
    segment_attributes: dict[str, Any] = field(default_factory=dict)
    content_types: frozenset[str] = frozenset({TEXT})
    customer_id: str = ""
    related_contact_id: str = ""
    stage: Stage = "new"
    connected_at: float = 0.0
    items: list[tuple[Item, Visibility]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """Item id to its place in `items`."""
    past: int = 0
    """How many of `items` came from a rehydrated chat."""
    participants: list[Participant] = field(default_factory=list)
    streams: dict[str, str] = field(default_factory=dict)
    """Streaming id to the topic's ARN."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    attachments: int = 0

    @property
    def contact(self) -> Contact:
        """The segment that is now going on, or was the last."""
        return self.contacts[-1]

    @property
    def customer(self) -> Participant:
        """The customer, who is always the first participant."""
        return self.participants[0]

    def present(self) -> list[Participant]:
        """Return those who have not left."""
        return [participant for participant in self.participants if not participant.gone]

    def agents(self) -> list[Participant]:
        """Return the agents who have not left."""
        return [participant for participant in self.present() if participant.role == "AGENT"]

    def find(self, item_id: str) -> Item | None:
        """Return the item with this id."""
        place = self.places.get(item_id)
        return None if place is None else self.items[place][0]


def new_id() -> str:
    """Return an id as Amazon makes them: a version 4 UUID."""
    return str(uuid.uuid4())


def iso(at: float) -> str:
    """Write Unix seconds as Amazon does, in UTC with milliseconds and a Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
