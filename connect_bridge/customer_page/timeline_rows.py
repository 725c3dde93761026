"""A timeline as its template shows it: who spoke on what channel, and what became of each message, in words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from connect_bridge.customer_page.profile import CustomerProfile
from connect_bridge.customer_page.sentiment import MessageSentiment
from connect_bridge.customer_page.timeline import Timeline
from connect_bridge.customer_page.timeline_queries import ROLES, TimelineMessage
from people.privacy import Sight, masked_error, masked_name, masked_text

#: How many characters of one message a page shows; the admin shows the rest.
MOST_SHOWN = 8_000
#: What a status means to a reader, by direction: a glyph and a word.
TICKS = {
    ("out", "stored"): ("○", "not sent yet"),
    ("out", "relayed"): ("○", "not sent yet"),
    ("out", "accepted"): ("✓", "sent"),
    ("out", "delivered"): ("✓✓", "delivered"),
    ("out", "read"): ("✓✓", "read"),
    ("out", "failed"): ("✗", "not delivered"),
    ("out", "uncertain"): ("?", "perhaps delivered"),
    ("in", "stored"): ("○", "not with an agent yet"),
    ("in", "failed"): ("✗", "did not reach the agent"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One row of the page. `what` is day, began, ended, handed or message; only a message has the rest."""

    what: str
    text: str
    at: datetime
    message: TimelineMessage | None = None
    kind: str = ""
    channel: str = ""
    side: str = ""
    speaker: str = ""
    tick: str = ""
    status: str = ""
    why: str = ""
    more: int = 0
    sentiment: MessageSentiment | None = None


def timeline_rows(
    timeline: Timeline, profile: CustomerProfile, sentiments: Mapping[uuid.UUID, MessageSentiment], sight: Sight
) -> list[TimelineRow]:
    """Return the rows of a page, with as much of the words as its reader may see."""
    kinds = {window.conversation.pk: window.conversation.account.kind for window in profile.windows}
    labels = profile.kinds
    return [
        TimelineRow(what=entry.what, text=entry.text, at=entry.at)
        if entry.message is None
        else _message_row(
            msgspec.structs.replace(entry.message, text=masked_text(entry.message.text, sight)),
            masked_name(entry.message.author, sight) or profile.name,
            kinds[entry.message.conversation],
            labels[entry.message.conversation],
            sentiments.get(entry.message.id),
        )
        for entry in timeline.entries
    ]


def _message_row(
    message: TimelineMessage, name: str, kind: str, channel: str, sentiment: MessageSentiment | None
) -> TimelineRow:
    tick, status = TICKS.get((message.direction, message.status), ("", ""))
    return TimelineRow(
        what="message",
        text=message.text[:MOST_SHOWN],
        more=max(0, len(message.text) - MOST_SHOWN),
        at=message.created_at,
        message=message,
        kind=kind,
        channel=channel,
        side=_side(message),
        speaker=name if _side(message) == "customer" else message.author or message.role.capitalize(),
        tick=tick,
        status=status,
        why=(masked_error(message.error_detail) or message.error_code)
        if message.status in ("failed", "uncertain")
        else "",
        sentiment=sentiment,
    )


def _side(message: TimelineMessage) -> str:
    if message.direction == "in" and message.role not in ROLES["agent"]:  # an agent may write from the messenger itself
        return "customer"
    return "agent" if message.role in ROLES["agent"] else "bot"
