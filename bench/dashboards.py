"""Dashboards over five million messages of 90 days: the server's time for each panel, and how fast rollups keep up.

The messages are made by SQL, then counted by the product's own passes. Requests are made in this process, whole:
session, rights, queries, JSON or HTML. Beside them the same volume straight from the messages, as a chart without
rollups would ask.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import django
import psutil
import psycopg

from bench.dashboards_rows import LAG, LIVE, OPEN, POPULATE, RAW, SETTLE
from bench.lab import MIB, database, manage, median, percentile
from bench.servertime import Spent, Watch, p50, p95, written

QUICK: dict[str, Any] = {"messages": 20_000, "rounds": 3, "seconds": 5.0}
#: Messages of one chat, half of them the customer's.
EACH = 12
DAYS = 90
RANGES = ("today", "7d", "28d", "since")

OPEN_CHATS = 1_000
#: Seconds that a panel may take.
PANEL = 0.1


def run(
    messages: int = 5_000_000, rounds: int = 30, seconds: float = 30.0, rate: int = 500, *, keep: bool = False
) -> dict[str, object]:
    """Print and return what panels, the overview and the rollups take, in milliseconds where nothing else is said.

    With `keep` the rows are made and counted once, and stay for later runs.
    """
    with database("bench_dashboards", keep=keep) as url:
        os.environ["DATABASE_URL"] = url
        os.environ["LOG_LEVEL"] = "ERROR"
        manage("migrate", "-v", "0", env={"DATABASE_URL": url})
        _without_helpers(url)
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        django.setup()
        findings = Findings(messages=messages)
        fresh = not _is_made(url)
        if fresh:
            _populate(url, messages)
        counted = _count(messages)
        findings.tell(**(counted if fresh else {}), **_raw(url))
        _pages(rounds, findings)
        findings.tell(**_live(url, seconds, rate))
    return findings


class Findings(dict[str, object]):
    """What was measured; printed as it comes, since all of it takes long."""

    def tell(self, **more: object) -> None:
        for name, value in more.items():
            self[name] = value
            print(f"  {name:<58} {value}", flush=True)


def _without_helpers(url: str) -> None:
    """Let every query run in its own backend alone: what it uses of processors is measured there."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE bench_dashboards SET max_parallel_workers_per_gather = 0")


def _is_made(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM connect_bridge_message LIMIT 1").fetchone() is not None


def _populate(url: str, messages: int) -> None:
    began = time.monotonic()
    chats = messages // EACH
    params = {"chats": chats, "people": max(10, chats // 6), "each": EACH, "days": DAYS}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, POPULATE.split(";\n")):
            connection.execute((statement % params).encode())
    print(f"  {messages:,} messages made in {time.monotonic() - began:.0f} s", flush=True)


def _count(messages: int) -> dict[str, object]:
    """Let the product's passes count everything."""
    from analytics.models import Rollup, RollupBin
    from analytics.rollups import update

    began, cpu = time.monotonic(), time.process_time()
    while (done := update.refresh()) is not None and done.changes:
        pass
    took = time.monotonic() - began
    return {
        "counting everything, messages/s": round(messages / took),
        "  CPU of the worker, µs/message": round((time.process_time() - cpu) / messages * 1e6, 1),
        "rows of rollups": Rollup.objects.count(),
        "rows of bins": RollupBin.objects.count(),
        "memory of the worker, MiB": round(psutil.Process().memory_info().rss / MIB),
    }


def _raw(url: str) -> dict[str, object]:
    times = []
    with psycopg.connect(url) as connection:
        for _ in range(3):
            began = time.perf_counter()
            connection.execute(RAW.encode()).fetchall()
            times.append(time.perf_counter() - began)
    return {"28 days of volume without rollups": _ms(median(times))}


def _pages(rounds: int, findings: Findings) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    from analytics.tiles.registry import PAGES, TILES

    client = Client(SERVER_NAME="localhost")
    user, _ = User.objects.get_or_create(username="bench", defaults={"is_staff": True, "is_superuser": True})
    client.force_login(user)
    watch = Watch(client)
    watch.get("/dashboards/?range=today")  # imports, templates, connections
    watch.find_backends()
    slowest: list[tuple[Spent, str]] = []
    for span in RANGES:
        query, name = (f"range={span}", span) if span != "since" else (_ninety_days(), "90d")
        times = [watch.get(f"/dashboards/?{query}") for _ in range(rounds)]
        findings.tell(**{f"overview, {name}: p50": written(p50(times)), f"overview, {name}: p95": written(p95(times))})
        for key in TILES:
            times = [watch.get(f"/api/v1/metrics/{key}/?{query}") for _ in range(rounds)]
            slowest.append((p95(times), f"{key}, {name}"))
    slowest.sort(key=lambda pair: -pair[0].processors)
    findings.tell(**{f"panel {name}: p95": written(spent) for spent, name in slowest[:5]})
    over = sum(spent.processors > PANEL for spent, _ in slowest)
    findings.tell(**{f"panels over 100 ms of processors, of {len(slowest)}": over})
    findings.tell(**{"median panel: p95": written(slowest[len(slowest) // 2][0])})
    findings.tell(**_more_pages(watch, min(rounds, 10), [*PAGES, "chats"]))


def _more_pages(watch: Watch, rounds: int, pages: list[str]) -> dict[str, object]:
    """Time whole drill-downs, and panels by one facet among what another one chose: for those no rollup is kept."""
    whole = [(p95([watch.get(f"/dashboards/{name}/?{_ninety_days()}") for _ in range(rounds)]), name) for name in pages]
    spent, name = max(whole, key=lambda pair: pair[0].processors)
    findings: dict[str, object] = {f"slowest drill-down, {name}, 90d: p95": written(spent)}
    two = {"sentiment": "&queue=Queue 3&agent=Agent 11", "by_agent": "&queue=Queue 3"}
    for key, chosen in two.items():
        for query, span in (("range=7d", "7d"), ("range=28d", "28d"), (_ninety_days(), "90d")):
            times = [watch.get(f"/api/v1/metrics/{key}/?{query}{chosen}") for _ in range(rounds)]
            findings[f"panel {key}{chosen.replace('&', ', ')}, {span}: p95"] = written(p95(times))
    return findings


def _ninety_days() -> str:
    from datetime import date, timedelta

    return f"range=custom&since={date.today() - timedelta(days=DAYS - 1)}&until={date.today()}"  # noqa: DTZ011 - UTC here


def _live(url: str, seconds: float, rate: int) -> dict[str, object]:
    """Write at the rate, as bridges do, and count meanwhile as workers do; tell how far the counting is behind."""
    from django.conf import settings

    from analytics.rollups import update

    settings.SENTIMENT_ENABLED = False
    lags, cpu = [], 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        _open_chats(connection)
        writer = Writer(url, seconds, rate)
        writer.start()
        while writer.is_alive():
            used = time.thread_time()
            while (done := update.refresh()) is not None and done.more:
                pass
            cpu += time.thread_time() - used
            lags.append(float(connection.execute(LAG.encode()).fetchone()[1]))  # type: ignore[index] # one row
            time.sleep(0.2)
        left = connection.execute(LAG.encode()).fetchone()
    assert left
    return {
        f"live at {rate} messages/s, reached": round(writer.written / writer.took),
        "  oldest uncounted change after a pass, s: p50 / p95": f"{median(lags):.2f} / {percentile(lags, 0.95):.2f}",
        "  changes left at the end": left[0],
        "  CPU of counting without PostgreSQL's, share of a core": f"{cpu / writer.took:.0%}",
    }


class Writer(threading.Thread):
    """Writes messages at a rate, ten times a second, and settles them."""

    def __init__(self, url: str, seconds: float, rate: int) -> None:
        super().__init__()
        self.written, self.took = 0, 0.0
        self._url, self._seconds, self._rate = url, seconds, rate

    def run(self) -> None:
        began = time.monotonic()
        with psycopg.connect(self._url, autocommit=True) as connection:
            while (now := time.monotonic() - began) < self._seconds:
                due = int(now * self._rate) - self.written
                if due >= self._rate // 10:
                    rows = connection.execute(LIVE.encode(), {"number": due, "open": OPEN_CHATS}).fetchall()
                    connection.execute(SETTLE.encode(), [[row[0] for row in rows]])
                    self.written += due
                time.sleep(0.01)
        self.took = time.monotonic() - began


def _open_chats(connection: psycopg.Connection[Any]) -> None:
    connection.execute("DROP TABLE IF EXISTS bench_open")
    connection.execute("CREATE SEQUENCE IF NOT EXISTS bench_sequence START 2000000")
    connection.execute((OPEN % {"open": OPEN_CHATS}).encode())
    connection.execute("CREATE INDEX ON bench_open (place)")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
