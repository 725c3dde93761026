"""Tell the rest of the house what the bridge has stored, off the event loop: tasks to the workers, signals to apps."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Sequence

from django.db import close_old_connections

from connect_bridge.outbox.tasks import drain
from connect_bridge.signals import message_stored

log = logging.getLogger(__name__)

#: Conversations named in one task.
MOST_PER_TASK = 50
#: Hints that wait; more are dropped, since a broker or a receiver that hangs for long must not fill our memory.
MOST_WAITING = 50_000

Hint = tuple[uuid.UUID, Sequence[uuid.UUID], bool]


class Dispatcher:
    """One thread that publishes. What comes while it publishes rides in the next task.

    Everything here is a hint: what is lost with this thread, the outbox sweep finds in the database.
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
        """Pass on that something is to be sent to the customer. Never blocks."""
        self._pass_on((conversation, messages, True))

    def inbound(self, conversation: uuid.UUID, message: uuid.UUID) -> None:
        """Pass on that a customer's message was stored. Never blocks."""
        self._pass_on((conversation, [message], False))

    def _pass_on(self, hint: Hint) -> None:
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

    def _publish(self, batch: list[Hint]) -> None:
        due = list(dict.fromkeys(str(conversation) for conversation, _, outbound in batch if outbound))
        for start in range(0, len(due), MOST_PER_TASK):
            try:
                drain.delay(due[start : start + MOST_PER_TASK])
            except Exception as failure:  # noqa: BLE001 - a broker that is down must not stop the bridge
                log.warning("the broker took no task (%s): the outbox sweep will send", type(failure).__name__)
        for conversation, messages, _ in batch:
            for message in messages:
                self._signal(conversation, message)

    def _signal(self, conversation: uuid.UUID, message: uuid.UUID) -> None:
        for receiver, answer in message_stored.send_robust(
            Dispatcher, conversation_id=conversation, message_id=message
        ):
            if isinstance(answer, Exception):
                log.error("%r failed on message_stored: %s", receiver, type(answer).__name__)
