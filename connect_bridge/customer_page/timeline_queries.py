"""Reads one page of a customer's messages, over all their conversations, by position, day, message or filter.

A page is read by index from each conversation and then merged, so ten thousand messages take as long as a hundred. The
order is that of our commits; within a conversation it is the sequence.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from channels_app.infrastructure.rows import read_rows
from connect_bridge.models import Message
from people.moments import moment

#: Messages on a page; around a message that a link leads to, half before and half after.
PAGE = 100
#: Active days that the overview of days shows.
MOST_DAYS = 120
#: Connect's participant roles by whose words they are.
ROLES = {"customer": ("CUSTOMER",), "agent": ("AGENT", "SUPERVISOR"), "bot": ("SYSTEM", "CUSTOM_BOT")}

#: From each conversation as many messages as a page takes, then the first of all of them.
_PAGE = """
SELECT page.* FROM unnest(%(conversations)s::uuid[]) AS theirs (id) CROSS JOIN LATERAL (
    SELECT m.id, m.conversation_id AS conversation, m.contact_id AS contact, m.sequence, m.direction, m.role, m.author,
           m.text, m.status, m.error_code, m.error_detail, m.created_at, m.occurred_at
      FROM connect_bridge_message m
     WHERE m.conversation_id = theirs.id
       AND (%(at)s::timestamptz IS NULL OR (m.created_at, m.id) {than} (%(at)s::timestamptz, %(id)s::uuid))
       AND (%(q)s = '' OR m.text ILIKE %(q)s) AND (%(roles)s::text[] IS NULL OR m.role = ANY(%(roles)s))
       AND (NOT %(problems)s OR m.status IN ('failed', 'uncertain'))
       AND (%(contact)s::uuid IS NULL OR m.contact_id = %(contact)s)
     ORDER BY m.created_at {order}, m.id {order} LIMIT %(most)s) page
 ORDER BY page.created_at {order}, page.id {order} LIMIT %(most)s
"""
OLDER, NEWER = _PAGE.format(than="<", order="DESC"), _PAGE.format(than=">", order="ASC")
FROM_HERE = _PAGE.format(than=">=", order="ASC")


class TimelineMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    id: uuid.UUID
    conversation: uuid.UUID
    contact: uuid.UUID | None
    sequence: int
    direction: str
    role: str
    author: str
    text: str
    status: str
    error_code: str
    error_detail: str
    created_at: datetime
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineQuery:
    """Which page, and which messages on it. At most one of `before`, `after` (cursors), `at` and `day` is set."""

    conversations: Sequence[uuid.UUID]
    before: str = ""
    after: str = ""
    at: uuid.UUID | None = None
    day: date | None = None
    search: str = ""
    who: str = ""
    problems: bool = False
    contact: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, the oldest first. `older` and `newer` are cursors, empty where there is nothing more."""

    messages: tuple[TimelineMessage, ...]
    older: str
    newer: str


class PlaceNotFound(Exception):
    """The cursor or the message is not one of this customer's."""


def read_page(query: TimelineQuery) -> MessagePage:
    """Read a page: one or two queries. Raises PlaceNotFound."""
    messages, has_older, has_newer = _around(query, _params(query))
    return MessagePage(
        messages=tuple(_in_sequence(messages)),
        older=_cursor(messages[0]) if messages and has_older else "",
        newer=_cursor(messages[-1]) if messages and has_newer else "",
    )


def active_days(conversations: Sequence[uuid.UUID]) -> list[tuple[date, int]]:
    """Return the latest active days and how many messages each had, the oldest first."""
    messages = Message.objects.filter(conversation__in=conversations)
    by_day = messages.annotate(day=TruncDate("created_at")).values_list("day").annotate(Count("id")).order_by("-day")
    return list(reversed(by_day[:MOST_DAYS]))


def _around(query: TimelineQuery, params: dict[str, Any]) -> tuple[list[TimelineMessage], bool, bool]:
    """Return the page's messages, the oldest first, and whether there are older and newer ones."""
    if query.after:
        rows = _read(NEWER, {**params, **_decoded(query.after)})
        return rows[:PAGE], True, len(rows) > PAGE
    if query.before:
        rows = _read(OLDER, {**params, **_decoded(query.before)})
        return rows[:PAGE][::-1], len(rows) > PAGE, True
    place = _place(query)
    if place is None:
        rows = _read(OLDER, params)
        return rows[:PAGE][::-1], len(rows) > PAGE, False
    half = {**params, **place, "most": PAGE // 2 + 1}
    older, newer = _read(OLDER, half), _read(FROM_HERE, half)
    return [*older[: PAGE // 2][::-1], *newer[: PAGE // 2]], len(older) > PAGE // 2, len(newer) > PAGE // 2


def _read(sql: str, params: dict[str, Any]) -> list[TimelineMessage]:
    return read_rows(TimelineMessage, sql, params)


def _place(query: TimelineQuery) -> dict[str, Any] | None:
    """Return the position that a link names: a message, or the beginning of a day."""
    if query.day is not None:
        midnight = datetime(query.day.year, query.day.month, query.day.day)  # noqa: DTZ001 - made aware below
        return {"at": timezone.make_aware(midnight), "id": uuid.UUID(int=0)}
    if query.at is None:
        return None
    place = Message.objects.filter(pk=query.at, conversation__in=query.conversations).values("created_at", "id").first()
    if place is None:
        raise PlaceNotFound
    return {"at": place["created_at"], "id": place["id"]}


def _params(query: TimelineQuery) -> dict[str, Any]:
    escaped = query.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "conversations": list(query.conversations),
        "q": f"%{escaped}%" if escaped else "",
        "roles": list(ROLES[query.who]) if query.who in ROLES else None,
        "problems": query.problems,
        "contact": query.contact,
        "at": None,
        "id": None,
        "most": PAGE + 1,
    }


def _in_sequence(messages: Sequence[TimelineMessage]) -> list[TimelineMessage]:
    """Put each conversation's messages into its sequence, in the places that the conversation has."""
    queues = {
        conversation: iter(sorted(members, key=lambda message: message.sequence))
        for conversation, members in _by_conversation(messages).items()
    }
    return [next(queues[message.conversation]) for message in messages]


def _by_conversation(messages: Iterable[TimelineMessage]) -> dict[uuid.UUID, list[TimelineMessage]]:
    groups: dict[uuid.UUID, list[TimelineMessage]] = {}
    for message in messages:
        groups.setdefault(message.conversation, []).append(message)
    return groups


def _cursor(message: TimelineMessage) -> str:
    text = f"{message.created_at.isoformat()} {message.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> dict[str, Any]:
    try:
        parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        at, key = moment(parts[0]), uuid.UUID(parts[1])
    except (binascii.Error, ValueError, IndexError):
        raise PlaceNotFound from None
    if at is None:
        raise PlaceNotFound
    return {"at": at, "id": key}
