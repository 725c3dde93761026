"""What the workers run: count what changed, score what waits, tell the open pages. Hints: beat repeats them."""

from __future__ import annotations

import time

from celery import shared_task
from django.conf import settings

from analytics import live, phrases, rollup, scoring

#: Seconds after which a task ends although there is more to do: the next one goes on.
LONGEST = 20.0


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def refresh() -> None:
    """Bring dashboards up to date. Beat runs it every two seconds; a customer's message, at once."""
    ends = time.monotonic() + LONGEST
    changed = _count(ends)
    if settings.SENTIMENT_ENABLED:
        engine = scoring.engine()
        while time.monotonic() < ends and (done := scoring.run(engine)).scored + done.reused + done.unsupported:
            changed |= _count(ends)
        if phrases.run(engine):
            changed |= _count(ends)
    if changed:
        live.announce()


def _count(ends: float) -> bool:
    """Count until nothing is left or the time is over; return whether anything had changed."""
    changed = False
    while time.monotonic() < ends:
        done = rollup.refresh()
        if done is None:
            break
        changed |= done.chats > 0
        if not done.more:
            break
    return changed
