"""What a chat brings, digested: everything new is stored once and in order, and its conclusions are drawn."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from channels_app.failpoints import failpoint
from channels_app.text import TextLimit, split_text
from connect_bridge import store
from connect_bridge.capture import Batch, Captured
from connect_bridge.gateway import Item
from connect_bridge.house import House
from connect_bridge.marks import is_marked
from connect_bridge.render import (
    EVENT,
    AgentJoined,
    AgentLeft,
    Ended,
    News,
    Said,
    is_unfinished,
    moment,
    read,
)
from connect_bridge.store import Chat

log = logging.getLogger(__name__)

#: Item ids remembered to save the database a look at what it has anyway, and echoes remembered to recognise our own.
REMEMBERED = 200
#: How far Connect's clock may be behind ours.
CLOCKS_DIFFER = timedelta(seconds=5)
#: Seconds to wait before the first, and at most before any, new attempt to store.
RETRY_FIRST, RETRY_MOST = 0.5, 10.0
JOINED, LEFT = f"{EVENT}participant.joined", f"{EVENT}participant.left"
#: What an item is to blame for, and not the database: a standby that takes no writes, a transaction that was ended for
#: standing still and a full disk pass.
NEVER = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError, LookupError)


class Echo(NamedTuple):
    """A message of ours as Connect has it: what of it is remembered, for as many chats as there may be."""

    id: str
    text: str
    at: datetime


@dataclass(slots=True, eq=False)
class Hearing:
    """Digests one contact's items, from the socket and from the transcript alike, one batch at a time.

    What the database does not take is kept and offered again: once a chat is over, Connect gives it to nobody. When an
    agent leaves, which may be the last moment to ask, and at the end `look_back` is asked for what no frame brought;
    `on_end` is called when all of it is stored.
    """

    house: House
    conversation: uuid.UUID
    chat: Chat
    limit: TextLimit
    look_back: Callable[[], Awaitable[Sequence[Item]]]
    on_end: Callable[[], None]
    agent: str = ""
    ended: bool = False
    traffic_at: float = field(default_factory=time.monotonic)
    _queue: deque[Item] = field(default_factory=deque)
    _held: int = 0
    _task: asyncio.Task[None] | None = None
    _failures: int = 0
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _own: deque[Echo] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _followed: str = ""
    _leaving: bool = False

    def hear(self, item: Item) -> None:
        """Take an item from the socket."""
        self.heard()
        self._leaving |= item.content_type == LEFT and item.participant_role == "AGENT"
        self._queue.append(item)
        self._work_on()

    def heard(self) -> None:
        """Note traffic in either direction, for the sweep."""
        self.traffic_at = time.monotonic()

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
        """Take items from the transcript: they come before what was heard and waits."""
        self._queue.extendleft(reversed(items))
        self._work_on()

    async def settled(self) -> None:
        """Wait until everything that was heard before is stored."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def echo_of(self, text: str, since: datetime, known: Container[str]) -> str:
        """Return the id of a message of ours that Connect has, though we do not know that it took it; "" if none.

        Connect echoes what we send, on the socket and in the transcript, without our ClientToken: so it is known by its
        text, by being no older than `since`, and by not being one of those whose ids we were told.
        """
        since -= CLOCKS_DIFFER
        return next((one.id for one in self._own if one.text == text and one.id not in known and one.at >= since), "")

    def _work_on(self) -> None:
        if self._queue and not self._held and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._queue and not self._held:
            # After a failure one by one: so the others get by what cannot be stored.
            batch = [self._queue.popleft() for _ in range(1 if self._failures else len(self._queue))]
            batch.sort(key=lambda item: item.absolute_time)
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
        await asyncio.sleep(random.uniform(0, min(RETRY_FIRST * 2**self._failures, RETRY_MOST)))  # noqa: S311 - jitter

    async def _digest(self, items: Sequence[Item]) -> None:
        """Store what is new and draw the conclusions. Repeating it does no harm.

        What an earlier chat said, which this one continues, was stored with that one.
        """
        new = [item for item in items if item.id not in self._recent and not item.related_contact_id]
        news = [read(item) for item in new]
        said = tuple(self._captured(one) for one in news if isinstance(one, Said))
        if said:
            batch = Batch(conversation=self.conversation, contact=self.chat.contact, captured=said)
            stored = await self.house.captures.add(batch)
            failpoint("O4b")
            if stored:
                self.house.said(self.conversation, stored)
        await self._follow(news, new)
        self._recent.extend(item.id for item in new if item.id and not is_unfinished(item))
        self._note_own(item for item in new if item.participant_role == "CUSTOMER")
        ends = any(isinstance(one, Ended) for one in news) and not self.ended
        if ends or self._leaving:
            self.ended |= ends
            self._leaving = False
            self._queue.extend(await self.look_back())

    def _note_own(self, items: Iterable[Item]) -> None:
        """Remember our echoes, but for our words to the agent (whispers.py).

        What was there before we joined is the chat's InitialMessage, about which nobody asks. It must not be taken for
        the echo of a later message with the same words.
        """
        for item in items:
            if item.type == "MESSAGE" and not is_marked(item.content):
                self._own.append(Echo(item.id, item.content, moment(item)))
            elif item.content_type == JOINED:
                self._own.clear()

    async def _follow(self, news: Sequence[News], items: Sequence[Item]) -> None:
        """Note who speaks for Connect, and in which segment. Older events than those noted before change nothing."""
        await self._note_agents(news, items)
        agent, bot, segment = self.agent, self.chat.bot, self.chat.contact_id
        for one, item in zip(news, items, strict=True):
            if item.absolute_time < self._followed:
                continue
            segment = item.contact_id or segment
            match one:
                case AgentJoined(name):
                    agent, bot = name, False
                case AgentLeft():
                    agent, bot = "", True
                case _:
                    pass
        if (agent, bot, segment) != (self.agent, self.chat.bot, self.chat.contact_id):
            given = {"contact": self.chat.contact, "contact_id": segment, "agent": agent, "bot": bot}
            await self.house.execute(store.CHAT_NEWS, given)
            self.agent, self.chat.bot, self.chat.contact_id = agent, bot, segment
        self._followed = max([self._followed, *(item.absolute_time for item in items)])

    async def _note_agents(self, news: Sequence[News], items: Sequence[Item]) -> None:
        """Write down which agents came and went, and when: each once, however often it is told."""
        told = [(one, item) for one, item in zip(news, items, strict=True) if isinstance(one, AgentJoined | AgentLeft)]
        if told:
            given = {
                "contact": self.chat.contact,
                "items": [(item.id or item.absolute_time)[:64] for _, item in told],
                "kinds": ["joined" if isinstance(one, AgentJoined) else "left" for one, _ in told],
                "names": [item.display_name[:256] for _, item in told],
                "at": [moment(item) for _, item in told],
            }
            await self.house.execute(store.CHAT_EVENTS, given)

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
