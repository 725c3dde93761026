"""Coordinates of charts, in the units of their SVG. The server draws them: no scripts, and print shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from analytics import formatting
from analytics.tiles.tile import Point, Row, Series, Tile

#: Units of every chart's picture; the page stretches it.
WIDTH, HEIGHT = 600.0, 120.0
SPARK_HEIGHT = 40.0
_NICE = (1, 2, 2.5, 5, 10)


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle of one bucket."""

    x: float
    y: float
    width: float
    height: float
    css: str


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """What one bucket says, for pointer and keyboard: where it is and what it reads."""

    x: float
    width: float
    text: str
    partial: bool


class LineChart(msgspec.Struct, frozen=True, kw_only=True):
    """A path, and where it ends."""

    path: str
    end: str
    name: str
    css: str
    shown: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    height: float
    top: str = ""
    marks: list[Mark] = []
    lines: list[LineChart] = []
    buckets: list[Bucket] = []
    legend: list[tuple[str, str, str]] = []
    target: float | None = None
    zero: float | None = None
    band: tuple[float, float] | None = None
    first: str = ""
    last: str = ""


def spark(tile: Tile) -> Chart | None:
    """Return a line without axes, its last point marked, the usual band behind."""
    if tile.series is None or len(tile.series.points) < 2:  # noqa: PLR2004 - a line
        return None
    series = tile.series
    known = [point.values[0] for point in series.points if point.values[0] is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    if tile.target is not None:
        low, high = min(low, tile.target), max(high, tile.target)
    spread = (high - low) or abs(high) or 1.0

    def y(value: float) -> float:
        return round(SPARK_HEIGHT - 4 - (value - low) / spread * (SPARK_HEIGHT - 8), 2)

    return Chart(
        height=SPARK_HEIGHT,
        lines=[_line(series, 0, y)],
        buckets=list(_buckets(series)),
        target=None if tile.target is None else y(tile.target),
        band=_band(known, y),
        first=series.points[0].label,
        last=series.points[-1].label,
    )


def _band(known: Sequence[float], y: Any) -> tuple[float, float] | None:
    """Return where the middle half of the values lies."""
    if len(known) < 8:  # noqa: PLR2004 - quartiles of fewer say nothing
        return None
    ordered = sorted(known)
    upper, lower = y(ordered[-1 - len(ordered) // 4]), y(ordered[len(ordered) // 4])
    return upper, max(1.0, round(lower - upper, 2))


def stacked(tile: Tile) -> Chart | None:
    """Return columns, one for each bucket, a piece for each series."""
    if tile.series is None or not tile.series.points:
        return None
    series = tile.series
    top = nice(max(sum(value or 0 for value in point.values) for point in series.points))
    step = WIDTH / len(series.points)
    marks = []
    for number, point in enumerate(series.points):
        y = HEIGHT
        for value, css in zip(point.values, series.marks, strict=True):
            height = (value or 0) / top * HEIGHT
            y -= height
            if height:
                width = round(step * 0.82, 2)
                x = round(number * step + step * 0.09, 2)
                marks.append(Mark(x=x, y=round(y, 2), width=width, height=round(height, 2), css=css))
    sums = [sum(point.values[place] or 0 for point in series.points) for place in range(len(series.names))]
    legend = [
        (name, css, formatting.count(whole)) for name, css, whole in zip(series.names, series.marks, sums, strict=True)
    ]
    return Chart(
        height=HEIGHT,
        top=formatting.written(top, series.unit),
        marks=marks,
        buckets=list(_buckets(series)),
        legend=legend,
        first=series.points[0].label,
        last=series.points[-1].label,
    )


def lines(tile: Tile) -> Chart | None:
    """Return several lines over one scale that begins at nought."""
    if tile.series is None or not any(value for point in tile.series.points for value in point.values):
        return None
    series = tile.series
    highest = max(value for point in series.points for value in point.values if value is not None)
    top = highest * 1.05 if series.unit == "ms" else nice(highest)

    def y(value: float) -> float:
        return round(HEIGHT - value / top * HEIGHT, 2)

    drawn = [_line(series, place, y) for place in range(len(series.names))]
    return Chart(
        height=HEIGHT,
        top=formatting.written(top, series.unit),
        lines=drawn,
        buckets=list(_buckets(series)),
        legend=[(line.name, line.css, line.shown) for line in drawn],
        first=series.points[0].label,
        last=series.points[-1].label,
    )


def _line(series: Series, place: int, y: Any) -> LineChart:
    step = WIDTH / len(series.points)
    path, end, pen_up = [], "", True
    for number, point in enumerate(series.points):
        value = point.values[place]
        if value is None:
            pen_up = True
            continue
        at = f"{round((number + 0.5) * step, 2)},{y(value)}"
        path.append(f"{'M' if pen_up else 'L'}{at}")
        pen_up, end = False, f"M{at}h0"
    last = next((point.values[place] for point in reversed(series.points) if point.values[place] is not None), None)
    shown = formatting.written(last, series.unit)
    css = series.marks[place] if series.marks else f"line-{place + 1}"
    return LineChart(path="".join(path), end=end, name=series.names[place], css=css, shown=shown)


def _buckets(series: Series) -> Iterator[Bucket]:
    step = WIDTH / len(series.points)
    for number, point in enumerate(series.points):
        yield Bucket(
            x=round(number * step, 2), width=round(step, 2), text=reading(series, point), partial=point.partial
        )


def reading(series: Series, point: Point) -> str:
    """Return what a bucket says in one line."""
    several = len(series.names) > 1
    values = [
        f"{name} {formatting.written(value, series.unit)}" if several else formatting.written(value, series.unit)
        for name, value in zip(series.names, point.values, strict=True)
    ]
    n = f", n {formatting.count(point.n)}" if series.unit != "count" else ""
    return f"{point.label}: {', '.join(values)}{n}{', not over yet' if point.partial else ''}"


def bar(line: Row, *, most: float, diverging: bool) -> tuple[float, float]:
    """Return where a row's bar begins and how wide it is, of 100; a diverging one begins in the middle."""
    value = line.values[0] if isinstance(line.values[0], (int, float)) else 0.0
    part = abs(value) / most if most else 0.0
    if not diverging:
        return 0.0, round(part * 100, 2)
    width = round(min(1.0, part) * 50, 2)
    return (50.0 - width if value < 0 else 50.0), width


def most_of(rows: Sequence[Row]) -> float:
    values = [abs(row.values[0]) for row in rows if row.values and isinstance(row.values[0], (int, float))]
    return max(values, default=0.0)


def nice(value: float) -> float:
    """Return a round number at or above a value, for the top of a scale."""
    if value <= 0:
        return 1.0
    size = 1.0
    while size * 10 < value:
        size *= 10
    while size > value:
        size /= 10
    return next(size * step for step in _NICE if size * step >= value)
