"""What the workers do for the outbox. A task is a hint that names rows: lost or doubled, nothing is lost or doubled."""

from __future__ import annotations

import time
import uuid

from celery import shared_task

from connect_bridge.outbox import sender, uncertain

#: Conversations named in one task of a sweep: a few rounds of the senders.
MOST_PER_TASK = 50
#: Seconds after which a task of a sweep is dropped: later sweeps have named the same conversations again.
EXPIRES = 10.0
#: Seconds between two sweeps of one worker: of many that waited for it one is enough.
SWEEPS_APART = 1.0
_swept_at = float("-inf")


@shared_task(name="connect_bridge.tasks.drain")  # type: ignore[untyped-decorator] # celery is not typed
def drain(conversations: list[str]) -> None:
    """Send what is due in these conversations, named by their ids."""
    sender.drain_all([uuid.UUID(conversation) for conversation in conversations])


@shared_task(name="connect_bridge.tasks.sweep")  # type: ignore[untyped-decorator] # celery is not typed
def sweep() -> None:
    """Look for what no task has named, or whose worker died. Beat asks for it every two seconds."""
    global _swept_at  # noqa: PLW0603 - a worker's own memory
    if time.monotonic() - _swept_at < SWEEPS_APART:
        return
    _swept_at = time.monotonic()
    due = [str(conversation) for conversation in sender.sweep()]
    for start in range(0, len(due), MOST_PER_TASK):
        drain.apply_async(args=[due[start : start + MOST_PER_TASK]], expires=EXPIRES)
    if uncertain.any_due():
        probe_uncertain_sends.apply_async(expires=EXPIRES)


@shared_task(name="connect_bridge.tasks.look_into_doubts")  # type: ignore[untyped-decorator] # celery is not typed
def probe_uncertain_sends() -> None:
    """Ask the messengers for sends of which nobody knows whether they arrived."""
    uncertain.probe_due()
