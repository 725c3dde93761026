"""The numbers that alerts look at: of the running hours, and of every hour of the past, in one statement each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from analytics.measures import merged, percentile
from analytics.queries import rollups
from analytics.queries.filters import Filter
from analytics.queries.rollups import Sums
from analytics.rollups.time_buckets import HOUR, hour_of
from analytics.sentiment.engine import SCALE
from analytics.tiles import live_queries
from analytics.tiles.dashboard_data import DashboardData, added
from analytics.tiles.tile import share


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What can be watched. Sums have `value` and `n`, durations a digest and its share, what is of now neither."""

    title: str
    unit: str
    of: str
    good: str
    value: Callable[[Sums], float | None] | None = None
    n: str = ""
    digest: str = ""
    part: float = 0.5
    however_few: bool = False
    """Whether a rule's least number does not count: one is enough."""


def _mean(total: str, number: str) -> Callable[[Sums], float | None]:
    def value(sums: Sums) -> float | None:
        mean = share(sums[total], sums[number])
        return None if mean is None else mean / SCALE

    return value


def _share(part: str, whole: str) -> Callable[[Sums], float | None]:
    return lambda sums: share(sums[part], sums[whole])


METRICS: Mapping[str, Metric] = {
    "negative": Metric(
        title="Negative chats",
        unit="share",
        of="chats with a score",
        good="down",
        value=_share("rated_negative", "rated"),
        n="rated",
    ),
    "sentiment": Metric(
        title="Net sentiment",
        unit="points",
        of="chats with a score",
        good="up",
        value=_mean("rating_sum", "rated"),
        n="rated",
    ),
    "shift": Metric(
        title="Shift in chats",
        unit="points",
        of="chats with six scores",
        good="up",
        value=_mean("shift_sum", "shifted"),
        n="shifted",
    ),
    "failures": Metric(
        title="Delivery failures",
        unit="share",
        of="messages that came to an end",
        good="down",
        value=_share("failed", "settled"),
        n="settled",
    ),
    "received": Metric(
        title="Messages from customers",
        unit="count",
        of="messages",
        good="",
        value=lambda sums: float(sums["received"]),
        n="received",
    ),
    "abandonment": Metric(
        title="Abandoned",
        unit="share",
        of="chats that waited",
        good="down",
        value=_share("abandoned", "queued"),
        n="queued",
    ),
    "unanswered": Metric(
        title="Unanswered",
        unit="share",
        of="chats that ended",
        good="down",
        value=_share("unanswered", "closed"),
        n="closed",
    ),
    "deflection": Metric(
        title="Bot deflection",
        unit="share",
        of="chats with a bot",
        good="up",
        value=_share("deflected", "bot_chats"),
        n="bot_chats",
    ),
    "first_response": Metric(
        title="First response, P50", unit="ms", of="answered chats", good="down", digest="first_response"
    ),
    "reply_p90": Metric(title="Reply time, P90", unit="ms", of="turns", good="down", digest="reply", part=0.9),
    "bridge": Metric(
        title="Bridge latency in, P95", unit="ms", of="messages", good="down", digest="bridge_in", part=0.95
    ),
    "waiting": Metric(title="Longest wait now", unit="ms", of="waiting chats", good="down"),
    "untaken": Metric(
        title="Longest wait for Amazon Connect",
        unit="ms",
        of="customers' messages that Amazon Connect has not taken",
        good="down",
        however_few=True,
    ),
}
#: A value and what it was computed from.
Value = tuple[float | None, int]


def current(metric: Metric, chosen: Filter, hours: int) -> Value:
    """Return the value of the last hours, the running one among them."""
    numbers = DashboardData(chosen)
    if metric is METRICS["untaken"]:
        count, since = live_queries.untaken(numbers)
        return (0.0 if since is None else (chosen.now - since) / timedelta(milliseconds=1)), max(1, count)
    if metric.value is None and not metric.digest:
        found = live_queries.open_chats(numbers)
        if found.oldest is None:
            return (0.0 if found.queue + found.agent + found.bot else None), found.queue
        return (chosen.now - found.oldest) / timedelta(milliseconds=1), max(1, found.queue)
    end = hour_of(chosen.now) + HOUR
    asked = numbers.question(end - hours * HOUR, end)
    if metric.digest:
        bins = rollups.bins(asked, [metric.digest]).get((), {}).get(metric.digest, {})
        return percentile(bins, metric.part), sum(bins.values())
    sums = rollups.sums(asked)[()]
    assert metric.value
    return metric.value(sums), sums[metric.n]


def history(metric: Metric, chosen: Filter, hours: int, start: datetime) -> dict[datetime, Value]:
    """Return for every hour from `start` up to now the value of the hours that end with it."""
    numbers, end = DashboardData(chosen), hour_of(chosen.now)
    asked = numbers.question(start - hours * HOUR, end, by=("at",), hourly=True)
    if metric.digest:
        bins = {at: found.get(metric.digest, {}) for (at,), found in rollups.bins(asked, [metric.digest]).items()}
        windows = _windows(start, end, hours)
        together = {at: merged(bins.get(one, {}) for one in window) for at, window in windows.items()}
        return {at: (percentile(found, metric.part), sum(found.values())) for at, found in together.items()}
    if metric.value is None:
        return {}
    value = metric.value
    sums = {at: found for (at,), found in rollups.sums(asked).items()}
    totals = {
        at: added(sums[one] for one in window if one in sums) for at, window in _windows(start, end, hours).items()
    }
    return {at: (value(found), found[metric.n]) for at, found in totals.items()}


def _windows(start: datetime, end: datetime, hours: int) -> dict[datetime, list[datetime]]:
    windows = {}
    at = hour_of(start)
    while at < end:
        windows[at] = [at - back * HOUR for back in range(hours)]
        at += HOUR
    return windows
