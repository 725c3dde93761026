"""What the workers run: count what changed, score what waits, tell open pages. Beat repeats each of them."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from django.conf import settings
from django.core.cache import cache

from analytics.alerts import notify, reports, rules
from analytics.connect_events import queue_metrics, sqs
from analytics.dashboards import live
from analytics.rollups import rebuild, update
from analytics.sentiment import key_phrases, scoring

log = logging.getLogger(__name__)

#: Seconds after which a task ends although there is more to do: the next one goes on.
LONGEST = 20.0
#: Cache key, set while a refresh is queued for texts that wait for their batch, so that such tasks do not multiply.
AGAIN = "analytics.again"


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def refresh() -> None:
    """Bring dashboards up to date. Beat runs it every two seconds; a stored message queues it at once (receivers.py).

    1. Begin a rebuild if the hours were counted in another time zone than today's.
    2. Count what changed, and tell open pages.
    3. Score what waits, as long as this task may take; count the new scores, and tell open pages once more.
    """
    ends = time.monotonic() + LONGEST
    if rebuild.in_another_zone():
        log.warning("the hours were counted in another zone than %s: counting anew", settings.TIME_ZONE)
        rebuild.begin()
    changed = _count(ends)
    if settings.SENTIMENT_ENABLED:
        if changed:
            live.announce()  # the engine may take its time
        changed = _score(ends)
    if changed:
        live.announce()


def _score(ends: float) -> bool:
    """Score what is pending and count it; come back soon for what waits for its batch to fill."""
    engine = scoring.engine()
    changed = False
    done = scoring.run(engine)
    while done.settled and not done.stopped and time.monotonic() < ends:
        changed |= _count(ends)
        done = scoring.run(engine)
    if key_phrases.run(engine):
        changed |= _count(ends)
    if done.waiting and not done.stopped and cache.add(AGAIN, value=True, timeout=max(1, settings.SENTIMENT_LINGER)):
        refresh.apply_async(countdown=settings.SENTIMENT_LINGER, expires=LONGEST)
    return changed


def _count(ends: float) -> bool:
    """Count until nothing is left or the time is over; return whether anything had changed."""
    changed = False
    while time.monotonic() < ends:
        done = update.refresh()
        if done is None:
            break
        changed |= done.chats > 0
        if not done.more:
            break
    return changed


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def read_contact_events() -> None:
    """Store the contact events that EventBridge has put into the SQS queue."""
    sqs.drain()


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def look_at_queues() -> None:
    """Ask Connect for the state of its queues."""
    queue_metrics.fetch()


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def watch() -> None:
    """Evaluate all alert rules."""
    if rules.evaluate_all():
        tell.apply_async(expires=10)


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def tell() -> None:
    """Send the notifications of alerts that are due."""
    notify.deliver_due()


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def report() -> None:
    """Send the reports that are due."""
    reports.send_due()
