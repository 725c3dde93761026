"""What the dashboards' templates need beyond Django's own: charts of tiles, and numbers in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template

from analytics import charts, wording
from analytics.tile import Row, Series, Tile

register = template.Library()


@register.filter
def spark(tile: Tile) -> charts.Chart | None:
    return charts.spark(tile)


@register.filter
def stacked(tile: Tile) -> charts.Chart | None:
    return charts.stacked(tile)


@register.filter
def lines(tile: Tile) -> charts.Chart | None:
    return charts.lines(tile)


@register.filter
def heat(tile: Tile) -> list[dict[str, Any]]:
    return charts.heat_steps(tile)


@register.filter
def bars(tile: Tile) -> list[tuple[Row, float, float]]:
    """Return each row with where its bar begins and how wide it is, all from one zero."""
    diverging = tile.form == "diverging"
    most = max(1.0, charts.most_of(tile.rows)) if diverging else charts.most_of(tile.rows)
    return [(row, *charts.bar(row, most=most, diverging=diverging)) for row in tile.rows]


@register.filter
def buckets(series: Series) -> list[list[str]]:
    """Return the series as lines of a table."""
    return [
        [point.label + (" (not over yet)" if point.partial else "")]
        + [wording.written(value, series.unit) for value in point.values]
        + [wording.count(point.n)]
        for point in series.points
    ]


@register.filter
def parts_of_whole(tile: Tile) -> list[tuple[Any, float, float]]:
    """Return each part with where it begins and how wide it is, of 100."""
    whole = sum(part.value or 0 for part in tile.parts) or 1
    found, at = [], 0.0
    for part in tile.parts:
        width = round((part.value or 0) / whole * 100, 2)
        found.append((part, round(at, 2), width))
        at += width
    return found


@register.filter
def in_zone(moment: datetime | None) -> str:
    return "never" if moment is None else wording.hour(moment)


@register.filter
def get(mapping: Any, key: str) -> Any:
    return mapping.get(key)


@register.filter
def points(score: int | None) -> str:
    """Write a stored score."""
    return wording.points(wording.rating(score))
