"""Amazon Connect's contact events: which queue a chat waited in, since when, who took it, when the work after it ended.

They come best effort: unordered, twice, or never (Amazon Connect administrator guide, Contact events). So each only
adds what it knows, the earliest or the latest of each time, and any order of the same events gives the same row.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from django.db import connection

from analytics.connect_events.names import name_of

#: A chat of ours that just began may be known to us a moment later than to EventBridge.
PATIENCE = timedelta(minutes=5)

FIND = """
SELECT id FROM connect_bridge_contact
 WHERE initial_contact_id = ANY(%(ids)s) OR contact_id = ANY(%(ids)s) ORDER BY requested_at DESC LIMIT 1
"""
#: Of queue and agent the latest counts, of waits the first.
STORE = """
INSERT INTO analytics_contactdetail AS d
       (contact_id, queue, queued_at, queue_told_at, agent, agent_at, agent_told_at, disconnected_at, completed_at,
        reason)
VALUES (%(contact)s, %(queue)s, %(queued)s, %(queued)s, %(agent)s, %(agent_at)s, %(agent_at)s, %(disconnected)s,
        %(completed)s, %(reason)s)
ON CONFLICT (contact_id) DO UPDATE
   SET queued_at = LEAST(d.queued_at, EXCLUDED.queued_at),
       queue = CASE WHEN EXCLUDED.queue_told_at >= COALESCE(d.queue_told_at, '-infinity') THEN EXCLUDED.queue
                    ELSE d.queue END,
       queue_told_at = GREATEST(d.queue_told_at, EXCLUDED.queue_told_at),
       agent_at = LEAST(d.agent_at, EXCLUDED.agent_at),
       agent = CASE WHEN EXCLUDED.agent_told_at >= COALESCE(d.agent_told_at, '-infinity') THEN EXCLUDED.agent
                    ELSE d.agent END,
       agent_told_at = GREATEST(d.agent_told_at, EXCLUDED.agent_told_at),
       disconnected_at = GREATEST(d.disconnected_at, EXCLUDED.disconnected_at),
       completed_at = GREATEST(d.completed_at, EXCLUDED.completed_at),
       reason = COALESCE(NULLIF(EXCLUDED.reason, ''), d.reason)
"""


class EventOutcome(StrEnum):
    """What was done with an event."""

    STORED = "stored"
    IGNORED = "ignored"
    LATER = "later"
    """The chat may be ours and not stored yet: the event should be sent again."""


class _Queue(msgspec.Struct, rename="camel"):
    queue_arn: str = ""
    enqueue_timestamp: datetime | None = None


class _Agent(msgspec.Struct, rename="camel"):
    agent_arn: str = ""
    connected_to_agent_timestamp: datetime | None = None


class _Detail(msgspec.Struct, rename="camel"):
    event_type: str
    contact_id: str
    initial_contact_id: str = ""
    channel: str = ""
    queue_info: _Queue | None = None
    agent_info: _Agent | None = None
    disconnect_timestamp: datetime | None = None
    disconnect_reason: str | None = None


class ContactEvent(msgspec.Struct):
    """An event as EventBridge delivers it; fields that we do not read may be anything."""

    detail: _Detail
    time: datetime | None = None


#: Made at import: msgspec works a type out on first use, and not safely in two threads at once.
_decoder = msgspec.json.Decoder(ContactEvent)


class Unreadable(ValueError):
    """It is no contact event."""


def parse_event(raw: bytes) -> ContactEvent:
    """Return the event; raise Unreadable."""
    try:
        event = _decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as problem:
        raise Unreadable(str(problem)) from None
    if _holds_nul(msgspec.to_builtins(event)):
        raise Unreadable("it holds a character that no text has")
    return event


def _holds_nul(value: Any) -> bool:
    """Say whether the database would refuse a text in it."""
    if isinstance(value, dict):
        return any(map(_holds_nul, value.values()))
    return isinstance(value, str) and "\x00" in value


def store_event(event: ContactEvent) -> EventOutcome:
    """Write down what an event tells of a chat of ours. Repeating it, in any order, changes nothing."""
    detail = event.detail
    if detail.channel not in ("", "CHAT"):
        return EventOutcome.IGNORED
    contact = _contact(detail)
    if contact is None:
        fresh = event.time is not None and datetime.now(UTC) - _aware(event.time) < PATIENCE
        return EventOutcome.LATER if fresh else EventOutcome.IGNORED
    queue, agent = detail.queue_info or _Queue(), detail.agent_info or _Agent()
    params: dict[str, Any] = {
        "contact": contact,
        "queue": name_of(queue.queue_arn),
        "queued": _aware_or_none(queue.enqueue_timestamp),
        "agent": name_of(agent.agent_arn),
        "agent_at": _aware_or_none(agent.connected_to_agent_timestamp),
        "disconnected": _aware_or_none(detail.disconnect_timestamp),
        "completed": _aware_or_none(event.time) if detail.event_type == "COMPLETED" else None,
        "reason": (detail.disconnect_reason or "")[:64],
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE, params)
    return EventOutcome.STORED


def _contact(detail: _Detail) -> uuid.UUID | None:
    ids = [contact_id[:64] for contact_id in (detail.initial_contact_id, detail.contact_id) if contact_id]
    with connection.cursor() as cursor:
        cursor.execute(FIND, {"ids": ids})
        row = cursor.fetchone()
    return row[0] if row else None


def _aware_or_none(moment: datetime | None) -> datetime | None:
    return None if moment is None else _aware(moment)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
