"""Store what came in in the transcript of its conversation: messages, and events about messages.

Runs in the router's transaction, which has locked the conversation.
"""

from __future__ import annotations

import uuid

import msgspec
from psycopg.types.json import Jsonb

from channels_app.infrastructure.db import AsyncConnection
from channels_app.toolkit.placeholders import readable
from channels_app.types import ConsentChanged, Echoed, InboundEvent, MessageReceived
from connect_bridge.inbound import queries
from connect_bridge.inbound.entries import Entry, plausible_time, settle
from connect_bridge.storage import side_events
from connect_bridge.storage.side_events import SideEvent


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Something for the transcript of a conversation that is there already."""

    entry: Entry
    event: InboundEvent
    conversation: uuid.UUID


class Routed(msgspec.Struct, frozen=True):
    """A message was stored: this conversation, owned by this bridge, has something to relay."""

    conversation: uuid.UUID
    owner: uuid.UUID
    message: uuid.UUID


async def store(connection: AsyncConnection, bridge: uuid.UUID, arrival: Arrival) -> Routed | None:
    """Store an arrival and settle its entry; return what there is to relay.

    A conversation that nobody owns becomes `bridge`'s, if a customer wrote.
    """
    event = arrival.event
    if isinstance(event, MessageReceived):
        return await _store_message(connection, bridge, arrival, event)
    return await _store_side_event(connection, arrival)


async def _store_message(
    connection: AsyncConnection, bridge: uuid.UUID, arrival: Arrival, event: MessageReceived
) -> Routed | None:
    entry, message = arrival.entry, uuid.uuid4()
    params = {
        "bridge": bridge,
        "conversation": arrival.conversation,
        "id": message,
        "author": event.sender.display_name[:256],
        "text": readable(event, await _quoted(connection, arrival)),
        "original": Jsonb(entry.event),
        "entry": entry.id,
        "provider_id": event.message_id[:256],
        "occurred": plausible_time(event.occurred_at, entry.created_at),
    }
    row = await (await connection.execute(queries.STORE_MESSAGE, params)).fetchone()
    assert row is not None, "its conversation is locked"
    ignored = ", ".join(event.sender.ignored)
    await settle(
        connection, entry, f"message stored; no id in its documented form: {ignored}" if ignored else "message stored"
    )
    return Routed(arrival.conversation, row[0], message)


async def _store_side_event(connection: AsyncConnection, arrival: Arrival) -> Routed | None:
    """Store what asks for nothing; somebody is woken only if a chat is open, or about to be."""
    entry, event, is_echo = arrival.entry, arrival.event, isinstance(arrival.event, Echoed)
    side_event = SideEvent(
        id=uuid.uuid4(),
        conversation=arrival.conversation,
        text=side_events.wording(event, await _quoted(connection, arrival)),
        author=side_events.author_of(event),
        entry=entry.id,
        original=entry.event,
        occurred=plausible_time(event.occurred_at, entry.created_at),
        provider_id=event.message_id if isinstance(event, Echoed) else "",
        spoken=is_echo,
    )
    owner, listening = await side_events.store(connection, side_event)
    what = "our own side's words from elsewhere" if is_echo else "told, starts nothing"
    if not isinstance(event, ConsentChanged):  # settled already, by what it says of the customer
        await settle(connection, entry, f"{what}: {'in the open chat' if listening else 'on the timeline'}")
    return Routed(arrival.conversation, owner, side_event.id) if owner and listening else None


async def _quoted(connection: AsyncConnection, arrival: Arrival) -> str:
    """Return what it is about or replies to, which Connect cannot show otherwise; "" if that is not known."""
    subject = side_events.subject_of(arrival.event)
    return await side_events.quoted(connection, arrival.entry.account, arrival.conversation, subject)
