"""One chat as it went, with the mood of every word of the customer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from analytics import formatting
from analytics.models import ChatFact, Sentiment
from connect_bridge.models import Contact, Message
from people.privacy import Sight, masked_error, masked_name, masked_text


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The mood of one message: what shows, and what the pointer or a reader learns of it."""

    css: str
    text: str
    detail: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    at: datetime
    side: str
    who: str
    text: str
    status: str
    trouble: str
    mark: Mark | None
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
    lines: list[Said]
    hidden: bool


def load(contact: uuid.UUID, sight: Sight) -> Transcript | None:
    """Return a chat, with as much of what was said as somebody may see."""
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
        lines=[_said(message, lowest, sight) for message in rows],
        hidden=sight is Sight.NONE,
    )


def _said(message: Message, lowest: uuid.UUID | None, sight: Sight) -> Said:
    return Said(
        id=message.id,
        at=message.created_at,
        side=message.direction,
        who=(masked_name(message.author, sight) if message.direction == "in" else message.author)
        or message.role.capitalize(),
        text=masked_text(message.text, sight),
        status=message.status,
        trouble=f"{message.error_code} {masked_error(message.error_detail, sight)}".strip()
        if message.status == "failed"
        else "",
        mark=mark_of(getattr(message, "sentiment", None)),
        lowest=message.id == lowest,
    )


def _who(message: Message, sight: Sight) -> str:
    name = masked_name(message.author, sight) if message.direction == Message.Direction.INBOUND else message.author
    return name or message.role.capitalize()


def mark_of(sentiment: Sentiment | None) -> Mark | None:
    """Return how a message's mood is shown; None where there is nothing to score."""
    if sentiment is None:
        return None
    if sentiment.state != Sentiment.State.SCORED:
        return Mark(css="unscored", text="not scored", detail=_why_not(sentiment))
    unsure = " unsure" if sentiment.unsure else ""
    shares = ", ".join(f"{name} {share:.2f}" for name, share in _shares(sentiment).items())
    told_by = f"{sentiment.engine}, {sentiment.model}, {sentiment.language}"
    detail = f"{sentiment.get_label_display()}{unsure}: {shares}. {told_by}"
    return Mark(
        css=f"{sentiment.label}{unsure}", text=formatting.points(formatting.rating(sentiment.score)), detail=detail
    )


def _shares(sentiment: Sentiment) -> Mapping[str, Any]:
    return {name: getattr(sentiment, name) or 0 for name in ("negative", "neutral", "mixed", "positive")}


def _why_not(sentiment: Sentiment) -> str:
    match sentiment.state:
        case Sentiment.State.UNSUPPORTED:
            return f"The engine does not know the language ({sentiment.language or 'unknown'})."
        case Sentiment.State.REFUSED:
            return f"The engine refused the text ({sentiment.error})."
        case _:
            return f"It waits for its score{f': {sentiment.error}' if sentiment.error else ''}."
