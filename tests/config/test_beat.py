from __future__ import annotations

from pathlib import Path

import pytest
from celery.beat import Service

from config.celery import app


def test_beat_starts_where_it_may_write_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    schedule = Service(app, scheduler_cls=app.conf.beat_scheduler).get_scheduler().schedule
    assert {"pulse", "outbox"} <= set(schedule)
    assert not list(tmp_path.iterdir())
