"""Where Celery looks for tasks. Each keeps the name it had here: messages in the queue and the schedule name it."""

from __future__ import annotations

from connect_bridge.outbox.tasks import drain, probe_uncertain_sends, sweep
from connect_bridge.privacy.tasks import retain
from connect_bridge.projection.tasks import project

__all__ = ["drain", "probe_uncertain_sends", "project", "retain", "sweep"]
