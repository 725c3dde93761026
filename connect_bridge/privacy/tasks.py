"""What the workers do for retention."""

from __future__ import annotations

from celery import shared_task

from connect_bridge.privacy import retention

#: Seconds of one run; the next one goes on.
RETAINS_FOR = 60.0


@shared_task(name="connect_bridge.tasks.retain")  # type: ignore[untyped-decorator] # celery is not typed
def retain() -> None:
    """Empty what was kept long enough. Beat runs it every ten minutes."""
    retention.retain(RETAINS_FOR)
