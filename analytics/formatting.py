"""Numbers as people read them: units beside them, minus signs, and the same rounding everywhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from analytics.rollups.time_buckets import local
from analytics.thresholds import SCALE

NOTHING = "–"  # noqa: RUF001 - a dash
MINUS = "−"  # noqa: RUF001 - a minus
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


def count(number: float | None) -> str:
    return NOTHING if number is None else f"{round(number):,}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """Write a share of 0 … 1."""
    if share is None:
        return NOTHING
    number = share * 100
    return f"{number:.0f} %" if number >= 10 or number == 0 else f"{number:.1f} %"  # noqa: PLR2004 - two digits


def points(score: float | None) -> str:
    """Write a rating of -1 … +1 as -100 … +100."""
    return NOTHING if score is None else f"{round(score * 100):+d}".replace("-", MINUS).replace("+0", "0")


def impact(score: float | None) -> str:
    """Write a difference of ratings, -1 … +1, in points with one digit."""
    return NOTHING if score is None else f"{score * 100:+.1f}".replace("-", MINUS)


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return NOTHING
    whole = round(milliseconds)
    if whole < _SECOND:
        return f"{whole} ms"
    if whole < 10 * _SECOND:
        return f"{whole / _SECOND:.1f} s"
    if whole < _MINUTE:
        return f"{whole / _SECOND:.0f} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} m {whole % _MINUTE // _SECOND:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} m"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return f"{duration(max(timedelta(), now - moment) / timedelta(milliseconds=1))} ago"


def written(value: float | None, unit: str) -> str:
    """Write a value of a unit: count, share, points or ms."""
    return {"share": percent, "points": points, "impact": impact, "ms": duration}.get(unit, count)(value)


def change(value: float | None, before: float | None, unit: str) -> str:
    """Write how a value differs from the one before: counts and durations in per cent, shares and ratings in points."""
    if value is None or before is None:
        return ""
    if unit in ("share", "points"):
        return f"{(value - before) * 100:+.0f} points".replace("-", MINUS).replace("+0 ", "±0 ")
    if before == 0:
        return "" if value == 0 else "new"
    return f"{(value / before - 1) * 100:+.0f} %".replace("-", MINUS).replace("+0 ", "±0 ")


def hour(moment: datetime) -> str:
    return f"{local(moment):%a %d %b %H:%M}"


def day(moment: datetime) -> str:
    return f"{local(moment):%a %d %b}"


def rating(score: int | None) -> float | None:
    """Return a stored score (in 1/SCALE) as -1 … +1."""
    return None if score is None else score / SCALE


def zone_name(now: datetime) -> str:
    """Write the zone in which hours are counted, e.g. Europe/Madrid, UTC+2."""
    here = local(now)
    offset = here.utcoffset() or timedelta()
    hours = offset / timedelta(hours=1)
    shown = f"UTC{hours:+g}".replace("-", MINUS) if hours else "UTC"
    name = str(here.tzinfo)
    return name if name == shown else f"{name}, {shown}"
