"""Until when a messenger lets us answer in a conversation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from channels_app.channel import HasReplyWindow
from channels_app.registry import channels


def window_closes(kind: str, last_inbound_at: datetime | None) -> datetime | None:
    """Return until when free text is taken; None where there is no such limit, or nobody has written yet."""
    channel = channels().get(kind)
    if channel is None or last_inbound_at is None or not issubclass(channel, HasReplyWindow):
        return None
    return channel.window_closes(last_inbound_at)


def window_length(kind: str) -> timedelta | None:
    """Return how long after a customer's message free text is taken; None where there is no such limit."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    closes = window_closes(kind, moment)
    return None if closes is None else closes - moment
