"""What a chat brings, stored once and in order, and what follows from it: who is there, and whether it is over."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import psycopg
from django.conf import settings

from channels_app.infrastructure.backoff import full_jitter
from channels_app.infrastructure.failpoints import failpoint
from channels_app.toolkit.text import TextLimit, split_text
from connect_bridge.connect.gateway import Item
from connect_bridge.connect.items import EVENT, Ended, Said, is_unfinished, moment, read
from connect_bridge.connect.presence import PERSONS
from connect_bridge.listening.echoes import OwnEchoes
from connect_bridge.listening.presence_log import PresenceLog
from connect_bridge.listening.rejected_messages import RejectedMessages
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.capture import Batch, Captured
from connect_bridge.storage.chats import Chat

log = logging.getLogger(__name__)

#: Item ids remembered, to save the database a look at what it has anyway.
REMEMBERED = 200
#: Seconds to wait before the first, and at most before any, new attempt to store.
RETRY_FIRST, RETRY_MOST = 0.5, 10.0
#: After these perhaps nobody can be asked any more.
LEAVING = (f"{EVENT}participant.left", f"{EVENT}participant.autodisconnection")
#: What an item is to blame for, and not the database: a standby that takes no writes, a transaction that was ended for
#: standing still and a full disk pass.
NEVER = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError, LookupError)


class ChatSource(Protocol):
    """Where a processor's items come from: it asks there for what no frame brought, and says when it has all."""

    async def look_back(self) -> Sequence[Item]:
        """Return what Connect's transcript has since the last look. Never raises GatewayError: then it is empty."""
        ...

    def all_stored(self) -> None:
        """Take note that the chat is over, and all that came of it is stored."""
        ...


@dataclass(slots=True, eq=False)
class ItemProcessor:
    """Stores one contact's items, from the socket and from the transcript alike, one batch at a time.

    What the database does not take is kept and offered again: once a chat is over, Connect gives it to nobody. When an
    agent leaves, which may be the last moment to ask, and at the end, the source is asked for what no frame brought.
    """

    runtime: BridgeRuntime
    conversation: uuid.UUID
    chat: Chat
    limit: TextLimit
    source: ChatSource
    echoes: OwnEchoes
    rejected: RejectedMessages
    ended: bool = False
    traffic_at: float = field(default_factory=time.monotonic)
    presence: PresenceLog = field(init=False)
    _queue: deque[Item] = field(default_factory=deque)
    _holds: int = 0
    _task: asyncio.Task[None] | None = None
    _failures: int = 0
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _leaving: bool = False

    def __post_init__(self) -> None:
        self.presence = PresenceLog(self.runtime, self.chat)

    def add(self, item: Item) -> None:
        """Take an item from the socket."""
        self.note_traffic()
        self._leaving |= item.content_type in LEAVING and item.participant_role in PERSONS
        self._queue.append(item)
        self._work_on()

    def note_traffic(self) -> None:
        """Note traffic in either direction, for the sweep."""
        self.traffic_at = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what the socket brings meanwhile wait for what the transcript brings."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    def hold(self) -> None:
        """Keep what comes until as many calls of release() have followed."""
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1
        self._work_on()

    def add_transcript(self, items: Sequence[Item]) -> None:
        """Take items from the transcript: they come before what waits. The first time it is all of the chat."""
        self.echoes.complete = True
        self._queue.extendleft(reversed(items))
        self._work_on()

    async def settled(self) -> None:
        """Wait until everything that came before is stored."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _work_on(self) -> None:
        if self._queue and not self._holds and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._queue and not self._holds:
            # After a failure one by one: so the others get by what cannot be stored.
            batch = [self._queue.popleft() for _ in range(1 if self._failures else len(self._queue))]
            batch.sort(key=moment)
            try:
                await self._process(batch)
                self._failures = 0
            except Exception as failure:  # noqa: BLE001 - whatever it is, nothing that was said may be dropped for it
                await self._put_back(batch, failure)
        if self.ended and not self._queue:
            self.source.all_stored()

    async def _put_back(self, batch: Sequence[Item], failure: Exception) -> None:
        """Put back what could not be stored, and wait; leave alone what never can be stored."""
        self._failures += 1
        what = f"contact {self.chat.contact}: {type(failure).__name__} while storing"
        if len(batch) == 1 and isinstance(failure, NEVER):
            log.error("%s item %s, which stays in Connect's transcript alone", what, batch[0].id)
            return
        log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "%s, will try again", what)
        self._queue.extendleft(reversed(batch))
        await asyncio.sleep(full_jitter(self._failures, RETRY_FIRST, RETRY_MOST))

    async def _process(self, items: Sequence[Item]) -> None:
        """Store what is new and draw the conclusions. Repeating it does no harm.

        1. What an earlier chat said, which this one continues, was stored with that one: it is left out.
        2. Store what the customer is to read, with its outbox entries, and tell the workers.
        3. Let messages of the customer fail that Connect passed on to nobody.
        4. Note who is in the chat, and our own echoes.
        5. At the end, and when somebody leaves, look once more for what no frame brought.
        """
        new = [item for item in items if item.id not in self._recent and not item.related_contact_id]
        readings = [read(item, self.chat.zone or settings.TIME_ZONE) for item in new]
        captured = tuple(self._captured(reading) for reading in readings if isinstance(reading, Said))
        if captured:
            batch = Batch(conversation=self.conversation, contact=self.chat.contact, captured=captured)
            stored = await self.runtime.captures.add(batch)
            failpoint("O4b")
            if stored:
                self.runtime.on_stored(self.conversation, stored)
        await self.rejected.note(items)
        await self.presence.note(new, readings)
        self._recent.extend(item.id for item in new if item.id and not is_unfinished(item))
        self.echoes.note(new)
        await self._look_back(ends=any(isinstance(reading, Ended) for reading in readings) and not self.ended)

    async def _look_back(self, *, ends: bool) -> None:
        if ends or self._leaving:
            self.ended |= ends
            self._leaving = False
            items = await self.source.look_back()
            self.echoes.complete |= bool(items)
            self._queue.extend(items)

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
