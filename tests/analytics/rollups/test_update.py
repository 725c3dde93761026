"""Whatever happens, in whatever order, the rollups say what a naive look at all rows says."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.measures import ACCURACY, DIGESTS, MEASURES, percentile
from analytics.models import Rollup, RollupBin
from analytics.rollups.update import refresh
from tests.analytics.rollups import history as histories
from tests.analytics.rollups.history import History
from tests.analytics.rollups.kit import undone
from tests.analytics.rollups.oracle import Oracle, day_start, nearest_rank

#: Zone and a moment some hours before its clocks change; or one that is half an hour off.
MOMENTS = [
    ("UTC", datetime(2026, 3, 28, 12, tzinfo=UTC)),
    ("Europe/Madrid", datetime(2026, 3, 28, 12, tzinfo=UTC)),
    ("Europe/Madrid", datetime(2026, 10, 24, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 20, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 3, 28, 12, tzinfo=UTC)),
]


def counted(grain: str) -> dict[Any, dict[str, int]]:
    """Return what the rollups say, without the facets that have tests of their own."""
    sums_of_rows = {}
    for row in Rollup.objects.filter(grain=grain).exclude(facet__in=("phrase", "code")):
        sums = {name: getattr(row, name) for name in MEASURES if getattr(row, name)}
        if sums:
            sums_of_rows[row.facet, row.at, row.account_id, row.value] = sums
    return sums_of_rows


def by_day(sums: dict[Any, Counter[str]], zone: str) -> dict[Any, Counter[str]]:
    days: dict[Any, Counter[str]] = defaultdict(Counter)
    for (facet, at, account, value), counts in sums.items():
        for name, number in counts.items():
            days[facet, day_start(at, ZoneInfo(zone)), account, value][name] += number
    return days


def plain(sums: dict[Any, Counter[str]]) -> dict[Any, dict[str, int]]:
    nonzero = {key: {name: number for name, number in counts.items() if number} for key, counts in sums.items()}
    return {key: counts for key, counts in nonzero.items() if counts}


def digests(grain: str) -> dict[Any, dict[str, dict[int, int]]]:
    by_key: dict[Any, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in RollupBin.objects.filter(rollup__grain=grain).select_related("rollup"):
        key = (row.rollup.facet, row.rollup.at, row.rollup.account_id, row.rollup.value)
        by_key[key][DIGESTS[row.digest]][row.bin] = row.count
    return by_key


#: Digests that are kept of queues and agents, and all of them.
PEOPLE = {"first_response", "queue_wait", "agent_delay", "reply", "handle"}
EVERY = {*PEOPLE, "bridge_in", "bridge_out"}
KEPT = {
    ("h", "account"): EVERY,
    ("d", "account"): EVERY,
    ("h", "queue"): PEOPLE,
    ("d", "queue"): PEOPLE,
    ("d", "agent"): PEOPLE,
}


def same_durations(oracle: Oracle, zone: str) -> None:
    """Compare every digest with the durations themselves: how many there are, and where the percentiles lie."""
    for (grain, facet), names in KEPT.items():
        true: dict[Any, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (of, at, account, value), by_digest in oracle.durations.items():
            start = at if grain == "h" else day_start(at, ZoneInfo(zone))
            for name in names if of == facet else ():
                if by_digest.get(name):
                    true[start, account, value][name].extend(by_digest[name])
        stored = {key[1:]: bins for key, bins in digests(grain).items() if key[0] == facet}
        assert {key: set(bins) - {"first_response_office"} for key, bins in stored.items()} == {
            key: set(by_digest) for key, by_digest in true.items()
        }
        for key, by_digest in true.items():
            for name, values in by_digest.items():
                same_percentiles(stored[key][name], values)


def same_percentiles(bins: dict[int, int], values: list[float]) -> None:
    assert sum(bins.values()) == len(values)
    for share in (0.5, 0.9, 0.99):
        true = nearest_rank([max(1.0, float(int(value))) for value in values], share)
        assert percentile(bins, share) == pytest.approx(true, rel=ACCURACY + 1e-9)


@pytest.mark.django_db
@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True
)
@given(data=st.data(), where=st.sampled_from(MOMENTS))
def test_the_rollups_are_what_a_naive_look_at_all_rows_says(data: Any, where: Any, settings: Any) -> None:
    settings.TIME_ZONE, start = where
    with undone():
        story = History(start)
        story.begin()
        for chat in data.draw(st.lists(histories.chats, max_size=4), label="chats"):
            story.write(chat)
            if data.draw(st.booleans(), label="refresh"):
                refresh()
        for what, which in data.draw(histories.late, label="late"):
            story.change(what, which)
            if which % 3 == 0:
                refresh()
        refresh()
        refresh()
        oracle = Oracle(settings.TIME_ZONE)
        assert counted("h") == plain(oracle.sums)
        assert counted("d") == plain(by_day(oracle.sums, settings.TIME_ZONE))
        same_durations(oracle, settings.TIME_ZONE)
