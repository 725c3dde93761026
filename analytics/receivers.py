"""Brings dashboards up to date soon after a message. A hint, at most one a second from each process."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from analytics.tasks import refresh

log = logging.getLogger(__name__)

#: Seconds between two hints.
PAUSE = 1.0
_lock = threading.Lock()
_last = 0.0


def refresh_soon(**_signal: Any) -> None:
    """Queue a refresh, unless this process did so within the last second."""
    global _last  # noqa: PLW0603 - one clock for all threads
    with _lock:
        if time.monotonic() - _last < PAUSE:
            return
        _last = time.monotonic()
    refresh.apply_async(expires=PAUSE * 10)
