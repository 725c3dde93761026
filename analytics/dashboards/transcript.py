"""One chat as it went, with the sentiment of every message of the customer."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from analytics import formatting
from analytics.models import ChatFact
from analytics.tiles.message_mark import MessageMark, mark_of
from connect_bridge.models import Contact, Message
from people.privacy import Sight, masked_error, masked_name, masked_text


class TranscriptLine(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    at: datetime
    side: str
    speaker: str
    text: str
    status: str
    trouble: str
    mark: MessageMark | None
    lowest: bool


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    contact: uuid.UUID
    conversation: uuid.UUID
    customer: str
    kind: str
    account: str
    started_at: datetime
    ended_at: datetime | None
    agent: str
    queue: str
    rating: str
    shift: str
    outcome: str
    lines: list[TranscriptLine]
    hidden: bool


def load(contact: uuid.UUID, sight: Sight) -> Transcript | None:
    """Return a chat, with as much of its messages as the reader may see."""
    chat = (
        Contact.objects.select_related("conversation__identity", "conversation__account")
        .defer("participant_token", "connection_token")
        .filter(pk=contact)
        .first()
    )
    if chat is None:
        return None
    fact = ChatFact.objects.filter(pk=contact).first()
    lowest = fact.lowest_message if fact else None
    rows = chat.messages.select_related("sentiment").defer("original").order_by("sequence")
    conversation = chat.conversation
    return Transcript(
        contact=contact,
        conversation=conversation.id,
        customer=str(conversation.identity),
        kind=conversation.account.kind,
        account=conversation.account.name,
        started_at=chat.requested_at,
        ended_at=chat.ended_at,
        agent=fact.agent if fact else chat.agent_name,
        queue=fact.queue if fact else "",
        rating=formatting.points(formatting.rating(fact.rating if fact else None)),
        shift=formatting.points(formatting.rating(fact.shift if fact else None)),
        outcome=fact.outcome if fact else "",
        lines=[_line(message, lowest, sight) for message in rows],
        hidden=sight is Sight.NONE,
    )


def _line(message: Message, lowest: uuid.UUID | None, sight: Sight) -> TranscriptLine:
    return TranscriptLine(
        id=message.id,
        at=message.created_at,
        side=message.direction,
        speaker=_speaker(message, sight),
        text=masked_text(message.text, sight),
        status=message.status,
        trouble=_trouble(message, sight),
        mark=mark_of(getattr(message, "sentiment", None)),
        lowest=message.id == lowest,
    )


def _trouble(message: Message, sight: Sight) -> str:
    if message.status != "failed":
        return ""
    return f"{message.error_code} {masked_error(message.error_detail, sight)}".strip()


def _speaker(message: Message, sight: Sight) -> str:
    name = masked_name(message.author, sight) if message.direction == Message.Direction.INBOUND else message.author
    return name or message.role.capitalize()
