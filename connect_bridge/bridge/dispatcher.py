"""Pass on what the bridge has committed, off the event loop: tasks to the workers, signals to the apps above."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from django.db import close_old_connections

from connect_bridge.outbox.tasks import drain
from connect_bridge.signals import contact_ended, message_stored

log = logging.getLogger(__name__)

#: Conversations named in one task.
MOST_PER_TASK = 50
#: Hints that wait; more are dropped, since a broker or a receiver that hangs for long must not fill our memory.
MOST_WAITING = 50_000


class Stored(NamedTuple):
    """Messages were stored. `outbound`: they are to be sent to the customer."""

    conversation: uuid.UUID
    messages: Sequence[uuid.UUID]
    outbound: bool


class Ended(NamedTuple):
    """A chat ended. `contact` is our id of it."""

    conversation: uuid.UUID
    contact: uuid.UUID


Hint = Stored | Ended


class Dispatcher:
    """One thread that publishes. What comes while it publishes goes into the next task.

    Everything here is a hint. What is lost with this thread is found in the database: what is to be sent by the outbox
    sweep, what is to be counted by analytics' own schedule.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Hint | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Publish what is left, for at most two seconds."""
        self._queue.put(None)
        self._thread.join(2)

    def outbound(self, conversation: uuid.UUID, messages: Sequence[uuid.UUID]) -> None:
        """Pass on that messages were stored that are to be sent to the customer. Never blocks."""
        self._put(Stored(conversation, messages, outbound=True))

    def inbound(self, conversation: uuid.UUID, message: uuid.UUID) -> None:
        """Pass on that a customer's message was stored. Never blocks."""
        self._put(Stored(conversation, (message,), outbound=False))

    def ended(self, conversation: uuid.UUID, contact: uuid.UUID) -> None:
        """Pass on that a chat ended. Never blocks."""
        self._put(Ended(conversation, contact))

    def _put(self, hint: Hint) -> None:
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(hint)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            close_old_connections()  # a receiver's, which the database may have closed meanwhile
            self._publish(batch)

    def _publish(self, batch: Sequence[Hint]) -> None:
        outbound = (str(hint.conversation) for hint in batch if isinstance(hint, Stored) and hint.outbound)
        due = list(dict.fromkeys(outbound))
        for start in range(0, len(due), MOST_PER_TASK):
            try:
                drain.delay(due[start : start + MOST_PER_TASK])
            except Exception as failure:  # noqa: BLE001 - a broker that is down must not stop the bridge
                log.warning("the broker took no task (%s): the outbox sweep will send", type(failure).__name__)
        for hint in batch:
            _signal(hint)


def _signal(hint: Hint) -> None:
    """Send the signals of one hint; a receiver that fails is logged by CommittedSignal, and the next one is called."""
    if isinstance(hint, Ended):
        contact_ended.send_robust(Dispatcher, conversation_id=hint.conversation, contact_id=hint.contact)
        return
    for message in hint.messages:
        message_stored.send_robust(Dispatcher, conversation_id=hint.conversation, message_id=message)
