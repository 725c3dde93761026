"""A timeline as its template shows it: who spoke on what channel, and what became of each message, in words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from connect_bridge.customer_page.profile import CustomerProfile
from connect_bridge.customer_page.sentiment import MessageSentiment
from connect_bridge.customer_page.timeline import WHO, Line, Mark, Timeline
from people.privacy import Sight, masked_error, masked_name, masked_text

#: Characters of one message that a page shows; the admin shows the rest.
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
class Entry:
    """One row of the page. `what` is day, began, ended, handed or message; only a message has the rest."""

    what: str
    text: str
    at: datetime
    line: Line | None = None
    kind: str = ""
    channel: str = ""
    side: str = ""
    speaker: str = ""
    tick: str = ""
    status: str = ""
    why: str = ""
    more: int = 0
    sentiment: MessageSentiment | None = None


def shown(
    timeline: Timeline, person: CustomerProfile, sentiments: Mapping[uuid.UUID, MessageSentiment], sight: Sight
) -> list[Entry]:
    """Return the rows of a page, with as much of the words as its reader may see."""
    kinds = {window.conversation.pk: window.conversation.account.kind for window in person.windows}
    labels = person.kinds
    return [
        _between(mark)
        if mark.line is None
        else _message(
            msgspec.structs.replace(mark.line, text=masked_text(mark.line.text, sight)),
            masked_name(mark.line.author, sight) or person.name,
            kinds[mark.line.conversation],
            labels[mark.line.conversation],
            sentiments.get(mark.line.id),
        )
        for mark in timeline.entries
    ]


def _between(mark: Mark) -> Entry:
    return Entry(what=mark.what, text=mark.text, at=mark.at)


def _message(line: Line, name: str, kind: str, channel: str, sentiment: MessageSentiment | None) -> Entry:
    tick, status = TICKS.get((line.direction, line.status), ("", ""))
    return Entry(
        what="message",
        text=line.text[:MOST_SHOWN],
        more=max(0, len(line.text) - MOST_SHOWN),
        at=line.created_at,
        line=line,
        kind=kind,
        channel=channel,
        side=_side(line),
        speaker=name if _side(line) == "customer" else line.author or line.role.capitalize(),
        tick=tick,
        status=status,
        why=(masked_error(line.error_detail) or line.error_code) if line.status in ("failed", "uncertain") else "",
        sentiment=sentiment,
    )


def _side(line: Line) -> str:
    if line.direction == "in" and line.role not in WHO["agent"]:  # an agent's: what our side said elsewhere
        return "customer"
    return "agent" if line.role in WHO["agent"] else "bot"
