"""The numbers that alerts look at: of the running hours, and of every hour of the past, in one statement each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from analytics.measures import merged, percentile
from analytics.queries import rollups
from analytics.queries.filters import Filter
from analytics.rollups.time_buckets import HOUR, hour_of
from analytics.tiles import catalogue, live_queries
from analytics.tiles.dashboard_data import DashboardData, added
from analytics.tiles.metric import Metric, Value
from analytics.tiles.registry import TILES


def _untaken(data: DashboardData) -> Value:
    count, since = live_queries.untaken(data)
    return (0.0 if since is None else (data.now - since) / timedelta(milliseconds=1)), max(1, count)


#: No tile shows it: the page of stuck messages does.
UNTAKEN = Metric(
    key="untaken",
    position=130,
    title="Longest wait for Amazon Connect",
    unit="ms",
    of="customers' messages that Amazon Connect has not taken",
    good="down",
    now=_untaken,
    however_few=True,
)


def known() -> Mapping[str, Metric]:
    """Return what can be watched: what tiles declare (see tiles/registry.py), and what has no tile."""
    catalogue.collect()
    metrics = [definition.alert for definition in TILES.values() if definition.alert is not None]
    return {metric.key: metric for metric in sorted([*metrics, UNTAKEN], key=lambda metric: metric.position)}


METRICS = known()


def current(metric: Metric, chosen: Filter, hours: int) -> Value:
    """Return the value of the last hours, the running one among them."""
    data = DashboardData(chosen)
    if metric.now is not None:
        return metric.now(data)
    end = hour_of(chosen.now) + HOUR
    question = data.question(end - hours * HOUR, end)
    if metric.digest:
        bins = rollups.bins(question, [metric.digest]).get((), {}).get(metric.digest, {})
        return percentile(bins, metric.part), sum(bins.values())
    sums = rollups.sums(question)[()]
    assert metric.value
    return metric.value(sums), sums[metric.n]


def history(metric: Metric, chosen: Filter, hours: int, start: datetime) -> dict[datetime, Value]:
    """Return for every hour from `start` up to now the value of the hours that end with it.

    What is of this moment has no history: nothing is returned.
    """
    data, end = DashboardData(chosen), hour_of(chosen.now)
    question = data.question(start - hours * HOUR, end, by=("at",), hourly=True)
    windows = _windows(start, end, hours)
    if metric.digest:
        bins = {
            at: digests.get(metric.digest, {}) for (at,), digests in rollups.bins(question, [metric.digest]).items()
        }
        together = {at: merged(bins.get(hour, {}) for hour in window) for at, window in windows.items()}
        return {at: (percentile(whole, metric.part), sum(whole.values())) for at, whole in together.items()}
    if metric.value is None:
        return {}
    sums = {at: hourly for (at,), hourly in rollups.sums(question).items()}
    totals = {at: added(sums[hour] for hour in window if hour in sums) for at, window in windows.items()}
    return {at: (metric.value(total), total[metric.n]) for at, total in totals.items()}


def _windows(start: datetime, end: datetime, hours: int) -> dict[datetime, list[datetime]]:
    """Return each hour of [start, end) with the hours whose sums make up its value."""
    windows = {}
    at = hour_of(start)
    while at < end:
        windows[at] = [at - back * HOUR for back in range(hours)]
        at += HOUR
    return windows
