"""Which tasks Celery beat sends, and how often. Names in the schedule are what beat logs; tasks keep theirs for ever.

Beat remembers nothing between starts: whatever has to happen after a pause is found in the database.
"""

from __future__ import annotations

from typing import Any

#: Seconds after which a periodic task that no worker took is dropped. Beat's clock and the worker's must agree on that
#: moment, so it is longer than any clock is wrong.
BEAT_EXPIRES = 2 * 3600.0

Schedule = dict[str, dict[str, Any]]


def beat_schedule(
    *, inbound_poll_seconds: float, reads_contact_events: bool, reads_queues: bool, copies_to_dynamodb: bool
) -> Schedule:
    """Return CELERY_BEAT_SCHEDULE for what this installation has switched on."""
    schedule = _messages(inbound_poll_seconds) | _dashboards()
    if reads_contact_events:
        schedule["contact events"] = _every(5.0, "analytics.tasks.read_contact_events", expires=10.0)
    if reads_queues:
        schedule["queues"] = _every(15.0, "analytics.tasks.look_at_queues", expires=15.0)
    # Without a table, a rare run switches off what an earlier configuration may have left on.
    seconds = 2.0 if copies_to_dynamodb else 60.0
    schedule["projection"] = _every(seconds, "connect_bridge.tasks.project", expires=10.0)
    schedule["retention"] = _every(600.0, "connect_bridge.tasks.retain", expires=600.0)
    return schedule


def _messages(inbound_poll_seconds: float) -> Schedule:
    schedule = {
        "pulse": _every(15.0, "parley.pulse"),
        # Sends that no task named, retries that are due, claims of dead workers.
        "outbox": _every(2.0, "connect_bridge.tasks.sweep"),
        # Whether each account is still set up at its messenger as it was; the database says which account is due.
        "set-up": _every(600.0, "channels_app.tasks.look_at_accounts"),
    }
    if inbound_poll_seconds > 0:
        # The task comes more often than an account is due: which one is due, the database says.
        schedule["missed"] = _every(min(30.0, inbound_poll_seconds), "channels_app.tasks.look_for_missed")
    return schedule


def _dashboards() -> Schedule:
    return {
        "rollups": _every(2.0, "analytics.tasks.refresh", expires=4.0),
        "alerts": _every(60.0, "analytics.tasks.watch", expires=60.0),
        "alerts told": _every(10.0, "analytics.tasks.tell", expires=10.0),
        "reports": _every(300.0, "analytics.tasks.report", expires=300.0),
    }


def _every(seconds: float, task: str, *, expires: float = BEAT_EXPIRES) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": expires}}
