"""Open chats: Connect's transcript against the messages that are stored, both ways, by item."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from channels_app.infrastructure.rows import read_rows, read_tuples
from channels_app.reply_occasions import is_reply
from connect_bridge.connect.control_plane import participant_endpoint
from connect_bridge.connect.gateway import GatewayError, Item, NotPassed
from connect_bridge.connect.items import Said, moment
from connect_bridge.connect.items import read as meaning
from connect_bridge.connect.markers import is_marked
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.connect.rate_limit import FLOORS, RateLimiter
from connect_bridge.connect.transcript import read_transcript
from connect_bridge.listening.rejected_messages import rejections
from connect_bridge.reconcile.findings import Finding, Gap, Kind, Trouble
from connect_bridge.reconcile.relayed import Relayed, match
from connect_bridge.reconcile.rows import OpenChat, Page
from connect_bridge.relay.chunking import shown

log = logging.getLogger(__name__)

#: What is younger may be on its way: in a busy chat the bridges look for lost frames every 120 s.
SETTLED = timedelta(seconds=150)
#: How far Connect's clock is thought to be behind ours at most.
CLOCKS_DIFFER = timedelta(minutes=10)
#: Seconds between two calls: we take half of what Connect allows an instance by default, the bridges need the rest.
APART = 2 / FLOORS["transcript"]
#: Seconds for one chat's transcript, all its pages and waits included.
READ_WITHIN = 60.0

STORED = """
SELECT id, contact_id AS contact, direction, sequence, text, relayed, connect_item_id AS item, error_code,
       COALESCE(relayed_at, created_at) AS noted_at
  FROM connect_bridge_message WHERE contact_id = ANY(%(contacts)s) AND (direction = 'out' OR relayed > 0)
 ORDER BY sequence
"""
NOTICES = "SELECT contact_id, item_id FROM connect_bridge_notice WHERE contact_id = ANY(%(contacts)s)"
STILL_OPEN = "SELECT id FROM connect_bridge_contact WHERE id = ANY(%(contacts)s) AND state = 'connected'"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the database has of a chat."""

    id: uuid.UUID
    contact: uuid.UUID
    direction: str
    sequence: int
    text: str
    relayed: int
    item: str | None
    noted_at: datetime
    error_code: str = ""

    def __repr__(self) -> str:
        return f"<Stored {self.id}>"


@dataclass(slots=True)
class Known:
    """What the database has of one chat. `items` are those of our own notices to the agent."""

    messages: list[Stored] = field(default_factory=list)
    items: set[str] = field(default_factory=set)


Reading = Sequence[Item] | Exception
#: What is wrong, with which item or message, and when that was sent.
Difference = tuple[Kind, str, datetime | None]


def compare(opened: Sequence[OpenChat], page: Page) -> Iterator[Finding]:
    """Yield how the open chats of a page differ from Connect's transcripts: three queries, calls one by one.

    The database is read first: what counts as relayed by then must be in a transcript that is read afterwards.
    """
    if not opened:
        return
    known = _known([chat.contact for chat in opened])
    readings = asyncio.run(_read_all(opened))
    both = list(zip(opened, readings, strict=True))
    failed = [chat.contact for chat, reading in both if isinstance(reading, Exception)]
    still_open = {row[0] for row in read_tuples(STILL_OPEN, {"contacts": failed})}
    for chat, reading in both:
        if not isinstance(reading, Exception):
            for kind, name, at in differences(known[chat.contact], reading):
                yield _gap(kind, name, at, chat, page[chat.conversation])
        elif chat.contact in still_open:
            yield Trouble(f"chat {chat.initial_contact}", _why(reading))


def differences(known: Known, items: Sequence[Item]) -> Iterator[Difference]:
    """Yield what only one side has, and what stands in another order. Pure, but for the clock."""
    # What an earlier chat said, which this one continues, belongs to that one.
    of_this_chat = (item for item in items if not item.related_contact_id)
    ordered = sorted(of_this_chat, key=moment)
    settled_by = datetime.now(UTC) - SETTLED - _clock_behind(known, ordered)
    yield from _said(known, ordered, settled_by)
    yield from _relayed(known, ordered, settled_by)


def _clock_behind(known: Known, items: Sequence[Item]) -> timedelta:
    """Return how far Connect's clock is behind ours, or ahead if negative, judged by what we noted soonest.

    Zero where both have nothing in common.
    """
    noted = {message.item: message.noted_at for message in known.messages}
    apart = [at - moment(item) for item in items if (at := noted.get(item.id[:64])) is not None]
    return min(min(apart, default=timedelta()), CLOCKS_DIFFER)


def _said(known: Known, items: Sequence[Item], settled_by: datetime) -> Iterator[Difference]:
    """Compare what Connect's side said."""
    outbound = (message for message in known.messages if message.direction == "out")
    ours = {message.item: message for message in outbound if not is_reply(message.item or "")}
    read = (meaning(item) for item in items)
    said = [meant.item for meant in read if isinstance(meant, Said)]
    for item in said:
        if item.id[:64] not in ours and moment(item) < settled_by:
            yield Kind.NOT_HERE, item.id, moment(item)
    ids = {item.id[:64] for item in items}
    for message in (message for item, message in ours.items() if item not in ids):
        yield Kind.NOT_SAID, str(message.id), None
    yield from _misplaced([ours[item.id[:64]] for item in said if item.id[:64] in ours])


def _relayed(known: Known, items: Sequence[Item], settled_by: datetime) -> Iterator[Difference]:
    """Compare what was relayed. What Connect passed on to nobody has failed: it is missing nowhere."""
    sent = [
        Relayed(message.id, message.sequence, message.item, shown(message.text)[: message.relayed])
        for message in known.messages
        if message.direction == "in" and message.error_code != NotPassed.code
    ]
    rejected = {message.item for message in known.messages if message.error_code == NotPassed.code}
    rejected |= dict(rejections(items)).keys()
    from_customer = [item for item in items if item.participant_role == "CUSTOMER" and item.type == "MESSAGE"]
    relayed = [item for item in from_customer if item.id not in rejected and not _is_ours(item, known.items)]
    matched = match(sent, relayed)
    for item in matched.unmatched:
        if moment(item) < settled_by:
            yield Kind.NOT_OURS, item.id, moment(item)
    for message in sent:
        if message.left:
            yield Kind.NOT_IN_CONNECT, str(message.id), None
        elif message.rewritten:
            yield Kind.REWRITTEN, str(message.id), None
    yield from _misplaced(list(matched.places))


def _misplaced(places: Sequence[Stored | Relayed]) -> Iterator[Difference]:
    """Yield the messages that stand before others in Connect and after them here."""
    lowest = places[-1].sequence if places else 0
    for message in reversed(places):
        if message.sequence > lowest:
            yield Kind.ORDER, str(message.id), None
        lowest = min(lowest, message.sequence)


def _gap(kind: Kind, name: str, at: datetime | None, chat: OpenChat, account: uuid.UUID) -> Gap:
    conversation, contact = chat.conversation, chat.initial_contact
    return Gap(kind=kind, id=name, at=at, account=account, conversation=conversation, chat=contact)


def _is_ours(item: Item, items: Collection[str]) -> bool:
    """Return whether this is our own notice to the agent. Connect may have rewritten it; no customer can imitate it."""
    return item.id in items or is_marked(item.content)


def _known(contacts: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Known]:
    known: defaultdict[uuid.UUID, Known] = defaultdict(Known)
    for message in read_rows(Stored, STORED, {"contacts": contacts}):
        known[message.contact].messages.append(message)
    for contact, item in read_tuples(NOTICES, {"contacts": contacts}):
        known[contact].items.add(item)
    return known


class _HalfRate(RateLimiter):
    """Half the rate that Connect allows by default; less where it answers 429."""

    async def acquire(self) -> None:
        await asyncio.sleep(APART)
        await super().acquire()


async def _read_all(opened: Sequence[OpenChat]) -> list[Reading]:
    """Read the chats' transcripts one by one, over the connections that their bridges have."""
    participants, limiter = AwsParticipants(participant_endpoint()), _HalfRate(FLOORS["transcript"])
    try:
        return [await _reading(read_transcript(participants, limiter, chat.token)) for chat in opened]
    finally:
        await participants.close()


async def _reading(transcript: Awaitable[Any]) -> Reading:
    try:
        async with asyncio.timeout(READ_WITHIN):
            items: Sequence[Item] = await transcript
            return items
    except (GatewayError, TimeoutError) as failure:
        return failure


def _why(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return f"Amazon Connect did not give its transcript within {READ_WITHIN:.0f} s; try again when it is less busy"
    return f"{failure}. If this stays, the chat has ended and no bridge has noticed: is one running?"
