"""Where Celery looks for tasks. Each keeps the name it had here: messages in the queue and the schedule name it."""

from __future__ import annotations

from connect_bridge.outbox.tasks import drain, look_into_doubts, sweep
from connect_bridge.privacy.tasks import retain
from connect_bridge.projection.tasks import project

__all__ = ["drain", "look_into_doubts", "project", "retain", "sweep"]
