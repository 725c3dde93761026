"""What a request takes: by the clock, and of processors, Django's and PostgreSQL's together.

On a machine that is busy with other things the clock says how busy it is; the processors' time stays what it is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.lab import percentile


class Spent(NamedTuple):
    """Seconds."""

    clock: float
    processors: float


class Watch:
    """Times requests made in this process. Backends must not start helpers: their time would be missed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._backends: list[Path] = []

    def find_backends(self) -> None:
        """Look for the database's processes that serve this process."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid IS NOT NULL")
            places = [Path(f"/proc/{pid}/schedstat") for (pid,) in cursor.fetchall()]
        self._backends = [place for place in places if place.exists()]

    def get(self, address: str) -> Spent:
        """Make a request; it must succeed."""
        clock, processors = time.perf_counter(), self._used()
        answer = self._client.get(address)
        spent = Spent(time.perf_counter() - clock, self._used() - processors)
        assert answer.status_code == 200, (address, answer.status_code)
        return spent

    def _used(self) -> float:
        nanoseconds = sum(int(place.read_text().split()[0]) for place in self._backends)
        return time.process_time() + nanoseconds / 1e9


def p95(several: list[Spent]) -> Spent:
    return Spent(*(percentile([getattr(spent, name) for spent in several], 0.95) for name in Spent._fields))


def p50(several: list[Spent]) -> Spent:
    return Spent(*(percentile([getattr(spent, name) for spent in several], 0.5) for name in Spent._fields))


def written(spent: Spent) -> str:
    """Write both in milliseconds."""
    return f"{spent.clock * 1000:.0f} ms by the clock, {spent.processors * 1000:.0f} ms of processors"
