"""Tiles whose number has a line over the range: of sums, and of durations."""

from __future__ import annotations

from collections.abc import Mapping

from analytics.measures import percentile
from analytics.queries import rollups
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import Series, Tile
from analytics.tiles.values import Measure


def value_over_time(data: DashboardData, measure: Measure, *, n: str, name: str, unit: str) -> Tile:
    """Return a tile of a measure, with a line called `name`; `n` is the sum that it was computed from."""
    points = [data.point(at, [measure(sums)], sums[n]) for at, sums in data.sums_by_bucket.items()]
    return Tile(
        value=measure(data.total),
        n=data.total[n],
        compared=measure(data.done),
        before=None if data.before is None else measure(data.before),
        series=Series(names=(name,), points=tuple(points), unit=unit),
    )


def percentile_tile(data: DashboardData, digest: str, part: float) -> Tile:
    """Return a tile of one percentile of a digest, in milliseconds; without a line."""
    return Tile(
        value=data.percentile(digest, part),
        n=data.size(digest),
        compared=percentile(data.digests_done.get(digest, {}), part),
        before=percentile(data.digests_before.get(digest, {}), part),
    )


def percentile_lines(data: DashboardData, digest: str, parts: Mapping[str, float]) -> Series:
    """Return a line for each percentile (name → share), in milliseconds: one query for all."""
    question = data.question(data.filter.start, data.filter.end, by=("at",), hourly=data.filter.hourly)
    bins = {at: digests.get(digest, {}) for (at,), digests in rollups.bins(question, [digest]).items()}
    points = []
    for at in data.buckets:
        bucket = bins.get(at, {})
        points.append(data.point(at, [percentile(bucket, part) for part in parts.values()], sum(bucket.values())))
    return Series(names=tuple(parts), points=tuple(points), unit="ms")
