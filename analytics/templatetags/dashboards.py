"""What the dashboards' templates need beyond Django's own: charts of tiles, and numbers in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from analytics import formatting
from analytics.tiles import charts, heat_map
from analytics.tiles.tile import Row, Series, Tile

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
    return heat_map.days(tile)


@register.filter
def bars(tile: Tile) -> list[tuple[Row, float, float]]:
    """Return each row with where its bar begins and how wide it is, all from one zero."""
    diverging = tile.form == "diverging"
    most = max(1.0, charts.most_of(tile.rows)) if diverging else charts.most_of(tile.rows)
    return [(row, *charts.bar(row, most=most, diverging=diverging)) for row in tile.rows]


@register.filter
def hits(chart: charts.Chart) -> SafeString:
    """Write what pointer and keyboard find, and what is not over yet: joined here, since a template takes its time."""
    height = chart.height
    unfinished = "".join(
        f'<rect class="unfinished" x="{hit.x}" width="{hit.width}" y="0" height="{height}" fill="url(#hatch)"/>'
        for hit in chart.buckets
        if hit.partial
    )
    readings = "".join(
        f'<rect class="hit" x="{hit.x}" width="{hit.width}" y="0" height="{height}" data-text="{escape(hit.text)}"/>'
        for hit in chart.buckets
    )
    return mark_safe(f'{unfinished}<path class="cursor" d=""/>{readings}')  # noqa: S308 - texts are escaped above


@register.filter
def marks(chart: charts.Chart) -> SafeString:
    drawn = "".join(
        f'<rect class="{mark.css}" x="{mark.x}" y="{mark.y}" width="{mark.width}" height="{mark.height}"/>'
        for mark in chart.marks
    )
    return mark_safe(drawn)  # noqa: S308 - numbers, and classes of our own


@register.filter
def buckets(series: Series) -> SafeString:
    """Write the series as lines of a table."""
    lines = []
    for point in series.points:
        cells = [formatting.written(value, series.unit) for value in point.values] + [formatting.count(point.n)]
        head = escape(point.label + (" (not over yet)" if point.partial else ""))
        lines.append(f'<tr><th scope="row">{head}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>')
    return mark_safe("".join(lines))  # noqa: S308 - escaped above


@register.filter
def lines_of(tile: Tile) -> SafeString:
    """Write the tile's rows as lines of a table."""
    lines = []
    for row in tile.rows:
        cells = "".join(f"<td>{escape(Truncator(value).chars(80))}</td>" for value in row.shown)
        lines.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    return mark_safe("".join(lines))  # noqa: S308 - escaped above


@register.filter
def cells(day: dict[str, Any]) -> SafeString:
    """Write the cells of a weekday in the heat map."""
    html = "".join(
        f'<td class="hit volume-{cell["volume"]} sentiment-{cell["sentiment"]}{" thin" if cell["small"] else ""}" '
        f'data-text="{escape(cell["text"])}" data-href="{escape(cell["link"])}"></td>'
        for cell in day["cells"]
    )
    return mark_safe(html)  # noqa: S308 - escaped above


@register.filter
def parts_of_whole(tile: Tile) -> list[tuple[Any, float, float]]:
    """Return each part with where it begins and how wide it is, of 100."""
    whole = sum(part.value or 0 for part in tile.parts) or 1
    placed, at = [], 0.0
    for part in tile.parts:
        width = round((part.value or 0) / whole * 100, 2)
        placed.append((part, round(at, 2), width))
        at += width
    return placed


@register.filter
def in_zone(moment: datetime | None) -> str:
    return "never" if moment is None else formatting.hour(moment)


@register.filter
def age(moment: datetime, now: datetime) -> str:
    """Write how old something is."""
    return formatting.ago(moment, now).removesuffix(" ago")


@register.filter
def get(mapping: Any, key: str) -> Any:
    return mapping.get(key)


@register.filter
def points(score: int | None) -> str:
    """Write a stored score."""
    return formatting.points(formatting.rating(score))
