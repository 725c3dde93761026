"""The task queue: `celery -A config worker -P threads` and `celery -A config beat`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("parley", amqp="config.broker:Amqp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="parley.pulse")  # type: ignore[untyped-decorator] # celery is not typed
def pulse() -> None:
    """Tell health and `manage.py doctor` that broker, beat and worker are alive."""
    from connect_bridge.operations.status import record_pulse

    record_pulse()


def _up(**_: object) -> None:
    """Say at once that a worker is there, not only when beat's first pulse comes."""
    from channels_app.infrastructure import gc_tuning

    gc_tuning.tune()
    pulse()


worker_ready.connect(_up, weak=False)
