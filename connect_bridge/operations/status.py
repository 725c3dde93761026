"""Whether the installation works, by a few cheap queries: for health, metrics and `manage.py doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Min, Model, QuerySet
from django.utils import timezone

from channels_app.models import InboundEntry
from connect_bridge.models import Bridge, Message, OutboxEntry

#: Seconds between two pulses: a task that beat sends and a worker runs, so it proves broker, beat and worker at once.
PULSE_EVERY = 15.0
#: Seconds after which a bridge or worker without a heartbeat counts as gone, and a waiting row counts as stuck.
SILENT_AFTER = 60.0
#: Why a customer's message waits because its account says so: gateway.Held's codes.
HELD = ("paused", "closed")
_PULSE = "parley.worker_pulse"


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Ages are in seconds. None: never heard of. A queue's age is that of its oldest open row, 0 if there is none.

    `relay` is what customers wrote and Amazon Connect has not taken, unless its account is paused or closed.
    """

    bridge_age: float | None
    worker_age: float | None
    intake_age: float
    intake_rows: int
    relay_age: float
    relay_rows: int
    outbox_age: float
    outbox_rows: int

    def complaints(self) -> list[str]:
        """Return what an operator should look at. None of it keeps webhooks from being taken and stored."""
        complaints = []
        for name, age in (("bridge", self.bridge_age), ("worker", self.worker_age)):
            if age is None or age > SILENT_AFTER:
                complaints.append(f"{name}: {'never heard of' if age is None else f'silent for {age:.0f} s'}")
        for name, age in (("intake", self.intake_age), ("relay", self.relay_age), ("outbox", self.outbox_age)):
            if age > SILENT_AFTER:
                complaints.append(f"{name}: oldest row waits for {age:.0f} s")
        return complaints


def read_status() -> SystemStatus:
    """Return the status now. Raises django.db.Error if the database does not answer."""
    intake = InboundEntry.objects.filter(state=InboundEntry.State.PENDING)
    to_connect = Message.objects.filter(direction=Message.Direction.INBOUND, status=Message.Status.STORED)
    relay = to_connect.exclude(error_code__in=HELD).aggregate(oldest=Min("created_at"), rows=Count("id"))
    outbox = OutboxEntry.objects.filter(state__in=[OutboxEntry.State.PENDING, OutboxEntry.State.CLAIMED])
    beat_at = Bridge.objects.aggregate(newest=Max("beat_at"))["newest"]
    pulse: float | None = cache.get(_PULSE)
    return SystemStatus(
        bridge_age=None if beat_at is None else _age(beat_at),
        worker_age=None if pulse is None else max(0.0, time.time() - pulse),
        intake_age=_oldest(intake),
        intake_rows=intake.count(),
        relay_age=0.0 if relay["oldest"] is None else _age(relay["oldest"]),
        relay_rows=relay["rows"],
        outbox_age=_oldest(outbox),
        outbox_rows=outbox.count(),
    )


def record_pulse() -> None:
    """Note that a worker is alive. The worker calls it every PULSE_EVERY seconds."""
    cache.set(_PULSE, time.time(), timeout=None)


def pending_migrations() -> int:
    """Return how many migrations have yet to be applied."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _oldest(rows: QuerySet[Model]) -> float:
    oldest: datetime | None = rows.aggregate(oldest=Min("created_at"))["oldest"]
    return 0.0 if oldest is None else _age(oldest)


def _age(moment: datetime) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds())
