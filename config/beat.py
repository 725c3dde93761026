"""When periodic tasks are due, by a clock that nobody can set.

Celery's own scheduler goes by the wall clock: after that was set back by an hour it sends nothing for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedstate


class SteadyScheduler(Scheduler):  # type: ignore[misc] # celery is not typed
    """Sends each task of CELERY_BEAT_SCHEDULE every so many seconds, the first time after one period. Keeps no file."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._sent: dict[str, float] = {}
        super().__init__(*arguments, **named)

    def is_due(self, entry: ScheduleEntry) -> schedstate:
        period, now = entry.schedule.run_every.total_seconds(), self.clock()
        left = self._sent.setdefault(entry.name, now) + period - now
        if left > 0:
            return schedstate(is_due=False, next=left)
        self._sent[entry.name] = now
        return schedstate(is_due=True, next=period)

    def _when(self, _entry: ScheduleEntry, next_time_to_run: float, **_named: Any) -> float:
        return self.clock() + (next_time_to_run or 0.0)
