"""One stream of all that was said with a customer, on every channel, with days, chats and hand-overs between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.utils import timezone

from connect_bridge.customer_page.timeline_queries import ROLES, TimelineMessage, TimelineQuery, read_page
from connect_bridge.models import Contact


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A message, or something between two messages: a day, the beginning or end of a chat, a hand-over."""

    what: str
    text: str
    at: datetime
    message: TimelineMessage | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page, the oldest first. `older` and `newer` are cursors, empty where there is nothing more."""

    entries: tuple[TimelineEntry, ...] = ()
    older: str = ""
    newer: str = ""
    messages: tuple[TimelineMessage, ...] = field(default=())


def timeline(query: TimelineQuery, kinds: dict[uuid.UUID, str]) -> Timeline:
    """Read a page; `kinds` names each conversation's channel. Two or three queries. Raises PlaceNotFound."""
    page = read_page(query)
    chats = Contact.objects.filter(pk__in={message.contact for message in page.messages if message.contact})
    contacts = {contact.pk: contact for contact in chats.only("requested_at", "ended_at")}
    entries = tuple(_entries(page.messages, contacts, kinds))
    return Timeline(entries=entries, older=page.older, newer=page.newer, messages=page.messages)


def _entries(
    messages: Sequence[TimelineMessage], contacts: dict[uuid.UUID, Contact], kinds: dict[uuid.UUID, str]
) -> Iterator[TimelineEntry]:
    """Yield the messages with what happened between them."""
    last_of = {message.contact: message.id for message in messages if message.contact}
    begun: set[uuid.UUID] = set()
    speakers: dict[uuid.UUID, str] = {}
    day: date | None = None
    for message in messages:
        at, channel = message.created_at, kinds[message.conversation]
        if (today := timezone.localtime(at).date()) != day:
            day = today
            yield TimelineEntry("day", f"{today:%A, %-d %B %Y}", at)
        contact = contacts.get(message.contact) if message.contact else None
        if contact is not None and contact.pk not in begun:
            begun.add(contact.pk)
            yield TimelineEntry("began", f"Chat on {channel}", contact.requested_at)
        if hand_over := _hand_over(message, speakers):
            yield TimelineEntry("handed", hand_over, at)
        yield TimelineEntry("message", "", at, message)
        if contact is not None and contact.ended_at is not None and last_of[contact.pk] == message.id:
            yield TimelineEntry("ended", f"Chat on {channel} ended", contact.ended_at)


def _hand_over(message: TimelineMessage, speakers: dict[uuid.UUID, str]) -> str:
    """Return "from → to" if from this message on somebody else speaks for us in its chat, "" otherwise.

    `speakers` keeps who spoke last in each chat.
    """
    if message.direction == "in" or message.contact is None:
        return ""
    now = message.author or "an agent" if message.role in ROLES["agent"] else "the bot"
    before = speakers.get(message.contact)
    speakers[message.contact] = now
    return f"{before} → {now}" if before is not None and before != now else ""
