from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from celery.beat import Service

from config.beat import SteadyScheduler
from config.celery import app

NOON = datetime.fromisoformat("2026-01-01T12:00:00+00:00")


def test_beat_starts_where_it_may_write_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    schedule = Service(app, scheduler_cls=app.conf.beat_scheduler).get_scheduler().schedule
    assert {"pulse", "outbox"} <= set(schedule)
    assert not list(tmp_path.iterdir())


class Beat(SteadyScheduler):
    """Counts what it would send."""

    def __init__(self) -> None:
        self.now, self.sent = 1000.0, Counter[str]()
        self.clock = lambda: self.now
        super().__init__(app, lazy=False)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent[entry.name] += 1

    def let_pass(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            wait = self.tick()
            assert wait is not None
            assert wait >= 0
            self.now += min(wait or 0.01, end - self.now)


@pytest.mark.parametrize("jump", [-3600, 0, 3600], ids=["back", "steady", "ahead"])
def test_what_is_due_is_sent_however_the_clock_is_set(jump: int) -> None:
    every = {name: entry["schedule"] for name, entry in app.conf.beat_schedule.items()}
    with time_machine.travel(NOON, tick=False) as wall:
        beat = Beat()
        beat.let_pass(100.0)
        before = Counter(beat.sent)
        wall.move_to(NOON + timedelta(seconds=100 + jump))
        beat.let_pass(100.0)
    for name, seconds in every.items():
        period = seconds if isinstance(seconds, (int, float)) else seconds.total_seconds()
        assert abs(before[name] - 100 // period) <= 2, name
        assert abs(beat.sent[name] - 200 // period) <= 2, name
