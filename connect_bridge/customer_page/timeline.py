"""One stream of all that was said with a customer, on every channel: a page of it, with days, chats and hand-overs.

A page is found by index in each conversation and then merged, so that it takes as long for ten thousand messages as for
a hundred. The order is that of our commits; within a conversation its sequence.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec
from django.db import connection
from django.utils import timezone

from channels_app.infrastructure.rows import read_rows
from people.moments import moment

#: Messages on a page; around a message that somebody was sent to, half before and half after.
PAGE = 100
#: Active days that the overview of days shows.
MOST_DAYS = 120
#: Whose words: roles of Connect's.
WHO = {"customer": ("CUSTOMER",), "agent": ("AGENT", "SUPERVISOR"), "bot": ("SYSTEM", "CUSTOM_BOT")}

#: Of each conversation as much as a page takes, then the first of all of them.
_PAGE = """
SELECT found.* FROM unnest(%(conversations)s::uuid[]) AS theirs (id) CROSS JOIN LATERAL (
    SELECT m.id, m.conversation_id AS conversation, m.contact_id AS contact, m.sequence, m.direction, m.role, m.author,
           m.text, m.status, m.error_code, m.error_detail, m.created_at, m.occurred_at
      FROM connect_bridge_message m
     WHERE m.conversation_id = theirs.id
       AND (%(at)s::timestamptz IS NULL OR (m.created_at, m.id) {than} (%(at)s::timestamptz, %(id)s::uuid))
       AND (%(q)s = '' OR m.text ILIKE %(q)s) AND (%(roles)s::text[] IS NULL OR m.role = ANY(%(roles)s))
       AND (NOT %(problems)s OR m.status IN ('failed', 'uncertain'))
       AND (%(contact)s::uuid IS NULL OR m.contact_id = %(contact)s)
     ORDER BY m.created_at {order}, m.id {order} LIMIT %(most)s) found
 ORDER BY found.created_at {order}, found.id {order} LIMIT %(most)s
"""
OLDER, NEWER = _PAGE.format(than="<", order="DESC"), _PAGE.format(than=">", order="ASC")
FROM_HERE = _PAGE.format(than=">=", order="ASC")
CONTACTS = """
SELECT id, conversation_id AS conversation, state, reason, agent_name, initial_contact_id, requested_at, ended_at
  FROM connect_bridge_contact WHERE id = ANY(%(ids)s)
"""
DAYS = """
SELECT (m.created_at AT TIME ZONE %(zone)s)::date AS day, count(*) FROM connect_bridge_message m
 WHERE m.conversation_id = ANY(%(conversations)s) GROUP BY 1 ORDER BY 1 DESC LIMIT %(most)s
"""
PLACE = (
    "SELECT created_at, id FROM connect_bridge_message WHERE id = %(id)s AND conversation_id = ANY(%(conversations)s)"
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
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


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One Connect chat, of which some messages are on the page."""

    id: uuid.UUID
    conversation: uuid.UUID
    state: str
    reason: str
    agent_name: str
    initial_contact_id: str
    requested_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which page, and what of it. `place` is a cursor, or where somebody was sent to; at most one of the three."""

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
class Mark:
    """Something between two messages: a day, the beginning or end of a chat, a hand-over."""

    what: str
    text: str
    at: datetime
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page, the oldest first. `older` and `newer` are cursors, empty where there is nothing more."""

    entries: tuple[Mark, ...] = ()
    older: str = ""
    newer: str = ""
    lines: tuple[Line, ...] = field(default=())


class NotThere(Exception):
    """The cursor or the message is not one of this customer's."""


def timeline(wanted: Wanted, kinds: dict[uuid.UUID, str]) -> Timeline:
    """Read a page; `kinds` names each conversation's channel. Two or three queries. Raises NotThere."""
    given = _given(wanted)
    found, more_older, more_newer = _around(wanted, given)
    lines = _in_sequence(found)
    sessions = read_rows(Session, CONTACTS, {"ids": list({line.contact for line in lines if line.contact})})
    entries = tuple(_marked(lines, {session.id: session for session in sessions}, kinds))
    return Timeline(
        entries=entries,
        older=_cursor(found[0]) if found and more_older else "",
        newer=_cursor(found[-1]) if found and more_newer else "",
        lines=tuple(lines),
    )


def days(conversations: Sequence[uuid.UUID]) -> list[tuple[date, int]]:
    """Return the latest active days and how many messages each had, the oldest first."""
    given: dict[str, Any] = {
        "conversations": list(conversations),
        "zone": timezone.get_current_timezone_name(),
        "most": MOST_DAYS,
    }
    with connection.cursor() as cursor:
        cursor.execute(DAYS, given)
        return list(reversed(cursor.fetchall()))


def _around(wanted: Wanted, given: dict[str, Any]) -> tuple[list[Line], bool, bool]:
    """Return the page's messages, the oldest first, and whether there are older and newer ones."""
    if wanted.after:
        found = read_rows(Line, NEWER, {**given, **_read(wanted.after)})
        return found[:PAGE], True, len(found) > PAGE
    if wanted.before:
        found = read_rows(Line, OLDER, {**given, **_read(wanted.before)})
        return found[:PAGE][::-1], len(found) > PAGE, True
    place = _place(wanted)
    if place is None:
        found = read_rows(Line, OLDER, given)
        return found[:PAGE][::-1], len(found) > PAGE, False
    half = {**given, **place, "most": PAGE // 2 + 1}
    older, newer = read_rows(Line, OLDER, half), read_rows(Line, FROM_HERE, half)
    return [*older[: PAGE // 2][::-1], *newer[: PAGE // 2]], len(older) > PAGE // 2, len(newer) > PAGE // 2


def _place(wanted: Wanted) -> dict[str, Any] | None:
    """Return where somebody was sent to: a message, or the beginning of a day."""
    if wanted.day is not None:
        midnight = datetime(wanted.day.year, wanted.day.month, wanted.day.day)  # noqa: DTZ001 - made aware below
        return {"at": timezone.make_aware(midnight), "id": uuid.UUID(int=0)}
    if wanted.at is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(PLACE, {"id": wanted.at, "conversations": list(wanted.conversations)})
        row = cursor.fetchone()
    if row is None:
        raise NotThere
    return {"at": row[0], "id": row[1]}


def _given(wanted: Wanted) -> dict[str, Any]:
    escaped = wanted.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "conversations": list(wanted.conversations),
        "q": f"%{escaped}%" if escaped else "",
        "roles": list(WHO[wanted.who]) if wanted.who in WHO else None,
        "problems": wanted.problems,
        "contact": wanted.contact,
        "at": None,
        "id": None,
        "most": PAGE + 1,
    }


def _in_sequence(lines: Sequence[Line]) -> list[Line]:
    """Put each conversation's messages into its sequence, in the places that the conversation has."""
    queues = {
        conversation: iter(sorted(members, key=lambda line: line.sequence))
        for conversation, members in _grouped(lines).items()
    }
    return [next(queues[line.conversation]) for line in lines]


def _grouped(lines: Iterable[Line]) -> dict[uuid.UUID, list[Line]]:
    groups: dict[uuid.UUID, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.conversation, []).append(line)
    return groups


def _marked(lines: Sequence[Line], sessions: dict[uuid.UUID, Session], kinds: dict[uuid.UUID, str]) -> Iterator[Mark]:
    """Yield the messages with what happened between them."""
    last_of = {line.contact: line.id for line in lines if line.contact}
    began: set[uuid.UUID] = set()
    speaker: dict[uuid.UUID, str] = {}
    day: date | None = None
    for line in lines:
        if (today := timezone.localtime(line.created_at).date()) != day:
            day = today
            yield Mark("day", f"{today:%A, %-d %B %Y}", line.created_at)
        session = sessions.get(line.contact) if line.contact else None
        if session is not None and session.id not in began:
            began.add(session.id)
            yield Mark("began", f"Chat on {kinds[line.conversation]}", session.requested_at)
        if handed := _handed_over(line, speaker):
            yield Mark("handed", handed, line.created_at)
        yield Mark("message", "", line.created_at, line)
        if session is not None and session.ended_at is not None and last_of[session.id] == line.id:
            yield Mark("ended", f"Chat on {kinds[line.conversation]} ended", session.ended_at)


def _handed_over(line: Line, speaker: dict[uuid.UUID, str]) -> str:
    """Return what to say if somebody else speaks for us in this chat now, "" otherwise."""
    if line.direction == "in" or line.contact is None:
        return ""
    now = line.author or "an agent" if line.role in WHO["agent"] else "the bot"
    before = speaker.get(line.contact)
    speaker[line.contact] = now
    return f"{before} → {now}" if before is not None and before != now else ""


def _cursor(line: Line) -> str:
    return base64.urlsafe_b64encode(f"{line.created_at.isoformat()} {line.id}".encode()).decode().rstrip("=")


def _read(cursor: str) -> dict[str, Any]:
    try:
        told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        at, key = moment(told[0]), uuid.UUID(told[1])
    except (binascii.Error, ValueError, IndexError):
        raise NotThere from None
    if at is None:
        raise NotThere
    return {"at": at, "id": key}
