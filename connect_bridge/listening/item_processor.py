"""What a chat brings, digested: everything new is stored once and in order, and its conclusions are drawn."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import psycopg
from django.conf import settings

from channels_app.infrastructure.backoff import full_jitter
from channels_app.infrastructure.failpoints import failpoint
from channels_app.toolkit.text import TextLimit, split_text
from connect_bridge.connect.gateway import Item
from connect_bridge.connect.items import EVENT, CommittedSignal, Ended, Said, is_unfinished, moment, read
from connect_bridge.connect.markers import escaped, is_marked
from connect_bridge.connect.presence import CHAT_EVENTS, CHAT_NEWS, PERSONS, RENAMED, Presence, Told, noted
from connect_bridge.listening.rejected_messages import Unpassed, refusals
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.capture import Batch, Captured
from connect_bridge.storage.chats import Chat
from connect_bridge.storage.side_events import TELL

log = logging.getLogger(__name__)

#: Item ids remembered to save the database a look at what it has anyway, and echoes remembered to recognise our own.
REMEMBERED = 200
#: Seconds to wait before the first, and at most before any, new attempt to store.
RETRY_FIRST, RETRY_MOST = 0.5, 10.0
#: After these perhaps nobody can be asked any more.
LEAVING = (f"{EVENT}participant.left", f"{EVENT}participant.autodisconnection")
#: What an item is to blame for, and not the database: a standby that takes no writes, a transaction that was ended for
#: standing still and a full disk pass.
NEVER = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError, LookupError)


class Echo(NamedTuple):
    """A message of ours as Connect has it, which may have rewritten its text. `at` is Connect's clock."""

    id: str
    text: str
    at: datetime


@dataclass(slots=True, eq=False)
class ItemProcessor:
    """Digests one contact's items, from the socket and from the transcript alike, one batch at a time.

    What the database does not take is kept and offered again: once a chat is over, Connect gives it to nobody. When an
    agent leaves, which may be the last moment to ask, and at the end `look_back` is asked for what no frame brought;
    `on_end` is called when all of it is stored.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    chat: Chat
    limit: TextLimit
    look_back: Callable[[], Awaitable[Sequence[Item]]]
    on_end: Callable[[], None]
    ended: bool = False
    traffic_at: float = field(default_factory=time.monotonic)
    _queue: deque[Item] = field(default_factory=deque)
    _held: int = 0
    _task: asyncio.Task[None] | None = None
    _failures: int = 0
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _own: dict[str, Echo] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _is_whole: bool = False
    _persons: Presence = field(init=False)
    unpassed: Unpassed = field(init=False)
    _shown: str = ""
    _followed: str = ""
    _leaving: bool = False
    _held_back: bool = True  # something may wait for somebody to be there

    def __post_init__(self) -> None:
        self._persons = Presence.restored(self.chat.told or ())
        self._shown = self._persons.agent
        self.unpassed = Unpassed(self.runtime, self.chat.contact)
        self._told.update(self.chat.told_agent)

    @property
    def agent(self) -> str:
        """The name of the agent who serves, "" if none is there."""
        return self._persons.agent

    @property
    def own(self) -> Collection[str]:
        """The ids of our messages that Connect told us of, the latest of them."""
        return self._own.keys()

    def hear(self, item: Item) -> None:
        """Take an item from the socket."""
        self.heard()
        self._leaving |= item.content_type in LEAVING and item.participant_role in PERSONS
        self._queue.append(item)
        self._work_on()

    def heard(self) -> None:
        """Note traffic in either direction, for the sweep."""
        self.traffic_at = time.monotonic()

    def told_agent(self, item: str) -> None:
        """Take note that this item is our word to the agent alone, whatever Connect makes of its mark."""
        self._told.add(item)
        self._own.pop(item, None)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is heard meanwhile wait for what the transcript brings."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._work_on()

    def recall(self, items: Sequence[Item]) -> None:
        """Take items from the transcript: they come before what was heard and waits. The first time it is all of it."""
        self._is_whole = True
        self._queue.extendleft(reversed(items))
        self._work_on()

    async def settled(self) -> None:
        """Wait until everything that was heard before is stored."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def echo_of(self, parts: Sequence[str], known: Mapping[str, str]) -> tuple[str, str] | None:
        """Return which of the `parts` Connect has though we do not know that it took it, and its item's id; else None.

        Connect echoes what we send, on the socket and in the transcript, without our ClientToken and perhaps with
        another text: redaction and message processors rewrite it in flight. But nobody else speaks as the customer, and
        one message is under way at a time. So it is what stands after the last one whose id we were told, in Connect's
        own order of time. `known` are these ids with what we sent under each ("" where nobody knows), and all that was
        there before the first attempt.
        """
        own = sorted(self._own.values(), key=lambda one: one.at)
        last = max((place for place, one in enumerate(own) if one.id in known), default=-1)
        # A chat's first message is its InitialMessage, whose id nobody told us.
        after = own[max(last, 0) + 1 :] if last >= 0 or self._is_whole else [one for one in own if one.text in parts]
        # What Connect took as it was and shows again is a late copy of that, sent by a bridge that was away.
        doubled = {one.text for one in own[: last + 1] if escaped(known.get(one.id, "")).endswith(one.text)}
        found = [one for one in after if one.text in parts or one.text not in doubled]
        return (_likeliest(parts, found[0].text), found[0].id) if found else None

    def _work_on(self) -> None:
        if self._queue and not self._held and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._queue and not self._held:
            # After a failure one by one: so the others get by what cannot be stored.
            batch = [self._queue.popleft() for _ in range(1 if self._failures else len(self._queue))]
            batch.sort(key=moment)
            try:
                await self._digest(batch)
                self._failures = 0
            except Exception as failure:  # noqa: BLE001 - whatever it is, nothing that was said may be dropped for it
                await self._stumble(batch, failure)
        if self.ended and not self._queue:
            self.on_end()

    async def _stumble(self, batch: Sequence[Item], failure: Exception) -> None:
        """Put back what could not be stored, and wait; leave alone what never can be stored."""
        self._failures += 1
        what = f"contact {self.chat.contact}: {type(failure).__name__} while storing"
        if len(batch) == 1 and isinstance(failure, NEVER):
            log.error("%s item %s, which stays in Connect's transcript alone", what, batch[0].id)
            return
        log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "%s, will try again", what)
        self._queue.extendleft(reversed(batch))
        await asyncio.sleep(full_jitter(self._failures, RETRY_FIRST, RETRY_MOST))

    async def _digest(self, items: Sequence[Item]) -> None:
        """Store what is new and draw the conclusions. Repeating it does no harm.

        What an earlier chat said, which this one continues, was stored with that one.
        """
        new = [item for item in items if item.id not in self._recent and not item.related_contact_id]
        news = [read(item, self.chat.zone or settings.TIME_ZONE) for item in new]
        said = tuple(self._captured(one) for one in news if isinstance(one, Said))
        if said:
            batch = Batch(conversation=self.conversation, contact=self.chat.contact, captured=said)
            stored = await self.runtime.captures.add(batch)
            failpoint("O4b")
            if stored:
                self.runtime.on_stored(self.conversation, stored)
        await self.unpassed.hear(items)
        await self._follow(news, new)
        self._recent.extend(item.id for item in new if item.id and not is_unfinished(item))
        self._note_own(new)
        ends = any(isinstance(one, Ended) for one in news) and not self.ended
        if ends or self._leaving:
            self.ended |= ends
            self._leaving = False
            found = await self.look_back()
            self._is_whole |= bool(found)
            self._queue.extend(found)

    def _note_own(self, items: Sequence[Item]) -> None:
        """Remember our messages as Connect has them, the InitialMessage among them.

        But neither our words to the agent nor what nobody in the chat gets to see.
        """
        refused = dict(refusals(items))
        for item in items:
            if item.id in self._told or is_marked(item.content):
                continue
            if item.id in refused:
                self._own.pop(item.id, None)
                continue
            if item.participant_role == "CUSTOMER" and item.type == "MESSAGE":
                self._own[item.id] = Echo(item.id, item.content, moment(item))
        for old in list(self._own)[:-REMEMBERED]:
            del self._own[old]

    async def _follow(self, news: Sequence[CommittedSignal], items: Sequence[Item]) -> None:
        """Note who is there, who of them serves, and in which segment. Repeating it does no harm.

        What is older than what was noted changes nothing.
        """
        told = [(item.id, one) for one, item in zip(news, items, strict=True) if isinstance(one, Told)]
        moves = [(item, one) for item, one in told if self._persons.take(one) and one.kind != RENAMED]
        if moves:
            await self.runtime.execute(CHAT_EVENTS, noted(self.chat.contact, moves))
        latest = [item.contact_id for item in items if item.contact_id and item.absolute_time >= self._followed]
        segment = latest[-1] if latest else self.chat.contact_id
        bot = not self._persons.anybody if self._persons.knows else self.chat.bot
        if (self.agent, bot, segment) != (self._shown, self.chat.bot, self.chat.contact_id):
            given = {"contact": self.chat.contact, "contact_id": segment, "agent": self.agent, "bot": bot}
            await self.runtime.execute(CHAT_NEWS, given)
            self._shown, self.chat.bot, self.chat.contact_id = self.agent, bot, segment
        self._held_back |= bot
        if self._held_back and not bot:
            await self.runtime.execute(TELL, {"contact": self.chat.contact})
            self._held_back = False
        self._followed = max([self._followed, *(item.absolute_time for item in items)])

    def _captured(self, said: Said) -> Captured:
        item = said.item
        return Captured(
            id=uuid.uuid4(),
            item_id=item.id,
            role=item.participant_role,
            author=item.display_name,
            content_type=item.content_type or "text/plain",
            text=said.text,
            original=None if said.text == item.content else {"content": item.content, "type": item.type},
            occurred_at=moment(item),
            parts=tuple(split_text(said.text, self.limit)),
        )


def _likeliest(parts: Sequence[str], text: str) -> str:
    """Return which part the text is: itself, or what was rewritten into it, which is of about the same length."""
    return min(parts, key=lambda part: (part != text, abs(len(part) - len(text))))
